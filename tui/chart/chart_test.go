package chart

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"

	"github.com/etastar/etastar/fitting"
)

// nasty are the numbers that break charts.
var nasty = []float64{
	math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), -1, 1, 1e-3, 2.5, 2.5000001, 5e-324, 1e-300, 1e300,
	math.MaxFloat64, -math.MaxFloat64, 1e15, 1e-9,
}

func anyNumber(t *rapid.T, name string) float64 {
	if rapid.Bool().Draw(t, name+" nasty") {
		return rapid.SampledFrom(nasty).Draw(t, name)
	}
	return rapid.Float64Range(1e-5, 5).Draw(t, name)
}

func numbers(t *rapid.T, name string, most int) []float64 {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) float64 { return anyNumber(t, name) }), 0, most).Draw(t, name)
}

var names = rapid.SampledFrom([]string{
	"", "power", "fixed(524288)", "日本語の法則", "e\u0301tude", "a\nb\tc", "\x1b[31mred", "👩‍🚀", strings.Repeat("long ", 30), "\xff\xfe",
})

func nastyPoints(t *rapid.T, name string) []fitting.Point {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) fitting.Point {
		return fitting.Point{LR: anyNumber(t, "lr"), Loss: anyNumber(t, "loss"), B: anyNumber(t, "b"), InWindow: rapid.Bool().Draw(t, "in")}
	}), 0, 8).Draw(t, name)
}

func nastyCurve(t *rapid.T) fitting.Curve {
	return fitting.Curve{
		Key:    fitting.Key{N: anyNumber(t, "N"), D: anyNumber(t, "D"), B: anyNumber(t, "B"), Extra: names.Draw(t, "extra")},
		C:      anyNumber(t, "C"),
		Points: nastyPoints(t, "points"), Diverged: nastyPoints(t, "diverged"), Excluded: nastyPoints(t, "excluded"),
		OK: rapid.Bool().Draw(t, "ok"), Bound: fitting.Bound(rapid.IntRange(0, 2).Draw(t, "bound")), BoundLR: anyNumber(t, "bound lr"),
		Fitted: rapid.Bool().Draw(t, "fitted"), Form: fitting.CurveForm(rapid.IntRange(0, 2).Draw(t, "form")),
		Center: anyNumber(t, "center"), Coef: []float64{anyNumber(t, "c0"), anyNumber(t, "c1"), anyNumber(t, "c2"), anyNumber(t, "c3")},
		LnLR: anyNumber(t, "ln η*"), LnLRSE: anyNumber(t, "se"), Loss: anyNumber(t, "loss*"), R2: anyNumber(t, "R²"),
		Flags: []fitting.Flag{fitting.FlagNearEdge, fitting.FlagDiverged, "something new"},
	}
}

// sweep is a set of parabolas that we own: η* falls with N and grows with D.
func sweep() *fitting.CurveSet {
	var runs []fitting.Run
	for _, n := range []float64{2e8, 4e8, 8e8} {
		for _, d := range []float64{4e9, 16e9, 64e9} {
			opt := math.Log(30*math.Pow(n, -0.8)*math.Pow(d, 0.28)) + 0.06*math.Sin(n/1e8+d/1e9)
			for k := range 9 {
				lr := 2.5e-4 * math.Pow(2, float64(k)*0.75)
				x := math.Log(lr) - opt
				loss := 2.9 - 0.12*math.Log(n*d/1e18) + 0.05*x*x + 0.0007*math.Sin(float64(7*k)+n/1e8)
				if k == 8 && d < 1e10 {
					loss = math.NaN()
				}
				runs = append(runs, fitting.Run{N: n, D: d, B: 262144, C: math.NaN(), LR: lr, Loss: loss, Row: len(runs)})
			}
		}
	}
	set, err := fitting.Curves(runs, fitting.CurveOptions{ByN: true, ByD: true, Window: fitting.Window{Kind: fitting.WindowK, K: 2}})
	if err != nil {
		panic(err)
	}
	return set
}

func sweepLaw() *fitting.Law {
	l, err := fitting.FitLaw(sweep(), fitting.LawOptions{Exclude: map[int]bool{4: true}})
	if err != nil {
		panic(err)
	}
	return l
}

func target() *fitting.Prediction {
	return &fitting.Prediction{
		Target: fitting.Target{N: 7e9, D: 1.4e12}, LR: 5.53e-4, Low: 4.3e-4, High: 7.2e-4, Level: 0.95,
		Band: [2]float64{3.7e-4, 8.1e-4}, NearOptimal: 0.0025, CurvLow: 0.0155, CurvHigh: 0.0172, At: 1e-3, AtRegret: 0.0060,
		Beside: []fitting.BesideLaw{
			{Name: "step", LR: 9.2e-4, Comparable: true},
			{Name: "deepseek", LR: 4.4e-4, Comparable: true},
			{Name: "bjorck", LR: 9.7e-5},
			{Name: "kaplan", LR: math.NaN()},
		},
	}
}

func comparison() *fitting.Comparison {
	keys := make([]fitting.Key, 9)
	return &fitting.Comparison{
		Train: keys[:8], Test: keys,
		Rows: []fitting.CompareRow{
			{Name: "mean", MeanAbsErr: 0.384, MeanPenalty: 0.0013, MaxPenalty: 0.0058, Coverage: math.NaN(), Comparable: true, Condition: "tuned"},
			{Name: "power", MeanAbsErr: 0.117, MeanPenalty: 0.00028, MaxPenalty: 0.0012, Coverage: 7. / 9, Comparable: true, Condition: "tuned"},
			{Name: "step", MeanAbsErr: 0.069, MeanPenalty: 0.00022, MaxPenalty: 0.0006, Coverage: math.NaN(), InSample: true, Condition: "tuned"},
			{Name: "bjorck", MeanAbsErr: 1.385, MeanPenalty: 0.0073, MaxPenalty: 0.011, Coverage: math.NaN(), Condition: "fixed(500000): not the batch of these cells"},
			{Name: "kaplan", Err: "negative above N = 1.2e10"},
		},
		Notes: []string{"penalties are interpolated in the cell's own points"},
	}
}

func series() []Series {
	out := make([]Series, 5)
	for i := range out {
		s := &out[i]
		s.Name = fmt.Sprintf("%.1e", 1e-3*math.Pow(3.2, float64(i)))
		for k := range 1000 {
			x := 200 * float64(k)
			s.X = append(s.X, x)
			s.Y = append(s.Y, 1.5+0.1*float64((i-1)*(i-1))+2.5*math.Exp(-x/2e4))
		}
	}
	out[1].Note = "★"
	out[4].Note = "✖ step 305"
	out[4].X, out[4].Y = out[4].X[:306], out[4].Y[:306]
	out[4].Y[305] = math.Inf(1)
	return out
}

// trace is a run with noise under its smoothed loss, and four validations.
func trace() *Trace {
	t := &Trace{Title: "training loss", MarkName: "validation"}
	for k := range 400 {
		x := 500 * float64(k)
		y := 1.5 + 2.5*math.Exp(-x/2e4)
		t.X, t.Y = append(t.X, x), append(t.Y, y)
		t.RawX, t.Raw = append(t.RawX, x), append(t.Raw, y+0.1*math.Sin(float64(k*k)))
		if k%100 == 0 {
			t.Marks = append(t.Marks, Mark{x, y + 0.3, 0.15})
		}
	}
	t.Marks[0].Y = 9
	return t
}

// checkBox checks that view is exactly h lines of width w.
func checkBox(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, view string, w, h int,
) {
	t.Helper()
	lines := strings.Split(view, "\n")
	if h == 0 {
		if view != "" {
			t.Fatalf("height 0 gave %q", view)
		}
		return
	}
	if len(lines) != h {
		t.Fatalf("%d lines, not %d", len(lines), h)
	}
	for i, l := range lines {
		if got := ansi.StringWidth(l); got != w {
			t.Fatalf("line %d is %d wide, not %d: %q", i, got, w, l)
		}
	}
}

// views are all charts of sound data, by name.
func views(th *Theme) map[string]func(w, h int) string {
	cs, l, p := sweep(), sweepLaw(), target()
	return map[string]func(w, h int) string{
		"curve": func(w, h int) string { return Curve(&cs.Curves[0], CurveOptions{Theme: th}, w, h) },
		"cursor": func(w, h int) string {
			return Curve(&cs.Curves[1], CurveOptions{Theme: th, Cursor: true, Selected: 2}, w, h)
		},
		"multiples":  func(w, h int) string { return SmallMultiples(cs, MultiplesOptions{Theme: th, Focus: 4}, w, h) },
		"law":        func(w, h int) string { return Law(l, LawOptions{Theme: th, Target: p, Focused: true, Focus: 2}, w, h) },
		"partial":    func(w, h int) string { return Law(l, LawOptions{Theme: th, Partial: true}, w, h) },
		"prediction": func(w, h int) string { return Prediction(p, PredictionOptions{Theme: th}, w, h) },
		"comparison": func(w, h int) string { return Comparison(comparison(), ComparisonOptions{Theme: th}, w, h) },
		"lines": func(w, h int) string {
			return Lines(series(), LinesOptions{Theme: th, XName: "tokens", Legend: true}, w, h)
		},
		"lines-picked": func(w, h int) string {
			return Lines(series(), LinesOptions{Theme: th, XName: "tokens", Legend: true, Picked: 4}, w, h)
		},
		"lines-last": func(w, h int) string {
			return Lines(series(), LinesOptions{Theme: th, XName: "tokens", Legend: true, Picked: 4, Last: 0.25}, w, h)
		},
		"trace": func(w, h int) string {
			return DrawTrace(trace(), TraceOptions{Theme: th, XName: "tokens", Empty: "nothing"}, w, h)
		},
	}
}

func themes() map[string]*Theme {
	d, l, n := Dark(), Light(), NoColor()
	return map[string]*Theme{"dark": &d, "light": &l, "plain": &n, "nil": nil}
}

func TestSmallSizesOfSoundData(t *testing.T) {
	th := themes()
	for name, view := range views(th["dark"]) {
		for w := range 40 {
			for h := range 12 {
				checkBox(t, view(w, h), w, h)
			}
		}
		_ = name
	}
}

func TestBoxOfAnyData(t *testing.T) {
	th := themes()
	rapid.Check(t, func(t *rapid.T) {
		w, h := rapid.IntRange(0, 220).Draw(t, "w"), rapid.IntRange(0, 60).Draw(t, "h")
		style := th[rapid.SampledFrom([]string{"dark", "light", "plain", "nil"}).Draw(t, "theme")]
		cursor, selected := rapid.Bool().Draw(t, "cursor"), rapid.IntRange(-2, 12).Draw(t, "selected")
		switch rapid.IntRange(0, 6).Draw(t, "kind") {
		case 0:
			c := nastyCurve(t)
			checkBox(t, Curve(&c, CurveOptions{Theme: style, Cursor: cursor, Selected: selected, Forming: rapid.Bool().Draw(t, "forming"), Open: c.Excluded}, w, h), w, h)
		case 1:
			cs := &fitting.CurveSet{Curves: rapid.SliceOfN(rapid.Custom(nastyCurve), 0, 6).Draw(t, "curves")}
			checkBox(t, SmallMultiples(cs, MultiplesOptions{Theme: style, Focus: selected, Cursor: cursor, Selected: selected}, w, h), w, h)
		case 2:
			checkBox(t, Law(nastyLaw(t), LawOptions{
				style, rapid.SampledFrom([]Axis{"", "N", "D", "C", "x"}).Draw(t, "axis"), rapid.Bool().Draw(t, "partial"), nastyPrediction(t), cursor, selected,
			}, w, h), w, h)
		case 3:
			checkBox(t, Prediction(nastyPrediction(t), PredictionOptions{style}, w, h), w, h)
		case 4:
			checkBox(t, Comparison(nastyComparison(t), ComparisonOptions{style}, w, h), w, h)
		case 5:
			checkBox(t, Lines(nastySeries(t), LinesOptions{
				style, names.Draw(t, "x"), rapid.Bool().Draw(t, "log"), rapid.Bool().Draw(t, "rates"), cursor, selected, anyNumber(t, "last"), rapid.Bool().Draw(t, "log x"),
			}, w, h), w, h)
		case 6:
			checkBox(t, DrawTrace(nastyTrace(t), TraceOptions{
				style, names.Draw(t, "x"), rapid.Bool().Draw(t, "log"), rapid.Bool().Draw(t, "rates"), anyNumber(t, "x0"), anyNumber(t, "x1"), names.Draw(t, "empty"),
			}, w, h), w, h)
		}
	})
}

func nastyLaw(t *rapid.T) *fitting.Law {
	if rapid.Bool().Draw(t, "no law") {
		return rapid.SampledFrom([]*fitting.Law{nil, {}}).Draw(t, "law")
	}
	l := sweepLaw()
	for i := range l.Cells {
		c := &l.Cells[i]
		if rapid.Bool().Draw(t, "spoil") {
			c.Key = fitting.Key{N: anyNumber(t, "N"), D: anyNumber(t, "D"), Extra: names.Draw(t, "extra")}
			c.LnLR, c.SE, c.Residual, c.Used = anyNumber(t, "y"), anyNumber(t, "se"), anyNumber(t, "r"), rapid.Bool().Draw(t, "used")
			c.Index = rapid.IntRange(-1, 12).Draw(t, "index")
		}
	}
	l.R2, l.ResidSD = anyNumber(t, "R²"), anyNumber(t, "sd")
	if rapid.Bool().Draw(t, "no curves") {
		l.Curves = nil
	}
	return l
}

func nastyPrediction(t *rapid.T) *fitting.Prediction {
	if rapid.IntRange(0, 4).Draw(t, "no prediction") == 0 {
		return nil
	}
	p := target()
	for _, v := range []*float64{&p.LR, &p.Low, &p.High, &p.Band[0], &p.Band[1], &p.NearOptimal, &p.CurvLow, &p.CurvHigh, &p.At, &p.AtRegret, &p.Target.N, &p.Target.D, &p.Beside[0].LR} {
		if rapid.Bool().Draw(t, "spoil") {
			*v = anyNumber(t, "value")
		}
	}
	p.Beside[1].Name = names.Draw(t, "name")
	return p
}

func nastyComparison(t *rapid.T) *fitting.Comparison {
	rows := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) fitting.CompareRow {
		return fitting.CompareRow{
			Name: names.Draw(t, "name"), MeanAbsErr: anyNumber(t, "err"), MeanPenalty: anyNumber(t, "mean"), MaxPenalty: anyNumber(t, "max"),
			Coverage: anyNumber(t, "coverage"), Comparable: rapid.Bool().Draw(t, "comparable"), Condition: names.Draw(t, "condition"), Err: rapid.SampledFrom([]string{"", "", "no score"}).Draw(t, "err text"),
		}
	}), 0, 9).Draw(t, "rows")
	return &fitting.Comparison{Rows: rows, Notes: []string{names.Draw(t, "note")}}
}

func nastyTrace(t *rapid.T) *Trace {
	s := &Trace{
		Title: names.Draw(t, "title"), X: numbers(t, "x", 30), Y: numbers(t, "y", 30), RawX: numbers(t, "raw x", 30), Raw: numbers(t, "raw", 30),
		MarkName: names.Draw(t, "mark"),
	}
	for range rapid.IntRange(0, 4).Draw(t, "marks") {
		s.Marks = append(s.Marks, Mark{anyNumber(t, "mx"), anyNumber(t, "my"), anyNumber(t, "se")})
	}
	return s
}

func nastySeries(t *rapid.T) []Series {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Series {
		s := Series{Name: names.Draw(t, "name"), Y: numbers(t, "y", 30), Note: names.Draw(t, "note")}
		if rapid.Bool().Draw(t, "x given") {
			s.X = numbers(t, "x", 30)
		}
		return s
	}), 0, 20).Draw(t, "series")
}
