package tui

import (
	"fmt"
	"math"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/session/table"
)

// summary says a value in one line, as parts that can be dropped.
func (m *Model) summary(v session.Value) []part {
	switch v := v.(type) {
	case session.Table:
		return m.tableSummary(v.Table)
	case session.Sweep:
		return sweepSummary(v)
	case session.View:
		return []part{{number.Count(v.Rows) + " × " + number.Count(len(v.Columns)), 9}}
	case session.Curves:
		return curvesSummary(v.CurveSet)
	case session.Law:
		return lawSummary(v.Law)
	case session.Published:
		return []part{{oneLine(v.Formula), 9}, {oneLine(v.Source), 2}}
	case session.Prediction:
		p := v.Prediction
		return []part{{number.EtaPadded(p.LR, 3), 9}, {number.EtaInterval(p.Low, p.High, 2), 6}}
	case session.Comparison:
		return comparisonSummary(v.Comparison)
	case session.Picture:
		if v.File == "" {
			return []part{{"drawn here", 5}}
		}
		return []part{{"→ " + oneLine(v.File), 9}}
	case session.Sheeted:
		return []part{{oneLine(v.Summary()), 9}}
	case session.Note:
		return []part{{oneLine(v.Text), 5}}
	case session.Expectation:
		mark := "✗"
		if v.Met {
			mark = "✓"
		}
		return []part{{mark, 10}, {oneLine(v.Said), 9}}
	}
	return nil
}

// summaryGap is what stands between the parts of a value's summary.
func summaryGap(v session.Value) string {
	switch v.(type) {
	case session.Curves, session.Comparison:
		return ", "
	}
	return "  "
}

// tableSummary gives the shape and the ranges of N and D. A million rows are
// read once per table, not once a frame.
func (m *Model) tableSummary(t *table.Table) []part {
	if s, ok := m.shapes[t]; ok {
		return s
	}
	out := []part{{number.Count(t.Rows) + " × " + number.Count(len(t.Columns)), 9}}
	for i, role := range []table.Role{table.RoleN, table.RoleD} {
		src, ok := t.Roles[role]
		if !ok {
			continue
		}
		if lo, hi, ok := columnRange(t, src.Column); ok {
			s := string(role) + " " + number.SI(lo)
			if hi > lo {
				s += "–" + number.SI(hi)
			}
			out = append(out, part{s, 6 - i})
		}
	}
	if len(m.shapes) > 64 { // values of turned knobs; the old ones are gone
		m.shapes = nil
	}
	if m.shapes == nil {
		m.shapes = map[*table.Table][]part{}
	}
	m.shapes[t] = out
	return out
}

func columnRange(t *table.Table, name string) (lo, hi float64, ok bool) {
	for _, c := range t.Columns {
		if c.Name != name || c.Kind != table.Number {
			continue
		}
		lo, hi = math.Inf(1), math.Inf(-1)
		for _, v := range c.Numbers {
			if v >= lo && v <= hi || math.IsNaN(v) || math.IsInf(v, 0) {
				continue
			}
			lo, hi = math.Min(lo, v), math.Max(hi, v)
		}
		return lo, hi, lo <= hi
	}
	return 0, 0, false
}

// curveTally counts what a set of curves holds.
type curveTally struct{ vertices, bounds, near, diverged int }

func tally(s *fitting.CurveSet) curveTally {
	var t curveTally
	for i := range s.Curves {
		c := &s.Curves[i]
		switch {
		case c.OK:
			t.vertices++
		case c.Bound != fitting.NoBound:
			t.bounds++
		}
		if c.Has(fitting.FlagNearEdge) {
			t.near++
		}
		t.diverged += len(c.Diverged)
	}
	return t
}

func curvesSummary(s *fitting.CurveSet) []part {
	t := tally(s)
	v := number.Plural(t.vertices, "vertex", "vertices")
	if t.vertices < len(s.Curves) {
		v = fmt.Sprintf("%d of %s", t.vertices, number.Plural(len(s.Curves), "vertex", "vertices"))
	}
	out := []part{{v, 9}}
	if t.near > 0 {
		out = append(out, part{number.Count(t.near) + " near the edge", 6})
	}
	if t.bounds > 0 {
		out = append(out, part{number.Plural(t.bounds, "bound", "bounds"), 7})
	}
	if t.diverged > 0 {
		out = append(out, part{number.Count(t.diverged) + " diverged", 3})
	}
	return out
}

func lawSummary(l *fitting.Law) []part {
	var out []part
	for i, c := range l.Coef {
		exponent := isExponent(l, &c)
		s := c.Name + " " + number.Sig(c.Value, 3)
		if exponent {
			s = c.Name + " " + number.Signed(c.Value, 3)
		}
		switch {
		case c.Pinned:
			s += " pinned"
		case exponent && !math.IsNaN(c.SE):
			s += "±" + number.Fixed(c.SE, 3)
		}
		keep := 8 - i
		if c.Name == "C" {
			keep = 3
		}
		out = append(out, part{s, keep})
	}
	return out
}

func comparisonSummary(c *fitting.Comparison) []part {
	best := -1
	for i := range c.Rows {
		r := &c.Rows[i]
		if r.Err != "" || !r.Comparable || r.InSample || math.IsNaN(r.MeanAbsErr) {
			continue
		}
		if best < 0 || r.MeanAbsErr < c.Rows[best].MeanAbsErr {
			best = i
		}
	}
	out := []part{{number.Plural(len(c.Rows), "law", "laws") + ", " + number.Plural(len(c.Test), "cell", "cells") + " held out", 4}}
	if best >= 0 {
		out = append([]part{{fmt.Sprintf("%s best: |Δ ln η| %s", oneLine(c.Rows[best].Name), number.Fixed(c.Rows[best].MeanAbsErr, 3)), 9}}, out...)
	}
	return out
}
