package fitting

import "math"

// asymmetric fits L_min + c₋·(x−x*)² below x* and L_min + c₊·(x−x*)² above it.
//
// At a given x* the other three numbers are a linear fit in closed form, so only
// x* is searched for: a scan between the points brackets the best fit, and
// bisection of dRSS/dx* finds it to machine precision. It reports whether both
// curvatures are positive.
func (f *fitter) asymmetric(c *Curve) bool {
	const steps = 16 // per gap between points; RSS has a continuous slope throughout
	n := len(f.x)
	shift := f.y[0] // of the losses' order: keeps the sums below from cancelling
	for i := range f.y {
		f.y[i] -= shift
	}
	defer func() {
		for i := range f.y {
			f.y[i] += shift
		}
	}()

	type bracket struct {
		rss, lo, hi float64
		found       bool
	}
	var convex, best bracket
	last := (n - 1) * steps
	at := func(k int) float64 {
		i := min(k/steps, n-2)
		return f.x[i] + (f.x[i+1]-f.x[i])*float64(k-i*steps)/steps
	}
	for k := range last + 1 {
		if h := f.half(at(k)); h.ok {
			b := bracket{h.rss, at(max(k-1, 0)), at(min(k+1, last)), true}
			if !best.found || h.rss < best.rss {
				best = b
			}
			if h.below > 0 && h.above > 0 && (!convex.found || h.rss < convex.rss) {
				convex = b
			}
		}
	}
	if convex.found {
		best = convex
	}
	if !best.found {
		return false
	}
	u := f.refine(best.lo, best.hi)
	h := f.half(u)
	if !h.ok || !allFinite([]float64{h.low, h.below, h.above, u}) {
		return false
	}
	c.Fitted, c.Coef = true, []float64{h.low + shift, u, h.below, h.above}
	var mean, tss float64
	for i, y := range f.y {
		d := y - mean // Welford: the sum of squares without cancellation
		mean += d / float64(i+1)
		tss += d * (y - mean)
	}
	dof := n - 4
	f.quality(c, h.rss, tss, dof)
	flat := noCurvature * (maxAbs(f.y) + math.Abs(shift))
	span := square(f.x[n-1] - f.x[0])
	if h.below*span <= flat || h.above*span <= flat {
		return false
	}
	c.LnLR, c.Loss = c.Center+u, c.Coef[0]
	c.CurvLow, c.CurvHigh = h.below, h.above
	if dof > 0 {
		c.LnLRSE = math.Sqrt(h.rss / float64(dof) * f.vertexVariance(u, h))
	}
	return true
}

// halves is the linear part of the asymmetric fit at one x*.
type halves struct {
	low, below, above float64
	rss               float64
	slope             float64 // dRSS/dx*, up to a positive factor
	ok                bool
}

// half solves for L_min and both curvatures with the vertex at u. The normal
// equations couple the curvatures only through L_min, so they eliminate by hand.
func (f *fitter) half(u float64) halves {
	var sy float64
	var s2, s4, s2y [2]float64
	for i, x := range f.x {
		d := x - u
		side := 0
		if d >= 0 {
			side = 1
		}
		d2 := d * d
		sy += f.y[i]
		s2[side] += d2
		s4[side] += d2 * d2
		s2y[side] += d2 * f.y[i]
	}
	if s4[0] == 0 || s4[1] == 0 {
		return halves{}
	}
	weight := float64(len(f.x)) - s2[0]*s2[0]/s4[0] - s2[1]*s2[1]/s4[1]
	if weight < 1e-9 {
		return halves{} // L_min is not determined: one distinct point on each side
	}
	h := halves{ok: true}
	h.low = (sy - s2[0]*s2y[0]/s4[0] - s2[1]*s2y[1]/s4[1]) / weight
	h.below = (s2y[0] - h.low*s2[0]) / s4[0]
	h.above = (s2y[1] - h.low*s2[1]) / s4[1]
	for i, x := range f.x {
		d := x - u
		curv := h.below
		if d >= 0 {
			curv = h.above
		}
		r := f.y[i] - h.low - curv*d*d
		h.rss += r * r
		h.slope += r * curv * d // ∂RSS/∂u = −2Σr·∂f/∂u and ∂f/∂u = −2·curv·d
	}
	return h
}

// refine finds the least RSS inside a bracket.
func (f *fitter) refine(lo, hi float64) float64 {
	if u, ok := f.bisect(lo, hi); ok {
		return u
	}
	// A kink or an end of the range: golden section needs no slope.
	const ratio = 0.6180339887498949
	least, most := lo, hi
	x1, x2 := hi-ratio*(hi-lo), lo+ratio*(hi-lo)
	f1, f2 := f.rssAt(x1), f.rssAt(x2)
	for range 80 {
		if f1 < f2 {
			hi, x2, f2 = x2, x1, f1
			x1 = hi - ratio*(hi-lo)
			f1 = f.rssAt(x1)
		} else {
			lo, x1, f1 = x1, x2, f2
			x2 = lo + ratio*(hi-lo)
			f2 = f.rssAt(x2)
		}
	}
	u := lo + (hi-lo)/2
	// RSS is flat to its last digit over √ε of the bracket, its slope is not.
	const resolved = 1e-6
	near := resolved * (most - least)
	if v, ok := f.bisect(max(u-near, least), min(u+near, most)); ok {
		return v
	}
	return u
}

// bisect finds where the slope of RSS turns from negative to positive, if it does so
// between lo and hi.
func (f *fitter) bisect(lo, hi float64) (float64, bool) {
	a, b := f.half(lo), f.half(hi)
	if !a.ok || !b.ok || a.slope >= 0 || b.slope <= 0 {
		return 0, false
	}
	for range 80 {
		mid := lo + (hi-lo)/2
		if mid == lo || mid == hi {
			break
		}
		if f.half(mid).slope < 0 {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo + (hi-lo)/2, true
}

func (f *fitter) rssAt(u float64) float64 {
	h := f.half(u)
	if !h.ok {
		return math.Inf(1)
	}
	return h.rss
}

// vertexVariance is the (x*, x*) element of (JᵀJ)⁻¹; NaN when J is rank deficient.
func (f *fitter) vertexVariance(u float64, h halves) float64 {
	const p = 4
	jtj := make([]float64, p*p)
	for _, x := range f.x {
		d := x - u
		row := [p]float64{1, 0, 0, 0} // L_min, c₋, c₊, x*
		if d < 0 {
			row[1], row[3] = d*d, -2*h.below*d
		} else {
			row[2], row[3] = d*d, -2*h.above*d
		}
		for i := range p {
			for j := range i + 1 {
				jtj[i*p+j] += row[i] * row[j]
			}
		}
	}
	if !cholesky(jtj, p) {
		return nan
	}
	// With x* ordered last, its element of the inverse is 1/L_pp².
	return 1 / square(jtj[p*p-1])
}
