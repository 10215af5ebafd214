// group_gemm, group_gemm_grad for sm_90a (Hopper): wgmma from shared memory that the bulk
// copy engine fills.
//
// Kernels: group_gemm_sm90_{nt,nn}_{128x256,128x128,64x128}_{f,h} and
// group_gemm_grad_sm90_{128x256,128x128,64x128}, named as those of group_gemm.cu. n and k
// are multiples of 8 (with nn, k of 64), all operands 16-byte aligned in every run.
#include "hopper_tile.h"
#include "schedule.h"

template <class T, int Blocks, class C, bool TransW>
DEVICE void groupGemm(const GroupGemmArgs& a, const TensorMap* maps) {
  const int run = runOf(a.runs), columns = ceilDiv(a.n, T::BN);
  const int* offsets = at<const int>(a.offsets, run);
  const auto each = [&](auto f) INLINE {
    for (int i = blockIdx.x; i < (a.rows / T::BM + a.experts) * columns; i += gridDim.x) {
      const int number = i / columns, e = findExpert<T::BM>(offsets, a.experts, number);
      const int first = ld(offsets + e), rows = ld(offsets + e + 1) - first;
      const int m0 = (number - first / T::BM - e) * T::BM;
      if (m0 < rows) f(e, first, rows, m0, i % columns * T::BN);
    }
  };
  T tile;
  tile.begin();
  tile.template run<Blocks>(
      [&]() INLINE {
        each([&](int e, int first, int, int m0, int n0) INLINE {
          const Box w = TransW ? Box{maps + 1, e * a.n + n0, 0, run} : Box{maps + 1, n0, e * a.k, run};
          tile.feed(Box{maps, first + m0, 0, run}, w, a.k);
        });
      },
      [&]() INLINE {
        each([&](int, int first, int rows, int m0, int n0) INLINE {
          tile.multiply(a.k);
          tile.store(at<C>(a.c, run) + static_cast<i64>(first) * a.n, a.n, rows, a.n, m0, n0, a.alpha, a.add);
        });
      });
}

// launch: grid (blocks, 1, runs), block and shared memory
//   128x256: 384, 232448 (4 stages), RESIDENT 1
//   128x128: 256, 108544 (3 stages), RESIDENT 2
//   64x128:  256, 108544 (4 stages), RESIDENT 2
// blocks = min((rows/BM + experts)·ceil(n/BN), max(1, SMs·RESIDENT/runs rounded down))
// selection: the least ceil(number/(SMs·RESIDENT))·(k/64·STEP + END), where number =
// (ceil(rows/(BM·experts))·experts)·ceil(n/BN)·runs
//   128x256: STEP 0.72, END 3    128x128: STEP 0.84, END 4    64x128: STEP 0.6, END 2
#define GROUP_GEMM(name, type, transW, blocks, groups, mi, bn)                                                \
  extern "C" __global__ void __launch_bounds__(groups * 128 + 128, blocks) name(GroupGemmMapArgs a) {         \
    groupGemm<HopperTile<groups, mi, bn, true, transW, sizeof(type) == 4 ? kLines : 0>, blocks, type, transW>( \
        a.g, PARAMETER_MAPS(name));                                                                           \
  }
#define GROUP_GEMM_ALL(tile, ...)                                         \
  GROUP_GEMM(group_gemm_sm90_nt_##tile##_f, float, true, __VA_ARGS__)   \
  GROUP_GEMM(group_gemm_sm90_nt_##tile##_h, bf16, true, __VA_ARGS__)    \
  GROUP_GEMM(group_gemm_sm90_nn_##tile##_f, float, false, __VA_ARGS__)  \
  GROUP_GEMM(group_gemm_sm90_nn_##tile##_h, bf16, false, __VA_ARGS__)
GROUP_GEMM_ALL(128x256, 1, 2, 1, 256)
GROUP_GEMM_ALL(128x128, 2, 1, 2, 128)
GROUP_GEMM_ALL(64x128, 2, 1, 1, 128)

// One block takes a tile of an expert's weights through all of its rows.
template <class T, int Blocks>
DEVICE void groupGemmGrad(const GroupGemmGradArgs& a, const TensorMap* maps) {
  const int run = runOf(a.runs), columns = ceilDiv(a.k, T::BN), tiles = ceilDiv(a.n, T::BM) * columns;
  const int* offsets = at<const int>(a.offsets, run);
  const auto each = [&](auto f) INLINE {
    for (int i = blockIdx.x; i < a.experts * tiles; i += gridDim.x) {
      const int e = i / tiles, first = ld(offsets + e);
      f(e, first, ld(offsets + e + 1) - first, i % tiles / columns * T::BM, i % columns * T::BN);
    }
  };
  T tile;
  tile.begin();
  tile.template run<Blocks>(
      [&]() INLINE {
        each([&](int, int first, int rows, int m0, int n0) INLINE {
          tile.feed(Box{maps, m0, first, run}, Box{maps + 1, n0, first, run}, rows);
        });
      },
      [&]() INLINE {
        each([&](int e, int, int rows, int m0, int n0) INLINE {
          tile.multiply(rows);
          tile.store(at<float>(a.dw, run) + static_cast<i64>(e) * a.n * a.k, a.k, a.n, a.k, m0, n0, a.alpha, a.add);
        });
      });
}

// launch: as group_gemm of the same tile, with ceil(n/BM)·ceil(k/BN)·experts in place of
// the number of tiles
// selection: the same with that number times runs, and rows/experts in place of k
#define GROUP_GEMM_GRAD(name, blocks, groups, mi, bn)                                                       \
  extern "C" __global__ void __launch_bounds__(groups * 128 + 128, blocks) name(GroupGemmGradMapArgs a) {   \
    groupGemmGrad<HopperTile<groups, mi, bn, false, false, kLines, true>, blocks>(a.g, PARAMETER_MAPS(name)); \
  }
GROUP_GEMM_GRAD(group_gemm_grad_sm90_128x256, 1, 2, 1, 256)
GROUP_GEMM_GRAD(group_gemm_grad_sm90_128x128, 2, 1, 2, 128)
GROUP_GEMM_GRAD(group_gemm_grad_sm90_64x128, 2, 1, 1, 128)
