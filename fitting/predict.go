package fitting

import (
	"fmt"
	"math"
)

// IntervalKind says how parameter noise becomes an interval.
type IntervalKind string

// Kinds of interval.
const (
	IntervalT         IntervalKind = "t"         // multivariate t around the least-squares fit
	IntervalBootstrap IntervalKind = "bootstrap" // over cells
)

// PredictOptions controls Predict. The zero value means the defaults named here.
type PredictOptions struct {
	Level       float64      // 0.95
	Interval    IntervalKind // IntervalT
	Samples     int          // 1000, for IntervalBootstrap
	Seed        uint64
	Windows     []Window // windows the interval covers beside the law's own; nil: {2, 3, 1%, 2%}; empty: none
	Scatter     bool     // add the law's residual scatter: an interval for one run's optimum, not for the law
	NearOptimal float64  // 0.0025: the band holds every η within this share of the best loss
	At          float64  // another η whose cost is asked for; 0: none
	// Anchor is what relative published laws beside the prediction start from; nil:
	// the measured vertex of the law's largest cell.
	Anchor *Anchor
}

// WindowShift is the prediction under another window.
type WindowShift struct {
	Window Window
	LnLR   float64 // NaN with Err
	N      int     // cells with a vertex under it
	Err    string
}

// Prediction is η* at a target.
type Prediction struct {
	Target    Target
	LawText   string
	LR        float64
	Low, High float64 // interval; NaN when there are no degrees of freedom
	Level     float64
	// Band is the near-optimal band: every η whose expected loss is within NearOptimal of the best.
	// It is NaN when the curves give no curvature.
	Band        [2]float64
	NearOptimal float64
	// CurvLow and CurvHigh are the relative curvatures κ used: ΔL/L = κ·(ln η/η*)², below and above η*.
	CurvLow, CurvHigh float64
	At, AtRegret      float64 // the η asked about and its expected relative loss; NaN when not asked
	// IntervalRegret is the relative loss of using LR if the truth is at the worse end of the interval.
	IntervalRegret float64
	Windows        []WindowShift
	NFactor        float64 // N over the largest fitted N (below the smallest: ratio < 1); 1 inside; NaN when the law has no N
	DFactor        float64
	CFactor        float64
	BFactor        float64
	Batch          BatchRule // the condition the law carries
	BatchTokens    float64   // published laws with a batch rule of their own: B at the target; NaN else
	Warnings       []string
	Beside         []BesideLaw // published laws at the same target
}

// BesideLaw is a published law at the target of a prediction.
type BesideLaw struct {
	Name       string
	LR         float64 // NaN when it does not apply
	B          float64 // its batch rule; NaN when it has none
	Comparable bool    // same batch condition and inside its range
	Why        string  // why it does not apply or is not comparable
}

// defaults fills and checks the options.
func (o PredictOptions) defaults() (PredictOptions, error) {
	if o.Level == 0 {
		o.Level = 0.95
	}
	if o.Interval == "" {
		o.Interval = IntervalT
	}
	if o.Samples == 0 {
		o.Samples = 1000
	}
	if o.NearOptimal == 0 {
		o.NearOptimal = 0.0025
	}
	if o.Windows == nil {
		o.Windows = defaultWindows()
	}
	switch {
	case !(o.Level > 0 && o.Level < 1):
		return o, fmt.Errorf("level=%v must lie between 0 and 1", o.Level)
	case o.Interval != IntervalT && o.Interval != IntervalBootstrap:
		return o, fmt.Errorf("interval=%q: there are t and bootstrap", o.Interval)
	case o.Samples < 1:
		return o, fmt.Errorf("samples=%d must be positive", o.Samples)
	case !known(o.NearOptimal):
		return o, fmt.Errorf("near-optimal share %v must be positive", o.NearOptimal)
	case o.At != 0 && !known(o.At):
		return o, fmt.Errorf("at=%v: a learning rate must be positive", o.At)
	}
	return o, nil
}

// Regret returns the expected relative loss (0.01 = 1%) of training at lr instead
// of p.LR; NaN when the curves give no curvature.
func (p *Prediction) Regret(lr float64) float64 {
	d := math.Log(lr / p.LR)
	if d < 0 {
		return p.CurvLow * d * d
	}
	return p.CurvHigh * d * d
}

// Predict evaluates the law at t with its uncertainty.
//
// The interval covers the noise of the coefficients and the choice of window. The
// curves and the law are fitted again under each other window, and the interval's
// ends are quantiles of the equal-weight mixture of the windows' predictive
// distributions: t distributions around each fit, or pooled bootstrap samples. LR
// itself is that of the law's own window.
func (l *Law) Predict(t Target, o PredictOptions) (*Prediction, error) {
	o, err := o.defaults()
	if err != nil {
		return nil, fmt.Errorf("predict: %w", err)
	}
	x, err := l.LnLR(t)
	if err != nil {
		return nil, fmt.Errorf("predict at %v: %w", t, err)
	}
	p := &Prediction{
		Target: t, LawText: l.Text(), LR: math.Exp(x),
		Level: o.Level, NearOptimal: o.NearOptimal,
		At: nan, AtRegret: nan, BatchTokens: nan, Batch: l.Batch,
	}
	laws := l.underWindows(t, o.Windows, p)
	var drawn []string
	p.Low, p.High, drawn = l.interval(laws, t, o)
	p.CurvLow, p.CurvHigh = l.curvature()
	p.finish(o)
	l.extrapolation(p, t)
	p.Warnings = append(l.warnings(p, t, o), drawn...)
	anchor := o.Anchor
	if anchor == nil {
		anchor = l.anchor()
	}
	p.Beside = BesidePublished(t, l.Batch, anchor)
	return p, nil
}

// finish computes what follows from LR, interval and curvature.
func (p *Prediction) finish(o PredictOptions) {
	p.Band = [2]float64{
		p.LR * math.Exp(-math.Sqrt(o.NearOptimal/p.CurvLow)),
		p.LR * math.Exp(math.Sqrt(o.NearOptimal/p.CurvHigh)),
	}
	if o.At > 0 {
		p.At, p.AtRegret = o.At, p.Regret(o.At)
	}
	// If the optimum is at Low, LR lies above it, and the other way round.
	above := p.CurvHigh * square(math.Log(p.LR/p.Low))
	below := p.CurvLow * square(math.Log(p.High/p.LR))
	p.IntervalRegret = math.Max(above, below)
}

// underWindows fits the law under each other window; laws[0] is the law itself.
// A window without a law is listed with its error.
func (l *Law) underWindows(t Target, windows []Window, p *Prediction) (laws []*Law) {
	laws = []*Law{l}
	seen := map[Window]bool{l.Curves.Options.Window.normal(): true}
	for _, w := range windows {
		w = w.normal()
		if seen[w] {
			continue
		}
		seen[w] = true
		shift := WindowShift{Window: w, LnLR: nan}
		refit := l.Curves.Refit(w)
		other, err := fitLaw(refit, l.Options, l.Theta)
		if err != nil {
			other, err = FitLaw(refit, l.Options) // the law's own θ may be a bad start here
		}
		if err == nil {
			shift.N = other.N
			shift.LnLR, err = other.LnLR(t)
		}
		switch {
		case err != nil:
			shift.Err = err.Error()
		case other.DOF == 0 && l.DOF > 0:
			shift.Err = "no degrees of freedom"
		default:
			laws = append(laws, other)
		}
		p.Windows = append(p.Windows, shift)
	}
	return laws
}

// curvature is the median relative curvature c/L over the used cells, below and
// above the vertex.
func (l *Law) curvature() (low, high float64) {
	var below, above []float64
	for i := range l.Cells {
		c := &l.Curves.Curves[l.Cells[i].Index]
		if !l.Cells[i].Used || !known(c.Loss) {
			continue
		}
		if k := c.CurvLow / c.Loss; known(k) {
			below = append(below, k)
		}
		if k := c.CurvHigh / c.Loss; known(k) {
			above = append(above, k)
		}
	}
	return median(below), median(above)
}

// anchor is the measured optimum of the largest used cell, or nil.
func (l *Law) anchor() *Anchor {
	var a *Anchor
	for i := range l.Cells {
		c := &l.Cells[i]
		if !c.Used || !known(c.Key.N) || !known(c.Key.D) {
			continue
		}
		if a == nil || c.Key.N*c.Key.D > a.N*a.D {
			a = &Anchor{N: c.Key.N, D: c.Key.D, LR: math.Exp(c.LnLR)}
		}
	}
	return a
}

// extrapolation sets how far t lies outside the fitted range of each quantity.
func (l *Law) extrapolation(p *Prediction, t Target) {
	p.NFactor, p.DFactor = outside(t.N, l.NRange), outside(t.D, l.DRange)
	p.BFactor, p.CFactor = outside(t.B, l.BRange), outside(t.FLOPs(), l.CRange)
}

// outside is x over the near end of r; 1 inside, NaN when either is unknown.
func outside(x float64, r [2]float64) float64 {
	switch {
	case !known(x) || !known(r[1]):
		return nan
	case x > r[1]:
		return x / r[1]
	case x < r[0]:
		return x / r[0]
	}
	return 1
}
