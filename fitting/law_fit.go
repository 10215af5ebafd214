package fitting

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// FitLaw fits a law through the vertices of s. Its errors say what is missing and
// what to do about it.
func FitLaw(s *CurveSet, o LawOptions) (*Law, error) { return fitLaw(s, o, nil) }

// fitLaw is FitLaw with a θ to start from, for laws that are searched for; nil for
// none.
func fitLaw(s *CurveSet, o LawOptions, start []float64) (*Law, error) {
	if o.Form == "" {
		o.Form = PowerND
	}
	m, coef, err := newModel(o)
	if err != nil {
		return nil, err
	}
	if s == nil || len(s.Curves) == 0 {
		return nil, errNoCells
	}
	l := &Law{Options: o, Coef: coef, Batch: s.Options.Batch, Curves: s, model: m}
	for _, c := range coef {
		if !c.Pinned {
			l.Free = append(l.Free, c.Name)
		}
	}
	if err := l.collect(); err != nil {
		return nil, err
	}
	ts, y, se := l.used()
	w, notes := weights(o.Weights, se)
	l.Notes = append(l.Notes, notes...)
	sol, err := m.fit(ts, y, w, o.Huber, start)
	if err != nil {
		return nil, fmt.Errorf("law %s: %w", l.form(), err)
	}
	l.Notes = append(l.Notes, sol.notes...)
	l.finish(sol, y, w)
	l.note()
	return l, nil
}

// collect lists the cells with the reason why one is left out, and refuses a
// sweep that cannot determine the law.
func (l *Law) collect() error {
	s, o := l.Curves, l.Options
	missing := map[string]int{}
	for i := range s.Curves {
		c := &s.Curves[i]
		t := cellTarget(c, s.Options.Batch)
		cell := LawCell{
			Index: i, Key: c.Key, LnLR: c.LnLR, SE: c.LnLRSE,
			Fitted: nan, Residual: nan, Leverage: nan,
		}
		if o.Exclude[i] {
			cell.Why = "left out by hand"
		} else {
			cell.Why = c.unusable(o.UseBounds)
		}
		if cell.Why == "" {
			if name := l.model.missing(t); name != "" {
				missing[name]++
				cell.Why = "no " + name
			}
		}
		if cell.Used = cell.Why == ""; cell.Used {
			l.N++
			widen(&l.NRange, t.N)
			widen(&l.DRange, t.D)
			widen(&l.BRange, t.B)
			widen(&l.CRange, t.C)
		}
		l.Cells = append(l.Cells, cell)
	}
	for name, n := range missing {
		if n > 0 && l.N == 0 {
			return fmt.Errorf("law %s: the cells have no %s: %s", l.form(), name, remedy(name))
		}
	}
	if err := l.varies(); err != nil {
		return err
	}
	if l.N < len(l.Free) {
		return fmt.Errorf("law %s: %s with a vertex for %s (%s): train more cells, pin a coefficient, or use a form with fewer%s",
			l.form(), plural(l.N, "cell"), plural(len(l.Free), "coefficient"), strings.Join(l.Free, ", "), l.leftOut("; "))
	}
	if l.N == 0 {
		return fmt.Errorf("law %s: no cell with a vertex%s", l.form(), l.leftOut("; "))
	}
	return nil
}

// remedy says how to give the cells a quantity.
func remedy(name string) string {
	switch name {
	case "B":
		return "use batch=free, so that every batch size is a cell of its own"
	case "FLOPs":
		return "give the runs' FLOPs, or N and D"
	}
	return "add " + name + " to by="
}

// unusable says why the cell has no vertex that a law may use, or is "".
func (c *Curve) unusable(useBounds bool) string {
	switch {
	case !useBounds && c.Bound == BoundBelow:
		return string(FlagEdgeLow) + ", η* < " + FormatLR(c.BoundLR)
	case !useBounds && c.Bound == BoundAbove:
		return string(FlagEdgeHigh) + ", η* > " + FormatLR(c.BoundLR)
	case !useBounds && c.Has(FlagOutsideGrid):
		return string(FlagOutsideGrid)
	case finite(c.LnLR):
		if c.far() {
			return "vertex far outside the grid"
		}
		return ""
	}
	for _, f := range []Flag{FlagAllDiverged, FlagTooFew, FlagFlat, FlagConcave} {
		if c.Has(f) {
			return string(f)
		}
	}
	return "no vertex"
}

// far reports a vertex more than ten widths of the grid beyond it: a straight
// curve, whose vertex is an accident of rounding.
func (c *Curve) far() bool {
	lo, hi := math.Log(c.Points[0].LR), math.Log(c.Points[len(c.Points)-1].LR)
	return c.LnLR < lo-10*(hi-lo) || c.LnLR > hi+10*(hi-lo)
}

// leftOut lists the cells that are not used, shortly, after a lead; "" when all are.
func (l *Law) leftOut(lead string) string {
	var out []string
	for i := range l.Cells {
		if c := &l.Cells[i]; !c.Used {
			out = append(out, fmt.Sprintf("%v (%s)", c.Key, c.Why))
		}
	}
	if len(out) == 0 {
		return ""
	}
	n := len(out)
	if n > 3 {
		out = append(out[:3], "…")
	}
	return fmt.Sprintf("%s%d of %s left out: %s", lead, n, plural(len(l.Cells), "cell"), strings.Join(out, ", "))
}

// varies refuses a free exponent of a quantity that all used cells share.
func (l *Law) varies() error {
	p, ok := l.model.(*power)
	if !ok || l.N < 2 {
		return nil
	}
	ts, _, _ := l.used()
	constant := slices.ContainsFunc(l.Coef, func(c Coefficient) bool { return c.Name == "C" && !c.Pinned })
	if !constant {
		return nil
	}
	for _, v := range p.vars {
		if v.pinned {
			continue
		}
		same := true
		for _, t := range ts {
			same = same && v.of(t) == v.of(ts[0])
		}
		if !same {
			continue
		}
		instead := "pin " + v.name
		if form := without(l.Options.Form, v.name); form != "" {
			instead = fmt.Sprintf("use form=%s or pin %s", form, v.name)
		}
		name := v.name
		if name == "FLOPs" {
			name = "C"
		}
		return fmt.Errorf("all cells have one %s (%s): a law in %s cannot be fitted; %s",
			name, FormatCount(v.of(ts[0])), name, instead)
	}
	return nil
}

// without is the form that lacks one variable, or "".
func without(f LawForm, name string) LawForm {
	switch {
	case f == PowerND && name == "D":
		return PowerN
	case f == PowerND && name == "N":
		return PowerD
	case f == PowerNDB && name == "B":
		return PowerND
	}
	return ""
}

// used returns target, ln η* and SE of the used cells.
func (l *Law) used() (ts []Target, y, se []float64) {
	for i := range l.Cells {
		if c := &l.Cells[i]; c.Used {
			ts = append(ts, cellTarget(&l.Curves.Curves[c.Index], l.Batch))
			y = append(y, c.LnLR)
			se = append(se, c.SE)
		}
	}
	return ts, y, se
}

// weights turns standard errors into weights with mean 1, so that a residual
// standard deviation keeps its meaning. See WeightSE.
func weights(kind Weights, se []float64) (w []float64, notes []string) {
	if kind == WeightNone {
		return nil, nil
	}
	var have []float64
	for _, s := range se {
		if known(s) {
			have = append(have, s)
		}
	}
	if len(have) == 0 {
		return nil, []string{"no cell has a standard error: all count the same"}
	}
	largest := slices.Max(have)
	floor := median(have) / 2
	if missing := len(se) - len(have); missing > 0 {
		notes = append(notes, fmt.Sprintf("%s without a standard error: weighed by the largest", plural(missing, "cell")))
	}
	w = make([]float64, len(se))
	var sum float64
	for i, s := range se {
		if !known(s) {
			s = largest
		}
		w[i] = 1 / square(math.Max(s, floor))
		sum += w[i]
	}
	for i := range w {
		w[i] *= float64(len(w)) / sum
	}
	return w, notes
}

// finish turns a solution into the law's numbers.
func (l *Law) finish(sol *solution, y, w []float64) {
	l.Theta, l.Cov, l.Errors = sol.theta, sol.cov, ErrorsT
	l.DOF = l.N - len(l.Free)
	l.ResidSD, l.R2 = nan, nan
	if l.DOF > 0 {
		l.ResidSD = math.Sqrt(sol.rss / float64(l.DOF))
	}
	if _, variance := stat.PopMeanVariance(y, w); variance > 0 {
		n := float64(len(y))
		if w != nil {
			n = 0
			for _, v := range w {
				n += v
			}
		}
		l.R2 = 1 - sol.rss/(variance*n)
	}
	var t95 float64
	if l.DOF > 0 {
		t95 = tQuantile(0.975, l.DOF)
	}
	free := 0
	for i := range l.Coef {
		c := &l.Coef[i]
		if c.Pinned {
			continue
		}
		v, se := sol.theta[free], nan
		if l.DOF > 0 {
			se = math.Sqrt(sol.cov[free][free])
		}
		c.Value, c.SE, c.Lo, c.Hi = v, se, v-t95*se, v+t95*se
		if l.isLog(c.Name) {
			c.Value, c.Lo, c.Hi = math.Exp(c.Value), math.Exp(c.Lo), math.Exp(c.Hi)
		}
		free++
	}
	k := 0
	for i := range l.Cells {
		c := &l.Cells[i]
		t := cellTarget(&l.Curves.Curves[c.Index], l.Batch)
		if l.model.missing(t) == "" {
			c.Fitted = l.model.at(t, l.Theta)
			c.Residual = c.LnLR - c.Fitted
		}
		if c.Used {
			c.Leverage = sol.lever[k]
			k++
		}
	}
}

// isLog reports whether the free parameter is kept as its logarithm.
func (l *Law) isLog(name string) bool { return l.Options.Form != Custom && name == "C" }

// note adds what a reader should know about the fit.
func (l *Law) note() {
	if out := l.leftOut(""); out != "" {
		l.Notes = append(l.Notes, out)
	}
	if l.DOF == 0 {
		l.Notes = append(l.Notes, "as many coefficients as cells: the law passes through every vertex and has no error of its own")
	}
	if l.Batch.Kind == BatchKeyed && l.Options.Form != PowerNDB && l.Options.Form != Custom && l.BRange[0] != l.BRange[1] {
		l.Notes = append(l.Notes, "the cells differ in batch size but the law has no B: use form=power_B, or batch=tuned")
	}
}

// newModel checks the options and builds the model with its coefficients.
func newModel(o LawOptions) (model, []Coefficient, error) {
	if math.IsNaN(o.Huber) || o.Huber < 0 || math.IsInf(o.Huber, 1) {
		return nil, nil, fmt.Errorf("huber=%v: δ must be positive, in ln η", o.Huber)
	}
	var names []string
	var vars []variable
	if o.Form == Custom {
		if o.Custom == nil || o.Custom.Eval == nil {
			return nil, nil, errors.New("form=custom needs an expression")
		}
		if n := len(o.Custom.Start); n > 0 && n != len(o.Custom.Params) {
			return nil, nil, fmt.Errorf("%s: %d starting values for %s", o.Custom.Text, n, plural(len(o.Custom.Params), "parameter"))
		}
		names = o.Custom.Params
	} else {
		var ok bool
		if vars, ok = powerForms[o.Form]; !ok {
			return nil, nil, fmt.Errorf("unknown law form %q: there are power, power_B, N_only, D_only, C_only and custom", o.Form)
		}
		vars = slices.Clone(vars)
		names = append(names, "C")
		for _, v := range vars {
			names = append(names, v.name)
		}
	}
	for name, v := range o.Pin {
		if !slices.Contains(names, name) {
			return nil, nil, fmt.Errorf("pin: form=%s has no %s, only %s", o.Form, name, listed(names))
		}
		if !finite(v) {
			return nil, nil, fmt.Errorf("pin: %s=%v is not a number", name, v)
		}
	}
	coef := make([]Coefficient, len(names))
	for i, name := range names {
		v, pinned := o.Pin[name]
		coef[i] = Coefficient{Name: name, Value: v, SE: nan, Lo: nan, Hi: nan, Pinned: pinned}
	}
	if o.Form == Custom {
		return newCustom(o.Custom, coef), coef, nil
	}
	p := &power{vars: vars}
	if coef[0].Pinned {
		if coef[0].Value <= 0 {
			return nil, nil, fmt.Errorf("pin: C=%v must be positive", coef[0].Value)
		}
		p.pinnedC, p.lnC = true, math.Log(coef[0].Value)
	}
	for i := range p.vars {
		p.vars[i].pinned, p.vars[i].exponent = coef[i+1].Pinned, coef[i+1].Value
	}
	return p, coef, nil
}

// tQuantile is the p quantile of Student's t with dof degrees of freedom.
func tQuantile(p float64, dof int) float64 {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(dof)}.Quantile(p)
}
