package mup

import "slices"

// Module is a kind of parameter of a decoder of the Qwen3 family (no biases), or one of
// its two forward factors. The names are those of the trainer's modules where it has
// them; its norm is split into norm and final_norm, which the rules treat differently.
type Module string

// Modules, in the order of the forward pass.
const (
	Embedding    Module = "embedding"
	AttentionQ   Module = "attention_q"
	AttentionK   Module = "attention_k"
	AttentionV   Module = "attention_v"
	AttentionO   Module = "attention_o"
	QKNorm       Module = "qk_norm"        // gains on every query and key head
	AttnLogits   Module = "attn_logits"    // factor on q·k before the softmax
	MLPGateUp    Module = "mlp_gate_up"    // both projections into a dense SwiGLU
	MLPDown      Module = "mlp_down"       //
	Router       Module = "router"         //
	ExpertGateUp Module = "expert_gate_up" //
	ExpertDown   Module = "expert_down"    //
	Residual     Module = "residual"       // factor f of x + f·branch(x), attention and MLP alike
	Norm         Module = "norm"           // gains before attention and MLP
	FinalNorm    Module = "final_norm"     //
	Head         Module = "head"           // its multiplier is a factor on the logits
)

// Quantity is what a rule scales.
type Quantity string

// Quantities.
const (
	InitStd     Quantity = "init_std"
	LR          Quantity = "lr"
	WeightDecay Quantity = "weight_decay" // as AdamW multiplies it with η; see [DecayForm]
	Eps         Quantity = "eps"          // Adam's ε
	Multiplier  Quantity = "multiplier"   // factor on the module's output
)

// Dim is a dimension in which target and base may differ.
type Dim string

// Dimensions.
const (
	Width          Dim = "width"
	Depth          Dim = "depth"
	Experts        Dim = "experts"
	ActiveFraction Dim = "active_fraction" // κ = top_k/experts
	FFNRatio       Dim = "ffn_ratio"       // α = inner width of the MLP or of one expert/width; for experts, the granularity
	HeadDim        Dim = "head_dim"
	Batch          Dim = "batch"   // tokens per optimizer step
	Horizon        Dim = "horizon" // training tokens
)

// Modules lists every module.
func Modules() []Module { return slices.Clone(modules) }

// Quantities lists every quantity.
func Quantities() []Quantity { return slices.Clone(quantities) }

// Dims lists every dimension.
func Dims() []Dim { return slices.Clone(dims) }

var (
	modules = []Module{
		Embedding, AttentionQ, AttentionK, AttentionV, AttentionO, QKNorm, AttnLogits, MLPGateUp, MLPDown,
		Router, ExpertGateUp, ExpertDown, Residual, Norm, FinalNorm, Head,
	}
	quantities = []Quantity{InitStd, LR, WeightDecay, Eps, Multiplier}
	dims       = []Dim{Width, Depth, Experts, ActiveFraction, FFNRatio, HeadDim, Batch, Horizon}

	// Groups the rules speak of.
	attention = []Module{AttentionQ, AttentionK, AttentionV, AttentionO}
	dense     = []Module{MLPGateUp, MLPDown}
	experts   = []Module{ExpertGateUp, ExpertDown}
	inLayer   = []Module{QKNorm, Norm}
	gains     = []Module{QKNorm, Norm, FinalNorm}
)

// Gain reports whether the module is a norm's gains: they start at 1, are not decayed
// and have no multiplier.
func (m Module) Gain() bool { return slices.Contains(gains, m) }

// Factor reports whether the module is a forward factor, which has only a multiplier.
func (m Module) Factor() bool { return m == AttnLogits || m == Residual }

// Has reports whether the module has the quantity: weights have all five, gains a
// learning rate and an ε, factors a multiplier.
func (m Module) Has(q Quantity) bool {
	switch {
	case !slices.Contains(modules, m) || !slices.Contains(quantities, q):
		return false
	case m.Gain():
		return q == LR || q == Eps
	case m.Factor():
		return q == Multiplier
	}
	return true
}

// quantitiesOf lists what a module has.
func quantitiesOf(m Module) (out []Quantity) {
	for _, q := range quantities {
		if m.Has(q) {
			out = append(out, q)
		}
	}
	return out
}
