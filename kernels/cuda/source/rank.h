// Stable counting by small keys: the places of the elements of an array in the order of
// their keys, those with equal keys as they come. A block has the keys from low on, at
// most Keys of them, to itself and passes over the array twice; each of its warps has a
// part of the array and counts of its own, so that no order depends on timing.
#pragma once
#include "device.h"

// rankSpan is how many elements a warp has.
template <int Warps>
DEVICE int rankSpan(int n) {
  return ceilDiv(ceilDiv(n, Warps), 32) * 32;
}

// rankLoad loads Batch keys a lane, from the warp's element from on; −1 after end.
template <int Batch>
DEVICE void rankLoad(int (&key)[Batch], const int* keys, int from, int end) {
#pragma unroll
  for (int j = 0; j < Batch; j++) {
    int i = from + 32 * j + lane();
    key[j] = ld(keys + min(i, end - 1));
    if (i >= end) key[j] = -1;
  }
}

// rankCount counts the keys of every warp's part and returns how many keys from 0 to
// low this thread saw. It ends with a barrier.
template <int Batch, int Warps, int Keys>
DEVICE int rankCount(int (&counts)[Warps][Keys], const int* keys, int n, int low, int range) {
  for (int k = threadIdx.x; k < Warps * Keys; k += Warps * 32) counts[0][k] = 0;
  sync();
  int span = rankSpan<Warps>(n), begin = warp() * span, end = min(begin + span, n), below = 0;
  for (int from = begin; from < end; from += 32 * Batch) {
    int key[Batch];
    rankLoad(key, keys, from, end);
#pragma unroll
    for (int j = 0; j < Batch; j++) {
      if (from + 32 * j >= end) break;
      below += u32(key[j]) < u32(low);
      u32 own = key[j] - low;
      if (key[j] >= 0 && own < u32(range)) atomicAdd(&counts[warp()][own], 1);
    }
  }
  sync();
  return below;
}

// rankPrefix replaces the counts of a key by those of the warps before; it returns the
// sum of all.
template <int Warps, int Keys>
DEVICE int rankPrefix(int (&counts)[Warps][Keys], int key) {
  int sum = 0;
#pragma unroll
  for (int w = 0; w < Warps; w++) {
    int c = counts[w][key];
    counts[w][key] = sum;
    sum += c;
  }
  return sum;
}

// rankPlace calls emit(element, place) for every element whose key is the block's. Keys
// begin at starts; the counts are those of rankPrefix.
template <int Batch, int Warps, int Keys, class Emit>
DEVICE void rankPlace(const int* starts, int (&counts)[Warps][Keys], const int* keys, int n, int low, int range,
                      Emit emit) {
  int span = rankSpan<Warps>(n), begin = warp() * span, end = min(begin + span, n);
  for (int from = begin; from < end; from += 32 * Batch) {
    int key[Batch];
    rankLoad(key, keys, from, end);
#pragma unroll
    for (int j = 0; j < Batch; j++) {
      if (from + 32 * j >= end) break;
      u32 own = key[j] - low;
      bool mine = key[j] >= 0 && own < u32(range);
      if (ballot(mine) == 0) continue;
      u32 same = matchAny(mine ? key[j] : -1), before = same & ((1u << lane()) - 1);
      int* count = &counts[warp()][mine ? own : 0];
      int place = mine ? starts[own] + *count + __builtin_popcount(before) : 0;
      syncWarp();
      if (mine && before == 0) *count += __builtin_popcount(same);
      syncWarp();
      if (mine) emit(from + 32 * j + lane(), place);
    }
  }
}
