// Cross-entropy and its gradient over rows of logits that the gradient replaces. What of a
// row fits the registers of its threads is read once; the suffix of a kernel is the most
// columns that it takes.
#include "device.h"

namespace {

constexpr u32 kNone = 0xff80ff80u;  // two logits of −∞

DEVICE u32 maxPair(u32 a, u32 b) {
  typedef decltype(__nvvm_ff2bf16x2_rn(0.f, 0.f)) Pair;
  return __builtin_bit_cast(u32, __nvvm_fmax_bf16x2(__builtin_bit_cast(Pair, a), __builtin_bit_cast(Pair, b)));
}
DEVICE u32 maxPair(u32x4 x) { return maxPair(maxPair(x.x, x.y), maxPair(x.z, x.w)); }

// keep makes all but the first n of eight logits −∞, without a branch.
DEVICE u32x4 keep(u32x4 x, int n) {
#pragma unroll
  for (int j = 0; j < 4; j++) {
    u32 last = (x[j] & 0xffffu) | (kNone & 0xffff0000u);
    x[j] = n > 2 * j + 1 ? x[j] : n > 2 * j ? last : kNone;
  }
  return x;
}

// The exponentials 2^(z·log₂e − shift) of eight logits.
DEVICE f32x8 exponentials(u32x4 x, float shift) {
  f32x8 z = unpack8(x);
#pragma unroll
  for (int j = 0; j < 8; j++) z[j] = ex2(fmaf(z[j], kLog2e, -shift));
  return z;
}

constexpr float kLowest = -1e38f;  // below all logits, and finite in base 2

// A row of logits: what was read of it, and how it is written.
struct Row {
  const CrossEntropyArgs& a;
  bf16* z;
  int run, row, target;
  float at;  // the target's logit
  float shift, factor, onehot;

  __device__ __forceinline__ Row(const CrossEntropyArgs& a, int row) : a(a), run(runOf(a.runs)), row(row) {
    z = ::at<bf16>(a.logits, run) + i64(row) * a.ldl;
    target = ld(::at<int>(a.targets, run) + row);
    at = load1(z + min(max(target, 0), a.v - 1));
    if (target >= a.v) at = __builtin_nanf("");
  }

  // finish takes the largest logit and the sum of exponentials relative to it rounded to
  // base 2, and sets the factors of the gradient; the leader writes the row's results.
  __device__ __forceinline__ void finish(float largest, float sum, bool leader) {
    shift = largest * kLog2e;
    float rest = ln(sum) - fmaf(largest, kLog2e, -shift) * kLn2, lse = largest + rest;
    float scale = a.scale.p ? ld(::at<float>(a.scale, run)) : 1.f / a.rows;
    onehot = target < 0 ? 0 : scale * a.multiplier;
    factor = onehot * (1 + 2 * a.zLoss * lse) / sum;
    if (!leader) return;
    st(::at<float>(a.loss, run) + row, target < 0 ? 0 : largest - at + rest);
    if (a.lse.p) st(::at<float>(a.lse, run) + row, lse);
  }

  // store writes the gradient of eight logits from column c on, of which exist n.
  __device__ __forceinline__ void store(int c, u32x4 x) const {
    u32x4 y = target < 0 ? u32x4(0) : pack8(exponentials(x, shift) * factor);
    st(reinterpret_cast<u32x4*>(z + c), y);
    if (u32(target - c) < 8) storeTarget();
  }
  __device__ __forceinline__ void storeTarget() const {
    store1(z + target, ex2(fmaf(at, kLog2e, -shift)) * factor - onehot);
  }
};

// Sums of exponentials relative to the largest logit so far.
struct Sum {
  float largest = kLowest, shift = kLowest * kLog2e, sum = 0;

  template <int N>
  __device__ __forceinline__ void add(const u32x4 (&x)[N]) {
    u32 top = kNone;
#pragma unroll
    for (int j = 0; j < N; j++) top = maxPair(top, maxPair(x[j]));
    float here = max(lowHalf(top), highHalf(top));
    if (here > largest) {
      largest = here;
      sum *= ex2(shift - largest * kLog2e);
      shift = largest * kLog2e;
    }
#pragma unroll
    for (int j = 0; j < N; j++) sum += total(exponentials(x[j], shift));
  }
  template <int Lanes>
  __device__ __forceinline__ void join() {
    float here = shift;
    largest = warpMax<Lanes>(largest);
    shift = largest * kLog2e;
    sum = warpSum<Lanes>(sum * ex2(here - shift));
  }
  // joinBlock joins the sums of a block with one barrier.
  template <int Warps>
  __device__ __forceinline__ void joinBlock() {
    __shared__ float largests[Warps], sums[Warps];
    join<32>();
    if (lane() == 0) {
      largests[warp()] = largest;
      sums[warp()] = sum;
    }
    sync();
    largest = largests[lane() % Warps];
    sum = lane() < Warps ? sums[lane()] : 0;
    shift = largest * kLog2e;
    join<32>();
  }
};

// renew gives the compiler new values, that it may not know what it computed from the
// old: logits are cheaper to convert again than to keep in both forms.
DEVICE void renew(u32x4& x) {
  u32 a = x.x, b = x.y, c = x.z, d = x.w;
  asm("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
  x = u32x4{a, b, c, d};
}

// Eight logits from column c on.
DEVICE u32x4 load(const bf16* z, int c, int v) {
  u32x4 x = ld(reinterpret_cast<const u32x4*>(z + (c < v ? c : 0)));
  return c < v ? x : u32x4(kNone);
}

// A row has Lanes, up to a whole block, and each of them Vecs times eight logits in
// registers. With Stream the columns after these are read twice.
template <int Lanes, int Vecs, bool Stream = false>
DEVICE void crossEntropy(const CrossEntropyArgs& a) {
  constexpr int kRows = Lanes <= 32 ? 128 / Lanes : 1, kStep = Lanes * 8, kBatch = 4;
  int t = threadIdx.x % Lanes, index = blockIdx.x * kRows + threadIdx.x / Lanes, v = a.v;
  bool live = index < a.n;
  Row row(a, live ? index : a.n - 1);
  u32x4 x[Vecs];
#pragma unroll
  for (int j = 0; j < Vecs; j++) x[j] = load(row.z, j * kStep + t * 8, v);
  if (v % 8 != 0) {
#pragma unroll
    for (int j = 0; j < Vecs; j++) x[j] = keep(x[j], v - j * kStep - t * 8);
  }
  Sum sum;
  sum.add(x);
  if (Stream) {
    for (int c = Vecs * kStep + t * 8; c < v; c += kBatch * kStep) {
      u32x4 y[kBatch];
#pragma unroll
      for (int j = 0; j < kBatch; j++) y[j] = load(row.z, c + j * kStep, v);
#pragma unroll
      for (int j = 0; j < kBatch; j++) y[j] = keep(y[j], v - c - j * kStep);
      sum.add(y);
    }
  }
  if constexpr (Lanes <= 32) sum.join<Lanes>();
  else sum.joinBlock<Lanes / 32>();
  row.finish(sum.largest, sum.sum, live && t == 0);
  if (!a.grad || !live) return;
#pragma unroll
  for (int j = 0; j < Vecs; j++) {
    renew(x[j]);
    if (j * kStep + t * 8 < v) row.store(j * kStep + t * 8, x[j]);
  }
  if (!Stream) return;
  for (int c = Vecs * kStep + t * 8; c < v; c += kBatch * kStep) {
    u32x4 y[kBatch];
#pragma unroll
    for (int j = 0; j < kBatch; j++) y[j] = load(row.z, c + j * kStep, v);
#pragma unroll
    for (int j = 0; j < kBatch; j++) {
      if (c + j * kStep < v) row.store(c + j * kStep, keep(y[j], v - c - j * kStep));
    }
  }
}

constexpr int kAnyThreads = 1024;

// Rows that vectors do not fit.
DEVICE void crossEntropyScalar(const CrossEntropyArgs& a) {
  Row row(a, blockIdx.x);
  Sum sum;
  for (int c = threadIdx.x; c < a.v; c += kAnyThreads) {
    u32 x = ld(&row.z[c].bits) | (kNone & 0xffff0000u);
    u32x4 one[1] = {u32x4{x, kNone, kNone, kNone}};
    sum.add(one);
  }
  sum.joinBlock<kAnyThreads / 32>();
  row.finish(sum.largest, sum.sum, threadIdx.x == 0);
  if (!a.grad) return;
  for (int c = threadIdx.x; c < a.v; c += kAnyThreads) {
    float z = load1(row.z + c);
    if (c == row.target) row.storeTarget();
    else store1(row.z + c, row.target < 0 ? 0.f : ex2(fmaf(z, kLog2e, -row.shift)) * row.factor);
  }
}

}  // namespace

#define CROSS_ENTROPY(width, lanes, vecs, blocks)                                           \
  extern "C" __global__ void __launch_bounds__(lanes <= 32 ? 128 : lanes, blocks)           \
      cross_entropy_##width(CrossEntropyArgs a) {                                           \
    crossEntropy<lanes, vecs>(a);                                                           \
  }

// These need ldl in multiples of 8 and 16-byte alignment; columns from v to the next
// multiple of 8 are set to 0.
// launch: grid (ceil(n/8), 1, runs) block 128 shared 0
CROSS_ENTROPY(256, 16, 2, 1)
// launch: grid (ceil(n/4), 1, runs) block 128 shared 0
CROSS_ENTROPY(1024, 32, 4, 1)
// cross_entropy_{4096,8192,16384}:
// launch: grid (n, 1, runs) block 256 shared 0
CROSS_ENTROPY(4096, 256, 2, 1)
CROSS_ENTROPY(8192, 256, 4, 4)
CROSS_ENTROPY(16384, 256, 8, 4)
// launch: grid (n, 1, runs) block 512 shared 0
CROSS_ENTROPY(32768, 512, 8, 2)
// cross_entropy_81920: two rows a multiprocessor at once, so that the L2 cache holds what
// is read twice.
// launch: grid (n, 1, runs) block 512 shared 0
extern "C" __global__ void __launch_bounds__(512, 2) cross_entropy_81920(CrossEntropyArgs a) {
  crossEntropy<512, 8, true>(a);
}
// cross_entropy_any, for larger v and for any ldl and alignment: one row a multiprocessor.
// launch: grid (n, 1, runs) block 1024 shared 0
extern "C" __global__ void __launch_bounds__(kAnyThreads) cross_entropy_any(CrossEntropyArgs a) {
  if (a.ldl % 8 == 0 && aligned16(at<bf16>(a.logits, runOf(a.runs)))) crossEntropy<kAnyThreads, 4, true>(a);
  else crossEntropyScalar(a);
}
