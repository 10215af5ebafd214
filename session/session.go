package session

import (
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/etastar/etastar/session/notebook"
)

// Options controls Open.
type Options struct {
	// ReadOnly never writes the notebook or pictures (etastar check).
	ReadOnly bool
	// Interactive saves on its own and draws pictures to files when the notebook is quiet.
	Interactive bool
	// Example marks the built-in example.
	Example bool
	// Start says that sweeps train at once: nobody waits to hear how long they would take.
	Start bool
	// Worker are the words with which this program is a training worker; nil: worker.
	Worker []string
}

// Session is one open notebook. Its methods may be called from any goroutine;
// one goroutine at a time should edit.
type Session struct {
	options Options

	mu       sync.Mutex
	doc      *notebook.Document
	parser   parser
	graph    *graph
	cache    cache
	jobs     map[string]*job
	lastGood map[string]Value
	answered map[string]answered // beside lastGood
	before   map[string]Value    // predictions before the last edit, by identity
	// cancelled are the hashes a person stopped.
	cancelled map[string]bool
	undo      history
	file      fileState
	version   int
	drawn     map[string]*outcome // what each picture file shows, by statement and file
	closed    bool

	quiet   *sync.Cond
	running sync.WaitGroup
	slots   chan struct{}
	changed chan struct{}
	stop    chan struct{}
}

// New opens a notebook that exists only in memory; dir is where file names start.
func New(text, dir string) *Session {
	s := newSession(Options{ReadOnly: true})
	s.file.path = filepath.Join(dir, "notebook.md")
	s.doc = notebook.Parse(text)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replan()
	return s
}

func newSession(o Options) *Session {
	s := &Session{
		options:   o,
		parser:    parser{known: map[string]parsed{}},
		cache:     cache{byHash: map[string]*cached{}},
		jobs:      map[string]*job{},
		lastGood:  map[string]Value{},
		answered:  map[string]answered{},
		before:    map[string]Value{},
		cancelled: map[string]bool{},
		drawn:     map[string]*outcome{},
		slots:     make(chan struct{}, max(2, runtime.NumCPU())),
		changed:   make(chan struct{}, 1),
		stop:      make(chan struct{}),
	}
	s.quiet = sync.NewCond(&s.mu)
	return s
}

// Open opens the notebook at path, which need not exist yet.
func Open(path string, o Options) (*Session, error) {
	s := newSession(o)
	if err := s.open(path); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.replan()
	s.mu.Unlock()
	if o.Interactive {
		s.running.Add(1)
		go s.keep()
	}
	return s, nil
}

// Close stops every computation, saves an interactive notebook and waits for what it started.
func (s *Session) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	for _, j := range s.jobs {
		j.cancel()
	}
	s.mu.Unlock()
	close(s.stop)
	s.running.Wait()
	if !s.options.Interactive {
		return nil
	}
	return s.Save()
}

func (s *Session) dir() string { return filepath.Dir(s.file.path) }

// notify wakes whoever waits on Changed; notices coalesce.
func (s *Session) notify() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Changed delivers (coalesced) whenever a snapshot would differ: a cell finished,
// progressed, the file was saved or changed on disk.
func (s *Session) Changed() <-chan struct{} { return s.changed }

// answered is what a last good value answers, and what its verb wanted to be known.
type answered struct {
	question string
	notes    []string
}

// Status of a cell.
type Status int

// Cell states.
const (
	Waiting Status = iota // for a cell it uses: see Cell.WaitsFor
	Running
	Done
	Failed
)

// Cell is a snapshot of one statement.
type Cell struct {
	Line     int    // line of the document, from 0
	Number   int    // among statements, from 1
	Text     string // the statement as written
	Name     string // result name; "" for none
	Verb     string
	Uses     []string // names it depends on
	Status   Status
	Value    Value // last good value; nil before the first
	Stale    bool  // Value is not of the present text: failed, waiting or running
	Err      *CellError
	WaitsFor string // name of the cell it waits for
	// Untrained says that it waits for runs of a sweep that are not over: Notes say what
	// is missing.
	Untrained bool
	Notes     []string // what the verb wants to be known (columns taken, runs skipped)
	Progress  float64  // 0…1 while Running, when the verb knows
	Took      time.Duration
}

// CellError is an error on a statement.
type CellError struct {
	Line     int // of the document, from 0
	Col, End int // columns in characters, from 0, End exclusive
	Message  string
	Hint     string // the way out or the nearest valid word; may be ""
	Static   bool   // found without running anything: it does not parse or names something unknown
}

func (e *CellError) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + "; " + e.Hint
}

// Item is what the notebook shows from top to bottom: a run of prose lines or a statement.
type Item struct {
	Line  int      // first line, from 0
	Prose []string // prose, blank and comment lines; nil for a statement
	Fence bool     // the prose lines stand inside a block of statements
	Cell  *Cell
}

// Items returns a snapshot of the notebook. It is cheap.
func (s *Session) Items() []Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	var items []Item
	next := 0
	for i, l := range s.doc.Lines {
		if next < len(s.graph.cells) && s.graph.cells[next].line == i {
			c := s.snapshot(s.graph.cells[next])
			items = append(items, Item{Line: i, Cell: &c})
			next++
			continue
		}
		if l.Kind == notebook.Open || l.Kind == notebook.Close {
			continue
		}
		fence := l.Kind == notebook.Code
		if n := len(items); n > 0 && items[n-1].Cell == nil && items[n-1].Fence == fence && items[n-1].Line+len(items[n-1].Prose) == i {
			items[n-1].Prose = append(items[n-1].Prose, l.Text)
			continue
		}
		items = append(items, Item{Line: i, Prose: []string{l.Text}, Fence: fence})
	}
	return items
}

// Cells returns the statements alone.
func (s *Session) Cells() []Cell {
	s.mu.Lock()
	defer s.mu.Unlock()
	cells := make([]Cell, len(s.graph.cells))
	for i, n := range s.graph.cells {
		cells[i] = s.snapshot(n)
	}
	return cells
}

// snapshot copies what the outside may see of a node. s.mu is held.
func (s *Session) snapshot(n *node) Cell {
	c := Cell{Line: n.line, Number: n.number, Text: n.text, Name: n.name, Value: s.lastGood[n.identity]}
	if n.st != nil {
		c.Verb = n.st.Verb
	}
	for _, e := range n.inputs {
		if e.to.name != "" {
			c.Uses = append(c.Uses, e.to.name)
		}
	}
	if n.err != nil {
		c.Status, c.Err, c.Stale = Failed, n.err, true
		return c
	}
	if n.out != nil {
		c.Notes = n.out.notes
		if e := s.cache.byHash[n.hash]; e != nil {
			c.Took = e.took
		}
		if n.out.err != nil {
			c.Stale = true
			if name, ok := n.untrained(); ok {
				c.Status, c.WaitsFor, c.Untrained = Waiting, name, true
				c.Notes = []string{n.out.err.Error()}
				return c
			}
			err := *n.out.err
			err.Line = n.line
			c.Status, c.Err = Failed, &err
			return c
		}
		c.Status, c.Value = Done, n.out.value
		if n.out.drawErr != nil {
			err := *n.out.drawErr
			err.Line = n.line
			c.Status, c.Err = Failed, &err
		}
		return c
	}
	if a := s.answered[n.identity]; c.Value != nil && n.question != "" && a.question == n.question {
		// Runs got on, nothing else: the value is only a moment old.
		c.Status, c.Notes = Done, a.notes
		return c
	}
	c.Stale = true
	if j := s.jobs[n.hash]; j != nil && n.hash != "" {
		c.Status, c.Progress = Running, j.share()
		return c
	}
	s.snapshotInputs(n, &c)
	return c
}

// snapshotInputs says what a node that cannot run waits for. A statement in
// parentheses shows its error, its progress and its waiting on the line it stands in.
func (s *Session) snapshotInputs(n *node, c *Cell) {
	c.Status = Waiting
	for _, e := range n.inputs {
		if e.to.out != nil && e.to.out.err == nil {
			continue
		}
		if e.ref.value.Kind == 0 || e.to.name != "" {
			c.WaitsFor = e.to.name
			return
		}
		if e.to.out != nil {
			if name, ok := e.to.untrained(); ok {
				c.WaitsFor, c.Untrained, c.Notes = name, true, []string{e.to.out.err.Error()}
				return
			}
			err := *e.to.out.err
			err.Line = n.line
			c.Status, c.Err = Failed, &err
			return
		}
		if j := s.jobs[e.to.hash]; j != nil && e.to.hash != "" {
			c.Status, c.Progress = Running, j.share()
			return
		}
		s.snapshotInputs(e.to, c)
		return
	}
}

// untrained finds a sweep that n uses and that has runs to come: what n lacks may come
// with them.
func (n *node) untrained() (name string, ok bool) {
	for _, e := range n.inputs {
		if v, isSweep := e.to.result().(Sweep); isSweep && v.Over() < len(v.Runs) {
			return e.to.name, true
		}
		if name, ok = e.to.untrained(); ok {
			return name, true
		}
	}
	return "", false
}

// Wait returns when nothing computes or after timeout; true means quiet.
func (s *Session) Wait(timeout time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.jobs) == 0 {
		return true
	}
	deadline := time.Now().Add(timeout)
	wake := time.AfterFunc(timeout, func() {
		s.mu.Lock()
		s.quiet.Broadcast()
		s.mu.Unlock()
	})
	defer wake.Stop()
	for len(s.jobs) > 0 && time.Now().Before(deadline) {
		s.quiet.Wait()
	}
	return len(s.jobs) == 0
}

// Cancel stops the computation of the statement at line; it then shows as failed
// ("cancelled") until Rerun.
func (s *Session) Cancel(line int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.family(line) {
		if j := s.jobs[n.hash]; j != nil {
			s.cancelled[n.hash] = true
			j.cancel()
		}
	}
}

// Rerun computes the statement at line anew, and with it what it uses that had failed.
func (s *Session) Rerun(line int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.family(line) {
		if s.jobs[n.hash] == nil {
			delete(s.cache.byHash, n.hash)
		}
	}
	s.replan()
}

// family is the statement at line with the statements in parentheses in it.
func (s *Session) family(line int) []*node {
	var out []*node
	for _, n := range s.graph.order {
		if n.line == line && n.hash != "" {
			out = append(out, n)
		}
	}
	return out
}

// Answer is the what-if line: a prediction and what it was before the last edit.
type Answer struct {
	Cell   Cell
	Before Value // when it moved; nil else
}

// Answer returns what the bottom of the screen shows for the statement focused at
// line: that prediction, else the first that depends on it, else the last of the notebook.
func (s *Session) Answer(line int) (Answer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var last, dependant, focused *node
	for _, n := range s.graph.cells {
		if n.st == nil || n.bound == nil || n.bound.verb.Result != "prediction" {
			continue
		}
		if last == nil || n.result() != nil || last.result() == nil {
			last = n // rather one that has an answer
		}
		if n.line == line {
			focused = n
		}
		if dependant == nil && n.dependsOn(line, map[*node]bool{}) {
			dependant = n
		}
	}
	for _, n := range []*node{focused, dependant, last} {
		if n == nil {
			continue
		}
		a := Answer{Cell: s.snapshot(n)}
		if b, ok := s.before[n.identity]; ok && b != a.Cell.Value {
			a.Before = b
		}
		return a, true
	}
	return Answer{}, false
}

func (n *node) dependsOn(line int, seen map[*node]bool) bool {
	if seen[n] {
		return false
	}
	seen[n] = true
	for _, e := range n.inputs {
		if e.to.line == line || e.to.dependsOn(line, seen) {
			return true
		}
	}
	return false
}

// Text returns the document as it would be saved.
func (s *Session) Text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.doc.String()
}

// StateDir is where the example lives: $XDG_STATE_HOME/etastar.
func StateDir() string {
	if d := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "etastar")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = os.TempDir()
	}
	return filepath.Join(home, ".local", "state", "etastar")
}
