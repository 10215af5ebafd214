package export

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/session/table"
)

// A report says what a value is in a few blocks. There is one report function a
// type of value; text, Markdown and HTML each only know how to set blocks.
type block interface{ isBlock() }

// tone is how a line is meant.
type tone int

const (
	plainTone tone = iota
	answerTone
	noteTone
	warnTone
	badTone
	goodTone
)

// line is a sentence.
type line struct {
	tone tone
	text string
}

// facts are labels with what they label.
type facts []fact

type fact struct{ label, value string }

// grid is a table. Columns are as many as heads; right says which are set flush right.
type grid struct {
	title string
	heads []string
	right []bool
	rows  [][]string
	data  bool // the user's own table: it may be wide, and is split rather than wrapped
}

func (line) isBlock()  {}
func (facts) isBlock() {}
func (*grid) isBlock() {}

// left makes the columns with these heads flush left.
func (g *grid) left(heads ...string) *grid {
	g.right = make([]bool, len(g.heads))
	for i, h := range g.heads {
		g.right[i] = true
		for _, l := range heads {
			if h == l {
				g.right[i] = false
			}
		}
	}
	return g
}

// dropEmpty removes columns without any text, such as the B of cells that have none.
func (g *grid) dropEmpty() *grid {
	out := &grid{title: g.title, data: g.data, rows: make([][]string, len(g.rows))}
	for c, head := range g.heads {
		full := false
		for _, r := range g.rows {
			full = full || r[c] != ""
		}
		if !full {
			continue
		}
		out.heads, out.right = append(out.heads, head), append(out.right, g.right[c])
		for i, r := range g.rows {
			out.rows[i] = append(out.rows[i], r[c])
		}
	}
	return out
}

// dueReport describes a cell: its value, or why it has none, then its notes. rows
// bounds how much of a user's table is shown; 0: all.
func dueReport(c *session.Cell, dir string, rows int) []block {
	var out []block
	if v := current(c); v != nil {
		out = report(v, dir, rows)
	}
	switch c.Status {
	case session.Failed:
		text := "failed"
		if c.Err != nil {
			text = c.Err.Error()
		}
		return append(out, line{badTone, "✗ " + text})
	case session.Waiting, session.Running:
		return append(out, line{badTone, "✗ " + pending(c)})
	case session.Done:
	}
	if _, ok := c.Value.(session.Prediction); ok {
		return out // its notes are its warnings, which are there already
	}
	for _, n := range c.Notes {
		out = append(out, line{noteTone, n})
	}
	return out
}

// current is the cell's value if it is that of the present text, else nil.
func current(c *session.Cell) session.Value {
	if c.Stale {
		return nil
	}
	return c.Value
}

// pending says why a cell has neither value nor error.
func pending(c *session.Cell) string {
	switch {
	case c.Status == session.Running:
		return "not finished: it was still being computed"
	case c.WaitsFor != "":
		return "waits for " + c.WaitsFor
	}
	return "waits for what it uses"
}

func report(v session.Value, dir string, rows int) []block {
	switch v := v.(type) {
	case session.Table:
		return reportTable(v.Table)
	case session.View:
		return reportView(v, rows)
	case session.Sweep:
		out := reportView(v.View(), rows)
		if v.Study != nil {
			out = append(reportSheets(v.Study), out...)
		}
		return out
	case session.Curves:
		return reportCurves(v.CurveSet)
	case session.Law:
		return reportLaw(v.Law)
	case session.Published:
		return reportPublished(v)
	case session.Prediction:
		return reportPrediction(v.Prediction)
	case session.Comparison:
		return reportComparison(v.Comparison)
	case session.Picture:
		return []block{line{plainTone, reportPicture(v, dir)}}
	case session.Sheeted:
		return reportSheets(v)
	case session.Note:
		return []block{line{plainTone, v.Text}}
	case session.Expectation:
		if v.Met {
			return []block{line{goodTone, "✓ " + v.Said}}
		}
		return []block{line{badTone, "✗ " + v.Said}}
	}
	return []block{line{plainTone, "a value of type " + v.Type()}}
}

func reportTable(t *table.Table) []block {
	f := facts{{"rows", fmt.Sprintf("%s × %s", number.Count(t.Rows), number.Plural(len(t.Columns), "column", "columns"))}}
	if t.Source != "" {
		f = append(f, fact{"source", t.Source})
	}
	for _, r := range table.AllRoles() {
		src, ok := t.Roles[r]
		if !ok {
			continue
		}
		from := src.Expr
		if from == "" {
			from = src.Column
		}
		if lo, hi, ok := extent(t.RoleColumn(r)); ok {
			write := number.SI
			switch r {
			case table.RoleLR:
				write = func(x float64) string { return number.Eta(x, 3) }
			case table.RoleLoss:
				write = number.Loss
			case table.RoleN, table.RoleD, table.RoleBatch, table.RoleFLOPs:
			}
			from += ", " + write(lo)
			if hi > lo {
				from += " to " + write(hi)
			}
		}
		f = append(f, fact{string(r), from})
	}
	return []block{f}
}

// extent is the range of a column's finite numbers.
func extent(c *table.Column) (lo, hi float64, ok bool) {
	if c == nil || c.Kind != table.Number {
		return 0, 0, false
	}
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, x := range c.Numbers {
		if finite(x) {
			lo, hi = math.Min(lo, x), math.Max(hi, x)
		}
	}
	return lo, hi, lo <= hi
}

// shownColumns are the columns of a view in the order asked.
func shownColumns(v session.View) []*table.Column {
	if len(v.Columns) == 0 {
		return v.Table.Columns
	}
	var out []*table.Column
	for _, name := range v.Columns {
		if c := v.Column(name); c != nil {
			out = append(out, c)
		}
	}
	return out
}

func reportView(v session.View, rows int) []block {
	cols := shownColumns(v)
	g := &grid{data: true}
	for _, c := range cols {
		g.heads, g.right = append(g.heads, c.Name), append(g.right, c.Kind == table.Number)
	}
	n := v.Rows
	if rows > 0 && n > rows {
		n = rows
	}
	for i := range n {
		row := make([]string, len(cols))
		for k, c := range cols {
			row[k] = c.String(i)
		}
		g.rows = append(g.rows, row)
	}
	out := []block{g}
	if n < v.Rows {
		out = append(out, line{noteTone, fmt.Sprintf("%s of %s rows; export the value as CSV for all", number.Count(n), number.Count(v.Rows))})
	}
	return out
}

func reportPicture(v session.Picture, dir string) string {
	if v.File == "" {
		return article(v.Of.Type()) + " drawn on the screen"
	}
	return article(v.Of.Type()) + " drawn to " + relative(v.File, dir)
}

// relative writes a file the way the notebook would: from its folder where it lies inside.
func relative(path, dir string) string {
	if r, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(r) {
		return filepath.ToSlash(r)
	}
	return path
}

func article(word string) string {
	switch {
	case word == "curves":
		return word
	case word != "" && strings.IndexByte("aeiou", word[0]) >= 0:
		return "an " + word
	}
	return "a " + word
}

func reportPublished(v session.Published) []block {
	p := v.Published
	f := facts{{"law", p.Title + ", " + p.Source}, {"formula", p.Formula}, {"batch", p.Batch}}
	add := func(label, value string) {
		if value != "" {
			f = append(f, fact{label, value})
		}
	}
	add("means", p.Means)
	add("fitted over", fittedOver(p))
	add("status", p.Status)
	if v.Anchor != nil {
		add("anchor", fmt.Sprintf("N=%s D=%s η=%s", number.SI(v.Anchor.N), number.SI(v.Anchor.D), number.Eta(v.Anchor.LR, 3)))
	}
	return []block{f}
}

func fittedOver(p *fitting.Published) string {
	var parts []string
	for _, q := range []struct {
		name string
		r    [2]float64
	}{{"N", p.NRange}, {"D", p.DRange}, {"C", p.CRange}} {
		switch {
		case q.r[1] == 0:
		case q.r[0] == 0:
			parts = append(parts, q.name+" up to "+number.SI(q.r[1]))
		default:
			parts = append(parts, q.name+" "+number.SI(q.r[0])+" to "+number.SI(q.r[1]))
		}
	}
	return strings.Join(parts, ", ")
}

func itoa(n int) string { return strconv.Itoa(n) }
