package cpu

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/etastar/etastar/kernels"
)

const tol = 3e-6

func TestMatMul(t *testing.T) {
	eachISA(t, func(t *testing.T, isa string) {
		rapid.Check(t, func(rt *rapid.T) {
			m, n, k := rapid.IntRange(1, 40).Draw(rt, "m"), rapid.IntRange(1, 70).Draw(rt, "n"), rapid.IntRange(1, 40).Draw(rt, "k")
			ta, tb, add := rapid.Bool().Draw(rt, "TransA"), rapid.Bool().Draw(rt, "TransB"), rapid.Bool().Draw(rt, "Add")
			r := newRig(t, isa, rapid.Uint64().Draw(rt, "seed"))
			shape := func(a, b int, trans bool) []int {
				if trans {
					return []int{b, a}
				}
				return []int{a, b}
			}
			a, b := r.in("A", shape(m, k, ta)...), r.in("B", shape(k, n, tb)...)
			y := r.out("Y", m, n)
			if add {
				y = r.in("Y0", m, n)
			}
			r.run(kernels.MatMul{Y: y, A: a, B: b, TransA: ta, TransB: tb, Alpha: 0.5, Add: add})
			want := refMatMul(m, n, k, r.fill[a], ta, r.fill[b], tb)
			for i := range want {
				want[i] *= 0.5
				if add {
					want[i] += r.fill[y][i]
				}
			}
			near(t, "Y", r.get(y), want, tol)
		})
	})
}

func TestEmbed(t *testing.T) {
	eachISA(t, func(t *testing.T, isa string) {
		r := newRig(t, isa, 1)
		const v, d = 7, 13
		ids := []int32{3, 0, 6, 3, 3, 1}
		table, tokens, y := r.in("Table", v, d), r.indices("Tokens", ids, 6), r.out("Y", 6, d)
		dy, dt := r.in("DY", 6, d), r.in("DTable", v, d)
		r.run(kernels.Embed{Y: y, Table: table, Tokens: tokens, Scale: 2},
			kernels.EmbedGrad{DTable: dt, DY: dy, Tokens: tokens, Scale: 2})
		f := func(x []float64) []float64 {
			var out []float64
			for _, id := range ids {
				for j := range d {
					out = append(out, 2*x[int(id)*d+j])
				}
			}
			return out
		}
		near(t, "Y", r.get(y), f(r.fill[table]), 0)
		near(t, "DTable", r.get(dt), plus(r.fill[dt], slope(f, r.fill[table], r.fill[dy])), tol)
	})
}

func TestRMSNorm(t *testing.T) {
	eachISA(t, func(t *testing.T, isa string) {
		rapid.Check(t, func(rt *rapid.T) {
			n, d := rapid.IntRange(1, 5).Draw(rt, "N"), rapid.IntRange(1, 40).Draw(rt, "d")
			residual, add := rapid.Bool().Draw(rt, "residual"), rapid.Bool().Draw(rt, "Add")
			r := newRig(t, isa, rapid.Uint64().Draw(rt, "seed"))
			x, gain := r.in("X", n, d), r.in("Gain", d)
			y, rstd := r.out("Y", n, d), r.out("RStd", n)
			op := kernels.RMSNorm{Y: y, X: x, Gain: gain, RStd: rstd, Eps: 1e-3}
			h, norm := r.fill[x], x
			if residual {
				op.Residual, op.Sum, op.ResidualScale = r.in("Residual", n, d), r.out("Sum", n, d), 0.25
				norm = op.Sum
				h = make([]float64, n*d)
				for i := range h {
					h[i] = r.fill[x][i] + 0.25*r.fill[op.Residual][i]
				}
			}
			dy, dgain, dx := r.in("DY", n, d), r.in("DGain", d), r.out("DX", n, d)
			if add {
				dx = r.in("DX0", n, d)
			}
			r.run(op, kernels.RMSNormGrad{DX: dx, DGain: dgain, DY: dy, X: norm, Gain: gain, RStd: rstd, Add: add})
			g := r.fill[gain]
			near(t, "Y", r.get(y), refNorm(h, g, 1e-3), tol)
			if residual {
				near(t, "Sum", r.get(op.Sum), h, tol)
			}
			wantDX := slope(func(x []float64) []float64 { return refNorm(x, g, 1e-3) }, h, r.fill[dy])
			if add {
				wantDX = plus(wantDX, r.fill[dx])
			}
			// Absolute where the gradient cancels, as it does for d = 1.
			near(t, "DX", plus(r.get(dx), ones(n*d)), plus(wantDX, ones(n*d)), 1e-4)
			wantDG := slope(func(g []float64) []float64 { return refNorm(h, g, 1e-3) }, g, r.fill[dy])
			near(t, "DGain", r.get(dgain), plus(wantDG, r.fill[dgain]), 1e-5)
		})
	})
}

func ones(n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = 1
	}
	return v
}

func TestSwiGLU(t *testing.T) {
	eachISA(t, func(t *testing.T, isa string) {
		for _, f := range []int{1, 8, 16, 37} {
			r := newRig(t, isa, uint64(f))
			x, y := r.in("X", 3, 2*f), r.out("Y", 3, f)
			dy, dx := r.in("DY", 3, f), r.out("DX", 3, 2*f)
			r.fill[x][0] *= 30
			r.run(kernels.SwiGLU{Y: y, X: x}, kernels.SwiGLUGrad{DX: dx, DY: dy, X: x})
			ref := func(x []float64) []float64 { return refSwiGLU(x, f) }
			near(t, "Y", r.get(y), ref(r.fill[x]), tol)
			near(t, "DX", r.get(dx), slope(ref, r.fill[x], r.fill[dy]), tol)
		}
	})
}

func TestSwiGLUExtremes(t *testing.T) {
	eachISA(t, func(t *testing.T, isa string) {
		r := newRig(t, isa, 1)
		gates := []float64{-1e30, -200, -88.5, 0, 88.5, 200, 1e30}
		x := r.given("X", append(gates, ones(7)...), 1, 14)
		y, dx, dy := r.out("Y", 1, 7), r.out("DX", 1, 14), r.given("DY", ones(7), 1, 7)
		r.run(kernels.SwiGLU{Y: y, X: x}, kernels.SwiGLUGrad{DX: dx, DY: dy, X: x})
		near(t, "Y", r.get(y), []float64{0, 0, 0, 0, 88.5, 200, 1e30}, tol)
		near(t, "DGate", r.get(dx)[:7], []float64{0, 0, 0, 0.5, 1, 1, 1}, tol)
	})
}

func TestElementwise(t *testing.T) {
	eachISA(t, func(t *testing.T, isa string) {
		r := newRig(t, isa, 1)
		a, b := r.in("A", 5, 21), r.in("B", 5, 21)
		y, z, c := r.out("Y", 5, 21), r.out("Z", 5, 21), r.out("C", 5, 21)
		inPlace, gone := r.in("InPlace", 5, 21), r.in("Gone", 9)
		sum, stats := r.given("Sum", []float64{3}, 1), r.out("Stats", 2, 3)
		r.run(
			kernels.Blend{Y: y, A: a, B: b, Alpha: 2, Beta: -3},
			kernels.Blend{Y: z, A: a},
			kernels.Blend{Y: inPlace, A: inPlace, B: b},
			kernels.Copy{Y: []kernels.Buffer{c}, X: []kernels.Buffer{b}},
			kernels.Zero{Y: []kernels.Buffer{gone}},
			kernels.Sum{Y: sum, X: a, Scale: 0.5, Add: true},
			kernels.Stats{X: []kernels.Buffer{a, b}, Out: stats},
		)
		var wantY []float64
		total, sq, mag, top := 0.0, 0.0, 0.0, 0.0
		for i, x := range r.fill[a] {
			wantY = append(wantY, 2*x-3*r.fill[b][i])
			total += x
			sq += x * x
			mag += math.Abs(x)
			top = max(top, math.Abs(x))
		}
		near(t, "Blend", r.get(y), wantY, tol)
		near(t, "Blend of one", r.get(z), r.fill[a], 0)
		near(t, "Blend in place", r.get(inPlace), plus(r.fill[inPlace], r.fill[b]), tol)
		near(t, "Copy", r.get(c), r.fill[b], 0)
		near(t, "Zero", r.get(gone), make([]float64, 9), 0)
		near(t, "Sum", r.get(sum), []float64{3 + 0.5*total}, tol)
		near(t, "Stats", r.get(stats)[:3], []float64{math.Sqrt(sq / 105), mag / 105, top}, tol)
	})
}
