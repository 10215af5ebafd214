package fitting

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// checkFit compares one curve with the reference fit of its cell.
func checkFit(t *testing.T, c *Curve, want *refFit) {
	t.Helper()
	var flags []string
	for _, f := range c.Flags {
		flags = append(flags, refFlags[f])
	}
	slices.Sort(flags)
	wantFlags := slices.Sorted(slices.Values(want.Flags))
	if diff := cmp.Diff(wantFlags, flags); diff != "" {
		t.Errorf("flags (−want +got):\n%s", diff)
	}
	if want.EtaStar == nil {
		if !math.IsNaN(c.LnLR) || c.OK {
			t.Errorf("ln η* = %v, OK %v; the reference has no vertex", c.LnLR, c.OK)
		}
		return
	}
	if c.NFit != want.N {
		t.Errorf("points in the window = %d, want %d", c.NFit, want.N)
	}
	near(t, "ln η*", c.LnLR, math.Log(*want.EtaStar), 1e-9)
	near(t, "loss at the vertex", c.Loss, *want.LossStar, 1e-9)
	near(t, "curvature", c.CurvLow, *want.C2, 1e-9)
	near(t, "R²", c.R2, *want.R2, 1e-9)
	if want.RMSE != nil {
		near(t, "RMSE", c.RMSE, *want.RMSE, 1e-9)
	} else if !math.IsNaN(c.RMSE) {
		t.Errorf("RMSE = %v with no degrees of freedom", c.RMSE)
	}
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s = %.12g, want %.12g (off by %.2g, allowed %.2g)", what, got, want, got-want, tolerance)
	}
}

func TestReferenceCurves(t *testing.T) {
	ref, runs := loadDense(t), loadStepRuns(t)
	for name, w := range refWindows {
		s, err := Curves(runs, referenceOptions(w))
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Curves) != len(ref.Cells) {
			t.Fatalf("%d cells, want %d", len(s.Curves), len(ref.Cells))
		}
		for i := range s.Curves {
			c, want := &s.Curves[i], &ref.Cells[i]
			t.Run(fmt.Sprintf("%s/%v", name, c.Key), func(t *testing.T) {
				if c.Key != (Key{N: want.N, D: want.D}) {
					t.Fatalf("cell %v, want N=%v D=%v", c.Key, want.N, want.D)
				}
				if len(c.Points) != len(want.Envelope) {
					t.Fatalf("%d points, want %d", len(c.Points), len(want.Envelope))
				}
				var used []float64
				for j, p := range want.Envelope {
					got := c.Points[j]
					if got.LR != p.LR || math.Abs(got.Loss-p.Loss) > 1e-12 || got.B != p.BS*2048 {
						t.Errorf("point %d = %+v, want %+v", j, got, p)
					}
					if got.InWindow {
						used = append(used, got.LR)
					}
				}
				if diff := cmp.Diff(want.Fits[name].LRsUsed, used); diff != "" {
					t.Errorf("window (−want +got):\n%s", diff)
				}
				checkFit(t, c, want.Fits[name])
			})
		}
	}
}

// The notebook's default sets diverged runs apart and groups roundings. On this
// sweep no window that is local sees either.
func TestReferenceDefaultsAgree(t *testing.T) {
	runs := loadStepRuns(t)
	for _, w := range []Window{refWindows["k2"], refWindows["k3"], refWindows["w1pct"], refWindows["w2pct"]} {
		ref, err := Curves(runs, referenceOptions(w))
		if err != nil {
			t.Fatal(err)
		}
		s, err := Curves(runs, CurveOptions{ByN: true, ByD: true, Window: w})
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.Curves {
			if s.Curves[i].Regroup != 0 {
				t.Errorf("%v: %d learning rates regrouped", s.Curves[i].Key, s.Curves[i].Regroup)
			}
			near(t, fmt.Sprintf("window %v %v ln η*", w, s.Curves[i].Key), s.Curves[i].LnLR, ref.Curves[i].LnLR, 1e-12)
		}
		if got := s.Diverged(); got < 150 || got > 200 {
			t.Errorf("%d runs set apart; about a tenth of 1,911 diverged", got)
		}
	}
}

func TestReferenceDeltaMethod(t *testing.T) {
	ref, runs := loadDense(t), loadStepRuns(t)
	for name, want := range ref.Delta {
		s, err := Curves(runs, referenceOptions(refWindows[name]))
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.Curves {
			c := &s.Curves[i]
			key := fmt.Sprintf("%.0f,%.0f", c.Key.N, c.Key.D)
			near(t, name+" SE of "+key, c.LnLRSE, want[key], 1e-9)
		}
	}
}

func TestReferenceFixedBatch(t *testing.T) {
	var ref struct {
		Cells []refCell `json:"cells"`
	}
	readJSON(t, "steplaw_dense_fixed_bs.json", &ref)
	want := map[Key]*refCell{}
	for i := range ref.Cells {
		c := &ref.Cells[i]
		want[Key{N: c.N, D: c.D, B: c.BSTokens}] = c
	}
	runs := loadStepRuns(t)
	for name, w := range refWindows {
		if name == "w2pct" {
			continue // not in the file
		}
		o := referenceOptions(w)
		o.Batch.Kind = BatchKeyed
		s, err := Curves(runs, o)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Curves) != len(ref.Cells) {
			t.Fatalf("%d cells, want %d", len(s.Curves), len(ref.Cells))
		}
		for i := range s.Curves {
			c := &s.Curves[i]
			t.Run(strings.ReplaceAll(fmt.Sprintf("%s/%v", name, c.Key), " ", ","), func(t *testing.T) {
				cell := want[c.Key]
				if cell == nil {
					t.Fatal("no such cell")
				}
				checkFit(t, c, cell.Fits[name])
			})
		}
	}
}
