package session

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/etastar/etastar/session/language"
	"github.com/etastar/etastar/session/nearest"
)

func nearestWord(word string, candidates []string) string { return nearest.Word(word, candidates) }

// Completion is one way to go on typing.
type Completion struct {
	Start, End int    // the part of the line it replaces, in bytes
	Insert     string // replacement
	Label      string // what to list
	Doc        string // one line
}

// Complete lists completions of text, a statement being typed at line, at byte offset
// cursor: verbs, names defined elsewhere, parameters, choices, columns, file names.
func (s *Session) Complete(line int, text string, cursor int) []Completion {
	s.mu.Lock()
	defer s.mu.Unlock()
	cursor = min(max(cursor, 0), len(text))
	head := text[:cursor]
	code := head
	if i := strings.IndexByte(head, '='); i >= 0 && isPlainName(strings.TrimSpace(head[:i])) && !strings.HasPrefix(head[i:], "==") {
		code = head[i+1:]
	}
	if i := openParenthesis(code); i >= 0 {
		code = code[i+1:]
	}
	c := completer{s: s, line: line, cursor: cursor}
	trimmed := strings.TrimLeft(code, " \t")
	verbEnd := strings.IndexAny(trimmed, " \t")
	if verbEnd < 0 {
		return c.verbs(trimmed)
	}
	verb := findVerb(trimmed[:verbEnd])
	if verb == nil {
		return nil
	}
	word, quoted := lastWord(trimmed)
	key, value, keyed := strings.Cut(word, "=")
	switch {
	case keyed && !quoted && isPlainName(key):
		p := verb.param(key)
		if p == nil {
			return nil
		}
		if i := strings.LastIndexAny(value, "[,"); i >= 0 && (p.List || p.Set) {
			value = value[i+1:]
		}
		return c.values(p, verb, strings.TrimLeft(value, " "), trimmed)
	default:
		out := []Completion{}
		if p := verb.nextPosition(trimmed, word); p != nil {
			out = c.values(p, verb, word, trimmed)
		}
		if !quoted {
			out = append(out, c.params(verb, word, trimmed)...)
		}
		return out
	}
}

type completer struct {
	s      *Session
	line   int
	cursor int
}

func isPlainName(s string) bool {
	if s == "" {
		return false
	}
	for i, r := range s {
		if r != '_' && r != '*' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return false
		}
	}
	return true
}

// openParenthesis finds the innermost parenthesis that is still open, outside strings.
func openParenthesis(s string) int {
	var open []int
	quote := byte(0)
	for i := range len(s) {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'' || c == '`':
			quote = c
		case c == '(':
			open = append(open, i)
		case c == ')' && len(open) > 0:
			open = open[:len(open)-1]
		}
	}
	if len(open) == 0 {
		return -1
	}
	return open[len(open)-1]
}

// lastWord is the word the cursor stands in; quoted says that it is inside a string.
func lastWord(s string) (word string, quoted bool) {
	start, quote := 0, byte(0)
	for i := range len(s) {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'' || c == '`':
			quote = c
		case c == ' ' || c == '\t':
			start = i + 1
		}
	}
	return s[start:], quote != 0
}

// nextPosition is the positional parameter that word stands for.
func (v *Verb) nextPosition(code, word string) *Param {
	before := strings.Fields(code[:len(code)-len(word)])
	n := 0
	for _, f := range before[1:] {
		if k, _, keyed := strings.Cut(f, "="); !keyed || !isPlainName(k) {
			n++
		}
	}
	for i := range v.Params {
		if p := &v.Params[i]; p.Position {
			if n == 0 {
				return p
			}
			n--
		}
	}
	return nil
}

func (c *completer) add(out []Completion, prefix, insert, label, doc string) []Completion {
	if !strings.HasPrefix(strings.ToLower(strings.Trim(label, `"`)), strings.ToLower(strings.Trim(prefix, `"`))) {
		return out
	}
	return append(out, Completion{Start: c.cursor - len(prefix), End: c.cursor, Insert: insert, Label: label, Doc: doc})
}

func (c *completer) verbs(prefix string) []Completion {
	var out []Completion
	for _, v := range registry() {
		out = c.add(out, prefix, v.Name+" ", v.Name, v.Summary)
	}
	return out
}

func (c *completer) params(v *Verb, prefix, code string) []Completion {
	var out []Completion
	for i := range v.Params {
		p := &v.Params[i]
		if p.Position || strings.Contains(code, " "+p.Name+"=") {
			continue
		}
		doc := p.Doc
		if p.Default != "" {
			doc += " (" + p.Default + ")"
		}
		out = c.add(out, prefix, p.Name+"=", p.Name+"=", doc)
	}
	return out
}

func (c *completer) values(p *Param, v *Verb, prefix, code string) []Completion {
	var out []Completion
	for _, w := range p.Words {
		out = c.add(out, prefix, w, w, p.Doc)
	}
	for _, stop := range p.Stops {
		if !slices.Contains(p.Words, stop) {
			out = c.add(out, prefix, stop, stop, p.Doc)
		}
	}
	if len(p.Input) > 0 {
		for _, n := range c.s.graph.cells {
			if n.name != "" && n.line != c.line && n.bound != nil && slices.Contains(p.Input, n.bound.verb.Result) {
				out = c.add(out, prefix, n.name, n.name, firstLine(n.text))
			}
		}
	}
	if p.Column || p.Expr {
		for _, name := range c.columns(v, code) {
			insert := name
			if !isPlainName(name) {
				insert = language.Quote(name)
			}
			out = c.add(out, prefix, insert, name, "column")
		}
	}
	if p.File {
		out = append(out, c.files(prefix)...)
	}
	return out
}

// columns are those of the first table named in the statement, or of the file it loads.
func (c *completer) columns(v *Verb, code string) []string {
	for _, f := range strings.Fields(code) {
		n := c.s.graph.names[f]
		if n == nil {
			continue
		}
		if t, ok := c.s.lastGood[n.identity].(Table); ok {
			return t.Names()
		}
	}
	if v.Name == "load" {
		for _, n := range c.s.graph.cells {
			if t, ok := c.s.lastGood[n.identity].(Table); ok && n.line == c.line {
				return t.Names()
			}
		}
	}
	return nil
}

// maxListed bounds how many files a completion lists.
const maxListed = 200

func (c *completer) files(prefix string) []Completion {
	typed := strings.TrimPrefix(prefix, `"`)
	dir, base := filepath.Split(typed)
	root := dir
	if !filepath.IsAbs(dir) {
		root = filepath.Join(c.s.dir(), dir)
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil
	}
	var out []Completion
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, base) || strings.HasPrefix(name, ".") && base == "" || len(out) == maxListed {
			continue
		}
		full, doc := dir+name, "file"
		insert := language.Quote(full)
		if e.IsDir() {
			insert, doc = `"`+full+"/", "folder"
		} else if info, err := e.Info(); err == nil {
			doc = fmt.Sprintf("%d bytes", info.Size())
		}
		if !utf8.ValidString(insert) {
			continue
		}
		out = append(out, Completion{Start: c.cursor - len(prefix), End: c.cursor, Insert: insert, Label: full, Doc: doc})
	}
	return out
}
