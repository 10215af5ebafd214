package importers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// encoding/json is not used for the records: it refuses the NaN and Infinity that
// Python writes for a diverged loss, and forgets the order of keys.

const (
	maxJSONDepth = 64
	// maxList is the longest list kept, as text; longer ones are histories rather
	// than a property of a run.
	maxList = 256
	// maxShown is how much of an unexpected text an error shows.
	maxShown = 20
)

// errShort says that the text ends before the value does.
var errShort = errors.New("the record ends too early")

// jsonError is an error at a byte of the record.
type jsonError struct {
	at  int
	msg string
}

func (e *jsonError) Error() string { return e.msg }

// leaf is a scalar of a record with its path, "config/optimizer/lr". Both point
// into the parser's buffers and are valid until the next record.
type leaf struct{ path, cell []byte }

// list is a list of objects directly in a record: from and to are its bytes; of one that
// the text ends within, to is past the text.
type list struct {
	key      string
	from, to int
}

// jsonParser flattens one object into leaves.
type jsonParser struct {
	b      []byte
	pos    int
	path   []byte
	text   []byte // the paths of the leaves
	leaves []leaf
	lists  []list
	long   []string // paths of lists left out
}

// object parses the object at the start of b and returns its length.
func (p *jsonParser) object(b []byte) (int, error) {
	p.b, p.pos = b, 0
	p.path, p.text, p.leaves, p.lists, p.long = p.path[:0], p.text[:0], p.leaves[:0], p.lists[:0], p.long[:0]
	if err := p.members(0); err != nil {
		return 0, err
	}
	return p.pos, nil
}

func (p *jsonParser) space() {
	for p.pos < len(p.b) {
		switch p.b[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

// peek returns the next byte that is not space.
func (p *jsonParser) peek() (byte, error) {
	p.space()
	if p.pos >= len(p.b) {
		return 0, errShort
	}
	return p.b[p.pos], nil
}

func (p *jsonParser) fail(format string, args ...any) error {
	return &jsonError{p.pos, fmt.Sprintf(format, args...)}
}

// found shows what stands at the position, for errors.
func (p *jsonParser) found() string {
	end := p.pos
	for end < len(p.b) && end < p.pos+maxShown && bytes.IndexByte([]byte(" \t\r\n,:{}[]"), p.b[end]) < 0 {
		end++
	}
	return strconv.Quote(string(p.b[p.pos:max(end, min(p.pos+1, len(p.b)))]))
}

func (p *jsonParser) members(depth int) error {
	if depth >= maxJSONDepth {
		return p.fail("objects are nested more than %d deep", maxJSONDepth)
	}
	c, err := p.peek()
	if err != nil {
		return err
	}
	if c != '{' {
		return p.fail("expected an object {…}, found %s", p.found())
	}
	p.pos++
	for first := true; ; first = false {
		c, err := p.peek()
		switch {
		case err != nil:
			return err
		case c == '}':
			p.pos++
			return nil
		case !first && c != ',':
			return p.fail("expected , or } after a value, found %s", p.found())
		case !first:
			p.pos++
			if c, err = p.peek(); err != nil {
				return err
			}
		}
		if c != '"' {
			return p.fail("expected a key in double quotes, found %s", p.found())
		}
		key, err := p.str()
		if err != nil {
			return err
		}
		if c, err = p.peek(); err != nil {
			return err
		}
		if c != ':' {
			return p.fail("expected : after the key, found %s", p.found())
		}
		p.pos++
		outer := len(p.path)
		if depth > 0 {
			p.path = append(p.path, '/')
		}
		p.path = append(p.path, key...)
		if err := p.value(depth); err != nil {
			return err
		}
		p.path = p.path[:outer]
	}
}

func (p *jsonParser) value(depth int) error {
	c, err := p.peek()
	if err != nil {
		return err
	}
	switch c {
	case '{':
		return p.members(depth + 1)
	case '[':
		return p.listValue(depth)
	case '"':
		s, err := p.str()
		if err != nil {
			return err
		}
		p.add(s)
		return nil
	}
	word, err := p.word()
	if err != nil {
		return err
	}
	switch string(word) {
	case "null":
		word = nil
	case "true", "false", "NaN", "Infinity", "-Infinity", "nan", "inf", "-inf":
	default:
		if _, _, ok := parseDecimal(word); !ok {
			p.pos -= len(word)
			return p.fail("expected a value, found %s", p.found())
		}
	}
	p.add(word)
	return nil
}

// add records a scalar at the current path.
func (p *jsonParser) add(cell []byte) {
	start := len(p.text)
	p.text = append(p.text, p.path...)
	p.leaves = append(p.leaves, leaf{p.text[start:len(p.text):len(p.text)], cell})
}

// word reads a bare word or number.
func (p *jsonParser) word() ([]byte, error) {
	start := p.pos
	for p.pos < len(p.b) {
		switch p.b[p.pos] {
		case ',', '}', ']', ' ', '\t', '\n', '\r':
			return p.b[start:p.pos], nil
		}
		p.pos++
	}
	return nil, errShort
}

// str reads a string, without its quotes and escapes.
func (p *jsonParser) str() ([]byte, error) {
	start := p.pos + 1
	escaped := false
	for i := start; i < len(p.b); i++ {
		switch p.b[i] {
		case '"':
			p.pos = i + 1
			if !escaped {
				return p.b[start:i], nil
			}
			var s string
			if err := json.Unmarshal(p.b[start-1:i+1], &s); err != nil {
				p.pos = start - 1
				return nil, p.fail("a string has an escape that is none: %s", p.found())
			}
			return []byte(s), nil
		case '\\':
			escaped = true
			i++
		case '\n':
			p.pos = start - 1
			return nil, p.fail("a string is not closed on its line: %s", p.found())
		}
	}
	return nil, errShort
}

// listValue skips a list. A short one is kept as it is written; objects in one
// directly below the record are remembered, they may be the rows.
func (p *jsonParser) listValue(depth int) error {
	start := p.pos
	objects := 0
	for open := 0; ; {
		c, err := p.peek()
		if err != nil {
			if objects > 1 && depth == 0 {
				p.lists = append(p.lists, list{string(p.path), start, len(p.b) + 1})
			}
			return err
		}
		switch c {
		case '[', '{':
			if open++; open > maxJSONDepth {
				return p.fail("lists are nested more than %d deep", maxJSONDepth)
			}
			if c == '{' && open == 2 {
				objects++
			}
			p.pos++
		case ']', '}':
			open--
			p.pos++
		case '"':
			if _, err := p.str(); err != nil {
				return err
			}
		default:
			p.pos++
		}
		if open == 0 {
			break
		}
	}
	switch {
	case objects > 1 && depth == 0:
		p.lists = append(p.lists, list{string(p.path), start, p.pos})
		p.long = append(p.long, string(p.path))
	case p.pos-start > maxList:
		p.long = append(p.long, string(p.path))
	default:
		p.add(p.b[start:p.pos])
	}
	return nil
}
