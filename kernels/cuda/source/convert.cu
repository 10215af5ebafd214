// The way back from bfloat16: buffers that the host reads are kept in float32 too.
#include "device.h"

// widen: y float32 = x T16, element by element.
// launch: grid (ceil(n/1024), 1, runs) block 256 shared 0
extern "C" __global__ void __launch_bounds__(256) widen(CopyArgs a) {
  const int run = runOf(a.runs);
  float* y = at<float>(a.y, run);
  const bf16* x = at<bf16>(a.x, run);
  const i64 first = i64(blockIdx.x) * 1024 + threadIdx.x;
#pragma unroll
  for (int j = 0; j < 4; j++)
    if (first + j * 256 < a.n) st(y + first + j * 256, toFloat(ld(x + first + j * 256)));
}
