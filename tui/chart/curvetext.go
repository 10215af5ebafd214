package chart

import (
	"math"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/number"
)

// etaText says what a curve knows of η*: "η* 1.38e-3", "η* < 2.4e-4", "no η*".
func etaText(c *fitting.Curve) string {
	switch {
	case c.Bound == fitting.BoundBelow:
		return "η* < " + number.Eta(c.BoundLR, 3)
	case c.Bound == fitting.BoundAbove:
		return "η* > " + number.Eta(c.BoundLR, 3)
	case c.OK && finite(c.LnLR):
		return "η* " + number.Eta(math.Exp(c.LnLR), 3)
	}
	return "no η*"
}

// curveTitle is the line over a curve: its key, η* with its interval, R², reasons to doubt it.
func curveTitle(cv canvas, c *fitting.Curve) {
	key, eta, etaPen := number.Key(c.Key), etaText(c), penStar
	if !c.OK || c.Bound != fitting.NoBound {
		etaPen = penWarning
	}
	if ansi.StringWidth(key)+2+ansi.StringWidth(eta) > cv.w {
		eta = strings.TrimPrefix(eta, "η* ") // the number alone, where that lets the key stay
	}
	pieces := []segment{{key, penTitle, 0}, {eta, etaPen, 1}}
	if c.OK && c.Bound == fitting.NoBound {
		pieces = append(pieces, segment{number.Spread(c.Half()), etaPen, 2})
		if finite(c.R2) {
			pieces = append(pieces, segment{"R² " + number.Fixed(c.R2, 3), penText, 4})
		}
	}
	if s := number.Flags(c.Flags); s != "" {
		pieces = append(pieces, segment{"! " + s, penWarning, 3})
	}
	if n := len(c.Diverged); n > 0 {
		pieces = append(pieces, segment{"✖ " + strconv.Itoa(n) + " diverged", penDiverged, 5})
	}
	if n := len(c.Excluded); n > 0 {
		pieces = append(pieces, segment{"× " + strconv.Itoa(n) + " out", penExcluded, 6})
	}
	cv.segments(0, 0, pieces...)
}

// formingTitle is the line over a curve whose runs still train: what its marks are.
func formingTitle(cv canvas, m *marks) {
	n := map[rune]int{}
	for _, k := range m.all {
		n[k.glyph] += k.runs
	}
	pieces := []segment{{"loss vs η", penTitle, 0}}
	if n['●'] > 0 {
		pieces = append(pieces, segment{"● finished", penPoint, 3})
	}
	if n['◌'] > 0 {
		pieces = append(pieces, segment{"◌ not final", penOutside, 1})
	}
	if n['✖'] > 0 {
		pieces = append(pieces, segment{"✖ diverged", penDiverged, 2})
	}
	cv.segments(0, 0, pieces...)
}

// legend names the marks that the picture holds.
func legend(cv canvas, c *fitting.Curve, m *marks) {
	has := map[rune]bool{}
	for _, k := range m.all {
		has[k.glyph] = true
	}
	var pieces []segment
	add := func(ok bool, text string, p pen) {
		if ok {
			pieces = append(pieces, segment{text, p, len(pieces)})
		}
	}
	add(has['●'], "● fitted", penPoint)
	add(has['○'], "○ not fitted", penOutside)
	add(c.OK && c.LnLRSE > 0, "░ 95% of η*", penInterval)
	add(m.above > 0, "▲ "+strconv.Itoa(m.above)+" above", penOutside)
	add(m.below > 0, "▼ "+strconv.Itoa(m.below)+" below", penOutside)
	add(has['✖'], "✖ diverged", penDiverged)
	add(has['×'], "× taken out", penExcluded)
	if len(pieces) > 0 {
		cv.segments(0, cv.h-1, pieces...)
	}
}

// cursorLine gives the values of the point under the cursor.
func cursorLine(cv canvas, c *fitting.Curve, selected int, line func(row int) int) {
	pts := Selectable(c)
	p := pts[selected]
	state := "not fitted"
	switch {
	case isExcluded(c, p):
		state = "taken out"
	case p.InWindow:
		state = "fitted"
	}
	pieces := []segment{
		{"[" + strconv.Itoa(selected+1) + "/" + strconv.Itoa(len(pts)) + "]", penAccent, 2},
		{"η " + number.Eta(p.LR, 4), penText, 0},
		{"loss " + number.Loss(p.Loss), penText, 1},
		{state, penAccent, 3},
	}
	if p.Seeds > 1 {
		pieces = append(pieces, segment{"mean of " + strconv.Itoa(p.Seeds) + " seeds", penDim, 4})
	}
	if finite(p.B) && p.B > 0 {
		pieces = append(pieces, segment{"B " + number.SI(p.B), penDim, 4})
	}
	if line != nil {
		pieces = append(pieces, segment{"line " + strconv.Itoa(line(p.Row)), penDim, 5})
	}
	cv.segments(0, cv.h-1, pieces...)
}

func isExcluded(c *fitting.Curve, p fitting.Point) bool {
	for _, e := range c.Excluded {
		if e.Row == p.Row && e.LR == p.LR {
			return true
		}
	}
	return false
}
