// Package notebook is the Markdown document: prose and fenced blocks tagged eta,
// kept line by line exactly as written.
//
// Parsing and printing are the identity on any input. Edits touch the lines they
// name and no other character. The package knows nothing of the language inside
// the fences and reads no files.
package notebook

import (
	"slices"
	"strings"
)

// Kind is what a line of the document is.
type Kind int

// Line kinds.
const (
	Prose Kind = iota // Markdown, including fences of other languages
	Open              // opening fence of a block of statements
	Code              // line inside such a block
	Close             // closing fence of such a block
)

// Line is one line with its line ending ("\n" or "\r\n"; the last line's may be "" or "\r").
type Line struct {
	Text, EOL string
	Kind      Kind
}

// Document is a parsed notebook.
type Document struct{ Lines []Line }

// Tag is the word after the fence that makes a block ours.
const Tag = "eta"

// fence is an open fenced code block (CommonMark 4.5).
type fence struct {
	char   byte
	length int
	ours   bool
}

// Parse splits src into lines and finds the blocks. It never fails: an unclosed
// fence runs to the end, as in CommonMark.
func Parse(src string) *Document {
	d := &Document{}
	for src != "" {
		text, eol := src, ""
		if i := strings.IndexByte(src, '\n'); i >= 0 {
			text, eol = src[:i], "\n"
		}
		if n := len(text); n > 0 && text[n-1] == '\r' {
			text, eol = text[:n-1], "\r"+eol
		}
		src = src[len(text)+len(eol):]
		d.Lines = append(d.Lines, Line{Text: text, EOL: eol})
	}
	d.classify()
	return d
}

func (d *Document) classify() {
	var open *fence
	for i := range d.Lines {
		l := &d.Lines[i]
		l.Kind = Prose
		switch {
		case open == nil:
			if f, ok := opening(l.Text); ok {
				open = &f
				if f.ours {
					l.Kind = Open
				}
			}
		case closes(l.Text, *open):
			if open.ours {
				l.Kind = Close
			}
			open = nil
		case open.ours:
			l.Kind = Code
		}
	}
}

func indent(s string) (rest string, ok bool) {
	rest = strings.TrimLeft(s, " ")
	return rest, len(s)-len(rest) <= 3
}

func opening(s string) (fence, bool) {
	s, ok := indent(s)
	if !ok || s == "" || s[0] != '`' && s[0] != '~' {
		return fence{}, false
	}
	info := strings.TrimLeft(s, s[:1])
	n := len(s) - len(info)
	if n < 3 || s[0] == '`' && strings.Contains(info, "`") {
		return fence{}, false
	}
	words := strings.Fields(info)
	return fence{char: s[0], length: n, ours: len(words) > 0 && words[0] == Tag}, true
}

func closes(s string, f fence) bool {
	s, ok := indent(s)
	if !ok {
		return false
	}
	s = strings.TrimRight(s, " \t")
	return len(s) >= f.length && strings.Trim(s, string(f.char)) == ""
}

// String prints the document exactly as it was parsed.
func (d *Document) String() string {
	var b strings.Builder
	for _, l := range d.Lines {
		b.WriteString(l.Text)
		b.WriteString(l.EOL)
	}
	return b.String()
}

// Clone returns a copy that can be edited.
func (d *Document) Clone() *Document { return &Document{Lines: slices.Clone(d.Lines)} }

// EOL is the line ending the document uses.
func (d *Document) EOL() string {
	for _, l := range d.Lines {
		if strings.HasSuffix(l.EOL, "\n") {
			return l.EOL
		}
	}
	return "\n"
}

// IsStatement reports whether line i holds a statement: inside our fence, neither
// blank nor a comment.
func (d *Document) IsStatement(i int) bool {
	if i < 0 || i >= len(d.Lines) || d.Lines[i].Kind != Code {
		return false
	}
	t := strings.TrimSpace(d.Lines[i].Text)
	return t != "" && !strings.HasPrefix(t, "#")
}

// Statements returns the lines that hold statements.
func (d *Document) Statements() []int {
	var at []int
	for i := range d.Lines {
		if d.IsStatement(i) {
			at = append(at, i)
		}
	}
	return at
}

// SetLine replaces the text of line i; further lines in text become lines of their own.
func (d *Document) SetLine(i int, text string) {
	if i < 0 || i >= len(d.Lines) {
		return
	}
	eol := d.EOL()
	parts := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "\n")
	lines := make([]Line, len(parts))
	for k, p := range parts {
		lines[k] = Line{Text: p, EOL: eol}
	}
	lines[len(lines)-1].EOL = d.Lines[i].EOL
	d.Lines = slices.Replace(d.Lines, i, i+1, lines...)
	d.classify()
}

// Insert puts a statement after line i (-1 or past the end: at the end of the document)
// and returns the line it stands on. Inside one of our blocks it joins that block;
// elsewhere it gets a block of its own.
func (d *Document) Insert(i int, text string) int {
	text = strings.NewReplacer("\r", " ", "\n", " ").Replace(text)
	eol := d.EOL()
	if i < 0 || i >= len(d.Lines) {
		i = len(d.Lines) - 1
	}
	at := i + 1
	if i >= 0 {
		d.endLine(i)
		switch d.Lines[i].Kind {
		case Open, Code:
			d.Lines = slices.Insert(d.Lines, at, Line{Text: text, EOL: eol})
			d.classify()
			return at
		case Close:
			d.Lines = slices.Insert(d.Lines, i, Line{Text: text, EOL: eol})
			d.classify()
			return i
		}
		// A new block must not open inside a fence of another language.
		at = d.outsideForeign(at)
		d.endLine(at - 1)
	}
	var block []Line
	if at > 0 && strings.TrimSpace(d.Lines[at-1].Text) != "" {
		block = append(block, Line{EOL: eol})
	}
	block = append(block, Line{Text: "```" + Tag, EOL: eol}, Line{Text: text, EOL: eol}, Line{Text: "```", EOL: eol})
	line := at + len(block) - 2
	if at < len(d.Lines) && strings.TrimSpace(d.Lines[at].Text) != "" {
		block = append(block, Line{EOL: eol})
	}
	d.Lines = slices.Insert(d.Lines, at, block...)
	d.classify()
	return line
}

// endLine gives line i an ending, so that another can follow.
func (d *Document) endLine(i int) {
	switch d.Lines[i].EOL {
	case "":
		d.Lines[i].EOL = d.EOL()
	case "\r":
		d.Lines[i].EOL = "\r\n"
	}
}

// outsideForeign moves at forward until it stands outside any fence; an unclosed
// foreign fence is closed at the end of the document.
func (d *Document) outsideForeign(at int) int {
	var open *fence
	for i := range d.Lines {
		if i >= at && open == nil {
			return i
		}
		if open == nil {
			if f, ok := opening(d.Lines[i].Text); ok {
				open = &f
			}
		} else if closes(d.Lines[i].Text, *open) {
			open = nil
		}
	}
	if open != nil {
		d.endLine(len(d.Lines) - 1)
		d.Lines = append(d.Lines, Line{Text: strings.Repeat(string(open.char), open.length), EOL: d.EOL()})
	}
	return len(d.Lines)
}

// Delete removes line i. A block of ours that is left without any line goes with it.
func (d *Document) Delete(i int) {
	if i < 0 || i >= len(d.Lines) {
		return
	}
	from, to := i, i+1
	if d.Lines[i].Kind == Code && d.Lines[i-1].Kind == Open && to < len(d.Lines) && d.Lines[to].Kind == Close {
		from, to = i-1, to+1
	}
	d.Lines = slices.Delete(d.Lines, from, to)
	d.classify()
}

// Swap exchanges the texts of two lines.
func (d *Document) Swap(i, j int) {
	d.Lines[i].Text, d.Lines[j].Text = d.Lines[j].Text, d.Lines[i].Text
	d.classify()
}
