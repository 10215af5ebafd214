package fitting

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// vertices is a curve set whose optima are given outright.
func vertices(ts []Target, ln, se []float64) *CurveSet {
	s := &CurveSet{Options: CurveOptions{ByN: true, ByD: true}}
	for i, t := range ts {
		c := Curve{
			Key: Key{N: t.N, D: t.D, B: t.B}, C: trainingFLOPs(t.C, t.N, t.D), OK: true, Fitted: true,
			LnLR: ln[i], LnLRSE: nan, Loss: 2, CurvLow: 0.02, CurvHigh: 0.02, Coef: []float64{2, 0, 0.02},
			Center: ln[i],
		}
		for _, x := range []float64{-1, 0, 1} {
			c.Points = append(c.Points, Point{LR: math.Exp(ln[i] + x), Loss: 2 + 0.02*x*x, B: nan})
		}
		if se != nil {
			c.LnLRSE = se[i]
		}
		s.Curves = append(s.Curves, c)
	}
	return s
}

// targets is the grid of a sweep.
func (s sweep) targets() (ts []Target, ln []float64) {
	for _, n := range s.n {
		for _, d := range s.d {
			ts, ln = append(ts, Target{N: n, D: d}), append(ln, s.truth(n, d))
		}
	}
	return ts, ln
}

func mustFit(t testing.TB, s *CurveSet, o LawOptions) *Law {
	t.Helper()
	l, err := FitLaw(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// coef returns the coefficient called name.
func (l *Law) coef(name string) Coefficient {
	for _, c := range l.Coef {
		if c.Name == name {
			return c
		}
	}
	return Coefficient{Value: nan}
}

func TestLawIsRecovered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := defaultSweep()
		s.lnC = rapid.Float64Range(-5, 8).Draw(t, "ln C")
		s.a = rapid.Float64Range(-1, 0.2).Draw(t, "a")
		s.b = rapid.Float64Range(-0.5, 0.5).Draw(t, "b")
		set, err := Curves(s.draw(rand.New(rand.NewPCG(1, 1))), CurveOptions{ByN: true, ByD: true})
		if err != nil {
			t.Fatal(err)
		}
		l := mustFit(t2(t), set, LawOptions{})
		for i, want := range []float64{s.lnC, s.a, s.b} {
			if math.Abs(l.Theta[i]-want) > 1e-8 {
				t.Fatalf("θ = %v, want %v", l.Theta, []float64{s.lnC, s.a, s.b})
			}
		}
		p, err := l.Predict(Target{N: 7e9, D: 1e12}, PredictOptions{At: 2 * math.Exp(s.truth(7e9, 1e12))})
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(math.Log(p.LR)-s.truth(7e9, 1e12)) > 1e-7 {
			t.Fatalf("predicted %v", p.LR)
		}
		if want := s.below / s.low * square(math.Ln2); math.Abs(p.AtRegret-want) > 1e-6 {
			t.Fatalf("regret of twice η* = %v, want %v", p.AtRegret, want)
		}
	})
}

func TestLawForms(t *testing.T) {
	s := defaultSweep()
	ts, _ := s.targets()
	at := func(f func(t Target) float64) []float64 {
		ln := make([]float64, len(ts))
		for i, c := range ts {
			ln[i] = f(c)
		}
		return ln
	}
	for i := range ts {
		ts[i].B = 65536 * float64(1+i%3)
	}
	for _, c := range []struct {
		form LawForm
		ln   []float64
		want map[string]float64
		text string
	}{
		{
			PowerND, at(func(t Target) float64 { return 1 - 0.5*math.Log(t.N) + 0.2*math.Log(t.D) }),
			map[string]float64{"C": math.E, "N": -0.5, "D": 0.2},
			"η* = 2.72 · N^−0.500 · D^+0.200",
		},
		{
			PowerNDB, at(func(t Target) float64 { return 1 - 0.5*math.Log(t.N) + 0.2*math.Log(t.D) + 0.3*math.Log(t.B) }),
			map[string]float64{"C": math.E, "N": -0.5, "D": 0.2, "B": 0.3},
			"η* = 2.72 · N^−0.500 · D^+0.200 · B^+0.300",
		},
		{
			PowerN, at(func(t Target) float64 { return 2 - 0.5*math.Log(t.N) }),
			map[string]float64{"C": math.Exp(2), "N": -0.5},
			"η* = 7.39 · N^−0.500",
		},
		{
			PowerD, at(func(t Target) float64 { return -8 + 0.1*math.Log(t.D) }),
			map[string]float64{"C": math.Exp(-8), "D": 0.1},
			"η* = 3.35e-4 · D^+0.100",
		},
		{
			PowerC, at(func(t Target) float64 { return 0.3 - 0.15*math.Log(6*t.N*t.D) }),
			map[string]float64{"C": math.Exp(0.3), "FLOPs": -0.15},
			"η* = 1.35 · C^−0.150",
		},
	} {
		l := mustFit(t, vertices(ts, c.ln, nil), LawOptions{Form: c.form})
		for name, want := range c.want {
			near(t, string(c.form)+" "+name, l.coef(name).Value, want, 1e-9*math.Max(1, want))
		}
		if got := l.Text(); got != c.text {
			t.Errorf("%s prints %q, want %q", c.form, got, c.text)
		}
		if l.R2 < 1-1e-9 || l.N != 12 {
			t.Errorf("%s: R² %v over %d cells", c.form, l.R2, l.N)
		}
	}
}

// noisy vertices around the default law.
func noisy(seed uint64, sd float64) (ts []Target, ln []float64) {
	rng := rand.New(rand.NewPCG(seed, 5))
	ts, ln = defaultSweep().targets()
	for i := range ln {
		ln[i] += sd * rng.NormFloat64()
	}
	return ts, ln
}

func TestPins(t *testing.T) {
	ts, ln := noisy(1, 0.1)
	s := vertices(ts, ln, nil)
	free := mustFit(t, s, LawOptions{})
	for _, name := range []string{"C", "N", "D"} {
		v := free.coef(name).Value
		l := mustFit(t, s, LawOptions{Pin: map[string]float64{name: v}})
		if c := l.coef(name); !c.Pinned || c.Value != v || !math.IsNaN(c.SE) || len(l.Free) != 2 || l.DOF != free.DOF+1 {
			t.Errorf("pinned %s: %+v, free %v, dof %d", name, c, l.Free, l.DOF)
		}
		for _, c := range free.Coef { // pinned where the fit put it anyway
			near(t, "with "+name+" pinned, "+c.Name, l.coef(c.Name).Value, c.Value, 1e-7*math.Abs(c.Value))
		}
		moved := mustFit(t, s, LawOptions{Pin: map[string]float64{name: v * 1.2}})
		if moved.ResidSD*math.Sqrt(float64(moved.DOF)) <= free.ResidSD*math.Sqrt(float64(free.DOF)) {
			t.Errorf("pinning %s elsewhere does not worsen the fit", name)
		}
	}
	all := mustFit(t, s, LawOptions{Pin: map[string]float64{"C": 20, "N": -0.7, "D": 0.25}})
	if all.DOF != 12 || len(all.Theta) != 0 || all.N != 12 {
		t.Errorf("everything pinned: dof %d, θ %v", all.DOF, all.Theta)
	}
	if x, err := all.LnLR(Target{N: 1e9, D: 1e10}); err != nil || math.Abs(x-(math.Log(20)-0.7*math.Log(1e9)+0.25*math.Log(1e10))) > 1e-9 {
		t.Errorf("everything pinned: %v, %v", x, err)
	}
	// One D is enough when its exponent is pinned.
	one := vertices(ts[:1:1], ln[:1:1], nil)
	for i := range ts {
		if ts[i].D == ts[0].D && i > 0 {
			one.Curves = append(one.Curves, s.Curves[i])
		}
	}
	mustFit(t, one, LawOptions{Pin: map[string]float64{"D": 0.25}})
}

func TestWeightsAndHuber(t *testing.T) {
	ts, ln := noisy(2, 0.02)
	se := make([]float64, len(ln))
	for i := range se {
		se[i] = 0.02
	}
	plain := mustFit(t, vertices(ts, ln, se), LawOptions{})
	even := mustFit(t, vertices(ts, ln, se), LawOptions{Weights: WeightSE})
	near(t, "equal SEs weigh equally: a", even.Theta[1], plain.Theta[1], 1e-10)
	near(t, "equal SEs weigh equally: SE", even.coef("N").SE, plain.coef("N").SE, 1e-10)

	bad := slices.Clone(ln)
	bad[len(bad)-1] += 1.5
	outlier := func(o LawOptions, se []float64) float64 {
		l := mustFit(t, vertices(ts, bad, se), o)
		return math.Abs(l.Theta[1] - plain.Theta[1])
	}
	ols := outlier(LawOptions{}, se)
	if huber := outlier(LawOptions{Huber: 0.05}, se); huber > ols/8 {
		t.Errorf("an outlier moves a by %.3f under Huber's loss, by %.3f without", huber, ols)
	}
	custom := LawOptions{Form: Custom, Custom: powerAsCustom(nil), Huber: 0.05}
	power := LawOptions{Huber: 0.05}
	near(t, "Huber, custom against power", mustFit(t, vertices(ts, bad, se), custom).Theta[1], mustFit(t, vertices(ts, bad, se), power).Theta[1], 1e-6)
	near(t, "Huber SE, custom against power",
		mustFit(t, vertices(ts, bad, se), custom).coef("a").SE, mustFit(t, vertices(ts, bad, se), power).coef("N").SE, 1e-6)

	loose := slices.Clone(se)
	loose[len(loose)-1] = 2
	if weighted := outlier(LawOptions{Weights: WeightSE}, loose); weighted > ols/20 {
		t.Errorf("an outlier that is known to be loose moves a by %.3f, unweighted by %.3f", weighted, ols)
	}
	// The floor: a vertex that claims to be exact does not own the law.
	tight := slices.Clone(se)
	tight[len(tight)-1] = 1e-9
	w, _ := weights(WeightSE, tight)
	near(t, "weight of an exact vertex over the others", w[len(w)-1]/w[0], 4, 1e-12)
	tight[0] = nan
	if _, notes := weights(WeightSE, tight); len(notes) != 1 {
		t.Errorf("a missing SE leaves the notes %q", notes)
	}
	if w, notes := weights(WeightSE, []float64{nan, nan}); w != nil || len(notes) != 1 {
		t.Errorf("no SE at all: weights %v, notes %q", w, notes)
	}
}

// Levenberg-Marquardt on the power form gives what QR gives.
func TestCustomIsTheSameLaw(t *testing.T) {
	ts, ln := noisy(3, 0.1)
	s := vertices(ts, ln, nil)
	want := mustFit(t, s, LawOptions{})
	for _, start := range [][]float64{nil, {1, -0.5, 0}} {
		got := mustFit(t, s, LawOptions{Form: Custom, Custom: powerAsCustom(start)})
		for i, name := range []string{"C", "N", "D"} {
			mine, theirs := got.Coef[i], want.coef(name)
			near(t, name, mine.Value, theirs.Value, 1e-6*math.Abs(theirs.Value))
			se := theirs.SE
			if name == "C" {
				se *= theirs.Value // of C itself, not of ln C
			}
			near(t, "SE of "+name, mine.SE, se, 1e-5*se)
		}
		near(t, "R²", got.R2, want.R2, 1e-9)
		near(t, "leverage", got.Cells[3].Leverage, want.Cells[3].Leverage, 1e-6)
		far := Target{N: 7e9, D: 1e12}
		a, errA := got.Predict(far, PredictOptions{Windows: []Window{}})
		b, errB := want.Predict(far, PredictOptions{Windows: []Window{}})
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		near(t, "low", a.Low/b.Low, 1, 1e-5)
		near(t, "high", a.High/b.High, 1, 1e-5)
		if diff := cmp.Diff(b.Warnings, a.Warnings); diff != "" {
			t.Errorf("warnings (−power +custom):\n%s", diff)
		}
	}
	pinned := mustFit(t, s, LawOptions{Form: Custom, Custom: powerAsCustom(nil), Pin: map[string]float64{"b": 0.3}})
	near(t, "a with b pinned", pinned.coef("a").Value, mustFit(t, s, LawOptions{Pin: map[string]float64{"D": 0.3}}).coef("N").Value, 1e-7)
	theta, _, err := pinned.Bootstrap(20, 1)
	if err != nil || len(theta) != 20 || len(theta[0]) != 2 {
		t.Errorf("bootstrap of a custom law: %d samples, %v", len(theta), err)
	}
	if _, _, err := pinned.Jackknife(); err != nil {
		t.Errorf("jackknife of a custom law: %v", err)
	}
}

func TestLawInvariance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ts, ln := noisy(rapid.Uint64().Draw(t, "seed"), 0.1)
		k := rapid.Float64Range(1e-3, 1e3).Draw(t, "scale of N")
		base := mustFit(t2(t), vertices(ts, ln, nil), LawOptions{})
		scaled := slices.Clone(ts)
		for i := range scaled {
			scaled[i].N *= k
		}
		got := mustFit(t2(t), vertices(scaled, ln, nil), LawOptions{})
		if d := got.Theta[0] - (base.Theta[0] - base.Theta[1]*math.Log(k)); math.Abs(d) > 1e-7 {
			t.Fatalf("ln C is off by %v", d)
		}
		for j := 1; j < 3; j++ {
			if math.Abs(got.Theta[j]-base.Theta[j]) > 1e-8 || math.Abs(got.Coef[j].SE-base.Coef[j].SE) > 1e-8 {
				t.Fatalf("another unit of N changes an exponent: %v, %v", got.Theta, base.Theta)
			}
		}
		order := rand.New(rand.NewPCG(1, 1)).Perm(len(ts))
		ts2, ln2 := make([]Target, len(ts)), make([]float64, len(ln))
		for i, j := range order {
			ts2[i], ln2[i] = ts[j], ln[j]
		}
		got = mustFit(t2(t), vertices(ts2, ln2, nil), LawOptions{})
		if diff := cmp.Diff(base.Theta, got.Theta, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
			t.Fatalf("another order of cells:\n%s", diff)
		}
		var lever float64
		for _, c := range base.Cells {
			lever += c.Leverage
		}
		if math.Abs(lever-3) > 1e-8 {
			t.Fatalf("leverages sum to %v, not to 3", lever)
		}
	})
}

func TestBootstrap(t *testing.T) {
	ts, ln := noisy(6, 0.1)
	se := slices.Repeat([]float64{0.1, 0.2, 0.1}, 4)
	s := vertices(ts, ln, se)
	for _, o := range []LawOptions{
		{},
		{Weights: WeightSE},
		{Huber: 0.08},
		{Pin: map[string]float64{"D": 0.25}},
		{Pin: map[string]float64{"C": 20}},
		{Form: PowerN},
	} {
		l := mustFit(t, s, o)
		name := fmt.Sprintf("%+v", o)
		a, _, err := l.Bootstrap(4000, 9)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		b, _, err := l.Bootstrap(4000, 9)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a, b); diff != "" {
			t.Errorf("%s: the same seed gives other samples", name)
		}
		// Around the estimate, with about its standard error. The bootstrap is biased
		// low by √(dof/n) on few cells, and noisier.
		last := len(l.Free) - 1
		column := make([]float64, len(a))
		for i := range a {
			column[i] = a[i][last]
		}
		slices.Sort(column)
		half := (quantileSorted(column, 0.84) - quantileSorted(column, 0.16)) / 2
		want := l.coef(l.Free[last]).SE
		if r := half / want; r < 0.5 || r > 1.6 {
			t.Errorf("%s: bootstrap SE of %s %.4f, standard error %.4f", name, l.Free[last], half, want)
		}
		if d := math.Abs(quantileSorted(column, 0.5) - l.Theta[last]); d > want {
			t.Errorf("%s: bootstrap centre off by %.4f (SE %.4f)", name, d, want)
		}
	}
	// A resample that misses all but one D is drawn again.
	few := vertices(
		[]Target{{N: 1e8, D: 2e9}, {N: 2e8, D: 2e9}, {N: 4e8, D: 2e9}, {N: 1e8, D: 8e9}},
		[]float64{-6, -6.5, -7.1, -5.8}, nil)
	_, skipped, err := mustFit(t, few, LawOptions{}).Bootstrap(200, 1)
	if err != nil || skipped == 0 {
		t.Errorf("%d resamples skipped, %v", skipped, err)
	}
	if _, _, err := mustFit(t, few, LawOptions{}).Jackknife(); err == nil || !strings.Contains(err.Error(), "N=100M D=8B") {
		t.Errorf("jackknife without the only cell of its D: %v", err)
	}
}

func TestCollinearNote(t *testing.T) {
	var ts []Target
	var ln []float64
	for i := range 8 {
		n := 1e8 * math.Pow(1.6, float64(i))
		ts = append(ts, Target{N: n, D: 20 * n * math.Exp(0.05*math.Sin(float64(i)))})
		ln = append(ln, -6-0.3*math.Log(n))
	}
	l := mustFit(t, vertices(ts, ln, nil), LawOptions{})
	if len(l.Notes) != 1 || !strings.Contains(l.Notes[0], "ln N and ln D are nearly collinear") {
		t.Errorf("notes %q", l.Notes)
	}
}
