package health

import "math"

// Estimate is a mean over held-out blocks with its standard error: what another draw
// of as many blocks from the same text would change it by.
type Estimate struct {
	Mean   float64 `json:"mean"`
	SE     float64 `json:"se"` // NaN below two blocks: unknown, not zero
	Blocks int     `json:"blocks"`
}

// Mean estimates the validation loss from the mean loss of each held-out block
// (equally long, so that their plain mean is the mean over tokens).
func Mean(blocks []float64) Estimate {
	n := len(blocks)
	if n == 0 {
		return Estimate{Mean: math.NaN(), SE: math.NaN()}
	}
	var mean, m2 float64
	for i, x := range blocks {
		d := x - mean
		mean += d / float64(i+1)
		m2 += d * (x - mean)
	}
	e := Estimate{Mean: mean, SE: math.NaN(), Blocks: n}
	if n > 1 {
		e.SE = math.Sqrt(m2 / float64(n-1) / float64(n))
	}
	return e
}

// Difference estimates a − b for two runs validated on the same blocks in the same
// order. Its standard error is what matters within a sweep: how hard a block is
// cancels out, so it is far smaller than either run's own.
func Difference(a, b []float64) Estimate {
	n := min(len(a), len(b))
	d := make([]float64, n)
	for i := range d {
		d[i] = a[i] - b[i]
	}
	return Mean(d)
}
