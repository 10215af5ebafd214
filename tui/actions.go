package tui

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/number"
)

// moveFocus walks the notebook.
func (m *Model) moveFocus(by int) tea.Cmd {
	if len(m.items) == 0 {
		return nil
	}
	to := min(max(m.focus+by, 0), len(m.items)-1)
	m.follow = true
	if to == m.focus {
		return nil
	}
	m.focus = to
	m.refocus()
	return nil
}

// walk moves the focus by one; through an item taller than the screen it goes by pages first.
func (m *Model) walk(by int) tea.Cmd {
	hidden := m.hit.below
	if by < 0 {
		hidden = m.hit.above
	}
	if hidden == 0 {
		return m.moveFocus(by)
	}
	m.follow = false
	m.top += by * min(hidden, max(m.hit.lines-2, 1))
	return nil
}

// page moves a screenful: rows of a table in focus, else the notebook.
func (m *Model) page(by int) tea.Cmd {
	if c := m.focused(); c != nil && m.grid(c) != nil {
		return m.scrollRows(by * max(m.hit.gridRows, 1))
	}
	return m.moveFocus(by * max(m.h/4, 1))
}

func knobStuck(m *Model) string {
	i := m.selectedKnob()
	if i < 0 {
		return "nothing to turn here"
	}
	return m.knobs[i].OffWhy
}

func knobNoToggle(m *Model) string {
	if why := knobStuck(m); why != "" {
		return why
	}
	if p := m.knobs[m.selectedKnob()].Param; !toggles(p) {
		return p.Name + " has nothing to switch; ← → turn it"
	}
	return ""
}

func knobDefault(m *Model) string {
	i := m.selectedKnob()
	if i < 0 {
		return "nothing to reset here"
	}
	if !m.knobs[i].Written {
		return m.knobs[i].Param.Name + " is at its default"
	}
	if m.knobs[i].Param.Required {
		return m.knobs[i].Param.Name + " has no default"
	}
	return ""
}

// knobEdit runs an edit of the selected knob and shows what follows.
func (m *Model) knobEdit(edit func(line int, param string) error) tea.Cmd {
	i := m.selectedKnob()
	if i < 0 {
		return nil
	}
	line, param := m.focusedLine(), m.knobs[i].Param.Name
	m.stateOf(m.focused()).knob = param
	if err := edit(line, param); err != nil {
		m.complain(err)
		return nil
	}
	return m.edited(line)
}

func (m *Model) turn(steps int, coarse bool) tea.Cmd {
	return m.knobEdit(func(line int, param string) error { return m.nb.Turn(line, param, steps, coarse) })
}

func (m *Model) toggleKnob() tea.Cmd { return m.knobEdit(m.nb.Toggle) }

func (m *Model) resetKnob() tea.Cmd {
	return m.knobEdit(func(line int, param string) error { return m.nb.SetParam(line, param, "") })
}

func (m *Model) selectKnob(by int) tea.Cmd {
	i := m.selectedKnob()
	if i < 0 {
		return nil
	}
	n := len(m.knobs)
	m.stateOf(m.focused()).knob = m.knobs[((i+by)%n+n)%n].Param.Name
	m.follow = true
	return nil
}

// stepCurve looks at another curve of the set.
func (m *Model) stepCurve(by int) tea.Cmd {
	c := m.focused()
	set := m.curvesOf(c.Value)
	if set == nil || len(set.Curves) == 0 {
		return nil
	}
	st := m.stateOf(c)
	n := len(set.Curves)
	st.curve = ((clampTo(st.curve, n)+by)%n + n) % n
	st.point = -1
	return nil
}

// stepPoint moves the cursor over the points of the curve shown.
func (m *Model) stepPoint(by int) tea.Cmd {
	c := m.focused()
	curve := m.curveShown(c)
	if curve == nil {
		return nil
	}
	pts := pointsOf(curve)
	if len(pts) == 0 {
		m.say("this curve has no points")
		return nil
	}
	st := m.stateOf(c)
	switch {
	case st.point < 0 && by > 0:
		st.point = 0
	case st.point < 0:
		st.point = len(pts) - 1
	default:
		st.point = min(max(st.point+by, 0), len(pts)-1)
	}
	m.say(pointText(&pts[st.point], m.sourceLines(c)))
	return nil
}

func pointText(p *fitting.Point, line func(row int) int) string {
	s := "η " + number.EtaPadded(p.LR, 4) + "   loss " + number.Loss(p.Loss)
	if p.Seeds > 1 {
		s += ", the mean of " + strconv.Itoa(p.Seeds) + " seeds; the lowest:"
	}
	s += "   line " + number.Count(line(p.Row))
	if p.InWindow {
		s += "   in the window"
	}
	return s + "   x takes it out or puts it back"
}

func noPoint(m *Model) string {
	c := m.focused()
	curve := m.curveShown(c)
	if curve == nil {
		return "no curve here"
	}
	if st := m.stateOf(c); st.point < 0 || st.point >= len(pointsOf(curve)) {
		return "choose a point with , and . first"
	}
	if _, ok := m.excludes(c); !ok {
		return "points are taken out at the curves statement"
	}
	return ""
}

// excludes finds the statement whose exclude list holds rows: the curves
// themselves, also when looked at through a law.
func (m *Model) excludes(c *session.Cell) (int, bool) {
	set := m.curvesOf(c.Value)
	for i := range m.items {
		o := m.items[i].Cell
		if o == nil {
			continue
		}
		if v, ok := o.Value.(session.Curves); ok && v.CurveSet == set {
			return o.Line, true
		}
	}
	return 0, false
}

// toggleExclude takes the point under the cursor out of the fit, or puts it back.
func (m *Model) toggleExclude() tea.Cmd {
	c := m.focused()
	pts := pointsOf(m.curveShown(c))
	p := pts[m.stateOf(c).point]
	line, ok := m.excludes(c)
	if !ok {
		return nil
	}
	if err := m.nb.ToggleListed(line, "exclude", strconv.Itoa(m.sourceLines(c)(p.Row))); err != nil {
		m.complain(err)
		return nil
	}
	m.say("η " + number.EtaPadded(p.LR, 4) + " switched; u undoes")
	return m.edited(m.focusedLine())
}

// sourceLines gives the line of the file that a row of the cell's table stands on.
func (m *Model) sourceLines(c *session.Cell) func(row int) int {
	for i := range m.items {
		o := m.items[i].Cell
		if o == nil {
			continue
		}
		if v, ok := o.Value.(session.Curves); ok && v.CurveSet == m.curvesOf(c.Value) && v.Source != nil {
			return v.Source.Line
		}
	}
	return func(row int) int { return row + 1 }
}

func (m *Model) nextPane() tea.Cmd {
	c := m.focused()
	if n := len(m.panes(c)); n > 0 {
		st := m.stateOf(c)
		st.pane = (clampTo(st.pane, n) + 1) % n
		st.grid = gridState{}
	}
	m.follow = true
	return nil
}

func (m *Model) toggleZoom() tea.Cmd {
	m.zoom, m.follow = !m.zoom, true
	return nil
}

// deleteCell removes the focused statement; undo brings it back.
func (m *Model) deleteCell() tea.Cmd {
	c := m.focused()
	name := firstNonEmpty(c.Name, c.Verb, "the statement")
	line := c.Line
	m.nb.DeleteLine(line)
	cmd := m.edited(-1)
	m.say("deleted " + oneLine(name) + "; u brings it back")
	return cmd
}

func (m *Model) moveCell(by int) tea.Cmd {
	line := m.nb.MoveStatement(m.focusedLine(), by)
	return m.edited(line)
}

func (m *Model) undo() tea.Cmd { return m.travel(m.nb.Undo, "undo", "undone: ") }

func (m *Model) redo() tea.Cmd { return m.travel(m.nb.Redo, "redo", "redone: ") }

// travel goes through the history and puts the focus on what came back.
func (m *Model) travel(step func() string, verb, said string) tea.Cmd {
	had := map[string]bool{}
	for i := range m.items {
		had[itemText(&m.items[i])] = true
	}
	what := step()
	if what == "" {
		m.say("nothing to " + verb)
		return nil
	}
	m.say(said + oneLine(what))
	cmd := m.edited(-1)
	for i := range m.items {
		if !had[itemText(&m.items[i])] {
			return tea.Batch(cmd, m.moveFocus(i-m.focus))
		}
	}
	return cmd
}

func itemText(it *session.Item) string {
	if it.Cell != nil {
		return it.Cell.Text
	}
	return strings.Join(it.Prose, "\n")
}

func (m *Model) save() tea.Cmd {
	if err := m.nb.Save(); err != nil {
		m.complain(err)
	} else {
		m.say("saved")
	}
	return m.refresh()
}

func notConflicted(m *Model) string {
	if m.file.Conflict || m.file.Recovered {
		return ""
	}
	return "the file on disk is the one you see"
}

func (m *Model) reload() tea.Cmd {
	if err := m.nb.Reload(); err != nil {
		m.complain(err)
		return nil
	}
	m.say("took the file on disk; u brings yours back")
	return m.edited(-1)
}

func (m *Model) overwrite() tea.Cmd {
	if err := m.nb.Overwrite(); err != nil {
		m.complain(err)
		return nil
	}
	m.say("kept ours")
	return m.edited(-1)
}

func notRunning(m *Model) string {
	if c := m.focused(); c == nil || c.Status != session.Running {
		return "nothing is computing here"
	}
	return ""
}

func (m *Model) cancel() tea.Cmd {
	m.nb.Cancel(m.focusedLine())
	m.say("stopped; R computes it afresh")
	return m.edited(-1)
}

func (m *Model) rerun() tea.Cmd {
	m.nb.Rerun(m.focusedLine())
	return m.edited(-1)
}

// quit saves and leaves; it stays only when saving fails, and says the ways out.
func (m *Model) quit() tea.Cmd {
	if m.file.Conflict {
		m.complain(errors.New("the file changed on disk: r takes it, W keeps ours, :q! leaves both as they are"))
		return nil
	}
	if !m.file.Saved && !m.file.Example {
		if err := m.nb.Save(); err != nil {
			m.complain(fmt.Errorf("%w — :w other.md saves elsewhere, :q! leaves", err))
			return m.refresh()
		}
	}
	m.quitting = true
	return tea.Quit
}

// interrupt is Ctrl-C: it leaves at once unless something would be lost.
func (m *Model) interrupt() tea.Cmd {
	lost := ""
	switch {
	case (m.mode == editing || m.mode == prompting) && m.line.changed():
		lost = "what you are typing would be lost"
	case m.mode == writing && m.text.changed():
		lost = "the prose you are typing would be lost"
	case m.mode != browsing:
		return m.leaveMode()
	case m.file.Conflict:
		lost = "the file changed on disk and yours is not saved"
	case m.file.Err != "":
		lost = "the notebook could not be saved"
	}
	if lost != "" && !m.leaveNow {
		m.leaveNow = true
		m.said = said{text: lost + "; Ctrl-C again leaves", bad: true}
		return nil
	}
	m.leaveNow = false
	if m.mode != browsing {
		return m.leaveMode()
	}
	m.quitting = true
	return tea.Quit
}

// leaveMode goes back to the notebook without taking what was typed.
func (m *Model) leaveMode() tea.Cmd {
	m.mode = browsing
	m.line.reset()
	m.follow = true
	return nil
}

func clampTo(i, n int) int { return min(max(i, 0), max(n-1, 0)) }
