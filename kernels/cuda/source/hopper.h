// Matrix primitives of sm_90a: products of a warpgroup (four warps) straight from shared
// memory, boxes of tensors copied by the bulk copy engine, and barriers that count bytes.
// Compile with --cuda-gpu-arch=sm_90a --cuda-feature=+ptx80.
#pragma once
#include "mma.h"

// A barrier in shared memory completes a phase when the expected arrivals and bytes have
// come; phases have alternating parities, the first 0.
DEVICE void barrierInit(u32 barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}
// barrierInitDone shows initialized barriers to the copy engine; a block barrier follows.
DEVICE void barrierInitDone() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
DEVICE void barrierArrive(u32 barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
DEVICE void barrierExpect(u32 barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
DEVICE void barrierWait(u32 barrier, int parity) {
  u32 done;
  do {
    asm volatile(
        "{\n .reg .pred p;\n mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n selp.u32 %0, 1, 0, p;\n}"
        : "=r"(done) : "r"(barrier), "r"(parity) : "memory");
  } while (!done);
}

// sharedBytes is the size of the block's dynamic shared memory.
DEVICE int sharedBytes() {
  int n;
  asm("mov.u32 %0, %%dynamic_smem_size;" : "=r"(n));
  return n;
}

// PARAMETER_MAPS is the address of the maps that a kernel's only parameter starts with. In
// C++ its address would be that of a copy, which the copy engine cannot read.
#define PARAMETER_MAPS(kernel)                                                              \
  ({                                                                                        \
    u64 p;                                                                                  \
    asm("{\n .reg .b64 t;\n mov.b64 t, " #kernel "_param_0;\n cvta.param.u64 %0, t;\n}" : "=l"(p)); \
    reinterpret_cast<const TensorMap*>(p);                                                  \
  })

// copyBox copies the box at column x, row y of matrix z to shared memory and counts its
// bytes at the barrier. Elements outside of the tensor are zeros.
DEVICE void copyBox(u32 target, const TensorMap* map, int x, int y, int z, u32 barrier) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes"
      " [%0], [%1, {%2, %3, %4}], [%5];" ::"r"(target), "l"(map), "r"(x), "r"(y), "r"(z), "r"(barrier) : "memory");
}
// writeBulk writes bytes from shared memory; addBulk adds float32s to those in memory,
// where one block at most may add to each, for else the order would depend on timing.
// Addresses and sizes are multiples of 16.
DEVICE void writeBulk(void* target, u32 source, int bytes) {
  asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(target), "r"(source), "r"(bytes)
               : "memory");
}
DEVICE void addBulk(float* target, u32 source, int bytes) {
  asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 [%0], [%1], %2;" ::"l"(target), "r"(source),
               "r"(bytes) : "memory");
}
// writeBox writes a box of a tensor; what is outside of the tensor is dropped.
DEVICE void writeBox(const TensorMap* map, int x, int y, int z, u32 source) {
  asm volatile("cp.async.bulk.tensor.3d.global.shared::cta.bulk_group [%0, {%1, %2, %3}], [%4];" ::"l"(map), "r"(x),
               "r"(y), "r"(z), "r"(source) : "memory");
}
// sharedWord reads a word of shared memory, setSharedWord writes one.
DEVICE void setSharedWord(u32 address, u32 x) {
  asm volatile("st.shared.b32 [%0], %1;" ::"r"(address), "r"(x) : "memory");
}
DEVICE u32 sharedWord(u32 address) {
  u32 x;
  asm volatile("ld.shared.b32 %0, [%1];" : "=r"(x) : "r"(address) : "memory");
  return x;
}
// bulkCommit closes a group of a thread's writes, bulkRead<n> waits until shared memory has
// been read by all but the n latest groups, bulkDone until memory has all of them.
DEVICE void bulkCommit() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
template <int n>
DEVICE void bulkRead() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(n) : "memory");
}

DEVICE void bulkDone() { asm volatile("cp.async.bulk.wait_group 0;" ::: "memory"); }

// takeRegisters and giveRegisters set how many registers a thread of a warpgroup has, a
// multiple of 8; all its warps take part. What some give others can take.
template <int n>
DEVICE void takeRegisters() { asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(n)); }
template <int n>
DEVICE void giveRegisters() { asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(n)); }

// sharedWritten orders a thread's own writes to shared memory before reads by wgmma and
// the copy engine, which follow a barrier.
DEVICE void sharedWritten() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// wgmma runs asynchronously: wgmmaBegin after other uses of its registers, wgmmaCommit
// closes a group, wgmmaWait<n> waits until at most the n latest groups are under way.
DEVICE void wgmmaBegin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void wgmmaCommit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int n>
DEVICE void wgmmaWait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(n) : "memory");
}

// wgmmaResults keeps uses of a product's results behind the wait for it: the compiler does not
// know that they come later than the instruction.
template <int N>
DEVICE void wgmmaResults(float (&d)[N][4]) {
#pragma unroll
  for (int j = 0; j < N; j++)
#pragma unroll
    for (int e = 0; e < 4; e++) asm volatile("" : "+f"(d[j][e])::"memory");
}

// wgmmaOperand describes boxes of 64 rows of 128 bytes, chunk c of row r at c^(r%8), one
// after another. The rows run along the outer axis, k along a row (InnerContiguous: a
// step of 16 in k is 32 bytes), or the other way round (16 rows, 2048 bytes).
template <bool InnerContiguous>
DEVICE u64 wgmmaOperand(u32 address, int step) {
  address += step * (InnerContiguous ? 32 : 2048);
  const u64 boxes = InnerContiguous ? 1 : 8192 >> 4, eightRows = 1024 >> 4, swizzle128 = 1;
  return (address & 0x3ffff) >> 4 | boxes << 16 | eightRows << 32 | swizzle128 << 62;
}

// wgmma: d += a·b for a 64×16 a and a 16×N b, or d = a·b unless Add. Warp w of the warpgroup
// holds rows 16w … 16w+15: with g = lane/4, t = lane%4, d[j][0], d[j][1] are row g, columns
// 8j+2t, 8j+2t+1; d[j][2], d[j][3] row g+8. wgmmaRows has a in registers, as mma16816 takes
// the rows of each warp.
#define ETA_D1(j) "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3])
#define ETA_D4(j) ETA_D1(j), ETA_D1(j + 1), ETA_D1(j + 2), ETA_D1(j + 3)
#define ETA_D8(j) ETA_D4(j), ETA_D4(j + 4)
#define ETA_R10(t) "%" #t "0,%" #t "1,%" #t "2,%" #t "3,%" #t "4,%" #t "5,%" #t "6,%" #t "7,%" #t "8,%" #t "9,"
#define ETA_R10_0 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,"
#define ETA_WGMMA(N, registers, a, b, ta, tb, add, outputs)                                                      \
  template <int TransA, int TransB, int Add = 1>                                                                 \
  DEVICE void wgmma(float (&d)[N / 8][4], u64 a_, u64 b_) {                                                      \
    asm volatile("{\n .reg .pred p;\n setp.ne.b32 p, " add ", 0;\n wgmma.mma_async.sync.aligned.m64n" #N         \
                 "k16.f32.bf16.bf16 {" registers "}, " a ", " b ", p, 1, 1, " ta ", " tb ";\n}"                  \
                 : outputs : "l"(a_), "l"(b_), "n"(TransA), "n"(TransB), "n"(Add));                              \
  }
#define ETA_WGMMA_ROWS(N, registers, a, b, tb, add, outputs)                                                     \
  template <int TransB, int Add = 1>                                                                             \
  DEVICE void wgmmaRows(float (&d)[N / 8][4], const u32 (&a_)[4], u64 b_) {                                      \
    asm volatile("{\n .reg .pred p;\n setp.ne.b32 p, " add ", 0;\n wgmma.mma_async.sync.aligned.m64n" #N         \
                 "k16.f32.bf16.bf16 {" registers "}, {" a "}, " b ", p, 1, 1, " tb ";\n}"                        \
                 : outputs : "r"(a_[0]), "r"(a_[1]), "r"(a_[2]), "r"(a_[3]), "l"(b_), "n"(TransB), "n"(Add));    \
  }
#define ETA_COMMA ,
#define ETA_R60 ETA_R10_0 ETA_R10(1) ETA_R10(2) ETA_R10(3) ETA_R10(4) ETA_R10(5)
ETA_WGMMA(64, ETA_R10_0 ETA_R10(1) ETA_R10(2) "%30,%31", "%32", "%33", "%34", "%35", "%36", ETA_D8(0))
ETA_WGMMA(128, ETA_R60 "%60,%61,%62,%63", "%64", "%65", "%66", "%67", "%68", ETA_D8(0) ETA_COMMA ETA_D8(8))
ETA_WGMMA(256,
          ETA_R60 ETA_R10(6) ETA_R10(7) ETA_R10(8) ETA_R10(9) ETA_R10(10) ETA_R10(11)
          "%120,%121,%122,%123,%124,%125,%126,%127",
          "%128", "%129", "%130", "%131", "%132", ETA_D8(0) ETA_COMMA ETA_D8(8) ETA_COMMA ETA_D8(16) ETA_COMMA ETA_D8(24))
ETA_WGMMA_ROWS(32, ETA_R10_0 "%10,%11,%12,%13,%14,%15", "%16,%17,%18,%19", "%20", "%21", "%22", ETA_D4(0))
ETA_WGMMA_ROWS(64, ETA_R10_0 ETA_R10(1) ETA_R10(2) "%30,%31", "%32,%33,%34,%35", "%36", "%37", "%38", ETA_D8(0))
#undef ETA_R60
#undef ETA_WGMMA_ROWS
#undef ETA_WGMMA
#undef ETA_COMMA
#undef ETA_R10_0
#undef ETA_R10
#undef ETA_D8
#undef ETA_D4
#undef ETA_D1
