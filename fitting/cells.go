package fitting

import (
	"cmp"
	"math"
	"slices"
)

// Reasons for skipping a run.
const (
	skipNoLR       = "no learning rate"
	skipLR         = "learning rate is not positive"
	skipNoN        = "no N"
	skipN          = "N is not positive"
	skipNoD        = "no D"
	skipD          = "D is not positive"
	skipNoBatch    = "no batch size"
	skipBatch      = "batch size is not positive"
	skipOtherBatch = "another batch size"
)

// divergedRatio is the loss over the cell's lowest from which the automatic rule
// calls a run diverged. On Step Law's data the gap between converged and diverged
// runs of a cell is wide, so that the exact value hardly matters.
const divergedRatio = 1.5

// batchTolerance is how far a run's batch may be from the one of BatchFixed.
const batchTolerance = 0.01

// cell is the runs of one key, by index.
type cell struct {
	key  Key
	runs []int
}

// skip returns why a run cannot be used, or "".
func (o *CurveOptions) skip(r *Run) string {
	quantity := func(x float64, missing, bad string) string {
		switch {
		case math.IsNaN(x):
			return missing
		case !known(x):
			return bad
		}
		return ""
	}
	if why := quantity(r.LR, skipNoLR, skipLR); why != "" {
		return why
	}
	if o.ByN {
		if why := quantity(r.N, skipNoN, skipN); why != "" {
			return why
		}
	}
	if o.ByD {
		if why := quantity(r.D, skipNoD, skipD); why != "" {
			return why
		}
	}
	if o.Batch.Kind == BatchTuned {
		return ""
	}
	if why := quantity(r.B, skipNoBatch, skipBatch); why != "" {
		return why
	}
	if o.Batch.Kind == BatchFixed && math.Abs(r.B/o.Batch.Fixed-1) > batchTolerance {
		return skipOtherBatch
	}
	return ""
}

// group sorts the usable runs into cells, ascending by key, and counts the others.
func (s *CurveSet) group(runs []Run) []cell {
	o := &s.Options
	var cells []cell
	index := make(map[Key]int)
	for i := range runs {
		r := &runs[i]
		if why := o.skip(r); why != "" {
			s.Skipped[why]++
			continue
		}
		key := Key{Extra: r.Extra}
		if o.ByN {
			key.N = r.N
		}
		if o.ByD {
			key.D = r.D
		}
		if o.Batch.Kind == BatchKeyed {
			key.B = r.B
		}
		at, ok := index[key]
		if !ok {
			at = len(cells)
			index[key] = at
			cells = append(cells, cell{key: key})
		}
		cells[at].runs = append(cells[at].runs, i)
	}
	slices.SortFunc(cells, func(a, b cell) int {
		return cmp.Or(
			cmp.Compare(a.key.N, b.key.N),
			cmp.Compare(a.key.D, b.key.D),
			cmp.Compare(a.key.B, b.key.B),
			cmp.Compare(a.key.Extra, b.key.Extra),
		)
	})
	return cells
}

// seeded is a run of a cell before those of several seeds become one point.
type seeded struct {
	Point
	seed float64
}

// curve applies the rules for excluded and diverged runs and the batch rule, and
// leaves the points that a fit may use.
func (c *cell) curve(runs []Run, o CurveOptions) Curve {
	out := Curve{Key: c.key, Runs: len(c.runs)}
	flops := make([]float64, 0, len(c.runs))
	points := make([]seeded, 0, len(c.runs))
	for _, i := range c.runs {
		r := &runs[i]
		if f := trainingFLOPs(r.C, r.N, r.D); known(f) {
			flops = append(flops, f)
		}
		p := Point{LR: r.LR, Loss: r.Loss, B: r.B, Row: r.Row, Seeds: 1}
		if o.Exclude[r.Row] {
			out.Excluded = append(out.Excluded, p)
			continue
		}
		seed := r.Seed
		if math.IsNaN(seed) {
			seed = 0
		}
		points = append(points, seeded{p, seed})
	}
	out.C = median(flops)
	slices.SortFunc(points, func(a, b seeded) int { return comparePoints(a.Point, b.Point) })
	slices.SortFunc(out.Excluded, comparePoints)

	isDiverged, judged := o.Diverged.judge(points)
	if !judged {
		out.Flags = append(out.Flags, FlagNonPositive)
	}
	kept := points[:0]
	for _, p := range points {
		if isDiverged(p.Point) {
			out.Diverged = append(out.Diverged, p.Point)
		} else {
			kept = append(kept, p)
		}
	}
	tolerance := o.LRTolerance
	if tolerance == 0 {
		tolerance = 0.01
	}
	out.Points, out.Regroup = envelope(kept, tolerance)
	if len(out.Diverged) > 0 {
		if len(out.Points) == 0 {
			out.Flags = append(out.Flags, FlagAllDiverged)
		}
		out.Flags = append(out.Flags, FlagDiverged)
	}
	return out
}

// comparePoints orders by η, then loss, then row, so that results do not depend
// on the order of the runs.
func comparePoints(a, b Point) int {
	return cmp.Or(cmp.Compare(a.LR, b.LR), cmp.Compare(a.Loss, b.Loss), cmp.Compare(a.Row, b.Row))
}

// judge returns the test for a diverged run of one cell. judged is false when the
// automatic rule cannot be applied because a loss is not positive: a ratio to the
// lowest loss means nothing there.
func (d DivergedRule) judge(points []seeded) (isDiverged func(Point) bool, judged bool) {
	nonFinite := func(p Point) bool { return !finite(p.Loss) }
	if d.Keep {
		return nonFinite, true
	}
	if d.Above > 0 {
		return func(p Point) bool { return !finite(p.Loss) || p.Loss >= d.Above }, true
	}
	low := Point{Loss: math.Inf(1)}
	for _, p := range points {
		if !finite(p.Loss) {
			continue
		}
		if p.Loss <= 0 {
			return nonFinite, false
		}
		if p.Loss < low.Loss { // points ascend in η: the lowest η wins a tie
			low = p.Point
		}
	}
	return func(p Point) bool {
		return !finite(p.Loss) || p.Loss > divergedRatio*low.Loss && p.LR > low.LR
	}, true
}

// envelope keeps one loss of each learning rate. Rates closer than the tolerance are
// roundings of one; merged counts those that went into another. points ascend, and are
// put into another order.
func envelope(points []seeded, tolerance float64) (env []Point, merged int) {
	for i := 0; i < len(points); {
		from, first := i, points[i].LR
		distinct, last := 1, first
		for i++; i < len(points) && points[i].LR <= first*(1+tolerance); i++ {
			if points[i].LR != last {
				distinct, last = distinct+1, points[i].LR
			}
		}
		merged += distinct - 1
		env = append(env, lowest(points[from:i]))
	}
	return env, merged
}

// lowest is the batch size with the lowest loss of one learning rate, where the loss of a
// batch size is the mean over its seeds, and that of a seed its lowest: what else differs
// was tuned, a seed is not.
func lowest(points []seeded) Point {
	low, one := 0, true
	for i := range points {
		one = one && points[i].seed == points[0].seed
		if points[i].Loss < points[low].Loss {
			low = i
		}
	}
	if one {
		return points[low].Point
	}
	slices.SortFunc(points, func(a, b seeded) int {
		return cmp.Or(cmp.Compare(a.B, b.B), cmp.Compare(a.seed, b.seed), comparePoints(a.Point, b.Point))
	})
	best := Point{Loss: math.Inf(1)}
	for i := 0; i < len(points); {
		p, sum, seeds := points[i].Point, 0.0, 0
		for b := p.B; i < len(points) && cmp.Compare(points[i].B, b) == 0; {
			of := points[i]
			for i++; i < len(points) && cmp.Compare(points[i].B, b) == 0 && points[i].seed == of.seed; i++ {
				if points[i].Loss < of.Loss {
					of = points[i]
				}
			}
			seeds++
			sum += of.Loss
			if of.Loss < p.Loss {
				p = of.Point
			}
		}
		p.Loss, p.Seeds = sum/float64(seeds), seeds
		if p.Loss < best.Loss {
			best = p
		}
	}
	return best
}

// trainingFLOPs is c where it is given, else 6·N·D; NaN when neither is known.
func trainingFLOPs(c, n, d float64) float64 {
	switch {
	case known(c):
		return c
	case known(n) && known(d):
		return 6 * n * d
	}
	return nan
}

// median of values, which it sorts; NaN of none.
func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return nan
	}
	slices.Sort(values)
	if n%2 == 1 {
		return values[n/2]
	}
	return values[n/2-1] + (values[n/2]-values[n/2-1])/2
}
