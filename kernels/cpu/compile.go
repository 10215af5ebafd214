package cpu

import (
	"fmt"
	"math"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/internal/simd"
)

// compiler turns the operations of one program into steps.
type compiler struct {
	set                     *simd.Set
	space                   *kernels.Space
	shared, perRun, scratch kernels.Layout
	ropes                   map[ropeKey]ropeTable
	dry                     bool // only sizes are wanted
	tmp                     int  // floats of working memory that the operation takes
	chunk                   int  // of Backend
	part                    part // that the operation is in
}

// loc is where a buffer, or a chunk's share of it, lies; with n 0 there is none.
type loc struct {
	class      kernels.Class
	off, n     int
	rows, cols int
	step       int // from one chunk to the next
}

func (c *compiler) loc(b kernels.Buffer) loc {
	info, ok := c.space.Info(b)
	if !ok {
		return loc{}
	}
	layout := c.shared
	switch info.Class {
	case kernels.PerRun:
		layout = c.perRun
	case kernels.Scratch:
		layout = c.scratch
	}
	l := loc{info.Class, layout.Offset[info.Root-1] + info.Offset, info.Len(), info.Rows(), info.Cols(), 0}
	if c.part.chunks > 1 && c.part.split[info.Root] {
		l.n /= c.part.chunks
		if l.rows == c.part.rows {
			l.rows /= c.part.chunks
		}
		if l.class != kernels.Scratch {
			l.step = l.n
		}
	}
	return l
}

func (c *compiler) locs(list []kernels.Buffer) []loc {
	out := make([]loc, len(list))
	for i, b := range list {
		out[i] = c.loc(b)
	}
	return out
}

// reserve takes n floats of working memory and returns where they start. What is
// reserved keeps its contents only while the operation runs.
func (c *compiler) reserve(n int) loc {
	l := loc{class: workClass, off: c.tmp, n: n}
	c.tmp += (n + 15) / 16 * 16
	return l
}

const workClass kernels.Class = 255

// f is the memory of a float32 buffer for the worker's run.
func (w *worker) f(l loc) []float32 {
	mem := w.state
	switch l.class {
	case kernels.Shared:
		mem = w.shared
	case kernels.Scratch:
		mem = w.scratch
	case workClass:
		mem = w.tmp
	}
	off := l.off + w.chunk*l.step
	return mem[off : off+l.n : off+l.n]
}

func (w *worker) ints(l loc) []int32 { return asInts(w.f(l)) }

// mat is a buffer as a matrix.
func (w *worker) mat(l loc, trans bool) simd.Mat {
	m := simd.Rows(w.f(l), l.cols)
	if trans {
		return m.T()
	}
	return m
}

// one is a multiplier, of which 0 stands for 1.
func one(x float32) float32 {
	if x == 0 {
		return 1
	}
	return x
}

// block is how many floats a sum takes in float32 before it goes on in float64, and
// how much of a large buffer is walked at a time.
const block = 4096

func (w *worker) sumSq(x []float32) float64 {
	s := 0.0
	for len(x) > 0 {
		n := min(block, len(x))
		s += float64(w.set.SumSq(x[:n]))
		x = x[n:]
	}
	return s
}

func (c *compiler) compile(op kernels.Op) (step, error) {
	switch o := op.(type) {
	case kernels.MatMul:
		return c.matMul(o), nil
	case kernels.Embed:
		return c.embed(o), nil
	case kernels.EmbedGrad:
		return c.embedGrad(o), nil
	case kernels.RMSNorm:
		return c.rmsNorm(o), nil
	case kernels.RMSNormGrad:
		return c.rmsNormGrad(o), nil
	case kernels.QKNormRope:
		return c.qkNormRope(o), nil
	case kernels.QKNormRopeGrad:
		return c.qkNormRopeGrad(o), nil
	case kernels.Attention:
		return c.attention(o), nil
	case kernels.AttentionGrad:
		return c.attentionGrad(o), nil
	case kernels.SwiGLU:
		return c.swiglu(o), nil
	case kernels.SwiGLUGrad:
		return c.swigluGrad(o), nil
	case kernels.Route:
		return c.route(o), nil
	case kernels.RouteGrad:
		return c.routeGrad(o), nil
	case kernels.Dispatch:
		return c.dispatch(o), nil
	case kernels.Combine:
		return c.combine(o), nil
	case kernels.CombineGrad:
		return c.combineGrad(o), nil
	case kernels.GroupMatMul:
		return c.groupMatMul(o), nil
	case kernels.GroupMatMulGrad:
		return c.groupMatMulGrad(o), nil
	case kernels.Head:
		return c.head(o), nil
	case kernels.Blend:
		return c.blend(o), nil
	case kernels.Copy:
		return c.copy(o), nil
	case kernels.Zero:
		return c.zero(o), nil
	case kernels.Sum:
		return c.sum(o), nil
	case kernels.Stats:
		return c.stats(o), nil
	case kernels.Log:
		return c.log(o), nil
	case kernels.GradNorm:
		return c.gradNorm(o), nil
	case kernels.AdamW:
		return c.adamW(o), nil
	}
	return nil, fmt.Errorf("%T is not an operation that the cpu backend knows", op)
}

func nan() float32 { return float32(math.NaN()) }
