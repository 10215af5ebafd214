// Queries and keys before attention: RMSNorm of every head and rotary positions, and the
// gradient. A lane has columns of a head's first half and those that they turn with, four
// or eight each; the suffix of a kernel is the most columns of a head, in multiples of 16.
#include "device.h"

namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32, kWidest = 128;

DEVICE void get(f32x4& x, const float* p) { x = load4(p); }
DEVICE void get(f32x8& x, const float* p) { x = load8(p); }

// The rotation of pairs of columns by the angle of their position, or back.
template <class Vec>
struct Turn {
  Vec cos, sin;
  __device__ __forceinline__ Turn(const float* table, int position, int dim, int c) {
    const float* p = table + i64(position) * dim + c;
    get(cos, p);
    get(sin, p + dim / 2);
  }
  __device__ __forceinline__ void forward(Vec& u, Vec& v) const {
    Vec t = u * cos - v * sin;
    v = v * cos + u * sin;
    u = t;
  }
  __device__ __forceinline__ void back(Vec& u, Vec& v) const {
    Vec t = u * cos + v * sin;
    v = v * cos - u * sin;
    u = t;
  }
};

template <int Lanes>
DEVICE void qkNormRope(const QKNormRopeArgs& a) {
  int run = runOf(a.runs), heads = a.query + a.keyValue, half = a.dim / 2;
  int i = (blockIdx.x * kThreads + threadIdx.x) / Lanes, c = threadIdx.x % Lanes * 8;
  bool live = i < a.n * heads;
  if (!live) i = a.n * heads - 1;
  int row = i / heads, head = i - row * heads;
  bool in = c < half;
  if (!in) c = 0;
  const bf16* x = at<bf16>(a.qkv, run) + (i64(row) * (heads + a.keyValue) + head) * a.dim + c;
  f32x8 u = load8(x), v = load8(x + half);
  int position = a.cosSin ? ld(a.positions + row) : 0;
  if (a.qGain.p) {
    const float* gain = at<float>(head < a.query ? a.qGain : a.kGain, run) + c;
    float r = rsqrt(warpSum<Lanes>(in ? total(u * u + v * v) : 0.f) / a.dim + a.eps);
    if (live && threadIdx.x % Lanes == 0) st(at<float>(a.rstd, run) + i, r);
    f32x8 gu = load8(gain), gv = load8(gain + half);
    u *= r * gu;
    v *= r * gv;
  }
  if (a.cosSin) Turn<f32x8>(a.cosSin, position, a.dim, c).forward(u, v);
  if (!live || !in) return;
  bf16* y = at<bf16>(a.qk, run) + i64(i) * a.dim + c;
  store8(y, u);
  store8(y + half, v);
}

// Heads of any size, a warp each.
DEVICE void qkNormRopeAny(const QKNormRopeArgs& a) {
  int run = runOf(a.runs), heads = a.query + a.keyValue, half = a.dim / 2;
  int i = blockIdx.x * kWarps + warp();
  if (i >= a.n * heads) return;
  int row = i / heads, head = i - row * heads;
  const bf16* x = at<bf16>(a.qkv, run) + (i64(row) * (heads + a.keyValue) + head) * a.dim;
  const float* gain = at<float>(head < a.query ? a.qGain : a.kGain, run);
  bf16* y = at<bf16>(a.qk, run) + i64(i) * a.dim;
  float r = 1;
  if (gain) {
    float s = 0;
    for (int c = lane(); c < a.dim; c += 32) s += load1(x + c) * load1(x + c);
    r = rsqrt(warpSum(s) / a.dim + a.eps);
    if (lane() == 0) st(at<float>(a.rstd, run) + i, r);
  }
  auto value = [&](int c) { return load1(x + c) * r * (gain ? ld(gain + c) : 1.f); };
  if (!a.cosSin) {
    for (int c = lane(); c < a.dim; c += 32) store1(y + c, value(c));
    return;
  }
  const float* turn = a.cosSin + i64(ld(a.positions + row)) * a.dim;
  for (int c = lane(); c < half; c += 32) {
    float u = value(c), v = value(half + c), cos = ld(turn + c), sin = ld(turn + half + c);
    store1(y + c, u * cos - v * sin);
    store1(y + half + c, v * cos + u * sin);
  }
}

// The gradient of the heads first … first+heads of every row, four pairs a lane. The
// block's part of the gain's gradient goes to part [dim].
template <int Lanes>
DEVICE void headsGrad(const QKNormRopeGradArgs& a, int run, int first, int heads, const float* gain, float* part,
                      float (&shared)[kWarps][kWidest]) {
  constexpr int kGroups = kThreads / Lanes;
  int all = a.query + a.keyValue, half = a.dim / 2, c = threadIdx.x % Lanes * 4, items = a.n * heads;
  bool in = c < half;
  if (!in) c = 0;
  const bf16 *dy = at<bf16>(a.dqk, run) + c, *x = at<bf16>(a.qkv, run) + c;
  const float* rstd = at<float>(a.rstd, run);
  bf16* dx = at<bf16>(a.dqkv, run) + c;
  f32x4 du = 0, dv = 0, gu = 0, gv = 0;
  if (gain) {
    gu = load4(gain + c);
    gv = load4(gain + c + half);
  }
  for (int base = blockIdx.x * kGroups; base < items; base += a.blocks * kGroups) {
    int i = base + threadIdx.x / Lanes;
    bool live = i < items && in;
    i = min(i, items - 1);
    int row = i / heads, head = first + i - row * heads, position = a.cosSin ? ld(a.positions + row) : 0;
    i64 from = (i64(row) * (all + a.keyValue) + head) * a.dim;
    const bf16* t = dy + (i64(row) * all + head) * a.dim;
    f32x4 u = load4(t), v = load4(t + half), xu = 0, xv = 0;
    float r = 0;
    if (gain) {
      xu = load4(x + from);
      xv = load4(x + from + half);
      r = ld(rstd + i64(row) * all + head);
    }
    if (a.cosSin) Turn<f32x4>(a.cosSin, position, a.dim, c).back(u, v);
    if (gain) {
      float s = live ? r : 0;
      du += u * xu * s;
      dv += v * xv * s;
      u *= gu;
      v *= gv;
      float b = r * r * r * (warpSum<Lanes>(in ? total(u * xu + v * xv) : 0.f) / a.dim);
      u = u * r - xu * b;
      v = v * r - xv * b;
    }
    if (!live) continue;
    store4(dx + from, u);
    store4(dx + from + half, v);
  }
  if (!gain) return;
#pragma unroll
  for (int j = 0; j < 4; j++) {
#pragma unroll
    for (int m = Lanes; m < 32; m *= 2) {
      du[j] += shuffleXor(du[j], m);
      dv[j] += shuffleXor(dv[j], m);
    }
    if (lane() < Lanes && in) {
      shared[warp()][c + j] = du[j];
      shared[warp()][c + half + j] = dv[j];
    }
  }
  sync();
  if (int(threadIdx.x) < a.dim) {
    float s = 0;
    for (int w = 0; w < kWarps; w++) s += shared[w][threadIdx.x];
    st(part + threadIdx.x, s);
  }
  sync();
}

template <int Lanes>
DEVICE void qkNormRopeGrad(const QKNormRopeGradArgs& a) {
  __shared__ float shared[kWarps][kWidest];
  int run = runOf(a.runs);
  float* part = at<float>(a.work, run) + i64(blockIdx.x) * 2 * a.dim;
  headsGrad<Lanes>(a, run, 0, a.query, at<float>(a.qGain, run), part, shared);
  headsGrad<Lanes>(a, run, a.query, a.keyValue, at<float>(a.kGain, run), part + a.dim, shared);
}

// Heads of any size: the block goes through rows, its warps through the heads of a row
// in turn, so that sums over heads are taken column by column after them.
DEVICE void qkNormRopeGradAny(const QKNormRopeGradArgs& a) {
  int run = runOf(a.runs), all = a.query + a.keyValue, dim = a.dim, half = dim / 2;
  const float *qGain = at<float>(a.qGain, run), *kGain = at<float>(a.kGain, run);
  float* part = at<float>(a.work, run) + i64(blockIdx.x) * 2 * dim;
  if (qGain)
    for (int c = threadIdx.x; c < 2 * dim; c += kThreads) st(part + c, 0.f);
  for (int row = blockIdx.x; row < a.n; row += a.blocks) {
    const bf16 *dy = at<bf16>(a.dqk, run) + i64(row) * all * dim,
               *x = at<bf16>(a.qkv, run) + i64(row) * (all + a.keyValue) * dim;
    bf16* dx = at<bf16>(a.dqkv, run) + i64(row) * (all + a.keyValue) * dim;
    const float *turn = a.cosSin ? a.cosSin + i64(ld(a.positions + row)) * dim : nullptr,
                *rstd = at<float>(a.rstd, run) + i64(row) * all;
    // Column c of the gradient of head h before its rotation.
    auto turned = [&](int h, int c) {
      const bf16* t = dy + h * dim;
      if (!turn) return load1(t + c);
      int pair = c < half ? c : c - half;
      float u = load1(t + pair), v = load1(t + half + pair), cos = ld(turn + pair), sin = ld(turn + half + pair);
      return c < half ? u * cos + v * sin : v * cos - u * sin;
    };
    for (int h = warp(); h < all; h += kWarps) {
      const float* gain = h < a.query ? qGain : kGain;
      float r = 1, b = 0;
      if (gain) {
        for (int c = lane(); c < dim; c += 32) b += turned(h, c) * ld(gain + c) * load1(x + h * dim + c);
        r = ld(rstd + h);
        b = r * r * r * (warpSum(b) / dim);
      }
      for (int c = lane(); c < dim; c += 32) {
        float t = turned(h, c);
        store1(dx + h * dim + c, gain ? t * ld(gain + c) * r - load1(x + h * dim + c) * b : t);
      }
    }
    if (!qGain) continue;
    for (int c = threadIdx.x; c < 2 * dim; c += kThreads) {
      int from = c < dim ? 0 : a.query, until = c < dim ? a.query : all, col = c < dim ? c : c - dim;
      float s = 0;
      for (int h = from; h < until; h++) s += turned(h, col) * load1(x + h * dim + col) * ld(rstd + h);
      st(part + c, ld(part + c) + s);
    }
  }
}

}  // namespace

#define HEADS(width)                                                                                            \
  extern "C" __global__ void __launch_bounds__(kThreads) qk_norm_rope_##width(QKNormRopeArgs a) {               \
    qkNormRope<width / 16>(a);                                                                                  \
  }                                                                                                             \
  extern "C" __global__ void __launch_bounds__(kThreads, 4) qk_norm_rope_grad_##width(QKNormRopeGradArgs a) {   \
    qkNormRopeGrad<width / 8>(a);                                                                               \
  }

// qk_norm_rope_{16,32,64,128} with lanes = that/16:
// launch: grid (ceil(n*(query+keyValue)*lanes/256), 1, runs) block 256 shared 0
// qk_norm_rope_grad_{16,32,64,128,any}, with blocks = min(ceil(n*(query+keyValue)*lanes/512), 528)
// and lanes = that/8 (any: 32):
// launch: grid (blocks, 1, runs) block 256 shared 0
HEADS(16)
HEADS(32)
HEADS(64)
HEADS(128)

// For other sizes of a head:
// launch: grid (ceil(n*(query+keyValue)/8), 1, runs) block 256 shared 0
extern "C" __global__ void __launch_bounds__(kThreads) qk_norm_rope_any(QKNormRopeArgs a) { qkNormRopeAny(a); }
extern "C" __global__ void __launch_bounds__(kThreads) qk_norm_rope_grad_any(QKNormRopeGradArgs a) {
  qkNormRopeGradAny(a);
}

// Only with gains; y = 0 is that of the queries, 1 that of the keys.
// launch: grid (ceil(dim/32), 2, runs) block 1024 shared 0
extern "C" __global__ void __launch_bounds__(1024) qk_norm_rope_grad_gain(QKNormRopeGradArgs a) {
  int run = runOf(a.runs), key = blockIdx.y;
  addColumns(at<float>(key ? a.dkGain : a.dqGain, run), at<float>(a.work, run) + key * a.dim, a.blocks, a.dim,
             2 * a.dim);
}
