package table

import (
	"fmt"
	"slices"

	"github.com/etastar/etastar/session/nearest"
)

// Formula is a compiled arithmetic expression over known variables and free
// parameters, such as a law's form "C * N^a * D^b". It is safe for concurrent use.
type Formula struct {
	// Text is the expression as written.
	Text string
	// Params are the names that are not known variables, in order of appearance.
	Params []string
	// Uses are the known variables that appear, in the order of known.
	Uses []string

	eval numFunc
}

// Eval returns the formula's value. vars follow the order of known given to
// CompileFormula, params that of Params; shorter slices panic. It allocates nothing.
func (f *Formula) Eval(vars, params []float64) float64 {
	return f.eval(frame{vars: vars, params: params})
}

// CompileFormula compiles a numeric expression in the notebook's notation:
// suffixes (4B), ^ for powers, the functions of Functions (log is natural).
// Names in known are variables (matched exactly), all others are parameters.
// Errors are *ExprError.
func CompileFormula(expr string, known []string) (*Formula, error) {
	names := &formulaScope{known: known}
	v, err := compile(expr, names)
	if err != nil {
		return nil, err
	}
	if v.typ != numberValue {
		return nil, &ExprError{Expr: expr, End: len(expr), Message: fmt.Sprintf("a formula gives a number, this is %s", v.typ)}
	}
	f := &Formula{Text: expr, Params: names.params, eval: v.num}
	for i, name := range known {
		if slices.Contains(names.used, i) {
			f.Uses = append(f.Uses, name)
		}
	}
	return f, nil
}

// formulaScope collects the free names while it resolves the known ones.
type formulaScope struct {
	known, params []string
	used          []int
}

func (s *formulaScope) lookup(name string) (value, bool) {
	if i := slices.Index(s.known, name); i >= 0 {
		s.used = append(s.used, i)
		return value{num: func(f frame) float64 { return f.vars[i] }}, true
	}
	i := slices.Index(s.params, name)
	if i < 0 {
		i = len(s.params)
		s.params = append(s.params, name)
	}
	return value{num: func(f frame) float64 { return f.params[i] }}, true
}

func (s *formulaScope) unknown(name string) (message, hint string) {
	if near := nearest.Word(name, s.known); near != "" {
		hint = "did you mean " + near + "?"
	}
	return fmt.Sprintf("%q is not known", name), hint
}
