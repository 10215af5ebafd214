// Pieces of flash attention on sm_90a: products of a warpgroup with tiles of attention.h,
// whose places are those that wgmma knows as swizzles of 64 and 128 bytes. A warp holds 16
// of the warpgroup's 64 rows, as mma.h has them.
#pragma once
#include "attention.h"
#include "hopper.h"

extern __shared__ __attribute__((aligned(1024))) unsigned char sharedMemory[];

constexpr int kBlockRows = 64;  // of a tile, and of a warpgroup

// headOperand describes 16 columns of a tile (InnerContiguous), or 16 of its rows, as the
// inner axis.
template <int Dim, bool InnerContiguous>
DEVICE u64 headOperand(u32 tile, int step) {
  if (Dim == 64) return wgmmaOperand<InnerContiguous>(tile, step);
  const u64 eightRows = 512 >> 4, swizzle64 = 2;
  tile += step * (InnerContiguous ? 32 : 1024);
  return (tile & 0x3ffff) >> 4 | u64(1) << 16 | eightRows << 32 | swizzle64 << 62;
}

// scores starts s = rows·tileᵀ for two tiles. The rows stay in shared memory: ptxas 12.4 and
// the driver's give registers of operands that a loop does not change to others in it.
template <int Dim>
DEVICE void scores(float (&s)[8][4], u32 rows, u32 tile) {
  wgmma<0, 0, 0>(s, headOperand<Dim, true>(rows, 0), headOperand<Dim, true>(tile, 0));
#pragma unroll
  for (int k = 1; k < Dim / 16; k++) wgmma<0, 0>(s, headOperand<Dim, true>(rows, k), headOperand<Dim, true>(tile, k));
}

// gather starts d += p·tile.
template <int Dim>
DEVICE void gather(float (&d)[Dim / 8][4], const u32 (&p)[4][4], u32 tile) {
#pragma unroll
  for (int n = 0; n < 4; n++) wgmmaRows<1>(d, p[n], headOperand<Dim, false>(tile, n));
}

// packRows makes a result the operand of the next product.
DEVICE void packRows(u32 (&p)[4][4], const float (&s)[8][4]) {
#pragma unroll
  for (int n = 0; n < 4; n++) packOperand(p[n], s[2 * n], s[2 * n + 1]);
}

// tilesReady waits for the copies of all threads and shows them to wgmma.
DEVICE void tilesReady() {
  copyAsyncWait<0>();
  sharedWritten();
  sync();
}

// Of a result on the diagonal, maskAbove leaves the columns up to the row, maskBelow those
// from it on.
DEVICE int ownRow() { return warp() % 4 * 16 + lane() / 4; }
DEVICE void maskAbove(float (&s)[8][4]) {
#pragma unroll
  for (int j = 0; j < 8; j++)
#pragma unroll
    for (int i = 0; i < 4; i++)
      if (8 * j + 2 * (lane() & 3) + i % 2 > ownRow() + i / 2 * 8) s[j][i] = -__builtin_inff();
}
DEVICE void maskBelow(float (&s)[8][4]) {
#pragma unroll
  for (int j = 0; j < 8; j++)
#pragma unroll
    for (int i = 0; i < 4; i++)
      if (8 * j + 2 * (lane() & 3) + i % 2 < ownRow() + i / 2 * 8) s[j][i] = -__builtin_inff();
}
