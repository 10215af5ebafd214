// SwiGLU and its gradient. The kernels with suffix _any are for f that are not a
// multiple of 8.
#include "swiglu.h"

namespace {

template <int Vec>
DEVICE f32x8 get(const bf16* p) { return Vec == 8 ? load8(p) : f32x8(load1(p)); }
template <int Vec>
DEVICE void put(bf16* p, f32x8 x) {
  if (Vec == 8) store8(p, x);
  else store1(p, x[0]);
}

template <int Vec>
DEVICE void swiglu(const SwiGLUArgs& a) {
  int run = runOf(a.runs);
  u32 cols = a.f / Vec, i = blockIdx.x * 256 + threadIdx.x, row = i / cols, c = (i - row * cols) * Vec;
  if (row >= a.n) return;
  const bf16* x = at<bf16>(a.x, run) + i64(row) * 2 * a.f + c;
  f32x8 gate = get<Vec>(x), up = get<Vec>(x + a.f);
#pragma unroll
  for (int j = 0; j < 8; j++) gate[j] = gated(gate[j], up[j]);
  put<Vec>(at<bf16>(a.y, run) + i64(row) * a.f + c, gate);
}

template <int Vec>
DEVICE void swigluGrad(const SwiGLUGradArgs& a) {
  int run = runOf(a.runs);
  u32 cols = a.f / Vec, i = blockIdx.x * 256 + threadIdx.x, row = i / cols, c = (i - row * cols) * Vec;
  if (row >= a.n) return;
  const bf16* x = at<bf16>(a.x, run) + i64(row) * 2 * a.f + c;
  bf16* dx = at<bf16>(a.dx, run) + i64(row) * 2 * a.f + c;
  f32x8 dy = get<Vec>(at<bf16>(a.dy, run) + i64(row) * a.f + c), gate = get<Vec>(x), up = get<Vec>(x + a.f);
  f32x8 dgate, dup;
#pragma unroll
  for (int j = 0; j < 8; j++) {
    float g, u;
    gatedGrad(dy[j], gate[j], up[j], g, u);
    dgate[j] = g, dup[j] = u;
  }
  put<Vec>(dx, dgate);
  put<Vec>(dx + a.f, dup);
}

}  // namespace

// All, with vec = 8, or 1 in the kernels with _any:
// launch: grid (ceil(n*(f/vec)/256), 1, runs) block 256 shared 0
extern "C" __global__ void __launch_bounds__(256) swiglu(SwiGLUArgs a) { swiglu<8>(a); }
extern "C" __global__ void __launch_bounds__(256) swiglu_any(SwiGLUArgs a) { swiglu<1>(a); }
extern "C" __global__ void __launch_bounds__(256) swiglu_grad(SwiGLUGradArgs a) { swigluGrad<8>(a); }
extern "C" __global__ void __launch_bounds__(256) swiglu_grad_any(SwiGLUGradArgs a) { swigluGrad<1>(a); }
