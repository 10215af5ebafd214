package mup

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Two ratios count as equal within rounding; inner widths are rounded to multiples of 8
// or more, so theirs may be further apart.
const (
	sameRatio    = 1e-9
	sameFFNRatio = 0.05
)

func (t *Result) differs(d Dim) bool {
	tolerance := sameRatio
	if d == FFNRatio && !t.Rule.Covered(d) {
		tolerance = sameFFNRatio
	}
	return math.Abs(math.Log(t.Ratios.Of(d))) > tolerance
}

func (t *Result) refuse(r Refusal) error {
	r.Rule = t.Rule.Name
	return &r
}

// checkSize refuses a target below the base, which is more often a slip than a wish.
func (t *Result) checkSize(o Options) error {
	if o.AllowSmaller {
		return nil
	}
	for _, d := range []Dim{Width, Depth, Experts} {
		if t.Ratios.Of(d) < 1 {
			return t.refuse(Refusal{
				Reason: Smaller, Dim: d, Why: fmt.Sprintf("the target's %s is %s of the base's", d, share(t.Ratios.Of(d))),
				WayOut: "swap base and target, or allow a smaller target",
			})
		}
	}
	return nil
}

func share(x float64) string { return fmt.Sprintf("%.3g×", x) }

// wayOut says what helps where a rule does not cover a dimension.
func (t *Result) wayOut(d Dim) string {
	ignore := fmt.Sprintf("or ignore %s explicitly", d)
	switch d {
	case Depth:
		if t.Target.IsMoE() {
			return "take a base as deep as the target, or the rule moe_mup, " + ignore
		}
		return "take a base as deep as the target, or the rule completep, " + ignore
	case ActiveFraction:
		return "let top_k grow with the experts, " + ignore
	case FFNRatio:
		return "keep d_ff_expert/width, or take the rule moe_mup, " + ignore
	case Batch:
		return "tune the base at the target's batch, or take the rule completep_dp, " + ignore
	case Horizon:
		return "tune the base at the target's horizon, add a horizon rule (such as " + t.Rule.Name + "+horizon_zhou), " + ignore
	case Width, Experts:
		return fmt.Sprintf("keep the base's %s, or compose with a rule that covers it, %s", d, ignore)
	}
	return fmt.Sprintf("keep the base's %s, %s", d, ignore)
}

// checkCovered refuses a difference the rule says nothing about.
func (t *Result) checkCovered(o Options) error {
	for _, d := range dims {
		if t.Rule.Covered(d) || !t.differs(d) {
			continue
		}
		switch {
		case slices.Contains(o.Ignore, d):
			t.Warnings = append(t.Warnings, fmt.Sprintf("%s differs %s and is ignored: %s does not cover it", d, share(t.Ratios.Of(d)), t.Rule.Name))
		case d == FFNRatio && !t.Target.IsMoE():
			t.Warnings = append(t.Warnings, fmt.Sprintf("d_ff/width differs %s: the fan-in of mlp_down does not grow as m_N, which %s takes for it", share(t.Ratios.FFNRatio), t.Rule.Name))
		default:
			what := string(d)
			if d == FFNRatio {
				what = "granularity (d_ff_expert/width)"
			}
			return t.refuse(Refusal{
				Reason: NotCovered, Dim: d, Why: fmt.Sprintf("%s differs %s between base and target, which the rule does not cover", what, share(t.Ratios.Of(d))),
				WayOut: t.wayOut(d),
			})
		}
	}
	return nil
}

// checkModules refuses modules the rule does not know and exponents it is missing.
func (t *Result) checkModules(Options) error {
	for _, m := range modules {
		if !t.Target.Has(m) {
			continue
		}
		if !m.Factor() && !t.Rule.Has(m) {
			kind, instead := "dense", "completep or mup"
			if t.Target.IsMoE() {
				kind, instead = "mixture-of-experts", "moe_mup or moe_width"
			}
			return t.refuse(Refusal{
				Reason: NoModule, Module: m, Why: fmt.Sprintf("it says nothing about %s", m),
				WayOut: fmt.Sprintf("take a %s rule (%s), or edit the exponents in", kind, instead),
			})
		}
		for _, q := range quantities {
			if t.Target.has(m, q) && t.Rule.Entry(m, q).State == Missing {
				return t.refuse(Refusal{
					Reason: NotStated, Module: m, Why: fmt.Sprintf("the %s of %s is not known: %s", q, m, t.Rule.Entry(m, q).Note),
					WayOut: "edit its exponent in from the paper, and give its base value",
				})
			}
		}
	}
	return nil
}

// checkHyper refuses numbers that are no hyperparameters.
func (t *Result) checkHyper() error {
	h := t.Hyper
	if h.LR == 0 {
		return t.refuse(Refusal{Reason: NoLR, Why: "the base has no learning rate", WayOut: "give the base's η, from a sweep of it"})
	}
	bad := func(m Module, what string, v float64, way string) error {
		return t.refuse(Refusal{Reason: BadValue, Module: m, Why: fmt.Sprintf("the base's %s is %v", what, v), WayOut: way})
	}
	if !positive(h.LR) {
		return bad("", "η", h.LR, "give a positive number")
	}
	for _, f := range []struct {
		what string
		v    float64
	}{{"weight decay", h.WeightDecay}, {"ε", h.Eps}, {"initial standard deviation", h.InitStd}} {
		if !(f.v >= 0) || math.IsInf(f.v, 0) {
			return bad("", f.what, f.v, "give 0 or a positive number")
		}
	}
	if h.Decay != TimesLR && h.Decay != Independent {
		return t.refuse(Refusal{Reason: BadValue, Why: fmt.Sprintf("decay form %q is unknown", h.Decay), WayOut: `leave it empty for AdamW's η·λ, or say "independent"`})
	}
	for _, f := range []struct {
		q      Quantity
		values map[Module]float64
	}{{LR, h.ModuleLR}, {InitStd, h.ModuleInit}, {Multiplier, h.Multiplier}} {
		given := make([]Module, 0, len(f.values))
		for m := range f.values {
			given = append(given, m)
		}
		slices.Sort(given)
		for _, m := range given {
			if !slices.Contains(modules, m) || !t.Base.Has(m) {
				return noModule(m, t.Base)
			}
			if !t.Base.has(m, f.q) {
				return t.refuse(Refusal{
					Reason: NoModule, Module: m, Why: fmt.Sprintf("%s has no %s of its own", m, f.q), WayOut: "leave it out",
				})
			}
			if v := f.values[m]; !positive(v) {
				return bad(m, fmt.Sprintf("%s of %s", f.q, m), v, "give a positive number, or leave it out")
			}
		}
	}
	return nil
}

// warn says what a reader of the numbers must know besides the refusals.
func (t *Result) warn() {
	say := func(format string, args ...any) { t.Warnings = append(t.Warnings, fmt.Sprintf(format, args...)) }
	if t.Rule.Status != Read {
		say("%s is %s: check its numbers before an expensive run", t.Rule.Name, t.Rule.Status)
	}
	if t.Rule.PrescribedLR != 0 && t.Hyper.LR == t.Rule.PrescribedLR {
		say("η %s is the rule's own base rate, not measured on this base", number(t.Hyper.LR))
	}
	for _, f := range []struct {
		d     Dim
		known float64
	}{{Batch, t.Base.BatchTokens}, {Horizon, t.Base.HorizonTokens}} {
		if f.known == 0 {
			say("%s not given: taken as equal", f.d)
		}
	}
	inner := func(s Shape) float64 { return float64(s.Heads*s.HeadDim) / float64(s.Width) }
	if r := inner(t.Target) / inner(t.Base); math.Abs(math.Log(r)) > sameFFNRatio {
		say("heads·head_dim/width differs %s: the fan-in of attention_o does not grow as m_N", share(r))
	}
	if t.Base.Vocab != t.Target.Vocab {
		say("vocabulary differs, %d and %d: no rule here scales with it", t.Base.Vocab, t.Target.Vocab)
	}
	if t.Ratios == (Ratios{1, 1, 1, 1, 1, 1, 1, 1}) {
		return
	}
	if !slices.ContainsFunc(t.Rows, func(r Row) bool { return r.Base.LR != r.Target.LR }) {
		say("η is copied to every module: %s scales it with nothing that differs here", t.Rule.Name)
	}
	for _, q := range []Quantity{InitStd, LR, WeightDecay, Eps} {
		var silent []string
		with := 0
		for _, row := range t.Rows {
			if row.Has(q) {
				with++
			}
			if slices.Contains(row.NotStated, q) {
				silent = append(silent, string(row.Module))
			}
		}
		what := "left alone"
		if q == WeightDecay && t.Hyper.Decay == Independent {
			what = "AdamW's λ left alone, so that the independent one follows η"
		}
		switch {
		case len(silent) == 0:
		case len(silent) == with:
			say("%s not stated: %s", q, what)
		default:
			say("%s not stated for %s: %s", q, strings.Join(silent, ", "), what)
		}
	}
}
