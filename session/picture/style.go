package picture

import (
	"image/color"
	"math"
	"strings"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/session/picture/scale"
)

// The palette of Okabe and Ito, which colour-blind readers can tell apart.
var (
	black     = color.NRGBA{0x00, 0x00, 0x00, 0xff}
	orange    = color.NRGBA{0xe6, 0x9f, 0x00, 0xff}
	skyBlue   = color.NRGBA{0x56, 0xb4, 0xe9, 0xff}
	green     = color.NRGBA{0x00, 0x9e, 0x73, 0xff}
	blue      = color.NRGBA{0x00, 0x72, 0xb2, 0xff}
	vermilion = color.NRGBA{0xd5, 0x5e, 0x00, 0xff}
	purple    = color.NRGBA{0xcc, 0x79, 0xa7, 0xff}

	paper = color.NRGBA{0xff, 0xff, 0xff, 0xff}
	ink   = color.NRGBA{0x22, 0x22, 0x22, 0xff}
	grey  = color.NRGBA{0x80, 0x80, 0x80, 0xff}
	rule  = color.NRGBA{0xe6, 0xe6, 0xe6, 0xff}
)

// levelColors are the lines of a law, from small to large.
var levelColors = []color.NRGBA{skyBlue, green, orange, blue, purple}

// tint is c mixed with the paper, opaque so that overlaps do not depend on order.
func tint(c color.NRGBA, share float64) color.NRGBA {
	mix := func(v uint8) uint8 { return uint8(math.Round(255 - share*(255-float64(v)))) }
	return color.NRGBA{mix(c.R), mix(c.G), mix(c.B), 0xff}
}

func textStyle(size float64, c color.Color, bold bool) text.Style {
	f := font.Font{Typeface: "Liberation", Variant: "Sans"}
	if bold {
		f.Weight = xfont.WeightBold
	}
	return text.Style{Color: c, Font: font.From(f, vg.Points(size)), Handler: plot.DefaultTextHandler}
}

// fitText shortens s to width w: whole words from its end, so that no number is
// cut; only a first word that is too long itself is cut inside.
func fitText(st text.Style, s string, w vg.Length) string {
	if st.Width(s) <= w {
		return s
	}
	for words := strings.Fields(s); len(words) > 1; {
		words = words[:len(words)-1]
		if short := strings.Join(words, " ") + " …"; st.Width(short) <= w {
			return short
		}
	}
	r := []rune(s)
	for len(r) > 0 && st.Width(string(r)+"…") > w {
		r = r[:len(r)-1]
	}
	return string(r) + "…"
}

// view is the range of a panel: x and y as they are drawn, so logarithms where
// the axis is logarithmic.
type view struct{ x0, x1, y0, y1 float64 }

// panel is a plot with its range.
type panel struct {
	*plot.Plot
	view
}

// newPanel makes an empty plot over v. small panels have smaller print and no
// axis titles.
func newPanel(v view, title, x, y string, small bool) *panel {
	p := plot.New()
	p.BackgroundColor = nil
	size := 10.0
	if small {
		size = 7.5
	}
	p.Title.Text = title
	p.Title.TextStyle = textStyle(size, ink, true)
	p.Title.TextStyle.XAlign, p.Title.TextStyle.YAlign = draw.XCenter, draw.YTop
	p.Title.Padding = vg.Points(3)
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		al, tl := a.Label.TextStyle, a.Tick.Label
		a.Label.TextStyle = textStyle(size, ink, false)
		a.Label.TextStyle.XAlign, a.Label.TextStyle.YAlign = al.XAlign, al.YAlign
		a.Tick.Label = textStyle(size-1, ink, false)
		a.Tick.Label.XAlign, a.Tick.Label.YAlign = tl.XAlign, tl.YAlign
		a.Width, a.Color = vg.Points(0.6), grey
		a.Tick.Width, a.Tick.Color, a.Tick.Length = vg.Points(0.6), grey, vg.Points(3)
		a.Padding = 0
		a.Label.Padding = vg.Points(3)
	}
	if !small {
		p.X.Label.Text, p.Y.Label.Text = x, y
	}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = v.x0, v.x1, v.y0, v.y1
	return &panel{p, v}
}

// leastPanel is the least size of a plot with its axes.
const leastPanel = vg.Length(60)

// put draws the panel into c, or says that there is no room for it.
func (p *panel) put(c draw.Canvas) {
	if c.Max.X-c.Min.X < leastPanel || c.Max.Y-c.Min.Y < leastPanel {
		tooSmall(c)
		return
	}
	p.Draw(c)
}

// tooSmall says in the picture that the size asked for holds no plot.
func tooSmall(c draw.Canvas) {
	st := textStyle(9, vermilion, false)
	st.XAlign, st.YAlign = draw.XCenter, draw.YCenter
	c.FillText(st, c.Center(), fitText(st, "too small for this picture", c.Max.X-c.Min.X))
}

// logTicks labels an axis of logarithms over about width w.
func logTicks(lo, hi float64, w vg.Length, st text.Style, vertical bool, format func(float64, int) string) plot.ConstantTicks {
	most := 9
	t := scale.Log(math.Exp(lo), math.Exp(hi), format, func(t []scale.Tick) bool {
		if len(t) > most {
			return false
		}
		for i := 1; i < len(t); i++ {
			gap := vg.Length((math.Log(t[i].V)-math.Log(t[i-1].V))/(hi-lo)) * w
			need := (st.Width(t[i].Label)+st.Width(t[i-1].Label))/2 + vg.Points(6)
			if vertical {
				need = 2.2 * st.Font.Size
			}
			if gap < need {
				return false
			}
		}
		return true
	})
	out := make(plot.ConstantTicks, len(t))
	for i, k := range t {
		out[i] = plot.Tick{Value: math.Log(k.V), Label: k.Label}
	}
	return out
}

// linearTicks labels a linear axis over about height h; times is a factor
// between the drawn and the printed numbers, unit what follows them.
func linearTicks(lo, hi float64, h vg.Length, st text.Style, times float64, unit string) plot.ConstantTicks {
	n := max(3, min(8, int(h/(2.6*st.Font.Size))))
	var out plot.ConstantTicks
	for _, k := range scale.Linear(times*lo, times*hi, n) {
		out = append(out, plot.Tick{Value: k.V / times, Label: k.Label + unit})
	}
	return out
}

// countTicks labels an axis of counts over about width w: 0, 50k, 100k.
func countTicks(lo, hi float64, w vg.Length, st text.Style) plot.ConstantTicks {
	var out plot.ConstantTicks
	for n := 6; n >= 3; n-- {
		out = nil
		wide := vg.Length(0)
		for _, k := range scale.Linear(lo, hi, n) {
			if k.V < 0 {
				continue
			}
			label := "0"
			if k.V > 0 {
				label = number.SI(k.V)
			}
			out = append(out, plot.Tick{Value: k.V, Label: label})
			wide += st.Width(label) + vg.Points(6)
		}
		if wide <= w {
			break
		}
	}
	return out
}

func siLabel(v float64, _ int) string { return number.SI(v) }

// drawing is a function as a plotter.
type drawing func(c draw.Canvas, p *plot.Plot)

// Plot implements plot.Plotter.
func (d drawing) Plot(c draw.Canvas, p *plot.Plot) { d(c, p) }

// grid rules the ticks of both axes behind the data.
func grid(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	st := draw.LineStyle{Color: rule, Width: vg.Points(0.5)}
	for _, t := range p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max) {
		if v := x(t.Value); c.ContainsX(v) {
			c.StrokeLine2(st, v, c.Min.Y, v, c.Max.Y)
		}
	}
	for _, t := range p.Y.Tick.Marker.Ticks(p.Y.Min, p.Y.Max) {
		if v := y(t.Value); c.ContainsY(v) {
			c.StrokeLine2(st, c.Min.X, v, c.Max.X, v)
		}
	}
}

// band shades x0..x1 over the full height.
func band(x0, x1 float64, col color.Color) drawing {
	return func(c draw.Canvas, p *plot.Plot) {
		if !finite(x0) || !finite(x1) {
			return
		}
		tx, _ := p.Transforms(&c)
		a, b := clampX(c, tx(math.Max(x0, p.X.Min))), clampX(c, tx(math.Min(x1, p.X.Max)))
		if b > a {
			c.FillPolygon(col, []vg.Point{{X: a, Y: c.Min.Y}, {X: b, Y: c.Min.Y}, {X: b, Y: c.Max.Y}, {X: a, Y: c.Max.Y}})
		}
	}
}

func clampX(c draw.Canvas, x vg.Length) vg.Length { return min(max(x, c.Min.X), c.Max.X) }
func clampY(c draw.Canvas, y vg.Length) vg.Length { return min(max(y, c.Min.Y), c.Max.Y) }

// curve draws y(x) from x0 to x1; parts outside the panel or without a value are left out.
func curve(x0, x1 float64, st draw.LineStyle, f func(float64) float64) drawing {
	return func(c draw.Canvas, p *plot.Plot) {
		const n = 200
		tx, ty := p.Transforms(&c)
		var run []vg.Point
		flush := func() {
			if len(run) > 1 {
				c.StrokeLines(st, c.ClipLinesXY(run)...)
			}
			run = nil
		}
		x0, x1 := math.Max(x0, p.X.Min), math.Min(x1, p.X.Max)
		for i := 0; i <= n && x0 < x1; i++ {
			x := x0 + (x1-x0)*float64(i)/n
			y := f(x)
			// Far values would overflow the coordinates of the file.
			if span := p.Y.Max - p.Y.Min; !(y > p.Y.Min-10*span && y < p.Y.Max+10*span) {
				flush()
				continue
			}
			run = append(run, vg.Point{X: tx(x), Y: ty(y)})
		}
		flush()
	}
}

func line(c color.Color, width float64, dashes ...vg.Length) draw.LineStyle {
	return draw.LineStyle{Color: c, Width: vg.Points(width), Dashes: dashes}
}
