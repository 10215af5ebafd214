package picture

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"sort"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/number"
)

// Titles of axes, with units.
const (
	etaTitle  = "peak learning rate η"
	lossTitle = "final loss"
)

func curvesFigure(s *fitting.CurveSet, o Options) (*figure, error) {
	n := len(s.Curves)
	switch {
	case n == 0:
		return nil, errors.New("the set holds no curves")
	case o.Cell < 0 || o.Cell > n:
		return nil, fmt.Errorf("cell %d is not one of 1 to %d", o.Cell, n)
	case o.Cell > 0:
		return curveFigure(&s.Curves[o.Cell-1])
	case n == 1:
		return curveFigure(&s.Curves[0])
	}
	drawn := 0
	for i := range s.Curves {
		if _, ok := curveView(&s.Curves[i]); ok {
			drawn++
		}
	}
	if drawn == 0 {
		return nil, errors.New("no curve has a point with a learning rate and a finite loss")
	}
	cols := int(math.Ceil(math.Sqrt(float64(n) * 1.1)))
	rows := (n + cols - 1) / cols
	return &figure{
		title:  fmt.Sprintf("%s against %s, %d cells", lossTitle, etaTitle, n),
		width:  math.Min(math.Max(float64(cols)*5.6, 12), maxSize),
		height: math.Min(float64(rows)*4.3+2, maxSize),
		draw: func(c draw.Canvas) {
			c = legend(c, curveLegend(s.Curves))
			multiples(c, s.Curves, rows, cols)
		},
	}, nil
}

// multiples draws the cells in a grid with data areas of one size.
func multiples(c draw.Canvas, curves []fitting.Curve, rows, cols int) {
	tiles := draw.Tiles{Rows: rows, Cols: cols, PadX: vg.Points(8), PadY: vg.Points(8)}
	w := (c.Max.X-c.Min.X)/vg.Length(cols) - vg.Points(40)
	h := (c.Max.Y-c.Min.Y)/vg.Length(rows) - vg.Points(40)
	if w < leastPanel/3 || h < leastPanel/3 {
		tooSmall(c)
		return
	}
	plots := make([][]*plot.Plot, rows)
	for r := range plots {
		plots[r] = make([]*plot.Plot, cols)
		for k := range plots[r] {
			if i := r*cols + k; i < len(curves) {
				plots[r][k] = curvePanel(&curves[i], w, h, true).Plot
			}
		}
	}
	for r, row := range plot.Align(plots, tiles, c) {
		for k, cell := range row {
			if p := plots[r][k]; p != nil {
				p.Draw(cell)
			}
		}
	}
}

func curveFigure(k *fitting.Curve) (*figure, error) {
	if _, ok := curveView(k); !ok {
		return nil, fmt.Errorf("cell %s has no point with a learning rate and a finite loss", printable(number.Key(k.Key)))
	}
	return &figure{
		title: printable(curveTitle(k)), width: 16, height: 11,
		draw: func(c draw.Canvas) {
			c = legend(c, curveLegend([]fitting.Curve{*k}))
			curvePanel(k, c.Max.X-c.Min.X-vg.Points(50), c.Max.Y-c.Min.Y-vg.Points(40), false).put(c)
		},
	}, nil
}

// curveTitle says what a curve found.
func curveTitle(k *fitting.Curve) string {
	t := number.Key(k.Key) + ":  " + etaText(k)
	if k.OK && k.Bound == fitting.NoBound && finite(k.R2) {
		t += ",  R² " + number.Fixed(k.R2, 3)
	}
	if f := number.Flags(k.Flags); f != "" {
		t += "  (" + f + ")"
	}
	return t
}

func etaText(k *fitting.Curve) string {
	switch {
	case k.Bound == fitting.BoundBelow:
		return "η* < " + number.Eta(k.BoundLR, 3)
	case k.Bound == fitting.BoundAbove:
		return "η* > " + number.Eta(k.BoundLR, 3)
	case k.OK && finite(k.LnLR):
		return "η* = " + number.Eta(math.Exp(k.LnLR), 3) + " " + number.Spread(k.Half())
	}
	return "no η*"
}

// curveView shows every learning rate and the losses around the fit: those of the
// window, and others up to 1.5 times their span above them.
func curveView(k *fitting.Curve) (view, bool) {
	v := view{math.Inf(1), math.Inf(-1), 0, 0}
	var inside, losses []float64
	widen := func(lr float64) bool {
		x := math.Log(lr)
		if !finite(x) {
			return false
		}
		v.x0, v.x1 = math.Min(v.x0, x), math.Max(v.x1, x)
		return true
	}
	for _, p := range k.Points {
		if !widen(p.LR) || !finite(p.Loss) {
			continue
		}
		losses = append(losses, p.Loss)
		if p.InWindow {
			inside = append(inside, p.Loss)
		}
	}
	if len(losses) == 0 {
		return v, false
	}
	for _, p := range k.Diverged {
		widen(p.LR)
	}
	for _, p := range k.Excluded {
		widen(p.LR)
	}
	if reach := 0.75 * math.Max(v.x1-v.x0, 0.5); k.Fitted && k.LnLR > v.x0-reach && k.LnLR < v.x1+reach {
		widen(math.Exp(k.LnLR))
	}
	sort.Float64s(losses)
	lo, hi := losses[0], losses[len(losses)/2]
	for i, y := range inside {
		if i == 0 {
			hi = y
		}
		hi = math.Max(hi, y)
	}
	if k.Fitted && finite(k.Loss) && k.Loss < lo && lo-k.Loss < hi-lo {
		lo = k.Loss
	}
	top := hi
	for _, y := range losses {
		if y <= hi+1.5*(hi-lo) {
			top = math.Max(top, y)
		}
	}
	v.x0, v.x1 = padded(v.x0, v.x1, 0.05, 0.5)
	v.y0, v.y1 = padded(lo, top, 0.1, math.Max(1e-9, 1e-3*math.Abs(lo)))
	return v, true
}

// padded widens lo..hi by a share, or by least when they are (almost) equal.
func padded(lo, hi, share, least float64) (float64, float64) {
	d := share * (hi - lo)
	if hi-lo < least*1e-3 {
		d = least
	}
	return lo - d, hi + d
}

func curvePanel(k *fitting.Curve, w, h vg.Length, small bool) *panel {
	v, ok := curveView(k)
	if !ok {
		v = view{-8, -4, 0, 1}
	}
	title := ""
	if small {
		title = printable(number.Key(k.Key) + "   " + etaText(k))
	}
	p := newPanel(v, title, etaTitle, lossTitle, small)
	p.Title.Text = fitText(p.Title.TextStyle, p.Title.Text, w+vg.Points(40))
	p.X.Tick.Marker = logTicks(v.x0, v.x1, w, p.X.Tick.Label, false, number.Eta)
	p.Y.Tick.Marker = linearTicks(v.y0, v.y1, h, p.Y.Tick.Label, 1, "")
	if !ok {
		p.Add(drawing(nothing))
		return p
	}
	p.Add(drawing(grid))
	if half := k.Half(); k.OK && k.Bound == fitting.NoBound && half > 0 {
		p.Add(band(k.LnLR-half, k.LnLR+half, tint(orange, 0.3)))
	}
	fitLines(p, k)
	p.Add(spots(curveSpots(k, v, small)))
	return p
}

func nothing(c draw.Canvas, _ *plot.Plot) {
	st := textStyle(8, grey, false)
	st.XAlign, st.YAlign = draw.XCenter, draw.YCenter
	c.FillText(st, c.Center(), "no finite loss")
}

// fitLines draws the parabola over its points, dotted on to a vertex outside of them.
func fitLines(p *panel, k *fitting.Curve) {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, q := range k.Points {
		if x := math.Log(q.LR); q.InWindow && finite(x) {
			lo, hi = math.Min(lo, x), math.Max(hi, x)
		}
	}
	if !k.Fitted || !(lo <= hi) {
		return
	}
	p.Add(curve(lo, hi, line(blue, 1.6), k.At))
	dotted := line(blue, 1.2, vg.Points(2), vg.Points(2))
	if finite(k.LnLR) {
		p.Add(curve(k.LnLR, lo, dotted, k.At), curve(hi, k.LnLR, dotted, k.At))
	}
}

func curveSpots(k *fitting.Curve, v view, small bool) []spot {
	r := vg.Points(3.2)
	if small {
		r = vg.Points(2.2)
	}
	var out []spot
	add := func(lr, y float64, s shape, size vg.Length, col color.Color, said ...string) {
		if x := math.Log(lr); finite(x) {
			out = append(out, spot{x, y, s, size, col, append(append([]string{"η " + number.Eta(lr, 3)}, said...), cellWords(k.Key)...)})
		}
	}
	for _, p := range k.Diverged {
		add(p.LR, v.y1, cross, r, vermilion, "diverged")
	}
	for _, p := range k.Excluded {
		if finite(p.Loss) {
			add(p.LR, p.Loss, cross, r*0.8, grey, lossWords(p.Loss), "taken out by hand")
		}
	}
	for _, p := range k.Points {
		switch {
		case !finite(p.Loss) || p.Loss > v.y1:
			add(p.LR, v.y1-0.03*(v.y1-v.y0), arrow(math.Pi/2), r*1.2, grey, lossWords(p.Loss))
		case p.InWindow:
			add(p.LR, p.Loss, disc, r, blue, lossWords(p.Loss))
		default:
			add(p.LR, p.Loss, ring, r, blue, lossWords(p.Loss))
		}
	}
	switch {
	case k.Bound != fitting.NoBound:
		angle := math.Pi
		if k.Bound == fitting.BoundAbove {
			angle = 0
		}
		if x := math.Log(k.BoundLR); finite(x) {
			said := append([]string{etaText(k)}, cellWords(k.Key)...)
			out = append(out, spot{x, v.y0 + 0.06*(v.y1-v.y0), arrow(angle), r * 1.8, orange, said})
		}
	case k.OK && finite(k.LnLR) && k.LnLR >= v.x0 && k.LnLR <= v.x1:
		said := append([]string{etaText(k), lossWords(k.Loss)}, cellWords(k.Key)...)
		out = append(out, spot{k.LnLR, k.Loss, star, r * 2.2, vermilion, said})
	}
	return out
}

func lossWords(loss float64) string { return "loss " + number.Loss(loss) }

// cellWords name the sizes of a cell.
func cellWords(k fitting.Key) []string {
	var out []string
	for _, q := range []struct {
		name string
		x    float64
	}{{"N", k.N}, {"D", k.D}, {"B", k.B}} {
		if q.x != 0 {
			out = append(out, q.name+" "+number.SI(q.x))
		}
	}
	if k.Extra != "" {
		out = append(out, printable(k.Extra))
	}
	return out
}

// curveLegend names the marks that occur in any of the curves.
func curveLegend(curves []fitting.Curve) []entry {
	var window, outside, above, diverged, excluded, vertex, se, bound bool
	for i := range curves {
		k := &curves[i]
		v, ok := curveView(k)
		for _, p := range k.Points {
			window = window || p.InWindow
			outside = outside || !p.InWindow
			above = above || ok && !(p.Loss <= v.y1)
		}
		diverged = diverged || len(k.Diverged) > 0
		excluded = excluded || len(k.Excluded) > 0
		bound = bound || k.Bound != fitting.NoBound
		if k.OK && k.Bound == fitting.NoBound {
			vertex, se = true, se || k.LnLRSE > 0
		}
	}
	var out []entry
	for _, e := range []struct {
		on bool
		entry
	}{
		{window, entry{text: "fitted points", shape: disc, col: blue}},
		{window, entry{text: "fit", stroke: line(blue, 1.6)}},
		{outside, entry{text: "other points", shape: ring, col: blue}},
		{vertex, entry{text: "η*", shape: star, col: vermilion}},
		{se, entry{text: "95% interval of η*", patch: true, col: tint(orange, 0.3)}},
		{bound, entry{text: "only a bound on η*", shape: arrow(math.Pi), col: orange}},
		{above, entry{text: "loss above the picture", shape: arrow(math.Pi / 2), col: grey}},
		{diverged, entry{text: "diverged", shape: cross, col: vermilion}},
		{excluded, entry{text: "taken out by hand", shape: cross, col: grey}},
	} {
		if e.on {
			out = append(out, e.entry)
		}
	}
	return out
}
