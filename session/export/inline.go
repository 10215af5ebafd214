package export

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Links and nesting are bounded so that no text takes more than a few passes.
const (
	maxLinkText = 1000
	maxURL      = 2000
	maxNesting  = 6
)

// inline renders code, links and emphasis within a paragraph.
func inline(s string) string { return inlineAt(s, 0) }

func inlineAt(s string, depth int) string {
	r := &inliner{s: s, depth: depth, missing: map[string]bool{}}
	for r.i < len(s) {
		if !r.span() {
			_, n := utf8.DecodeRuneInString(s[r.i:])
			r.i += n
		}
	}
	r.text(len(s))
	return r.out.String()
}

// inliner walks over the text of one paragraph. Text between from and i is not yet written.
type inliner struct {
	s       string
	i, from int
	depth   int
	out     strings.Builder
	missing map[string]bool // marks that close nowhere further on: looked for once
}

// text writes what was passed over as text, up to end.
func (r *inliner) text(end int) {
	r.out.WriteString(escape(r.s[r.from:end]))
	r.from = end
}

// emit writes html in place of the text up to end.
func (r *inliner) emit(html string, end int) bool {
	r.text(r.i)
	r.out.WriteString(html)
	r.i, r.from = end, end
	return true
}

// span renders the construct that begins at i, if one does.
func (r *inliner) span() bool {
	switch r.s[r.i] {
	case '\\':
		if r.i+1 < len(r.s) && strings.IndexByte("\\`*_{}[]()#+-.!<>|~$&", r.s[r.i+1]) >= 0 {
			return r.emit(escape(r.s[r.i+1:r.i+2]), r.i+2)
		}
	case '`':
		return r.code()
	case '[':
		return r.link()
	case '<':
		return r.autolink()
	case '*', '_':
		return r.emphasis()
	}
	return false
}

// run is the run of one character at i.
func (r *inliner) run() string {
	n := 1
	for r.i+n < len(r.s) && r.s[r.i+n] == r.s[r.i] {
		n++
	}
	return r.s[r.i : r.i+n]
}

func (r *inliner) code() bool {
	mark := r.run()
	start := r.i + len(mark)
	if !r.missing[mark] {
		for at := start; at < len(r.s); {
			k := strings.IndexByte(r.s[at:], '`')
			if k < 0 {
				break
			}
			at += k
			n := len(r.s[at:]) - len(strings.TrimLeft(r.s[at:], "`"))
			if n == len(mark) {
				return r.emit("<code>"+escape(strings.TrimSpace(r.s[start:at]))+"</code>", at+n)
			}
			at += n
		}
		r.missing[mark] = true
	}
	r.i = start // the whole run is text
	return true
}

func (r *inliner) link() bool {
	if r.depth >= maxNesting {
		return false
	}
	rest := r.s[r.i+1:]
	end := strings.IndexByte(rest[:min(len(rest), maxLinkText)], ']')
	if end < 0 || !strings.HasPrefix(rest[end:], "](") {
		return false
	}
	target := rest[end+2:]
	stop := strings.IndexByte(target[:min(len(target), maxURL)], ')')
	if stop < 0 {
		return false
	}
	label, after := rest[:end], r.i+1+end+2+stop+1
	if strings.Contains(label, "[") {
		return false // the inner bracket begins the link
	}
	href, ok := webAddress(target[:stop])
	if !ok {
		return r.emit(inlineAt(label, r.depth+1), after) // its text alone
	}
	return r.emit(`<a href="`+href+`" rel="noopener noreferrer">`+inlineAt(label, maxNesting)+`</a>`, after)
}

func (r *inliner) autolink() bool {
	rest := r.s[r.i+1:]
	end := strings.IndexByte(rest[:min(len(rest), maxURL)], '>')
	if end < 0 {
		return false
	}
	href, ok := webAddress(rest[:end])
	if !ok {
		return false
	}
	return r.emit(`<a href="`+href+`" rel="noopener noreferrer">`+escape(rest[:end])+`</a>`, r.i+1+end+1)
}

// webAddress returns an http or https address, escaped for an attribute.
func webAddress(s string) (string, bool) {
	s = strings.TrimSpace(s)
	for _, c := range s {
		if c <= ' ' || c == utf8.RuneError || unicode.IsControl(c) || unicode.IsSpace(c) {
			return "", false
		}
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", false
	}
	return escape(u.String()), true
}

// emphasis renders *text* and **text**, _text_ and __text__.
func (r *inliner) emphasis() bool {
	mark := r.run()
	start := r.i + len(mark)
	if len(mark) <= 2 && r.depth < maxNesting && !r.missing[mark] && opens(r.s, r.i, start) {
		if end := r.closing(mark, start); end > start {
			tag := []string{"em", "strong"}[len(mark)-1]
			return r.emit("<"+tag+">"+inlineAt(r.s[start:end], r.depth+1)+"</"+tag+">", end+len(mark))
		}
		r.missing[mark] = true
	}
	r.i = start
	return true
}

// closing finds where mark ends an emphasis begun before from, or returns -1.
func (r *inliner) closing(mark string, from int) int {
	for at := from; at < len(r.s); {
		k := strings.IndexByte(r.s[at:], mark[0])
		if k < 0 {
			return -1
		}
		at += k
		n := len(r.s[at:]) - len(strings.TrimLeft(r.s[at:], mark[:1]))
		if n == len(mark) && at > from && closes(r.s, at, at+n) {
			return at
		}
		at += n
	}
	return -1
}

// around returns the characters beside s[from:to]; blanks at the ends of s.
func around(s string, from, to int) (before, after rune) {
	before, after = ' ', ' '
	if from > 0 {
		before, _ = utf8.DecodeLastRuneInString(s[:from])
	}
	if to < len(s) {
		after, _ = utf8.DecodeRuneInString(s[to:])
	}
	return before, after
}

func punctuation(c rune) bool { return unicode.IsPunct(c) || unicode.IsSymbol(c) }

// opens and closes are CommonMark's flanking rules (6.2), so that the star of η* is
// no emphasis, nor the bars of a_column_name.
func opens(s string, from, to int) bool {
	before, after := around(s, from, to)
	if unicode.IsSpace(after) || punctuation(after) && !unicode.IsSpace(before) && !punctuation(before) {
		return false
	}
	return s[from] == '*' || unicode.IsSpace(before) || punctuation(before)
}

func closes(s string, from, to int) bool {
	before, after := around(s, from, to)
	if unicode.IsSpace(before) || punctuation(before) && !unicode.IsSpace(after) && !punctuation(after) {
		return false
	}
	return s[from] == '*' || unicode.IsSpace(after) || punctuation(after)
}
