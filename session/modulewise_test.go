package session

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/etastar/etastar/mup"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/rundir"
)

// made is a sweep whose trials ended with the losses that loss gives.
func made(t *testing.T, text string, loss func(trial) (float64, rundir.State)) ([]trial, Sweep) {
	t.Helper()
	s := openSweep(t, t.TempDir(), "x = "+text)
	settle(t, s)
	n := s.statement(cell(t, s, "x").Line)
	c := n.call(s.dir())
	trials, _, err := c.trials(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := Sweep{}
	for _, r := range runsOf(trials) {
		run := SweepRun{Config: r}
		for _, x := range trials {
			if x.run.Hash() == r.Hash() {
				l, state := loss(x)
				run.Status = rundir.Status{State: state, Val: rundir.Number(l)}
			}
		}
		v.Runs = append(v.Runs, run)
	}
	return trials, v
}

const modules = "modulewise d_model=16 layers=1 lr=1e-2 tokens=3k context=16 batch=64 groups=embedding,mlp,head factors=[0.5,2]"

// TestModulewiseVerdicts: with a noise of seeds that is the same for all settings, and one
// of their own, differences beyond the bound are gains and losses, others are not.
func TestModulewiseVerdicts(t *testing.T) {
	noise := func(x trial) float64 { // the seed's part cancels, ±0.001 does not
		return 0.1*float64(x.seed) + 0.001*rand.New(rand.NewPCG(x.seed, math.Float64bits(x.factor)+uint64(len(x.group)))).NormFloat64()
	}
	trials, s := made(t, modules, func(x trial) (float64, rundir.State) {
		l := 3 + noise(x)
		switch {
		case x.group == "head" && x.factor == 2:
			return l - 0.05, rundir.Finished
		case x.group == "mlp" && x.factor == 2:
			return l + 0.05, rundir.Finished
		case x.group == "mlp" && x.factor == 0.5 && x.seed == 1:
			return 0, rundir.Diverged
		case x.group == "embedding" && x.factor == 2 && x.seed == 2:
			return 0, rundir.Running
		case x.group == globally && x.factor != 1:
			return l + 0.2, rundir.Finished
		}
		return l, rundir.Finished
	})
	m := newModulewise(trials, &s, 0.95)
	want := map[string]string{
		"all 1": "the best global η", "all 0.5": "loss", "all 2": "loss", "head 2": "gain", "head 0.5": "within the noise", "mlp 2": "loss",
		"mlp 0.5": "diverged, 1 of 3 seeds", "embedding 2": "2 of 3 seeds", "embedding 0.5": "within the noise",
	}
	for _, r := range m.Rows {
		k := fmt.Sprintf("%s %g", r.Group, r.Factor)
		if r.Verdict != want[k] {
			t.Errorf("%s: %s, want %s (ΔL %v, bound %v)", k, r.Verdict, want[k], r.Delta, m.Bound)
		}
		delete(want, k)
	}
	if len(want) > 0 || m.Best != 1 || !(m.Noise > 2e-4 && m.Noise < 4e-3) || !(m.Bound > m.Noise) {
		t.Errorf("missing %v; best %v, noise %v, bound %v", want, m.Best, m.Noise, m.Bound)
	}
	if got := m.Summary(); !strings.Contains(got, "provisional: beyond the noise") || !strings.Contains(got, "head 2× −0.0") {
		t.Error(got)
	}
	if x, err := Field(Sweep{Study: m}, "gains"); err != nil || x != 1 {
		t.Errorf("%v gains, %v", x, err)
	}
	if s.Runs[0].Part != globally || s.Runs[len(s.Runs)-1].Part != "head" || s.Runs[len(s.Runs)-1].Line != "2×" {
		t.Errorf("%+v", s.Runs[len(s.Runs)-1])
	}
	// Where the global η is off, groups are judged against the better one.
	trials, s = made(t, modules, func(x trial) (float64, rundir.State) {
		if x.group == globally {
			return 3 - 0.1*x.factor + noise(x), rundir.Finished
		}
		return 3 + noise(x), rundir.Finished
	})
	if m := newModulewise(trials, &s, 0.95); m.Best != 2 || m.Rows[3].Verdict != "loss" || !strings.Contains(m.Summary(), "the given one times 2") {
		t.Errorf("best %v: %+v", m.Best, m.Rows[3])
	}
}

func TestModulewisePlan(t *testing.T) {
	trials, s := made(t, modules, func(trial) (float64, rundir.State) { return 0, rundir.Running })
	if len(trials) != 3*(3+3*2) || len(s.Runs) != 27 || newModulewise(trials, &s, 0.95) != nil {
		t.Errorf("%d trials, %d runs", len(trials), len(s.Runs))
	}
	for _, x := range trials {
		for i, m := range x.run.Modules() {
			plain := config.Standard(x.run.Shape)[i]
			want := 1.0
			if x.group == "mlp" && (m.Module == mup.MLPGateUp || m.Module == mup.MLPDown) || x.group == string(m.Module) {
				want = x.factor
			}
			if m.LR != plain.LR*want || m.InitStd != plain.InitStd {
				t.Errorf("%s %g: η of %s is ×%g", x.group, x.factor, m.Module, m.LR)
			}
		}
	}
	if got := groupModules(config.Dense(16, 1, 256, 16), "attention_v"); len(got) != 1 || got[0] != mup.AttentionV {
		t.Errorf("attention_v is %v", got)
	}
	if got := groupModules(config.Dense(16, 1, 256, 16), "head"); len(got) != 1 {
		t.Errorf("head is %v", got)
	}
	for text, want := range map[string]string{
		modules + " d_model=[8,16]":                                              "is given twice",
		strings.Replace(modules, "mlp", "router", 1):                             "has no router",
		strings.Replace(modules, "[0.5,2]", "1", 1):                              "there is nothing to try",
		modules + " seeds=1":                                                     "seeds is at least 2",
		modules + " seeds=99 layers=2 weight_decay=0 search=descent factors=0.5": "is given twice",
	} {
		if c := evaluated(t, t.TempDir(), "x = "+text); c.Err == nil || !strings.Contains(c.Err.Error(), want) {
			t.Errorf("%s\n\tsays %v, want %q", text, c.Err, want)
		}
	}
}

// TestDescent trains a descent stage by stage.
func TestDescent(t *testing.T) {
	s := trained(t, "d = modulewise d_model=8 layers=1 lr=1e-2 tokens=2k context=16 batch=64 groups=embedding,head factors=[0.25,4] seeds=2 search=descent validate=512")
	c := cell(t, s, "d")
	v := c.Value.(Sweep)
	m, ok := v.Study.(*Modulewise)
	if !ok || v.Finished() != len(v.Runs) || len(m.Rows) != 3+3+3 {
		t.Fatalf("%d of %d runs over, %v", v.Finished(), len(v.Runs), c.Notes)
	}
	best := m.Rows[3]
	for _, r := range m.Rows[4:6] {
		if r.Loss < best.Loss {
			best = r
		}
	}
	if last := m.Rows[6]; last.Group != "head" || last.Factor != 1 || last.Loss != best.Loss {
		t.Errorf("the head's stage begins at %v, the embedding's best is %v", last, best)
	}
}
