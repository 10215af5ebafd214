package chart

import (
	"strconv"

	"github.com/charmbracelet/x/ansi"

	"github.com/etastar/etastar/fitting"
)

// MultiplesOptions controls SmallMultiples.
type MultiplesOptions struct {
	Theme *Theme // nil: NoColor
	Focus int    // index in CurveSet.Curves of the cell that is marked; it decides the page
	// Cursor and Selected put a cursor on a point of the focused cell, as in CurveOptions.
	Cursor   bool
	Selected int
	Line     func(row int) int
}

// The least a small multiple needs to be read.
const (
	multipleW = 24
	multipleH = 7
)

// Grid says how SmallMultiples lays n curves out in w×h: columns and rows of a
// page. A screen moves its focus by it.
func Grid(n, w, h int) (columns, rows int) {
	columns = max(1, w/multipleW)
	rows = max(1, (h-1)/multipleH)
	if n < 1 {
		return 1, 1
	}
	// As few pages as possible first, then as large cells as possible, as even as possible.
	for columns > 1 && (columns-1)*rows >= n {
		columns--
	}
	for rows > 1 && columns*(rows-1) >= n {
		rows--
	}
	return columns, rows
}

// SmallMultiples draws the curves of a set side by side, as many as can be read,
// the focused one marked by a bar and a brighter title. What does not fit is on
// further pages; the last line says where one is.
func SmallMultiples(cs *fitting.CurveSet, o MultiplesOptions, w, h int) string {
	cv := newCanvas(w, h)
	drawMultiples(cv, cs, o)
	return cv.render(o.Theme.sequences())
}

func drawMultiples(cv canvas, cs *fitting.CurveSet, o MultiplesOptions) {
	if cs == nil || len(cs.Curves) == 0 {
		cv.centred(penDim, "no curves", "–")
		return
	}
	n := len(cs.Curves)
	focus := min(max(o.Focus, 0), n-1)
	foot := 0
	if cv.h >= 3 {
		foot = 1
	}
	columns, rows := Grid(n, cv.w, cv.h)
	page := columns * rows
	first := focus / page * page
	for i := first; i < min(first+page, n); i++ {
		cx, cy := (i-first)%columns, (i-first)/columns
		x0, x1 := cx*cv.w/columns, (cx+1)*cv.w/columns
		y0, y1 := cy*(cv.h-foot)/rows, (cy+1)*(cv.h-foot)/rows
		co := CurveOptions{}
		if i == focus && n > 1 {
			for y := y0; y < y1 && x1-x0 > 2; y++ {
				cv.set(x0, y, '▌', penAccent)
			}
		}
		if i == focus {
			co.Cursor, co.Selected, co.Line = o.Cursor, o.Selected, o.Line
		}
		gap := 0
		if x1-x0 > 2 {
			gap = 1
		}
		small := columns > 1 || rows > 1
		right := gap // a free column between neighbours
		if cx == columns-1 {
			right = 0
		}
		drawCurve(cv.sub(x0+gap, y0, x1-x0-gap-right, y1-y0), &cs.Curves[i], co, small)
	}
	if foot == 1 {
		pager(cv, first, min(first+page, n), n, focus)
	}
}

// pager writes "◂ 3/17 ▸" in the last line; the arrows show where more cells are.
func pager(cv canvas, first, end, n, focus int) {
	left, right := " ", " "
	if focus > 0 {
		left = "◂"
	}
	if focus < n-1 {
		right = "▸"
	}
	at := left + " " + strconv.Itoa(focus+1) + "/" + strconv.Itoa(n) + " " + right
	x := cv.w - ansi.StringWidth(at)
	if !cv.text(x, cv.h-1, at, penAccent) {
		return
	}
	if end-first < n {
		shown := "cells " + strconv.Itoa(first+1) + "–" + strconv.Itoa(end) + " of " + strconv.Itoa(n)
		if ansi.StringWidth(shown)+2 <= x {
			cv.text(0, cv.h-1, shown, penDim)
		}
	}
}
