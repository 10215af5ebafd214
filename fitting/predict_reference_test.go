package fitting

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What the notebook shows for Step Law's sweep at a target far outside it.
func TestReferencePrediction(t *testing.T) {
	s, err := Curves(loadStepRuns(t), CurveOptions{ByN: true, ByD: true})
	if err != nil {
		t.Fatal(err)
	}
	l := mustFit(t, s, LawOptions{})
	target := Target{N: 7e9, D: 1.4e12}
	p, err := l.Predict(target, PredictOptions{At: 1e-3})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "η*", p.LR, 6.569e-4, 1e-7)
	// By hand: t(.975, 14)·s·√(v'(X'X)⁻¹v) around the k = 2 fit alone is ±0.291 in ln η.
	alone, err := l.Predict(target, PredictOptions{Windows: []Window{}})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "low, one window", alone.Low, 4.912e-4, 1e-7)
	near(t, "high, one window", alone.High, 8.786e-4, 1e-7)
	if !(p.Low < alone.Low && alone.High < p.High) {
		t.Errorf("[%v, %v] over windows does not contain [%v, %v] of one", p.Low, p.High, alone.Low, alone.High)
	}
	wide, err := l.Predict(target, PredictOptions{Scatter: true})
	if err != nil {
		t.Fatal(err)
	}
	if !(wide.Low < p.Low && p.High < wide.High) {
		t.Errorf("scatter does not widen the interval")
	}
	boot, err := l.Predict(target, PredictOptions{Interval: IntervalBootstrap, Samples: 20_000})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "bootstrap low over t low", boot.Low/p.Low, 1, 0.1)
	near(t, "bootstrap high over t high", boot.High/p.High, 1, 0.1)
	if !(p.Band[0] < 4.1e-4 && 1.0e-3 < p.Band[1]) || p.AtRegret < 1e-3 || p.AtRegret > 3e-3 {
		t.Errorf("band %v, regret of 1e-3 %v", p.Band, p.AtRegret)
	}
	want := []string{
		"N=7B is 6.5× past the largest fitted N (1.07B)",
		"D=1.4T is 14× past the largest fitted D (100B)",
		"the choice of window alone moves η* between 5.53e-4 and 8.35e-4",
	}
	if diff := cmp.Diff(want, p.Warnings); diff != "" {
		t.Errorf("warnings (−want +got):\n%s", diff)
	}
	if len(p.Windows) != 3 || p.Windows[0].Window.String() != "3" || p.Windows[0].N != 17 {
		t.Errorf("windows %+v", p.Windows)
	}
}

// The sign of the D exponent turns with the batch; the tool says so.
func TestReferenceBatchCondition(t *testing.T) {
	runs := loadStepRuns(t)
	for b, sign := range map[float64]float64{131072: -1, 2097152: 1} {
		s, err := Curves(runs, CurveOptions{ByN: true, ByD: true, Batch: BatchRule{Kind: BatchFixed, Fixed: b}})
		if err != nil {
			t.Fatal(err)
		}
		l := mustFit(t, s, LawOptions{})
		if d := l.coef("D"); d.Value*sign <= 0 || d.Lo*d.Hi <= 0 {
			t.Errorf("D exponent at %v tokens: %v in [%v, %v]", b, d.Value, d.Lo, d.Hi)
		}
		p, err := l.Predict(Target{N: 1e9, D: 2e10, B: 1e6}, PredictOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(p.Warnings, "\n"); !strings.Contains(text, "even the sign of the D exponent can change") {
			t.Errorf("warnings %q", p.Warnings)
		}
	}
}
