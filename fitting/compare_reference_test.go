package fitting

import (
	"math"
	"testing"
)

// Golden hold-outs of facts/anchors.md, in percent of loss at the precision given there.
func TestReferenceHoldOut(t *testing.T) {
	runs := loadStepRuns(t)
	round := func(x float64, digits int) float64 {
		p := math.Pow(10, float64(digits))
		return math.Round(100*x*p) / p
	}
	for _, c := range []struct {
		window    string
		mean, max float64
	}{
		{"k3", 0.027, 0.10},
		{"k2", 0.028, 0.12},
	} {
		s, err := Curves(runs, referenceOptions(refWindows[c.window]))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Compare(s, []Contender{
			{Name: "ours", Law: &LawOptions{}},
			{Name: "largest", Baseline: "largest"},
		}, HoldOut{Half: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Train) != 8 || len(got.Test) != 9 {
			t.Fatalf("%d training and %d test cells, want 8 and 9", len(got.Train), len(got.Test))
		}
		ours := got.Rows[0]
		if mean, worst := round(ours.MeanPenalty, 3), round(ours.MaxPenalty, 2); mean != c.mean || worst != c.max {
			t.Errorf("%s: penalty %v%% mean, %v%% max; want %v and %v", c.window, mean, worst, c.mean, c.max)
		}
		if c.window != "k2" {
			continue // the figure for the largest cell is that of k = 2
		}
		if mean, worst := round(got.Rows[1].MeanPenalty, 2), round(got.Rows[1].MaxPenalty, 2); mean != 0.27 || worst != 1.18 {
			t.Errorf("%s: largest cell's η* costs %v%% mean, %v%% max; want 0.27 and 1.18", c.window, mean, worst)
		}
	}
}

func TestReferencePublishedPenalty(t *testing.T) {
	ref, runs := loadDense(t), loadStepRuns(t)
	s, err := Curves(runs, referenceOptions(refWindows["k2"]))
	if err != nil {
		t.Fatal(err)
	}
	step, err := FindPublished("step")
	if err != nil {
		t.Fatal(err)
	}
	// Every cell is in one of the folds, and a published law does not care which.
	got, err := Compare(s, []Contender{{Published: step}}, HoldOut{EachN: true})
	if err != nil {
		t.Fatal(err)
	}
	row := got.Rows[0]
	if !row.InSample || !row.Comparable || row.Err != "" {
		t.Errorf("in sample %v, comparable %v, error %q", row.InSample, row.Comparable, row.Err)
	}
	near(t, "mean penalty", math.Round(row.MeanPenalty*1e5)/1e3, 0.065, 1e-12)
	near(t, "max penalty", math.Round(row.MaxPenalty*1e4)/1e2, 0.18, 1e-12)
	if len(row.Cells) != len(ref.Published) {
		t.Fatalf("%d cells, want %d", len(row.Cells), len(ref.Published))
	}
	for i, want := range ref.Published {
		c := row.Cells[i]
		near(t, "η", c.Predict, want.Published, 1e-12)
		near(t, "ln error", c.LnErr, want.LnOver, 1e-9)
		near(t, "penalty in percent", 100*c.Penalty, want.Penalty, 1e-9)
	}
}
