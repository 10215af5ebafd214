package chart

import (
	"math"
	"strconv"

	"github.com/charmbracelet/x/ansi"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/session/picture/scale"
)

func (v *lawView) title(cv canvas, alone bool) {
	what := "η* against " + string(v.axis)
	if v.o.Partial && len(v.levels) > 0 {
		what += ", moved to " + string(v.other) + " " + number.SI(v.levels[0])
	} else if len(v.levels) > 1 {
		what += ", a line per " + string(v.other)
	}
	pieces := []segment{{what, penTitle, 0}}
	if alone {
		pieces = append(pieces,
			segment{fixedWord("R² ", v.l.R2), penText, 1},
			segment{fixedWord("resid sd ", v.l.ResidSD), penText, 2},
			segment{v.l.Text(), penDim, 3})
	}
	cv.segments(0, 0, pieces...)
}

func fixedWord(name string, v float64) string {
	if !finite(v) {
		return ""
	}
	return name + number.Fixed(v, 3)
}

func (v *lawView) legend(cv canvas) {
	has := map[rune]bool{}
	for _, m := range v.cells {
		has[m.glyph] = true
	}
	var pieces []segment
	add := func(ok bool, text string, p pen) {
		if ok {
			pieces = append(pieces, segment{text, p, len(pieces)})
		}
	}
	_, _, star := v.target()
	add(has['●'], "● measured", penPoint)
	add(star, "★ "+v.targetText(), penStar)
	add(has['○'], "○ left out", penOutside)
	add(has['▾'] || has['▴'], "▾▴ only a bound", penWarning)
	add(star, "dotted: beyond the cells", penDim)
	if len(pieces) > 0 {
		cv.segments(0, cv.h-1, pieces...)
	}
}

func (v *lawView) targetText() string {
	if v.o.Target == nil {
		return ""
	}
	return number.Target(v.o.Target.Target) + ": " + number.Eta(v.o.Target.LR, 3)
}

func (v *lawView) draw(cv canvas) {
	win, ok := v.window()
	if !ok {
		cv.centred(penDim, "no cell with a vertex", "no data", "–")
		return
	}
	margin := 0
	if lw := v.labelWidth(); lw > 0 && cv.w >= 36 {
		margin = lw + 1
	}
	format := siSig
	f := newFrame(cv.sub(0, 0, cv.w-margin, cv.h), win, axes{x: logAxis(format), y: etaAxisY})
	names := v.lines(f)
	if f.p.h >= 9 {
		v.errorBars(f)
	}
	for _, m := range v.cells {
		f.p.set(f.col(m.x), min(max(f.row(m.y), 0), f.p.h-1), m.glyph, v.pen(m))
	}
	v.star(f)
	for _, n := range names { // last, where nothing else is: no mark may cut a number
		n.put(f, cv.sub(f.p.x-cv.x, 0, f.p.w+margin, f.p.h))
	}
	for _, m := range v.cells {
		if x, y := f.col(m.x), min(max(f.row(m.y), 0), f.p.h-1); m.focused {
			f.p.set(x-1, y, '[', penSelected)
			f.p.set(x, y, m.glyph, penSelected)
			f.p.set(x+1, y, ']', penSelected)
		}
	}
}

// etaAxisY labels a y axis in ln η, at most n ticks.
func etaAxisY(lo, hi float64, n int) []scale.Tick {
	return logAxis(number.Eta)(lo, hi, func(t []scale.Tick) bool { return len(t) <= max(n, 1) })
}

func (v *lawView) pen(m lawMark) pen {
	switch {
	case m.glyph == '○':
		return penOutside
	case m.glyph != '●':
		return penWarning
	case len(v.levels) > 1:
		return seriesPen(m.level)
	}
	return penPoint
}

// lineName is the name of a line, to be written where it ends.
type lineName struct {
	end  float64
	at   func(float64) float64
	text string
	pen  pen
}

// lines draws the law: a line for each level over the range of the cells, and one
// dotted to the target.
func (v *lawView) lines(f frame) []lineName {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, m := range v.cells {
		if m.used {
			lo, hi = math.Min(lo, m.x), math.Max(hi, m.x)
		}
	}
	if !(lo <= hi) {
		lo, hi = f.x0, f.x1
	}
	var names []lineName
	draw := func(lo, hi float64, stride int, q float64, p pen) {
		at := func(x float64) float64 { return v.at(x, q) }
		f.line(lo, hi, stride, p, at)
		if q > 0 {
			names = append(names, lineName{hi, at, number.SI(q), p})
		}
	}
	if x, q, ok := v.target(); ok {
		switch {
		case v.other != "" && !v.isLevel(q):
			draw(math.Min(lo, x), math.Max(hi, x), 4, q, penStar)
		case x > hi:
			draw(hi, x, 4, q, penStar)
		case x < lo:
			draw(x, lo, 4, q, penStar)
		}
	}
	if len(v.levels) == 0 {
		draw(lo, hi, 1, 0, penCurve)
	}
	for i, q := range v.levels {
		p := penCurve
		if len(v.levels) > 1 {
			p = seriesPen(i)
		}
		draw(lo, hi, 1, q, p)
	}
	return names
}

func (v *lawView) isLevel(q float64) bool {
	for _, l := range v.levels {
		if math.Abs(math.Log(q/l)) < 0.05 {
			return true
		}
	}
	return false
}

// put writes the name right of the line's end, in a row that is free, or at the
// foot of the picture if the line leaves there.
func (n lineName) put(f frame, c canvas) {
	w, row := ansi.StringWidth(n.text), f.row(n.at(n.end))
	if row < 0 || c.w == f.p.w {
		return
	}
	try := func(x, y int) bool {
		return y >= 0 && y < c.h && c.clear(x-1, y, w+2) && c.text(x, y, n.text, n.pen)
	}
	for _, y := range []int{row, row - 1, row + 1} {
		if row < c.h && try(f.col(n.end)+2, y) {
			return
		}
	}
	for x := f.col(n.end) - 1; x > 1 && row >= c.h; x-- {
		if f.row(n.at(f.xAt(2*x))) == c.h-1 && try(x+3, c.h-1) {
			return
		}
	}
}

// errorBars draws ±1.96 standard errors through each used vertex.
func (v *lawView) errorBars(f frame) {
	for _, m := range v.cells {
		if !(m.se > 0) || !finite(m.se) || !m.used {
			continue
		}
		x, y0, y1 := f.dotX(m.x), max(f.dotY(m.y+1.96*m.se), 0), min(f.dotY(m.y-1.96*m.se), 4*f.p.h-1)
		for y := y0; y <= y1; y++ {
			f.p.dot(x, y, v.pen(m))
		}
	}
}

// star draws the target with its interval.
func (v *lawView) star(f frame) {
	lnX, _, ok := v.target()
	if !ok {
		return
	}
	p := v.o.Target
	x, y := f.col(lnX), f.row(math.Log(p.LR))
	if lo, hi := math.Log(p.Low), math.Log(p.High); finite(lo) && finite(hi) {
		top, end := max(f.row(hi), 0), min(f.row(lo), f.p.h-1)
		for r := top; r <= end; r++ {
			f.p.set(x, r, '│', penStar)
		}
		if top < y {
			f.p.set(x, top, '┬', penStar)
		}
		if end > y {
			f.p.set(x, end, '┴', penStar)
		}
	}
	f.p.set(x, min(max(y, 0), f.p.h-1), '★', penStar)
}

// leftOut lists the cells a law does not use.
func leftOut(l *fitting.Law) []fitting.LawCell {
	var out []fitting.LawCell
	for _, c := range l.Cells {
		if !c.Used {
			out = append(out, c)
		}
	}
	return out
}

// countNear says how many used cells lie within share of the law.
func countNear(l *fitting.Law, share float64) string {
	n, used := 0, 0
	for _, c := range l.Cells {
		if !c.Used || !finite(c.Residual) {
			continue
		}
		used++
		if math.Abs(math.Exp(c.Residual)-1) <= share {
			n++
		}
	}
	return strconv.Itoa(n) + " of " + strconv.Itoa(used) + " inside ±" + number.Percent(share)
}
