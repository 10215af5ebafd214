// Package rundir is the run directory: what the trainer writes and everything else only
// reads.
//
//	runs/<sweep>/<run>/
//	  run.json        what was asked for; never changes
//	  events.jsonl    append-only, one JSON object a line, each written by one write call
//	  status.json     replaced atomically
//	  control.json    what another program asks of the worker, replaced atomically
//	  checkpoints/    step-000100/, written aside, flushed and renamed
//	  worker.log      what the worker had to say
//	  lock            locked while a program trains the run
//
// A Writer holds the lock. It may be killed between any two instructions: what was
// finished stays, and a Reader never fails on what it finds. Files are for their owner
// alone. The package knows the records, not what training means.
package rundir

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
)

// Names inside a run directory.
const (
	runFile       = "run.json"
	eventsFile    = "events.jsonl"
	statusFile    = "status.json"
	controlFile   = "control.json"
	checkpointDir = "checkpoints"
	logFile       = "worker.log"
	lockFile      = "lock"
)

// ErrLocked means that another program has the run.
var ErrLocked = errors.New("another program is training this run")

var goodName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// checkSweep refuses names that are no plain folder names.
func checkSweep(name string) error {
	if !goodName.MatchString(name) {
		return fmt.Errorf("sweep name %q: use letters, digits, dots, dashes and underscores, beginning with a letter or digit", name)
	}
	return nil
}

// LogPath is the file for a worker's own output.
func LogPath(dir string) string { return filepath.Join(dir, logFile) }
