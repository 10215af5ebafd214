package chart

import (
	"sort"
	"strings"
	"unicode"

	"github.com/charmbracelet/x/ansi"
)

// segment is a piece of a line of text that is shown whole or not at all.
type segment struct {
	text string
	pen  pen
	rank int // segments of a higher rank go first when room is short
}

// segments writes as many of the pieces as fit into row y from column x on, in
// their order, a gap of two columns between them, and returns the column after
// the last. Pieces that do not fit are left out, the highest rank first.
func (c canvas) segments(x, y int, pieces ...segment) int {
	keep := make([]bool, len(pieces))
	order := make([]int, len(pieces))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return pieces[order[a]].rank < pieces[order[b]].rank })
	used := x
	for _, i := range order {
		w := ansi.StringWidth(pieces[i].text)
		gap := 2
		if used == x {
			gap = 0
		}
		if w == 0 || used+gap+w > c.w {
			continue
		}
		keep[i] = true
		used += gap + w
	}
	first := true
	for i, s := range pieces {
		if !keep[i] {
			continue
		}
		if !first {
			x += 2
		}
		first = false
		c.text(x, y, s.text, s.pen)
		x += ansi.StringWidth(s.text)
	}
	return x
}

// centred writes the first of the texts that fits, in the middle of c, blank around.
func (c canvas) centred(p pen, texts ...string) {
	for _, s := range texts {
		if w := ansi.StringWidth(s); w <= c.w {
			c.text((c.w-w)/2, (c.h-1)/2, s, p)
			return
		}
	}
}

// firstFit returns the first of the texts that is at most w wide, or "".
func firstFit(w int, texts ...string) string {
	for _, s := range texts {
		if ansi.StringWidth(s) <= w {
			return s
		}
	}
	return ""
}

// shorten cuts text to width w with an ellipsis, never inside a number.
func shorten(text string, w int) string {
	if ansi.StringWidth(text) <= w {
		return text
	}
	if w < 1 {
		return ""
	}
	cut := []rune(ansi.Truncate(text, w-1, ""))
	rest := []rune(text)[len(cut):]
	for len(cut) > 0 && len(rest) > 0 && numeric(cut[len(cut)-1]) && numeric(rest[0]) {
		rest, cut = cut[len(cut)-1:], cut[:len(cut)-1]
	}
	return strings.TrimRight(string(cut), " ,;:") + "…"
}

// numeric reports whether r can be part of a number with its sign and unit.
func numeric(r rune) bool {
	return unicode.IsDigit(r) || strings.ContainsRune(".eE+-−%kKMBT", r)
}
