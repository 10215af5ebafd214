package model

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/trainer/config"
)

// TestTrajectory trains 20 steps beside the reference: losses agree to 2e-5, gradient
// norms to 0.1%. The learning rate is modest: Adam turns a rounding error in a
// gradient near zero into a full step, which is the optimizer's nature and no mistake.
func TestTrajectory(t *testing.T) {
	base := config.Shape{DModel: 6, Layers: 2, Heads: 2, KVHeads: 1, HeadDim: 4, DFF: 5, Vocab: 7, Context: 3, RopeTheta: 1e4, NormEps: 1e-6}
	moe := base
	moe.DFF, moe.Experts, moe.TopK, moe.DFFExp = 0, 3, 2, 4
	tied := base
	tied.Tied = true
	for name, s := range map[string]config.Shape{"dense": base, "moe": moe, "tied": tied} {
		t.Run(name, func(t *testing.T) {
			o := Options{Sequences: 2, ZLoss: 1e-3}
			if s.IsMoE() {
				o.Balance = 0.02
			}
			r := load(t, s, o, 1)
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
			const lr, wd, clip = 2e-3, 0.1, 1.0
			r.scalar(r.m.Scale, 0, 1/float32(r.m.Rows()))
			r.scalar(r.m.Balance, 0, 1)
			r.scalar(r.m.MaxNorm, 0, clip)
			table := make([]float32, len(r.m.Params)*kernels.AdamFields)
			for step := range 20 {
				r.batch(uint64(step % 4))
				tokens, targets := make([]int32, r.m.Rows()), make([]int32, r.m.Rows())
				r.check(r.mc.ReadInts(tokens, r.m.Tokens, 0))
				r.check(r.mc.ReadInts(targets, r.m.Targets, 0))
				for i, p := range r.m.Params {
					a := kernels.Adam{LR: lr, WeightDecay: wd, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Step: step + 1}
					if p.Gain {
						a.WeightDecay = 0
					}
					a.Row(table[i*kernels.AdamFields:])
				}
				r.check(r.mc.WriteFloats(r.m.AdamTable, 0, table))
				r.check(r.mc.Execute(r.m.Accumulate))
				loss := float64(r.read(r.m.LossSum, 0)[0]) / float64(r.m.Rows())
				r.check(r.mc.Execute(r.m.Apply))
				norm := float64(r.read(r.m.GradNorm, 0)[0])
				want, wantNorm := ref.adamStep(tokens, targets, lr, wd, clip)
				if math.Abs(loss-want) > 2e-5 || math.Abs(norm/wantNorm-1) > 1e-3 {
					t.Fatalf("step %d: loss %.7f, reference %.7f; gradient norm %.6f, reference %.6f", step, loss, want, norm, wantNorm)
				}
			}
		})
	}
}
