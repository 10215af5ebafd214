package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/etastar/etastar/session"
)

// insertAt says where a statement typed in the prompt goes.
type insertAt int

const (
	after insertAt = iota
	above
)

// lineEditor is the one line being typed, wherever it stands.
type lineEditor struct {
	buf    buffer
	first  string // what it held at the start
	last   string // what it held before the last key
	at     int    // document line it is checked as
	where  insertAt
	err    *session.CellError
	warned bool // the error was shown on Enter; the next one takes it anyway
	past   int  // lines back in the history; 0: what is being typed
	draft  string

	open bool // completions are listed
	ways []session.Completion
	sel  int // picked; -1: none
}

// start begins to type with text at a document line.
func (l *lineEditor) start(text string, at int) {
	text = oneLine(text)
	*l = lineEditor{buf: newBuffer(text), first: text, last: text, at: at, sel: -1}
}

func (l *lineEditor) reset()        { *l = lineEditor{sel: -1} }
func (l *lineEditor) value() string { return l.buf.String() }
func (l *lineEditor) changed() bool {
	return l.value() != l.first && strings.TrimSpace(l.value()) != ""
}

// set replaces the text and puts the cursor at its end.
func (l *lineEditor) set(text string) {
	l.buf.set(oneLine(text))
	l.last = l.value()
}

// changedTo checks what stands there now and narrows open completions.
func (l *lineEditor) changedTo(m *Model) {
	if v := l.value(); v != l.last {
		l.last, l.warned, l.past = v, false, 0
	}
	l.look(m)
	if l.open {
		l.list(m)
	}
}

// look checks the text as it stands.
func (l *lineEditor) look(m *Model) {
	l.err = nil
	text := l.value()
	if strings.TrimSpace(text) == "" {
		return
	}
	if _, _, ok := command(text); ok && m.mode == prompting {
		return
	}
	l.err = m.nb.Check(l.at, text)
}

// cursorByte is where the cursor stands, in bytes.
func (l *lineEditor) cursorByte() int {
	return len(string(l.buf.rs[:l.buf.at]))
}

// list asks for the ways to go on.
func (l *lineEditor) list(m *Model) {
	l.ways = m.nb.Complete(l.at, l.value(), l.cursorByte())
	if m.mode == prompting {
		l.ways = append(l.ways, commandWays(l.value()[:l.cursorByte()])...)
	}
	l.sel = min(l.sel, len(l.ways)-1)
	if len(l.ways) == 0 {
		l.open = false
	}
}

// complete opens the completions; a single one, or one already picked, is taken.
// What all of them share is typed at once.
func (l *lineEditor) complete(m *Model) tea.Cmd {
	if l.open && l.sel >= 0 {
		l.take(m)
		return nil
	}
	l.sel = -1
	l.list(m)
	switch len(l.ways) {
	case 0:
		m.say("nothing to complete here")
	case 1:
		l.sel = 0
		l.take(m)
	default:
		if share := shared(l.ways); len(share) > l.ways[0].End-l.ways[0].Start && strings.HasPrefix(share, l.value()[l.ways[0].Start:l.ways[0].End]) {
			l.put(l.ways[0].Start, l.ways[0].End, share)
			l.look(m)
			l.list(m)
		}
		l.open = len(l.ways) > 0
		if len(l.ways) > 0 {
			l.sel = 0
		}
	}
	return nil
}

// shared is what all completions begin with, when they replace the same text.
func shared(ways []session.Completion) string {
	s := ways[0].Insert
	for _, w := range ways[1:] {
		if w.Start != ways[0].Start || w.End != ways[0].End {
			return ""
		}
		for !strings.HasPrefix(w.Insert, s) {
			rs := []rune(s)
			s = string(rs[:len(rs)-1])
		}
	}
	return s
}

// put replaces bytes [from, to) and puts the cursor behind.
func (l *lineEditor) put(from, to int, text string) {
	v := l.value()
	from = min(max(from, 0), len(v))
	to = min(max(to, from), len(v))
	text = oneLine(text)
	l.buf.set(v[:from] + text + v[to:])
	l.buf.move(len([]rune(v[:from] + text)))
	l.last = l.value()
}

// take puts the picked completion into the line.
func (l *lineEditor) take(m *Model) {
	if l.sel < 0 || l.sel >= len(l.ways) {
		return
	}
	w := l.ways[l.sel]
	l.put(w.Start, w.End, w.Insert)
	l.open, l.ways, l.sel = false, nil, -1
	l.look(m)
}

// pick moves among the completions.
func (l *lineEditor) pick(by int) {
	if n := len(l.ways); l.open && n > 0 {
		l.sel = ((max(l.sel, 0)+by)%n + n) % n
	}
}

// prompt draws the line behind a lead on w cells, scrolled so that the cursor
// is in sight, and returns the cursor's column.
func (l *lineEditor) prompt(t *theme, lead string, w int, tail string) (string, int) {
	lw := width(lead) + 1
	room := w - lw - 1
	if room < 1 {
		return clip(" "+lead, w), min(lw, w-1)
	}
	text := l.value()
	at := width(string(l.buf.rs[:l.buf.at]))
	left := max(at-room+1, 0)
	rows := paintRows(t, text, max(width(text), 1))
	shown := ansi.Cut(rows[0].text, left, left+room)
	line := " " + t.bold.Render(lead) + shown
	if tw := width(tail); tw > 0 && width(line)+3+tw < w {
		line = ends(line, tail, w-1)
	}
	return line, lw + at - left
}
