package tui

import (
	"errors"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// proseEditor types prose in place, several lines of it.
type proseEditor struct {
	buf   buffer
	first string
	line  int // document line it begins at; -1: new prose
	count int // lines it replaces
	top   int // first screen line shown
}

func (e *proseEditor) changed() bool { return e.buf.String() != e.first }

// startProse opens the focused prose.
func (m *Model) startProse() tea.Cmd {
	p := m.focusedProse()
	if p == nil {
		return m.openPrompt(after)
	}
	m.text = newProseEditor(strings.Join(p, "\n"), m.focusedLine(), len(p))
	m.mode = writing
	return nil
}

// newProse begins a paragraph below the focus.
func (m *Model) newProse() tea.Cmd {
	m.text = newProseEditor("", -1, 0)
	m.mode = writing
	return nil
}

func newProseEditor(text string, line, count int) proseEditor {
	b := newBuffer(text)
	b.move(0)
	return proseEditor{buf: b, first: text, line: line, count: count}
}

// proseRoom is the width prose is typed in.
func (m *Model) proseRoom() int { return max(m.w-m.gutter-1, 1) }

// draw shows the editor on at most h lines, scrolled to the cursor.
func (e *proseEditor) draw(m *Model, w, h int) ([]string, []span, *tea.Cursor) {
	t := m.th
	lead := t.bar.Render("▌") + strings.Repeat(" ", max(m.gutter-1, 0))
	lines := e.buf.visuals(m.proseRoom())
	x, y := e.buf.spot(lines)
	rows := max(min(len(lines)+1, h), 1)
	e.top = max(min(e.top, y), y-rows+1)
	var out []string
	for i := e.top; i < e.top+rows; i++ {
		text := ""
		if i < len(lines) {
			text = lines[i].text
		}
		out = append(out, clip(lead+text, w))
	}
	return out, nil, steadyCursor(m.gutter+x, y-e.top)
}

// endProse puts the prose into the document as one edit. The lines it came
// from must still be there: the file may have changed underneath.
func (m *Model) endProse() tea.Cmd {
	e := &m.text
	m.leaveMode()
	if !e.changed() {
		return nil
	}
	text := m.nb.Text()
	lines := strings.Split(text, "\n")
	typed := strings.Split(strings.TrimRight(e.buf.String(), "\n "), "\n")
	if e.line < 0 {
		m.nb.SetText(withProse(lines, m.focusedLine(), typed))
		return m.edited(-1)
	}
	if e.line+e.count > len(lines) || strings.Join(trimCR(lines[e.line:e.line+e.count]), "\n") != strings.Join(trimCR(strings.Split(e.first, "\n")), "\n") {
		m.complain(errors.New("this prose changed meanwhile; what you typed was not taken"))
		return m.refresh()
	}
	m.nb.SetProse(e.line, e.count, strings.Join(typed, "\n"))
	return m.edited(e.line)
}

func trimCR(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = strings.TrimRight(l, "\r")
	}
	return out
}

// withProse puts a paragraph after the fence that holds a line (or after the
// line, outside of fences), with a blank line on each side.
func withProse(lines []string, line int, prose []string) string {
	at := min(line+1, len(lines))
	inFence := false
	for _, l := range lines[:max(at, 0)] {
		if strings.HasPrefix(strings.TrimSpace(l), "```") {
			inFence = !inFence
		}
	}
	for inFence && at < len(lines) {
		if strings.HasPrefix(strings.TrimSpace(lines[at]), "```") {
			inFence = false
		}
		at++
	}
	at = max(at, 0)
	out := append([]string{}, lines[:at]...)
	if len(out) > 0 && strings.TrimSpace(out[len(out)-1]) != "" {
		out = append(out, "")
	}
	out = append(out, prose...)
	if at < len(lines) && strings.TrimSpace(lines[at]) != "" {
		out = append(out, "")
	}
	out = append(out, lines[at:]...)
	return strings.Join(out, "\n")
}
