package table

import (
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestCompileFormula(t *testing.T) {
	known := []string{"N", "D", "B"}
	vars := []float64{4e9, 1e11, 2097152}
	tests := []struct {
		expr   string
		params []string
		at     []float64
		want   float64
		uses   []string
	}{
		{"C * N^a * D^b", []string{"C", "a", "b"}, []float64{1.79, -0.713, 0.307}, 1.79 * math.Pow(4e9, -0.713) * math.Pow(1e11, 0.307), []string{"N", "D"}},
		{"a + b*ln(N/1B) - b", []string{"a", "b"}, []float64{1, 2}, 2*math.Log(4) - 1, []string{"N"}},
		{"c * sqrt(B / 4M)", []string{"c"}, []float64{3}, 3 * math.Sqrt(2097152/4e6), []string{"B"}},
		{"n * N", []string{"n"}, []float64{2}, 8e9, []string{"N"}},
		{"η0 * (N / N_0) ^ -0.5", []string{"η0", "N_0"}, []float64{2, 1e9}, 1, []string{"N"}},
		{"2^10", nil, nil, 1024, nil},
		{"N > 1B ? x : y", []string{"x", "y"}, []float64{5, 6}, 5, []string{"N"}},
		{"`my rate` * 2", []string{"my rate"}, []float64{4}, 8, nil},
		{"log(x) + log", []string{"x", "log"}, []float64{math.E, 1}, 2, nil},
	}
	for _, tt := range tests {
		f, err := CompileFormula(tt.expr, known)
		if err != nil {
			t.Errorf("%s: %v", tt.expr, err)
			continue
		}
		if !slices.Equal(f.Params, tt.params) || !slices.Equal(f.Uses, tt.uses) {
			t.Errorf("%s: params %v, uses %v; want %v, %v", tt.expr, f.Params, f.Uses, tt.params, tt.uses)
		}
		if got := f.Eval(vars, tt.at); math.Abs(got-tt.want) > 1e-12*math.Abs(tt.want) {
			t.Errorf("%s = %v, want %v", tt.expr, got, tt.want)
		}
	}
}

func TestCompileFormulaErrors(t *testing.T) {
	for expr, offset := range map[string]int{
		"C * N^":      6,
		"N > 3":       0,
		`"text"`:      0,
		"C * foo(N)":  4,
		"C * N == ":   9,
		"a in [1, 2]": 0,
	} {
		_, err := CompileFormula(expr, []string{"N"})
		var e *ExprError
		if !errors.As(err, &e) || e.Offset != offset {
			t.Errorf("%s: %v, want an error at %d", expr, err, offset)
		}
	}
}

func TestFormulaAllocatesNothing(t *testing.T) {
	f, err := CompileFormula("C * N^a * D^b + max(E, 0)", []string{"N", "D"})
	if err != nil {
		t.Fatal(err)
	}
	vars, params := []float64{1e9, 1e11}, []float64{1, 2, 3, 4}
	if n := testing.AllocsPerRun(100, func() { f.Eval(vars, params) }); n != 0 {
		t.Errorf("%v allocations an evaluation", n)
	}
}

// arith is a random expression with the value Go gives it.
type arith struct {
	text  string
	value float64
}

func drawArith(t *rapid.T, depth int) arith {
	leaf := func() arith {
		switch rapid.IntRange(0, 3).Draw(t, "leaf") {
		case 0:
			return arith{"x", 1.5}
		case 1:
			return arith{"N", 4e9}
		case 2:
			return arith{"2.5M", 2.5e6}
		}
		return arith{"0.125", 0.125}
	}
	if depth == 0 {
		return leaf()
	}
	a := drawArith(t, depth-1)
	b := drawArith(t, depth-1)
	switch rapid.IntRange(0, 6).Draw(t, "op") {
	case 0:
		return arith{"(" + a.text + " + " + b.text + ")", a.value + b.value}
	case 1:
		return arith{"(" + a.text + "-" + b.text + ")", a.value - b.value}
	case 2:
		return arith{"((" + a.text + ")*(" + b.text + "))", a.value * b.value}
	case 3:
		return arith{"((" + a.text + ")/(" + b.text + "))", a.value / b.value}
	case 4:
		return arith{"max(" + a.text + "," + b.text + ")", math.Max(a.value, b.value)}
	case 5:
		return arith{"abs(" + a.text + ")", math.Abs(a.value)}
	}
	return leaf()
}

func TestFormulaAgreesWithGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawArith(t, rapid.IntRange(0, 5).Draw(t, "depth"))
		f, err := CompileFormula(e.text, []string{"N"})
		if err != nil {
			t.Fatalf("%s: %v", e.text, err)
		}
		params := []float64{1.5}[:len(f.Params)]
		got := f.Eval([]float64{4e9}, params)
		if math.Float64bits(got) != math.Float64bits(e.value) && !(math.IsNaN(got) && math.IsNaN(e.value)) {
			t.Fatalf("%s = %v, want %v", e.text, got, e.value)
		}
	})
}

func BenchmarkFormula(b *testing.B) {
	f, err := CompileFormula("C * N^a * D^b", []string{"N", "D"})
	if err != nil {
		b.Fatal(err)
	}
	vars, params := []float64{4e9, 1e11}, []float64{1.79, -0.713, 0.307}
	for b.Loop() {
		f.Eval(vars, params)
	}
}

func FuzzFormula(f *testing.F) {
	for _, s := range []string{"C * N^a * D^b", "4B + `x y` * ln(2)", "((1))", "a ? b : c", "1..2", "N in [1, 2]", "\"", "a.b.c", "x['y']", "-+-1e3K"} {
		f.Add(s)
	}
	vars := []float64{1e9, 1e11}
	f.Fuzz(func(t *testing.T, expr string) {
		fm, err := CompileFormula(expr, []string{"N", "D"})
		if err != nil {
			checkExprError(t, expr, err)
			return
		}
		fm.Eval(vars, make([]float64, len(fm.Params)))
	})
}

func checkExprError(t *testing.T, expr string, err error) {
	t.Helper()
	var e *ExprError
	if !errors.As(err, &e) {
		t.Fatalf("%q: %v (%T)", expr, err, err)
	}
	if e.Offset < 0 || e.End < e.Offset || e.End > len(expr) || e.Message == "" {
		t.Fatalf("%q: error at %d to %d: %q", expr, e.Offset, e.End, e.Message)
	}
	_ = e.Error()
}

func FuzzExpression(f *testing.F) {
	for _, s := range []string{
		"loss < 5 && bs*2048 == 2^21", `opt in ["adamw"] or not missing(opt)`, "`smooth loss` in 1..4B", `["D/N"] > 1`,
		`opt matches "(a+)+$"`, "1 < 2 < 3", "lr ?? 3", "let x = 3; x", "lr | abs", "opt[0] == 1", "smooth.loss > 1", "batch",
	} {
		f.Add(s)
	}
	tb, err := Assign(sweep(), map[Role]string{RoleBatch: "bs*2048"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		if got, err := Where(tb, expr); err != nil {
			checkExprError(t, expr, err)
		} else if got.Rows > tb.Rows {
			t.Fatalf("%q keeps %d rows", expr, got.Rows)
		}
		if got, err := Derive(tb, "x", expr); err != nil {
			checkExprError(t, expr, err)
		} else if c := got.Column("x"); c.Len() != tb.Rows {
			t.Fatalf("%q derives %d rows", expr, c.Len())
		}
	})
}
