package tui

import (
	"fmt"
	"path/filepath"
	"slices"

	tea "charm.land/bubbletea/v2"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/trainer/rundir"
)

// runKeys pick a run of a sweep and look at it alone.
func runKeys() []binding {
	return []binding{
		{keys: []string{"]"}, at: onRuns | inRun, what: "pick the next run of the shape", do: func(m *Model) tea.Cmd { return m.stepRun(1) }},
		{keys: []string{"["}, at: onRuns | inRun, what: "pick the run before", hint: "[ ] run", keep: 7, do: func(m *Model) tea.Cmd { return m.stepRun(-1) }},
		{keys: []string{"+", "="}, at: onRuns | inRun, what: "only the last half of the tokens, the last quarter, the last eighth", off: noCloser, do: func(m *Model) tea.Cmd { return m.zoomSweep(1) }},
		{keys: []string{"-"}, at: onRuns | inRun, what: "twice as many of the tokens again", hint: "+ - tokens", keep: 2, do: func(m *Model) tea.Cmd { return m.zoomSweep(-1) }, off: noFarther},
		{keys: []string{"enter"}, at: onRun, what: "look at the picked run alone", hint: "Enter this run", keep: 8, do: func(m *Model) tea.Cmd { return m.openRun() }},
		{keys: []string{"e"}, at: onRun, what: "edit the statement in place", do: func(m *Model) tea.Cmd { return m.edit() }},
		{keys: []string{"esc"}, at: onRun, what: "let go of the picked run", hint: "Esc let go", keep: 7, do: func(m *Model) tea.Cmd { m.letGo(m.focused()); return nil }},
		{keys: []string{"esc", "enter", "q", "ctrl+c"}, at: inRun, what: "back to the sweep", hint: "Esc back", keep: 9, do: func(m *Model) tea.Cmd { return m.leaveMode() }},
		{keys: []string{"~", "z"}, at: inRun, what: "smooth the loss and the gradient norm: off, a median of 5 points, of 20", hint: "~ smooth", keep: 4, do: func(m *Model) tea.Cmd { return m.smoothSweep() }},
		{keys: []string{"|", "L"}, at: inRun, what: "a logarithmic or a linear axis of the loss", hint: "| log", keep: 3, do: func(m *Model) tea.Cmd { return m.switchAxis() }},
	}
}

// picked is the index of the run picked in the sweep of a cell; -1: none.
func (m *Model) picked(c *session.Cell, v session.Sweep) int {
	st := &m.stateOf(c).sweep
	if st.run == "" {
		return -1
	}
	is := func(r session.SweepRun) bool { return r.Name() == st.run }
	if st.at < len(v.Runs) && is(v.Runs[st.at]) {
		return st.at
	}
	return slices.IndexFunc(v.Runs, is)
}

// runPicked is the focused sweep and the run picked in it; -1: none.
func (m *Model) runPicked() (session.Sweep, int) {
	v, ok := m.sweepOf()
	if !ok {
		return v, -1
	}
	return v, m.picked(m.focused(), v)
}

// stepRun picks another run of the shape shown.
func (m *Model) stepRun(by int) tea.Cmd {
	v, at := m.runPicked()
	groups := v.Groups()
	if len(groups) == 0 {
		m.say("this sweep has no runs")
		return nil
	}
	c := m.focused()
	runs := groups[m.shapeShown(c, v, groups)].Runs
	k, n := slices.Index(runs, at), len(runs)
	if k < 0 && by < 0 {
		k = 0
	}
	at = runs[((k+by)%n+n)%n]
	st := &m.stateOf(c).sweep
	st.at, st.run = at, v.Runs[at].Name()
	m.follow = true
	return m.followRun()
}

func (m *Model) letGo(c *session.Cell) {
	m.stateOf(c).sweep.run = ""
	m.log, m.follow = nil, true
}

// holdRun lets go of a picked run that is no longer there, and leaves the view of it.
func (m *Model) holdRun() {
	v, at := m.runPicked()
	if at < 0 && len(v.Runs) > 0 {
		m.stateOf(m.focused()).sweep.run = ""
	}
	if at < 0 && m.mode == viewing {
		m.mode = browsing
	}
}

func (m *Model) openRun() tea.Cmd {
	m.mode = viewing
	return m.followRun()
}

// pickedLines says all about the picked run, under a picture of h lines, on a few of them.
func (m *Model) pickedLines(c *session.Cell, v session.Sweep, w, h int) []string {
	i := m.picked(c, v)
	if i < 0 || h < 6 {
		return nil
	}
	n := 1
	switch {
	case h >= 16:
		n = 3
	case h >= 10:
		n = 2
	}
	return m.factLines(&v.Runs[i], w, n, "… Enter")
}

// factLines says all about a run on at most n lines; where that is not all, more says
// how to read the rest.
func (m *Model) factLines(r *session.SweepRun, w, n int, more string) []string {
	parts := m.runFacts(r, w)
	lines, dropped := flowParts(parts, "  ", w, n)
	if dropped > 0 && len(lines) > 0 && more != "" {
		last := len(lines) - 1
		lines[last] = ends(lines[last], m.th.faint.Render(more), w)
	}
	return lines
}

// runFacts is all that is known of a run, what matters most first.
func (m *Model) runFacts(r *session.SweepRun, w int) []part {
	t, st := m.th, &r.Status
	var out []part
	add := func(label, value string) {
		if label != "" {
			value = t.dim.Render(label) + " " + value
		}
		out = append(out, part{value, 5})
	}
	out = append(out, part{t.accent.Bold(true).Render("▸ η " + number.Eta(r.LR(), 3)), 9})
	add("", m.stateText(r))
	if st.Steps > 0 {
		add("step", fmt.Sprintf("%s/%s", number.Count(int(st.Step)), number.Count(int(st.Steps))))
	}
	if r.Dir != "" {
		add(r.Unit(), number.SI(float64(st.Tokens))+"/"+number.SI(r.Total()))
	}
	if y, ok := lastLoss(r); ok {
		add("loss", number.Loss(y))
	}
	if st.Val != 0 {
		val := number.Loss(float64(st.Val))
		if st.ValSE > 0 {
			val += " ± " + number.Sig(float64(st.ValSE), 2)
		}
		add("validation", val)
	}
	if l := m.log; l != nil && l.dir == r.Dir {
		for _, e := range slices.Backward(l.events) {
			if e.GradNorm != 0 {
				add("gradient norm", number.Sig(float64(e.GradNorm), 3))
				break
			}
		}
	}
	if st.Rate > 0 {
		add("", number.SI(float64(st.Rate))+" tok/s")
	}
	if st.Reason != "" {
		out = append(out, part{t.warn.Render(cutWords(oneLine(st.Reason), w)), 5})
	}
	if r.Dir != "" {
		add("", t.dim.Render(oneLine(filepath.Base(r.Dir))))
	}
	if l := m.log; l != nil && l.dir == r.Dir && l.err != nil {
		out = append(out, part{t.bad.Render(cutWords("its log: "+oneLine(l.err.Error()), w)), 5})
	}
	return out
}

// stateText says what a run is doing and how far it is.
func (m *Model) stateText(r *session.SweepRun) string {
	t, st := m.th, &r.Status
	word := oneLine(string(st.State))
	switch st.State {
	case "":
		return t.dim.Render("not asked for")
	case rundir.Finished:
		return t.ok.Render(word)
	case rundir.Diverged, rundir.Failed:
		return t.bad.Render("✖ " + word)
	case rundir.Running, rundir.Paused:
		word += " " + done(float64(st.Step)/float64(max(st.Steps, 1)))
		if r.Stale {
			return t.warn.Render(word + ", not heard of for a while")
		}
	}
	return t.text.Render(word)
}

// lastLoss is the last training loss known.
func lastLoss(r *session.SweepRun) (float64, bool) {
	if y := float64(r.Status.Loss); y != 0 {
		return y, true
	}
	if n := len(r.Losses); n > 0 {
		return r.Losses[n-1], true
	}
	return 0, false
}
