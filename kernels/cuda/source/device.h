// The device side of CUDA C++ for clang without NVIDIA's headers: keywords, thread
// indices, 16-byte accesses, bfloat16, fast functions, reductions in a fixed order.
// Compile with --cuda-feature=+ptx70, the first version that knows sm_80.
#pragma once

#define __device__ __attribute__((device))
#define __global__ __attribute__((global))
#define __shared__ __attribute__((shared))
#define __constant__ __attribute__((constant))
#define __host__ __attribute__((host))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
#define __forceinline__ inline __attribute__((always_inline))
#define DEVICE static __device__ __forceinline__
#define INLINE __attribute__((always_inline))  // of a lambda

#include <__clang_cuda_builtin_vars.h>

#include "args.h"

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

// Vectors of the compiler: loads and stores of them are single instructions.
typedef float f32x2 __attribute__((ext_vector_type(2)));
typedef float f32x4 __attribute__((ext_vector_type(4)));
typedef float f32x8 __attribute__((ext_vector_type(8)));
typedef u32 u32x2 __attribute__((ext_vector_type(2)));
typedef u32 u32x4 __attribute__((ext_vector_type(4)));

// bf16 is a bfloat16 in memory; arithmetic is on float.
struct bf16 {
  u16 bits;
};

constexpr u32 kAll = 0xffffffffu;
constexpr float kLog2e = 1.44269504088896340736f;
constexpr float kLn2 = 0.693147180559945309417f;

DEVICE int lane() { return threadIdx.x & 31; }
DEVICE int warp() { return threadIdx.x >> 5; }
DEVICE void sync() { __syncthreads(); }
DEVICE void syncWarp() { __nvvm_bar_warp_sync(kAll); }

template <class T>
DEVICE T min(T a, T b) { return a < b ? a : b; }
template <class T>
DEVICE T max(T a, T b) { return a > b ? a : b; }
// The larger of two floats; a NaN gives way to the other.
DEVICE float max(float a, float b) { return __builtin_fmaxf(a, b); }
DEVICE int ceilDiv(int a, int b) { return (a + b - 1) / b; }

// at is the part of a buffer that belongs to the run of this block's slot.
template <class T>
DEVICE T* at(Ref r, int run) {
  return r.p ? static_cast<T*>(r.p) + run * r.stride : nullptr;
}
DEVICE int runOf(Runs runs) { return runs[blockIdx.z]; }

// Loads and stores that are known to be of global memory.
template <class T>
using Global = T __attribute__((address_space(1)));
template <class T>
DEVICE T ld(const T* p) { return *reinterpret_cast<const Global<T>*>(reinterpret_cast<u64>(p)); }
template <class T>
DEVICE void st(T* p, T x) { *reinterpret_cast<Global<T>*>(reinterpret_cast<u64>(p)) = x; }
DEVICE bf16 ld(const bf16* p) { return bf16{ld(&p->bits)}; }
DEVICE void st(bf16* p, bf16 x) { st(&p->bits, x.bits); }
DEVICE bool aligned16(const void* p) { return (reinterpret_cast<u64>(p) & 15) == 0; }

// bfloat16. pack rounds to nearest even, a to the low half; NaN stays NaN.
DEVICE float toFloat(bf16 x) { return __builtin_bit_cast(float, static_cast<u32>(x.bits) << 16); }
DEVICE float toFloat(float x) { return x; }
DEVICE float lowHalf(u32 x) { return __builtin_bit_cast(float, x << 16); }
DEVICE float highHalf(u32 x) { return __builtin_bit_cast(float, x & 0xffff0000u); }
DEVICE u32 pack(float a, float b) { return __builtin_bit_cast(u32, __nvvm_ff2bf16x2_rn(b, a)); }
DEVICE bf16 toBF16(float x) { return bf16{static_cast<u16>(pack(x, 0.f))}; }
template <class T>
__device__ T fromFloat(float x);
template <>
__device__ __forceinline__ float fromFloat<float>(float x) { return x; }
template <>
__device__ __forceinline__ bf16 fromFloat<bf16>(float x) { return toBF16(x); }

// Four and eight elements as floats: 16 bytes a float access has, or a bfloat16 one of
// eight; four bfloat16 are 8 bytes. The address is a multiple of the access.
DEVICE f32x4 unpack4(u32x2 x) { return f32x4{lowHalf(x.x), highHalf(x.x), lowHalf(x.y), highHalf(x.y)}; }
DEVICE f32x8 unpack8(u32x4 x) {
  return f32x8{lowHalf(x.x), highHalf(x.x), lowHalf(x.y), highHalf(x.y),
               lowHalf(x.z), highHalf(x.z), lowHalf(x.w), highHalf(x.w)};
}
DEVICE u32x2 pack4(f32x4 x) { return u32x2{pack(x.x, x.y), pack(x.z, x.w)}; }
DEVICE u32x4 pack8(f32x8 x) {
  return u32x4{pack(x[0], x[1]), pack(x[2], x[3]), pack(x[4], x[5]), pack(x[6], x[7])};
}
DEVICE f32x4 load4(const float* p) { return ld(reinterpret_cast<const f32x4*>(p)); }
DEVICE f32x4 load4(const bf16* p) { return unpack4(ld(reinterpret_cast<const u32x2*>(p))); }
DEVICE void store4(float* p, f32x4 x) { st(reinterpret_cast<f32x4*>(p), x); }
DEVICE void store4(bf16* p, f32x4 x) { st(reinterpret_cast<u32x2*>(p), pack4(x)); }
DEVICE f32x8 load8(const float* p) {
  f32x4 a = load4(p), b = load4(p + 4);
  return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7);
}
DEVICE f32x8 load8(const bf16* p) { return unpack8(ld(reinterpret_cast<const u32x4*>(p))); }
DEVICE void store8(float* p, f32x8 x) {
  store4(p, x.lo);
  store4(p + 4, x.hi);
}
DEVICE void store8(bf16* p, f32x8 x) { st(reinterpret_cast<u32x4*>(p), pack8(x)); }
// load4 of element c, or zeros unless in; p itself must be readable. There is no branch, so
// loads in a row are under way together.
template <class T>
DEVICE f32x4 load4(const T* p, int c, bool in) {
  f32x4 x = load4(p + (in ? c : 0));
  return in ? x : f32x4(0);
}
template <class T>
DEVICE f32x8 load8(const T* p, int c, bool in) {
  f32x8 x = load8(p + (in ? c : 0));
  return in ? x : f32x8(0);
}
DEVICE float load1(const float* p) { return ld(p); }
DEVICE float load1(const bf16* p) { return toFloat(bf16{ld(&p->bits)}); }
DEVICE void store1(float* p, float x) { st(p, x); }
DEVICE void store1(bf16* p, float x) { st(&p->bits, toBF16(x).bits); }
DEVICE float total(f32x4 x) { return x.x + x.y + (x.z + x.w); }
DEVICE float total(f32x8 x) { return total(x.lo + x.hi); }

// Functions in hardware: relative errors of ex2 and rsqrt are 2⁻²², subnormals are 0.
DEVICE float ex2(float x) { return __nvvm_ex2_approx_ftz_f(x); }
DEVICE float lg2(float x) { return __nvvm_lg2_approx_ftz_f(x); }
DEVICE float rsqrt(float x) { return __nvvm_rsqrt_approx_ftz_f(x); }
DEVICE float rcp(float x) { return __nvvm_rcp_approx_ftz_f(x); }
DEVICE float sqrtExact(float x) { return __nvvm_sqrt_rn_f(x); }
DEVICE float expFast(float x) { return ex2(x * kLog2e); }
DEVICE bool finite(float x) { return (__builtin_bit_cast(u32, x) & 0x7f800000u) != 0x7f800000u; }
// The natural logarithm of a positive normal number to 2⁻²³, also near 1 (infinity and NaN
// stay what they are): the exponent, and the series of the inverse hyperbolic tangent for
// a fraction in [√½, √2).
DEVICE float ln(float x) {
  u32 bits = __builtin_bit_cast(u32, x), shifted = bits - 0x3f3504f3u;
  float e = int(shifted) >> 23, f = __builtin_bit_cast(float, bits - (shifted & 0xff800000u));
  float t = (f - 1) / (f + 1), q = t * t;
  float series = 2 + q * (2.f / 3 + q * (2.f / 5 + q * (2.f / 7 + q * (2.f / 9))));
  return finite(x) ? e * kLn2 + t * series : x;
}
DEVICE float absolute(float x) { return __builtin_bit_cast(float, __builtin_bit_cast(u32, x) & 0x7fffffffu); }
DEVICE float fmaf(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

// Exchange between the lanes of a warp.
DEVICE int shuffleXor(int x, int mask) { return __nvvm_shfl_sync_bfly_i32(kAll, x, mask, 31); }
DEVICE float shuffleXor(float x, int mask) { return __nvvm_shfl_sync_bfly_f32(kAll, x, mask, 31); }
DEVICE double shuffleXor(double x, int mask) {
  u64 b = __builtin_bit_cast(u64, x);
  u32 low = shuffleXor(static_cast<int>(b), mask), high = shuffleXor(static_cast<int>(b >> 32), mask);
  return __builtin_bit_cast(double, static_cast<u64>(high) << 32 | low);
}
DEVICE int shuffle(int x, int from) { return __nvvm_shfl_sync_idx_i32(kAll, x, from, 31); }
DEVICE float shuffle(float x, int from) { return __nvvm_shfl_sync_idx_f32(kAll, x, from, 31); }
DEVICE int shuffleUp(int x, int by) { return __nvvm_shfl_sync_up_i32(kAll, x, by, 0); }
DEVICE u32 warpMax(u32 x) { return __nvvm_redux_sync_umax(x, kAll); }
DEVICE u32 warpMin(u32 x) { return __nvvm_redux_sync_umin(x, kAll); }
// matchAny is the lanes that have the same x.
DEVICE u32 matchAny(int x) { return __nvvm_match_any_sync_i32(kAll, x); }
DEVICE u32 ballot(bool p) { return __nvvm_vote_ballot_sync(kAll, p); }

// Integers only, in shared memory or at the card's scope: their sums have no order.
DEVICE int atomicAdd(int* p, int x) {
  return __scoped_atomic_fetch_add(p, x, __ATOMIC_RELAXED, __MEMORY_SCOPE_DEVICE);
}

// Reductions over groups of Width lanes; every lane gets the same bits.
template <int Width = 32, class T>
DEVICE T warpSum(T x) {
#pragma unroll
  for (int m = Width / 2; m > 0; m /= 2) x += shuffleXor(x, m);
  return x;
}
template <int Width = 32, class T>
DEVICE T warpMax(T x) {
#pragma unroll
  for (int m = Width / 2; m > 0; m /= 2) x = max(x, shuffleXor(x, m));
  return x;
}

// Reductions over a block of Warps warps, through shared memory of Warps elements that
// the caller may reuse only after a barrier.
template <int Warps, class T>
DEVICE T blockSum(T x, T* shared) {
  x = warpSum(x);
  if (Warps == 1) return x;
  if (lane() == 0) shared[warp()] = x;
  sync();
  x = 0;
#pragma unroll
  for (int w = 0; w < Warps; w++) x += shared[w];
  return x;
}
template <int Warps, class T>
DEVICE T blockMax(T x, T* shared) {
  x = warpMax(x);
  if (Warps == 1) return x;
  if (lane() == 0) shared[warp()] = x;
  sync();
  x = shared[0];
#pragma unroll
  for (int w = 1; w < Warps; w++) x = max(x, shared[w]);
  return x;
}

// The sum over the threads before this one.
template <int Warps>
DEVICE int exclusiveScan(int x, int* shared) {
  int s = x;
#pragma unroll
  for (int by = 1; by < 32; by *= 2) {
    int before = shuffleUp(s, by);
    if (lane() >= by) s += before;
  }
  if (lane() == 31) shared[warp()] = s;
  sync();
  for (int w = 0; w < warp(); w++) s += shared[w];
  return s - x;
}

// addColumns adds the sums over the rows of part [rows,cols], stride apart, to out, 32
// columns a block of 1,024 threads.
DEVICE void addColumns(float* out, const float* part, int rows, int cols, int stride) {
  __shared__ float sums[32][32];
  int c = blockIdx.x * 32 + lane();
  float s = 0;
  if (c < cols) {
#pragma unroll 8
    for (int r = warp(); r < rows; r += 32) s += ld(part + i64(r) * stride + c);
  }
  sums[warp()][lane()] = s;
  sync();
  if (warp() != 0 || c >= cols) return;
  s = 0;
#pragma unroll
  for (int w = 0; w < 32; w++) s += sums[w][lane()];
  st(out + c, ld(out + c) + s);
}
