package session

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etastar/etastar/session/table"
)

func tableInput() Param {
	return Param{Name: "table", Doc: "a table", Input: []string{"table", "sweep"}, Position: true, Required: true}
}

// table is the input table; a sweep is one.
func (c *Call) table() *table.Table {
	t, _ := asTable(c.Input("table"))
	return t
}

func asTable(v Value) (*table.Table, bool) {
	switch v := v.(type) {
	case Table:
		return v.Table, true
	case Sweep:
		return v.Table, true
	}
	return nil, false
}

func whereVerb() *Verb {
	return &Verb{
		Name:    "where",
		Summary: "keep the rows for which an expression holds",
		Doc: "The expression is over columns: comparisons, arithmetic with ^ for powers, &&, ||, not, in, and functions such as ln and sqrt. " +
			"N, D, lr, batch, loss and C stand for the columns that have these roles. Names with blanks go in backticks. " +
			"Any statement that takes a table may also end in where …",
		Example: `good = where runs loss < 5 && N > 200M`,
		Result:  "table",
		Params:  []Param{tableInput()},
		tail:    1, hasTail: true,
		run: func(c *Call) (Value, error) {
			t := c.table()
			f, err := table.Where(t, c.Tail)
			if err != nil {
				return nil, err
			}
			c.Note(fmt.Sprintf("%d of %d rows", f.Rows, t.Rows))
			if f.Rows == 0 {
				return nil, hinted{fmt.Errorf("no row of %d is left", t.Rows), "loosen the condition"}
			}
			return Table{f}, nil
		},
	}
}

func deriveVerb() *Verb {
	return &Verb{
		Name:    "derive",
		Summary: "add columns computed from others",
		Doc:     "Each name=expression adds a column, in order, so that a later one can use an earlier one. A name that exists is replaced in the new table.",
		Example: `more = derive runs ratio=D/N steps=D/batch`,
		Result:  "table",
		Params:  []Param{tableInput()},
		open:    &Param{Name: "column", Doc: "name=expression", Column: true, Expr: true},
		run: func(c *Call) (Value, error) {
			t := c.table()
			added := 0
			for _, name := range c.order {
				if name == "table" {
					continue
				}
				d, err := table.Derive(t, name, c.Text(name))
				if err != nil {
					return nil, errParam{name, err}
				}
				t = d
				added++
			}
			if added == 0 {
				return nil, hinted{fmt.Errorf("derive needs a column to add"), "for example: derive runs ratio=D/N"}
			}
			return Table{t}, nil
		},
	}
}

func showVerb() *Verb {
	return &Verb{
		Name:    "show",
		Summary: "look at a table",
		Doc:     "Shows chosen columns of a table in an order of your choice. On the screen the table scrolls and sorts by any column.",
		Example: `show runs columns=lr,loss sort=loss`,
		Result:  "view",
		Params: []Param{
			tableInput(),
			{Name: "columns", Doc: "columns to show, in order; all by default", Column: true, List: true},
			{Name: "sort", Doc: "column to order by", Column: true},
			{Name: "order", Doc: "lowest or highest first", Words: []string{"up", "down"}, Default: "up", Knob: true},
			{Name: "rows", Doc: "show only the first so many", Number: &NumberSpec{Min: 1, Integer: true}},
		},
		run: runShow,
	}
}

func runShow(c *Call) (Value, error) {
	t := c.table()
	var names []string
	for _, name := range c.Texts("columns") {
		col := t.Column(name)
		if col == nil {
			return nil, errParam{"columns", noColumn(t, name)}
		}
		names = append(names, col.Name)
	}
	if c.Given("sort") {
		sorted, err := table.Sort(t, c.Text("sort"), c.Text("order") == "down")
		if err != nil {
			return nil, errParam{"sort", err}
		}
		t = sorted
	}
	if n := int(c.Number("rows")); n > 0 && n < t.Rows {
		t = head(t, n)
	}
	return View{Table: t, Columns: names}, nil
}

// head is the first n rows of a table.
func head(t *table.Table, n int) *table.Table {
	out := *t
	out.Rows, out.Columns = n, make([]*table.Column, len(t.Columns))
	for i, c := range t.Columns {
		short := *c
		if c.Kind == table.Number {
			short.Numbers = c.Numbers[:n]
		} else {
			short.Codes = c.Codes[:n]
		}
		out.Columns[i] = &short
	}
	if t.Lines != nil {
		out.Lines = t.Lines[:n]
	}
	return &out
}

func noColumn(t *table.Table, name string) error {
	hint := "columns: " + strings.Join(clip(t.Names(), 20), ", ")
	if w := nearestWord(name, t.Names()); w != "" {
		hint = fmt.Sprintf("did you mean %s?", w)
	}
	return hinted{fmt.Errorf("there is no column %q", name), hint}
}

// clip shortens a list for a message.
func clip(words []string, n int) []string {
	if len(words) <= n {
		return words
	}
	return append(slices.Clone(words[:n]), fmt.Sprintf("and %d more", len(words)-n))
}

func noteVerb() *Verb {
	return &Verb{
		Name:    "note",
		Summary: "a remark that stands among the results",
		Example: `note "the 1.07B cells have only five learning rates"`,
		Result:  "note",
		Params:  []Param{{Name: "text", Doc: "what to say", String: true, Position: true, Required: true}},
		run:     func(c *Call) (Value, error) { return Note{Text: c.Text("text")}, nil },
	}
}
