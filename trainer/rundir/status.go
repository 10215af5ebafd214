package rundir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/etastar/etastar/trainer/config"
)

// State is what a run is doing.
type State string

// States. Interrupted is what a worker writes when its device fails, and what a reader
// finds: the run says it is alive, and its process is gone.
const (
	Queued      State = "queued"
	Running     State = "running"
	Paused      State = "paused"
	Finished    State = "finished" // trained to its horizon
	Diverged    State = "diverged"
	Stopped     State = "stopped" // by request, or by the early-stop rule; Reason says which
	Failed      State = "failed"
	Interrupted State = "interrupted"
)

// Ended reports whether a state is final: the process is not expected to go on.
func (s State) Ended() bool {
	switch s {
	case Queued, Running, Paused:
		return false
	}
	return true
}

// Best is the best validation so far.
type Best struct {
	Step int64  `json:"step"`
	Val  Number `json:"val"`
	SE   Number `json:"se,omitzero"`
}

// Status is status.json.
type Status struct {
	Version    int       `json:"version"`
	State      State     `json:"state"`
	PID        int       `json:"pid,omitzero"`
	Host       string    `json:"host,omitempty"`
	Boot       string    `json:"boot_id,omitempty"`    // of the host; tells a process id from one before a restart
	Started    string    `json:"proc_start,omitempty"` // of the process, as the system gives it; tells a reused id
	Job        string    `json:"job,omitempty"`        // of a scheduler
	Heartbeat  time.Time `json:"heartbeat"`
	Step       int64     `json:"step"`
	Steps      int64     `json:"steps"` // at the horizon
	Tokens     int64     `json:"tokens"`
	Loss       Number    `json:"loss,omitzero"`
	Val        Number    `json:"val,omitzero"` // the last one
	ValSE      Number    `json:"val_se,omitzero"`
	Best       *Best     `json:"best,omitempty"`
	Rate       Number    `json:"tokens_per_s,omitzero"`
	Elapsed    Number    `json:"elapsed_s,omitzero"`
	Reason     string    `json:"reason,omitempty"` // why it ended, or what it waits for
	Resumable  bool      `json:"resumable"`
	Checkpoint int64     `json:"checkpoint,omitzero"` // step of the last checkpoint
	Device     string    `json:"device,omitempty"`
	Card       *Card     `json:"card,omitempty"` // the GPU it trains on, while it does
}

// Card is the state of a GPU; a value that it does not tell is −1.
type Card struct {
	Busy    int     `json:"busy"` // percent of the time
	Used    int64   `json:"used"` // bytes, of all processes
	Total   int64   `json:"total"`
	Watts   float64 `json:"watts"`
	Celsius int     `json:"celsius"`
	Others  int     `json:"others,omitzero"` // processes of others on it
}

// Here fills in the process that writes the status.
func (s *Status) Here() {
	s.Version = config.Version
	s.PID = os.Getpid()
	s.Host, _ = os.Hostname()
	s.Boot = bootID()
	s.Started, _ = processStart(s.PID)
}

// StaleAfter is the age of a heartbeat beyond which a run is no longer believed to be
// alive when its process cannot be looked at. Workers should beat at least every tenth
// of it.
const StaleAfter = 2 * time.Minute

// Settle turns what a status says into what is the case now: a run that says it is
// alive and whose process is gone is Interrupted, with the reason. stale is set when
// its process is there, or on another host, and has not been heard of for StaleAfter.
func (s Status) Settle(now time.Time) (_ Status, stale bool) {
	if s.State.Ended() || s.State == Interrupted || s.State == Queued && s.PID == 0 {
		return s, false
	}
	interrupted := func(why string) (Status, bool) {
		s.State, s.Reason = Interrupted, why
		return s, false
	}
	host, _ := os.Hostname()
	if s.Host == host && s.PID != 0 { // someone else's trainer may not say its process
		if boot := bootID(); boot != "" && s.Boot != "" && boot != s.Boot {
			return interrupted("the machine was restarted")
		}
		start, known := processStart(s.PID)
		switch {
		case known && start == "":
			return interrupted(fmt.Sprintf("its process %d is gone", s.PID))
		case known && s.Started != "" && start != s.Started:
			return interrupted(fmt.Sprintf("its process %d is gone (another one has its number)", s.PID))
		}
	}
	return s, now.Sub(s.Heartbeat) > StaleAfter
}

// readStatus reads a status; ok is false when there is none that can be read.
func readStatus(dir string) (s Status, ok bool) {
	b, err := readSmall(filepath.Join(dir, statusFile))
	if err != nil {
		return Status{}, false
	}
	if json.Unmarshal(b, &s) != nil || s.State == "" {
		return Status{}, false
	}
	return s, true
}

// maxSmall bounds the files that are read whole.
const maxSmall = 1 << 20

func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxSmall {
		return nil, fmt.Errorf("%s: %w", path, errNotOurs)
	}
	return os.ReadFile(path)
}

var errNotOurs = errors.New("not a file of a run directory")

// asked is run.json: a config, or a command of another program.
type asked struct {
	config  config.Run
	command *Command
	unknown []string
}

// readAsked reads run.json.
func readAsked(dir string) (asked, error) {
	b, err := readSmall(filepath.Join(dir, runFile))
	if errors.Is(err, fs.ErrNotExist) {
		return asked{}, fmt.Errorf("%s is no run directory: it has no %s", dir, runFile)
	}
	if err != nil {
		return asked{}, fmt.Errorf("read run: %w", err)
	}
	var a asked
	if a.command, err = decodeCommand(b); err == nil && a.command == nil {
		a.config, a.unknown, err = config.Decode(b)
	}
	if err != nil {
		return asked{}, fmt.Errorf("%s: %w", dir, err)
	}
	return a, nil
}
