package fitting

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// linear is a weighted linear least-squares problem y ≈ X·θ. With an intercept,
// the first column is 1 and the others are centred: ln N ≈ 20 varies by one or two,
// and without centring the normal equations lose half their digits.
type linear struct {
	n, p      int
	x         []float64 // n×p, row by row
	y         []float64
	w         []float64 // nil: all 1
	intercept bool
	mean      []float64 // what centring took off each column
}

func newLinear(n, p int, intercept bool) *linear {
	return &linear{
		n: n, p: p, intercept: intercept,
		x: make([]float64, n*p), y: make([]float64, n), mean: make([]float64, p),
	}
}

func (d *linear) weight(i int) float64 {
	if d.w == nil {
		return 1
	}
	return d.w[i]
}

func (d *linear) centre() {
	if !d.intercept {
		return
	}
	for j := 1; j < d.p; j++ {
		var sum float64
		for i := range d.n {
			sum += d.x[i*d.p+j]
		}
		d.mean[j] = sum / float64(d.n)
		for i := range d.n {
			d.x[i*d.p+j] -= d.mean[j]
		}
	}
}

// dependent returns the first column that is a linear combination of the ones
// before it, or −1.
func (d *linear) dependent() int {
	basis := make([][]float64, 0, d.p)
	for j := range d.p {
		col := make([]float64, d.n)
		var before float64
		for i := range col {
			col[i] = d.x[i*d.p+j]
			before += square(col[i] + d.mean[j]) // rounding is relative to what was centred
		}
		for range 2 { // twice is enough (Kahan)
			for _, q := range basis {
				dot := 0.0
				for i := range col {
					dot += q[i] * col[i]
				}
				for i := range col {
					col[i] -= dot * q[i]
				}
			}
		}
		var after float64
		for i := range col {
			after += col[i] * col[i]
		}
		if !(after > 1e-20*before) {
			return j
		}
		norm := math.Sqrt(after)
		for i := range col {
			col[i] /= norm
		}
		basis = append(basis, col)
	}
	return -1
}

// qr solves by QR and returns centred θ and (XᵀWX)⁻¹. extra weights multiply w.
func (d *linear) qr(extra []float64) (theta []float64, inv *mat.Dense, err error) {
	if d.p == 0 {
		return nil, nil, nil
	}
	a, b := mat.NewDense(d.n, d.p, nil), mat.NewVecDense(d.n, nil)
	for i := range d.n {
		s := d.weight(i)
		if extra != nil {
			s *= extra[i]
		}
		s = math.Sqrt(s)
		for j := range d.p {
			a.Set(i, j, s*d.x[i*d.p+j])
		}
		b.SetVec(i, s*d.y[i])
	}
	var f mat.QR
	f.Factorize(a)
	var sol mat.VecDense
	if err := f.SolveVecTo(&sol, false, b); err != nil {
		var cond mat.Condition
		if !errors.As(err, &cond) || math.IsInf(float64(cond), 1) {
			return nil, nil, fmt.Errorf("the cells do not determine the coefficients: %w", err)
		}
	}
	var r mat.Dense
	f.RTo(&r)
	tri := mat.NewTriDense(d.p, mat.Upper, nil)
	for i := range d.p {
		for j := i; j < d.p; j++ {
			tri.SetTri(i, j, r.At(i, j))
		}
	}
	var rinv mat.TriDense
	if err := rinv.InverseTri(tri); err != nil {
		var cond mat.Condition
		if !errors.As(err, &cond) || math.IsInf(float64(cond), 1) {
			return nil, nil, fmt.Errorf("the cells do not determine the coefficients: %w", err)
		}
	}
	inv = new(mat.Dense)
	inv.Mul(&rinv, rinv.T())
	return sol.RawVector().Data, inv, nil
}

// residual of row i under centred θ.
func (d *linear) residual(i int, theta []float64) float64 {
	r := d.y[i]
	for j, v := range theta {
		r -= d.x[i*d.p+j] * v
	}
	return r
}

const (
	huberRounds    = 500
	huberTolerance = 1e-10
)

// solve fits by least squares, or with Huber's loss by iterated reweighting.
//
// Under Huber's loss the covariance is Huber's (1981, Eq 6.5): K²·[Σψ²/(n−p)]/m²·(XᵀWX)⁻¹
// with m the share of residuals within δ and K = 1 + p/n·(1−m)/m.
func (d *linear) solve(huber float64) (*solution, error) {
	theta, inv, err := d.qr(nil)
	if err != nil {
		return nil, err
	}
	sol := &solution{}
	if huber > 0 && d.p > 0 {
		h := make([]float64, d.n)
		change := math.Inf(1)
		for range huberRounds {
			for i := range h {
				h[i] = huberWeight(d.residual(i, theta), huber)
			}
			next, _, err := d.qr(h)
			if err != nil {
				return nil, err
			}
			change = 0
			for j := range next {
				change = max(change, math.Abs(next[j]-theta[j]))
			}
			theta = next
			if change < huberTolerance {
				break
			}
		}
		if change >= huberTolerance {
			sol.notes = append(sol.notes, fmt.Sprintf("huber=%g: not settled after %d rounds (last change %.1g); a larger δ settles faster", huber, huberRounds, change))
		}
	}
	var psi float64
	within := 0
	for i := range d.n {
		r := d.residual(i, theta)
		sol.rss += d.weight(i) * r * r
		psi += d.weight(i) * square(r*huberWeight(r, huber))
		within += btoi(huber == 0 || math.Abs(r) <= huber)
	}
	s2 := nan
	if dof := d.n - d.p; dof > 0 {
		s2 = sol.rss / float64(dof)
		if huber > 0 {
			m := float64(within) / float64(d.n)
			k := 1 + float64(d.p)/float64(d.n)*(1-m)/m
			s2 = psi / float64(dof) * square(k/m)
		}
	}
	if !finite(s2) {
		s2 = nan
	}
	sol.lever = make([]float64, d.n)
	for i := range d.n {
		x := d.x[i*d.p : (i+1)*d.p]
		for a := range x {
			for b := range x {
				sol.lever[i] += d.weight(i) * x[a] * inv.At(a, b) * x[b]
			}
		}
	}
	sol.theta, sol.cov = d.uncentre(theta, inv, s2)
	return sol, nil
}

// huberWeight is ψ(r)/r of Huber's loss; 1 without one.
func huberWeight(r, delta float64) float64 {
	if delta == 0 || math.Abs(r) <= delta {
		return 1
	}
	return delta / math.Abs(r)
}

// uncentre returns θ and its covariance s2·T·inv·Tᵀ for the columns as they were
// before centring.
func (d *linear) uncentre(theta []float64, inv *mat.Dense, s2 float64) ([]float64, [][]float64) {
	out := append([]float64(nil), theta...)
	cov := make([][]float64, d.p)
	for j := range cov {
		cov[j] = make([]float64, d.p)
		for k := range cov[j] {
			cov[j][k] = s2 * inv.At(j, k)
		}
	}
	if !d.intercept {
		return out, cov
	}
	for j := 1; j < d.p; j++ {
		out[0] -= out[j] * d.mean[j]
	}
	for k := range d.p { // first row, then first column
		for j := 1; j < d.p; j++ {
			cov[0][k] -= d.mean[j] * cov[j][k]
		}
	}
	for k := range d.p {
		for j := 1; j < d.p; j++ {
			cov[k][0] -= d.mean[j] * cov[k][j]
		}
	}
	return out, cov
}
