package config

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/etastar/etastar/mup"
)

// Scaling is what a parametrization rule gives the modules of a run. Modules is all that
// training takes; the rest says where the numbers come from and is not part of the hash.
type Scaling struct {
	Modules []Module `json:"modules"`        // of the shape, in the order of mup.Modules
	Base    *Base    `json:"base,omitempty"` // what the rule scales from
	Text    string   `json:"text,omitempty"` // the rule as mup writes it, in TOML
}

// Module is one module under a rule. What a module does not have is 0; see mup.Module.
type Module struct {
	Module      mup.Module `json:"module"`
	InitStd     float64    `json:"init_std,omitzero"`     // of the initial values
	LR          float64    `json:"lr,omitzero"`           // factor on the run's η
	WeightDecay float64    `json:"weight_decay,omitzero"` // factor on the run's λ
	Eps         float64    `json:"eps,omitzero"`          // factor on the run's Adam ε
	Multiplier  float64    `json:"multiplier,omitzero"`   // on the output; for attn_logits the factor on q·k
}

// Base is the model a rule scales from, with its run's batch and horizon in tokens.
type Base struct {
	Shape  Shape `json:"shape"`
	Batch  int64 `json:"batch"`
	Tokens int64 `json:"tokens"`
}

// SP is the standard parametrization's name.
const SP = "sp"

// Rule is the shape as the rules know it, with a run's tokens a step and horizon.
func (s Shape) Rule(batch, tokens int64) mup.Shape {
	return mup.Shape{
		Width: s.DModel, Depth: s.Layers, Heads: s.Heads, HeadDim: s.HeadDim, DFF: s.DFF,
		Experts: s.Experts, TopK: s.TopK, DFFExpert: s.DFFExp, Vocab: s.Vocab, Tied: s.Tied,
		BatchTokens: float64(batch), HorizonTokens: float64(tokens),
	}
}

// Under returns the run under a rule that scales from base: LR stays the base's η. The
// published sp leaves a run as it is, since it says nothing that depends on a base. An
// error is that of [mup.Transfer], with its refusals.
func (r Run) Under(rule *mup.Rule, base Base, o mup.Options) (Run, error) {
	if rule.Name == SP {
		if standard, err := mup.Find(SP); err == nil && len(mup.Compare(rule, standard)) == 0 && len(rule.Prescribed) == 0 {
			r.Rule, r.Scaling = SP, nil
			return r, nil
		}
	}
	// Of 1 everywhere, so that the values at the target are factors.
	t, err := mup.Transfer(rule, base.Shape.Rule(base.Batch, base.Tokens), r.Shape.Rule(r.BatchTokens(), r.Tokens), mup.Hyper{LR: 1, WeightDecay: 1, Eps: 1}, o)
	if err != nil {
		return Run{}, err
	}
	text, err := rule.TOML()
	if err != nil {
		return Run{}, err
	}
	r.Rule, r.Scaling = rule.Name, &Scaling{Base: &base, Text: string(text)}
	for _, row := range t.Rows {
		v := row.Target
		r.Scaling.Modules = append(r.Scaling.Modules, Module{row.Module, v.InitStd, v.LR, v.WeightDecay, v.Eps, v.Multiplier})
	}
	return r, nil
}

// WithLR returns the run with the learning rate of some modules multiplied by a factor
// more, beside the rule's.
func (r Run) WithLR(factors map[mup.Module]float64) (Run, error) {
	s := Scaling{Modules: Standard(r.Shape)}
	if r.Scaling != nil {
		s = *r.Scaling
		s.Modules = slices.Clone(s.Modules)
	}
	for m, f := range factors {
		i := slices.IndexFunc(s.Modules, func(x Module) bool { return x.Module == m })
		if i < 0 || s.Modules[i].LR == 0 {
			return Run{}, fmt.Errorf("shape %s has no %s with a learning rate of its own", r.Shape.Name(), m)
		}
		s.Modules[i].LR *= f
	}
	r.Scaling = &s
	return r, nil
}

// Modules lists the modules of the run's shape under its rule.
func (r Run) Modules() []Module {
	if r.Scaling != nil {
		return r.Scaling.Modules
	}
	return Standard(r.Shape)
}

// Standard is the standard parametrization of a shape; see [mup.DefaultInit].
func Standard(s Shape) []Module {
	shape := s.Rule(0, 0)
	var out []Module
	for _, m := range mup.Modules() {
		if !shape.Has(m) {
			continue
		}
		v := Module{Module: m}
		one := func(to *float64, q mup.Quantity) {
			if owns(shape, m, q) {
				*to = 1
			}
		}
		one(&v.LR, mup.LR)
		one(&v.WeightDecay, mup.WeightDecay)
		one(&v.Eps, mup.Eps)
		one(&v.Multiplier, mup.Multiplier)
		if owns(shape, m, mup.InitStd) {
			v.InitStd = mup.DefaultInit(shape, m)
		}
		if m == mup.AttnLogits {
			v.Multiplier = 1 / math.Sqrt(float64(s.HeadDim))
		}
		out = append(out, v)
	}
	return out
}

// owns reports whether a module of the shape has the quantity for itself: a tied head has
// the embedding's weights.
func owns(s mup.Shape, m mup.Module, q mup.Quantity) bool {
	return m.Has(q) && (m != mup.Head || !s.Tied || q == mup.Multiplier)
}

// problems says what is wrong with a scaling of a shape.
func (s *Scaling) problems(shape Shape) (out []string) {
	bad := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	rule := shape.Rule(0, 0)
	seen := map[mup.Module]bool{}
	for _, m := range s.Modules {
		switch {
		case !slices.Contains(mup.Modules(), m.Module) || !rule.Has(m.Module):
			bad("scaling: shape %s has no module %q", shape.Name(), m.Module)
			continue
		case seen[m.Module]:
			bad("scaling: %s is there twice", m.Module)
		}
		seen[m.Module] = true
		for _, f := range []struct {
			q mup.Quantity
			v float64
		}{{mup.InitStd, m.InitStd}, {mup.LR, m.LR}, {mup.WeightDecay, m.WeightDecay}, {mup.Eps, m.Eps}, {mup.Multiplier, m.Multiplier}} {
			switch owns := owns(rule, m.Module, f.q); {
			case owns && !(f.v > 0 && f.v <= math.MaxFloat32):
				bad("scaling: %s of %s is %g: use a positive number", f.q, m.Module, f.v)
			case !owns && f.v != 0:
				bad("scaling: %s has no %s of its own", m.Module, f.q)
			}
		}
	}
	var missing []string
	for _, m := range mup.Modules() {
		if rule.Has(m) && !seen[m] {
			missing = append(missing, string(m))
		}
	}
	if missing != nil {
		bad("scaling: says nothing of %s", strings.Join(missing, ", "))
	}
	return out
}
