package chart

import (
	"math"
	"sort"

	"github.com/charmbracelet/x/ansi"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/number"
)

// Axis is the quantity along the x axis of a law.
type Axis string

// Axes of a law. AxisAuto is N where the law and its cells vary in N, else D, else C.
const (
	AxisAuto Axis = ""
	AxisN    Axis = "N"
	AxisD    Axis = "D"
	AxisC    Axis = "C"
)

// LawOptions controls Law.
type LawOptions struct {
	Theme *Theme // nil: NoColor
	Axis  Axis
	// Partial moves every vertex along the law to one value of the other quantity,
	// so that one line remains and the distance to it is the residual.
	Partial bool
	Target  *fitting.Prediction // drawn as a star with its interval; nil: none
	// Focus marks the cell with this index in CurveSet.Curves if Focused is set.
	Focused bool
	Focus   int
}

// The panel of residuals beside a law.
const (
	minLawPanel   = 76 // width from which there is one
	lawPanelShare = 5  // its width: 2/5 of the whole, at most lawPanelMax
	lawPanelMax   = 50
	lawLevels     = 4 // lines of one law
)

// Law draws η* against N (or D, or C) on logarithmic axes: the measured vertices
// with their 95% intervals, the law as a line for some values of the other
// quantity, solid over the range it was fitted on and dotted beyond, and the
// target. Wide pictures list the residuals beside it.
func Law(l *fitting.Law, o LawOptions, w, h int) string {
	cv := newCanvas(w, h)
	drawLaw(cv, l, o)
	return cv.render(o.Theme.sequences())
}

func drawLaw(cv canvas, l *fitting.Law, o LawOptions) {
	if l == nil || len(l.Coef) == 0 {
		cv.centred(penDim, "no law", "–")
		return
	}
	plot := cv
	if cv.w >= minLawPanel && cv.h >= 5 {
		pw := min(cv.w*2/lawPanelShare, lawPanelMax)
		plot = cv.sub(0, 0, cv.w-pw-3, cv.h)
		for y := range cv.h {
			cv.set(cv.w-pw-2, y, '│', penAxis)
		}
		residuals(cv.sub(cv.w-pw, 0, pw, cv.h), l, o)
	}
	v := newLawView(l, o)
	top, foot := 0, 0
	if plot.h >= 3 {
		top = 1
		v.title(plot, plot.w == cv.w)
	}
	if plot.h >= 12 && plot.w >= 40 {
		foot = 1
		v.legend(plot)
	}
	v.draw(plot.sub(0, top, plot.w, plot.h-top-foot))
}

// lawView is a law seen along one axis.
type lawView struct {
	l      *fitting.Law
	o      LawOptions
	axis   Axis
	other  Axis // the quantity that differs from line to line; "" for none
	levels []float64
	cells  []lawMark
}

// lawMark is one vertex or bound.
type lawMark struct {
	x, y, se float64 // logarithms
	level    int     // the nearest line
	glyph    rune
	used     bool
	focused  bool
}

func newLawView(l *fitting.Law, o LawOptions) *lawView {
	v := &lawView{l: l, o: o, axis: o.Axis}
	if v.axis == AxisAuto {
		v.axis = autoAxis(l)
	}
	v.other = otherAxis(l, v.axis)
	var values []float64
	for i := range l.Cells {
		if q := v.quantity(&l.Cells[i], v.other); q > 0 && finite(math.Log(q)) {
			values = append(values, q)
		}
	}
	v.levels = levels(values, lawLevels)
	if o.Partial && len(values) > 0 {
		sort.Float64s(values)
		v.levels = []float64{values[len(values)/2]}
	}
	for i := range l.Cells {
		if m, ok := v.mark(&l.Cells[i]); ok {
			v.cells = append(v.cells, m)
		}
	}
	return v
}

func varies(r [2]float64) bool { return r[0] > 0 && r[1] > r[0]*1.02 }

func autoAxis(l *fitting.Law) Axis {
	switch {
	case l.Options.Form == fitting.PowerC:
		return AxisC
	case l.Options.Form == fitting.PowerD && varies(l.DRange):
		return AxisD
	case varies(l.NRange):
		return AxisN
	case varies(l.DRange):
		return AxisD
	case varies(l.CRange):
		return AxisC
	}
	return AxisN
}

// otherAxis is the quantity a law needs lines for when it is drawn along axis.
func otherAxis(l *fitting.Law, axis Axis) Axis {
	switch f := l.Options.Form; {
	case f == fitting.PowerC && axis == AxisC, f == fitting.PowerN && axis == AxisN, f == fitting.PowerD && axis == AxisD:
		return ""
	case axis == AxisD:
		return AxisN
	case l.DRange[1] > 0:
		return AxisD
	}
	return ""
}

// quantity is the cell's N, D or C.
func (v *lawView) quantity(c *fitting.LawCell, a Axis) float64 {
	switch a {
	case AxisN:
		return c.Key.N
	case AxisD:
		return c.Key.D
	case AxisC:
		if k := v.curve(c); k != nil && k.C > 0 {
			return k.C
		}
		return 6 * c.Key.N * c.Key.D
	case AxisAuto:
	}
	return 0
}

func (v *lawView) curve(c *fitting.LawCell) *fitting.Curve {
	if v.l.Curves == nil || c.Index < 0 || c.Index >= len(v.l.Curves.Curves) {
		return nil
	}
	return &v.l.Curves.Curves[c.Index]
}

// levels picks at most n of the values, spread evenly over their logarithms.
func levels(values []float64, n int) []float64 {
	if len(values) == 0 {
		return nil
	}
	s := append([]float64(nil), values...)
	sort.Float64s(s)
	lo, hi := math.Log(s[0]), math.Log(s[len(s)-1])
	var out []float64
	for i := range n {
		at := lo + (hi-lo)*float64(i)/float64(n-1)
		best := s[nearestLog(s, at)]
		if len(out) == 0 || best > out[len(out)-1]*1.05 {
			out = append(out, best)
		}
	}
	return out
}

func nearestLog(values []float64, at float64) int {
	best, dist := 0, math.Inf(1)
	for i, v := range values {
		if d := math.Abs(math.Log(v) - at); d < dist {
			best, dist = i, d
		}
	}
	return best
}

func (v *lawView) mark(c *fitting.LawCell) (lawMark, bool) {
	m := lawMark{x: math.Log(v.quantity(c, v.axis)), y: c.LnLR, se: c.SE, glyph: '●', used: c.Used}
	m.focused = v.o.Focused && c.Index == v.o.Focus
	if !c.Used {
		m.glyph = '○'
	}
	if k := v.curve(c); k != nil && k.Bound != fitting.NoBound && !c.Used {
		m.y, m.se = math.Log(k.BoundLR), math.NaN()
		m.glyph = '▾'
		if k.Bound == fitting.BoundAbove {
			m.glyph = '▴'
		}
	}
	q := v.quantity(c, v.other)
	if q > 0 && len(v.levels) > 0 {
		m.level = nearestLog(v.levels, math.Log(q))
	}
	if v.o.Partial && len(v.levels) > 0 {
		m.y += v.at(m.x, v.levels[0]) - c.Fitted
	}
	return m, finite(m.x) && finite(m.y)
}

// at is ln η* of the law at ln x and a value of the other quantity; NaN where the
// law has none.
func (v *lawView) at(lnX, other float64) float64 {
	var t fitting.Target
	v.put(&t, v.other, other)
	x := math.Exp(lnX)
	if v.axis == AxisC && v.other == AxisD && other > 0 {
		t.N = x / (6 * other)
	}
	v.put(&t, v.axis, x)
	if v.l.BRange[0] > 0 {
		t.B = math.Sqrt(v.l.BRange[0]) * math.Sqrt(v.l.BRange[1])
	}
	y, err := v.l.LnLR(t)
	if err != nil {
		return math.NaN()
	}
	return y
}

func (v *lawView) put(t *fitting.Target, a Axis, q float64) {
	switch a {
	case AxisN:
		t.N = q
	case AxisD:
		t.D = q
	case AxisC:
		t.C = q
	case AxisAuto:
	}
}

// target is where the prediction stands on the axis, and the value of its line.
func (v *lawView) target() (lnX, other float64, ok bool) {
	p := v.o.Target
	if p == nil || !finite(math.Log(p.LR)) {
		return 0, 0, false
	}
	of := func(a Axis) float64 {
		switch a {
		case AxisN:
			return p.Target.N
		case AxisD:
			return p.Target.D
		case AxisC:
			return p.Target.FLOPs()
		case AxisAuto:
		}
		return 0
	}
	lnX = math.Log(of(v.axis))
	return lnX, of(v.other), finite(lnX)
}

func (v *lawView) window() (window, bool) {
	w := window{math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)}
	add := func(x, y float64) {
		if finite(x) && finite(y) {
			w = window{math.Min(w.x0, x), math.Max(w.x1, x), math.Min(w.y0, y), math.Max(w.y1, y)}
		}
	}
	for _, m := range v.cells {
		add(m.x, m.y)
	}
	if x, _, ok := v.target(); ok {
		add(x, math.Log(v.o.Target.LR))
		// A wide interval may leave the picture, a tame one stays inside.
		for _, lr := range []float64{v.o.Target.Low, v.o.Target.High} {
			if y := math.Log(lr); math.Abs(y-math.Log(v.o.Target.LR)) < 2 {
				add(x, y)
			}
		}
	}
	if !(w.x0 <= w.x1) {
		return w, false
	}
	w.x0, w.x1 = padX(w.x0, w.x1)
	w.y0, w.y1 = pad(w.y0, w.y1, 0.06, 0.08)
	if w.y1-w.y0 < 0.1 {
		w.y0, w.y1 = w.y0-0.1, w.y1+0.1
	}
	return w, true
}

// labelWidth is the room the names of the lines take at the right.
func (v *lawView) labelWidth() int {
	n := 0
	for _, q := range v.levels {
		n = max(n, ansi.StringWidth(number.SI(q)))
	}
	if _, q, ok := v.target(); ok && q > 0 {
		n = max(n, ansi.StringWidth(number.SI(q)))
	}
	return n
}
