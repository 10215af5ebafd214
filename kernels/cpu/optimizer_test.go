package cpu

import (
	"math"
	"testing"

	"github.com/etastar/etastar/kernels"
)

func TestGradNorm(t *testing.T) {
	eachISA(t, func(t *testing.T, isa string) {
		for _, c := range []struct{ limit, size, wantClip float64 }{
			{1, 1, math.NaN()}, {1e6, 1, 1}, {0, 1, 1}, {1, 0, 1},
		} {
			r := newRig(t, isa, 1)
			a, b := r.in("A", 9000), r.in("B", 3, 5)
			sq := 0.0
			for _, v := range [][]float64{r.fill[a], r.fill[b]} {
				for i := range v {
					v[i] *= c.size
					sq += v[i] * v[i]
				}
			}
			norm, clip := r.out("Norm", 1), r.out("Clip", 1)
			r.run(kernels.GradNorm{Norm: norm, Clip: clip, Grads: []kernels.Buffer{a, b}, MaxNorm: r.given("MaxNorm", []float64{c.limit}, 1)})
			want := c.wantClip
			if math.IsNaN(want) {
				want = c.limit / math.Sqrt(sq)
			}
			near(t, "Norm", r.get(norm), []float64{math.Sqrt(sq)}, tol)
			near(t, "Clip", r.get(clip), []float64{want}, tol)
		}
	})
}

func TestAdamW(t *testing.T) {
	eachISA(t, func(t *testing.T, isa string) {
		r := newRig(t, isa, 1)
		settings := []kernels.Adam{
			{LR: 1e-2, WeightDecay: 0.1, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Step: 1},
			{LR: 3e-3, WeightDecay: 0, Beta1: 0.8, Beta2: 0.999, Eps: 1e-6, Step: 1000},
		}
		var op kernels.AdamW
		var table []float64
		for i, a := range settings {
			n := 30 + 9*i
			op.Params = append(op.Params, r.in("P", n))
			op.Grads = append(op.Grads, r.in("G", n))
			op.M = append(op.M, r.in("M", n))
			v := r.in("V", n)
			for j, x := range r.fill[v] {
				r.fill[v][j] = math.Abs(x)
			}
			op.V = append(op.V, v)
			var row [kernels.AdamFields]float32
			a.Row(row[:])
			for _, x := range row {
				table = append(table, float64(x))
			}
		}
		op.Table, op.Clip = r.given("Table", table, 2, kernels.AdamFields), r.given("Clip", []float64{0.5}, 1)
		r.run(op)
		for i, a := range settings {
			p, m, v, g := r.fill[op.Params[i]], r.fill[op.M[i]], r.fill[op.V[i]], r.fill[op.Grads[i]]
			for j := range g {
				g[j] *= 0.5
			}
			refAdamW(p, m, v, g, a)
			near(t, "P", r.get(op.Params[i]), p, tol)
			near(t, "M", r.get(op.M[i]), m, tol)
			near(t, "V", r.get(op.V[i]), v, tol)
		}
	})
}

// TestDivergedRunStays: after a gradient that is not finite nothing changes.
func TestDivergedRunStays(t *testing.T) {
	eachISA(t, func(t *testing.T, isa string) {
		for _, bad := range []float64{math.NaN(), math.Inf(1)} {
			r := newRig(t, isa, 1)
			p, g, m, v := r.in("P", 20), r.in("G", 20), r.in("M", 20), r.in("V", 20)
			r.fill[g][7] = bad
			norm, clip := r.out("Norm", 1), r.out("Clip", 1)
			r.run(
				kernels.GradNorm{Norm: norm, Clip: clip, Grads: []kernels.Buffer{g}, MaxNorm: r.given("MaxNorm", []float64{1}, 1)},
				kernels.AdamW{
					Params: []kernels.Buffer{p}, Grads: []kernels.Buffer{g}, M: []kernels.Buffer{m}, V: []kernels.Buffer{v},
					Table: r.in("Table", 1, kernels.AdamFields), Clip: clip,
				},
			)
			near(t, "P", r.get(p), r.fill[p], 0)
			near(t, "M", r.get(m), r.fill[m], 0)
			if x := r.get(norm)[0]; !math.IsNaN(x) && !math.IsInf(x, 0) {
				t.Errorf("norm is %v", x)
			}
		}
	})
}
