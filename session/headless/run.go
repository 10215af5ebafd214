package headless

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/export"
)

// Run computes a notebook, writes the pictures that it names, and prints a report
// or, with JSON, the object of [export.JSON].
type Run struct {
	Path     string
	JSON     bool
	Out, Err io.Writer
	Timeout  time.Duration // 0: none
	Start    bool          // train the sweeps of the notebook first, and wait for them
	Width    int           // of the report; 0: the terminal's, elsewhere no limit
}

// Do runs the notebook and returns the exit code. When ctx ends first it prints
// nothing and returns Failed.
func (r Run) Do(ctx context.Context) int {
	n, code := open(r.Path, session.Options{Start: r.Start}, r.Err)
	if n == nil {
		return code
	}
	defer n.close()
	if n.wait(ctx, r.Timeout) {
		say(r.Err, "interrupted")
		return Failed
	}
	if r.Start {
		if err := n.s.StartAll(ctx, func(what string) { say(r.Err, what) }); err != nil {
			if ctx.Err() != nil {
				say(r.Err, "interrupted; training goes on in the background")
				return Failed
			}
			say(r.Err, err.Error())
			return Environment
		}
	}
	if err := n.s.DrawPictures(); err != nil && unwritable(err) {
		code = Environment // the error itself shows on its statement
	}
	var err error
	if r.JSON {
		err = export.JSON(r.Out, n.s)
	} else {
		width := r.Width
		if width == 0 {
			width = columns(r.Out)
		}
		err = export.Text(r.Out, n.s, width)
	}
	if err != nil {
		say(r.Err, err.Error())
		code = Environment
	}
	return worse(code, n.judge())
}

// unwritable tells a file that cannot be written from a picture that cannot be drawn.
func unwritable(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	return errors.As(err, &path) || errors.As(err, &link)
}
