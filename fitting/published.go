package fitting

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Anchor is a measured optimum that a relative law starts from.
type Anchor struct{ N, D, LR float64 }

// Published is a law from the literature, with the conditions it holds under.
type Published struct {
	Name                   string     // word used in the notebook: "step", "deepseek", "kaplan", …
	Title                  string     // "Step Law 2025"
	Source                 string     // "arXiv 2503.04715"
	Formula                string     // "1.79·N^−0.713·D^0.307"
	Batch                  string     // "0.58·D^0.571 tokens", "fixed 0.5M", "unknown"
	Means                  string     // what N, D, C stand for
	Conditions             string     // schedule, optimizer, architecture
	Status                 string     // "read", "second-hand", "recalled"
	Needs                  []string   // quantities of Target it takes: "N", "D", "C", "NActive", "Experts", "ActiveExperts"
	Relative               bool       // needs an Anchor
	NRange, DRange, CRange [2]float64 // where it was fitted; zero: not stated; a zero lower end: that end is not stated
	BatchRule              BatchRule  // condition for comparisons
	MoE                    bool       // fitted on mixtures of experts: applies to those only

	dense bool   // fitted on dense models: at a mixture of experts not comparable
	apart string // why it is never comparable; "" when it can be
	lr    func(t Target, a *Anchor) (float64, error)
	batch func(t Target) (float64, error)
	// grid holds the N that the authors' own runs used, for recognising their data.
	grid []float64
}

// PublishedLaws returns every law known, in the order of publication.
func PublishedLaws() []*Published { return publishedLaws() }

// FindPublished returns the law called name, or an error with the nearest name.
func FindPublished(name string) (*Published, error) {
	var nearest string
	best := math.MaxInt
	var names []string
	for _, p := range PublishedLaws() {
		if strings.EqualFold(p.Name, name) {
			return p, nil
		}
		names = append(names, p.Name)
		if d := editDistance(strings.ToLower(name), p.Name); d < best {
			best, nearest = d, p.Name
		}
	}
	if best <= 1+len(nearest)/3 {
		return nil, fmt.Errorf("no published law %q; did you mean %s?", name, nearest)
	}
	return nil, fmt.Errorf("no published law %q; there are %s", name, listed(names))
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal + btoi(a[i] != b[j])
			diagonal = row[j+1]
			row[j+1] = min(change, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// LR returns η* at t. Relative laws need an anchor. The error names what t lacks
// or why the law refuses (Kaplan's is negative above N ≈ 1.2e10).
func (p *Published) LR(t Target, a *Anchor) (float64, error) {
	if err := t.check(); err != nil {
		return nan, err
	}
	if err := p.applies(t); err != nil {
		return nan, err
	}
	if p.Relative {
		if a == nil {
			return nan, fmt.Errorf("%s is relative: it needs a measured anchor (N₀, D₀, η₀), because its paper states no unit of N and D for its constant", p.Title)
		}
		if !known(a.N) || !known(a.D) || !known(a.LR) {
			return nan, fmt.Errorf("%s: the anchor's N₀, D₀ and η₀ must be positive", p.Title)
		}
	}
	lr, err := p.lr(t, a)
	if err != nil {
		return nan, fmt.Errorf("%s: %w", p.Title, err)
	}
	return lr, nil
}

// applies refuses a target that lacks what the law takes.
func (p *Published) applies(t Target) error {
	for _, name := range p.Needs {
		ok := false
		switch name {
		case "N":
			ok = known(t.N)
		case "D":
			ok = known(t.D)
		case "C":
			ok = known(p.flops(t))
		case "NActive":
			ok = known(t.NActive)
		case "Experts":
			ok = known(t.Experts)
		case "ActiveExperts":
			ok = known(t.Experts) && known(t.ActiveExperts)
		}
		if !ok {
			return fmt.Errorf("%s needs %s", p.Title, needed(name))
		}
	}
	return nil
}

// flops is the target's C. A law for mixtures of experts counts active parameters,
// and does not take 6·N·D with the total for them.
func (p *Published) flops(t Target) float64 {
	if p.MoE && !known(t.NActive) && !known(t.C) {
		return nan
	}
	return t.FLOPs()
}

// BatchTokens returns the law's own B at t in tokens per step, or an error when it states none.
func (p *Published) BatchTokens(t Target) (float64, error) {
	if p.batch == nil {
		return nan, fmt.Errorf("%s states no batch rule (batch: %s)", p.Title, p.Batch)
	}
	if err := t.check(); err != nil {
		return nan, err
	}
	b, err := p.batch(t)
	if err != nil {
		return nan, fmt.Errorf("batch of %s: %w", p.Title, err)
	}
	return b, nil
}

// Predict evaluates the law at t; the interval is NaN, since published laws state none, and a warning says so.
func (p *Published) Predict(t Target, a *Anchor, o PredictOptions) (*Prediction, error) {
	o, err := o.defaults()
	if err != nil {
		return nil, fmt.Errorf("predict: %w", err)
	}
	if a == nil {
		a = o.Anchor
	}
	lr, err := p.LR(t, a)
	if err != nil {
		return nil, fmt.Errorf("predict at %v: %w", t, err)
	}
	out := &Prediction{
		Target: t, LawText: "η* = " + p.Formula + " (" + p.Title + ")", LR: lr,
		Low: nan, High: nan, Level: o.Level, NearOptimal: o.NearOptimal,
		CurvLow: nan, CurvHigh: nan, At: nan, AtRegret: nan, Batch: p.BatchRule,
		NFactor: outside(t.N, p.NRange), DFactor: outside(t.D, p.DRange),
		CFactor: outside(p.flops(t), p.CRange), BFactor: nan,
	}
	out.finish(o)
	if out.BatchTokens, err = p.BatchTokens(t); err != nil {
		out.BatchTokens = nan
	}
	out.Warnings = p.warnings(out, t)
	for _, b := range BesidePublished(t, p.BatchRule, a) {
		if b.Name != p.Name {
			out.Beside = append(out.Beside, b)
		}
	}
	return out, nil
}

func (p *Published) warnings(out *Prediction, t Target) []string {
	w := p.outOfRange(t)
	if p.apart != "" {
		w = append(w, p.apart)
	}
	if p.dense && known(t.NActive) {
		w = append(w, "the law was fitted on dense models")
	}
	if known(t.B) {
		switch b := out.BatchTokens; {
		case known(b) && math.Abs(math.Log(t.B/b)) > math.Log(1.5):
			w = append(w, fmt.Sprintf("the law goes with its own batch, %s tokens here, not %s", FormatCount(b), FormatCount(t.B)))
		case p.BatchRule.Kind == BatchFixed && math.Abs(math.Log(t.B/p.BatchRule.Fixed)) > math.Log(1.5):
			w = append(w, fmt.Sprintf("the law holds at a batch of %s tokens, not %s", FormatCount(p.BatchRule.Fixed), FormatCount(t.B)))
		}
	}
	if p.Status != "read" {
		w = append(w, "the law's numbers are "+p.Status+": not checked against the paper")
	}
	return append(w, "published laws state no interval, and their constants carry over badly to another codebase: fit your own sweep")
}

// outOfRange reports the quantities of t outside the law's stated range.
func (p *Published) outOfRange(t Target) []string {
	var w []string
	w = append(w, pastRange("N", t.N, outside(t.N, p.NRange), p.NRange, "fitted")...)
	w = append(w, pastRange("D", t.D, outside(t.D, p.DRange), p.DRange, "fitted")...)
	c := p.flops(t)
	return append(w, pastRange("C", c, outside(c, p.CRange), p.CRange, "fitted")...)
}

// BesidePublished evaluates every published law that applies at t, saying of each whether
// it is comparable with a law under the batch condition b. anchor may be nil.
func BesidePublished(t Target, b BatchRule, anchor *Anchor) []BesideLaw {
	laws := PublishedLaws()
	out := make([]BesideLaw, 0, len(laws))
	for _, p := range laws {
		row := BesideLaw{Name: p.Name, LR: nan, B: nan}
		if v, err := p.BatchTokens(t); err == nil {
			row.B = v
		}
		lr, err := p.LR(t, anchor)
		if err != nil {
			row.Why = err.Error()
			out = append(out, row)
			continue
		}
		row.LR = lr
		row.Why = strings.Join(p.differs(t, b), "; ")
		row.Comparable = row.Why == ""
		out = append(out, row)
	}
	return out
}

// differs lists why the law at t may not be compared with one under the condition b.
// A law with a batch rule of its own counts as tuned: its η goes with its best B.
func (p *Published) differs(t Target, b BatchRule) []string {
	var why []string
	if p.apart != "" {
		why = append(why, p.apart)
	}
	if p.dense && known(t.NActive) {
		why = append(why, "fitted on dense models")
	}
	switch p.BatchRule.Kind {
	case BatchUnknown:
		if p.apart == "" {
			why = append(why, "its batch condition is "+p.Batch)
		}
	case BatchFixed:
		if b.Kind != BatchFixed || math.Abs(b.Fixed/p.BatchRule.Fixed-1) > 0.1 {
			why = append(why, fmt.Sprintf("its batch is fixed at %s tokens, here it is %s", FormatCount(p.BatchRule.Fixed), b.words()))
		}
	case BatchTuned, BatchKeyed:
		if b.Kind != BatchTuned {
			why = append(why, "its batch is tuned, here it is "+b.words())
		}
	}
	return slices.Concat(why, p.outOfRange(t))
}

// words is String for a sentence.
func (b BatchRule) words() string {
	if b.Kind == BatchFixed {
		return "fixed at " + FormatCount(b.Fixed)
	}
	return b.String()
}
