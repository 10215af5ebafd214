// Products with the gated unit of SwiGLU done on the results while they are in registers,
// for sm_90a: what swiglu and swiglu_grad do, without writing and reading the result of the
// product. Rounding to bfloat16 between them is the same, so the bits are too.
#include "hopper_tile.h"
#include "schedule.h"
#include "swiglu.h"

namespace {

template <class T, class F>
DEVICE void eachTile(int m, int n, int width, F f) {
  const int rows = ceilDiv(m, T::BM), columns = ceilDiv(n, width);
  for (int number = blockIdx.x; number < rows * columns; number += gridDim.x) {
    const TileIndex index = tileIndex(number, rows, columns);
    f(index.row * T::BM, index.column * width);
  }
}

template <class T>
DEVICE void gemmSwiGLU(const GemmSwiGLUArgs& a, const TensorMap* maps) {
  constexpr int kWidth = T::BN / 2, kParts = T::BM / 64;
  static_assert(kWidth == 64, "gate and up are a box wide");
  const int run = runOf(a.runs);
  T tile;
  tile.begin();
  tile.runTurns(
      [&]() INLINE {
        eachTile<T>(a.m, a.f, kWidth, [&](int m0, int n0) INLINE {
          tile.feedPair(Box{maps, m0, 0, run}, Box{maps + 1, n0, 0, run}, Box{maps + 2, n0, 0, run}, a.k);
        });
      },
      [&](int mine) INLINE {
        int turn = 1;
        eachTile<T>(a.m, a.f, kWidth, [&](int m0, int n0) INLINE {
          turn ^= 1;
          if (turn != mine) return tile.skip(ceilDiv(a.k, 64));
          tile.turnBegins(mine);
          tile.multiply(a.k);
          tile.turnEnds(mine);
          const auto word = [&](int i, int j, int h) INLINE {
            const float* v = tile.acc[i][j] + 2 * h;
            return pack(a.alpha * v[0], a.alpha * v[1]);
          };
          const auto send = [&](int first, int map) INLINE {
            tile.boxesFull();
            if (threadIdx.x % 128 != 0) return;
#pragma unroll
            for (int i = 0; i < kParts; i++) writeBox(maps + map, n0, m0 + 64 * i, run, tile.box(first + i));
            bulkCommit();
          };
          tile.template boxesFree<0>();
#pragma unroll
          for (int i = 0; i < kParts; i++)
            tile.fillBox(i, [&](int j, int h) INLINE {
              const u32 gate = word(i, j, h), up = word(i, kWidth / 8 + j, h);
              return pack(gated(lowHalf(gate), lowHalf(up)), gated(highHalf(gate), highHalf(up)));
            });
          send(0, 3);
          if (!a.kept) return;
#pragma unroll
          for (int i = 0; i < kParts; i++) tile.fillBox(kParts + i, [&](int j, int h) INLINE { return word(i, j, h); });
          send(kParts, 4);
          tile.template boxesFree<1>();
#pragma unroll
          for (int i = 0; i < kParts; i++) tile.fillBox(i, [&](int j, int h) INLINE { return word(i, kWidth / 8 + j, h); });
          send(0, 5);
        });
      });
}

// T has one warpgroup.
template <class T>
DEVICE void gemmSwiGLUGrad(const GemmSwiGLUGradArgs& a, const TensorMap* maps) {
  const int run = runOf(a.runs);
  T tile;
  tile.begin();
  tile.template run<2>(
      [&]() INLINE {
        eachTile<T>(a.m, a.f, T::BN, [&](int m0, int n0) INLINE {
          tile.feed(Box{maps, m0, 0, run}, Box{maps + 1, n0, 0, run}, a.k);
          tile.feedTile(maps + 2, m0, n0, run);
          tile.feedTile(maps + 3, m0, n0, run);
        });
      },
      [&]() INLINE {
        eachTile<T>(a.m, a.f, T::BN, [&](int m0, int n0) INLINE {
          tile.multiply(a.k);
          // Gradients take the place of gate and up, from where they go to memory.
          const u32 gates = tile.take(), ups = tile.take();
#pragma unroll
          for (int j = 0; j < T::BM / 64 * (T::BN / 8); j++)
#pragma unroll
            for (int h = 0; h < 2; h++) {
              const float* v = tile.acc[j / (T::BN / 8)][j % (T::BN / 8)] + 2 * h;
              const u32 at = j / 8 * kBox + tile.boxLine() + tile.boxWord(j % 8, h);
              const u32 dy = pack(a.alpha * v[0], a.alpha * v[1]), gate = sharedWord(gates + at), up = sharedWord(ups + at);
              float x[2], y[2];
              gatedGrad(lowHalf(dy), lowHalf(gate), lowHalf(up), x[0], y[0]);
              gatedGrad(highHalf(dy), highHalf(gate), highHalf(up), x[1], y[1]);
              setSharedWord(gates + at, pack(x[0], x[1]));
              setSharedWord(ups + at, pack(y[0], y[1]));
            }
          tile.drop(gates, ups, [&]() INLINE {
#pragma unroll
            for (int i = 0; i < T::BM; i += 64)
#pragma unroll
              for (int b = 0; b < T::BN; b += 64) {
                const u32 box = (i * T::BN + b * 64) * 2;
                writeBox(maps + 4, n0 + b, m0 + i, run, gates + box);
                writeBox(maps + 5, n0 + b, m0 + i, run, ups + box);
              }
          });
        });
      });
}

}  // namespace

// f and k are multiples of 8, everything is 16-byte aligned in every run.
// launch: grid (blocks, 1, runs) block 384 shared 230400 (5 stages); blocks as in
// gemm_sm90.cu, with ceil(m/128)·ceil(f/64) tiles of which a multiprocessor holds two
extern "C" __global__ void __launch_bounds__(384, 1) gemm_swiglu_sm90(GemmSwiGLUArgs a) {
  gemmSwiGLU<HopperTile<1, 2, 128, true, true, 4, false, 2>>(a, PARAMETER_MAPS(gemm_swiglu_sm90));
}
// launch: grid (blocks, 1, runs) block 256 shared 99328 (3 stages); ceil(m/128)·ceil(f/128)
// tiles of which a multiprocessor holds two. One block of two turns was slower here.
extern "C" __global__ void __launch_bounds__(256, 2) gemm_swiglu_grad_sm90(GemmSwiGLUGradArgs a) {
  gemmSwiGLUGrad<HopperTile<1, 2, 128, true, false, 0>>(a, PARAMETER_MAPS(gemm_swiglu_grad_sm90));
}
