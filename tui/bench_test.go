package tui

import (
	"os"
	"path/filepath"
	"testing"

	tea "charm.land/bubbletea/v2"
)

// BenchmarkView200x50 draws frames in which the focus moves, so that two cells
// are drawn anew each time.
func BenchmarkView200x50(b *testing.B) {
	m := newScreen(b, openFile(b, writeNotebook(b, syntheticText, 1911)), 200, 50)
	n := len(m.items)
	b.ReportAllocs()
	for i := range b.N {
		m.moveFocus((i % n) - m.focus)
		m.dirty = true
		m.View()
	}
}

// BenchmarkViewUnchanged composes a frame of which no part changed.
func BenchmarkViewUnchanged(b *testing.B) {
	m := newScreen(b, openFile(b, writeNotebook(b, syntheticText, 1911)), 200, 50)
	b.ReportAllocs()
	for b.Loop() {
		m.dirty = true
		m.View()
	}
}

// BenchmarkKnobToFrame goes from a key to the frame: edit, recompute, draw.
func BenchmarkKnobToFrame(b *testing.B) {
	b.Run("synthetic", func(b *testing.B) { knobToFrame(b, writeNotebook(b, syntheticText, 1911)) })
	b.Run("steplaw", func(b *testing.B) {
		data, err := filepath.Abs(stepLaw)
		if err == nil {
			_, err = os.Stat(data)
		}
		if err != nil {
			b.Skip("the Step Law sweep is not here")
		}
		knobToFrame(b, writeNotebook(b, notebookText(data), 1))
	})
}

func knobToFrame(b *testing.B, path string) {
	m := newScreen(b, openFile(b, path), 200, 50)
	for i := range m.items {
		if c := m.items[i].Cell; c != nil && c.Name == "curves" {
			m.moveFocus(i - m.focus)
		}
	}
	m.View()
	// Every turn asks for something never computed before: an edit to the same
	// statement that leaves out another run each time.
	line, text := m.focusedLine(), m.focused().Text
	late := 0
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		m.nb.SetLine(line, text+" exclude=["+itoa(2+i)+"]")
		m.edited(-1)
		m.View()
		if m.answer.Cell.Stale {
			late++
		}
	}
	b.ReportMetric(float64(late)/float64(b.N), "late/op")
}

// BenchmarkTurn goes from a key to the frame through values computed before.
func BenchmarkTurn(b *testing.B) {
	m := newScreen(b, openFile(b, writeNotebook(b, syntheticText, 1911)), 200, 50)
	keys := []tea.KeyPressMsg{keyPress("right"), keyPress("left")}
	m.Update(keyPress("tab"))
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		m.Update(keys[i%len(keys)])
		m.View()
	}
}
