package chart

import (
	"math"
	"sort"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/number"
)

// ComparisonOptions controls Comparison.
type ComparisonOptions struct {
	Theme *Theme // nil: NoColor
}

// Comparison tables laws by what their predictions cost on cells they did not
// see, the cheapest first. Columns that do not fit are left out from the right,
// and the last line names them.
func Comparison(c *fitting.Comparison, o ComparisonOptions, w, h int) string {
	cv := newCanvas(w, h)
	drawComparison(cv, c)
	return cv.render(o.Theme.sequences())
}

// column is a column of a table: its values, right-aligned unless they are words.
type column struct {
	name, short string
	words       bool
	value       func(r *fitting.CompareRow) string
}

var comparisonColumns = []column{
	{"mean penalty", "mean", false, func(r *fitting.CompareRow) string { return number.Percent(r.MeanPenalty) }},
	{"max penalty", "max", false, func(r *fitting.CompareRow) string { return number.Percent(r.MaxPenalty) }},
	{"|ln err|", "err", false, func(r *fitting.CompareRow) string { return number.Fixed(r.MeanAbsErr, 3) }},
	{"coverage", "cover", false, func(r *fitting.CompareRow) string { return number.Percent(r.Coverage) }},
	{"comparable", "comp.", true, comparable},
	{"condition", "cond.", true, func(r *fitting.CompareRow) string { return oneLine(r.Condition) }},
}

func comparable(r *fitting.CompareRow) string {
	switch {
	case r.InSample:
		return "no: in sample"
	case r.Comparable:
		return "yes"
	}
	return "no"
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// sortedRows puts scored contenders first, the lowest mean penalty on top.
func sortedRows(c *fitting.Comparison) []*fitting.CompareRow {
	rows := make([]*fitting.CompareRow, len(c.Rows))
	for i := range c.Rows {
		rows[i] = &c.Rows[i]
	}
	rank := func(r *fitting.CompareRow) float64 {
		if r.Err != "" || math.IsNaN(r.MeanPenalty) {
			return math.Inf(1)
		}
		return r.MeanPenalty
	}
	sort.SliceStable(rows, func(i, j int) bool { return rank(rows[i]) < rank(rows[j]) })
	return rows
}

// The bars of a comparison.
const (
	minBar     = 8
	maxBar     = 30
	minWords   = 20
	minNameBar = 44 // width from which there are bars
)

func drawComparison(cv canvas, c *fitting.Comparison) {
	if c == nil || len(c.Rows) == 0 {
		cv.centred(penDim, "no comparison", "–")
		return
	}
	rows := sortedRows(c)
	y := 0
	if cv.h >= len(rows)+3 {
		cv.segments(0, 0,
			segment{"held out: " + number.Plural(len(c.Test), "cell", "cells"), penTitle, 0},
			segment{"fitted on " + strconv.Itoa(len(c.Train)), penDim, 1},
			segment{"penalty: loss above the cell's best", penDim, 2})
		y++
	}
	header := cv.h > len(rows) || cv.h >= 4
	t := layoutTable(rows, cv.w)
	if header {
		t.header(cv, y)
		y++
	}
	foot := 0
	if len(t.hidden) > 0 && cv.h-y >= 2 {
		foot = 1
		cv.text(0, cv.h-1, firstFit(cv.w, "… hidden: "+strings.Join(t.hidden, ", "), "… "+strconv.Itoa(len(t.hidden))+" columns hidden", "…"), penDim)
	}
	room := cv.h - y - foot
	for i, r := range rows {
		if i == room-1 && len(rows) > room {
			cv.text(0, y+i, firstFit(cv.w, "… "+strconv.Itoa(len(rows)-i)+" more laws", "…"), penDim)
			break
		}
		if i >= room {
			break
		}
		t.row(cv, y+i, r)
	}
	for i := len(rows); i+1 < room && i-len(rows) < len(c.Notes); i++ {
		cv.text(0, y+i+1, shorten(oneLine(c.Notes[i-len(rows)]), cv.w), penDim)
	}
}

// table is where the columns of a comparison stand.
type table struct {
	nameW  int
	cols   []column
	x, w   []int
	short  bool
	barX   int
	barW   int
	worst  float64
	hidden []string
}

func layoutTable(rows []*fitting.CompareRow, width int) *table {
	t := &table{}
	for _, r := range rows {
		t.nameW = max(t.nameW, ansi.StringWidth(oneLine(r.Name)))
		if r.Err == "" && finite(r.MeanPenalty) {
			t.worst = math.Max(t.worst, r.MeanPenalty)
		}
	}
	t.nameW = min(t.nameW, max(width*2/5, 6))
	t.short = width < 64
	x := t.nameW
	for i, c := range comparisonColumns {
		w := ansi.StringWidth(t.head(c))
		for _, r := range rows {
			if r.Err == "" {
				w = max(w, ansi.StringWidth(c.value(r)))
			}
		}
		if left := width - x - 2; c.words && w > left && left >= minWords {
			w = min(left, max(minWords, left-minBar*2-2)) // words may be shortened for a bar, numbers not
		}
		if x+2+w > width {
			for _, h := range comparisonColumns[i:] {
				t.hidden = append(t.hidden, h.name)
			}
			break
		}
		t.cols, t.x, t.w = append(t.cols, c), append(t.x, x+2), append(t.w, w)
		x += 2 + w
	}
	if left := width - x - 2; left >= minBar && len(t.cols) > 0 && width >= minNameBar {
		// The bar goes behind the number it draws; the other columns move right.
		t.barX, t.barW = t.x[0]+t.w[0]+1, min(left, maxBar)
		for i := 1; i < len(t.x); i++ {
			t.x[i] += t.barW + 1
		}
	}
	return t
}

func (t *table) head(c column) string {
	if t.short {
		return c.short
	}
	return c.name
}

func (t *table) header(cv canvas, y int) {
	cv.text(0, y, firstFit(t.nameW, "law"), penAxis)
	for i, c := range t.cols {
		t.put(cv, y, i, t.head(c), penAxis)
	}
}

func (t *table) put(cv canvas, y, i int, text string, p pen) {
	x := t.x[i]
	if t.cols[i].words {
		text = shorten(text, t.w[i])
	} else {
		x += t.w[i] - ansi.StringWidth(text)
	}
	cv.text(x, y, text, p)
}

func (t *table) row(cv canvas, y int, r *fitting.CompareRow) {
	p, bar := penText, penCurve
	switch {
	case r.Err != "":
		p = penDim
	case !r.Comparable || r.InSample:
		p, bar = penDim, penOutside
	}
	cv.text(0, y, shorten(oneLine(r.Name), min(t.nameW, cv.w)), p)
	if r.Err != "" {
		if w := cv.w - t.nameW - 2; w > 0 {
			cv.text(t.nameW+2, y, shorten(oneLine(r.Err), w), penWarning)
		}
		return
	}
	for i, c := range t.cols {
		t.put(cv, y, i, c.value(r), p)
	}
	if t.worst > 0 && r.MeanPenalty > 0 {
		cv.bar(t.barX, y, t.barW, math.Min(r.MeanPenalty/t.worst, 1), bar)
	}
}

// bar draws a share of w columns in eighths.
func (c canvas) bar(x, y, w int, share float64, p pen) {
	n := int(math.Round(share * float64(8*w)))
	for i := range w {
		switch k := n - 8*i; {
		case k >= 8:
			c.set(x+i, y, '█', p)
		case k > 0:
			c.set(x+i, y, []rune(" ▏▎▍▌▋▊▉")[k], p)
		}
	}
}
