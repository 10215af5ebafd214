package cuda

import (
	"slices"

	"github.com/etastar/etastar/kernels"
)

// span is how many elements a block of the elementwise kernels has.
const span = 2048

func (c *compiler) blend(o kernels.Blend) {
	n := c.info(o.Y).Len()
	a := blendArgs{
		y: c.out32(o.Y), a: c.in32(o.A), b: c.in32(o.B), runs: c.slots(), n: int64(n), alpha: one(o.Alpha), beta: one(o.Beta),
	}
	c.add("blend", ceil(n, span), 1, raw(&a))
}

func (c *compiler) copy(o kernels.Copy) {
	if len(o.X) > 1 && c.ofRuns(o.X) {
		var list []tensor
		for i, y := range o.Y {
			c.out32(y)
			c.in32(o.X[i])
			list = append(list, tensor{p: c.element(y, wide), g: c.element(o.X[i], wide), m: -1, v: -1, p16: -1, n: int64(c.info(y).Len())})
		}
		a := copyEachArgs{arena: c.arenaAddress(), stride: c.arenaStride(wide), runs: c.slots()}
		var count int
		a.tensors, a.chunks, count = c.tensors(list)
		c.add("copy_each", count, 1, raw(&a))
		return
	}
	for i, y := range o.Y {
		n := c.info(y).Len()
		a := copyArgs{y: c.out32(y), x: c.in32(o.X[i]), runs: c.slots(), n: int64(n)}
		c.add("copy", ceil(n, span), 1, raw(&a))
	}
}

// ofRuns reports whether no buffer is shared by the runs.
func (c *compiler) ofRuns(list []kernels.Buffer) bool {
	return !slices.ContainsFunc(list, func(b kernels.Buffer) bool { return c.info(b).Class == kernels.Shared })
}

// convertFor writes one form of a buffer from the other.
func (c *compiler) convertFor(run int, slots uint64, to form, dst, src ref, n int) {
	a := copyArgs{y: dst, x: src, runs: slots, n: int64(n)}
	if to == narrow {
		c.addFor(run, "cast", ceil(n, span), 1, raw(&a))
	} else {
		c.addFor(run, "widen", ceil(n, 1024), 1, raw(&a))
	}
}

func (c *compiler) sum(o kernels.Sum) {
	n := c.info(o.X).Len()
	a := sumArgs{y: c.out32(o.Y), x: c.in32(o.X), runs: c.slots(), n: int64(n), scale: one(o.Scale), add: flag(o.Add)}
	c.add("sum", 1, 1, raw(&a))
}

func (c *compiler) stats(o kernels.Stats) {
	out := c.out32(o.Out)
	if len(o.X) > 1 && c.ofRuns(o.X) {
		var list []tensor
		at := int64(0)
		for _, b := range o.X {
			c.in32(b)
			n := int64(c.info(b).Len())
			list = append(list, tensor{p: -1, g: c.element(b, wide), m: at, v: -1, p16: -1, n: n})
			at += (n + chunkLen - 1) / chunkLen
		}
		a := statsEachArgs{
			arena: c.arenaAddress(), stride: c.arenaStride(wide), out: out, work: c.tmp64(at * kernels.StatFields), runs: c.slots(),
		}
		var count int
		a.tensors, a.chunks, count = c.tensors(list)
		c.add("stats_each", count, 1, raw(&a))
		c.add("stats_each_finish", len(list), 1, raw(&a))
		return
	}
	c.beside(o.X, o.Out)
	for i, b := range o.X {
		n := c.info(b).Len()
		x, kind := c.inAny(b)
		blocks := min(ceil(n, 4096), 264)
		a := statsArgs{
			out: out.skip(int64(i)*kernels.StatFields, wide), x: x, work: c.tmp64(int64(blocks) * kernels.StatFields),
			runs: c.slots(), n: int64(n), blocks: int32(blocks),
		}
		c.add("stats"+kind, blocks, 1, raw(&a))
		c.add("stats_finish", 1, 1, raw(&a))
	}
}
