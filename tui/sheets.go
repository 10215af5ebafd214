package tui

import (
	"math"

	"github.com/charmbracelet/x/ansi"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/tui/chart"
)

// sheetsOf are the tables of a value, made once.
func (m *Model) sheetsOf(v session.Sheeted) []session.Sheet {
	id := v.Identity()
	if s, ok := m.sheets[id]; ok {
		return s
	}
	if m.sheets == nil || len(m.sheets) > 64 { // values of turned knobs; the old ones are gone
		m.sheets = map[any][]session.Sheet{}
	}
	m.sheets[id] = v.Sheets()
	return m.sheets[id]
}

// sheetPanes are a view for every table; id is of what holds them.
func sheetPanes(sheets []session.Sheet, id any) []pane {
	var out []pane
	for i, s := range sheets {
		p := pane{name: s.Name}
		if s.Name == session.About {
			p.draw = func(m *Model, _ *session.Cell, w, _ int) []string { return m.drawAbout(s, w) }
		} else {
			p.grid = func(_ *Model, _ *session.Cell) *gridSource { return sheetGrid([2]any{id, i}, s) }
		}
		out = append(out, p)
	}
	return out
}

// sheetGrid shows one table.
func sheetGrid(id any, s session.Sheet) *gridSource {
	return &gridSource{
		id: id, heads: s.Heads, n: len(s.Rows), text: s.Text != "",
		at:  func(r, c int) string { return s.Rows[r][c].Text },
		num: func(r, c int) (float64, bool) { v := s.Rows[r][c].Value; return v, !math.IsNaN(v) },
	}
}

// drawAbout writes labels and what they label.
func (m *Model) drawAbout(s session.Sheet, w int) []string {
	label := 0
	for _, r := range s.Rows {
		label = max(label, ansi.StringWidth(oneLine(r[0].Text))+2)
	}
	label = min(label, w/3)
	var out []string
	for _, r := range s.Rows {
		for k, l := range wrap(oneLine(r[1].Text), max(w-label, 1)) {
			head := pad("", label)
			if k == 0 {
				head = m.th.dim.Render(pad(oneLine(r[0].Text), label))
			}
			out = append(out, clip(head+l, w))
		}
	}
	return out
}

// studyPanes are the tables of a study and its pictures.
func studyPanes(v session.Sweep) []pane {
	out := sheetPanes(v.Study.Sheets(), v.Table)
	if len(v.Study.Plots()) > 0 {
		out = append(out, pane{name: plotsPane, draw: drawPlots})
	}
	return out
}

const plotsPane = "picture"

// drawPlots shows one picture of a study; m walks them.
func drawPlots(m *Model, c *session.Cell, w, h int) []string {
	v, ok := shownValue(c.Value).(session.Sweep)
	if !ok || v.Study == nil || h < 2 {
		return nil
	}
	plots := v.Study.Plots()
	at := m.stateOf(c).sweep.plot % len(plots)
	p := plots[at]
	out := []string{ends(m.th.bold.Render(clip(oneLine(p.Name), w)), m.th.dim.Render("m  "+itoa(at+1)+"/"+itoa(len(plots))), w)}
	var series []chart.Series
	for _, l := range p.Lines {
		series = append(series, chart.Series{Name: oneLine(l.Name), X: l.X, Y: l.Y, Note: l.Note})
	}
	o := chart.LinesOptions{Theme: m.th.chart(), XName: p.XName, LogX: true, Log: p.Log, Legend: true}
	return append(out, picture(chart.Lines(series, o, w, h-1))...)
}
