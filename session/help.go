package session

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Help returns the text for a topic (a verb, a parameter "curves.window", "language")
// and an example that can be inserted; ok is false for an unknown topic, and text then
// says what there is.
func Help(topic string) (text, example string, ok bool) {
	topic = strings.TrimSpace(topic)
	switch topic {
	case "", "verbs":
		return verbList(), "", true
	case "language":
		return languageHelp, "", true
	}
	name, param, dotted := strings.Cut(topic, ".")
	v := findVerb(name)
	if v == nil {
		text := "There is no help for " + topic + "."
		if w := nearestWord(topic, append(verbNames(), "language", "verbs")); w != "" {
			text += " Did you mean " + w + "?"
		}
		return text + "\n\n" + verbList(), "", false
	}
	if !dotted {
		return v.help(), v.Example, true
	}
	p := v.param(param)
	if p == nil {
		return fmt.Sprintf("%s has no parameter %s. It takes %s.", v.Name, param, strings.Join(v.paramNames(), " ")), "", false
	}
	return p.help(), v.Example, true
}

func verbList() string {
	var b strings.Builder
	b.WriteString("Verbs. One statement a line: [name =] verb argument… [key=value…] [where expression]\n\n")
	for _, v := range registry() {
		fmt.Fprintf(&b, "  %-10s %s\n", v.Name, v.Summary)
	}
	b.WriteString("\nhelp VERB shows one of them with an example; help language shows how values are written.\n")
	return b.String()
}

func (v *Verb) help() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", v.Name, v.Summary)
	if v.Doc != "" {
		fmt.Fprintf(&b, "\n%s\n", v.Doc)
	}
	if len(v.Params) > 0 {
		b.WriteString("\n")
	}
	for i := range v.Params {
		b.WriteString("  " + v.Params[i].help() + "\n")
	}
	if v.open != nil {
		fmt.Fprintf(&b, "  %s\n", v.open.Doc)
	}
	fmt.Fprintf(&b, "\nExample\n  %s\n", strings.ReplaceAll(v.Example, "\n", "\n  "))
	return b.String()
}

func (p *Param) help() string {
	var b strings.Builder
	b.WriteString(p.Name)
	if !p.Position {
		b.WriteString("=")
	}
	fmt.Fprintf(&b, " %s", p.Doc)
	var more []string
	if w := p.wants(); w != "" {
		more = append(more, w)
	}
	if p.List && !p.Set {
		more = append(more, "or a list in [ ]")
	}
	switch {
	case p.Required:
		more = append(more, "required")
	case p.Default != "":
		more = append(more, "default "+p.Default)
	}
	if len(more) > 0 {
		fmt.Fprintf(&b, "\n      %s", strings.Join(more, "; "))
	}
	return b.String()
}

// Wrap breaks lines longer than width between words, keeping each line's indentation.
// Shorter lines stay as they are.
func Wrap(text string, width int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if utf8.RuneCountInString(line) <= width+1 {
			b.WriteString(line)
			continue
		}
		body := strings.TrimLeft(line, " ")
		indent := line[:len(line)-len(body)]
		at := 0
		for i, word := range strings.Fields(body) {
			n := utf8.RuneCountInString(word)
			switch {
			case i == 0:
				b.WriteString(indent)
				at = len(indent)
			case at+1+n > width:
				b.WriteString("\n" + indent)
				at = len(indent)
			default:
				b.WriteString(" ")
				at++
			}
			b.WriteString(word)
			at += n
		}
		b.WriteString("\n")
	}
	return b.String()
}

const languageHelp = `A notebook is a Markdown file. Cells are fenced blocks tagged eta, one statement a line:

  runs   = load "sweep.csv" loss="val loss" batch=bs*2048
  curves = curves runs by=N,D form=quadratic window=2 batch=tuned
  law    = law curves form=power
  target = predict law N=7B D=1.4T

A statement that gives its result a name can be used by any other, wherever it
stands; change it and what depends on it computes again.

Values
  4B  1.5M  205k  3e-4  1%     numbers, with suffixes k M B T
  1e-4..1e-2 x7                a range, log-spaced
  [32,64,128]  N,D             lists
  "val loss"                   a string
  bs*2048                      an expression over columns
  law (curves runs by=N,D)     a statement in parentheses, used at once
  # …                          a comment

Expressions: + - * / % ^, comparisons, && || not, in, and ln exp sqrt abs min max.
N, D, lr, batch, loss and C stand for the columns that have these roles.
Any statement on a table may end in where …: curves runs where N > 200M
`
