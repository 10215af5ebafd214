package fitting

import (
	"math"
	"testing"
)

func TestWilson(t *testing.T) {
	// Newcombe, Stat. Med. 17 (1998) 857, table I: 81/263, 15/148, 0/20, 1/29.
	for _, tt := range []struct{ r, n, low, high float64 }{
		{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718},
	} {
		low, high, err := Wilson(tt.r/tt.n, tt.n, 0.95)
		if err != nil || math.Abs(low-tt.low) > 6e-5 || math.Abs(high-tt.high) > 6e-5 {
			t.Errorf("%v/%v: [%.4f, %.4f], %v; want [%v, %v]", tt.r, tt.n, low, high, err, tt.low, tt.high)
		}
	}
	for _, bad := range [][3]float64{{-0.1, 10, 0.95}, {1.1, 10, 0.95}, {0.5, 0, 0.95}, {0.5, 10, 1}, {math.NaN(), 10, 0.95}, {0.5, math.NaN(), 0.95}} {
		if _, _, err := Wilson(bad[0], bad[1], bad[2]); err == nil {
			t.Errorf("%v", bad)
		}
	}
}

func TestShareDifference(t *testing.T) {
	// Newcombe, Stat. Med. 17 (1998) 873, table II, method 10: 56/70 − 48/80, 9/10 − 3/10.
	for _, tt := range []struct{ r1, n1, r2, n2, low, high float64 }{{56, 70, 48, 80, 0.0524, 0.3339}, {9, 10, 3, 10, 0.1705, 0.8090}} {
		diff, low, high, err := ShareDifference(tt.r2/tt.n2, tt.n2, tt.r1/tt.n1, tt.n1, 0.95)
		if err != nil || math.Abs(low-tt.low) > 6e-5 || math.Abs(high-tt.high) > 6e-5 || math.Abs(diff-tt.r1/tt.n1+tt.r2/tt.n2) > 1e-12 {
			t.Errorf("%v in [%.4f, %.4f], %v; want [%v, %v]", diff, low, high, err, tt.low, tt.high)
		}
	}
}
