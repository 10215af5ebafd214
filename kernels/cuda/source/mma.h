// Matrix primitives for sm_80 and later: tensor-core products of bfloat16, matrix loads
// from shared memory, asynchronous copies into it. Shared addresses are 32-bit.
#pragma once
#include "device.h"

#define METHOD __device__ __forceinline__

// A generic pointer to shared memory as a shared address.
DEVICE u32 sharedAddress(const void* p) {
  return (u32)(u64)(__attribute__((address_space(3))) const void*)p;
}

// mma16816: d += a·b for a 16×16 row-major a, a 16×8 column-major b, float32 d. With
// g = lane/4, t = lane%4: a[0] is row g, columns 2t, 2t+1; a[1] row g+8; a[2] and a[3]
// the same with columns 2t+8, 2t+9; b0 is column g, rows 2t, 2t+1, b1 rows 2t+8, 2t+9;
// d[0], d[1] are row g, columns 2t, 2t+1, d[2], d[3] row g+8.
DEVICE void mma16816(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// ldmatrix4 loads four 8×8 matrices of 16-bit elements; lane i gives the address of row
// i%8 of matrix i/8, 16-byte aligned. Lane i gets elements 2(i%4), 2(i%4)+1 of row i/4 of
// each; with ldmatrix4Trans of each one's transpose.
DEVICE void ldmatrix4(u32 (&r)[4], u32 address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address) : "memory");
}
DEVICE void ldmatrix4Trans(u32 (&r)[4], u32 address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address) : "memory");
}

// copyAsyncPart copies 0 to 16 bytes to shared memory past the L1 cache and fills up 16
// with zeros; no byte of source beyond is touched. Both addresses are 16-byte aligned.
DEVICE void copyAsyncPart(u32 target, const void* source, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(target), "l"(source), "r"(bytes) : "memory");
}
// copyAsync16 copies 16 bytes, or writes zeros unless valid.
DEVICE void copyAsync16(u32 target, const void* source, bool valid) {
  copyAsyncPart(target, source, valid ? 16 : 0);
}
// copyAsync8 copies 8 bytes through the L1 cache, or writes zeros unless valid.
DEVICE void copyAsync8(u32 target, const void* source, bool valid) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(target), "l"(source), "r"(valid ? 8 : 0) : "memory");
}
// copyAsyncCommit closes a group of copies; copyAsyncWait<n> waits until at most the n
// latest groups of this thread are under way.
DEVICE void copyAsyncCommit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int n>
DEVICE void copyAsyncWait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(n) : "memory");
}

// transposeQuad exchanges words between four neighbouring lanes: word i of lane j becomes
// word j of lane i.
template <int Bit>
DEVICE void swapQuad(u32& a, u32& b) {
  const bool upper = lane() & Bit;
  const u32 other = shuffleXor(static_cast<int>(upper ? a : b), Bit);
  a = upper ? other : a;
  b = upper ? b : other;
}
DEVICE void transposeQuad(u32 (&x)[4]) {
  swapQuad<1>(x[0], x[1]), swapQuad<1>(x[2], x[3]);
  swapQuad<2>(x[0], x[2]), swapQuad<2>(x[1], x[3]);
}
