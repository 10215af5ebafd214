// Package model turns a shape into the programs that train it: the parameters and
// their initial values, one program that adds a micro-batch's gradients, one that
// applies them, and one that measures the loss alone.
//
// Parameters have the names of Hugging Face's Qwen3 and Qwen3-MoE but for the packed
// ones (gate_up_proj); package huggingface splits those. The package knows no data, no schedule and no files.
package model

import (
	"fmt"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/mup"
	"github.com/etastar/etastar/trainer/config"
)

// Param is one tensor the optimizer updates.
type Param struct {
	Name   string // Hugging Face's, without a final ".weight" where several are packed
	Module mup.Module
	Layer  int // -1 outside the layers
	Shape  []int
	FanIn  int
	Init   float64 // standard deviation of the initial values; gains start at 1
	Gain   bool    // a norm's gain: starts at 1, no weight decay

	Value, Grad, M, V kernels.Buffer
}

// Model is the buffers and programs of one shape at one micro-batch size.
type Model struct {
	Shape  config.Shape
	Space  *kernels.Space
	Params []Param

	// Tokens and Targets [sequences·context] are shared by all runs; a target below 0
	// is left out. Positions are 0…context−1 for every sequence, written once.
	Tokens, Targets, Positions kernels.Buffer

	// Accumulate adds the gradients of one micro-batch and writes TokenLoss; Apply
	// clips, updates and zeroes the gradients; Evaluate writes TokenLoss alone.
	Accumulate, Apply, Evaluate *kernels.Program

	TokenLoss kernels.Buffer // [tokens] cross-entropy in nats, per run
	LossSum   kernels.Buffer // [1] sum of TokenLoss over the micro-batches since Apply
	Scale     kernels.Buffer // [1] 1/tokens of the whole batch
	Balance   kernels.Buffer // [1] weight of a micro-batch in the load-balance loss
	AdamTable kernels.Buffer // [params, AdamFields]
	MaxNorm   kernels.Buffer // [1] 0: no clipping
	GradNorm  kernels.Buffer // [1] before clipping
	Clip      kernels.Buffer // [1]
	// Log [LogRows, 2] receives LossSum and GradNorm at every Apply, in turn: row Cursor
	// mod LogRows, whose count starts at 0.
	Log, Cursor kernels.Buffer
	// BalanceLoss [layers] is the load-balance loss of each layer's router in the last
	// micro-batch, MaxLogit [layers, heads] its largest attention logit.
	BalanceLoss, MaxLogit kernels.Buffer

	Observed *Observed // nil without Options.Observe
}

// LogRows is how many steps a host may look away.
const LogRows = 64

// Options of a model that are not its shape.
type Options struct {
	Sequences int     // of a micro-batch
	ZLoss     float64 // weight of the z-loss
	Balance   float64 // weight of the load-balance loss
	// Modules are initial standard deviations and multipliers, as config.Run.Modules has
	// them; nil: the standard parametrization. The rest of them is the optimizer's.
	Modules []config.Module
	// Observe adds programs that train alike and measure activations, gradients and updates.
	Observe bool
}

// builder records the three programs over one space.
type builder struct {
	m      *Model
	s      config.Shape
	o      Options
	space  *kernels.Space
	n      int // rows: tokens of a micro-batch
	heads  kernels.Heads
	layers []layer
	embed  int // index of the embedding in Params
	head   int
	final  int

	modules map[mup.Module]config.Module

	observing bool // the program being recorded is an observing one
}

// New builds the programs. The shape must be valid; an error is a mistake of this package.
func New(s config.Shape, o Options) (*Model, error) {
	space := kernels.NewSpace()
	b := &builder{
		m: &Model{Shape: s, Space: space}, s: s, o: o, space: space, n: o.Sequences * s.Context,
		heads: kernels.Heads{Query: s.Heads, KeyValue: s.KVHeads, Dim: s.HeadDim},
	}
	b.modules = map[mup.Module]config.Module{}
	if o.Modules == nil {
		o.Modules = config.Standard(s)
	}
	for _, m := range o.Modules {
		b.modules[m.Module] = m
	}
	b.declare()
	type recorded struct {
		name string
		at   **kernels.Program
		ops  []kernels.Op
	}
	programs := []recorded{
		{"accumulate", &b.m.Accumulate, b.accumulate("train.")},
		{"apply", &b.m.Apply, b.apply()},
		{"evaluate", &b.m.Evaluate, b.evaluate()},
	}
	if o.Observe {
		b.observe()
		b.observing = true
		programs = append(programs,
			recorded{"observed accumulate", &b.m.Observed.Accumulate, b.accumulate("observed.")},
			recorded{"observed apply", &b.m.Observed.Apply, b.observedApply()})
	}
	for _, p := range programs {
		rec := space.Record(p.name)
		rec.Add(p.ops...)
		program, err := rec.Build()
		if err != nil {
			return nil, fmt.Errorf("model %s: %w", s.Name(), err)
		}
		*p.at = program
	}
	return b.m, nil
}

// layer holds the indices of a layer's parameters and the buffers of its packed ones.
type layer struct {
	norm1, norm2, qNorm, kNorm, o, down, router int
	q                                           int            // query; key and value follow
	qkv, dqkv                                   kernels.Buffer // [(Q+2KV)·h, d]
	gateUp                                      int
}

// param declares a parameter with its gradient and moments.
func (b *builder) param(name string, module mup.Module, layer int, shape ...int) int {
	p := Param{
		Name: name, Module: module, Layer: layer, Shape: shape, FanIn: shape[len(shape)-1], Init: b.modules[module].InitStd, Gain: len(shape) == 1,
		Value: b.space.Float(name, kernels.PerRun, shape...),
		Grad:  b.space.Float(name+".grad", kernels.PerRun, shape...),
		M:     b.space.Float(name+".m", kernels.PerRun, shape...),
		V:     b.space.Float(name+".v", kernels.PerRun, shape...),
	}
	b.m.Params = append(b.m.Params, p)
	return len(b.m.Params) - 1
}

func (b *builder) declare() {
	s, m := b.s, b.m
	d, h := s.DModel, s.HeadDim

	m.Tokens = b.space.Int("tokens", kernels.Shared, b.n)
	m.Targets = b.space.Int("targets", kernels.Shared, b.n)
	m.Positions = b.space.Int("positions", kernels.Shared, b.n)
	b.embed = b.param("model.embed_tokens.weight", mup.Embedding, -1, s.Vocab, d)
	for i := range s.Layers {
		name := fmt.Sprintf("model.layers.%d.", i)
		var l layer
		l.norm1 = b.param(name+"input_layernorm.weight", mup.Norm, i, d)
		l.q = len(m.Params)
		l.qkv, l.dqkv = b.packedQKV(name, i)
		l.qNorm = b.param(name+"self_attn.q_norm.weight", mup.QKNorm, i, h)
		l.kNorm = b.param(name+"self_attn.k_norm.weight", mup.QKNorm, i, h)
		l.o = b.param(name+"self_attn.o_proj.weight", mup.AttentionO, i, d, s.Heads*h)
		l.norm2 = b.param(name+"post_attention_layernorm.weight", mup.Norm, i, d)
		if s.IsMoE() {
			l.router = b.param(name+"mlp.gate.weight", mup.Router, i, s.Experts, d)
			l.gateUp = b.param(name+"mlp.experts.gate_up_proj", mup.ExpertGateUp, i, s.Experts, 2*s.DFFExp, d)
			l.down = b.param(name+"mlp.experts.down_proj", mup.ExpertDown, i, s.Experts, d, s.DFFExp)
		} else {
			l.gateUp = b.param(name+"mlp.gate_up_proj.weight", mup.MLPGateUp, i, 2*s.DFF, d)
			l.down = b.param(name+"mlp.down_proj.weight", mup.MLPDown, i, d, s.DFF)
		}
		b.layers = append(b.layers, l)
	}
	b.final = b.param("model.norm.weight", mup.FinalNorm, -1, d)
	b.head = b.embed
	if !s.Tied {
		b.head = b.param("lm_head.weight", mup.Head, -1, s.Vocab, d)
	}

	m.TokenLoss = b.space.Float("token_loss", kernels.PerRun, b.n)
	m.LossSum = b.space.Float("loss_sum", kernels.PerRun, 1)
	m.Scale = b.space.Float("scale", kernels.PerRun, 1)
	m.Balance = b.space.Float("balance_scale", kernels.PerRun, 1)
	m.AdamTable = b.space.Float("adam", kernels.PerRun, len(m.Params), kernels.AdamFields)
	m.MaxNorm = b.space.Float("max_norm", kernels.PerRun, 1)
	m.GradNorm = b.space.Float("grad_norm", kernels.PerRun, 1)
	m.Clip = b.space.Float("clip", kernels.PerRun, 1)
	m.Log = b.space.Float("log", kernels.PerRun, LogRows, 2)
	m.Cursor = b.space.Int("cursor", kernels.PerRun, 1)
	m.BalanceLoss = b.space.Float("balance_loss", kernels.PerRun, s.Layers)
	m.MaxLogit = b.space.Float("max_logit", kernels.PerRun, s.Layers, s.Heads)
}

// packedQKV declares query, key and value projections as one matrix, which one product
// computes, and as three parameters, which have a learning rate each.
func (b *builder) packedQKV(name string, layer int) (value, grad kernels.Buffer) {
	s := b.s
	rows := (s.Heads + 2*s.KVHeads) * s.HeadDim
	declare := func(suffix string) kernels.Buffer {
		return b.space.Float(name+"self_attn.qkv"+suffix, kernels.PerRun, rows, s.DModel)
	}
	value, grad = declare(""), declare(".grad")
	first, second := declare(".m"), declare(".v")
	at := 0
	for _, part := range []struct {
		name   string
		module mup.Module
		heads  int
	}{{"q_proj", mup.AttentionQ, s.Heads}, {"k_proj", mup.AttentionK, s.KVHeads}, {"v_proj", mup.AttentionV, s.KVHeads}} {
		full, n := name+"self_attn."+part.name+".weight", part.heads*s.HeadDim
		b.m.Params = append(b.m.Params, Param{
			Name: full, Module: part.module, Layer: layer, Shape: []int{n, s.DModel}, FanIn: s.DModel, Init: b.modules[part.module].InitStd,
			Value: b.space.View(full, value, at, n), Grad: b.space.View(full+".grad", grad, at, n),
			M: b.space.View(full+".m", first, at, n), V: b.space.View(full+".v", second, at, n),
		})
		at += n
	}
	return value, grad
}
