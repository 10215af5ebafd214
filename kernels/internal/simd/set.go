package simd

import "fmt"

// Columns is the length of a row in the loops over columns, a multiple of every Width.
const Columns = 32

// Set is the loops of one instruction set. Slices of one call have the length of the
// first, which may be 0 except where a result is returned; outputs may be the same
// slice as inputs but must not overlap them otherwise.
type Set struct {
	// Name is avx512, avx2 or generic.
	Name string

	// Axpy is y += a·x, Scale y = a·x, Axpby y = a·x + b·z.
	Axpy  func(y, x []float32, a float32)
	Scale func(y, x []float32, a float32)
	Axpby func(y, x, z []float32, a, b float32)

	// Sum, SumSq, SumAbs are Σx, Σx², Σ|x|; Dot is Σx·y.
	Sum, SumSq, SumAbs func(x []float32) float32
	Dot                func(x, y []float32) float32
	// Max is the largest x, MaxAbs the largest |x|. A NaN may be passed over.
	Max, MaxAbs func(x []float32) float32

	// ExpSum is y = exp(scale·x − shift) and returns Σy.
	ExpSum func(y, x []float32, scale, shift float32) float32
	// SoftmaxGrad is d = p·(d − delta)·scale.
	SoftmaxGrad func(d, p []float32, delta, scale float32)

	// The first slice of these is rows of Columns floats, the vectors after it belong to
	// every row. ColMax is top[j] = max(top[j], x[·,j]), ColExp x = exp(scale·x − shift[j])
	// and sum[j] += x[·,j], ColDot sum[j] += x[·,j]·y[·,j], ColScale x = x·f[j].
	// ColSoftmaxGrad is p = exp(scale·p − lse[j]), d = p·(d − delta[j])·scale.
	ColMax         func(x, top []float32)
	ColExp         func(x, shift, sum []float32, scale float32)
	ColDot         func(x, y, sum []float32)
	ColScale       func(x, f []float32)
	ColSoftmaxGrad func(p, d, lse, delta []float32, scale float32)

	// The loops over rows take n of them, each as long as the gain or the cosines; the
	// slices that move do so by their ld. NormRows is r = 1/√(mean x² + eps), y = x·g·r.
	// NormGradRows is its gradient, dx = r·(dy·g − x·r²·mean(dy·g·x)) and dg += dy·x·r;
	// NormGradAddRows adds to dx.
	NormRows                      func(y, x, g, r []float32, n, ldx, ldy int, eps float32)
	NormGradRows, NormGradAddRows func(dx, dy, x, g, dg, r []float32, n, lddx, lddy, ldx int)

	// RotateRows turns the pairs (lo, hi) by the angle whose cosine and sine are c and
	// sign·s, the same in every row: ylo = lo·c − hi·s, yhi = hi·c + lo·s.
	RotateRows func(ylo, yhi, lo, hi, c, s []float32, n, ldx, ldy int, sign float32)

	// Swiglu is y = g·σ(g)·u, SwigluGrad its gradients.
	Swiglu     func(y, g, u []float32)
	SwigluGrad func(dg, du, dy, g, u []float32)

	// AdamW updates p, m and v by the gradient clip·g:
	// m = b1·m + c1·g, v = b2·v + c2·g², p −= step·m/(rbias·√v + eps) + decay·p.
	AdamW func(p, m, v, g []float32, clip, step, rbias, b1, c1, b2, c2, eps, decay float32)

	// Spin runs n rounds of independent multiply-adds, SpinFlops operations a round.
	Spin      func(n int)
	SpinFlops float64

	lanes int
	tile  int // rows of the largest micro-kernel
	micro [2][]micro

	// The rest may be nil. transpose is dst[j·stride+i] = src[i·ld+j] for 8 rows i and
	// j < k, a multiple of 8. gatherRows and gatherPanels are
	// dst[(p·k+l)·t+r] = src[l·ld+p·t+r] for l < k, p < groups, r < t, with t 12 and the
	// width of a panel.
	transpose                func(dst, src *float32, ld, k, stride int)
	gatherRows, gatherPanels func(dst, src *float32, ld, k, groups int)
}

// micro computes C[rows × n] = α·A·B (+ C where add is not 0).
type micro struct {
	rows int
	run  func(k int, a *float32, rs, cs int, b *float32, bs int, c *float32, ldc int, n int, alpha float32, add int)
}

// Select returns the set of that name, or the fastest that this machine runs for "".
func Select(name string) (*Set, error) {
	all := Available()
	if name == "" {
		return all[0], nil
	}
	known := ""
	for _, s := range all {
		if s.Name == name {
			return s, nil
		}
		known += " " + s.Name
	}
	return nil, fmt.Errorf("instruction set %q: this machine runs%s", name, known)
}

// Available lists the sets that this machine runs, fastest first.
func Available() []*Set { return append(native(), generic()) }
