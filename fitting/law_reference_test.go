package fitting

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"
)

// referenceLaw fits through the cells with a convex vertex, edge or not.
func referenceLaw(t testing.TB, s *CurveSet, o LawOptions) *Law {
	t.Helper()
	o.UseBounds = true
	l, err := FitLaw(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func checkLaw(t *testing.T, l *Law, want refLaw) {
	t.Helper()
	if l.N != want.N {
		t.Errorf("%d cells, want %d", l.N, want.N)
	}
	near(t, "R²", l.R2, want.R2, 1e-6)
	near(t, "residual SD", l.ResidSD, want.ResidSD, 1e-6)
	for i, c := range l.Coef {
		name := "ln" + c.Name
		value, lo, hi := want.Coef[name], c.Lo, c.Hi
		if c.Name == "C" {
			value, lo, hi = want.LnC, math.Log(c.Lo), math.Log(c.Hi)
		}
		near(t, name, l.Theta[i], value, 1e-6)
		near(t, "SE of "+name, c.SE, want.SE[name], 1e-6)
		near(t, "lower "+name, lo, want.T95[name][0], 1e-6)
		near(t, "upper "+name, hi, want.T95[name][1], 1e-6)
	}
}

func TestReferenceLaws(t *testing.T) {
	ref, runs := loadDense(t), loadStepRuns(t)
	for name, w := range refWindows {
		s, err := Curves(runs, referenceOptions(w))
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name+"/all17", func(t *testing.T) {
			checkLaw(t, referenceLaw(t, s, LawOptions{}), ref.Laws["envelope_"+name+"_all17"])
		})
		t.Run(name+"/drop_one_from_edge", func(t *testing.T) {
			drop := slices.IndexFunc(s.Curves, func(c Curve) bool { return c.Key == Key{N: 214663680, D: 1e11} })
			l := referenceLaw(t, s, LawOptions{Exclude: map[int]bool{drop: true}})
			checkLaw(t, l, ref.Laws["envelope_"+name+"_drop_one_from_edge"])
			if c := l.Cells[drop]; c.Used || c.Why != "left out by hand" {
				t.Errorf("excluded cell: used %v, why %q", c.Used, c.Why)
			}
		})
	}
}

// The law of the defaults, without UseBounds or Keep, is the reference law: no
// cell of this sweep has its minimum on the edge.
func TestReferenceDefaultLaw(t *testing.T) {
	ref := loadDense(t)
	s, err := Curves(loadStepRuns(t), CurveOptions{ByN: true, ByD: true})
	if err != nil {
		t.Fatal(err)
	}
	l, err := FitLaw(s, LawOptions{})
	if err != nil {
		t.Fatal(err)
	}
	checkLaw(t, l, ref.Laws["envelope_k2_all17"])
	if got, want := l.Text(), "η* = 28.9 · N^−0.811 · D^+0.275"; got != want {
		t.Errorf("text %q, want %q", got, want)
	}
}

func TestReferencePerBatchLaws(t *testing.T) {
	ref, runs := loadDense(t), loadStepRuns(t)
	for name, want := range ref.PerBatch {
		t.Run(name, func(t *testing.T) {
			bs, err := strconv.ParseFloat(name, 64)
			if err != nil {
				t.Fatal(err)
			}
			o := referenceOptions(refWindows["k2"])
			o.Batch = BatchRule{Kind: BatchFixed, Fixed: bs * 2048}
			s, err := Curves(runs, o)
			if err != nil {
				t.Fatal(err)
			}
			// The per-batch laws keep cells with few points, unlike the "clean" joint law.
			edges := having(s, FlagEdgeLow, FlagEdgeHigh, FlagOutsidePoints)
			checkLaw(t, referenceLaw(t, s, LawOptions{Exclude: edges}), want)
		})
	}
}

// having lists the cells with any of the flags.
func having(s *CurveSet, flags ...Flag) map[int]bool {
	out := map[int]bool{}
	for i := range s.Curves {
		for _, f := range flags {
			if s.Curves[i].Has(f) {
				out[i] = true
			}
		}
	}
	return out
}

func TestReferenceBatchLaws(t *testing.T) {
	ref, runs := loadDense(t), loadStepRuns(t)
	for _, name := range []string{"k2", "k3"} {
		o := referenceOptions(refWindows[name])
		o.Batch.Kind = BatchKeyed
		s, err := Curves(runs, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, clean := range []bool{false, true} {
			law, options := "fixed_bs_"+name+"_lnN_lnD_lnBtokens_all_convex", LawOptions{Form: PowerNDB}
			if clean {
				law, options.Exclude = "fixed_bs_"+name+"_lnN_lnD_lnBtokens_clean_cells",
					having(s, FlagEdgeLow, FlagEdgeHigh, FlagOutsidePoints, FlagFewPoints)
			}
			t.Run(law, func(t *testing.T) {
				checkLaw(t, referenceLaw(t, s, options), ref.Laws[law])
			})
		}
	}
}

func TestReferenceJackknife(t *testing.T) {
	ref, runs := loadDense(t), loadStepRuns(t)
	for name, want := range ref.Jackknife {
		s, err := Curves(runs, referenceOptions(refWindows[name]))
		if err != nil {
			t.Fatal(err)
		}
		se, left, err := referenceLaw(t, s, LawOptions{}).Jackknife()
		if err != nil {
			t.Fatal(err)
		}
		for j, v := range []float64{want.SE.LnC, want.SE.A, want.SE.B} {
			near(t, fmt.Sprintf("%s SE %d", name, j), se[j], v, 1e-6)
		}
		for i, w := range want.Left {
			for j, v := range []float64{w.LnC, w.A, w.B} {
				near(t, fmt.Sprintf("%s without %v, %d", name, w.Out, j), left[i][j], v, 1e-6)
			}
		}
	}
}

func TestReferenceBootstrap(t *testing.T) {
	ref, runs := loadDense(t), loadStepRuns(t)
	for name, want := range ref.Bootstrap {
		s, err := Curves(runs, referenceOptions(refWindows[name]))
		if err != nil {
			t.Fatal(err)
		}
		theta, skipped, err := referenceLaw(t, s, LawOptions{}).Bootstrap(40_000, 7)
		if err != nil {
			t.Fatal(err)
		}
		if skipped > 40 {
			t.Errorf("%s: %d resamples skipped", name, skipped)
		}
		column := make([]float64, len(theta))
		for j, ends := range [][]float64{nil, want.A, want.B} {
			if ends == nil {
				continue // ln C is anti-correlated with the exponents and ten times as wide
			}
			for i := range theta {
				column[i] = theta[i][j]
			}
			slices.Sort(column)
			for k, q := range []float64{0.025, 0.5, 0.975} {
				near(t, fmt.Sprintf("%s θ%d %v", name, j, q), quantileSorted(column, q), ends[k], 0.01)
			}
		}
	}
}
