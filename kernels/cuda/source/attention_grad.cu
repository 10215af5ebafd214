// Causal attention, backward: Dao 2023, FlashAttention-2, algorithm 2. With
// P = exp(scale·q·kᵀ − LSE), delta = Σ dy∘y and dS = scale·P∘(dy·vᵀ − delta),
// dq = dS·k, dk = dSᵀ·q, dv = Pᵀ·dy. Instead of adding to dq from many blocks, which
// needs atomics, blocks of threads that own queries and others that own keys both compute
// P and dS. Either has its own rows as operands in registers, and P and dS come out of
// the products there as the next ones take them.
#include "attention.h"

// scores sets s = a·xᵀ and t = b·yᵀ, for Columns rows of the tiles x and y from row on.
template <int Dim, int Tiles, int Columns>
DEVICE void scores(float (&s)[Tiles][Columns / 8][4], float (&t)[Tiles][Columns / 8][4], const u32 (&a)[Tiles][Dim / 16][4],
                   const u32 (&b)[Tiles][Dim / 16][4], u32 x, u32 y, int row) {
  zero(s), zero(t);
#pragma unroll
  for (int k = 0; k < Dim / 16; k++) {
#pragma unroll
    for (int n = 0; n < Columns / 8; n += 2) {
      u32 c[4], d[4];
      Tile<Dim>::load(c, x, row + 8 * n, k);
      Tile<Dim>::load(d, y, row + 8 * n, k);
#pragma unroll
      for (int m = 0; m < Tiles; m++) {
        mma16816(s[m][n], a[m][k], c[0], c[1]);
        mma16816(s[m][n + 1], a[m][k], c[2], c[3]);
        mma16816(t[m][n], b[m][k], d[0], d[1]);
        mma16816(t[m][n + 1], b[m][k], d[2], d[3]);
      }
    }
  }
}

// accumulate adds p·x to d for Columns rows of the tile x from row on.
template <int Dim, int Tiles, int Columns>
DEVICE void accumulate(float (&d)[Tiles][Dim / 8][4], const u32 (&p)[Tiles][Columns / 16][4], u32 x, int row) {
#pragma unroll
  for (int n = 0; n < Columns / 16; n++) {
#pragma unroll
    for (int k = 0; k < Dim / 16; k++) {
      u32 b[4];
      Tile<Dim>::loadTrans(b, x, row + 16 * n, k);
#pragma unroll
      for (int m = 0; m < Tiles; m++) {
        mma16816(d[m][2 * k], p[m][n], b[0], b[1]);
        mma16816(d[m][2 * k + 1], p[m][n], b[2], b[3]);
      }
    }
  }
}

// GradQuery is the work of a warp on Tiles times 16 queries.
template <int Dim, int Tiles>
struct GradQuery {
  u32 q[Tiles][Dim / 16][4], dy[Tiles][Dim / 16][4];
  float lse[Tiles][2], delta[Tiles][2], dq[Tiles][Dim / 8][4];

  // block adds what Columns keys give, the first of them in row of the tiles: Step at a
  // time, with the next scores taken before the last are used up, to overlap them. With
  // Diagonal ≥ 0 they are sixteen, of the numbers of the queries of that tile.
  template <int Columns, int Step, int Diagonal>
  __device__ __forceinline__ void block(u32 keys, u32 values, int row, float scale) {
    float s[Tiles][Step / 8][4], t[Tiles][Step / 8][4];
    scores<Dim, Tiles, Step>(s, t, q, dy, keys, values, row);
#pragma unroll
    for (int n = 0; n < Columns; n += Step) {
      u32 ds[Tiles][Step / 16][4];
#pragma unroll
      for (int m = 0; m < Tiles; m++) {
        if (m == Diagonal) maskAbove(s[m][0], s[m][1]);
        if (m < Diagonal) maskAll(s[m][0], s[m][1]);
#pragma unroll
        for (int c = 0; c < Step / 8; c++)
#pragma unroll
          for (int i = 0; i < 4; i++)
            t[m][c][i] = ex2(fmaf(s[m][c][i], scale, -lse[m][i / 2])) * (t[m][c][i] - delta[m][i / 2]);
#pragma unroll
        for (int c = 0; c < Step / 16; c++) packOperand(ds[m][c], t[m][2 * c], t[m][2 * c + 1]);
      }
      if (n + Step < Columns) scores<Dim, Tiles, Step>(s, t, q, dy, keys, values, row + n + Step);
      accumulate<Dim, Tiles, Step>(dq, ds, keys, row + n);
    }
  }
  template <int Diagonal = 0>
  __device__ __forceinline__ void diagonal(u32 keys, u32 values, int row, float scale) {
    block<16, 16, Diagonal>(keys, values, row, scale);
    if constexpr (Diagonal + 1 < Tiles) diagonal<Diagonal + 1>(keys, values, row + 16, scale);
  }
};

// attentionGradQuery computes dq of Warps·Tiles·16 queries of a head in a loop over
// blocks of Keys keys.
template <int Dim, int Warps, int Tiles, int Keys, int Step>
DEVICE void attentionGradQuery(const AttentionGradArgs& a, int index, u32 tiles) {
  constexpr int kRows = 16 * Tiles, kBlock = Warps * kRows;
  typedef TileCopy<Dim, Keys, 32 * Warps> Copy;
  static_assert(Keys % kRows == 0 && Keys % Step == 0, "the diagonal is at the end of a block");
  const int run = runOf(a.runs), blocks = ceilDiv(a.seq, kBlock);
  const int part = index / blocks, first = (blocks - 1 - index % blocks) * kBlock;  // the longest first
  const int head = part % a.query;
  const i64 start = i64(part / a.query) * a.seq;
  const HeadGrad h = headGrad(a, run, start, head);
  const int end = min(a.seq, first + kBlock);
  Copy source(h.k, h.ldk, h.v, h.ldv, a.dim);
  const auto copy = [&](int key) {
    const u32 slot = tiles + key / Keys % 2 * 2 * Copy::kTile;
    source.start(slot, slot + Copy::kTile, h.ldk, h.ldv, a.seq - key);
    source.move(i64(Keys) * h.ldk, i64(Keys) * h.ldv);
    copyAsyncCommit();
  };
  copy(0);

  const int row = first + ((warp() + part) & (Warps - 1)) * kRows, own = row + lane() / 4, valid = a.seq - own;
  const float scale = a.scale * kLog2e;
  GradQuery<Dim, Tiles> w;
  zero(w.dq);
#pragma unroll
  for (int m = 0; m < Tiles; m++) {
    loadRows<Dim>(w.q[m], h.q + i64(own + 16 * m) * h.ldk, h.ldk, valid - 16 * m, a.dim);
    loadRows<Dim>(w.dy[m], h.dy + i64(own + 16 * m) * h.ldy, h.ldy, valid - 16 * m, a.dim);
#pragma unroll
    for (int i = 0; i < 2; i++) {
      const int r = 16 * m + 8 * i;
      w.lse[m][i] = r < valid ? kLog2e * ld(h.lse + i64(own + r) * a.query) : 0;
      w.delta[m][i] = r < valid ? ld(h.delta + i64(own + r) * a.query) : 0;
    }
  }

  for (int key = 0; key < end; key += Keys) {
    copyAsyncWait<0>();
    sync();
    if (key + Keys < end) copy(key + Keys);
    const u32 keys = tiles + key / Keys % 2 * 2 * Copy::kTile, values = keys + Copy::kTile;
    if (row >= a.seq || key > row) continue;
    if (key + Keys <= row) {
      w.template block<Keys, Step, -1>(keys, values, 0, scale);
    } else {
#pragma unroll 1
      for (int n = 0; n < row - key; n += 16) w.template block<16, 16, -1>(keys, values, n, scale);
      w.diagonal(keys, values, row - key, scale);
    }
  }
  bf16* out = at<bf16>(a.dqk, run) + (start + own) * h.ldk + head * a.dim;
#pragma unroll
  for (int m = 0; m < Tiles; m++) storeRows<Dim>(w.dq[m], a.scale, a.scale, out + i64(16 * m) * h.ldk, h.ldk, valid - 16 * m, a.dim);
}

// GradKey is the work of a warp on Tiles times 16 keys.
template <int Dim, int Tiles>
struct GradKey {
  u32 k[Tiles][Dim / 16][4], v[Tiles][Dim / 16][4];
  float dk[Tiles][Dim / 8][4], dv[Tiles][Dim / 8][4];

  // block adds what Columns queries give, as in GradQuery. LSE and delta of the queries
  // are at lse and delta.
  template <int Columns, int Step, int Diagonal>
  __device__ __forceinline__ void block(u32 queries, u32 outs, u32 lse, u32 delta, int row, float scale) {
    float s[Tiles][Step / 8][4], t[Tiles][Step / 8][4];
    scores<Dim, Tiles, Step>(s, t, k, v, queries, outs, row);
#pragma unroll
    for (int n = 0; n < Columns; n += Step) {
      u32 p[Tiles][Step / 16][4], ds[Tiles][Step / 16][4];
#pragma unroll
      for (int m = 0; m < Tiles; m++) {
        if (m == Diagonal) maskBelow(s[m][0], s[m][1]);
        if (Diagonal >= 0 && m > Diagonal) maskAll(s[m][0], s[m][1]);
      }
#pragma unroll
      for (int c = 0; c < Step / 8; c++) {
        const u32 column = 4 * (row + n + 8 * c + 2 * (lane() & 3));
        const f32x2 l = kLog2e * sharedPair(lse + column), d = sharedPair(delta + column);
#pragma unroll
        for (int m = 0; m < Tiles; m++)
#pragma unroll
          for (int i = 0; i < 4; i++) {
            s[m][c][i] = ex2(fmaf(s[m][c][i], scale, -l[i % 2]));
            t[m][c][i] = s[m][c][i] * (t[m][c][i] - d[i % 2]);
          }
      }
#pragma unroll
      for (int m = 0; m < Tiles; m++)
#pragma unroll
        for (int c = 0; c < Step / 16; c++) {
          packOperand(p[m][c], s[m][2 * c], s[m][2 * c + 1]);
          packOperand(ds[m][c], t[m][2 * c], t[m][2 * c + 1]);
        }
      if (n + Step < Columns) scores<Dim, Tiles, Step>(s, t, k, v, queries, outs, row + n + Step);
      accumulate<Dim, Tiles, Step>(dv, p, outs, row + n);
      accumulate<Dim, Tiles, Step>(dk, ds, queries, row + n);
    }
  }
  template <int Diagonal = 0>
  __device__ __forceinline__ void diagonal(u32 queries, u32 outs, u32 lse, u32 delta, int row, float scale) {
    block<16, 16, Diagonal>(queries, outs, lse, delta, row, scale);
    if constexpr (Diagonal + 1 < Tiles) diagonal<Diagonal + 1>(queries, outs, lse, delta, row + 16, scale);
  }
};

// A slot of attentionGradKey: tiles of queries and dy, their LSE and delta.
template <int Dim, int Queries>
constexpr int kKeySlot = 2 * Queries * Tile<Dim>::kPitch + 8 * Queries;

// attentionGradKey computes dk and dv of Warps·Tiles·16 keys of a key-value head in a
// loop over all query heads of its group and blocks of Queries queries.
template <int Dim, int Warps, int Tiles, int Queries, int Step>
DEVICE void attentionGradKey(const AttentionGradArgs& a, int index, u32 tiles) {
  constexpr int kRows = 16 * Tiles, kBlock = Warps * kRows, kSlot = kKeySlot<Dim, Queries>;
  typedef TileCopy<Dim, Queries, 32 * Warps> Copy;
  static_assert(2 * Queries <= 32 * Warps, "a thread copies one of LSE and delta");
  static_assert(Queries % kRows == 0 && Queries % Step == 0, "the diagonal is in one block");
  const int run = runOf(a.runs), blocks = ceilDiv(a.seq, kBlock), group = a.query / a.keyValue;
  const int part = index / blocks, first = index % blocks * kBlock;
  const int keyHead = part % a.keyValue;
  const i64 start = i64(part / a.keyValue) * a.seq;
  const HeadGrad h = headGrad(a, run, start, keyHead * group);
  const int from = first / Queries * Queries;

  // The next block to copy: from a query and a head of the group on.
  int nextQuery = from, nextHead = 0;
  Copy source(h.q + i64(from) * h.ldk, h.ldk, h.dy + i64(from) * h.ldy, h.ldy, a.dim);
  const float* number = (threadIdx.x < Queries ? h.lse : h.delta) + i64(from + threadIdx.x % Queries) * a.query;
  const auto copy = [&](u32 slot) {
    source.start(slot, slot + Copy::kTile, h.ldk, h.ldy, a.seq - nextQuery);
    if (threadIdx.x < 2 * Queries) {
      copyAsync4(slot + 2 * Copy::kTile + 4 * threadIdx.x, number, nextQuery + int(threadIdx.x % Queries) < a.seq);
    }
    copyAsyncCommit();
    int by = Queries, head = 0;
    nextQuery += Queries;
    if (nextQuery >= a.seq) by += from - nextQuery, head = 1, nextQuery = from, nextHead++;
    source.move(i64(by) * h.ldk + head * a.dim, i64(by) * h.ldy + head * a.dim);
    number += i64(by) * a.query + head;
  };
  u32 slot = tiles, other = tiles + kSlot;
  copy(slot);

  const int row = first + ((warp() + part) & (Warps - 1)) * kRows, own = row + lane() / 4, valid = a.seq - own;
  const float scale = a.scale * kLog2e;
  GradKey<Dim, Tiles> w;
  zero(w.dk), zero(w.dv);
#pragma unroll
  for (int m = 0; m < Tiles; m++) {
    loadRows<Dim>(w.k[m], h.k + i64(own + 16 * m) * h.ldk, h.ldk, valid - 16 * m, a.dim);
    loadRows<Dim>(w.v[m], h.v + i64(own + 16 * m) * h.ldv, h.ldv, valid - 16 * m, a.dim);
  }

  for (int head = 0; head < group; head++) {
    for (int query = from; query < a.seq; query += Queries) {
      copyAsyncWait<0>();
      sync();
      if (nextHead < group) copy(other);
      const u32 queries = slot, outs = queries + Copy::kTile, lse = outs + Copy::kTile, delta = lse + 4 * Queries;
      slot = other, other = queries;
      const int n0 = row - query;
      if (n0 >= Queries || row >= a.seq) continue;
      if (n0 < 0) {
        w.template block<Queries, Step, -1>(queries, outs, lse, delta, 0, scale);
      } else {
        w.diagonal(queries, outs, lse, delta, n0, scale);
#pragma unroll 1
        for (int n = n0 + kRows; n < Queries; n += 16) w.template block<16, 16, -1>(queries, outs, lse, delta, n, scale);
      }
    }
  }
  bf16* dk = at<bf16>(a.dqk, run) + (start + own) * h.ldk + (a.query + keyHead) * a.dim;
  bf16* dv = at<bf16>(a.dqkv, run) + (start + own) * h.ldv + (a.query + a.keyValue + keyHead) * a.dim;
#pragma unroll
  for (int m = 0; m < Tiles; m++) {
    storeRows<Dim>(w.dk[m], a.scale, a.scale, dk + i64(16 * m) * h.ldk, h.ldk, valid - 16 * m, a.dim);
    storeRows<Dim>(w.dv[m], 1, 1, dv + i64(16 * m) * h.ldv, h.ldv, valid - 16 * m, a.dim);
  }
}

// attentionGrad does both in one launch, so that one fills the gaps of the other: first
// the blocks of 64·KeyTiles keys, then those of 64·QueryTiles queries. Others leave.
template <int Dim, int KeyTiles, int Queries, int KeyStep, int QueryTiles, int Keys, int QueryStep>
DEVICE void attentionGrad(const AttentionGradArgs& a) {
  constexpr int kKeyBytes = 2 * kKeySlot<Dim, Queries>, kQueryBytes = 4 * Keys * Tile<Dim>::kPitch;
  __shared__ __attribute__((aligned(128))) u8 shared[kKeyBytes > kQueryBytes ? kKeyBytes : kQueryBytes];
  const u32 tiles = sharedAddress(shared);
  const int sequences = a.n / a.seq, index = blockIdx.x;
  const int keyBlocks = sequences * a.keyValue * ceilDiv(a.seq, 64 * KeyTiles);
  const int queryBlocks = sequences * a.query * ceilDiv(a.seq, 64 * QueryTiles);
  if (index < keyBlocks) attentionGradKey<Dim, 4, KeyTiles, Queries, KeyStep>(a, index, tiles);
  else if (index - keyBlocks < queryBlocks) attentionGradQuery<Dim, 4, QueryTiles, Keys, QueryStep>(a, index - keyBlocks, tiles);
}

// attention_grad_D, after attention_grad_delta: D as in attention_D.
// launch: grid (n/seq*(keyValue*ceil(seq/64) + query*ceil(seq/64)), 1, runs) block 128 shared 0
extern "C" __global__ void __launch_bounds__(128, 4) attention_grad_32(AttentionGradArgs a) {
  attentionGrad<32, 1, 64, 16, 1, 64, 16>(a);
}
// launch: grid (n/seq*(keyValue*ceil(seq/64) + query*ceil(seq/128)), 1, runs) block 128 shared 0
extern "C" __global__ void __launch_bounds__(128, 2) attention_grad_64(AttentionGradArgs a) {
  attentionGrad<64, 1, 64, 32, 2, 64, 16>(a);
}
// launch: grid (n/seq*(keyValue*ceil(seq/64) + query*ceil(seq/64)), 1, runs) block 128 shared 0
extern "C" __global__ void __launch_bounds__(128, 2) attention_grad_96(AttentionGradArgs a) {
  attentionGrad<96, 1, 32, 32, 1, 32, 32>(a);
}
// launch: grid (n/seq*(keyValue*ceil(seq/64) + query*ceil(seq/64)), 1, runs) block 128 shared 0
extern "C" __global__ void __launch_bounds__(128, 2) attention_grad_128(AttentionGradArgs a) {
  attentionGrad<128, 1, 32, 16, 1, 32, 16>(a);
}

// attention_grad_delta: delta = Σ dy∘y of every row and head, by four lanes.
// launch: grid (ceil(n*query/64), 1, runs) block 256 shared 0
extern "C" __global__ void __launch_bounds__(256) attention_grad_delta(AttentionGradArgs a) {
  const int run = runOf(a.runs), t = lane() & 3;
  const i64 i = i64(blockIdx.x) * 64 + threadIdx.x / 4;
  const bool valid = i < i64(a.n) * a.query;
  const u32x4* dy = reinterpret_cast<const u32x4*>(at<bf16>(a.dy, run) + i * a.dim);
  const u32x4* y = reinterpret_cast<const u32x4*>(at<bf16>(a.y, run) + i * a.dim);
  float sum = 0;
#pragma unroll
  for (int piece = t; piece < t + 16; piece += 4) {
    if (!valid || 8 * piece >= a.dim) continue;
    const u32x4 v = ld(dy + piece), w = ld(y + piece);
#pragma unroll
    for (int j = 0; j < 4; j++) sum += lowHalf(v[j]) * lowHalf(w[j]) + highHalf(v[j]) * highHalf(w[j]);
  }
  sum = warpSum<4>(sum);
  if (valid && t == 0) st(at<float>(a.delta, run) + i, sum);
}
