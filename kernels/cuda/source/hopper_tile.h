// The product of one block on sm_90a, shared by the kernels whose names end so: one thread
// feeds a ring of shared-memory stages through the bulk copy engine, one or two warpgroups
// multiply. Each operand's part of a stage is one box of 64×64 elements for
// each 64 of its outer axis.
#pragma once
#include "hopper.h"

constexpr int kBox = 64 * 128;  // bytes

extern __shared__ __attribute__((aligned(1024))) unsigned char sharedMemory[];

// Box is where an operand's first box starts: an index of its outer axis, one of k, the
// matrix.
struct Box {
  const TensorMap* map;
  int outer, inner, matrix;
};

// HopperTile is a block's BM×BN of the result, one after another. Each of its Groups
// warpgroups computes MI·64 rows. With two Turns a block has two times as many, which take
// tiles by turns: some store while the others multiply. AK and BK: k is the contiguous axis
// of A, of B. Ragged: k ends where the tensors go on, so the elements after it are cleared
// (neither AK nor BK).
//
// Shared memory: two barriers for each of up to 64 stages; where results are brought
// together, Boxes boxes for each warpgroup, or (kLines) lines of float32 for each warp;
// and as many stages as there is room for.
constexpr int kLines = -1;

template <int Groups, int MI, int BN_, bool AK, bool BK, int Boxes, bool Ragged = false, int Turns = 1>
struct HopperTile {
  static_assert(Groups * Turns <= 2, "there are registers for two");
  static constexpr int BM = Groups * MI * 64, BN = BN_;
  static constexpr u32 kStageA = BM * 128, kStage = (BM + BN) * 128;
  // A warp's buffers, each for eight rows of 256 bytes.
  static constexpr int kPitch = 256 + 16, kBuffer = 8 * kPitch, kBuffers = Groups;
  static constexpr u32 kEmpty = 512, kRows = 1024;
  static constexpr u32 kStages =
      (kRows + Groups * Turns * (Boxes == kLines ? 4 * kBuffers * kBuffer : Boxes * kBox) + 1023) / 1024 * 1024;

  u32 shared;
  int stages, stage, parity;
  float acc[MI][BN / 8][4];

  // begin prepares the barriers. run calls feed in one warp, which has to feed every tile,
  // and work in the multiplying warpgroups, which have to multiply and store each.
  METHOD void begin() {
    shared = sharedAddress(sharedMemory);
    stages = (sharedBytes() - kStages) / kStage;
    stage = parity = 0;
    if (threadIdx.x == 0) {
      for (int s = 0; s < stages; s++) {
        barrierInit(shared + 8 * s, 1);
        barrierInit(shared + kEmpty + 8 * s, 4 * Groups);
      }
      barrierInitDone();
    }
    sync();
  }
  // Threads of a block; registers that a multiplying and a feeding one have when a
  // multiprocessor holds so many blocks: together what they start with.
  static constexpr int kThreads = 128 * (Groups + 1);
  template <int Blocks, class Feed, class Work>
  METHOD void run(Feed feed, Work work) {
    constexpr int most = Groups == 2 ? 240 : 216, least = Groups == 2 ? 24 : 40;
    static_assert(Groups + Blocks == 3, "one block of two warpgroups, or two of one");
    if (warp() >= 4 * Groups) {
      giveRegisters<least>();
      if (warp() == 4 * Groups) feed();
    } else {
      takeRegisters<most>();
      work();
      bulkRead<0>();
    }
  }
  // runTurns is run with Turns of two: work gets its turn, and has to skip the other's stages.
  // It waits with turnBegins until the other has taken all of the tile before, for else a
  // barrier of a stage could be two phases behind, which looks the same; turnEnds says so.
  template <class Feed, class Work>
  METHOD void runTurns(Feed feed, Work work) {
    static_assert(Groups == 1 && Turns == 2, "a warpgroup a turn");
    if (warp() >= 8) {
      giveRegisters<24>();
      if (warp() == 8) feed();
    } else {
      takeRegisters<240>();
      if (warp() >= 4) turnEnds(1);
      work(threadIdx.x / 128);
      bulkRead<0>();
    }
  }
  static METHOD void turnBegins(int mine) { asm volatile("bar.sync %0, 256;" ::"r"(3 + mine) : "memory"); }
  static METHOD void turnEnds(int mine) { asm volatile("bar.arrive %0, 256;" ::"r"(4 - mine) : "memory"); }
  METHOD void skip(int count) {
    for (stage += count; stage >= stages; stage -= stages) parity ^= 1;
  }
  METHOD void next() {
    if (++stage == stages) stage = 0, parity ^= 1;
  }

  // feed copies both operands of a tile over count elements of k, and what follows up to
  // the next multiple of 64.
  METHOD void feed(const Box& a, const Box& b, int count) {
    if (lane() != 0) return;
    for (int k = 0; k < count; k += 64) {
      const u32 at = fill(), ready = shared + 8 * stage;
      copyBoxes<AK, BM>(at, a, k, ready);
      copyBoxes<BK, BN>(at + kStageA, b, k, ready);
      next();
    }
  }
  // feedPair is feed with the two halves of B's outer axis from different places.
  METHOD void feedPair(const Box& a, const Box& left, const Box& right, int count) {
    if (lane() != 0) return;
    for (int k = 0; k < count; k += 64) {
      const u32 at = fill(), ready = shared + 8 * stage;
      copyBoxes<AK, BM>(at, a, k, ready);
      copyBoxes<BK, BN / 2>(at + kStageA, left, k, ready);
      copyBoxes<BK, BN / 2>(at + kStageA + BN * 64, right, k, ready);
      next();
    }
  }
  // feedTile fills a stage with the BM×BN elements of a matrix that lie where the tile does.
  METHOD void feedTile(const TensorMap* map, int m0, int n0, int run) {
    static_assert(BM * BN * 2 == kStage, "a tile fills a stage");
    if (lane() != 0) return;
    const u32 at = fill(), ready = shared + 8 * stage;
#pragma unroll
    for (int i = 0; i < BM; i += 64)
#pragma unroll
      for (int j = 0; j < BN; j += 64) copyBox(at + (i * BN + j * 64) * 2, map, n0 + j, m0 + i, run, ready);
    next();
  }
  // fill waits until a stage may be written and returns its address.
  METHOD u32 fill() {
    barrierWait(shared + kEmpty + 8 * stage, parity ^ 1);
    barrierExpect(shared + 8 * stage, kStage);
    return shared + kStages + stage * kStage;
  }
  // take waits for a stage that feedTile fills and returns its address; drop gives it back
  // once the warp has read it.
  METHOD u32 take() {
    barrierWait(shared + 8 * stage, parity);
    const u32 at = shared + kStages + stage * kStage;
    next();
    return at;
  }
  // The second is for a warpgroup that has written to the stage: boxes go from there to
  // memory by send, called by one of its threads, before the stage is given back.
  template <class Send>
  METHOD void drop(u32 at, u32 also, Send send) {
    sharedWritten();
    groupSync(threadIdx.x / 128);
    if (threadIdx.x % 128 == 0) {
      send();
      bulkCommit();
      bulkRead<0>();
    }
    drop(at), drop(also);
  }
  METHOD void drop(u32 at) {
    syncWarp();
    if (lane() == 0) barrierArrive(shared + kEmpty + 8 * ((at - shared - kStages) / kStage));
  }
  template <bool InnerContiguous, int Outer>
  static METHOD void copyBoxes(u32 target, const Box& box, int k, u32 ready) {
    k += box.inner;
#pragma unroll
    for (int i = 0; i < Outer; i += 64)
      copyBox(target + i * 128, box.map, InnerContiguous ? k : box.outer + i, InnerContiguous ? box.outer + i : k,
              box.matrix, ready);
  }

  // multiply sets the tile to the product over count elements of k.
  METHOD void multiply(int count) {
#pragma unroll
    for (int i = 0; i < MI; i++)
#pragma unroll
      for (int j = 0; j < BN / 8; j++)
#pragma unroll
        for (int e = 0; e < 4; e++) acc[i][j][e] = 0;
    const u32 rows = Groups == 1 ? 0 : threadIdx.x / 128 * MI * kBox;
    u32 previous = 0;
    for (int k = 0; k < count; k += 64) {
      barrierWait(shared + 8 * stage, parity);
      const u32 at = shared + kStages + stage * kStage;
      if (Ragged && count - k < 64) clearAfter(at, rows, count - k);
      wgmmaBegin();
#pragma unroll
      for (int kk = 0; kk < 4; kk++)
#pragma unroll
        for (int i = 0; i < MI; i++)
          wgmma<!AK, !BK>(acc[i], wgmmaOperand<AK>(at + rows + i * kBox, kk), wgmmaOperand<BK>(at + kStageA, kk));
      wgmmaCommit();
      wgmmaWait<1>();  // the stage before this one has been read
      if (k > 0 && lane() == 0) barrierArrive(previous);
      previous = shared + kEmpty + 8 * stage;
      next();
    }
    wgmmaWait<0>();
    if (count > 0 && lane() == 0) barrierArrive(previous);
#pragma unroll
    for (int i = 0; i < MI; i++) wgmmaResults(acc[i]);
  }

  // clearAfter zeroes the rows of a stage from the given one on, in all that this thread's
  // warpgroup reads.
  METHOD void clearAfter(u32 at, u32 own, int row) const {
    const int thread = threadIdx.x % 128;
    for (int r = row + thread / 8; r < 64; r += 16)
#pragma unroll
      for (int box = 0; box < MI + BN / 64; box++) {
        const u32 target = at + (box < MI ? own + box * kBox : kStageA + (box - MI) * kBox) + r * 128 + thread % 8 * 16;
        asm volatile("st.shared.v4.b32 [%0], {%1,%1,%1,%1};" ::"r"(target), "r"(0) : "memory");
      }
    sharedWritten();
    groupSync(threadIdx.x / 128);
  }

  // row is the first of the two rows of this thread in 64-row part i, the other is eight on.
  METHOD int row(int i) const { return (threadIdx.x / 128 * MI + i) * 64 + warp() % 4 * 16 + lane() / 4; }

  // store writes c = alpha·tile, or adds it, where c is the matrix [m,n] that the tile at
  // (m0, n0) is part of. A warp brings eight rows at a time together in shared memory.
  METHOD void store(float* c, i64 ldc, int m, int n, int m0, int n0, float alpha, bool add) const {
    const int row = m0 + threadIdx.x / 128 * MI * 64 + warp() % 4 * 16;
    c += row * ldc + n0;
    const u64 misaligned = (ldc * 4 | reinterpret_cast<u64>(c) | (n - n0 < BN ? n * 4 : 0)) % 16;
#pragma unroll
    for (int i = 0; i < MI; i++) {
      float* part = c + i * 64 * ldc;
      if (misaligned) storeElements(acc[i], part, ldc, m - row - i * 64, n - n0, alpha, add);
      else storeBulk(acc[i], part, ldc, m - row - i * 64, n - n0, alpha, add);
    }
  }

  // The same in bfloat16, from the registers: four lanes exchange words so that each writes
  // eight columns of a row at once.
  METHOD void store(bf16* c, i64 ldc, int m, int n, int m0, int n0, float alpha, bool add) const {
    const int t = lane() % 4;
    const bool vectors = (n % 8 | ldc % 8 | reinterpret_cast<u64>(c) % 16) == 0;
#pragma unroll
    for (int i = 0; i < MI; i++)
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const int r = m0 + row(i) + 8 * h;
        bf16* line = c + r * ldc + n0;
        if (!vectors) {
          if (r < m) storePairs(acc[i], h, line, n - n0, alpha, add);
          continue;
        }
#pragma unroll
        for (int q = 0; q < BN / 32; q++) {
          u32 x[4];
#pragma unroll
          for (int e = 0; e < 4; e++) {
            const float* v = acc[i][4 * q + e] + 2 * h;
            const int column = 32 * q + 8 * e + 2 * t;
            u32 old = 0;
            if (add && r < m && n0 + column < n) old = ld(reinterpret_cast<const u32*>(line + column));
            x[e] = pack(alpha * v[0] + lowHalf(old), alpha * v[1] + highHalf(old));
          }
          transposeQuad(x);
          const int column = 32 * q + 8 * t;
          if (r < m && n0 + column < n) st(reinterpret_cast<u32x4*>(line + column), u32x4{x[0], x[1], x[2], x[3]});
        }
      }
  }
  METHOD void storePairs(const float (&x)[BN / 8][4], int h, bf16* line, int columns, float alpha, bool add) const {
#pragma unroll
    for (int j = 0; j < BN / 8; j++)
#pragma unroll
      for (int e = 0; e < 2; e++) {
        const int column = 8 * j + 2 * (lane() % 4) + e;
        const float v = alpha * x[j][2 * h + e];
        if (column < columns) store1(line + column, add ? v + load1(line + column) : v);
      }
  }

  // storeBoxes writes a bfloat16 tile through the map of C, in boxes like those of A and B;
  // the map drops what is outside of C.
  METHOD void storeBoxes(const TensorMap* map, int m0, int n0, int run, float alpha) const {
    constexpr int kAll = MI * BN / 64, kOnce = Boxes < kAll ? Boxes : kAll;
#pragma unroll
    for (int first = 0; first < kAll; first += kOnce) {
      boxesFree<0>();
#pragma unroll
      for (int b = first; b < first + kOnce; b++)
        fillBox(b - first, [&](int j, int h) INLINE {
          const float* v = acc[b / (BN / 64)][b % (BN / 64) * 8 + j] + 2 * h;
          return pack(alpha * v[0], alpha * v[1]);
        });
      boxesFull();
      if (threadIdx.x % 128 != 0) continue;
#pragma unroll
      for (int b = first; b < first + kOnce; b++)
        writeBox(map, n0 + b % (BN / 64) * 64, m0 + (threadIdx.x / 128 * MI + b / (BN / 64)) * 64, run, box(b - first));
      bulkCommit();
    }
  }
  // box is the address of a warpgroup's box. boxesFree waits until all but the n latest
  // groups of writes have been read from there; fillBox fills one, of 64 rows of this
  // warpgroup, with the words of columns 8j + 2(lane%4) and the next in the thread's row h;
  // boxesFull shows them to the copy engine.
  METHOD u32 box(int i) const { return shared + kRows + (threadIdx.x / 128 * Boxes + i) * kBox; }
  template <int n>
  METHOD void boxesFree() const {
    if (threadIdx.x % 128 == 0) bulkRead<n>();
    groupSync(threadIdx.x / 128);
  }
  template <class Word>
  METHOD void fillBox(int i, Word word) const {
    const u32 line = box(i) + boxLine();
#pragma unroll
    for (int h = 0; h < 2; h++)
#pragma unroll
      for (int j = 0; j < 8; j++) setSharedWord(line + boxWord(j, h), word(j, h));
  }
  METHOD void boxesFull() const {
    sharedWritten();
    groupSync(threadIdx.x / 128);
  }
  // Where a thread's words lie in a box: rows of 128 bytes, chunks swizzled.
  static METHOD u32 boxLine() { return (warp() % 4 * 16 + lane() / 4) * 128 + lane() % 4 * 4; }
  static METHOD u32 boxWord(int j, int h) { return h * 1024 + ((j ^ lane() / 4) << 4); }

  static METHOD void groupSync(int group) { asm volatile("bar.sync %0, 128;" ::"r"(1 + group) : "memory"); }

  METHOD u32 buffer(int i) const { return shared + kRows + (warp() * kBuffers + i % kBuffers) * kBuffer; }

  // storeBulk leaves writing and adding to the copy engine, row by row.
  METHOD void storeBulk(const float (&x)[BN / 8][4], float* c, i64 ldc, int rows, int columns, float alpha,
                        bool add) const {
    constexpr int width = BN < 64 ? BN : 64;
    const int g = lane() / 4, t = lane() % 4;
#pragma unroll
    for (int first = 0; first < BN; first += width)
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const u32 part = buffer(first / width * 2 + h);
        bulkRead<kBuffers - 1>();
        syncWarp();
#pragma unroll
        for (int j = 0; j < width / 8; j++) {
          const float *v = x[first / 8 + j] + 2 * h, p = alpha * v[0], q = alpha * v[1];
          const u32 at = part + g * kPitch + (8 * j + 2 * t) * 4;
          asm volatile("st.shared.v2.f32 [%0], {%1, %2};" ::"r"(at), "f"(p), "f"(q) : "memory");
        }
        sharedWritten();
        syncWarp();
        const int line = h * 8 + lane(), bytes = min(columns - first, width) * 4;
        if (lane() < 8 && line < rows && bytes > 0) {
          float* target = c + line * ldc + first;
          if (add) addBulk(target, part + lane() * kPitch, bytes);
          else writeBulk(target, part + lane() * kPitch, bytes);
        }
        bulkCommit();
      }
  }

  // storeElements writes any matrix, one element a lane at a time.
  METHOD void storeElements(const float (&x)[BN / 8][4], float* c, i64 ldc, int rows, int columns, float alpha,
                            bool add) const {
    const int g = lane() / 4, t = lane() % 4;
    bulkRead<0>();
#pragma unroll
    for (int first = 0; first < BN; first += 64)
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const u32 part = buffer(0);
        syncWarp();
#pragma unroll
        for (int j = 0; j < 8; j++) {
          const float* v = x[first / 8 + j] + 2 * h;
          asm volatile("st.shared.v2.f32 [%0], {%1, %2};" ::"r"(part + g * kPitch + (8 * j + 2 * t) * 4),
                       "f"(alpha * v[0]), "f"(alpha * v[1]) : "memory");
        }
        syncWarp();
#pragma unroll 1
        for (int i = lane(); i < 8 * 64; i += 32) {
          const int line = i / 64, column = i % 64;
          if (h * 8 + line >= rows || first + column >= columns) continue;
          float v;
          asm volatile("ld.shared.f32 %0, [%1];" : "=f"(v) : "r"(part + line * kPitch + column * 4));
          float* p = c + (h * 8 + line) * ldc + first + column;
          st(p, add ? v + ld(p) : v);
        }
      }
  }
};
