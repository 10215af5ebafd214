package fitting

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestRefitIsCurves(t *testing.T) {
	s := defaultSweep()
	s.noise = 3e-3
	runs := s.draw(rand.New(rand.NewPCG(1, 1)))
	o := CurveOptions{ByN: true, ByD: true}
	set, err := Curves(runs, o)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, w := range []Window{{K: 3}, {Kind: WindowPct, Pct: 2}, {}, {Kind: WindowAll}} {
				o := o
				o.Window = w
				want, err := Curves(runs, o)
				if err != nil {
					t.Error(err)
					return
				}
				got := set.Refit(w)
				opts := cmp.Options{sameCurves, cmpopts.IgnoreFields(CurveOptions{}, "Window")}
				if diff := cmp.Diff(want, got, opts); diff != "" {
					t.Errorf("window %v (−curves +refit):\n%s", w, diff)
				}
				if got != set.Refit(w) {
					t.Errorf("window %v is fitted twice", w)
				}
			}
		})
	}
	wg.Wait()
	if set.Refit(Window{}) != set {
		t.Error("the set's own window is fitted again")
	}
	bare := &CurveSet{Options: o, Curves: set.Curves}
	if got := bare.Refit(Window{K: 3}); got.Curves[0].LnLR != set.Refit(Window{K: 3}).Curves[0].LnLR {
		t.Error("a set without a cache refits differently")
	}
}

func TestCurveOptionsAreChecked(t *testing.T) {
	runs := oneCell(grid(1e-4, 2, 5), []float64{2.2, 2.1, 2, 2.1, 2.2})
	for name, o := range map[string]CurveOptions{
		"window":    {Window: Window{K: -1}},
		"percent":   {Window: Window{Kind: WindowPct, Pct: -2}},
		"kind":      {Window: Window{Kind: 9}},
		"form":      {Form: 9},
		"batch":     {Batch: BatchRule{Kind: BatchFixed}},
		"unknown":   {Batch: BatchRule{Kind: BatchUnknown}},
		"diverged":  {Diverged: DivergedRule{Above: -1}},
		"tolerance": {LRTolerance: math.NaN()},
	} {
		if _, err := Curves(runs, o); err == nil {
			t.Errorf("%s: %+v is accepted", name, o)
		}
	}
}
