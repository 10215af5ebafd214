package cuda

import (
	"fmt"
	"math"
	"testing"

	"github.com/etastar/etastar/kernels"
)

func TestMatMul(t *testing.T) {
	for i, s := range [][3]int{{1, 1, 1}, {64, 64, 64}, {200, 72, 136}, {130, 257, 65}, {33, 300, 1030}, {512, 384, 2048}, {24, 40, 4096}, {1000, 520, 600}} {
		for v := range 8 {
			m, n, k, ta, tb, add := s[0], s[1], s[2], v&1 > 0, v&2 > 0, v&4 > 0
			t.Run(fmt.Sprint(m, n, k, ta, tb, add), func(t *testing.T) {
				r := newRig(t, uint64(8*i+v))
				order := func(a, b int, trans bool) []int {
					if trans {
						return []int{b, a}
					}
					return []int{a, b}
				}
				a, b := r.in("A", order(m, k, ta)...), r.in("B", order(k, n, tb)...)
				y := r.out("Y", single, m, n)
				if add {
					y = r.compare(r.in("Y0", m, n), single)
				}
				// A product that another one reads is in bfloat16.
				z, w := r.out("Z", half, m, n), r.out("W", 2*half, m, m)
				r.run(kernels.MatMul{Y: y, A: a, B: b, TransA: ta, TransB: tb, Add: add, Alpha: 0.5},
					kernels.MatMul{Y: z, A: a, B: b, TransA: ta, TransB: tb},
					kernels.MatMul{Y: w, A: z, B: z, TransB: true, Alpha: 0.01})
			})
		}
	}
}

func TestEmbed(t *testing.T) {
	for i, s := range [][3]int{{6, 7, 13}, {500, 300, 64}, {700, 1000, 20}, {3000, 40, 128}, {2048, 9000, 8}} {
		for _, class := range []kernels.Class{kernels.Shared, kernels.PerRun} {
			r := newRig(t, uint64(i))
			n, v, d := s[0], s[1], s[2]
			ids := make([]int32, n)
			for j := range ids {
				ids[j] = int32(max(0, r.rng.IntN(v*3/2)-v/2)) // a third of them equal
			}
			tokens := r.indices("Tokens", class, ids, n)
			r.run(kernels.Embed{Y: r.out("Y", 0, n, d), Table: r.in("Table", v, d), Tokens: tokens, Scale: 2},
				kernels.EmbedGrad{DTable: r.compare(r.in("DTable", v, d), single), DY: r.in("DY", n, d), Tokens: tokens, Scale: 3})
		}
	}
}

func TestRMSNorm(t *testing.T) {
	for i, s := range [][2]int{{1, 3}, {5, 7}, {33, 40}, {100, 64}, {77, 128}, {300, 256}, {65, 500}, {50, 768}, {40, 1024}, {20, 1500}} {
		for v := range 4 {
			n, d, residual, add := s[0], s[1], v&1 > 0, v&2 > 0
			r := newRig(t, uint64(4*i+v))
			x, gain, rstd := r.in("X", n, d), r.in("Gain", d), r.out("RStd", single, n)
			op := kernels.RMSNorm{Y: r.out("Y", half, n, d), X: x, Gain: gain, RStd: rstd, Eps: 1e-3}
			if residual {
				op.Residual, op.Sum, op.ResidualScale = r.in("Residual", n, d), r.out("Sum", single, n, d), 0.25
				x = op.Sum
			}
			dx := r.out("DX", single, n, d)
			if add {
				dx = r.compare(r.in("DX0", n, d), single)
			}
			// A product reads the gradient too, so it has a copy in bfloat16.
			r.run(op, kernels.RMSNormGrad{DX: dx, DGain: r.compare(r.in("DGain", d), single), DY: r.in("DY", n, d), X: x, Gain: gain, RStd: rstd, Add: add},
				kernels.MatMul{Y: r.out("P", 2*half, n, n), A: dx, B: dx, TransB: true})
		}
	}
}

func TestSwiGLU(t *testing.T) {
	for i, f := range []int{1, 8, 37, 64, 200} {
		r := newRig(t, uint64(i))
		x, n := r.scaled("X", 3, 50, 2*f), 50
		r.run(kernels.SwiGLU{Y: r.out("Y", half, n, f), X: x},
			kernels.SwiGLUGrad{DX: r.out("DX", half, n, 2*f), DY: r.in("DY", n, f), X: x})
	}
}

// TestProductSwiGLU: what is done in one go gives what the operations give one by one.
func TestProductSwiGLU(t *testing.T) {
	for i, s := range [][3]int{{1, 8, 8}, {200, 72, 40}, {130, 128, 64}, {515, 264, 200}, {77, 100, 24}, {2600, 520, 520}} {
		for _, kept := range []bool{false, true} {
			r := newRig(t, uint64(i))
			n, f, d := s[0], s[1], s[2]
			gateUp, dact := r.space.Float("gate up", kernels.Scratch, n, 2*f), r.space.Float("dact", kernels.Scratch, n, f)
			x, w := r.in("X", n, d), r.in("W", 2*f, d)
			ops := []kernels.Op{
				kernels.MatMul{Y: gateUp, A: x, B: w, TransB: true, Alpha: 0.5},
				kernels.SwiGLU{Y: r.out("Act", 2*half, n, f), X: gateUp},
			}
			if kept {
				dy, down := r.in("DY", n, d), r.in("Down", d, f)
				ops = append(ops, kernels.MatMul{Y: dact, A: dy, B: down, Alpha: 0.25},
					kernels.MatMul{Y: r.compare(r.in("DDown", d, d), 2*half), A: dy, B: x, TransA: true, Add: true},
					kernels.SwiGLUGrad{DX: r.out("DGateUp", 3*half, n, 2*f), DY: dact, X: gateUp})
			}
			r.run(ops...)
		}
	}
}

func TestAttention(t *testing.T) {
	for i, c := range []struct {
		heads          kernels.Heads
		sequences, seq int
	}{
		{kernels.Heads{Query: 1, KeyValue: 1, Dim: 8}, 1, 5},
		{kernels.Heads{Query: 2, KeyValue: 1, Dim: 16}, 3, 33},
		{kernels.Heads{Query: 3, KeyValue: 3, Dim: 24}, 2, 130},
		{kernels.Heads{Query: 4, KeyValue: 2, Dim: 32}, 2, 64},
		{kernels.Heads{Query: 4, KeyValue: 1, Dim: 64}, 2, 257},
		{kernels.Heads{Query: 2, KeyValue: 1, Dim: 32}, 2, 300},
		{kernels.Heads{Query: 2, KeyValue: 2, Dim: 40}, 1, 190},
		{kernels.Heads{Query: 2, KeyValue: 2, Dim: 96}, 1, 128},
		{kernels.Heads{Query: 6, KeyValue: 2, Dim: 128}, 1, 200},
	} {
		for v := range 3 {
			t.Run(fmt.Sprint(c, v), func(t *testing.T) {
				r := newRig(t, uint64(3*i+v))
				h, n := c.heads, c.sequences*c.seq
				all, pair := (h.Query+2*h.KeyValue)*h.Dim, (h.Query+h.KeyValue)*h.Dim
				ids := make([]int32, n)
				for j := range ids {
					ids[j] = int32(j % c.seq)
				}
				class, theta := kernels.Shared, 1e4
				if v == 1 {
					class = kernels.PerRun
				}
				if v == 2 {
					theta = 0
				}
				pos := r.indices("Positions", class, ids, n)
				qkv := r.in("QKV", n, all)
				fwd := kernels.QKNormRope{QK: r.out("QK", half, n, pair), QKV: qkv, Positions: pos, Heads: h, Theta: theta, MaxPosition: c.seq, Eps: 1e-3}
				dqk, dqkv := r.out("DQK", 4*half, n, pair), r.out("DQKV", 4*half, n, all)
				bwd := kernels.QKNormRopeGrad{DQKV: dqkv, DQK: dqk, QKV: qkv, Positions: pos, Heads: h, Theta: theta, MaxPosition: c.seq}
				if v < 2 {
					fwd.QGain, fwd.KGain, fwd.RStd = r.in("QGain", h.Dim), r.in("KGain", h.Dim), r.out("RStd", single, n, h.Query+h.KeyValue)
					bwd.QGain, bwd.KGain, bwd.RStd = fwd.QGain, fwd.KGain, fwd.RStd
					bwd.DQGain, bwd.DKGain = r.compare(r.in("DQGain", h.Dim), 3*half), r.compare(r.in("DKGain", h.Dim), 3*half)
				}
				y, lse := r.out("Y", half, n, h.Query*h.Dim), r.out("LSE", half, n, h.Query)
				scale := float32(1 / math.Sqrt(float64(h.Dim)))
				r.run(fwd,
					kernels.Attention{Y: y, LSE: lse, MaxLogit: r.out("MaxLogit", half, h.Query), QK: fwd.QK, QKV: qkv, Heads: h, Seq: c.seq, Scale: scale},
					kernels.AttentionGrad{DQK: dqk, DQKV: dqkv, DY: r.in("DY", n, h.Query*h.Dim), Y: y, LSE: lse, QK: fwd.QK, QKV: qkv, Heads: h, Seq: c.seq, Scale: scale},
					bwd)
			})
		}
	}
}

func TestExperts(t *testing.T) {
	for i, c := range []struct{ n, d, f, e, k int }{{1, 8, 8, 1, 1}, {50, 40, 24, 6, 2}, {300, 64, 96, 16, 4}, {130, 13, 9, 5, 3}, {500, 128, 72, 100, 8}} {
		for _, raw := range []bool{false, true} {
			t.Run(fmt.Sprint(c, raw), func(t *testing.T) {
				r := newRig(t, uint64(i))
				n, d, f, e, k := c.n, c.d, c.f, c.e, c.k
				logits := r.in("Logits", n, e)
				index, slot, offsets := r.outInts("Index", n, k), r.outInts("Slot", n, k), r.outInts("Offsets", e+1)
				weight, probs, counts := r.out("Weight", single, n, k), r.out("Probs", single, n, e), r.outInts("Counts", e)
				x, w := r.in("X", n, d), r.in("W", e, f, d)
				xs, ys, y := r.out("XS", 0, n*k, d), r.out("YS", half, n*k, f), r.compare(r.in("Y", n, f), 2*half)
				dy, dys, dweight := r.in("DY", n, f), r.out("DYS", 2*half, n*k, f), r.out("DWeight", 2*half, n, k)
				dxs, dw, dx := r.out("DXS", 2*half, n*k, d), r.compare(r.in("DW", e, f, d), 2*half), r.out("DX", 2*half, n, d)
				r.run(
					kernels.Route{
						Probs: probs, Index: index, Weight: weight, Slot: slot, Offsets: offsets, Counts: counts,
						Loss: r.out("Loss", single, 1), Logits: logits, Raw: raw,
					},
					kernels.RouteGrad{
						DLogits: r.out("DLogits", 1e-4, n, e), DWeight: r.in("DWeight0", n, k), Probs: probs, Index: index, Weight: weight, Offsets: offsets,
						Raw: raw, Coefficient: 0.2, Scale: r.in("Scale", 1),
					},
					kernels.Dispatch{Y: xs, X: x, Slot: slot},
					kernels.GroupMatMul{Y: ys, A: xs, W: w, Offsets: offsets, TransW: true, Alpha: 0.5},
					kernels.Combine{Y: y, X: ys, Slot: slot, Weight: weight, Scale: 3, Add: true},
					kernels.CombineGrad{DX: dys, DWeight: dweight, DY: dy, X: ys, Slot: slot, Weight: weight, Scale: 3},
					kernels.GroupMatMul{Y: dxs, A: dys, W: w, Offsets: offsets, Alpha: 0.5},
					kernels.GroupMatMulGrad{DW: dw, DY: dys, X: xs, Offsets: offsets, Alpha: 0.5, Add: true},
					kernels.Combine{Y: dx, X: dxs, Slot: slot},
				)
			})
		}
	}
}

func TestHead(t *testing.T) {
	for i, c := range []struct{ n, d, v, chunk int }{{9, 8, 40, 4}, {100, 64, 300, 0}, {257, 40, 1031, 100}, {64, 24, 5000, 0}, {40, 16, 20000, 0}, {40, 16, 40000, 32}, {20, 8, 70001, 0}} {
		for v := range 3 {
			t.Run(fmt.Sprint(c, v), func(t *testing.T) {
				r := newRig(t, uint64(i))
				ids := make([]int32, c.n)
				for j := range ids {
					ids[j] = int32(r.rng.IntN(c.v+c.v/8) - c.v/8)
				}
				x, w := r.scaled("X", 0.5, c.n, c.d), r.in("W", c.v, c.d)
				op := kernels.Head{
					Loss: r.out("Loss", half, c.n), X: x, W: w, Targets: r.indices("Targets", kernels.Shared, ids, c.n), Chunk: c.chunk,
				}
				if v > 0 {
					op.LSE, op.ZLoss, op.Scale = r.out("LSE", half, c.n), 0.01, r.in("Scale", 1)
					op.DX, op.DW, op.Multiplier = r.out("DX", 3*half, c.n, c.d), r.compare(r.scaled("DW", 0.01, c.v, c.d), 3*half), 0.5
				}
				if v == 2 {
					op.DW = 0
					r.outs = r.outs[:len(r.outs)-1]
				}
				r.run(op)
			})
		}
	}
}

func TestElementwise(t *testing.T) {
	for i, n := range []int{1, 7, 105, 5000, 20000} {
		r := newRig(t, uint64(i))
		a, b := r.in("A", n), r.in("B", n)
		x := r.space.Float("scratch", kernels.Scratch, n)
		gone, ints := r.compare(r.in("Gone", n), 0), r.outInts("Ints", n)
		parts := r.in("Parts", 3, 5)
		r.compare(parts, 0)
		ring, cursor := r.compare(r.in("Ring", 3, 2), 0), r.compare(r.indices("Cursor", kernels.PerRun, []int32{8}, 1), 0)
		r.run(
			kernels.Blend{Y: r.out("Y", single, n), A: a, B: b, Alpha: 2, Beta: -3},
			kernels.Blend{Y: r.out("Z", 0, n), A: a},
			kernels.Blend{Y: x, A: a, Alpha: 3},
			kernels.Copy{Y: []kernels.Buffer{r.out("C", single, n)}, X: []kernels.Buffer{x}},
			kernels.Copy{Y: []kernels.Buffer{r.out("E", 0, 1, 5), r.out("D", 0, n)}, X: []kernels.Buffer{r.space.View("row", parts, 2, 1), a}},
			kernels.Zero{Y: []kernels.Buffer{gone, ints, r.space.View("part", parts, 1, 1)}},
			kernels.Sum{Y: r.compare(r.in("Sum", 1), 1e-4), X: a, Scale: 0.5, Add: true},
			kernels.Stats{X: []kernels.Buffer{a, b}, Out: r.out("Stats", single, 2, 3)},
			kernels.Stats{X: []kernels.Buffer{x}, Out: r.out("One", single, 1, 3)},
			kernels.Log{Ring: ring, Cursor: cursor, X: []kernels.Buffer{r.in("P", 1), r.in("Q", 1)}},
			kernels.Log{Ring: ring, Cursor: cursor, X: []kernels.Buffer{r.in("R", 1), r.in("S", 1)}},
		)
	}
}

func TestOptimizer(t *testing.T) {
	for _, limit := range []float32{0, 1, 1e6} {
		for _, bad := range []bool{false, true} {
			r := newRig(t, 1)
			op := kernels.AdamW{Clip: r.out("Clip", single, 1)}
			norm := kernels.GradNorm{Norm: r.out("Norm", single, 1), Clip: op.Clip, MaxNorm: r.fill("MaxNorm", func(int) []float32 { return []float32{limit} }, 1)}
			var table []float32
			for i, shape := range [][]int{{1}, {30}, {4096}, {9001}, {512, 33}} {
				op.Params = append(op.Params, r.compare(r.in(fmt.Sprint("P", i), shape...), single))
				op.Grads = append(op.Grads, r.in(fmt.Sprint("G", i), shape...))
				op.M = append(op.M, r.compare(r.in(fmt.Sprint("M", i), shape...), single))
				v := r.compare(r.in(fmt.Sprint("V", i), shape...), single)
				for run := range rigRuns {
					for j, x := range r.given[v](run) {
						r.given[v](run)[j] = float32(math.Abs(float64(x)))
					}
				}
				op.V = append(op.V, v)
				row := make([]float32, kernels.AdamFields)
				kernels.Adam{LR: 1e-2, WeightDecay: 0.1, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Step: 1 + 10*i}.Row(row)
				table = append(table, row...)
			}
			if bad {
				r.given[op.Grads[1]](0)[7] = float32(math.Inf(1))
			}
			norm.Grads = op.Grads
			op.Table = r.fill("Table", func(int) []float32 { return table }, len(op.Params), kernels.AdamFields)
			// A product reads the last parameter: its copy must be that of the update.
			last := op.Params[len(op.Params)-1]
			r.run(norm, op, kernels.MatMul{Y: r.out("Y", half, 512, 512), A: last, B: last, TransB: true})
		}
	}
}
