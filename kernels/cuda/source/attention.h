// Pieces of flash attention on tensor cores. Operands of products that many warps read
// are tiles in shared memory; a warp's own rows are fragments in registers (mma.h).
#pragma once
#include "device.h"
#include "mma.h"

// Rows of queries that a block of attention works on; launch rules count in it.
constexpr int kQueryRows = 128;

// copyAsync4 copies one number to shared memory, or writes zero unless valid.
DEVICE void copyAsync4(u32 target, const float* source, bool valid) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(target), "l"(source), "r"(valid ? 4 : 0) : "memory");
}

// sharedPair reads two numbers; the address is a multiple of 8.
DEVICE f32x2 sharedPair(u32 address) {
  f32x2 x;
  asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(x.x), "=f"(x.y) : "r"(address) : "memory");
  return x;
}

// Tile is rows of one head in shared memory, Dim columns in pieces of 16 bytes. The place
// of a piece is XORed with bits of its row: the eight rows that one ldmatrix reads then
// lie in different banks.
template <int Dim>
struct Tile {
  static constexpr int kPitch = 2 * Dim, kPieces = Dim / 8;

  DEVICE u32 offset(int row, int piece) {
    const int bits = Dim % 64 == 0 ? row & 7 : row >> 1 & 3;
    return row * kPitch + (piece ^ bits) * 16;
  }

  // Two 16×8 operands b of columns 16·step…+15 (inner axis) by rows row…+7 and row+8…+15.
  DEVICE void load(u32 (&b)[4], u32 tile, int row, int step) {
    const int l = lane();
    ldmatrix4(b, tile + row * kPitch + offset((l & 7) + (l >> 4) * 8, 2 * step + (l >> 3 & 1)));
  }
  // Two 16×8 operands b of rows row…+15 (inner axis) by columns 16·step…+7 and …+8…+15.
  DEVICE void loadTrans(u32 (&b)[4], u32 tile, int row, int step) {
    const int l = lane();
    ldmatrix4Trans(b, tile + row * kPitch + offset(l & 15, 2 * step + (l >> 4)));
  }
};

// TileCopy fills tiles of Rows rows from two matrices, a part of every tile by each of
// Threads threads, and moves on by Rows rows each time.
template <int Dim, int Rows, int Threads>
struct TileCopy {
  static constexpr int kTile = Rows * Tile<Dim>::kPitch;
  static constexpr int kAcross = Dim == 32 ? 4 : Dim == 64 ? 8 : 16, kStep = Threads / kAcross;
  static_assert(Rows % kStep == 0 && kStep % 8 == 0, "a thread's rows differ by whole swizzles");

  const bf16 *x, *y;
  u32 place;
  int row;

  __device__ __forceinline__ TileCopy(const bf16* x0, int ldx, const bf16* y0, int ldy, int dim) {
    const int piece = threadIdx.x % kAcross, first = threadIdx.x / kAcross;
    place = Tile<Dim>::offset(first, piece);
    x = x0 + (i64(first) * ldx + piece * 8);
    y = y0 + (i64(first) * ldy + piece * 8);
    row = piece * 8 < dim ? first : 1 << 30;
  }

  // Rows from limit on become zeros, as columns from dim on do.
  __device__ __forceinline__ void start(u32 tileX, u32 tileY, int ldx, int ldy, int limit) const {
    if (kAcross != Tile<Dim>::kPieces && threadIdx.x % kAcross >= Tile<Dim>::kPieces) return;
#pragma unroll
    for (int i = 0; i < Rows / kStep; i++) {
      const bool valid = row + i * kStep < limit;
      copyAsync16(tileX + place + i * kStep * Tile<Dim>::kPitch, x + i64(i * kStep) * ldx, valid);
      copyAsync16(tileY + place + i * kStep * Tile<Dim>::kPitch, y + i64(i * kStep) * ldy, valid);
    }
  }
  // startFirst copies from the first matrix only.
  __device__ __forceinline__ void startFirst(u32 tileX, int ldx, int limit) const {
    if (kAcross != Tile<Dim>::kPieces && threadIdx.x % kAcross >= Tile<Dim>::kPieces) return;
#pragma unroll
    for (int i = 0; i < Rows / kStep; i++)
      copyAsync16(tileX + place + i * kStep * Tile<Dim>::kPitch, x + i64(i * kStep) * ldx, row + i * kStep < limit);
  }
  __device__ __forceinline__ void move(i64 byX, i64 byY) { x += byX, y += byY; }
};

// loadRows reads the operand a of 16 rows: p is at the lane's row, which is lane/4 of
// them; it and the eighth after it are read as far as they are valid, dim columns.
template <int Dim>
DEVICE void loadRows(u32 (&a)[Dim / 16][4], const bf16* p, int ld, int valid, int dim) {
#pragma unroll
  for (int half = 0; half < 2; half++) {
#pragma unroll
    for (int j = 0; j < Dim / 32; j++) {
      const int column = 32 * j + 8 * (lane() & 3);
      u32x4 v = {0, 0, 0, 0};
      if (8 * half < valid && column < dim) v = ::ld(reinterpret_cast<const u32x4*>(p + i64(8 * half) * ld + column));
      u32 x[4] = {v.x, v.y, v.z, v.w};
      transposeQuad(x);
      a[2 * j][half] = x[0], a[2 * j][half + 2] = x[1];
      a[2 * j + 1][half] = x[2], a[2 * j + 1][half + 2] = x[3];
    }
  }
}

// storeRows writes a result of 16 rows in bfloat16, times low in the lane's row and high
// in the eighth after it.
template <int Dim>
DEVICE void storeRows(const float (&d)[Dim / 8][4], float low, float high, bf16* p, int ld, int valid, int dim) {
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const float scale = half ? high : low;
#pragma unroll
    for (int j = 0; j < Dim / 32; j++) {
      u32 x[4];
#pragma unroll
      for (int i = 0; i < 4; i++) x[i] = pack(d[4 * j + i][2 * half] * scale, d[4 * j + i][2 * half + 1] * scale);
      transposeQuad(x);
      const int column = 32 * j + 8 * (lane() & 3);
      if (8 * half < valid && column < dim) {
        const u32x4 v = {x[0], x[1], x[2], x[3]};
        st(reinterpret_cast<u32x4*>(p + i64(8 * half) * ld + column), v);
      }
    }
  }
}

// HeadGrad is where one head of one sequence is.
struct HeadGrad {
  const bf16 *q, *k, *v, *dy;
  const float *lse, *delta;
  int ldk, ldv, ldy;
};

DEVICE HeadGrad headGrad(const AttentionGradArgs& a, int run, i64 start, int head) {
  const int ldk = (a.query + a.keyValue) * a.dim, ldv = ldk + a.keyValue * a.dim, ldy = a.query * a.dim;
  const int keyHead = a.query + head / (a.query / a.keyValue);
  return {
      at<bf16>(a.qk, run) + start * ldk + head * a.dim,
      at<bf16>(a.qk, run) + start * ldk + keyHead * a.dim,
      at<bf16>(a.qkv, run) + start * ldv + (keyHead + a.keyValue) * a.dim,
      at<bf16>(a.dy, run) + start * ldy + head * a.dim,
      at<float>(a.lse, run) + start * a.query + head,
      at<float>(a.delta, run) + start * a.query + head,
      ldk, ldv, ldy,
  };
}

// packOperand makes a result of 16×16, two of 16×8, the operand a of a product.
DEVICE void packOperand(u32 (&a)[4], const float (&left)[4], const float (&right)[4]) {
  a[0] = pack(left[0], left[1]), a[1] = pack(left[2], left[3]);
  a[2] = pack(right[0], right[1]), a[3] = pack(right[2], right[3]);
}

// Masks of a result of 16×16 whose first row and column are of one number: maskAbove
// leaves the columns up to the row, maskBelow those from it on, maskAll none.
DEVICE void maskAbove(float (&left)[4], float (&right)[4]) {
  const int g = lane() / 4, t = 2 * (lane() & 3);
#pragma unroll
  for (int i = 0; i < 2; i++) {
    if (t + i > g) left[i] = right[2 + i] = -__builtin_inff();
    right[i] = -__builtin_inff();
  }
}
DEVICE void maskBelow(float (&left)[4], float (&right)[4]) {
  const int g = lane() / 4, t = 2 * (lane() & 3);
#pragma unroll
  for (int i = 0; i < 2; i++) {
    if (t + i < g) left[i] = right[2 + i] = -__builtin_inff();
    left[2 + i] = -__builtin_inff();
  }
}
DEVICE void maskAll(float (&left)[4], float (&right)[4]) {
#pragma unroll
  for (int i = 0; i < 4; i++) left[i] = right[i] = -__builtin_inff();
}

template <int Rows, int Columns>
DEVICE void zero(float (&d)[Rows][Columns][4]) {
#pragma unroll
  for (int i = 0; i < Rows; i++)
#pragma unroll
    for (int j = 0; j < Columns; j++)
#pragma unroll
      for (int k = 0; k < 4; k++) d[i][j][k] = 0;
}
