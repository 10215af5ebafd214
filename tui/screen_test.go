package tui

import (
	"context"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/vt"

	"github.com/etastar/etastar/session"
)

// stepLaw is the real sweep, where it is at hand.
const stepLaw = "../../shared/data/steplaw/dense_lr_bs_loss.csv"

// openNotebook writes text and a small synthetic sweep to a directory of their own and opens it.
func openNotebook(t testing.TB, text string) *session.Session {
	t.Helper()
	return openFile(t, writeNotebook(t, text, 400))
}

// openFile opens a notebook and waits until all of it is computed.
func openFile(t testing.TB, path string) *session.Session {
	t.Helper()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	s, err := session.Open(path, session.Options{Interactive: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if !s.Wait(30 * time.Second) {
		t.Fatal("the notebook does not come to rest")
	}
	return s
}

// notebookText is the notebook of the design page on the data at path.
func notebookText(path string) string {
	return strings.ReplaceAll(`# Step Law, dense

The public sweep behind arXiv 2503.04715.

`+"```eta"+`
runs   = load "DATA" loss="smooth loss" batch=bs*2048
curves = curves runs by=N,D form=quadratic window=2 batch=tuned
law    = law curves form=power
target = predict law N=7B D=1.4T
`+"```"+`
`, "DATA", path)
}

// newScreen makes a model of a size over a session.
func newScreen(t testing.TB, nb notebook, w, h int) *Model {
	t.Helper()
	m := newModel(context.Background(), nb, "dark", true)
	m.Update(tea.WindowSizeMsg{Width: w, Height: h})
	return m
}

// emulated draws a frame on a terminal emulator and returns what stands there.
func emulated(m *Model) string {
	e := vt.NewEmulator(m.w, m.h)
	defer func() { _ = e.Close() }()
	_, _ = e.WriteString("\x1b[?7l" + strings.ReplaceAll(m.View().Content, "\n", "\r\n"))
	var b strings.Builder
	for y := range m.h {
		var line strings.Builder
		for x := range m.w {
			c := e.CellAt(x, y)
			switch {
			case c == nil || c.Content == "":
				if c == nil || c.Width != 0 {
					line.WriteByte(' ')
				}
			default:
				line.WriteString(c.Content)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}
