package tui

import (
	"fmt"
	"slices"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/tui/chart"
)

// runViewKey is all that the view of one run is drawn from.
type runViewKey struct {
	value any
	state cellState
	log   logKey
	w, h  int
	theme *theme
}

// drawRun shows the picked run alone: what is known of it, its losses, and under them
// where there is room its learning rate and gradient norm over the same tokens.
func (m *Model) drawRun(w, h int) []string {
	v, i := m.runPicked()
	if i < 0 {
		return nil
	}
	k := runViewKey{identity(v), *m.stateOf(m.focused()), m.log.key(), w, h, m.th}
	return m.memo.get("run", k, func() []string {
		lead := "  "
		if w < 20 {
			lead = ""
		}
		return leadAll(lead, m.runLines(v, i, w-2*len(lead), h), w)
	})
}

// Rows of the small pictures under a loss curve, and what they leave to it at least.
const (
	minSmall, maxSmall = 5, 12
	minLossRows        = 9
	twoSmall           = 60 // width from which they stand side by side
)

func (m *Model) runLines(v session.Sweep, i, w, h int) []string {
	groups := v.Groups()
	g := groups[m.shapeShown(m.focused(), v, groups)]
	r := &v.Runs[i]
	head := []part{{m.th.bold.Render(oneLine(g.Name)), 9}, {m.th.dim.Render(fmt.Sprintf("run %d of %d", slices.Index(g.Runs, i)+1, len(g.Runs))), 7}}
	st := m.stateOf(m.focused()).sweep
	if how := st.how("| log loss"); how != "" {
		head = append(head, part{m.th.dim.Render(how), 8})
	}
	title, _ := joinParts(head, "  ", w)
	out := []string{title}
	if h < 3 {
		return out
	}
	out = append(out, m.factLines(r, w, max(min(4, h/4), 1), "")...)
	left := h - len(out)
	p := m.runPictures(r, &st)
	small := min(max(left/4, minSmall), maxSmall)
	switch {
	case w >= twoSmall && left >= minLossRows+small:
		half := (w - 3) / 2
		below := beside(p.rates(half, small), p.norms(w-3-half, small), half, m.divider())
		return append(append(out, p.losses(w, left-small)...), below...)
	case left >= minLossRows+2*small:
		return slices.Concat(out, p.losses(w, left-2*small), p.rates(w, small), p.norms(w, small))
	}
	return append(out, p.losses(w, left)...)
}

// runPictures draw what one run did over its tokens.
type runPictures struct {
	unit             string // of the axis: tokens, or steps
	loss, rate, norm chart.Trace
	options          chart.TraceOptions
	log              bool // the axis of the loss
}

// maxLine is how many points of a log the line of a picture goes through: as many as
// the lines of a sweep, so that smoothing means the same there and here.
const maxLine = 512

// runPictures collects the pictures of a run from its log, and from what the sweep
// knows of it until that is read.
func (m *Model) runPictures(r *session.SweepRun, st *sweepState) *runPictures {
	var x, loss, rate, normX, norm []float64
	var marks []chart.Mark
	first, last := 0.0, 0.0
	if m.log != nil && m.log.dir == r.Dir {
		for k, e := range m.log.events {
			at := float64(e.Tokens)
			if r.Unit() == "steps" {
				at = float64(e.Step)
			}
			if k == 0 {
				first = at
			}
			last = at
			if e.Val != 0 {
				marks = append(marks, chart.Mark{X: at, Y: float64(e.Val), SE: float64(e.ValSE)})
			}
			if e.Step == 0 || e.Loss == 0 {
				continue // measured before training, or a remark
			}
			x, loss, rate = append(x, at), append(loss, float64(e.Loss)), append(rate, float64(e.LR))
			if e.GradNorm != 0 {
				normX, norm = append(normX, at), append(norm, float64(e.GradNorm))
			}
		}
	}
	p := &runPictures{options: chart.TraceOptions{Theme: m.th.chart(), X1: last}, log: st.axis}
	p.options.X0 = last - (last-first)*zooms[clampTo(st.zoom, len(zooms))].share
	p.rate = chart.Trace{Title: "η", X: x, Y: rate}
	if len(x) == 0 {
		p.rate.Title = "η, planned"
		p.rate.X, p.rate.Y = r.Rates()
		x, loss = r.Tokens, r.Losses
		p.options.X0, p.options.X1 = 0, 0 // each what it has
	}
	p.loss, p.norm = smoothed("training loss", x, loss, st.points()), smoothed("gradient norm", normX, norm, st.points())
	p.loss.Marks, p.loss.MarkName = marks, "validation"
	p.unit = r.Unit()
	return p
}

// smoothed is a line through the running median of y, over y itself.
func smoothed(title string, x, y []float64, points int) chart.Trace {
	if points == 0 {
		return chart.Trace{Title: title, X: x, Y: y}
	}
	t := chart.Trace{Title: title + ", median of " + number.Count(points), RawX: x, Raw: y}
	n := min(len(x), len(y))
	for k := 0; k < n; k += max(1, n/maxLine) {
		t.X, t.Y = append(t.X, x[k]), append(t.Y, y[k])
	}
	t.Y = session.Smooth(t.Y, points)
	return t
}

func (p *runPictures) losses(w, h int) []string {
	o := p.options
	o.XName, o.Log, o.Empty = p.unit, p.log, "no losses yet"
	return picture(chart.DrawTrace(&p.loss, o, w, h))
}

func (p *runPictures) rates(w, h int) []string {
	o := p.options
	o.Rates, o.Empty = true, "no schedule"
	return picture(chart.DrawTrace(&p.rate, o, w, h))
}

func (p *runPictures) norms(w, h int) []string {
	o := p.options
	o.Empty = "no gradient norm yet"
	return picture(chart.DrawTrace(&p.norm, o, w, h))
}
