package fitting

import "math"

// Exponents fits ln y = c + Σ e_k·ln x_k by least squares: x is [points][variables], all
// positive, as are the y. It returns e with standard errors, which are NaN without degrees
// of freedom; ok is false where the points are too few or do not tell the variables apart.
func Exponents(x [][]float64, y []float64) (e, se []float64, ok bool) {
	if len(y) == 0 || len(y) < len(x[0])+1 {
		return nil, nil, false
	}
	p := len(x[0]) + 1
	d := newLinear(len(y), p, true)
	for i, row := range x {
		d.x[i*p] = 1
		for k, v := range row {
			d.x[i*p+k+1] = math.Log(v)
		}
		d.y[i] = math.Log(y[i])
	}
	d.centre()
	if d.dependent() >= 0 {
		return nil, nil, false
	}
	s, err := d.solve(0)
	if err != nil {
		return nil, nil, false
	}
	for k := 1; k < p; k++ {
		e, se = append(e, s.theta[k]), append(se, math.Sqrt(s.cov[k][k]))
	}
	return e, se, true
}

// PairedNoise is the noise of several means of n differences each, such as the losses of
// settings less those of a reference with the same seeds: their standard deviation within
// a setting, pooled over all with its degrees of freedom, and the size beyond which a mean
// counts at the level for all settings together (Student's t, Bonferroni). Settings whose
// differences are all 0, the reference itself, say nothing and do not count. Without
// degrees of freedom ok is false.
func PairedNoise(differences [][]float64, n int, level float64) (sd float64, dof int, bound float64, ok bool) {
	ss, tests := 0.0, 0
	for _, d := range differences {
		mean, zero := Mean(d), true
		for _, x := range d {
			zero = zero && x == 0
		}
		if zero {
			continue
		}
		tests++
		for _, x := range d {
			ss += square(x - mean)
		}
		dof += len(d) - 1
	}
	if dof < 1 || n < 1 {
		return nan, dof, nan, false
	}
	sd = math.Sqrt(ss / float64(dof))
	return sd, dof, tQuantile(1-(1-level)/2/float64(tests), dof) * sd / math.Sqrt(float64(n)), true
}

// StandardError is that of the mean of n values, from groups of such values around means of
// their own; NaN without degrees of freedom.
func StandardError(groups [][]float64, n int) float64 {
	ss, dof := 0.0, 0
	for _, g := range groups {
		mean := Mean(g)
		for _, x := range g {
			ss += square(x - mean)
		}
		dof += max(len(g)-1, 0)
	}
	if dof < 1 {
		return nan
	}
	return math.Sqrt(ss / float64(dof) / float64(n))
}

// Mean is the arithmetic mean; NaN of nothing.
func Mean(x []float64) float64 {
	if len(x) == 0 {
		return nan
	}
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}
