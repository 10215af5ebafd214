package tui

import (
	"math"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/number"
)

// gridSource is a table as the screen scrolls and sorts it: only the cells in
// sight are asked for.
type gridSource struct {
	id    any // what it is a table of, comparable
	heads []string
	n     int
	label func(row int) string // name of the row at the left; nil: none
	text  bool                 // lines of a text: as wide as there is room
	at    func(row, col int) string
	num   func(row, col int) (float64, bool) // number to sort by; false: sort by the text
}

// sorted is the order of the table in focus, kept while it holds.
type sorted struct {
	id    any
	col   int
	down  bool
	order []int32
	busy  bool
	gen   int
}

// longSort is the number of rows above which a sort leaves the event loop.
const longSort = 50_000

// sortTable sorts by the selected column, or turns the order round.
func (m *Model) sortTable(reverse bool) tea.Cmd {
	c := m.focused()
	g := m.grid(c)
	st := &m.stateOf(c).grid
	if g == nil || len(g.heads) == 0 {
		return nil
	}
	col := clampTo(st.col, len(g.heads))
	switch {
	case reverse && st.sort > 0:
		st.descending = !st.descending
	case reverse:
		st.sort, st.descending = col+1, true
	case st.sort == col+1 && !st.descending:
		st.descending = true
	case st.sort == col+1:
		st.sort, st.descending = 0, false // third time: as it came
	default:
		st.sort, st.descending = col+1, false
	}
	st.row = 0
	return m.order(g, *st)
}

// order brings the rows of g in order; a long sort runs aside.
func (m *Model) order(g *gridSource, st gridState) tea.Cmd {
	s := &m.sorted
	if st.sort == 0 || s.id == g.id && s.col == st.sort && s.down == st.descending && s.order != nil {
		return nil
	}
	gen := s.gen + 1
	*s = sorted{id: g.id, col: st.sort, down: st.descending, busy: true, gen: gen}
	work := func() []int32 { return sortRows(g, st.sort-1, st.descending) }
	if g.n <= longSort {
		s.order, s.busy = work(), false
		return nil
	}
	return func() tea.Msg {
		order := work()
		return sortedMsg{func() {
			if m.sorted.gen == gen {
				m.sorted.order, m.sorted.busy = order, false
				m.sorted.gen++
			}
		}}
	}
}

// sortRows orders rows by a column; blanks come last either way, ties keep their order.
func sortRows(g *gridSource, col int, down bool) []int32 {
	type row struct {
		i     int32
		v     float64
		s     string
		blank bool
	}
	rows := make([]row, g.n)
	numbers := true
	for i := range rows {
		v, ok := g.num(i, col)
		rows[i] = row{i: int32(i), v: v, blank: ok && math.IsNaN(v)}
		if !ok {
			numbers = false
			rows[i].s = g.at(i, col)
			rows[i].blank = rows[i].s == ""
		}
	}
	sign := 1
	if down {
		sign = -1
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		switch {
		case a.blank != b.blank:
			if a.blank {
				return 1
			}
			return -1
		case a.blank:
			return 0
		case !numbers:
			return sign * strings.Compare(a.s, b.s)
		case a.v < b.v:
			return -sign
		case a.v > b.v:
			return sign
		}
		return 0
	})
	out := make([]int32, g.n)
	for i := range rows {
		out[i] = rows[i].i
	}
	return out
}

// rowAt is the row shown at place i.
func (m *Model) rowAt(g *gridSource, st gridState, i int) int {
	s := &m.sorted
	if st.sort > 0 && s.id == g.id && s.col == st.sort && s.down == st.descending && i < len(s.order) {
		return int(s.order[i])
	}
	return i
}

// scrollRows moves over the rows of the table in focus.
func (m *Model) scrollRows(by int) tea.Cmd {
	c := m.focused()
	if c == nil {
		return nil
	}
	g := m.grid(c)
	if g == nil {
		return nil
	}
	st := &m.stateOf(c).grid
	st.row = min(max(st.row+by, 0), max(g.n-max(m.hit.gridRows, 1), 0))
	return nil
}

// stepColumn selects another column.
func (m *Model) stepColumn(by int) tea.Cmd {
	c := m.focused()
	g := m.grid(c)
	if g == nil {
		return nil
	}
	st := &m.stateOf(c).grid
	st.col = min(max(st.col+by, 0), max(len(g.heads)-1, 0))
	return nil
}

// maxText is the widest a column of text gets; numbers take what they need.
const maxText = 28

// drawGrid shows the rows in sight on h lines.
func (m *Model) drawGrid(c *session.Cell, g *gridSource, w, h int) []string {
	t := m.th
	if g == nil || h <= 0 {
		return nil
	}
	st := m.stateOf(c).grid
	n := max(min(g.n, h-2), 0)
	m.hit.gridRows = n
	first := min(st.row, max(g.n-n, 0))
	rows := make([]int, n)
	labelW := 0
	for i := range rows {
		rows[i] = m.rowAt(g, st, first+i)
		if g.label != nil {
			labelW = max(labelW, width(g.label(rows[i])))
		}
	}
	if labelW > 0 {
		labelW += 2
	}
	cols := m.gridColumns(g, st, rows, w-labelW)
	out := []string{strings.Repeat(" ", labelW) + m.gridHead(g, st, cols)}
	for _, r := range rows {
		var b strings.Builder
		if g.label != nil {
			b.WriteString(t.faint.Render(padLeft(g.label(r), labelW-2)) + "  ")
		}
		for i, col := range cols {
			if i > 0 {
				b.WriteString("  ")
			}
			s := oneLine(g.at(r, col.i))
			if _, ok := g.num(r, col.i); ok {
				b.WriteString(padLeft(s, col.w))
			} else {
				b.WriteString(pad(cutWords(s, col.w), col.w))
			}
		}
		out = append(out, b.String())
	}
	return append(out, m.gridFoot(g, st, cols, first, n, w))[:min(n+2, h)]
}

// column is a column in sight and its width.
type column struct{ i, w int }

// gridColumns picks the columns that fit, the selected one among them.
func (m *Model) gridColumns(g *gridSource, st gridState, rows []int, w int) []column {
	widthOf := func(i int) int {
		cw := width(oneLine(g.heads[i])) + 2
		for _, r := range rows {
			s := width(oneLine(g.at(r, i)))
			if _, ok := g.num(r, i); !ok && !g.text {
				s = min(s, maxText)
			}
			cw = max(cw, s)
		}
		return cw
	}
	sel := clampTo(st.col, len(g.heads))
	fit := func(from int) []column {
		var cols []column
		used := -2
		for i := from; i < len(g.heads); i++ {
			cw := min(widthOf(i), max(w, 1))
			if used+2+cw > w && len(cols) > 0 {
				break
			}
			used += 2 + cw
			cols = append(cols, column{i, cw})
		}
		return cols
	}
	cols := fit(0)
	for from := 1; from <= sel && len(cols) > 0 && cols[len(cols)-1].i < sel; from++ {
		cols = fit(from)
	}
	return cols
}

// gridHead draws the column heads: the selected one marked, the sorted one with an arrow.
func (m *Model) gridHead(g *gridSource, st gridState, cols []column) string {
	t := m.th
	var b strings.Builder
	for i, col := range cols {
		if i > 0 {
			b.WriteString("  ")
		}
		s := oneLine(g.heads[col.i])
		if st.sort == col.i+1 {
			if st.descending {
				s += " ▾"
			} else {
				s += " ▴"
			}
		}
		s = clip(s, col.w)
		style := t.bold
		if col.i == clampTo(st.col, len(g.heads)) {
			style = t.accent.Bold(true).Underline(true)
		}
		space := strings.Repeat(" ", max(col.w-width(s), 0))
		right := false
		if g.n > 0 {
			_, right = g.num(m.rowAt(g, st, 0), col.i)
		}
		if right {
			b.WriteString(space + style.Render(s))
		} else {
			b.WriteString(style.Render(s) + space)
		}
	}
	return b.String()
}

// gridFoot says which part of the table this is and how to see the rest.
func (m *Model) gridFoot(g *gridSource, st gridState, cols []column, first, n, w int) string {
	t := m.th
	var parts []part
	if g.n == 0 {
		parts = append(parts, part{"no rows", 9})
	} else {
		parts = append(parts, part{"rows " + number.Count(first+1) + "–" + number.Count(first+n) + " of " + number.Count(g.n), 9})
	}
	if n < g.n {
		parts = append(parts, part{"PgUp PgDn", 5})
	}
	if len(cols) > 0 && len(cols) < len(g.heads) {
		parts = append(parts, part{"columns " + itoa(cols[0].i+1) + "–" + itoa(cols[len(cols)-1].i+1) + " of " + itoa(len(g.heads)) + " < >", 8})
	}
	if st.sort > 0 && m.sorted.busy {
		parts = append(parts, part{"sorting…", 9})
	}
	line, _ := joinParts(parts, " · ", w)
	return t.faint.Render(line)
}
