package fitting

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
	"pgregory.net/rapid"
)

// Intervals hold the truth as often as they say. The law is simulated from its
// vertices, where the t interval is exact, and from whole sweeps with noise in
// the loss, over windows.
func TestIntervalsCover(t *testing.T) {
	const seeds = 400
	target := Target{N: 3e9, D: 1e11}
	s := defaultSweep()
	truth := s.truth(target.N, target.D)
	covers := func(p *Prediction) bool { return math.Log(p.Low) <= truth && truth <= math.Log(p.High) }
	count := map[string]int{}
	predict := func(name string, l *Law, o PredictOptions) {
		t.Helper()
		p, err := l.Predict(target, o)
		if err != nil {
			t.Fatal(err)
		}
		count[name] += btoi(covers(p))
	}
	one := []Window{}
	for seed := range uint64(seeds) {
		ts, ln := noisy(seed, 0.1)
		l := mustFit(t, vertices(ts, ln, nil), LawOptions{})
		predict("t 95", l, PredictOptions{Windows: one})
		predict("t 80", l, PredictOptions{Windows: one, Level: 0.8})
		pinned := mustFit(t, vertices(ts, ln, nil), LawOptions{Pin: map[string]float64{"D": s.b}})
		predict("pinned at the truth", pinned, PredictOptions{Windows: one})
		huber := mustFit(t, vertices(ts, ln, nil), LawOptions{Huber: 0.15})
		predict("huber", huber, PredictOptions{Windows: one})
		custom := mustFit(t, vertices(ts, ln, nil), LawOptions{Form: Custom, Custom: powerAsCustom([]float64{20, -0.7, 0.25})})
		predict("custom", custom, PredictOptions{Windows: one})

		noise := s
		noise.noise, noise.scatter = 1.5e-3, 0.03
		set, err := Curves(noise.draw(rand.New(rand.NewPCG(seed, 11))), CurveOptions{ByN: true, ByD: true})
		if err != nil {
			t.Fatal(err)
		}
		predict("windows", mustFit(t, set, LawOptions{}), PredictOptions{})
	}
	for name, want := range map[string][2]float64{
		"t 95":                {0.92, 0.98},
		"t 80":                {0.74, 0.86},
		"pinned at the truth": {0.92, 0.98},
		"huber":               {0.90, 0.99},
		"custom":              {0.92, 0.98},
		"windows":             {0.92, 0.99},
	} {
		t.Logf("%s: %.1f%%", name, 100*float64(count[name])/seeds)
		if got := float64(count[name]) / seeds; got < want[0] || got > want[1] {
			t.Errorf("%s: covers in %.1f%%, want %.0f%% to %.0f%%", name, 100*got, 100*want[0], 100*want[1])
		}
	}
}

// With scatter the interval is for another cell's own optimum.
func TestScatterCovers(t *testing.T) {
	const seeds = 400
	s := defaultSweep()
	target := Target{N: 3e8, D: 1e10}
	for _, kind := range []IntervalKind{IntervalT, IntervalBootstrap} {
		hit := 0
		rng := rand.New(rand.NewPCG(1, 1))
		for seed := range uint64(seeds) {
			ts, ln := noisy(seed, 0.1)
			l := mustFit(t, vertices(ts, ln, nil), LawOptions{})
			p, err := l.Predict(target, PredictOptions{Windows: []Window{}, Scatter: true, Interval: kind, Samples: 500, Seed: seed})
			if err != nil {
				t.Fatal(err)
			}
			x := s.truth(target.N, target.D) + 0.1*rng.NormFloat64()
			hit += btoi(math.Log(p.Low) <= x && x <= math.Log(p.High))
		}
		// Twelve residuals have no tail beyond the largest of them.
		least := map[IntervalKind]float64{IntervalT: 0.92, IntervalBootstrap: 0.85}[kind]
		if got := float64(hit) / seeds; got < least || got > 0.99 {
			t.Errorf("%s with scatter covers in %.1f%%", kind, 100*got)
		}
	}
}

func TestMixture(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m mixture
		for range rapid.IntRange(1, 5).Draw(t, "components") {
			m = append(m, component{
				mean: rapid.Float64Range(-9, -5).Draw(t, "mean"),
				sd:   rapid.Float64Range(1e-3, 2).Draw(t, "sd"),
				dof:  float64(rapid.IntRange(1, 40).Draw(t, "dof")),
			})
		}
		p := rapid.Float64Range(0.01, 0.99).Draw(t, "p")
		if got := m.cdf(m.quantile(p)); math.Abs(got-p) > 1e-6 {
			t.Fatalf("CDF of the %v quantile is %v", p, got)
		}
		if len(m) == 1 {
			want := distuv.StudentsT{Mu: m[0].mean, Sigma: m[0].sd, Nu: m[0].dof}.Quantile(p)
			if got := m.quantile(p); math.Abs(got-want) > 1e-6*(1+math.Abs(want)) {
				t.Fatalf("quantile %v, want %v", got, want)
			}
		}
	})
	exact := mixture{{mean: -6, dof: 3}, {mean: -5, dof: 3}}
	if lo, hi := exact.quantile(0.025), exact.quantile(0.975); math.Abs(lo+6) > 1e-9 || math.Abs(hi+5) > 1e-9 {
		t.Errorf("two exact windows give [%v, %v]", lo, hi)
	}
}

func TestBandAndRegret(t *testing.T) {
	s := defaultSweep()
	s.below, s.over = 0.02, 0.05
	set, err := Curves(s.draw(rand.New(rand.NewPCG(2, 2))), CurveOptions{ByN: true, ByD: true, Form: Asymmetric, Window: Window{K: 3}})
	if err != nil {
		t.Fatal(err)
	}
	l := mustFit(t, set, LawOptions{})
	p, err := l.Predict(Target{N: 4e8, D: 8e9}, PredictOptions{NearOptimal: 0.004})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "κ below", p.CurvLow, 0.02/2.5, 1e-8)
	near(t, "κ above", p.CurvHigh, 0.05/2.5, 1e-8)
	for _, end := range p.Band {
		near(t, "regret at the band's end", p.Regret(end), 0.004, 1e-9)
	}
	near(t, "regret of half", p.Regret(p.LR/2), 0.008*square(math.Ln2), 1e-8)
	near(t, "regret of twice", p.Regret(p.LR*2), 0.02*square(math.Ln2), 1e-8)
	if !math.IsNaN(p.At) || !math.IsNaN(p.AtRegret) || p.NFactor != 1 || p.DFactor != 1 || !math.IsNaN(p.BFactor) {
		t.Errorf("at %v costs %v; factors %v, %v, %v", p.At, p.AtRegret, p.NFactor, p.DFactor, p.BFactor)
	}
	if len(p.Warnings) != 0 {
		t.Errorf("warnings inside the range of a clean sweep: %q", p.Warnings)
	}
}

func TestIntervalRegret(t *testing.T) {
	p := &Prediction{LR: 1e-3, Low: 5e-4, High: 1.5e-3, CurvLow: 0.01, CurvHigh: 0.03}
	p.finish(PredictOptions{NearOptimal: 0.0025})
	// The truth at Low: LR is twice too high. At High: a third too low.
	near(t, "interval regret", p.IntervalRegret, 0.03*square(math.Ln2), 1e-12)
}

func TestPredictionWarnings(t *testing.T) {
	ts, ln := noisy(8, 0.05)
	s := vertices(ts, ln, nil)
	tuned := mustFit(t, s, LawOptions{Pin: map[string]float64{"N": -0.7, "D": 0.2}})
	fixed := *s
	fixed.Options.Batch = BatchRule{Kind: BatchFixed, Fixed: 524288}
	atBatch := mustFit(t, &fixed, LawOptions{})
	for _, c := range []struct {
		name string
		law  *Law
		t    Target
		want []string
	}{
		{"far", tuned, Target{N: 8e9, D: 1e9}, []string{"N=8B is 10× past the largest fitted N (800M)", "D=1B is 2× below the smallest fitted D (2B)"}},
		{"pins", tuned, Target{N: 4e8, D: 8e9}, []string{"exponent N and exponent D are pinned: their uncertainty is not in the interval"}},
		{"batch of a tuned law", tuned, Target{N: 4e8, D: 8e9, B: 1e6}, []string{"need not be 1M tokens"}},
		{"batch of a fixed law", atBatch, Target{N: 4e8, D: 8e9}, []string{"at a batch of 524k tokens: it holds at that batch only"}},
		{"another batch", atBatch, Target{N: 4e8, D: 8e9, B: 1e6}, []string{"says nothing about 1M"}},
		// The windows of this set are refitted from three points each.
		{"windows", atBatch, Target{N: 4e8, D: 8e9, B: 524288}, nil},
	} {
		p, err := c.law.Predict(c.t, PredictOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if text := strings.Join(p.Warnings, "\n"); !strings.Contains(text, want) {
				t.Errorf("%s: warnings %q lack %q", c.name, p.Warnings, want)
			}
		}
	}
	rng := rand.New(rand.NewPCG(3, 3))
	for i := range ln {
		ln[i] = -7 + rng.NormFloat64()
	}
	noise := mustFit(t, vertices(ts, ln, nil), LawOptions{})
	p, err := noise.Predict(Target{N: 4e8, D: 8e9}, PredictOptions{})
	if err != nil || !strings.Contains(strings.Join(p.Warnings, "\n"), "explains little") {
		t.Errorf("pure noise: R² %v, warnings %q, %v", noise.R2, p.Warnings, err)
	}
}

func TestWindowWithoutLaw(t *testing.T) {
	// At 0.01% every window holds one point, so that no curve can be fitted.
	s := defaultSweep()
	set, err := Curves(s.draw(rand.New(rand.NewPCG(2, 2))), CurveOptions{ByN: true, ByD: true})
	if err != nil {
		t.Fatal(err)
	}
	l := mustFit(t, set, LawOptions{})
	p, err := l.Predict(Target{N: 4e8, D: 8e9}, PredictOptions{Windows: []Window{{Kind: WindowPct, Pct: 1e-6}, {}, {K: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Windows) != 1 || p.Windows[0].Err == "" || !math.IsNaN(p.Windows[0].LnLR) || math.IsNaN(p.Low) {
		t.Errorf("windows %+v, low %v", p.Windows, p.Low)
	}
	if len(p.Warnings) != 1 || !strings.HasPrefix(p.Warnings[0], "window 1e-06% is left out of the interval") {
		t.Errorf("warnings %q", p.Warnings)
	}
}

// A window without a law is said in one clause; the reason in full stays with the window.
func TestWindowWarningsAreShort(t *testing.T) {
	const few = "law power: 2 cells with a vertex for 3 coefficients (C, N, D): train more cells, pin a coefficient, or use a form with fewer; 5 of 7 cells left out: N=1e8 (no curve)"
	p := &Prediction{LR: 1e-3, Windows: []WindowShift{
		{Window: Window{Kind: WindowK, K: 2}, Err: few},
		{Window: Window{Kind: WindowPct, Pct: 1}, Err: "law power: no cell with a vertex; 7 of 7 cells left out"},
		{Window: Window{Kind: WindowK, K: 3}, Err: few},
		{Window: Window{Kind: WindowPct, Pct: 2}, LnLR: math.Log(1e-3)},
	}}
	want := []string{
		"windows 2 and 3 are left out of the interval: 2 cells with a vertex for 3 coefficients",
		"window 1% is left out of the interval: no cell with a vertex",
	}
	if got := windowWarnings(p); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if p.Windows[0].Err != few {
		t.Error("the reason is lost")
	}
}

func TestPredictErrors(t *testing.T) {
	ts, ln := noisy(9, 0.05)
	l := mustFit(t, vertices(ts, ln, nil), LawOptions{})
	good := Target{N: 1e9, D: 1e10}
	for _, c := range []struct {
		t    Target
		o    PredictOptions
		want string
	}{
		{Target{N: 1e9}, PredictOptions{}, "needs D (training tokens)"},
		{Target{D: 1e9}, PredictOptions{}, "needs N (parameters)"},
		{Target{N: -1, D: 1e9}, PredictOptions{}, "N=-1 must be positive"},
		{Target{N: nan, D: 1e9}, PredictOptions{}, "must be positive"},
		{good, PredictOptions{Level: 1.5}, "between 0 and 1"},
		{good, PredictOptions{Interval: "normal"}, "there are t and bootstrap"},
		{good, PredictOptions{Samples: -1}, "must be positive"},
		{good, PredictOptions{NearOptimal: -1}, "must be positive"},
		{good, PredictOptions{At: -1}, "must be positive"},
	} {
		if _, err := l.Predict(c.t, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v %+v: error %v, want %q", c.t, c.o, err, c.want)
		}
	}
	byC := mustFit(t, vertices(ts, ln, nil), LawOptions{Form: PowerC})
	a, errA := byC.LnLR(good)
	b, errB := byC.LnLR(Target{C: 6 * good.N * good.D})
	if errA != nil || errB != nil || a != b {
		t.Errorf("a law in C at N, D gives %v, %v; at C %v, %v", a, errA, b, errB)
	}
	if _, err := byC.LnLR(Target{N: 1e9}); err == nil || !strings.Contains(err.Error(), "C (training FLOPs), or N and D") {
		t.Errorf("a law in C without D: %v", err)
	}
}
