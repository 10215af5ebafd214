package chart

import (
	"math"
	"sort"
)

// xy is a point of a loss curve; y is NaN where the curve has a gap.
type xy struct{ x, y float64 }

// clean lists the points of a series by ascending x, without unusable x; a
// non-finite y becomes a gap. Without X the index is x.
func (s *Series) clean() []xy {
	out := make([]xy, 0, len(s.Y))
	sorted := true
	for i, y := range s.Y {
		x := float64(i)
		if s.X != nil {
			if i >= len(s.X) {
				break
			}
			x = s.X[i]
		}
		if !finite(x) {
			continue
		}
		if !finite(y) {
			y = math.NaN()
		}
		if n := len(out); n > 0 && out[n-1].x > x {
			sorted = false
		}
		out = append(out, xy{x, y})
	}
	if !sorted { // a resumed run may write steps again
		sort.SliceStable(out, func(i, j int) bool { return out[i].x < out[j].x })
	}
	return out
}

// resample gives n values of the curve at even x from lo to hi. Where points are
// denser than that, pairs of values hold the lowest and the highest of their
// stretch, in the order they came, so that no spike is lost; where they are
// sparser the curve is interpolated; gaps and what lies beyond the ends are NaN.
func resample(pts []xy, lo, hi float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = math.NaN()
	}
	if len(pts) == 0 || n == 0 {
		return out
	}
	step := (hi - lo) / float64(max(n-1, 1))
	next := 0
	for i := 0; i < n; i += 2 {
		// The stretch of the values i and i+1.
		end := lo + (float64(i)+1.5)*step
		from := next
		for next < len(pts) && (pts[next].x < end || step == 0) {
			next++
		}
		if a, b, ok := extremes(pts[from:next]); ok && next-from > 2 {
			out[i] = a
			if i+1 < n {
				out[i+1] = b
			}
			continue
		}
		for k := i; k < min(i+2, n); k++ {
			out[k] = valueAt(pts, lo+float64(k)*step, step)
		}
	}
	return out
}

// extremes returns the lowest and highest value in the order they occur.
func extremes(pts []xy) (first, second float64, ok bool) {
	lo, hi := -1, -1
	for i, p := range pts {
		if math.IsNaN(p.y) {
			continue
		}
		if lo < 0 || p.y < pts[lo].y {
			lo = i
		}
		if hi < 0 || p.y > pts[hi].y {
			hi = i
		}
	}
	if lo < 0 {
		return 0, 0, false
	}
	if lo > hi {
		lo, hi = hi, lo
	}
	return pts[lo].y, pts[hi].y, true
}

// valueAt interpolates the curve at x; within half a step beyond its ends it is
// the end's value, so that a curve of one point still shows.
func valueAt(pts []xy, x, step float64) float64 {
	i := sort.Search(len(pts), func(i int) bool { return pts[i].x >= x })
	switch {
	case i < len(pts) && pts[i].x == x:
		return pts[i].y
	case i == 0:
		if pts[0].x-x <= step/2 {
			return pts[0].y
		}
		return math.NaN()
	case i == len(pts):
		if x-pts[i-1].x <= step/2 {
			return pts[i-1].y
		}
		return math.NaN()
	}
	a, b := pts[i-1], pts[i]
	return a.y + (b.y-a.y)*(x-a.x)/(b.x-a.x)
}

// from is the part of a curve at x0 and beyond; where x0 lies between two points the
// curve begins there.
func from(pts []xy, x0 float64) []xy {
	i := sort.Search(len(pts), func(i int) bool { return pts[i].x >= x0 })
	rest := pts[i:]
	if i == 0 || i == len(pts) || pts[i].x == x0 {
		return rest
	}
	return append([]xy{{x0, valueAt(pts, x0, 0)}}, rest...)
}

// until is the part of a curve up to x1.
func until(pts []xy, x1 float64) []xy {
	return pts[:sort.Search(len(pts), func(i int) bool { return pts[i].x > x1 })]
}
