// gemm for sm_90a (Hopper): wgmma from shared memory that the bulk copy engine fills.
//
// Kernels: gemm_sm90_{nt,nn,tn}_{128x256,128x128,128x64,64x64}_{f,h}, named as those of
// gemm.cu. lda, ldb and the runs' strides are multiples of 8, A and B 16-byte aligned.
#include "hopper_tile.h"
#include "schedule.h"

template <class T, class C>
DEVICE void gemm(const GemmArgs& a, const TensorMap* maps) {
  const int run = runOf(a.runs);
  const int rows = ceilDiv(a.m, T::BM), columns = ceilDiv(a.n, T::BN);
  const int k0 = blockIdx.y * a.kSlice, count = a.slices > 1 ? min(a.kSlice, a.k - k0) : a.k;
  const bool sliced = sizeof(C) == 4 && a.slices > 1, adds = !sliced && a.add;
  C* c = sliced ? at<C>(a.work, run) + static_cast<i64>(blockIdx.y) * a.m * a.n : at<C>(a.c, run);
  T tile;
  tile.begin();
  for (int number = blockIdx.x; number < rows * columns; number += gridDim.x) {
    const TileIndex index = tileIndex(number, rows, columns);
    const int m0 = index.row * T::BM, n0 = index.column * T::BN;
    if (tile.multiplies()) {
      tile.multiply(count);
      tile.store(c, sliced ? a.n : a.ldc, a.m, a.n, m0, n0, sliced ? 1 : a.alpha, adds);
    } else if (tile.feeds()) {
      tile.feed(Box{maps, m0, k0, run}, Box{maps + 1, n0, k0, run}, count);
    }
  }
  if (sizeof(C) == 4 && tile.multiplies()) bulkRead<0>();
}

// launch: grid (blocks, slices, runs), block and shared memory (the bytes say how many
// stages there are)
//   128x256: 288, 232448 (4 stages), RESIDENT 1
//   128x128: 160, 206848 (6 stages), RESIDENT 1
//   128x64:  160, 108544 (4 stages), RESIDENT 2
//   64x64:   160, 206848 (12 stages), RESIDENT 1, or 108544 (6 stages), RESIDENT 2
// blocks = min(tiles, max(1, SMs·RESIDENT/(slices·runs) rounded down)), where tiles =
// ceil(m/BM)·ceil(n/BN); each takes every blocks-th tile. slices and gemm_reduce as in
// gemm.cu.
//
// selection: as in gemm.cu, with tiles of all runs for its slices and
//   rounds = ceil(tiles/blocks)·ceil(blocks·slices·runs/(SMs·RESIDENT))
//   REDUCE = slices > 1 ? 0.4 + runs·m·n·(4·slices + 8)/0.9e6 : 0
//   128x256: STEP 0.72, END 2.1    128x128: STEP 0.42, END 3.0
//   128x64:  STEP 0.76, END 0.7    64x64:   STEP 0.22 or 0.40, END 0.9
#define GEMM(name, blocks, type, transA, transB, groups, mi, bn)                                      \
  extern "C" __global__ void __launch_bounds__(groups * 128 + 32, blocks) name(GemmMapArgs a) {       \
    gemm<HopperTile<groups, mi, bn, !(transA), transB, sizeof(type) == 4>, type>(a.g, PARAMETER_MAPS(name));             \
  }
#define GEMM_TRANS(tile, blocks, ...)                                     \
  GEMM(gemm_sm90_nt_##tile##_f, blocks, float, false, true, __VA_ARGS__)  \
  GEMM(gemm_sm90_nt_##tile##_h, blocks, bf16, false, true, __VA_ARGS__)   \
  GEMM(gemm_sm90_nn_##tile##_f, blocks, float, false, false, __VA_ARGS__) \
  GEMM(gemm_sm90_nn_##tile##_h, blocks, bf16, false, false, __VA_ARGS__)  \
  GEMM(gemm_sm90_tn_##tile##_f, blocks, float, true, false, __VA_ARGS__)  \
  GEMM(gemm_sm90_tn_##tile##_h, blocks, bf16, true, false, __VA_ARGS__)
GEMM_TRANS(128x256, 1, 2, 1, 256)
GEMM_TRANS(128x128, 2, 1, 2, 128)
GEMM_TRANS(128x64, 2, 1, 2, 64)
GEMM_TRANS(64x64, 2, 1, 1, 64)
