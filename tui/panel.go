package tui

import (
	"fmt"
	"strings"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/number"
)

// pane is one way to look at a value.
type pane struct {
	name string
	grid func(m *Model, c *session.Cell) *gridSource // a table
	draw func(m *Model, c *session.Cell, w, h int) []string
}

// shownValue is the value a cell shows: a picture shows what it is of.
func shownValue(v session.Value) session.Value {
	if p, ok := v.(session.Picture); ok && p.Of != nil {
		return p.Of
	}
	return v
}

// panes lists the ways to look at a cell's value; v walks them.
func (m *Model) panes(c *session.Cell) []pane {
	switch v := shownValue(c.Value).(type) {
	case session.Table:
		return []pane{{name: "rows", grid: tableGrid}}
	case session.Sweep:
		var out []pane
		if v.Study != nil {
			out = studyPanes(v)
		}
		if v.Measured() {
			return append(out, pane{name: "runs", grid: tableGrid})
		}
		return append(out, []pane{{name: "loss", draw: drawSweep}, {name: "schedule", draw: drawSchedule}, {name: statsPane, draw: drawStats}, {name: "runs", grid: tableGrid}}...)
	case session.View:
		return []pane{{name: "rows", grid: tableGrid}}
	case session.Curves:
		return []pane{{name: "curve", draw: drawCurves}, {name: "all", draw: drawMultiples}, {name: "table", grid: curvesGrid}}
	case session.Law:
		return []pane{{name: "law", draw: drawLaw}, {name: "residuals", grid: lawGrid}}
	case session.Prediction:
		out := []pane{{name: "price", draw: drawPrediction}}
		if len(v.Windows) > 0 {
			out = append(out, pane{name: "windows", grid: windowsGrid})
		}
		if len(v.Beside) > 0 {
			out = append(out, pane{name: "published", grid: besideGrid})
		}
		return out
	case session.Comparison:
		return []pane{{name: "laws", draw: drawComparison}, {name: "scores", grid: scoresGrid}, {name: "cells", grid: testGrid}}
	case session.Published:
		return []pane{{name: "law", draw: drawPublished}}
	case session.Sheeted:
		return sheetPanes(m.sheetsOf(v), v.Identity())
	case session.Note:
		return []pane{{name: "note", draw: drawNote}}
	case session.Expectation:
		return []pane{{name: "expectation", draw: drawExpectation}}
	}
	return nil
}

// paneShown is the pane a cell shows now.
func (m *Model) paneShown(c *session.Cell) (pane, int, int) {
	ps := m.panes(c)
	if len(ps) == 0 {
		return pane{}, 0, 0
	}
	i := clampTo(m.stateOf(c).pane, len(ps))
	return ps[i], i, len(ps)
}

// grid is the table a cell shows now; nil when it shows something else.
func (m *Model) grid(c *session.Cell) *gridSource {
	p, _, _ := m.paneShown(c)
	if p.grid == nil {
		return nil
	}
	return p.grid(m, c)
}

// curvesOf finds the curves behind a value.
func (m *Model) curvesOf(v session.Value) *fitting.CurveSet {
	switch v := shownValue(v).(type) {
	case session.Curves:
		return v.CurveSet
	case session.Law:
		return v.Curves
	}
	return nil
}

// curveShown is the curve looked at; nil when there is none.
func (m *Model) curveShown(c *session.Cell) *fitting.Curve {
	set := m.curvesOf(c.Value)
	if set == nil || len(set.Curves) == 0 {
		return nil
	}
	return &set.Curves[clampTo(m.stateOf(c).curve, len(set.Curves))]
}

// panelKey is all that the value of the focused cell is drawn from.
type panelKey struct {
	value any
	state cellState
	notes string
	stale bool
	w, h  int
	order int
	log   logKey
	theme *theme
}

// panel draws the focused cell's value on at most h lines: its first notes, then
// the pane chosen.
func (m *Model) panel(c *session.Cell, w, h int) []string {
	if h <= 0 {
		return nil
	}
	k := panelKey{identity(c.Value), *m.stateOf(c), strings.Join(c.Notes, "\n"), c.Stale, w, h, m.sorted.gen, m.log.key(), m.th}
	return m.memo.get("panel", k, func() []string { return m.drawPanel(c, w, h) })
}

func (m *Model) drawPanel(c *session.Cell, w, h int) []string {
	lead := m.margin(true, m.gutter)
	room := w - m.gutter
	if room < 8 {
		return nil
	}
	var out []string
	if c.Value == nil {
		if c.Err == nil && h > 0 {
			out = append(out, m.th.dim.Render(clip(waitingText(c), room)))
		}
		return leadAll(lead, out, w)
	}
	p, at, n := m.paneShown(c)
	var notes []string
	if _, ok := c.Value.(session.Prediction); !ok || room < wideAt { // the wide picture lists them itself
		notes = m.firstNotes(c, room, notesRoom(h))
	}
	out = append(out, notes...)
	left := h - len(out)
	if n > 1 && left >= 6 {
		out = append(out, m.paneTabs(c, at, room))
		left--
	}
	var body []string
	switch {
	case p.grid != nil:
		body = m.drawGrid(c, p.grid(m, c), room, left)
	case p.draw != nil:
		body = p.draw(m, c, room, left)
	}
	if len(body) > left {
		body = body[:left]
	}
	if c.Stale { // the last good value, greyed
		for i := range body {
			body[i] = m.th.faint.Render(stripped(body[i]))
		}
	}
	return leadAll(lead, append(out, body...), w)
}

func leadAll(lead string, lines []string, w int) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = clip(lead+l, w)
	}
	return out
}

// waitingText says what a cell without a value waits for.
func waitingText(c *session.Cell) string {
	switch {
	case c.Status == session.Running && c.Progress > 0:
		return fmt.Sprintf("computing… %d%%", int(100*c.Progress))
	case c.Status == session.Running:
		return "computing…"
	case c.Untrained && c.WaitsFor != "":
		return "waits for the runs of " + oneLine(c.WaitsFor) + ": T there trains them"
	case c.WaitsFor != "":
		return "waits for " + oneLine(c.WaitsFor)
	}
	return ""
}

func notesRoom(h int) int {
	switch {
	case h < 8:
		return 0
	case h < 14:
		return 1
	}
	return 3
}

// firstNotes shows the first of a cell's notes on at most n lines and says how
// to read the rest.
func (m *Model) firstNotes(c *session.Cell, w, n int) []string {
	if n <= 0 || len(c.Notes) == 0 {
		return nil
	}
	var out []string
	for i, note := range c.Notes {
		left := len(c.Notes) - i
		if n > 1 && len(out) == n-1 && left > 1 || len(out) == n {
			break
		}
		out = append(out, m.th.dim.Render(cutWords(oneLine(note), w)))
	}
	if rest := len(c.Notes) - len(out); rest > 0 {
		more := fmt.Sprintf("… ! %s", number.Plural(rest, "more note", "more notes"))
		if len(out) > 0 && n == 1 {
			first := cutWords(oneLine(c.Notes[0]), max(w-width(more)-2, 1))
			out[0] = ends(m.th.dim.Render(first), m.th.faint.Render(more), w)
		} else {
			out = append(out, m.th.faint.Render(clip(more, w)))
		}
	}
	return out
}

// paneTabs names the ways to look at a value and which one this is.
func (m *Model) paneTabs(c *session.Cell, at, w int) string {
	t := m.th
	var tabs []part
	for i, p := range m.panes(c) {
		s := t.faint.Render(p.name)
		if i == at {
			s = t.bold.Render(p.name)
		}
		tabs = append(tabs, part{s, 5})
	}
	left, _ := joinParts(tabs, t.faint.Render(" · "), w)
	return ends(left+t.faint.Render("  v"), m.curvePager(c, at), w)
}

// curvePager says which curve of how many is shown.
func (m *Model) curvePager(c *session.Cell, at int) string {
	set := m.curvesOf(c.Value)
	if at != 0 || set == nil || len(set.Curves) < 2 {
		return ""
	}
	i := clampTo(m.stateOf(c).curve, len(set.Curves))
	return m.th.dim.Render(fmt.Sprintf("[ ◂ %d/%d ▸ ]", i+1, len(set.Curves)))
}
