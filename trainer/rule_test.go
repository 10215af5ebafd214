package trainer

import (
	"math"
	"testing"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/mup"
	"github.com/etastar/etastar/trainer/config"
)

func under(t *testing.T, r config.Run, name string, base config.Shape) config.Run {
	t.Helper()
	rule, err := mup.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.Under(rule, config.Base{Shape: base, Batch: r.BatchTokens(), Tokens: r.Tokens}, mup.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestRuleReachesEveryTensor: initial values and the optimizer's numbers of every tensor
// are those of its module under the rule.
func TestRuleReachesEveryTensor(t *testing.T) {
	for _, c := range []struct {
		rule   string
		shape  config.Shape
		layers int
	}{{"completep", config.Dense(64, 2, 256, 32), 4}, {"moe_mup", config.Dense(64, 2, 256, 32).MoE(4, 2), 2}} {
		r := small(3e-3)
		r.Shape = c.shape
		r.Shape.DModel, r.Shape.DFF, r.Shape.DFFExp, r.Shape.Layers = 256, 4*r.Shape.DFF, 4*r.Shape.DFFExp, c.layers
		r.Shape.Heads, r.Shape.KVHeads = 4*r.Shape.Heads, 4*r.Shape.KVHeads
		r = under(t, r, c.rule, c.shape)
		g := group(t, r)
		if _, err := g.Steps(nil, 1); err != nil {
			t.Fatal(err)
		}
		table := make([]float32, len(g.Model.Params)*kernels.AdamFields)
		if err := g.mc.ReadFloats(table, g.Model.AdamTable, 0); err != nil {
			t.Fatal(err)
		}
		rule, err := mup.Find(c.rule)
		if err != nil {
			t.Fatal(err)
		}
		result, err := mup.Transfer(rule, c.shape.Rule(0, 0), r.Shape.Rule(0, 0), mup.Hyper{LR: g.Runs[0].curve.LR(0), WeightDecay: 0.1, Eps: 1e-8}, mup.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range g.Model.Params {
			p := &g.Model.Params[i]
			row, err := result.Row(p.Module)
			if err != nil {
				t.Fatal(err)
			}
			want, got := row.Target, table[i*kernels.AdamFields:]
			near := func(what string, got float32, want float64) {
				if math.Abs(float64(got)-want) > 1e-6*want {
					t.Errorf("%s: %s of %s is %g, want %g", c.rule, what, p.Name, got, want)
				}
			}
			near("η", got[0]*0.1, want.LR) // Row divides by 1 − β₁
			near("ε", got[6], want.Eps)
			near("η·λ", got[7], want.LR*want.WeightDecay)
			if p.Gain {
				continue
			}
			sum, v := 0.0, p.InitialValue(0)
			for _, x := range v {
				sum += float64(x) * float64(x)
			}
			// Normal cut at three deviations: its own is 0.9866.
			std, n := math.Sqrt(sum/float64(len(v)))/0.9866, float64(len(v))
			if math.Abs(std/want.InitStd-1) > 5/math.Sqrt(2*n) {
				t.Errorf("%s: initial %s has a deviation of %g, want %g", c.rule, p.Name, std, want.InitStd)
			}
		}
	}
}

// TestRuleAtItsBaseTrainsAsStandard: a rule at its base gives the same losses to the bit.
func TestRuleAtItsBaseTrainsAsStandard(t *testing.T) {
	r := small(3e-3).For(10 * small(1).BatchTokens())
	ruled := under(t, r, "completep", r.Shape)
	if why := Together(r, ruled); why != "" {
		t.Fatal(why)
	}
	results := train(t, group(t, r, ruled), 5)
	for k, a := range results[0] {
		if b := results[1][k]; a.Loss != b.Loss || a.GradNorm != b.GradNorm {
			t.Fatalf("step %d: %v under sp, %v under completep at its base", a.Step, a, b)
		}
	}
	wider := r
	wider.Shape = config.Dense(64, 2, 256, 32)
	if why := Together(wider, under(t, wider, "mup", r.Shape)); why == "" {
		t.Error("runs of other initial values train together")
	}
}
