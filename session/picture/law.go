package picture

import (
	"errors"
	"image/color"
	"math"
	"sort"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/number"
)

// lawFigure draws η* against N (or D, or C) with the residuals beneath.
func lawFigure(l *fitting.Law, o Options) (*figure, error) {
	if len(l.Coef) == 0 {
		return nil, errors.New("the law was not fitted")
	}
	d := newLawDrawing(l, o.Target)
	if len(d.marks) == 0 {
		return nil, errors.New("no cell of the law has a vertex and a size")
	}
	title := l.Text()
	if finite(l.R2) {
		title += ",  R² " + number.Fixed(l.R2, 3)
	}
	return &figure{
		title: printable(title), width: 17, height: 15,
		draw: func(c draw.Canvas) {
			c = legend(c, d.legend())
			split := c.Min.Y + (c.Max.Y-c.Min.Y)*0.3
			top, low := c, c
			top.Min.Y, low.Max.Y = split+vg.Points(4), split-vg.Points(4)
			w := c.Max.X - c.Min.X - vg.Points(55)
			if w < leastPanel/3 || low.Max.Y-low.Min.Y < leastPanel {
				tooSmall(c)
				return
			}
			p := d.panel(w, top.Max.Y-top.Min.Y-vg.Points(40))
			r := d.residuals(w, low.Max.Y-low.Min.Y-vg.Points(40))
			// Both data areas begin at the same x.
			a, b := p.DataCanvas(top).Min.X, r.DataCanvas(low).Min.X
			top.Min.X += max(b-a, 0)
			low.Min.X += max(a-b, 0)
			p.Draw(top)
			r.Draw(low)
		},
	}, nil
}

// axis is a quantity of a cell or target.
type axis struct {
	name, title string
	cell        func(l *fitting.Law, c *fitting.LawCell) float64
	target      func(t fitting.Target) float64
	put         func(t *fitting.Target, v float64)
}

var (
	axisN = &axis{
		"N", "parameters N",
		func(_ *fitting.Law, c *fitting.LawCell) float64 { return c.Key.N },
		func(t fitting.Target) float64 { return t.N },
		func(t *fitting.Target, v float64) { t.N = v },
	}
	axisD = &axis{
		"D", "training tokens D",
		func(_ *fitting.Law, c *fitting.LawCell) float64 { return c.Key.D },
		func(t fitting.Target) float64 { return t.D },
		func(t *fitting.Target, v float64) { t.D = v },
	}
	axisC = &axis{
		"C", "training compute C (FLOPs)",
		func(l *fitting.Law, c *fitting.LawCell) float64 {
			if l.Curves != nil && c.Index >= 0 && c.Index < len(l.Curves.Curves) {
				return l.Curves.Curves[c.Index].C
			}
			return 6 * c.Key.N * c.Key.D
		},
		func(t fitting.Target) float64 { return t.FLOPs() },
		func(t *fitting.Target, v float64) { t.C = v },
	}
)

// lawMark is a vertex, or the edge of the grid where the data only bound η*.
type lawMark struct {
	x, y, se, residual float64
	level              int
	used               bool
	bound              fitting.Bound
	key                fitting.Key
}

// words say what was measured, and where.
func (m *lawMark) words(more ...string) []string {
	relation := "η* = "
	switch m.bound {
	case fitting.BoundBelow:
		relation = "η* < "
	case fitting.BoundAbove:
		relation = "η* > "
	case fitting.NoBound:
	}
	return append(append([]string{relation + number.Eta(math.Exp(m.y), 3)}, more...), cellWords(m.key)...)
}

type lawDrawing struct {
	l      *fitting.Law
	target *fitting.Prediction
	x      *axis
	other  *axis // what differs from line to line; nil: nothing
	levels []float64
	marks  []lawMark
	view
}

func varies(r [2]float64) bool { return r[0] > 0 && r[1] > r[0]*1.02 }

func newLawDrawing(l *fitting.Law, target *fitting.Prediction) *lawDrawing {
	d := &lawDrawing{l: l, target: target, x: axisN, other: axisD}
	switch f := l.Options.Form; {
	case f == fitting.PowerC:
		d.x, d.other = axisC, nil
	case f == fitting.PowerD:
		d.x, d.other = axisD, nil
	case f == fitting.PowerN:
		d.other = nil
	case !varies(l.NRange) && varies(l.DRange):
		d.x, d.other = axisD, axisN
	}
	var values []float64
	for i := range l.Cells {
		if d.other == nil {
			break
		}
		if q := d.other.cell(l, &l.Cells[i]); q > 0 && finite(math.Log(q)) {
			values = append(values, q)
		}
	}
	d.levels = levels(values, len(levelColors))
	for i := range l.Cells {
		d.add(&l.Cells[i])
	}
	d.span()
	return d
}

func (d *lawDrawing) add(c *fitting.LawCell) {
	m := lawMark{x: math.Log(d.x.cell(d.l, c)), y: c.LnLR, se: c.SE, residual: c.Residual, used: c.Used, key: c.Key}
	if s := d.l.Curves; s != nil && c.Index >= 0 && c.Index < len(s.Curves) && !c.Used {
		if k := &s.Curves[c.Index]; k.Bound != fitting.NoBound {
			m.bound, m.y = k.Bound, math.Log(k.BoundLR)
		}
	}
	if d.other != nil && len(d.levels) > 0 {
		m.level = nearestLog(d.levels, math.Log(d.other.cell(d.l, c)))
	}
	if finite(m.x) && finite(m.y) {
		d.marks = append(d.marks, m)
	}
}

// levels picks at most n of the values, spread evenly over their logarithms.
func levels(values []float64, n int) []float64 {
	if len(values) == 0 {
		return nil
	}
	sort.Float64s(values)
	lo, hi := math.Log(values[0]), math.Log(values[len(values)-1])
	var out []float64
	for i := range n {
		v := values[nearestLog(values, lo+(hi-lo)*float64(i)/float64(n-1))]
		if len(out) == 0 || v > out[len(out)-1]*1.05 {
			out = append(out, v)
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

// targetX is where the target stands; ok is false without one.
func (d *lawDrawing) targetX() (x float64, ok bool) {
	if d.target == nil || !finite(math.Log(d.target.LR)) {
		return 0, false
	}
	x = math.Log(d.x.target(d.target.Target))
	return x, finite(x)
}

func (d *lawDrawing) span() {
	v := view{math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)}
	add := func(x, y float64) {
		if finite(x) && finite(y) {
			v = view{math.Min(v.x0, x), math.Max(v.x1, x), math.Min(v.y0, y), math.Max(v.y1, y)}
		}
	}
	for _, m := range d.marks {
		add(m.x, m.y)
	}
	d.view = v
	for _, q := range d.levels { // the lines stay in the picture where there are cells
		lo, hi, _, _ := d.ends()
		add(lo, d.lnLR(lo, q))
		add(hi, d.lnLR(hi, q))
	}
	if x, ok := d.targetX(); ok {
		y := math.Log(d.target.LR)
		add(x, y)
		for _, lr := range []float64{d.target.Low, d.target.High} {
			if e := math.Log(lr); math.Abs(e-y) < 2 {
				add(x, e)
			}
		}
	}
	v.x0, v.x1 = padded(v.x0, v.x1, 0.06, 0.5)
	v.y0, v.y1 = padded(v.y0, v.y1, 0.08, 0.3)
	d.view = v
}

// at builds the target at ln x on the line of level q.
func (d *lawDrawing) at(x, q float64) fitting.Target {
	var t fitting.Target
	if d.other != nil {
		d.other.put(&t, q)
	}
	d.x.put(&t, math.Exp(x))
	if d.l.BRange[0] > 0 {
		t.B = math.Sqrt(d.l.BRange[0]) * math.Sqrt(d.l.BRange[1])
	}
	return t
}

func (d *lawDrawing) lnLR(x, q float64) float64 {
	y, err := d.l.LnLR(d.at(x, q))
	if err != nil {
		return math.NaN()
	}
	return y
}

// mainLevel is the line whose interval is shaded: the target's, else the middle one.
func (d *lawDrawing) mainLevel() float64 {
	if _, ok := d.targetX(); ok && d.other != nil {
		return d.other.target(d.target.Target)
	}
	if len(d.levels) == 0 {
		return 0
	}
	return d.levels[len(d.levels)/2]
}

func (d *lawDrawing) color(level int) color.NRGBA {
	if len(d.levels) < 2 {
		return blue
	}
	return levelColors[level%len(levelColors)]
}

// ends is the range of the used cells, and that range stretched to the target.
func (d *lawDrawing) ends() (lo, hi, start, end float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, m := range d.marks {
		if m.used {
			lo, hi = math.Min(lo, m.x), math.Max(hi, m.x)
		}
	}
	if lo > hi {
		lo, hi = d.x0, d.x1
	}
	start, end = lo, hi
	if x, ok := d.targetX(); ok {
		start, end = math.Min(lo, x), math.Max(hi, x)
	}
	return lo, hi, start, end
}

func (d *lawDrawing) panel(w, h vg.Length) *panel {
	p := newPanel(d.view, "", d.x.title, "optimal "+etaTitle, false)
	p.X.Tick.Marker = logTicks(d.x0, d.x1, w, p.X.Tick.Label, false, siLabel)
	p.Y.Tick.Marker = logTicks(d.y0, d.y1, h, p.Y.Tick.Label, true, number.Eta)
	p.Add(d.interval(), drawing(grid))
	lo, hi, start, end := d.ends()
	for i, q := range d.levels {
		p.Add(curve(lo, hi, line(d.color(i), 1.4), func(x float64) float64 { return d.lnLR(x, q) }))
	}
	main := d.mainLevel()
	if len(d.levels) == 0 {
		p.Add(curve(lo, hi, line(blue, 1.4), func(x float64) float64 { return d.lnLR(x, main) }))
	}
	if start < lo || end > hi {
		p.Add(curve(start, end, line(vermilion, 1.2, vg.Points(4), vg.Points(3)), func(x float64) float64 { return d.lnLR(x, main) }))
	}
	p.Add(d.errorBars(), spots(d.spots()))
	p.Add(d.star())
	return p
}

// interval shades the law's own 95% interval along the main line.
func (d *lawDrawing) interval() drawing {
	return func(c draw.Canvas, p *plot.Plot) {
		const n = 48
		_, _, start, end := d.ends()
		tx, ty := p.Transforms(&c)
		var upper, lower []vg.Point
		for i := 0; i <= n; i++ {
			x := start + (end-start)*float64(i)/n
			q, err := d.l.Predict(d.at(x, d.mainLevel()), fitting.PredictOptions{Windows: []fitting.Window{}})
			if err != nil {
				return
			}
			lo, hi := math.Log(q.Low), math.Log(q.High)
			if !finite(lo) || !finite(hi) {
				return
			}
			upper = append(upper, vg.Point{X: tx(x), Y: ty(math.Min(hi, p.Y.Max+5))})
			lower = append(lower, vg.Point{X: tx(x), Y: ty(math.Max(lo, p.Y.Min-5))})
		}
		for i := len(lower) - 1; i >= 0; i-- {
			upper = append(upper, lower[i])
		}
		col := tint(blue, 0.15)
		if _, ok := d.targetX(); ok {
			col = tint(vermilion, 0.15)
		}
		c.FillPolygon(col, c.ClipPolygonXY(upper))
	}
}

func (d *lawDrawing) errorBars() drawing {
	return func(c draw.Canvas, p *plot.Plot) {
		tx, ty := p.Transforms(&c)
		for _, m := range d.marks {
			if half := 1.96 * m.se; half > 0 && m.used {
				x := tx(m.x)
				c.StrokeLine2(line(tint(d.color(m.level), 0.7), 0.9), x,
					clampY(c, ty(math.Max(m.y-half, p.Y.Min))), x, clampY(c, ty(math.Min(m.y+half, p.Y.Max))))
			}
		}
	}
}

func (d *lawDrawing) spots() []spot {
	var out []spot
	for _, m := range d.marks {
		s := spot{m.x, m.y, disc, vg.Points(3), d.color(m.level), m.words()}
		switch {
		case m.bound == fitting.BoundBelow:
			s.shape, s.col, s.r = arrow(-math.Pi/2), black, vg.Points(4)
		case m.bound == fitting.BoundAbove:
			s.shape, s.col, s.r = arrow(math.Pi/2), black, vg.Points(4)
		case !m.used:
			s.shape, s.col = ring, grey
		}
		out = append(out, s)
	}
	return out
}

func (d *lawDrawing) star() drawing {
	return func(c draw.Canvas, p *plot.Plot) {
		lnX, ok := d.targetX()
		if !ok {
			return
		}
		tx, ty := p.Transforms(&c)
		x, lo, hi := tx(lnX), math.Log(d.target.Low), math.Log(d.target.High)
		if finite(lo) && finite(hi) {
			a, b := clampY(c, ty(math.Max(lo, p.Y.Min))), clampY(c, ty(math.Min(hi, p.Y.Max)))
			st, cap := line(vermilion, 1.3), vg.Points(3)
			c.StrokeLine2(st, x, a, x, b)
			c.StrokeLine2(st, x-cap, a, x+cap, a)
			c.StrokeLine2(st, x-cap, b, x+cap, b)
		}
		at := vg.Point{X: x, Y: ty(math.Log(d.target.LR))}
		star(&c, at, vg.Points(6.5), vermilion)
		say(&c, at, optimumWords(d.target)...)
	}
}

// residuals is the panel under the law: measured η* over the law's, in percent.
func (d *lawDrawing) residuals(w, h vg.Length) *panel {
	worst := 0.12
	for _, m := range d.marks {
		if m.used && finite(m.residual) {
			worst = math.Max(worst, math.Min(math.Abs(m.residual), 3))
		}
	}
	v := view{d.x0, d.x1, -1.15 * worst, 1.15 * worst}
	p := newPanel(v, "", d.x.title, "ln η* − law", false)
	p.X.Tick.Marker = logTicks(v.x0, v.x1, w, p.X.Tick.Label, false, siLabel)
	p.Y.Tick.Marker = linearTicks(v.y0, v.y1, h, p.Y.Tick.Label, 1, "")
	p.Add(drawing(grid), curve(v.x0, v.x1, line(grey, 0.9), func(float64) float64 { return 0 }))
	var list []spot
	for _, m := range d.marks {
		if m.used && finite(m.residual) {
			list = append(list, spot{m.x, m.residual, disc, vg.Points(2.6), d.color(m.level), m.words("Δ ln η " + number.Signed(m.residual, 3))})
		}
	}
	p.Add(spots(list))
	return p
}

func (d *lawDrawing) legend() []entry {
	var out []entry
	for i, q := range d.levels {
		out = append(out, entry{text: d.other.name + " = " + number.SI(q), stroke: line(d.color(i), 1.6)})
	}
	if len(d.levels) == 0 {
		out = append(out, entry{text: "law", stroke: line(blue, 1.6)})
	}
	var used, left, bound bool
	for _, m := range d.marks {
		used = used || m.used
		bound = bound || m.bound != fitting.NoBound
		left = left || !m.used && m.bound == fitting.NoBound
	}
	col := tint(blue, 0.15)
	if used {
		out = append(out, entry{text: "measured, ±1.96 SE", shape: disc, col: grey})
	}
	if left {
		out = append(out, entry{text: "left out", shape: ring, col: grey})
	}
	if bound {
		out = append(out, entry{text: "only a bound", shape: arrow(math.Pi / 2), col: black})
	}
	name := "95% interval of the law"
	if _, ok := d.targetX(); ok {
		col = tint(vermilion, 0.15)
		text := number.Target(d.target.Target) + ": " + number.Eta(d.target.LR, 3)
		out = append(out, entry{text: printable(text), shape: star, col: vermilion})
	}
	if q := d.mainLevel(); q > 0 && d.other != nil {
		name += " at " + d.other.name + " = " + number.SI(q)
	}
	return append(out, entry{text: name, patch: true, col: col})
}
