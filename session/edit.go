package session

import (
	"strings"
	"time"

	"github.com/etastar/etastar/session/language"
	"github.com/etastar/etastar/session/notebook"
)

// history is the undo stack: whole texts, since a notebook is small.
type history struct {
	back, forward []step
}

type step struct {
	text  string // the document before the step
	label string
	merge string // consecutive steps with the same merge key are one
	at    time.Time
}

const (
	historySize = 500
	mergeWithin = 2 * time.Second
)

// edit applies change to a copy of the document, records the step and recomputes.
func (s *Session) edit(label, merge string, change func(d *notebook.Document)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.editLocked(label, merge, change)
}

func (s *Session) editLocked(label, merge string, change func(d *notebook.Document)) {
	old := s.doc.String()
	d := s.doc.Clone()
	change(d)
	if d.String() == old {
		return
	}
	now := time.Now()
	top := len(s.undo.back) - 1
	if merge == "" || top < 0 || s.undo.back[top].merge != merge || now.Sub(s.undo.back[top].at) > mergeWithin {
		s.undo.back = append(s.undo.back, step{text: old, label: label, merge: merge, at: now})
		if len(s.undo.back) > historySize {
			s.undo.back = s.undo.back[1:]
		}
	} else {
		s.undo.back[top].at = now
	}
	s.undo.forward = nil
	s.install(d)
}

// install puts a new document in force. s.mu is held.
func (s *Session) install(d *notebook.Document) {
	clear(s.before)
	for _, n := range s.graph.cells {
		if n.out != nil && n.out.err == nil {
			if _, ok := n.out.value.(Prediction); ok {
				s.before[n.identity] = n.out.value
			}
		}
	}
	s.doc = d
	s.file.edited = time.Now()
	s.replan()
}

// Undo takes the last edit back and says what it was, "" when there is none.
func (s *Session) Undo() string { return s.travel(&s.undo.back, &s.undo.forward) }

// Redo does the last undone edit again and says what it was, "" when there is none.
func (s *Session) Redo() string { return s.travel(&s.undo.forward, &s.undo.back) }

func (s *Session) travel(from, to *[]step) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(*from) == 0 {
		return ""
	}
	last := (*from)[len(*from)-1]
	*from = (*from)[:len(*from)-1]
	*to = append(*to, step{text: s.doc.String(), label: last.label})
	s.install(notebook.Parse(last.text))
	return last.label
}

// SetText replaces the whole document (one undo step).
func (s *Session) SetText(text string) {
	s.edit("edit", "", func(d *notebook.Document) { *d = *notebook.Parse(text) })
}

// SetLine replaces one line of the document (a statement, or prose).
func (s *Session) SetLine(line int, text string) {
	s.edit("edit", "", func(d *notebook.Document) { d.SetLine(line, text) })
}

// InsertStatement puts a statement after line (-1: at the end), inside the block
// there or in a new one, and returns its line. Several lines of text are as many
// statements, in one undo step; the line of the first is returned.
func (s *Session) InsertStatement(after int, text string) int {
	first := 0
	s.edit("new statement", "", func(d *notebook.Document) {
		for i, line := range strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }) {
			after = d.Insert(after, line)
			if i == 0 {
				first = after
			}
		}
	})
	return first
}

// SetProse replaces count lines from line on by the lines of text.
func (s *Session) SetProse(line, count int, text string) {
	s.edit("edit prose", "", func(d *notebook.Document) {
		if line < 0 || count < 1 || line+count > len(d.Lines) {
			return
		}
		for range count - 1 {
			d.Delete(line + 1)
		}
		d.SetLine(line, text)
	})
}

// DeleteLine removes a line; a block left empty goes with it.
func (s *Session) DeleteLine(line int) {
	s.edit("delete", "", func(d *notebook.Document) { d.Delete(line) })
}

// MoveStatement moves a statement up (-1) or down (+1) past the next statement and
// returns its new line.
func (s *Session) MoveStatement(line, by int) int {
	at := line
	s.edit("move", "", func(d *notebook.Document) {
		all := d.Statements()
		for i, l := range all {
			if j := i + by; l == line && j >= 0 && j < len(all) {
				d.Swap(l, all[j])
				at = all[j]
				return
			}
		}
	})
	return at
}

// Check parses text as if it stood at line (-1: a new line) and returns the first problem, or nil.
// Only the statement itself is looked at, and the names it uses.
func (s *Session) Check(line int, text string) *CellError {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := strings.TrimSpace(text); t == "" || strings.HasPrefix(t, "#") {
		return nil
	}
	d := s.doc.Clone()
	if line >= 0 && line < len(d.Lines) {
		d.SetLine(line, strings.NewReplacer("\n", " ", "\r", " ").Replace(text))
	} else {
		line = d.Insert(-1, text)
	}
	for _, n := range s.parser.plan(d, s.dir()).cells {
		if n.line == line {
			return n.err
		}
	}
	return nil
}

// statement returns the node at line. s.mu is held.
func (s *Session) statement(line int) *node {
	for _, n := range s.graph.cells {
		if n.line == line {
			return n
		}
	}
	return nil
}

// setParam writes a parameter into the statement at line. s.mu is held.
func (s *Session) setParam(n *node, param, value, merge string) {
	text := setArgument(n, param, value)
	s.editLocked("knob "+param, merge, func(d *notebook.Document) { d.SetLine(n.line, text) })
}

// setArgument edits the parameter in the text, also where it stands without its name.
func setArgument(n *node, param, value string) string {
	if n.st.Arg(param) == nil && n.bound != nil && n.bound.given[param] && value != "" {
		span := n.bound.args[param].Span
		return n.text[:span.Start] + value + n.text[span.End:]
	}
	return language.SetArg(n.text, n.st, param, value)
}
