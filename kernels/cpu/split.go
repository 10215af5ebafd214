package cpu

import (
	"cmp"
	"slices"

	"github.com/etastar/etastar/kernels"
)

// chunkRows is how many rows of activations are taken through a program at a time. Fewer
// would not repay that weights are packed anew for each chunk; with more, what the forward
// keeps has left the cache when the backward reads it.
const chunkRows = 512

// part is a range of operations that executes chunk by chunk.
type part struct {
	from, until int
	chunks      int
	rows        int                     // of the program's batch
	split       map[kernels.Buffer]bool // roots of the buffers of which a chunk has its share
}

// batched lists the operands of an operation that have a row, or several entries, for
// every token; the first is a matrix of one row a token. What else it writes it must add to, or
// start afresh at chunk 0 only. seq is how many rows belong together. An operation that
// is not of this kind has no such operands.
func batched(op kernels.Op) (list []kernels.Buffer, seq int) {
	switch o := op.(type) {
	case kernels.MatMul:
		switch {
		case !o.TransA:
			return []kernels.Buffer{o.Y, o.A}, 1
		case o.Add && !o.TransB:
			return []kernels.Buffer{o.A, o.B}, 1
		}
	case kernels.Embed:
		return []kernels.Buffer{o.Y, o.Tokens}, 1
	case kernels.EmbedGrad:
		return []kernels.Buffer{o.DY, o.Tokens}, 1
	case kernels.RMSNorm:
		return []kernels.Buffer{o.Y, o.X, o.RStd, o.Residual, o.Sum}, 1
	case kernels.RMSNormGrad:
		return []kernels.Buffer{o.DX, o.DY, o.X, o.RStd}, 1
	case kernels.QKNormRope:
		return []kernels.Buffer{o.QK, o.QKV, o.RStd, o.Positions}, 1
	case kernels.QKNormRopeGrad:
		return []kernels.Buffer{o.DQK, o.DQKV, o.QKV, o.RStd, o.Positions}, 1
	case kernels.Attention:
		return []kernels.Buffer{o.QK, o.QKV, o.Y, o.LSE}, o.Seq
	case kernels.AttentionGrad:
		return []kernels.Buffer{o.DQK, o.DQKV, o.DY, o.Y, o.LSE, o.QK, o.QKV}, o.Seq
	case kernels.SwiGLU:
		return []kernels.Buffer{o.Y, o.X}, 1
	case kernels.SwiGLUGrad:
		return []kernels.Buffer{o.DX, o.DY, o.X}, 1
	case kernels.Head:
		return []kernels.Buffer{o.X, o.DX, o.Loss, o.LSE, o.Targets}, 1
	case kernels.Sum:
		if o.Add {
			return []kernels.Buffer{o.X}, 1
		}
	}
	return nil, 0
}

// parts divides a program.
func (c *compiler) parts(p *kernels.Program) []part {
	var list []part
	for i := 0; i < p.Ops(); {
		t, seq := part{from: i, until: i, chunks: 1, split: map[kernels.Buffer]bool{}}, 1
		for t.until < p.Ops() && c.join(&t, p.Op(t.until), &seq) {
			t.until++
		}
		if t.until == i { // an operation of another kind
			t.until++
		} else if rows := c.chunkOf(t.rows, seq); c.separable(p, &t) {
			t.chunks = t.rows / rows
		}
		list, i = append(list, t), t.until
	}
	return list
}

// chunkOf is how many of n rows make a chunk: whole sequences, equally many in each.
func (c *compiler) chunkOf(n, seq int) int {
	rows := max(seq, c.chunk/seq*seq)
	for rows < n && n%rows != 0 {
		rows -= seq
	}
	if rows > n || rows < c.chunk/2 {
		return n
	}
	return rows
}

// join takes an operation into a part if it is of the same batch.
func (c *compiler) join(t *part, op kernels.Op, seq *int) bool {
	list, n := batched(op)
	if len(list) == 0 || n > 1 && *seq > 1 && n != *seq {
		return false
	}
	info, _ := c.space.Info(list[0])
	if t.rows == 0 {
		t.rows = info.Rows()
	}
	if _, vector := op.(kernels.Sum); !vector && info.Rows() != t.rows {
		return false
	}
	for _, b := range list {
		if info, ok := c.space.Info(b); ok && info.Len()%t.rows != 0 {
			return false
		}
	}
	*seq = max(*seq, n)
	for _, b := range list {
		if info, ok := c.space.Info(b); ok {
			t.split[info.Root] = true
		}
	}
	return true
}

// separable reports whether the chunks of a part do not see each other: the scratch
// memory, which they take in turns, holds nothing else, and nothing is read that they
// add to.
func (c *compiler) separable(p *kernels.Program, t *part) bool {
	read, added := map[kernels.Buffer]bool{}, map[kernels.Buffer]bool{}
	for i := range p.Ops() {
		inside := i >= t.from && i < t.until
		list, _ := batched(p.Op(i))
		for _, a := range p.Accesses(i) {
			info, _ := c.space.Info(a.Buffer)
			split, at := t.split[info.Root], slices.Index(list, a.Buffer)
			switch {
			case info.Class == kernels.Scratch && inside != split:
				return false
			case !inside:
			case split != (at >= 0):
				return false
			case split:
				list = slices.Delete(list, at, at+1) // the same buffer may also be an operand that is whole
			case a.Write:
				added[info.Root] = true
			default:
				read[info.Root] = true
			}
		}
	}
	for b := range added {
		if read[b] {
			return false
		}
	}
	return true
}

// squeeze moves the scratch buffers of a program together where all of them hold a chunk
// only. Their order stays, so that those apart before are apart still.
func (c *compiler) squeeze(p *kernels.Program, parts []part) kernels.Layout {
	l, chunks := p.Scratch(), 0
	for _, t := range parts {
		for i := t.from; i < t.until; i++ {
			for _, a := range p.Accesses(i) {
				info, _ := c.space.Info(a.Buffer)
				if info.Class != kernels.Scratch {
					continue
				}
				if chunks == 0 {
					chunks = t.chunks
				}
				if t.chunks != chunks || info.Root != a.Buffer {
					return l
				}
			}
		}
	}
	if chunks < 2 {
		return l
	}
	var order []int
	for b, off := range l.Offset {
		if off >= 0 {
			order = append(order, b)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(l.Offset[a], l.Offset[b]) })
	small := kernels.Layout{Offset: slices.Clone(l.Offset)}
	for rank, b := range order {
		// Rounding down takes less than the line that each adds.
		small.Offset[b] = (l.Offset[b]/(line*chunks) + rank) * line
		info, _ := c.space.Info(kernels.Buffer(b + 1))
		small.Len = max(small.Len, small.Offset[b]+(info.Len()/chunks+line-1)/line*line)
	}
	return small
}

// line is how many floats a cache line holds; buffers start on one.
const line = 16
