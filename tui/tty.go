package tui

import (
	"io"
	"os"
	"sync"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// syncOutput tells Bubble Tea that the terminal takes synchronized output. It
// does not ask over SSH, where most people run this; a terminal that does not
// know the mode ignores it.
func syncOutput() tea.Msg {
	return tea.ModeReportMsg{Mode: ansi.ModeSynchronizedOutput, Value: ansi.ModeReset}
}

// hangup is told once when the terminal is gone: reading or writing failed.
type hangup struct {
	once sync.Once
	gone chan struct{}
}

func newHangup() *hangup { return &hangup{gone: make(chan struct{})} }

func (h *hangup) tell() { h.once.Do(func() { close(h.gone) }) }

// ttyFile is a terminal that tells of its end. Bubble Tea ignores failed
// writes and an input that ends; without this the program would live on
// unseen after its terminal closed.
type ttyFile struct {
	*os.File
	h *hangup
}

// Read reads and tells when there is nothing more to come.
func (f ttyFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	if err != nil {
		f.h.tell()
	}
	return n, err
}

// Write writes and tells when the terminal does not take it.
func (f ttyFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	if err != nil {
		f.h.tell()
	}
	return n, err
}

// stream is ttyFile for readers and writers that are no files.
type stream struct {
	r io.Reader
	w io.Writer
	h *hangup
}

func (s stream) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil {
		s.h.tell()
	}
	return n, err
}

func (s stream) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if err != nil {
		s.h.tell()
	}
	return n, err
}

func watchIn(r io.Reader, h *hangup) io.Reader {
	if f, ok := r.(*os.File); ok {
		return ttyFile{f, h}
	}
	return stream{r: r, h: h}
}

func watchOut(w io.Writer, h *hangup) io.Writer {
	if f, ok := w.(*os.File); ok {
		return ttyFile{f, h}
	}
	return stream{w: w, h: h}
}
