// Causal attention, forward: Dao 2023, FlashAttention-2, algorithm 1. A warp keeps its
// queries and their results in registers; keys and values pass through shared memory in
// two slots. Logits and exponents are in base 2 until they are written.
#include "attention.h"

// Attend is the work of a warp: Tiles times 16 queries against blocks of Keys keys. Of
// the lane's rows, lane/4 and lane/4+8 of every tile, largest is the largest logit so far
// and top that to which sums and results are relative.
template <int Dim, int Tiles, int Keys>
struct Attend {
  static constexpr int kRows = 16 * Tiles;

  u32 q[Tiles][Dim / 16][4], p[Tiles][Keys / 16][4];
  float s[Tiles][Keys / 8][4], o[Tiles][Dim / 8][4];
  float top[Tiles][2], largest[Tiles][2];
  float sum[Tiles][2];  // of this lane's columns

  __device__ __forceinline__ void init(const bf16* rows, int ld, int valid, int dim) {
#pragma unroll
    for (int m = 0; m < Tiles; m++) {
      loadRows<Dim>(q[m], rows + i64(16 * m) * ld, ld, valid - 16 * m, dim);
      top[m][0] = top[m][1] = largest[m][0] = largest[m][1] = -__builtin_inff();
      sum[m][0] = sum[m][1] = 0;
    }
    zero(o);
  }

  // Seen is how many keys of a block the last query sees, or would if there were more;
  // the query before it sees one less. Before the first query are seenBefore of them; tile
  // m needs the first columns, of which the last sixteen are masked above the diagonal.
  static constexpr int kAll = Keys + kRows;
  static constexpr int seenBefore(int seen) { return seen - kRows; }
  static constexpr int columns(int seen, int m) {
    const int n = seenBefore(seen) + 16 * (m + 1);
    return n < Keys ? n : Keys;
  }

  template <int Seen>
  __device__ __forceinline__ void scores(u32 keys) {
    zero(s);
#pragma unroll
    for (int k = 0; k < Dim / 16; k++) {
#pragma unroll
      for (int n = 0; n < columns(Seen, Tiles - 1) / 16; n++) {
        u32 b[4];
        Tile<Dim>::load(b, keys, 16 * n, k);
#pragma unroll
        for (int m = 0; m < Tiles; m++) {
          if (16 * n >= columns(Seen, m)) continue;
          mma16816(s[m][2 * n], q[m][k], b[0], b[1]);
          mma16816(s[m][2 * n + 1], q[m][k], b[2], b[3]);
        }
      }
    }
  }

  template <int Seen>
  __device__ __forceinline__ float peak(int m, int h) {
    float x = s[m][0][2 * h];
#pragma unroll
    for (int n = 0; n < columns(Seen, m) / 8; n++) x = max(x, max(s[m][n][2 * h], s[m][n][2 * h + 1]));
    return warpMax<4>(x);
  }
  __device__ __forceinline__ void rescale(int m, int h) {
    const float factor = ex2(top[m][h] - largest[m][h]);
    top[m][h] = largest[m][h];
    sum[m][h] *= factor;
#pragma unroll
    for (int n = 0; n < Dim / 8; n++) o[m][n][2 * h] *= factor, o[m][n][2 * h + 1] *= factor;
  }

  // softmax turns scores into exponentials relative to top, p. Results are rescaled only
  // once an exponential would exceed 2⁸: below, nothing overflows, and bfloat16 is as exact
  // as below 1. Every query sees key 0, in the first block, so top is finite.
  template <int Seen>
  __device__ __forceinline__ void softmax(float scale) {
#pragma unroll
    for (int m = 0; m < Tiles; m++) {
#pragma unroll
      for (int n = 0; n < Keys / 16; n++) {
        if (16 * n == seenBefore(Seen) + 16 * m) maskAbove(s[m][2 * n], s[m][2 * n + 1]);
      }
    }
    bool grows = false;
#pragma unroll
    for (int m = 0; m < Tiles; m++) {
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const float x = scale * peak<Seen>(m, h);
        largest[m][h] = max(largest[m][h], x);
        grows |= x > top[m][h] + 8;
      }
    }
    if (ballot(grows)) {
#pragma unroll
      for (int m = 0; m < Tiles; m++) rescale(m, 0), rescale(m, 1);
    }
#pragma unroll
    for (int m = 0; m < Tiles; m++) {
#pragma unroll
      for (int h = 0; h < 2; h++) {
        float part = 0;
#pragma unroll
        for (int n = 0; n < columns(Seen, m) / 8; n++) {
#pragma unroll
          for (int i = 2 * h; i < 2 * h + 2; i++) {
            s[m][n][i] = ex2(fmaf(s[m][n][i], scale, -top[m][h]));
            part += s[m][n][i];
          }
        }
        sum[m][h] += part;
      }
#pragma unroll
      for (int n = 0; n < columns(Seen, m) / 16; n++) packOperand(p[m][n], s[m][2 * n], s[m][2 * n + 1]);
    }
  }

  // gather adds the values times p.
  template <int Seen>
  __device__ __forceinline__ void gather(u32 values) {
#pragma unroll
    for (int n = 0; n < columns(Seen, Tiles - 1) / 16; n++) {
#pragma unroll
      for (int k = 0; k < Dim / 16; k++) {
        u32 b[4];
        Tile<Dim>::loadTrans(b, values, 16 * n, k);
#pragma unroll
        for (int m = 0; m < Tiles; m++) {
          if (16 * n >= columns(Seen, m)) continue;
          mma16816(o[m][2 * k], p[m][n], b[0], b[1]);
          mma16816(o[m][2 * k + 1], p[m][n], b[2], b[3]);
        }
      }
    }
  }

  template <int Seen>
  __device__ __forceinline__ void block(u32 keys, u32 values, float scale) {
    scores<Seen>(keys);
    softmax<Seen>(scale);
    gather<Seen>(values);
  }
  // diagonalBlock is block with seen at run time, of which multiples of kRows occur.
  template <int Seen = kRows>
  __device__ __forceinline__ void diagonalBlock(u32 keys, u32 values, float scale, int seen) {
    if (seen == Seen) block<Seen>(keys, values, scale);
    else if constexpr (Seen < Keys) diagonalBlock<Seen + kRows>(keys, values, scale, seen);
  }
};

template <int Dim, int Warps, int Keys>
DEVICE void attention(const AttentionArgs& a) {
  constexpr int kTiles = kQueryRows / (16 * Warps), kThreads = 32 * Warps;
  constexpr int kTile = Keys * Tile<Dim>::kPitch;
  typedef Attend<Dim, kTiles, Keys> Work;
  __shared__ __attribute__((aligned(128))) u8 shared[4 * kTile];
  const u32 tiles = sharedAddress(shared);

  const int run = runOf(a.runs), blocks = ceilDiv(a.seq, kQueryRows);
  const int part = blockIdx.x / blocks, block = blocks - 1 - blockIdx.x % blocks;  // the longest first
  const int head = part % a.query, first = block * kQueryRows;
  const int keyHead = a.query + head / (a.query / a.keyValue);
  const i64 start = i64(part / a.query) * a.seq;
  const int ldk = (a.query + a.keyValue) * a.dim, ldv = ldk + a.keyValue * a.dim;
  const bf16* q = at<bf16>(a.qk, run) + start * ldk + head * a.dim;
  const bf16* k = at<bf16>(a.qk, run) + start * ldk + keyHead * a.dim;
  const bf16* v = at<bf16>(a.qkv, run) + start * ldv + (keyHead + a.keyValue) * a.dim;
  TileCopy<Dim, Keys, kThreads> source(k, ldk, v, ldv, a.dim);
  const auto copy = [&](int j) {
    const u32 keys = tiles + (j & 1) * 2 * kTile;
    source.start(keys, keys + kTile, ldk, ldv, a.seq - j * Keys);
    source.move(i64(Keys) * ldk, i64(Keys) * ldv);
    copyAsyncCommit();
  };
  copy(0);

  // Late rows have more work at the diagonal; which warp has them changes, as warps of
  // one number share a scheduler.
  const int row = first + ((warp() + part) & (Warps - 1)) * Work::kRows, own = row + lane() / 4;
  const int visible = row < a.seq ? row + Work::kRows : 0;
  const float scale = a.scale * kLog2e;
  Work w;
  w.init(q + i64(own) * ldk, ldk, a.seq - own, a.dim);
  const int steps = min(ceilDiv(a.seq, Keys), (first + kQueryRows) / Keys);
  for (int j = 0; j < steps; j++) {
    copyAsyncWait<0>();
    sync();
    const u32 keys = tiles + (j & 1) * 2 * kTile;
    if (j + 1 < steps) copy(j + 1);
    const int seen = visible - j * Keys;
    if (seen >= Work::kAll) w.template block<Work::kAll>(keys, keys + kTile, scale);
    else w.diagonalBlock(keys, keys + kTile, scale, seen);
  }

  const int ldy = a.query * a.dim;
  bf16* y = at<bf16>(a.y, run) + (start + own) * ldy + head * a.dim;
  float* lse = at<float>(a.lse, run) + (start + own) * a.query + head;
  float top = -__builtin_inff();
#pragma unroll
  for (int m = 0; m < kTiles; m++) {
    float inverse[2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const float sum = warpSum<4>(w.sum[m][h]);
      const int r = 16 * m + 8 * h;
      inverse[h] = rcp(sum);
      if (own + r < a.seq) {
        top = max(top, w.largest[m][h]);
        if ((lane() & 3) == 0) st(lse + i64(r) * a.query, kLn2 * (w.top[m][h] + lg2(sum)));
      }
    }
    storeRows<Dim>(w.o[m], inverse[0], inverse[1], y + i64(16 * m) * ldy, ldy, a.seq - own - 16 * m, a.dim);
  }
  if (!a.maxLogit.p) return;
  sync();
  top = blockMax<Warps>(top, reinterpret_cast<float*>(shared));
  if (threadIdx.x == 0) {
    const i64 place = i64(part / a.query) * blocks + block;
    at<float>(a.work, run)[place * a.query + head] = kLn2 * top;
  }
}

// attention_D: D is dim rounded up to a multiple of 32; dim is a multiple of 8 up to 128,
// and rows of all matrices start at multiples of 16 bytes. work is float32
// [n/seq·ceil(seq/128), query] a run, needed with maxLogit only.
// launch: grid (n/seq*query*ceil(seq/128), 1, runs) block 128 shared 0
extern "C" __global__ void __launch_bounds__(128, 3) attention_32(AttentionArgs a) { attention<32, 4, 64>(a); }
// launch: grid (n/seq*query*ceil(seq/128), 1, runs) block 128 shared 0
extern "C" __global__ void __launch_bounds__(128, 2) attention_64(AttentionArgs a) { attention<64, 4, 64>(a); }
// launch: grid (n/seq*query*ceil(seq/128), 1, runs) block 128 shared 0
extern "C" __global__ void __launch_bounds__(128, 2) attention_96(AttentionArgs a) { attention<96, 4, 32>(a); }
// launch: grid (n/seq*query*ceil(seq/128), 1, runs) block 256 shared 0
extern "C" __global__ void __launch_bounds__(256, 1) attention_128(AttentionArgs a) { attention<128, 8, 32>(a); }

// attention_max_logit, after attention where maxLogit is given.
// launch: grid (query, 1, runs) block 256 shared 0
extern "C" __global__ void __launch_bounds__(256) attention_max_logit(AttentionArgs a) {
  __shared__ float parts[8];
  const int run = runOf(a.runs), head = blockIdx.x;
  const float* work = at<float>(a.work, run) + head;
  const int count = a.n / a.seq * ceilDiv(a.seq, kQueryRows);
  float top = -__builtin_inff();
  for (int i = threadIdx.x; i < count; i += 256) top = max(top, work[i64(i) * a.query]);
  top = blockMax<8>(top, parts);
  if (threadIdx.x == 0) at<float>(a.maxLogit, run)[head] = top;
}
