package tui

import (
	"cmp"
	"slices"

	tea "charm.land/bubbletea/v2"

	"github.com/etastar/etastar/mup"
	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/tui/chart"
)

// statistics in the order that m walks them, with what they are.
var statistics = []struct{ name, title string }{
	{"max_logit", "largest attention logit"},
	{"update_ratio", "RMS of the update over that of the weights"},
	{"change", "‖W − W₀‖/‖W₀‖"},
	{"grad_rms", "RMS of the gradient"},
	{"act_rms", "RMS of the output"},
	{"act_abs", "mean |output|"},
	{"weight_rms", "RMS of the weights"},
	{"rank", "effective rank of the weights over their rows"},
	{"update_rank", "effective rank of the update over its rows"},
	{"entropy", "entropy of the router over ln E"},
	{"balance", "largest expert's share over 1/E"},
}

// modulesWith lists the modules of a sweep that have a statistic.
func modulesWith(v session.Sweep, stat string) []string {
	have := map[string]bool{}
	for i := range v.Runs {
		for _, n := range v.Runs[i].Stats.Names() {
			if n.Stat == stat {
				have[n.Module] = true
			}
		}
	}
	var out []string
	for _, m := range mup.Modules() {
		if have[string(m)] {
			out = append(out, string(m))
			delete(have, string(m))
		}
	}
	var layers []string
	for m := range have {
		layers = append(layers, m)
	}
	slices.SortFunc(layers, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	return append(out, layers...)
}

// statShown is the statistic and module looked at; "" when there are none.
func (m *Model) statShown(c *session.Cell, v session.Sweep) (title, stat, module string) {
	st := &m.stateOf(c).sweep
	for k := range statistics {
		s := statistics[(st.stat+k)%len(statistics)]
		if modules := modulesWith(v, s.name); len(modules) > 0 {
			st.stat = (st.stat + k) % len(statistics)
			if slices.Contains(modules, st.module) {
				return s.title, s.name, st.module
			}
			return s.title, s.name, modules[0]
		}
	}
	return "", "", ""
}

// stepStat looks at the next statistic, or at the next module; at the next picture of a study.
func (m *Model) stepStat(stat, module int) tea.Cmd {
	c := m.focused()
	st := &m.stateOf(c).sweep
	m.follow = true
	if p, _, _ := m.paneShown(c); p.name == plotsPane {
		st.plot++
		return nil
	}
	v, _ := m.sweepOf()
	_, name, shown := m.statShown(c, v)
	modules := modulesWith(v, name)
	st.module = modules[(slices.Index(modules, shown)+module)%len(modules)]
	st.stat = (st.stat + stat) % len(statistics)
	return nil
}

func noStats(m *Model) string {
	c := m.focused()
	if v, ok := m.sweepOf(); ok && c != nil {
		if p, _, _ := m.paneShown(c); p.name == plotsPane {
			return ""
		}
		if _, stat, _ := m.statShown(c, v); stat != "" {
			if p, _, _ := m.paneShown(c); p.name == statsPane {
				return ""
			}
			return "v shows the statistics first"
		}
	}
	return "no statistics were recorded yet"
}

const statsPane = "statistics"

// drawStats shows one statistic of a module over tokens, a line a learning rate.
func drawStats(m *Model, c *session.Cell, w, h int) []string {
	v, groups, out := m.sweepGroups(c, w, h)
	if len(groups) == 0 || h < 1 {
		return out
	}
	shown := m.shapeShown(c, v, groups)
	g := groups[shown]
	out = m.sweepHead(v, groups, shown, "m statistic · M module", w, h)
	title, stat, module := m.statShown(c, v)
	if stat == "" {
		return append(out, m.th.dim.Render(clip("no statistics were recorded yet", w)))
	}
	out = append(out, m.th.bold.Render(clip(module, w))+m.th.dim.Render(clip("  "+title, max(w-width(module), 0))))
	foot := m.pickedLines(c, v, w, h-len(out))
	var series []chart.Series
	for _, i := range g.Runs {
		r := &v.Runs[i]
		s := chart.Series{Name: r.LineName()}
		_, s.X, s.Y = r.Stat(module, stat)
		if n := r.Spikes; n > 0 {
			s.Note = number.Plural(n, "spike", "spikes")
		}
		series = append(series, s)
	}
	o := m.linesOptions(c, v, g, chart.LinesOptions{Log: m.stateOf(c).sweep.axis})
	return append(append(out, picture(chart.Lines(series, o, w, h-len(out)-len(foot)))...), foot...)
}
