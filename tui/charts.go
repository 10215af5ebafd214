package tui

import (
	"strings"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/tui/chart"
)

// This file is the only one that knows the chart package.

// wideAt is the width from which two pictures stand side by side.
const wideAt = 96

// chartTheme is the charts' share of the theme.
func (t *theme) chart() *chart.Theme {
	var c chart.Theme
	switch {
	case !t.color:
		c = chart.NoColor()
	case t.dark:
		c = chart.Dark()
	default:
		c = chart.Light()
	}
	return &c
}

func picture(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// drawCurves shows the curve in focus, and beside it its neighbours when there is room.
func drawCurves(m *Model, c *session.Cell, w, h int) []string {
	set, curve := m.curvesOf(c.Value), m.curveShown(c)
	if curve == nil {
		return []string{m.th.dim.Render(clip("no curves", w))}
	}
	one := func(w int) []string { return picture(chart.Curve(curve, m.curveOptions(c), w, h)) }
	left := w * 11 / 20
	if cols, rows := chart.Grid(len(set.Curves), w-left-3, h); w < wideAt || cols*rows < 2 {
		return one(w)
	}
	return beside(one(left), m.multiples(c, w-left-3, h), left, m.divider())
}

func (m *Model) divider() string { return " " + m.th.rule.Render("│") + " " }

// curveOptions puts the cursor on the point in focus.
func (m *Model) curveOptions(c *session.Cell) chart.CurveOptions {
	st := m.stateOf(c)
	return chart.CurveOptions{Theme: m.th.chart(), Cursor: st.point >= 0, Selected: max(st.point, 0), Line: m.sourceLines(c)}
}

// pointsOf lists the points a cursor can stand on.
func pointsOf(c *fitting.Curve) []fitting.Point { return chart.Selectable(c) }

func (m *Model) multiples(c *session.Cell, w, h int) []string {
	set := m.curvesOf(c.Value)
	st := m.stateOf(c)
	return picture(chart.SmallMultiples(set, chart.MultiplesOptions{
		Theme: m.th.chart(), Focus: clampTo(st.curve, len(set.Curves)), Cursor: st.point >= 0, Selected: max(st.point, 0), Line: m.sourceLines(c),
	}, w, h))
}

// drawMultiples shows every curve of the set.
func drawMultiples(m *Model, c *session.Cell, w, h int) []string {
	if m.curvesOf(c.Value) == nil {
		return nil
	}
	return m.multiples(c, w, h)
}

// drawLaw shows the vertices along the law; beside the loss of the curve in
// focus when there is room, and its coefficients above.
func drawLaw(m *Model, c *session.Cell, w, h int) []string {
	v, ok := shownValue(c.Value).(session.Law)
	if !ok {
		return nil
	}
	var out []string
	if h >= 10 {
		out = m.coefficients(v.Law, w)
		h -= len(out)
	}
	law := func(w int) []string {
		return picture(chart.Law(v.Law, chart.LawOptions{Theme: m.th.chart(), Target: m.targetOf(c), Focused: true, Focus: m.stateOf(c).curve}, w, h))
	}
	curve := m.curveShown(c)
	left := w * 11 / 20
	if w < wideAt || h < 8 || curve == nil {
		return append(out, law(w)...)
	}
	one := picture(chart.Curve(curve, m.curveOptions(c), left, h))
	return append(out, beside(one, law(w-left-3), left, m.divider())...)
}

// targetOf is the prediction drawn into a law: the one of the picture, else the answer.
func (m *Model) targetOf(c *session.Cell) *fitting.Prediction {
	if p, ok := c.Value.(session.Picture); ok && p.Target != nil {
		return p.Target
	}
	return nil
}

// drawPrediction shows what another η would cost, beside the numbers.
func drawPrediction(m *Model, c *session.Cell, w, h int) []string {
	v, ok := shownValue(c.Value).(session.Prediction)
	if !ok {
		return nil
	}
	price := func(w, h int) []string {
		return picture(chart.Prediction(v.Prediction, chart.PredictionOptions{Theme: m.th.chart()}, w, h))
	}
	if w >= wideAt {
		left := w * 11 / 20
		text := m.predictionText(v.Prediction, w-left-3)
		return beside(price(left, h), text[:min(len(text), h)], left, m.divider())
	}
	text := m.predictionText(v.Prediction, w)
	keep := min(len(text), max(h-10, 0))
	return append(price(w, h-keep), text[:keep]...)
}

// drawComparison shows the laws side by side.
func drawComparison(m *Model, c *session.Cell, w, h int) []string {
	v, ok := shownValue(c.Value).(session.Comparison)
	if !ok {
		return nil
	}
	out := picture(chart.Comparison(v.Comparison, chart.ComparisonOptions{Theme: m.th.chart()}, w, h))
	for len(out) > 0 && strings.TrimSpace(stripped(out[len(out)-1])) == "" {
		out = out[:len(out)-1]
	}
	return out
}
