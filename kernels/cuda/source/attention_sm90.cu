// Causal attention, forward, on sm_90a: attention.cu with the products of a warpgroup. The
// warpgroups of a block share the tiles of keys and values.
#include "attention_hopper.h"

namespace {

// Softmax of the lane's rows, lane/4 and lane/4+8 of its warp's: largest is the largest logit
// so far and top that to which sums and results are relative, in base 2.
struct Softmax {
  float top[2] = {-__builtin_inff(), -__builtin_inff()}, largest[2] = {-__builtin_inff(), -__builtin_inff()};
  float sum[2] = {0, 0};  // of this lane's columns

  // exponentials turns scores into exponentials relative to top. Results are rescaled only
  // once one would exceed 2⁸: below, nothing overflows, and bfloat16 is as exact as below 1.
  // Every query sees key 0, in the first block, so top is finite.
  template <int Dim>
  __device__ __forceinline__ void exponentials(float (&s)[8][4], float (&o)[Dim / 8][4], float scale) {
    bool grows = false;
#pragma unroll
    for (int h = 0; h < 2; h++) {
      float x = s[0][2 * h];
#pragma unroll
      for (int j = 0; j < 8; j++) x = max(x, max(s[j][2 * h], s[j][2 * h + 1]));
      x = scale * warpMax<4>(x);
      largest[h] = max(largest[h], x);
      grows |= x > top[h] + 8;
    }
    if (ballot(grows)) {
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const float factor = ex2(top[h] - largest[h]);
        top[h] = largest[h];
        sum[h] *= factor;
#pragma unroll
        for (int j = 0; j < Dim / 8; j++) o[j][2 * h] *= factor, o[j][2 * h + 1] *= factor;
      }
    }
#pragma unroll
    for (int h = 0; h < 2; h++) {
      float part = 0;
#pragma unroll
      for (int j = 0; j < 8; j++)
#pragma unroll
        for (int i = 2 * h; i < 2 * h + 2; i++) {
          s[j][i] = ex2(fmaf(s[j][i], scale, -top[h]));
          part += s[j][i];
        }
      sum[h] += part;
    }
  }
};

// attention computes Groups·64 queries of a head in a loop over blocks of keys. Shared
// memory: the queries, two slots of keys and values.
template <int Dim, int Groups>
DEVICE void attention(const AttentionArgs& a) {
  constexpr int kBlock = Groups * kBlockRows, kWarps = 4 * Groups;
  static_assert(kBlock == kQueryRows, "the largest logits have their places");
  typedef TileCopy<Dim, kBlockRows, 32 * kWarps> Copy;
  const u32 shared = sharedAddress(sharedMemory), slots = shared + Groups * Copy::kTile;
  const int run = runOf(a.runs), blocks = ceilDiv(a.seq, kBlock);
  const int part = blockIdx.x / blocks, block = blocks - 1 - blockIdx.x % blocks;  // the longest first
  const int head = part % a.query, first = block * kBlock, end = min(a.seq, first + kBlock);
  const int keyHead = a.query + head / (a.query / a.keyValue);
  const i64 start = i64(part / a.query) * a.seq;
  const int ldk = (a.query + a.keyValue) * a.dim, ldv = ldk + a.keyValue * a.dim;
  const bf16* k = at<bf16>(a.qk, run) + start * ldk + keyHead * a.dim;
  const bf16* v = at<bf16>(a.qkv, run) + start * ldv + (keyHead + a.keyValue) * a.dim;
  const bf16* q = at<bf16>(a.qk, run) + (start + first) * ldk + head * a.dim;
  TileCopy<Dim, kBlock, 32 * kWarps>(q, ldk, q, ldk, a.dim).startFirst(shared, ldk, a.seq - first);
  Copy source(k, ldk, v, ldv, a.dim);
  const auto copy = [&](int key) INLINE {
    const u32 slot = slots + key / kBlockRows % 2 * 2 * Copy::kTile;
    source.start(slot, slot + Copy::kTile, ldk, ldv, a.seq - key);
    source.move(i64(kBlockRows) * ldk, i64(kBlockRows) * ldv);
    copyAsyncCommit();
  };
  copy(0);

  const int row = first + warp() / 4 * kBlockRows, own = row + ownRow(), valid = a.seq - own;
  const float scale = a.scale * kLog2e;
  const u32 queries = shared + warp() / 4 * Copy::kTile;
  float o[Dim / 8][4];
  Softmax rows;
#pragma unroll
  for (int j = 0; j < Dim / 8; j++)
#pragma unroll
    for (int i = 0; i < 4; i++) o[j][i] = 0;

#pragma unroll 1
  for (int key = 0; key < end; key += kBlockRows) {
    tilesReady();
    if (key + kBlockRows < end) copy(key + kBlockRows);
    if (row >= a.seq || key > row) continue;
    const u32 keys = slots + key / kBlockRows % 2 * 2 * Copy::kTile, values = keys + Copy::kTile;
    float s[8][4];
    u32 p[4][4];
    wgmmaBegin();
    scores<Dim>(s, queries, keys);
    wgmmaCommit();
    wgmmaWait<0>();
    wgmmaResults(s);
    if (key == row) maskAbove(s);
    rows.exponentials<Dim>(s, o, scale);
    packRows(p, s);
    wgmmaBegin();
    gather<Dim>(o, p, values);
    wgmmaCommit();
    wgmmaWait<0>();
    wgmmaResults(o);
  }

  const int ldy = a.query * a.dim;
  float* lse = at<float>(a.lse, run) + (start + own) * a.query + head;
  float top = -__builtin_inff(), inverse[2];
#pragma unroll
  for (int h = 0; h < 2; h++) {
    const float sum = warpSum<4>(rows.sum[h]);
    inverse[h] = rcp(sum);
    if (8 * h >= valid) continue;
    top = max(top, rows.largest[h]);
    if ((lane() & 3) == 0) st(lse + i64(8 * h) * a.query, kLn2 * (rows.top[h] + lg2(sum)));
  }
  storeRows<Dim>(o, inverse[0], inverse[1], at<bf16>(a.y, run) + (start + own) * ldy + head * a.dim, ldy, valid, a.dim);
  if (!a.maxLogit.p) return;
  sync();
  top = blockMax<kWarps>(top, reinterpret_cast<float*>(sharedMemory));
  if (threadIdx.x == 0) {
    const i64 place = i64(part / a.query) * blocks + block;
    at<float>(a.work, run)[place * a.query + head] = kLn2 * top;
  }
}

}  // namespace

// attention_sm90_64: as attention_64.
// launch: grid (n/seq*query*ceil(seq/128), 1, runs) block 256 shared 49152
extern "C" __global__ void __launch_bounds__(256, 2) attention_sm90_64(AttentionArgs a) { attention<64, 2>(a); }
