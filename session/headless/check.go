package headless

import (
	"context"
	"io"

	"github.com/etastar/etastar/session"
)

// Check parses a notebook and resolves its names without running any statement.
type Check struct {
	Path     string
	Out, Err io.Writer
}

// Do checks the notebook, reports every mistake and returns the exit code. It
// writes nothing to Out: a check has no data.
func (c Check) Do(ctx context.Context) int {
	if ctx.Err() != nil {
		say(c.Err, "interrupted")
		return Failed
	}
	found, err := session.Lint(c.Path)
	if err != nil {
		say(c.Err, err.Error())
		return Environment
	}
	for i := range found {
		e := &found[i]
		complain(c.Err, c.Path, e.Line, e.Col+1, e.Error())
	}
	if len(found) > 0 {
		return Usage
	}
	return OK
}
