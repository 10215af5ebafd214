// Products with the gated unit of SwiGLU done on the results while they are in registers,
// for sm_90a: what swiglu and swiglu_grad do, without writing and reading the result of the
// product. Rounding to bfloat16 between them is the same, so the bits are too.
#include "hopper_tile.h"
#include "schedule.h"
#include "swiglu.h"

namespace {

// storeEight writes eight columns of a row from the words of four lanes.
DEVICE void storeEight(bf16* p, u32 (&x)[4], bool in) {
  transposeQuad(x);
  if (in) st(reinterpret_cast<u32x4*>(p), u32x4{x[0], x[1], x[2], x[3]});
}

template <class T>
DEVICE void gemmSwiGLU(const GemmSwiGLUArgs& a, const TensorMap* maps) {
  constexpr int kWidth = T::BN / 2;
  const int run = runOf(a.runs), rows = ceilDiv(a.m, T::BM), columns = ceilDiv(a.f, kWidth), t = lane() % 4;
  bf16 *gateUp = at<bf16>(a.gateUp, run), *act = at<bf16>(a.act, run);
  T tile;
  tile.begin();
  for (int number = blockIdx.x; number < rows * columns; number += gridDim.x) {
    const TileIndex index = tileIndex(number, rows, columns);
    const int m0 = index.row * T::BM, n0 = index.column * kWidth;
    if (tile.feeds()) tile.feedPair(Box{maps, m0, 0, run}, Box{maps + 1, n0, 0, run}, Box{maps + 2, n0, 0, run}, a.k);
    if (!tile.multiplies()) continue;
    tile.multiply(a.k);
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const i64 row = m0 + tile.row(0) + 8 * h;
#pragma unroll
      for (int q = 0; q < kWidth / 32; q++) {
        u32 gate[4], up[4], y[4];
#pragma unroll
        for (int e = 0; e < 4; e++) {
          const float *u = tile.acc[0][4 * q + e] + 2 * h, *v = tile.acc[0][kWidth / 8 + 4 * q + e] + 2 * h;
          gate[e] = pack(a.alpha * u[0], a.alpha * u[1]), up[e] = pack(a.alpha * v[0], a.alpha * v[1]);
          y[e] = pack(gated(lowHalf(gate[e]), lowHalf(up[e])), gated(highHalf(gate[e]), highHalf(up[e])));
        }
        const int column = n0 + 32 * q + 8 * t;
        const bool in = row < a.m && column < a.f;
        storeEight(act + row * a.f + column, y, in);
        if (!gateUp) continue;
        storeEight(gateUp + row * 2 * a.f + column, gate, in);
        storeEight(gateUp + row * 2 * a.f + a.f + column, up, in);
      }
    }
  }
}

template <class T>
DEVICE void gemmSwiGLUGrad(const GemmSwiGLUGradArgs& a, const TensorMap* maps) {
  const int run = runOf(a.runs), rows = ceilDiv(a.m, T::BM), columns = ceilDiv(a.f, T::BN), g = lane() / 4, t = lane() % 4;
  bf16* dx = at<bf16>(a.dx, run);
  T tile;
  tile.begin();
  for (int number = blockIdx.x; number < rows * columns; number += gridDim.x) {
    const TileIndex index = tileIndex(number, rows, columns);
    const int m0 = index.row * T::BM, n0 = index.column * T::BN;
    if (tile.feeds()) {
      tile.feed(Box{maps, m0, 0, run}, Box{maps + 1, n0, 0, run}, a.k);
      tile.feedTile(maps + 2, m0, n0, run);
      tile.feedTile(maps + 3, m0, n0, run);
    }
    if (!tile.multiplies()) continue;
    tile.multiply(a.k);
    const u32 gates = tile.take(), ups = tile.take();
    // This thread's words in a stage: boxes of 64×64 in rows of 128 bytes, swizzled.
    const u32 line = threadIdx.x / 128 * (T::BN * 128) + (warp() % 4 * 16 + g) * 128 + t * 4;
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const i64 row = m0 + tile.row(0) + 8 * h;
#pragma unroll
      for (int q = 0; q < T::BN / 32; q++) {
        u32 x[4], y[4];
#pragma unroll
        for (int e = 0; e < 4; e++) {
          const int j = 4 * q + e;
          const float* v = tile.acc[0][j] + 2 * h;
          const u32 at = line + j / 8 * kBox + h * 1024 + ((j % 8 ^ g) << 4), dy = pack(a.alpha * v[0], a.alpha * v[1]);
          const u32 gate = sharedWord(gates + at), up = sharedWord(ups + at);
          float p, q0, r, s;
          gatedGrad(lowHalf(dy), lowHalf(gate), lowHalf(up), p, q0);
          gatedGrad(highHalf(dy), highHalf(gate), highHalf(up), r, s);
          x[e] = pack(p, r), y[e] = pack(q0, s);
        }
        const int column = n0 + 32 * q + 8 * t;
        const bool in = row < a.m && column < a.f;
        storeEight(dx + row * 2 * a.f + column, x, in);
        storeEight(dx + row * 2 * a.f + a.f + column, y, in);
      }
    }
    tile.drop(gates), tile.drop(ups);
  }
}

}  // namespace

// f and k are multiples of 8, everything is 16-byte aligned in every run.
// launch: grid (blocks, 1, runs) block 288 shared 197632 (4 stages); blocks as in
// gemm_sm90.cu with RESIDENT 1 and ceil(m/128)·ceil(f/128) tiles
extern "C" __global__ void __launch_bounds__(288, 1) gemm_swiglu_sm90(GemmSwiGLUArgs a) {
  gemmSwiGLU<HopperTile<2, 1, 256, true, true, false>>(a, PARAMETER_MAPS(gemm_swiglu_sm90));
}
// launch: grid (blocks, 1, runs) block 288 shared 99328 (3 stages); the same with RESIDENT 2
extern "C" __global__ void __launch_bounds__(288, 2) gemm_swiglu_grad_sm90(GemmSwiGLUGradArgs a) {
  gemmSwiGLUGrad<HopperTile<2, 1, 128, true, false, false>>(a, PARAMETER_MAPS(gemm_swiglu_grad_sm90));
}
