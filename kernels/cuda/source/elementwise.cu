// Element by element: fill, copy, blend, cast; and the sums over a whole buffer.
#include "device.h"

namespace {

constexpr int kThreads = 256, kSpan = 2048;  // elements of a block
constexpr int kChunk = 4096;                 // of the optimizer's tensors

// each calls eight(i) for every eighth element of the block's part of n, or one(i) for
// every element where vectors do not fit.
template <class Eight, class One>
DEVICE void each(i64 n, bool vectors, Eight eight, One one) {
  i64 begin = i64(blockIdx.x) * kSpan, end = min(begin + kSpan, n);
  if (vectors && begin + kSpan == end) {
    eight(begin + threadIdx.x * 8);
    return;
  }
  for (i64 i = begin + threadIdx.x; i < end; i += kThreads) one(i);
}

// Four at i and four at half a block on, so that lanes next to each other access
// neighbours.
template <class Four, class One>
DEVICE void eachFour(i64 n, bool vectors, Four four, One one) {
  each(n, vectors, [&](i64 i) {
    i64 begin = i - threadIdx.x * 8 + threadIdx.x * 4;
    four(begin, begin + kSpan / 2);
  }, one);
}

DEVICE f32x4 blend(f32x4 a, f32x4 b, float alpha, float beta) { return alpha * a + beta * b; }

}  // namespace

// All but sum and stats:
// launch: grid (ceil(n/2048), 1, runs) block 256 shared 0
extern "C" __global__ void __launch_bounds__(kThreads) fill(FillArgs a) {
  u32* y = at<u32>(a.y, runOf(a.runs));
  u32 value = a.value;
  eachFour(a.n, aligned16(y), [&](i64 i, i64 j) {
    st(reinterpret_cast<u32x4*>(y + i), u32x4(value));
    st(reinterpret_cast<u32x4*>(y + j), u32x4(value));
  }, [&](i64 i) { st(y + i, value); });
}

extern "C" __global__ void __launch_bounds__(kThreads) copy(CopyArgs a) {
  int run = runOf(a.runs);
  u32* y = at<u32>(a.y, run);
  const u32* x = at<u32>(a.x, run);
  eachFour(a.n, aligned16(y) && aligned16(x), [&](i64 i, i64 j) {
    u32x4 s = ld(reinterpret_cast<const u32x4*>(x + i)), t = ld(reinterpret_cast<const u32x4*>(x + j));
    st(reinterpret_cast<u32x4*>(y + i), s);
    st(reinterpret_cast<u32x4*>(y + j), t);
  }, [&](i64 i) { st(y + i, ld(x + i)); });
}

// launch: grid (chunks, 1, runs) block 256 shared 0
extern "C" __global__ void __launch_bounds__(kThreads) copy_each(CopyEachArgs a) {
  const Chunk* c = a.chunks + blockIdx.x;
  const Tensor* t = a.tensors + ld(&c->tensor);
  float* run = a.arena + runOf(a.runs) * a.stride;
  i64 start = ld(&c->start), n = min(i64(kChunk), ld(&t->n) - start);
  u32* y = reinterpret_cast<u32*>(run + ld(&t->p) + start);
  const u32* x = reinterpret_cast<const u32*>(run + ld(&t->g) + start);
  i64 vectors = aligned16(y) && aligned16(x) ? n / 4 : 0;
  for (i64 i = threadIdx.x; i < vectors; i += kThreads) st(reinterpret_cast<u32x4*>(y) + i, ld(reinterpret_cast<const u32x4*>(x) + i));
  for (i64 i = vectors * 4 + threadIdx.x; i < n; i += kThreads) st(y + i, ld(x + i));
}

extern "C" __global__ void __launch_bounds__(kThreads) blend(BlendArgs a) {
  int run = runOf(a.runs);
  float* y = at<float>(a.y, run);
  const float *p = at<float>(a.a, run), *q = at<float>(a.b, run);
  bool aligned = aligned16(y) && aligned16(p) && aligned16(q);
  if (!q) {
    eachFour(a.n, aligned, [&](i64 i, i64 j) {
      f32x4 s = load4(p + i), t = load4(p + j);
      store4(y + i, a.alpha * s);
      store4(y + j, a.alpha * t);
    }, [&](i64 i) { st(y + i, a.alpha * ld(p + i)); });
    return;
  }
  eachFour(a.n, aligned, [&](i64 i, i64 j) {
    f32x4 s = load4(p + i), t = load4(p + j), u = load4(q + i), v = load4(q + j);
    store4(y + i, blend(s, u, a.alpha, a.beta));
    store4(y + j, blend(t, v, a.alpha, a.beta));
  }, [&](i64 i) { st(y + i, a.alpha * ld(p + i) + a.beta * ld(q + i)); });
}

extern "C" __global__ void __launch_bounds__(kThreads) cast(CopyArgs a) {
  int run = runOf(a.runs);
  bf16* y = at<bf16>(a.y, run);
  const float* x = at<float>(a.x, run);
  each(a.n, aligned16(y) && aligned16(x), [&](i64 i) { store8(y + i, load8(x + i)); },
       [&](i64 i) { store1(y + i, load1(x + i)); });
}

// launch: grid (1, 1, runs) block 1024 shared 0
extern "C" __global__ void __launch_bounds__(1024) sum(SumArgs a) {
  __shared__ double sums[32];
  int run = runOf(a.runs);
  const float* x = at<float>(a.x, run);
  double s = 0;
  i64 vectors = aligned16(x) ? a.n / 4 : 0;
#pragma unroll 4
  for (i64 i = threadIdx.x; i < vectors; i += 1024) {
    f32x4 v = load4(x + i * 4);
    s += double(v.x) + double(v.y) + (double(v.z) + double(v.w));
  }
  for (i64 i = vectors * 4 + threadIdx.x; i < a.n; i += 1024) s += ld(x + i);
  s = blockSum<32>(s, sums) * a.scale;
  if (threadIdx.x != 0) return;
  float* y = at<float>(a.y, run);
  st(y, float(a.add ? s + ld(y) : s));
}

namespace {

// Sums of the squares and the magnitudes in float64, and the largest magnitude.
struct Magnitudes {
  double squares = 0, sum = 0;
  float top = 0;
  __device__ __forceinline__ void add(float x) {
    squares += double(x) * x;
    sum += absolute(x);
    top = max(top, absolute(x));
  }
  __device__ __forceinline__ void add(f32x8 x) {
    f32x8 m;
#pragma unroll
    for (int j = 0; j < 8; j++) m[j] = absolute(x[j]), top = max(top, m[j]);
    squares += total(x * x);
    sum += total(m);
  }
  // What thread of threads has of x[0…n).
  template <class T>
  __device__ __forceinline__ void read(const T* x, i64 n, i64 thread, i64 threads) {
    i64 vectors = aligned16(x) ? n / 8 : 0;
#pragma unroll 4
    for (i64 i = thread; i < vectors; i += threads) add(load8(x + i * 8));
    for (i64 i = vectors * 8 + thread; i < n; i += threads) add(load1(x + i));
  }
  // What lane of 32 has of blocks' sums.
  __device__ __forceinline__ void gather(const double* work, int blocks) {
#pragma unroll 4
    for (int b = lane(); b < blocks; b += 32) {
      squares += ld(work + b * 3);
      sum += ld(work + b * 3 + 1);
      top = max(top, float(ld(work + b * 3 + 2)));
    }
  }
  __device__ __forceinline__ void write(double* work) const {
    st(work, squares);
    st(work + 1, sum);
    st(work + 2, double(top));
  }
  __device__ __forceinline__ void finish(float* out, i64 n) const {
    st(out, float(__nvvm_sqrt_rn_d(squares / n)));
    st(out + 1, float(sum / n));
    st(out + 2, squares == squares ? top : __builtin_nanf(""));  // max passes over NaN
  }
  template <int Warps>
  __device__ __forceinline__ void reduce() {
    __shared__ double squaresOf[Warps], sumsOf[Warps];
    __shared__ float topsOf[Warps];
    squares = blockSum<Warps>(squares, squaresOf);
    sum = blockSum<Warps>(sum, sumsOf);
    top = blockMax<Warps>(top, topsOf);
  }
};

template <class T>
DEVICE void stats(const StatsArgs& a) {
  int run = runOf(a.runs);
  Magnitudes m;
  m.read(at<T>(a.x, run), a.n, i64(blockIdx.x) * kThreads + threadIdx.x, i64(a.blocks) * kThreads);
  m.reduce<kThreads / 32>();
  if (threadIdx.x == 0) m.write(at<double>(a.work, run) + blockIdx.x * 3);
}

}  // namespace

// stats_{f,h}, then stats_finish; blocks = min(ceil(n/4096), 528).
// launch: grid (blocks, 1, runs) block 256 shared 0
extern "C" __global__ void __launch_bounds__(kThreads) stats_f(StatsArgs a) { stats<float>(a); }
extern "C" __global__ void __launch_bounds__(kThreads) stats_h(StatsArgs a) { stats<bf16>(a); }
// launch: grid (1, 1, runs) block 32 shared 0
extern "C" __global__ void __launch_bounds__(32) stats_finish(StatsArgs a) {
  int run = runOf(a.runs);
  Magnitudes m;
  m.gather(at<double>(a.work, run), a.blocks);
  m.reduce<1>();
  if (lane() == 0) m.finish(at<float>(a.out, run), a.n);
}

// stats_each, then stats_each_finish, of chunks of 4,096 elements.
// launch: grid (chunks, 1, runs) block 256 shared 0
extern "C" __global__ void __launch_bounds__(kThreads) stats_each(StatsEachArgs a) {
  int run = runOf(a.runs);
  const Chunk* c = a.chunks + blockIdx.x;
  const Tensor* t = a.tensors + ld(&c->tensor);
  i64 start = ld(&c->start);
  Magnitudes m;
  m.read(a.arena + run * a.stride + ld(&t->g) + start, min(i64(kChunk), ld(&t->n) - start), threadIdx.x, kThreads);
  m.reduce<kThreads / 32>();
  if (threadIdx.x == 0) m.write(at<double>(a.work, run) + blockIdx.x * 3);
}
// launch: grid (tensors, 1, runs) block 32 shared 0
extern "C" __global__ void __launch_bounds__(32) stats_each_finish(StatsEachArgs a) {
  int run = runOf(a.runs);
  const Tensor* t = a.tensors + blockIdx.x;
  i64 n = ld(&t->n);
  Magnitudes m;
  m.gather(at<double>(a.work, run) + ld(&t->m) * 3, int((n + kChunk - 1) / kChunk));
  m.reduce<1>();
  if (lane() == 0) m.finish(at<float>(a.out, run) + blockIdx.x * 3, n);
}
