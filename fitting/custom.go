package fitting

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// custom is a law the user wrote. Its θ are the parameters that are not pinned.
type custom struct {
	form  *CustomForm
	all   []float64    // every parameter; the pinned ones filled in
	free  []int        // indices of the free ones
	names []string     // of the free ones
	takes []quantityOf // what the expression reads
}

// quantityOf reads and writes one field of a target.
type quantityOf struct {
	name  string
	field func(*Target) *float64
}

var customQuantities = []quantityOf{
	{"N", func(t *Target) *float64 { return &t.N }},
	{"D", func(t *Target) *float64 { return &t.D }},
	{"B", func(t *Target) *float64 { return &t.B }},
	{"FLOPs", func(t *Target) *float64 { return &t.C }},
}

func newCustom(form *CustomForm, coef []Coefficient) *custom {
	c := &custom{form: form, all: make([]float64, len(coef))}
	for i, k := range coef {
		if k.Pinned {
			c.all[i] = k.Value
		} else {
			c.free = append(c.free, i)
			c.names = append(c.names, k.Name)
		}
	}
	c.probe()
	return c
}

// probe finds which quantities the expression reads, by changing one at a time.
func (c *custom) probe() {
	base := Target{N: 1e9, D: 2e10, B: 5e5, C: 1.2e20}
	for _, q := range customQuantities {
		for _, v := range []float64{0.1, 0.7, 1.3, -0.3} {
			theta := make([]float64, len(c.all))
			for i := range theta {
				theta[i] = v + 0.01*float64(i)
			}
			changed := base
			*q.field(&changed) *= 3
			a, b := c.form.Eval(base, theta), c.form.Eval(changed, theta)
			if a != b && !(math.IsNaN(a) && math.IsNaN(b)) {
				c.takes = append(c.takes, q)
				break
			}
		}
	}
}

func (c *custom) missing(t Target) string {
	for _, q := range c.takes {
		v := *q.field(&t)
		if q.name == "FLOPs" {
			v = t.FLOPs()
		}
		if !known(v) {
			return q.name
		}
	}
	return ""
}

func (c *custom) at(t Target, theta []float64) float64 {
	return c.eval(t, theta, make([]float64, len(c.all)))
}

// eval is at without an allocation; all is scratch space.
func (c *custom) eval(t Target, theta, all []float64) float64 {
	copy(all, c.all)
	for k, i := range c.free {
		all[i] = theta[k]
	}
	if f := t.FLOPs(); known(f) {
		t.C = f
	}
	v := c.form.Eval(t, all)
	if !(v > 0) || math.IsInf(v, 1) {
		return nan
	}
	return math.Log(v)
}

func (c *custom) gradient(t Target, theta, g []float64) {
	work := slices.Clone(theta)
	here := c.at(t, theta)
	for j := range theta {
		h := stepSize(theta[j])
		work[j] = theta[j] + h
		hi, up := work[j], c.at(t, work)
		work[j] = theta[j] - h
		lo, down := work[j], c.at(t, work)
		work[j] = theta[j]
		if math.IsNaN(up) {
			hi, up = theta[j], here
		}
		if math.IsNaN(down) {
			lo, down = theta[j], here
		}
		g[j] = (up - down) / (hi - lo)
	}
}

func (c *custom) fit(ts []Target, y, w []float64, huber float64, start []float64) (*solution, error) {
	n, p := len(ts), len(c.free)
	robust := make([]float64, n)
	for i := range robust {
		robust[i] = 1
	}
	all := make([]float64, len(c.all))
	raw := func(theta []float64, i int) float64 { return y[i] - c.eval(ts[i], theta, all) }
	weight := func(i int) float64 {
		if w == nil {
			return 1
		}
		return w[i]
	}
	q := &nonlinear{n: n, p: p, names: c.names, residuals: func(theta, r []float64) bool {
		for i := range r {
			r[i] = math.Sqrt(weight(i)*robust[i]) * raw(theta, i)
			if !finite(r[i]) {
				return false
			}
		}
		return true
	}}
	sol := &solution{theta: []float64{}, lever: make([]float64, n)}
	if p == 0 {
		for i := range ts {
			r := raw(nil, i)
			if !finite(r) {
				return nil, fmt.Errorf("η* is not positive at the cell %v with the pinned parameters", ts[i])
			}
			sol.rss += weight(i) * r * r
		}
		return sol, nil
	}
	if start == nil && len(c.form.Start) > 0 {
		start = make([]float64, 0, p)
		for _, i := range c.free {
			start = append(start, c.form.Start[i])
		}
	}
	best, err := q.search(start)
	if err != nil {
		return nil, err
	}
	if huber > 0 {
		if best, err = c.robust(q, best, huber, robust, raw); err != nil {
			return nil, err
		}
		for i := range robust {
			robust[i] = 1 // J and the residuals of the covariance are not reweighted
		}
		q.residuals(best.theta, best.r)
		q.differentiate(best)
	}
	sol.theta = best.theta
	return sol, sol.describe(best, n, p, huber, func(i int) float64 { return math.Sqrt(weight(i)) })
}

// robust iterates reweighted fits until θ settles.
func (c *custom) robust(q *nonlinear, best *fitted, huber float64, weights []float64, raw func([]float64, int) float64) (*fitted, error) {
	for range huberRounds {
		for i := range weights {
			weights[i] = huberWeight(raw(best.theta, i), huber)
		}
		next := q.levenberg(best.theta, lmSteps)
		if next == nil || !next.converged {
			return nil, fmt.Errorf("huber=%g: no convergence; use a larger δ", huber)
		}
		var change float64
		for j, v := range next.theta {
			change = max(change, math.Abs(v-best.theta[j])/(math.Abs(v)+1e-12))
		}
		best = next
		if change < 1e-8 {
			return best, nil
		}
	}
	return best, fmt.Errorf("huber=%g: not settled after %d rounds; use a larger δ", huber, huberRounds)
}

// describe fills covariance s²(JᵀJ)⁻¹, leverage and RSS of a converged fit. f.r and
// f.jacobian carry the square root of the cells' weights.
func (s *solution) describe(f *fitted, n, p int, huber float64, root func(int) float64) error {
	s.rss = sumSquares(f.r)
	var psi float64
	within := 0
	for i, r := range f.r {
		h := huberWeight(r/root(i), huber)
		psi += square(r * h)
		within += btoi(h == 1)
	}
	s2 := nan
	if dof := n - p; dof > 0 {
		m := float64(within) / float64(n)
		k := 1 + float64(p)/float64(n)*(1-m)/m
		s2 = psi / float64(dof) * square(k/m)
	}
	if !finite(s2) {
		s2 = nan
	}
	// Columns are scaled to one before inverting: parameters differ by many orders.
	norm := make([]float64, p)
	scaled := mat.DenseCopyOf(f.jacobian)
	for j := range p {
		col := mat.Col(nil, j, scaled)
		norm[j] = math.Sqrt(sumSquares(col))
		for i := range col {
			scaled.Set(i, j, col[i]/norm[j])
		}
	}
	var svd mat.SVD
	if !svd.Factorize(scaled, mat.SVDThin) {
		return fmt.Errorf("the covariance at %v cannot be computed", f.theta)
	}
	values := svd.Values(nil)
	var u, v mat.Dense
	svd.UTo(&u)
	svd.VTo(&v)
	s.cov = make([][]float64, p)
	for a := range p {
		s.cov[a] = make([]float64, p)
		for b := range p {
			for k, d := range values {
				s.cov[a][b] += v.At(a, k) * v.At(b, k) / (d * d)
			}
			s.cov[a][b] *= s2 / (norm[a] * norm[b])
		}
	}
	for i := range n {
		for k := range values {
			s.lever[i] += square(u.At(i, k))
		}
	}
	return nil
}
