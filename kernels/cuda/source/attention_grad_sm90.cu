// Causal attention, backward, on sm_90a: attention_grad.cu with the products of a
// warpgroup. The warpgroups of a block share the tiles of what they loop over.
#include "attention_hopper.h"

namespace {

// gradQuery computes dq of Groups·64 queries of a head in a loop over blocks of keys.
// Shared memory: the queries, their dy, two slots of keys and values.
template <int Dim, int Groups>
DEVICE void gradQuery(const AttentionGradArgs& a, int index, u32 shared) {
  constexpr int kBlock = Groups * kBlockRows;
  typedef TileCopy<Dim, kBlockRows, 128 * Groups> Copy;
  const int run = runOf(a.runs), blocks = ceilDiv(a.seq, kBlock);
  const int part = index / blocks, first = (blocks - 1 - index % blocks) * kBlock;  // the longest first
  const int head = part % a.query;
  const i64 start = i64(part / a.query) * a.seq;
  const HeadGrad h = headGrad(a, run, start, head);
  const int end = min(a.seq, first + kBlock);
  const u32 slots = shared + 2 * Groups * Copy::kTile;

  TileCopy<Dim, kBlock, 128 * Groups> own(h.q + i64(first) * h.ldk, h.ldk, h.dy + i64(first) * h.ldy, h.ldy, a.dim);
  own.start(shared, shared + Groups * Copy::kTile, h.ldk, h.ldy, a.seq - first);
  Copy source(h.k, h.ldk, h.v, h.ldv, a.dim);
  const auto copy = [&](int key) INLINE {
    const u32 slot = slots + key / kBlockRows % 2 * 2 * Copy::kTile;
    source.start(slot, slot + Copy::kTile, h.ldk, h.ldv, a.seq - key);
    source.move(i64(kBlockRows) * h.ldk, i64(kBlockRows) * h.ldv);
    copyAsyncCommit();
  };
  copy(0);

  const int row = first + warp() / 4 * kBlockRows, mine = row + ownRow(), valid = a.seq - mine;
  const u32 queries = shared + warp() / 4 * Copy::kTile, outs = queries + Groups * Copy::kTile;
  const float scale = a.scale * kLog2e;
  float lse[2], delta[2], dq[Dim / 8][4];
#pragma unroll
  for (int i = 0; i < 2; i++) {
    lse[i] = 8 * i < valid ? kLog2e * ld(h.lse + i64(mine + 8 * i) * a.query) : 0;
    delta[i] = 8 * i < valid ? ld(h.delta + i64(mine + 8 * i) * a.query) : 0;
  }
#pragma unroll
  for (int j = 0; j < Dim / 8; j++)
#pragma unroll
    for (int i = 0; i < 4; i++) dq[j][i] = 0;

#pragma unroll 1
  for (int key = 0; key < end; key += kBlockRows) {
    tilesReady();
    if (key + kBlockRows < end) copy(key + kBlockRows);
    if (row >= a.seq || key > row) continue;
    const u32 keys = slots + key / kBlockRows % 2 * 2 * Copy::kTile, values = keys + Copy::kTile;
    float s[8][4], t[8][4];
    u32 ds[4][4];
    wgmmaBegin();
    scores<Dim>(s, queries, keys);
    wgmmaCommit();
    scores<Dim>(t, outs, values);
    wgmmaCommit();
    wgmmaWait<1>();
    wgmmaResults(s);
    if (key == row) maskAbove(s);
#pragma unroll
    for (int j = 0; j < 8; j++)
#pragma unroll
      for (int i = 0; i < 4; i++) s[j][i] = ex2(fmaf(s[j][i], scale, -lse[i / 2]));
    wgmmaWait<0>();
    wgmmaResults(t);
#pragma unroll
    for (int j = 0; j < 8; j++)
#pragma unroll
      for (int i = 0; i < 4; i++) t[j][i] = s[j][i] * (t[j][i] - delta[i / 2]);
    packRows(ds, t);
    wgmmaBegin();
    gather<Dim>(dq, ds, keys);
    wgmmaCommit();
    wgmmaWait<0>();
    wgmmaResults(dq);
  }
  bf16* out = at<bf16>(a.dqk, run) + (start + mine) * h.ldk + head * a.dim;
  storeRows<Dim>(dq, a.scale, a.scale, out, h.ldk, valid, a.dim);
}

// gradKey computes dk and dv of Groups·64 keys of a key-value head in a loop over all query
// heads of its group and blocks of queries. Shared memory: the keys, their values, two slots
// of queries and dy, and two of LSE and delta.
template <int Dim, int Groups>
DEVICE void gradKey(const AttentionGradArgs& a, int index, u32 shared) {
  constexpr int kBlock = Groups * kBlockRows;
  typedef TileCopy<Dim, kBlockRows, 128 * Groups> Copy;
  const int run = runOf(a.runs), blocks = ceilDiv(a.seq, kBlock), group = a.query / a.keyValue;
  const int part = index / blocks, first = index % blocks * kBlock;
  const int keyHead = part % a.keyValue;
  const i64 start = i64(part / a.keyValue) * a.seq;
  const HeadGrad h = headGrad(a, run, start, keyHead * group);
  const u32 slots = shared + 2 * Groups * Copy::kTile, numbers = slots + 4 * Copy::kTile;

  TileCopy<Dim, kBlock, 128 * Groups> own(h.k + i64(first) * h.ldk, h.ldk, h.v + i64(first) * h.ldv, h.ldv, a.dim);
  own.start(shared, shared + Groups * Copy::kTile, h.ldk, h.ldv, a.seq - first);

  // The next block to copy: from a query and a head of the group on.
  int nextQuery = first, nextHead = 0;
  Copy source(h.q + i64(first) * h.ldk, h.ldk, h.dy + i64(first) * h.ldy, h.ldy, a.dim);
  const float* number = (threadIdx.x < kBlockRows ? h.lse : h.delta) + i64(first + threadIdx.x % kBlockRows) * a.query;
  const auto copy = [&](int slot) INLINE {
    const u32 to = slots + slot * 2 * Copy::kTile;
    source.start(to, to + Copy::kTile, h.ldk, h.ldy, a.seq - nextQuery);
    if (threadIdx.x < 2 * kBlockRows) {
      copyAsync4(numbers + (slot * 2 * kBlockRows + threadIdx.x) * 4, number, nextQuery + int(threadIdx.x % kBlockRows) < a.seq);
    }
    copyAsyncCommit();
    int by = kBlockRows, head = 0;
    nextQuery += kBlockRows;
    if (nextQuery >= a.seq) by += first - nextQuery, head = 1, nextQuery = first, nextHead++;
    source.move(i64(by) * h.ldk + head * a.dim, i64(by) * h.ldy + head * a.dim);
    number += i64(by) * a.query + head;
  };
  copy(0);

  const int row = first + warp() / 4 * kBlockRows;
  const u32 keys = shared + warp() / 4 * Copy::kTile, values = keys + Groups * Copy::kTile;
  const float scale = a.scale * kLog2e;
  float dk[Dim / 8][4], dv[Dim / 8][4];
#pragma unroll
  for (int j = 0; j < Dim / 8; j++)
#pragma unroll
    for (int i = 0; i < 4; i++) dk[j][i] = dv[j][i] = 0;

  int slot = 0;
#pragma unroll 1
  for (int head = 0; head < group; head++) {
#pragma unroll 1
    for (int query = first; query < a.seq; query += kBlockRows) {
      tilesReady();
      if (nextHead < group) copy(slot ^ 1);
      const u32 queries = slots + slot * 2 * Copy::kTile, outs = queries + Copy::kTile;
      const u32 lse = numbers + slot * 8 * kBlockRows + 8 * (lane() & 3), delta = lse + 4 * kBlockRows;
      slot ^= 1;
      if (row >= a.seq || query < row) continue;
      float s[8][4], t[8][4];
      u32 p[4][4], ds[4][4];
      wgmmaBegin();
      scores<Dim>(s, keys, queries);
      wgmmaCommit();
      scores<Dim>(t, values, outs);
      wgmmaCommit();
      wgmmaWait<1>();
      wgmmaResults(s);
      if (query == row) maskBelow(s);
#pragma unroll
      for (int j = 0; j < 8; j++) {
        const f32x2 l = kLog2e * sharedPair(lse + 32 * j);
#pragma unroll
        for (int i = 0; i < 4; i++) s[j][i] = ex2(fmaf(s[j][i], scale, -l[i % 2]));
      }
      wgmmaWait<0>();
      wgmmaResults(t);
#pragma unroll
      for (int j = 0; j < 8; j++) {
        const f32x2 d = sharedPair(delta + 32 * j);
#pragma unroll
        for (int i = 0; i < 4; i++) t[j][i] = s[j][i] * (t[j][i] - d[i % 2]);
      }
      packRows(p, s);
      packRows(ds, t);
      wgmmaBegin();
      gather<Dim>(dv, p, outs);
      gather<Dim>(dk, ds, queries);
      wgmmaCommit();
      wgmmaWait<0>();
      wgmmaResults(dv), wgmmaResults(dk);
    }
  }
  const int mine = row + ownRow(), valid = a.seq - mine;
  bf16* outK = at<bf16>(a.dqk, run) + (start + mine) * h.ldk + (a.query + keyHead) * a.dim;
  bf16* outV = at<bf16>(a.dqkv, run) + (start + mine) * h.ldv + (a.query + a.keyValue + keyHead) * a.dim;
  storeRows<Dim>(dk, a.scale, a.scale, outK, h.ldk, valid, a.dim);
  storeRows<Dim>(dv, 1, 1, outV, h.ldv, valid, a.dim);
}

// attentionGrad does both in one launch, so that one fills the gaps of the other: first
// the blocks of keys, then those of queries. Others leave.
template <int Dim, int Groups>
DEVICE void attentionGrad(const AttentionGradArgs& a) {
  const u32 shared = sharedAddress(sharedMemory);
  const int sequences = a.n / a.seq, index = blockIdx.x, blocks = ceilDiv(a.seq, Groups * kBlockRows);
  const int keyBlocks = sequences * a.keyValue * blocks, queryBlocks = sequences * a.query * blocks;
  if (index < keyBlocks) gradKey<Dim, Groups>(a, index, shared);
  else if (index - keyBlocks < queryBlocks) gradQuery<Dim, Groups>(a, index - keyBlocks, shared);
}

}  // namespace

// attention_grad_sm90_D, after attention_grad_delta: D as in attention_D.
// launch: grid (n/seq*(keyValue+query)*ceil(seq/64), 1, runs) block 128 shared 25600
extern "C" __global__ void __launch_bounds__(128, 4) attention_grad_sm90_32(AttentionGradArgs a) { attentionGrad<32, 1>(a); }
// launch: grid (n/seq*(keyValue+query)*ceil(seq/64), 1, runs) block 128 shared 50176
extern "C" __global__ void __launch_bounds__(128, 3) attention_grad_sm90_64(AttentionGradArgs a) { attentionGrad<64, 1>(a); }
