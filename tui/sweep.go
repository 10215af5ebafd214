package tui

import (
	"fmt"
	"slices"
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
		{keys: []string{"T"}, at: onSweep, what: "train the sweep; closing the screen leaves it training", hint: "T train", keep: 8, off: onlyMeasured, do: func(m *Model) tea.Cmd { return m.startSweep() }},
		{keys: []string{"p"}, at: onSweep, what: "pause its runs, or the picked one alone, or let them go on", hint: "p pause", keep: 4, off: notTraining, do: func(m *Model) tea.Cmd { return m.pauseSweep() }},
		{keys: []string{"X"}, at: onSweep, what: "stop its runs, or the picked one alone; T takes them up again", hint: "X stop", keep: 3, off: notTraining, do: func(m *Model) tea.Cmd { return m.askSweep(rundir.Stop) }},
		{keys: []string{"~"}, at: onSweep, what: "smooth the losses drawn: off, a median of 5 points, of 20", hint: "~ smooth", keep: 3, off: onlyMeasured, do: func(m *Model) tea.Cmd { return m.smoothSweep() }},
		{keys: []string{"|"}, at: onSweep, what: "a logarithmic or a linear axis of the loss, or of η", hint: "| log", keep: 2, off: onlyMeasured, do: func(m *Model) tea.Cmd { return m.switchAxis() }},
		{keys: []string{"m"}, at: onSweep, what: "the next statistic of the runs", off: noStats, do: func(m *Model) tea.Cmd { return m.stepStat(1, 0) }},
		{keys: []string{"M"}, at: onSweep, what: "that statistic of the next module", hint: "m M statistic", keep: 3, off: noStats, do: func(m *Model) tea.Cmd { return m.stepStat(0, 1) }},
		{keys: []string{"}"}, at: onSweep, what: "the loss curves of the next shape", off: onlyMeasured, do: func(m *Model) tea.Cmd { return m.stepShape(1) }},
		{keys: []string{"{"}, at: onSweep, what: "the loss curves of the shape before", hint: "{ } shape", keep: 4, off: onlyMeasured, do: func(m *Model) tea.Cmd { return m.stepShape(-1) }},
	}
}

func onlyMeasured(m *Model) string {
	if v, ok := m.sweepOf(); ok && v.Measured() {
		return "these losses were measured before: leave measured= out to train"
	}
	return ""
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

// training reports whether any sweep of the notebook has runs that are not over.
func (m *Model) training() bool {
	for i := range m.items {
		c := m.items[i].Cell
		if c == nil {
			continue
		}
		if v, ok := c.Value.(session.Sweep); ok {
			for _, r := range v.Runs {
				if r.Status.State == rundir.Running || r.Status.State == rundir.Queued {
					return true
				}
			}
		}
	}
	return false
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
	v, at := m.runPicked()
	for i, r := range v.Runs {
		if (at < 0 || at == i) && r.Status.State == rundir.Running {
			return m.askSweep(rundir.Pause)
		}
	}
	return m.askSweep(rundir.Resume)
}

func (m *Model) askSweep(r rundir.Request) tea.Cmd {
	var only []string
	if v, at := m.runPicked(); at >= 0 {
		only = []string{v.Runs[at].Dir}
	}
	n, err := m.nb.AskRuns(m.focusedLine(), r, only...)
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
	groups := v.Groups()
	if n := len(groups); ok && n > 0 {
		shown := m.shapeShown(c, v, groups)
		m.letGo(c)
		m.stateOf(c).sweep.shape = ((shown+by)%n+n)%n + 1
	}
	m.follow = true
	return nil
}

// sweepState is how the curves of a sweep are looked at.
type sweepState struct {
	shape  int    // group chosen, from 1; 0: the one that trains
	smooth int    // of smoothings
	axis   bool   // the y axis is not what it is by default: linear for losses, logarithmic for η
	zoom   int    // of zooms
	stat   int    // of statistics
	module string // whose statistic; another where it has none
	plot   int    // of a study's pictures
	// The run picked, by its name: in a folder that is watched, runs come and go. at is
	// where it was last. No name: none.
	run string
	at  int
}

// smoothings are the numbers of points that losses are smoothed over; 0: off.
var smoothings = [...]int{0, 5, 20}

func (m *Model) smoothSweep() tea.Cmd {
	st := &m.stateOf(m.focused()).sweep
	st.smooth = (st.smooth + 1) % len(smoothings)
	return nil
}

func (m *Model) switchAxis() tea.Cmd {
	st := &m.stateOf(m.focused()).sweep
	st.axis = !st.axis
	return nil
}

// zooms are the shares of the tokens shown, from the last on, and their names.
var zooms = [...]struct {
	share float64
	name  string
}{{1, ""}, {1. / 2, "+ last half"}, {1. / 4, "+ last quarter"}, {1. / 8, "+ last eighth"}}

func (m *Model) zoomSweep(by int) tea.Cmd {
	st := &m.stateOf(m.focused()).sweep
	st.zoom = clampTo(st.zoom+by, len(zooms))
	return nil
}

func noCloser(m *Model) string {
	if m.stateOf(m.focused()).sweep.zoom >= len(zooms)-1 {
		return "this is the last eighth; - shows more"
	}
	return ""
}

func noFarther(m *Model) string {
	if m.stateOf(m.focused()).sweep.zoom <= 0 {
		return "these are all tokens; + shows the last half"
	}
	return ""
}

// how says how curves are looked at where that is not as they are.
func (st *sweepState) how(axis string) string {
	var out []string
	if n := st.points(); n > 0 {
		out = append(out, fmt.Sprintf("~ median of %d", n))
	}
	if st.axis {
		out = append(out, axis)
	}
	if z := zooms[clampTo(st.zoom, len(zooms))]; z.name != "" {
		out = append(out, z.name)
	}
	return strings.Join(out, "  ")
}

// points is the number of points that losses are smoothed over.
func (st *sweepState) points() int { return smoothings[clampTo(st.smooth, len(smoothings))] }

// shapeShown is the group looked at.
func (m *Model) shapeShown(c *session.Cell, v session.Sweep, groups []session.Group) int {
	if i := m.picked(c, v); i >= 0 {
		if k := slices.IndexFunc(groups, func(g session.Group) bool { return slices.Contains(g.Runs, i) }); k >= 0 {
			return k
		}
	}
	if k := m.stateOf(c).sweep.shape; k > 0 {
		return clampTo(k-1, len(groups))
	}
	return v.Training(groups)
}

// sweepHead is what stands over the curves of a sweep: the shape looked at and how, how
// far the sweep is, and how far each shape.
func (m *Model) sweepHead(v session.Sweep, groups []session.Group, shown int, how string, w, h int) []string {
	if h < 2 {
		return nil
	}
	left := []part{{m.th.bold.Render(oneLine(groups[shown].Name)), 9}}
	if len(groups) > 1 {
		left = append(left, part{m.th.dim.Render(fmt.Sprintf("%d of %d", shown+1, len(groups))), 7})
	}
	if how != "" {
		left = append(left, part{m.th.dim.Render(how), 8})
	}
	head, _ := joinParts(left, "  ", w)
	out := []string{head}
	if v.Started() == 0 {
		return out
	}
	if h >= 6 {
		out = append(out, m.progressLine(v, w))
	}
	if h >= 9 {
		out = append(out, clip(m.shapesLine(v, groups, shown, w), w))
	}
	return out
}

// progressLine is a bar, and behind it what it means.
func (m *Model) progressLine(v session.Sweep, w int) string {
	p := v.Progress()
	share := min(max(p.Share, 0), 1)
	parts := []part{{m.th.text.Render(done(share)), 9}, {m.th.dim.Render(fmt.Sprintf("%d of %s", v.Over(), number.Plural(len(v.Runs), "run", "runs"))), 8}}
	if p.Share < 1 && p.Rate > 0 {
		parts = append(parts, part{m.th.dim.Render(number.SI(p.Rate) + " tok/s"), 6})
		if p.Left >= 0 && p.Left < 1e8 {
			parts = append(parts, part{m.th.dim.Render("left " + clock(p.Left)), 7})
		}
	}
	if card, name := v.Card(); card != nil {
		parts = append(parts, part{m.th.dim.Render(cardText(card, name)), 4})
	}
	n := w / 4
	text, _ := joinParts(parts, m.th.faint.Render(" · "), w-n-2)
	if n < 4 {
		text, _ = joinParts(parts, m.th.faint.Render(" · "), w)
		return text
	}
	return m.bar(share, n) + "  " + text
}

// cardText says what a GPU is doing: H200 97% 412 W 61 °C 38/150 GB.
func cardText(c *rundir.Card, name string) string {
	text := oneLine(name)
	if c.Busy >= 0 {
		text += fmt.Sprintf(" %d%%", c.Busy)
	}
	if c.Watts >= 0 {
		text += fmt.Sprintf(" %.0f W", c.Watts)
	}
	if c.Celsius >= 0 {
		text += fmt.Sprintf(" %d °C", c.Celsius)
	}
	if c.Used >= 0 && c.Total > 0 {
		text += fmt.Sprintf(" %.0f/%.0f GB", float64(c.Used)/1e9, float64(c.Total)/1e9)
	}
	if c.Others > 0 {
		text += fmt.Sprintf(", shared with %d", c.Others)
	}
	return text
}

// bar is n cells wide and filled to share, to half a cell.
func (m *Model) bar(share float64, n int) string {
	halves := int(share * float64(2*n))
	full := strings.Repeat("━", halves/2)
	if halves%2 == 1 {
		full += "╸"
	}
	return m.th.bar.Render(full) + m.th.rule.Render(strings.Repeat("─", n-(halves+1)/2))
}

// clock writes how long something takes, to the two units that matter: 41 s, 1 m 56 s,
// 3 h 05 m.
func clock(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second)).Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d m %02d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %02d m", int(d.Hours()), int(d.Minutes())%60)
}

// shapesLine says of every shape how far it is; those that do not fit are counted.
func (m *Model) shapesLine(v session.Sweep, groups []session.Group, shown, w int) string {
	sizes := map[float64]int{}
	for _, g := range groups {
		sizes[g.N]++
	}
	parts := make([]part, len(groups))
	for k, g := range groups {
		st := v.State(g)
		name := number.SI(g.N)
		if sizes[g.N] > 1 {
			name += "×" + number.SI(g.D)
		}
		style, keep := m.th.dim, 3
		var text string
		switch {
		case st.Over == len(g.Runs):
			text = fmt.Sprintf("● %s %d/%d", name, st.Over, len(g.Runs))
		case st.Live || st.Over > 0 || st.Share > 0:
			text, keep = fmt.Sprintf("◐ %s %d/%d at %s", name, st.Over, len(g.Runs), done(min(max(st.Share, 0), 1))), 6
		default:
			text, keep = "○ "+name+" queued", 2
		}
		if k == shown {
			style, keep = m.th.bold, 9
		}
		parts[k] = part{style.Render(text), keep}
	}
	line, dropped := joinParts(parts, "  ", w)
	if dropped > 0 {
		line, dropped = joinParts(parts, "  ", w-6)
		line += m.th.faint.Render(fmt.Sprintf("  +%d", dropped))
	}
	return line
}

// formingWidth is what the loss against η takes beside the loss curves: these keep the
// room to name their runs.
const formingWidth = 36

// drawSweep shows the loss curves of one shape and horizon, a line a learning rate, and
// beside them where there is room the loss against η as far as it is known.
func drawSweep(m *Model, c *session.Cell, w, h int) []string {
	v, groups, out := m.sweepGroups(c, w, h)
	if len(groups) == 0 || h < 1 {
		return out
	}
	st := m.stateOf(c).sweep
	shown := m.shapeShown(c, v, groups)
	g := groups[shown]
	out = m.sweepHead(v, groups, shown, st.how("| log loss"), w, h)
	series := make([]chart.Series, 0, len(g.Runs))
	for _, i := range g.Runs {
		r := &v.Runs[i]
		series = append(series, chart.Series{Name: r.LineName(), X: r.Tokens, Y: session.Smooth(r.Losses, st.points()), Note: runNote(r, i == g.Best)})
	}
	foot := m.pickedLines(c, v, w, h-len(out))
	h -= len(out) + len(foot)
	lines := func(w int) []string {
		return picture(chart.Lines(series, m.linesOptions(c, v, g, chart.LinesOptions{Log: st.axis}), w, h))
	}
	forming, open := v.Forming(g)
	if w < 100 || h < 6 || len(forming.Points)+len(forming.Diverged)+len(open) == 0 {
		return append(append(out, lines(w)...), foot...)
	}
	left := w - 3 - formingWidth
	curve := picture(chart.Curve(&forming, chart.CurveOptions{Theme: m.th.chart(), Forming: true, Open: open}, formingWidth, h))
	return append(append(out, beside(lines(left), curve, left, m.divider())...), foot...)
}

// linesOptions completes how the lines of a group are drawn.
func (m *Model) linesOptions(c *session.Cell, v session.Sweep, g session.Group, o chart.LinesOptions) chart.LinesOptions {
	o.Theme, o.XName, o.Legend = m.th.chart(), v.Runs[g.Runs[0]].Unit(), true
	o.Last = zooms[clampTo(m.stateOf(c).sweep.zoom, len(zooms))].share
	o.Picked = slices.Index(g.Runs, m.picked(c, v)) + 1
	return o
}

// runNote says behind the last loss of a run how it stands.
func runNote(r *session.SweepRun, best bool) string {
	switch r.Status.State {
	case rundir.Finished:
		if best {
			return "val " + number.Loss(float64(r.Status.Val)) + " ★"
		}
		return "val " + number.Loss(float64(r.Status.Val))
	case rundir.Diverged:
		return "✖ step " + number.Count(int(r.Status.Step))
	case rundir.Running:
		return done(float64(r.Status.Step) / float64(max(r.Status.Steps, 1)))
	}
	return oneLine(string(r.Status.State))
}

// sweepGroups are the shapes of the sweep a cell holds, and what to show without any.
func (m *Model) sweepGroups(c *session.Cell, w, h int) (session.Sweep, []session.Group, []string) {
	v, _ := shownValue(c.Value).(session.Sweep)
	groups := v.Groups()
	if len(groups) == 0 && h > 0 {
		return v, nil, []string{m.th.dim.Render(clip("no runs", w))}
	}
	return v, groups, nil
}

// drawSchedule shows η over the tokens of one shape and horizon.
func drawSchedule(m *Model, c *session.Cell, w, h int) []string {
	v, groups, out := m.sweepGroups(c, w, h)
	if len(groups) == 0 || h < 1 {
		return out
	}
	st := m.stateOf(c).sweep
	st.smooth = 0 // a schedule is smooth
	how := "| η"
	if !st.axis {
		how = "| log η"
	}
	log := !st.axis
	st.axis = true // either way it is said
	shown := m.shapeShown(c, v, groups)
	g := groups[shown]
	out = m.sweepHead(v, groups, shown, st.how(how), w, h)
	foot := m.pickedLines(c, v, w, h-len(out))
	var series []chart.Series
	for _, i := range g.Runs {
		r := &v.Runs[i]
		s := chart.Series{Name: r.LineName()}
		s.X, s.Y = r.Rates()
		series = append(series, s)
	}
	o := m.linesOptions(c, v, g, chart.LinesOptions{Log: log, Rates: true})
	return append(append(out, picture(chart.Lines(series, o, w, h-len(out)-len(foot)))...), foot...)
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
			part{"left " + clock(p.Left), 6})
	}
	return out
}
