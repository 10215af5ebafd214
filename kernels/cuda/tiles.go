package cuda

import "math"

// tile is a variant of the matrix kernels: the part of the result that a block computes
// and the shared memory it needs; and for choosing one, how many blocks a multiprocessor
// holds and about how many microseconds 64 elements of the inner axis and all else take.
type tile struct {
	name      string
	bm, bn    int
	shared    int
	resident  int
	step, end float64
}

// The kernel without demands on alignment, then the others; the same of sm_90a, whose
// blocks go on to other tiles, and for groups of rows.
var (
	anyTile     = tile{name: "any", bm: 64, bn: 64, shared: 32768}
	tiles       = []tile{{"128x128", 128, 128, 98304, 2, 1.1, 2.5}, {"64x64", 64, 64, 49152, 4, 0.62, 1.5}}
	hopperTiles = []tile{
		{"128x256", 128, 256, 232448, 1, 0.72, 2.1},
		{"128x128", 128, 128, 206848, 1, 0.42, 3},
		{"128x128", 128, 128, 115712, 2, 0.8, 2},
		{"128x64", 128, 64, 115712, 2, 0.76, 0.7},
		{"64x64", 64, 64, 206848, 1, 0.22, 0.9},
	}
	hopperGroupTiles = []tile{
		{"128x256", 128, 256, 232448, 1, 0.72, 3}, {"128x128", 128, 128, 108544, 2, 0.84, 4}, {"64x128", 64, 128, 108544, 2, 0.6, 2},
	}
)

// longInner is from which inner axis on the largest tile has a kernel of its own.
const longInner = 1024

// Splitting the inner axis: pieces of at least minSlice, in steps of sliceStep.
const (
	minSlice  = 256
	sliceStep = 64
)

// split is how many pieces of which size come of cutting k in about s.
func split(k, s int) (slices, kSlice int) {
	if s < 2 {
		return 1, k
	}
	size := ceil(ceil(k, s), sliceStep) * sliceStep
	return ceil(k, size), size
}

// Memory: bytes a microsecond, and what of it the L2 cache keeps between a block's tiles.
const (
	bandwidth = 2.5e6
	cacheKept = 24 << 20
)

// maxInOrder is how many slices gemm_reduce adds up one after another.
const maxInOrder = 8

// cost is about how long a product takes, in microseconds, its pieces of the inner axis in
// blocks of their own or one after another in a block.
func (c *compiler) cost(t tile, m, n, k, runs, cut int, apart bool) float64 {
	slices, kSlice := split(k, cut)
	each := 1 // blocks of a tile
	if apart {
		each = slices
	}
	rows, columns := ceil(m, t.bm), ceil(n, t.bn)
	number, slots := rows*columns, c.target.sms*t.resident
	blocks, rounds, reduce, rate := number, ceil(number*runs*each, slots), 0.5, 3e6
	if c.target.hopper {
		blocks = min(number, max(1, slots/(each*runs)))
		rounds, reduce, rate = ceil(number, blocks)*ceil(blocks*each*runs, slots), 0.4, 0.9e6
	}
	once := float64(ceil(kSlice, sliceStep))*t.step + t.end
	us := max(float64(rounds*slices/each)*once, traffic(t, m, n, k, blocks, runs)/bandwidth)
	if each > 1 {
		us += reduce + float64(runs)*float64(m)*float64(n)*float64(4*slices+8)/rate
	}
	return us
}

// traffic is about how many bytes of the operands come from memory. Blocks go through
// bands of eight rows of tiles, column by column: what they read again later may have left
// the cache.
func traffic(t tile, m, n, k, blocks, runs int) float64 {
	rows, columns := ceil(m, t.bm), ceil(n, t.bn)
	high := min(rows, 8)
	again := func(size, times int) float64 {
		bytes := 2 * float64(size) * float64(k) * float64(runs)
		if 2*size*k*runs > cacheKept {
			bytes *= float64(times)
		}
		return bytes
	}
	atOnce := min(high, blocks)
	return float64(ceil(m, high*t.bm))*again(min(m, high*t.bm), ceil(columns, max(1, blocks/high))) + again(n, ceil(rows, atOnce))
}

// pick chooses how to cut the inner axis, the tile, and into how many blocks a tile goes:
// one for each piece, or one. The cut decides the order of sums, so it goes by one run
// alone; the rest does not change the order, and goes by all runs. inOrder allows one block.
func (c *compiler) pick(m, n, k int, inOrder bool) (t tile, slices, kSlice, apart int) {
	list := tiles
	if c.target.hopper {
		list = hopperTiles
	}
	least, cut := math.Inf(1), 1
	for _, t := range list {
		number, slots := ceil(m, t.bm)*ceil(n, t.bn), c.target.sms*t.resident
		for w := range 4 {
			s := max(1, w*slots/number)
			if s > 1 && s > k/minSlice {
				continue
			}
			if us := c.cost(t, m, n, k, 1, s, true); us < least {
				least, cut = us, s
			}
		}
	}
	slices, kSlice = split(k, cut)
	apart = slices
	cost := func(apart bool) func(tile) float64 {
		return func(t tile) float64 { return c.cost(t, m, n, k, c.runs, cut, apart) }
	}
	t = c.cheapest(list, cost(true))
	if one := c.cheapest(list, cost(false)); inOrder && slices > 1 && slices <= maxInOrder && cost(false)(one) < cost(true)(t) {
		t, apart = one, 1
	}
	return t, slices, kSlice, apart
}

func (c *compiler) cheapest(list []tile, cost func(tile) float64) tile {
	best, least := list[0], math.Inf(1)
	for _, t := range list {
		if us := cost(t); us < least {
			best, least = t, us
		}
	}
	return best
}

// pickGroup is the same for the rows of experts on sm_90a: number counts a tile's blocks,
// k is the inner axis of one.
func (c *compiler) pickGroup(k int, number func(t tile) int) tile {
	return c.cheapest(hopperGroupTiles, func(t tile) float64 {
		return float64(ceil(number(t)*c.runs, c.target.sms*t.resident)) * (float64(k)/sliceStep*t.step + t.end)
	})
}
