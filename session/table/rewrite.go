package table

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/expr-lang/expr/file"
)

// Bounds on an expression. They are far beyond what a person writes and keep a
// pasted file or a hostile notebook from costing memory or stack.
const (
	maxExprLen   = 8 << 10
	maxExprDepth = 100
	maxExprTerms = 2000
	maxExprNodes = 4 * maxExprTerms
)

// ExprError is an error at a place of an expression.
type ExprError struct {
	Expr        string
	Offset, End int // bytes of Expr, End exclusive
	Message     string
	Hint        string // the way out or the nearest valid word; may be ""
}

// Error says the byte column (from 1), what is wrong, the way out, and shows the place.
func (e *ExprError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "column %d: %s", e.Offset+1, e.Message)
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	shown, from, to := e.excerpt()
	if shown == "" {
		return b.String()
	}
	fmt.Fprintf(&b, "\n  %s\n  %s%s", shown, strings.Repeat(" ", from), strings.Repeat("^", max(1, to-from)))
	return b.String()
}

// excerpt returns one line of the expression around the error, short enough for
// a terminal, and the runes of it to mark.
func (e *ExprError) excerpt() (line string, from, to int) {
	const before, after = 40, 36
	start, end := min(max(e.Offset, 0), len(e.Expr)), min(max(e.End, 0), len(e.Expr))
	head := []rune(strings.ToValidUTF8(e.Expr[:start], "?"))
	body := []rune(strings.ToValidUTF8(e.Expr[start:max(start, end)], "?"))
	tail := []rune(strings.ToValidUTF8(e.Expr[max(start, end):], "?"))
	if len(head) > before {
		head = append([]rune{'…'}, head[len(head)-before:]...)
	}
	if len(body) > after {
		body = body[:after]
		tail = []rune{'…'}
	}
	if len(tail) > after {
		tail = append(tail[:after:after], '…')
	}
	clean := func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}
	line = strings.Map(clean, string(head)+string(body)+string(tail))
	return line, len(head), len(head) + len(body)
}

// source is an expression rewritten into the grammar of the expr parser.
//
// Three things the notebook allows are not in that grammar: number suffixes
// (4B), column names in backticks, and whole numbers beyond 64 bits. Each such
// token, and every other number, is replaced; origin leads an error back to the
// bytes the user wrote.
type source struct {
	text   string
	out    []rune
	origin []int             // byte of text that out[i] came from
	quoted map[string]string // stand-in identifier → column name
}

// rewrite prepares text for the expr parser.
func rewrite(text string) (*source, error) {
	s := &source{text: text, quoted: map[string]string{}}
	if len(text) > maxExprLen {
		return nil, s.fail(maxExprLen, maxExprLen, fmt.Sprintf("the expression is longer than %d characters", maxExprLen), "")
	}
	if strings.TrimSpace(text) == "" {
		return nil, s.fail(0, len(text), "the expression is empty", "write a condition such as loss < 3")
	}
	terms, depth := 0, 0
	for i := 0; i < len(text); {
		if terms++; terms > maxExprTerms {
			return nil, s.fail(i, i, "the expression has too many terms", "")
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size <= 1:
			return nil, s.fail(i, i+1, "not valid UTF-8", "")
		case r == '"' || r == '\'':
			end := stringEnd(text, i)
			if end < 0 {
				return nil, s.fail(i, len(text), "the string is not closed", fmt.Sprintf("end it with %c", r))
			}
			s.copy(i, end)
			i = end
			continue
		case r == '`':
			end := strings.IndexByte(text[i+1:], '`')
			if end < 0 {
				return nil, s.fail(i, len(text), "the column name is not closed", "end it with `")
			}
			// The stand-in must be no name a user could write; expr allows $ in names.
			name := "$" + strconv.Itoa(len(s.quoted))
			s.quoted[name] = text[i+1 : i+1+end]
			s.put(name, i)
			i += end + 2
			continue
		case isDigit(r) || r == '.' && i+1 < len(text) && isDigit(rune(text[i+1])) && (i == 0 || text[i-1] != '.'):
			end, err := s.number(i)
			if err != nil {
				return nil, err
			}
			i = end
			continue
		case r == '_' || unicode.IsLetter(r):
			end := i
			for end < len(text) {
				r, n := utf8.DecodeRuneInString(text[end:])
				if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
					break
				}
				end += n
			}
			s.copy(i, end)
			// Without a gap b"…" would be a byte string and 1e3x a number.
			i = end
			if i < len(text) && (text[i] == '"' || text[i] == '\'') {
				return nil, s.fail(i, i+1, "an operator is missing before the string", "")
			}
			continue
		case r == '(' || r == '[':
			if depth++; depth > maxExprDepth {
				return nil, s.fail(i, i+1, "the expression is nested too deeply", "")
			}
		case r == ')' || r == ']':
			depth--
		case unicode.IsSpace(r):
			s.put(" ", i)
			i += size
			continue
		default:
			if msg, hint, n := slip(text[i:], i > 0 && strings.IndexByte("<>!=", text[i-1]) >= 0); msg != "" {
				return nil, s.fail(i, i+n, msg, hint)
			}
		}
		s.copy(i, i+size)
		i += size
	}
	return s, nil
}

// slip recognises what people write from habit and the expr parser would answer
// with a riddle. after: the character before belongs to a comparison.
func slip(rest string, after bool) (message, hint string, n int) {
	two := rest[:min(2, len(rest))]
	switch {
	case two == "&&" || two == "||" || two == "==" || two == "!=" || two == "<=" || two == ">=" || two == "**" || two == "..":
		return "", "", 0
	case two == "//" || two == "/*":
		return "comments have no place in an expression", "", 2
	case two == "<>":
		return "<> is no comparison here", "write !=", 2
	case rest[0] == '=' && !after:
		return "a single = does not compare", "write ==", 1
	}
	switch rest[0] {
	case '#', '$', '@', ';', '~', '\\', '{', '}':
		return fmt.Sprintf("%q has no meaning here", rest[:1]), "", 1
	}
	return "", "", 0
}

func (s *source) fail(from, to int, message, hint string) *ExprError {
	return &ExprError{Expr: s.text, Offset: from, End: to, Message: message, Hint: hint}
}

// put appends out text that stands for the byte at of the user's text.
func (s *source) put(out string, at int) {
	for _, r := range out {
		s.out = append(s.out, r)
		s.origin = append(s.origin, at)
	}
}

// copy appends text[from:to] as it is.
func (s *source) copy(from, to int) {
	for i, r := range s.text[from:to] {
		s.out = append(s.out, r)
		s.origin = append(s.origin, from+i)
	}
}

// span turns a place in the rewritten text into bytes of the user's text.
func (s *source) span(l file.Location) (from, to int) {
	at := func(i int) int {
		if i >= len(s.origin) {
			return len(s.text)
		}
		return s.origin[max(i, 0)]
	}
	from, to = at(l.From), at(max(l.To, l.From))
	if l.To > l.From && l.To <= len(s.origin) && to <= from {
		to = from
	}
	if to <= from && from < len(s.text) {
		// A stand-in shares one origin: mark the token the user wrote.
		to = tokenEnd(s.text, from)
	}
	return from, to
}

// number rewrites the number at i and returns its end.
func (s *source) number(i int) (int, error) {
	end := numberEnd(s.text, i)
	digits := strings.ReplaceAll(s.text[i:end], "_", "")
	stop := end
	if end < len(s.text) {
		if scale, ok := Suffix(s.text[end]); ok && !wordAt(s.text, end+1) {
			digits = withExponent(digits, scale)
			stop = end + 1
		} else if wordAt(s.text, end) {
			wordEnd := end
			for wordAt(s.text, wordEnd) {
				_, n := utf8.DecodeRuneInString(s.text[wordEnd:])
				wordEnd += n
			}
			return 0, s.fail(i, wordEnd, fmt.Sprintf("%q is not a number", s.text[i:wordEnd]),
				"suffixes are K, M, B and T, and products are written with *")
		}
	}
	v, err := strconv.ParseFloat(digits, 64)
	if err != nil || math.IsInf(v, 0) {
		return 0, s.fail(i, stop, fmt.Sprintf("%s is not a number a float can hold", s.text[i:stop]), "")
	}
	s.put(strconv.FormatFloat(v, 'e', -1, 64), i)
	return stop, nil
}

// Suffix returns the power of ten of a number suffix: K, M, B (or G) and T, in
// either case.
func Suffix(c byte) (exponent int, ok bool) {
	switch c {
	case 'k', 'K':
		return 3, true
	case 'm', 'M':
		return 6, true
	case 'b', 'B', 'g', 'G':
		return 9, true
	case 't', 'T':
		return 12, true
	}
	return 0, false
}

// withExponent multiplies a decimal number by a power of ten without rounding twice.
func withExponent(digits string, exponent int) string {
	if e := strings.IndexAny(digits, "eE"); e >= 0 {
		n, err := strconv.Atoi(digits[e+1:])
		if err != nil {
			return digits
		}
		return digits[:e+1] + strconv.Itoa(n+exponent)
	}
	return digits + "e" + strconv.Itoa(exponent)
}

// numberEnd returns the end of the decimal number that starts at i. Two dots are
// a range, so 1..3 is 1, .., 3.
func numberEnd(s string, i int) int {
	run := func() {
		for i < len(s) && (isDigit(rune(s[i])) || s[i] == '_') {
			i++
		}
	}
	run()
	if i < len(s) && s[i] == '.' && !strings.HasPrefix(s[i:], "..") {
		i++
		run()
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		j := i + 1
		if j < len(s) && (s[j] == '+' || s[j] == '-') {
			j++
		}
		if j < len(s) && isDigit(rune(s[j])) {
			i = j
			run()
		}
	}
	return i
}

// tokenEnd returns the end of the token at i, for marking it.
func tokenEnd(s string, i int) int {
	switch {
	case s[i] == '`' || s[i] == '"' || s[i] == '\'':
		if end := strings.IndexByte(s[i+1:], s[i]); end >= 0 {
			return i + end + 2
		}
		return len(s)
	case isDigit(rune(s[i])) || s[i] == '.':
		i = max(numberEnd(s, i), i+1)
	}
	start := i
	for wordAt(s, i) {
		_, n := utf8.DecodeRuneInString(s[i:])
		i += n
	}
	if i == start {
		_, n := utf8.DecodeRuneInString(s[i:])
		i += n
	}
	return i
}

// stringEnd returns the end of the string literal at i, or -1.
func stringEnd(s string, i int) int {
	quote := s[i]
	for i++; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case quote:
			return i + 1
		}
	}
	return -1
}

func wordAt(s string, i int) bool {
	if i >= len(s) {
		return false
	}
	r, _ := utf8.DecodeRuneInString(s[i:])
	return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r)
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' }
