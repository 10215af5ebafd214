package session

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/etastar/etastar/session/language"
	"github.com/etastar/etastar/session/table"
)

// job is a node being computed. It outlives the graph it was started for as long
// as a later graph wants the same hash: an edit elsewhere does not restart a long load.
type job struct {
	hash        string
	cancel      context.CancelFunc
	started     time.Time
	mu          sync.Mutex
	done, total int64
}

func (j *job) share() float64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.total <= 0 {
		return 0
	}
	return float64(j.done) / float64(j.total)
}

// cacheSize is how many results no statement asks for any more are kept, so that
// turning a knob back costs nothing. bigTable are the cells above which a table is not among them.
const (
	cacheSize = 128
	bigTable  = 2_000_000
)

// cache holds outcomes by content hash, the least recently used last out.
type cache struct {
	byHash map[string]*cached
	clock  int
}

type cached struct {
	out  *outcome
	used int
	took time.Duration
}

func (c *cache) get(hash string) *cached {
	e := c.byHash[hash]
	if e != nil {
		c.clock++
		e.used = c.clock
	}
	return e
}

func (c *cache) put(hash string, out *outcome, took time.Duration) {
	c.clock++
	c.byHash[hash] = &cached{out: out, used: c.clock, took: took}
}

// trim drops what the graph does not want beyond cacheSize, oldest first.
func (c *cache) trim(wanted map[string]bool) {
	for len(c.byHash) > 0 {
		oldest, idle := "", 0
		for h, e := range c.byHash {
			if wanted[h] {
				continue
			}
			if t, ok := e.out.value.(Table); ok && t.Rows*len(t.Columns) > bigTable {
				delete(c.byHash, h)
				continue
			}
			idle++
			if oldest == "" || e.used < c.byHash[oldest].used {
				oldest = h
			}
		}
		if idle <= cacheSize {
			return
		}
		delete(c.byHash, oldest)
	}
}

// replan builds the dataflow of the present text, stops what no cell wants any
// more and starts what can run. s.mu is held.
func (s *Session) replan() {
	if s.closed {
		return
	}
	s.graph = s.parser.plan(s.doc, s.dir())
	wanted := map[string]bool{}
	for _, n := range s.graph.order {
		wanted[n.hash] = true
	}
	for hash, j := range s.jobs {
		if !wanted[hash] {
			j.cancel()
		}
	}
	s.cache.trim(wanted)
	s.advance()
}

// advance takes in finished results and starts every node whose inputs are there. s.mu is held.
func (s *Session) advance() {
	for _, n := range s.graph.order {
		if n.out != nil {
			continue
		}
		if e := s.cache.get(n.hash); e != nil {
			n.out = e.out
			if n.out.err == nil && n.identity != "" {
				s.lastGood[n.identity], s.answered[n.identity] = n.out.value, answered{n.question, n.out.notes}
			}
			continue
		}
		if s.jobs[n.hash] == nil && n.ready() {
			s.start(n)
		}
	}
	if len(s.jobs) == 0 {
		s.quiet.Broadcast()
	}
	s.version++
	s.notify()
}

// ready reports whether every input of n has a value.
func (n *node) ready() bool {
	for _, e := range n.inputs {
		if e.to.out == nil || e.to.out.err != nil {
			return false
		}
	}
	return true
}

// start runs n on a goroutine that Close waits for. s.mu is held.
func (s *Session) start(n *node) {
	ctx, cancel := context.WithCancel(context.Background())
	j := &job{hash: n.hash, cancel: cancel, started: time.Now()}
	s.jobs[n.hash] = j
	c := n.call(s.dir())
	c.Ctx = ctx
	c.inputs, c.refs = map[string][]Value{}, map[string]Value{}
	for _, e := range n.inputs {
		if e.ref.param == nil {
			c.refs[e.to.name] = e.to.out.value
			continue
		}
		c.inputs[e.ref.param.Name] = append(c.inputs[e.ref.param.Name], e.to.out.value)
	}
	c.worker, c.start = s.options.Worker, s.options.Start
	c.progress = func(done, total int64) {
		j.mu.Lock()
		j.done, j.total = done, total
		j.mu.Unlock()
		s.notify()
	}
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		defer cancel()
		s.slots <- struct{}{}
		out := n.evaluate(c)
		<-s.slots
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.jobs, n.hash)
		if ctx.Err() == nil {
			s.cache.put(n.hash, out, time.Since(j.started))
		} else if s.cancelled[n.hash] {
			delete(s.cancelled, n.hash)
			s.cache.put(n.hash, &outcome{err: &CellError{Message: "cancelled", Hint: "run it again when you want it"}}, time.Since(j.started))
		}
		if !s.closed {
			s.advance()
		}
		if len(s.jobs) == 0 {
			s.quiet.Broadcast()
		}
	}()
}

// evaluate runs the verb; whatever goes wrong becomes an error on the statement.
func (n *node) evaluate(c *Call) (out *outcome) {
	defer func() {
		if r := recover(); r != nil {
			buf := make([]byte, 2048)
			buf = buf[:runtime.Stack(buf, false)]
			out = &outcome{err: &CellError{
				Message: fmt.Sprintf("%s failed inside: %v", n.bound.verb.Name, r),
				Hint:    "this is a mistake in etastar, not in your notebook; please report it with the statement",
			}, notes: []string{string(buf)}}
		}
	}()
	value, err := n.filtered(c)
	if err != nil {
		return &outcome{err: n.place(err), notes: c.notes}
	}
	return &outcome{value: value, notes: c.notes}
}

// filtered runs the verb with the statement's where clause applied.
func (n *node) filtered(c *Call) (Value, error) {
	where := n.st.Where
	if where == "" {
		return n.bound.verb.run(c)
	}
	if n.bound.verb.whereResult {
		v, err := n.bound.verb.run(c)
		if err != nil {
			return nil, err
		}
		t, _ := asTable(v)
		return filterTable(c, t, where)
	}
	p := n.bound.firstTable()
	for i, v := range c.inputs[p.Name] {
		t, ok := asTable(v)
		if !ok {
			continue
		}
		f, err := filterTable(c, t, where)
		if err != nil {
			return nil, err
		}
		if s, ok := v.(Sweep); ok { // still a sweep that may not be over
			s.Table = f.Table
			c.inputs[p.Name][i] = s
			continue
		}
		c.inputs[p.Name][i] = f
	}
	return n.bound.verb.run(c)
}

// errWhere marks an error as one of the where clause.
type errWhere struct{ err error }

func (e errWhere) Error() string { return e.err.Error() }
func (e errWhere) Unwrap() error { return e.err }

// errParam marks an error as one of a parameter's value.
type errParam struct {
	param string
	err   error
}

func (e errParam) Error() string { return e.err.Error() }
func (e errParam) Unwrap() error { return e.err }

// hinted is an error with a way out.
type hinted struct {
	err  error
	hint string
}

func (e hinted) Error() string { return e.err.Error() }
func (e hinted) Unwrap() error { return e.err }

func filterTable(c *Call, t *table.Table, where string) (Table, error) {
	f, err := table.Where(t, where)
	if err != nil {
		return Table{}, errWhere{err}
	}
	c.Note(fmt.Sprintf("where %s: %d of %d rows", where, f.Rows, t.Rows))
	return Table{f}, nil
}

// place finds the characters an error is about.
func (n *node) place(err error) *CellError {
	span := n.st.Span
	hint := ""
	var h hinted
	if errors.As(err, &h) {
		hint = h.hint
	}
	var w errWhere
	var p errParam
	switch {
	case errors.As(err, &w):
		span = n.st.WhereSpan
	case errors.As(err, &p):
		if a := n.st.Arg(p.param); a != nil {
			span = a.Value.Span
		} else if v, ok := n.bound.args[p.param]; ok && n.bound.given[p.param] {
			span = v.Span
		}
	}
	message := err.Error()
	var at *table.ExprError
	if errors.As(err, &at) {
		message, hint = at.Message, at.Hint
		if i := strings.Index(span.Of(n.text), at.Expr); i >= 0 && at.Offset <= len(at.Expr) {
			span = language.Span{Start: span.Start + i + at.Offset, End: span.Start + i + max(at.End, at.Offset+1)}
		}
	}
	return cellError(n.line, n.text, &language.Error{Span: span, Message: message, Hint: hint})
}
