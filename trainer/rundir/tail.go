package rundir

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Tail follows the events of a run from where it last looked. It does not fail on
// damage: a bad line is counted and left out, and a file that was replaced or became
// shorter is read from its beginning. One goroutine may use it.
type Tail struct {
	path   string
	offset int64
	file   os.FileInfo // of the file read last
	long   bool        // inside a line too long to be an event
	bad    int
	buf    []byte
}

// NewTail follows the run in dir, which need not be there yet.
func NewTail(dir string) *Tail { return &Tail{path: filepath.Join(dir, eventsFile)} }

// Bad is the number of lines left out so far. A killed worker leaves one at most.
func (t *Tail) Bad() int { return t.bad }

// pollSize is how much one Poll reads, so that the caller gets to do other things
// between, and the longest line taken for an event.
const pollSize = 1 << 20

// Poll returns the events that have come since, as many as about a megabyte holds; more
// says that there are others already. restarted says that what was read before is no
// longer the file: drop it. A line without its end waits for it. The error is one of
// reading; a file that is not there yet is none.
func (t *Tail) Poll() (events []Event, more, restarted bool, err error) {
	f, err := os.Open(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		if t.file != nil {
			restarted = t.restart()
		}
		return nil, false, restarted, nil
	}
	if err != nil {
		return nil, false, false, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, false, false, err
	}
	if t.file != nil && (!os.SameFile(t.file, info) || info.Size() < t.offset) {
		restarted = t.restart()
	}
	t.file = info
	if info.Size() == t.offset {
		return nil, false, restarted, nil
	}
	for {
		size := min(info.Size()-t.offset, pollSize)
		if int64(len(t.buf)) < size {
			t.buf = make([]byte, size)
		}
		b := t.buf[:size]
		n, err := f.ReadAt(b, t.offset)
		if err != nil && !errors.Is(err, io.EOF) {
			return events, false, restarted, err
		}
		b = b[:n]
		if t.long {
			end := bytes.IndexByte(b, '\n')
			if end < 0 {
				t.offset += int64(n)
				return events, t.offset < info.Size() && n > 0, restarted, nil
			}
			t.long = false
			t.offset += int64(end) + 1
			b = b[end+1:]
		}
		last := bytes.LastIndexByte(b, '\n')
		if last >= 0 {
			t.offset += int64(last) + 1
			return t.lines(events, b[:last]), n == pollSize && t.offset < info.Size(), restarted, nil
		}
		if len(b) < pollSize {
			return events, false, restarted, nil // an unfinished line
		}
		// A line longer than we read at a time is no event of ours.
		t.long = true
		t.bad++
		t.offset += int64(len(b))
	}
}

func (t *Tail) lines(events []Event, b []byte) []Event {
	for line := range bytes.SplitSeq(b, []byte{'\n'}) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		e, err := parseEvent(line)
		if err != nil {
			t.bad++
			continue
		}
		events = append(events, e)
	}
	return events
}

// restart goes back to the beginning.
func (t *Tail) restart() bool {
	t.offset, t.long, t.bad, t.file = 0, false, 0, nil
	return true
}

// EventsFile is the path of a run's log.
func EventsFile(dir string) string { return filepath.Join(dir, eventsFile) }

// ReadEvents reads all events of a run, with repeated steps merged, and the number of
// bad lines.
func ReadEvents(dir string) (all []Event, bad int, err error) {
	t := NewTail(dir)
	for {
		events, more, restarted, err := t.Poll()
		if restarted {
			all = all[:0]
		}
		all = Merge(all, events)
		if err != nil || !more {
			return all, t.Bad(), err
		}
	}
}
