package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/etastar/etastar/session/language"
	"github.com/etastar/etastar/session/nearest"
	"github.com/etastar/etastar/session/notebook"
)

// node is a statement, or a statement in parentheses inside one, in the dataflow.
type node struct {
	line, number int
	text         string
	name         string
	identity     string // what stays the same when the statement is edited: its name, else its place
	st           *language.Statement
	bound        *binding
	inputs       []edge
	err          *CellError // found without running it
	hash         string     // of everything the result depends on; "" when an input has none
	print        string     // fingerprint of the file it reads
	question     string     // hash of the same but for how far runs of sweeps are
	out          *outcome   // nil until it ran
}

// edge is an input of a node.
type edge struct {
	ref reference
	to  *node
}

// outcome is what running a node gave.
type outcome struct {
	value Value
	err   *CellError // line-less: the node adds its own
	notes []string
	// drawErr is why the picture's file could not be written. Session.mu guards it.
	drawErr *CellError
}

// graph is the dataflow of one version of the document.
type graph struct {
	cells []*node // statements in document order
	order []*node // every runnable node, inputs first
	names map[string]*node
}

// parsed remembers statements by their text: a knob's turn changes one line of many.
type parsed struct {
	st    *language.Statement
	bound *binding
	err   *language.Error
}

type parser struct{ known map[string]parsed }

func (p *parser) parse(text string) parsed {
	if got, ok := p.known[text]; ok {
		return got
	}
	var got parsed
	got.st, got.err = language.Parse(text, rawTail)
	if got.err == nil {
		got.bound, got.err = bind(got.st)
	}
	if len(p.known) > 4096 {
		clear(p.known)
	}
	p.known[text] = got
	return got
}

// plan builds the dataflow of a document. dir is where file names start.
func (p *parser) plan(d *notebook.Document, dir string) *graph {
	g := &graph{names: map[string]*node{}}
	for number, line := range d.Statements() {
		text := d.Lines[line].Text
		n := &node{line: line, number: number + 1, text: text, identity: fmt.Sprintf("#%d", number+1)}
		g.cells = append(g.cells, n)
		got := p.parse(text)
		n.st, n.bound = got.st, got.bound
		if got.st != nil {
			n.name = got.st.Name
		} else {
			n.name = nameOf(text)
		}
		if n.name != "" {
			n.identity = n.name
		}
		if got.err != nil {
			n.err = cellError(line, text, got.err)
		}
	}
	g.claimNames()
	for _, n := range g.cells {
		g.connect(n, p)
	}
	g.findCycles()
	for _, n := range g.cells {
		if n.err != nil {
			n.err.Static = true
		}
	}
	done := map[*node]bool{}
	for _, n := range g.cells {
		g.visit(n, dir, done)
	}
	return g
}

// nameOf finds the result name of a statement that does not parse, so that its
// dependants wait for it instead of not knowing it.
func nameOf(text string) string {
	name, rest, found := strings.Cut(text, "=")
	name = strings.TrimSpace(name)
	if !found || strings.HasPrefix(rest, "=") || name == "" || strings.ContainsAny(name, " \t\"'([{") {
		return ""
	}
	return name
}

func (g *graph) claimNames() {
	for _, n := range g.cells {
		if n.name == "" {
			continue
		}
		first, taken := g.names[n.name]
		if !taken {
			g.names[n.name] = n
			continue
		}
		n.identity = fmt.Sprintf("#%d", n.number)
		for _, twin := range []*node{first, n} {
			other := first
			if twin == first {
				other = n
			}
			if twin.err == nil {
				twin.err = twin.errorAt(twin.st.NameSpan, "rename one of them",
					"%s is defined twice, here and on line %d", n.name, other.line+1)
			}
		}
	}
}

func (n *node) errorAt(span language.Span, hint, format string, args ...any) *CellError {
	return cellError(n.line, n.text, &language.Error{Span: span, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// connect resolves the names a node uses.
func (g *graph) connect(n *node, p *parser) {
	if n.bound == nil {
		return
	}
	for _, ref := range n.bound.refs {
		var to *node
		if ref.value.Kind == language.Sub {
			to = g.nested(n, ref.value.Sub, p)
		} else {
			name, _, path := strings.Cut(ref.value.Text, ".")
			to = g.names[name]
			if to == nil {
				g.unknown(n, ref, name)
				return
			}
			if path && ref.param != nil {
				n.err = n.errorAt(ref.value.Span, "use the name alone: "+name, "%s takes a whole value, not a part of it", ref.param.Name)
				return
			}
		}
		n.inputs = append(n.inputs, edge{ref, to})
		if to.bound == nil || ref.param == nil || n.err != nil {
			continue
		}
		if got := to.bound.verb.Result; !slices.Contains(ref.param.Input, got) {
			hint := ""
			if w := g.nameWith(ref.param.Input, n); w != "" {
				hint = fmt.Sprintf("%s holds %s", w, article(g.names[w].bound.verb.Result))
			}
			n.err = n.errorAt(ref.value.Span, hint, "%s takes %s, but %s holds %s",
				n.bound.verb.Name, orList(articles(ref.param.Input)), ref.value.Text, article(got))
		}
	}
}

// nested makes a node of a statement in parentheses.
func (g *graph) nested(parent *node, st *language.Statement, p *parser) *node {
	sub := &node{line: parent.line, text: parent.text, st: st}
	bound, err := bind(st)
	if err == nil && st.Name != "" {
		err = &language.Error{Span: st.NameSpan, Message: "a statement in parentheses cannot be named", Hint: "give it a line of its own"}
	}
	if err != nil {
		sub.err = cellError(parent.line, parent.text, err)
		if parent.err == nil {
			parent.err = sub.err
		}
		return sub
	}
	sub.bound = bound
	g.connect(sub, p)
	if sub.err != nil && parent.err == nil {
		parent.err = sub.err
	}
	return sub
}

func (g *graph) unknown(n *node, ref reference, name string) {
	if n.err != nil {
		return
	}
	var names []string
	for _, c := range g.cells {
		if c.name != "" && c != n {
			names = append(names, c.name)
		}
	}
	hint := "name a result with: " + name + " = …"
	if w := nearest.Word(name, names); w != "" {
		hint = fmt.Sprintf("did you mean %s?", w)
	} else if ref.param != nil {
		if w := g.nameWith(ref.param.Input, n); w != "" {
			hint = fmt.Sprintf("%s holds %s", w, article(g.names[w].bound.verb.Result))
		}
	}
	n.err = n.errorAt(ref.value.Span, hint, "nothing is named %s", name)
}

// nameWith finds a name other than n's that holds one of the types.
func (g *graph) nameWith(types []string, n *node) string {
	for _, c := range g.cells {
		if c != n && c.name != "" && c.bound != nil && g.names[c.name] == c && slices.Contains(types, c.bound.verb.Result) {
			return c.name
		}
	}
	return ""
}

// findCycles marks every statement that depends on itself.
func (g *graph) findCycles() {
	const (
		unseen = iota
		open
		closed
	)
	state := map[*node]int{}
	var path []*node
	var walk func(n *node)
	walk = func(n *node) {
		state[n] = open
		path = append(path, n)
		for _, e := range n.inputs {
			switch state[e.to] {
			case unseen:
				walk(e.to)
			case open:
				cycle := path[slices.Index(path, e.to):]
				var words []string
				for _, c := range cycle {
					if c.name != "" {
						words = append(words, c.name)
					}
				}
				words = append(words, words[0])
				for _, c := range cycle {
					if c.err == nil {
						c.err = c.errorAt(c.st.Span, "", "depends on itself: %s", strings.Join(words, " → "))
					}
				}
			}
		}
		path = path[:len(path)-1]
		state[n] = closed
	}
	for _, n := range g.cells {
		if state[n] == unseen {
			walk(n)
		}
	}
}

// visit appends n behind its inputs and computes its content hash.
func (g *graph) visit(n *node, dir string, done map[*node]bool) {
	if done[n] {
		return
	}
	done[n] = true
	for _, e := range n.inputs {
		g.visit(e.to, dir, done)
	}
	if n.err != nil {
		return
	}
	content, question := sha256.New(), sha256.New()
	h := io.MultiWriter(content, question)
	fmt.Fprintf(h, "%s\x00%s\x00%s\x00", n.bound.verb.Name, n.st.Where, n.st.Tail)
	names := make([]string, 0, len(n.bound.args))
	for name := range n.bound.args {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if p := n.bound.verb.param(name); p != nil && p.refers(n.bound.args[name]) {
			continue // its content is hashed below, its name does not matter
		}
		fmt.Fprintf(h, "%s=%s\x00", name, n.bound.args[name].Text)
	}
	if n.bound.verb.open != nil {
		fmt.Fprintf(h, "%q\x00", n.bound.order)
	}
	for _, e := range n.inputs {
		if e.to.hash == "" {
			return
		}
		name := ""
		if e.ref.param != nil {
			name = e.ref.param.Name
		}
		fmt.Fprintf(content, "%s<-%s\x00", name, e.to.hash)
		fmt.Fprintf(question, "%s<-%s\x00", name, e.to.question)
	}
	if f := n.bound.verb.fingerprint; f != nil {
		n.print = f(n.call(dir))
		fmt.Fprintf(content, "%s\x00", n.print)
		if n.bound.verb.Result != "sweep" {
			fmt.Fprintf(question, "%s\x00", n.print)
		}
	}
	n.hash, n.question = hex.EncodeToString(content.Sum(nil)[:16]), hex.EncodeToString(question.Sum(nil)[:16])
	g.order = append(g.order, n)
}

// call prepares the evaluation of a node without its inputs.
func (n *node) call(dir string) *Call {
	return &Call{Ctx: context.Background(), Dir: dir, Verb: n.bound.verb, Tail: n.st.Tail, args: n.bound.args, given: n.bound.given, order: n.bound.order}
}

func article(word string) string {
	switch {
	case word == "curves":
		return word
	case word == "published":
		return "a published law"
	case strings.IndexByte("aeiou", word[0]) >= 0:
		return "an " + word
	}
	return "a " + word
}

// cellError places an error of the language in the document.
func cellError(line int, text string, err *language.Error) *CellError {
	start := len([]rune(text[:min(err.Start, len(text))]))
	end := len([]rune(text[:min(err.End, len(text))]))
	return &CellError{Line: line, Col: start, End: max(end, start+1), Message: err.Message, Hint: err.Hint}
}
