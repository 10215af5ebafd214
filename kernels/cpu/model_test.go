package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/etastar/etastar/kernels"
)

// shape is a small Qwen3 or, with experts, Qwen3-MoE.
type shape struct {
	vocabulary, d, layers int
	heads                 kernels.Heads
	f, experts, topK      int
	sequences, seq        int
}

func (s shape) tokens() int { return s.sequences * s.seq }

const (
	modelEps   = 1e-5
	modelTheta = 1e4
	balance    = 0.01
	branch     = 0.7 // residual multiplier
)

// tensor is a parameter with its gradient and moments.
type tensor struct {
	name       string
	p, g, m, v kernels.Buffer
	shape      []int
}

// model records training, evaluation and their buffers as a trainer does.
type model struct {
	shape
	space                    *kernels.Space
	tensors                  []tensor
	tokens, targets, pos     kernels.Buffer
	loss, norm, clip, limit  kernels.Buffer
	table, stats, routerLoss kernels.Buffer
	train, eval              *kernels.Program
	tokenLoss                kernels.Buffer
	fwd, bwd                 []kernels.Op
	step                     []kernels.Op
	zero                     kernels.Op
	dh                       kernels.Buffer
	scale                    kernels.Buffer
	blockGrads               []func()
}

func newModel(t testing.TB, s shape) *model {
	t.Helper()
	m := &model{shape: s, space: kernels.NewSpace()}
	n, sp := s.tokens(), m.space
	m.tokens, m.targets = sp.Int("tokens", kernels.Shared, n), sp.Int("targets", kernels.Shared, n)
	m.pos = sp.Int("positions", kernels.Shared, n)
	m.scale = sp.Float("scale", kernels.PerRun, 1)
	m.tokenLoss = sp.Float("token loss", kernels.PerRun, n)
	one := func(name string) kernels.Buffer { return sp.Float(name, kernels.PerRun, 1) }
	m.loss, m.norm, m.clip, m.limit, m.routerLoss = one("loss"), one("norm"), one("clip"), one("max norm"), one("router loss")

	h := m.scratch("embedded", n, s.d)
	m.dh = m.scratch("dh", n, s.d)
	embed := m.param("embedding", s.vocabulary, s.d)
	m.fwd = append(m.fwd, kernels.Embed{Y: h, Table: embed.p, Tokens: m.tokens})
	residual := kernels.Buffer(0)
	for l := range s.layers {
		h, residual = m.attention(l, h, residual)
		if s.experts > 0 {
			h, residual = m.experts(l, h, residual)
		} else {
			h, residual = m.mlp(l, h, residual)
		}
	}
	last, head := m.norm2("final", h, residual), m.param("head", s.vocabulary, s.d)
	dx := m.scratch("d final", n, s.d)
	m.bwd = append(m.bwd, kernels.Head{
		Loss: m.tokenLoss, DX: dx, DW: head.g, X: last.y, W: head.p, Targets: m.targets, Scale: m.scale,
	})
	last.grad(m, dx, false)
	for i := len(m.blockGrads) - 1; i >= 0; i-- {
		m.blockGrads[i]()
	}
	m.bwd = append(m.bwd, kernels.EmbedGrad{DTable: embed.g, DY: m.dh, Tokens: m.tokens})
	m.optimizer()

	mean := kernels.Sum{Y: m.loss, X: m.tokenLoss, Scale: 1 / float32(n)}
	train, eval := sp.Record("train"), sp.Record("eval")
	train.Add(m.zero)
	train.Add(m.fwd...)
	train.Add(m.bwd...)
	train.Add(mean)
	train.Add(m.step...)
	eval.Add(m.fwd...)
	eval.Add(kernels.Head{Loss: m.tokenLoss, X: last.y, W: head.p, Targets: m.targets}, mean)
	m.train, m.eval = must[*kernels.Program](t)(train.Build()), must[*kernels.Program](t)(eval.Build())
	return m
}

func (m *model) scratch(name string, shape ...int) kernels.Buffer {
	return m.space.Float(name, kernels.Scratch, shape...)
}

func (m *model) param(name string, shape ...int) *tensor {
	b := func(kind string) kernels.Buffer { return m.space.Float(kind+name, kernels.PerRun, shape...) }
	m.tensors = append(m.tensors, tensor{name, b(""), b("grad "), b("m "), b("v "), shape})
	t := m.tensors[len(m.tensors)-1]
	return &t
}

// normed is a recorded RMSNorm: y = norm(sum)·gain.
type normed struct {
	y, sum, rstd kernels.Buffer
	gain         *tensor
}

// norm2 adds the branch to the stream, if there is one, and normalises.
func (m *model) norm2(name string, h, residual kernels.Buffer) normed {
	n := m.shape.tokens()
	o := normed{m.scratch(name+" y", n, m.d), h, m.scratch(name+" rstd", n), m.param(name+" gain", m.d)}
	op := kernels.RMSNorm{Y: o.y, X: h, Gain: o.gain.p, RStd: o.rstd, Eps: modelEps}
	if residual != 0 {
		o.sum = m.scratch(name+" sum", n, m.d)
		op.Residual, op.Sum, op.ResidualScale = residual, o.sum, branch
	}
	m.fwd = append(m.fwd, op)
	return o
}

// grad takes the gradient of y into that of the stream.
func (o normed) grad(m *model, dy kernels.Buffer, add bool) {
	m.bwd = append(m.bwd, kernels.RMSNormGrad{
		DX: m.dh, DGain: o.gain.g, DY: dy, X: o.sum, Gain: o.gain.p, RStd: o.rstd, Add: add,
	})
}

// linearGrad is dx = α·dy·W and dW += α·dyᵀ·x.
func (m *model) linearGrad(dx, dy, x kernels.Buffer, w *tensor, alpha float32) {
	m.bwd = append(m.bwd,
		kernels.MatMul{Y: w.g, A: dy, B: x, TransA: true, Alpha: alpha, Add: true},
		kernels.MatMul{Y: dx, A: dy, B: w.p, Alpha: alpha})
}

func (m *model) attention(l int, h, residual kernels.Buffer) (stream, out kernels.Buffer) {
	name := func(s string) string { return fmt.Sprintf("%d.attention.%s", l, s) }
	n, hd := m.shape.tokens(), m.heads
	wide, narrow := (hd.Query+2*hd.KeyValue)*hd.Dim, (hd.Query+hd.KeyValue)*hd.Dim
	x := m.norm2(name("norm"), h, residual)
	wqkv, wo := m.param(name("qkv"), wide, m.d), m.param(name("out"), m.d, hd.Query*hd.Dim)
	qg, kg := m.param(name("q gain"), hd.Dim), m.param(name("k gain"), hd.Dim)
	qkv, qk, rstd := m.scratch(name("qkv y"), n, wide), m.scratch(name("qk"), n, narrow), m.scratch(name("rstd"), n, hd.Query+hd.KeyValue)
	y, lse, out := m.scratch(name("y"), n, hd.Query*hd.Dim), m.scratch(name("lse"), n, hd.Query), m.scratch(name("out y"), n, m.d)
	scale := float32(1 / math.Sqrt(float64(hd.Dim)))
	m.fwd = append(m.fwd,
		kernels.MatMul{Y: qkv, A: x.y, B: wqkv.p, TransB: true},
		kernels.QKNormRope{
			QK: qk, QKV: qkv, QGain: qg.p, KGain: kg.p, RStd: rstd, Positions: m.pos,
			Heads: hd, Theta: modelTheta, MaxPosition: m.seq, Eps: modelEps,
		},
		kernels.Attention{Y: y, LSE: lse, QK: qk, QKV: qkv, Heads: hd, Seq: m.seq, Scale: scale},
		kernels.MatMul{Y: out, A: y, B: wo.p, TransB: true})

	m.blockGrads = append(m.blockGrads, func() {
		dy, dqk := m.scratch(name("dy"), n, hd.Query*hd.Dim), m.scratch(name("dqk"), n, narrow)
		dqkv, dx := m.scratch(name("dqkv"), n, wide), m.scratch(name("dx"), n, m.d)
		m.linearGrad(dy, m.dh, y, wo, branch)
		m.bwd = append(m.bwd,
			kernels.AttentionGrad{
				DQK: dqk, DQKV: dqkv, DY: dy, Y: y, LSE: lse, QK: qk, QKV: qkv, Heads: hd, Seq: m.seq, Scale: scale,
			},
			kernels.QKNormRopeGrad{
				DQKV: dqkv, DQGain: qg.g, DKGain: kg.g, DQK: dqk, QKV: qkv, QGain: qg.p, KGain: kg.p, RStd: rstd,
				Positions: m.pos, Heads: hd, Theta: modelTheta, MaxPosition: m.seq,
			})
		m.linearGrad(dx, dqkv, x.y, wqkv, 1)
		x.grad(m, dx, true)
	})
	return x.sum, out
}

func (m *model) mlp(l int, h, residual kernels.Buffer) (stream, out kernels.Buffer) {
	name := func(s string) string { return fmt.Sprintf("%d.mlp.%s", l, s) }
	n := m.shape.tokens()
	x := m.norm2(name("norm"), h, residual)
	up, down := m.param(name("gate up"), 2*m.f, m.d), m.param(name("down"), m.d, m.f)
	gu, act, out := m.scratch(name("gu"), n, 2*m.f), m.scratch(name("act"), n, m.f), m.scratch(name("y"), n, m.d)
	m.fwd = append(m.fwd,
		kernels.MatMul{Y: gu, A: x.y, B: up.p, TransB: true},
		kernels.SwiGLU{Y: act, X: gu},
		kernels.MatMul{Y: out, A: act, B: down.p, TransB: true})

	m.blockGrads = append(m.blockGrads, func() {
		dact, dgu, dx := m.scratch(name("dact"), n, m.f), m.scratch(name("dgu"), n, 2*m.f), m.scratch(name("dx"), n, m.d)
		m.linearGrad(dact, m.dh, act, down, branch)
		m.bwd = append(m.bwd, kernels.SwiGLUGrad{DX: dgu, DY: dact, X: gu})
		m.linearGrad(dx, dgu, x.y, up, 1)
		x.grad(m, dx, true)
	})
	return x.sum, out
}

func (m *model) experts(l int, h, residual kernels.Buffer) (stream, out kernels.Buffer) {
	name := func(s string) string { return fmt.Sprintf("%d.experts.%s", l, s) }
	n, e, k := m.shape.tokens(), m.shape.experts, m.topK
	ints := func(s string, shape ...int) kernels.Buffer {
		return m.space.Int(name(s), kernels.Scratch, shape...)
	}
	x := m.norm2(name("norm"), h, residual)
	router := m.param(name("router"), e, m.d)
	up, down := m.param(name("gate up"), e, 2*m.f, m.d), m.param(name("down"), e, m.d, m.f)
	logits, probs, weight := m.scratch(name("logits"), n, e), m.scratch(name("probs"), n, e), m.scratch(name("weight"), n, k)
	index, slot, offsets := ints("index", n, k), ints("slot", n, k), ints("offsets", e+1)
	xs, gu, act := m.scratch(name("xs"), n*k, m.d), m.scratch(name("gu"), n*k, 2*m.f), m.scratch(name("act"), n*k, m.f)
	ys, out := m.scratch(name("ys"), n*k, m.d), m.scratch(name("y"), n, m.d)
	m.fwd = append(m.fwd,
		kernels.MatMul{Y: logits, A: x.y, B: router.p, TransB: true},
		kernels.Route{
			Probs: probs, Index: index, Weight: weight, Slot: slot, Offsets: offsets, Loss: m.routerLoss, Logits: logits,
		},
		kernels.Dispatch{Y: xs, X: x.y, Slot: slot},
		kernels.GroupMatMul{Y: gu, A: xs, W: up.p, Offsets: offsets, TransW: true},
		kernels.SwiGLU{Y: act, X: gu},
		kernels.GroupMatMul{Y: ys, A: act, W: down.p, Offsets: offsets, TransW: true},
		kernels.Combine{Y: out, X: ys, Slot: slot, Weight: weight})

	m.blockGrads = append(m.blockGrads, func() {
		dys, dweight := m.scratch(name("dys"), n*k, m.d), m.scratch(name("dweight"), n, k)
		dact, dgu := m.scratch(name("dact"), n*k, m.f), m.scratch(name("dgu"), n*k, 2*m.f)
		dxs, dx, dlogits := m.scratch(name("dxs"), n*k, m.d), m.scratch(name("dx"), n, m.d), m.scratch(name("dlogits"), n, e)
		m.bwd = append(m.bwd,
			kernels.CombineGrad{DX: dys, DWeight: dweight, DY: m.dh, X: ys, Slot: slot, Weight: weight, Scale: branch},
			kernels.GroupMatMulGrad{DW: down.g, DY: dys, X: act, Offsets: offsets, Add: true},
			kernels.GroupMatMul{Y: dact, A: dys, W: down.p, Offsets: offsets},
			kernels.SwiGLUGrad{DX: dgu, DY: dact, X: gu},
			kernels.GroupMatMulGrad{DW: up.g, DY: dgu, X: xs, Offsets: offsets, Add: true},
			kernels.GroupMatMul{Y: dxs, A: dgu, W: up.p, Offsets: offsets},
			// The load-balance loss is not a mean over tokens, so its coefficient is whole.
			kernels.RouteGrad{
				DLogits: dlogits, DWeight: dweight, Probs: probs, Index: index, Weight: weight, Offsets: offsets,
				Coefficient: balance,
			})
		m.linearGrad(dx, dlogits, x.y, router, 1)
		m.bwd = append(m.bwd, kernels.Combine{Y: dx, X: dxs, Slot: slot, Add: true})
		x.grad(m, dx, true)
	})
	return x.sum, out
}

// optimizer clears the gradients before the step and applies them after it.
func (m *model) optimizer() {
	var o kernels.AdamW
	for _, t := range m.tensors {
		o.Params, o.Grads = append(o.Params, t.p), append(o.Grads, t.g)
		o.M, o.V = append(o.M, t.m), append(o.V, t.v)
	}
	m.table = m.space.Float("adam", kernels.PerRun, len(m.tensors), kernels.AdamFields)
	m.stats = m.space.Float("stats", kernels.PerRun, len(m.tensors), kernels.StatFields)
	o.Table, o.Clip = m.table, m.clip
	m.zero = kernels.Zero{Y: o.Grads}
	m.step = []kernels.Op{
		kernels.GradNorm{Norm: m.norm, Clip: m.clip, Grads: o.Grads, MaxNorm: m.limit},
		o,
		kernels.Stats{X: o.Params, Out: m.stats},
	}
}

// setting is the optimizer setting of a tensor of a run at a step.
func (m *model) setting(run, step, i int) kernels.Adam {
	a := kernels.Adam{LR: 0.01 * float64(run+1), WeightDecay: 0.1, Beta1: 0.9, Beta2: 0.95, Eps: 1e-3, Step: step}
	if len(m.tensors[i].shape) == 1 {
		a.LR, a.WeightDecay = a.LR/2, 0
	}
	return a
}

// start fills the memory of one run; the weights depend on the run's number.
func (m *model) start(t testing.TB, mem *Machine, run, number int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(number), 5))
	for _, x := range m.tensors {
		p := must[[]float32](t)(mem.Floats(x.p, run))
		for i := range p {
			p[i] = float32(rng.NormFloat64() / math.Sqrt(float64(x.shape[len(x.shape)-1])))
			if len(x.shape) == 1 {
				p[i] = 1 + 0.1*float32(rng.NormFloat64())
			}
		}
	}
	for b, v := range map[kernels.Buffer]float32{m.scale: 1 / float32(m.shape.tokens()), m.limit: 0.5} {
		if err := mem.WriteFloats(b, run, []float32{v}); err != nil {
			t.Fatal(err)
		}
	}
}

// batch fills the shared buffers for a step.
func (m *model) batch(t testing.TB, mem *Machine, step int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(step), 11))
	tokens, targets := must[[]int32](t)(mem.Ints(m.tokens, 0)), must[[]int32](t)(mem.Ints(m.targets, 0))
	pos := must[[]int32](t)(mem.Ints(m.pos, 0))
	for i := range tokens {
		tokens[i], targets[i] = int32(rng.IntN(m.vocabulary)), int32(rng.IntN(m.vocabulary))
		pos[i] = int32(i % m.seq)
	}
}

// adam fills the optimizer table of a run.
func (m *model) adam(t testing.TB, mem *Machine, run, number, step int) {
	t.Helper()
	table := must[[]float32](t)(mem.Floats(m.table, run))
	for i := range m.tensors {
		m.setting(number, step, i).Row(table[i*kernels.AdamFields:])
	}
}
