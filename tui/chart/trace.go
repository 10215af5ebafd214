package chart

import (
	"math"

	"github.com/etastar/etastar/session/number"
)

// Trace is one quantity of one run over its tokens: a loss, a learning rate, a norm.
type Trace struct {
	Title     string    // "training loss"; the last value stands behind it
	X, Y      []float64 // the line; a non-finite Y is a gap
	RawX, Raw []float64 // what the line smooths, drawn as faint dots under it
	Marks     []Mark    // what was measured apart, such as validation losses
	MarkName  string    // "validation"
}

// Mark is a measured value with its standard error; 0: not known.
type Mark struct{ X, Y, SE float64 }

// TraceOptions controls DrawTrace.
type TraceOptions struct {
	Theme *Theme // nil: NoColor
	XName string // "tokens"
	Log   bool   // a logarithmic y axis; what is not above 0 is a gap
	Rates bool   // the line is a learning rate: the axis begins at 0 unless logarithmic
	// X0 and X1 are the part of the x axis shown; all there is unless X0 < X1.
	X0, X1 float64
	Empty  string // said when there is nothing to draw
}

// minTraceTitle is the height from which a trace has a title.
const minTraceTitle = 4

// DrawTrace draws a trace. Values far above the rest are drawn at the upper edge, and
// marks there as ▲.
func DrawTrace(t *Trace, o TraceOptions, w, h int) string {
	cv := newCanvas(w, h)
	t.draw(cv, &o)
	return cv.render(o.Theme.sequences())
}

func (t *Trace) draw(cv canvas, o *TraceOptions) {
	curve := func(x, y []float64) []xy {
		s := Series{X: x, Y: y}
		if o.Log {
			return logs(s.clean())
		}
		return s.clean()
	}
	line, raw := curve(t.X, t.Y), curve(t.RawX, t.Raw)
	var marks []Mark
	for _, k := range t.Marks {
		if finite(k.X) && finite(k.Y) && (k.Y > 0 || !o.Log) {
			marks = append(marks, k)
		}
	}
	plot := cv
	if cv.h >= minTraceTitle {
		t.title(cv, o, len(marks) > 0)
		plot = cv.sub(0, 1, cv.w, cv.h-1)
	}
	win, seen := window{o.X0, o.X1, 0, 1}, false
	given := o.X0 < o.X1 && finite(o.X0) && finite(o.X1)
	if !given {
		win.x0, win.x1 = math.Inf(1), math.Inf(-1)
	}
	span := func(x float64) {
		if !given {
			win.x0, win.x1 = math.Min(win.x0, x), math.Max(win.x1, x)
		}
		seen = seen || x >= win.x0 && x <= win.x1
	}
	for _, pts := range [][]xy{line, raw} {
		for _, p := range pts {
			if !math.IsNaN(p.y) {
				span(p.x)
			}
		}
	}
	for _, k := range marks {
		span(k.X)
	}
	if !seen {
		plot.centred(penDim, o.Empty, "–")
		return
	}
	if !(win.x1 > win.x0) {
		win.x0, win.x1 = win.x0-0.5, win.x1+0.5
	}
	line, raw = until(from(line, win.x0), win.x1), until(from(raw, win.x0), win.x1)
	t.rangeY(&win, line, raw, marks, o, plot.w)
	axis := LinesOptions{Log: o.Log, Rates: o.Rates}
	f := newFrame(plot, win, axes{x: countAxis, y: axis.axisY()})
	for _, p := range raw {
		if !math.IsNaN(p.y) {
			f.p.dot(f.dotX(p.x), f.lineDot(p.y), penDim)
		}
	}
	f.graph(resample(line, win.x0, win.x1, f.p.w+1), penCurve, strokes[0])
	for _, k := range marks {
		if k.X >= win.x0 && k.X <= win.x1 {
			f.mark(k, o.Log)
		}
	}
	f.nameX(plot, o.XName)
}

// rangeY sets the y axis: what the line and its dots need, and every mark that is not
// far above them or from before the line begins.
func (t *Trace) rangeY(win *window, line, raw []xy, marks []Mark, o *TraceOptions, w int) {
	lo, hi := linesRange([][]xy{line, raw}, *win, w)
	if o.Rates && !o.Log {
		lo = 0
	}
	if len(line)+len(raw) == 0 {
		lo, hi = math.Inf(1), math.Inf(-1)
	}
	room, begin := hi+(hi-lo), math.Inf(-1)
	if len(line) > 0 {
		begin = line[0].x
	}
	for _, k := range marks {
		if k.X < win.x0 || k.X > win.x1 {
			continue
		}
		y := k.Y
		if o.Log {
			y = math.Log(y)
		}
		lo = math.Min(lo, y)
		if !(y > room) && !(k.X < begin && y > hi) {
			hi = math.Max(hi, y)
		}
	}
	win.y0, win.y1 = lo, hi
	if !(hi > lo) {
		win.y0, win.y1 = pad(lo, hi, 0, 0)
	}
}

// mark draws a measured value with a standard error on either side where that shows.
func (f frame) mark(k Mark, log bool) {
	y, lo, hi := k.Y, k.Y-k.SE, k.Y+k.SE
	if log {
		y, lo, hi = math.Log(y), math.Log(lo), math.Log(hi)
	}
	x := f.col(k.X)
	if y > f.y1 {
		f.p.set(x, 0, '▲', penPoint)
		return
	}
	if k.SE > 0 && finite(lo) && finite(hi) {
		for row := max(f.lineDot(hi)/4, 0); row <= min(f.lineDot(lo)/4, f.p.h-1); row++ {
			if f.p.free(x, row) {
				f.p.set(x, row, '│', penInterval)
			}
		}
	}
	f.p.set(x, f.lineDot(y)/4, '◆', penPoint)
}

// lineDot is the braille row of a value beside a line that graph draws, whose lowest
// value is the middle of the lowest row and whose highest that of the highest.
func (f frame) lineDot(y float64) int {
	return 4*f.p.h - 1 - int(math.Round(1.5+4*float64(f.p.h-1)*clampTo01((y-f.y0)/(f.y1-f.y0))))
}

func clampTo01(u float64) float64 { return math.Min(math.Max(u, 0), 1) }

// title names the line, its last value and the other marks.
func (t *Trace) title(cv canvas, o *TraceOptions, marked bool) {
	pieces := []segment{{oneLine(t.Title), penTitle, 0}}
	for i := min(len(t.X), len(t.Y)) - 1; i >= 0; i-- {
		if finite(t.Y[i]) {
			last := number.Sig(t.Y[i], 4)
			if o.Rates {
				last = number.Eta(t.Y[i], 3)
			}
			pieces = append(pieces, segment{last, penText, 1})
			break
		}
	}
	if marked {
		pieces = append(pieces, segment{"◆ " + oneLine(t.MarkName), penPoint, 2})
	}
	if len(t.Raw) > 0 {
		pieces = append(pieces, segment{"⠢ each step logged", penDim, 3})
	}
	pieces[0].text = shorten(pieces[0].text, cv.w)
	cv.segments(0, 0, pieces...)
}
