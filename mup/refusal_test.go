package mup_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/etastar/etastar/mup"
)

func TestRefusals(t *testing.T) {
	shape := func(s mup.Shape, change func(*mup.Shape)) mup.Shape { change(&s); return s }
	wide := func(d mup.Dim) mup.Shape { return grown(denseShape(), d, 2) }
	for _, c := range []struct {
		name         string
		rule         string
		base, target mup.Shape
		hyper        mup.Hyper
		reason       mup.Reason
		dim          mup.Dim
		says         string
	}{
		{"depth, width-only rule", "mup", denseShape(), wide(mup.Depth), hyper(), mup.NotCovered, mup.Depth, "completep"},
		{"depth, width-only MoE rule", "moe_width", moeShape(), grown(moeShape(), mup.Depth, 2), hyper(), mup.NotCovered, mup.Depth, "moe_mup"},
		{"granularity", "moe_width", moeShape(), grown(moeShape(), mup.FFNRatio, 2), hyper(), mup.NotCovered, mup.FFNRatio, "granularity"},
		{"active fraction, width only", "moe_width", moeShape(), grown(moeShape(), mup.ActiveFraction, 2), hyper(), mup.NotCovered, mup.ActiveFraction, "top_k"},
		{"experts at fixed top_k", "moe_width", moeShape(), shape(moeShape(), func(s *mup.Shape) { s.Experts *= 2 }), hyper(), mup.NotCovered, mup.ActiveFraction, "ignore"},
		{"active fraction, MoE-μP", "moe_mup", moeShape(), grown(moeShape(), mup.ActiveFraction, 2), hyper(), mup.NotCovered, mup.ActiveFraction, "top_k"},
		{"batch", "completep", denseShape(), wide(mup.Batch), hyper(), mup.NotCovered, mup.Batch, "completep_dp"},
		{"horizon", "completep", denseShape(), wide(mup.Horizon), hyper(), mup.NotCovered, mup.Horizon, "completep+horizon_zhou"},
		{"width, horizon rule", "horizon_zhou", denseShape(), wide(mup.Width), hyper(), mup.NotCovered, mup.Width, "compose"},
		{"batch, horizon rule", "horizon_zhou", denseShape(), wide(mup.Batch), hyper(), mup.NotCovered, mup.Batch, "batch"},
		{"head_dim, MiniCPM", "minicpm", denseShape(), wide(mup.HeadDim), hyper(), mup.NotCovered, mup.HeadDim, "head_dim"},
		{"smaller", "mup", wide(mup.Width), denseShape(), hyper(), mup.Smaller, mup.Width, "swap"},
		{"shallower", "completep", wide(mup.Depth), denseShape(), hyper(), mup.Smaller, mup.Depth, "swap"},
		{"no η", "mup", denseShape(), wide(mup.Width), mup.Hyper{WeightDecay: 0.1}, mup.NoLR, "", "sweep"},
		{"negative η", "mup", denseShape(), wide(mup.Width), mup.Hyper{LR: -1}, mup.BadValue, "", "positive"},
		{"infinite η", "mup", denseShape(), wide(mup.Width), mup.Hyper{LR: math.Inf(1)}, mup.BadValue, "", "positive"},
		{"NaN decay", "mup", denseShape(), wide(mup.Width), mup.Hyper{LR: 1, WeightDecay: math.NaN()}, mup.BadValue, "", "weight decay"},
		{"MoE shape, dense rule", "completep", moeShape(), moeShape(), hyper(), mup.NoModule, "", "moe_mup"},
		{"dense shape, MoE rule", "moe_mup", denseShape(), denseShape(), hyper(), mup.NoModule, "", "completep"},
		{"dense to MoE", "moe_mup", denseShape(), moeShape(), hyper(), mup.NotCovered, mup.Experts, "kind"},
		{"tied to untied", "mup", denseShape(), shape(denseShape(), func(s *mup.Shape) { s.Tied = true }), hyper(), mup.NotCovered, "", "tie both"},
		{"horizon on one side", "completep_dp", denseShape(), shape(denseShape(), func(s *mup.Shape) { s.HorizonTokens = 0 }), hyper(), mup.BadShape, mup.Horizon, "both"},
		{"u-μP's forward scales", "umup", denseShape(), denseShape(), hyper(), mup.NotStated, "", "edit"},
		{
			"η of a module the shape lacks", "mup", denseShape(), wide(mup.Width),
			mup.Hyper{LR: 1, ModuleLR: map[mup.Module]float64{mup.Router: 1}},
			mup.NoModule, "", "dense and has no router",
		},
		{
			"init of gains", "mup", denseShape(), wide(mup.Width),
			mup.Hyper{LR: 1, ModuleInit: map[mup.Module]float64{mup.Norm: 1}},
			mup.NoModule, "", "norm has no init_std",
		},
		{
			"unknown module", "mup", denseShape(), wide(mup.Width),
			mup.Hyper{LR: 1, ModuleLR: map[mup.Module]float64{"embeding": 1}},
			mup.NoModule, "", "did you mean embedding?",
		},
		{"no width", "mup", mup.Shape{}, denseShape(), hyper(), mup.BadShape, "", "base shape has width 0"},
		{"too many experts used", "moe_mup", moeShape(), shape(moeShape(), func(s *mup.Shape) { s.TopK = 9 }), hyper(), mup.BadShape, "", "top_k 9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := mup.Transfer(find(t, c.rule), c.base, c.target, c.hyper, mup.Options{})
			r := refusal(t, err)
			if r.Reason != c.reason || r.Dim != c.dim || !strings.Contains(err.Error(), c.says) {
				t.Errorf("reason %q, dimension %q, %q; want %q, %q and %q in it", r.Reason, r.Dim, err, c.reason, c.dim, c.says)
			}
		})
	}
}

func TestOptionsRelax(t *testing.T) {
	moe, more := moeShape(), moeShape()
	more.Experts *= 2
	got, err := mup.Transfer(find(t, "moe_width"), moe, more, hyper(), mup.Options{Ignore: []mup.Dim{mup.ActiveFraction}})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(got.Warnings, func(w string) bool { return strings.Contains(w, "active_fraction") && strings.Contains(w, "ignored") }) {
		t.Errorf("ignoring is not warned of: %q", got.Warnings)
	}
	for _, r := range got.Rows {
		if r.Base != r.Target {
			t.Errorf("%s changed with the experts: %+v, %+v", r.Module, r.Base, r.Target)
		}
	}
	large := grown(denseShape(), mup.Width, 4)
	down, err := mup.Transfer(find(t, "mup"), large, denseShape(), hyper(), mup.Options{AllowSmaller: true})
	if err != nil {
		t.Fatal(err)
	}
	if r := row(t, down, mup.MLPDown); !near(r.Target.LR, 4*r.Base.LR) {
		t.Errorf("a quarter of the width: η %g, base %g", r.Target.LR, r.Base.LR)
	}
	if _, err := mup.Transfer(find(t, "mup"), large, large, hyper(), mup.Options{Ignore: []mup.Dim{"dpth"}}); err == nil || !strings.Contains(err.Error(), "did you mean depth?") {
		t.Errorf("unknown dimension: %v", err)
	}
	if _, err := mup.Transfer(find(t, "mup"), large, large, hyper(), mup.Options{Ignore: []mup.Dim{mup.Width}}); err == nil || !strings.Contains(err.Error(), "edit its exponents") {
		t.Errorf("a covered dimension is ignored: %v", err)
	}
}

func TestTiedHead(t *testing.T) {
	base := denseShape()
	base.Tied = true
	got := row(t, transfer(t, find(t, "mup"), base, grown(base, mup.Width, 4), hyper()), mup.Head)
	if !slices.Equal(got.Quantities, []mup.Quantity{mup.Multiplier}) || got.Target.Multiplier != 0.25 {
		t.Errorf("tied head: %v, %+v", got.Quantities, got.Target)
	}
}

func TestWarnings(t *testing.T) {
	base := denseShape()
	base.BatchTokens, base.HorizonTokens = 0, 0
	target := grown(base, mup.Width, 4)
	target.DFF, target.Vocab = target.DFF*4/3, 50000
	got := strings.Join(transfer(t, find(t, "mup"), base, target, hyper()).Warnings, "\n")
	for _, want := range []string{"batch not given", "horizon not given", "d_ff/width differs", "vocabulary differs", "eps not stated: left alone"} {
		if !strings.Contains(got, want) {
			t.Errorf("no warning of %q in:\n%s", want, got)
		}
	}
	if got := strings.Join(transfer(t, find(t, "sp"), denseShape(), grown(denseShape(), mup.Width, 4), hyper()).Warnings, "\n"); !strings.Contains(got, "η is copied to every module") {
		t.Errorf("sp does not warn that it claims no transfer: %q", got)
	}
	if got := transfer(t, find(t, "completep"), denseShape(), denseShape(), hyper()).Warnings; got != nil {
		t.Errorf("warnings at the base: %q", got)
	}
	if _, err := transfer(t, find(t, "mup"), denseShape(), denseShape(), hyper()).Row(mup.Router); refusal(t, err).Reason != mup.NoModule {
		t.Errorf("row of a router in a dense model: %v", err)
	}
}
