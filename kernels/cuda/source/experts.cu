// A mixture of experts: the router, its gradient, and the movement of rows to and from
// the experts. No more than 512 experts and 32 choices.
#include "device.h"
#include "rank.h"

namespace {

constexpr int kExperts = 512;
constexpr int kTile = 32;  // rows of a block of the router

// The work memory of the router: the counts of a tile's pairs by expert, which route_scan
// turns into those of the tiles before; their totals; and the same of the probabilities.
struct RouteWork {
  int *counts, *totals;
  float *sums, *sumTotals;
  int tiles;
  __device__ __forceinline__ RouteWork(const RouteArgs& a, int run) {
    tiles = ceilDiv(a.n, kTile);
    counts = at<int>(a.work, run);
    totals = counts + i64(tiles) * a.e;
    sums = reinterpret_cast<float*>(totals + a.e);
    sumTotals = sums + i64(tiles) * a.e;
  }
};

constexpr int kRouteWarps = 8;

// A warp has rows of a tile in turn, a lane Each probabilities of a row.
template <int Each>
DEVICE void route(const RouteArgs& a) {
  __shared__ int counts[32 * Each];
  __shared__ float sums[kRouteWarps][32 * Each];
  int run = runOf(a.runs), first = blockIdx.x * kTile, e = a.e;
  for (int c = threadIdx.x; c < 32 * Each; c += kRouteWarps * 32) counts[c] = 0;
  sync();
  float mean[Each];
#pragma unroll
  for (int j = 0; j < Each; j++) mean[j] = 0;
  const float *logits = at<float>(a.logits, run);
  float *probsOf = at<float>(a.probs, run), *weight = at<float>(a.weight, run);
  int *index = at<int>(a.index, run), end = min(first + kTile, a.n), k = a.k;
  for (int row = first + warp(); row < end; row += kRouteWarps) {
    const float* z = logits + i64(row) * e;
    float p[Each], top = -__builtin_inff(), sum = 0;
#pragma unroll
    for (int j = 0; j < Each; j++) {
      int c = lane() + 32 * j;
      p[j] = ld(z + min(c, e - 1));
      if (c >= e) p[j] = -__builtin_inff();
    }
#pragma unroll
    for (int j = 0; j < Each; j++) top = max(top, p[j]);
    top = warpMax(top);
#pragma unroll
    for (int j = 0; j < Each; j++) sum += p[j] = expFast(p[j] - top);
    sum = warpSum(sum);
    float share = 1 / sum, *probs = probsOf + i64(row) * e;
    // Probabilities are not negative, so that their bits are in their order; 0 is taken.
    u32 key[Each];
#pragma unroll
    for (int j = 0; j < Each; j++) {
      int c = lane() + 32 * j;
      p[j] *= share;
      mean[j] += p[j];
      if (c < e) st(probs + c, p[j]);
      key[j] = c >= e ? 0 : p[j] == p[j] ? __builtin_bit_cast(u32, p[j]) + 1 : 1;
    }
    int choice = 0;
    float chosen = 0;
    for (int i = 0; i < k; i++) {
      u32 best = 0, column = 0;
#pragma unroll
      for (int j = 0; j < Each; j++) {
        if (key[j] > best) best = key[j], column = lane() + 32 * j;
      }
      u32 most = warpMax(best), winner = warpMin(best == most ? column : ~0u);
#pragma unroll
      for (int j = 0; j < Each; j++) {
        if (winner == u32(lane() + 32 * j)) key[j] = 0;
      }
      if (lane() == i) choice = winner, chosen = __builtin_bit_cast(float, most - 1);
    }
    if (!(sum == sum)) chosen = sum;
    float all = a.raw ? 1 : warpSum(lane() < k ? chosen : 0.f);
    if (lane() < k) {
      i64 pair = i64(row) * k + lane();
      st(index + pair, choice);
      st(weight + pair, chosen / all);
      atomicAdd(&counts[choice], 1);
    }
  }
#pragma unroll
  for (int j = 0; j < Each; j++) sums[warp()][lane() + 32 * j] = mean[j];
  sync();
  RouteWork work(a, run);
  for (int c = threadIdx.x; c < e; c += kRouteWarps * 32) {
    float s = 0;
#pragma unroll
    for (int w = 0; w < kRouteWarps; w++) s += sums[w][c];
    st(work.counts + i64(blockIdx.x) * e + c, counts[c]);
    st(work.sums + i64(blockIdx.x) * e + c, s);
  }
}

}  // namespace

// The router is route_{64,128,256,512} (the most experts), route_scan, route_slots; work
// is (2·ceil(n/32)+2)·e int32 a run.
// launch: grid (ceil(n/32), 1, runs) block 256 shared 0
extern "C" __global__ void __launch_bounds__(256) route_64(RouteArgs a) { route<2>(a); }
extern "C" __global__ void __launch_bounds__(256) route_128(RouteArgs a) { route<4>(a); }
extern "C" __global__ void __launch_bounds__(256) route_256(RouteArgs a) { route<8>(a); }
extern "C" __global__ void __launch_bounds__(256) route_512(RouteArgs a) { route<16>(a); }

// Sums over the tiles: a lane has an expert, a warp a part of the tiles.
// launch: grid (ceil(e/32), 1, runs) block 1024 shared 0
extern "C" __global__ void __launch_bounds__(1024) route_scan(RouteArgs a) {
  __shared__ int counts[32][32];
  __shared__ float sums[32][32];
  int run = runOf(a.runs), c = blockIdx.x * 32 + lane(), e = a.e;
  RouteWork work(a, run);
  int span = ceilDiv(work.tiles, 32), begin = min(warp() * span, work.tiles), end = min(begin + span, work.tiles);
  if (c >= e) end = begin;
  int count = 0;
  float sum = 0;
#pragma unroll 8
  for (int t = begin; t < end; t++) {
    count += ld(work.counts + i64(t) * e + c);
    sum += ld(work.sums + i64(t) * e + c);
  }
  counts[warp()][lane()] = count;
  sums[warp()][lane()] = sum;
  sync();
  int before = 0;
  for (int w = 0; w < warp(); w++) before += counts[w][lane()];
  if (warp() == 31 && c < e) {
    sum = 0;
    for (int w = 0; w < 32; w++) sum += sums[w][lane()];
    st(work.totals + c, before + count);
    st(work.sumTotals + c, sum);
  }
#pragma unroll 8
  for (int t = begin; t < end; t++) {
    int* p = work.counts + i64(t) * e + c;
    int here = ld(p);
    st(p, before);
    before += here;
  }
}

// The places of a tile's pairs. The first block also writes what is known of the batch.
// launch: grid (ceil(n/32), 1, runs) block 128 shared 0
extern "C" __global__ void __launch_bounds__(128) route_slots(RouteArgs a) {
  constexpr int kWarps = 4, kEach = kExperts / (32 * kWarps);
  __shared__ int counts[kWarps][kExperts], starts[kExperts], scan[kWarps];
  __shared__ double products[kWarps];
  int run = runOf(a.runs), e = a.e, first = threadIdx.x * kEach;
  RouteWork work(a, run);
  int total[kEach], sum = 0;
#pragma unroll
  for (int j = 0; j < kEach; j++) {
    total[j] = first + j < e ? ld(work.totals + first + j) : 0;
    sum += total[j];
  }
  int start = exclusiveScan<kWarps>(sum, scan);
  bool leader = blockIdx.x == 0;
  int *offsets = at<int>(a.offsets, run), *countsOut = at<int>(a.counts, run);
  double product = 0;
#pragma unroll
  for (int j = 0; j < kEach; j++) {
    int c = first + j;
    if (c >= e) break;
    starts[c] = start + ld(work.counts + i64(blockIdx.x) * e + c);
    if (leader) {
      st(offsets + c, start);
      if (countsOut) st(countsOut + c, total[j]);
      product += double(total[j]) * ld(work.sumTotals + c);
    }
    start += total[j];
    if (leader && c == e - 1) st(offsets + e, start);
  }
  if (leader && a.loss.p) {
    product = blockSum<kWarps>(product, products);
    if (threadIdx.x == 0) st(at<float>(a.loss, run), float(product * e / a.n / a.n));
  }
  i64 pairs = i64(blockIdx.x) * kTile * a.k;
  int n = min(kTile, a.n - int(blockIdx.x) * kTile) * a.k;
  const int* index = at<int>(a.index, run) + pairs;
  int* slot = at<int>(a.slot, run) + pairs;
  rankCount<4>(counts, index, n, 0, e);
  for (int c = threadIdx.x; c < e; c += kWarps * 32) rankPrefix(counts, c);
  sync();
  rankPlace<4>(starts, counts, index, n, 0, e, [&](int pair, int place) { st(slot + pair, place); });
}

namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;

// A warp has a row.
template <class T>
DEVICE void routeGrad(const RouteGradArgs& a) {
  __shared__ float chosen[kWarps][kExperts];
  int run = runOf(a.runs), row = blockIdx.x * kWarps + warp(), e = a.e;
  if (row >= a.n) return;
  const float* p = at<float>(a.probs, run) + i64(row) * e;
  const int* offsets = at<int>(a.offsets, run);
  float* extra = chosen[warp()];
  float factor = a.coefficient * e / a.n / a.n, dot = 0;
  if (a.scale.p) factor *= ld(at<float>(a.scale, run));
  bool mine = lane() < a.k;
  i64 pair = i64(row) * a.k + (mine ? lane() : 0);
  int x = ld(at<int>(a.index, run) + pair);
  float dw = ld(at<float>(a.dweight, run) + pair), px = ld(p + x);
  if (!a.raw) {
    float mean = warpSum(mine ? dw * ld(at<float>(a.weight, run) + pair) : 0.f);
    dw = (dw - mean) / warpSum(mine ? px : 0.f);
  }
#pragma unroll 4
  for (int c = lane(); c < e; c += 32) {
    extra[c] = 0;
    dot += factor * (ld(offsets + c + 1) - ld(offsets + c)) * ld(p + c);
  }
  dot = warpSum(dot + (mine ? dw * px : 0.f));
  syncWarp();
  if (mine) extra[x] = dw;
  syncWarp();
  T* out = at<T>(a.dlogits, run) + i64(row) * e;
#pragma unroll 4
  for (int c = lane(); c < e; c += 32) {
    float d = factor * (ld(offsets + c + 1) - ld(offsets + c)) + extra[c];
    store1(out + c, ld(p + c) * (d - dot));
  }
}

}  // namespace

// route_grad_{f,h}: the type of dlogits.
// launch: grid (ceil(n/8), 1, runs) block 256 shared 0
extern "C" __global__ void __launch_bounds__(kThreads) route_grad_f(RouteGradArgs a) { routeGrad<float>(a); }
extern "C" __global__ void __launch_bounds__(kThreads) route_grad_h(RouteGradArgs a) { routeGrad<bf16>(a); }

namespace {

template <int Vec>
DEVICE f32x8 get(const bf16* p) { return Vec == 8 ? load8(p) : f32x8(load1(p)); }
template <int Vec>
DEVICE void put(bf16* p, f32x8 x) {
  if (Vec == 8) store8(p, x);
  else store1(p, x[0]);
}

// A thread has Vec columns of a token in all of its copies.
struct Columns {
  int row, c;
  __device__ __forceinline__ Columns(int vec, int d) {
    int cols = d / vec, i = blockIdx.x * kThreads + threadIdx.x;
    row = i / cols;
    c = (i - row * cols) * vec;
  }
};

template <class T>
DEVICE void dispatch(const DispatchArgs& a) {
  constexpr int kVec = sizeof(T) / 2;
  int run = runOf(a.runs);
  Columns my(kVec, a.d);
  if (my.row >= a.n) return;
  T x = ld(reinterpret_cast<const T*>(at<bf16>(a.x, run) + i64(my.row) * a.d + my.c));
  const int* slot = at<int>(a.slot, run) + i64(my.row) * a.k;
  bf16* y = at<bf16>(a.y, run) + my.c;
#pragma unroll 4
  for (int j = 0; j < a.k; j++) st(reinterpret_cast<T*>(y + i64(ld(slot + j)) * a.d), x);
}

template <int Vec>
DEVICE void combine(const CombineArgs& a) {
  constexpr int kBatch = 4;
  int run = runOf(a.runs);
  Columns my(Vec, a.d);
  if (my.row >= a.n) return;
  const bf16* x = at<bf16>(a.x, run) + my.c;
  bf16* y = at<bf16>(a.y, run) + i64(my.row) * a.d + my.c;
  const int* slot = at<int>(a.slot, run) + i64(my.row) * a.k;
  const float* weight = reinterpret_cast<const float*>(slot);  // read in vain without weights
  if (a.weight.p) weight = at<float>(a.weight, run) + i64(my.row) * a.k;
  f32x8 sum = 0;
  for (int from = 0; from < a.k; from += kBatch) {
    f32x8 part[kBatch];
    float w[kBatch];
#pragma unroll
    for (int j = 0; j < kBatch; j++) {
      int i = min(from + j, a.k - 1);
      part[j] = get<Vec>(x + i64(ld(slot + i)) * a.d);
      w[j] = ld(weight + i);
    }
#pragma unroll
    for (int j = 0; j < kBatch; j++) {
      float f = a.weight.p ? a.scale * w[j] : a.scale;
      sum += (from + j < a.k ? f : 0) * part[j];
    }
  }
  if (a.add) sum += get<Vec>(y);
  put<Vec>(y, sum);
}

// Lanes of a token keep its gradient, Vecs times eight columns each, and go through its
// copies, two at a time.
template <int Lanes, int Vecs>
DEVICE void combineGrad(const CombineGradArgs& a) {
  constexpr int kBatch = 2;
  int run = runOf(a.runs), row = (blockIdx.x * kThreads + threadIdx.x) / Lanes, l = threadIdx.x % Lanes, d = a.d;
  bool live = row < a.n;
  if (!live) row = a.n - 1;
  const bf16 *from = at<bf16>(a.dy, run) + i64(row) * d, *x = at<bf16>(a.x, run);
  bf16* dx = at<bf16>(a.dx, run);
  f32x8 dy[Vecs];
#pragma unroll
  for (int v = 0; v < Vecs; v++) {
    int c = (v * Lanes + l) * 8;
    dy[v] = load8(from, c, c < d);
  }
  for (int first = 0; first < a.k; first += kBatch) {
    i64 pair[kBatch], to[kBatch];
    float weight[kBatch];
    f32x8 in[kBatch][Vecs];
#pragma unroll
    for (int j = 0; j < kBatch; j++) {
      pair[j] = i64(row) * a.k + min(first + j, a.k - 1);
      to[j] = i64(ld(at<int>(a.slot, run) + pair[j])) * d;
      weight[j] = a.scale * ld(at<float>(a.weight, run) + pair[j]);
#pragma unroll
      for (int v = 0; v < Vecs; v++) {
        int c = (v * Lanes + l) * 8;
        in[j][v] = load8(x + to[j], c, c < d);
      }
    }
#pragma unroll
    for (int j = 0; j < kBatch; j++) {
      float dot = 0;
#pragma unroll
      for (int v = 0; v < Vecs; v++) dot += total(dy[v] * in[j][v]);
      dot = warpSum<Lanes>(dot) * a.scale;
      if (!live || first + j >= a.k) continue;
#pragma unroll
      for (int v = 0; v < Vecs; v++) {
        int c = (v * Lanes + l) * 8;
        if (c < d) store8(dx + to[j] + c, dy[v] * weight[j]);
      }
      if (l == 0) st(at<float>(a.dweight, run) + pair[j], dot);
    }
  }
}

// Rows of any size: a warp has a token and one of its choices.
DEVICE void combineGradAny(const CombineGradArgs& a) {
  int run = runOf(a.runs), pair = blockIdx.x * kWarps + warp();
  if (pair >= a.n * a.k) return;
  i64 to = i64(ld(at<int>(a.slot, run) + pair)) * a.d;
  const bf16 *dy = at<bf16>(a.dy, run) + i64(pair / a.k) * a.d, *x = at<bf16>(a.x, run) + to;
  bf16* dx = at<bf16>(a.dx, run) + to;
  float weight = a.scale * ld(at<float>(a.weight, run) + pair), dot = 0;
  for (int c = lane(); c < a.d; c += 32) {
    float t = load1(dy + c);
    dot += t * load1(x + c);
    store1(dx + c, t * weight);
  }
  dot = warpSum(dot) * a.scale;
  if (lane() == 0) st(at<float>(a.dweight, run) + pair, dot);
}

}  // namespace

// dispatch, combine; with _any for d not a multiple of 8; vec = 8, or 1 with _any:
// launch: grid (ceil(n*(d/vec)/256), 1, runs) block 256 shared 0
extern "C" __global__ void __launch_bounds__(kThreads) dispatch(DispatchArgs a) { dispatch<u32x4>(a); }
extern "C" __global__ void __launch_bounds__(kThreads) dispatch_any(DispatchArgs a) { dispatch<u16>(a); }
extern "C" __global__ void __launch_bounds__(kThreads) combine(CombineArgs a) { combine<8>(a); }
extern "C" __global__ void __launch_bounds__(kThreads) combine_any(CombineArgs a) { combine<1>(a); }

#define COMBINE_GRAD(width, lanes, vecs)                                                                  \
  extern "C" __global__ void __launch_bounds__(kThreads) combine_grad_##width(CombineGradArgs a) {        \
    combineGrad<lanes, vecs>(a);                                                                          \
  }

// combine_grad_{64,128,256,512,1024}: the most columns, in multiples of 8; lanes = 8, 16, 32, 32, 32:
// launch: grid (ceil(n*lanes/256), 1, runs) block 256 shared 0
COMBINE_GRAD(64, 8, 1)
COMBINE_GRAD(128, 16, 1)
COMBINE_GRAD(256, 32, 1)
COMBINE_GRAD(512, 32, 2)
COMBINE_GRAD(1024, 32, 4)
// For other d:
// launch: grid (ceil(n*k/8), 1, runs) block 256 shared 0
extern "C" __global__ void __launch_bounds__(kThreads) combine_grad_any(CombineGradArgs a) { combineGradAny(a); }
