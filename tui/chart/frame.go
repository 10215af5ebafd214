package chart

import (
	"math"

	"github.com/charmbracelet/x/ansi"

	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/session/picture/scale"
)

// window is the part of the data a chart shows. x is the logarithm of what a
// logarithmic axis shows.
type window struct{ x0, x1, y0, y1 float64 }

// axes says how the axes of a frame are labelled.
type axes struct {
	x func(lo, hi float64, fits func([]scale.Tick) bool) []scale.Tick // ticks with V on the scale of window.x
	y func(lo, hi float64, n int) []scale.Tick
}

// frame is a plot with axes: p is the canvas inside them.
type frame struct {
	p canvas
	window
}

// logAxis labels an axis whose values are logarithms.
func logAxis(format func(v float64, sig int) string) func(lo, hi float64, fits func([]scale.Tick) bool) []scale.Tick {
	return func(lo, hi float64, fits func([]scale.Tick) bool) []scale.Tick {
		var best []scale.Tick
		scale.Log(math.Exp(lo), math.Exp(hi), format, func(t []scale.Tick) bool {
			l := inLogs(t)
			if !fits(l) {
				return false
			}
			best = l
			return true
		})
		return best
	}
}

func inLogs(t []scale.Tick) []scale.Tick {
	l := make([]scale.Tick, len(t))
	for i, k := range t {
		l[i] = scale.Tick{V: math.Log(k.V), Label: k.Label}
	}
	return l
}

func siSig(v float64, _ int) string { return number.SI(v) }

// Below these sizes an axis takes more room than it is worth.
const (
	minWidthY  = 20 // columns for labels on the y axis
	minHeightX = 4  // rows for labels on the x axis
	minHeightL = 6  // rows for a line above these labels
)

// newFrame draws axes on c around the window and returns the plot inside them.
func newFrame(c canvas, w window, a axes) frame {
	gutter, below := 0, 0
	if c.h >= minHeightX {
		below = 1
	}
	line := c.h >= minHeightL
	if line {
		below = 2
	}
	rows := c.h - below
	var yt []scale.Tick
	if c.w >= minWidthY && rows >= 2 && a.y != nil {
		yt = a.y(w.y0, w.y1, max(2, (rows+2)/3))
		for _, t := range yt {
			gutter = max(gutter, ansi.StringWidth(t.Label)+2)
		}
		if gutter > c.w/3 {
			gutter, yt = 0, nil
		}
	}
	f := frame{p: c.sub(gutter, 0, c.w-gutter, rows), window: w}
	if gutter > 0 {
		f.axisY(c, gutter, yt)
	}
	if below > 0 && f.p.w > 0 {
		f.axisX(c, gutter, line, a)
	}
	return f
}

func (f frame) axisY(c canvas, gutter int, ticks []scale.Tick) {
	for y := range f.p.h {
		c.set(gutter-1, y, '│', penAxis)
	}
	last := -2
	for i := range ticks {
		t := ticks[len(ticks)-1-i] // from the top
		y := f.row(t.V)
		if y < 0 || y >= f.p.h || y-last < 2 {
			continue
		}
		last = y
		c.text(gutter-2-ansi.StringWidth(t.Label)+1, y, t.Label, penAxis)
		c.set(gutter-1, y, '┤', penAxis)
	}
}

// axisX draws the labels under the plot and, if there is room, a line above them.
func (f frame) axisX(c canvas, gutter int, line bool, a axes) {
	row := f.p.h
	if line {
		if gutter > 0 {
			c.set(gutter-1, row, '└', penAxis)
		}
		for x := range f.p.w {
			c.set(gutter+x, row, '─', penAxis)
		}
		row++
	}
	place := func(t scale.Tick) (int, int) {
		w := ansi.StringWidth(t.Label)
		return min(max(gutter+f.col(t.V)-(w-1)/2, 0), c.w-w), w
	}
	fits := func(ticks []scale.Tick) bool {
		if len(ticks) > max(2, f.p.w/9) {
			return false
		}
		end := -3
		for _, t := range ticks {
			x, w := place(t)
			if x < 0 || x < end+3 {
				return false
			}
			end = x + w
		}
		return true
	}
	for _, t := range a.x(f.x0, f.x1, fits) {
		x, _ := place(t)
		c.text(x, row, t.Label, penAxis)
		if col := f.col(t.V); line && col >= 0 && col < f.p.w {
			c.set(gutter+col, row-1, '┬', penAxis)
		}
	}
}

// far is where coordinates outside of any canvas go, so that they stay integers.
const far = 1 << 20

func place(v, lo, hi float64, n int) int {
	u := (v - lo) / (hi - lo)
	switch {
	case math.IsNaN(u):
		return -far
	case u < -1:
		return -far
	case u > 2:
		return far
	}
	return int(math.Round(u * float64(n-1)))
}

// dotX and dotY are the braille dot of a value, col and row its cell.
func (f frame) dotX(x float64) int { return place(x, f.x0, f.x1, 2*f.p.w) }

func (f frame) dotY(y float64) int {
	d := place(y, f.y0, f.y1, 4*f.p.h)
	return 4*f.p.h - 1 - d
}

func (f frame) col(x float64) int { return floorDiv(f.dotX(x), 2) }

func (f frame) row(y float64) int { return floorDiv(f.dotY(y), 4) }

func floorDiv(a, b int) int { return int(math.Floor(float64(a) / float64(b))) }

// xAt is the value in the middle of the dot column dx.
func (f frame) xAt(dx int) float64 {
	if f.p.w < 1 {
		return f.x0
	}
	return f.x0 + (f.x1-f.x0)*float64(dx)/float64(2*f.p.w-1)
}

// line draws y(x) from x0 to x1 in braille, joining dots of neighbouring
// columns; every stride-th column only (1: all of it, more: dotted).
func (f frame) line(x0, x1 float64, stride int, p pen, y func(x float64) float64) {
	d0, d1 := max(f.dotX(x0), 0), min(f.dotX(x1), 2*f.p.w-1)
	last, joined := 0, false
	for d := d0; d <= d1; d++ {
		if stride > 1 && d%stride != 0 {
			continue
		}
		v := y(f.xAt(d))
		dy := f.dotY(v)
		if math.IsNaN(v) || dy < -4 || dy > 4*f.p.h+4 {
			joined = false
			continue
		}
		f.p.dot(d, dy, p)
		if joined && stride == 1 {
			f.join(d, last, dy, p)
		}
		last, joined = dy, true
	}
}

// join fills the steps between two neighbouring columns, half on each side.
func (f frame) join(d, from, to int, p pen) {
	step := 1
	if to < from {
		step = -1
	}
	mid := (from + to) / 2
	for y := from + step; y != to && from != to; y += step {
		if (y-mid)*step <= 0 {
			f.p.dot(d-1, y, p)
		} else {
			f.p.dot(d, y, p)
		}
	}
}

// shadeUnder shades the cells from x0 to x1 between the curve y and the axis.
func (f frame) shadeUnder(x0, x1 float64, r rune, p pen, y func(float64) float64) {
	for x := max(f.col(x0), 0); x <= min(f.col(x1), f.p.w-1); x++ {
		for row := max(f.row(y(f.xAt(2*x))), 0); row < f.p.h; row++ {
			f.p.shade(x, row, r, p)
		}
	}
}

// shadeX shades the columns from x0 to x1, full height.
func (f frame) shadeX(x0, x1 float64, r rune, p pen) {
	if math.IsNaN(x0) || math.IsNaN(x1) {
		return
	}
	c0, c1 := max(f.col(x0), 0), min(f.col(x1), f.p.w-1)
	for x := c0; x <= c1; x++ {
		for y := range f.p.h {
			f.p.shade(x, y, r, p)
		}
	}
}

// pad widens lo..hi by a share on each side, and by something visible when they
// are equal.
func pad(lo, hi, below, above float64) (float64, float64) {
	span := hi - lo
	if !(span > 0) {
		span = math.Max(math.Abs(lo)*1e-2, 1e-9)
		return lo - span, hi + span
	}
	return lo - below*span, hi + above*span
}

// finite reports whether v can be drawn. Losses and logarithms beyond 1e100 have
// no place in a picture, and differences of such numbers overflow.
func finite(v float64) bool { return math.Abs(v) < 1e100 }
