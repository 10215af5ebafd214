package mup

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// DecayForm is what a weight decay λ is multiplied by at a step.
type DecayForm string

// Forms. The rules' exponents are for TimesLR; for Independent those of η are added, so
// that the step subtracts the same share of the weight under either.
const (
	TimesLR     DecayForm = ""            // w −= η·λ·w, as PyTorch's AdamW
	Independent DecayForm = "independent" // w −= λ·w
)

// Hyper is what the base model was trained with. Where a map has no module, the common
// value holds.
type Hyper struct {
	LR          float64            // peak η; 0 only where the rule prescribes one
	ModuleLR    map[Module]float64 // peak η of single modules
	WeightDecay float64            // λ of every weight; gains are not decayed
	Decay       DecayForm
	Eps         float64            // Adam's ε
	InitStd     float64            // of every weight; 0: as the rule prescribes, else [DefaultInit]
	ModuleInit  map[Module]float64 //
	Multiplier  map[Module]float64 // 0 or absent: as the rule prescribes, else 1/√d_head for attn_logits and 1
}

// Options relax what a transfer refuses.
type Options struct {
	AllowSmaller bool  // the target may be smaller than the base
	Ignore       []Dim // dimensions the rule does not cover, taken as if they did not matter
}

// Values of one module. What the module does not have is 0; see [Shape] and [Module.Has].
type Values struct {
	InitStd, LR, WeightDecay, Eps, Multiplier float64
}

// Of is one value.
func (v Values) Of(q Quantity) float64 {
	if p := v.at(q); p != nil {
		return *p
	}
	return 0
}

func (v *Values) at(q Quantity) *float64 {
	switch q {
	case InitStd:
		return &v.InitStd
	case LR:
		return &v.LR
	case WeightDecay:
		return &v.WeightDecay
	case Eps:
		return &v.Eps
	case Multiplier:
		return &v.Multiplier
	}
	return nil
}

// Row is one module at base and target.
type Row struct {
	Module       Module
	Quantities   []Quantity // that the module has in this shape
	Base, Target Values
	NotStated    []Quantity // left alone because the rule's source is silent
}

// Has reports whether the module has the quantity in this shape.
func (r Row) Has(q Quantity) bool { return slices.Contains(r.Quantities, q) }

// Result is a transfer: everything a trainer's configuration needs.
type Result struct {
	Rule         *Rule
	Base, Target Shape
	Ratios       Ratios
	Hyper        Hyper
	Rows         []Row // modules of the shape, in the order of [Modules]
	Warnings     []string
}

// Row is the row of one module; a [Refusal] if the shape does not have it.
func (r *Result) Row(m Module) (Row, error) {
	for _, row := range r.Rows {
		if row.Module == m {
			return row, nil
		}
	}
	return Row{}, noModule(m, r.Target)
}

func noModule(m Module, s Shape) error {
	if !slices.Contains(modules, m) {
		return &Refusal{Reason: NoModule, Module: m, Why: unknown("module", m, modules).Error()}
	}
	kind := "dense"
	if s.IsMoE() {
		kind = "a mixture of experts"
	}
	return &Refusal{
		Reason: NoModule, Module: m, Why: fmt.Sprintf("the shape is %s and has no %s", kind, m), WayOut: "leave the module out",
	}
}

// Table is [Transfer]'s rows: the absolute values of every module at base and target.
func (r *Rule) Table(base, target Shape, h Hyper, o Options) ([]Row, error) {
	t, err := Transfer(r, base, target, h, o)
	if err != nil {
		return nil, err
	}
	return t.Rows, nil
}

// Transfer carries the base's hyperparameters to the target. It returns a [Refusal] where
// the rule does not cover what differs, where an exponent is missing, where the target is
// smaller, where the base has no η, and for modules the shape does not have.
func Transfer(rule *Rule, base, target Shape, h Hyper, o Options) (*Result, error) {
	if p := rule.Problems(); p != nil {
		return nil, fmt.Errorf("rule %s: %s", rule.Name, strings.Join(p, "; "))
	}
	for _, d := range o.Ignore {
		if !slices.Contains(dims, d) {
			return nil, unknown("dimension", d, dims)
		}
		if rule.Covered(d) {
			return nil, fmt.Errorf("rule %s covers %s: it cannot be ignored; edit its exponents instead", rule.Name, d)
		}
	}
	ratios, err := NewRatios(base, target)
	if err != nil {
		return nil, err
	}
	if rule.PrescribedLR != 0 && h.LR == 0 {
		h.LR = rule.PrescribedLR
	}
	t := &Result{Rule: rule.Clone(), Base: base, Target: target, Ratios: ratios, Hyper: h}
	for _, check := range []func(Options) error{t.checkSize, t.checkCovered, t.checkModules} {
		if err := check(o); err != nil {
			return nil, err
		}
	}
	if err := t.checkHyper(); err != nil {
		return nil, err
	}
	for _, m := range modules {
		if target.Has(m) {
			t.Rows = append(t.Rows, t.row(m))
		}
	}
	t.warn()
	return t, nil
}

// row computes one module.
func (t *Result) row(m Module) Row {
	row := Row{Module: m}
	for _, q := range quantities {
		if !t.Target.has(m, q) {
			continue
		}
		e := t.Rule.Entry(m, q)
		scale := e.Exponents
		if q == WeightDecay && t.Hyper.Decay == Independent {
			scale = scale.Plus(t.Rule.Entry(m, LR).Exponents)
		}
		b := t.base(m, q)
		row.Quantities = append(row.Quantities, q)
		*row.Base.at(q), *row.Target.at(q) = b, b*scale.Factor(t.Ratios)
		if e.State == Neutral {
			row.NotStated = append(row.NotStated, q)
		}
	}
	return row
}

// base is a module's value at the base: given, prescribed, or usual.
func (t *Result) base(m Module, q Quantity) float64 {
	prescribed := 0.0
	if p, ok := t.Rule.Prescribed[Cell{m, q}]; ok {
		prescribed = p.Value * math.Pow(float64(t.Base.Depth), p.Depth)
	}
	first := func(values ...float64) float64 {
		for _, v := range values {
			if v != 0 {
				return v
			}
		}
		return 0
	}
	h := t.Hyper
	switch q {
	case InitStd:
		return first(h.ModuleInit[m], h.InitStd, prescribed, DefaultInit(t.Base, m))
	case LR:
		return first(h.ModuleLR[m], h.LR)
	case WeightDecay:
		return h.WeightDecay
	case Eps:
		return h.Eps
	}
	usual := 1.0
	if m == AttnLogits {
		usual = 1 / math.Sqrt(float64(t.Base.HeadDim))
	}
	return first(h.Multiplier[m], prescribed, usual)
}

// DefaultInit is the standard deviation of a weight's initial values under the standard
// parametrization: 1/√fan-in, smaller by √(2·depth) for what writes into the residual
// stream (Radford et al. 2019), 0.02 for embedding and head (Qwen3); 0 for what is no
// weight.
func DefaultInit(s Shape, m Module) float64 {
	residual := func(fanIn int) float64 { return 1 / math.Sqrt(float64(fanIn)*2*float64(s.Depth)) }
	switch m {
	case Embedding, Head:
		return 0.02
	case AttentionQ, AttentionK, AttentionV, MLPGateUp, Router, ExpertGateUp:
		return 1 / math.Sqrt(float64(s.Width))
	case AttentionO:
		return residual(s.Heads * s.HeadDim)
	case MLPDown:
		return residual(s.DFF)
	case ExpertDown:
		return residual(s.DFFExpert)
	}
	return 0
}
