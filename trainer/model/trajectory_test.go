package model

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/mup"
	"github.com/etastar/etastar/trainer/config"
)

// TestTrajectory trains beside the reference, 20 steps under the standard parametrization and
// 6 under rules from a base of half the width and depth, and with a number of its own for
// everything that a rule can set: losses agree to 2e-5, gradient norms to 0.1%. The
// learning rate is modest: Adam turns a rounding error in a gradient near zero into a full
// step, which is the optimizer's nature and no mistake.
func TestTrajectory(t *testing.T) {
	dense := config.Shape{DModel: 6, Layers: 2, Heads: 2, KVHeads: 1, HeadDim: 4, DFF: 6, Vocab: 7, Context: 3, RopeTheta: 1e4, NormEps: 1e-6}
	moe := dense
	moe.DFF, moe.Experts, moe.TopK, moe.DFFExp = 0, 3, 2, 4
	tied := dense
	tied.Tied = true
	for name, c := range map[string]struct {
		shape config.Shape
		rule  string
	}{
		"dense": {dense, config.SP}, "moe": {moe, config.SP}, "tied": {tied, config.SP},
		"mup": {dense, "mup"}, "completep": {dense, "completep"}, "completep_dp": {tied, "completep_dp"},
		"moe_mup": {moe, "moe_mup"}, "moe_width": {moe, "moe_width"}, "minicpm": {dense, "minicpm"},
		"everything": {dense, ""}, "everything of experts": {moe, ""}, "everything tied": {tied, ""},
	} {
		t.Run(name, func(t *testing.T) {
			const lr, wd, eps, clip = 2e-3, 0.1, 1e-6, 1.0
			s := c.shape
			o := Options{Sequences: 2, ZLoss: 1e-3, Modules: modulesUnder(t, s, c.rule)}
			if s.IsMoE() {
				o.Balance = 0.02
			}
			r := load(t, s, o, 1)
			of := map[mup.Module]config.Module{}
			for _, m := range o.Modules {
				of[m.Module] = m
			}
			// Initial values large enough that every part of the model matters.
			rng := rand.New(rand.NewPCG(5, 5))
			for i := range r.m.Params {
				p := &r.m.Params[i]
				v := r.read(p.Value, 0)
				for k := range v {
					v[k] += float32(0.3 * rng.NormFloat64())
				}
				r.check(r.mc.WriteFloats(p.Value, 0, v))
			}
			ref := newReference(r.m, o, func(p *Param) []float32 { return r.read(p.Value, 0) })
			r.scalar(r.m.Scale, 0, 1/float32(r.m.Rows()))
			r.scalar(r.m.Balance, 0, 1)
			r.scalar(r.m.MaxNorm, 0, clip)
			table := make([]float32, len(r.m.Params)*kernels.AdamFields)
			steps := 6
			if c.rule == config.SP {
				steps = 20
			}
			for step := range steps {
				r.batch(uint64(step % 4))
				tokens, targets := make([]int32, r.m.Rows()), make([]int32, r.m.Rows())
				r.check(r.mc.ReadInts(tokens, r.m.Tokens, 0))
				r.check(r.mc.ReadInts(targets, r.m.Targets, 0))
				for i, p := range r.m.Params {
					m := of[p.Module]
					kernels.Adam{
						LR: lr * m.LR, WeightDecay: wd * m.WeightDecay, Beta1: 0.9, Beta2: 0.95, Eps: eps * m.Eps, Step: step + 1,
					}.Row(table[i*kernels.AdamFields:])
				}
				r.check(r.mc.WriteFloats(r.m.AdamTable, 0, table))
				r.check(r.mc.Execute(r.m.Accumulate))
				loss := float64(r.read(r.m.LossSum, 0)[0]) / float64(r.m.Rows())
				if eval := r.loss(0); math.Abs(eval-loss) > 1e-6 {
					t.Fatalf("step %d: loss %.7f while training, %.7f without gradients", step, loss, eval)
				}
				r.check(r.mc.Execute(r.m.Apply))
				norm := float64(r.read(r.m.GradNorm, 0)[0])
				want, wantNorm := ref.adamStep(tokens, targets, lr, wd, eps, clip)
				if math.Abs(loss-want) > 2e-5 || math.Abs(norm/wantNorm-1) > 1e-3 {
					t.Fatalf("step %d: loss %.7f, reference %.7f; gradient norm %.6f, reference %.6f", step, loss, want, norm, wantNorm)
				}
			}
		})
	}
}

// modulesUnder is the shape under a rule from a base of half its width and depth, with a
// quarter of its batch and horizon where the rule covers them; "" sets every number to one
// of its own.
func modulesUnder(t *testing.T, s config.Shape, name string) []config.Module {
	t.Helper()
	if name == "" {
		out := config.Standard(s)
		rng := rand.New(rand.NewPCG(3, 9))
		for i := range out {
			m := &out[i]
			for _, x := range []*float64{&m.LR, &m.WeightDecay, &m.Eps, &m.Multiplier} {
				*x *= 0.5 + rng.Float64()
			}
		}
		return out
	}
	rule, err := mup.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	run := config.Default(s, 1e-3).For(1 << 16)
	base := config.Base{Shape: s, Batch: run.BatchTokens(), Tokens: run.Tokens}
	base.Shape.DModel, base.Shape.DFF, base.Shape.DFFExp, base.Shape.Heads = s.DModel/2, s.DFF/2, s.DFFExp/2, s.Heads/2
	if rule.Covered(mup.Depth) {
		base.Shape.Layers = s.Layers / 2
	}
	if rule.Covered(mup.Horizon) {
		base.Batch, base.Tokens = base.Batch/4, base.Tokens/4
	}
	if run, err = run.Under(rule, base, mup.Options{}); err != nil {
		t.Fatal(err)
	}
	return run.Modules()
}
