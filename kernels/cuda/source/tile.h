// The product of one block, shared by gemm.cu and group_gemm.cu: a tile of op(A)·op(B)
// on tensor cores, through a ring of shared-memory stages filled by asynchronous copies.
//
// An operand has an outer axis (m or n) and the inner axis k. A stage holds kInner
// elements of k in rows of 128 bytes: a row is 64 elements of k at one outer index where
// k is contiguous in memory, else 64 outer elements at one k, in one slab for each 64
// outer elements. The 16-byte chunk c of row r lies at chunk c^(r%8), so that neither
// copies nor ldmatrix meet in a bank.
#pragma once
#include "mma.h"

constexpr int kInner = 64;
constexpr int kRow = 128;
constexpr int kSlab = kInner * kRow;

extern __shared__ __attribute__((aligned(1024))) unsigned char sharedMemory[];

// Operand is a matrix in memory with the sizes of its axes.
struct Operand {
  const bf16* p;
  i64 ld;
  int outer, inner;
};

// Loader copies the stages of Outer rows of an operand from (outer0, inner0) on, up to
// inner1. Elements past the sizes become 0. Without Vector the rows need no alignment.
template <bool InnerContiguous, int Outer, int Threads, bool Vector>
struct Loader {
  static constexpr int kStep = Threads / 8;  // rows copied at once
  const bf16* p;
  i64 ld;
  int rows, columns, row, column;
  u32 offset;

  METHOD Loader(const Operand& o, int outer0, int inner0, int inner1) : ld(o.ld) {
    row = threadIdx.x / 8, column = threadIdx.x % 8 * 8;
    offset = row * kRow + ((column / 8 ^ row % 8) << 4);
    const int outer = o.outer - outer0, inner = min(o.inner, inner1) - inner0;
    rows = (InnerContiguous ? outer : inner) - row;
    columns = (InnerContiguous ? inner : outer) - column;
    p = o.p + (InnerContiguous ? (outer0 + row) * ld + inner0 + column : (inner0 + row) * ld + outer0 + column);
  }

  METHOD void copy(u32 stage) {
    constexpr int slabs = InnerContiguous ? 1 : Outer / 64;
    constexpr int height = InnerContiguous ? Outer : kInner;
#pragma unroll
    for (int s = 0; s < slabs; s++) {
      const int n = max(min(columns - 64 * s, 8), 0);
#pragma unroll
      for (int i = 0; i < height; i += kStep)
        chunk(stage + s * kSlab + offset + i * kRow, p + i * ld + 64 * s, i < rows ? n : 0);
    }
    if (InnerContiguous) {
      p += kInner;
      columns -= kInner;
    } else {
      p += kInner * ld;
      rows -= kInner;
    }
  }

  static METHOD void chunk(u32 target, const bf16* source, int n) {
    if (Vector) {
      copyAsyncPart(target, source, 2 * n);
      return;
    }
    u32 v[4] = {};
#pragma unroll
    for (int i = 0; i < 8; i++)
      if (i < n) v[i / 2] |= static_cast<u32>(::ld(source + i).bits) << 16 * (i % 2);
    asm volatile("st.shared.v4.b32 [%0], {%1,%2,%3,%4};" ::"r"(target), "r"(v[0]), "r"(v[1]), "r"(v[2]), "r"(v[3])
                 : "memory");
  }
};

// Fragments gives the addresses of a warp's 16×16 fragments in a stage: from outer index
// first on, number i along the outer axis and kk along k. Which of its four 8×8 matrices
// a lane addresses is in the bits outerBit and innerBit.
template <bool InnerContiguous>
struct Fragments {
  u32 base, chunk;
  METHOD Fragments(int first, int outerBit, int innerBit) {
    const int r = lane() % 8;
    if (InnerContiguous) {
      base = (first + 8 * outerBit + r) * kRow;
      chunk = innerBit ^ r;
    } else {
      base = first / 64 * kSlab + (8 * innerBit + r) * kRow;
      chunk = outerBit ^ r ^ first % 64 / 8;
    }
  }
  METHOD void load(u32 (&r)[4], u32 stage, int i, int kk) const {
    if (InnerContiguous)
      ldmatrix4(r, stage + base + i * 16 * kRow + ((chunk ^ 2 * kk) << 4));
    else
      ldmatrix4Trans(r, stage + base + i / 4 * kSlab + kk * 16 * kRow + ((chunk ^ i % 4 * 2) << 4));
  }
};

// Tile is a block's BM×BN of the result in warps of WM×WN, a thread's share in registers.
// AK and BK: k is the contiguous axis of A, of B.
template <int BM_, int BN_, int WM, int WN, int Stages, bool AK, bool BK, bool Vector>
struct Tile {
  static constexpr int BM = BM_, BN = BN_;
  static constexpr int kThreads = BM / WM * (BN / WN) * 32;
  static constexpr int MI = WM / 16, NI = WN / 16;
  static constexpr u32 kStage = (BM + BN) * kRow;

  float acc[MI][2 * NI][4];

  METHOD int warpM() const { return warp() % (BM / WM) * WM; }
  METHOD int warpN() const { return warp() / (BM / WM) * WN; }

  // multiply sets the tile at (m0, n0) to the product over k0 … k1.
  METHOD void multiply(const Operand& a, const Operand& b, int m0, int n0, int k0, int k1) {
#pragma unroll
    for (int i = 0; i < MI; i++)
#pragma unroll
      for (int j = 0; j < 2 * NI; j++)
#pragma unroll
        for (int e = 0; e < 4; e++) acc[i][j][e] = 0;
    const u32 shared = sharedAddress(sharedMemory);
    Loader<AK, BM, kThreads, Vector> loadA(a, m0, k0, k1);
    Loader<BK, BN, kThreads, Vector> loadB(b, n0, k0, k1);
    const Fragments<AK> fragmentsA(warpM(), lane() / 8 % 2, lane() / 16);
    const Fragments<BK> fragmentsB(warpN(), lane() / 16, lane() / 8 % 2);
    const int steps = ceilDiv(min(k1, a.inner) - k0, kInner);
    auto fetch = [&](int step) {
      if (step < steps) {
        const u32 stage = shared + step % Stages * kStage;
        loadA.copy(stage);
        loadB.copy(stage + BM * kRow);
      }
      copyAsyncCommit();
    };
#pragma unroll
    for (int s = 0; s < Stages - 1; s++) fetch(s);
    u32 fa[2][MI][4], fb[2][NI][4];
    for (int step = 0; step < steps; step++) {
      copyAsyncWait<Stages - 2>();
      sync();
      const u32 stageA = shared + step % Stages * kStage, stageB = stageA + BM * kRow;
      auto load = [&](int kk) {
#pragma unroll
        for (int i = 0; i < MI; i++) fragmentsA.load(fa[kk % 2][i], stageA, i, kk);
#pragma unroll
        for (int j = 0; j < NI; j++) fragmentsB.load(fb[kk % 2][j], stageB, j, kk);
      };
      load(0);
      fetch(step + Stages - 1);
#pragma unroll
      for (int kk = 0; kk < kInner / 16; kk++) {
        if (kk + 1 < kInner / 16) load(kk + 1);
#pragma unroll
        for (int j = 0; j < 2 * NI; j++)
#pragma unroll
          for (int i = 0; i < MI; i++)
            mma16816(acc[i][j], fa[kk % 2][i], fb[kk % 2][j / 2][j % 2 * 2], fb[kk % 2][j / 2][j % 2 * 2 + 1]);
      }
    }
  }

  // store writes c = alpha·tile, or adds it, where c is the matrix [m,n] that the tile at
  // (m0, n0) is part of. Each warp's part goes through the shared memory of the stages,
  // so that whole rows of it are written at once.
  template <class C>
  METHOD void store(C* c, i64 ldc, int m, int n, int m0, int n0, float alpha, bool add) const {
    constexpr int pitch = WN + 8, lanes = WN / 4;
    static_assert(kThreads / 32 * WM * pitch * 4 <= Stages * kStage, "the tile must fit in the stages");
    float* part = reinterpret_cast<float*>(sharedMemory) + warp() * WM * pitch;
    copyAsyncWait<0>();
    sync();
#pragma unroll
    for (int i = 0; i < MI; i++)
#pragma unroll
      for (int j = 0; j < 2 * NI; j++)
#pragma unroll
        for (int h = 0; h < 2; h++)
          *reinterpret_cast<f32x2*>(part + (i * 16 + h * 8 + lane() / 4) * pitch + j * 8 + lane() % 4 * 2) =
              f32x2{acc[i][j][2 * h], acc[i][j][2 * h + 1]};
    syncWarp();
    const int column = lane() % lanes * 4, left = n - n0 - warpN() - column, rows = m - m0 - warpM();
    c += (m0 + warpM()) * ldc + n0 + warpN() + column;
    part += column;
    constexpr int step = 32 / lanes, batch = 4;
    if ((ldc % 4 | reinterpret_cast<u64>(c) % (4 * sizeof(C))) == 0 && left >= 4) {
#pragma unroll 1
      for (int first = lane() / lanes; first < WM; first += batch * step) {
        f32x4 v[batch] = {};  // all are loaded before the first is stored
        if (add)
#pragma unroll
          for (int i = 0; i < batch; i++)
            if (first + i * step < rows) v[i] = load4(c + (first + i * step) * ldc);
#pragma unroll
        for (int i = 0; i < batch; i++) {
          const int row = first + i * step;
          v[i] += alpha * *reinterpret_cast<const f32x4*>(part + row * pitch);
          if (row < rows) store4(c + row * ldc, v[i]);
        }
      }
      return;
    }
#pragma unroll 1
    for (int row = lane() / lanes; row < min(rows, WM); row += step)
      for (int e = 0; e < min(left, 4); e++) {
        C* p = c + row * ldc + e;
        const float v = alpha * part[row * pitch + e];
        st(p, fromFloat<C>(add ? v + toFloat(ld(p)) : v));
      }
  }
};
