package fitting

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// LawForm names the variables of a law.
type LawForm string

// Law forms. All are fitted in log space over the vertices of a CurveSet.
const (
	PowerND  LawForm = "power"   // ln η* = ln C + a·ln N + b·ln D, arXiv 2601.05049 Eq 6
	PowerNDB LawForm = "power_B" // the same with c·ln B
	PowerN   LawForm = "N_only"
	PowerD   LawForm = "D_only"
	PowerC   LawForm = "C_only" // ln η* = ln C₀ + a·ln C, C training FLOPs
	Custom   LawForm = "custom"
)

// Weights says how the cells count in a law.
type Weights int

// Kinds of weights.
const (
	// WeightNone counts every cell the same.
	WeightNone Weights = iota
	// WeightSE weighs by 1/SE² of the vertex. The SE is taken as no less than half
	// the median over the cells: a parabola through few points can fit them almost
	// exactly, and would otherwise own the law. A cell without an SE gets the
	// largest one known.
	WeightSE
)

// CustomForm is a law the user wrote: η* = Eval(target, θ), which must be positive.
type CustomForm struct {
	Text   string    // as written, for messages and display
	Params []string  // names of θ
	Start  []float64 // starting values; nil: found from a grid of starts
	Eval   func(t Target, theta []float64) float64
}

// LawOptions controls FitLaw.
type LawOptions struct {
	Form    LawForm            // "" is PowerND
	Custom  *CustomForm        // for Form == Custom
	Pin     map[string]float64 // coefficients held fixed, by name: "C" (the constant itself, not its logarithm), "N", "D", "B", "FLOPs", or a custom parameter
	Weights Weights
	Huber   float64      // > 0: Huber loss with this δ in ln η; 0: least squares
	Exclude map[int]bool // cells left out by hand, by index in CurveSet.Curves
	// UseBounds lets cells whose minimum lies on the grid's edge, or whose vertex
	// lies outside the grid, count as if their vertex were measured. Off, they are
	// left out and listed.
	UseBounds bool
}

// Coefficient is one number of a law.
type Coefficient struct {
	Name   string  // "C", "N", "D", "B", "FLOPs" or a custom parameter
	Value  float64 // C is the constant itself; exponents are exponents
	SE     float64 // standard error; for C that of ln C. NaN when pinned or without degrees of freedom
	Lo, Hi float64 // 95% t-interval (for C on the scale of C); NaN where SE is
	Pinned bool
}

// LawCell is one cell in a law.
type LawCell struct {
	Index    int // in CurveSet.Curves
	Key      Key
	LnLR, SE float64 // measured vertex and its standard error; NaN without a vertex
	Fitted   float64 // ln η* by the law; NaN where the law lacks a quantity
	Residual float64 // LnLR − Fitted
	Leverage float64 // NaN when not used
	Used     bool
	Why      string // why it was not used
}

// Law is a fitted η* law.
type Law struct {
	Options LawOptions
	Coef    []Coefficient
	// Theta are the free parameters in the fit's own scale (ln C first, then
	// exponents; or the custom parameters), Cov their covariance.
	Theta          []float64
	Free           []string
	Cov            [][]float64
	N              int // cells used
	DOF            int
	R2             float64 // of ln η*; NaN when every vertex is the same
	ResidSD        float64 // √(RSS/DOF) in ln η; NaN without degrees of freedom
	Cells          []LawCell
	Batch          BatchRule // condition
	NRange, DRange [2]float64
	BRange, CRange [2]float64 // zero where the cells do not have the quantity
	Curves         *CurveSet  // what it was fitted to
	Errors         ErrorKind  // where Coef's standard errors and intervals come from
	Notes          []string   // what the reader should know ("2 of 17 cells left out: …", "N and D are collinear")

	model model
}

// model evaluates a form. θ are the free parameters in the fit's own scale; pinned
// ones are inside the model.
type model interface {
	// at returns ln η* at t; NaN where it has none.
	at(t Target, theta []float64) float64
	// gradient puts ∂ln η*/∂θ at t into g.
	gradient(t Target, theta, g []float64)
	// fit fits the free parameters to y over the targets ts, weighted by w (nil:
	// all the same). start is nil for a fit from scratch.
	fit(ts []Target, y, w []float64, huber float64, start []float64) (*solution, error)
	// missing names the quantity that the form needs and t lacks, or is "".
	missing(t Target) string
}

// solution is a fitted θ.
type solution struct {
	theta []float64
	cov   [][]float64
	rss   float64 // weighted
	lever []float64
	notes []string
}

// LnLR returns ln η* of the law at t, or an error that names the quantity t lacks.
func (l *Law) LnLR(t Target) (float64, error) {
	if err := t.check(); err != nil {
		return nan, err
	}
	if name := l.model.missing(t); name != "" {
		return nan, fmt.Errorf("the law %s needs %s at the target", l.form(), needed(name))
	}
	x := l.model.at(t, l.Theta)
	if !finite(x) {
		return nan, fmt.Errorf("the law %s has no positive η* at %v", l.form(), t)
	}
	return x, nil
}

// needed spells out a quantity for a message.
func needed(name string) string {
	switch name {
	case "N":
		return "N (parameters)"
	case "D":
		return "D (training tokens)"
	case "B":
		return "B (tokens per step)"
	case "FLOPs", "C":
		return "C (training FLOPs), or N and D for C = 6·N·D"
	case "NActive":
		return "the active parameters (it is a law for mixtures of experts)"
	case "Experts":
		return "the number of experts"
	case "ActiveExperts":
		return "the number of experts, and how many of them a token uses"
	case "FinalLoss":
		return "the final loss"
	}
	return name
}

// form names the law's form for messages.
func (l *Law) form() string {
	if l.Options.Form == Custom {
		return l.Options.Custom.Text
	}
	return string(l.Options.Form)
}

// Text prints the law as a formula with its numbers: "η* = 28.9 · N^−0.811 · D^+0.275".
func (l *Law) Text() string {
	var b strings.Builder
	b.WriteString("η* = ")
	if l.Options.Form == Custom {
		b.WriteString(l.Options.Custom.Text)
		for i, c := range l.Coef {
			b.WriteString([]string{", ", "  with "}[btoi(i == 0)])
			b.WriteString(c.Name + " = " + strings.Replace(formatConstant(c.Value), "-", "−", 1))
		}
		return b.String()
	}
	for i, c := range l.Coef {
		if i == 0 {
			b.WriteString(formatConstant(c.Value))
			continue
		}
		name := c.Name
		if name == "FLOPs" {
			name = "C"
		}
		b.WriteString(" · " + name + "^" + formatExponent(c.Value))
	}
	return b.String()
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Target is what a learning rate is asked for. Zero means not given.
type Target struct {
	N, D, B       float64 // parameters, tokens, tokens per step
	C             float64 // training FLOPs; 0: 6·N·D (6·NActive·D for a mixture of experts)
	NActive       float64 // active parameters, mixtures of experts
	Experts       float64 // number of experts
	ActiveExperts float64 // experts that a token uses
	FinalLoss     float64 // for laws that take B from the loss
}

// FLOPs returns C, or 6·N·D (6·NActive·D for a mixture of experts) where C is not
// given; NaN where that is not known either.
func (t Target) FLOPs() float64 {
	n := t.N
	if known(t.NActive) {
		n = t.NActive
	}
	return trainingFLOPs(t.C, n, t.D)
}

// String prints the target for messages: "N=7B D=1.4T".
func (t Target) String() string {
	var parts []string
	for _, q := range t.quantities() {
		if q.value != 0 {
			parts = append(parts, q.name+"="+FormatCount(q.value))
		}
	}
	if len(parts) == 0 {
		return "an empty target"
	}
	return strings.Join(parts, " ")
}

type quantity struct {
	name  string
	value float64
}

func (t Target) quantities() []quantity {
	return []quantity{
		{"N", t.N},
		{"D", t.D},
		{"B", t.B},
		{"C", t.C},
		{"NActive", t.NActive},
		{"Experts", t.Experts},
		{"ActiveExperts", t.ActiveExperts},
		{"FinalLoss", t.FinalLoss},
	}
}

// check refuses quantities that are neither absent nor positive.
func (t Target) check() error {
	for _, q := range t.quantities() {
		if q.value != 0 && !known(q.value) {
			return fmt.Errorf("target: %s=%v must be positive", q.name, q.value)
		}
	}
	return nil
}

// cellTarget is the target that a cell of a sweep stands for.
func cellTarget(c *Curve, b BatchRule) Target {
	t := Target{N: c.Key.N, D: c.Key.D, B: c.Key.B}
	if known(c.C) {
		t.C = c.C
	}
	if b.Kind == BatchFixed {
		t.B = b.Fixed
	}
	return t
}

var errNoCells = errors.New("no cells")

// widen grows r to hold x, when x is known; a zero r is empty.
func widen(r *[2]float64, x float64) {
	if !known(x) {
		return
	}
	if r[0] == 0 {
		*r = [2]float64{x, x}
		return
	}
	r[0], r[1] = math.Min(r[0], x), math.Max(r[1], x)
}
