package health

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// curve is a plausible training loss: power-law decay and noise.
func curve(r *rand.Rand, step int) float64 {
	return 2 + 3.5/math.Pow(1+float64(step)/10, 0.6) + 0.1*r.NormFloat64()
}

func TestHealthyRunsPass(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		d := NewDetector(DefaultRule())
		for step := range 1000 {
			loss := curve(r, step)
			if step%200 > 190 { // a spike of nine steps
				loss += 8
			}
			if why := d.Add(loss); why != "" {
				t.Fatalf("seed %d step %d: %s", seed, step, why)
			}
		}
	}
}

func TestDivergedRunsEnd(t *testing.T) {
	for name, blow := range map[string]func(step int, loss float64) float64{
		"jump":  func(_ int, l float64) float64 { return l + 3 },
		"climb": func(step int, l float64) float64 { return l + 0.02*float64(step-300) },
		"NaN":   func(int, float64) float64 { return math.NaN() },
		"Inf":   func(int, float64) float64 { return math.Inf(1) },
	} {
		r := rand.New(rand.NewPCG(3, 1))
		d := NewDetector(DefaultRule())
		ended := -1
		for step := 0; step < 600 && ended < 0; step++ {
			loss := curve(r, step)
			if step >= 300 {
				loss = blow(step, loss)
			}
			if d.Add(loss) != "" {
				ended = step
			}
		}
		if ended < 300 || ended > 400 {
			t.Errorf("%s: ended at step %d", name, ended)
		}
	}
	off := NewDetector(Rule{Off: true})
	for range 100 {
		if off.Add(1) != "" || off.Add(1e9) != "" {
			t.Fatal("the rule is off")
		}
	}
	if off.Add(math.Inf(-1)) == "" {
		t.Fatal("an infinite loss passes")
	}
}

// A detector that went through a checkpoint anywhere judges like one that did not.
func TestDetectorResumes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		losses := rapid.SliceOfN(rapid.Float64Range(0, 9), 1, 60).Draw(t, "losses")
		cut := rapid.IntRange(0, len(losses)).Draw(t, "cut")
		rule := Rule{Window: rapid.IntRange(3, 9).Draw(t, "window"), Rise: 0.5, Sigmas: 2}
		a, b := NewDetector(rule), NewDetector(rule)
		for i, x := range losses {
			if i == cut {
				data, err := json.Marshal(b)
				if err != nil {
					t.Fatal(err)
				}
				b = &Detector{}
				if err := json.Unmarshal(data, b); err != nil {
					t.Fatal(err)
				}
			}
			if w, g := a.Add(x), b.Add(x); w != g {
				t.Fatalf("step %d: %q, resumed %q", i, w, g)
			}
		}
	})
}

func TestHopeless(t *testing.T) {
	h := DefaultHopeless()
	if h.Stop(0.5, 3, 2) == "" || h.Stop(0.2, 9, 2) != "" || h.Stop(0.9, 2.4, 2) != "" || (Hopeless{}).Stop(1, 9, 0) != "" {
		t.Error("wrong verdict")
	}
	if h.Stop(0.5, math.NaN(), 2) != "" {
		t.Error("a loss that is not a number is the divergence rule's")
	}
}

func TestProblems(t *testing.T) {
	if p := DefaultRule().Problems(); len(p) > 0 {
		t.Error(p)
	}
	if p := (Rule{Window: 1, Rise: math.NaN(), Sigmas: -1}).Problems(); len(p) != 3 {
		t.Error(p)
	}
	if p := (Rule{Off: true}).Problems(); len(p) > 0 {
		t.Error(p)
	}
	if p := DefaultHopeless().Problems(); len(p) > 0 {
		t.Error(p)
	}
	if p := (Hopeless{On: true, After: 1, Margin: 0}).Problems(); len(p) != 2 {
		t.Error(p)
	}
}

func TestNoise(t *testing.T) {
	e := Mean([]float64{1, 2, 3, 4})
	if e.Mean != 2.5 || math.Abs(e.SE-math.Sqrt(5./3/4)) > 1e-15 || e.Blocks != 4 {
		t.Errorf("%+v", e)
	}
	if e := Mean([]float64{7}); e.Mean != 7 || !math.IsNaN(e.SE) {
		t.Errorf("%+v", e)
	}
	if e := Mean(nil); !math.IsNaN(e.Mean) {
		t.Errorf("%+v", e)
	}
	r := rand.New(rand.NewPCG(1, 2))
	a, b := make([]float64, 50), make([]float64, 50)
	for i := range a {
		hard := r.NormFloat64()
		a[i], b[i] = hard+0.01*r.NormFloat64(), hard+0.1+0.01*r.NormFloat64()
	}
	d := Difference(a, b)
	if math.Abs(d.Mean+0.1) > 0.01 || d.SE > Mean(a).SE/10 {
		t.Errorf("%+v, alone %+v", d, Mean(a))
	}
}

// TestWrongFromTheStart: a run that is bad from its first window on diverged, although
// it was never better.
func TestWrongFromTheStart(t *testing.T) {
	d := NewDetector(DefaultRule())
	why := d.Add(5.5)
	for i := 0; why == "" && i < 200; i++ {
		why = d.Add(17 + float64(i%3))
	}
	if why == "" {
		t.Error("a loss that tripled at once did not diverge")
	}
}

// TestSpike: a loss far above those before it is one, noise and a falling loss are none.
func TestSpike(t *testing.T) {
	d := NewDetector(DefaultRule())
	for i := range 60 {
		loss := 3 - 0.005*float64(i) + 0.02*float64(i%3)
		if d.Spike(loss) {
			t.Errorf("step %d: %v is a spike", i, loss)
		}
		d.Add(loss)
	}
	if !d.Spike(3.4) || d.Spike(2.8) {
		t.Error("3.4 after 2.7 is no spike, or 2.8 is one")
	}
	if NewDetector(DefaultRule()).Spike(1e9) {
		t.Error("the first loss is a spike")
	}
}
