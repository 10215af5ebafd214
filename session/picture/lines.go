package picture

import (
	"errors"
	"math"

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
	Log          bool // a logarithmic y axis; what is not above 0 is left out
	Lines        []Line
}

// Line is one line, X ascending. Lines at one place of all panels have one name and colour.
type Line struct {
	Name string
	X, Y []float64
}

// columns of panels.
const lineColumns = 3

func linesFigure(l *Lines) (*figure, error) {
	var entries []entry
	drawable := false
	for _, p := range l.Panels {
		for i, s := range p.Lines {
			drawable = drawable || len(s.points(p.Log)) > 0
			if i >= len(entries) {
				entries = append(entries, entry{text: printable(s.Name), stroke: line(levelColors[i%len(levelColors)], 1.6)})
			}
		}
	}
	if !drawable {
		return nil, errors.New("no line has a point")
	}
	columns := min(lineColumns, len(l.Panels))
	rows := (len(l.Panels) + columns - 1) / columns
	return &figure{
		width: 5.8 * float64(max(columns, 2)), height: min(4.6*float64(rows)+1.2, maxSize),
		draw: func(c draw.Canvas) {
			c = legend(c, entries)
			w, h := (c.Max.X-c.Min.X)/vg.Length(columns), (c.Max.Y-c.Min.Y)/vg.Length(rows)
			for i, p := range l.Panels {
				at := c
				at.Min.X += w * vg.Length(i%columns)
				at.Max.X = at.Min.X + w - vg.Points(6)
				at.Max.Y -= h * vg.Length(i/columns)
				at.Min.Y = at.Max.Y - h + vg.Points(6)
				p.put(at)
			}
		},
	}, nil
}

// points are those of a line that can be drawn: ln x, and y as it is drawn.
func (s *Line) points(log bool) (out [][2]float64) {
	for i, x := range s.X {
		x, y := math.Log(x), s.Y[i]
		if log {
			y = math.Log(y)
		}
		if finite(x) && finite(y) {
			out = append(out, [2]float64{x, y})
		}
	}
	return out
}

func (p *LinesPanel) put(c draw.Canvas) {
	v := view{math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)}
	for i := range p.Lines {
		for _, q := range p.Lines[i].points(p.Log) {
			v.x0, v.x1, v.y0, v.y1 = min(v.x0, q[0]), max(v.x1, q[0]), min(v.y0, q[1]), max(v.y1, q[1])
		}
	}
	if v.x0 > v.x1 {
		return
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
	panel.Y.Tick.Marker = linearTicks(v.y0, v.y1, h, tick, 1, "")
	if p.Log {
		panel.Y.Tick.Marker = logTicks(v.y0, v.y1, h, tick, true, number.Sig)
	}
	panel.Add(drawing(grid))
	for i := range p.Lines {
		panel.Add(polyline(p.Lines[i].points(p.Log), line(levelColors[i%len(levelColors)], 1.4)))
	}
	panel.put(c)
}

// polyline joins points.
func polyline(points [][2]float64, st draw.LineStyle) drawing {
	return func(c draw.Canvas, p *plot.Plot) {
		tx, ty := p.Transforms(&c)
		var run []vg.Point
		for _, q := range points {
			at := vg.Point{X: tx(q[0]), Y: ty(q[1])}
			run = append(run, at)
			disc(&c, at, vg.Points(1.4), st.Color)
		}
		if len(run) > 1 {
			c.StrokeLines(st, c.ClipLinesXY(run)...)
		}
	}
}
