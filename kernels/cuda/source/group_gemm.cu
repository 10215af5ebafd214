// group_gemm, group_gemm_grad: the products of a mixture of experts, whose rows are
// sorted by expert, on tensor cores for sm_80 and later.
//
// Kernels: group_gemm_{nt,nn}_{128x128,64x64,any}_{f,h}, nt with transW, f or h the type
// of C, and group_gemm_grad_{128x128,64x64,any}. The sized kernels need n and k to be
// multiples of 8 and all operands 16-byte aligned in every run; "any" does not.
#include "schedule.h"
#include "tile.h"

template <class T, class C, bool TransW>
DEVICE void groupGemm(const GroupGemmArgs& a) {
  const int run = runOf(a.runs), columns = ceilDiv(a.n, T::BN), number = blockIdx.x / columns;
  const int* offsets = at<const int>(a.offsets, run);
  const int e = findExpert<T::BM>(offsets, a.experts, number);
  const int first = ld(offsets + e), end = ld(offsets + e + 1);
  const int m0 = (number - first / T::BM - e) * T::BM, n0 = blockIdx.x % columns * T::BN;
  if (m0 >= end - first) return;
  const bf16* x = at<const bf16>(a.a, run) + static_cast<i64>(first) * a.k;
  const bf16* w = at<const bf16>(a.w, run) + static_cast<i64>(e) * a.n * a.k;
  C* c = at<C>(a.c, run) + static_cast<i64>(first) * a.n;
  T tile;
  tile.multiply(Operand{x, a.k, end - first, a.k}, Operand{w, TransW ? a.k : a.n, a.n, a.k}, m0, n0, 0, a.k);
  tile.store(c, a.n, end - first, a.n, m0, n0, a.alpha, a.add);
}

// launch: grid ((rows/BM + experts)·ceil(n/BN), 1, runs) block 128, shared as gemm of the
// same tile
// selection: 128x128 where n > 64 and rows/experts >= 128, else 64x64
#define GROUP_GEMM(name, bm, bn, wm, wn, stages, blocks, transW, vector, type)         \
  extern "C" __global__ void __launch_bounds__(128, blocks) name(GroupGemmArgs a) {   \
    groupGemm<Tile<bm, bn, wm, wn, stages, true, transW, vector>, type, transW>(a);   \
  }
#define GROUP_GEMM_ALL(tile, vector, ...)                              \
  GROUP_GEMM(group_gemm_nt_##tile##_f, __VA_ARGS__, true, vector, float)  \
  GROUP_GEMM(group_gemm_nt_##tile##_h, __VA_ARGS__, true, vector, bf16)   \
  GROUP_GEMM(group_gemm_nn_##tile##_f, __VA_ARGS__, false, vector, float) \
  GROUP_GEMM(group_gemm_nn_##tile##_h, __VA_ARGS__, false, vector, bf16)
GROUP_GEMM_ALL(128x128, true, 128, 128, 64, 64, 3, 2)
GROUP_GEMM_ALL(64x64, true, 64, 64, 32, 32, 3, 4)
GROUP_GEMM_ALL(any, false, 64, 64, 32, 32, 2, 3)

// One block takes a tile of an expert's weights through all of its rows.
template <class T>
DEVICE void groupGemmGrad(const GroupGemmGradArgs& a) {
  const int run = runOf(a.runs), e = blockIdx.y, columns = ceilDiv(a.k, T::BN);
  const int m0 = blockIdx.x / columns * T::BM, n0 = blockIdx.x % columns * T::BN;
  const int* offsets = at<const int>(a.offsets, run);
  const int first = ld(offsets + e), rows = ld(offsets + e + 1) - first;
  const bf16* dy = at<const bf16>(a.dy, run) + static_cast<i64>(first) * a.n;
  const bf16* x = at<const bf16>(a.x, run) + static_cast<i64>(first) * a.k;
  float* dw = at<float>(a.dw, run) + static_cast<i64>(e) * a.n * a.k;
  T tile;
  tile.multiply(Operand{dy, a.n, a.n, rows}, Operand{x, a.k, a.k, rows}, m0, n0, 0, rows);
  tile.store(dw, a.k, a.n, a.k, m0, n0, a.alpha, a.add);
}

// launch: grid (ceil(n/BM)·ceil(k/BN), experts, runs) block 128, shared as gemm of the
// same tile
// selection: 128x128 where ceil(n/128)·ceil(k/128)·experts·runs >= 2·SMs and rows/experts
// >= 512, else 64x64
#define GROUP_GEMM_GRAD(name, bm, bn, wm, wn, stages, blocks, vector)                     \
  extern "C" __global__ void __launch_bounds__(128, blocks) name(GroupGemmGradArgs a) {   \
    groupGemmGrad<Tile<bm, bn, wm, wn, stages, false, false, vector>>(a);                 \
  }
GROUP_GEMM_GRAD(group_gemm_grad_128x128, 128, 128, 64, 64, 3, 2, true)
GROUP_GEMM_GRAD(group_gemm_grad_64x64, 64, 64, 32, 32, 3, 4, true)
GROUP_GEMM_GRAD(group_gemm_grad_any, 64, 64, 32, 32, 2, 3, false)
