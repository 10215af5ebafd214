package fitting

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestExponents: exact exponents come back; with noise, errors are those of the textbook's
// simple regression, and points that do not tell variables apart are said.
func TestExponents(t *testing.T) {
	var x [][]float64
	var y []float64
	for _, w := range []float64{64, 128, 512} {
		for _, d := range []float64{2, 8} {
			x, y = append(x, []float64{w, d}), append(y, 3*math.Pow(w, 0.5)*math.Pow(d, -0.3))
		}
	}
	if e, se, ok := Exponents(x, y); !ok || math.Abs(e[0]-0.5) > 1e-12 || math.Abs(e[1]+0.3) > 1e-12 || se[0] > 1e-7 {
		t.Errorf("%v ± %v, %v", e, se, ok)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	var one [][]float64
	var noisy []float64
	for i := range 9 {
		one, noisy = append(one, []float64{math.Pow(2, float64(i))}), append(noisy, math.Exp(0.2*float64(i)+0.1*rng.NormFloat64()))
	}
	e, se, _ := Exponents(one, noisy)
	mx, my, sxx, sxy := 0.0, 0.0, 0.0, 0.0
	for i := range noisy {
		mx, my = mx+math.Log(one[i][0])/9, my+math.Log(noisy[i])/9
	}
	for i := range noisy {
		a, b := math.Log(one[i][0])-mx, math.Log(noisy[i])-my
		sxx, sxy = sxx+a*a, sxy+a*b
	}
	rss := 0.0
	for i := range noisy {
		rss += math.Pow(math.Log(noisy[i])-my-sxy/sxx*(math.Log(one[i][0])-mx), 2)
	}
	if want := math.Sqrt(rss / 7 / sxx); math.Abs(e[0]-sxy/sxx) > 1e-12 || math.Abs(se[0]/want-1) > 1e-9 {
		t.Errorf("%v ± %v, want %v ± %v", e[0], se[0], sxy/sxx, want)
	}
	if e, se, ok := Exponents(one[:2], noisy[:2]); !ok || !math.IsNaN(se[0]) || math.IsNaN(e[0]) {
		t.Errorf("two points: %v ± %v", e, se)
	}
	for _, bad := range [][][]float64{{{1, 2}, {2, 4}, {4, 8}, {8, 16}}, {{3}, {3}, {3}}, {{1}}, nil} {
		if _, _, ok := Exponents(bad, make([]float64, len(bad))); ok {
			t.Errorf("%v tells the variables apart", bad)
		}
	}
}

// TestPairedNoise against numbers worked out by hand: deviations ±1 and ±2 around means 5
// and 0, two degrees of freedom, t at 97.5% and, halved for two settings, 98.75%.
func TestPairedNoise(t *testing.T) {
	sd, dof, bound, ok := PairedNoise([][]float64{{4, 6}, {0, 0}, {-2, 2}}, 2, 0.95)
	if !ok || dof != 2 || math.Abs(sd-math.Sqrt(5)) > 1e-12 || math.Abs(bound-6.205347*math.Sqrt(5.0/2)) > 1e-4 {
		t.Errorf("%v, %d, %v", sd, dof, bound)
	}
	if _, _, _, ok := PairedNoise([][]float64{{1}, {0, 0}}, 1, 0.95); ok {
		t.Error("single differences have a noise")
	}
	if se := StandardError([][]float64{{4, 6}, {1}, {-2, 2}}, 2); math.Abs(se-math.Sqrt(2.5)) > 1e-12 {
		t.Errorf("standard error %v", se)
	}
	if se := StandardError([][]float64{{4}}, 1); !math.IsNaN(se) {
		t.Errorf("standard error of one value: %v", se)
	}
}
