package chart

import (
	"math"
	"sort"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/guptarohit/asciigraph"

	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/session/picture/scale"
)

// Series is one loss curve.
type Series struct {
	Name string    // "1e-3"
	X    []float64 // tokens or steps, ascending; nil: the index
	Y    []float64 // losses; a non-finite one is a gap
	Note string    // shown behind the last value: "★", "✖ step 61"
}

// LinesOptions controls Lines.
type LinesOptions struct {
	Theme  *Theme // nil: NoColor
	XName  string // "tokens", "step"; written beside the labels of the x axis
	Log    bool   // a logarithmic y axis; what is not above 0 is a gap
	Rates  bool   // the lines are learning rates, not losses
	Legend bool   // names, last values and notes beside or under the picture
	Picked int    // from 1: this line stands out; 0: none does
	// Last is the share of the x axis shown, from its end: 0.5 is the second half of
	// what there is; 0, or anything not inside (0, 1), all of it.
	Last float64
	LogX bool // a logarithmic x axis, of numbers above 0
}

// The legend of loss curves.
const (
	minSideLegend = 56 // width from which it stands beside the picture
	minFootLegend = 7  // height from which it stands under a narrow one
)

// Lines draws loss curves over tokens or steps. Losses far above the rest, as at
// the start of training, are drawn at the upper edge.
func Lines(series []Series, o LinesOptions, w, h int) string {
	cv := newCanvas(w, h)
	drawLines(cv, series, o)
	return cv.render(o.Theme.sequences())
}

func drawLines(cv canvas, series []Series, o LinesOptions) {
	pts, raw := make([][]xy, len(series)), make([][]xy, len(series))
	win := window{math.Inf(1), math.Inf(-1), 0, 1}
	seen := false
	for i := range series {
		raw[i] = series[i].clean()
		if o.LogX {
			raw[i] = overLogs(raw[i])
		}
		pts[i] = raw[i]
		if o.Log {
			pts[i] = logs(raw[i])
		}
		for _, p := range pts[i] {
			if !math.IsNaN(p.y) {
				seen = true
				win.x0, win.x1 = math.Min(win.x0, p.x), math.Max(win.x1, p.x)
			}
		}
	}
	plot := cv
	if o.Legend {
		plot = linesLegend(cv, series, raw, &o)
	}
	if !seen {
		if o.Rates {
			plot.centred(penDim, "no schedule", "–")
		} else {
			plot.centred(penDim, "no losses yet", "–")
		}
		return
	}
	if o.Last > 0 && o.Last < 1 {
		win.x0 = win.x1 - (win.x1-win.x0)*o.Last
		for i := range pts {
			pts[i] = from(pts[i], win.x0)
		}
	}
	if !(win.x1 > win.x0) {
		win.x0, win.x1 = win.x0-0.5, win.x1+0.5
	}
	win.y0, win.y1 = linesRange(pts, win, plot.w)
	if o.Rates && !o.Log {
		win.y0 = 0
	}
	axis := countAxis
	if o.LogX {
		axis = logAxis(number.Sig)
	}
	f := newFrame(plot, win, axes{x: axis, y: o.axisY()})
	graph := func(i int) { f.graph(resample(pts[i], win.x0, win.x1, f.p.w+1), o.pen(i), o.stroke(i)) }
	for i := range pts {
		if i != o.Picked-1 {
			graph(i)
		}
	}
	if i := o.Picked - 1; i >= 0 && i < len(pts) {
		graph(i) // over the others
	}
	f.nameX(plot, o.XName)
}

// nameX writes what the x axis counts where its labels leave room.
func (f frame) nameX(c canvas, name string) {
	row := c.h - 1
	if name == "" || f.p.h >= row {
		return
	}
	n := ansi.StringWidth(name)
	for _, x := range []int{c.w - n, 0} {
		if c.clear(x-1, row, n+2) && c.text(x, row, name, penDim) {
			return
		}
	}
}

// overLogs are the points with ln x for x; those at 0 or below are left out.
func overLogs(pts []xy) []xy {
	var out []xy
	for _, p := range pts {
		if p.x > 0 {
			out = append(out, xy{math.Log(p.x), p.y})
		}
	}
	return out
}

// logs are the points with ln y for y.
func logs(pts []xy) []xy {
	out := make([]xy, len(pts))
	for i, p := range pts {
		out[i] = xy{p.x, math.NaN()}
		if p.y > 0 {
			out[i].y = math.Log(p.y)
		}
	}
	return out
}

// axisY labels the y axis: losses or learning rates.
func (o *LinesOptions) axisY() func(lo, hi float64, n int) []scale.Tick {
	format := number.Sig
	if o.Rates {
		format = number.Eta
	}
	if o.Log {
		axis := logAxis(format)
		return func(lo, hi float64, n int) []scale.Tick {
			return axis(lo, hi, func(t []scale.Tick) bool { return len(t) <= n })
		}
	}
	if !o.Rates {
		return scale.Linear
	}
	return func(lo, hi float64, n int) []scale.Tick {
		t := scale.Linear(lo, hi, n)
		for i := range t {
			t[i].Label = "0"
			if t[i].V != 0 {
				t[i].Label = number.Eta(t[i].V, 3)
			}
		}
		return t
	}
}

// countAxis labels a linear axis of steps or tokens: "0", "82k", "1.2B".
func countAxis(lo, hi float64, fits func([]scale.Tick) bool) []scale.Tick {
	for n := 9; n >= 1; n-- {
		t := scale.Linear(lo, hi, n)
		for i := range t {
			if math.Abs(t[i].V) >= 1e3 { // below, the tick has the decimals it needs
				t[i].Label = number.SI(t[i].V)
			}
		}
		same := false
		for i := 1; i < len(t); i++ {
			same = same || t[i].Label == t[i-1].Label
		}
		if !same && len(t) > 0 && fits(t) {
			return t
		}
	}
	return nil
}

// linesRange shows every loss, unless the highest tenth lies far above the rest.
func linesRange(pts [][]xy, win window, w int) (float64, float64) {
	var all []float64
	for _, s := range pts {
		// Down-sampled as it is drawn: sorting every loss of a long run takes too long.
		for _, y := range resample(s, win.x0, win.x1, 2*max(w, 1)) {
			if !math.IsNaN(y) {
				all = append(all, y)
			}
		}
	}
	if len(all) == 0 {
		return 0, 1
	}
	sort.Float64s(all)
	lo, hi := all[0], all[len(all)-1]
	if q := all[len(all)*9/10]; q > lo && hi > q+(q-lo) {
		hi = q + (q - lo)
	}
	return pad(lo, hi, 0, 0.02)
}

// strokes tell lines apart where there is no colour.
var strokes = []asciigraph.CharSet{
	asciigraph.DefaultCharSet,
	strokeSet("━┃┏┓┗┛╸╺"),
	strokeSet("═║╔╗╚╝══"),
	strokeSet("┄┆╭╮╰╯┄┄"),
	strokeSet("╌╎┌┐└┘╌╌"),
	strokeSet("········"),
}

func strokeSet(s string) asciigraph.CharSet {
	r := strings.Split(s, "")
	return asciigraph.CharSet{
		Horizontal: r[0], VerticalLine: r[1], ArcDownRight: r[2], ArcDownLeft: r[3],
		ArcUpRight: r[4], ArcUpLeft: r[5], EndCap: r[6], StartCap: r[7],
	}
}

// graph draws one curve with asciigraph. The values are mapped to rows first:
// asciigraph then needs no range of its own, which it gets wrong for constant
// and very large values, and its rows are ours.
func (f frame) graph(values []float64, p pen, set asciigraph.CharSet) {
	if f.p.w < 1 || f.p.h < 1 {
		return
	}
	seen := false
	for k, v := range values {
		if !math.IsNaN(v) {
			seen = true
			values[k] = float64(f.p.h-1) * clampTo01((v-f.y0)/(f.y1-f.y0))
		}
	}
	if !seen {
		return
	}
	if f.p.h == 1 {
		for x := range f.p.w {
			if !math.IsNaN(values[x]) {
				f.p.text(x, 0, set.Horizontal, p)
			}
		}
		return
	}
	top := float64(f.p.h - 1)
	out := asciigraph.Plot(values,
		asciigraph.Height(f.p.h-1), asciigraph.LowerBound(0), asciigraph.UpperBound(top),
		asciigraph.Offset(1), asciigraph.SeriesChars(set),
		asciigraph.YAxisValueFormatter(func(float64) string { return "" }))
	for y, line := range strings.Split(out, "\n") {
		for x, r := range []rune(line) {
			if x > 0 && r != ' ' { // column 0 is its axis; ours is drawn
				f.p.set(x-1, y, r, p)
			}
		}
	}
}

// linesLegend names the curves and returns what is left for the picture.
func linesLegend(cv canvas, series []Series, pts [][]xy, o *LinesOptions) canvas {
	if len(series) == 0 {
		return cv
	}
	nameW, lastW, noteW := 0, 0, 0
	for i := range series {
		nameW = max(nameW, ansi.StringWidth(oneLine(series[i].Name)))
		lastW = max(lastW, ansi.StringWidth(o.last(pts[i])))
		noteW = max(noteW, ansi.StringWidth(oneLine(series[i].Note)))
	}
	full := 3 + nameW + 1 + lastW
	if noteW > 0 {
		full += 1 + noteW
	}
	switch {
	case cv.w >= minSideLegend && full <= cv.w*2/5 && cv.h >= 2:
		side := cv.sub(cv.w-full, 0, full, cv.h)
		rows, first := len(series), 0
		if rows > cv.h {
			rows = cv.h - 1
			first = max(min(o.Picked, len(series))-rows, 0)
			side.text(0, rows, firstFit(full, "… "+strconv.Itoa(len(series)-rows)+" more", "…"), penDim)
		}
		for y := range rows {
			i := first + y
			namePen := penText
			if i == o.Picked-1 {
				namePen = penTitle
			}
			side.text(0, y, o.sample(i), o.pen(i))
			side.text(3, y, oneLine(series[i].Name), namePen)
			l := o.last(pts[i])
			side.text(3+nameW+1+lastW-ansi.StringWidth(l), y, l, penTitle)
			side.text(3+nameW+1+lastW+1, y, oneLine(series[i].Note), penAccent)
		}
		return cv.sub(0, 0, cv.w-full-2, cv.h)
	case cv.h >= minFootLegend:
		pieces := make([]segment, len(series))
		for i := range series {
			pieces[i] = segment{o.sample(i) + " " + oneLine(series[i].Name) + " " + o.last(pts[i]), o.pen(i), i}
			if i == o.Picked-1 {
				pieces[i].rank = -1
			}
			if n := oneLine(series[i].Note); n != "" {
				pieces[i].text += " " + n
			}
		}
		cv.segments(0, cv.h-1, pieces...)
		return cv.sub(0, 0, cv.w, cv.h-1)
	}
	return cv
}

// Strokes of a line that is picked, and of the others where colours do not dim them.
const heavy, light = 1, 3

// stroke is how the i-th line is drawn: with colours all the same, else each its own
// way; one that is picked heavily.
func (o *LinesOptions) stroke(i int) asciigraph.CharSet {
	switch {
	case i == o.Picked-1:
		return strokes[heavy]
	case o.Theme != nil && len(o.Theme.Series) > 0:
		return strokes[0]
	case o.Picked > 0:
		return strokes[light]
	}
	return strokes[i%len(strokes)]
}

// pen is the colour of the i-th line.
func (o *LinesOptions) pen(i int) pen {
	switch {
	case i == o.Picked-1:
		return boldPen(i)
	case o.Picked > 0:
		return faintPen(i)
	}
	return seriesPen(i)
}

// sample is a piece of the i-th line, with a mark where that is picked.
func (o *LinesOptions) sample(i int) string {
	s := o.stroke(i).Horizontal
	if i == o.Picked-1 {
		return "▸" + s
	}
	return s + s
}

// last prints the last loss of a curve; where a schedule ends says nothing.
func (o *LinesOptions) last(pts []xy) string {
	if o.Rates {
		return ""
	}
	for i := len(pts) - 1; i >= 0; i-- {
		if !math.IsNaN(pts[i].y) {
			return number.Sig(pts[i].y, 4) // a legend takes its room from the plot
		}
	}
	return number.Unknown
}
