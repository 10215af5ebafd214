package picture

import (
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// shape draws a mark of a radius at a point.
type shape func(c *draw.Canvas, at vg.Point, r vg.Length, col color.Color)

func disc(c *draw.Canvas, at vg.Point, r vg.Length, col color.Color) {
	fillCircle(c, at, r+vg.Points(0.6), paper) // a rim keeps neighbours apart
	fillCircle(c, at, r, col)
}

func ring(c *draw.Canvas, at vg.Point, r vg.Length, col color.Color) {
	fillCircle(c, at, r, col)
	fillCircle(c, at, r-vg.Points(1), paper)
}

func fillCircle(c *draw.Canvas, at vg.Point, r vg.Length, col color.Color) {
	var p vg.Path
	p.Move(vg.Point{X: at.X + r, Y: at.Y})
	p.Arc(at, r, 0, 2*math.Pi)
	p.Close()
	c.SetColor(col)
	c.Fill(p)
}

func cross(c *draw.Canvas, at vg.Point, r vg.Length, col color.Color) {
	st := line(col, 1.4)
	c.StrokeLine2(st, at.X-r, at.Y-r, at.X+r, at.Y+r)
	c.StrokeLine2(st, at.X-r, at.Y+r, at.X+r, at.Y-r)
}

func star(c *draw.Canvas, at vg.Point, r vg.Length, col color.Color) {
	for _, s := range []struct {
		r   vg.Length
		col color.Color
	}{{r + vg.Points(1.4), paper}, {r, col}} {
		pts := make([]vg.Point, 10)
		for i := range pts {
			rad := float64(s.r)
			if i%2 == 1 {
				rad *= 0.42
			}
			sin, cos := math.Sincos(math.Pi/2 + float64(i)*math.Pi/5)
			pts[i] = vg.Point{X: at.X + vg.Length(rad*cos), Y: at.Y + vg.Length(rad*sin)}
		}
		c.FillPolygon(s.col, pts)
	}
}

// arrow is a triangle that points along angle (0: right, counter-clockwise).
func arrow(angle float64) shape {
	return func(c *draw.Canvas, at vg.Point, r vg.Length, col color.Color) {
		pts := make([]vg.Point, 3)
		for i := range pts {
			sin, cos := math.Sincos(angle + float64(i)*2*math.Pi/3)
			pts[i] = vg.Point{X: at.X + vg.Length(cos)*r, Y: at.Y + vg.Length(sin)*r}
		}
		c.FillPolygon(col, pts)
	}
}

func diamond(c *draw.Canvas, at vg.Point, r vg.Length, col color.Color) {
	c.FillPolygon(col, []vg.Point{{X: at.X - r, Y: at.Y}, {X: at.X, Y: at.Y + r}, {X: at.X + r, Y: at.Y}, {X: at.X, Y: at.Y - r}})
}

// spot is a mark in data coordinates.
type spot struct {
	x, y  float64
	shape shape
	r     vg.Length
	col   color.Color
	said  []string // its values, in words
}

// spots draws marks; those outside the panel sit on its edge.
func spots(list []spot) drawing {
	return func(c draw.Canvas, p *plot.Plot) {
		tx, ty := p.Transforms(&c)
		for _, s := range list {
			if math.IsNaN(s.x) || math.IsNaN(s.y) {
				continue
			}
			x := clampX(c, tx(math.Min(math.Max(s.x, p.X.Min), p.X.Max)))
			y := clampY(c, ty(math.Min(math.Max(s.y, p.Y.Min), p.Y.Max)))
			s.shape(&c, vg.Point{X: x, Y: y}, s.r, s.col)
			say(&c, vg.Point{X: x, Y: y}, s.said...)
		}
	}
}

// entry is a line of a legend: a mark or a stroke, and its meaning.
type entry struct {
	text   string
	shape  shape // nil: a stroke
	col    color.Color
	stroke draw.LineStyle
	patch  bool // a shaded area
}

// legend writes the entries in rows along the foot of c and returns what is left
// above; it is left out of a picture that has no height for it.
func legend(c draw.Canvas, entries []entry) draw.Canvas {
	st := textStyle(8.5, ink, false)
	st.XAlign, st.YAlign = draw.XLeft, draw.YCenter
	lineH, icon, gap := vg.Points(13), vg.Points(18), vg.Points(14)
	var rows [][]entry
	x := c.Max.X
	for _, e := range entries {
		w := icon + st.Width(e.text) + gap
		if x+w > c.Max.X || len(rows) == 0 {
			rows, x = append(rows, nil), c.Min.X
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], e)
		x += w
	}
	if lineH*vg.Length(len(rows)) > (c.Max.Y-c.Min.Y)/3 {
		return c // the picture matters more
	}
	for i, row := range rows {
		y := c.Min.Y + lineH*(vg.Length(len(rows)-1-i)+0.5)
		x := c.Min.X
		for _, e := range row {
			mid := vg.Point{X: x + vg.Points(7), Y: y}
			switch {
			case e.patch:
				c.FillPolygon(e.col, []vg.Point{{X: x, Y: y - 4}, {X: x + 14, Y: y - 4}, {X: x + 14, Y: y + 4}, {X: x, Y: y + 4}})
			case e.shape != nil:
				e.shape(&c, mid, vg.Points(3), e.col)
			default:
				c.StrokeLine2(e.stroke, x, y, x+vg.Points(14), y)
			}
			c.FillText(st, vg.Point{X: x + icon, Y: y + vg.Points(0.8)}, fitText(st, e.text, c.Max.X-x-icon))
			x += icon + st.Width(e.text) + gap
		}
	}
	c.Min.Y += lineH*vg.Length(len(rows)) + vg.Points(4)
	return c
}
