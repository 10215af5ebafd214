// What is done to all tensors of a run at once, in chunks of 4,096 elements: the norm of
// the gradient, AdamW, zeros.
#include "device.h"

namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32, kChunk = 4096;

// The block's chunk: elements start … start+n of a tensor.
struct Part {
  Tensor t;
  int tensor, n;
  i64 start;
  __device__ __forceinline__ Part(const Tensor* tensors, const Chunk* chunks) {
    const Chunk* c = chunks + blockIdx.x;
    tensor = ld(&c->tensor);
    start = ld(&c->start);
    const Tensor* from = tensors + tensor;
    t.p = ld(&from->p), t.g = ld(&from->g), t.m = ld(&from->m), t.v = ld(&from->v);
    t.p16 = ld(&from->p16), t.n = ld(&from->n);
    n = int(min(i64(kChunk), t.n - start));
  }
};

DEVICE double squares(f32x4 x) { return double(total(x * x)); }

}  // namespace

// grad_norm, then grad_norm_finish; count is the number of chunks, work float64 [count] a run.
// launch: grid (count, 1, runs) block 256 shared 0
extern "C" __global__ void __launch_bounds__(kThreads) grad_norm(GradNormArgs a) {
  __shared__ double sums[kWarps];
  int run = runOf(a.runs);
  Part part(a.tensors, a.chunks);
  const float* g = a.arena + run * a.stride + part.t.g + part.start;
  double s = 0;
  if (part.n == kChunk && aligned16(g)) {
    f32x4 x[4];
#pragma unroll
    for (int j = 0; j < 4; j++) x[j] = load4(g + (j * kThreads + threadIdx.x) * 4);
    s = squares(x[0]) + squares(x[1]) + (squares(x[2]) + squares(x[3]));
  } else {
    for (int i = threadIdx.x; i < part.n; i += kThreads) s += double(ld(g + i)) * ld(g + i);
  }
  s = blockSum<kWarps>(s, sums);
  if (threadIdx.x == 0) st(a.work + i64(run) * a.count + blockIdx.x, s);
}

// launch: grid (1, 1, runs) block 1024 shared 0
extern "C" __global__ void __launch_bounds__(1024) grad_norm_finish(GradNormArgs a) {
  __shared__ double sums[32];
  int run = runOf(a.runs);
  const double* work = a.work + i64(run) * a.count;
  double s = 0;
#pragma unroll 8
  for (int i = threadIdx.x; i < a.count; i += 1024) s += ld(work + i);
  s = blockSum<32>(s, sums);
  if (threadIdx.x != 0) return;
  double norm = __nvvm_sqrt_rn_d(s), most = ld(at<float>(a.maxNorm, run)), clip = 1;
  if (!(norm < __builtin_inf())) clip = __builtin_nan("");
  else if (most > 0 && norm > most) clip = most / norm;
  st(at<float>(a.norm, run), float(norm));
  st(at<float>(a.clip, run), float(clip));
}

namespace {

struct Adam {
  float rate, second, beta1, rest1, beta2, rest2, eps, decay, clip;
  __device__ __forceinline__ void update(float& p, float g, float& m, float& v) const {
    g *= clip;
    m = beta1 * m + rest1 * g;
    v = beta2 * v + rest2 * g * g;
    p -= rate * m / (second * sqrtExact(v) + eps) + decay * p;
  }
  __device__ __forceinline__ void update(f32x4& p, f32x4 g, f32x4& m, f32x4& v) const {
#pragma unroll
    for (int j = 0; j < 4; j++) {
      float pj = p[j], mj = m[j], vj = v[j];
      update(pj, g[j], mj, vj);
      p[j] = pj, m[j] = mj, v[j] = vj;
    }
  }
};

}  // namespace

// launch: grid (count, 1, runs) block 256 shared 0
extern "C" __global__ void __launch_bounds__(kThreads) adamw(AdamWArgs a) {
  constexpr int kBatch = 2;
  int run = runOf(a.runs);
  Part part(a.tensors, a.chunks);
  Adam adam;
  adam.clip = a.clip.p ? ld(at<float>(a.clip, run)) : 1.f;
  if (!finite(adam.clip)) return;
  const float* row = at<float>(a.table, run) + part.tensor * 8;
  adam.rate = ld(row), adam.second = ld(row + 1), adam.beta1 = ld(row + 2), adam.rest1 = ld(row + 3);
  adam.beta2 = ld(row + 4), adam.rest2 = ld(row + 5), adam.eps = ld(row + 6), adam.decay = ld(row + 7);
  float* base = a.arena + run * a.stride + part.start;
  float *p = base + part.t.p, *g = base + part.t.g, *m = base + part.t.m, *v = base + part.t.v;
  bf16* copy = nullptr;
  if (part.t.p16 >= 0) copy = static_cast<bf16*>(a.copies) + run * a.copyStride + part.t.p16 + part.start;
  bool aligned = aligned16(p) && aligned16(g) && aligned16(m) && aligned16(v) &&
                 (reinterpret_cast<u64>(copy) & 7) == 0;
  if (part.n != kChunk || !aligned) {
    for (int i = threadIdx.x; i < part.n; i += kThreads) {
      float pi = ld(p + i), mi = ld(m + i), vi = ld(v + i);
      adam.update(pi, ld(g + i), mi, vi);
      st(p + i, pi);
      st(m + i, mi);
      st(v + i, vi);
      if (copy) store1(copy + i, pi);
    }
    return;
  }
  for (int from = threadIdx.x * 4; from < kChunk; from += kBatch * kThreads * 4) {
    f32x4 ps[kBatch], gs[kBatch], ms[kBatch], vs[kBatch];
#pragma unroll
    for (int j = 0; j < kBatch; j++) {
      int i = from + j * kThreads * 4;
      ps[j] = load4(p + i), gs[j] = load4(g + i), ms[j] = load4(m + i), vs[j] = load4(v + i);
    }
#pragma unroll
    for (int j = 0; j < kBatch; j++) {
      int i = from + j * kThreads * 4;
      adam.update(ps[j], gs[j], ms[j], vs[j]);
      store4(p + i, ps[j]);
      store4(m + i, ms[j]);
      store4(v + i, vs[j]);
      if (copy) store4(copy + i, ps[j]);
    }
  }
}

// launch: grid (count, 1, runs) block 256 shared 0
extern "C" __global__ void __launch_bounds__(kThreads) zero(ZeroArgs a) {
  Part part(a.tensors, a.chunks);
  float* p = a.arena + runOf(a.runs) * a.stride + part.t.p + part.start;
  if (part.n == kChunk && aligned16(p)) {
#pragma unroll
    for (int j = 0; j < 4; j++) store4(p + (j * kThreads + threadIdx.x) * 4, f32x4(0));
    return;
  }
  for (int i = threadIdx.x; i < part.n; i += kThreads) st(p + i, 0.f);
}
