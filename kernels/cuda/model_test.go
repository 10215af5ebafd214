package cuda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/etastar/etastar/kernels"
)

// shape is a small decoder, dense or, with experts, a mixture.
type shape struct {
	vocabulary, d, layers int
	heads                 kernels.Heads
	f, experts, topK      int
	sequences, seq        int
}

func (s shape) rows() int { return s.sequences * s.seq }

// model records what a trainer would: one program that adds up gradients, one that
// applies them, one that only measures.
type model struct {
	shape
	space                       *kernels.Space
	tokens, targets, positions  kernels.Buffer
	scale, limit, norm, clip    kernels.Buffer
	tokenLoss, loss, table      kernels.Buffer
	tensors                     []weights
	accumulate, apply, evaluate *kernels.Program
	ops                         []kernels.Op
	backward                    []func()
	dh                          kernels.Buffer
	prefix                      string
	parameters                  map[string]weights
}

// weights is a parameter with its gradient and moments.
type weights struct {
	name       string
	p, g, m, v kernels.Buffer
	shape      []int
}

func newModel(t testing.TB, s shape) *model {
	t.Helper()
	m := &model{shape: s, space: kernels.NewSpace(), parameters: map[string]weights{}}
	n := s.rows()
	m.tokens, m.targets = m.space.Int("tokens", kernels.Shared, n), m.space.Int("targets", kernels.Shared, n)
	m.positions = m.space.Int("positions", kernels.Shared, n)
	scalar := func(name string) kernels.Buffer { return m.space.Float(name, kernels.PerRun, 1) }
	m.scale, m.limit, m.norm, m.clip, m.loss = scalar("scale"), scalar("limit"), scalar("norm"), scalar("clip"), scalar("loss")
	m.tokenLoss = m.space.Float("token loss", kernels.PerRun, n)

	m.record("train.", true)
	for i := len(m.backward) - 1; i >= 0; i-- {
		m.backward[i]()
	}
	m.accumulate = m.build(t, "accumulate")
	m.record("eval.", false)
	m.evaluate = m.build(t, "evaluate")
	m.optimizer()
	m.apply = m.build(t, "apply")
	return m
}

func (m *model) build(t testing.TB, name string) *kernels.Program {
	t.Helper()
	r := m.space.Record(name)
	r.Add(m.ops...)
	m.ops = nil
	p, err := r.Build()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (m *model) add(ops ...kernels.Op) { m.ops = append(m.ops, ops...) }

func (m *model) scratch(name string, shape ...int) kernels.Buffer {
	return m.space.Float(m.prefix+name, kernels.Scratch, shape...)
}

func (m *model) param(name string, shape ...int) weights {
	if w, ok := m.parameters[name]; ok {
		return w
	}
	b := func(kind string) kernels.Buffer { return m.space.Float(name+kind, kernels.PerRun, shape...) }
	w := weights{name, b(""), b(".g"), b(".m"), b(".v"), shape}
	m.parameters[name], m.tensors = w, append(m.tensors, w)
	return w
}

const normEps = 1e-5

// record adds the forward, and with grad the loss' gradient; the backward functions add
// the rest.
func (m *model) record(prefix string, grad bool) {
	m.prefix, m.backward = prefix, nil
	n, d := m.rows(), m.d
	embed, head, final := m.param("embed", m.vocabulary, d), m.param("head", m.vocabulary, d), m.param("final", d)
	h := m.scratch("embedded", n, d)
	m.dh = m.scratch("dh", n, d)
	m.add(kernels.Embed{Y: h, Table: embed.p, Tokens: m.tokens})
	m.backward = append(m.backward, func() { m.add(kernels.EmbedGrad{DTable: embed.g, DY: m.dh, Tokens: m.tokens}) })
	var branch kernels.Buffer
	for l := range m.layers {
		h, branch = m.attention(l, h, branch)
		h, branch = m.mlp(l, h, branch)
	}
	out, dout := m.scratch("out", n, d), m.scratch("dout", n, d)
	sum, rstd := m.scratch("sum", n, d), m.scratch("rstd", n)
	m.add(kernels.RMSNorm{Y: out, X: h, Residual: branch, Sum: sum, Gain: final.p, RStd: rstd, Eps: normEps})
	if !grad {
		m.add(kernels.Head{Loss: m.tokenLoss, X: out, W: head.p, Targets: m.targets})
		return
	}
	m.add(kernels.Head{Loss: m.tokenLoss, X: out, W: head.p, Targets: m.targets, DX: dout, DW: head.g, Scale: m.scale, ZLoss: 1e-4},
		kernels.Sum{Y: m.loss, X: m.tokenLoss, Add: true},
		kernels.RMSNormGrad{DX: m.dh, DGain: final.g, DY: dout, X: sum, Gain: final.p, RStd: rstd})
}

// norm adds the branch to the stream and normalises.
func (m *model) normed(name string, h, branch kernels.Buffer) (y, sum kernels.Buffer, back func(dy kernels.Buffer)) {
	n, gain := m.rows(), m.param(name, m.d)
	y, sum = m.scratch(name+".y", n, m.d), h
	rstd := m.scratch(name+".rstd", n)
	op := kernels.RMSNorm{Y: y, X: h, Gain: gain.p, RStd: rstd, Eps: normEps}
	if branch != 0 {
		sum = m.scratch(name+".sum", n, m.d)
		op.Residual, op.Sum, op.ResidualScale = branch, sum, 0.7
	}
	m.add(op)
	return y, sum, func(dy kernels.Buffer) {
		m.add(kernels.RMSNormGrad{DX: m.dh, DGain: gain.g, DY: dy, X: sum, Gain: gain.p, RStd: rstd, Add: true})
	}
}

func (m *model) linear(y, x kernels.Buffer, w weights) {
	m.add(kernels.MatMul{Y: y, A: x, B: w.p, TransB: true})
}

func (m *model) linearGrad(dx, dy, x kernels.Buffer, w weights) {
	m.add(kernels.MatMul{Y: w.g, A: dy, B: x, TransA: true, Add: true}, kernels.MatMul{Y: dx, A: dy, B: w.p})
}

func (m *model) attention(l int, h, branch kernels.Buffer) (sum, out kernels.Buffer) {
	name := func(s string) string { return fmt.Sprintf("%d.att.%s", l, s) }
	n, hd := m.rows(), m.heads
	all, pair := (hd.Query+2*hd.KeyValue)*hd.Dim, (hd.Query+hd.KeyValue)*hd.Dim
	x, sum, back := m.normed(name("norm"), h, branch)
	wqkv, wo := m.param(name("qkv"), all, m.d), m.param(name("o"), m.d, hd.Query*hd.Dim)
	qg, kg := m.param(name("qnorm"), hd.Dim), m.param(name("knorm"), hd.Dim)
	qkv, qk, rstd := m.scratch(name("qkv.y"), n, all), m.scratch(name("qk"), n, pair), m.scratch(name("rstd"), n, hd.Query+hd.KeyValue)
	y, lse, out := m.scratch(name("y"), n, hd.Query*hd.Dim), m.scratch(name("lse"), n, hd.Query), m.scratch(name("out"), n, m.d)
	scale := float32(1 / math.Sqrt(float64(hd.Dim)))
	m.linear(qkv, x, wqkv)
	m.add(kernels.QKNormRope{
		QK: qk, QKV: qkv, QGain: qg.p, KGain: kg.p, RStd: rstd, Positions: m.positions, Heads: hd, Theta: 1e4, MaxPosition: m.seq, Eps: normEps,
	}, kernels.Attention{Y: y, LSE: lse, QK: qk, QKV: qkv, Heads: hd, Seq: m.seq, Scale: scale})
	m.linear(out, y, wo)
	m.backward = append(m.backward, func() {
		dy, dqk := m.scratch(name("dy"), n, hd.Query*hd.Dim), m.scratch(name("dqk"), n, pair)
		dqkv, dx := m.scratch(name("dqkv"), n, all), m.scratch(name("dx"), n, m.d)
		m.linearGrad(dy, m.dh, y, wo)
		m.add(kernels.AttentionGrad{DQK: dqk, DQKV: dqkv, DY: dy, Y: y, LSE: lse, QK: qk, QKV: qkv, Heads: hd, Seq: m.seq, Scale: scale},
			kernels.QKNormRopeGrad{
				DQKV: dqkv, DQGain: qg.g, DKGain: kg.g, DQK: dqk, QKV: qkv, QGain: qg.p, KGain: kg.p, RStd: rstd,
				Positions: m.positions, Heads: hd, Theta: 1e4, MaxPosition: m.seq,
			})
		m.linearGrad(dx, dqkv, x, wqkv)
		back(dx)
	})
	return sum, out
}

func (m *model) mlp(l int, h, branch kernels.Buffer) (sum, out kernels.Buffer) {
	name := func(s string) string { return fmt.Sprintf("%d.mlp.%s", l, s) }
	n := m.rows()
	x, sum, back := m.normed(name("norm"), h, branch)
	out, dx := m.scratch(name("out"), n, m.d), m.scratch(name("dx"), n, m.d)
	if m.shape.experts > 0 {
		m.experts(name, x, out, dx, back)
		return sum, out
	}
	up, down := m.param(name("up"), 2*m.f, m.d), m.param(name("down"), m.d, m.f)
	gu, act := m.scratch(name("gu"), n, 2*m.f), m.scratch(name("act"), n, m.f)
	m.linear(gu, x, up)
	m.add(kernels.SwiGLU{Y: act, X: gu})
	m.linear(out, act, down)
	m.backward = append(m.backward, func() {
		dact, dgu := m.scratch(name("dact"), n, m.f), m.scratch(name("dgu"), n, 2*m.f)
		m.linearGrad(dact, m.dh, act, down)
		m.add(kernels.SwiGLUGrad{DX: dgu, DY: dact, X: gu})
		m.linearGrad(dx, dgu, x, up)
		back(dx)
	})
	return sum, out
}

func (m *model) experts(name func(string) string, x, out, dx kernels.Buffer, back func(kernels.Buffer)) {
	n, e, k, f, d := m.rows(), m.shape.experts, m.topK, m.f, m.d
	router, up, down := m.param(name("router"), e, d), m.param(name("up"), e, 2*f, d), m.param(name("down"), e, d, f)
	ints := func(s string, shape ...int) kernels.Buffer {
		return m.space.Int(m.prefix+name(s), kernels.Scratch, shape...)
	}
	logits, probs, weight := m.scratch(name("logits"), n, e), m.scratch(name("probs"), n, e), m.scratch(name("weight"), n, k)
	index, slot, offsets := ints("index", n, k), ints("slot", n, k), ints("offsets", e+1)
	xs, ys := m.scratch(name("xs"), n*k, d), m.scratch(name("ys"), n*k, d)
	gu, act := m.scratch(name("gu"), n*k, 2*f), m.scratch(name("act"), n*k, f)
	m.linear(logits, x, router)
	m.add(kernels.Route{Probs: probs, Index: index, Weight: weight, Slot: slot, Offsets: offsets, Logits: logits},
		kernels.Dispatch{Y: xs, X: x, Slot: slot},
		kernels.GroupMatMul{Y: gu, A: xs, W: up.p, Offsets: offsets, TransW: true},
		kernels.SwiGLU{Y: act, X: gu},
		kernels.GroupMatMul{Y: ys, A: act, W: down.p, Offsets: offsets, TransW: true},
		kernels.Combine{Y: out, X: ys, Slot: slot, Weight: weight})
	m.backward = append(m.backward, func() {
		dys, dxs := m.scratch(name("dys"), n*k, d), m.scratch(name("dxs"), n*k, d)
		dact, dgu := m.scratch(name("dact"), n*k, f), m.scratch(name("dgu"), n*k, 2*f)
		dweight, dlogits := m.scratch(name("dweight"), n, k), m.scratch(name("dlogits"), n, e)
		m.add(kernels.CombineGrad{DX: dys, DWeight: dweight, DY: m.dh, X: ys, Slot: slot, Weight: weight},
			kernels.RouteGrad{DLogits: dlogits, DWeight: dweight, Probs: probs, Index: index, Weight: weight, Offsets: offsets, Coefficient: 0.01},
			kernels.GroupMatMul{Y: dact, A: dys, W: down.p, Offsets: offsets},
			kernels.GroupMatMulGrad{DW: down.g, DY: dys, X: act, Offsets: offsets, Add: true},
			kernels.SwiGLUGrad{DX: dgu, DY: dact, X: gu},
			kernels.GroupMatMul{Y: dxs, A: dgu, W: up.p, Offsets: offsets},
			kernels.GroupMatMulGrad{DW: up.g, DY: dgu, X: xs, Offsets: offsets, Add: true},
			kernels.Combine{Y: dx, X: dxs, Slot: slot},
			kernels.MatMul{Y: dx, A: dlogits, B: router.p, Add: true},
			kernels.MatMul{Y: router.g, A: dlogits, B: x, TransA: true, Add: true})
		back(dx)
	})
}

func (m *model) optimizer() {
	m.table = m.space.Float("adam", kernels.PerRun, len(m.tensors), kernels.AdamFields)
	norm := kernels.GradNorm{Norm: m.norm, Clip: m.clip, MaxNorm: m.limit}
	adam := kernels.AdamW{Table: m.table, Clip: m.clip}
	zero := kernels.Zero{Y: []kernels.Buffer{m.loss}}
	for _, w := range m.tensors {
		norm.Grads, zero.Y = append(norm.Grads, w.g), append(zero.Y, w.g)
		adam.Params, adam.Grads = append(adam.Params, w.p), append(adam.Grads, w.g)
		adam.M, adam.V = append(adam.M, w.m), append(adam.V, w.v)
	}
	m.add(norm, adam, zero)
}

// start fills the memory of a run; the weights depend on its number.
func (m *model) start(t testing.TB, mc kernels.Machine, run, number int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(number), 5))
	for _, w := range m.tensors {
		v := make([]float32, size(w.shape))
		for i := range v {
			v[i] = float32(rng.NormFloat64() / math.Sqrt(float64(w.shape[len(w.shape)-1])))
			if len(w.shape) == 1 {
				v[i] = 1 + 0.1*float32(rng.NormFloat64())
			}
		}
		check(t, mc.WriteFloats(w.p, run, v))
	}
	check(t, mc.WriteFloats(m.scale, run, []float32{1 / float32(m.rows())}))
	check(t, mc.WriteFloats(m.limit, run, []float32{0.5}))
}

// step trains the runs of the given numbers once and returns losses and norms.
func (m *model) step(t testing.TB, mc kernels.Machine, numbers []int, step int) (loss, norm []float32) {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(step), 11))
	tokens, targets, positions := make([]int32, m.rows()), make([]int32, m.rows()), make([]int32, m.rows())
	for i := range tokens {
		// A third of all tokens is the same, as in text.
		tokens[i], targets[i] = int32(max(0, rng.IntN(m.vocabulary*3/2)-m.vocabulary/2)), int32(rng.IntN(m.vocabulary))
		positions[i] = int32(i % m.seq)
	}
	targets[0] = -1
	check(t, mc.WriteInts(m.tokens, 0, tokens))
	check(t, mc.WriteInts(m.targets, 0, targets))
	check(t, mc.WriteInts(m.positions, 0, positions))
	check(t, mc.Execute(m.accumulate))
	one := make([]float32, 1)
	for run, number := range numbers {
		check(t, mc.ReadFloats(one, m.loss, run))
		loss = append(loss, one[0]/float32(m.rows()))
		table := make([]float32, len(m.tensors)*kernels.AdamFields)
		for i, w := range m.tensors {
			a := kernels.Adam{LR: 0.003 * float64(number+1), WeightDecay: 0.1, Beta1: 0.9, Beta2: 0.95, Eps: 1e-6, Step: step}
			if len(w.shape) == 1 {
				a.WeightDecay = 0
			}
			a.Row(table[i*kernels.AdamFields:])
		}
		check(t, mc.WriteFloats(m.table, run, table))
	}
	check(t, mc.Execute(m.apply))
	for run := range numbers {
		check(t, mc.ReadFloats(one, m.norm, run))
		norm = append(norm, one[0])
	}
	return loss, norm
}

func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var (
	smallDense = shape{
		vocabulary: 300, d: 64, layers: 2, heads: kernels.Heads{Query: 4, KeyValue: 2, Dim: 16}, f: 96, sequences: 2, seq: 96,
	}
	smallExperts = shape{
		vocabulary: 130, d: 40, layers: 2, heads: kernels.Heads{Query: 3, KeyValue: 1, Dim: 24}, f: 24, experts: 6, topK: 2, sequences: 2, seq: 70,
	}
)
