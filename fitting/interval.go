package fitting

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// interval returns the ends of the interval on η* at t over the laws of several
// windows, and warnings about how it was drawn. laws[0] is the law asked.
func (l *Law) interval(laws []*Law, t Target, o PredictOptions) (low, high float64, warnings []string) {
	if l.DOF == 0 {
		return nan, nan, nil
	}
	tail := (1 - o.Level) / 2
	if o.Interval == IntervalBootstrap {
		x, warnings := pooled(laws, t, o)
		slices.Sort(x)
		return math.Exp(quantileSorted(x, tail)), math.Exp(quantileSorted(x, 1-tail)), warnings
	}
	var m mixture
	for _, w := range laws {
		if c, ok := w.predictive(t, o.Scatter); ok {
			m = append(m, c)
		}
	}
	if len(m) == 0 {
		return nan, nan, nil
	}
	return math.Exp(m.quantile(tail)), math.Exp(m.quantile(1 - tail)), nil
}

// predictive is the t distribution of ln η* at t under one window. With scatter it
// is that of a new cell's own optimum.
func (l *Law) predictive(t Target, scatter bool) (component, bool) {
	x, err := l.LnLR(t)
	if err != nil || l.DOF == 0 {
		return component{}, false
	}
	g := make([]float64, len(l.Theta))
	l.model.gradient(t, l.Theta, g)
	var v float64
	for i := range g {
		for j := range g {
			v += g[i] * l.Cov[i][j] * g[j]
		}
	}
	if scatter {
		v += l.ResidSD * l.ResidSD
	}
	if !(v >= 0) || math.IsInf(v, 1) {
		return component{}, false
	}
	return component{mean: x, sd: math.Sqrt(v), dof: float64(l.DOF)}, true
}

// component is a scaled and shifted t distribution.
type component struct{ mean, sd, dof float64 }

func (c component) cdf(x float64) float64 {
	if c.sd == 0 {
		return float64(btoi(x >= c.mean))
	}
	return distuv.StudentsT{Mu: c.mean, Sigma: c.sd, Nu: c.dof}.CDF(x)
}

func (c component) quantile(p float64) float64 {
	return c.mean + c.sd*tQuantile(p, int(c.dof))
}

// mixture is the equal-weight mixture of its components.
type mixture []component

func (m mixture) cdf(x float64) float64 {
	var sum float64
	for _, c := range m {
		sum += c.cdf(x)
	}
	return sum / float64(len(m))
}

// quantile inverts the CDF. The mixture's quantile lies between the smallest and
// the largest of its components' quantiles.
func (m mixture) quantile(p float64) float64 {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, c := range m {
		q := c.quantile(p)
		lo, hi = math.Min(lo, q), math.Max(hi, q)
	}
	for range 60 {
		mid := lo + (hi-lo)/2
		if hi-lo <= 1e-12*math.Abs(mid) {
			break
		}
		if m.cdf(mid) < p {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo + (hi-lo)/2
}

// pooled draws bootstrap samples of ln η* at t, the same number from each law to
// within one. With scatter each gets a residual of its law, inflated for the
// degrees of freedom the fit took.
func pooled(laws []*Law, t Target, o PredictOptions) (x []float64, warnings []string) {
	rng := rand.New(rand.NewPCG(o.Seed, 0xbf58476d1ce4e5b9))
	skipped := 0
	for i, l := range laws {
		share := o.Samples / len(laws)
		if i < o.Samples%len(laws) {
			share++
		}
		if share == 0 {
			continue
		}
		theta, again, err := l.Bootstrap(share, o.Seed+uint64(i))
		if err != nil {
			warnings = append(warnings, noWindow([]string{l.Curves.Options.Window.String()}, clause(err.Error())))
			continue
		}
		skipped += again
		residuals := l.residuals()
		for _, th := range theta {
			at := l.model.at(t, th)
			if o.Scatter {
				at += residuals[rng.IntN(len(residuals))]
			}
			if finite(at) {
				x = append(x, at)
			}
		}
	}
	if skipped > 0 {
		warnings = append(warnings, fmt.Sprintf("%s of cells did not determine the law and were drawn again", plural(skipped, "resample")))
	}
	return x, warnings
}

// residuals of the used cells, scaled to the law's residual standard deviation.
func (l *Law) residuals() []float64 {
	scale := math.Sqrt(float64(l.N) / float64(l.DOF))
	var r []float64
	for i := range l.Cells {
		if l.Cells[i].Used {
			r = append(r, scale*l.Cells[i].Residual)
		}
	}
	return r
}

// quantileSorted is the p quantile of ascending values with linear interpolation
// (Hyndman and Fan's type 7, numpy's default); NaN of none.
func quantileSorted(v []float64, p float64) float64 {
	if len(v) == 0 {
		return nan
	}
	at := p * float64(len(v)-1)
	i := int(math.Floor(at))
	if i+1 >= len(v) {
		return v[len(v)-1]
	}
	return v[i] + (at-float64(i))*(v[i+1]-v[i])
}
