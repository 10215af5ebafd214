package tui

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/trainer/rundir"
	"github.com/etastar/etastar/tui/chart"
)

// sweepOf is the sweep that the focused cell holds.
func (m *Model) sweepOf() (session.Sweep, bool) {
	c := m.focused()
	if c == nil {
		return session.Sweep{}, false
	}
	v, ok := shownValue(c.Value).(session.Sweep)
	return v, ok
}

// sweepKeys train.
func sweepKeys() []binding {
	return []binding{
		{keys: []string{"T"}, at: onSweep, what: "train the sweep; closing the screen leaves it training", hint: "T train", keep: 8, do: func(m *Model) tea.Cmd { return m.startSweep() }},
		{keys: []string{"p"}, at: onSweep, what: "pause its runs, or let them go on", hint: "p pause", keep: 4, off: notTraining, do: func(m *Model) tea.Cmd { return m.pauseSweep() }},
		{keys: []string{"X"}, at: onSweep, what: "stop its runs; T takes them up again", hint: "X stop", keep: 3, off: notTraining, do: func(m *Model) tea.Cmd { return m.askSweep(rundir.Stop) }},
		{keys: []string{"}"}, at: onSweep, what: "the loss curves of the next shape", do: func(m *Model) tea.Cmd { return m.stepShape(1) }},
		{keys: []string{"{"}, at: onSweep, what: "the loss curves of the shape before", hint: "{ } shape", keep: 4, do: func(m *Model) tea.Cmd { return m.stepShape(-1) }},
	}
}

func notTraining(m *Model) string {
	v, ok := m.sweepOf()
	if !ok {
		return "this is no sweep"
	}
	for _, r := range v.Runs {
		if r.Status.State == rundir.Running || r.Status.State == rundir.Paused {
			return ""
		}
	}
	return "none of its runs trains; T starts them"
}

func (m *Model) startSweep() tea.Cmd {
	what, err := m.nb.Start(m.focusedLine())
	if err != nil {
		m.complain(err)
		return nil
	}
	m.say(what)
	return m.edited(-1)
}

func (m *Model) pauseSweep() tea.Cmd {
	v, _ := m.sweepOf()
	for _, r := range v.Runs {
		if r.Status.State == rundir.Running {
			return m.askSweep(rundir.Pause)
		}
	}
	return m.askSweep(rundir.Resume)
}

func (m *Model) askSweep(r rundir.Request) tea.Cmd {
	n, err := m.nb.AskRuns(m.focusedLine(), r)
	if err != nil {
		m.complain(err)
		return nil
	}
	m.say(string(r) + ": " + number.Plural(n, "run", "runs") + " asked")
	return nil
}

func (m *Model) stepShape(by int) tea.Cmd {
	c := m.focused()
	v, ok := m.sweepOf()
	if n := len(v.Groups()); ok && n > 0 {
		st := m.stateOf(c)
		st.curve = ((clampTo(st.curve, n)+by)%n + n) % n
	}
	m.follow = true
	return nil
}

// drawSweep shows the loss curves of one shape and horizon, a line a learning rate.
func drawSweep(m *Model, c *session.Cell, w, h int) []string {
	v, ok := shownValue(c.Value).(session.Sweep)
	if !ok || h < 1 {
		return nil
	}
	groups := v.Groups()
	g := groups[clampTo(m.stateOf(c).curve, len(groups))]
	head := fmt.Sprintf("%s  %d of %d", g.Name, clampTo(m.stateOf(c).curve, len(groups))+1, len(groups))
	var series []chart.Series
	for _, i := range g.Runs {
		r := &v.Runs[i]
		s := chart.Series{Name: number.Eta(r.Config.LR, 3), X: r.Tokens, Y: r.Losses}
		switch r.Status.State {
		case rundir.Finished:
			s.Note = "val " + number.Loss(float64(r.Status.Val))
			if i == g.Best {
				s.Note += " ★"
			}
		case rundir.Diverged:
			s.Note = "✖ step " + number.Count(int(r.Status.Step))
		case rundir.Running:
			s.Note = done(float64(r.Status.Step) / float64(max(r.Status.Steps, 1)))
		default:
			s.Note = string(r.Status.State)
		}
		series = append(series, s)
	}
	out := []string{m.th.bold.Render(clip(head, w))}
	if h == 1 {
		return out
	}
	return append(out, strings.Split(chart.Lines(series, chart.LinesOptions{Theme: m.th.chart(), XName: "tokens", Legend: true}, w, h-1), "\n")...)
}

// done writes a share of the way: 43%.
func done(share float64) string { return fmt.Sprintf("%.0f%%", 100*share) }

// sweepSummary says in one line how far a sweep is.
func sweepSummary(v session.Sweep) []part {
	out := []part{{number.Plural(len(v.Runs), "run", "runs"), 7}}
	if v.Started() == 0 {
		return append(out, part{"T trains them", 9})
	}
	p := v.Progress()
	out = append(out, part{fmt.Sprintf("%d over", v.Finished()), 8})
	if p.Share < 1 && p.Rate > 0 {
		out = append(out, part{done(p.Share), 9}, part{number.SI(p.Rate) + " tok/s", 5},
			part{"left " + time.Duration(p.Left*float64(time.Second)).Round(time.Second).String(), 6})
	}
	return out
}
