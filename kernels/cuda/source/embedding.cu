// The table of token vectors: look-up, an index of rows by token, and the gradient.
#include "device.h"
#include "rank.h"

namespace {

// Vec columns, 4 or 1.
template <int Vec, class T>
DEVICE f32x4 get(const T* p) { return Vec == 4 ? load4(p) : f32x4(load1(p)); }
template <int Vec>
DEVICE void put(float* p, f32x4 x) {
  if (Vec == 4) store4(p, x);
  else store1(p, x.x);
}

// Tokens are checked on the host; one out of range gives a row of NaN, not a fault.
template <int Vec>
DEVICE void embed(const EmbedArgs& a) {
  constexpr int kEach = 2;
  int run = runOf(a.runs), cols = a.d / Vec, total = a.n * cols;
  const float* table = at<float>(a.table, run);
  const int* tokens = at<int>(a.tokens, run);
  float* y = at<float>(a.y, run);
  int first = blockIdx.x * (256 * kEach) + threadIdx.x, col[kEach], token[kEach];
#pragma unroll
  for (int j = 0; j < kEach; j++) {
    int i = min(first + j * 256, total - 1), row = i / cols;
    col[j] = i - row * cols;
    token[j] = ld(tokens + row);
  }
  f32x4 x[kEach];
#pragma unroll
  for (int j = 0; j < kEach; j++) {
    bool in = u32(token[j]) < u32(a.v);
    const float* p = table + i64(in ? token[j] : 0) * a.d + col[j] * Vec;
    x[j] = get<Vec>(p) * (in ? a.scale : __builtin_nanf(""));
  }
#pragma unroll
  for (int j = 0; j < kEach; j++) {
    int i = first + j * 256;
    if (i < total) put<Vec>(y + i64(i) * Vec, x[j]);
  }
}

constexpr int kIndexThreads = 512, kIndexRange = 512, kIndexBatch = 16;

// Rows of a piece of the index are added up by one thread for four columns. Tokens that
// lie in the piece alone go to the table; the sums of the one that came from the piece
// before and of the one that goes on after it are left in work [pieces, 2, d], in this
// order. A token that fills the piece is of the first kind.
template <int Vec, class T>
DEVICE void embedGrad(const EmbedGradArgs& a) {
  constexpr int kBatch = 8;
  int run = runOf(a.runs), n = ld(a.first + a.v);  // without the tokens out of range
  int cols = ceilDiv(a.d, Vec), i = blockIdx.x * 128 + threadIdx.x;
  int piece = i / cols, c = (i - piece * cols) * Vec, begin = piece * a.piece;
  if (begin >= n) return;
  int end = min(begin + a.piece, n);
  const T* dy = at<T>(a.dy, run) + c;
  float *table = at<float>(a.dtable, run) + c, *work = at<float>(a.work, run) + i64(piece) * 2 * a.d + c;
  int token = ld(a.sorted + begin);
  bool before = begin > 0 && ld(a.sorted + begin - 1) == token;
  int after = end < n ? ld(a.sorted + end) : -1;
  f32x4 sum = 0, old = 0;
  for (int at = begin; at < end; at += kBatch) {
    int row[kBatch], id[kBatch];
#pragma unroll
    for (int j = 0; j < kBatch; j++) {
      int o = min(at + j, end - 1);
      row[j] = ld(a.order + o);
      id[j] = ld(a.sorted + o);
    }
    f32x4 x[kBatch], t[kBatch];
#pragma unroll
    for (int j = 0; j < kBatch; j++) {
      x[j] = get<Vec>(dy + i64(row[j]) * a.d);
      t[j] = get<Vec>(table + i64(id[j]) * a.d);
    }
#pragma unroll
    for (int j = 0; j < kBatch; j++) {
      if (at + j >= end) break;
      if (id[j] != token) {
        if (before) put<Vec>(work, sum);
        else put<Vec>(table + i64(token) * a.d, old + a.scale * sum);
        before = false;
        token = id[j];
        sum = 0;
      }
      sum += x[j];
      old = t[j];
    }
  }
  if (before) put<Vec>(work, sum);
  else if (after == token) put<Vec>(work + a.d, sum);
  else put<Vec>(table + i64(token) * a.d, old + a.scale * sum);
}

// The piece where a token starts that goes on in others adds them up: eight warps take
// turns, a lane has four columns.
template <int Vec>
DEVICE void embedGradFinish(const EmbedGradArgs& a) {
  __shared__ f32x4 sums[8][32];
  int piece = blockIdx.x, n = ld(a.first + a.v), end = (piece + 1) * a.piece;
  if (end >= n) return;
  int token = ld(a.sorted + end - 1), start = ld(a.first + token), until = ld(a.first + token + 1);
  if (start < piece * a.piece || until <= end) return;
  int run = runOf(a.runs), c = (blockIdx.y * 32 + lane()) * Vec, last = (until - 1) / a.piece;
  const float* work = at<float>(a.work, run) + c;
  f32x4 sum = 0;
  if (c < a.d) {
    if (warp() == 0) sum = get<Vec>(work + (i64(piece) * 2 + 1) * a.d);
#pragma unroll 4
    for (int p = piece + 1 + warp(); p <= last; p += 8) sum += get<Vec>(work + i64(p) * 2 * a.d);
  }
  sums[warp()][lane()] = sum;
  sync();
  if (warp() != 0 || c >= a.d) return;
#pragma unroll
  for (int w = 1; w < 8; w++) sum += sums[w][lane()];
  float* out = at<float>(a.dtable, run) + i64(token) * a.d + c;
  put<Vec>(out, get<Vec>(out) + a.scale * sum);
}

}  // namespace

// launch: grid (ceil(n*(d/4)/512), 1, runs) block 256 shared 0
extern "C" __global__ void __launch_bounds__(256) embed(EmbedArgs a) { embed<4>(a); }
// embed_any, for d not a multiple of 4:
// launch: grid (ceil(n*d/512), 1, runs) block 256 shared 0
extern "C" __global__ void __launch_bounds__(256) embed_any(EmbedArgs a) { embed<1>(a); }

// token_index: every block reads all tokens and has a range of their values to itself, at
// most 512; tokens out of range are left out. Ranges grow linearly, from single tokens:
// vocabularies begin with what is frequent.
// launch: grid (max(ceil(v/256), min(v, 128)), 1, 1) block 512 shared 0
extern "C" __global__ void __launch_bounds__(kIndexThreads) token_index(TokenIndexArgs a) {
  constexpr int kWarps = kIndexThreads / 32;
  __shared__ int counts[kWarps][kIndexRange], starts[kIndexRange], less[kWarps], sums[kWarps];
  u64 v = a.v, b = blockIdx.x, blocks = gridDim.x;
  int low = v * b * b / (blocks * blocks), range = int(v * (b + 1) * (b + 1) / (blocks * blocks)) - low;
  int t = threadIdx.x;
  if (range == 0) return;
  int below = rankCount<kIndexBatch>(counts, a.tokens, a.n, low, range);
  below = blockSum<kWarps>(below, less);
  int count = t < range ? rankPrefix(counts, t) : 0;
  int start = below + exclusiveScan<kWarps>(count, sums);
  if (t < range) {
    starts[t] = start;
    st(a.first + low + t, start);
  }
  if (t < range && low + t == a.v - 1) st(a.first + a.v, start + count);
  sync();
  rankPlace<kIndexBatch>(starts, counts, a.tokens, a.n, low, range, [&](int row, int place) {
    st(a.order + place, row);
    st(a.sorted + place, ld(a.tokens + row));
  });
}

// embed_grad_{f,h}, then embed_grad_finish. piece is 16 rows for n ≤ 16384, else 32.
// launch: grid (ceil(ceil(n/piece)*(d/4)/128), 1, runs) block 128 shared 0
extern "C" __global__ void __launch_bounds__(128) embed_grad_f(EmbedGradArgs a) { embedGrad<4, float>(a); }
extern "C" __global__ void __launch_bounds__(128) embed_grad_h(EmbedGradArgs a) { embedGrad<4, bf16>(a); }
// launch: grid (ceil(n/piece), ceil(d/128), runs) block 256 shared 0
extern "C" __global__ void __launch_bounds__(256) embed_grad_finish(EmbedGradArgs a) { embedGradFinish<4>(a); }
// embed_grad_any_{f,h}, then embed_grad_finish_any, for d not a multiple of 4:
// launch: grid (ceil(ceil(n/piece)*d/128), 1, runs) block 128 shared 0
extern "C" __global__ void __launch_bounds__(128) embed_grad_any_f(EmbedGradArgs a) { embedGrad<1, float>(a); }
extern "C" __global__ void __launch_bounds__(128) embed_grad_any_h(EmbedGradArgs a) { embedGrad<1, bf16>(a); }
// launch: grid (ceil(n/piece), ceil(d/32), runs) block 256 shared 0
extern "C" __global__ void __launch_bounds__(256) embed_grad_finish_any(EmbedGradArgs a) { embedGradFinish<1>(a); }
