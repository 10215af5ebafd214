package language

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// suffixes are the multipliers a number may end in.
var suffixes = map[byte]float64{'k': 1e3, 'K': 1e3, 'M': 1e6, 'B': 1e9, 'G': 1e9, 'T': 1e12, 'P': 1e15}

// ParseNumber reads a number of the language: 4B, 1.5M, 205k, 3e-4, 1_000, 1%.
// Only finite numbers are numbers.
func ParseNumber(s string) (v float64, percent, ok bool) {
	body := s
	if body == "" || len(body) > 64 {
		return 0, false, false
	}
	scale := 1.0
	last := body[len(body)-1]
	if last == '%' {
		percent, body = true, body[:len(body)-1]
	} else if m, found := suffixes[last]; found {
		scale, body = m, body[:len(body)-1]
	}
	digits := strings.TrimLeft(body, "+-")
	if len(body)-len(digits) > 1 || digits == "" || strings.IndexByte("0123456789.", digits[0]) < 0 {
		return 0, false, false
	}
	if strings.ContainsAny(body, "xXpPoObB") {
		return 0, false, false
	}
	if strings.Contains(body, "_") {
		if strings.HasPrefix(digits, "_") || strings.HasSuffix(digits, "_") || strings.Contains(digits, "__") {
			return 0, false, false
		}
		body = strings.ReplaceAll(body, "_", "")
	}
	// The suffix goes into the exponent, so that 1.1B is exactly 1.1e9.
	if scale != 1 && !strings.ContainsAny(body, "eE") {
		body += "e" + strconv.Itoa(int(math.Round(math.Log10(scale))))
		scale = 1
	}
	v, err := strconv.ParseFloat(body, 64)
	if err != nil {
		return 0, false, false
	}
	v *= scale
	if math.IsInf(v, 0) {
		return 0, false, false
	}
	return v, percent, true
}

func (p *parser) value() (Value, *Error) {
	span, err := p.token()
	if err != nil {
		return Value{}, err
	}
	v, err := p.classify(span)
	if err != nil {
		return v, err
	}
	p.pos = span.End
	if v.Kind == Range && v.Count == 0 {
		p.rangeCount(&v)
	}
	return v, nil
}

// rangeCount takes in the "x7" that may follow a range behind a blank.
func (p *parser) rangeCount(v *Value) {
	i := p.pos
	for i < p.end && (p.text[i] == ' ' || p.text[i] == '\t') {
		i++
	}
	j := i + 1
	for j < p.end && p.text[j] >= '0' && p.text[j] <= '9' {
		j++
	}
	if i == p.pos || i >= p.end || p.text[i] != 'x' || j == i+1 || j < p.end && p.text[j] != ' ' && p.text[j] != '\t' {
		return
	}
	n, err := strconv.Atoi(p.text[i+1 : j])
	if err != nil || n < 1 || n > 10_000 {
		return
	}
	v.Count, v.End, v.Text = n, j, p.text[v.Start:j]
	p.pos = j
}

// classify decides what the bytes of a token are.
func (p *parser) classify(span Span) (Value, *Error) {
	t := span.Of(p.text)
	v := Value{Span: span, Text: t}
	switch {
	case t == "":
		return v, errorf(Span{span.Start, span.Start}, "", "expected a value")
	case t == "true" || t == "false":
		v.Kind, v.Bool = Bool, t == "true"
		return v, nil
	case t[0] == '"' || t[0] == '\'':
		end, err := p.quoted(span.Start)
		if err != nil {
			return v, err
		}
		if end == span.End {
			v.Kind, v.Str = String, unescape(t[1:len(t)-1])
			return v, nil
		}
	case t[0] == '[' && p.matching(span):
		return p.list(v, Span{span.Start + 1, span.End - 1})
	case t[0] == '(' && p.matching(span):
		if sub, err := p.nested(span); sub != nil || err != nil {
			v.Kind, v.Sub = Sub, sub
			return v, err
		}
		v.Kind = Expr
		return v, nil
	}
	if len(p.split(span)) > 1 {
		return p.list(v, span)
	}
	if n, percent, ok := ParseNumber(t); ok {
		v.Kind, v.Number, v.Percent = Number, n, percent
		return v, nil
	}
	if lo, hi, found := strings.Cut(t, ".."); found {
		a, _, okA := ParseNumber(lo)
		b, _, okB := ParseNumber(hi)
		if okA && okB {
			v.Kind, v.Lo, v.Hi = Range, a, b
			if !(a > 0 && b > a) {
				return v, errorf(span, "a range is low..high with 0 < low < high", "%s is not a range", t)
			}
			return v, nil
		}
	}
	if isName(t) {
		v.Kind = Name
		return v, nil
	}
	v.Kind = Expr
	return v, nil
}

// isName reports whether t is a name, possibly with a path (target.lr).
func isName(t string) bool {
	for _, part := range strings.Split(t, ".") {
		if part == "" {
			return false
		}
		for i, r := range part {
			if r == utf8.RuneError || !isWordRune(r, i == 0) {
				return false
			}
		}
		if i := strings.IndexByte(part, '*'); i >= 0 && i != len(part)-1 {
			return false
		}
	}
	return true
}

// matching reports whether the bracket that opens the span closes at its end.
func (p *parser) matching(span Span) bool {
	depth := 0
	for i := span.Start; i < span.End; i++ {
		switch p.text[i] {
		case '"', '\'', '`':
			j, err := p.quoted(i)
			if err != nil {
				return false
			}
			i = j - 1
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			if depth--; depth == 0 {
				return i == span.End-1
			}
		}
	}
	return false
}

// split cuts a span at the commas outside quotes and brackets.
func (p *parser) split(span Span) []Span {
	var parts []Span
	depth, start := 0, span.Start
	for i := span.Start; i < span.End; i++ {
		switch p.text[i] {
		case '"', '\'', '`':
			j, err := p.quoted(i)
			if err != nil {
				return []Span{span}
			}
			i = j - 1
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, p.trim(Span{start, i}))
				start = i + 1
			}
		}
	}
	return append(parts, p.trim(Span{start, span.End}))
}

func (p *parser) trim(s Span) Span {
	for s.Start < s.End && strings.IndexByte(" \t", p.text[s.Start]) >= 0 {
		s.Start++
	}
	for s.End > s.Start && strings.IndexByte(" \t", p.text[s.End-1]) >= 0 {
		s.End--
	}
	return s
}

func (p *parser) list(v Value, inside Span) (Value, *Error) {
	v.Kind = List
	if p.trim(inside) == (Span{inside.End, inside.End}) || p.trim(inside).Start == p.trim(inside).End {
		return v, nil
	}
	if p.depth++; p.depth > maxDepth {
		return v, errorf(v.Span, "", "lists inside each other more than %d deep", maxDepth)
	}
	defer func() { p.depth-- }()
	for _, part := range p.split(inside) {
		if part.Start == part.End {
			return v, errorf(Span{part.Start, min(part.End+1, p.end)}, "remove the extra comma", "expected a value in the list")
		}
		e, err := p.classify(part)
		if err != nil {
			return v, err
		}
		v.List = append(v.List, e)
	}
	return v, nil
}

// nested parses a statement in parentheses. A first word that is followed by an
// operator makes it an expression instead: nil, nil.
func (p *parser) nested(span Span) (*Statement, *Error) {
	inner := &parser{text: p.text, pos: span.Start + 1, raw: p.raw, depth: p.depth + 1, end: span.End - 1}
	if inner.depth > maxDepth {
		return nil, errorf(span, "name parts of it in statements of their own", "more than %d statements inside each other", maxDepth)
	}
	inner.blanks()
	w, n := inner.peekWord()
	if w == "" {
		return nil, nil
	}
	after := strings.TrimLeft(p.text[inner.pos+n:inner.end], " \t")
	blank := len(after) < inner.end-inner.pos-n
	if after != "" && (!blank || strings.IndexByte("+-*/%^<>=!&|?,.", after[0]) >= 0) {
		return nil, nil
	}
	for _, op := range []string{"and ", "or ", "in ", "not ", "contains ", "matches "} {
		if strings.HasPrefix(after, op) {
			return nil, nil
		}
	}
	return inner.statement()
}

// unescape resolves \" and \\ and leaves every other backslash alone (Windows paths, patterns).
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\'`, `'`).Replace(s)
}

// Quote writes s as a string of the language.
func Quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", " ", "\r", " ").Replace(s) + `"`
}

// ParseValue parses one value, as in a parameter's default.
func ParseValue(text string) (Value, *Error) {
	p := &parser{text: text, end: len(text)}
	v, err := p.value()
	if err == nil && p.pos != len(text) {
		return v, errorf(Span{p.pos, len(text)}, "", "unexpected text after the value")
	}
	return v, err
}
