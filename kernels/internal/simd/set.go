package simd

import "fmt"

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

	// Sum, SumSq, SumAbs are Σx, Σx², Σ|x|; Dot is Σx·y; Dot3 is Σx·y·z.
	Sum, SumSq, SumAbs func(x []float32) float32
	Dot                func(x, y []float32) float32
	Dot3               func(x, y, z []float32) float32
	// Max is the largest x, MaxAbs the largest |x|. A NaN may be passed over.
	Max, MaxAbs func(x []float32) float32

	// ExpSum is y = exp(scale·x − shift) and returns Σy.
	ExpSum func(y, x []float32, scale, shift float32) float32
	// SoftmaxGrad is d = p·(d − delta)·scale.
	SoftmaxGrad func(d, p []float32, delta, scale float32)

	// NormApply is y = x·g·r. NormGrad is dx = a·dy·g − b·x, NormGradAdd dx += the same.
	// GainGrad is dg += dy·x·r.
	NormApply             func(y, x, g []float32, r float32)
	NormGrad, NormGradAdd func(dx, dy, x, g []float32, a, b float32)
	GainGrad              func(dg, dy, x []float32, r float32)

	// Rotate turns the pairs (lo, hi) by the angle whose cosine and sine are c and
	// sign·s: lo' = lo·c − hi·s, hi' = hi·c + lo·s.
	Rotate func(lo, hi, c, s []float32, sign float32)

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
