package model

import (
	"fmt"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/mup"
)

// kept are the forward's buffers of one layer that its backward reads.
type kept struct {
	in, mid              kernels.Buffer // residual stream at the two norms [n,d]
	norm1, rstd1         kernels.Buffer
	wqkv                 kernels.Buffer // the packed projection with its multipliers
	qkv, qk, qkRStd      kernels.Buffer
	att, lse             kernels.Buffer
	norm2, rstd2         kernels.Buffer
	gateUp, act          kernels.Buffer
	logits, probs        kernels.Buffer
	index, slot, offsets kernels.Buffer
	weight, x, y         kernels.Buffer // rows in expert order
}

// scratch declares a buffer that one execution uses.
func (b *builder) scratch(name string, shape ...int) kernels.Buffer {
	return b.space.Float(name, kernels.Scratch, shape...)
}

func (b *builder) value(i int) kernels.Buffer { return b.m.Params[i].Value }
func (b *builder) grad(i int) kernels.Buffer  { return b.m.Params[i].Grad }

// attentionScale is the factor on q·k.
func (b *builder) attentionScale() float32 { return float32(b.modules[mup.AttnLogits].Multiplier) }

// factor is the product of the modules' multipliers as an operation takes it: 0, which
// stands for 1, where there is none.
func (b *builder) factor(modules ...mup.Module) float32 {
	f := 1.0
	for _, m := range modules {
		f *= b.modules[m].Multiplier
	}
	if f == 1 {
		return 0
	}
	return float32(f)
}

// forwardPass records the layers and returns the normalised output with what the
// backward needs. prefix keeps the buffers of different programs apart.
func (b *builder) forwardPass(prefix string) (ops []kernels.Op, out, sum, rstd kernels.Buffer, keep []kept) {
	s, n, d := b.s, b.n, b.s.DModel
	eps := float32(s.NormEps)
	add := func(o ...kernels.Op) { ops = append(ops, o...) }
	stream := b.scratch(prefix+"embedded", n, d)
	add(kernels.Embed{Y: stream, Table: b.value(b.embed), Tokens: b.m.Tokens, Scale: b.factor(mup.Embedding)})
	b.see(mup.Embedding, -1, stream, add)
	var branch kernels.Buffer // what the layer before adds to the stream
	for i := range b.layers {
		l, name := &b.layers[i], fmt.Sprintf("%s%d.", prefix, i)
		k := kept{in: stream, norm1: b.scratch(name+"norm1", n, d), rstd1: b.scratch(name+"rstd1", n)}
		norm := kernels.RMSNorm{Y: k.norm1, X: stream, Gain: b.value(l.norm1), RStd: k.rstd1, Eps: eps}
		if branch != 0 {
			k.in = b.scratch(name+"in", n, d)
			norm.Residual, norm.Sum, norm.ResidualScale = branch, k.in, b.factor(mup.Residual)
		}
		add(norm)
		if i > 0 {
			b.see(mup.Residual, i-1, k.in, add)
		}
		o := b.attention(name, i, l, &k, add)
		k.mid, k.norm2, k.rstd2 = b.scratch(name+"mid", n, d), b.scratch(name+"norm2", n, d), b.scratch(name+"rstd2", n)
		add(kernels.RMSNorm{
			Y: k.norm2, X: k.in, Residual: o, Sum: k.mid, ResidualScale: b.factor(mup.Residual), Gain: b.value(l.norm2), RStd: k.rstd2, Eps: eps,
		})
		branch = b.scratch(name+"branch", n, d)
		if s.IsMoE() {
			b.experts(name, i, l, &k, branch, add)
		} else {
			k.gateUp, k.act = b.scratch(name+"gate_up", n, 2*s.DFF), b.scratch(name+"act", n, s.DFF)
			add(kernels.MatMul{Y: k.gateUp, A: k.norm2, B: b.value(l.gateUp), TransB: true, Alpha: b.factor(mup.MLPGateUp)},
				kernels.SwiGLU{Y: k.act, X: k.gateUp},
				kernels.MatMul{Y: branch, A: k.act, B: b.value(l.down), TransB: true, Alpha: b.factor(mup.MLPDown)})
			b.see(mup.MLPGateUp, i, k.gateUp, add)
			b.see(mup.MLPDown, i, branch, add)
		}
		stream = k.mid
		keep = append(keep, k)
	}
	out, sum, rstd = b.scratch(prefix+"out", n, d), b.scratch(prefix+"sum", n, d), b.scratch(prefix+"rstd", n)
	add(kernels.RMSNorm{
		Y: out, X: stream, Residual: branch, Sum: sum, ResidualScale: b.factor(mup.Residual), Gain: b.value(b.final), RStd: rstd, Eps: eps,
	})
	b.see(mup.Residual, len(b.layers)-1, sum, add)
	b.see(mup.FinalNorm, -1, out, add)
	b.seeLogits(out, add)
	return ops, out, sum, rstd, keep
}

// attention records one layer's attention and returns its output projection.
func (b *builder) attention(name string, i int, l *layer, k *kept, add func(...kernels.Op)) kernels.Buffer {
	h, n := b.heads, b.n
	k.qkv, k.qk = b.scratch(name+"qkv", n, (h.Query+2*h.KeyValue)*h.Dim), b.scratch(name+"qk", n, (h.Query+h.KeyValue)*h.Dim)
	k.qkRStd = b.scratch(name+"qk_rstd", n, h.Query+h.KeyValue)
	k.att, k.lse = b.scratch(name+"att", n, h.Query*h.Dim), b.scratch(name+"lse", n, h.Query)
	o := b.scratch(name+"o", n, b.s.DModel)
	k.wqkv = b.scaledQKV(name, l, add)
	add(kernels.MatMul{Y: k.qkv, A: k.norm1, B: k.wqkv, TransB: true},
		kernels.QKNormRope{
			QK: k.qk, QKV: k.qkv, QGain: b.value(l.qNorm), KGain: b.value(l.kNorm), RStd: k.qkRStd, Positions: b.m.Positions,
			Heads: h, Theta: b.s.RopeTheta, MaxPosition: b.s.Context, Eps: float32(b.s.NormEps),
		},
		kernels.Attention{
			Y: k.att, LSE: k.lse, MaxLogit: b.maxLogit(l), QK: k.qk, QKV: k.qkv, Heads: h, Seq: b.s.Context, Scale: b.attentionScale(),
		},
		kernels.MatMul{Y: o, A: k.att, B: b.value(l.o), TransB: true, Alpha: b.factor(mup.AttentionO)})
	b.see(mup.AttentionO, i, o, add)
	b.seeQKV(name, i, l, k.norm1, add)
	return o
}

// qkvFactors reports whether query, key or value have a multiplier.
func (b *builder) qkvFactors() bool {
	return b.factor(mup.AttentionQ) != 0 || b.factor(mup.AttentionK) != 0 || b.factor(mup.AttentionV) != 0
}

// scaledQKV is the packed projection times its three multipliers: a copy, since one
// product takes one factor; the matrix itself without any.
func (b *builder) scaledQKV(name string, l *layer, add func(...kernels.Op)) kernels.Buffer {
	if !b.qkvFactors() {
		return l.qkv
	}
	scaled := b.scratch(name+"wqkv", l.rows(b), b.s.DModel)
	b.eachQKV(name+"wqkv", scaled, l, func(p *Param, part kernels.Buffer) {
		add(kernels.Blend{Y: part, A: p.Value, Alpha: b.factor(p.Module)})
	})
	return scaled
}

// eachQKV visits the three parameters with their rows of a buffer packed alike.
func (b *builder) eachQKV(name string, packed kernels.Buffer, l *layer, visit func(p *Param, part kernels.Buffer)) {
	at := 0
	for _, i := range []int{l.q, l.q + 1, l.q + 2} {
		p := &b.m.Params[i]
		visit(p, b.space.View(fmt.Sprintf("%s.%s", name, p.Module), packed, at, p.Shape[0]))
		at += p.Shape[0]
	}
}

// rows of the packed projection.
func (l *layer) rows(b *builder) int { return (b.heads.Query + 2*b.heads.KeyValue) * b.heads.Dim }

// maxLogit is the layer's row of MaxLogit.
func (b *builder) maxLogit(l *layer) kernels.Buffer {
	for i := range b.layers {
		if &b.layers[i] == l {
			return b.space.View(fmt.Sprintf("max_logit.%d", i), b.m.MaxLogit, i, 1)
		}
	}
	return 0
}

// experts records one layer's mixture of experts.
func (b *builder) experts(name string, i int, l *layer, k *kept, branch kernels.Buffer, add func(...kernels.Op)) {
	s, n, d := b.s, b.n, b.s.DModel
	e, top, f := s.Experts, s.TopK, s.DFFExp
	k.logits, k.probs, k.weight = b.scratch(name+"logits", n, e), b.scratch(name+"probs", n, e), b.scratch(name+"weight", n, top)
	ints := func(part string, shape ...int) kernels.Buffer {
		return b.space.Int(name+part, kernels.Scratch, shape...)
	}
	k.index, k.slot, k.offsets = ints("index", n, top), ints("slot", n, top), ints("offsets", e+1)
	k.x, k.y = b.scratch(name+"x", n*top, d), b.scratch(name+"y", n*top, d)
	k.gateUp, k.act = b.scratch(name+"gate_up", n*top, 2*f), b.scratch(name+"act", n*top, f)
	var counts kernels.Buffer
	if b.observing {
		counts = b.m.Observed.Counts[i]
	}
	add(kernels.MatMul{Y: k.logits, A: k.norm2, B: b.value(l.router), TransB: true, Alpha: b.factor(mup.Router)},
		kernels.Route{
			Probs: k.probs, Index: k.index, Weight: k.weight, Slot: k.slot, Offsets: k.offsets, Logits: k.logits, Counts: counts,
			Loss: b.space.View(name+"balance_loss", b.m.BalanceLoss, i, 1),
		},
		kernels.Dispatch{Y: k.x, X: k.norm2, Slot: k.slot},
		kernels.GroupMatMul{Y: k.gateUp, A: k.x, W: b.value(l.gateUp), Offsets: k.offsets, TransW: true, Alpha: b.factor(mup.ExpertGateUp)},
		kernels.SwiGLU{Y: k.act, X: k.gateUp},
		kernels.GroupMatMul{Y: k.y, A: k.act, W: b.value(l.down), Offsets: k.offsets, TransW: true, Alpha: b.factor(mup.ExpertDown)},
		kernels.Combine{Y: branch, X: k.y, Slot: k.slot, Weight: k.weight})
	b.see(mup.Router, i, k.logits, add)
	b.see(mup.ExpertGateUp, i, k.gateUp, add)
	b.see(mup.ExpertDown, i, branch, add)
	b.seeProbs(i, k.probs, add)
}

// accumulate is forward, loss and backward of one micro-batch; gradients are added.
func (b *builder) accumulate(prefix string) []kernels.Op {
	m, n, d := b.m, b.n, b.s.DModel
	ops, out, sum, rstd, keep := b.forwardPass(prefix)
	add := func(o ...kernels.Op) { ops = append(ops, o...) }
	dout, dh := b.scratch(prefix+"dout", n, d), b.scratch(prefix+"dh", n, d)
	add(kernels.Head{
		Loss: m.TokenLoss, X: out, W: b.value(b.head), Targets: m.Targets, DX: dout, DW: b.grad(b.head), Scale: m.Scale, ZLoss: float32(b.o.ZLoss), Multiplier: b.factor(mup.Head),
	},
		kernels.Sum{Y: m.LossSum, X: m.TokenLoss, Add: true},
		kernels.RMSNormGrad{DX: dh, DGain: b.grad(b.final), DY: dout, X: sum, Gain: b.value(b.final), RStd: rstd})
	for i := len(b.layers) - 1; i >= 0; i-- {
		l, k, name := &b.layers[i], &keep[i], fmt.Sprintf("%s%d.", prefix, i)
		dnorm2 := b.scratch(name+"dnorm2", n, d)
		if b.s.IsMoE() {
			b.expertsBack(name, l, k, dh, dnorm2, add)
		} else {
			dact, dgu := b.scratch(name+"dact", n, b.s.DFF), b.scratch(name+"dgate_up", n, 2*b.s.DFF)
			down, gateUp := b.factor(mup.MLPDown, mup.Residual), b.factor(mup.MLPGateUp)
			add(kernels.MatMul{Y: dact, A: dh, B: b.value(l.down), Alpha: down},
				kernels.MatMul{Y: b.grad(l.down), A: dh, B: k.act, TransA: true, Add: true, Alpha: down},
				kernels.SwiGLUGrad{DX: dgu, DY: dact, X: k.gateUp},
				kernels.MatMul{Y: dnorm2, A: dgu, B: b.value(l.gateUp), Alpha: gateUp},
				kernels.MatMul{Y: b.grad(l.gateUp), A: dgu, B: k.norm2, TransA: true, Add: true, Alpha: gateUp})
		}
		add(kernels.RMSNormGrad{DX: dh, DGain: b.grad(l.norm2), DY: dnorm2, X: k.mid, Gain: b.value(l.norm2), RStd: k.rstd2, Add: true})
		dnorm1 := b.scratch(name+"dnorm1", n, d)
		b.attentionBack(name, l, k, dh, dnorm1, add)
		add(kernels.RMSNormGrad{DX: dh, DGain: b.grad(l.norm1), DY: dnorm1, X: k.in, Gain: b.value(l.norm1), RStd: k.rstd1, Add: true})
	}
	add(kernels.EmbedGrad{DTable: b.grad(b.embed), DY: dh, Tokens: m.Tokens, Scale: b.factor(mup.Embedding)})
	return ops
}

func (b *builder) attentionBack(name string, l *layer, k *kept, dh, dnorm1 kernels.Buffer, add func(...kernels.Op)) {
	h, n := b.heads, b.n
	datt := b.scratch(name+"datt", n, h.Query*h.Dim)
	dqk, dqkv := b.scratch(name+"dqk", n, (h.Query+h.KeyValue)*h.Dim), b.scratch(name+"dqkv", n, (h.Query+2*h.KeyValue)*h.Dim)
	out := b.factor(mup.AttentionO, mup.Residual)
	add(kernels.MatMul{Y: datt, A: dh, B: b.value(l.o), Alpha: out},
		kernels.MatMul{Y: b.grad(l.o), A: dh, B: k.att, TransA: true, Add: true, Alpha: out},
		kernels.AttentionGrad{
			DQK: dqk, DQKV: dqkv, DY: datt, Y: k.att, LSE: k.lse, QK: k.qk, QKV: k.qkv, Heads: h, Seq: b.s.Context, Scale: b.attentionScale(),
		},
		kernels.QKNormRopeGrad{
			DQKV: dqkv, DQGain: b.grad(l.qNorm), DKGain: b.grad(l.kNorm), DQK: dqk, QKV: k.qkv, QGain: b.value(l.qNorm), KGain: b.value(l.kNorm),
			RStd: k.qkRStd, Positions: b.m.Positions, Heads: h, Theta: b.s.RopeTheta, MaxPosition: b.s.Context,
		},
		kernels.MatMul{Y: dnorm1, A: dqkv, B: k.wqkv})
	if !b.qkvFactors() {
		add(kernels.MatMul{Y: l.dqkv, A: dqkv, B: k.norm1, TransA: true, Add: true})
		return
	}
	dw := b.scratch(name+"dwqkv", l.rows(b), b.s.DModel)
	add(kernels.MatMul{Y: dw, A: dqkv, B: k.norm1, TransA: true})
	b.eachQKV(name+"dwqkv", dw, l, func(p *Param, part kernels.Buffer) {
		add(kernels.Blend{Y: p.Grad, A: p.Grad, B: part, Beta: b.factor(p.Module)})
	})
}

func (b *builder) expertsBack(name string, l *layer, k *kept, dh, dnorm2 kernels.Buffer, add func(...kernels.Op)) {
	s, n, d := b.s, b.n, b.s.DModel
	rows := n * s.TopK
	dy, dweight, dlogits := b.scratch(name+"dy", rows, d), b.scratch(name+"dweight", n, s.TopK), b.scratch(name+"dlogits", n, s.Experts)
	dact, dgu, dx := b.scratch(name+"dact", rows, s.DFFExp), b.scratch(name+"dgate_up", rows, 2*s.DFFExp), b.scratch(name+"dx", rows, d)
	router, gateUp, down := b.factor(mup.Router), b.factor(mup.ExpertGateUp), b.factor(mup.ExpertDown)
	add(kernels.CombineGrad{DX: dy, DWeight: dweight, DY: dh, X: k.y, Slot: k.slot, Weight: k.weight, Scale: b.factor(mup.Residual)},
		kernels.RouteGrad{
			DLogits: dlogits, DWeight: dweight, Probs: k.probs, Index: k.index, Weight: k.weight, Offsets: k.offsets,
			Coefficient: float32(b.o.Balance), Scale: b.m.Balance,
		},
		kernels.GroupMatMul{Y: dact, A: dy, W: b.value(l.down), Offsets: k.offsets, Alpha: down},
		kernels.GroupMatMulGrad{DW: b.grad(l.down), DY: dy, X: k.act, Offsets: k.offsets, Add: true, Alpha: down},
		kernels.SwiGLUGrad{DX: dgu, DY: dact, X: k.gateUp},
		kernels.GroupMatMul{Y: dx, A: dgu, W: b.value(l.gateUp), Offsets: k.offsets, Alpha: gateUp},
		kernels.GroupMatMulGrad{DW: b.grad(l.gateUp), DY: dgu, X: k.x, Offsets: k.offsets, Add: true, Alpha: gateUp},
		kernels.Combine{Y: dnorm2, X: dx, Slot: k.slot},
		kernels.MatMul{Y: dnorm2, A: dlogits, B: b.value(l.router), Add: true, Alpha: router},
		kernels.MatMul{Y: b.grad(l.router), A: dlogits, B: k.norm2, TransA: true, Add: true, Alpha: router})
}

// apply clips, updates every parameter and clears what the next step adds to.
func (b *builder) apply() []kernels.Op {
	m := b.m
	norm := kernels.GradNorm{Norm: m.GradNorm, Clip: m.Clip, MaxNorm: m.MaxNorm}
	adam := kernels.AdamW{Table: m.AdamTable, Clip: m.Clip}
	var zero []kernels.Buffer
	for _, p := range m.Params {
		norm.Grads = append(norm.Grads, p.Grad)
		adam.Params, adam.Grads = append(adam.Params, p.Value), append(adam.Grads, p.Grad)
		adam.M, adam.V = append(adam.M, p.M), append(adam.V, p.V)
		zero = append(zero, p.Grad)
	}
	log := kernels.Log{Ring: m.Log, Cursor: m.Cursor, X: []kernels.Buffer{m.LossSum, m.GradNorm}}
	return []kernels.Op{norm, adam, log, kernels.Zero{Y: append(zero, m.LossSum)}}
}

// evaluate is the loss of a micro-batch without gradients.
func (b *builder) evaluate() []kernels.Op {
	ops, out, _, _, _ := b.forwardPass("eval.")
	return append(ops, kernels.Head{Loss: b.m.TokenLoss, X: out, W: b.value(b.head), Targets: b.m.Targets, Multiplier: b.factor(mup.Head)})
}
