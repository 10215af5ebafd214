package table

import (
	"math"
	"slices"

	"github.com/expr-lang/expr/ast"

	"github.com/etastar/etastar/session/nearest"
)

// functions of one number. log is the natural logarithm, as in the papers.
var functions = map[string]func(float64) float64{
	"ln":    math.Log,
	"log":   math.Log,
	"log10": math.Log10,
	"log2":  math.Log2,
	"exp":   math.Exp,
	"sqrt":  math.Sqrt,
	"abs":   math.Abs,
	"floor": math.Floor,
	"ceil":  math.Ceil,
	"round": math.Round,
}

// tests of one number.
var tests = map[string]func(float64) bool{
	"isnan":    func(x float64) bool { return math.IsNaN(x) && !IsMissing(x) },
	"missing":  IsMissing,
	"finite":   func(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) },
	"diverged": func(x float64) bool { return !IsMissing(x) && (math.IsNaN(x) || math.IsInf(x, 0)) },
}

// Functions returns the names of the functions an expression may use, sorted.
// Of these, isnan, missing, finite and diverged are conditions; diverged(x) is
// NaN or infinite but not blank.
func Functions() []string {
	names := []string{"max", "min"}
	for name := range functions {
		names = append(names, name)
	}
	for name := range tests {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (c *compiler) call(n ast.Node, name string, args []ast.Node) (value, error) {
	if name == "min" || name == "max" {
		return c.extreme(n, name, args)
	}
	apply, isFunction := functions[name]
	test, isTest := tests[name]
	if !isFunction && !isTest {
		hint := ""
		if near := nearest.Word(name, Functions()); near != "" {
			hint = "did you mean " + near + "?"
		}
		return value{}, c.errorf(n, hint, "there is no function %s", name)
	}
	if len(args) != 1 {
		return value{}, c.errorf(n, "", "%s takes one argument, found %d", name, len(args))
	}
	arg, err := c.node(args[0])
	if err != nil {
		return value{}, err
	}
	if name == "missing" && arg.typ == textValue {
		return c.onWords(arg, func(w string) bool { return w == "" }), nil
	}
	if arg.typ != numberValue {
		return value{}, c.mismatch(args[0], arg, numberValue)
	}
	num := arg.num
	if isTest {
		return fold(value{typ: boolValue, cond: func(f frame) bool { return test(num(f)) }}, arg), nil
	}
	return fold(value{num: func(f frame) float64 { x := num(f); return keep(apply(x), x) }}, arg), nil
}

// extreme compiles min and max of any number of arguments. One that is blank or
// NaN makes the result so.
func (c *compiler) extreme(n ast.Node, name string, args []ast.Node) (value, error) {
	if len(args) == 0 {
		return value{}, c.errorf(n, "", "%s needs arguments", name)
	}
	pick := math.Min
	if name == "max" {
		pick = math.Max
	}
	var result value
	for i, a := range args {
		v, err := c.number(a)
		if err != nil {
			return value{}, err
		}
		if i == 0 {
			result = v
			continue
		}
		left, right := result.num, v.num
		result = fold(value{num: func(f frame) float64 {
			x, y := left(f), right(f)
			return blank(pick(x, y), x, y)
		}}, result, v)
	}
	return result, nil
}
