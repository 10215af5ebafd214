package chart

import (
	"math"
	"sort"
	"strconv"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/session/picture/scale"
)

// CurveOptions controls Curve.
type CurveOptions struct {
	Theme *Theme // nil: NoColor
	// Cursor shows a cursor on point Selected of Selectable, and its values below.
	Cursor   bool
	Selected int
	// Forming says that runs of the curve still train; Open are these, at the loss where
	// they stand: drawn hollow, used for nothing.
	Forming bool
	Open    []fitting.Point
	// Line gives the line of the file that a run (fitting.Point.Row) stands on; nil: none is shown.
	Line func(row int) int
}

// Selectable lists the points of c a cursor can stand on: Points and Excluded,
// ascending η, so that a point keeps its place when it is taken out and put back.
func Selectable(c *fitting.Curve) []fitting.Point {
	if c == nil {
		return nil
	}
	out := make([]fitting.Point, 0, len(c.Points)+len(c.Excluded))
	out = append(append(out, c.Points...), c.Excluded...)
	sort.SliceStable(out, func(i, j int) bool { return out[i].LR < out[j].LR })
	return out
}

// Curve draws the loss against ln η of one cell: the measured points, the fitted
// line over the points it was fitted to, η* with its 95% interval, and what was
// set apart. The picture shows the fitted region; losses far above it are arrows
// at its edge.
func Curve(c *fitting.Curve, o CurveOptions, w, h int) string {
	cv := newCanvas(w, h)
	drawCurve(cv, c, o, false)
	return cv.render(o.Theme.sequences())
}

// drawCurve draws into cv; a small one has no legend.
func drawCurve(cv canvas, c *fitting.Curve, o CurveOptions, small bool) {
	if c == nil {
		cv.centred(penDim, "no curve", "–")
		return
	}
	pts := gather(c)
	pts.open(o.Open)
	win, ok := curveWindow(c, pts)
	top, foot := 0, 0
	if cv.h >= 3 {
		top = 1
		if o.Forming {
			formingTitle(cv, pts)
		} else {
			curveTitle(cv, c)
		}
	}
	cursor := o.Cursor && o.Selected >= 0 && o.Selected < len(c.Points)+len(c.Excluded)
	switch {
	case cursor && cv.h >= 5:
		foot = 1
		cursorLine(cv, c, o.Selected, o.Line)
	case !small && !o.Forming && cv.h >= 12 && cv.w >= 44:
		foot = 1
		legend(cv, c, pts)
	}
	body := cv.sub(0, top, cv.w, cv.h-top-foot)
	if !ok {
		body.centred(penDim, "no learning rate to draw", "no data", "–")
		return
	}
	f := newFrame(body, win.headroom(pts, body.h), axes{x: logAxis(number.Eta), y: scale.Linear})
	f.interval(c)
	f.fit(c)
	f.points(pts, win.y1, !small)
	f.star(c)
	if cursor {
		f.cursor(Selectable(c)[o.Selected])
	}
}

// mark is a measured point and how it is drawn.
type mark struct {
	x, y  float64 // ln η and loss; the loss may be non-finite
	glyph rune
	pen   pen
	runs  int // diverged runs at this η
}

// marks are the points of a curve, how many lie above or below the window, and
// how many learning rates diverged.
type marks struct {
	all                    []mark
	above, below, diverged int
}

// open adds runs that are not over.
func (m *marks) open(pts []fitting.Point) {
	for _, p := range pts {
		if x := math.Log(p.LR); finite(x) {
			m.all = append(m.all, mark{x, p.Loss, '◌', penOutside, 1})
		}
	}
}

func gather(c *fitting.Curve) *marks {
	m := &marks{all: make([]mark, 0, len(c.Points)+len(c.Excluded)+len(c.Diverged))}
	add := func(p fitting.Point, glyph rune, pn pen) {
		if x := math.Log(p.LR); finite(x) {
			m.all = append(m.all, mark{x, p.Loss, glyph, pn, 1})
		}
	}
	for _, p := range c.Diverged {
		// One mark per learning rate: batch sizes diverge together.
		if n := len(m.all); n > 0 && math.Abs(m.all[n-1].x-math.Log(p.LR)) < 1e-9 {
			m.all[n-1].runs++
			continue
		}
		add(p, '✖', penDiverged)
	}
	for _, p := range c.Excluded {
		add(p, '×', penExcluded)
	}
	for _, p := range c.Points {
		if !p.InWindow {
			add(p, '○', penOutside)
		}
	}
	for _, p := range c.Points {
		if p.InWindow {
			add(p, '●', penPoint)
		}
	}
	return m
}

// curveWindow chooses what the picture shows: every learning rate, and the losses
// around the minimum. Points above it are counted in m.
func curveWindow(c *fitting.Curve, m *marks) (window, bool) {
	w := window{math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)}
	var inside, losses []float64
	for _, k := range m.all {
		w.x0, w.x1 = math.Min(w.x0, k.x), math.Max(w.x1, k.x)
		if k.glyph == '✖' || k.glyph == '×' || !finite(k.y) {
			continue
		}
		losses = append(losses, k.y)
		if k.glyph == '●' {
			inside = append(inside, k.y)
		}
	}
	if len(m.all) == 0 {
		return w, false
	}
	if v := c.LnLR; c.Fitted && finite(v) {
		// The vertex belongs in the picture unless it would squeeze the data.
		reach := 0.75 * math.Max(w.x1-w.x0, 0.5)
		if v > w.x0-reach && v < w.x1+reach {
			w.x0, w.x1 = math.Min(w.x0, v), math.Max(w.x1, v)
		}
	}
	w.x0, w.x1 = padX(w.x0, w.x1)
	w.y0, w.y1 = lossRange(inside, losses, c)
	for _, k := range m.all {
		switch {
		case k.glyph == '✖':
			m.diverged++
		case k.glyph == '×':
		case !finite(k.y) || k.y > w.y1:
			m.above++
		case k.y < w.y0:
			m.below++
		}
	}
	return w, true
}

func padX(lo, hi float64) (float64, float64) {
	if hi-lo < 0.02 {
		return lo - 0.5, hi + 0.5
	}
	return lo - 0.04*(hi-lo), hi + 0.04*(hi-lo)
}

// lossRange is the range of losses worth showing: those of the fit, and up to
// 1.2 times their span above them while points lie there.
func lossRange(inside, losses []float64, c *fitting.Curve) (float64, float64) {
	if len(losses) == 0 {
		return 0, 1
	}
	lo, _ := bounds(losses)
	_, hi := bounds(inside)
	if len(inside) == 0 { // nothing was fitted: the lower half says what is usual
		sort.Float64s(losses)
		hi = losses[len(losses)/2]
	}
	if v := c.Loss; c.Fitted && finite(v) && v < lo && lo-v < hi-lo {
		lo = v
	}
	limit, top := hi+1.2*(hi-lo), hi
	for _, y := range losses {
		if y <= limit {
			top = math.Max(top, y)
		}
	}
	return pad(lo, top, 0.08, 0.06)
}

func bounds(v []float64) (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, x := range v {
		lo, hi = math.Min(lo, x), math.Max(hi, x)
	}
	return lo, hi
}

// interval shades the 95% interval of η*.
func (f frame) interval(c *fitting.Curve) {
	if half := c.Half(); c.OK && finite(c.LnLR) && half >= 0 {
		f.shadeX(c.LnLR-math.Min(half, 1e3), c.LnLR+math.Min(half, 1e3), '░', penInterval)
	}
}

// fit draws the fitted line over the points it was fitted to, dotted on to a
// vertex outside of them.
func (f frame) fit(c *fitting.Curve) {
	if !c.Fitted {
		return
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, p := range c.Points {
		if x := math.Log(p.LR); p.InWindow && finite(x) {
			lo, hi = math.Min(lo, x), math.Max(hi, x)
		}
	}
	if !(lo <= hi) {
		return
	}
	f.line(lo, hi, 1, penCurve, c.At)
	if v := c.LnLR; finite(v) {
		if v < lo {
			f.line(v, lo, 3, penCurve, c.At)
		} else if v > hi {
			f.line(hi, v, 3, penCurve, c.At)
		}
	}
}

// headroom keeps rows free above the data for diverged runs and arrows, so that
// they hide no point, if the picture is tall enough.
func (w window) headroom(m *marks, rows int) window {
	strip := 0
	if m.above > 0 {
		strip++
	}
	if m.diverged > 0 {
		strip++
	}
	if rows -= 2; rows >= 8 {
		w.y1 += (w.y1 - w.y0) * float64(strip) / float64(rows-strip)
	}
	return w
}

// points draws the marks. Those with a loss over top are arrows above the
// picture, under the row of diverged runs; those below it are arrows at its foot.
// With counts, a mark for several diverged runs says how many.
func (f frame) points(m *marks, top float64, counts bool) {
	over := 0
	if m.diverged > 0 && f.p.h > 4 {
		over = 1
	}
	for _, k := range m.all {
		x, y, glyph := f.col(k.x), 0, k.glyph
		switch {
		case k.glyph == '✖':
		case !finite(k.y) || k.y > top:
			y = over
			glyph = arrow(k.glyph, '▲', '△')
		case k.y < f.y0:
			y = f.p.h - 1
			glyph = arrow(k.glyph, '▼', '▽')
		default:
			y = min(max(f.row(k.y), 0), f.p.h-1)
		}
		f.p.set(x, y, glyph, k.pen)
	}
	for _, k := range m.all {
		if n := strconv.Itoa(k.runs); counts && k.runs > 1 && f.p.clear(f.col(k.x)+1, 0, len(n)+1) {
			f.p.text(f.col(k.x)+1, 0, n, penDiverged)
		}
	}
}

// arrow is how a mark shows that it lies outside of the picture.
func arrow(glyph, full, hollow rune) rune {
	switch glyph {
	case '×':
		return glyph
	case '◌':
		return hollow
	}
	return full
}

// star marks η*, or the side on which it lies when the data only give a bound.
func (f frame) star(c *fitting.Curve) {
	if c.Bound != fitting.NoBound {
		f.bound(c)
		return
	}
	if !c.OK || !finite(c.LnLR) {
		return
	}
	y := min(max(f.row(c.Loss), 0), f.p.h-1)
	switch x := f.col(c.LnLR); {
	case x < 0:
		f.p.set(0, y, '◂', penStar)
	case x >= f.p.w:
		f.p.set(f.p.w-1, y, '▸', penStar)
	default:
		f.p.set(x, y, '★', penStar)
	}
}

// bound draws an arrow beside the lowest point, on the side η* lies.
func (f frame) bound(c *fitting.Curve) {
	edge := math.Log(c.BoundLR)
	if !finite(edge) {
		return
	}
	y := f.p.h - 1
	for _, p := range c.Points {
		if math.Abs(math.Log(p.LR)-edge) < 1e-9 && finite(p.Loss) {
			y = min(max(f.row(p.Loss), 0), f.p.h-1)
		}
	}
	x := min(max(f.col(edge), 0), f.p.w-1)
	if c.Bound == fitting.BoundBelow {
		f.p.set(max(x-1, 0), y, '◂', penStar)
	} else {
		f.p.set(min(x+1, f.p.w-1), y, '▸', penStar)
	}
}

// cursor brackets a point and drops a line from it to the axis.
func (f frame) cursor(p fitting.Point) {
	lx := math.Log(p.LR)
	if !finite(lx) {
		return
	}
	x, y := f.col(lx), 0
	if finite(p.Loss) {
		y = min(max(f.row(p.Loss), 0), f.p.h-1)
	}
	for below := y + 1; below < f.p.h; below++ {
		if f.p.free(x, below) {
			f.p.set(x, below, '┆', penAccent)
		}
	}
	f.p.set(x-1, y, '[', penSelected)
	f.p.set(x+1, y, ']', penSelected)
	if k := f.p.at(x, y); k != nil {
		k.pen = penSelected
	}
}
