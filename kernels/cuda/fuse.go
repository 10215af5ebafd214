package cuda

import "github.com/etastar/etastar/kernels"

// step is what is done in one go: an operation, or two of which the second takes the
// first's result while it is in registers.
type step struct {
	op       int // of two, the second
	with     int // the first, or −1
	accesses []kernels.Access
}

// fuse lists the steps of a program.
func (c *compiler) fuse(p *kernels.Program) []step {
	first := map[int]int{} // by second
	gone := map[int]bool{}
	for j := range p.Ops() {
		if i, ok := c.before(p, j); ok {
			first[j], gone[i] = i, true
		}
	}
	var steps []step
	for j := range p.Ops() {
		if gone[j] {
			continue
		}
		s := step{op: j, with: -1, accesses: p.Accesses(j)}
		if i, ok := first[j]; ok {
			s.with, s.accesses = i, c.together(p, i, j)
		}
		steps = append(steps, s)
	}
	return steps
}

func (c *compiler) root(b kernels.Buffer) kernels.Buffer { return c.info(b).Root }

// accessed reports whether one of the operations from … until−1 reads or writes the memory
// of a buffer.
func (c *compiler) accessed(p *kernels.Program, b kernels.Buffer, from, until int, write bool) bool {
	for i := from; i < until; i++ {
		for _, a := range p.Accesses(i) {
			if c.root(a.Buffer) == c.root(b) && (a.Write || !write) {
				return true
			}
		}
	}
	return false
}

// lone reports whether a buffer is scratch that nothing but the two operations uses.
func (c *compiler) lone(p *kernels.Program, b kernels.Buffer, i, j int) bool {
	return c.info(b).Class == kernels.Scratch &&
		!c.accessed(p, b, 0, i, false) && !c.accessed(p, b, i+1, j, false) && !c.accessed(p, b, j+1, p.Ops(), false)
}

// together is what two operations access in one step: all but what passes in registers.
func (c *compiler) together(p *kernels.Program, i, j int) []kernels.Access {
	var passed kernels.Buffer
	if y := p.Op(i).(kernels.MatMul).Y; c.lone(p, y, i, j) {
		passed = c.root(y)
	}
	var list []kernels.Access
	for _, a := range append(p.Accesses(i)[:len(p.Accesses(i)):len(p.Accesses(i))], p.Accesses(j)...) {
		if c.root(a.Buffer) != passed {
			list = append(list, a)
		}
	}
	return list
}

// before finds the product whose result the j-th operation can take from registers.
func (c *compiler) before(p *kernels.Program, j int) (i int, ok bool) {
	var x kernels.Buffer
	grad := false
	switch o := p.Op(j).(type) {
	case kernels.SwiGLU:
		x = o.X
	case kernels.SwiGLUGrad:
		x, grad = o.DY, true
	default:
		return 0, false
	}
	for i = j - 1; i >= 0; i-- {
		if m, is := p.Op(i).(kernels.MatMul); is && m.Y == x {
			return i, c.target.hopper && !m.Add && !m.TransA && m.TransB != grad && (!grad || c.lone(p, x, i, j)) &&
				!c.accessed(p, m.A, i+1, j, true) && !c.accessed(p, m.B, i+1, j, true) && c.inVectors(p, i, j)
		}
		if c.accessed(p, x, i, i+1, false) {
			return 0, false
		}
	}
	return 0, false
}

// inVectors reports whether all buffers of two operations belong to runs and have rows of
// whole vectors of bfloat16, and none is written that the other reads.
func (c *compiler) inVectors(p *kernels.Program, i, j int) bool {
	for _, k := range []int{i, j} {
		for _, a := range p.Accesses(k) {
			info := c.info(a.Buffer)
			if info.Class == kernels.Shared || info.Cols()%8 != 0 || info.Offset%8 != 0 {
				return false
			}
		}
	}
	m := p.Op(i).(kernels.MatMul)
	return !c.accessed(p, m.A, j, j+1, true) && !c.accessed(p, m.B, j, j+1, true)
}

// do records a step.
func (c *compiler) do(p *kernels.Program, s step) error {
	if s.with < 0 {
		return c.operation(p.Op(s.op))
	}
	m := p.Op(s.with).(kernels.MatMul)
	switch o := p.Op(s.op).(type) {
	case kernels.SwiGLU:
		c.matMulSwiGLU(m, o, !c.lone(p, m.Y, s.with, s.op))
	case kernels.SwiGLUGrad:
		c.matMulSwiGLUGrad(m, o)
	}
	return nil
}

// matMulSwiGLU is a product and its gated unit; kept says that the product is read again.
func (c *compiler) matMulSwiGLU(m kernels.MatMul, o kernels.SwiGLU, kept bool) {
	y, k := c.info(o.Y), c.info(m.A).Cols()
	n, f := y.Rows(), y.Cols()
	wGate, wUp := c.halves(c.in16(m.B), f*k)
	a := gemmSwiGLUArgs{
		a: c.mapOf(c.in16(m.A), [2]int{n, k}, k), wGate: c.mapOf(wGate, [2]int{f, k}, k), wUp: c.mapOf(wUp, [2]int{f, k}, k),
		y: c.mapOf(c.out16(o.Y), [2]int{n, f}, f), runs: c.slots(), m: int32(n), f: int32(f), k: int32(k), kept: flag(kept), alpha: one(m.Alpha),
	}
	if kept {
		gate, up := c.halves(c.out16(m.Y), f)
		a.gate, a.up = c.mapOf(gate, [2]int{n, f}, 2*f), c.mapOf(up, [2]int{n, f}, 2*f)
	}
	c.add("gemm_swiglu_sm90", ceil(n, 128)*ceil(f, 64), 1, raw(&a))
	c.last().shared, c.last().spread = 230400, c.target.sms
}

// matMulSwiGLUGrad is a product that gives the gradient of a gated unit, and that of its
// inputs.
func (c *compiler) matMulSwiGLUGrad(m kernels.MatMul, o kernels.SwiGLUGrad) {
	k := c.info(m.A).Cols()
	n, f := c.info(o.X).Rows(), c.info(o.X).Cols()/2
	gate, up := c.halves(c.in16(o.X), f)
	dGate, dUp := c.halves(c.out16(o.DX), f)
	a := gemmSwiGLUGradArgs{
		a: c.mapOf(c.in16(m.A), [2]int{n, k}, k), w: c.mapOf(c.in16(m.B), [2]int{k, f}, f),
		gate: c.mapOf(gate, [2]int{n, f}, 2*f), up: c.mapOf(up, [2]int{n, f}, 2*f),
		dGate: c.mapOf(dGate, [2]int{n, f}, 2*f), dUp: c.mapOf(dUp, [2]int{n, f}, 2*f),
		runs: c.slots(), m: int32(n), f: int32(f), k: int32(k), alpha: one(m.Alpha),
	}
	c.add("gemm_swiglu_grad_sm90", ceil(n, 128)*ceil(f, 128), 1, raw(&a))
	c.last().shared, c.last().spread = 99328, 2*c.target.sms
}

// halves is a buffer from its start and from an element on.
func (c *compiler) halves(r ref, at int) (first, second ref) { return r, r.skip(int64(at), narrow) }
