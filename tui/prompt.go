package tui

import (
	"errors"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/number"
)

// order is a command of the prompt. There are few: everything else is a key or
// a statement.
type order struct {
	name, arg, what string
	do              func(m *Model, arg string) tea.Cmd
}

// orders lists the commands, in the order help shows them.
func orders() []order {
	return []order{
		{"help", "[topic]", "a verb, a parameter (curves.window), language, keys", func(m *Model, arg string) tea.Cmd { return m.openHelp(arg) }},
		{"w", "[file]", "save, or save as another file", func(m *Model, arg string) tea.Cmd { return m.saveAs(arg) }},
		{"q", "", "save and quit", func(m *Model, _ string) tea.Cmd { return m.quit() }},
		{"q!", "", "quit even if it cannot be saved: the recovery file keeps it", func(m *Model, _ string) tea.Cmd {
			m.quitting, m.unsaved = true, true
			return tea.Quit
		}},
		{"wq", "", "save and quit", func(m *Model, _ string) tea.Cmd { return m.quit() }},
		{"theme", "auto|dark|light|none", "colours", func(m *Model, arg string) tea.Cmd { return m.setTheme(arg) }},
		{"text", "", "write prose below the focus", func(m *Model, _ string) tea.Cmd { return m.newProse() }},
		{"reload", "", "take the file as it is on disk", func(m *Model, _ string) tea.Cmd { return m.reload() }},
	}
}

// command tells a command from a statement: "w" is one, "w = load …" is not.
func command(text string) (name, arg string, ok bool) {
	text = strings.TrimLeft(strings.TrimSpace(text), ":")
	name, arg, _ = strings.Cut(text, " ")
	arg = strings.TrimSpace(arg)
	if strings.HasPrefix(arg, "=") {
		return "", "", false
	}
	for _, o := range orders() {
		if o.name == name {
			return name, arg, true
		}
	}
	return "", "", false
}

// commandWays completes commands and what follows them.
func commandWays(head string) []session.Completion {
	var out []session.Completion
	name, arg, args := strings.Cut(head, " ")
	offer := func(word, doc string) {
		typed := head
		if args {
			typed = arg
		}
		if strings.HasPrefix(word, typed) && typed != "" || args && typed == "" {
			out = append(out, session.Completion{Start: len(head) - len(typed), End: len(head), Insert: word, Label: word, Doc: doc})
		}
	}
	switch {
	case !args:
		for _, o := range orders() {
			if len(o.name) > 2 {
				offer(o.name, "command: "+o.what)
			}
		}
	case name == "help":
		for _, v := range session.Verbs() {
			offer(v.Name, v.Summary)
		}
		offer("language", "how statements are written")
		offer("keys", "every key")
	case name == "theme":
		for _, w := range strings.Split("auto dark light none", " ") {
			offer(w, "")
		}
	}
	return out
}

// run carries out a command.
func (m *Model) run(name, arg string) tea.Cmd {
	for _, o := range orders() {
		if o.name == name {
			return o.do(m, arg)
		}
	}
	return nil
}

func (m *Model) saveAs(path string) tea.Cmd {
	if path == "" {
		return m.save()
	}
	if err := m.nb.SaveAs(path); err != nil {
		m.complain(err)
	} else {
		m.say("saved as " + oneLine(path))
	}
	return m.refresh()
}

func (m *Model) setTheme(name string) tea.Cmd {
	switch name {
	case "auto", "dark", "light", "none":
		m.themeName = name
		m.retheme()
		if name == "auto" {
			return tea.RequestBackgroundColor
		}
	default:
		m.complain(errors.New("theme is auto, dark, light or none"))
	}
	return nil
}

// promptTail is what stands at the right of the prompt.
func (m *Model) promptTail() string {
	t, l := m.th, &m.line
	switch {
	case m.said.text != "":
		if m.said.bad {
			return t.bad.Render(m.said.text)
		}
		return t.dim.Render(m.said.text)
	case l.err != nil && !l.open && strings.TrimSpace(l.value()) != "":
		return t.bad.Render(oneLine(l.err.Message))
	}
	where := "below"
	if l.where == above {
		where = "above"
	}
	line, _ := joinParts(append([]part{{t.faint.Render("adds " + where), 1}}, m.hints()...), t.faint.Render(" · "), m.w*2/3)
	return line
}

// history remembers what was typed in the prompt.
type history struct {
	lines []string
	term  string
	at    int // index of the line found; -1: none
	skip  int // how many matches to pass over
}

func (h *history) add(text string) {
	if n := len(h.lines); n > 0 && h.lines[n-1] == text {
		return
	}
	h.lines = append(h.lines, text)
}

// look finds the latest line that holds term.
func (h *history) look(term string) {
	if term != h.term {
		h.skip = 0
	}
	h.term, h.at = term, -1
	left := h.skip
	for i := len(h.lines) - 1; i >= 0; i-- {
		if !strings.Contains(strings.ToLower(h.lines[i]), strings.ToLower(term)) {
			continue
		}
		h.at = i
		if left == 0 {
			return
		}
		left--
	}
}

func (h *history) next() { h.skip++; h.look(h.term) }

func (h *history) found() string {
	if h.at < 0 || h.at >= len(h.lines) {
		return ""
	}
	return h.lines[h.at]
}

func (h *history) tail() string {
	if f := h.found(); f != "" {
		return "→ " + f
	}
	return "nothing found"
}

func (m *Model) startRecall() tea.Cmd {
	if len(m.hist.lines) == 0 {
		m.say("nothing was typed here yet")
		return nil
	}
	m.hist.skip = 0
	m.hist.look("")
	m.line.start("", m.line.at)
	m.mode = recalling
	return nil
}

func (m *Model) endRecall(take bool) tea.Cmd {
	text := ""
	if take {
		text = m.hist.found()
	}
	at := m.line.at
	m.line.start("", at)
	m.mode = prompting
	m.line.set(text)
	m.line.look(m)
	return nil
}

// onPaste types what was pasted; several lines become several statements.
func (m *Model) onPaste(p tea.PasteMsg) tea.Cmd {
	switch m.mode {
	case writing:
		m.text.buf.insert(strings.ReplaceAll(p.Content, "\r", ""))
		return nil
	case browsing:
		return m.pasteStatements(p.Content)
	case reading, viewing:
		return nil
	}
	m.line.buf.insert(strings.TrimSpace(oneLine(p.Content)))
	return m.typedOn()
}

func (m *Model) pasteStatements(text string) tea.Cmd {
	var lines []string
	for l := range strings.Lines(text) {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "```") {
			lines = append(lines, l)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	if len(lines) == 1 {
		m.openPrompt(after)
		m.line.set(lines[0])
		m.line.look(m)
		return nil
	}
	return m.insertAll(lines)
}

// insertAll puts several statements below the focus.
func (m *Model) insertAll(lines []string) tea.Cmd {
	cmd := m.insert(strings.Join(lines, "\n"), after)
	m.say("inserted " + number.Plural(len(lines), "statement", "statements") + "; u takes them back")
	return cmd
}

// finder searches the notebook.
type finder struct {
	term  string
	from  int // focus when the search began
	found []int
}

func noSearch(m *Model) string {
	if m.find.term == "" {
		return "search with / first"
	}
	return ""
}

func (m *Model) startSearch() tea.Cmd {
	m.find = finder{from: m.focus}
	m.line.start("", m.focusedLine())
	m.mode = searching
	return nil
}

// look goes to the first match at or below where the search began.
func (f *finder) look(m *Model, term string) {
	f.term, f.found = term, nil
	if term == "" {
		m.moveFocus(f.from - m.focus)
		return
	}
	for i := range m.items {
		if itemHas(&m.items[i], strings.ToLower(term)) {
			f.found = append(f.found, i)
		}
	}
	for _, i := range f.found {
		if i >= f.from {
			m.moveFocus(i - m.focus)
			return
		}
	}
	if len(f.found) > 0 {
		m.moveFocus(f.found[0] - m.focus)
		return
	}
	m.moveFocus(f.from - m.focus)
}

func itemHas(it *session.Item, term string) bool {
	if it.Cell != nil {
		return strings.Contains(strings.ToLower(it.Cell.Text), term)
	}
	for _, l := range it.Prose {
		if strings.Contains(strings.ToLower(l), term) {
			return true
		}
	}
	return false
}

// step goes to the next or the previous match, round the ends.
func (f *finder) step(m *Model, by int) tea.Cmd {
	f.from = m.focus
	n := len(m.items)
	for k := 1; k <= n; k++ {
		i := ((m.focus+by*k)%n + n) % n
		if itemHas(&m.items[i], strings.ToLower(f.term)) {
			m.moveFocus(i - m.focus)
			return nil
		}
	}
	m.say("not found: " + oneLine(f.term))
	return nil
}

func (f *finder) tail() string {
	if f.term == "" {
		return ""
	}
	return number.Plural(len(f.found), "place", "places")
}

func (m *Model) endSearch(stay bool) tea.Cmd {
	from := m.find.from
	if !stay {
		m.moveFocus(from - m.focus)
		m.find.term = ""
	} else if m.find.term != "" && len(m.find.found) == 0 {
		m.say("not found: " + oneLine(m.find.term))
	}
	m.leaveMode()
	return nil
}
