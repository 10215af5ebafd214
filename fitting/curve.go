package fitting

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Run is one training run of a sweep. Unknown quantities are NaN.
type Run struct {
	N, D, B float64 // parameters, training tokens, tokens per optimizer step
	C       float64 // training FLOPs; NaN: 6·N·D is used where C is asked for
	LR      float64 // peak learning rate η, as written
	Loss    float64 // final loss; non-finite: diverged
	Extra   string  // canonical text of any further key columns ("seed=1 opt=adamw"); "" for none
	Seed    float64 // runs of one cell, η and batch with several seeds count with their mean; NaN is 0
	Row     int     // row in the table it came from, from 0
}

// Key names a cell. A zero field is not part of the key.
type Key struct {
	N, D, B float64
	Extra   string
}

// String prints the key for messages: "N=215M D=4B".
func (k Key) String() string {
	var parts []string
	for _, q := range []struct {
		name  string
		value float64
	}{{"N", k.N}, {"D", k.D}, {"B", k.B}} {
		if q.value != 0 {
			parts = append(parts, q.name+"="+FormatCount(q.value))
		}
	}
	if k.Extra != "" {
		parts = append(parts, k.Extra)
	}
	if len(parts) == 0 {
		return "all runs"
	}
	return strings.Join(parts, " ")
}

// CurveForm is the shape fitted to loss against x = ln η.
type CurveForm int

const (
	// Quadratic is L_min + c·(x − x*)², arXiv 2601.05049 Eq 2.
	Quadratic CurveForm = iota
	// Cubic adds a term in (x − x̄)³.
	Cubic
	// Asymmetric is a parabola with a curvature of its own on each side of its vertex.
	Asymmetric
)

// BatchRule says how runs of one cell at different batch sizes become one curve.
type BatchRule struct {
	Kind  BatchKind
	Fixed float64 // tokens per step, for BatchFixed
}

// BatchKind is the kind of a BatchRule.
type BatchKind int

const (
	// BatchTuned takes at each η the lowest loss over all batch sizes, each the mean of its
	// seeds.
	BatchTuned BatchKind = iota
	// BatchFixed keeps only the runs at one batch size, to within 1%.
	BatchFixed
	// BatchKeyed makes B part of the cell's key.
	BatchKeyed
	// BatchUnknown is the condition of a published law that does not state one.
	// Curves does not accept it.
	BatchUnknown
)

// String prints the condition a law carries: "tuned", "fixed(524288)", "free", "unknown".
func (b BatchRule) String() string {
	switch b.Kind {
	case BatchTuned:
		return "tuned"
	case BatchFixed:
		return "fixed(" + strconv.FormatFloat(b.Fixed, 'f', -1, 64) + ")"
	case BatchKeyed:
		return "free"
	case BatchUnknown:
	}
	return "unknown"
}

// DivergedRule says which runs are set apart as diverged. A non-finite loss always is.
//
// The automatic rule also sets apart a loss over 1.5 times the cell's lowest loss
// if its η is above that of the lowest-loss run: a run below it is under-trained,
// not diverged. It is not applied to a cell that holds a loss at or below zero.
type DivergedRule struct {
	Keep  bool    // only non-finite losses are set apart
	Above float64 // > 0: losses at or above this are set apart; 0: automatic, per cell
}

// CurveOptions controls Curves. The zero value with ByN and ByD is the default of the notebook.
type CurveOptions struct {
	ByN, ByD bool
	Window   Window
	Form     CurveForm
	Batch    BatchRule
	Diverged DivergedRule
	// Exclude holds rows (Run.Row) that the user took out by hand.
	Exclude map[int]bool
	// LRTolerance groups learning rates of one cell that differ by less than this
	// ratio (two roundings of one grid value); 0 means 0.01. Fits use the values as written.
	LRTolerance float64
}

// Flag is a reason to doubt a curve.
type Flag string

// Flags of a curve, in the order they are reported.
const (
	FlagEdgeLow       Flag = "minimum at the lowest learning rate"  // η* is below: a bound
	FlagEdgeHigh      Flag = "minimum at the highest learning rate" // η* is above: a bound
	FlagDivergedAbove Flag = "every higher learning rate diverged"  // with FlagEdgeHigh: η* is near the edge of stability
	FlagNearEdge      Flag = "minimum one from the edge"
	FlagFewPoints     Flag = "fewer than 5 points"
	FlagTooFew        Flag = "too few points to fit"
	FlagFlat          Flag = "every loss is the same"
	FlagConcave       Flag = "concave"
	FlagOutsidePoints Flag = "vertex outside the fitted points"
	FlagOutsideGrid   Flag = "vertex outside the grid"
	FlagHighLoss      Flag = "window holds a loss over 1.1× the minimum"
	FlagNonPositive   Flag = "losses at or below zero: divergence is judged by non-finite values only"
	FlagAllDiverged   Flag = "every run diverged"
	FlagDiverged      Flag = "diverged runs set apart"
)

// Point is one learning rate of a curve.
type Point struct {
	LR, Loss float64
	B        float64 // batch of the run that gave Loss; NaN if unknown
	Row      int     // Run.Row of that run, of several seeds the lowest
	Seeds    int     // seeds whose mean Loss is; 1 for a single run
	InWindow bool
}

// Bound says that the data only bound η*.
type Bound int

// Kinds of bound.
const (
	NoBound    Bound = iota
	BoundBelow       // η* lies below Curve.BoundLR
	BoundAbove       // η* lies above Curve.BoundLR
)

// Curve is the loss against ln η of one cell with its fit.
type Curve struct {
	Key      Key
	C        float64 // median training FLOPs of the cell, 6·N·D where not given
	Points   []Point // what the batch rule left, ascending η; not diverged, not excluded
	Diverged []Point // set apart, ascending η
	Excluded []Point // taken out by hand, ascending η
	Runs     int     // runs of this cell before any rule
	Regroup  int     // learning rates merged as two roundings of one value

	OK    bool // a vertex was found inside the grid; false: see Bound and Flags
	Bound Bound
	// BoundLR is the edge learning rate when Bound is not NoBound.
	BoundLR float64

	Fitted bool      // Coef is set (the fit may still be concave)
	Form   CurveForm // form that was fitted
	Center float64   // x̄ = mean of ln η over the window
	// Coef: Quadratic, Cubic: powers of (x − Center), constant first.
	// Asymmetric: L_min, x* − Center, curvature below x*, curvature above x*.
	Coef []float64
	// LnLR is ln η* at the vertex, LnLRSE its delta-method standard error (NaN with no
	// degrees of freedom), Loss the fitted loss there. NaN unless Fitted and convex.
	LnLR, LnLRSE, Loss float64
	// CurvLow and CurvHigh are ½·d²L/dx² below and above the vertex (equal for Quadratic and Cubic).
	CurvLow, CurvHigh float64
	// R2 is 1 − RSS/TSS over the window; NaN when every loss in it is the same.
	R2, RMSE float64 // RMSE has n − p in its denominator; NaN when n = p
	NFit     int     // points in the window
	Flags    []Flag
}

// At returns the fitted loss at ln η = x; NaN when nothing was fitted.
func (c *Curve) At(x float64) float64 {
	if !c.Fitted {
		return nan
	}
	u := x - c.Center
	if c.Form == Asymmetric {
		d := u - c.Coef[1]
		if d < 0 {
			return c.Coef[0] + c.Coef[2]*d*d
		}
		return c.Coef[0] + c.Coef[3]*d*d
	}
	var y float64
	for k := len(c.Coef) - 1; k >= 0; k-- {
		y = y*u + c.Coef[k]
	}
	return y
}

// Interval is the 95% interval of ln η*, by Student's t on the degrees of freedom that the
// fit has left: how the points scatter around it. NaN with none.
func (c *Curve) Interval() (low, high float64) {
	half := c.Half()
	return c.LnLR - half, c.LnLR + half
}

// Half is half the width of Interval.
func (c *Curve) Half() float64 {
	dof := c.NFit - len(c.Coef)
	if !c.OK || dof < 1 {
		return nan
	}
	return tQuantile(0.975, dof) * c.LnLRSE
}

// Has reports whether flag f is set.
func (c *Curve) Has(f Flag) bool { return slices.Contains(c.Flags, f) }

var nan = math.NaN()

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// known reports whether x is a quantity one can compute with: finite and positive.
func known(x float64) bool { return x > 0 && !math.IsInf(x, 1) }
