package picture

import (
	"errors"
	"fmt"
	"math"
	"sort"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/number"
)

// comparisonFigure draws two bar charts over the same laws: what their
// predictions cost, and how far in ln η they miss.
func comparisonFigure(k *fitting.Comparison) (*figure, error) {
	var rows []fitting.CompareRow
	unscored := 0
	for _, r := range k.Rows {
		if r.Err != "" || !finite(r.MeanPenalty) {
			unscored++
			continue
		}
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		return nil, errors.New("no law of the comparison has a score")
	}
	sort.SliceStable(rows, func(i, j int) bool { return rows[i].MeanPenalty < rows[j].MeanPenalty })
	title := fmt.Sprintf("Held out: %d cells, fitted on %d", len(k.Test), len(k.Train))
	if unscored > 0 {
		title += fmt.Sprintf(" (%d laws without a score)", unscored)
	}
	return &figure{
		title: title, width: 17, height: math.Min(4.2+0.75*float64(len(rows)), maxSize),
		draw: func(c draw.Canvas) {
			c = legend(c, []entry{
				{text: "mean", patch: true, col: blue},
				{text: "largest", shape: diamond, col: vermilion},
				{text: "not comparable, or in sample", patch: true, col: tint(grey, 0.6)},
			})
			left, right := c, c
			mid := c.Min.X + (c.Max.X-c.Min.X)*0.62
			left.Max.X, right.Min.X = mid-vg.Points(6), mid+vg.Points(6)
			if right.Max.X-right.Min.X < leastPanel || c.Max.Y-c.Min.Y < leastPanel {
				tooSmall(c)
				return
			}
			names := make([]string, len(rows))
			for i, r := range rows {
				names[i] = printable(r.Name)
			}
			bars(left, rows, names, "loss above the cell's best", 100, "%",
				func(r fitting.CompareRow) (float64, float64) { return r.MeanPenalty, r.MaxPenalty },
				func(v float64) string { return "loss " + number.SignedPercent(v) })
			bars(right, rows, nil, "|ln η error|", 1, "",
				func(r fitting.CompareRow) (float64, float64) { return r.MeanAbsErr, r.MaxAbsErr },
				func(v float64) string { return "|Δ ln η| " + number.Fixed(v, 3) })
		},
	}, nil
}

// bars draws one bar a law with a mark for the largest value; names may be nil, words
// say a value.
func bars(c draw.Canvas, rows []fitting.CompareRow, names []string, title string, times float64, unit string,
	value func(fitting.CompareRow) (mean, most float64), words func(float64) string,
) {
	top := 0.0
	for _, r := range rows {
		for _, v := range []float64{first(value(r)), second(value(r))} {
			if finite(v) {
				top = math.Max(top, v)
			}
		}
	}
	if top < 1e-12 { // smaller numbers have no ratios
		top = 1
	}
	n := float64(len(rows))
	p := newPanel(view{0, 1.05 * top, -0.5, n - 0.5}, "", title, "", false)
	p.X.Tick.Marker = linearTicks(0, 1.05*top, (c.Max.X-c.Min.X)*0.45, p.X.Tick.Label, times, unit)
	labels := make(plot.ConstantTicks, len(rows))
	for i := range rows {
		labels[i] = plot.Tick{Value: n - 1 - float64(i), Label: " "}
		if names != nil {
			labels[i].Label = fitText(p.Y.Tick.Label, names[i], (c.Max.X-c.Min.X)*0.4)
		}
	}
	p.Y.Tick.Marker, p.Y.Tick.Length = labels, 0
	p.Add(drawing(func(c draw.Canvas, p *plot.Plot) {
		tx, ty := p.Transforms(&c)
		st := line(rule, 0.5)
		for _, t := range p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max) {
			if x := tx(t.Value); c.ContainsX(x) {
				c.StrokeLine2(st, x, c.Min.Y, x, c.Max.Y)
			}
		}
		for i, r := range rows {
			mean, most := value(r)
			y := n - 1 - float64(i)
			col := blue
			about := []string{number.Plural(len(r.Cells), "cell", "cells")}
			if !r.Comparable {
				about = append(about, "not comparable")
			}
			if r.InSample {
				about = append(about, "in sample")
			}
			if len(about) > 1 {
				col = tint(grey, 0.6)
			}
			tell := func(what string, v float64) {
				say(&c, vg.Point{X: clampX(c, tx(math.Max(v, 0))), Y: ty(y)}, append([]string{printable(r.Name), what + " " + words(v)}, about...)...)
			}
			if finite(mean) {
				tell("mean", mean)
				x0, x1, y0, y1 := tx(0), clampX(c, tx(math.Max(mean, 0))), ty(y-0.32), ty(y+0.32)
				c.FillPolygon(col, []vg.Point{{X: x0, Y: y0}, {X: x1, Y: y0}, {X: x1, Y: y1}, {X: x0, Y: y1}})
			}
			if finite(most) {
				diamond(&c, vg.Point{X: clampX(c, tx(math.Max(most, 0))), Y: ty(y)}, vg.Points(3.2), vermilion)
				if most != mean {
					tell("largest", most)
				}
			}
		}
	}))
	p.Draw(c)
}

func first(a, _ float64) float64  { return a }
func second(_, b float64) float64 { return b }
