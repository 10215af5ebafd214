package tui

import (
	"math"
	"strings"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/number"
)

// isExponent reports whether a coefficient is written as one: parameters of a law of
// the person's own can be anything.
func isExponent(l *fitting.Law, c *fitting.Coefficient) bool {
	return c.Name != "C" && l.Options.Form != fitting.Custom
}

// coefficients writes a law's numbers with their intervals, on as many lines as it takes.
func (m *Model) coefficients(l *fitting.Law, w int) []string {
	t := m.th
	var parts []part
	for _, c := range l.Coef {
		s := t.bold.Render(oneLine(c.Name)) + " "
		exponent := isExponent(l, &c)
		if exponent {
			s += number.Signed(c.Value, 3)
		} else {
			s += number.Sig(c.Value, 3)
		}
		switch {
		case c.Pinned:
			s += t.dim.Render(" pinned")
		case math.IsNaN(c.Lo) || math.IsNaN(c.Hi):
			s += t.dim.Render(" no interval")
		case !exponent:
			s += t.dim.Render(" [" + number.Sig(c.Lo, 3) + ", " + number.Sig(c.Hi, 3) + "]")
		default:
			s += t.dim.Render(" [" + number.Fixed(c.Lo, 3) + ", " + number.Fixed(c.Hi, 3) + "]")
		}
		parts = append(parts, part{s, 9})
	}
	parts = append(parts, part{t.dim.Render("R² " + number.Fixed(l.R2, 3)), 5}, part{t.dim.Render("sd ln η " + number.Fixed(l.ResidSD, 3)), 5},
		part{t.dim.Render(number.Plural(l.N, "cell", "cells")), 4}, part{t.dim.Render("batch " + l.Batch.String()), 4})
	lines, _ := flowParts(parts, "   ", w, 2) // the law's notes stand with the cell's
	return lines
}

// predictionText writes a prediction out: what, how sure, what it would cost, and why to doubt it.
func (m *Model) predictionText(p *fitting.Prediction, w int) []string {
	t := m.th
	var out []string
	row := func(label, value string) {
		if value == "" {
			return
		}
		head := t.dim.Render(pad(label, 15))
		for i, l := range wrap(value, max(w-15, 1)) {
			if i > 0 {
				head = strings.Repeat(" ", 15)
			}
			out = append(out, clip(head+l, w))
		}
	}
	row("η*", t.eta.Render(number.EtaPadded(p.LR, 3))+"  for "+number.Target(p.Target))
	interval := number.EtaInterval(p.Low, p.High, 2)
	if interval == "" {
		interval = "none: " + "the law leaves no degrees of freedom or states none"
	} else {
		interval += "  " + number.Level(p.Level)
	}
	row("interval", interval)
	if !math.IsNaN(p.IntervalRegret) && p.IntervalRegret != 0 {
		row("at its end", number.SignedPercent(p.IntervalRegret)+" loss if the truth lies there")
	}
	if !math.IsNaN(p.Band[0]) && !math.IsNaN(p.Band[1]) {
		row("near-optimal", number.EtaPadded(p.Band[0], 3)+" – "+number.EtaPadded(p.Band[1], 3)+"  within "+number.Percent(p.NearOptimal)+" of the best loss")
	}
	if p.At != 0 && !math.IsNaN(p.AtRegret) {
		row("at "+number.Eta(p.At, 3), number.SignedPercent(p.AtRegret)+" loss")
	}
	row("reaches", reach(p))
	row("batch", p.Batch.String())
	if !math.IsNaN(p.BatchTokens) && p.BatchTokens != 0 {
		row("its own batch", number.SI(p.BatchTokens)+" tokens")
	}
	var win []string
	for _, s := range p.Windows {
		if s.Err == "" && !math.IsNaN(s.LnLR) {
			win = append(win, s.Window.String()+" → "+number.EtaPadded(math.Exp(s.LnLR), 3))
		}
	}
	row("windows", strings.Join(win, "   "))
	for _, s := range p.Windows {
		if s.Err != "" {
			row("window "+s.Window.String(), "no law: "+s.Err)
		}
	}
	for _, s := range p.Warnings {
		for i, l := range wrap(oneLine(s), max(w-2, 1)) {
			mark := t.warn.Render("⚠ ")
			if i > 0 {
				mark = "  "
			}
			out = append(out, clip(mark+l, w))
		}
	}
	for i := range p.Beside {
		b := &p.Beside[i]
		said := number.EtaPadded(b.LR, 3)
		switch {
		case math.IsNaN(b.LR):
			said = oneLine(b.Why)
		case !b.Comparable:
			said += "  not comparable: " + oneLine(b.Why)
		}
		row(title(b.Name), said)
	}
	return out
}

// drawPublished writes a law of the literature with its conditions.
func drawPublished(m *Model, c *session.Cell, w, h int) []string {
	v, ok := shownValue(c.Value).(session.Published)
	if !ok {
		return nil
	}
	p := v.Published
	var out []string
	for _, r := range [][2]string{
		{"law", p.Title},
		{"η*", p.Formula},
		{"source", p.Source + ", " + p.Status},
		{"batch", p.Batch},
		{"means", p.Means},
		{"conditions", p.Conditions},
		{"needs", strings.Join(p.Needs, ", ")},
	} {
		if r[1] == "" || r[1] == ", " {
			continue
		}
		for i, l := range wrap(oneLine(r[1]), max(w-12, 1)) {
			head := m.th.dim.Render(pad(r[0], 12))
			if i > 0 {
				head = strings.Repeat(" ", 12)
			}
			out = append(out, clip(head+l, w))
		}
	}
	return out[:min(len(out), h)]
}

func drawNote(m *Model, c *session.Cell, w, h int) []string {
	v, ok := c.Value.(session.Note)
	if !ok {
		return nil
	}
	out := wrap(oneLine(v.Text), w)
	return out[:min(len(out), h)]
}

func drawExpectation(m *Model, c *session.Cell, w, h int) []string {
	v, ok := c.Value.(session.Expectation)
	if !ok {
		return nil
	}
	style := m.th.bad
	if v.Met {
		style = m.th.ok
	}
	var out []string
	for _, l := range wrap(oneLine(v.Said), w) {
		out = append(out, style.Render(l))
	}
	return out[:min(len(out), h)]
}
