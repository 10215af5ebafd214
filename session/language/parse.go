package language

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxDepth  = 20      // statements in parentheses and lists inside each other
	maxLength = 1 << 16 // bytes of one statement
)

type parser struct {
	text  string
	pos   int
	raw   RawTail
	depth int
	end   int // where the statement's text ends: the closing parenthesis of a nested one
}

// Parse parses a statement. Blank lines and comment lines are errors: the caller
// knows which lines hold statements.
func Parse(text string, raw RawTail) (*Statement, *Error) {
	if len(text) > maxLength {
		return nil, errorf(Span{maxLength, len(text)}, "put it in several statements", "a statement has at most %d bytes", maxLength)
	}
	if !utf8.ValidString(text) {
		i := invalidUTF8(text)
		return nil, errorf(Span{i, i + 1}, "save the notebook as UTF-8", "this byte is not valid UTF-8")
	}
	p := &parser{text: text, raw: raw, end: len(text)}
	return p.statement()
}

// invalidUTF8 returns the position of the first invalid byte.
func invalidUTF8(s string) int {
	i := 0
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		i += n
	}
	return i
}

func (p *parser) statement() (*Statement, *Error) {
	p.blanks()
	s := &Statement{}
	s.Start = p.pos
	first, span := p.word()
	if first == "" {
		return nil, errorf(p.rest(), "", "expected a verb or \"name = verb\"")
	}
	p.blanks()
	if p.pos < p.end && p.text[p.pos] == '=' && !strings.HasPrefix(p.text[p.pos:p.end], "==") {
		s.Name, s.NameSpan = first, span
		p.pos++
		p.blanks()
		first, span = p.word()
		if first == "" {
			return nil, errorf(p.rest(), "", "expected a verb after %q", s.Name+" =")
		}
	}
	s.Verb, s.VerbSpan = first, span
	s.CodeEnd = p.pos
	tailAfter, hasTail := -1, false
	if p.raw != nil {
		tailAfter, hasTail = p.raw(s.Verb)
	}
	for {
		p.blanks()
		if p.done() {
			break
		}
		if hasTail && len(s.Args) >= tailAfter && !p.looksKeyed() {
			s.TailSpan = p.untilComment()
			s.Tail = s.TailSpan.Of(p.text)
			s.CodeEnd = s.TailSpan.End
			break
		}
		if w, n := p.peekWord(); w == "where" && len(s.Args)+len(s.Name) > 0 && !p.isKey(n) {
			p.pos += n
			p.blanks()
			s.WhereSpan = p.untilComment()
			s.Where = s.WhereSpan.Of(p.text)
			if s.Where == "" {
				return nil, errorf(p.rest(), "for example: where loss < 5", "expected an expression after where")
			}
			s.CodeEnd = s.WhereSpan.End
			break
		}
		a, err := p.arg()
		if err != nil {
			return nil, err
		}
		if a.Key != "" {
			if other := s.Arg(a.Key); other != nil {
				return nil, errorf(a.KeySpan, "keep one of them", "%q is given twice", a.Key)
			}
		}
		s.Args = append(s.Args, a)
		s.CodeEnd = a.End
	}
	s.End = s.CodeEnd
	return s, nil
}

func (p *parser) done() bool {
	return p.pos >= p.end || p.text[p.pos] == '#' && p.depth == 0
}

func (p *parser) rest() Span { return Span{min(p.pos, p.end), p.end} }

func (p *parser) blanks() {
	for p.pos < p.end && (p.text[p.pos] == ' ' || p.text[p.pos] == '\t') {
		p.pos++
	}
}

func isWordRune(r rune, first bool) bool {
	return r == '_' || unicode.IsLetter(r) || r == '*' && !first || !first && unicode.IsDigit(r)
}

// peekWord returns the word at the position and its length in bytes. A trailing *
// belongs to it (η*).
func (p *parser) peekWord() (string, int) {
	n := 0
	for i, r := range p.text[p.pos:p.end] {
		if !isWordRune(r, i == 0) {
			break
		}
		n = i + utf8.RuneLen(r)
	}
	return p.text[p.pos : p.pos+n], n
}

func (p *parser) word() (string, Span) {
	w, n := p.peekWord()
	span := Span{p.pos, p.pos + n}
	p.pos += n
	return w, span
}

// isKey reports whether the word of n bytes at the position is followed by a single =.
func (p *parser) isKey(n int) bool {
	i := p.pos + n
	return n > 0 && i < p.end && p.text[i] == '=' && !strings.HasPrefix(p.text[i:p.end], "==")
}

func (p *parser) looksKeyed() bool {
	_, n := p.peekWord()
	return p.isKey(n)
}

func (p *parser) arg() (Arg, *Error) {
	var a Arg
	a.Start = p.pos
	if w, n := p.peekWord(); p.isKey(n) {
		a.Key, a.KeySpan = w, Span{p.pos, p.pos + n}
		p.pos += n + 1
		if p.pos >= p.end || p.text[p.pos] == ' ' || p.text[p.pos] == '\t' {
			return a, errorf(Span{a.Start, p.pos}, "no blanks around =: "+a.Key+"=value", "expected a value right after %q", a.Key+"=")
		}
	}
	v, err := p.value()
	if err != nil {
		return a, err
	}
	a.Value, a.End = v, v.End
	if a.Key == "" && v.Kind == Name {
		i := p.pos
		p.blanks()
		if p.pos < p.end && p.text[p.pos] == '=' && !strings.HasPrefix(p.text[p.pos:p.end], "==") {
			return a, errorf(Span{v.Start, p.pos + 1}, "write "+v.Text+"=value", "blanks before =")
		}
		p.pos = i
	}
	return a, nil
}

// token returns the bytes of a value at the position: up to a blank outside quotes
// and brackets; a trailing comma takes the next word in ("N, D").
func (p *parser) token() (Span, *Error) {
	start := p.pos
	var open []int // positions of open brackets
	i := p.pos
	for i < p.end {
		switch c := p.text[i]; c {
		case '"', '\'', '`':
			j, err := p.quoted(i)
			if err != nil {
				return Span{}, err
			}
			i = j
			continue
		case '(', '[', '{':
			open = append(open, i)
			if len(open) > maxDepth {
				return Span{}, errorf(Span{i, i + 1}, "name parts of it in statements of their own", "more than %d brackets inside each other", maxDepth)
			}
		case ')', ']', '}':
			if len(open) == 0 {
				return Span{}, errorf(Span{i, i + 1}, "", "%q closes nothing", string(c))
			}
			o := p.text[open[len(open)-1]]
			if strings.IndexByte("([{", o) != strings.IndexByte(")]}", c) {
				return Span{}, errorf(Span{i, i + 1}, "", "%q closes %q", string(c), string(o))
			}
			open = open[:len(open)-1]
		case ' ', '\t':
			if len(open) == 0 {
				if p.text[i-1] != ',' {
					return Span{start, i}, nil
				}
				for i < p.end && (p.text[i] == ' ' || p.text[i] == '\t') {
					i++
				}
				continue
			}
		case '#':
			if len(open) == 0 && i > start && (p.text[i-1] == ' ' || p.text[i-1] == '\t') {
				return Span{start, len(strings.TrimRight(p.text[:i], " \t"))}, nil
			}
		}
		i++
	}
	if len(open) > 0 {
		at := open[len(open)-1]
		return Span{}, errorf(Span{at, at + 1}, "", "%q is never closed", p.text[at:at+1])
	}
	return Span{start, len(strings.TrimRight(p.text[:p.end], " \t"))}, nil
}

// quoted returns the position behind the quoted string that starts at i.
func (p *parser) quoted(i int) (int, *Error) {
	q := p.text[i]
	for j := i + 1; j < p.end; j++ {
		switch p.text[j] {
		case '\\':
			if q != '`' {
				j++
			}
		case q:
			return j + 1, nil
		}
	}
	return 0, errorf(Span{i, p.end}, "close it with "+string(q), "this string is never closed")
}

// untilComment returns the rest of the statement without trailing blanks and comment.
func (p *parser) untilComment() Span {
	start, i := p.pos, p.pos
	for i < p.end {
		c := p.text[i]
		if c == '"' || c == '\'' || c == '`' {
			if j, err := p.quoted(i); err == nil {
				i = j
				continue
			}
		}
		if c == '#' && p.depth == 0 && (i == start || p.text[i-1] == ' ' || p.text[i-1] == '\t') {
			break
		}
		i++
	}
	p.pos = i
	return Span{start, start + len(strings.TrimRight(p.text[start:i], " \t"))}
}
