package tui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/table"
)

// mode is which part of the screen has the keyboard.
type mode int

const (
	browsing  mode = iota // the notebook
	editing               // a statement, in place
	prompting             // the prompt line
	searching             // the search line
	recalling             // searching the history of the prompt
	writing               // prose
	reading               // an overlay: help, notes
	viewing               // one run of a sweep
)

// Model is the whole screen. Its methods are called from one goroutine.
type Model struct {
	nb  notebook
	ctx context.Context

	w, h      int
	th        *theme
	themeName string // auto, dark, light or none
	dark      bool

	items     []session.Item
	file      session.File
	knobs     []session.Knob // of the focused cell
	answer    session.Answer
	hasAnswer bool
	moved     bool // the answer moved a moment ago
	movedGen  int

	mode     mode
	focus    int  // of items
	follow   bool // the scroll follows the focus
	pristine bool // no key was pressed yet
	looked   bool // the first frame was laid out
	top      int  // first line of the notebook shown
	zoom     bool
	gutter   int

	cells map[string]*cellState
	line  lineEditor
	text  proseEditor
	over  overlay
	find  finder
	hist  history
	keys  *keyTable
	log   *runLog // of the run picked; nil: none is

	said     said
	quitting bool
	leaveNow bool // Ctrl-C was pressed once
	unsaved  bool // :q!: a save that fails keeps nobody here

	memo    memo
	sorted  sorted
	shapes  map[*table.Table][]part
	sheets  map[any][]session.Sheet
	hit     hits
	content string
	cursor  *tea.Cursor
	dirty   bool
}

// said is what the screen answers a key with, until the next key.
type said struct {
	text string
	bad  bool
}

// newModel makes a screen for nb. ctx ends the commands that wait.
func newModel(ctx context.Context, nb notebook, themeName string, dark bool) *Model {
	m := &Model{nb: nb, ctx: ctx, w: 80, h: 24, themeName: themeName, dark: dark, cells: map[string]*cellState{}, follow: true, dirty: true, keys: newKeyTable(), pristine: true}
	m.retheme()
	m.refresh()
	m.focusFirst()
	return m
}

// retheme builds the styles anew.
func (m *Model) retheme() {
	dark := m.dark
	switch m.themeName {
	case "dark":
		dark = true
	case "light":
		dark = false
	}
	m.th = newTheme(dark, m.themeName != "none")
	m.memo.forget()
	m.dirty = true
}

// focusFirst starts on the curves, whose picture says most and whose knobs move
// the answer, or on a contest, else on the first statement.
func (m *Model) focusFirst() {
	first := -1
	for i := range m.items {
		c := m.items[i].Cell
		if c == nil {
			continue
		}
		if first < 0 {
			first = i
		}
		if c.Verb == "curves" || c.Verb == "paradigms" {
			first = i
			break
		}
	}
	m.focus = max(first, 0)
	m.refocus()
}

// Messages of the screen's own.
type (
	changedMsg struct{}              // a snapshot would differ
	polledMsg  struct{}              // the disk was looked at
	quietMsg   struct{ gen int }     // the mark of what moved goes
	sortedMsg  struct{ done func() } // a long sort finished
)

// Init asks the terminal for its background and starts waiting for the session.
func (m *Model) Init() tea.Cmd {
	cmds := []tea.Cmd{m.waitChanged(0), m.pollLater(), syncOutput}
	if m.themeName == "auto" {
		cmds = append(cmds, tea.RequestBackgroundColor)
	}
	return tea.Batch(cmds...)
}

// waitChanged waits for the session to change. After a change it first rests,
// so that a burst of progress is at most 25 frames a second; the last state
// always arrives because the session's channel keeps one change.
func (m *Model) waitChanged(rest time.Duration) tea.Cmd {
	ctx, ch := m.ctx, m.nb.Changed()
	return func() tea.Msg {
		if rest > 0 && !sleep(ctx, rest) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-ch:
			if !ok {
				return nil
			}
			return changedMsg{}
		}
	}
}

// pollLater looks at the disk once a second, more often while a sweep trains, off
// the event loop: a slow network disk must not stop the keys. It changes nothing
// on the screen itself.
func (m *Model) pollLater() tea.Cmd {
	ctx, nb, every := m.ctx, m.nb, time.Second
	if m.training() {
		every = time.Second / 4
	}
	return func() tea.Msg {
		if !sleep(ctx, every) {
			return nil
		}
		nb.Poll()
		return polledMsg{}
	}
}

// later delivers msg after d, unless the screen ends first.
func (m *Model) later(d time.Duration, msg tea.Msg) tea.Cmd {
	ctx := m.ctx
	return func() tea.Msg {
		if !sleep(ctx, d) {
			return nil
		}
		return msg
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Update takes one message. Besides session calls, which are quick, it does no I/O.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case polledMsg:
		return m, tea.Batch(m.pollLater(), m.followRun())
	case loggedMsg:
		return m, m.logged(msg)
	case changedMsg:
		return m, tea.Batch(m.refresh(), m.waitChanged(40*time.Millisecond))
	case tea.WindowSizeMsg:
		if msg.Width == m.w && msg.Height == m.h && m.content != "" {
			return m, nil
		}
		m.w, m.h, m.follow = msg.Width, msg.Height, true
		if m.pristine {
			m.looked = false // still the first sight
		}
		m.dirty = true
	case tea.BackgroundColorMsg:
		if m.themeName == "auto" && msg.IsDark() != m.dark {
			m.dark = msg.IsDark()
			m.retheme()
		}
	case tea.EnvMsg, tea.ColorProfileMsg, tea.ModeReportMsg:
	case quietMsg:
		if msg.gen == m.movedGen && m.moved {
			m.moved, m.dirty = false, true
		}
	case sortedMsg:
		msg.done()
		m.dirty = true
	case tea.KeyPressMsg:
		m.dirty, m.pristine = true, false
		return m, m.onKey(msg)
	case tea.PasteMsg:
		m.dirty = true
		return m, m.onPaste(msg)
	case tea.MouseClickMsg:
		m.dirty = true
		return m, m.onClick(msg)
	case tea.MouseWheelMsg:
		m.dirty = true
		m.onWheel(msg)
	}
	return m, nil
}

// refresh takes a new snapshot of the session, keeps the focus on what it was
// on, and marks the answer when it moved.
func (m *Model) refresh() tea.Cmd {
	name, line := "", m.focusedLine()
	if c := m.focused(); c != nil {
		name = c.Name
	}
	m.items = shownItems(m.nb.Items())
	m.file = m.nb.File()
	m.gutter = m.gutterOf()
	m.focus = m.findFocus(name, line)
	m.dirty = true
	if m.pristine {
		m.looked = false
	}
	before, had := m.answer, m.hasAnswer
	m.refocus()
	m.holdRun()
	if had && m.hasAnswer && m.answer.Before != nil && before.Cell.Name == m.answer.Cell.Name &&
		identity(before.Cell.Value) != identity(m.answer.Cell.Value) {
		m.moved = true
		m.movedGen++
		return m.later(1500*time.Millisecond, quietMsg{m.movedGen})
	}
	return nil
}

// refocus reads what the screen shows about the focused cell.
func (m *Model) refocus() {
	m.knobs = nil
	line := m.focusedLine()
	if m.focused() != nil {
		m.knobs = m.nb.Knobs(line)
	}
	m.answer, m.hasAnswer = m.nb.Answer(line)
	m.dirty = true
}

// findFocus finds the item that was in focus: at its line, else by its name.
func (m *Model) findFocus(name string, line int) int {
	at := -1
	for i := range m.items {
		c := m.items[i].Cell
		if m.items[i].Line <= line {
			at = i
		}
		if c != nil && c.Line == line && (name == "" || c.Name == name) {
			return i
		}
	}
	for i := range m.items {
		if c := m.items[i].Cell; c != nil && name != "" && c.Name == name {
			return i
		}
	}
	return min(max(at, 0), max(len(m.items)-1, 0))
}

// focusLine moves the focus to the item at a document line.
func (m *Model) focusLine(line int) {
	for i := range m.items {
		if m.items[i].Line <= line {
			m.focus = i
		}
	}
	m.follow = true
}

// edited is called after every edit of the session: what recomputes quickly
// is waited for, so that it lands in the same frame. line moves the focus; -1 keeps it.
func (m *Model) edited(line int) tea.Cmd {
	m.nb.Wait(editWait)
	cmd := m.refresh()
	if line >= 0 {
		m.focusLine(line)
		m.refocus()
	}
	m.follow = true
	return cmd
}

// say answers a key on the prompt line until the next one.
func (m *Model) say(text string) { m.said = said{text: text} }

// complain says what went wrong.
func (m *Model) complain(err error) {
	if err != nil {
		m.said = said{text: oneLine(err.Error()), bad: true}
	}
}

// shownItems drops what a notebook shows nothing of: blank runs.
func shownItems(items []session.Item) []session.Item {
	out := make([]session.Item, 0, len(items))
	for _, it := range items {
		if it.Cell != nil || !blankProse(it.Prose) {
			out = append(out, it)
		}
	}
	return out
}
