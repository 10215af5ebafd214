package trainer

import (
	"context"
	"math"
	"testing"

	"github.com/etastar/etastar/kernels/cpu"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/data"
	"github.com/etastar/etastar/trainer/health"
)

// small is a run of a few thousand parameters on the synthetic language.
func small(lr float64) config.Run {
	r := config.Default(config.Dense(32, 2, 256, 32), lr)
	r.Data = config.Data{Source: "synthetic", Tokenizer: "bytes", HeldOut: 0.1, Split: "spread", Bytes: 1 << 16}
	r.Batch = config.Batch{Sequences: 8, Accumulate: 1}
	r.Validation.Tokens = 2048
	return r.For(60 * r.BatchTokens())
}

func group(t testing.TB, runs ...config.Run) *Group {
	t.Helper()
	backend, err := cpu.New(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	corpus, err := data.Open(context.Background(), runs[0].Data, runs[0].Shape.Context, runs[0].Shape.Vocab)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = corpus.Close() })
	g, err := NewGroup(backend, corpus, runs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g
}

// train runs a group to its end, up to ahead steps at a time, and returns every result by
// run.
func train(t testing.TB, g *Group, ahead int64) [][]StepResult {
	t.Helper()
	out := make([][]StepResult, len(g.Runs))
	for g.Active() {
		results, err := g.Steps(nil, ahead)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			out[r.Run] = append(out[r.Run], r)
		}
	}
	return out
}

func TestLearns(t *testing.T) {
	g := group(t, small(5e-3))
	before, err := g.Validate([]int{0})
	if err != nil {
		t.Fatal(err)
	}
	if got := health.Mean(before[0]).Mean; math.Abs(got-math.Log(256)) > 0.03 {
		t.Errorf("untrained loss %v, ln 256 is %v", got, math.Log(256))
	}
	steps := train(t, g, 1)[0]
	if len(steps) != 60 || !steps[59].Done {
		t.Fatalf("%d steps, last %+v", len(steps), steps[len(steps)-1])
	}
	after, err := g.Validate([]int{0})
	if err != nil {
		t.Fatal(err)
	}
	e := health.Mean(after[0])
	if e.Mean > 3.5 || e.SE <= 0 || e.Blocks != 64 {
		t.Errorf("after 15k tokens the validation loss is %+v", e)
	}
}

// TestTogetherIsAlone: losses and gradient norms of runs trained together are those
// of each trained alone, to the bit, however many steps are done without looking; a run
// that diverges disturbs none.
func TestTogetherIsAlone(t *testing.T) {
	for _, accumulate := range []int{1, 4} {
		runs := []config.Run{small(1e-3), small(9), small(1e-2)}
		for i := range runs {
			runs[i].Batch.Accumulate = accumulate
		}
		together := train(t, group(t, runs...), 7)
		for i, r := range runs {
			alone := train(t, group(t, r), 1)[0]
			if len(alone) != len(together[i]) {
				t.Fatalf("η %g: %d steps alone, %d together", r.LR, len(alone), len(together[i]))
			}
			for k := range alone {
				a, b := alone[k], together[i][k]
				if math.Float64bits(a.Loss) != math.Float64bits(b.Loss) || math.Float64bits(a.GradNorm) != math.Float64bits(b.GradNorm) || a.LR != b.LR || a.Step != b.Step || a.Diverged != b.Diverged || a.Done != b.Done {
					t.Fatalf("η %g step %d: alone %+v, together %+v", r.LR, k, a, b)
				}
			}
		}
		if last := together[1][len(together[1])-1]; last.Diverged == "" {
			t.Errorf("η = 9 did not diverge: %+v", last)
		}
	}
}

func TestRefusals(t *testing.T) {
	a, b := small(1e-3), small(1e-3)
	b.Seed = 7
	if why := Together(a, b); why == "" {
		t.Error("runs of two seeds train together")
	}
	backend, err := cpu.New(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, runs := range [][]config.Run{nil, {a, b}, {small(0)}, {small(1e9)}} {
		if _, err := NewGroup(backend, nil, runs); err == nil {
			t.Errorf("%v is trained", runs)
		}
	}
	if n, err := Memory(backend, a, 5); err != nil || n < 5*4*4*a.Shape.Params().Total {
		t.Errorf("five runs need %d bytes, %v", n, err)
	}
}

// proxy is runs of the usual settings over a text, for benchmarks: 2,048 tokens a step.
func proxy(d, layers, rates int) []config.Run {
	var runs []config.Run
	for i := range rates {
		r := config.Default(config.Dense(d, layers, 256, 128), 1e-3*float64(i+1))
		r.Data = config.Data{Source: "synthetic", Tokenizer: "bytes", HeldOut: 0.1, Split: "spread", Bytes: 1 << 20}
		runs = append(runs, r.For(1<<40))
	}
	return runs
}

// stepping times optimizer steps of groups, one after another.
func stepping(b *testing.B, groups ...*Group) {
	b.Helper()
	var results []StepResult
	for b.Loop() {
		for _, g := range groups {
			var err error
			if results, err = g.Steps(results[:0], 1); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkTrain measures tokens a second beside the floor: what the cores in use would
// train if they did nothing but the FLOPs of a step at their measured peak.
func BenchmarkTrain(b *testing.B) {
	for _, s := range []struct {
		name        string
		d, l, rates int
	}{{"33k", 32, 2, 1}, {"115k", 64, 2, 1}, {"427k", 128, 2, 1}, {"1M", 160, 3, 1}, {"10M", 384, 6, 1}, {"115k×5", 64, 2, 5}} {
		b.Run(s.name, func(b *testing.B) {
			runs := proxy(s.d, s.l, s.rates)
			g := group(b, runs...)
			backend, err := cpu.New(cpu.Options{})
			if err != nil {
				b.Fatal(err)
			}
			floor := backend.Peak() * float64(min(s.rates, backend.Workers())) / runs[0].Shape.FLOPs().Compute
			stepping(b, g)
			rate := float64(s.rates) * float64(runs[0].BatchTokens()) * float64(b.N) / b.Elapsed().Seconds()
			b.ReportMetric(rate, "tokens/s")
			b.ReportMetric(floor, "floor-tokens/s")
			b.ReportMetric(100*rate/floor, "%floor")
			b.ReportMetric(float64(runs[0].Shape.Params().Total), "params")
		})
	}
}

// BenchmarkTogether is a step of five learning rates: in one group, and in five.
func BenchmarkTogether(b *testing.B) {
	runs := proxy(64, 2, 5)
	b.Run("together", func(b *testing.B) { stepping(b, group(b, runs...)) })
	b.Run("alone", func(b *testing.B) {
		var groups []*Group
		for _, r := range runs {
			groups = append(groups, group(b, r))
		}
		stepping(b, groups...)
	})
}

func TestMeasure(t *testing.T) {
	var m Meter
	big := small(1e-3)
	big.Shape = config.Dense(2048, 24, 32768, 1024)
	asked := []Asked{{small(1e-3), 1}, {small(1e-3), 4}, {big, 1}, {small(3e-3), 1}}
	speeds, err := m.Measure(t.Context(), "", nil, CPU, asked)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range speeds {
		if s.TokensPerSecond <= 0 || s.Measured != (i != 2) {
			t.Errorf("%d: %+v", i, s)
		}
	}
	if speeds[0] != speeds[3] {
		t.Errorf("the same shape was measured twice: %v, %v", speeds[0], speeds[3])
	}
	if _, err := m.Measure(t.Context(), "", nil, "abacus", asked); err == nil {
		t.Error("there is a device abacus")
	}
}
