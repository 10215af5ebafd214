package fitting

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Wilson is the interval of a share of n answers, Wilson's score interval (J. Am. Stat.
// Assoc. 22, 1927, 209): share and bounds from 0 to 1, level from 0 to 1.
func Wilson(share, n, level float64) (low, high float64, err error) {
	if !(share >= 0 && share <= 1) || !(n >= 1) || math.IsInf(n, 0) || !(level > 0 && level < 1) {
		return 0, 0, fmt.Errorf("a share of %v of %v answers has no interval of level %v", share, n, level)
	}
	z := distuv.UnitNormal.Quantile(0.5 + level/2)
	middle := (share + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(share*(1-share)/n+z*z/(4*n*n))
	return max(0, middle-half), min(1, middle+half), nil
}

// ShareDifference is b−a of two shares of n answers each to other questions, with its
// interval by Newcombe's hybrid of Wilson's (Stat. Med. 17, 1998, 873, method 10). Two
// models that answer the same questions differ less than this allows: the interval is
// on the safe side.
func ShareDifference(a, na, b, nb, level float64) (diff, low, high float64, err error) {
	la, ha, err := Wilson(a, na, level)
	if err != nil {
		return 0, 0, 0, err
	}
	lb, hb, err := Wilson(b, nb, level)
	if err != nil {
		return 0, 0, 0, err
	}
	diff = b - a
	return diff, diff - math.Hypot(b-lb, ha-a), diff + math.Hypot(hb-b, a-la), nil
}
