package fitting

import "math"

// rankTolerance is the share of a diagonal element that a pivot must keep for
// the matrix to count as having full rank.
const rankTolerance = 1e-11

// cholesky factors the symmetric p×p matrix in the lower triangle of a in place
// into L·Lᵀ and reports whether it is numerically positive definite. It is for the
// p ≤ 4 systems that are solved thousands of times, where it allocates nothing.
func cholesky(a []float64, p int) bool {
	for j := range p {
		d := a[j*p+j]
		limit := rankTolerance * d
		for k := range j {
			d -= a[j*p+k] * a[j*p+k]
		}
		if !(d > limit) || math.IsInf(d, 1) {
			return false
		}
		d = math.Sqrt(d)
		a[j*p+j] = d
		for i := j + 1; i < p; i++ {
			s := a[i*p+j]
			for k := range j {
				s -= a[i*p+k] * a[j*p+k]
			}
			a[i*p+j] = s / d
		}
	}
	return true
}

// cholSolve solves L·Lᵀ·x = b in place.
func cholSolve(l, b []float64, p int) {
	for i := range p {
		for k := range i {
			b[i] -= l[i*p+k] * b[k]
		}
		b[i] /= l[i*p+i]
	}
	for i := p - 1; i >= 0; i-- {
		for k := i + 1; k < p; k++ {
			b[i] -= l[k*p+i] * b[k]
		}
		b[i] /= l[i*p+i]
	}
}
