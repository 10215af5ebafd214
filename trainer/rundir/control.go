package rundir

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/etastar/etastar/trainer/atomicfile"
)

// Request is what another program can ask of a worker.
type Request string

// Requests.
const (
	Pause  Request = "pause"
	Resume Request = "resume"
	Stop   Request = "stop"
)

// Control is control.json: the last request made. A later one replaces it.
type Control struct {
	Request Request   `json:"request"`
	Time    time.Time `json:"time"`
	By      string    `json:"by,omitempty"` // who asks, for the log
	PID     int       `json:"pid"`
}

// Ask leaves a request for the worker that trains a run. It does not wait for it. A run
// without a living worker is refused: nobody would read the request, and the next
// worker must not obey it.
func Ask(dir string, r Request, by string) error {
	if r != Pause && r != Resume && r != Stop {
		return fmt.Errorf("ask %q of a run: only %s, %s and %s can be asked", r, Pause, Resume, Stop)
	}
	if _, err := readAsked(dir); err != nil {
		return fmt.Errorf("%s a run: %w", r, err)
	}
	s, ok := readStatus(dir)
	if s, _ := s.Settle(time.Now()); !ok || s.State.Ended() {
		if !ok {
			s.State = "not started"
		}
		return fmt.Errorf("%s %s: it is %s, so there is nothing to %s", r, dir, s.State, r)
	}
	b, err := json.Marshal(Control{Request: r, Time: time.Now().UTC(), By: by, PID: os.Getpid()})
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, controlFile), append(b, '\n'), nil)
}

// Control returns the request that stands, and whether it is new since the last call.
// Workers poll it between steps. A damaged file is no request.
func (w *Writer) Control() (c Control, fresh bool) {
	b, err := readSmall(filepath.Join(w.dir, controlFile))
	if err != nil || json.Unmarshal(b, &c) != nil || c.Request == "" {
		return w.control, false
	}
	fresh = c != w.control
	w.control = c
	return c, fresh
}

// errNoCheckpoint is wrapped when there is none to go on from.
var errNoCheckpoint = errors.New("there is no checkpoint")
