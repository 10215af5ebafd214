package export

import (
	"html"
	"regexp"
	"strings"
)

// Prose renders a small subset of Markdown as HTML: headings, paragraphs, lists,
// quotes, rules, fenced code, inline code, emphasis, and links to http and https.
// Everything else, HTML included, stands for itself: the result holds no element
// and no attribute but those written here.
func Prose(lines []string) string {
	p := &proseWriter{}
	for i := 0; i < len(lines); {
		i = p.block(lines, i)
	}
	p.flush()
	return p.out.String()
}

type proseWriter struct {
	out   strings.Builder
	open  string   // "p", "ul", "ol", "blockquote" or ""
	items []string // lines of the paragraph or quote, items of the list
}

var (
	heading   = regexp.MustCompile(`^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$`)
	bullet    = regexp.MustCompile(`^\s*[-*+][ \t]+(.*)$`)
	ordered   = regexp.MustCompile(`^\s*[0-9]{1,9}[.)][ \t]+(.*)$`)
	quote     = regexp.MustCompile(`^ {0,3}> ?(.*)$`)
	rule      = regexp.MustCompile(`^ {0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$`)
	fenceMark = regexp.MustCompile("^ {0,3}(```+|~~~+)")
)

// block renders what begins at line i and returns the line behind it.
func (p *proseWriter) block(lines []string, i int) int {
	l := strings.TrimRight(lines[i], " \t\r")
	if l == "" {
		p.flush()
		return i + 1
	}
	if m := fenceMark.FindStringSubmatch(l); m != nil {
		p.flush()
		return p.code(lines, i+1, m[1])
	}
	if strings.HasPrefix(strings.TrimLeft(l, " "), "|") {
		p.flush()
		return p.table(lines, i)
	}
	switch {
	case rule.MatchString(l):
		p.flush()
		p.out.WriteString("<hr/>\n")
	case heading.MatchString(l):
		p.flush()
		m := heading.FindStringSubmatch(l)
		tag := "h" + itoa(len(m[1]))
		p.out.WriteString("<" + tag + ">" + inline(m[2]) + "</" + tag + ">\n")
	case bullet.MatchString(l):
		p.add("ul", bullet.FindStringSubmatch(l)[1])
	case ordered.MatchString(l):
		p.add("ol", ordered.FindStringSubmatch(l)[1])
	case quote.MatchString(l):
		p.add("blockquote", quote.FindStringSubmatch(l)[1])
	case p.open == "ul" || p.open == "ol":
		p.items[len(p.items)-1] += "\n" + strings.TrimSpace(l)
	case p.open == "blockquote":
		p.items = append(p.items, l)
	default:
		p.add("p", strings.TrimSpace(l))
	}
	return i + 1
}

// code renders a fenced block whose first line is i.
func (p *proseWriter) code(lines []string, i int, mark string) int {
	p.out.WriteString("<pre><code>")
	for ; i < len(lines); i++ {
		t := strings.TrimSpace(lines[i])
		if strings.HasPrefix(t, mark) && strings.Trim(t, mark[:1]) == "" {
			i++
			break
		}
		p.out.WriteString(escape(lines[i]) + "\n")
	}
	p.out.WriteString("</code></pre>\n")
	return i
}

// table shows a Markdown table as it was written, which is readable.
func (p *proseWriter) table(lines []string, i int) int {
	p.out.WriteString("<pre>")
	for ; i < len(lines) && strings.HasPrefix(strings.TrimLeft(lines[i], " "), "|"); i++ {
		p.out.WriteString(escape(lines[i]) + "\n")
	}
	p.out.WriteString("</pre>\n")
	return i
}

// add adds a line or an item to the open block of that kind, or opens one.
func (p *proseWriter) add(kind, text string) {
	if p.open != kind {
		p.flush()
		p.open = kind
	}
	p.items = append(p.items, text)
}

func (p *proseWriter) flush() {
	switch p.open {
	case "p":
		p.out.WriteString("<p>" + inline(strings.Join(p.items, "\n")) + "</p>\n")
	case "blockquote":
		p.out.WriteString("<blockquote><p>" + inline(strings.Join(p.items, "\n")) + "</p></blockquote>\n")
	case "ul", "ol":
		p.out.WriteString("<" + p.open + ">\n")
		for _, item := range p.items {
			p.out.WriteString("<li>" + inline(item) + "</li>\n")
		}
		p.out.WriteString("</" + p.open + ">\n")
	}
	p.open, p.items = "", nil
}

// escape makes text fit for HTML, in an element or an attribute. Line ends stay.
func escape(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = html.EscapeString(Clean(l))
	}
	return strings.Join(lines, "\n")
}
