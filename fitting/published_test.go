package fitting

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// sig4 checks a golden value given to four significant digits.
func sig4(t *testing.T, what string, got, want float64) {
	t.Helper()
	if fmt.Sprintf("%.3e", got) != fmt.Sprintf("%.3e", want) {
		t.Errorf("%s = %.3e, want %.3e", what, got, want)
	}
}

func published(t testing.TB, name string) *Published {
	t.Helper()
	p, err := FindPublished(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Golden values of facts/learning_rate_laws.md.
func TestPublishedGoldens(t *testing.T) {
	names := []string{"step", "deepseek", "kaplan", "porian", "bjorck"}
	batches := []string{"step", "deepseek", "porian"}
	for _, row := range []struct {
		n, d  float64
		lr, b []float64
	}{
		{1e9, 2e10, []float64{9.960e-4, 9.638e-4, 3.481e-4, 2.129e-3, 5.943e-4}, []float64{4.419e5, 1.080e6, 1.609e6}},
		{1e9, 1e11, []float64{1.632e-3, 7.881e-4, 3.481e-4, 2.129e-3, 3.551e-4}, []float64{1.108e6, 1.828e6, 1.609e6}},
		{4e9, 1.2e11, []float64{6.425e-4, 6.478e-4, 1.547e-4, 1.293e-3, 2.435e-4}, []float64{1.229e6, 3.053e6, 4.263e6}},
		{7e9, 2e12, []float64{1.023e-3, 4.250e-4, 7.665e-5, 1.057e-3, 8.702e-5}, []float64{6.128e6, 9.203e6, 6.317e6}},
		{1.2e10, 5e11, []float64{4.550e-4, 4.724e-4, 1.460e-6, 8.704e-4, 1.198e-4}, []float64{2.777e6, 6.975e6, 9.228e6}},
	} {
		target := Target{N: row.n, D: row.d}
		for i, name := range names {
			lr, err := published(t, name).LR(target, nil)
			if err != nil {
				t.Fatal(err)
			}
			sig4(t, fmt.Sprintf("%s at %v", name, target), lr, row.lr[i])
		}
		for i, name := range batches {
			b, err := published(t, name).BatchTokens(target)
			if err != nil {
				t.Fatal(err)
			}
			sig4(t, fmt.Sprintf("batch of %s at %v", name, target), b, row.b[i])
		}
	}
}

func TestPublishedMoEGoldens(t *testing.T) {
	base := Target{N: 12e9, NActive: 1.3e9, D: 5e11}
	experts := func(active, all float64) Target {
		t := base
		t.ActiveExperts, t.Experts = active, all
		return t
	}
	for _, c := range []struct {
		name  string
		t     Target
		lr, b float64
	}{
		{"ling2025", base, 5.785e-4, 5.119e6},
		{"ling2026", experts(4, 64), 5.849e-4, 9.415e6},
		{"ling2026", experts(2, 64), 5.322e-4, 0},
		{"joint_moe", experts(0, 8), 1.086e-4, 0},
		{"joint_moe", experts(0, 32), 7.676e-5, 0},
	} {
		p := published(t, c.name)
		lr, err := p.LR(c.t, nil)
		if err != nil {
			t.Fatal(err)
		}
		sig4(t, c.name, lr, c.lr)
		if c.b > 0 {
			b, err := p.BatchTokens(c.t)
			if err != nil {
				t.Fatal(err)
			}
			sig4(t, "batch of "+c.name, b, c.b)
		}
		if _, err := p.LR(Target{N: 12e9, D: 5e11, C: 3.9e21}, nil); err == nil || !strings.Contains(err.Error(), "active parameters") {
			t.Errorf("%s at a dense target: %v", c.name, err)
		}
	}
}

func TestPublishedRelative(t *testing.T) {
	zhou := published(t, "zhou")
	target := Target{N: 4e9, D: 1.2e11}
	if _, err := zhou.LR(target, nil); err == nil || !strings.Contains(err.Error(), "anchor (N₀, D₀, η₀)") {
		t.Errorf("without an anchor: %v", err)
	}
	if _, err := zhou.LR(target, &Anchor{N: 1e9, D: 1e10}); err == nil {
		t.Error("an anchor without η₀ is accepted")
	}
	anchor := &Anchor{N: 1e9, D: 2e10, LR: 1e-3}
	at, err := zhou.LR(Target{N: 1e9, D: 2e10}, anchor)
	if err != nil || math.Abs(at-1e-3) > 1e-15 {
		t.Errorf("at the anchor: %v, %v", at, err)
	}
	lr, err := zhou.LR(target, anchor)
	near(t, "ln η", math.Log(lr), math.Log(1e-3)-0.2219*math.Log(4)-0.3509*math.Log(6), 1e-12)
	if err != nil {
		t.Error(err)
	}
	// The trap: the two readings of Eq 6.
	for unit, want := range map[float64]float64{1: 1.75e-5, 1e6: 3.76e-4} {
		law, err := AbsoluteZhou(unit)
		if err != nil {
			t.Fatal(err)
		}
		p, err := law.Predict(Target{N: 12e9, D: 5e11}, nil, PredictOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprintf("%.2e", p.LR) != fmt.Sprintf("%.2e", want) || !strings.Contains(strings.Join(p.Warnings, "\n"), "not proven") {
			t.Errorf("absolute in units of %v: %v, %q", unit, p.LR, p.Warnings)
		}
		for _, target := range []Target{{N: 1e9}, {D: 1e9}, {N: -1, D: 1e9}} {
			if lr, err := law.LR(target, nil); err == nil {
				t.Errorf("%v is accepted: %v", target, lr)
			}
		}
	}
	if _, err := AbsoluteZhou(0); err == nil {
		t.Error("a unit of 0 is accepted")
	}
}

func TestPublishedRefusals(t *testing.T) {
	if _, err := published(t, "kaplan").LR(Target{N: 1.3e10}, nil); err == nil || !strings.Contains(err.Error(), "negative at N=13B") {
		t.Errorf("kaplan beyond its end: %v", err)
	}
	if _, err := published(t, "step").LR(Target{N: 1e9}, nil); err == nil || !strings.Contains(err.Error(), "needs D") {
		t.Errorf("step without D: %v", err)
	}
	if _, err := published(t, "bjorck").BatchTokens(Target{N: 1e9, D: 1e10}); err == nil || !strings.Contains(err.Error(), "no batch rule") {
		t.Errorf("bjorck's batch: %v", err)
	}
	minicpm := published(t, "minicpm")
	if lr, err := minicpm.LR(Target{}, nil); err != nil || lr != 0.01 {
		t.Errorf("minicpm: %v, %v", lr, err)
	}
	if _, err := minicpm.BatchTokens(Target{}); err == nil || !strings.Contains(err.Error(), "final loss") {
		t.Errorf("minicpm's batch without a loss: %v", err)
	}
	if b, err := minicpm.BatchTokens(Target{FinalLoss: 2.5}); err != nil || math.Abs(b/(1.21e9/math.Pow(2.5, 6.24))-1) > 1e-12 {
		t.Errorf("minicpm's batch: %v, %v", b, err)
	}
	for word, want := range map[string]string{"stp": "did you mean step?", "Ling25": "did you mean ling2025?", "gibberish": "there are kaplan,"} {
		if _, err := FindPublished(word); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", word, err, want)
		}
	}
	if p, err := FindPublished("STEP"); err != nil || p.Name != "step" {
		t.Errorf("STEP: %v, %v", p, err)
	}
}

func TestPublishedTableIsComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range PublishedLaws() {
		for field, text := range map[string]string{
			"name": p.Name, "title": p.Title, "source": p.Source, "formula": p.Formula, "batch": p.Batch,
			"means": p.Means, "conditions": p.Conditions, "status": p.Status,
		} {
			if text == "" {
				t.Errorf("%s has no %s", p.Name, field)
			}
		}
		if seen[p.Name] {
			t.Errorf("two laws are called %s", p.Name)
		}
		seen[p.Name] = true
	}
	if len(seen) != 10 {
		t.Errorf("%d laws, the facts list 10", len(seen))
	}
	PublishedLaws()[0].Name = "changed"
	if PublishedLaws()[0].Name != "kaplan" {
		t.Error("a caller can change the table")
	}
}

func TestBeside(t *testing.T) {
	find := func(rows []BesideLaw, name string) BesideLaw {
		for _, r := range rows {
			if r.Name == name {
				return r
			}
		}
		t.Fatalf("no row %s", name)
		return BesideLaw{}
	}
	dense := Target{N: 5e8, D: 2e10}
	rows := BesidePublished(dense, BatchRule{}, nil)
	if len(rows) != len(PublishedLaws()) {
		t.Fatalf("%d rows", len(rows))
	}
	for name, want := range map[string]string{
		"step":      "",
		"deepseek":  "",
		"porian":    "",
		"kaplan":    "its batch condition is not stated",
		"minicpm":   "under MiniCPM's μP",
		"bjorck":    "its batch is fixed at 500k tokens, here it is tuned",
		"joint_moe": "needs the active parameters",
		"ling2025":  "needs the active parameters",
		"ling2026":  "needs the active parameters",
		"zhou":      "needs a measured anchor",
	} {
		r := find(rows, name)
		if r.Comparable != (want == "") || !strings.Contains(r.Why, want) {
			t.Errorf("%s: comparable %v, why %q, want %q", name, r.Comparable, r.Why, want)
		}
		if applies := !strings.Contains(want, "needs"); applies == math.IsNaN(r.LR) {
			t.Errorf("%s: η %v", name, r.LR)
		}
	}
	fixed := BesidePublished(dense, BatchRule{Kind: BatchFixed, Fixed: 524288}, nil)
	if !find(fixed, "bjorck").Comparable {
		t.Errorf("bjorck at its own batch: %q", find(fixed, "bjorck").Why)
	}
	if r := find(fixed, "step"); r.Comparable || r.Why != "its batch is tuned, here it is fixed at 524k" {
		t.Errorf("step at a fixed batch: %q", r.Why)
	}
	if r := find(BesidePublished(Target{N: 1e10, NActive: 1e9, D: 2e10}, BatchRule{}, nil), "deepseek"); r.Comparable || r.Why != "fitted on dense models" {
		t.Errorf("deepseek at a mixture of experts: %q", r.Why)
	}
}

func TestPublishedPredict(t *testing.T) {
	p, err := published(t, "step").Predict(Target{N: 7e9, D: 2e12, B: 1e6}, nil, PredictOptions{At: 1e-3})
	if err != nil {
		t.Fatal(err)
	}
	sig4(t, "η", p.LR, 1.023e-3)
	sig4(t, "B", p.BatchTokens, 6.128e6)
	near(t, "N factor", p.NFactor, 7/1.07, 1e-12)
	if !math.IsNaN(p.Low) || !math.IsNaN(p.Band[0]) || !math.IsNaN(p.AtRegret) || p.Batch.Kind != BatchTuned {
		t.Errorf("prediction %+v", p)
	}
	text := strings.Join(p.Warnings, "\n")
	for _, want := range []string{"N=7B is 6.5× past", "D=2T is 20× past", "goes with its own batch, 6.13M tokens here, not 1M", "no interval"} {
		if !strings.Contains(text, want) {
			t.Errorf("warnings %q lack %q", p.Warnings, want)
		}
	}
	for _, b := range p.Beside {
		if b.Name == "step" {
			t.Error("the law stands beside itself")
		}
	}
	if _, err := published(t, "zhou").Predict(Target{N: 7e9, D: 2e12}, nil, PredictOptions{}); err == nil {
		t.Error("a relative law predicts without an anchor")
	}
	if _, err := published(t, "zhou").Predict(Target{N: 7e9, D: 2e12}, nil, PredictOptions{Anchor: &Anchor{1e9, 2e10, 1e-3}}); err != nil {
		t.Error(err)
	}
}
