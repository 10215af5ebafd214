package export

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"github.com/etastar/etastar/session"
)

// textRows bounds a user's table in a text report: a report is read, data are exported.
const textRows = 40

// Text writes the report of etastar run: every statement with its result, prose
// left out. Lines are at most width columns where their words allow it; width 0
// sets no limit. It holds no escape sequence, whatever the data hold.
func Text(w io.Writer, s *session.Session, width int) error {
	t := &textWriter{w: bufio.NewWriter(w), width: width}
	dir := filepath.Dir(s.File().Path)
	for i, c := range s.Cells() {
		if i > 0 {
			t.put("")
		}
		t.statement(&c)
		for _, b := range dueReport(&c, dir, textRows) {
			t.block(b)
		}
	}
	if err := t.w.Flush(); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// textWriter sets blocks as plain text. Errors stay in the buffered writer.
type textWriter struct {
	w     *bufio.Writer
	width int
}

// indent is how far results stand in from their statements.
const indent = "  "

func (t *textWriter) put(s string) {
	_, _ = t.w.WriteString(strings.TrimRight(s, " "))
	_ = t.w.WriteByte('\n')
}

// statement writes a statement as it stands in the notebook, and points at what is
// wrong in it.
func (t *textWriter) statement(c *session.Cell) {
	t.put(Clean(c.Text))
	e := c.Err
	if e == nil || e.End <= e.Col {
		return
	}
	runes := []rune(Clean(c.Text))
	at := func(col int) int { return ansi.StringWidth(string(runes[:min(max(col, 0), len(runes))])) }
	from := at(e.Col)
	t.put(strings.Repeat(" ", from) + "^" + strings.Repeat("~", max(at(e.End)-from-1, 0)))
}

func (t *textWriter) block(b block) {
	switch b := b.(type) {
	case line:
		for _, l := range wrap(Clean(b.text), t.room(len(indent))) {
			t.put(indent + l)
		}
	case facts:
		t.facts(b)
	case *grid:
		t.grid(b)
	}
}

// room is the width left behind an indent; 0: no limit.
func (t *textWriter) room(taken int) int {
	if t.width <= 0 {
		return 0
	}
	return max(t.width-taken, 20)
}

func (t *textWriter) facts(f facts) {
	wide := 0
	for _, x := range f {
		wide = max(wide, ansi.StringWidth(Clean(x.label)))
	}
	blank := strings.Repeat(" ", len(indent)+wide+2)
	for _, x := range f {
		head := indent + pad(Clean(x.label), wide, false) + "  "
		for _, l := range wrap(Clean(x.value), t.room(len(blank))) {
			t.put(head + l)
			head = blank
		}
	}
}

// maxCell bounds a cell of a user's table in a report: a configuration or a command in
// a column would push everything else off the page. CSV and JSON have all of it.
const maxCell = 48

// grid sets a table. The last column of one of ours wraps; a user's table that is
// too wide goes on below with its further columns.
func (t *textWriter) grid(g *grid) {
	if g.title != "" {
		t.put(indent + g.title)
	}
	cells := make([][]string, 0, len(g.rows)+1)
	for _, row := range append([][]string{g.heads}, g.rows...) {
		clean := make([]string, len(row))
		for i, s := range row {
			clean[i] = Clean(s)
			if g.data {
				clean[i] = ansi.Truncate(clean[i], maxCell, "…")
			}
		}
		cells = append(cells, clean)
	}
	widths := make([]int, len(g.heads))
	for _, row := range cells {
		for i, s := range row {
			widths[i] = max(widths[i], ansi.StringWidth(s))
		}
	}
	for from := 0; from < len(widths); {
		to := t.fits(widths, from)
		if !g.data {
			to = len(widths)
		} else if from > 0 {
			t.put("")
		}
		for _, row := range cells {
			t.row(row, widths, g.right, from, to)
		}
		from = to
	}
}

// fits returns the column up to which a table starting at from fits the width.
func (t *textWriter) fits(widths []int, from int) int {
	if t.width <= 0 {
		return len(widths)
	}
	used := len(indent) + widths[from]
	for to := from + 1; to < len(widths); to++ {
		if used += 2 + widths[to]; used > t.width {
			return to
		}
	}
	return len(widths)
}

func (t *textWriter) row(row []string, widths []int, right []bool, from, to int) {
	var b strings.Builder
	b.WriteString(indent)
	last := to - 1
	for i := from; i < last; i++ {
		b.WriteString(pad(row[i], widths[i], right[i]) + "  ")
	}
	if right[last] || row[last] == "" {
		b.WriteString(pad(row[last], widths[last], right[last]))
		t.put(b.String())
		return
	}
	taken := ansi.StringWidth(b.String())
	head := b.String()
	for _, l := range wrap(row[last], t.room(taken)) {
		t.put(head + l)
		head = strings.Repeat(" ", taken)
	}
}

// pad fills s with spaces to a width.
func pad(s string, width int, right bool) string {
	gap := strings.Repeat(" ", max(width-ansi.StringWidth(s), 0))
	if right {
		return gap + s
	}
	return s + gap
}

// wrap breaks s between words into lines of at most width columns; 0: no limit. A
// word that is wider has a line of its own.
func wrap(s string, width int) []string {
	if width <= 0 || ansi.StringWidth(s) <= width {
		return []string{s}
	}
	var out []string
	current, used := "", 0
	for word := range strings.FieldsSeq(s) {
		w := ansi.StringWidth(word)
		if current != "" && used+1+w > width {
			out = append(out, current)
			current, used = "", 0
		}
		if current != "" {
			current, used = current+" ", used+1
		}
		current, used = current+word, used+w
	}
	return append(out, current)
}

// Clean makes text from a file or a notebook fit for one line of a terminal or a
// page: what would move the cursor, reorder the line or is no text at all becomes
// U+FFFD, and blanks of every kind become spaces.
func Clean(s string) string {
	plain := true
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7f {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.IsControl(r), r == utf8.RuneError,
			r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069', r == '\u200e' || r == '\u200f':
			return utf8.RuneError
		}
		return r
	}, s)
}
