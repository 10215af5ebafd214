package table

import (
	"math"
	"regexp"
	"strings"

	"github.com/expr-lang/expr/ast"
)

func (c *compiler) binary(n *ast.BinaryNode) (value, error) {
	switch n.Operator {
	case "&&", "and", "||", "or":
		return c.logical(n)
	case "+", "-", "*", "/", "%", "^", "**":
		return c.arithmetic(n)
	case "<", "<=", ">", ">=", "==", "!=":
		return c.comparison(n)
	case "in":
		return c.membership(n)
	case "contains", "startsWith", "endsWith", "matches":
		return c.textTest(n)
	case "..":
		return value{}, c.errorf(n, "ranges stand after in: N in 1B..4B", "a range is not a value")
	}
	return value{}, c.errorf(n, "", "the operator %s is not known", n.Operator)
}

func (c *compiler) logical(n *ast.BinaryNode) (value, error) {
	left, err := c.condition(n.Left)
	if err != nil {
		return value{}, err
	}
	right, err := c.condition(n.Right)
	if err != nil {
		return value{}, err
	}
	a, b := left.cond, right.cond
	v := value{typ: boolValue}
	if n.Operator == "&&" || n.Operator == "and" {
		v.cond = func(f frame) bool { return a(f) && b(f) }
	} else {
		v.cond = func(f frame) bool { return a(f) || b(f) }
	}
	return fold(v, left, right), nil
}

func (c *compiler) arithmetic(n *ast.BinaryNode) (value, error) {
	left, err := c.number(n.Left)
	if err != nil {
		return value{}, err
	}
	right, err := c.number(n.Right)
	if err != nil {
		return value{}, err
	}
	a, b := left.num, right.num
	var num numFunc
	switch n.Operator {
	case "+":
		num = func(f frame) float64 {
			x, y := a(f), b(f)
			if r := x + y; !isNaN(r) {
				return r
			}
			return blank(x+y, x, y)
		}
	case "-":
		num = func(f frame) float64 {
			x, y := a(f), b(f)
			if r := x - y; !isNaN(r) {
				return r
			}
			return blank(x-y, x, y)
		}
	case "*":
		num = func(f frame) float64 {
			x, y := a(f), b(f)
			if r := x * y; !isNaN(r) {
				return r
			}
			return blank(x*y, x, y)
		}
	case "/":
		num = func(f frame) float64 {
			x, y := a(f), b(f)
			if r := x / y; !isNaN(r) {
				return r
			}
			return blank(x/y, x, y)
		}
	case "%":
		num = func(f frame) float64 {
			x, y := a(f), b(f)
			return blank(math.Mod(x, y), x, y)
		}
	default:
		num = power(a, b, right)
	}
	return fold(value{num: num}, left, right), nil
}

// power compiles x^y. Squares, square roots and inverses are common in laws and
// much cheaper than the general power.
func power(a, b numFunc, exponent value) numFunc {
	if exponent.constant {
		switch y := exponent.number; y {
		case 2:
			return func(f frame) float64 { x := a(f); return keep(x*x, x) }
		case 0.5:
			return func(f frame) float64 { x := a(f); return keep(math.Pow(x, 0.5), x) }
		case -1:
			return func(f frame) float64 { x := a(f); return keep(1/x, x) }
		}
	}
	return func(f frame) float64 {
		x, y := a(f), b(f)
		if IsMissing(x) || IsMissing(y) {
			return Missing // Pow(NaN, 0) is 1
		}
		// Whole exponents must be exact (2^21); for the others Pow only costs twice
		// the time, and the last few bits of a law's value mean nothing.
		if x > 0 && y != math.Trunc(y) {
			return math.Exp(y * math.Log(x))
		}
		return math.Pow(x, y)
	}
}

// keep returns result unless x is a blank cell.
func keep(result, x float64) float64 {
	if isNaN(result) && IsMissing(x) {
		return Missing
	}
	return result
}

func (c *compiler) comparison(n *ast.BinaryNode) (value, error) {
	left, err := c.node(n.Left)
	if err != nil {
		return value{}, err
	}
	right, err := c.node(n.Right)
	if err != nil {
		return value{}, err
	}
	switch {
	case left.typ == textValue && right.typ == textValue:
		return c.compareText(n, left, right)
	case left.typ == boolValue && right.typ == boolValue && (n.Operator == "==" || n.Operator == "!="):
		a, b, same := left.cond, right.cond, n.Operator == "=="
		return fold(value{typ: boolValue, cond: func(f frame) bool { return (a(f) == b(f)) == same }}, left, right), nil
	case left.typ == numberValue && right.typ == numberValue:
		return fold(value{typ: boolValue, cond: compareNumbers(n.Operator, left.num, right.num)}, left, right), nil
	case left.typ == numberValue && right.typ == textValue:
		if right.column != nil {
			return value{}, c.mismatch(n.Right, right, numberValue)
		}
		return value{}, c.errorf(n.Right, "write the number without quotes", "a number is compared with a string")
	case left.typ == textValue && right.typ == numberValue:
		if left.column != nil {
			return value{}, c.mismatch(n.Left, left, numberValue)
		}
		return value{}, c.errorf(n.Left, "write the number without quotes", "a string is compared with a number")
	}
	return value{}, c.errorf(n, "", "%s is compared with %s", left.typ, right.typ)
}

// compareNumbers compiles a comparison. One with a blank cell is false, != too:
// a run without a loss neither equals 3 nor differs from it. A diverged loss
// (NaN) is below and above nothing, and differs from everything.
func compareNumbers(op string, a, b numFunc) boolFunc {
	switch op {
	case "<":
		return func(f frame) bool { return a(f) < b(f) }
	case "<=":
		return func(f frame) bool { return a(f) <= b(f) }
	case ">":
		return func(f frame) bool { return a(f) > b(f) }
	case ">=":
		return func(f frame) bool { return a(f) >= b(f) }
	case "==":
		return func(f frame) bool { return a(f) == b(f) }
	}
	return func(f frame) bool {
		x, y := a(f), b(f)
		return x != y && !IsMissing(x) && !IsMissing(y)
	}
}

func (c *compiler) membership(n *ast.BinaryNode) (value, error) {
	left, err := c.node(n.Left)
	if err != nil {
		return value{}, err
	}
	if r, ok := n.Right.(*ast.BinaryNode); ok && r.Operator == ".." {
		if left.typ != numberValue {
			return value{}, c.mismatch(n.Left, left, numberValue)
		}
		from, err := c.number(r.Left)
		if err != nil {
			return value{}, err
		}
		to, err := c.number(r.Right)
		if err != nil {
			return value{}, err
		}
		a, lo, hi := left.num, from.num, to.num
		return fold(value{typ: boolValue, cond: func(f frame) bool {
			x := a(f)
			return lo(f) <= x && x <= hi(f)
		}}, left, from, to), nil
	}
	list, ok := n.Right.(*ast.ArrayNode)
	if !ok {
		return value{}, c.errorf(n.Right, "write bs in [32, 64] or N in 1B..4B", "in needs a list or a range")
	}
	numbers, texts := map[float64]bool{}, map[string]bool{}
	for _, item := range list.Nodes {
		v, err := c.node(item)
		if err != nil {
			return value{}, err
		}
		switch {
		case !v.constant || v.typ == boolValue:
			return value{}, c.errorf(item, "", "a list holds numbers or strings")
		case v.typ != left.typ:
			if left.column != nil || left.typ == boolValue {
				return value{}, c.mismatch(n.Left, left, v.typ)
			}
			return value{}, c.errorf(item, "", "the list holds %s, the left side is %s", v.typ, left.typ)
		case v.typ == numberValue:
			numbers[v.number] = true
		default:
			texts[v.word] = true
		}
	}
	if left.typ == textValue {
		return c.onWords(left, func(w string) bool { return texts[w] }), nil
	}
	if left.typ == boolValue {
		return value{}, c.mismatch(n.Left, left, numberValue)
	}
	a := left.num
	return fold(value{typ: boolValue, cond: func(f frame) bool { return numbers[a(f)] }}, left), nil
}

// onWords compiles a test of text. For a column it is decided once a word, not
// once a row.
func (c *compiler) onWords(v value, test func(string) bool) value {
	if v.column == nil {
		text := v.text
		return fold(value{typ: boolValue, cond: func(f frame) bool { return test(text(f)) }}, v)
	}
	yes := make([]bool, len(v.column.Words))
	for i, w := range v.column.Words {
		yes[i] = test(w)
	}
	codes := v.column.Codes
	return value{typ: boolValue, cond: func(f frame) bool { return yes[codes[f.row]] }}
}

// compareText compiles a comparison of text, which goes by bytes. As with
// numbers a blank cell compares false, unless it is compared with "" itself.
func (c *compiler) compareText(n *ast.BinaryNode, left, right value) (value, error) {
	op := n.Operator
	if left.constant && !right.constant {
		left, right = right, left
		op = map[string]string{"<": ">", "<=": ">=", ">": "<", ">=": "<="}[op]
		if op == "" {
			op = n.Operator
		}
	}
	holds := func(a, b string) bool {
		switch op {
		case "==":
			return a == b
		case "!=":
			return a != b
		case "<":
			return a < b
		case "<=":
			return a <= b
		case ">":
			return a > b
		}
		return a >= b
	}
	if right.constant {
		word := right.word
		return c.onWords(left, func(w string) bool { return (w != "" || word == "") && holds(w, word) }), nil
	}
	a, b := left.text, right.text
	return value{typ: boolValue, cond: func(f frame) bool {
		x, y := a(f), b(f)
		return x != "" && y != "" && holds(x, y)
	}}, nil
}

func (c *compiler) textTest(n *ast.BinaryNode) (value, error) {
	left, err := c.node(n.Left)
	if err != nil {
		return value{}, err
	}
	if left.typ != textValue {
		return value{}, c.errorf(n.Left, "it is for text columns", "%s needs text on its left, found %s", n.Operator, left.typ)
	}
	right, err := c.node(n.Right)
	if err != nil {
		return value{}, err
	}
	if right.typ != textValue || !right.constant {
		return value{}, c.errorf(n.Right, "", "%s needs a string on its right", n.Operator)
	}
	word := right.word
	test := func(w string) bool { return strings.Contains(w, word) }
	switch n.Operator {
	case "startsWith":
		test = func(w string) bool { return strings.HasPrefix(w, word) }
	case "endsWith":
		test = func(w string) bool { return strings.HasSuffix(w, word) }
	case "matches":
		// RE2 syntax: linear in the text whatever the pattern.
		re, err := regexp.Compile(word)
		if err != nil {
			return value{}, c.errorf(n.Right, "", "%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
		test = re.MatchString
	}
	return c.onWords(left, test), nil
}
