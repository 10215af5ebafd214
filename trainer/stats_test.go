package trainer

import (
	"math"
	"testing"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/rundir"
)

func observed(r config.Run, every int64) config.Run {
	r.Keep.StatsEvery = every
	return r
}

// TestObservingChangesNothing: losses with statistics at every step, at some and at none
// are the same to the bit, with micro-batches too.
func TestObservingChangesNothing(t *testing.T) {
	moe := small(1e-2)
	moe.Shape, moe.Loss.Balance = moe.Shape.MoE(4, 2), 0.01
	for _, r := range []config.Run{small(1e-2), moe} {
		r = r.For(12 * r.BatchTokens())
		r.Batch.Accumulate = 2
		none := train(t, group(t, observed(r, -1)), 12)[0]
		for _, every := range []int64{1, 5} {
			for k, a := range train(t, group(t, observed(r, every)), every)[0] {
				if b := none[k]; a.Loss != b.Loss || a.GradNorm != b.GradNorm {
					t.Fatalf("every %d, step %d: %v, without statistics %v", every, a.Step, a, b)
				}
			}
		}
	}
}

func rmsOf(v []float32) float64 {
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum / float64(len(v)))
}

// TestStatsAreWhatTheySay recomputes statistics from the tensors before and after a step.
func TestStatsAreWhatTheySay(t *testing.T) {
	r := observed(small(1e-2), 3)
	r.Shape, r.Loss.Balance = r.Shape.MoE(4, 2), 0.01
	g := group(t, r)
	read := func(b kernels.Buffer) []float32 {
		t.Helper()
		info, _ := g.Model.Space.Info(b)
		v := make([]float32, info.Len())
		if err := g.mc.ReadFloats(v, b, 0); err != nil {
			t.Fatal(err)
		}
		return v
	}
	weights := func() (out [][]float32) {
		for _, p := range g.Model.Params {
			out = append(out, read(p.Value))
		}
		return out
	}
	start := weights()
	if _, err := g.Steps(nil, 2); err != nil {
		t.Fatal(err)
	}
	if s, err := g.Stats(0); s[0] != nil || err != nil {
		t.Fatalf("a step that was not observed has %v, %v", s, err)
	}
	before := weights()
	if _, err := g.Steps(nil, 1); err != nil {
		t.Fatal(err)
	}
	all, err := g.Stats(0)
	if err != nil {
		t.Fatal(err)
	}
	s := all[0]
	after := weights()
	type total struct{ weight, update, drift, start, n float64 }
	modules := map[string]*total{}
	for i, p := range g.Model.Params {
		a := modules[string(p.Module)]
		if a == nil {
			a = &total{}
			modules[string(p.Module)] = a
		}
		for k, w := range after[i] {
			sq := func(x float32) float64 { return float64(x) * float64(x) }
			a.weight, a.update, a.drift, a.start = a.weight+sq(w), a.update+sq(w-before[i][k]), a.drift+sq(w-start[i][k]), a.start+sq(start[i][k])
			a.n++
		}
	}
	near := func(module, stat string, want float64) {
		t.Helper()
		if got := float64(s[module][stat]); !(math.Abs(got/want-1) < 1e-4) {
			t.Errorf("%s of %s is %g, want %g", stat, module, got, want)
		}
	}
	for m, a := range modules {
		near(m, "weight_rms", math.Sqrt(a.weight/a.n))
		near(m, "update_ratio", math.Sqrt(a.update/a.weight))
		near(m, "change", math.Sqrt(a.drift/a.start))
		if s[m]["grad_rms"] <= 0 {
			t.Errorf("%s has no gradient", m)
		}
	}
	// The last micro-batch's tokens pick the rows of the table that the step began with.
	var rows []float32
	for _, id := range g.tokens {
		rows = append(rows, before[0][int(id)*r.Shape.DModel:(int(id)+1)*r.Shape.DModel]...)
	}
	near("embedding", "act_rms", rmsOf(rows))
	for _, m := range []string{"attention_q", "attention_k", "attention_v", "attention_o", "router", "expert_gate_up", "expert_down", "residual", "final_norm", "head", "layer.0", "layer.1"} {
		if v := s[m]["act_rms"]; !(v > 0) || math.IsInf(float64(v), 0) {
			t.Errorf("activations of %s: %v", m, v)
		}
	}
	if v := s["router"]; !(v["entropy"] > 0.5 && v["entropy"] <= 1) || !(v["balance"] >= 1 && v["balance"] < 3) {
		t.Errorf("router: %v", v)
	}
	if v := s["attn_logits"]["max_logit"]; !(v > 0.1 && v < 100) {
		t.Errorf("largest logit %v", v)
	}
	if v := s["attention_q"]; !(v["rank"] > 0.5 && v["rank"] <= 1) || !(v["update_rank"] > 0 && v["update_rank"] < v["rank"]) {
		t.Errorf("effective ranks: %v", v)
	}
}

// TestQKVStats recomputes queries and values of a model of one layer from its tensors.
func TestQKVStats(t *testing.T) {
	r := observed(small(1e-2), 1)
	r.Shape = config.Dense(32, 1, 256, 32)
	g := group(t, r)
	tensor := map[string][]float32{}
	for i := range g.Model.Params {
		p := &g.Model.Params[i]
		tensor[p.Name] = p.InitialValue(r.Seed)
	}
	if _, err := g.Steps(nil, 1); err != nil {
		t.Fatal(err)
	}
	all, err := g.Stats(0)
	if err != nil {
		t.Fatal(err)
	}
	s := all[0]
	d := r.Shape.DModel
	for module, name := range map[string]string{"attention_q": "q_proj", "attention_v": "v_proj"} {
		w := tensor["model.layers.0.self_attn."+name+".weight"]
		sq, abs, n := 0.0, 0.0, 0.0
		for _, id := range g.tokens { // all of a batch of 256
			x := tensor["model.embed_tokens.weight"][int(id)*d:][:d]
			norm := math.Sqrt(rmsOf(x)*rmsOf(x) + r.Shape.NormEps)
			for o := range len(w) / d {
				y := 0.0
				for i, v := range x {
					y += float64(w[o*d+i]) * float64(v) / norm
				}
				sq, abs, n = sq+y*y, abs+math.Abs(y), n+1
			}
		}
		if v := s[module]; math.Abs(float64(v["act_rms"])/math.Sqrt(sq/n)-1) > 1e-4 || math.Abs(float64(v["act_abs"])/(abs/n)-1) > 1e-4 {
			t.Errorf("%s: %v, want rms %v, mean %v", module, v, math.Sqrt(sq/n), abs/n)
		}
	}
}

func TestEffectiveRank(t *testing.T) {
	const n = 64
	identity, one := make([]float32, n*n), make([]float32, n*n)
	for i := range n {
		identity[i*n+i] = 3
		for k := range n {
			one[i*n+k] = float32(i+1) * float32(k-5)
		}
	}
	for name, c := range map[string]struct {
		v    []float32
		want float64
	}{"identity": {identity, 1}, "rank one": {one, 1. / n}} {
		if got := effectiveRank(c.v, n, n); math.Abs(got-c.want) > 1e-3 {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if got := effectiveRank(make([]float32, 12), 3, 4); !math.IsNaN(got) {
		t.Errorf("of zeros: %v", got)
	}
}

func TestStatsEvery(t *testing.T) {
	r := small(1e-2)
	for _, c := range []struct{ asked, steps, want int64 }{
		{0, 1, 1},
		{0, 60, 30},
		{0, 100, 50},
		{0, 159, 79},
		{0, 160, 80},
		{0, 161, 80},
		{0, 300, 80},
		{0, 3200, 80},
		{0, 3240, 81},
		{0, 5000, 125},
		{7, 60, 7},
		{-1, 60, 0},
	} {
		one := observed(r, c.asked).For(c.steps * r.BatchTokens())
		if got := StatsEvery(one); got != c.want {
			t.Errorf("asked %d of %d steps: every %d, want %d", c.asked, c.steps, got, c.want)
		}
	}
	for steps := int64(4); steps <= 6000; steps++ {
		one := observed(r, 0).For(steps * r.BatchTokens())
		before := StatsEvery(observed(r, 0).For((steps - 1) * r.BatchTokens()))
		every := StatsEvery(one)
		if n := steps / every; n < 2 || n > 40+1 || steps < 3*statsInterval && n != 2 {
			t.Errorf("%d steps have %d observations", steps, n)
		}
		if every < before || every > before+1 {
			t.Errorf("%d steps: every %d, one step less: every %d", steps, every, before)
		}
	}
}

// TestSampledStats: of a parameter too large to be observed whole, a sample of its rows
// stands for it.
func TestSampledStats(t *testing.T) {
	r := observed(small(1e-2), 1)
	r.Shape = config.Dense(512, 1, 256, 32)
	g := group(t, r)
	at := -1
	for i, p := range g.Model.Params {
		if p.Module == "mlp_gate_up" {
			at = i
		}
	}
	read := func() []float32 {
		t.Helper()
		v := make([]float32, 2*r.Shape.DFF*r.Shape.DModel)
		if err := g.mc.ReadFloats(v, g.Model.Params[at].Value, 0); err != nil {
			t.Fatal(err)
		}
		return v
	}
	sampled := 0
	for _, s := range g.Model.Observed.Samples {
		if s.Param == at {
			sampled += s.Rows * s.Cols
		}
	}
	before := read()
	if _, err := g.Steps(nil, 1); err != nil {
		t.Fatal(err)
	}
	all, err := g.Stats(0)
	if err != nil {
		t.Fatal(err)
	}
	s := all[0]
	diff := read()
	for i := range diff {
		diff[i] -= before[i]
	}
	if want := rmsOf(diff) / rmsOf(before); sampled >= len(diff)/4 || math.Abs(float64(s["mlp_gate_up"]["change"])/want-1) > 0.1 {
		t.Errorf("%d of %d sampled: change %v, want %v", sampled, len(diff), s["mlp_gate_up"]["change"], want)
	}
}

// TestStatsAreLogged: the log has the statistics of the steps asked for, of each run as it
// asked, a step that is validated too among them, and the remark that a loss is a spike.
func TestStatsAreLogged(t *testing.T) {
	often, seldom, wild := observed(small(3e-3), 5), observed(small(1e-3), 20), observed(small(2.5), -1)
	for _, r := range []*config.Run{&often, &seldom, &wild} {
		r.Keep.ValidateEvery = 20
		r.Divergence.Rise = 1e3
	}
	root := followed(t, worker(t).Backend, often, seldom, wild)
	for _, s := range rundir.List(root) {
		events, _, err := rundir.ReadEvents(s.Dir)
		if err != nil {
			t.Fatal(err)
		}
		with, spikes := map[int64]bool{}, 0
		for _, e := range events {
			if e.Stats != nil {
				with[e.Step] = true
				if v := e.Stats["mlp_down"]["update_ratio"]; (v > 0) != (e.LR > 0) {
					t.Errorf("%s step %d: update ratio %v", s.Name, e.Step, v)
				}
				if (e.Step%20 == 0) != (e.Val != 0) {
					t.Errorf("%s step %d: validation %v beside statistics", s.Name, e.Step, e.Val)
				}
			}
			if e.Spike {
				spikes++
			}
		}
		for step := int64(1); step <= 60; step++ {
			if every := StatsEvery(s.Config); with[step] != (every > 0 && step%every == 0) {
				t.Errorf("%s, every %d: statistics at step %d: %v", s.Name, every, step, with[step])
			}
		}
		if s.Config.LR == seldom.LR && spikes > 0 {
			t.Errorf("%s: %d spikes at a low learning rate", s.Name, spikes)
		}
	}
}

// TestObservingChangesNothingOnGPU: the same as TestObservingChangesNothing on a GPU.
func TestObservingChangesNothingOnGPU(t *testing.T) {
	backend := gpu(t)
	kinds(t, func(t *testing.T, experts bool) {
		r := medium(3e-3, 60, experts)
		none := curves(t, followed(t, backend, observed(r, -1)))
		for _, every := range []int64{1, 7} {
			same(t, "observed", curves(t, followed(t, backend, observed(r, every))), none)
		}
	})
}
