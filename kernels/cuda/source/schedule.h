// Which tile of a product a block computes.
#pragma once
#include "device.h"

// TileIndex is the row and column of a tile in the grid of tiles.
struct TileIndex {
  int row, column;
};

// tileIndex goes through a grid in bands of eight rows, down each band's columns, so that
// blocks that run together share rows of A and columns of B in the L2 cache.
DEVICE TileIndex tileIndex(int number, int rows, int columns) {
  constexpr int high = 8;
  const int band = number / (high * columns), within = number % (high * columns);
  const int height = min(high, rows - band * high);
  return {band * high + within % height, within / height};
}

// The tiles of expert e have the numbers from offsets[e]/BM + e on: the quotients leave
// room for ⌈rows/BM⌉ of them whatever the offsets are, and the last has a number below
// rows/BM + experts. findExpert returns the expert of a number, by a search with the lanes
// of a warp: each step narrows a range of experts to one part of 32.
template <int BM>
DEVICE int findExpert(const int* offsets, int experts, int number) {
  int first = 0;
  for (int size = experts; size > 1;) {
    const int part = ceilDiv(size, 32), e = first + lane() * part;
    const bool reached = lane() * part < size && ld(offsets + e) / BM + e <= number;
    const int last = 31 - __builtin_clz(ballot(reached));
    first += last * part;
    size = min(part, size - last * part);
  }
  return first;
}
