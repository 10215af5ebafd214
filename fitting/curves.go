package fitting

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
)

// CurveSet is the curves of a sweep and how they were made. It may be read by
// several goroutines at once; nobody may modify it.
type CurveSet struct {
	Options CurveOptions
	Curves  []Curve // ascending N, then D, then B, then Extra
	// Skipped counts runs that could not be used, by reason ("no learning rate", "N is not positive").
	Skipped map[string]int
	Runs    int // runs given

	cache *refits // shared by every window of the same cells; nil: no cache
}

// refits remembers the sets of one sweep by window, so that an interval over
// windows fits each of them once.
type refits struct {
	mu   sync.Mutex
	sets map[Window]*CurveSet
}

// maxRefits bounds the memory of a knob that is turned through many windows.
const maxRefits = 32

// Curves groups the runs into cells and fits each. It fails only when no run is
// usable or an option has no meaning; a cell that cannot be fitted says why in its Flags.
func Curves(runs []Run, o CurveOptions) (*CurveSet, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &CurveSet{
		Options: o,
		Skipped: map[string]int{},
		Runs:    len(runs),
		cache:   &refits{sets: map[Window]*CurveSet{}},
	}
	cells := s.group(runs)
	if len(cells) == 0 {
		return nil, s.unusable(runs)
	}
	s.Curves = make([]Curve, len(cells))
	var f fitter
	for i := range cells {
		s.Curves[i] = cells[i].curve(runs, o)
		f.fit(&s.Curves[i], o.Window, o.Form)
	}
	s.cache.sets[o.Window.normal()] = s
	return s, nil
}

func (o *CurveOptions) check() error {
	w := o.Window.normal()
	switch {
	case o.Window.Kind < WindowK || o.Window.Kind > WindowAll:
		return fmt.Errorf("window: unknown kind %d", o.Window.Kind)
	case w.Kind == WindowK && w.K < 0:
		return fmt.Errorf("window=%d: the number of neighbours is negative", w.K)
	case w.Kind == WindowPct && !known(w.Pct):
		return fmt.Errorf("window=%v%%: the percentage must be positive", w.Pct)
	case o.Form < Quadratic || o.Form > Asymmetric:
		return fmt.Errorf("form: unknown curve form %d", o.Form)
	case o.Batch.Kind < BatchTuned || o.Batch.Kind > BatchKeyed:
		return errors.New("batch: must be tuned, fixed(B) or free")
	case o.Batch.Kind == BatchFixed && !known(o.Batch.Fixed):
		return fmt.Errorf("batch=%v: the batch must be positive", o.Batch)
	case math.IsNaN(o.Diverged.Above) || o.Diverged.Above < 0:
		return fmt.Errorf("diverged=%v: the loss above which a run counts as diverged must be positive", o.Diverged.Above)
	case math.IsNaN(o.LRTolerance) || o.LRTolerance < 0:
		return fmt.Errorf("learning-rate tolerance %v: must not be negative", o.LRTolerance)
	}
	return nil
}

// unusable explains why no run made it into a cell.
func (s *CurveSet) unusable(runs []Run) error {
	if len(runs) == 0 {
		return errors.New("no runs")
	}
	if s.Options.Batch.Kind == BatchFixed && s.Skipped[skipOtherBatch] > 0 {
		var have []float64
		for i := range runs {
			if known(runs[i].B) {
				have = append(have, runs[i].B)
			}
		}
		slices.Sort(have)
		have = slices.Compact(have)
		names := make([]string, len(have))
		for i, b := range have {
			names[i] = fmt.Sprintf("%.0f", b)
		}
		if len(names) > 24 {
			names = append(names[:24], fmt.Sprintf("… (%d in all)", len(have)))
		}
		return fmt.Errorf("no run has a batch within 1%% of %.0f tokens; there are %s",
			s.Options.Batch.Fixed, strings.Join(names, ", "))
	}
	reasons := make([]string, 0, len(s.Skipped))
	for why, n := range s.Skipped {
		reasons = append(reasons, fmt.Sprintf("%d × %s", n, why))
	}
	slices.Sort(reasons)
	return fmt.Errorf("none of %d runs can be used: %s", len(runs), strings.Join(reasons, ", "))
}

// Refit returns the same cells fitted with another window. The result is shared
// between callers and must not be modified. A window Curves would refuse gives
// cells without a fit.
func (s *CurveSet) Refit(w Window) *CurveSet {
	w = w.normal()
	if s.cache == nil {
		return s.refit(w)
	}
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	if r, ok := s.cache.sets[w]; ok {
		return r
	}
	if len(s.cache.sets) >= maxRefits {
		clear(s.cache.sets)
	}
	r := s.refit(w)
	s.cache.sets[w] = r
	return r
}

func (s *CurveSet) refit(w Window) *CurveSet {
	r := &CurveSet{
		Options: s.Options,
		Curves:  make([]Curve, len(s.Curves)),
		Skipped: s.Skipped,
		Runs:    s.Runs,
		cache:   s.cache,
	}
	r.Options.Window = w
	var f fitter
	for i := range s.Curves {
		r.Curves[i] = s.Curves[i].unfitted()
		f.fit(&r.Curves[i], w, s.Options.Form)
	}
	return r
}

// Diverged counts the runs set apart over all cells.
func (s *CurveSet) Diverged() int {
	n := 0
	for i := range s.Curves {
		n += len(s.Curves[i].Diverged)
	}
	return n
}
