package table

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
)

// The expr parser gives the tree; its virtual machine is not used. Closures over
// column slices run a condition an order of magnitude faster, need no map for a
// row, and can neither loop nor allocate: bounding the tree bounds the work of a row.

// frame is what a compiled expression is evaluated in: a row of a table, or the
// variables and parameters of a formula. It is passed by value to stay off the heap.
type frame struct {
	row          int
	vars, params []float64
}

type (
	numFunc  func(frame) float64
	boolFunc func(frame) bool
	textFunc func(frame) string
)

type valueType int

const (
	numberValue valueType = iota
	boolValue
	textValue
)

func (v valueType) String() string {
	return [...]string{"a number", "a condition", "text"}[v]
}

// value is a compiled node. Exactly the function of its type is set.
type value struct {
	typ  valueType
	num  numFunc
	cond boolFunc
	text textFunc

	constant bool    // the value does not depend on the frame
	number   float64 // of a constant number
	word     string  // of a constant text
	column   *Column // the node is a text column
}

func constNumber(v float64) value {
	return value{num: func(frame) float64 { return v }, constant: true, number: v}
}

// scope knows what names mean.
type scope interface {
	// lookup returns the value of a name, written plainly or in backticks.
	lookup(name string) (value, bool)
	// unknown says what to do about a name that means nothing.
	unknown(name string) (message, hint string)
}

type compiler struct {
	src   *source
	scope scope
	nodes int // compiled so far
}

// compile parses and compiles text.
func compile(text string, names scope) (value, error) {
	src, err := rewrite(text)
	if err != nil {
		return value{}, err
	}
	tree, err := parser.Parse(string(src.out))
	if err != nil {
		return value{}, src.parseError(err)
	}
	c := &compiler{src: src, scope: names}
	v, err := c.node(tree.Node)
	if err != nil {
		return value{}, err
	}
	return v, nil
}

const hintOperator = "an operator may be missing before it"

// parseError says a parser's error in the user's terms.
func (s *source) parseError(err error) error {
	var fe *file.Error
	if !errors.As(err, &fe) {
		return s.fail(0, len(s.text), err.Error(), "")
	}
	from, to := s.span(fe.Location)
	message, hint := fe.Message, ""
	switch {
	case strings.HasPrefix(message, "unexpected token EOF"), message == "unexpected end of expression":
		from, to = len(s.text), len(s.text)
		message = "the expression ends too early"
	case strings.HasPrefix(message, "unexpected token"):
		message = fmt.Sprintf("%s is unexpected here", s.text[from:to])
		if from < to && (wordAt(s.text, from) || strings.IndexByte("`\"'(", s.text[from]) >= 0) {
			hint = hintOperator
		}
	case strings.HasPrefix(message, "unrecognized character"):
		message = fmt.Sprintf("%s has no meaning here", s.text[from:to])
	}
	return s.fail(from, to, message, hint)
}

func (c *compiler) errorf(n ast.Node, hint, format string, args ...any) error {
	from, to := c.src.span(n.Location())
	return c.src.fail(from, to, fmt.Sprintf(format, args...), hint)
}

func (c *compiler) node(n ast.Node) (value, error) {
	// The parser shares the middle of a < b < c between two comparisons, so nested
	// chains double with every level. This bounds the work of a row as well.
	if c.nodes++; c.nodes > maxExprNodes {
		return value{}, c.src.fail(0, len(c.src.text), "the expression is too complicated", "compute parts of it as columns of their own")
	}
	switch n := n.(type) {
	case *ast.FloatNode:
		return constNumber(n.Value), nil
	case *ast.IntegerNode:
		return constNumber(float64(n.Value)), nil
	case *ast.BoolNode:
		yes := n.Value
		return value{typ: boolValue, cond: func(frame) bool { return yes }, constant: true}, nil
	case *ast.StringNode:
		word := n.Value
		return value{typ: textValue, text: func(frame) string { return word }, constant: true, word: word}, nil
	case *ast.IdentifierNode:
		return c.name(n, n.Value)
	case *ast.MemberNode:
		if name, ok := dotted(n); ok {
			return c.name(n, name)
		}
	case *ast.ArrayNode:
		// ["smooth loss"] is a way to write a column's name.
		if len(n.Nodes) == 1 {
			if s, ok := n.Nodes[0].(*ast.StringNode); ok {
				return c.name(n, s.Value)
			}
		}
		return value{}, c.errorf(n, "lists stand after in: bs in [32, 64]", "a list is not a value")
	case *ast.UnaryNode:
		return c.unary(n)
	case *ast.BinaryNode:
		return c.binary(n)
	case *ast.ConditionalNode:
		return c.conditional(n)
	case *ast.CallNode:
		if callee, ok := n.Callee.(*ast.IdentifierNode); ok {
			return c.call(n, callee.Value, n.Arguments)
		}
	case *ast.BuiltinNode:
		return c.call(n, n.Name, n.Arguments)
	case *ast.NilNode:
		return value{}, c.errorf(n, "write missing(x) to ask for blank cells", "nil is not a value here")
	case nil:
		return value{}, c.src.fail(0, len(c.src.text), "the expression is incomplete", "")
	}
	return value{}, c.errorf(n, "", "this is not understood here")
}

// dotted joins a.b.c into one name.
func dotted(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return n.Value, true
	case *ast.MemberNode:
		left, ok := dotted(n.Node)
		right, isName := n.Property.(*ast.StringNode)
		if ok && isName && !n.Optional && !n.Method {
			return left + "." + right.Value, true
		}
	}
	return "", false
}

func (c *compiler) name(n ast.Node, name string) (value, error) {
	if column, ok := c.src.quoted[name]; ok {
		name = column
	}
	if v, ok := c.scope.lookup(name); ok {
		return v, nil
	}
	message, hint := c.scope.unknown(name)
	return value{}, c.errorf(n, hint, "%s", message)
}

// number, condition compile a node that must be of that type.
func (c *compiler) number(n ast.Node) (value, error) {
	v, err := c.node(n)
	if err == nil && v.typ != numberValue {
		return value{}, c.mismatch(n, v, numberValue)
	}
	return v, err
}

func (c *compiler) condition(n ast.Node) (value, error) {
	v, err := c.node(n)
	if err == nil && v.typ != boolValue {
		return value{}, c.mismatch(n, v, boolValue)
	}
	return v, err
}

func (c *compiler) mismatch(n ast.Node, got value, want valueType) error {
	if got.column != nil {
		hint := "compare it with a string"
		if w := got.column.example(); w != "" {
			hint += fmt.Sprintf(", as in %s == %q", exprName(got.column.Name), w)
		}
		return c.errorf(n, hint, "column %q is text, not %s", got.column.Name, want)
	}
	hint := ""
	if want == boolValue {
		hint = "compare it with something, as in loss < 3"
	}
	return c.errorf(n, hint, "expected %s, found %s", want, got.typ)
}

// fold turns a value without variables into a constant.
func fold(v value, parts ...value) value {
	for _, p := range parts {
		if !p.constant {
			return v
		}
	}
	switch v.typ {
	case numberValue:
		return constNumber(v.num(frame{}))
	case boolValue:
		yes := v.cond(frame{})
		return value{typ: boolValue, cond: func(frame) bool { return yes }, constant: true}
	}
	return v
}

func (c *compiler) unary(n *ast.UnaryNode) (value, error) {
	switch n.Operator {
	case "not", "!":
		v, err := c.condition(n.Node)
		if err != nil {
			return value{}, err
		}
		cond := v.cond
		return fold(value{typ: boolValue, cond: func(f frame) bool { return !cond(f) }}, v), nil
	case "-", "+":
		v, err := c.number(n.Node)
		if err != nil || n.Operator == "+" {
			return v, err
		}
		num := v.num
		return fold(value{num: func(f frame) float64 {
			x := num(f)
			if x != x {
				return x // keeps a blank cell blank
			}
			return -x
		}}, v), nil
	}
	return value{}, c.errorf(n, "", "%s is not an operator here", n.Operator)
}

func (c *compiler) conditional(n *ast.ConditionalNode) (value, error) {
	cond, err := c.condition(n.Cond)
	if err != nil {
		return value{}, err
	}
	a, err := c.node(n.Exp1)
	if err != nil {
		return value{}, err
	}
	b, err := c.node(n.Exp2)
	if err != nil {
		return value{}, err
	}
	if a.typ != b.typ {
		return value{}, c.errorf(n.Exp2, "", "the two sides of ? : are %s and %s", a.typ, b.typ)
	}
	test := cond.cond
	v := value{typ: a.typ}
	switch a.typ {
	case numberValue:
		x, y := a.num, b.num
		v.num = func(f frame) float64 {
			if test(f) {
				return x(f)
			}
			return y(f)
		}
	case boolValue:
		x, y := a.cond, b.cond
		v.cond = func(f frame) bool {
			if test(f) {
				return x(f)
			}
			return y(f)
		}
	case textValue:
		x, y := a.text, b.text
		v.text = func(f frame) string {
			if test(f) {
				return x(f)
			}
			return y(f)
		}
	}
	return fold(v, cond, a, b), nil
}

// blank returns NaN, or Missing if one of the operands is a blank cell: what is
// computed from a blank cell is blank.
func blank(result float64, operands ...float64) float64 {
	for _, x := range operands {
		if IsMissing(x) {
			return Missing
		}
	}
	return result
}

// example returns a word of a text column for a hint.
func (c *Column) example() string {
	for _, w := range c.Words {
		if w != "" && len(w) <= 40 {
			return w
		}
	}
	return ""
}

// isNaN is math.IsNaN, spelled so that it inlines into the closures.
func isNaN(x float64) bool { return math.IsNaN(x) }
