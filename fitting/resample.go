package fitting

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
)

// Jackknife leaves each used cell out in turn: standard errors √((n−1)/n·Σ(θᵢ−θ̄)²)
// in the order of Free, and the coefficients without each cell.
func (l *Law) Jackknife() (se []float64, left [][]float64, err error) {
	ts, y, ses := l.used()
	n, p := len(ts), len(l.Free)
	if n <= p {
		return nil, nil, fmt.Errorf("jackknife: %s for %s: none can be left out", plural(n, "cell"), plural(p, "coefficient"))
	}
	w, _ := weights(l.Options.Weights, ses)
	left = make([][]float64, n)
	for i := range n {
		theta, err := l.fitWithout(ts, y, w, i)
		if err != nil {
			return nil, nil, fmt.Errorf("jackknife without %v: %w", ts[i], err)
		}
		left[i] = theta
	}
	se = make([]float64, p)
	for j := range p {
		var mean, ss float64
		for i := range n {
			mean += left[i][j] / float64(n)
		}
		for i := range n {
			ss += square(left[i][j] - mean)
		}
		se[j] = math.Sqrt(float64(n-1) / float64(n) * ss)
	}
	return se, left, nil
}

func (l *Law) fitWithout(ts []Target, y, w []float64, i int) ([]float64, error) {
	drop := func(v []float64) []float64 {
		if v == nil {
			return nil
		}
		return append(append(make([]float64, 0, len(v)-1), v[:i]...), v[i+1:]...)
	}
	rest := append(append(make([]Target, 0, len(ts)-1), ts[:i]...), ts[i+1:]...)
	sol, err := l.model.fit(rest, drop(y), drop(w), l.Options.Huber, l.Theta)
	if err != nil {
		return nil, err
	}
	return sol.theta, nil
}

// Bootstrap resamples the used cells with replacement and returns the free
// parameters of each resample, in the order of Free; rank-deficient resamples are
// drawn again and counted in skipped. The same seed gives the same samples.
func (l *Law) Bootstrap(samples int, seed uint64) (theta [][]float64, skipped int, err error) {
	if samples < 1 {
		return nil, 0, fmt.Errorf("bootstrap: %d samples", samples)
	}
	ts, y, ses := l.used()
	n, p := len(ts), len(l.Free)
	if n <= p {
		return nil, 0, fmt.Errorf("bootstrap: %s for %s: every resample would be exact or undetermined", plural(n, "cell"), plural(p, "coefficient"))
	}
	w, _ := weights(l.Options.Weights, ses)
	back := make([]float64, samples*p)
	theta = make([][]float64, samples)
	for i := range theta {
		theta[i] = back[i*p : (i+1)*p : (i+1)*p]
	}
	if p == 0 {
		return theta, 0, nil
	}
	draw := l.resampler(ts, y, w)
	rng := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	count := make([]float64, n)
	for i := range theta {
		for try := 0; ; try++ {
			clear(count)
			for range n {
				count[rng.IntN(n)]++
			}
			if draw(count, theta[i]) {
				break
			}
			if skipped++; try == 1000 {
				return nil, skipped, errors.New("bootstrap: hardly any resample of the cells determines the law")
			}
		}
	}
	return theta, skipped, nil
}

// resampler returns a function that fits the cells, each counted that many times,
// and reports whether they determine θ.
func (l *Law) resampler(ts []Target, y, w []float64) func(count, theta []float64) bool {
	if m, ok := l.model.(*power); ok {
		d := m.system(ts, y, w)
		return d.resampler(l.Options.Huber)
	}
	weight := make([]float64, len(y))
	return func(count, theta []float64) bool {
		var (
			rt []Target
			ry []float64
			rw []float64
		)
		for i, c := range count {
			if c == 0 {
				continue
			}
			weight[i] = c
			if w != nil {
				weight[i] *= w[i]
			}
			rt, ry, rw = append(rt, ts[i]), append(ry, y[i]), append(rw, weight[i])
		}
		if len(rt) < len(theta) {
			return false
		}
		sol, err := l.model.fit(rt, ry, rw, l.Options.Huber, l.Theta)
		if err != nil {
			return false
		}
		copy(theta, sol.theta)
		return true
	}
}

// resampler solves the normal equations of the centred columns. They are
// well conditioned, small, and need no memory, so that thousands of resamples fit
// in a frame.
func (d *linear) resampler(huber float64) func(count, theta []float64) bool {
	p := d.p
	gram := make([]float64, p*p)
	reweighted := make([]float64, d.n)
	solve := func(weight, theta []float64) bool {
		clear(gram)
		clear(theta)
		for i, c := range weight {
			if c == 0 {
				continue
			}
			c *= d.weight(i)
			x := d.x[i*p : (i+1)*p]
			for a, xa := range x {
				theta[a] += c * xa * d.y[i]
				for b := range a + 1 {
					gram[a*p+b] += c * xa * x[b]
				}
			}
		}
		if !cholesky(gram, p) {
			return false
		}
		cholSolve(gram, theta, p)
		return true
	}
	return func(count, theta []float64) bool {
		if !solve(count, theta) {
			return false
		}
		if huber > 0 {
			var last [4]float64
			for range huberRounds {
				copy(last[:], theta)
				for i, c := range count {
					reweighted[i] = c * huberWeight(d.residual(i, theta), huber)
				}
				if !solve(reweighted, theta) {
					return false
				}
				var change float64
				for j, v := range theta {
					change = max(change, math.Abs(v-last[j]))
				}
				if change < 1e-8 {
					break
				}
			}
		}
		if d.intercept {
			for j := 1; j < p; j++ {
				theta[0] -= theta[j] * d.mean[j]
			}
		}
		return true
	}
}
