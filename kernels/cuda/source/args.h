// The arguments of every kernel, one struct each, passed by value as the only parameter.
// Package cuda has the same structs in Go, field for field; a test compares sizes and
// offsets. Pointers and 64-bit integers come first, so that no struct has hidden padding.
//
// A kernel works for all active runs in one launch: blockIdx.z is a slot, and runs[slot]
// the run's number. Element i of run r of a buffer is at p + r·stride + i, in elements of
// the buffer's type; shared buffers have stride 0. Rows and columns are as in package
// kernels, whose operation of the same name says what is computed. "n" is rows (tokens).
//
// T16 is bfloat16. Where a struct has a field and the same with suffix 16, the second is
// an optional bfloat16 copy that the kernel writes beside the float32 one (null: none).
// Where the type of a buffer is said to be "either", a kernel exists for both: the name
// has a suffix per such buffer in the order of the fields, _f for float32, _h for
// bfloat16, e.g. rmsnorm_f_h.
//
// Sums over rows that a block cannot do alone are done in two launches over a workspace,
// in an order that does not depend on timing; no kernel uses floating-point atomics, but
// that gemm on sm_90a adds to a float32 C in the cache, where each element has one block.
#pragma once

struct Ref {
  void* p;
  long long stride;
};

// The slots: how many runs the launch serves is gridDim.z.
typedef const int* Runs;

// embed: y[i] = scale·table[tokens[i]]; table float32 [v,d], y float32 [n,d].
struct EmbedArgs {
  Ref y, table, tokens;
  Runs runs;
  int n, d, v;
  float scale;
};

// token_index orders the rows of the batch by token, once for all runs: order [n] holds
// row numbers, those of token t at first[t] … first[t+1], ascending within one; first
// [v+1]; sorted [n] the tokens in this order.
struct TokenIndexArgs {
  const int* tokens;
  int *order, *sorted, *first;
  int n, v;
};

// embed_grad: dtable[t] += scale·Σ dy[rows of t], dtable float32, dy either [n,d]. Tokens
// are far from evenly spread (a space can be 15% of a batch): the work is cut in pieces
// of a fixed number of rows, and embed_grad_finish adds up the tokens that have several.
// work is float32 [ceil(n/piece), 2, d] a run.
struct EmbedGradArgs {
  Ref dtable, dy, work;
  const int *order, *sorted, *first;
  Runs runs;
  int n, d, v, piece;
  float scale;
};

// rmsnorm: x float32 [n,d]; residual either [n,d] or null; sum float32 (if residual);
// y T16; rstd float32 [n]; gain float32 [d].
struct RMSNormArgs {
  Ref x, residual, sum, y, rstd, gain;
  Runs runs;
  int n, d;
  float residualScale, eps;
};

// rmsnorm_grad: dy either, x float32, dx (+= with add) float32 with its T16 copy, or T16
// alone (dx null). The
// gain's gradient goes through work, float32 [blocks, d] a run, and is
// added to dgain by rmsnorm_grad_gain with the same arguments.
struct RMSNormGradArgs {
  Ref dx, dx16, dy, x, gain, rstd, dgain, work;
  Runs runs;
  int n, d, add, blocks;
};

// swiglu, swiglu_grad: all T16. x [n,2f], y [n,f].
struct SwiGLUArgs {
  Ref y, x;
  Runs runs;
  long long n;
  int f;
};
struct SwiGLUGradArgs {
  Ref dx, dy, x;
  Runs runs;
  long long n;
  int f;
};

// qk_norm_rope: qkv, qk T16, gains float32 [dim] or null, rstd float32 [n,query+keyValue],
// positions int32 [n] (shared), cosSin float32 [maxPosition, dim] = cos in the first
// dim/2 columns, sin in the others, or null for no rotation.
struct QKNormRopeArgs {
  Ref qk, qkv, qGain, kGain, rstd;
  const int* positions;
  const float* cosSin;
  Runs runs;
  int n, query, keyValue, dim;
  float eps;
};
// qk_norm_rope_grad writes the query and key columns of dqkv (T16) from dqk (T16); gain
// gradients through work [blocks, 2·dim] float32 a run, added by qk_norm_rope_grad_gain.
struct QKNormRopeGradArgs {
  Ref dqkv, dqk, qkv, qGain, kGain, rstd, dqGain, dkGain, work;
  const int* positions;
  const float* cosSin;
  Runs runs;
  int n, query, keyValue, dim, blocks;
};

// attention: y, qk, qkv T16, lse float32 [n,query], maxLogit float32 [query] or null (set
// through work, float32 [blocks of rows, query] a run, by attention_max_logit).
struct AttentionArgs {
  Ref y, lse, qk, qkv, maxLogit, work;
  Runs runs;
  int n, query, keyValue, dim, seq;
  float scale;
};
// attention_grad: dqk T16 [n,(query+keyValue)·dim], of dqkv T16 the value columns; delta
// is float32 [n,query] of work memory: attention_grad_delta writes Σ dy∘y to it first.
struct AttentionGradArgs {
  Ref dqk, dqkv, dy, y, lse, qk, qkv, delta;
  Runs runs;
  int n, query, keyValue, dim, seq;
  float scale;
};

// gemm: C = alpha·op(A)·op(B), or += with add. A, B T16; C either. Row-major, leading
// dimensions in elements. transA: A is [k,m]; transB: B is [n,k]. C [m,n]. With
// slices > 1 the inner axis is cut into that many pieces of kSlice, whose float32
// results lie in work [slices,m,n] a run and are summed in order by gemm_reduce.
struct GemmArgs {
  Ref a, b, c, work;
  Runs runs;
  int m, n, k, lda, ldb, ldc;
  int transA, transB, add, slices, kSlice;
  float alpha;
};

// gemm on sm_90a reads A and B, and writes a bfloat16 C without add, through tensor maps
// of the driver: matrices [runs, rows, columns] as they lie in memory, of bfloat16, with
// boxes of [1, 64, 64] elements, 128-byte swizzle, promotion to 128 bytes in L2, zeros
// outside. The first axis is the run's number. g.a.p and g.b.p are not read. The map of C
// is not read where C is float32, or n, ldc or its address not a multiple of 8 elements.
struct alignas(64) TensorMap {
  unsigned long long opaque[16];
};
struct GemmMapArgs {
  TensorMap a, b, c;
  GemmArgs g;
};

// gemm_swiglu: gate = alpha·A·Wgᵀ and up = alpha·A·Wuᵀ, y = silu(gate)·up [m,f]; A [m,k],
// wGate and wUp [f,k] are halves of one matrix, as gate and up [m,f] are, which are written
// where kept.
struct GemmSwiGLUArgs {
  TensorMap a, wGate, wUp, y, gate, up;
  Runs runs;
  int m, f, k, kept;
  float alpha;
};
// gemm_swiglu_grad: dact = alpha·A·W, A [m,k], W [k,f], and of it the gradients of gate and
// up [m,f]; these, and dGate and dUp, are halves of one matrix.
struct GemmSwiGLUGradArgs {
  TensorMap a, w, gate, up, dGate, dUp;
  Runs runs;
  int m, f, k;
  float alpha;
};

// group_gemm: per expert e, rows offsets[e]…offsets[e+1] of A [rows,k] times W[e] ([n,k]
// with transW, else [k,n]); all T16 but C, either. offsets int32 [experts+1] a run, on
// the device only: the grid is sized for the worst case and surplus blocks leave.
struct GroupGemmArgs {
  Ref a, w, c, offsets;
  Runs runs;
  int rows, n, k, experts, transW, add;
  float alpha;
};
// group_gemm_grad: dW[e] [n,k] (float32, += with add) = alpha·dYᵀ·X over expert e's rows;
// an expert without rows gets zero (or stays, with add).
struct GroupGemmGradArgs {
  Ref dw, dy, x, offsets;
  Runs runs;
  int rows, n, k, experts, add;
  float alpha;
};

// The same on sm_90a: A [runs,rows,k] and W [runs, experts·n or experts·k, its columns]
// through tensor maps as in GemmMapArgs, or dY [runs,rows,n] and X [runs,rows,k].
struct GroupGemmMapArgs {
  TensorMap a, w;
  GroupGemmArgs g;
};
struct GroupGemmGradMapArgs {
  TensorMap dy, x;
  GroupGemmGradArgs g;
};

// cross_entropy: one chunk of rows of the head. logits T16 [n,v] (row stride ldl) holds
// multiplier·x·wᵀ; loss [n], lse [n] float32 (lse may be null); targets int32 (shared).
// With grad the logits are replaced by scale·(softmax − onehot + 2·zLoss·lse·softmax)·
// multiplier in T16; scale float32 [1] a run (null: 1/rows). A target below 0 gives 0.
struct CrossEntropyArgs {
  Ref logits, loss, lse, targets, scale;
  Runs runs;
  int n, v, ldl, grad, rows;
  float multiplier, zLoss;
};

// route: logits float32 [n,e]; probs float32 [n,e], index int32, weight float32, slot
// int32 [n,k], offsets int32 [e+1], counts int32 [e] or null, loss float32 [1] or null.
// Several launches, listed in experts.cu; work is routeWork(n,e,k) int32 a run.
struct RouteArgs {
  Ref logits, probs, index, weight, slot, offsets, counts, loss, work;
  Runs runs;
  int n, e, k, raw;
};
// route_grad: dlogits T16 or float32 ("either"); the rest float32; scale [1] or null.
struct RouteGradArgs {
  Ref dlogits, dweight, probs, index, weight, offsets, scale;
  Runs runs;
  int n, e, k, raw;
  float coefficient;
};
// dispatch: y[slot[i,j]] = x[i], T16.
struct DispatchArgs {
  Ref y, x, slot;
  Runs runs;
  int n, k, d;
};
// combine: y[i] = scale·Σ_j weight[i,j]·x[slot[i,j]] (+= with add); x, y T16; weight
// float32 or null.
struct CombineArgs {
  Ref y, x, slot, weight;
  Runs runs;
  int n, k, d, add;
  float scale;
};
// combine_grad: dx[slot] = scale·weight·dy, dweight = scale·dy·x[slot]; dy, x, dx T16.
struct CombineGradArgs {
  Ref dx, dweight, dy, x, slot, weight;
  Runs runs;
  int n, k, d;
  float scale;
};

// A tensor of the optimizer: offsets into the arena of a run, in elements; p16 is the
// bfloat16 copy of the parameter in the arena of copies, −1 for none.
struct Tensor {
  long long p, g, m, v, p16, n;
};
// grad_norm: squares summed in float64, first by blocks of 4,096 elements (chunks lists
// tensor and start of each), then by grad_norm_finish: norm [1], clip [1].
struct Chunk {
  int tensor, pad;
  long long start;
};
struct GradNormArgs {
  float* arena;
  long long stride;
  const Tensor* tensors;
  const Chunk* chunks;
  double* work;
  Ref norm, clip, maxNorm;
  Runs runs;
  int count;
};
// adamw: the update of kernels.Adam.Row for every chunk, writing the T16 copy too. Clip
// may be null; one that is not finite leaves the run as it is.
struct AdamWArgs {
  float* arena;
  void* copies;
  long long stride, copyStride;
  const Tensor* tensors;
  const Chunk* chunks;
  Ref table, clip;
  Runs runs;
  int count;
};

// fill: y[0…n) = value (32-bit pattern); copy and blend and cast: element by element.
// blend: y = alpha·a + beta·b, float32 (b may be null). cast: float32 to T16;
// widen: T16 to float32.
struct FillArgs {
  Ref y;
  Runs runs;
  long long n;
  int value;
};
struct CopyArgs {
  Ref y, x;
  Runs runs;
  long long n;
};
// copy_each: every tensor's p receives its g, in chunks as grad_norm's.
struct CopyEachArgs {
  float* arena;
  long long stride;
  const Tensor* tensors;
  const Chunk* chunks;
  Runs runs;
};
struct BlendArgs {
  Ref y, a, b;
  Runs runs;
  long long n;
  float alpha, beta;
};
// zero: many float32 or int32 buffers of a run at once; chunks as in grad_norm over
// tensors[].p and .n.
struct ZeroArgs {
  float* arena;
  long long stride;
  const Tensor* tensors;
  const Chunk* chunks;
  Runs runs;
  int count;
};
// sum: y[0] = scale·Σ x (+= with add), in float64; x float32. One block a run.
struct SumArgs {
  Ref y, x;
  Runs runs;
  long long n;
  float scale;
  int add;
};
// stats: root mean square, mean absolute value and largest absolute value of x (either)
// into out[0…3), in two launches through work, float64 [blocks,3] a run.
struct StatsArgs {
  Ref out, x, work;
  Runs runs;
  long long n;
  int blocks;
};

// stats_each: the same of every tensor's g into a row of out [tensors,3], in chunks as
// grad_norm's through work, float64 [count,3] a run; a tensor's m is its first chunk.
struct StatsEachArgs {
  float* arena;
  long long stride;
  const Tensor* tensors;
  const Chunk* chunks;
  Ref out, work;
  Runs runs;
};

// log_row: row cursor[0] mod rows of ring [rows,n] receives x[0][0] … x[n-1][0], and the
// int32 cursor grows by one.
struct LogArgs {
  Ref ring, cursor;
  Ref x[4];
  Runs runs;
  int rows, n;
};
