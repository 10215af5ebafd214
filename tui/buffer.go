package tui

import (
	"strings"
	"unicode"
)

// buffer is text being typed and its cursor, one line or several. (The bubbles
// text inputs reach for the system clipboard, which is I/O in Update and a
// dependency more.)
type buffer struct {
	rs []rune
	at int // before which rune the cursor stands
}

func newBuffer(s string) buffer {
	rs := []rune(s)
	return buffer{rs, len(rs)}
}

func (b *buffer) String() string { return string(b.rs) }

// insert types s at the cursor.
func (b *buffer) insert(s string) {
	in := []rune(s)
	b.rs = append(b.rs[:b.at:b.at], append(in, b.rs[b.at:]...)...)
	b.at += len(in)
}

// cut takes the runes [from, to) out and stands there.
func (b *buffer) cut(from, to int) {
	from, to = max(from, 0), min(to, len(b.rs))
	if from >= to {
		return
	}
	b.rs = append(b.rs[:from:from], b.rs[to:]...)
	b.at = from
}

// home and end are the ends of the line the cursor stands on.
func (b *buffer) home() int {
	i := b.at
	for i > 0 && b.rs[i-1] != '\n' {
		i--
	}
	return i
}

func (b *buffer) end() int {
	i := b.at
	for i < len(b.rs) && b.rs[i] != '\n' {
		i++
	}
	return i
}

// wordLeft and wordRight are the next word boundaries.
func (b *buffer) wordLeft() int {
	i := b.at
	for i > 0 && !inWord(b.rs[i-1]) {
		i--
	}
	for i > 0 && inWord(b.rs[i-1]) {
		i--
	}
	return i
}

func (b *buffer) wordRight() int {
	i := b.at
	for i < len(b.rs) && !inWord(b.rs[i]) {
		i++
	}
	for i < len(b.rs) && inWord(b.rs[i]) {
		i++
	}
	return i
}

func inWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// move puts the cursor somewhere else.
func (b *buffer) move(to int) { b.at = min(max(to, 0), len(b.rs)) }

// visual is one screen line of a buffer.
type visual struct {
	start, end int
	text       string
}

// visuals breaks the buffer into screen lines of at most w cells, at spaces
// where it can.
func (b *buffer) visuals(w int) []visual {
	w = max(w, 1)
	var out []visual
	start := 0
	add := func(end int) {
		out = append(out, visual{start, end, oneLine(string(b.rs[start:end]))})
	}
	used, space := 0, -1
	for i := 0; i < len(b.rs); i++ {
		r := b.rs[i]
		if r == '\n' {
			add(i)
			start, used, space = i+1, 0, -1
			continue
		}
		rw := width(oneLine(string(r)))
		if used+rw > w && i > start {
			cut := i
			if space > start {
				cut = space
			}
			add(cut)
			start = cut
			used = width(oneLine(string(b.rs[start:i])))
			space = -1
		}
		used += rw
		if r == ' ' {
			space = i + 1
		}
	}
	add(len(b.rs))
	return out
}

// spot finds the cursor among the screen lines.
func (b *buffer) spot(lines []visual) (x, y int) {
	for i, l := range lines {
		last := i == len(lines)-1
		if b.at < l.end || last || b.at == l.end && lines[i+1].start > l.end {
			return width(oneLine(string(b.rs[l.start:max(b.at, l.start)]))), i
		}
	}
	return 0, 0
}

// vertical is the place one screen line up or down.
func (b *buffer) vertical(by, w int) int {
	lines := b.visuals(w)
	x, y := b.spot(lines)
	to := y + by
	if to < 0 || to >= len(lines) {
		return b.at
	}
	l := lines[to]
	_, n := headOf(string(b.rs[l.start:l.end]), x)
	if l.start+n == l.end && to < len(lines)-1 && lines[to+1].start == l.end {
		n-- // the end of a broken line is the start of the next
	}
	return l.start + max(n, 0)
}

// set replaces the text and puts the cursor at its end.
func (b *buffer) set(s string) { *b = newBuffer(strings.ReplaceAll(s, "\r", "")) }
