package cpu

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/etastar/etastar/kernels"
)

func TestHead(t *testing.T) {
	eachISA(t, func(t *testing.T, isa string) {
		rapid.Check(t, func(rt *rapid.T) {
			n, d, v := rapid.IntRange(1, 9).Draw(rt, "N"), rapid.IntRange(1, 20).Draw(rt, "d"), rapid.IntRange(1, 40).Draw(rt, "V")
			mult, zloss := rapid.SampledFrom([]float64{1, 0.25}).Draw(rt, "Multiplier"), rapid.SampledFrom([]float64{0, 0.5}).Draw(rt, "ZLoss")
			r := newRig(t, isa, rapid.Uint64().Draw(rt, "seed"))
			targets := make([]int32, n)
			for i := range targets {
				targets[i] = int32(rapid.IntRange(-1, v-1).Draw(rt, "target"))
			}
			x, w, tb := r.in("X", n, d), r.in("W", v, d), r.indices("Targets", targets, n)
			loss, lse, dx, dw := r.out("Loss", n), r.out("LSE", n), r.out("DX", n, d), r.in("DW", v, d)
			scale := r.given("Scale", []float64{0.5}, 1)
			r.run(kernels.Head{
				Loss: loss, LSE: lse, DX: dx, DW: dw, X: x, W: w, Targets: tb, Scale: scale,
				Multiplier: float32(mult), ZLoss: float32(zloss), Chunk: rapid.IntRange(0, 4).Draw(rt, "Chunk"),
			})
			ref := func(x, w []float64) []float64 {
				loss, lse := refHead(x, w, targets, d, mult)
				for i := range loss {
					if targets[i] >= 0 {
						loss[i] += zloss * lse[i] * lse[i]
					}
				}
				return loss
			}
			a, b, half := r.fill[x], r.fill[w], make([]float64, n)
			for i := range half {
				half[i] = 0.5
			}
			wantLoss, wantLSE := refHead(a, b, targets, d, mult)
			near(t, "Loss", r.get(loss), wantLoss, tol)
			near(t, "LSE", r.get(lse), wantLSE, tol)
			near(t, "DX", r.get(dx), slope(func(a []float64) []float64 { return ref(a, b) }, a, half), 1e-5)
			near(t, "DW", r.get(dw), plus(slope(func(b []float64) []float64 { return ref(a, b) }, b, half), r.fill[dw]), 1e-5)
		})
	})
}

// TestHeadExtremes has logits of ±10⁴ and evaluates without gradients.
func TestHeadExtremes(t *testing.T) {
	eachISA(t, func(t *testing.T, isa string) {
		r := newRig(t, isa, 1)
		x := r.given("X", []float64{1e4, 1e4, 0}, 3, 1)
		w := r.given("W", []float64{1, -1, 0.5}, 3, 1)
		loss := r.out("Loss", 3)
		r.run(kernels.Head{Loss: loss, X: x, W: w, Targets: r.indices("Targets", []int32{0, 1, 2}, 3)})
		near(t, "Loss", r.get(loss), []float64{0, 2e4, math.Log(3)}, 1e-6)
	})
}

func TestTokensOutOfRange(t *testing.T) {
	for _, bad := range []int32{-1, 5, 1 << 30} {
		s := kernels.NewSpace()
		tokens, table, y := s.Int("Tokens", kernels.Shared, 4), s.Float("Table", kernels.PerRun, 5, 2), s.Float("Y", kernels.PerRun, 4, 2)
		rec := s.Record("embed")
		rec.Add(kernels.Embed{Y: y, Table: table, Tokens: tokens})
		p := must[*kernels.Program](t)(rec.Build())
		m := must[kernels.Machine](t)(must[*Backend](t)(New(Options{})).Load(3, p))
		defer m.Close()
		if err := m.WriteInts(tokens, 0, []int32{0, 1, bad, 2}); err != nil {
			t.Fatal(err)
		}
		err := m.Execute(p)
		if err == nil || !strings.Contains(err.Error(), "position 2") || !strings.Contains(err.Error(), "run 0") {
			t.Errorf("token %d: %v", bad, err)
		}
	}
}
