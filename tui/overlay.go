package tui

import (
	"math"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/number"
)

// overlay is a text to read over the notebook: help, keys, notes.
type overlay struct {
	title   string
	text    []string // painted paragraphs, wrapped when drawn
	example string
	top     int
	page    int // lines shown at once
	back    mode
	total   int
}

func (m *Model) openOverlay(title string, text []string, example string) tea.Cmd {
	back := browsing
	if m.mode == viewing {
		back = viewing
	}
	m.over = overlay{title: title, text: text, example: strings.TrimSpace(example), back: back}
	m.mode = reading
	return nil
}

func (m *Model) closeOverlay() tea.Cmd {
	m.mode = m.over.back
	m.holdRun()
	return nil
}

func (o *overlay) scroll(by int) { o.top = max(o.top+by, 0) }

// draw shows the overlay on exactly h lines and says when there is more.
func (o *overlay) draw(m *Model, w, h int) []string {
	t := m.th
	var body []string
	for _, p := range o.text {
		body = append(body, wrap(p, max(w-4, 1))...)
	}
	if o.example != "" {
		body = append(body, "", t.bold.Render("Example")+t.dim.Render("   i inserts it below the focus"), "")
		for l := range strings.Lines(o.example) {
			for _, r := range paintRows(t, strings.TrimRight(l, "\n"), max(w-6, 1)) {
				body = append(body, "  "+r.text)
			}
		}
	}
	o.total, o.page = len(body), max(h-2, 1)
	o.top = max(min(o.top, o.total-o.page), 0)
	more := ""
	if o.total > o.page {
		more = t.faint.Render(number.Count(o.top+1) + "–" + number.Count(min(o.top+o.page, o.total)) + " of " + number.Count(o.total))
	}
	out := []string{ends("  "+t.accent.Bold(true).Render(o.title), more, max(w-1, 0))}
	if h > 1 {
		out = append(out, "")
	}
	for i := o.top; i < min(o.top+o.page, o.total); i++ {
		out = append(out, "  "+body[i])
	}
	return box(out, w, h)
}

func noExample(m *Model) string {
	if m.over.example == "" {
		return "there is no example to insert"
	}
	return ""
}

// insertExample puts the statements of the example below the focus.
func (m *Model) insertExample() tea.Cmd {
	example := m.over.example
	m.closeOverlay()
	var lines []string
	for l := range strings.Lines(example) {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") && !strings.HasPrefix(l, "```") {
			lines = append(lines, l)
		}
	}
	return m.insertAll(lines)
}

// openKeys lists the keys of where you are, from the key table.
func (m *Model) openKeys() tea.Cmd {
	return m.openOverlay("Keys here", m.keyLines(m.places(), true), "")
}

// keyLines writes the bindings of some places, grouped; here, those that can
// do nothing now say why.
func (m *Model) keyLines(at place, here bool) []string {
	t := m.th
	var out []string
	for _, p := range placeNames {
		if p.at&at == 0 {
			continue
		}
		var rows []string
		for i := range m.keys.all {
			b := &m.keys.all[i]
			if b.at&p.at == 0 || here && !b.holds(at) {
				continue
			}
			names := make([]string, len(b.keys))
			for j, k := range b.keys {
				names[j] = keyName(k)
			}
			line := "  " + t.key.Render(pad(strings.Join(names, " "), 20)) + " " + b.what
			if b.off != nil && here {
				if why := b.off(m); why != "" {
					line = "  " + t.faint.Render(pad(strings.Join(names, " "), 20)+" "+b.what+" — now: "+why)
				}
			}
			rows = append(rows, line)
		}
		if len(rows) > 0 {
			out = append(append(out, t.heading.Render(p.name)), rows...)
			out = append(out, "")
		}
	}
	return append(out, t.dim.Render("Type :help and a word for the language. Hold Shift to select text with the mouse."))
}

// openHelp shows a topic of the language, or the keys.
func (m *Model) openHelp(topic string) tea.Cmd {
	switch topic {
	case "keys":
		var all place
		for _, p := range placeNames {
			all |= p.at
		}
		return m.openOverlay("All keys", m.keyLines(all, false), "")
	case "":
		return m.openOverlay("Help", m.helpIndex(), "")
	}
	text, example, ok := session.Help(topic)
	if !ok {
		return m.openOverlay("No help on "+oneLine(topic), paragraphs(text), "")
	}
	return m.openOverlay(oneLine(topic), paragraphs(text), example)
}

// helpIndex lists the verbs and the commands of the prompt.
func (m *Model) helpIndex() []string {
	t := m.th
	out := []string{
		"A notebook is a Markdown file; each statement names its result, and whoever uses the name follows it.",
		"Turn a knob of any statement with ← and →: everything below answers at once.",
		"", t.heading.Render("Verbs") + t.dim.Render("   :help predict shows one, with an example that i inserts"),
	}
	for _, v := range session.Verbs() {
		out = append(out, "  "+t.verb.Render(pad(v.Name, 12))+" "+oneLine(v.Summary))
	}
	out = append(out, "", t.heading.Render("Commands"))
	for _, o := range orders() {
		out = append(out, "  "+t.key.Render(pad(":"+o.name+" "+o.arg, 28))+" "+o.what)
	}
	return append(out, "", t.dim.Render("? lists the keys of where you are, :help keys all of them, :help language how statements are written."))
}

// openNotes shows everything the focused cell, and the answer, want to be known.
func (m *Model) openNotes() tea.Cmd {
	t := m.th
	var out []string
	if c := m.focused(); c != nil {
		out = append(out, m.notesOf(c)...)
	}
	if m.hasAnswer {
		a := &m.answer.Cell
		if c := m.focused(); c == nil || c.Line != a.Line {
			out = append(out, m.notesOf(a)...)
		}
	}
	if len(out) == 0 {
		out = []string{t.dim.Render("nothing to note")}
	}
	return m.openOverlay("Notes and warnings", out, "")
}

// notesOf writes the notes of one cell in full.
func (m *Model) notesOf(c *session.Cell) []string {
	t := m.th
	var rows []string
	if c.Err != nil {
		rows = append(rows, "  "+t.bad.Render("✗ "+oneLine(c.Err.Message)))
		if c.Err.Hint != "" {
			rows = append(rows, "    "+oneLine(c.Err.Hint))
		}
	}
	rows = append(rows, m.valueNotes(c.Value)...)
	said := strings.Join(rows, "\n")
	for _, n := range c.Notes {
		if n = oneLine(n); !strings.Contains(said, n) {
			rows = append(rows, "  · "+n)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return append(append([]string{t.heading.Render(strings.TrimSpace(oneLine(c.Name + "  " + c.Verb)))}, rows...), "")
}

// valueNotes writes what a value itself says beside its numbers.
func (m *Model) valueNotes(v session.Value) []string {
	t := m.th
	var rows []string
	note := func(mark, s string) {
		if s != "" {
			rows = append(rows, "  "+mark+" "+oneLine(s))
		}
	}
	warn := t.warn.Render("⚠")
	switch v := v.(type) {
	case session.Law:
		note("·", v.Text())
		for _, n := range v.Notes {
			note(warn, n)
		}
	case session.Prediction:
		for _, n := range v.Warnings {
			note(warn, n)
		}
		for i := range v.Beside {
			b := &v.Beside[i]
			said := title(b.Name) + " " + number.EtaPadded(b.LR, 3)
			switch {
			case math.IsNaN(b.LR):
				said = title(b.Name) + ": " + b.Why
			case !b.Comparable:
				said += ", not comparable: " + b.Why
			}
			note("·", said)
		}
	case session.Comparison:
		for _, n := range v.Notes {
			note("·", n)
		}
	case session.Curves:
		for i := range v.Curves {
			c := &v.Curves[i]
			for _, f := range c.Flags {
				note(warn, number.Key(c.Key)+": "+string(f))
			}
		}
	case session.Published:
		for _, n := range []string{v.Title + ", " + v.Source, v.Formula, v.Means, "batch: " + v.Batch, v.Conditions, v.Status} {
			note("·", n)
		}
	}
	return rows
}

// paragraphs splits a help text into lines for wrapping.
func paragraphs(text string) []string {
	return strings.Split(strings.TrimRight(text, "\n"), "\n")
}
