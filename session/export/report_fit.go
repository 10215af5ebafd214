package export

import (
	"fmt"
	"math"
	"strings"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/number"
)

func formName(f fitting.CurveForm) string {
	switch f {
	case fitting.Quadratic:
		return "quadratic"
	case fitting.Cubic:
		return "cubic"
	case fitting.Asymmetric:
		return "asymmetric"
	}
	return "unknown"
}

func reportCurves(s *fitting.CurveSet) []block {
	vertices, bounds := 0, 0
	g := &grid{heads: []string{"N", "D", "B", "cell", "η*", "± ln η", "loss", "R²", "n", "flags"}}
	g.left("cell", "flags")
	noSE := false
	for i := range s.Curves {
		c := &s.Curves[i]
		star, se, low := boundText(c), number.Unknown, number.Unknown
		switch {
		case c.OK:
			vertices++
			star, se, low = number.EtaPadded(math.Exp(c.LnLR), 3), number.Fixed(c.LnLRSE, 3), number.Loss(c.Loss)
			noSE = noSE || math.IsNaN(c.LnLRSE)
		case c.Bound != fitting.NoBound:
			bounds++
		}
		g.rows = append(g.rows, []string{
			size(c.Key.N), size(c.Key.D), size(c.Key.B), c.Key.Extra,
			star, se, low, number.Fixed(c.R2, 4), itoa(c.NFit), inWords(c),
		})
	}
	summary := number.Plural(len(s.Curves), "cell", "cells") + ": " + number.Plural(vertices, "vertex", "vertices")
	if bounds > 0 {
		summary += ", " + number.Plural(bounds, "bound", "bounds")
	}
	o := &s.Options
	summary += fmt.Sprintf("; %s, window %v, batch %v", formName(o.Form), o.Window, o.Batch)
	out := []block{line{plainTone, summary}, g.dropEmpty()}
	if noSE {
		out = append(out, line{noteTone, "no standard error: as many points as the curve has parameters"})
	}
	return out
}

func reportLaw(l *fitting.Law) []block {
	said := fmt.Sprintf("%d of %s, batch %v", l.N, number.Plural(len(l.Cells), "cell", "cells"), l.Batch)
	if finite(l.R2) {
		said += ", R² " + number.Fixed(l.R2, 3)
	}
	if finite(l.ResidSD) {
		said += ", residual sd " + number.Fixed(l.ResidSD, 3) + " in ln η"
	}
	coef := &grid{title: "coefficients", heads: []string{"", "value", "95% interval", "se", "remark"}}
	coef.left("", "95% interval", "remark")
	noInterval := false
	for _, c := range l.Coef {
		row := []string{c.Name, coefficient(c, c.Value), "", "", ""}
		switch {
		case c.Pinned:
			row[4] = "pinned"
		case !finite(c.Lo) || !finite(c.Hi):
			row[2], row[3], noInterval = number.Unknown, number.Unknown, true
		default:
			row[2], row[3] = coefficient(c, c.Lo)+" to "+coefficient(c, c.Hi), number.Fixed(c.SE, 3)
			switch {
			case l.Options.Form == fitting.Custom: // of any scale
				row[3] = number.Sig(c.SE, 2)
			case c.Name == "C":
				row[4] = "se of ln C"
			}
		}
		coef.rows = append(coef.rows, row)
	}
	out := []block{line{answerTone, l.Text()}, line{plainTone, said}, coef.dropEmpty()}
	switch {
	case noInterval:
		out = append(out, line{noteTone, "no intervals: as many cells as parameters"})
	case l.Errors == fitting.ErrorsJackknife, l.Errors == fitting.ErrorsBootstrap:
		out = append(out, line{noteTone, "standard errors and intervals by " + string(l.Errors)})
	}
	return append(out, residuals(l))
}

// coefficient writes a number of a law: exponents with their sign, the constant
// and a custom parameter with four digits.
func coefficient(c fitting.Coefficient, x float64) string {
	switch c.Name {
	case "N", "D", "B", "FLOPs":
		return number.Signed(x, 3)
	}
	return number.Sig(x, 4)
}

// size writes a quantity of a cell's key; a zero one is not part of the key.
func size(x float64) string {
	if x == 0 {
		return ""
	}
	return number.SI(x)
}

func residuals(l *fitting.Law) *grid {
	g := &grid{title: "residuals", heads: []string{"N", "D", "B", "cell", "η* measured", "η* law", "Δ ln η", "remark"}}
	g.left("cell", "remark")
	for i := range l.Cells {
		c := &l.Cells[i]
		remark := c.Why
		if !c.Used && remark == "" {
			remark = "left out"
		} else if !c.Used {
			remark = "left out: " + remark
		}
		lr, residual := measured(l, c)
		star := number.EtaPadded(lr, 3)
		if u := &l.Curves.Curves[c.Index]; math.IsNaN(lr) {
			star = boundText(u)
		}
		g.rows = append(g.rows, []string{
			size(c.Key.N), size(c.Key.D), size(c.Key.B), c.Key.Extra,
			star, number.EtaPadded(math.Exp(c.Fitted), 3), number.Signed(residual, 3), remark,
		})
	}
	return g.dropEmpty()
}

// measured returns η* and the residual of a cell of a law; NaN where the data only
// bound η* and the law does not take the bound for a measurement.
func measured(l *fitting.Law, c *fitting.LawCell) (lr, residual float64) {
	if !c.Used && !l.Curves.Curves[c.Index].OK {
		return math.NaN(), math.NaN()
	}
	return math.Exp(c.LnLR), c.Residual
}

// boundText is "< 2.4e-4" or "> …" for a cell without a vertex, or says that there is nothing.
func boundText(c *fitting.Curve) string {
	switch c.Bound {
	case fitting.BoundBelow:
		return "< " + number.EtaPadded(c.BoundLR, 3)
	case fitting.BoundAbove:
		return "> " + number.EtaPadded(c.BoundLR, 3)
	case fitting.NoBound:
	}
	return number.Unknown
}

func reportPrediction(p *fitting.Prediction) []block {
	out := []block{line{answerTone, "η* = " + number.Eta(p.LR, 3) + " for " + p.Target.String()}}
	f := answerFacts(p)
	if windows := windowText(p); windows != "" {
		f = append(f, fact{"by window", windows})
	}
	f = append(f, fact{"batch", p.Batch.String()})
	if finite(p.BatchTokens) {
		f = append(f, fact{"its own batch", number.SI(p.BatchTokens) + " tokens"})
	}
	f = append(f, fact{"law", p.LawText})
	out = append(out, f)
	for _, w := range p.Warnings {
		out = append(out, line{warnTone, "! " + w})
	}
	if len(p.Beside) == 0 {
		return out
	}
	g := &grid{title: "published laws at this target", heads: []string{"law", "η*", "its batch", "comparable"}}
	g.left("law", "comparable")
	for i := range p.Beside {
		b := &p.Beside[i]
		said := "yes"
		switch {
		case !finite(b.LR):
			said = "does not apply: " + b.Why
		case !b.Comparable:
			said = "no: " + b.Why
		}
		batch := ""
		if finite(b.B) {
			batch = number.SI(b.B)
		}
		g.rows = append(g.rows, []string{b.Name, number.EtaPadded(b.LR, 3), batch, said})
	}
	return append(out, g.dropEmpty())
}

// answerFacts is what belongs to the answer itself: how sure, how near is near
// enough, what another η costs, how far from the data.
func answerFacts(p *fitting.Prediction) facts {
	f := facts{{"interval", intervalText(p)}}
	if finite(p.Band[0]) && finite(p.Band[1]) {
		f = append(f, fact{"near-optimal", fmt.Sprintf("%s to %s, within %s of the best loss",
			number.Eta(p.Band[0], 3), number.Eta(p.Band[1], 3), number.Percent(p.NearOptimal))})
	} else {
		f = append(f, fact{"near-optimal", "not known: without curves there is no curvature"})
	}
	if finite(p.At) && p.At > 0 {
		cost := "its cost is not known: without curves there is no curvature"
		if finite(p.AtRegret) {
			cost = number.SignedPercent(p.AtRegret) + " loss"
		}
		f = append(f, fact{"at " + number.Eta(p.At, 3), cost})
	}
	if far := farText(p); far != "" {
		f = append(f, fact{"extrapolates", far})
	}
	return f
}

func intervalText(p *fitting.Prediction) string {
	if !finite(p.Low) || !finite(p.High) {
		for _, w := range p.Warnings {
			if strings.HasPrefix(w, "no interval: ") {
				return "none: as many cells as parameters"
			}
		}
		return "none: the law states none"
	}
	s := fmt.Sprintf("%s to %s (%s)", number.Eta(p.Low, 3), number.Eta(p.High, 3), number.Level(p.Level))
	if finite(p.IntervalRegret) {
		s += fmt.Sprintf("; with the truth at its worse end, %s loss", number.SignedPercent(p.IntervalRegret))
	}
	return s
}

// farText says how far the target lies outside the fitted cells.
func farText(p *fitting.Prediction) string {
	var parts []string
	for _, q := range []struct {
		name   string
		factor float64
	}{{"N", p.NFactor}, {"D", p.DFactor}, {"C", p.CFactor}, {"B", p.BFactor}} {
		switch {
		case q.name == "C" && finite(p.NFactor) && finite(p.DFactor): // follows from N and D
		case q.factor > 1.005:
			parts = append(parts, number.Factor(q.factor)+" past the largest "+q.name)
		case q.factor > 0 && q.factor < 0.995:
			parts = append(parts, number.Factor(1/q.factor)+" below the smallest "+q.name)
		}
	}
	return strings.Join(parts, ", ")
}

func windowText(p *fitting.Prediction) string {
	var parts []string
	for _, w := range p.Windows {
		if w.Err == "" && finite(w.LnLR) {
			parts = append(parts, fmt.Sprintf("%v: %s", w.Window, number.Eta(math.Exp(w.LnLR), 3)))
		}
	}
	return strings.Join(parts, ", ")
}

func reportComparison(c *fitting.Comparison) []block {
	g := &grid{heads: []string{"law", "|Δ ln η|", "bias", "rms", "max", "loss", "worst", "covered", "remark"}}
	g.left("law", "remark")
	for i := range c.Rows {
		r := &c.Rows[i]
		covered := ""
		if finite(r.Coverage) {
			covered = number.Percent(r.Coverage)
		}
		g.rows = append(g.rows, []string{
			r.Name, number.Fixed(r.MeanAbsErr, 3), number.Signed(r.Bias, 3), number.Fixed(r.RMSErr, 3), number.Fixed(r.MaxAbsErr, 3),
			number.SignedPercent(r.MeanPenalty), number.SignedPercent(r.MaxPenalty), covered, comparisonRemark(r),
		})
	}
	held := fmt.Sprintf("%s held out (%s), %s fitted", number.Plural(len(c.Test), "cell", "cells"), holdOutWord(c.HoldOut), number.Plural(len(c.Train), "cell", "cells"))
	return []block{line{plainTone, held}, g.dropEmpty()}
}

func comparisonRemark(r *fitting.CompareRow) string {
	switch {
	case r.Err != "":
		return "no score: " + r.Err
	case r.InSample:
		return "its authors fitted these cells; batch " + r.Condition
	case !r.Comparable:
		return "not comparable: batch " + r.Condition
	}
	return ""
}

// holdOutWord is the hold-out in the notebook's notation.
func holdOutWord(h fitting.HoldOut) string {
	switch {
	case h.Largest > 0:
		return "cells=" + itoa(h.Largest)
	case h.N > 0:
		return "holdout=" + number.SI(h.N)
	case h.LargestN:
		return "holdout=largest_N"
	case h.EachN:
		return "holdout=each_N"
	}
	return "holdout=half"
}
