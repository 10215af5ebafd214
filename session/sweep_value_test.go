package session

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/rundir"
)

func TestSmooth(t *testing.T) {
	nan := math.NaN()
	y := []float64{9, 5, 100, 4, nan, 3, 2, 7}
	got := Smooth(y, 5)
	want := []float64{9, 9, 7, 4, nan, 4, 3, 7}
	want[2] = 7                     // of 9 5 100 4: between 5 and 9
	want[3] = (4.0 + 5.0) / 2       // of 5 100 4 3
	want[5], want[6] = (4+3.0)/2, 3 // of 4 3 2 7; of 3 2 7
	for i := range want {
		if got[i] != want[i] && !(math.IsNaN(got[i]) && math.IsNaN(want[i])) {
			t.Errorf("value %d is %v, not %v", i, got[i], want[i])
		}
	}
	if y[2] != 100 {
		t.Error("it changed what it was given")
	}
	for _, n := range []int{-1, 0, 1} {
		if off := Smooth(y[:4], n); !slices.Equal(off, y[:4]) {
			t.Errorf("over %d points: %v", n, off)
		}
	}
	if out := Smooth(nil, 20); len(out) != 0 {
		t.Errorf("nothing became %v", out)
	}
}

func TestRates(t *testing.T) {
	r := SweepRun{Config: config.Default(config.Dense(8, 1, 256, 16), 0.01).For(200_000)}
	x, y := r.Rates()
	if len(x) != len(y) || len(x) < 10 || !slices.IsSorted(x) || slices.Max(y) != 0.01 || y[len(y)-1] != 0 {
		t.Errorf("%d and %d points, peak %v", len(x), len(y), y)
	}
	if x, _ := (&SweepRun{}).Rates(); x != nil {
		t.Errorf("no schedule has %v", x)
	}
}

// TestLossLines: a panel a shape, a line a learning rate at one place of all panels; what
// was not trained is left out.
func TestLossLines(t *testing.T) {
	run := func(width int, lr float64, losses ...float64) SweepRun {
		r := SweepRun{Config: config.Default(config.Dense(width, 1, 256, 16), lr).For(4096), Losses: losses}
		for i := range losses {
			r.Tokens = append(r.Tokens, float64(i+1)*1000)
		}
		return r
	}
	s := Sweep{Runs: []SweepRun{run(8, 2e-3, 5, 4), run(8, 1e-3, 5, 3), run(16, 1e-3, 6, 5, 4), run(16, 4e-3), run(32, 1e-3)}}
	l := s.LossLines()
	if len(l.Panels) != 2 {
		t.Fatalf("%d panels", len(l.Panels))
	}
	var names []string
	for _, x := range l.Panels[1].Lines {
		names = append(names, x.Name)
	}
	a, b := l.Panels[0], l.Panels[1]
	if !slices.Equal(names, []string{"η 1e-3", "η 2e-3", "η 4e-3"}) || !slices.Equal(a.Lines[0].Y, []float64{5, 3}) || !slices.Equal(a.Lines[1].Y, []float64{5, 4}) ||
		!slices.Equal(b.Lines[0].X, []float64{1000, 2000, 3000}) || len(b.Lines[1].X) > 0 || a.XName != "tokens" {
		t.Errorf("%v, %+v, %+v", names, a, b)
	}
	for format, magic := range map[string]string{"svg": "<?xml", "png": "\x89PNG"} {
		data, err := Picture{Of: s, Cell: -1, Width: 18, Height: 12}.Draw(format, false)
		if err != nil || !strings.HasPrefix(string(data), magic) {
			t.Errorf("%s: %.20q, %v", format, data, err)
		}
	}
	if _, err := (Picture{Of: Sweep{Runs: s.Runs[4:]}, Cell: -1, Width: 18, Height: 12}).Draw("svg", false); err == nil || !strings.Contains(err.Error(), "has a loss yet") {
		t.Error(err)
	}
}

func TestForming(t *testing.T) {
	run := func(width int, lr float64, st rundir.Status, losses ...float64) SweepRun {
		return SweepRun{Config: config.Default(config.Dense(width, 1, 256, 16), lr).For(4096), Dir: "x", Status: st, Losses: losses}
	}
	s := Sweep{Runs: []SweepRun{
		run(8, 1e-3, rundir.Status{State: rundir.Finished, Val: rundir.Number(math.NaN())}),
		run(8, 2e-3, rundir.Status{State: rundir.Finished, Val: 2}),
		run(16, 4e-3, rundir.Status{State: rundir.Running, Tokens: 2048, Rate: 10}, 5, 3, math.NaN()),
		run(16, 2e-3, rundir.Status{State: rundir.Diverged}, 5, 9),
		run(16, 1e-3, rundir.Status{State: rundir.Queued}),
	}}
	g := s.Groups()
	if len(g) != 2 || g[0].Best != 1 || s.Training(g) != 1 || s.Training(nil) != 0 || s.Over() != 3 {
		t.Fatalf("%+v, %d trains, %d over", g, s.Training(g), s.Over())
	}
	c, open := s.Forming(g[1])
	if len(c.Points) != 0 || len(c.Diverged) != 1 || len(open) != 1 || open[0].Loss != 3 || open[0].LR != 4e-3 {
		t.Errorf("%+v, %+v", c, open)
	}
	if st := s.State(g[1]); st.Over != 1 || !st.Live || st.Share != 0.5 {
		t.Errorf("%+v", st)
	}
	if st := s.State(Group{}); st.Over != 0 || st.Live {
		t.Errorf("an empty group is %+v", st)
	}
}
