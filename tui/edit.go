package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/etastar/etastar/session/number"
)

// edit opens the focused statement or prose for typing.
func (m *Model) edit() tea.Cmd {
	c := m.focused()
	m.follow = true
	if c == nil {
		return m.startProse()
	}
	m.line.start(c.Text, c.Line)
	m.mode = editing
	m.line.look(m)
	return nil
}

// openPrompt starts typing a new statement, or a command.
func (m *Model) openPrompt(where insertAt) tea.Cmd {
	m.line.start("", -1) // a new line of the document
	m.line.where = where
	m.mode = prompting
	return nil
}

// leaveLine closes the completions first, then leaves without a change.
func (m *Model) leaveLine() tea.Cmd {
	if m.line.open {
		m.line.open, m.line.sel = false, -1
		return nil
	}
	return m.leaveMode()
}

// lineUp picks a completion, or walks the history of the prompt.
func (m *Model) lineUp(by int) tea.Cmd {
	l := &m.line
	if l.open {
		l.pick(by)
		return nil
	}
	if m.mode != prompting {
		return nil
	}
	if l.past == 0 {
		l.draft = l.value()
	}
	to := l.past - by
	switch {
	case to < 0 || to > len(m.hist.lines):
		return nil
	case to == 0:
		l.set(l.draft)
	default:
		l.set(m.hist.lines[len(m.hist.lines)-to])
	}
	l.past = to
	l.look(m)
	return nil
}

// acceptLine takes what was typed: a completion picked, a command, or a
// statement. A statement with an error is shown once before it is kept.
func (m *Model) acceptLine() tea.Cmd {
	l := &m.line
	if l.open && l.sel >= 0 {
		l.take(m)
		return nil
	}
	text := strings.TrimSpace(l.value())
	if m.mode == prompting {
		if name, arg, ok := command(text); ok {
			m.hist.add(text)
			m.leaveMode()
			return m.run(name, arg)
		}
	}
	if text == "" || m.mode == editing && l.value() == l.first {
		return m.leaveMode()
	}
	l.look(m)
	if l.err != nil && !l.warned {
		l.warned = true
		return nil
	}
	if m.mode == editing {
		at := l.at
		m.leaveMode()
		m.nb.SetLine(at, text)
		return m.edited(at)
	}
	m.hist.add(text)
	where := l.where
	m.leaveMode()
	return m.insert(text, where)
}

// insert puts a statement below or above the focus and focuses it.
func (m *Model) insert(text string, where insertAt) tea.Cmd {
	line := m.focusedLine()
	if p := m.focusedProse(); p != nil {
		line += len(p) - 1
	}
	if where == above && m.focusedLine() > 0 {
		line = m.focusedLine() - 1
	}
	// Several statements are one step; the last of them is looked at.
	return m.edited(m.nb.InsertStatement(line, text) + strings.Count(text, "\n"))
}

// drawLineEditor draws the statement being typed in place, its error below.
func (m *Model) drawLineEditor(w int) ([]string, *tea.Cursor) {
	t, l := m.th, &m.line
	lead := t.bar.Render("▌") + strings.Repeat(" ", max(m.gutter-1, 0))
	room := max(w-m.gutter-1, 1)
	rows := paintRows(t, l.value(), room)
	pos := l.buf.at
	var out []string
	var cur *tea.Cursor
	for i, r := range rows {
		last := i == len(rows)-1
		if cur == nil && (pos <= r.end && (pos < r.end || last || rows[i+1].start > pos) || last) {
			head := l.buf.rs[min(r.start, pos):pos]
			cur = steadyCursor(m.gutter+min(width(string(head)), room), len(out))
		}
		out = append(out, clip(lead+r.text, w))
		if under := caretRow(l.err, r); under != "" {
			out = append(out, clip(lead+t.bad.Render(under), w))
		}
	}
	return append(out, m.lineNotes(lead, room)...), cur
}

// lineNotes says what is wrong with the line being typed and how to go on.
func (m *Model) lineNotes(lead string, room int) []string {
	t, l := m.th, &m.line
	var out []string
	if l.err != nil {
		out = m.errorLines(l.err, lead, room)
		if l.warned {
			out = append(out, lead+t.warn.Render(clip("Enter again keeps it as it is", room)))
		}
	}
	return out
}

// popupLines lists completions, or under the prompt the error, on at most h lines.
func (m *Model) popupLines(w, h int) []string {
	if m.mode != editing && m.mode != prompting || h <= 0 {
		return nil
	}
	t, l := m.th, &m.line
	if !l.open {
		if m.mode == prompting && l.err != nil {
			out := []string{}
			if l.warned {
				out = append(out, m.errorLines(l.err, "  ", max(w-2, 1))...)
				out = append(out, "  "+t.warn.Render(clip("Enter again keeps it as it is", max(w-2, 0))))
			}
			return out[:min(len(out), h)]
		}
		return nil
	}
	n := min(len(l.ways), 8, h)
	first := min(max(max(l.sel, 0)-n/2, 0), len(l.ways)-n)
	wide := 0
	for _, c := range l.ways {
		wide = max(wide, min(width(oneLine(c.Label)), w/2))
	}
	var out []string
	for i := first; i < first+n; i++ {
		c := l.ways[i]
		label := pad(clip(oneLine(c.Label), wide), wide)
		doc := cutWords(oneLine(c.Doc), max(w-wide-8, 0))
		style, lead := t.text, "   "
		if i == l.sel {
			style = t.pick
		}
		line := lead + style.Render(" "+label+" ") + "  " + t.dim.Render(doc)
		if i == first+n-1 && first+n < len(l.ways) {
			line = lead + style.Render(" "+label+" ") + "  " + t.faint.Render("… "+number.Count(len(l.ways)-first-n)+" more")
		}
		out = append(out, clip(line, w))
	}
	return out
}
