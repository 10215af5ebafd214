package mup

import (
	"fmt"
	"math"
	"strings"
)

// Shape is what the rules need to know of a model and its training run.
type Shape struct {
	Width     int // of the residual stream
	Depth     int // layers
	Heads     int // query heads
	HeadDim   int
	DFF       int  // inner width of SwiGLU, dense only
	Experts   int  // 0: dense
	TopK      int  // experts a token goes through
	DFFExpert int  // inner width of one expert
	Vocab     int  //
	Tied      bool // the head is the embedding, transposed

	BatchTokens   float64 // per optimizer step; 0: not known
	HorizonTokens float64 // trained on; 0: not known
}

// IsMoE reports whether the layers hold experts.
func (s Shape) IsMoE() bool { return s.Experts > 0 }

// Has reports whether a model of this shape has the module. A tied head has no weights
// of its own but keeps its multiplier, so it is there.
func (s Shape) Has(m Module) bool {
	switch m {
	case MLPGateUp, MLPDown:
		return !s.IsMoE()
	case Router, ExpertGateUp, ExpertDown:
		return s.IsMoE()
	}
	return true
}

// has is Has for one quantity: of a tied head only the multiplier is its own.
func (s Shape) has(m Module, q Quantity) bool {
	return s.Has(m) && m.Has(q) && (m != Head || !s.Tied || q == Multiplier)
}

// String is a short text with all that counts.
func (s Shape) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "width %d, depth %d, heads %d×%d", s.Width, s.Depth, s.Heads, s.HeadDim)
	if s.IsMoE() {
		fmt.Fprintf(&b, ", %d experts top-%d of %d", s.Experts, s.TopK, s.DFFExpert)
	} else {
		fmt.Fprintf(&b, ", d_ff %d", s.DFF)
	}
	fmt.Fprintf(&b, ", vocabulary %d", s.Vocab)
	if s.Tied {
		b.WriteString(", tied head")
	}
	if s.BatchTokens > 0 {
		fmt.Fprintf(&b, ", batch %s tokens", count(s.BatchTokens))
	}
	if s.HorizonTokens > 0 {
		fmt.Fprintf(&b, ", horizon %s tokens", count(s.HorizonTokens))
	}
	return b.String()
}

// check says what is wrong with a shape.
func (s Shape) check(which string) error {
	bad := func(what string, v any, way string) error {
		return &Refusal{
			Reason: BadShape, Why: fmt.Sprintf("the %s shape has %s %v", which, what, v), WayOut: way,
		}
	}
	for _, f := range []struct {
		name string
		v    int
	}{{"width", s.Width}, {"depth", s.Depth}, {"heads", s.Heads}, {"head_dim", s.HeadDim}, {"vocabulary", s.Vocab}} {
		if f.v <= 0 {
			return bad(f.name, f.v, "give a positive number")
		}
	}
	for _, f := range []struct {
		name string
		v    float64
	}{{"batch", s.BatchTokens}, {"horizon", s.HorizonTokens}} {
		if !(f.v >= 0) || math.IsInf(f.v, 0) {
			return bad(f.name, f.v, "give tokens, or 0 where not known")
		}
	}
	switch {
	case s.Experts < 0:
		return bad("experts", s.Experts, "give a positive number, or 0 for a dense model")
	case s.Experts == 0 && s.DFF <= 0:
		return bad("d_ff", s.DFF, "give a positive number")
	case s.Experts == 0 && (s.TopK != 0 || s.DFFExpert != 0):
		return bad("no experts but top_k or d_ff_expert", fmt.Sprintf("%d, %d", s.TopK, s.DFFExpert), "set experts, or leave them 0")
	case s.IsMoE() && (s.TopK <= 0 || s.TopK > s.Experts):
		return bad("top_k", s.TopK, fmt.Sprintf("give 1 to the %d experts", s.Experts))
	case s.IsMoE() && s.DFFExpert <= 0:
		return bad("d_ff_expert", s.DFFExpert, "give a positive number")
	}
	return nil
}

// activeFraction is κ, 1 for a dense model.
func (s Shape) activeFraction() float64 {
	if !s.IsMoE() {
		return 1
	}
	return float64(s.TopK) / float64(s.Experts)
}

// ffnRatio is α: inner width of the MLP, or of one expert, over the width.
func (s Shape) ffnRatio() float64 {
	if s.IsMoE() {
		return float64(s.DFFExpert) / float64(s.Width)
	}
	return float64(s.DFF) / float64(s.Width)
}

// Ratios are target over base in every dimension; all 1 at the base.
type Ratios struct {
	Width, Depth, Experts, ActiveFraction, FFNRatio, HeadDim, Batch, Horizon float64
}

// NewRatios divides. Experts is 1 between dense models; batch and horizon are 1 where
// neither shape gives them. Errors are [Refusal]s: an impossible shape, a dense model
// against a mixture of experts, a tied head against an untied one, or a batch or horizon
// given on one side only.
func NewRatios(base, target Shape) (Ratios, error) {
	if err := base.check("base"); err != nil {
		return Ratios{}, err
	}
	if err := target.check("target"); err != nil {
		return Ratios{}, err
	}
	if base.IsMoE() != target.IsMoE() {
		return Ratios{}, &Refusal{
			Reason: NotCovered, Dim: Experts, Why: "one of base and target is dense and the other a mixture of experts",
			WayOut: "tune a base of the target's kind; no rule here states exponents from dense to experts",
		}
	}
	if base.Tied != target.Tied {
		return Ratios{}, &Refusal{
			Reason: NotCovered, Module: Head, Why: "the head is tied to the embedding in one of base and target only",
			WayOut: "tie both or neither",
		}
	}
	r := Ratios{
		Width:          float64(target.Width) / float64(base.Width),
		Depth:          float64(target.Depth) / float64(base.Depth),
		Experts:        float64(max(1, target.Experts)) / float64(max(1, base.Experts)),
		ActiveFraction: target.activeFraction() / base.activeFraction(),
		FFNRatio:       target.ffnRatio() / base.ffnRatio(),
		HeadDim:        float64(target.HeadDim) / float64(base.HeadDim),
		Batch:          1, Horizon: 1,
	}
	for _, f := range []struct {
		dim          Dim
		base, target float64
		to           *float64
	}{
		{Batch, base.BatchTokens, target.BatchTokens, &r.Batch},
		{Horizon, base.HorizonTokens, target.HorizonTokens, &r.Horizon},
	} {
		switch {
		case f.base > 0 && f.target > 0:
			*f.to = f.target / f.base
		case f.base != f.target:
			return Ratios{}, &Refusal{
				Reason: BadShape, Dim: f.dim, Why: fmt.Sprintf("the %s is given for one of base and target only", f.dim),
				WayOut: "give it for both, or for neither if they are equal",
			}
		}
	}
	return r, nil
}

// Of is the ratio in one dimension; 1 for an unknown one.
func (r Ratios) Of(d Dim) float64 {
	switch d {
	case Width:
		return r.Width
	case Depth:
		return r.Depth
	case Experts:
		return r.Experts
	case ActiveFraction:
		return r.ActiveFraction
	case FFNRatio:
		return r.FFNRatio
	case HeadDim:
		return r.HeadDim
	case Batch:
		return r.Batch
	case Horizon:
		return r.Horizon
	}
	return 1
}
