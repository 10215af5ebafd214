package tui

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/etastar/etastar/session"
)

// headKey is all that the head of a cell is drawn from.
type headKey struct {
	text, waits   string
	number        int
	status        session.Status
	stale         bool
	value         any
	err           session.CellError
	failed        bool
	percent       int
	w, gutter     int
	focused, full bool
	theme         *theme
}

// gutterOf is how wide the margin with the focus bar and the number is.
func (m *Model) gutterOf() int {
	n := 0
	for i := range m.items {
		if c := m.items[i].Cell; c != nil {
			n = max(n, c.Number)
		}
	}
	return len(strconv.Itoa(n)) + 2
}

// margin draws the bar of a focused line, or room for it.
func (m *Model) margin(focused bool, gutter int) string {
	if focused {
		return m.th.bar.Render("▌") + strings.Repeat(" ", max(gutter-1, 0))
	}
	return strings.Repeat(" ", gutter)
}

// cellHead draws a statement with the summary of its value at the right, and
// its error below. full shows the whole statement on as many lines as it takes.
func (m *Model) cellHead(name string, c *session.Cell, w int, focused, full bool) []string {
	k := headKey{
		text: c.Text, waits: c.WaitsFor, number: c.Number, status: c.Status, stale: c.Stale,
		value: identity(c.Value), w: w, gutter: m.gutter, focused: focused, full: full,
		percent: int(c.Progress * 100), theme: m.th,
	}
	if c.Err != nil {
		k.err, k.failed = *c.Err, true
	}
	return m.memo.get(name, k, func() []string { return m.drawHead(c, w, focused, full) })
}

func (m *Model) drawHead(c *session.Cell, w int, focused, full bool) []string {
	t := m.th
	num := strconv.Itoa(c.Number)
	bar := " "
	numStyle := t.faint
	if focused {
		bar = t.bar.Render("▌")
		numStyle = t.bold
	}
	lead := bar + numStyle.Render(padLeft(num, m.gutter-2)) + " "
	blank := m.margin(focused, m.gutter)
	room := w - m.gutter
	if room < 4 { // too narrow for anything but the statement
		return []string{clip(bar+paintCut(t, oneLine(c.Text), max(w-1, 1)), w)}
	}
	sum := m.cellSummary(c, room)
	var out []string
	if !full && c.Err == nil {
		out = append(out, lead+m.statementBeside(c, sum, room))
		return out
	}
	rows := paintRows(t, c.Text, room)
	text := func(i int) string {
		if i == 0 {
			return lead + rows[0].text
		}
		return blank + rows[i].text
	}
	last := len(rows) - 1
	for i := range rows {
		line := text(i)
		if i == last && sum.text != "" && rows[i].w+2+sum.w > room {
			// A shorter summary beside beats a whole one on a line of its own.
			if short := m.cellSummary(c, room-rows[i].w-2); short.w > 0 {
				sum = short
			}
		}
		if i == last && sum.text != "" && rows[i].w+2+sum.w <= room {
			line = ends(line, sum.text, w)
			sum.text = ""
		}
		out = append(out, line)
		if under := caretRow(c.Err, rows[i]); under != "" && !wholeStatement(c) {
			out = append(out, blank+t.bad.Render(clip(under, room)))
		}
	}
	if sum.text != "" {
		out = append(out, blank+padLeft(sum.text, room))
	}
	return append(out, m.errorLines(c.Err, blank, room)...)
}

// statementBeside sets a cut statement and a summary on one line: the summary
// keeps what it needs to be of use, the statement the rest.
func (m *Model) statementBeside(c *session.Cell, sum fitted, room int) string {
	text := oneLine(c.Text)
	if width(text)+2+sum.w <= room {
		return ends(paintCut(m.th, text, room), sum.text, room)
	}
	short := m.cellSummary(c, max(room-width(text)-2, room*2/5))
	if short.w == 0 {
		return paintCut(m.th, text, room)
	}
	return ends(paintCut(m.th, text, room-short.w-2), short.text, room)
}

// fitted is a painted piece of a line and its width.
type fitted struct {
	text string
	w    int
}

// cellSummary says where a cell stands in at most w cells.
func (m *Model) cellSummary(c *session.Cell, w int) fitted {
	t := m.th
	parts, style := m.summary(c.Value), t.text
	gap := summaryGap(c.Value)
	if c.Stale {
		style = t.faint
	}
	if e, ok := c.Value.(session.Expectation); ok {
		style = t.bad
		if e.Met {
			style = t.ok
		}
	}
	lead := ""
	switch c.Status {
	case session.Waiting:
		lead = "waits for " + oneLine(c.WaitsFor)
		if c.WaitsFor == "" {
			lead = "waiting"
		}
	case session.Running:
		lead = "computing…"
		if c.Progress > 0 {
			lead = fmt.Sprintf("computing… %d%%", int(c.Progress*100))
		}
	case session.Failed:
		lead = "✗ failed"
	}
	if lead == "" {
		s, _ := joinParts(parts, gap, w)
		return fitted{style.Render(s), width(s)}
	}
	if c.Value == nil {
		parts = nil
	}
	leadStyle := t.warn
	switch c.Status {
	case session.Failed:
		leadStyle = t.bad
	case session.Waiting:
		leadStyle = t.dim
	}
	lw := width(lead)
	if lw > w {
		return fitted{}
	}
	rest, _ := joinParts(parts, gap, w-lw-2)
	if rest == "" {
		return fitted{leadStyle.Render(lead), lw}
	}
	return fitted{t.faint.Render(rest) + "  " + leadStyle.Render(lead), width(rest) + 2 + lw}
}

// wholeStatement reports an error of the statement as a whole: there is nothing to point at.
func wholeStatement(c *session.Cell) bool {
	text := []rune(c.Text)
	lead := len(text) - len([]rune(strings.TrimLeft(c.Text, " ")))
	return c.Err != nil && c.Err.Col <= lead && c.Err.End >= len([]rune(strings.TrimRight(c.Text, " ")))
}

// caretRow points at the wrong part of one line of a statement.
func caretRow(e *session.CellError, r row) string {
	if e == nil || e.End <= e.Col || e.Col >= max(r.end, r.start+1) && e.Col != r.end || e.End <= r.start {
		return ""
	}
	from := max(e.Col, r.start)
	to := max(min(e.End, r.end), from+1)
	plain := []rune(stripped(r.text))
	at := func(col int) int {
		n := min(max(col-r.start, 0), len(plain))
		return width(string(plain[:n]))
	}
	a := at(from)
	return strings.Repeat(" ", a) + "^" + strings.Repeat("~", max(at(to)-a-1, 0))
}

// errorLines shows an error's message and the way out.
func (m *Model) errorLines(e *session.CellError, blank string, room int) []string {
	if e == nil {
		return nil
	}
	var out []string
	for _, l := range wrap(oneLine(e.Message), room) {
		out = append(out, blank+m.th.bad.Render(l))
	}
	if e.Hint != "" {
		for _, l := range wrap(oneLine(e.Hint), room) {
			out = append(out, blank+m.th.dim.Render(l))
		}
	}
	return out
}
