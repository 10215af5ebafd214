// Package picture draws the values of package fitting to PNG and SVG: curves,
// laws, predictions and comparisons, and panels of lines, as they go into a paper or a
// report.
//
// The pictures have a light background, colours that colour-blind readers can
// tell apart (Okabe and Ito), and titles with units. The same value and options
// give the same bytes. The package reads and writes no files.
package picture

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/etastar/etastar/fitting"
)

// Options controls Draw.
type Options struct {
	Width, Height float64             // in cm, 4 to 100; 0: what suits the value
	Title         string              // over the picture; "": what suits the value
	Target        *fitting.Prediction // drawn into a law; nil: none
	Cell          int                 // draw only this cell of a set of curves, counted from 1; 0: all
	Said          bool                // an SVG says the values of its points, in the titles of circles without colour
}

// dpi of a PNG: readable on a screen of high density and in print.
const dpi = 192

// The sizes a picture may have, in cm.
const (
	minSize = 4.0
	maxSize = 100.0
)

// figure is something that can be drawn into any canvas.
type figure struct {
	title         string
	width, height float64 // cm, where the options give none
	draw          func(c draw.Canvas)
}

// Draw draws v, a *fitting.Curve, *fitting.CurveSet, *fitting.Law,
// *fitting.Prediction, *fitting.Comparison or *Lines, as a picture of the given format,
// "png" or "svg". It fails, in words, when there is nothing to draw.
func Draw(v any, format string, o Options) ([]byte, error) {
	if format != "png" && format != "svg" {
		return nil, fmt.Errorf("picture: format %q is neither png nor svg", format)
	}
	fig, err := figureOf(v, o)
	if err != nil {
		return nil, fmt.Errorf("picture: %w", err)
	}
	w, h := fig.width, fig.height
	if o.Width != 0 {
		w = o.Width
	}
	if o.Height != 0 {
		h = o.Height
	}
	for _, s := range []float64{w, h} {
		if !(s >= minSize && s <= maxSize) {
			return nil, fmt.Errorf("picture: a size of %g×%g cm is not between %g and %g cm", w, h, minSize, maxSize)
		}
	}
	if o.Title != "" {
		fig.title = printable(o.Title)
	}
	return fig.encode(format, vg.Length(w)*vg.Centimeter, vg.Length(h)*vg.Centimeter, o.Said)
}

func figureOf(v any, o Options) (*figure, error) {
	switch v := v.(type) {
	case *fitting.CurveSet:
		if v != nil {
			return curvesFigure(v, o)
		}
	case *fitting.Curve:
		if v != nil {
			return curveFigure(v)
		}
	case *fitting.Law:
		if v != nil {
			return lawFigure(v, o)
		}
	case *fitting.Prediction:
		if v != nil {
			return predictionFigure(v)
		}
	case *fitting.Comparison:
		if v != nil {
			return comparisonFigure(v)
		}
	case *Lines:
		if v != nil {
			return linesFigure(v)
		}
	default:
		return nil, fmt.Errorf("a %T has no picture", v)
	}
	return nil, errors.New("nothing to draw")
}

func (f *figure) encode(format string, w, h vg.Length, said bool) ([]byte, error) {
	var b bytes.Buffer
	if format == "svg" {
		c := vgsvg.New(w, h)
		l := &listening{Canvas: c}
		f.paint(draw.NewCanvas(l, w, h))
		if _, err := c.WriteTo(&b); err != nil {
			return nil, fmt.Errorf("picture: write svg: %w", err)
		}
		// Other fonts of about the same widths where this one is not installed.
		svg := bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans;"),
			[]byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
		if said {
			svg = l.put(svg, h)
		}
		return svg, nil
	}
	c := vgimg.NewWith(vgimg.UseWH(w, h), vgimg.UseDPI(dpi))
	f.paint(draw.NewCanvas(c, w, h))
	if _, err := (vgimg.PngCanvas{Canvas: c}).WriteTo(&b); err != nil {
		return nil, fmt.Errorf("picture: write png: %w", err)
	}
	return b.Bytes(), nil
}

// paint fills the background, writes the title and draws the rest below it.
func (f *figure) paint(c draw.Canvas) {
	c.SetColor(paper)
	c.Fill(c.Path())
	margin := vg.Points(8)
	c = draw.Crop(c, margin, -margin, margin, -margin)
	if f.title != "" {
		st := textStyle(12, ink, true)
		st.XAlign, st.YAlign = draw.XLeft, draw.YTop
		c.FillText(st, vg.Point{X: c.Min.X, Y: c.Max.Y}, fitText(st, f.title, c.Max.X-c.Min.X))
		c.Max.Y -= vg.Points(20)
	}
	f.draw(c)
}

// printable drops what neither a font nor XML can hold.
func printable(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == unicode.ReplacementChar || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)), " ")
}

// finite reports whether v can be drawn: numbers beyond 1e100 overflow the
// coordinates of a picture.
func finite(v float64) bool { return math.Abs(v) < 1e100 }
