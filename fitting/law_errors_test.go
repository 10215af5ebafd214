package fitting

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLawErrors(t *testing.T) {
	ts, ln := noisy(4, 0.05)
	s := vertices(ts, ln, nil)
	sub := func(keep func(Target) bool) *CurveSet {
		var some []Target
		var x []float64
		for i, c := range ts {
			if keep(c) {
				some, x = append(some, c), append(x, ln[i])
			}
		}
		return vertices(some, x, nil)
	}
	oneD := sub(func(t Target) bool { return t.D == 2e9 })
	form := func(text string, params []string, start []float64, f func(t Target, th []float64) float64) LawOptions {
		return LawOptions{Form: Custom, Custom: &CustomForm{Text: text, Params: params, Start: start, Eval: f}}
	}
	ratio := vertices([]Target{{N: 1e8, D: 2e9}, {N: 2e8, D: 4e9}, {N: 4e8, D: 8e9}, {N: 8e8, D: 1.6e10}}, ln[:4], nil)
	for _, c := range []struct {
		name string
		set  *CurveSet
		o    LawOptions
		want string
	}{
		{"one D", oneD, LawOptions{}, "all cells have one D (2B): a law in D cannot be fitted; use form=N_only or pin D"},
		{"one D, D only", oneD, LawOptions{Form: PowerD}, "pin D"},
		{"one N", sub(func(t Target) bool { return t.N == 1e8 }), LawOptions{}, "use form=D_only or pin N"},
		{"fixed ratio", ratio, LawOptions{}, "all cells have one D/N (20)"},
		{"two cells", sub(func(t Target) bool { return t.N == 1e8 && t.D == 2e9 || t.N == 8e8 && t.D == 8e9 }), LawOptions{}, "cells with a vertex for 3 coefficients"},
		{"no B", s, LawOptions{Form: PowerNDB}, "use batch=free"},
		{"no cells", nil, LawOptions{}, "no cells"},
		{"unknown form", s, LawOptions{Form: "powr"}, "unknown law form"},
		{"unknown pin", s, LawOptions{Pin: map[string]float64{"B": 1}}, "has no B, only C, N and D"},
		{"pin not a number", s, LawOptions{Pin: map[string]float64{"N": nan}}, "not a number"},
		{"pin C", s, LawOptions{Pin: map[string]float64{"C": -1}}, "must be positive"},
		{"huber", s, LawOptions{Huber: -1}, "δ must be positive"},
		{"custom without text", s, LawOptions{Form: Custom}, "needs an expression"},
		{
			"start of another length", s,
			form("a*N", []string{"a"}, []float64{1, 2}, func(t Target, th []float64) float64 { return th[0] * t.N }), "2 starting values for 1 parameter",
		},
		{
			"redundant", s,
			form("a*b*N^c", []string{"a", "b", "c"}, nil, func(t Target, th []float64) float64 { return th[0] * th[1] * math.Pow(t.N, th[2]) }), "cannot tell a and b apart",
		},
		{
			"unused", s,
			form("a*N^c", []string{"a", "c", "z"}, nil, func(t Target, th []float64) float64 { return th[0] * math.Pow(t.N, th[1]) }), "z does not change η*",
		},
		{
			"negative", s,
			form("-a*a", []string{"a"}, nil, func(_ Target, th []float64) float64 { return -th[0] * th[0] }), "make η* positive",
		},
		{
			"bad start", s,
			form("a", []string{"a"}, []float64{-1}, func(_ Target, th []float64) float64 { return th[0] }), "not positive at every cell for the starting values",
		},
		{
			"runaway", s,
			form("exp(-exp(a))", []string{"a"}, []float64{-30}, func(_ Target, th []float64) float64 { return 1 - math.Exp(-1e-30*math.Exp(th[0])) }), "",
		},
		{
			"missing quantity", s,
			form("a*B^b", []string{"a", "b"}, nil, func(t Target, th []float64) float64 { return th[0] * math.Pow(t.B, th[1]) }), "the cells have no B",
		},
	} {
		_, err := FitLaw(c.set, c.o)
		if err == nil && c.want != "" || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

func TestLawLeavesOutBounds(t *testing.T) {
	ts, ln := noisy(5, 0.05)
	s := vertices(ts, ln, nil)
	s.Curves[0].OK, s.Curves[0].Bound, s.Curves[0].BoundLR, s.Curves[0].Flags = false, BoundAbove, 4e-3, []Flag{FlagEdgeHigh}
	s.Curves[1].OK, s.Curves[1].Flags = false, []Flag{FlagOutsideGrid}
	s.Curves[2].OK, s.Curves[2].LnLR, s.Curves[2].Flags = false, nan, []Flag{FlagConcave}
	l := mustFit(t, s, LawOptions{Exclude: map[int]bool{3: true}})
	var why []string
	for _, c := range l.Cells[:5] {
		why = append(why, c.Why)
		if c.Used != (c.Why == "") {
			t.Errorf("cell %v: used %v, why %q", c.Key, c.Used, c.Why)
		}
	}
	want := []string{"minimum at the highest learning rate, η* > 4e-3", "vertex outside the grid", "concave", "left out by hand", ""}
	if diff := cmp.Diff(want, why); diff != "" {
		t.Errorf("reasons (−want +got):\n%s", diff)
	}
	if len(l.Notes) != 1 || !strings.HasPrefix(l.Notes[0], "4 of 12 cells left out: N=100M D=2B (minimum at the highest") {
		t.Errorf("notes %q", l.Notes)
	}
	if with := mustFit(t, s, LawOptions{UseBounds: true}); with.N != 11 {
		t.Errorf("with bounds: %d cells", with.N)
	}
}

func TestExactLawHasNoError(t *testing.T) {
	ts := []Target{{N: 1e8, D: 2e9}, {N: 2e8, D: 2e9}, {N: 1e8, D: 8e9}}
	l := mustFit(t, vertices(ts, []float64{-6, -6.5, -5.8}, nil), LawOptions{})
	if l.DOF != 0 || !math.IsNaN(l.ResidSD) || !math.IsNaN(l.coef("N").SE) || !math.IsNaN(l.coef("N").Lo) || len(l.Notes) != 1 {
		t.Errorf("dof %d, SD %v, %+v, notes %q", l.DOF, l.ResidSD, l.coef("N"), l.Notes)
	}
	if _, _, err := l.Jackknife(); err == nil {
		t.Error("jackknife of an exact law")
	}
	if _, _, err := l.Bootstrap(10, 1); err == nil {
		t.Error("bootstrap of an exact law")
	}
	p, err := l.Predict(Target{N: 4e8, D: 8e9}, PredictOptions{})
	if err != nil || !math.IsNaN(p.Low) || !math.IsNaN(p.High) || !strings.Contains(strings.Join(p.Warnings, "\n"), "no interval: 3 cells for 3 coefficients") {
		t.Errorf("prediction %+v, %v", p, err)
	}
	near(t, "ln η*", math.Log(p.LR), -6+2*-0.5+0.2, 1e-9)
}
