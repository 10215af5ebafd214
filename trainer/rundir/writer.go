package rundir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/etastar/etastar/trainer/atomicfile"
	"github.com/etastar/etastar/trainer/config"
)

// Writer writes one run. It holds the run's lock until Close. One goroutine may use it.
type Writer struct {
	dir     string
	config  config.Run
	command *Command // nil for a run of ours
	release func()
	events  *os.File
	out     io.Writer // events, or what a test puts in between
	torn    bool      // the events may not end at a line's end
	synced  time.Time // when events were last flushed to the disk
	control Control   // the last request given out
	hook    atomicfile.Hook
}

// flushEvery is how much of the events a power failure may take. A kill takes nothing:
// what was written is the system's.
const flushEvery = 5 * time.Second

// Create makes the directory of a run below root/sweep, or opens the one that is there
// for the same config: fresh is false then, and the run is to be resumed or left alone
// as its status says.
func Create(root, sweep string, c config.Run) (w *Writer, fresh bool, err error) {
	if err := checkSweep(sweep); err != nil {
		return nil, false, err
	}
	if err := c.Validate(); err != nil {
		return nil, false, fmt.Errorf("run: %w", err)
	}
	dir := filepath.Join(root, sweep, c.Name())
	if err := os.MkdirAll(filepath.Join(dir, checkpointDir), 0o700); err != nil {
		return nil, false, fmt.Errorf("make run directory: %w", err)
	}
	w, err = locked(dir)
	if err != nil {
		return nil, false, err
	}
	defer func() {
		if err != nil {
			_ = w.Close()
		}
	}()
	if _, err := os.Lstat(filepath.Join(dir, runFile)); errors.Is(err, fs.ErrNotExist) {
		text, err := config.Encode(c)
		if err != nil {
			return nil, false, err
		}
		if err := atomicfile.Write(filepath.Join(dir, runFile), text, nil); err != nil {
			return nil, false, err
		}
		atomicfile.SyncDir(filepath.Dir(dir))
		atomicfile.SyncDir(root)
		fresh = true
	}
	if err := w.begin(); err != nil {
		return nil, false, err
	}
	if w.config.Hash() != c.Hash() {
		return nil, false, fmt.Errorf("%s holds another run than its name says: move it away", dir)
	}
	return w, fresh, nil
}

// Open opens a run to go on with it. A run of a newer version, and one that another
// program has, are refused.
func Open(dir string) (*Writer, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("open run: %w", err)
	}
	if _, err := readAsked(dir); err != nil { // before the lock leaves a file in a folder that is no run
		return nil, fmt.Errorf("open run: %w", err)
	}
	w, err := locked(dir)
	if err != nil {
		return nil, err
	}
	if err := w.begin(); err != nil {
		_ = w.Close()
		return nil, err
	}
	return w, nil
}

func locked(dir string) (*Writer, error) {
	release, err := lock(filepath.Join(dir, lockFile))
	if errors.Is(err, ErrLocked) {
		who := ""
		if s, ok := readStatus(dir); ok && s.PID != 0 {
			who = fmt.Sprintf(" (process %d on %s)", s.PID, s.Host)
		}
		return nil, fmt.Errorf("open run %s: %w%s: watch it, or stop it first", dir, err, who)
	}
	if err != nil {
		return nil, fmt.Errorf("open run %s: lock it: %w", dir, err)
	}
	return &Writer{dir: dir, release: release}, nil
}

// begin reads what is there and cleans up after a killed writer.
func (w *Writer) begin() error {
	a, err := readAsked(w.dir)
	if err != nil {
		return fmt.Errorf("open run: %w", err)
	}
	w.config, w.command = a.config, a.command
	for _, name := range []string{runFile, statusFile} {
		left, _ := filepath.Glob(filepath.Join(w.dir, atomicfile.TempPattern(name)))
		for _, p := range left {
			_ = os.Remove(p)
		}
	}
	w.cleanCheckpoints()
	// A request made of a worker that is gone is not meant for this one.
	_ = os.Remove(filepath.Join(w.dir, controlFile))
	w.events, err = os.OpenFile(filepath.Join(w.dir, eventsFile), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open run: %w", err)
	}
	w.out = w.events
	w.synced = time.Now()
	info, err := w.events.Stat()
	if err != nil {
		return fmt.Errorf("open run: %w", err)
	}
	if n := info.Size(); n > 0 {
		var last [1]byte
		if _, err := w.events.ReadAt(last[:], n-1); err != nil {
			return fmt.Errorf("open run: %w", err)
		}
		w.torn = last[0] != '\n'
	}
	return nil
}

// Dir is the run's directory, Config what was asked for.
func (w *Writer) Dir() string        { return w.dir }
func (w *Writer) Config() config.Run { return w.config }

// Command is what was asked of another program, nil for a run of ours.
func (w *Writer) Command() *Command { return w.command }

// Status is the last status written; ok is false when there is none.
func (w *Writer) Status() (Status, bool) { return readStatus(w.dir) }

// Append writes one event, by a single write call. After a failed one (a full disk) the
// next begins on a line of its own, so nothing but the failed line is lost.
func (w *Writer) Append(e Event) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	buf := make([]byte, 0, len(line)+2)
	if w.torn {
		buf = append(buf, '\n')
	}
	buf = append(append(buf, line...), '\n')
	n, err := w.out.Write(buf)
	switch {
	case n == len(buf):
		w.torn = false
	case n > 0:
		w.torn = true
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Join(w.dir, eventsFile), err)
	}
	if time.Since(w.synced) >= flushEvery {
		return w.Flush()
	}
	return nil
}

// Flush brings the events to the disk itself.
func (w *Writer) Flush() error {
	w.synced = time.Now()
	if err := w.events.Sync(); err != nil {
		return fmt.Errorf("flush %s: %w", filepath.Join(w.dir, eventsFile), err)
	}
	return nil
}

// SetStatus replaces the status; process and heartbeat are filled in. An ended state
// flushes the events first: a run that says it is finished has all of them.
func (w *Writer) SetStatus(s Status) error {
	s.Here()
	if s.State == Queued { // nobody has it yet: who asked may be gone
		s.PID, s.Host, s.Boot, s.Started = 0, "", "", ""
	}
	if s.Heartbeat.IsZero() {
		s.Heartbeat = time.Now()
	}
	s.Heartbeat = s.Heartbeat.UTC().Round(time.Millisecond)
	if s.State.Ended() {
		if err := w.Flush(); err != nil {
			return err
		}
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return atomicfile.Write(filepath.Join(w.dir, statusFile), append(b, '\n'), w.hook)
}

// Close gives the run back. It does not change the status.
func (w *Writer) Close() error {
	var err error
	if w.events != nil {
		err = errors.Join(w.events.Sync(), w.events.Close())
		w.events = nil
	}
	if w.release != nil {
		w.release()
		w.release = nil
	}
	return err
}
