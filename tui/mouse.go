package tui

import tea "charm.land/bubbletea/v2"

// hits is what stood where in the last frame, for clicks.
type hits struct {
	bodyTop  int
	rows     []int  // item of each body line
	knobs    []span // knobs, by body line
	gridRows int    // rows of the table in focus
	above    int    // lines of an item in focus that is taller than the body, hidden above it
	below    int    // and below
	lines    int    // of the body
}

// onClick focuses the cell or selects the knob under the mouse; a click on the
// selected knob turns it on.
func (m *Model) onClick(e tea.MouseClickMsg) tea.Cmd {
	if m.mode == reading {
		return m.closeOverlay()
	}
	y := e.Y - m.hit.bodyTop
	if m.mode != browsing || e.Button != tea.MouseLeft || y < 0 || y >= len(m.hit.rows) {
		return nil
	}
	for _, s := range m.hit.knobs {
		if s.line != y || e.X < s.from || e.X >= s.to {
			continue
		}
		if i := m.selectedKnob(); i >= 0 && m.knobs[i].Param.Name == s.param {
			if why := m.knobs[i].OffWhy; why != "" {
				m.say(oneLine(why))
				return nil
			}
			return m.turn(1, false)
		}
		m.stateOf(m.focused()).knob = s.param
		return nil
	}
	return m.moveFocus(m.hit.rows[y] - m.focus)
}

// onWheel scrolls what is under the mouse.
func (m *Model) onWheel(e tea.MouseWheelMsg) {
	by := 3
	switch e.Button {
	case tea.MouseWheelUp:
		by = -3
	case tea.MouseWheelDown:
	default:
		return
	}
	switch {
	case m.mode == reading:
		m.over.scroll(by)
	case m.mode == browsing && m.zoom:
		m.scrollRows(by)
	case m.mode == browsing:
		m.follow = false
		m.top = max(m.top+by, 0)
	}
}
