package tui

import tea "charm.land/bubbletea/v2"

// inTyping is wherever text is typed.
const inTyping = inLine | inSearch | inHistory | inProse

// typingKeys edit the text being typed, the way shells do.
func typingKeys() []binding {
	edit := func(f func(b *buffer)) func(*Model) tea.Cmd {
		return func(m *Model) tea.Cmd {
			if b := m.buffer(); b != nil {
				f(b)
			}
			return m.typedOn()
		}
	}
	return []binding{
		{keys: []string{"left", "ctrl+b"}, at: inTyping, what: "a character left", do: edit(func(b *buffer) { b.move(b.at - 1) })},
		{keys: []string{"right", "ctrl+f"}, at: inTyping, what: "a character right", do: edit(func(b *buffer) { b.move(b.at + 1) })},
		{keys: []string{"home", "ctrl+a"}, at: inTyping, what: "the start of the line", do: edit(func(b *buffer) { b.move(b.home()) })},
		{keys: []string{"end", "ctrl+e"}, at: inTyping, what: "the end of the line", do: edit(func(b *buffer) { b.move(b.end()) })},
		{keys: []string{"ctrl+left", "alt+b", "alt+left"}, at: inTyping, what: "a word left", do: edit(func(b *buffer) { b.move(b.wordLeft()) })},
		{keys: []string{"ctrl+right", "alt+f", "alt+right"}, at: inTyping, what: "a word right", do: edit(func(b *buffer) { b.move(b.wordRight()) })},
		{keys: []string{"backspace", "ctrl+h"}, at: inTyping, what: "delete the character before", do: edit(func(b *buffer) { b.cut(b.at-1, b.at) })},
		{keys: []string{"delete", "ctrl+d"}, at: inTyping, what: "delete the character under the cursor", do: edit(func(b *buffer) { at := b.at; b.cut(at, at+1) })},
		{keys: []string{"ctrl+w", "alt+backspace"}, at: inTyping, what: "delete the word before", do: edit(func(b *buffer) { b.cut(b.wordLeft(), b.at) })},
		{keys: []string{"alt+d"}, at: inTyping, what: "delete the word after", do: edit(func(b *buffer) { b.cut(b.at, b.wordRight()) })},
		{keys: []string{"ctrl+k"}, at: inTyping, what: "delete to the end of the line", do: edit(func(b *buffer) { b.cut(b.at, b.end()) })},
		{keys: []string{"ctrl+u"}, at: inTyping, what: "delete to the start of the line", do: edit(func(b *buffer) { b.cut(b.home(), b.at) })},
		{keys: []string{"enter"}, at: inProse, what: "a new line", do: edit(func(b *buffer) { b.insert("\n") })},
		{keys: []string{"up"}, at: inProse, what: "a line up", do: func(m *Model) tea.Cmd { m.text.buf.move(m.text.buf.vertical(-1, m.proseRoom())); return nil }},
		{keys: []string{"down"}, at: inProse, what: "a line down", do: func(m *Model) tea.Cmd { m.text.buf.move(m.text.buf.vertical(1, m.proseRoom())); return nil }},
	}
}

// buffer is the text being typed; nil when there is none.
func (m *Model) buffer() *buffer {
	switch m.mode {
	case editing, prompting, searching, recalling:
		return &m.line.buf
	case writing:
		return &m.text.buf
	}
	return nil
}

// typedOn follows a change of the text being typed: checks, completions, search.
func (m *Model) typedOn() tea.Cmd {
	switch m.mode {
	case editing, prompting:
		m.line.changedTo(m)
	case searching:
		m.find.look(m, m.line.value())
	case recalling:
		m.hist.look(m.line.value())
	}
	return nil
}

// typed takes a key that is in no table: text is typed, anything else is told about.
func (m *Model) typed(k tea.KeyPressMsg) tea.Cmd {
	b := m.buffer()
	switch {
	case b != nil && k.Text != "":
		b.insert(oneLine(k.Text))
		return m.typedOn()
	case m.mode == browsing:
		m.say(keyName(k.String()) + " does nothing here; ? lists the keys")
	}
	return nil
}
