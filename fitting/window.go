package fitting

import (
	"math"
	"strconv"
)

// WindowKind says which points around the minimum enter a parabola.
type WindowKind int

const (
	// WindowK takes the lowest point and K neighbours on each side.
	WindowK WindowKind = iota
	// WindowPct takes every point with loss ≤ (1+Pct/100)·min.
	WindowPct
	// WindowAll takes every point.
	WindowAll
)

// Window selects the points of a curve that are fitted. The zero value is the
// notebook's default, two neighbours on each side.
type Window struct {
	Kind WindowKind
	K    int     // for WindowK; 0 means 2
	Pct  float64 // for WindowPct; 0 means 1
}

// String prints the window in the notebook's notation: "2", "1%", "all".
func (w Window) String() string {
	w = w.normal()
	switch w.Kind {
	case WindowPct:
		return strconv.FormatFloat(w.Pct, 'g', -1, 64) + "%"
	case WindowAll:
		return "all"
	case WindowK:
	}
	return strconv.Itoa(w.K)
}

// normal fills defaults and clears what the kind does not use, so that equal
// windows compare equal.
func (w Window) normal() Window {
	switch w.Kind {
	case WindowPct:
		if w.Pct == 0 {
			w.Pct = 1
		}
		return Window{Kind: WindowPct, Pct: w.Pct}
	case WindowAll:
		return Window{Kind: WindowAll}
	case WindowK:
	}
	if w.K == 0 {
		w.K = 2
	}
	return Window{Kind: WindowK, K: w.K}
}

// defaultWindows are the windows an interval covers when none are asked for.
func defaultWindows() []Window {
	return []Window{
		{Kind: WindowK, K: 2},
		{Kind: WindowK, K: 3},
		{Kind: WindowPct, Pct: 1},
		{Kind: WindowPct, Pct: 2},
	}
}

// mark sets InWindow of each point and returns how many are in. low is the index
// of the lowest loss.
func (w Window) mark(points []Point, low int) int {
	var n int
	w = w.normal()
	limit := points[low].Loss + w.Pct/100*math.Abs(points[low].Loss)
	if finite(points[low].Loss) && points[low].Loss > 0 {
		limit = points[low].Loss * (1 + w.Pct/100) // as the definition is written, to the last bit
	}
	for i := range points {
		var in bool
		switch w.Kind {
		case WindowK:
			in = i >= low-w.K && i <= low+w.K
		case WindowPct:
			in = points[i].Loss <= limit
		case WindowAll:
			in = true
		}
		points[i].InWindow = in
		if in {
			n++
		}
	}
	return n
}
