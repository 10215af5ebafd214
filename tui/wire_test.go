package tui

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// wire counts what goes to the terminal.
type wire struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.Write(p)
}

// take returns what was written since the last call, once nothing more comes.
func (w *wire) take() string {
	for n := -1; ; time.Sleep(60 * time.Millisecond) {
		w.mu.Lock()
		if w.buf.Len() == n {
			s := w.buf.String()
			w.buf.Reset()
			w.mu.Unlock()
			return s
		}
		n = w.buf.Len()
		w.mu.Unlock()
	}
}

// onWire runs the program over a pipe and returns what it writes.
func onWire(t testing.TB, m *Model) (*tea.Program, *wire) {
	t.Helper()
	w := &wire{}
	in, typing := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	m.ctx = ctx
	p := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(w), tea.WithWindowSize(m.w, m.h),
		tea.WithEnvironment([]string{"TERM=xterm-256color"}), tea.WithColorProfile(colorprofile.ANSI256), tea.WithoutSignalHandler())
	done := make(chan struct{})
	go func() { _, _ = p.Run(); close(done) }()
	t.Cleanup(func() { cancel(); _ = typing.Close(); <-done })
	return p, w
}

// TestQuietScreenWritesNothing: no keys, no bytes; not for the poll, not for a
// message that changes nothing.
func TestQuietScreenWritesNothing(t *testing.T) {
	s := openNotebook(t, syntheticText)
	m := newScreen(t, s, 120, 36)
	p, w := onWire(t, m)
	if first := w.take(); !strings.Contains(first, "etastar") {
		t.Fatalf("nothing was drawn: %q", first)
	}
	for range 3 {
		p.Send(polledMsg{})
		p.Send(changedMsg{})
		p.Send(tea.FocusMsg{})
		p.Send(quietMsg{})
	}
	if got := w.take(); got != "" {
		t.Fatalf("an idle screen wrote %q", got)
	}
}

// TestOneNumberIsFewBytes: what changes goes over the wire, not what stays.
func TestOneNumberIsFewBytes(t *testing.T) {
	s := openNotebook(t, syntheticText)
	m := newScreen(t, s, 120, 36)
	m.moveFocus(-len(m.items)) // prose: no chart is drawn
	p, w := onWire(t, m)
	w.take()
	p.Send(oneNumber(func() { m.items[2].Cell.Progress, m.items[2].Cell.Status = 0.42, 1 }))
	w.take()
	p.Send(oneNumber(func() { m.items[2].Cell.Progress = 0.43 }))
	if got := w.take(); got == "" || len(got) >= 100 {
		t.Errorf("one changed number took %d bytes: %q", len(got), got)
	} else {
		t.Logf("one changed number: %d bytes", len(got))
	}
}

// oneNumber changes a model within its event loop.
func oneNumber(change func()) tea.Msg { return sortedMsg{change} }
