package fitting

import "math"

// fitter fits curves one after another and keeps its scratch space between them.
type fitter struct {
	x, y, r, p, q []float64
}

// params is the number of coefficients of a form.
func (f CurveForm) params() int {
	if f == Quadratic {
		return 3
	}
	return 4
}

// minPoints is the fewest points a form is fitted to. Two half parabolas through
// four points always pass through all of them, so that form asks for a fifth.
func (f CurveForm) minPoints() int {
	if f == Asymmetric {
		return 5
	}
	return f.params()
}

// unfitted returns the cell as it was before any fit: its own points, and only
// the flags that do not depend on the window.
func (c *Curve) unfitted() Curve {
	u := Curve{
		Key: c.Key, C: c.C, Diverged: c.Diverged, Excluded: c.Excluded,
		Runs: c.Runs, Regroup: c.Regroup,
	}
	u.Points = append(u.Points, c.Points...)
	for _, f := range c.Flags {
		if f == FlagNonPositive || f == FlagAllDiverged || f == FlagDiverged {
			u.Flags = append(u.Flags, f)
		}
	}
	return u
}

// fit marks the window, fits the form to it and sets the flags. The flags that c
// already has, those of its cell, stay last.
func (f *fitter) fit(c *Curve, w Window, form CurveForm) {
	ofCell := c.Flags
	c.Flags = nil
	c.Form = form
	c.LnLR, c.LnLRSE, c.Loss = nan, nan, nan
	c.CurvLow, c.CurvHigh, c.R2, c.RMSE = nan, nan, nan, nan
	flag := func(fl Flag, when bool) {
		if when {
			c.Flags = append(c.Flags, fl)
		}
	}
	defer func() { c.Flags = append(c.Flags, ofCell...) }()

	n := len(c.Points)
	if n == 0 {
		flag(FlagTooFew, true)
		return
	}
	low, flat := 0, true
	for i := range c.Points {
		if c.Points[i].Loss < c.Points[low].Loss {
			low = i
		}
		flat = flat && c.Points[i].Loss == c.Points[0].Loss
	}
	c.NFit = w.mark(c.Points, low)
	if !flat {
		f.bound(c, low, flag)
	}
	flag(FlagFewPoints, c.NFit < 5)
	if c.NFit < form.minPoints() {
		flag(FlagTooFew, true)
		return
	}

	f.load(c)
	flag(FlagFlat, flat)
	convex := false
	if !flat {
		if form == Asymmetric {
			convex = f.asymmetric(c)
		} else {
			convex = f.polynomial(c, form.params()-1)
		}
	}
	flag(FlagConcave, !flat && !convex)
	if convex {
		first, last := f.x[0]+c.Center, f.x[len(f.x)-1]+c.Center
		flag(FlagOutsidePoints, c.LnLR < first || c.LnLR > last)
		outside := c.LnLR < math.Log(c.Points[0].LR) || c.LnLR > math.Log(c.Points[n-1].LR)
		flag(FlagOutsideGrid, outside)
		c.OK = !outside && c.Bound == NoBound
	}
	flag(FlagHighLoss, f.holdsHighLoss(c, low))
}

// bound flags a minimum at the edge of the grid. One learning rate has no edge.
func (f *fitter) bound(c *Curve, low int, flag func(Flag, bool)) {
	n := len(c.Points)
	switch {
	case n < 2:
	case low == 0:
		flag(FlagEdgeLow, true)
		c.Bound, c.BoundLR = BoundBelow, c.Points[low].LR
	case low == n-1:
		flag(FlagEdgeHigh, true)
		c.Bound, c.BoundLR = BoundAbove, c.Points[low].LR
		d := c.Diverged
		flag(FlagDivergedAbove, len(d) > 0 && d[len(d)-1].LR > c.BoundLR)
	case low == 1 || low == n-2:
		flag(FlagNearEdge, true)
	}
}

func (f *fitter) holdsHighLoss(c *Curve, low int) bool {
	limit := 1.1 * c.Points[low].Loss
	if limit <= 0 {
		return false
	}
	for _, p := range c.Points {
		if p.InWindow && p.Loss > limit {
			return true
		}
	}
	return false
}

// load fills x with ln η − Center and y with the losses of the window.
func (f *fitter) load(c *Curve) {
	f.x, f.y = f.x[:0], f.y[:0]
	var sum float64
	for _, p := range c.Points {
		if p.InWindow {
			x := math.Log(p.LR)
			sum += x
			f.x, f.y = append(f.x, x), append(f.y, p.Loss)
		}
	}
	c.Center = sum / float64(len(f.x))
	for i := range f.x {
		f.x[i] -= c.Center
	}
}

// noCurvature is the share of the losses' size under which a curvature is rounding.
const noCurvature = 1e-14

// polynomial fits powers of x up to degree (2 or 3) by least squares over
// polynomials that are orthogonal on the points (Forsythe 1957): each coefficient
// is one projection, so there is no ill-conditioned system to solve and the
// coefficients are uncorrelated. It reports whether the fit has a minimum.
func (f *fitter) polynomial(c *Curve, degree int) bool {
	n := len(f.x)
	f.r = append(f.r[:0], f.y...)
	f.p = resize(f.p, n) // values of the current polynomial, f.q of the one before
	f.q = resize(f.q, n)
	var (
		basis [4][4]float64 // basis[k] = powers of x in the k-th polynomial
		g, s  [4]float64    // projections and squared norms
		tss   float64
	)
	for i := range f.p {
		f.p[i], f.q[i] = 1, 0
	}
	basis[0][0] = 1
	for k := 0; ; k++ {
		var pr, pp, xpp float64
		for i, p := range f.p {
			pr += p * f.r[i]
			pp += p * p
			xpp += f.x[i] * p * p
		}
		if pp == 0 {
			return false // fewer distinct η than coefficients
		}
		g[k], s[k] = pr/pp, pp
		for i, p := range f.p {
			f.r[i] -= g[k] * p
		}
		if k == 0 {
			for _, r := range f.r {
				tss += r * r
			}
		}
		if k == degree {
			break
		}
		a, b := xpp/pp, 0.0
		if k > 0 {
			b = pp / s[k-1]
		}
		for i, p := range f.p {
			f.p[i], f.q[i] = (f.x[i]-a)*p-b*f.q[i], p
		}
		for j := range basis[k+1] {
			v := -a * basis[k][j]
			if j > 0 {
				v += basis[k][j-1]
			}
			if k > 0 {
				v -= b * basis[k-1][j]
			}
			basis[k+1][j] = v
		}
	}

	coef := make([]float64, degree+1)
	for k := range coef {
		for j := range coef {
			coef[j] += g[k] * basis[k][j]
		}
	}
	if !allFinite(coef) {
		return false
	}
	var rss float64
	for _, r := range f.r {
		rss += r * r
	}
	c.Fitted, c.Coef = true, coef
	dof := n - degree - 1
	f.quality(c, rss, tss, dof)

	var c3 float64
	if degree == 3 {
		c3 = coef[3]
	}
	u, curv := minimum(coef[1], coef[2], c3)
	if math.IsNaN(u) || curv*square(f.x[n-1]-f.x[0]) <= noCurvature*maxAbs(f.y) {
		return false
	}
	// Implicit differentiation of f′(u*) = 0 gives ∂u*/∂g_k = −p_k′(u*)/f″(u*).
	var v float64
	for k := 1; k <= degree; k++ {
		var slope float64
		for j := degree; j >= 1; j-- {
			slope = slope*u + float64(j)*basis[k][j]
		}
		v += slope * slope / s[k]
	}
	c.LnLR = c.Center + u
	c.Loss = c.At(c.LnLR)
	c.CurvLow, c.CurvHigh = curv, curv
	if dof > 0 {
		c.LnLRSE = math.Sqrt(rss/float64(dof)*v) / (2 * curv)
	}
	return finite(c.LnLR) && finite(c.Loss)
}

// minimum returns where c1·u + c2·u² + c3·u³ has its local minimum (there is at
// most one) and half its second derivative there; NaN when it has none.
func minimum(c1, c2, c3 float64) (u, curv float64) {
	if c3 == 0 {
		if c2 <= 0 {
			return nan, nan
		}
		return -c1 / (2 * c2), c2
	}
	disc := c2*c2 - 3*c3*c1
	if !(disc > 0) {
		return nan, nan
	}
	root := math.Sqrt(disc)
	if c2 > 0 {
		return -c1 / (c2 + root), root // stable as c3 → 0
	}
	return (root - c2) / (3 * c3), root
}

func (f *fitter) quality(c *Curve, rss, tss float64, dof int) {
	if tss > 0 {
		c.R2 = 1 - rss/tss
	}
	if dof > 0 {
		c.RMSE = math.Sqrt(rss / float64(dof))
	}
}

func resize(s []float64, n int) []float64 {
	if cap(s) < n {
		return make([]float64, n)
	}
	return s[:n]
}

func square(x float64) float64 { return x * x }

func maxAbs(v []float64) float64 {
	var m float64
	for _, x := range v {
		m = max(m, math.Abs(x))
	}
	return m
}

func allFinite(v []float64) bool {
	for _, x := range v {
		if !finite(x) {
			return false
		}
	}
	return true
}
