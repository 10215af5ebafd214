// RMSNorm with its residual, and the gradient. A row lies in the registers of 8 to 64
// lanes; the suffix of a kernel is the most columns that it takes, in multiples of 4.
#include "mma.h"

namespace {

constexpr int kThreads = 128, kGradThreads = 256;

template <int Lanes, int Vecs, class R>
DEVICE void rmsnorm(const RMSNormArgs& a) {
  int run = runOf(a.runs), l = threadIdx.x % Lanes, d = a.d;
  int row = (blockIdx.x * kThreads + threadIdx.x) / Lanes;
  bool live = row < a.n;
  i64 from = i64(live ? row : a.n - 1) * d;
  const float *x = at<float>(a.x, run) + from, *gain = at<float>(a.gain, run);
  const R* residual = at<R>(a.residual, run);
  f32x4 h[Vecs], g[Vecs];
#pragma unroll
  for (int v = 0; v < Vecs; v++) {
    int c = (v * Lanes + l) * 4;
    h[v] = load4(x, c, c < d);
    g[v] = load4(gain, c, c < d);
  }
  if (residual) {
    f32x4 add[Vecs];
#pragma unroll
    for (int v = 0; v < Vecs; v++) {
      int c = (v * Lanes + l) * 4;
      add[v] = load4(residual + from, c, c < d);
    }
    float* sum = at<float>(a.sum, run) + from;
#pragma unroll
    for (int v = 0; v < Vecs; v++) {
      int c = (v * Lanes + l) * 4;
      h[v] += a.residualScale * add[v];
      if (live && c < d) store4(sum + c, h[v]);
    }
  }
  float s = 0;
#pragma unroll
  for (int v = 0; v < Vecs; v++) s += total(h[v] * h[v]);
  float r = rsqrt(warpSum<Lanes>(s) / d + a.eps);
  if (!live) return;
  if (l == 0) st(at<float>(a.rstd, run) + row, r);
  bf16* y = at<bf16>(a.y, run) + from;
#pragma unroll
  for (int v = 0; v < Vecs; v++) {
    int c = (v * Lanes + l) * 4;
    if (c < d) store4(y + c, h[v] * r * g[v]);
  }
}

// Rows of any size, a block each.
template <class R>
DEVICE void rmsnormAny(const RMSNormArgs& a) {
  __shared__ float shared[kGradThreads / 32];
  int run = runOf(a.runs), row = blockIdx.x, d = a.d;
  i64 from = i64(row) * d;
  const float *x = at<float>(a.x, run) + from, *gain = at<float>(a.gain, run);
  const R* residual = at<R>(a.residual, run);
  float *sum = at<float>(a.sum, run), s = 0;
  for (int c = threadIdx.x; c < d; c += kGradThreads) {
    float h = load1(x + c);
    if (residual) {
      h += a.residualScale * load1(residual + from + c);
      store1(sum + from + c, h);
    }
    s += h * h;
  }
  float r = rsqrt(blockSum<kGradThreads / 32>(s, shared) / d + a.eps);
  if (threadIdx.x == 0) st(at<float>(a.rstd, run) + row, r);
  if (residual) x = sum + from;
  bf16* y = at<bf16>(a.y, run) + from;
  for (int c = threadIdx.x; c < d; c += kGradThreads) store1(y + c, load1(x + c) * r * load1(gain + c));
}

// The sum over the lanes of a row, 64 of which are two warps. These take turns with two
// parts of shared memory, one barrier a turn.
template <int Lanes>
DEVICE float rowSum(float x, float (&shared)[kGradThreads / 32]) {
  if (Lanes <= 32) return warpSum<Lanes <= 32 ? Lanes : 32>(x);
  x = warpSum(x);
  if (lane() == 0) shared[warp()] = x;
  sync();
  return shared[warp() & ~1] + shared[warp() | 1];
}

extern __shared__ __attribute__((aligned(16))) unsigned char gradRows[];

// copyRow starts a copy of four elements, or of zeros.
DEVICE void copyRow(f32x4* to, const float* from, bool valid) { copyAsync16(sharedAddress(to), from, valid); }
DEVICE void copyRow(u32x2* to, const bf16* from, bool valid) { copyAsync8(sharedAddress(to), from, valid); }
DEVICE f32x4 unpackRow(f32x4 x) { return x; }
DEVICE f32x4 unpackRow(u32x2 x) { return unpack4(x); }
template <class T>
struct RowVector { typedef f32x4 type; };
template <>
struct RowVector<bf16> { typedef u32x2 type; };

// GradStage is what a block reads of its rows at once: each thread copies what it needs
// itself, while it works on the stage before.
template <int Vecs, class T>
struct GradStage {
  f32x4 x[Vecs][kGradThreads];
  u32x2 dx[Vecs][kGradThreads];
  typename RowVector<T>::type dy[Vecs][kGradThreads];
};

// The gradient. A block goes through rows a grid apart and keeps its part of the gain's
// gradient in registers. Shared memory: two stages.
template <int Lanes, int Vecs, class T>
DEVICE void rmsnormGrad(const RMSNormGradArgs& a) {
  constexpr int kRows = kGradThreads / Lanes, kWidth = Lanes * Vecs * 4;
  __shared__ float parts[kRows][kWidth], dots[2][kGradThreads / 32];
  auto stages = reinterpret_cast<GradStage<Vecs, T>*>(gradRows);
  int run = runOf(a.runs), me = threadIdx.x, l = me % Lanes, group = me / Lanes, d = a.d;
  const float *gain = at<float>(a.gain, run), *rstd = at<float>(a.rstd, run), *x = at<float>(a.x, run);
  const T* dy = at<T>(a.dy, run);
  float* dx = at<float>(a.dx, run);
  bf16* dx16 = at<bf16>(a.dx16, run);
  f32x4 dg[Vecs];
#pragma unroll
  for (int v = 0; v < Vecs; v++) dg[v] = 0;
  float next = 0;  // rstd of the next row
  const auto copy = [&](int base, int odd) INLINE {
    if (base < a.n) {
      int row = base + group;
      bool live = row < a.n;
      if (!live) row = a.n - 1;
      i64 from = i64(row) * d;
      next = ld(rstd + row);
#pragma unroll
      for (int v = 0; v < Vecs; v++) {
        int c = (v * Lanes + l) * 4;
        bool in = live && c < d;
        i64 place = from + (in ? c : 0);
        copyRow(&stages[odd].x[v][me], x + place, in);
        copyRow(&stages[odd].dy[v][me], dy + place, in);
        if (a.add && !dx) copyRow(&stages[odd].dx[v][me], dx16 + place, in);
      }
    }
    copyAsyncCommit();
  };
  copy(blockIdx.x * kRows, 0);
  int odd = 0;
  for (int base = blockIdx.x * kRows; base < a.n; base += a.blocks * kRows, odd ^= 1) {
    int row = base + group;
    bool live = row < a.n;
    i64 from = i64(live ? row : a.n - 1) * d;
    float r = live ? next : 0, dot = 0;
    copy(base + a.blocks * kRows, odd ^ 1);
    copyAsyncWait<1>();
    f32x4 h[Vecs], t[Vecs], old[Vecs];
#pragma unroll
    for (int v = 0; v < Vecs; v++) {
      int c = (v * Lanes + l) * 4;
      h[v] = stages[odd].x[v][me];
      t[v] = unpackRow(stages[odd].dy[v][me]);
      old[v] = 0;
      if (a.add) old[v] = dx ? load4(dx + from, c, live && c < d) : unpack4(stages[odd].dx[v][me]);
    }
#pragma unroll
    for (int v = 0; v < Vecs; v++) {
      int c = (v * Lanes + l) * 4;
      dg[v] += t[v] * h[v] * r;
      t[v] *= load4(gain, c, c < d);
      dot += total(t[v] * h[v]);
    }
    float b = r * r * r * (rowSum<Lanes>(dot, dots[odd]) / d);
#pragma unroll
    for (int v = 0; v < Vecs; v++) {
      int c = (v * Lanes + l) * 4;
      f32x4 out = old[v] + (t[v] * r - h[v] * b);
      if (!live || c >= d) continue;
      if (dx) store4(dx + from + c, out);
      if (dx16) store4(dx16 + from + c, out);
    }
  }
#pragma unroll
  for (int v = 0; v < Vecs; v++) *reinterpret_cast<f32x4*>(&parts[group][(v * Lanes + l) * 4]) = dg[v];
  sync();
  float* work = at<float>(a.work, run) + i64(blockIdx.x) * d;
  for (int c = threadIdx.x; c < d; c += kGradThreads) {
    float s = 0;
#pragma unroll
    for (int w = 0; w < kRows; w++) s += parts[w][c];
    st(work + c, s);
  }
}

// Rows of any size, one after another in a block; a thread adds to its own columns of
// work.
template <class T>
DEVICE void rmsnormGradAny(const RMSNormGradArgs& a) {
  __shared__ float shared[kGradThreads / 32];
  int run = runOf(a.runs), d = a.d;
  const float* gain = at<float>(a.gain, run);
  float* work = at<float>(a.work, run) + i64(blockIdx.x) * d;
  for (int c = threadIdx.x; c < d; c += kGradThreads) st(work + c, 0.f);
  for (int row = blockIdx.x; row < a.n; row += a.blocks) {
    i64 from = i64(row) * d;
    const float* x = at<float>(a.x, run) + from;
    const T* dy = at<T>(a.dy, run) + from;
    float* dx = at<float>(a.dx, run);
    bf16* dx16 = at<bf16>(a.dx16, run);
    float r = ld(at<float>(a.rstd, run) + row), dot = 0;
    for (int c = threadIdx.x; c < d; c += kGradThreads) {
      float p = load1(dy + c) * load1(x + c);
      dot += p * load1(gain + c);
      st(work + c, ld(work + c) + p * r);
    }
    float b = r * r * r * (blockSum<kGradThreads / 32>(dot, shared) / d);
    for (int c = threadIdx.x; c < d; c += kGradThreads) {
      float out = load1(dy + c) * load1(gain + c) * r - load1(x + c) * b;
      if (a.add) out += dx ? load1(dx + from + c) : load1(dx16 + from + c);
      if (dx) store1(dx + from + c, out);
      if (dx16) store1(dx16 + from + c, out);
    }
    sync();
  }
}

}  // namespace

// The suffixes: the residual's or dy's type, then the width. The gradient has other lanes
// and vectors than the forward, and so many blocks at once on a multiprocessor.
#define NORM(type, T, width, lanes, vecs, gradLanes, gradVecs, blocks)                                  \
  extern "C" __global__ void __launch_bounds__(kThreads) rmsnorm_##type##_##width(RMSNormArgs a) {      \
    rmsnorm<lanes, vecs, T>(a);                                                                         \
  }                                                                                                     \
  extern "C" __global__ void __launch_bounds__(kGradThreads, blocks)                                    \
      rmsnorm_grad_##type##_##width(RMSNormGradArgs a) {                                                \
    rmsnormGrad<gradLanes, gradVecs, T>(a);                                                             \
  }
#define NORMS(type, T)                                                                                  \
  NORM(type, T, 64, 8, 2, 8, 2, 3)                                                                      \
  NORM(type, T, 128, 16, 2, 16, 2, 3)                                                                   \
  NORM(type, T, 256, 32, 2, 32, 2, 3)                                                                   \
  NORM(type, T, 512, 32, 4, 64, 2, 3)                                                                   \
  NORM(type, T, 768, 32, 6, 64, 3, 2)                                                                   \
  NORM(type, T, 1024, 32, 8, 64, 4, 2)                                                                  \
  extern "C" __global__ void __launch_bounds__(kGradThreads) rmsnorm_##type##_any(RMSNormArgs a) {      \
    rmsnormAny<T>(a);                                                                                   \
  }                                                                                                     \
  extern "C" __global__ void __launch_bounds__(kGradThreads)                                            \
      rmsnorm_grad_##type##_any(RMSNormGradArgs a) {                                                    \
    rmsnormGradAny<T>(a);                                                                               \
  }

// rmsnorm_{f,h}_64:
// launch: grid (ceil(n/16), 1, runs) block 128 shared 0
// rmsnorm_{f,h}_128:
// launch: grid (ceil(n/8), 1, runs) block 128 shared 0
// rmsnorm_{f,h}_{256,512,768,1024}:
// launch: grid (ceil(n/4), 1, runs) block 128 shared 0
// rmsnorm_{f,h}_any, for other d:
// launch: grid (n, 1, runs) block 256 shared 0
// rmsnorm_grad_{f,h}_{64,…,1024,any}:
// launch: grid (blocks, 1, runs) block 256 shared two of GradStage, 0 for any
NORMS(f, float)
NORMS(h, bf16)

// launch: grid (ceil(d/32), 1, runs) block 1024 shared 0
extern "C" __global__ void __launch_bounds__(1024) rmsnorm_grad_gain(RMSNormGradArgs a) {
  int run = runOf(a.runs);
  addColumns(at<float>(a.dgain, run), at<float>(a.work, run), a.blocks, a.d, a.d);
}
