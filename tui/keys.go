package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
)

// place is where keys are pressed; several can hold at once.
type place uint32

const (
	inNotebook  place = 1 << iota // browsing, any focus
	onStatement                   // a statement is in focus
	onProse                       // prose is in focus
	onKnobs                       // the focused statement has knobs
	onCurves                      // its value has curves to look at
	onTable                       // its value is shown as a table
	onPanes                       // its value has several panes
	onSweep                       // its value is a sweep
	onRuns                        // whose runs are drawn as lines
	onRun                         // … and one of them is picked
	inFlow                        // up and down walk the notebook
	inRows                        // up and down walk the rows of a zoomed table
	inLine                        // a line is being typed
	inPrompt                      // … in the prompt
	inPopup                       // … with completions open
	inSearch                      // … to search for
	inHistory                     // … from the history
	inProse                       // prose is being typed
	inRun                         // one run of a sweep is open
	inOverlay                     // help or notes are open
)

// placeNames names the places for help and tests.
var placeNames = []struct {
	at   place
	name string
}{
	{inFlow, "Notebook"},
	{inRows, "Rows of a table"},
	{onKnobs, "Knobs"},
	{onStatement, "Statement"},
	{onProse, "Prose"},
	{onCurves, "Curves"},
	{onTable, "Table"},
	{onPanes, "Value"},
	{onSweep, "Sweep"},
	{onRuns, "Lines of a sweep"},
	{onRun, "A run picked"},
	{inRun, "One run"},
	{inNotebook, "Everywhere in the notebook"},
	{inPopup, "Completions"},
	{inLine, "Typing a line"},
	{inPrompt, "Prompt"},
	{inSearch, "Searching"},
	{inHistory, "History"},
	{inProse, "Typing prose"},
	{inOverlay, "Help and notes"},
}

// binding is one row of the key table. Dispatch, the ? help and the hint line
// are all read from it.
type binding struct {
	keys []string // as the terminal names them; the first is shown first
	at   place    // any of these
	not  place    // but none of these
	what string   // what it does, for help
	hint string   // for the hint line, keys first: "←→ knob"; "" keeps it off
	keep int      // how long it stays on the hint line
	do   func(*Model) tea.Cmd
	off  func(*Model) string // why it can do nothing now; "" if it can
}

// holds reports whether the binding is one of where the keyboard is.
func (b *binding) holds(at place) bool { return b.at&at != 0 && b.not&at == 0 }

// keyTable is every key. Two bindings of places that can hold together never
// share a key.
type keyTable struct {
	all []binding
	by  map[string][]*binding
}

func newKeyTable() *keyTable {
	t := &keyTable{by: map[string][]*binding{}}
	for _, part := range [][]binding{focusKeys(), knobKeys(), valueKeys(), sweepKeys(), runKeys(), notebookKeys(), lineKeys(), typingKeys(), overlayKeys()} {
		t.all = append(t.all, part...)
	}
	for i := range t.all {
		for _, k := range t.all[i].keys {
			t.by[k] = append(t.by[k], &t.all[i])
		}
	}
	return t
}

// places tells where the keyboard is.
func (m *Model) places() place {
	switch m.mode {
	case editing, prompting:
		p := inLine
		if m.mode == prompting {
			p |= inPrompt
		}
		if m.line.open {
			p |= inPopup
		}
		return p
	case searching:
		return inSearch
	case recalling:
		return inHistory
	case writing:
		return inProse
	case reading:
		return inOverlay
	case viewing:
		return inRun
	}
	p := inNotebook
	c := m.focused()
	if c == nil {
		if m.focusedProse() != nil {
			p |= onProse
		}
		return p | inFlow
	}
	p |= onStatement
	if len(m.knobs) > 0 {
		p |= onKnobs
	}
	if m.curvesOf(c.Value) != nil {
		p |= onCurves
	}
	if len(m.panes(c)) > 1 {
		p |= onPanes
	}
	if v, ok := m.sweepOf(); ok {
		p |= onSweep
		if shown, _, _ := m.paneShown(c); shown.draw != nil {
			p |= onRuns
			if m.picked(c, v) >= 0 {
				p |= onRun
			}
		}
	}
	if m.grid(c) != nil {
		p |= onTable
		if m.zoom {
			return p | inRows
		}
	}
	return p | inFlow
}

// find returns what a key does at some places.
func (t *keyTable) find(key string, at place) *binding {
	for _, b := range t.by[key] {
		if b.holds(at) {
			return b
		}
	}
	return nil
}

// onKey dispatches a key through the table; what is not in it is typed.
func (m *Model) onKey(k tea.KeyPressMsg) tea.Cmd {
	m.said = said{}
	key := k.String()
	if letter, ok := strings.CutPrefix(key, "shift+"); ok && len(letter) == 1 {
		key = strings.ToUpper(letter) // how some terminals report a capital
	}
	if key != "ctrl+c" {
		m.leaveNow = false
	}
	b := m.keys.find(key, m.places())
	if b == nil {
		return m.typed(k)
	}
	if b.off != nil {
		if why := b.off(m); why != "" {
			m.say(why)
			return nil
		}
	}
	return b.do(m)
}

// hints is the hint line of where you are.
func (m *Model) hints() []part {
	at := m.places()
	var out []part
	seen := map[string]bool{}
	for i := range m.keys.all {
		b := &m.keys.all[i]
		if b.hint == "" || !b.holds(at) || seen[b.hint] {
			continue
		}
		if b.off != nil && b.off(m) != "" {
			continue
		}
		seen[b.hint] = true
		keys, word := cutHint(b.hint)
		out = append(out, part{m.th.key.Render(keys) + m.th.dim.Render(word), b.keep})
	}
	return out
}

// cutHint splits "[ ] curve" into its keys and its last words.
func cutHint(h string) (keys, word string) {
	for i, r := range h {
		if r == ' ' && i+1 < len(h) && h[i+1] >= 'a' && h[i+1] <= 'z' {
			return h[:i], h[i:]
		}
	}
	return h, ""
}

// keyName writes a key the way a person reads it: ctrl+left is Ctrl-←.
func keyName(k string) string {
	if mod, rest, ok := strings.Cut(k, "+"); ok && rest != "" {
		name := keyName(rest)
		if len(rest) == 1 {
			name = strings.ToUpper(rest)
		}
		return strings.ToUpper(mod[:1]) + mod[1:] + "-" + name
	}
	switch k {
	case "up":
		return "↑"
	case "down":
		return "↓"
	case "left":
		return "←"
	case "right":
		return "→"
	case "pgup":
		return "PgUp"
	case "pgdown":
		return "PgDn"
	case "enter", "esc", "tab", "space", "home", "end", "backspace", "delete":
		return strings.ToUpper(k[:1]) + k[1:]
	}
	return k
}
