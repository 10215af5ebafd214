package chart

import (
	"math"
	"sort"
	"strconv"

	"github.com/charmbracelet/x/ansi"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/number"
)

// residuals writes the law, how well it holds, and its residuals, the worst first.
func residuals(cv canvas, l *fitting.Law, o LawOptions) {
	y := 0
	if text := firstFit(cv.w, l.Text()); text != "" {
		cv.text(0, y, text, penTitle)
		y++
	}
	cv.segments(0, y,
		segment{fixedWord("R² ", l.R2), penText, 1},
		segment{fixedWord("resid sd ", l.ResidSD), penText, 0},
		segment{countNear(l, 0.1), penText, 2})
	cv.segments(0, y+1, segment{"measured η* over the law's, the worst first", penDim, 0})
	y += 2
	cells := make([]fitting.LawCell, 0, len(l.Cells))
	worst := 0.0
	for _, c := range l.Cells {
		if c.Used && finite(c.Residual) {
			cells = append(cells, c)
			worst = math.Max(worst, math.Abs(c.Residual))
		}
	}
	sort.SliceStable(cells, func(i, j int) bool {
		return math.Abs(cells[i].Residual) > math.Abs(cells[j].Residual)
	})
	out := leftOut(l)
	room := cv.h - y - min(len(out), 3)
	shown := len(cells)
	if shown > room {
		shown = max(room-1, 0) // the last row says how many are missing
	}
	residualRows(cv.sub(0, y, cv.w, shown), cells[:shown], worst, o)
	y += shown
	if more := len(cells) - shown; more > 0 {
		if cv.segments(0, y, segment{"… " + strconv.Itoa(more) + " smaller", penDim, 0}) > 0 {
			y++
		}
	}
	for i, c := range out {
		if y >= cv.h {
			return
		}
		if left := len(out) - i; y == cv.h-1 && left > 1 {
			cv.segments(0, y, segment{"○ " + strconv.Itoa(left) + " more left out", penOutside, 0})
			return
		}
		x := cv.segments(0, y, segment{"○ " + number.Key(c.Key), penOutside, 0})
		if x > 0 {
			cv.text(x+2, y, shorten(oneLine(c.Why), cv.w-x-2), penDim)
		}
		y++
	}
}

// residualRows draws one row a cell: its key, the residual as a share of η*, and a
// dot on a line around zero.
func residualRows(cv canvas, cells []fitting.LawCell, worst float64, o LawOptions) {
	if cv.h < 1 {
		return
	}
	nameW, numW := 0, 0
	for _, c := range cells {
		nameW = max(nameW, ansi.StringWidth(number.Key(c.Key)))
		numW = max(numW, ansi.StringWidth(offLaw(c.Residual)))
	}
	if 2+nameW+1+numW > cv.w {
		nameW = 0 // names first to go: the numbers are the point
	}
	barX := 2 + nameW + 1 + numW + 2
	barW := (cv.w - barX) | 1
	if barX+barW > cv.w {
		barW -= 2
	}
	for y, c := range cells {
		p, bar := penText, penPoint
		if math.Abs(math.Exp(c.Residual)-1) > 0.1 {
			p = penWarning
			bar = penWarning
		}
		if o.Focused && c.Index == o.Focus {
			cv.set(0, y, '▌', penAccent)
		}
		if nameW > 0 {
			cv.text(2, y, number.Key(c.Key), p)
		}
		num := offLaw(c.Residual)
		cv.text(2+nameW+1+numW-ansi.StringWidth(num), y, num, p)
		if barW < 7 {
			continue
		}
		mid := barX + barW/2
		for x := barX; x < barX+barW; x++ {
			cv.set(x, y, '·', penDim)
		}
		cv.set(mid, y, '│', penAxis)
		d := 0
		if worst > 0 {
			d = int(math.Round(c.Residual / worst * float64(barW/2)))
		}
		cv.set(mid+d, y, '●', bar)
	}
}

// offLaw prints how far η* lies from the law: "+15%", "−9.2%".
func offLaw(residual float64) string { return number.SignedPercent(math.Exp(residual) - 1) }
