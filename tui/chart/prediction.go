package chart

import (
	"math"
	"sort"

	"github.com/charmbracelet/x/ansi"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/session/picture/scale"
)

// PredictionOptions controls Prediction.
type PredictionOptions struct {
	Theme *Theme // nil: NoColor
}

// Prediction draws what another learning rate than η* would cost: the expected
// relative loss against ln η, the near-optimal band shaded, η* with its interval,
// the η that was asked about, and published laws as marks under the axis.
func Prediction(p *fitting.Prediction, o PredictionOptions, w, h int) string {
	cv := newCanvas(w, h)
	drawPrediction(cv, p)
	return cv.render(o.Theme.sequences())
}

func drawPrediction(cv canvas, p *fitting.Prediction) {
	if p == nil || !finite(math.Log(p.LR)) {
		cv.centred(penDim, "no prediction", "–")
		return
	}
	top, names := 0, 0
	if cv.h >= 3 {
		top = 1
		predictionTitle(cv, p)
	}
	marks := besideMarks(p)
	win := predictionWindow(p, marks)
	if len(marks) > 0 && cv.h >= 11 && cv.w >= 36 {
		// A dry run on a canvas of its own tells how many rows the names take.
		most := min(4, (cv.h-8)/3+1)
		dry := newCanvas(cv.w, cv.h)
		f := newFrame(dry.sub(0, top, cv.w, cv.h-top-1), win, predictionAxes)
		names = besideRows(f, newCanvas(f.p.w, most), marks)
	}
	body := cv.sub(0, top, cv.w, cv.h-top-names)
	f := newFrame(body, win, predictionAxes)
	regret := func(x float64) float64 { return p.Regret(math.Exp(x)) }
	if b0, b1 := math.Log(p.Band[0]), math.Log(p.Band[1]); finite(b0) && finite(b1) {
		f.shadeUnder(b0, b1, '░', penBand, regret)
	}
	f.line(f.x0, f.x1, 1, penCurve, regret)
	f.eta(p)
	f.asked(p)
	if names > 0 {
		besideRows(f, cv.sub(f.p.x-cv.x, cv.h-names, cv.w, names), marks)
	}
}

var predictionAxes = axes{x: logAxis(number.Eta), y: percentAxis}

// percentAxis labels a share as a percentage.
func percentAxis(lo, hi float64, n int) []scale.Tick {
	t := scale.Linear(100*math.Max(lo, 0), 100*hi, n)
	for i := range t {
		t[i].V /= 100
		t[i].Label += "%"
	}
	return t
}

func predictionTitle(cv canvas, p *fitting.Prediction) {
	pieces := []segment{
		{"η*(" + number.Target(p.Target) + ") " + number.Eta(p.LR, 3), penStar, 0},
		{number.EtaInterval(p.Low, p.High, 2), penStar, 1},
	}
	if finite(math.Log(p.Band[0])) && finite(math.Log(p.Band[1])) {
		pieces = append(pieces, segment{
			"within " + number.Percent(p.NearOptimal) + ": " + number.Eta(p.Band[0], 2) + "–" + number.Eta(p.Band[1], 2), penText, 3,
		})
	}
	if p.At > 0 && finite(p.AtRegret) {
		pieces = append(pieces, segment{atText(p), penAccent, 2})
	}
	cv.segments(0, 0, pieces...)
}

func atText(p *fitting.Prediction) string {
	return "at " + number.Eta(p.At, 3) + ": " + number.SignedPercent(p.AtRegret)
}

// beside is a published law in the picture.
type beside struct {
	x    float64
	law  *fitting.BesideLaw
	text string
}

func besideMarks(p *fitting.Prediction) []beside {
	var out []beside
	for i := range p.Beside {
		b := &p.Beside[i]
		x := math.Log(b.LR)
		if !finite(x) {
			continue
		}
		text := b.Name + " " + number.Eta(b.LR, 2)
		if !b.Comparable {
			text = "(" + text + ")"
		}
		out = append(out, beside{x, b, text})
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].x < out[j].x })
	return out
}

// predictionWindow shows the band and the interval with some room around, the η
// asked about, and the published laws within reach; and the losses these cost.
func predictionWindow(p *fitting.Prediction, marks []beside) window {
	x := math.Log(p.LR)
	w := window{x0: x - 0.7, x1: x + 0.7}
	add := func(lr, reach float64) {
		if v := math.Log(lr); finite(v) && math.Abs(v-x) < reach {
			w.x0, w.x1 = math.Min(w.x0, v), math.Max(w.x1, v)
		}
	}
	for _, lr := range []float64{p.Band[0], p.Band[1], p.Low, p.High} {
		add(lr, 2.5)
	}
	w.x0, w.x1 = x-1.25*(x-w.x0), x+1.25*(w.x1-x)
	if p.At > 0 {
		add(p.At, 3)
	}
	for _, m := range marks {
		reach := 1.0 // a law that does not compare must not squeeze the picture
		if m.law.Comparable {
			reach = 2
		}
		add(m.law.LR, reach)
	}
	w.x0, w.x1 = padX(w.x0, w.x1)
	for _, v := range []float64{w.x0, w.x1} {
		if r := p.Regret(math.Exp(v)); finite(r) {
			w.y1 = math.Max(w.y1, r)
		}
	}
	// The near-optimal losses stay visible even if a far η costs many times more.
	if p.NearOptimal > 0 && finite(p.NearOptimal) && w.y1 > 8*p.NearOptimal {
		w.y1 = 8 * p.NearOptimal
		if r := 1.1 * p.AtRegret; finite(r) && r < 20*p.NearOptimal {
			w.y1 = math.Max(w.y1, r)
		}
	}
	if !(w.y1 > 0) {
		w.y1 = 0.01
	}
	w.y0 = -0.04 * w.y1
	return w
}

// eta draws the interval as a bar at the foot of the picture and the star on it.
func (f frame) eta(p *fitting.Prediction) {
	y := min(max(f.row(0), 0), f.p.h-1)
	if lo, hi := math.Log(p.Low), math.Log(p.High); finite(lo) && finite(hi) {
		c0, c1 := f.col(lo), f.col(hi)
		for x := max(c0, 0); x <= min(c1, f.p.w-1); x++ {
			f.p.set(x, y, '━', penStar)
		}
		if c0 < c1 {
			f.p.set(c0, y, '┣', penStar)
			f.p.set(c1, y, '┫', penStar)
		}
	}
	f.p.set(f.col(math.Log(p.LR)), y, '★', penStar)
}

// asked marks the η asked about and says what it costs.
func (f frame) asked(p *fitting.Prediction) {
	x := math.Log(p.At)
	if !(p.At > 0) || !finite(x) {
		return
	}
	col, row := f.col(x), 0
	if col < 0 || col >= f.p.w {
		return
	}
	glyph := '◆'
	if finite(p.AtRegret) {
		row = f.row(p.AtRegret)
	}
	if row < 0 {
		row, glyph = 0, '▲'
	}
	row = min(row, f.p.h-1)
	f.p.set(col, row, glyph, penAccent)
	if !finite(p.AtRegret) {
		return
	}
	text := atText(p)
	n := ansi.StringWidth(text)
	for _, y := range []int{row, row + 1, row - 1} {
		for _, at := range []int{col + 2, col - 1 - n} {
			if f.p.clear(at-1, y, n+2) && f.p.text(at, y, text, penAccent) {
				return
			}
		}
	}
}

// besideRows writes the published laws under the axis, each name beside its mark,
// in the first row with room. Laws outside the picture are named at its edges.
// It returns the rows it used.
func besideRows(f frame, cv canvas, marks []beside) int {
	used := 0
	for _, m := range marks {
		p := penText
		if !m.law.Comparable {
			p = penDim
		}
		col := f.col(m.x)
		text, at := "╵"+m.text, col
		switch {
		case col < 0:
			text, at = "◂"+m.text, 0
		case col >= f.p.w:
			text = m.text + "▸"
			at = f.p.w - ansi.StringWidth(text)
		case at+ansi.StringWidth(text) > cv.w:
			text = m.text + "╵"
			at = col + 1 - ansi.StringWidth(text)
		}
		used = max(used, cv.placed(at, text, p))
	}
	return used
}

// placed writes text at column x in the first row where it fits with a blank
// around it, and returns the number of that row from 1, or 0.
func (c canvas) placed(x int, text string, p pen) int {
	n := ansi.StringWidth(text)
	for y := range c.h {
		if c.clear(x-1, y, n+2) && c.text(x, y, text, p) {
			return y + 1
		}
	}
	return 0
}
