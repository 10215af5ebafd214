package export

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/notebook"
)

// markdownRows bounds a user's table in a Markdown or HTML page.
const markdownRows = 200

// Markdown writes the notebook as it stands, prose and statements to the letter,
// with the results of each block of statements beneath it.
func Markdown(w io.Writer, s *session.Session) error {
	doc := notebook.Parse(s.Text())
	dir := filepath.Dir(s.File().Path)
	cells := map[int]session.Cell{}
	for _, c := range s.Cells() {
		cells[c.Line] = c
	}
	m := &markdownWriter{w: bufio.NewWriter(w), eol: doc.EOL()}
	var due []session.Cell
	fence := ""
	for i, l := range doc.Lines {
		_, _ = m.w.WriteString(l.Text + l.EOL)
		switch l.Kind {
		case notebook.Open:
			fence = fenceOf(l.Text)
		case notebook.Code:
			if c, ok := cells[i]; ok {
				due = append(due, c)
			}
		case notebook.Close:
			m.endLine(l.EOL)
			m.results(due, dir)
			due, fence = nil, ""
			if i+1 < len(doc.Lines) && strings.TrimSpace(doc.Lines[i+1].Text) != "" {
				m.put("")
			}
		case notebook.Prose:
		}
	}
	if fence != "" { // the last block is not closed: what follows must not join it
		m.endLine(doc.Lines[len(doc.Lines)-1].EOL)
		m.put(fence)
		m.results(due, dir)
	}
	if err := m.w.Flush(); err != nil {
		return fmt.Errorf("write Markdown: %w", err)
	}
	return nil
}

// fenceOf is the line that closes the block opened by text.
func fenceOf(text string) string {
	text = strings.TrimLeft(text, " ")
	rest := strings.TrimLeft(text, text[:1])
	return text[:len(text)-len(rest)]
}

// markdownWriter sets blocks as Markdown. Errors stay in the buffered writer.
type markdownWriter struct {
	w   *bufio.Writer
	eol string
}

func (m *markdownWriter) put(s string) { _, _ = m.w.WriteString(s + m.eol) }

// endLine ends the line just written if the document did not.
func (m *markdownWriter) endLine(eol string) {
	if !strings.HasSuffix(eol, "\n") {
		m.put("")
	}
}

func (m *markdownWriter) results(cells []session.Cell, dir string) {
	for _, c := range cells {
		m.put("")
		m.put(markdownTitle(&c))
		for _, b := range dueReport(&c, dir, markdownRows) {
			m.block(b)
		}
	}
}

// markdownTitle names a result: its name, or the verb and the statement's number.
func markdownTitle(c *session.Cell) string {
	name := c.Name
	if name == "" {
		name = strings.TrimSpace(c.Verb + " #" + itoa(c.Number))
	}
	if v := current(c); v != nil && v.Type() != c.Verb {
		return "**" + escapeMarkdown(name) + "** (" + v.Type() + ")"
	}
	return "**" + escapeMarkdown(name) + "**"
}

func (m *markdownWriter) block(b block) {
	m.put("")
	switch b := b.(type) {
	case line:
		text := escapeStart(escapeMarkdown(b.text))
		switch b.tone {
		case answerTone, badTone:
			text = "**" + text + "**"
		case noteTone, warnTone:
			text = "> " + text
		case plainTone, goodTone:
		}
		m.put(text)
	case facts:
		for _, f := range b {
			m.put("- " + escapeMarkdown(f.label) + ": " + escapeMarkdown(f.value))
		}
	case *grid:
		m.grid(b)
	}
}

func (m *markdownWriter) grid(g *grid) {
	if g.title != "" {
		m.put(escapeMarkdown(g.title) + ":")
		m.put("")
	}
	row := func(cells []string) {
		var b strings.Builder
		for _, s := range cells {
			b.WriteString("| " + escapeMarkdown(s) + " ")
		}
		m.put(b.String() + "|")
	}
	row(g.heads)
	var rule strings.Builder
	for _, right := range g.right {
		if right {
			rule.WriteString("| ---: ")
		} else {
			rule.WriteString("| :--- ")
		}
	}
	m.put(rule.String() + "|")
	for _, r := range g.rows {
		row(r)
	}
}

var markdownEscapes = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "|", `\|`, "~", `\~`, "$", `\$`,
	"<", "&lt;", ">", "&gt;", "&", "&amp;",
)

// escapeMarkdown makes text stand for itself in a paragraph or a table of Markdown.
func escapeMarkdown(s string) string {
	return markdownEscapes.Replace(Clean(s))
}

// numbered finds a beginning that Markdown takes for that of a numbered list.
var numbered = regexp.MustCompile(`^([0-9]+)([.)] )`)

// escapeStart makes a line begin with text, not with the mark of a heading or a list.
func escapeStart(s string) string {
	if s != "" && strings.ContainsRune("#+-=", rune(s[0])) {
		return `\` + s
	}
	return numbered.ReplaceAllString(s, `$1\$2`)
}
