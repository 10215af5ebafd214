package picture

import (
	"errors"
	"image/color"
	"math"
	"sort"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/etastar/etastar/session/number"
)

// Lines are small pictures of lines side by side: one a module, say, with a line a step.
type Lines struct{ Panels []LinesPanel }

// LinesPanel is one of them, over a logarithmic x axis.
type LinesPanel struct {
	Title, XName string
	YName        string // said of a point, "loss"
	Log          bool   // a logarithmic y axis; what is not above 0 is left out
	// Long lines are curves over many tokens or steps: the x axis is linear, they have no
	// dots, and the y axis leaves out what stands far above the rest, such as the losses of
	// the first steps.
	Long  bool
	Lines []Line
}

// Line is one line, X ascending. Lines at one place of all panels have one name and colour.
type Line struct {
	Name string
	X, Y []float64
}

// columns of panels.
const lineColumns = 3

// maxLineNames is how many lines the legend names; of more, it names every so many.
const maxLineNames = 12

// lineColor is the colour of a line of n: told apart where they are few, else shades in
// order from the first to the last.
func lineColor(i, n int) color.NRGBA {
	if n <= len(levelColors) {
		return levelColors[i]
	}
	ramp := []color.NRGBA{skyBlue, blue, purple, vermilion}
	at := float64(i) / float64(n-1) * float64(len(ramp)-1)
	k := min(int(at), len(ramp)-2)
	share := at - float64(k)
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a) + share*(float64(b)-float64(a)))) }
	a, b := ramp[k], ramp[k+1]
	return color.NRGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 0xff}
}

func linesFigure(l *Lines) (*figure, error) {
	var names []string
	drawable := false
	for k := range l.Panels {
		p := &l.Panels[k]
		for i := range p.Lines {
			drawable = drawable || len(p.points(&p.Lines[i])) > 0
			if i >= len(names) {
				names = append(names, printable(p.Lines[i].Name))
			}
		}
	}
	if !drawable {
		return nil, errors.New("no line has a point")
	}
	var entries []entry
	step := (len(names) + maxLineNames - 1) / maxLineNames
	for i := 0; i < len(names); i += step {
		entries = append(entries, entry{text: names[i], stroke: line(lineColor(i, len(names)), 1.6)})
	}
	columns, width, height := min(lineColumns, len(l.Panels)), 5.8, 4.6
	if l.Panels[0].Long {
		width, height = 7.5, 6
	}
	rows := (len(l.Panels) + columns - 1) / columns
	return &figure{
		width: width * float64(max(columns, 2)), height: min(height*float64(rows)+1.2, maxSize),
		draw: func(c draw.Canvas) {
			c = legend(c, entries)
			w, h := (c.Max.X-c.Min.X)/vg.Length(columns), (c.Max.Y-c.Min.Y)/vg.Length(rows)
			for i := range l.Panels {
				at := c
				at.Min.X += w * vg.Length(i%columns)
				at.Max.X = at.Min.X + w - vg.Points(6)
				at.Max.Y -= h * vg.Length(i/columns)
				at.Min.Y = at.Max.Y - h + vg.Points(6)
				l.Panels[i].put(at, len(names))
			}
		},
	}, nil
}

// points are those of a line that can be drawn, x and y as they are drawn.
func (p *LinesPanel) points(l *Line) (out [][2]float64) {
	for i, x := range l.X {
		y := l.Y[i]
		if !p.Long {
			x = math.Log(x)
		}
		if p.Log {
			y = math.Log(y)
		}
		if finite(x) && finite(y) {
			out = append(out, [2]float64{x, y})
		}
	}
	return out
}

// put draws the panel; lines is how many lines the panels have at most.
func (p *LinesPanel) put(c draw.Canvas, lines int) {
	v := view{math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)}
	var heights []float64
	for i := range p.Lines {
		for _, q := range p.points(&p.Lines[i]) {
			v.x0, v.x1, v.y0, v.y1 = min(v.x0, q[0]), max(v.x1, q[0]), min(v.y0, q[1]), max(v.y1, q[1])
			heights = append(heights, q[1])
		}
	}
	if v.x0 > v.x1 {
		return
	}
	if p.Long {
		// As on the screen: nine tenths of the losses, and as much again above them.
		sort.Float64s(heights)
		if q := heights[len(heights)*9/10]; q > v.y0 {
			v.y1 = min(v.y1, q+(q-v.y0))
		}
	}
	// A flat line is seen as one: the axis spans a factor of 1.5 at least, where it is logarithmic.
	least := 0.05 * max(math.Abs(v.y0), math.Abs(v.y1), 1e-9)
	if p.Log {
		least = math.Log(1.5)
	}
	widen := func(lo, hi *float64, least float64) {
		pad := max(0.06*(*hi-*lo), (least-(*hi-*lo))/2)
		*lo, *hi = *lo-pad, *hi+pad
	}
	widen(&v.x0, &v.x1, 0.1)
	widen(&v.y0, &v.y1, least)
	panel := newPanel(v, "", "", "", true)
	st := panel.Title.TextStyle
	panel.Title.Text = fitText(st, printable(p.Title), c.Max.X-c.Min.X)
	panel.X.Label.Text = printable(p.XName)
	h, tick := c.Max.Y-c.Min.Y, panel.X.Tick.Label
	panel.X.Tick.Marker = logTicks(v.x0, v.x1, c.Max.X-c.Min.X, tick, false, number.Sig)
	if p.Long {
		panel.X.Tick.Marker = countTicks(v.x0, v.x1, c.Max.X-c.Min.X, tick)
	}
	panel.Y.Tick.Marker = linearTicks(v.y0, v.y1, h, tick, 1, "")
	if p.Log {
		panel.Y.Tick.Marker = logTicks(v.y0, v.y1, h, tick, true, number.Sig)
	}
	panel.Add(drawing(grid))
	for i := range p.Lines {
		st := line(lineColor(i, lines), 1.4)
		if p.Long {
			st.Width = vg.Points(0.9)
		}
		panel.Add(polyline(p.points(&p.Lines[i]), st, !p.Long), p.sayLine(&p.Lines[i]))
	}
	panel.put(c)
}

// maxSaid bounds the points of one line that a page says the values of.
const maxSaid = 60

// sayLine notes what the points of a line say; of many, evenly chosen ones and the last.
func (p *LinesPanel) sayLine(l *Line) drawing {
	return func(c draw.Canvas, pl *plot.Plot) {
		points := p.points(l)
		tx, ty := pl.Transforms(&c)
		n := min(len(points), maxSaid)
		for k := range n {
			q := points[(len(points)-1)*k/max(n-1, 1)]
			x, y := number.SI(q[0]), q[1]
			if !p.Long {
				x = number.Sig(math.Exp(q[0]), 4)
			}
			if p.Log {
				y = math.Exp(y)
			}
			said := []string{printable(p.XName) + " " + x, strings.TrimSpace(printable(p.YName) + " " + number.Loss(y))}
			if name := printable(l.Name); name != "" {
				said = append([]string{name}, said...)
			}
			say(&c, vg.Point{X: tx(q[0]), Y: ty(q[1])}, said...)
		}
	}
}

// polyline joins points.
func polyline(points [][2]float64, st draw.LineStyle, dots bool) drawing {
	return func(c draw.Canvas, p *plot.Plot) {
		tx, ty := p.Transforms(&c)
		var run []vg.Point
		for _, q := range points {
			at := vg.Point{X: tx(q[0]), Y: ty(q[1])}
			run = append(run, at)
			if dots {
				disc(&c, at, vg.Points(1.4), st.Color)
			}
		}
		if len(run) > 1 {
			c.StrokeLines(st, c.ClipLinesXY(run)...)
		}
	}
}
