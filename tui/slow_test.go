package tui

import (
	"testing"

	"github.com/etastar/etastar/session"
)

// slowNotebook is a session whose law takes its time.
type slowNotebook struct{ *session.Session }

func (n slowNotebook) Items() []session.Item {
	items := n.Session.Items()
	for i := range items {
		c := items[i].Cell
		if c == nil {
			continue
		}
		switch c.Name {
		case "law":
			c.Status, c.Stale, c.Progress = session.Running, true, 0.43
		case "target":
			c.Status, c.Stale, c.WaitsFor = session.Waiting, true, "law"
		}
	}
	return items
}

func (n slowNotebook) Answer(line int) (session.Answer, bool) {
	a, ok := n.Session.Answer(line)
	a.Cell.Status, a.Cell.Stale, a.Cell.WaitsFor = session.Waiting, true, "law"
	return a, ok
}

// TestSlowCells: what is not there yet says so, with the last good value beside.
func TestSlowCells(t *testing.T) {
	m := newScreen(t, slowNotebook{openNotebook(t, syntheticText)}, 120, 36)
	m.moveFocus(1)
	golden(t, "computing", emulated(m))
	m.moveFocus(1)
	golden(t, "waiting", emulated(m))
	m = newScreen(t, slowNotebook{openNotebook(t, syntheticText)}, 80, 24)
	golden(t, "computing-80x24", emulated(m))
}
