package fitting

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHoldOuts(t *testing.T) {
	ts, ln := noisy(1, 0.05) // 4 N × 3 D
	s := vertices(ts, ln, nil)
	for _, c := range []struct {
		name        string
		h           HoldOut
		train, test int
		err         string
	}{
		{"default", HoldOut{}, 6, 6, ""},
		{"half", HoldOut{Half: true}, 6, 6, ""},
		{"largest", HoldOut{Largest: 2}, 10, 2, ""},
		{"one N", HoldOut{N: 2e8}, 9, 3, ""},
		{"largest N", HoldOut{LargestN: true}, 9, 3, ""},
		{"each N", HoldOut{EachN: true}, 12, 12, ""},
		{"too many", HoldOut{Largest: 12}, 0, 0, "leave at least one"},
		{"no such N", HoldOut{N: 3e8}, 0, 0, "no cell has N=300M"},
		{"two at once", HoldOut{Half: true, LargestN: true}, 0, 0, "choose one"},
	} {
		got, err := Compare(s, []Contender{{Law: &LawOptions{}}}, c.h)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want %q", c.name, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if len(got.Train) != c.train || len(got.Test) != c.test || len(got.Rows[0].Cells) != c.test {
			t.Errorf("%s: %d trained, %d tested, %d scored", c.name, len(got.Train), len(got.Test), len(got.Rows[0].Cells))
		}
	}
	one := vertices(ts[:1], ln[:1], nil)
	for _, h := range []HoldOut{{}, {EachN: true}, {LargestN: true}} {
		if _, err := Compare(one, []Contender{{Baseline: "mean"}}, h); err == nil {
			t.Errorf("one cell can be split by %+v", h)
		}
	}
	if _, err := Compare(s, nil, HoldOut{}); err == nil {
		t.Error("nothing to compare is accepted")
	}
	if _, err := Compare(nil, []Contender{{}}, HoldOut{}); err == nil {
		t.Error("no cells are accepted")
	}
}

func TestCompareScores(t *testing.T) {
	ts, ln := noisy(2, 0.05)
	s := vertices(ts, ln, nil)
	law := LawOptions{}
	got, err := Compare(s, []Contender{
		{Law: &law},
		{Baseline: "mean"},
		{Baseline: "largest"},
		{Published: published(t, "kaplan")},
		{Published: published(t, "zhou")},
		{Name: "broken"},
		{Law: &LawOptions{Form: PowerNDB}},
	}, HoldOut{LargestN: true})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range got.Rows {
		names = append(names, r.Name)
	}
	if diff := cmp.Diff([]string{"power", "mean", "largest", "kaplan", "zhou", "broken", "power_B"}, names); diff != "" {
		t.Errorf("names (−want +got):\n%s", diff)
	}

	// The law by hand.
	train := mustFit(t, vertices(ts[:9], ln[:9], nil), LawOptions{})
	row := got.Rows[0]
	var abs float64
	for i, c := range row.Cells {
		x, err := train.LnLR(ts[9+i])
		if err != nil {
			t.Fatal(err)
		}
		near(t, "ln error", c.LnErr, x-ln[9+i], 1e-9)
		abs += math.Abs(c.LnErr) / 3
		if !c.HasPI {
			t.Error("no prediction interval")
		}
	}
	near(t, "mean error", row.MeanAbsErr, abs, 1e-12)
	if row.Coverage != 1 || !row.Comparable || row.InSample || row.Condition != "tuned" {
		t.Errorf("law: coverage %v, comparable %v, in sample %v, condition %q", row.Coverage, row.Comparable, row.InSample, row.Condition)
	}
	// The mean of the training cells is too high for the largest models.
	if mean := got.Rows[1]; mean.Bias < 0.3 || mean.Bias > 1 || !math.IsNaN(mean.Coverage) {
		t.Errorf("mean: bias %v, coverage %v", mean.Bias, mean.Coverage)
	}
	near(t, "largest", math.Log(got.Rows[2].Cells[0].Predict), ln[8], 1e-12)
	if r := got.Rows[3]; r.Comparable || r.InSample || r.Condition != "unknown: its batch condition is not stated" {
		t.Errorf("kaplan: %+v", r)
	}
	if r := got.Rows[4]; r.Err != "" || len(r.Cells) != 3 {
		t.Errorf("zhou, anchored at the largest training cell: %+v", r)
	}
	for i, want := range map[int]string{5: "needs a law", 6: "use batch=free"} {
		if r := got.Rows[i]; !strings.Contains(r.Err, want) || len(r.Cells) != 0 || !math.IsNaN(r.MeanAbsErr) {
			t.Errorf("%s: %+v", r.Name, r)
		}
	}
	if law.Exclude != nil {
		t.Error("the caller's options were changed")
	}
}

func TestCompareUnmeasuredCells(t *testing.T) {
	ts, ln := noisy(3, 0.05)
	s := vertices(ts, ln, nil)
	s.Curves[11].OK, s.Curves[11].Bound = false, BoundAbove
	s.Curves[10].Points, s.Curves[10].OK, s.Curves[10].LnLR = nil, false, nan
	got, err := Compare(s, []Contender{{Law: &LawOptions{}}}, HoldOut{LargestN: true})
	if err != nil {
		t.Fatal(err)
	}
	cells := got.Rows[0].Cells
	if len(cells) != 2 || !math.IsNaN(cells[1].LnErr) || !math.IsNaN(cells[1].Measured) || math.IsNaN(cells[1].Penalty) {
		t.Errorf("cells %+v", cells)
	}
	want := []string{
		"1 held-out cell without a vertex: scored by loss, not by η*",
		"1 held-out cell without a converged run: not scored",
	}
	if diff := cmp.Diff(want, got.Notes); diff != "" {
		t.Errorf("notes (−want +got):\n%s", diff)
	}
	// A law that refuses some cells is scored on the others, with a note.
	big := vertices([]Target{{N: 1e8, D: 2e9}, {N: 1e9, D: 2e9}, {N: 2e10, D: 2e9}}, []float64{-6, -7, -8}, nil)
	got, err = Compare(big, []Contender{{Published: published(t, "kaplan")}}, HoldOut{Largest: 2})
	if err != nil || len(got.Rows[0].Cells) != 1 || got.Rows[0].Err != "" || len(got.Notes) != 1 {
		t.Errorf("rows %+v, notes %q, %v", got.Rows, got.Notes, err)
	}
}

func TestPenalty(t *testing.T) {
	c := Curve{Points: []Point{{LR: 1e-3, Loss: 2.2}, {LR: 2e-3, Loss: 2}, {LR: 4e-3, Loss: 2.4}}}
	for _, p := range []struct {
		lr, want float64
		clamped  bool
	}{
		{1e-3, 0.1, false},
		{2e-3, 0, false},
		{2e-3 * math.Sqrt2, 0.1, false},
		{4e-3, 0.2, false},
		{5e-4, 0.1, true},
		{1, 0.2, true},
	} {
		got, clamped := c.penalty(math.Log(p.lr))
		if math.Abs(got-p.want) > 1e-12 || clamped != p.clamped {
			t.Errorf("penalty at %v = %v, clamped %v; want %v, %v", p.lr, got, clamped, p.want, p.clamped)
		}
	}
	if got, _ := (&Curve{Points: []Point{{LR: 1, Loss: -1}}}).penalty(0); !math.IsNaN(got) {
		t.Errorf("penalty over a negative minimum = %v", got)
	}
}
