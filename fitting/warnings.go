package fitting

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// windowsDiffer is the spread of ln η* over windows that is worth a word: the
// published windows of Step Law's cells differ by 0.11 to 0.27.
const windowsDiffer = 0.2

// warnings says in plain words why a prediction may be off, the gravest first.
func (l *Law) warnings(p *Prediction, t Target, o PredictOptions) []string {
	var out []string
	out = append(out, l.farAway(p, t)...)
	out = append(out, l.batchWarnings(p, t)...)
	out = append(out, windowWarnings(p)...)
	out = append(out, l.fitWarnings(o)...)
	return out
}

// farAway reports each quantity of the law that lies outside the fitted range.
func (l *Law) farAway(p *Prediction, t Target) []string {
	var out []string
	for _, q := range []struct {
		name   string
		value  float64
		factor float64
		fitted [2]float64
	}{
		{"N", t.N, p.NFactor, l.NRange},
		{"D", t.D, p.DFactor, l.DRange},
		{"B", t.B, p.BFactor, l.BRange},
		{"C", t.FLOPs(), p.CFactor, l.CRange},
	} {
		if l.reads(q.name) {
			out = append(out, pastRange(q.name, q.value, q.factor, q.fitted, "fitted")...)
		}
	}
	return out
}

// pastRange is "N=7B is 6.5× past the largest fitted N (1.07B)". A target within 1%
// of the range counts as inside: ranges are often quoted rounded.
func pastRange(name string, value, factor float64, r [2]float64, kind string) []string {
	switch {
	case factor > 1.01:
		return []string{fmt.Sprintf("%s=%s is %s past the largest %s %s (%s)",
			name, FormatCount(value), formatTimes(factor), kind, name, FormatCount(r[1]))}
	case factor < 1/1.01:
		return []string{fmt.Sprintf("%s=%s is %s below the smallest %s %s (%s)",
			name, FormatCount(value), formatTimes(1/factor), kind, name, FormatCount(r[0]))}
	}
	return nil
}

// reads reports whether the law takes the quantity.
func (l *Law) reads(name string) bool {
	if name == "C" {
		name = "FLOPs"
	}
	switch m := l.model.(type) {
	case *power:
		return slices.ContainsFunc(m.vars, func(v variable) bool { return v.name == name })
	case *custom:
		return slices.ContainsFunc(m.takes, func(q quantityOf) bool { return q.name == name })
	}
	return false
}

func (l *Law) batchWarnings(p *Prediction, t Target) []string {
	switch l.Batch.Kind {
	case BatchFixed:
		b := FormatCount(l.Batch.Fixed)
		switch {
		case t.B == 0:
			return []string{"the law was fitted at a batch of " + b + " tokens: it holds at that batch only"}
		case math.Abs(t.B/l.Batch.Fixed-1) > batchTolerance:
			return []string{fmt.Sprintf("the law was fitted at a batch of %s tokens and says nothing about %s; with another batch even the sign of the D exponent can change", b, FormatCount(t.B))}
		}
	case BatchTuned:
		if t.B > 0 {
			return []string{fmt.Sprintf("the law was fitted with the batch tuned: it holds at the best batch for this size, which need not be %s tokens", FormatCount(t.B))}
		}
	case BatchKeyed:
		if t.B > 0 && !l.reads("B") {
			return []string{"the law has no B: the batch given is not used"}
		}
	case BatchUnknown:
	}
	return nil
}

func windowWarnings(p *Prediction) []string {
	var out []string
	lo, hi := math.Log(p.LR), math.Log(p.LR)
	var reasons []string
	without := map[string][]string{} // windows by why they have no law
	for _, w := range p.Windows {
		if w.Err != "" {
			why := clause(w.Err)
			if without[why] == nil {
				reasons = append(reasons, why)
			}
			without[why] = append(without[why], w.Window.String())
			continue
		}
		lo, hi = math.Min(lo, w.LnLR), math.Max(hi, w.LnLR)
	}
	for _, why := range reasons {
		out = append(out, noWindow(without[why], why))
	}
	if hi-lo > windowsDiffer {
		out = slices.Insert(out, 0, fmt.Sprintf("the choice of window alone moves η* between %s and %s",
			FormatLR(math.Exp(lo)), FormatLR(math.Exp(hi))))
	}
	return out
}

// noWindow says that windows are not in the interval.
func noWindow(windows []string, why string) string {
	if len(windows) == 1 {
		return "window " + windows[0] + " is left out of the interval: " + why
	}
	return "windows " + listed(windows) + " are left out of the interval: " + why
}

// clause is what an error of a law says first: not which law, what else is wrong, or
// what to do. WindowShift.Err has all of it.
func clause(err string) string {
	if rest, ok := strings.CutPrefix(err, "law "); ok {
		if _, why, ok := strings.Cut(rest, ": "); ok {
			err = why
		}
	}
	for _, end := range []string{"; ", ": ", " ("} {
		err, _, _ = strings.Cut(err, end)
	}
	return err
}

// fitWarnings are about the law itself.
func (l *Law) fitWarnings(o PredictOptions) []string {
	var out []string
	switch {
	case l.DOF == 0:
		out = append(out, fmt.Sprintf("no interval: %s for %s leave no degrees of freedom",
			plural(l.N, "cell"), plural(len(l.Free), "coefficient")))
	case l.DOF < 3:
		out = append(out, fmt.Sprintf("%s for %s: the interval rests on %s of freedom",
			plural(l.N, "cell"), plural(len(l.Free), "coefficient"), plural(l.DOF, "degree")))
	}
	if l.R2 < 0.8 {
		out = append(out, fmt.Sprintf("the law explains little of the spread between cells (R² %.2f)", l.R2))
	}
	if left := l.leftOut(""); left != "" {
		out = append(out, left)
	}
	if l.Options.UseBounds {
		n := 0
		for i := range l.Cells {
			c := &l.Curves.Curves[l.Cells[i].Index]
			n += btoi(l.Cells[i].Used && (c.Bound != NoBound || c.Has(FlagOutsideGrid)))
		}
		if n > 0 {
			out = append(out, fmt.Sprintf("%s counted as measured though the data only bound η* there", plural(n, "cell")))
		}
	}
	var pinned []string
	for _, c := range l.Coef {
		if !c.Pinned {
			continue
		}
		switch {
		case l.Options.Form == Custom:
			pinned = append(pinned, c.Name)
		case c.Name == "C":
			pinned = append(pinned, "the constant C")
		default:
			pinned = append(pinned, "exponent "+c.Name)
		}
	}
	switch len(pinned) {
	case 0:
	case 1:
		out = append(out, pinned[0]+" is pinned: its uncertainty is not in the interval")
	default:
		out = append(out, listed(pinned)+" are pinned: their uncertainty is not in the interval")
	}
	if o.Interval == IntervalBootstrap && l.DOF > 0 && l.N < 8 {
		out = append(out, fmt.Sprintf("a bootstrap over %s is coarse: prefer interval=t", plural(l.N, "cell")))
	}
	return out
}
