package headless

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/export"
)

// closeTime is how long an interrupted run waits for computations to notice; a
// process that ends takes the rest with it.
const closeTime = time.Second

// notebook is one open notebook and where it reports to.
type notebook struct {
	path string // as given: messages begin with it
	err  io.Writer
	s    *session.Session
}

// open opens a notebook and starts computing; the code is Environment if it cannot be read.
func open(path string, o session.Options, err io.Writer) (*notebook, int) {
	s, failure := session.Open(path, o)
	if failure != nil {
		say(err, failure.Error())
		return nil, Environment
	}
	return &notebook{path: path, err: err, s: s}, OK
}

// say writes a message of the program on a line of the error stream.
func say(w io.Writer, message string) {
	fmt.Fprintln(w, "etastar: "+export.Clean(message))
}

// close stops what computes. It returns before everything has stopped if that takes long.
func (n *notebook) close() {
	done := make(chan struct{})
	go func() {
		_ = n.s.Close() // a session that is not interactive saves nothing
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(closeTime):
	}
}

// wait returns when the notebook is quiet, the timeout (0: none) is over or ctx
// ends; interrupted says the latter. On a terminal it tells what computes.
func (n *notebook) wait(ctx context.Context, timeout time.Duration) (interrupted bool) {
	var over <-chan time.Time
	if timeout > 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		over = t.C
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	p := newProgress(n.err)
	defer p.clear()
	for {
		if ctx.Err() != nil {
			return true
		}
		if n.s.Wait(0) {
			return false
		}
		select {
		case <-ctx.Done():
			return true
		case <-over:
			return false
		case <-n.s.Changed():
		case <-tick.C:
			p.show(n.s)
		}
	}
}

// judge reports what failed on the error stream and returns the exit code. Cells
// that wait for one that failed are not reported: the cause is.
func (n *notebook) judge() int {
	code := OK
	for _, c := range n.s.Cells() {
		at, message := 1, ""
		switch c.Status {
		case session.Failed:
			code = worse(code, Failed)
			if c.Err == nil {
				message = "failed"
				break
			}
			at, message = c.Err.Col+1, c.Err.Error()
			if c.Err.Static {
				code = worse(code, Usage)
			}
		case session.Running:
			code, message = worse(code, Failed), "not finished when time ran out"
		case session.Waiting:
			code = worse(code, Failed)
			if !c.Untrained {
				continue
			}
			message = "waits for runs that are not over; etastar run --start trains them"
			if c.WaitsFor != "" {
				message = "waits for the runs of " + c.WaitsFor + "; etastar run --start trains them"
			}
		case session.Done:
			switch v := c.Value.(type) {
			case session.Expectation:
				if !v.Met {
					code, message = worse(code, Unmet), "expectation not met: "+v.Path+": "+v.Said
				}
			case session.Sweep:
				if message = v.Failed(); message != "" {
					code = worse(code, Failed)
				}
			}
			if message == "" {
				continue
			}
		}
		complain(n.err, n.path, c.Line, at, message)
	}
	return code
}

// complain writes a message about a place of the notebook; line is from 0, col from 1.
func complain(w io.Writer, path string, line, col int, message string) {
	fmt.Fprintf(w, "%s:%d:%d: %s\n", export.Clean(path), line+1, col, export.Clean(message))
}
