package picture

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// listening is a canvas that keeps what the marks on it say.
type listening struct {
	vg.Canvas
	said []saying
}

// saying is what a reader is told at a place.
type saying struct {
	at   vg.Point
	text string
}

// say notes what a mark at a place says, where the canvas listens and has it in view.
func say(c *draw.Canvas, at vg.Point, parts ...string) {
	under := c.Canvas
	for { // a canvas that was cropped lies on another
		cropped, ok := under.(draw.Canvas)
		if !ok {
			break
		}
		under = cropped.Canvas
	}
	if l, ok := under.(*listening); ok && c.Contains(at) && len(parts) > 0 {
		l.said = append(l.said, saying{at, strings.Join(parts, " · ")})
	}
}

// maxSayings bounds those of one picture, so that a page stays light.
const maxSayings = 5000

// put writes a circle without colour for each saying into an SVG of height h, with the
// text as its title.
func (l *listening) put(svg []byte, h vg.Length) []byte {
	end := bytes.LastIndex(svg, []byte("</svg>"))
	if end < 0 || len(l.said) == 0 {
		return svg
	}
	var b bytes.Buffer
	b.Write(svg[:end])
	n := min(len(l.said), maxSayings)
	for k := range n {
		s := l.said[(len(l.said)-1)*k/max(n-1, 1)]
		fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="4" fill-opacity="0"><title>`, s.at.X.Points(), (h - s.at.Y).Points())
		_ = xml.EscapeText(&b, []byte(s.text))
		b.WriteString("</title></circle>\n")
	}
	b.Write(svg[end:])
	return b.Bytes()
}
