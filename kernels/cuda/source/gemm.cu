// gemm: dense products on tensor cores for sm_80 and later, and gemm_reduce.
//
// Kernels: gemm_{nt,nn,tn}_{128x128,64x64}_{f,h} and gemm_{nt,nn,tn,tt}_any_{f,h}.
// The first letter says whether A is transposed, the second B; the size is the tile; f
// or h is the type of C. The sized kernels need lda and ldb to be multiples of 8 and A
// and B (with every run's stride) to be 16-byte aligned; "any" needs nothing and is slow.
#include "schedule.h"
#include "tile.h"

template <class T, class C>
DEVICE void gemm(const GemmArgs& a) {
  const int run = runOf(a.runs);
  const TileIndex index = tileIndex(blockIdx.x, ceilDiv(a.m, T::BM), ceilDiv(a.n, T::BN));
  const int m0 = index.row * T::BM, n0 = index.column * T::BN;
  const int k0 = blockIdx.y * a.kSlice;
  const bool sliced = sizeof(C) == 4 && a.slices > 1, adds = !sliced && a.add;
  C* c = sliced ? at<C>(a.work, run) + static_cast<i64>(blockIdx.y) * a.m * a.n : at<C>(a.c, run);
  T tile;
  tile.multiply(Operand{at<const bf16>(a.a, run), a.lda, a.m, a.k}, Operand{at<const bf16>(a.b, run), a.ldb, a.n, a.k},
                m0, n0, k0, a.slices > 1 ? k0 + a.kSlice : a.k);
  tile.store(c, sliced ? a.n : a.ldc, a.m, a.n, m0, n0, sliced ? 1 : a.alpha, adds);
}

// launch: grid (ceil(m/BM)·ceil(n/BN), slices, runs) block 128, shared memory
//   128x128: 98304
//   64x64:   49152
//   any:     32768, tiles as 64x64
// slices > 1 only with C of type f; kSlice is then a multiple of 64, slices =
// ceil(k/kSlice), and gemm_reduce of the type of C follows.
//
// selection: of the tiles, and slices in {1} ∪ {w·slots/tiles rounded down, w = 1, 2, 3}
// from 1 to k/256, those with the least cost, in about microseconds on an H100:
//   rounds·(kSlice/64·STEP + END) + REDUCE, where
//   tiles = ceil(m/BM)·ceil(n/BN)·runs, slots = SMs·RESIDENT, kSlice rounded up to 64s,
//   rounds = ceil(tiles·slices/slots),
//   REDUCE = slices > 1 ? 0.5 + runs·m·n·(4·slices + 8)/3e6 : 0
//   128x128: RESIDENT 2 (or less where shared memory is), STEP 1.1, END 2.5
//   64x64:   RESIDENT 4 (likewise), STEP 0.62, END 1.5
#define GEMM(name, bm, bn, wm, wn, stages, blocks, transA, transB, vector, type)    \
  extern "C" __global__ void __launch_bounds__(128, blocks) name(GemmArgs a) {      \
    gemm<Tile<bm, bn, wm, wn, stages, !(transA), transB, vector>, type>(a);         \
  }
#define GEMM_TYPES(name, ...)        \
  GEMM(name##_f, __VA_ARGS__, float) \
  GEMM(name##_h, __VA_ARGS__, bf16)
#define GEMM_TRANS(tile, ...)                                 \
  GEMM_TYPES(gemm_nt_##tile, __VA_ARGS__, false, true, true)  \
  GEMM_TYPES(gemm_nn_##tile, __VA_ARGS__, false, false, true) \
  GEMM_TYPES(gemm_tn_##tile, __VA_ARGS__, true, false, true)
GEMM_TRANS(128x128, 128, 128, 64, 64, 3, 2)
GEMM_TRANS(64x64, 64, 64, 32, 32, 3, 4)
GEMM_TYPES(gemm_nt_any, 64, 64, 32, 32, 2, 3, false, true, false)
GEMM_TYPES(gemm_nn_any, 64, 64, 32, 32, 2, 3, false, false, false)
GEMM_TYPES(gemm_tn_any, 64, 64, 32, 32, 2, 3, true, false, false)
GEMM_TYPES(gemm_tt_any, 64, 64, 32, 32, 2, 3, true, true, false)

// gemm_reduce_{f,h}: c = alpha·Σ of the slices in work, or += with add. Up to eight slices
// are added to c one after another, as a block of gemm_sm90.cu does that has all of them:
// the same bits. More are summed by the block's eight warps, every eighth each, and the
// warps' sums follow in order.
constexpr int kManySlices = 8;

// addUp adds as the copy engine does, which takes subnormals for zeros.
DEVICE float addUp(float x, float alpha, float y) { return __nvvm_add_rn_ftz_f(x, __nvvm_mul_rn_f(alpha, y)); }
DEVICE f32x4 addUp(f32x4 x, float alpha, f32x4 y) {
#pragma unroll
  for (int j = 0; j < 4; j++) x[j] = addUp(x[j], alpha, y[j]);
  return x;
}

template <class C>
DEVICE void reduceVector(const GemmArgs& a, const float* work, C* c, i64 first, f32x4* sums) {
  const i64 size = static_cast<i64>(a.m) * a.n;
  const bool many = a.slices > kManySlices, inside = first < size, writes = inside && (!many || warp() == 0);
  C* p = c + first / a.n * a.ldc + first % a.n;
  f32x4 old = {0, 0, 0, 0}, sum = {0, 0, 0, 0};
  if (a.add && writes) old = load4(p);
  if (!many) {
    if (!inside) return;
#pragma unroll 8
    for (int s = 0; s < a.slices; s++) old = addUp(old, a.alpha, ld(reinterpret_cast<const f32x4*>(work + s * size + first)));
    store4(p, old);
    return;
  }
  if (inside)
#pragma unroll 8
    for (int s = warp(); s < a.slices; s += 8) sum += ld(reinterpret_cast<const f32x4*>(work + s * size + first));
  sums[threadIdx.x] = sum;
  sync();
#pragma unroll
  for (int g = 1; g < 8; g++) sum += sums[32 * g + lane()];
  if (writes) store4(p, old + a.alpha * sum);
}

template <class C>
DEVICE void gemmReduce(const GemmArgs& a) {
  __shared__ f32x4 sums[256];
  const int run = runOf(a.runs);
  const float* work = at<const float>(a.work, run);
  C* c = at<C>(a.c, run);
  const i64 size = static_cast<i64>(a.m) * a.n;
  const i64 vector = a.slices > kManySlices ? blockIdx.x * 32ll + lane() : blockIdx.x * 256ll + threadIdx.x;
  if ((a.n % 4 | a.ldc % 4 | reinterpret_cast<u64>(c) % (4 * sizeof(C)) | reinterpret_cast<u64>(work) % 16) == 0) {
    reduceVector(a, work, c, 4 * vector, sums);
    return;
  }
  if (a.slices > kManySlices && warp() > 0) return;
  for (i64 i = 4 * vector; i < min(4 * vector + 4, size); i++) {
    C* p = c + i / a.n * a.ldc + i % a.n;
    float sum = a.add ? toFloat(ld(p)) : 0;
    for (int s = 0; s < a.slices; s++) sum = addUp(sum, a.alpha, ld(work + s * size + i));
    st(p, fromFloat<C>(sum));
  }
}

// launch: grid (ceil(m·n/(slices > 8 ? 128 : 1024)), 1, runs) block 256 shared 0
extern "C" __global__ void __launch_bounds__(256) gemm_reduce_f(GemmArgs a) { gemmReduce<float>(a); }
extern "C" __global__ void __launch_bounds__(256) gemm_reduce_h(GemmArgs a) { gemmReduce<bf16>(a); }
