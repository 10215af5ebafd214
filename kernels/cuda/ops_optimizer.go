package cuda

import (
	"unsafe"

	"github.com/etastar/etastar/kernels"
)

// chunkLen is how many elements of a tensor a block of the optimizer has.
const chunkLen = 4096

// element is where a buffer begins in the arena of a run, in elements; −1 for none.
func (c *compiler) element(b kernels.Buffer, f form) int64 {
	if b == 0 || c.phase != placing || c.forms[c.info(b).Root-1]&f == 0 {
		return -1
	}
	return c.offset(b, f) / f.size()
}

// tensors places a list of tensors and their chunks.
func (c *compiler) tensors(list []tensor) (tensors, chunks uint64, count int) {
	var parts []chunk
	for i, t := range list {
		for at := int64(0); at < t.n; at += chunkLen {
			parts = append(parts, chunk{tensor: int32(i), start: at})
		}
	}
	tensors = c.constant(int64(len(list))*int64(unsafe.Sizeof(tensor{})), func() []byte { return rawAll(list) })
	chunks = c.constant(int64(len(parts))*int64(unsafe.Sizeof(chunk{})), func() []byte { return rawAll(parts) })
	return tensors, chunks, len(parts)
}

// rawAll is the bytes of a slice.
func rawAll[T any](list []T) []byte {
	var b []byte
	for i := range list {
		b = append(b, raw(&list[i])...)
	}
	return b
}

func (c *compiler) gradNorm(o kernels.GradNorm) {
	var list []tensor
	for _, b := range o.Grads {
		c.in32(b)
		info := c.info(b)
		list = append(list, tensor{p: -1, g: c.element(b, wide), m: -1, v: -1, p16: -1, n: int64(info.Len())})
	}
	tensors, chunks, count := c.tensors(list)
	a := gradNormArgs{
		arena: c.arenaAddress(), stride: c.arenaStride(wide), tensors: tensors, chunks: chunks,
		work: c.sharedTmp(int64(count) * int64(c.runs) * 8),
		norm: c.out32(o.Norm), clip: c.out32(o.Clip), maxNorm: c.in32(o.MaxNorm), runs: c.slots(), count: int32(count),
	}
	c.add("grad_norm", count, 1, raw(&a))
	c.add("grad_norm_finish", 1, 1, raw(&a))
}

func (c *compiler) arenaAddress() uint64 {
	if c.phase != placing {
		return 0
	}
	return c.arena()
}

func (c *compiler) arenaStride(f form) int64 {
	if c.phase != placing {
		return 0
	}
	return c.layout.run / f.size()
}

func (c *compiler) adamW(o kernels.AdamW) {
	var list []tensor
	for i, p := range o.Params {
		c.outBoth(p)
		for _, b := range []kernels.Buffer{o.Grads[i], o.M[i], o.V[i]} {
			c.in32(b)
		}
		c.out32(o.M[i])
		c.out32(o.V[i])
		info := c.info(p)
		list = append(list, tensor{
			p: c.element(p, wide), g: c.element(o.Grads[i], wide), m: c.element(o.M[i], wide), v: c.element(o.V[i], wide),
			p16: c.element(p, narrow), n: int64(info.Len()),
		})
	}
	tensors, chunks, count := c.tensors(list)
	a := adamWArgs{
		arena: c.arenaAddress(), copies: c.arenaAddress(), stride: c.arenaStride(wide), copyStride: c.arenaStride(narrow),
		tensors: tensors, chunks: chunks, table: c.in32(o.Table), clip: c.in32(o.Clip), runs: c.slots(), count: int32(count),
	}
	c.add("adamw", count, 1, raw(&a))
}

func (c *compiler) zero(o kernels.Zero) {
	var list []tensor
	for _, b := range o.Y {
		info := c.info(b)
		have := wide
		if odd := info.Offset%2 != 0 || info.Len()%2 != 0; odd && info.Root != b {
			c.in32(b) // half a word of bfloat16 belongs to a neighbour
		} else if c.phase != asking {
			have = c.forms[info.Root-1]
		}
		if have&wide != 0 {
			list = append(list, tensor{p: c.element(b, wide), n: int64(info.Len())})
		}
		if have&narrow != 0 {
			list = append(list, tensor{p: c.element(b, narrow) / 2, n: int64(info.Len()+1) / 2})
		}
		c.written = append(c.written, output{b, have})
	}
	tensors, chunks, count := c.tensors(list)
	a := zeroArgs{arena: c.arenaAddress(), stride: c.arenaStride(wide), tensors: tensors, chunks: chunks, runs: c.slots(), count: int32(count)}
	c.add("zero", count, 1, raw(&a))
}
