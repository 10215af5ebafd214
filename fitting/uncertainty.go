package fitting

import (
	"fmt"
	"math"
	"slices"
)

// ErrorKind says where the standard errors and 95% intervals of a law's
// coefficients come from.
type ErrorKind string

// Kinds of coefficient errors.
const (
	ErrorsT         ErrorKind = "t"         // least-squares covariance, Student's t
	ErrorsJackknife ErrorKind = "jackknife" // each cell left out in turn, Student's t with n − 1 degrees
	ErrorsBootstrap ErrorKind = "bootstrap" // cells resampled, 2.5 and 97.5 percentiles
)

// WithErrors returns the law with the standard errors and intervals of its free
// coefficients taken from another source; everything else is the same law.
// samples and seed are for the bootstrap.
func (l *Law) WithErrors(kind ErrorKind, samples int, seed uint64) (*Law, error) {
	out := *l
	out.Errors = kind
	out.Coef = slices.Clone(l.Coef)
	set := func(free int, se, lo, hi float64) {
		for i := range out.Coef {
			c := &out.Coef[i]
			if c.Name != l.Free[free] {
				continue
			}
			if l.isLog(c.Name) {
				lo, hi = math.Exp(lo), math.Exp(hi)
			}
			c.SE, c.Lo, c.Hi = se, lo, hi
		}
	}
	switch kind {
	case ErrorsT:
		return &out, nil
	case ErrorsJackknife:
		se, _, err := l.Jackknife()
		if err != nil {
			return nil, err
		}
		t := tQuantile(0.975, l.N-1)
		for j := range se {
			set(j, se[j], l.Theta[j]-t*se[j], l.Theta[j]+t*se[j])
		}
	case ErrorsBootstrap:
		theta, skipped, err := l.Bootstrap(samples, seed)
		if err != nil {
			return nil, err
		}
		column := make([]float64, len(theta))
		for j := range l.Free {
			var mean, ss float64
			for i := range theta {
				column[i] = theta[i][j]
				mean += column[i] / float64(len(theta))
			}
			for _, v := range column {
				ss += square(v - mean)
			}
			slices.Sort(column)
			set(j, math.Sqrt(ss/float64(len(theta)-1)), quantileSorted(column, 0.025), quantileSorted(column, 0.975))
		}
		if skipped > 0 {
			out.Notes = append(slices.Clone(l.Notes), fmt.Sprintf("%s could not be fitted and were drawn again", plural(skipped, "bootstrap sample")))
		}
	default:
		return nil, fmt.Errorf("there are no %q errors: t, jackknife or bootstrap", kind)
	}
	return &out, nil
}
