package fitting

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"gonum.org/v1/gonum/mat"
)

// nonlinear is a least-squares problem Σ rᵢ(θ)² → min.
type nonlinear struct {
	n, p  int
	names []string
	// residuals puts r(θ) into r and reports whether every value is finite.
	residuals func(theta, r []float64) bool
}

const (
	lmSteps     = 300
	lmTolerance = 1e-12
)

// fitted is the state of a Levenberg-Marquardt search.
type fitted struct {
	theta     []float64
	r         []float64
	cost      float64
	jacobian  *mat.Dense
	converged bool
	change    float64 // last relative step
}

// levenberg minimises from start by Levenberg-Marquardt with Marquardt's scaling:
// each step solves the augmented system [J; √λ·diag] by QR. It returns nil when the
// start has no finite residual.
func (q *nonlinear) levenberg(start []float64, steps int) *fitted {
	f := &fitted{theta: slices.Clone(start), r: make([]float64, q.n), change: math.Inf(1)}
	if !q.residuals(f.theta, f.r) {
		return nil
	}
	f.cost = sumSquares(f.r)
	f.jacobian = mat.NewDense(q.n, q.p, nil)
	var (
		lambda = 1e-3
		scale  = make([]float64, q.p)
		a      = mat.NewDense(q.n+q.p, q.p, nil)
		b      = mat.NewVecDense(q.n+q.p, nil)
		next   = make([]float64, q.p)
		r      = make([]float64, q.n)
		qr     mat.QR
		step   mat.VecDense
	)
	for range steps {
		q.differentiate(f)
		for j := range q.p {
			var s float64
			for i := range q.n {
				s += square(f.jacobian.At(i, j))
			}
			scale[j] = max(scale[j], math.Sqrt(s), 1e-150)
		}
		if f.stationary(scale) {
			f.converged = true
			return f
		}
		for accepted := false; !accepted; lambda *= 4 {
			if lambda > 1e14 {
				// No step lowers the cost any more: as good as the arithmetic allows.
				f.converged = f.change < 1e-6 || f.nearlyStationary(scale)
				return f
			}
			a.Zero()
			a.Slice(0, q.n, 0, q.p).(*mat.Dense).Copy(f.jacobian)
			for j := range q.p {
				a.Set(q.n+j, j, math.Sqrt(lambda)*scale[j])
			}
			for i := range q.n {
				b.SetVec(i, -f.r[i])
			}
			qr.Factorize(a)
			if err := qr.SolveVecTo(&step, false, b); err != nil && !finite(mat.Norm(&step, 2)) {
				continue
			}
			var change float64
			for j := range next {
				next[j] = f.theta[j] + step.AtVec(j)
				change = max(change, math.Abs(step.AtVec(j))/(math.Abs(next[j])+1e-30))
			}
			if !q.residuals(next, r) {
				continue
			}
			cost := sumSquares(r)
			if !(cost <= f.cost) {
				if change < 1e-9 && f.nearlyStationary(scale) {
					f.converged = true // the cost no longer resolves a step this small
					return f
				}
				continue
			}
			accepted = true
			f.change = change
			done := f.change < lmTolerance || f.cost-cost <= 1e-15*cost && f.change < 1e-7
			copy(f.theta, next)
			copy(f.r, r)
			f.cost = cost
			if done {
				q.differentiate(f)
				f.converged = true
				return f
			}
			lambda /= 40 // a quarter of an order net, after the loop's own factor
		}
	}
	return f
}

// stationary reports whether the gradient vanishes next to |r| and the columns of J.
func (f *fitted) stationary(scale []float64) bool { return f.cosine(scale) < 1e-13 }

func (f *fitted) nearlyStationary(scale []float64) bool { return f.cosine(scale) < 1e-6 }

func (f *fitted) cosine(scale []float64) float64 {
	norm := math.Sqrt(f.cost)
	if norm == 0 {
		return 0
	}
	var c float64
	for j, s := range scale {
		var g float64
		for i, r := range f.r {
			g += f.jacobian.At(i, j) * r
		}
		c = max(c, math.Abs(g)/(s*norm))
	}
	return c
}

// differentiate fills the Jacobian by central differences, one-sided where the
// model is not defined on one side.
func (q *nonlinear) differentiate(f *fitted) {
	up, down := make([]float64, q.n), make([]float64, q.n)
	theta := slices.Clone(f.theta)
	for j := range q.p {
		h := stepSize(f.theta[j])
		theta[j] = f.theta[j] + h
		hi, okUp := theta[j], q.residuals(theta, up)
		theta[j] = f.theta[j] - h
		lo, okDown := theta[j], q.residuals(theta, down)
		theta[j] = f.theta[j]
		if !okUp {
			copy(up, f.r)
			hi = f.theta[j]
		}
		if !okDown {
			copy(down, f.r)
			lo = f.theta[j]
		}
		for i := range q.n {
			d := 0.0
			if hi > lo {
				d = (up[i] - down[i]) / (hi - lo)
			}
			f.jacobian.Set(i, j, d)
		}
	}
}

// stepSize balances truncation and rounding of a central difference.
func stepSize(x float64) float64 {
	const cubeRootEps = 6.055454452393343e-6
	if x == 0 {
		return cubeRootEps
	}
	return cubeRootEps * math.Abs(x)
}

// search runs Levenberg-Marquardt from start, or from the best of many starts
// when it is nil, and names a parameter that the data do not determine.
func (q *nonlinear) search(start []float64) (*fitted, error) {
	var best *fitted
	if start != nil {
		if best = q.levenberg(start, lmSteps); best == nil {
			return nil, fmt.Errorf("η* is not positive at every cell for the starting values %v: give others with start=", start)
		}
	} else {
		for _, s := range q.starts() {
			f := q.levenberg(s, lmSteps)
			if f == nil {
				continue
			}
			switch {
			case best == nil, f.converged && !best.converged:
				best = f
			case f.converged != best.converged:
			case f.converged && math.Abs(f.cost-best.cost) <= 1e-6*best.cost+1e-20:
				return best, q.identifiable(best) // two starts agree: enough
			case f.cost < best.cost:
				best = f
			}
		}
		if best == nil {
			return nil, fmt.Errorf("no starting values found for %s that make η* positive at every cell: give some with start=", listed(q.names))
		}
	}
	if !best.converged {
		return best, fmt.Errorf("no convergence after %d steps (last relative change %.1g): give starting values nearer the answer with start=", lmSteps, best.change)
	}
	return best, q.identifiable(best)
}

// starts returns the most promising of a few hundred parameter vectors: all of one
// value, and magnitudes over six decades with either sign. The seed is fixed, so
// that a fit is reproducible.
func (q *nonlinear) starts() [][]float64 {
	const tried, kept = 500, 8
	type candidate struct {
		theta []float64
		cost  float64
	}
	var all []candidate
	r := make([]float64, q.n)
	try := func(theta []float64) {
		if q.residuals(theta, r) {
			all = append(all, candidate{theta, sumSquares(r)})
		}
	}
	for _, v := range []float64{1, 0.1, 0.01, -0.1, -1, 10} {
		theta := make([]float64, q.p)
		for j := range theta {
			theta[j] = v
		}
		try(theta)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range tried {
		theta := make([]float64, q.p)
		for j := range theta {
			theta[j] = math.Pow(10, 6*rng.Float64()-4)
			if rng.IntN(2) == 0 {
				theta[j] = -theta[j]
			}
		}
		try(theta)
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		switch {
		case a.cost < b.cost:
			return -1
		case a.cost > b.cost:
			return 1
		}
		return 0
	})
	var out [][]float64
	for i := range min(kept, len(all)) {
		out = append(out, all[i].theta)
	}
	return out
}

// identifiable refuses a solution at which a combination of parameters does not
// change the fit: the scaled Jacobian has a null direction, and its large entries
// are the parameters to blame.
func (q *nonlinear) identifiable(f *fitted) error {
	scaled := mat.DenseCopyOf(f.jacobian)
	var dead []string
	for j := range q.p {
		col := mat.Col(nil, j, scaled)
		norm := math.Sqrt(sumSquares(col))
		if norm*math.Max(1, math.Abs(f.theta[j])) < 1e-9 {
			dead = append(dead, q.names[j])
			continue
		}
		for i := range col {
			scaled.Set(i, j, col[i]/norm)
		}
	}
	if len(dead) > 0 {
		return fmt.Errorf("%s does not change η* at these cells: pin it or take it out", listed(dead))
	}
	var svd mat.SVD
	if !svd.Factorize(scaled, mat.SVDThin) {
		return fmt.Errorf("the Jacobian at %v has no singular values", f.theta)
	}
	values := svd.Values(nil)
	last := len(values) - 1
	if values[last] > 1e-8*values[0] {
		return nil
	}
	var v mat.Dense
	svd.VTo(&v)
	var blame []string
	for j := range q.p {
		if math.Abs(v.At(j, last)) > 0.1 {
			blame = append(blame, q.names[j])
		}
	}
	return fmt.Errorf("these cells cannot tell %s apart: pin one of them, or write the law with fewer parameters", strings.Join(blame, " and "))
}

func sumSquares(v []float64) float64 {
	var s float64
	for _, x := range v {
		s += x * x
	}
	return s
}
