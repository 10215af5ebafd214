package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
)

// View draws the frame, or hands out the last one when nothing changed.
func (m *Model) View() tea.View {
	if m.dirty {
		m.content, m.cursor = m.frame()
		m.dirty = false
	}
	v := tea.NewView(m.content)
	v.AltScreen = true
	v.MouseMode = tea.MouseModeCellMotion
	v.Cursor = m.cursor
	v.WindowTitle = "etastar " + oneLine(baseName(m.file.Path))
	return v
}

// frame draws exactly h lines of at most w cells.
func (m *Model) frame() (string, *tea.Cursor) {
	w, h := m.w, m.h
	if w < 1 || h < 1 {
		return "", nil
	}
	top, bottom := m.header(w, h), m.footer(w, h)
	for len(top)+len(bottom.lines) > h {
		if len(top) > 0 {
			top = nil
			continue
		}
		// What is being typed stays; the answer goes from its end.
		bottom.lines = append(bottom.lines[:0:0], bottom.lines[1:]...)
	}
	bodyH := h - len(top) - len(bottom.lines)
	body, cur := m.body(w, bodyH)
	m.hit.bodyTop = len(top)
	lines := make([]string, 0, h)
	lines = append(lines, top...)
	lines = append(lines, box(body, w, bodyH)...)
	if cur != nil {
		cur.Y += len(top)
	}
	if bottom.cursor >= 0 {
		cur = steadyCursor(min(bottom.cursor, w-1), h-1)
	}
	for _, l := range bottom.lines {
		lines = append(lines, clip(l, w))
	}
	if cur != nil && (cur.Y >= h || cur.X >= w || cur.Y < 0) {
		cur = nil
	}
	return strings.Join(lines, "\n"), cur
}

// steadyCursor is a bar that does not blink.
func steadyCursor(x, y int) *tea.Cursor {
	c := tea.NewCursor(x, y)
	c.Shape = tea.CursorBar
	c.Blink = false
	return c
}

// body draws the middle of the screen: the notebook, one cell in full, or an overlay.
func (m *Model) body(w, h int) ([]string, *tea.Cursor) {
	m.hit.rows = m.hit.rows[:0]
	m.hit.knobs = m.hit.knobs[:0]
	if h <= 0 {
		return nil, nil
	}
	if m.mode == reading {
		return m.over.draw(m, w, h), nil
	}
	if m.mode == viewing {
		return box(m.drawRun(w, h), w, h), nil
	}
	popup := m.popupLines(w, h-1)
	under := 0
	if m.mode == prompting || m.mode == recalling {
		under = len(popup)
	}
	lines, cur := m.notebookLines(w, h-under, popup)
	if under > 0 {
		lines = append(box(lines, w, h-under), popup...)
	}
	return lines, cur
}

// notebookLines draws the scrolling notebook.
func (m *Model) notebookLines(w, h int, popup []string) ([]string, *tea.Cursor) {
	if len(m.items) == 0 && m.mode != prompting {
		return m.emptyLines(w), nil
	}
	blocks := make([][]string, len(m.items))
	others := 0
	for i := range m.items {
		if i == m.focus {
			continue
		}
		if !m.zoom {
			blocks[i] = m.itemLines(i, w, false)
		}
		others += len(blocks[i])
	}
	var spans []span
	var cur *tea.Cursor
	if m.focus < len(blocks) {
		blocks[m.focus], spans, cur = m.focusedLines(w, h, others, popup)
	}
	start := 0
	for i := range m.focus {
		start += len(blocks[i])
	}
	total := others
	size := 0
	if m.focus < len(blocks) {
		size = len(blocks[m.focus])
		total += size
	}
	m.scrollTo(start, size, total, h, cur)
	out := make([]string, 0, h)
	at := 0
	for i, b := range blocks {
		for j, l := range b {
			if at >= m.top && len(out) < h {
				if i == m.focus {
					for _, s := range spans {
						if s.line == j {
							s.line = len(out)
							m.hit.knobs = append(m.hit.knobs, s)
						}
					}
				}
				m.hit.rows = append(m.hit.rows, i)
				out = append(out, l)
			}
			at++
		}
	}
	if cur != nil {
		cur.Y += start - m.top
	}
	return out, cur
}

// scrollTo keeps the focused item in sight while the focus leads; the wheel may leave it.
func (m *Model) scrollTo(start, size, total, h int, cur *tea.Cursor) {
	if !m.looked {
		// The first sight is of the top, where a notebook says what it is, unless
		// that hides what the keys would act on.
		m.looked = true
		m.follow = start+min(size, 4) > h
	}
	if m.follow {
		if start+size > m.top+h {
			m.top = start + size - h
			if start+size < total && size < h {
				m.top++ // what comes next peeks in
			}
		}
		if start < m.top {
			m.top = start
			if start > 0 && size < h {
				m.top--
			}
		}
		if cur != nil && start+cur.Y >= m.top+h {
			m.top = start + cur.Y - h + 1
		}
	}
	m.top = max(min(m.top, total-h), 0)
	m.hit.above, m.hit.below, m.hit.lines = 0, 0, h
	if size > h {
		m.hit.above, m.hit.below = max(m.top-start, 0), max(start+size-m.top-h, 0)
	}
}

// itemLines draws an item that is not in focus.
func (m *Model) itemLines(i, w int, focused bool) []string {
	name := slotName(i)
	if c := m.items[i].Cell; c != nil {
		return m.cellHead(name, c, w, focused, false)
	}
	return m.proseLines(name, &m.items[i], w, focused)
}

// focusedLines draws the focused item: the statement, its knobs, its value.
func (m *Model) focusedLines(w, h, others int, popup []string) (lines []string, spans []span, cur *tea.Cursor) {
	c := m.focused()
	switch {
	case m.mode == writing:
		return m.text.draw(m, w, max(h-min(others, h/2), 3))
	case c == nil:
		return m.proseLines("focused", &m.items[m.focus], w, true), nil, nil
	case m.mode == editing:
		lines, cur = m.drawLineEditor(w)
		return append(lines, popup...), nil, cur
	}
	lines = append(lines, m.cellHead("focused", c, w, true, true)...)
	free := h - len(lines)
	rows := 3
	if h < 24 {
		rows = 2
	}
	knobs, at := m.knobRows(w, min(rows, max(free-4, 0)))
	for _, s := range at { // a copy: the drawing is kept
		s.line += len(lines)
		spans = append(spans, s)
	}
	lines = append(lines, knobs...)
	free -= len(knobs)
	panelH := min(max(free-others, min(free, minPanel), free*3/5), free)
	if m.zoom {
		panelH = free
	}
	lines = append(lines, m.panel(c, w, panelH)...)
	return lines, spans, nil
}

// minPanel is the height below which a chart says nothing.
const minPanel = 9

// emptyLines is what an empty notebook says.
func (m *Model) emptyLines(w int) []string {
	var out []string
	for _, l := range []string{
		"",
		"An empty notebook.",
		"",
		"a        type the first statement",
		`         runs = load "sweep.csv"     (Tab after the quote lists files)`,
		":help    every verb with an example that i inserts",
	} {
		out = append(out, clip("   "+m.th.dim.Render(l), w))
	}
	return out
}

// slotName is where the drawing of item i is kept.
func slotName(i int) string {
	if i < len(slotNames) {
		return slotNames[i]
	}
	return "item " + itoa(i)
}
