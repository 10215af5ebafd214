package table

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/etastar/etastar/session/nearest"
)

// columnScope resolves names to the columns of a table.
type columnScope struct{ t *Table }

// lookup prefers a column of exactly that name, then the role's column, then a
// column that differs in case or punctuation only.
func (s columnScope) lookup(name string) (value, bool) {
	for _, c := range s.t.Columns {
		if c.Name == name {
			return columnValue(c), true
		}
	}
	if c := s.t.RoleColumn(Role(name)); c != nil {
		return columnValue(c), true
	}
	if c := s.t.Column(name); c != nil {
		return columnValue(c), true
	}
	return value{}, false
}

func columnValue(c *Column) value {
	if c.Kind == Text {
		codes, words := c.Codes, c.Words
		return value{typ: textValue, column: c, text: func(f frame) string { return words[codes[f.row]] }}
	}
	numbers := c.Numbers
	return value{num: func(f frame) float64 { return numbers[f.row] }}
}

func (s columnScope) unknown(name string) (message, hint string) {
	message = fmt.Sprintf("there is no column %q", name)
	// val/loss reads as a division: recognise the first half of a column's name.
	for _, c := range s.t.Columns {
		if rest, ok := strings.CutPrefix(c.Name, name); ok && rest != "" && strings.ContainsRune("/-: ", rune(rest[0])) {
			return message, fmt.Sprintf("the column %q is written `%s` or %s", c.Name, c.Name, Fold(c.Name))
		}
	}
	candidates := append(s.t.Names(), Functions()...)
	if near := nearest.Word(name, candidates); near != "" {
		return message, "did you mean " + exprName(near) + "?"
	}
	return message, "columns: " + listColumns(s.t)
}

// compileColumns compiles an expression over a table's columns.
func compileColumns(t *Table, expr string) (value, error) {
	v, err := compile(expr, columnScope{t})
	var e *ExprError
	if errors.As(err, &e) && e.Hint == hintOperator {
		// Two words in a row may be a name with a space.
		for _, c := range t.Columns {
			if strings.Contains(c.Name, " ") && strings.Contains(expr, c.Name) {
				e.Hint = fmt.Sprintf("the column %q is written %s or %s", c.Name, exprName(c.Name), Fold(c.Name))
			}
		}
	}
	return v, err
}

// exprName writes a column name as an expression would have it.
func exprName(name string) string {
	if simpleName(name) {
		return name
	}
	return "`" + name + "`"
}

// Where returns the rows for which expr is true. Errors carry the position in expr.
func Where(t *Table, expr string) (*Table, error) {
	v, err := compileColumns(t, expr)
	if err != nil {
		return nil, err
	}
	if v.typ != boolValue {
		e := &ExprError{Expr: expr, End: len(expr), Message: "this is not a condition", Hint: "compare it with something, as in loss < 3"}
		if v.column != nil {
			e.Hint = fmt.Sprintf("compare it with a string, as in %s == %q", exprName(v.column.Name), v.column.example())
		}
		return nil, e
	}
	rows := make([]int32, 0, t.Rows)
	for i := range t.Rows {
		if v.cond(frame{row: i}) {
			rows = append(rows, int32(i))
		}
	}
	return t.pick(rows), nil
}

// Derive returns the table with a column name computed by expr, appended or replaced.
// A condition gives 1 and 0.
func Derive(t *Table, name, expr string) (*Table, error) {
	c, err := evaluate(t, name, expr)
	if err != nil {
		return nil, err
	}
	columns := slices.Clone(t.Columns)
	for i, old := range columns {
		if old.Name == name {
			columns[i] = c
			return t.with(columns), nil
		}
	}
	return t.with(append(columns, c)), nil
}

// evaluate computes a column.
func evaluate(t *Table, name, expr string) (*Column, error) {
	v, err := compileColumns(t, expr)
	if err != nil {
		return nil, err
	}
	c := &Column{Name: name}
	switch v.typ {
	case numberValue:
		c.Numbers = make([]float64, t.Rows)
		for i := range c.Numbers {
			c.Numbers[i] = v.num(frame{row: i})
		}
	case boolValue:
		c.Numbers = make([]float64, t.Rows)
		for i := range c.Numbers {
			if v.cond(frame{row: i}) {
				c.Numbers[i] = 1
			}
		}
	case textValue:
		c.Kind, c.Codes, c.Words = Text, make([]uint32, t.Rows), []string{""}
		codes := map[string]uint32{"": 0}
		for i := range c.Codes {
			w := v.text(frame{row: i})
			code, ok := codes[w]
			if !ok {
				code = uint32(len(c.Words))
				codes[w] = code
				c.Words = append(c.Words, w)
			}
			c.Codes[i] = code
		}
	}
	return c, nil
}

// Sort returns the table ordered by a column; blanks last. Rows that compare
// equal keep their order. NaN comes after every number and before blanks,
// whichever the direction.
func Sort(t *Table, column string, descending bool) (*Table, error) {
	c := t.Column(column)
	if c == nil {
		c = t.RoleColumn(Role(column))
	}
	if c == nil {
		return nil, t.noColumn(column)
	}
	key := sortKeys(c)
	rows := make([]int32, t.Rows)
	for i := range rows {
		rows[i] = int32(i)
	}
	slices.SortStableFunc(rows, func(a, b int32) int {
		x, y := key[a], key[b]
		switch {
		case isNaN(x) || isNaN(y):
			return cmp.Compare(lastness(x), lastness(y))
		case descending:
			return cmp.Compare(y, x)
		}
		return cmp.Compare(x, y)
	})
	return t.pick(rows), nil
}

// lastness orders what has no place among the numbers.
func lastness(x float64) int {
	switch {
	case IsMissing(x):
		return 2
	case isNaN(x):
		return 1
	}
	return 0
}

// sortKeys returns a number a row that orders it; for text, the rank of its word.
func sortKeys(c *Column) []float64 {
	if c.Kind == Number {
		return c.Numbers
	}
	order := make([]int, len(c.Words))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(c.Words[a], c.Words[b]) })
	rank := make([]float64, len(c.Words))
	for r, w := range order {
		rank[w] = float64(r)
		if c.Words[w] == "" {
			rank[w] = Missing
		}
	}
	keys := make([]float64, len(c.Codes))
	for i, code := range c.Codes {
		keys[i] = rank[code]
	}
	return keys
}

// noColumn is the error for a name that is no column.
func (t *Table) noColumn(name string) error {
	if near := nearest.Word(name, t.Names()); near != "" {
		return fmt.Errorf("there is no column %q; did you mean %s?", name, quoteName(near))
	}
	return fmt.Errorf("there is no column %q; columns: %s", name, listColumns(t))
}

// listColumns lists the columns for a message, as many as fit a few lines.
func listColumns(t *Table) string {
	const most = 240
	var b strings.Builder
	for i, c := range t.Columns {
		name := quoteName(shorten(c.Name))
		if i > 0 && b.Len()+len(name) > most {
			fmt.Fprintf(&b, " and %d more", len(t.Columns)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(name)
	}
	return b.String()
}

// shorten cuts a name that would fill the line.
func shorten(name string) string {
	if r := []rune(name); len(r) > 60 {
		return string(r[:57]) + "…"
	}
	return name
}

// quoteName writes a column name as the notebook's language would have it.
func quoteName(name string) string {
	if simpleName(name) {
		return name
	}
	return fmt.Sprintf("%q", name)
}

func simpleName(name string) bool {
	for i := range name {
		if !wordAt(name, i) || i == 0 && isDigit(rune(name[0])) {
			return false
		}
	}
	return name != ""
}

// finite reports whether x is a number proper.
func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
