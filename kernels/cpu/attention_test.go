package cpu

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/etastar/etastar/kernels"
)

func drawHeads(rt *rapid.T) kernels.Heads {
	kv := rapid.IntRange(1, 2).Draw(rt, "kv heads")
	return kernels.Heads{
		Query: kv * rapid.IntRange(1, 3).Draw(rt, "group"), KeyValue: kv,
		Dim: 2 * rapid.IntRange(1, 9).Draw(rt, "dim/2"),
	}
}

func TestQKNormRope(t *testing.T) {
	eachISA(t, func(t *testing.T, isa string) {
		rapid.Check(t, func(rt *rapid.T) {
			h := drawHeads(rt)
			norm, theta := rapid.Bool().Draw(rt, "norm"), rapid.SampledFrom([]float64{0, 100, 1e6}).Draw(rt, "theta")
			r := newRig(t, isa, rapid.Uint64().Draw(rt, "seed"))
			ids := []int32{0, 5, 2}
			n, wide, narrow := 3, (h.Query+2*h.KeyValue)*h.Dim, (h.Query+h.KeyValue)*h.Dim
			qkv, pos := r.in("QKV", n, wide), r.indices("Positions", ids, n)
			qk, dqk := r.out("QK", n, narrow), r.in("DQK", n, narrow)
			dqkv := r.in("DQKV", n, wide)
			fwd := kernels.QKNormRope{QK: qk, QKV: qkv, Positions: pos, Heads: h, Theta: theta, MaxPosition: 6, Eps: 1e-3}
			bwd := kernels.QKNormRopeGrad{DQKV: dqkv, DQK: dqk, QKV: qkv, Positions: pos, Heads: h, Theta: theta, MaxPosition: 6}
			var qg, kg []float64
			if norm {
				fwd.QGain, fwd.KGain, fwd.RStd = r.in("QGain", h.Dim), r.in("KGain", h.Dim), r.out("RStd", n, h.Query+h.KeyValue)
				bwd.QGain, bwd.KGain, bwd.RStd = fwd.QGain, fwd.KGain, fwd.RStd
				bwd.DQGain, bwd.DKGain = r.in("DQGain", h.Dim), r.in("DKGain", h.Dim)
				qg, kg = r.fill[fwd.QGain], r.fill[fwd.KGain]
			}
			r.run(fwd, bwd)
			ref := func(x []float64) []float64 { return refQKNormRope(x, qg, kg, ids, h, theta, 1e-3) }
			x, w := r.fill[qkv], r.fill[dqk]
			near(t, "QK", r.get(qk), ref(x), tol)
			want := slope(ref, x, w)
			for i := range want { // values are left as they were
				if i%wide >= narrow {
					want[i] = r.fill[dqkv][i]
				}
			}
			near(t, "DQKV", r.get(dqkv), want, 1e-5)
			if norm {
				wantQ := slope(func(g []float64) []float64 { return refQKNormRope(x, g, kg, ids, h, theta, 1e-3) }, qg, w)
				wantK := slope(func(g []float64) []float64 { return refQKNormRope(x, qg, g, ids, h, theta, 1e-3) }, kg, w)
				near(t, "DQGain", r.get(bwd.DQGain), plus(wantQ, r.fill[bwd.DQGain]), 1e-5)
				near(t, "DKGain", r.get(bwd.DKGain), plus(wantK, r.fill[bwd.DKGain]), 1e-5)
			}
		})
	})
}

func checkAttention(t testing.TB, isa string, h kernels.Heads, sequences, seq int, scale float32, size float64, seed uint64, samples int) {
	t.Helper()
	r := newRig(t, isa, seed)
	n, wide, narrow := sequences*seq, (h.Query+2*h.KeyValue)*h.Dim, (h.Query+h.KeyValue)*h.Dim
	qk, qkv := r.in("QK", n, narrow), r.in("QKV", n, wide)
	for i := range r.fill[qk] {
		r.fill[qk][i] = float64(float32(r.fill[qk][i] * size))
	}
	y, lse, largest := r.out("Y", n, h.Query*h.Dim), r.out("LSE", n, h.Query), r.out("MaxLogit", h.Query)
	dy, dqk := r.in("DY", n, h.Query*h.Dim), r.out("DQK", n, narrow)
	dqkv := r.out("DQKV", n, wide)
	r.run(
		kernels.Attention{Y: y, LSE: lse, MaxLogit: largest, QK: qk, QKV: qkv, Heads: h, Seq: seq, Scale: scale},
		kernels.AttentionGrad{DQK: dqk, DQKV: dqkv, DY: dy, Y: y, LSE: lse, QK: qk, QKV: qkv, Heads: h, Seq: seq, Scale: scale},
	)
	x, v := r.fill[qk], r.fill[qkv]
	wantY, wantLSE, wantMax := refAttention(x, v, h, seq, float64(scale))
	near(t, "Y", r.get(y), wantY, 2e-5)
	near(t, "LSE", r.get(lse), wantLSE, 2e-6)
	near(t, "MaxLogit", r.get(largest), wantMax, 2e-6)
	gotQK, gotV := r.get(dqk), r.get(dqkv)
	for i := range gotV { // only the value columns are attention's
		if (i%wide < narrow) != math.IsNaN(gotV[i]) {
			t.Fatalf("DQKV[%d] is %v", i, gotV[i])
		}
	}
	for range samples {
		i, j := r.rng.IntN(len(x)), r.rng.IntN(n)*wide+narrow+r.rng.IntN(wide-narrow)
		wantQK := slopeAt(func(x []float64) []float64 {
			y, _, _ := refAttention(x, v, h, seq, float64(scale))
			return y
		}, x, r.fill[dy], i)
		wantV := slopeAt(func(v []float64) []float64 {
			y, _, _ := refAttention(x, v, h, seq, float64(scale))
			return y
		}, v, r.fill[dy], j)
		near(t, "DQK", []float64{gotQK[i], 1}, []float64{wantQK, 1}, 2e-5)
		near(t, "DQKV", []float64{gotV[j], 1}, []float64{wantV, 1}, 2e-5)
	}
}

func TestAttention(t *testing.T) {
	eachISA(t, func(t *testing.T, isa string) {
		rapid.Check(t, func(rt *rapid.T) {
			checkAttention(t, isa, drawHeads(rt), rapid.IntRange(1, 2).Draw(rt, "sequences"),
				rapid.IntRange(1, 12).Draw(rt, "seq"), 0.3, 1, rapid.Uint64().Draw(rt, "seed"), 20)
		})
	})
}

// TestAttentionBlocks covers several blocks of queries and of keys.
func TestAttentionBlocks(t *testing.T) {
	eachISA(t, func(t *testing.T, isa string) {
		checkAttention(t, isa, kernels.Heads{Query: 2, KeyValue: 1, Dim: 34}, 2, 531, 0.2, 1, 1, 1)
		checkAttention(t, isa, kernels.Heads{Query: 1, KeyValue: 1, Dim: 4}, 1, 301, 0.5, 1, 2, 20)
	})
}

// TestAttentionHugeLogits has logits of thousands, which overflow a plain softmax.
func TestAttentionHugeLogits(t *testing.T) {
	eachISA(t, func(t *testing.T, isa string) {
		r := newRig(t, isa, 3)
		h := kernels.Heads{Query: 1, KeyValue: 1, Dim: 2}
		// Keys grow so that every query attends to the last key alone.
		const seq = 300
		var qk, qkv, want []float64
		for i := range seq {
			qk = append(qk, 100, 0, float64(100*i), 0)
			qkv = append(qkv, 0, 0, 0, 0, float64(i), 1)
			want = append(want, float64(i), 1)
		}
		a, b := r.given("QK", qk, seq, 4), r.given("QKV", qkv, seq, 6)
		y, lse := r.out("Y", seq, 2), r.out("LSE", seq, 1)
		r.run(kernels.Attention{Y: y, LSE: lse, QK: a, QKV: b, Heads: h, Seq: seq, Scale: 1})
		near(t, "Y", r.get(y), want, 0)
	})
}
