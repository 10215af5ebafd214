package tui

import (
	"strconv"

	"github.com/etastar/etastar/session"
)

// cellState is what the screen remembers about one cell: which knob is
// selected, which curve is looked at, how its table is sorted.
type cellState struct {
	knob  string // selected parameter
	curve int    // which curve of a set
	point int    // cursor on the points of that curve; -1: none
	pane  int    // which of the value's panes (v)
	grid  gridState
	sweep sweepState
}

// gridState is how a table is looked at.
type gridState struct {
	row, col   int // first row shown; selected column
	sort       int // column + 1 it is sorted by; 0: as it comes
	descending bool
}

// stateKey names a cell across edits: by its result, else by its place.
func stateKey(c *session.Cell) string {
	if c.Name != "" {
		return c.Name
	}
	return "#" + strconv.Itoa(c.Number)
}

// stateOf returns what is remembered about c.
func (m *Model) stateOf(c *session.Cell) *cellState {
	k := stateKey(c)
	st := m.cells[k]
	if st == nil {
		st = &cellState{point: -1}
		m.cells[k] = st
	}
	return st
}

// focused returns the focused statement; nil on prose or an empty notebook.
func (m *Model) focused() *session.Cell {
	if m.focus < 0 || m.focus >= len(m.items) {
		return nil
	}
	return m.items[m.focus].Cell
}

// focusedProse returns the focused run of prose.
func (m *Model) focusedProse() []string {
	if m.focus < 0 || m.focus >= len(m.items) {
		return nil
	}
	return m.items[m.focus].Prose
}

// focusedLine is the document line the focus stands on; -1 in an empty notebook.
func (m *Model) focusedLine() int {
	if m.focus < 0 || m.focus >= len(m.items) {
		return -1
	}
	return m.items[m.focus].Line
}

// selectedKnob returns the index of the selected knob of the focused cell, or -1.
func (m *Model) selectedKnob() int {
	c := m.focused()
	if c == nil || len(m.knobs) == 0 {
		return -1
	}
	st := m.stateOf(c)
	for i := range m.knobs {
		if m.knobs[i].Param.Name == st.knob {
			return i
		}
	}
	return firstKnob(m.knobs)
}

// firstKnob is the knob the arrow keys turn before one was chosen: a number
// that stands in the statement, else the first that turns and is no set of columns.
func firstKnob(knobs []session.Knob) int {
	first := -1
	for i := range knobs {
		k := &knobs[i]
		if k.OffWhy != "" || k.Param.Set {
			continue
		}
		if k.Written && k.Param.Number != nil {
			return i
		}
		if first < 0 {
			first = i
		}
	}
	return max(first, 0)
}
