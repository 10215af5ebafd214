package picture

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/color"
	"image/png"
	"io"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/etastar/etastar/fitting"
)

// sweep is a set of parabolas that we own.
func sweep(t testing.TB) *fitting.CurveSet {
	t.Helper()
	var runs []fitting.Run
	for _, n := range []float64{2e8, 4e8, 8e8} {
		for _, d := range []float64{4e9, 16e9} {
			opt := math.Log(30 * math.Pow(n, -0.8) * math.Pow(d, 0.28))
			for k := range 8 {
				lr := 2.5e-4 * math.Pow(2, float64(k)*0.75)
				x := math.Log(lr) - opt - 0.03*math.Sin(n/1e8+d/1e9)
				loss := 2.9 - 0.12*math.Log(n*d/1e18) + 0.05*x*x + 0.0007*math.Sin(float64(7*k)+n/1e8)
				if k == 7 && d < 1e10 {
					loss = math.Inf(1)
				}
				runs = append(runs, fitting.Run{N: n, D: d, B: 262144, C: math.NaN(), LR: lr, Loss: loss, Row: len(runs)})
			}
		}
	}
	set, err := fitting.Curves(runs, fitting.CurveOptions{ByN: true, ByD: true, Window: fitting.Window{Kind: fitting.WindowK, K: 2}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func target() *fitting.Prediction {
	return &fitting.Prediction{
		Target: fitting.Target{N: 7e9, D: 1.4e12}, LR: 5.53e-4, Low: 4.3e-4, High: 7.2e-4,
		Band: [2]float64{3.7e-4, 8.1e-4}, NearOptimal: 0.0025, CurvLow: 0.0155, CurvHigh: 0.0172, At: 1e-3, AtRegret: 0.0060,
		Beside: []fitting.BesideLaw{{Name: "step", LR: 9.2e-4, Comparable: true}, {Name: "bjorck", LR: 4e-4}, {Name: "kaplan", LR: math.NaN()}},
	}
}

func comparison() *fitting.Comparison {
	return &fitting.Comparison{
		Train: make([]fitting.Key, 8), Test: make([]fitting.Key, 9),
		Rows: []fitting.CompareRow{
			{Name: "mean", MeanAbsErr: 0.384, MaxAbsErr: 0.9, MeanPenalty: 0.0013, MaxPenalty: 0.0058, Comparable: true},
			{Name: "power <N, D>", MeanAbsErr: 0.117, MaxAbsErr: 0.3, MeanPenalty: 0.00028, MaxPenalty: 0.0012, Comparable: true},
			{Name: "kaplan", Err: "negative above N = 1.2e10"},
		},
	}
}

// failer is a test, a benchmark or a property.
type failer interface {
	Helper()
	Fatal(args ...any)
}

func fitLaw(t failer, cs *fitting.CurveSet) *fitting.Law {
	t.Helper()
	l, err := fitting.FitLaw(cs, fitting.LawOptions{Exclude: map[int]bool{1: true}})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// cases are sound values, and the texts that their pictures hold.
func cases(t testing.TB) []struct {
	name   string
	value  any
	o      Options
	labels []string
} {
	t.Helper()
	cs := sweep(t)
	l := fitLaw(t, cs)
	return []struct {
		name   string
		value  any
		o      Options
		labels []string
	}{
		{"curves", cs, Options{}, []string{"200M, 4B", "800M, 16B", "1e-3", "fitted points", "diverged", "peak learning rate η"}},
		{"cell", cs, Options{Cell: 2}, []string{"200M, 16B", "final loss", "peak learning rate η", "2e-3", "5e-3", "95% interval of η*"}},
		{"curve", &cs.Curves[0], Options{Title: "a < b & c\x01"}, []string{"a < b & c", "final loss"}},
		{"law", l, Options{}, []string{"parameters N", "optimal peak learning rate η", "ln η* − law", "D = 16B", "left out"}},
		{"target", l, Options{Target: target()}, []string{"7B, 1.4T: 5.53e-4", "D = 1.4T"}},
		{"prediction", target(), Options{}, []string{"η*(7B, 1.4T) = 5.53e-4 [4.3e-4, 7.2e-4]", "expected loss above the best", "within 0.25%: 3.7e-4 to 8.1e-4", "at 1e-3: +0.6%", "step 9.2e-4"}},
		{"comparison", comparison(), Options{}, []string{"power <N, D>", "loss above the cell's best", "Held out: 9 cells, fitted on 8 (1 laws without a score)"}},
	}
}

func TestPNG(t *testing.T) {
	for _, k := range cases(t) {
		k.o.Width, k.o.Height = 12, 9
		data, err := Draw(k.value, "png", k.o)
		if err != nil {
			t.Errorf("%s: %v", k.name, err)
			continue
		}
		img, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Errorf("%s: %v", k.name, err)
			continue
		}
		// 12 cm and 9 cm at 192 dots an inch.
		if b := img.Bounds(); b.Dx() != 907 || b.Dy() != 680 {
			t.Errorf("%s: %v, not 907×680", k.name, b)
		}
		seen := map[color.Color]int{}
		for y := range 680 {
			for x := range 907 {
				seen[img.At(x, y)]++
			}
		}
		if white := seen[color.RGBA{255, 255, 255, 255}]; len(seen) < 20 || white < 907*680/2 || white > 907*680*99/100 {
			t.Errorf("%s: %d colours, %d of %d dots white", k.name, len(seen), white, 907*680)
		}
	}
}

func TestSVG(t *testing.T) {
	for _, k := range cases(t) {
		data, err := Draw(k.value, "svg", k.o)
		if err != nil {
			t.Errorf("%s: %v", k.name, err)
			continue
		}
		texts, err := svgTexts(data)
		if err != nil {
			t.Errorf("%s: %v", k.name, err)
			continue
		}
		for _, want := range k.labels {
			if !strings.Contains(texts, want) {
				t.Errorf("%s: no %q in %q", k.name, want, texts)
			}
		}
		again, err := Draw(k.value, "svg", k.o)
		if err != nil || !bytes.Equal(data, again) {
			t.Errorf("%s: drawn twice, the bytes differ (%v)", k.name, err)
		}
	}
}

// svgTexts parses an SVG and returns its texts, a line each.
func svgTexts(data []byte) (string, error) {
	d := xml.NewDecoder(bytes.NewReader(data))
	var b strings.Builder
	inText := false
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return b.String(), nil
		}
		if err != nil {
			return "", err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			inText = tok.Name.Local == "text"
		case xml.CharData:
			if inText {
				b.Write(tok)
				b.WriteByte('\n')
			}
			inText = false
		}
	}
}

func TestErrors(t *testing.T) {
	cs := sweep(t)
	nan := math.NaN()
	empty := fitting.Curve{Points: []fitting.Point{{LR: nan, Loss: 1}, {LR: 1e-3, Loss: math.Inf(1)}}}
	for _, k := range []struct {
		value  any
		format string
		o      Options
		want   string
	}{
		{cs, "gif", Options{}, `format "gif" is neither png nor svg`},
		{3, "png", Options{}, "a int has no picture"},
		{(*fitting.Law)(nil), "png", Options{}, "nothing to draw"},
		{&fitting.Law{}, "png", Options{}, "the law was not fitted"},
		{&fitting.CurveSet{}, "png", Options{}, "the set holds no curves"},
		{&fitting.CurveSet{Curves: []fitting.Curve{empty, empty}}, "png", Options{}, "no curve has a point with a learning rate and a finite loss"},
		{&empty, "svg", Options{}, "cell all runs has no point with a learning rate and a finite loss"},
		{cs, "png", Options{Cell: 7}, "cell 7 is not one of 1 to 6"},
		{cs, "png", Options{Width: 1e9}, "is not between 4 and 100 cm"},
		{cs, "png", Options{Height: nan}, "is not between 4 and 100 cm"},
		{&fitting.Prediction{LR: nan}, "png", Options{}, "the prediction has no learning rate"},
		{&fitting.Prediction{LR: 1e-3, CurvLow: nan, CurvHigh: nan}, "png", Options{}, "has no curvature"},
		{&fitting.Comparison{}, "png", Options{}, "no law of the comparison has a score"},
	} {
		if _, err := Draw(k.value, k.format, k.o); err == nil || !strings.Contains(err.Error(), k.want) {
			t.Errorf("Draw(%T, %q): %v, want %q", k.value, k.format, err, k.want)
		}
	}
}

// TestAnyData checks that whatever is drawn is well-formed, and nothing panics.
func TestAnyData(t *testing.T) {
	sound := sweep(t)
	nasty := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, -1, 5e-324, 1e-300, 1e300, math.MaxFloat64, 1, 2.5}
	rapid.Check(t, func(t *rapid.T) {
		number := func() float64 {
			if rapid.Bool().Draw(t, "nasty") {
				return rapid.SampledFrom(nasty).Draw(t, "value")
			}
			return rapid.Float64Range(1e-5, 5).Draw(t, "value")
		}
		points := func() []fitting.Point {
			out := make([]fitting.Point, rapid.IntRange(0, 4).Draw(t, "points"))
			for i := range out {
				out[i] = fitting.Point{LR: number(), Loss: number(), InWindow: rapid.Bool().Draw(t, "in")}
			}
			return out
		}
		o := Options{
			Width: rapid.Float64Range(4, 14).Draw(t, "w"), Height: rapid.Float64Range(4, 14).Draw(t, "h"),
			Title: rapid.String().Draw(t, "title"),
		}
		p := target()
		for _, v := range []*float64{&p.LR, &p.Low, &p.High, &p.Band[0], &p.Band[1], &p.NearOptimal, &p.CurvLow, &p.At, &p.AtRegret, &p.Target.N, &p.Beside[0].LR} {
			if rapid.Bool().Draw(t, "spoil") {
				*v = number()
			}
		}
		var v any
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			set := &fitting.CurveSet{}
			for range rapid.IntRange(0, 3).Draw(t, "cells") {
				set.Curves = append(set.Curves, fitting.Curve{
					Key: fitting.Key{N: number(), D: number(), Extra: rapid.String().Draw(t, "extra")}, Points: points(), Diverged: points(), Excluded: points(),
					OK: rapid.Bool().Draw(t, "ok"), Fitted: rapid.Bool().Draw(t, "fitted"), Bound: fitting.Bound(rapid.IntRange(0, 2).Draw(t, "bound")),
					BoundLR: number(), Center: number(), Coef: []float64{number(), number(), number()}, LnLR: number(), LnLRSE: number(), Loss: number(), R2: number(),
				})
			}
			v = set
		case 1:
			l := fitLaw(t, sound)
			for i := range l.Cells {
				if rapid.Bool().Draw(t, "spoil") {
					c := &l.Cells[i]
					c.Key.N, c.LnLR, c.SE, c.Residual, c.Used = number(), number(), number(), number(), rapid.Bool().Draw(t, "used")
				}
			}
			o.Target = p
			v = l
		case 2:
			v = p
		case 3:
			c := comparison()
			for i := range c.Rows {
				r := &c.Rows[i]
				r.Name, r.MeanPenalty, r.MaxPenalty, r.MeanAbsErr = rapid.String().Draw(t, "name"), number(), number(), number()
			}
			v = c
		}
		data, err := Draw(v, "svg", o)
		if err != nil {
			return
		}
		if _, err := svgTexts(data); err != nil {
			t.Fatalf("svg: %v", err)
		}
		if bytes.Contains(data, []byte("NaN")) || bytes.Contains(data, []byte("Inf")) {
			t.Fatalf("coordinates that are no numbers")
		}
	})
}

func BenchmarkDrawLaw(b *testing.B) {
	l := fitLaw(b, sweep(b))
	o := Options{Target: target()}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Draw(l, "svg", o); err != nil {
			b.Fatal(err)
		}
	}
}
