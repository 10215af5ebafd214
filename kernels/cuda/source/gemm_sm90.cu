// gemm for sm_90a (Hopper): wgmma from shared memory that the bulk copy engine fills.
//
// Kernels: gemm_sm90_{nt,nn,tn}_{128x256,128x128,128x64,64x64}_{f,h}, named as those of
// gemm.cu. lda, ldb and the runs' strides are multiples of 8, A and B 16-byte aligned.
#include "hopper_tile.h"
#include "schedule.h"

template <class T, int Blocks, class C>
DEVICE void gemm(const GemmArgs& a, const TensorMap* maps) {
  const int run = runOf(a.runs);
  const int rows = ceilDiv(a.m, T::BM), columns = ceilDiv(a.n, T::BN);
  // Slices are in blocks of their own, whose results gemm_reduce adds up, or one after
  // another in a block, which adds them to C in the same order.
  constexpr bool kSlices = sizeof(C) == 4;
  const bool apart = kSlices && gridDim.y > 1;
  const int first = kSlices ? blockIdx.y : 0, last = !kSlices || apart ? first + 1 : a.slices;
  const auto each = [&](auto f) INLINE {
    for (int number = blockIdx.x; number < rows * columns; number += gridDim.x) {
      const TileIndex index = tileIndex(number, rows, columns);
      for (int slice = first; slice < last; slice++)
        f(index.row * T::BM, index.column * T::BN, slice, min(a.kSlice, a.k - slice * a.kSlice));
    }
  };
  T tile;
  tile.begin();
  tile.template run<Blocks>(
      [&]() INLINE {
        each([&](int m0, int n0, int slice, int count) INLINE {
          tile.feed(Box{maps, m0, slice * a.kSlice, run}, Box{maps + 1, n0, slice * a.kSlice, run}, count);
        });
      },
      [&]() INLINE {
        C* c = apart ? at<C>(a.work, run) + static_cast<i64>(first) * a.m * a.n : at<C>(a.c, run);
        const bool boxes = sizeof(C) == 2 && !a.add && (a.n % 8 | a.ldc % 8 | reinterpret_cast<u64>(c) % 16) == 0;
        each([&](int m0, int n0, int slice, int count) INLINE {
          tile.multiply(count);
          if (kSlices && slice > first) bulkDone();
          if (boxes) tile.storeBoxes(maps + 2, m0, n0, run, a.alpha);
          else tile.store(c, apart ? a.n : a.ldc, a.m, a.n, m0, n0, apart ? 1 : a.alpha, !apart && (a.add || slice > 0));
        });
      });
}

// launch: grid (blocks, slices or 1, runs), block 384 (128x256) or 256, shared memory for as
// many stages as wanted. blocks = min(tiles, max(1, what the card holds at once, divided
// among slices and runs)), where tiles = ceil(m/BM)·ceil(n/BN); each takes every blocks-th
// tile. With slices in blocks of their own gemm_reduce follows, as in gemm.cu.
#define GEMM(name, blocks, type, transA, transB, groups, mi, bn, boxes)                                          \
  extern "C" __global__ void __launch_bounds__(groups * 128 + 128, blocks) name(GemmMapArgs a) {                 \
    gemm<HopperTile<groups, mi, bn, !(transA), transB, sizeof(type) == 4 ? kLines : boxes>, blocks, type>(       \
        a.g, PARAMETER_MAPS(name));                                                                              \
  }
#define GEMM_TRANS(tile, blocks, ...)                                     \
  GEMM(gemm_sm90_nt_##tile##_f, blocks, float, false, true, __VA_ARGS__)  \
  GEMM(gemm_sm90_nt_##tile##_h, blocks, bf16, false, true, __VA_ARGS__)   \
  GEMM(gemm_sm90_nn_##tile##_f, blocks, float, false, false, __VA_ARGS__) \
  GEMM(gemm_sm90_nn_##tile##_h, blocks, bf16, false, false, __VA_ARGS__)  \
  GEMM(gemm_sm90_tn_##tile##_f, blocks, float, true, false, __VA_ARGS__)  \
  GEMM(gemm_sm90_tn_##tile##_h, blocks, bf16, true, false, __VA_ARGS__)
GEMM_TRANS(128x256, 1, 2, 1, 256, 4)
// With fewer boxes there is room for one more stage, which long inner axes need.
GEMM(gemm_sm90_nt_128x256_long_h, 1, bf16, false, true, 2, 1, 256, 2)
GEMM(gemm_sm90_nn_128x256_long_h, 1, bf16, false, false, 2, 1, 256, 2)
GEMM_TRANS(128x128, 2, 1, 2, 128, 2)
GEMM_TRANS(128x64, 2, 1, 2, 64, 2)
GEMM_TRANS(64x64, 2, 1, 1, 64, 1)
