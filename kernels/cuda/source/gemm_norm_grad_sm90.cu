// The product that gives the gradient of a norm's output, with the gradient of the norm done
// on the results while they are in registers, for sm_90a: what rmsnorm_grad does. A tile has
// whole rows: the suffix is the most columns.
#include "hopper_tile.h"

namespace {

// halveSums adds up values over the eight lanes that share lane%4, each of which keeps an
// eighth: of value v[u] the lane with u/(N/8) = lane/4, read bit by bit from the highest.
template <int N>
DEVICE void halveSums(float (&v)[N]) {
#pragma unroll
  for (int half = N / 2, mask = 16; mask >= 4; half /= 2, mask /= 2)
#pragma unroll
    for (int i = 0; i < N / 2; i++) {
      if (i >= half) continue;
      const bool upper = lane() & mask;
      const float keep = upper ? v[i + half] : v[i], give = upper ? v[i] : v[i + half];
      v[i] = keep + shuffleXor(give, mask);
    }
}

template <class T, int Blocks, int MI>
DEVICE void gemmNormGrad(const GemmNormGradArgs& a, const TensorMap* maps) {
  constexpr int kBoxes = T::BN / 64, kSums = T::BN / 4, kEach = kSums / 8;
  const int run = runOf(a.runs), tiles = ceilDiv(a.m, T::BM);
  T tile;
  tile.begin();
  tile.template run<Blocks>(
      [&]() INLINE {
        for (int i = blockIdx.x; i < tiles; i += gridDim.x)
          tile.feed(Box{maps, i * T::BM, 0, run}, Box{maps + 1, 0, 0, run}, a.k);
      },
      [&]() INLINE {
        const float *x = at<float>(a.x, run), *gain = at<float>(a.gain, run), *rstd = at<float>(a.rstd, run);
        const bf16* dx = at<bf16>(a.dx, run);
        const int t = lane() % 4, group = threadIdx.x / 128, thread = threadIdx.x % 128;
        int turn = 0;
        for (int i = blockIdx.x; i < tiles; i += gridDim.x, turn ^= 1) {
          tile.multiply(a.k);
          const auto in = [&](int row, int j) INLINE { return row < a.m && 8 * j + 2 * t < a.d; };
          // The dot product of every row: its gradient times gain and input.
          float r[MI][2], factor[MI][2];
#pragma unroll
          for (int p = 0; p < MI; p++)
#pragma unroll
            for (int h = 0; h < 2; h++) {
              const int row = i * T::BM + tile.row(p) + 8 * h;
              const float* line = x + i64(min(row, a.m - 1)) * a.d + 2 * t;
              r[p][h] = ld(rstd + min(row, a.m - 1));
              float dot = 0;
#pragma unroll
              for (int b = 0; b < kBoxes; b++) {
                f32x2 v[8], g[8];
#pragma unroll
                for (int j = 0; j < 8; j++) {
                  const int column = in(0, 8 * b + j) ? 8 * (8 * b + j) : 0;
                  v[j] = ld(reinterpret_cast<const f32x2*>(line + column));
                  g[j] = ld(reinterpret_cast<const f32x2*>(gain + 2 * t + column));
                }
#pragma unroll
                for (int j = 0; j < 8; j++) {
                  float* s = tile.acc[p][8 * b + j] + 2 * h;
                  const u32 dy = in(row, 8 * b + j) ? pack(a.alpha * s[0], a.alpha * s[1]) : 0;
                  s[0] = lowHalf(dy), s[1] = highHalf(dy);
                  dot += s[0] * g[j].x * v[j].x + s[1] * g[j].y * v[j].y;
                }
              }
              factor[p][h] = r[p][h] * r[p][h] * r[p][h] * (warpSum<4>(dot) / a.d);
            }
          // The gradient, added to what is there, and the rows' parts of that of the gain.
#pragma unroll
          for (int p = 0; p < MI; p++) {
            tile.template boxesFree<0>();
#pragma unroll
            for (int b = 0; b < kBoxes; b++)
#pragma unroll
              for (int h = 0; h < 2; h++) {
                const int row = i * T::BM + tile.row(p) + 8 * h;
                const i64 from = i64(min(row, a.m - 1)) * a.d + 2 * t;
                f32x2 v[8], g[8];
                u32 old[8];
#pragma unroll
                for (int j = 0; j < 8; j++) {
                  const int column = in(0, 8 * b + j) ? 8 * (8 * b + j) : 0;
                  v[j] = ld(reinterpret_cast<const f32x2*>(x + from + column));
                  g[j] = ld(reinterpret_cast<const f32x2*>(gain + 2 * t + column));
                  old[j] = a.add ? ld(reinterpret_cast<const u32*>(dx + from + column)) : 0;
                }
#pragma unroll
                for (int j = 0; j < 8; j++) {
                  float* s = tile.acc[p][8 * b + j] + 2 * h;
                  const float rr = r[p][h], f = factor[p][h];
                  tile.setBoxWord(b, j, h, pack(lowHalf(old[j]) + (s[0] * g[j].x * rr - v[j].x * f),
                                               highHalf(old[j]) + (s[1] * g[j].y * rr - v[j].y * f)));
                  s[0] *= v[j].x * rr, s[1] *= v[j].y * rr;
                }
              }
            tile.boxesFull();
            if (thread == 0) {
#pragma unroll
              for (int b = 0; b < kBoxes; b++)
                writeBox(maps + 2, 64 * b, i * T::BM + (group * MI + p) * 64, run, tile.box(b));
              bulkCommit();
            }
          }
          float sums[kSums];
#pragma unroll
          for (int u = 0; u < kSums; u++) {
            sums[u] = 0;
#pragma unroll
            for (int p = 0; p < MI; p++) sums[u] += tile.acc[p][u / 2][u % 2] + tile.acc[p][u / 2][2 + u % 2];
          }
          halveSums(sums);
          // The warps of the group, one after another; buffers take turns, so that one barrier
          // is enough.
          const u32 buffer = tile.box(kBoxes) + turn * (4 * T::BN * 4);
          const int first = (lane() >> 4 & 1) * (kSums / 2) + (lane() >> 3 & 1) * (kSums / 4) + (lane() >> 2 & 1) * kEach;
#pragma unroll
          for (int u = 0; u < kEach; u++) {
            const int at = first + u, column = at / 2 * 8 + 2 * t + at % 2;
            setSharedWord(buffer + (warp() % 4 * T::BN + column) * 4, __builtin_bit_cast(u32, sums[u]));
          }
          T::groupSync(group);
          float* work = at<float>(a.work, run) + i64(i * (T::BM / (64 * MI)) + group) * a.d;
#pragma unroll
          for (int c = thread; c < T::BN; c += 128) {
            float s = 0;
#pragma unroll
            for (int w = 0; w < 4; w++) s += __builtin_bit_cast(float, sharedWord(buffer + (w * T::BN + c) * 4));
            if (c < a.d) st(work + c, s);
          }
        }
      });
}

}  // namespace

// work is float32 [ceil(m/BM)·BM/rows, d] a run, a row for each 64 (256) or 128 (128) rows;
// rmsnorm_grad_gain adds it up. d and k are multiples of 8, everything is 16-byte aligned.
// launch: grid (blocks, 1, runs), blocks = min(ceil(m/128), what the card holds at once);
// block 384 shared 230400 (3 stages)
extern "C" __global__ void __launch_bounds__(384, 1) gemm_norm_grad_sm90_256(GemmNormGradArgs a) {
  gemmNormGrad<HopperTile<2, 1, 256, true, false, 5>, 1, 1>(a, PARAMETER_MAPS(gemm_norm_grad_sm90_256));
}
// block 256 shared 91136 (2 stages), of which a multiprocessor holds two
extern "C" __global__ void __launch_bounds__(256, 2) gemm_norm_grad_sm90_128(GemmNormGradArgs a) {
  gemmNormGrad<HopperTile<1, 2, 128, true, false, 3>, 2, 2>(a, PARAMETER_MAPS(gemm_norm_grad_sm90_128));
}
