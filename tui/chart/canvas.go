package chart

import (
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// A canvas is a rectangle of a sheet of cells. A cell has three layers: a shade
// at the bottom, braille dots above it, a glyph on top. Whatever lies outside
// the rectangle is not drawn, so nothing has to be clipped by the callers.
type canvas struct {
	s          *sheet
	x, y, w, h int
}

type sheet struct {
	w, h  int
	cells []cell
	wide  map[int]string // graphemes that are not one rune of width 1, by cell
}

type cell struct {
	glyph, shade          rune
	dots                  uint8
	pen, shadePen, dotPen pen
}

// follows marks the second column of a wide grapheme.
const follows rune = -1

func newCanvas(w, h int) canvas {
	w, h = max(w, 0), max(h, 0)
	return canvas{s: &sheet{w: w, h: h, cells: make([]cell, w*h)}, w: w, h: h}
}

// sub is the part of c at x, y, of at most w×h.
func (c canvas) sub(x, y, w, h int) canvas {
	x0, y0 := max(x, 0), max(y, 0)
	x1, y1 := min(x+w, c.w), min(y+h, c.h)
	return canvas{c.s, c.x + x0, c.y + y0, max(x1-x0, 0), max(y1-y0, 0)}
}

func (c canvas) at(x, y int) *cell {
	if x < 0 || y < 0 || x >= c.w || y >= c.h {
		return nil
	}
	return &c.s.cells[(c.y+y)*c.s.w+c.x+x]
}

// set puts a glyph of width 1 on top.
func (c canvas) set(x, y int, r rune, p pen) {
	if k := c.at(x, y); k != nil {
		c.split(x, y)
		k.glyph, k.pen = r, p
	}
}

// split blanks the other half of a wide grapheme that is about to be overwritten.
func (c canvas) split(x, y int) {
	if len(c.s.wide) == 0 {
		return
	}
	i := (c.y+y)*c.s.w + c.x + x
	if c.s.cells[i].glyph == follows {
		c.s.cells[i-1].glyph = ' '
		delete(c.s.wide, i-1)
	}
	if g, ok := c.s.wide[i]; ok {
		delete(c.s.wide, i)
		if ansi.StringWidth(g) == 2 {
			c.s.cells[i+1].glyph = ' '
		}
	}
}

// free reports whether no glyph is at x, y.
func (c canvas) free(x, y int) bool {
	k := c.at(x, y)
	return k != nil && k.glyph == 0
}

// clear reports whether n cells from x on hold no glyph and no dots; columns
// beyond the edge count as clear.
func (c canvas) clear(x, y, n int) bool {
	for i := range n {
		if k := c.at(x+i, y); k != nil && (k.glyph != 0 || k.dots != 0) {
			return false
		}
	}
	return true
}

// shade fills a cell under everything else.
func (c canvas) shade(x, y int, r rune, p pen) {
	if k := c.at(x, y); k != nil {
		k.shade, k.shadePen = r, p
	}
}

// dot sets a braille dot; the cell x, y holds dots 2x..2x+1, 4y..4y+3.
func (c canvas) dot(dx, dy int, p pen) {
	if dx < 0 || dy < 0 {
		return
	}
	if k := c.at(dx/2, dy/4); k != nil {
		k.dots |= brailleBit[dy%4][dx%2]
		k.dotPen = p
	}
}

var brailleBit = [4][2]uint8{{1, 8}, {2, 16}, {4, 32}, {64, 128}}

// text writes s if all of it fits at x, y, and reports whether it did.
func (c canvas) text(x, y int, s string, p pen) bool {
	if x < 0 || y < 0 || y >= c.h || x+ansi.StringWidth(s) > c.w {
		return false
	}
	for len(s) > 0 {
		if s[0] < utf8.RuneSelf { // plain ASCII needs no segmentation
			r := rune(s[0])
			if len(s) == 1 || s[1] < utf8.RuneSelf {
				if r >= ' ' && r != 0x7f {
					c.set(x, y, r, p)
					x++
				}
				s = s[1:]
				continue
			}
		}
		g, w := ansi.FirstGraphemeCluster(s, ansi.GraphemeWidth)
		s = s[len(g):]
		x = c.grapheme(x, y, g, w, p)
	}
	return true
}

func (c canvas) grapheme(x, y int, g string, w int, p pen) int {
	r, n := utf8.DecodeRuneInString(g)
	switch {
	case w == 0 || r < ' ' || r == 0x7f || r == utf8.RuneError || w > 2 || x+w > c.w:
		return x // not printable
	case n == len(g) && w == 1:
		c.set(x, y, r, p)
	default:
		for i := range w {
			c.set(x+i, y, follows, p)
		}
		c.at(x, y).glyph = r
		if c.s.wide == nil {
			c.s.wide = map[int]string{}
		}
		c.s.wide[(c.y+y)*c.s.w+c.x+x] = g
	}
	return x + w
}

// render draws the sheet with the given sequences: exactly h lines of width w, each
// closing what it opens, neighbours of one style in one sequence.
func (c canvas) render(seq *sequences) string {
	var b strings.Builder
	b.Grow(c.s.w * c.s.h * 3)
	for y := range c.s.h {
		if y > 0 {
			b.WriteByte('\n')
		}
		c.s.line(&b, y, seq)
	}
	return b.String()
}

func (s *sheet) line(b *strings.Builder, y int, seq *sequences) {
	open, blanks := penNone, 0
	for x := range s.w {
		i := y*s.w + x
		k := &s.cells[i]
		if k.glyph == follows {
			continue
		}
		r, p := k.top()
		if r == ' ' && p != penSelected { // a blank takes any style but a reversed one
			blanks++
			continue
		}
		if p != open {
			b.WriteString(seq.end[open])
			spaces(b, &blanks)
			b.WriteString(seq.open[p])
			open = p
		}
		spaces(b, &blanks)
		if g, ok := s.wide[i]; ok {
			b.WriteString(g)
		} else {
			b.WriteRune(r)
		}
	}
	b.WriteString(seq.end[open])
	spaces(b, &blanks)
}

func spaces(b *strings.Builder, n *int) {
	for ; *n > 0; *n-- {
		b.WriteByte(' ')
	}
}

// top is what shows of a cell.
func (k *cell) top() (rune, pen) {
	switch {
	case k.glyph != 0:
		return k.glyph, k.pen
	case k.dots != 0:
		return 0x2800 + rune(k.dots), k.dotPen
	case k.shade != 0:
		return k.shade, k.shadePen
	}
	return ' ', penNone
}
