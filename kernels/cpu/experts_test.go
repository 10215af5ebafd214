package cpu

import (
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/etastar/etastar/kernels"
)

func TestRoute(t *testing.T) {
	eachISA(t, func(t *testing.T, isa string) {
		rapid.Check(t, func(rt *rapid.T) {
			n, e := rapid.IntRange(1, 9).Draw(rt, "N"), rapid.IntRange(1, 20).Draw(rt, "E")
			k, raw := rapid.IntRange(1, e).Draw(rt, "k"), rapid.Bool().Draw(rt, "Raw")
			r := newRig(t, isa, rapid.Uint64().Draw(rt, "seed"))
			logits, probs, index := r.given("Logits", apart(r.rng, n, e), n, e), r.out("Probs", n, e), r.outInts("Index", n, k)
			weight, slot, offsets := r.out("Weight", n, k), r.outInts("Slot", n, k), r.outInts("Offsets", e+1)
			counts, loss := r.outInts("Counts", e), r.out("Loss", 1)
			dlogits, dweight := r.out("DLogits", n, e), r.in("DWeight", n, k)
			scale := r.given("Scale", []float64{0.5}, 1)
			r.run(
				kernels.Route{
					Probs: probs, Index: index, Weight: weight, Slot: slot, Offsets: offsets,
					Counts: counts, Loss: loss, Logits: logits, Raw: raw,
				},
				kernels.RouteGrad{
					DLogits: dlogits, DWeight: dweight, Probs: probs, Index: index, Weight: weight,
					Offsets: offsets, Raw: raw, Coefficient: 0.2, Scale: scale,
				},
			)
			z := r.fill[logits]
			p, choice, share, balance := refRoute(z, e, k, raw)
			near(t, "Probs", r.get(probs), p, tol)
			near(t, "Weight", r.get(weight), share, tol)
			near(t, "Loss", r.get(loss), []float64{balance}, tol)
			if got := r.getInts(index); !slices.Equal(got, choice) {
				t.Fatalf("Index %v, want %v", got, choice)
			}
			checkOrder(t, choice, r.getInts(slot), r.getInts(offsets), r.getInts(counts))
			want := slope(func(z []float64) []float64 {
				_, _, share, balance := refRoute(z, e, k, raw)
				return append(share, balance)
			}, z, append(slices.Clone(r.fill[dweight]), 0.5*0.2))
			near(t, "DLogits", r.get(dlogits), want, 1e-5)
		})
	})
}

// apart is rows of logits that differ by 0.05 at least, so that central differences do
// not change the choice.
func apart(rng *rand.Rand, n, e int) []float64 {
	var z []float64
	for range n {
		for _, i := range rng.Perm(e) {
			z = append(z, float64(float32(0.1*float64(i)+0.05*rng.Float64())))
		}
	}
	return z
}

// checkOrder checks that slots sort the pairs by expert and keep their order within.
func checkOrder(t *testing.T, choice, slot, offsets, counts []int32) {
	t.Helper()
	at := int32(0)
	for e, n := range counts {
		if offsets[e] != at {
			t.Fatalf("Offsets %v for counts %v", offsets, counts)
		}
		for i, x := range choice {
			if int(x) == e {
				if slot[i] != at {
					t.Fatalf("slot of pair %d is %d, want %d", i, slot[i], at)
				}
				at++
			}
		}
		if at-offsets[e] != n {
			t.Fatalf("count of expert %d is %d, want %d", e, n, at-offsets[e])
		}
	}
	if offsets[len(counts)] != at || int(at) != len(choice) {
		t.Fatalf("Offsets end at %d of %d", offsets[len(counts)], len(choice))
	}
}

func TestRouteTies(t *testing.T) {
	eachISA(t, func(t *testing.T, isa string) {
		r := newRig(t, isa, 1)
		logits := r.given("Logits", []float64{0, 0, 0, 0, 1, 5, 1, 5, 1e4, -1e4, 1e4, 0}, 3, 4)
		index, probs := r.outInts("Index", 3, 2), r.out("Probs", 3, 4)
		r.run(kernels.Route{
			Probs: probs, Index: index, Weight: r.out("Weight", 3, 2),
			Slot: r.outInts("Slot", 3, 2), Offsets: r.outInts("Offsets", 5), Logits: logits,
		})
		if got, want := r.getInts(index), []int32{0, 1, 1, 3, 0, 2}; !slices.Equal(got, want) {
			t.Errorf("Index %v, want %v", got, want)
		}
		near(t, "Probs of huge logits", r.get(probs)[8:], []float64{0.5, 0, 0.5, 0}, 1e-6)
	})
}

// TestExperts checks the way through the experts, dispatch to combine, against a loop
// over tokens.
func TestExperts(t *testing.T) {
	eachISA(t, func(t *testing.T, isa string) {
		rapid.Check(t, func(rt *rapid.T) {
			n, d, f := rapid.IntRange(1, 7).Draw(rt, "N"), rapid.IntRange(1, 9).Draw(rt, "d"), rapid.IntRange(1, 19).Draw(rt, "f")
			e := rapid.IntRange(1, 4).Draw(rt, "E")
			k := rapid.IntRange(1, e).Draw(rt, "k")
			r := newRig(t, isa, rapid.Uint64().Draw(rt, "seed"))
			z := r.in("Logits", n, e)
			_, choice, _, _ := refRoute(r.fill[z], e, k, true)
			slot, offsets := r.outInts("Slot", n, k), r.outInts("Offsets", e+1)
			route := kernels.Route{
				Probs: r.out("Probs", n, e), Index: r.outInts("Index", n, k), Weight: r.out("Unused", n, k),
				Slot: slot, Offsets: offsets, Logits: z, Raw: true,
			}
			x, w, weight := r.in("X", n, d), r.in("W", e, f, d), r.in("Weight", n, k)
			xs, ys, y := r.out("XS", n*k, d), r.out("YS", n*k, f), r.in("Y", n, f)
			dy, dys, dweight := r.in("DY", n, f), r.out("DYS", n*k, f), r.out("DWeight", n, k)
			dxs, dw, dx := r.out("DXS", n*k, d), r.in("DW", e, f, d), r.out("DX", n, d)
			r.run(
				route,
				kernels.Dispatch{Y: xs, X: x, Slot: slot},
				kernels.GroupMatMul{Y: ys, A: xs, W: w, Offsets: offsets, TransW: true, Alpha: 0.5},
				kernels.Combine{Y: y, X: ys, Slot: slot, Weight: weight, Scale: 3, Add: true},
				kernels.CombineGrad{DX: dys, DWeight: dweight, DY: dy, X: ys, Slot: slot, Weight: weight, Scale: 3},
				kernels.GroupMatMul{Y: dxs, A: dys, W: w, Offsets: offsets, Alpha: 0.5},
				kernels.GroupMatMulGrad{DW: dw, DY: dys, X: xs, Offsets: offsets, Alpha: 0.5, Add: true},
				kernels.Combine{Y: dx, X: dxs, Slot: slot},
			)
			ref := func(x, w, weight []float64) []float64 {
				y := make([]float64, n*f)
				for i, c := range choice {
					row := refLinear(x[i/k*d:(i/k+1)*d], w[int(c)*f*d:(int(c)+1)*f*d], d, f)
					for j, v := range row {
						y[i/k*f+j] += 3 * 0.5 * weight[i] * v
					}
				}
				return y
			}
			a, b, c, up := r.fill[x], r.fill[w], r.fill[weight], r.fill[dy]
			near(t, "Y", r.get(y), plus(ref(a, b, c), r.fill[y]), tol)
			near(t, "DX", r.get(dx), slope(func(a []float64) []float64 { return ref(a, b, c) }, a, up), 1e-5)
			near(t, "DW", r.get(dw), plus(slope(func(b []float64) []float64 { return ref(a, b, c) }, b, up), r.fill[dw]), 1e-5)
			near(t, "DWeight", r.get(dweight), slope(func(c []float64) []float64 { return ref(a, b, c) }, c, up), 1e-5)
		})
	})
}
