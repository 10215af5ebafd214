package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	uv "github.com/charmbracelet/ultraviolet"

	"github.com/etastar/etastar/session"
)

// Options says where the screen is and how it looks. The zero value is the
// terminal of the process, with colours after its background.
type Options struct {
	Theme string    // "auto" (or ""), "dark", "light", "none"
	In    io.Reader // nil: standard input
	Out   io.Writer // nil: standard output
	Env   []string  // nil: os.Environ()

	history  []string             // of the prompt, from before
	remember func([]string) error // keeps what is typed now; nil: nobody does
}

// ErrNoScreen is returned when the terminal cannot show a screen.
var ErrNoScreen = errors.New(`TERM=dumb cannot show a screen; "etastar run notebook.md" works without one`)

// patience is how long a dead or blocked terminal is waited for on the way out.
const patience = 2 * time.Second

// Run shows s until the person quits, ctx ends, the terminal goes away, or the
// process is told to end (SIGHUP, SIGTERM, SIGINT). It closes s on every way
// out, which saves it, and returns why closing or the screen failed.
func Run(ctx context.Context, s *session.Session, o Options) error {
	o.history = session.ReadHistory()
	o.remember = session.AddHistory
	return show(ctx, s, s.Close, o)
}

// show runs the screen over nb and calls save once at the end: before anything
// touches a terminal that may be gone.
func show(ctx context.Context, nb notebook, save func() error, o Options) error {
	env := o.Env
	if env == nil {
		env = os.Environ()
	}
	var once sync.Once
	var saveErr error
	closeOnce := func() error {
		once.Do(func() { saveErr = save() })
		return saveErr
	}
	vars := uv.Environ(env)
	if vars.Getenv("TERM") == "dumb" {
		return errors.Join(ErrNoScreen, closeOnce())
	}
	theme := o.Theme
	if theme == "" {
		theme = "auto"
	}
	if vars.Getenv("NO_COLOR") != "" {
		theme = "none"
	}
	in, out := o.In, o.Out
	if in == nil {
		in = os.Stdin
	}
	if out == nil {
		out = os.Stdout
	}
	// The program has a context of its own: when the caller's ends, it is first
	// asked to leave in order.
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	gone := newHangup()
	model := newModel(own, nb, theme, true)
	model.hist.lines = slices.Clip(o.history)
	remember := func() error { // once the screen has ended
		if o.remember == nil {
			return nil
		}
		return o.remember(model.hist.lines[len(o.history):])
	}
	p := tea.NewProgram(model, tea.WithContext(own), tea.WithEnvironment(env), tea.WithoutSignalHandler(),
		tea.WithInput(watchIn(in, gone)), tea.WithOutput(watchOut(out, gone)))

	sigs := make(chan os.Signal, 1)
	signal.Notify(sigs, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(sigs)

	done := make(chan error, 1)
	go func() {
		_, err := p.Run()
		done <- err
	}()

	var why error
	select {
	case err := <-done:
		return errors.Join(ended(model, err, closeOnce()), remember())
	case sig := <-sigs:
		why = fmt.Errorf("ended by %v", sig)
	case <-gone.gone:
		why = errors.New("the terminal went away")
	case <-ctx.Done():
		why = ctx.Err()
	}
	// The work first, then the manners.
	saved := closeOnce()
	go p.Quit()
	select {
	case err := <-done:
		why = errors.Join(why, err, remember())
	case <-time.After(patience): // a terminal that no one reads blocks writes for good
	}
	return errors.Join(why, saved)
}

// ended says how a screen that ended by itself came out.
func ended(m *Model, err, saved error) error {
	if m.quitting {
		err = nil
	}
	if m.unsaved {
		saved = nil
	}
	return errors.Join(err, saved)
}
