package tui

import (
	"unicode"

	"charm.land/lipgloss/v2"
)

// tokKind is what a piece of a statement is, for its colour alone: the
// language itself is the session's business.
type tokKind int

const (
	tokSpace tokKind = iota
	tokWord
	tokResult
	tokVerb
	tokParam
	tokNumber
	tokString
	tokComment
	tokPunct
	tokKeyword
)

// token is a piece of a statement.
type token struct {
	text string
	kind tokKind
}

// tokens cuts a statement into pieces that together are the statement.
func tokens(s string) []token {
	var out []token
	rs := []rune(s)
	seenVerb := false
	for i := 0; i < len(rs); {
		j := i
		kind := tokPunct
		switch r := rs[i]; {
		case unicode.IsSpace(r):
			for j < len(rs) && unicode.IsSpace(rs[j]) {
				j++
			}
			kind = tokSpace
		case r == '#':
			j, kind = len(rs), tokComment
		case r == '"':
			j, kind = stringEnd(rs, i), tokString
		case wordRune(r) || r == '.' && i+1 < len(rs) && unicode.IsDigit(rs[i+1]):
			j, kind = wordEnd(rs, i)
			if kind == tokWord {
				kind, seenVerb = wordKind(rs, i, j, seenVerb)
			}
		case r == '(':
			j = i + 1
			seenVerb = false // (verb …)
		case r == '-' && numberAfterSign(rs, i):
			j, kind = wordEnd(rs, i+1)
		default:
			j = i + 1
		}
		out = append(out, token{string(rs[i:j]), kind})
		i = j
	}
	return out
}

func wordRune(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

func stringEnd(rs []rune, i int) int {
	for j := i + 1; j < len(rs); j++ {
		switch rs[j] {
		case '\\':
			j++
		case '"':
			return j + 1
		}
	}
	return len(rs)
}

// wordEnd finds the end of a word or a number with its suffix (4B, 3e-4, 2%).
func wordEnd(rs []rune, i int) (int, tokKind) {
	if !unicode.IsDigit(rs[i]) && rs[i] != '.' {
		j := i
		for j < len(rs) && wordRune(rs[j]) {
			j++
		}
		return j, tokWord
	}
	j := i
	for j < len(rs) {
		r := rs[j]
		exp := j > i && (rs[j-1] == 'e' || rs[j-1] == 'E') && (r == '-' || r == '+')
		dot := r == '.' && (j+1 >= len(rs) || rs[j+1] != '.') && (j == i || rs[j-1] != '.')
		if !unicode.IsDigit(r) && !unicode.IsLetter(r) && r != '%' && !exp && !dot {
			break
		}
		j++
	}
	return max(j, i+1), tokNumber
}

func numberAfterSign(rs []rune, i int) bool {
	return i+1 < len(rs) && (unicode.IsDigit(rs[i+1]) || rs[i+1] == '.') &&
		(i == 0 || !wordRune(rs[i-1]) && rs[i-1] != ')')
}

// wordKind tells a result name, a verb and a parameter apart by where they stand.
func wordKind(rs []rune, i, j int, seenVerb bool) (tokKind, bool) {
	k := j
	for k < len(rs) && rs[k] == ' ' {
		k++
	}
	assigns := k < len(rs) && rs[k] == '=' && (k+1 >= len(rs) || rs[k+1] != '=')
	word := string(rs[i:j])
	switch {
	case assigns && !seenVerb:
		return tokResult, false
	case assigns && k == j:
		return tokParam, seenVerb
	case !seenVerb:
		return tokVerb, true
	case word == "where":
		return tokKeyword, true
	}
	return tokWord, true
}

// style returns the colours of a kind.
func (t *theme) style(k tokKind) lipgloss.Style {
	switch k {
	case tokResult:
		return t.name
	case tokVerb, tokKeyword:
		return t.verb
	case tokParam:
		return t.param
	case tokNumber:
		return t.number
	case tokString:
		return t.str
	case tokComment:
		return t.comment
	}
	return t.text
}

// row is one screen line of a statement: its colours and which characters of
// the statement it shows.
type row struct {
	text       string // painted
	w          int    // cells
	start, end int    // characters of the statement
}

// paintRows sets a statement in colour on lines of at most w cells, broken at
// spaces where it can be.
func paintRows(t *theme, s string, w int) []row {
	w = max(w, 1)
	var rows []row
	cur := row{}
	at := 0
	flush := func() {
		rows = append(rows, cur)
		cur = row{start: at, end: at}
	}
	put := func(tk token) {
		shown := oneLine(tk.text)
		for shown != "" {
			head, n := headOf(shown, w-cur.w)
			if n == 0 {
				if cur.w == 0 { // a character wider than the line
					at += len([]rune(shown))
					return
				}
				flush()
				continue
			}
			if tk.kind == tokSpace {
				cur.text += head
			} else {
				cur.text += t.style(tk.kind).Render(head)
			}
			cur.w += width(head)
			at += n
			cur.end = at
			shown = string([]rune(shown)[n:])
		}
	}
	toks := tokens(s)
	for i := 0; i < len(toks); {
		if tk := toks[i]; tk.kind == tokSpace {
			i++
			tw := width(oneLine(tk.text))
			next := 0
			for j := i; j < len(toks) && toks[j].kind != tokSpace; j++ {
				next += width(oneLine(toks[j].text))
			}
			if cur.w > 0 && cur.w+tw+min(next, w) > w {
				at += len([]rune(tk.text)) // the break stands for the space
				flush()
				continue
			}
			put(tk)
			continue
		}
		put(toks[i])
		i++
	}
	if cur.w > 0 || len(rows) == 0 {
		rows = append(rows, cur)
	}
	return rows
}

// headOf takes as many whole characters as fit in w cells.
func headOf(s string, w int) (head string, n int) {
	used := 0
	for i, r := range s {
		rw := width(string(r))
		if used+rw > w {
			return s[:i], n
		}
		used += rw
		n++
	}
	return s, n
}

// paintCut sets a statement on one line of at most w cells. A longer one is
// cut with an ellipsis, between tokens or within a word or a string, never within a number.
func paintCut(t *theme, s string, w int) string {
	if width(s) <= w {
		return paintRows(t, s, max(w, 1))[0].text
	}
	out, used := "", 0
	for _, tk := range tokens(s) {
		shown := oneLine(tk.text)
		tw := width(shown)
		if used+tw > w-1 {
			if tk.kind != tokNumber && tk.kind != tokSpace {
				head, _ := headOf(shown, w-1-used)
				out += t.style(tk.kind).Render(head)
			}
			break
		}
		out += t.style(tk.kind).Render(shown)
		used += tw
	}
	return clip(out+t.dim.Render("…"), w)
}
