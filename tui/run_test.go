//go:build unix

package tui

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
	"go.uber.org/goleak"

	"github.com/etastar/etastar/session"
)

// onTerminal runs the whole screen on a pseudo-terminal. The master is read all
// the time, as a terminal does; what it showed is in seen.
func onTerminal(t *testing.T, s *session.Session) (master *os.File, seen *wire, done chan error) {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Skip("no pseudo-terminal:", err)
	}
	if err := pty.Setsize(master, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
		t.Fatal(err)
	}
	seen = &wire{}
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = io.Copy(seen, master) })
	done = make(chan error, 1)
	go func() {
		done <- Run(context.Background(), s, Options{In: slave, Out: slave, Env: []string{"TERM=xterm-256color"}})
		_ = slave.Close()
	}()
	t.Cleanup(func() { _ = slave.Close(); _ = master.Close(); reading.Wait() })
	waitFor(t, seen, "η*(7B, 140B)")
	return master, seen, done
}

// waitFor waits until text was written.
func waitFor(t *testing.T, w *wire, text string) {
	t.Helper()
	waitUntil(t, w, text, func(s string) bool { return strings.Contains(s, text) })
}

// waitShown waits until text stands on the screen that the bytes make.
func waitShown(t *testing.T, w *wire, text string) {
	t.Helper()
	waitUntil(t, w, text, func(s string) bool {
		e := vt.NewEmulator(80, 24)
		// It would wait for someone to read its answers.
		_, _ = e.WriteString(strings.NewReplacer("\x1b[?2026$p", "", "\x1b[?2027$p", "", "\x1b]11;?\a", "", "\x1b[?u", "").Replace(s))
		return strings.Contains(e.String(), text)
	})
}

func waitUntil(t *testing.T, w *wire, what string, ok func(string) bool) {
	t.Helper()
	for range 400 {
		w.mu.Lock()
		s := w.buf.String()
		w.mu.Unlock()
		if ok(s) {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("%q never came", what)
}

// outcome is what Run returned.
func outcome(t *testing.T, done chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("Run does not return")
		return nil
	}
}

// TestQuitRestores: q saves, leaves the alternate screen, and nothing goes on.
func TestQuitRestores(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s := openNotebook(t, syntheticText)
	master, seen, done := onTerminal(t, s)
	_, _ = master.WriteString("\x1b[C")
	waitShown(t, seen, "window=3")
	_, _ = master.WriteString("q")
	if err := outcome(t, done); err != nil {
		t.Fatal(err)
	}
	waitFor(t, seen, "\x1b[?1049l")
	for _, undo := range []string{"\x1b[?25h", "\x1b[?1002l", "\x1b[?2004l"} {
		waitFor(t, seen, undo)
	}
	saved, err := os.ReadFile(s.File().Path)
	if err != nil || !bytes.Contains(saved, []byte("window=3")) {
		t.Fatalf("not saved: %v\n%s", err, saved)
	}
	_ = master.Close()
}

// TestHangupSaves: SIGHUP saves and ends.
func TestHangupSaves(t *testing.T) {
	s := openNotebook(t, syntheticText)
	master, seen, done := onTerminal(t, s)
	_, _ = master.WriteString("\x1b[C")
	waitShown(t, seen, "window=3")
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if err := outcome(t, done); err == nil || !strings.Contains(err.Error(), "hangup") {
		t.Fatal("ended with", err)
	}
	if saved, _ := os.ReadFile(s.File().Path); !bytes.Contains(saved, []byte("window=3")) {
		t.Fatalf("not saved:\n%s", saved)
	}
}

// TestTerminalGone: the terminal closes without a signal (EIO); the screen saves and ends.
func TestTerminalGone(t *testing.T) {
	s := openNotebook(t, syntheticText)
	master, seen, done := onTerminal(t, s)
	_, _ = master.WriteString("\x1b[C")
	waitShown(t, seen, "window=3")
	_ = master.Close()
	if err := outcome(t, done); err == nil {
		t.Fatal("ended without a word")
	}
	if saved, _ := os.ReadFile(s.File().Path); !bytes.Contains(saved, []byte("window=3")) {
		t.Fatalf("not saved:\n%s", saved)
	}
}

// TestDumbTerminal: no screen where none can be shown.
func TestDumbTerminal(t *testing.T) {
	s := openNotebook(t, syntheticText)
	var out bytes.Buffer
	err := Run(context.Background(), s, Options{In: strings.NewReader(""), Out: &out, Env: []string{"TERM=dumb"}})
	if !errors.Is(err, ErrNoScreen) || out.Len() > 0 {
		t.Fatalf("%v, wrote %q", err, out.String())
	}
}

// TestContextEnds: Run returns when its context does.
func TestContextEnds(t *testing.T) {
	s := openNotebook(t, syntheticText)
	in, typing := io.Pipe()
	defer func() { _ = typing.Close() }()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	w := &wire{}
	go func() { done <- Run(ctx, s, Options{In: in, Out: w, Env: []string{"TERM=xterm", "NO_COLOR=1"}}) }()
	waitFor(t, w, "etastar")
	if s := w.take(); strings.Contains(s, "38;5") {
		t.Errorf("colours under NO_COLOR: %q", s)
	}
	cancel()
	if err := outcome(t, done); !errors.Is(err, context.Canceled) {
		t.Fatal("ended with", err)
	}
}

// blocked is a terminal that takes nothing, as one behind a dead network does.
type blocked struct{ open chan struct{} }

func (b blocked) Write(p []byte) (int, error) {
	<-b.open
	return len(p), nil
}

// TestBlockedTerminal: a terminal that no one reads does not keep the program, and the work is saved.
func TestBlockedTerminal(t *testing.T) {
	s := openNotebook(t, syntheticText)
	s.SetLine(s.Cells()[1].Line, "curves = curves runs by=N,D window=3")
	in, typing := io.Pipe()
	defer func() { _ = typing.Close() }()
	out := blocked{make(chan struct{})}
	defer close(out.open)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, s, Options{In: in, Out: out, Env: []string{"TERM=xterm"}}) }()
	time.Sleep(100 * time.Millisecond) // into the first write
	cancel()
	if err := outcome(t, done); !errors.Is(err, context.Canceled) {
		t.Fatal("ended with", err)
	}
	if saved, _ := os.ReadFile(s.File().Path); !bytes.Contains(saved, []byte("window=3")) {
		t.Fatalf("not saved:\n%s", saved)
	}
}
