package mup_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/etastar/etastar/mup"
	"pgregory.net/rapid"
)

func TestGolden(t *testing.T) {
	for _, r := range mup.Published() {
		t.Run(r.Name, func(t *testing.T) {
			target := baseFor(r)
			by := map[mup.Dim]int{mup.Width: 16, mup.Depth: 8, mup.Experts: 4, mup.FFNRatio: 2, mup.HeadDim: 2, mup.Batch: 8, mup.Horizon: 64}
			for _, d := range mup.Dims() {
				if n := by[d]; n > 0 && r.Covered(d) && (d != mup.Experts || target.IsMoE()) {
					target = grown(target, d, n)
				}
			}
			got := r.String() + "\n" + transfer(t, usable(t, r), baseFor(r), target, hyper()).String()
			golden(t, "rules/"+r.Name+".golden", got)
		})
	}
}

// expected is what parametrizations.md states, written out a second time: exponents of
// one dimension by rule, module and quantity.
var expected = []struct {
	rule     string
	modules  []mup.Module
	quantity mup.Quantity
	dim      mup.Dim
	exponent float64
}{
	{"sp", matrices, mup.LR, mup.Width, 0},
	{"sp", readers, mup.InitStd, mup.Width, -0.5},
	{"sp", []mup.Module{mup.AttentionO, mup.MLPDown}, mup.InitStd, mup.Depth, -0.5},

	{"mup", matrices, mup.LR, mup.Width, -1},
	{"mup", matrices, mup.InitStd, mup.Width, -0.5},
	{"mup", matrices, mup.WeightDecay, mup.Width, 1},
	{"mup", vectors, mup.LR, mup.Width, 0},
	{"mup", []mup.Module{mup.Head}, mup.Multiplier, mup.Width, -1},
	{"mup", []mup.Module{mup.AttnLogits}, mup.Multiplier, mup.HeadDim, -1},

	{"mup_simple", matrices, mup.LR, mup.Width, -1},
	{"mup_simple", matrices, mup.InitStd, mup.Width, -0.5},
	{"mup_simple", []mup.Module{mup.Embedding}, mup.InitStd, mup.Width, 0},
	{"mup_simple", vectors, mup.LR, mup.Width, 0},
	{"mup_simple", []mup.Module{mup.Head}, mup.Multiplier, mup.Width, -1},
	{"mup_simple", []mup.Module{mup.AttnLogits}, mup.Multiplier, mup.HeadDim, -1},

	{"depth_mup", []mup.Module{mup.Residual}, mup.Multiplier, mup.Depth, -0.5},
	{"depth_mup", matrices, mup.LR, mup.Depth, -0.5},
	{"depth_mup", []mup.Module{mup.Norm, mup.QKNorm}, mup.LR, mup.Depth, -0.5},
	{"depth_mup", []mup.Module{mup.Embedding, mup.FinalNorm}, mup.LR, mup.Depth, 0},
	{"depth_mup", matrices, mup.Eps, mup.Depth, -0.5},
	{"depth_mup", matrices, mup.LR, mup.Width, -1},

	{"completep", []mup.Module{mup.Residual}, mup.Multiplier, mup.Depth, -1},
	{"completep", matrices, mup.LR, mup.Depth, 0},
	{"completep", matrices, mup.LR, mup.Width, -1},
	{"completep", matrices, mup.WeightDecay, mup.Width, 1},
	{"completep", matrices, mup.Eps, mup.Width, -1},
	{"completep", matrices, mup.Eps, mup.Depth, -1},

	{"completep_dp", append(matrices, vectors...), mup.LR, mup.Batch, 0.5},
	{"completep_dp", append(matrices, vectors...), mup.LR, mup.Horizon, -0.5},
	{"completep_dp", matrices, mup.WeightDecay, mup.Batch, 0.5},
	{"completep_dp", matrices, mup.WeightDecay, mup.Horizon, -0.5},
	{"completep_dp", []mup.Module{mup.Embedding}, mup.Eps, mup.Width, -1},
	{"completep_dp", matrices, mup.LR, mup.Width, -1},

	{"moe_mup", []mup.Module{mup.Router, mup.ExpertGateUp}, mup.InitStd, mup.Width, -0.5},
	{"moe_mup", []mup.Module{mup.Router, mup.ExpertGateUp, mup.ExpertDown}, mup.LR, mup.Width, -1},
	{"moe_mup", []mup.Module{mup.ExpertDown}, mup.InitStd, mup.Width, -0.5},
	{"moe_mup", []mup.Module{mup.ExpertDown}, mup.InitStd, mup.FFNRatio, -1},
	{"moe_mup", []mup.Module{mup.ExpertDown}, mup.LR, mup.FFNRatio, -1},
	{"moe_mup", []mup.Module{mup.ExpertGateUp, mup.Router}, mup.LR, mup.FFNRatio, 0},
	{"moe_mup", []mup.Module{mup.ExpertGateUp, mup.ExpertDown, mup.Router}, mup.LR, mup.Experts, 0},
	{"moe_mup", []mup.Module{mup.Residual}, mup.Multiplier, mup.Depth, -1},

	{"moe_width", []mup.Module{mup.ExpertGateUp, mup.ExpertDown, mup.AttentionQ}, mup.LR, mup.Width, -1},
	{"moe_width", []mup.Module{mup.ExpertGateUp, mup.ExpertDown, mup.AttentionQ}, mup.InitStd, mup.Width, -0.5},
	{"moe_width", []mup.Module{mup.Router, mup.Head}, mup.Multiplier, mup.Width, -1},
	{"moe_width", []mup.Module{mup.Router, mup.ExpertGateUp}, mup.LR, mup.Experts, 0},

	{"minicpm", matrices, mup.InitStd, mup.Width, -0.5},
	{"minicpm", matrices, mup.LR, mup.Width, -1},
	{"minicpm", []mup.Module{mup.Head}, mup.Multiplier, mup.Width, -1},
	{"minicpm", []mup.Module{mup.Residual}, mup.Multiplier, mup.Depth, -0.5},

	{"umup", matrices, mup.LR, mup.Width, -0.5},
	{"umup", matrices, mup.LR, mup.Depth, -0.5},
	{"umup", []mup.Module{mup.Embedding}, mup.LR, mup.Width, -0.5},
	{"umup", []mup.Module{mup.Head}, mup.LR, mup.Width, 0},
	{"umup", matrices, mup.InitStd, mup.Width, 0},

	{"horizon_bjorck", append(matrices, vectors...), mup.LR, mup.Horizon, -0.32},
	{"horizon_delphi", append(matrices, vectors...), mup.LR, mup.Horizon, -0.3},
	{"horizon_zhou", append(matrices, vectors...), mup.LR, mup.Horizon, -0.3509},
	{"completep+horizon_zhou", matrices, mup.LR, mup.Horizon, -0.3509},
	{"completep+horizon_zhou", matrices, mup.LR, mup.Width, -1},
	{"moe_mup+horizon_bjorck", []mup.Module{mup.Router, mup.ExpertDown}, mup.LR, mup.Horizon, -0.32},
}

var (
	matrices = []mup.Module{mup.AttentionQ, mup.AttentionK, mup.AttentionV, mup.AttentionO, mup.MLPGateUp, mup.MLPDown}
	readers  = []mup.Module{mup.AttentionQ, mup.AttentionK, mup.AttentionV, mup.MLPGateUp}
	vectors  = []mup.Module{mup.Embedding, mup.QKNorm, mup.Norm, mup.FinalNorm}
)

// TestExponents recovers every stated exponent from values alone: the slope of ln value
// on ln size over widths 64-4096 and as many octaves of the other dimensions.
func TestExponents(t *testing.T) {
	for _, e := range expected {
		r := usable(t, find(t, e.rule))
		base := denseShape()
		if isMoE(strings.SplitN(e.rule, "+", 2)[0]) {
			base = moeShape()
		}
		base = grown(base, mup.Width, 1)
		base.Width, base.Heads, base.HeadDim, base.DFF, base.DFFExpert = 64, 64, 8, base.DFF/4, base.DFFExpert/4
		for _, m := range e.modules {
			var x, y []float64
			for octave := range 7 {
				target := grown(base, e.dim, 1<<octave)
				x = append(x, math.Log(float64(int(1)<<octave)))
				y = append(y, math.Log(row(t, transfer(t, r, base, target, hyper()), m).Target.Of(e.quantity)))
			}
			if got, residual := slope(x, y); math.Abs(got-e.exponent) > 1e-12 || residual > 1e-12 {
				t.Errorf("%s %s.%s %s: recovered %v (residual %g), stated %v", e.rule, m, e.quantity, e.dim, got, residual, e.exponent)
			}
		}
	}
}

// slope is the least-squares slope and the largest residual.
func slope(x, y []float64) (float64, float64) {
	mx, my := mean(x), mean(y)
	var xy, xx, worst float64
	for i := range x {
		xy += (x[i] - mx) * (y[i] - my)
		xx += (x[i] - mx) * (x[i] - mx)
	}
	b := xy / xx
	for i := range x {
		worst = max(worst, math.Abs(y[i]-my-b*(x[i]-mx)))
	}
	return b, worst
}

func mean(x []float64) (s float64) {
	for _, v := range x {
		s += v / float64(len(x))
	}
	return s
}

// drawShape draws a model and its run.
func drawShape(t *rapid.T, moe bool) mup.Shape {
	s := mup.Shape{
		Width: 8 * rapid.IntRange(1, 1024).Draw(t, "width"), Depth: rapid.IntRange(1, 200).Draw(t, "depth"),
		Heads: rapid.IntRange(1, 64).Draw(t, "heads"), HeadDim: 2 * rapid.IntRange(1, 128).Draw(t, "head_dim"),
		Vocab: rapid.IntRange(2, 1<<18).Draw(t, "vocab"), Tied: rapid.Bool().Draw(t, "tied"),
		BatchTokens: rapid.Float64Range(1, 1e8).Draw(t, "batch"), HorizonTokens: rapid.Float64Range(1, 1e14).Draw(t, "horizon"),
	}
	if moe {
		s.Experts = rapid.IntRange(1, 512).Draw(t, "experts")
		s.TopK, s.DFFExpert = rapid.IntRange(1, s.Experts).Draw(t, "top_k"), rapid.IntRange(1, 8192).Draw(t, "d_ff_expert")
	} else {
		s.DFF = rapid.IntRange(1, 32768).Draw(t, "d_ff")
	}
	return s
}

// TestBaseIsExact: at the base every rule gives the base, to the bit.
func TestBaseIsExact(t *testing.T) {
	for _, r := range mup.Published() {
		r := usable(t, r)
		t.Run(r.Name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				moe := isMoE(r.Name)
				if r.Has(mup.MLPDown) && r.Has(mup.ExpertDown) {
					moe = rapid.Bool().Draw(t, "moe")
				}
				s := drawShape(t, moe)
				h := hyper()
				h.LR = rapid.Float64Range(1e-9, 1).Draw(t, "lr")
				h.Decay = rapid.SampledFrom([]mup.DecayForm{mup.TimesLR, mup.Independent}).Draw(t, "decay")
				got, err := mup.Transfer(r, s, s, h, mup.Options{})
				if err != nil {
					t.Fatal(err)
				}
				for _, row := range got.Rows {
					if row.Base != row.Target {
						t.Fatalf("%s: base %+v, target %+v", row.Module, row.Base, row.Target)
					}
					if row.Has(mup.LR) && row.Base.LR != h.LR {
						t.Fatalf("%s: η %v, given %v", row.Module, row.Base.LR, h.LR)
					}
				}
			})
		})
	}
}

// TestComposesAlongAPath: base to middle to target is base to target.
func TestComposesAlongAPath(t *testing.T) {
	for _, name := range []string{"sp", "completep_dp", "minicpm", "mup+horizon_bjorck"} {
		r := find(t, name)
		rapid.Check(t, func(t *rapid.T) {
			base := denseShape()
			middle, target := base, base
			for _, d := range r.Covers {
				if d == mup.Experts || d == mup.ActiveFraction || d == mup.HeadDim {
					continue
				}
				a := rapid.IntRange(1, 8).Draw(t, "middle "+string(d))
				b := rapid.IntRange(1, 8).Draw(t, "target "+string(d))
				middle, target = grown(middle, d, a), grown(target, d, a*b)
			}
			once := transfer(t, r, base, target, hyper())
			first := transfer(t, r, base, middle, hyper())
			for _, m := range []mup.Module{mup.Embedding, mup.AttentionO, mup.MLPDown, mup.Norm, mup.Head, mup.Residual} {
				a, b := row(t, once, m), row(t, first, m)
				h := mup.Hyper{LR: 1, WeightDecay: b.Target.WeightDecay, Eps: b.Target.Eps}
				if b.Has(mup.LR) {
					h.ModuleLR = map[mup.Module]float64{m: b.Target.LR}
				}
				if b.Has(mup.InitStd) {
					h.ModuleInit = map[mup.Module]float64{m: b.Target.InitStd}
				}
				if b.Has(mup.Multiplier) {
					h.Multiplier = map[mup.Module]float64{m: b.Target.Multiplier}
				}
				c := row(t, transfer(t, r, middle, target, h), m)
				for _, q := range a.Quantities {
					if !near(a.Target.Of(q), c.Target.Of(q)) {
						t.Fatalf("%s %s.%s: %v at once, %v in two steps", name, m, q, a.Target.Of(q), c.Target.Of(q))
					}
				}
			}
		})
	}
}

// TestDepthMuP: CompleteP with its residual exponent edited to ½ is depth-μP.
func TestDepthMuP(t *testing.T) {
	const a = 0.5
	edited := find(t, "completep")
	edit := func(m mup.Module, q mup.Quantity, x float64) {
		next, err := edited.Edit(m, q, mup.Depth, x)
		if err != nil {
			t.Fatal(err)
		}
		edited = next
	}
	edit(mup.Residual, mup.Multiplier, -a)
	for _, m := range append(slices.Clone(matrices), mup.Norm, mup.QKNorm) {
		edit(m, mup.LR, a-1)
		edit(m, mup.Eps, -a)
	}
	if d := mup.Compare(edited, find(t, "depth_mup")); d != nil {
		t.Errorf("differences: %v", d)
	}
	half, err := mup.CompleteP(a)
	if err != nil {
		t.Fatal(err)
	}
	if d := mup.Compare(half, find(t, "depth_mup")); d != nil {
		t.Errorf("CompleteP(½) differs from depth-μP: %v", d)
	}
	if d := mup.Compare(find(t, "completep"), find(t, "depth_mup")); len(d) == 0 {
		t.Error("CompleteP and depth-μP do not differ")
	}
	for _, bad := range []float64{0, 0.49, 1.01, math.NaN(), math.Inf(1)} {
		if _, err := mup.CompleteP(bad); err == nil {
			t.Errorf("CompleteP(%v) is accepted", bad)
		}
	}
}

// TestDecayConstant: where the rule says so, a step shrinks the weights equally: η·λ under
// AdamW, λ alone where the decay is independent of η.
func TestDecayConstant(t *testing.T) {
	for _, c := range []struct {
		rule    string
		modules []mup.Module
	}{
		{"mup", matrices},
		{"completep", matrices},
		{"moe_width", []mup.Module{mup.AttentionQ, mup.AttentionO, mup.ExpertGateUp, mup.ExpertDown}},
	} {
		base := baseFor(find(t, c.rule))
		target := grown(base, mup.Width, 16)
		for _, m := range c.modules {
			got := row(t, transfer(t, find(t, c.rule), base, target, hyper()), m)
			if !near(got.Target.LR*got.Target.WeightDecay, got.Base.LR*got.Base.WeightDecay) {
				t.Errorf("%s %s: η·λ %g at the target, %g at the base", c.rule, m, got.Target.LR*got.Target.WeightDecay, got.Base.LR*got.Base.WeightDecay)
			}
			h := hyper()
			h.Decay = mup.Independent
			if got := row(t, transfer(t, find(t, c.rule), base, target, h), m); !near(got.Target.WeightDecay, h.WeightDecay) {
				t.Errorf("%s %s: independent λ %g, want %g", c.rule, m, got.Target.WeightDecay, h.WeightDecay)
			}
		}
	}
}

// TestTimescale: CompleteP with batch and horizon keeps τ = B/(η·λ·D) (arXiv 2405.13698)
// in every weight, and η ∝ D^−½ at fixed batch.
func TestTimescale(t *testing.T) {
	r := find(t, "completep_dp")
	rapid.Check(t, func(t *rapid.T) {
		base := denseShape()
		target := base
		target.BatchTokens *= rapid.Float64Range(0.1, 100).Draw(t, "batch")
		target.HorizonTokens *= rapid.Float64Range(0.1, 1000).Draw(t, "horizon")
		for _, got := range transfer(t, r, base, target, hyper()).Rows {
			if !got.Has(mup.WeightDecay) {
				continue
			}
			tau := func(s mup.Shape, v mup.Values) float64 {
				return s.BatchTokens / (v.LR * v.WeightDecay * s.HorizonTokens)
			}
			if a, b := tau(base, got.Base), tau(target, got.Target); !near(a, b) {
				t.Fatalf("%s: τ %g at the base, %g at the target", got.Module, a, b)
			}
		}
	})
	got := row(t, transfer(t, r, denseShape(), grown(denseShape(), mup.Horizon, 4), hyper()), mup.MLPDown)
	if !near(got.Target.LR, got.Base.LR/2) {
		t.Errorf("η at 4 D: %g, want half of %g", got.Target.LR, got.Base.LR)
	}
}

// TestMiniCPM checks the absolute values the paper gives.
func TestMiniCPM(t *testing.T) {
	base := denseShape()
	target := grown(grown(base, mup.Width, 4), mup.Depth, 10)
	got := transfer(t, find(t, "minicpm"), base, target, mup.Hyper{})
	for _, c := range []struct {
		m    mup.Module
		q    mup.Quantity
		want float64
	}{
		{mup.MLPDown, mup.InitStd, 0.05},
		{mup.MLPDown, mup.LR, 0.0025},
		{mup.Head, mup.Multiplier, 0.25},
		{mup.Embedding, mup.Multiplier, 12},
		{mup.Residual, mup.Multiplier, 1.4 / math.Sqrt(40)},
	} {
		if v := row(t, got, c.m).Target.Of(c.q); !near(v, c.want) {
			t.Errorf("%s.%s = %g, want %g", c.m, c.q, v, c.want)
		}
	}
}

// TestAttentionFactor: under μP the softmax factor is the base's times d_base/d.
func TestAttentionFactor(t *testing.T) {
	target := grown(denseShape(), mup.HeadDim, 4)
	for rule, want := range map[string]float64{"sp": 1.0 / 16, "mup": 1.0 / 32, "completep": 1.0 / 32} {
		if got := row(t, transfer(t, find(t, rule), denseShape(), target, hyper()), mup.AttnLogits); !near(got.Target.Multiplier, want) || got.Base.Multiplier != 0.125 {
			t.Errorf("%s: base %g, target %g, want 0.125 and %g", rule, got.Base.Multiplier, got.Target.Multiplier, want)
		}
	}
}

// TestStandardInit: under the standard parametrization the target's initial values are
// those it would have as a base.
func TestStandardInit(t *testing.T) {
	sp := find(t, "sp")
	rapid.Check(t, func(t *rapid.T) {
		base := denseShape()
		if rapid.Bool().Draw(t, "moe") {
			base = moeShape()
		}
		target := base
		for _, d := range []mup.Dim{mup.Width, mup.Depth, mup.Experts, mup.FFNRatio} {
			if d != mup.Experts || base.IsMoE() {
				target = grown(target, d, rapid.IntRange(1, 20).Draw(t, string(d)))
			}
		}
		for _, r := range transfer(t, sp, base, target, hyper()).Rows {
			if want := mup.DefaultInit(target, r.Module); r.Has(mup.InitStd) && !near(r.Target.InitStd, want) {
				t.Fatalf("%s: initial std %g, want %g", r.Module, r.Target.InitStd, want)
			}
		}
	})
}

func TestPublishedAreSound(t *testing.T) {
	for _, r := range mup.Published() {
		if p := r.Problems(); p != nil {
			t.Errorf("%s: %s", r.Name, strings.Join(p, "; "))
		}
		if r.Source == "" || r.Derived != "" || len(r.Assumes) == 0 {
			t.Errorf("%s: source %q, derived %q, %d assumptions", r.Name, r.Source, r.Derived, len(r.Assumes))
		}
	}
	// A caller's change must not reach the next caller.
	a := find(t, "sp")
	a.Entries[mup.Cell{Module: mup.Head, Quantity: mup.LR}] = mup.Entry{Exponents: mup.Exponents{Width: 3}, State: mup.Edited}
	a.Covers[0] = mup.Depth
	if b := find(t, "sp"); b.Entry(mup.Head, mup.LR).Width != 0 || b.Covers[0] != mup.Width {
		t.Error("published rules share memory")
	}
}
