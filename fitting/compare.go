package fitting

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Contender is a law in a comparison: fitted afresh on the training cells, or published.
type Contender struct {
	Name      string
	Law       *LawOptions
	Published *Published
	Anchor    *Anchor // for a relative published law; nil: the training cell with the largest N·D
	Baseline  string  // "mean": geometric mean of the training η*; "largest": η* of the largest training cell
}

// CompareCell scores one contender on one held-out cell.
type CompareCell struct {
	Key      Key
	LnErr    float64 // ln(η predicted) − ln(η* of the cell's own fit); NaN when the cell has no vertex
	Penalty  float64 // relative loss: the cell's own points interpolated in ln η at the prediction, over their minimum
	Clamped  bool    // the prediction lies outside the cell's grid; the penalty is that of the nearest edge
	Covered  bool    // the 95% prediction interval holds the measured η*
	HasPI    bool
	Predict  float64 // η
	Measured float64 // η*; NaN when only a bound
}

// CompareRow is one contender.
type CompareRow struct {
	Name              string
	Cells             []CompareCell
	MeanAbsErr, Bias  float64 // of LnErr
	RMSErr, MaxAbsErr float64
	MeanPenalty       float64
	MaxPenalty        float64
	Coverage          float64 // share of measured cells inside the 95% prediction interval; NaN without intervals
	InSample          bool    // the authors' data include these cells
	Condition         string  // batch condition and whether it matches
	Comparable        bool
	Err               string // why it has no score
}

// Comparison is a hold-out test of several laws on the same cells.
type Comparison struct {
	HoldOut     HoldOut
	Train, Test []Key // with EachN every cell is in both, in turn
	Rows        []CompareRow
	Notes       []string
}

// Compare holds cells out, fits each contender on the rest and scores it. A
// contender that cannot be fitted says why in its row.
func Compare(s *CurveSet, contenders []Contender, h HoldOut) (*Comparison, error) {
	if s == nil || len(s.Curves) == 0 {
		return nil, fmt.Errorf("compare: %w", errNoCells)
	}
	if len(contenders) == 0 {
		return nil, errors.New("compare: no laws to compare")
	}
	folds, err := h.folds(s)
	if err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	out := &Comparison{HoldOut: h}
	trained, tested := map[int]bool{}, map[int]bool{}
	for _, f := range folds {
		for i := range s.Curves {
			if f[i] {
				tested[i] = true
			} else {
				trained[i] = true
			}
		}
	}
	var unmeasured, unscored int
	for i := range s.Curves {
		c := &s.Curves[i]
		if trained[i] {
			out.Train = append(out.Train, c.Key)
		}
		if tested[i] {
			out.Test = append(out.Test, c.Key)
			unmeasured += btoi(len(c.Points) > 0 && !c.OK)
			unscored += btoi(len(c.Points) == 0)
		}
	}
	for i := range contenders {
		row, note := scoreContender(s, &contenders[i], folds)
		out.Rows = append(out.Rows, row)
		if note != "" {
			out.Notes = append(out.Notes, note)
		}
	}
	if unmeasured > 0 {
		out.Notes = append(out.Notes, fmt.Sprintf("%s without a vertex: scored by loss, not by η*", plural(unmeasured, "held-out cell")))
	}
	if unscored > 0 {
		out.Notes = append(out.Notes, fmt.Sprintf("%s without a converged run: not scored", plural(unscored, "held-out cell")))
	}
	if len(folds) > 1 {
		out.Notes = append(out.Notes, fmt.Sprintf("each of %d N held out in turn; scores are pooled", len(folds)))
	}
	return out, nil
}

// predictor is a contender ready to predict.
type predictor struct {
	lr func(Target) (float64, error)
	pi func(Target) (lo, hi float64, ok bool) // 95% prediction interval on ln η*; nil: none
}

// scoreContender fits and scores one contender, with a note when it has no
// prediction for some of the cells.
func scoreContender(s *CurveSet, c *Contender, folds []map[int]bool) (row CompareRow, note string) {
	var failed int
	var reason string
	row = CompareRow{Name: c.Name}
	if row.Name == "" {
		row.Name = c.defaultName()
	}
	row.Condition, row.Comparable = s.Options.Batch.String(), true
	if c.Published != nil {
		row.InSample = true
		row.Condition = c.Published.BatchRule.String()
	}
	for _, held := range folds {
		p, err := c.prepare(s, held)
		if err != nil {
			row.Err = err.Error()
			row.Cells = nil
			break
		}
		for i := range s.Curves {
			if !held[i] || len(s.Curves[i].Points) == 0 {
				continue
			}
			t := cellTarget(&s.Curves[i], s.Options.Batch)
			if c.Published != nil {
				c.judge(&row, t, s)
			}
			cell, err := scoreCell(&s.Curves[i], t, p)
			if err != nil {
				failed, reason = failed+1, err.Error()
				continue
			}
			row.Cells = append(row.Cells, cell)
		}
	}
	row.InSample = row.InSample && len(row.Cells) > 0
	row.summarise()
	switch {
	case failed > 0 && len(row.Cells) == 0:
		row.Err = reason
	case failed > 0:
		note = fmt.Sprintf("%s: no prediction for %s: %s", row.Name, plural(failed, "held-out cell"), reason)
	}
	return row, note
}

func (c *Contender) defaultName() string {
	switch {
	case c.Law != nil && c.Law.Form == "":
		return string(PowerND)
	case c.Law != nil && c.Law.Form == Custom && c.Law.Custom != nil:
		return c.Law.Custom.Text
	case c.Law != nil:
		return string(c.Law.Form)
	case c.Published != nil:
		return c.Published.Name
	}
	return c.Baseline
}

// judge says whether a published law may be compared at a cell, and whether the
// cell is one that its authors fitted.
func (c *Contender) judge(row *CompareRow, t Target, s *CurveSet) {
	if why := c.Published.differs(t, s.Options.Batch); len(why) > 0 && row.Comparable {
		row.Comparable = false
		row.Condition += ": " + why[0]
	}
	row.InSample = row.InSample && slices.Contains(c.Published.grid, t.N)
}

// prepare fits the contender without the held-out cells.
func (c *Contender) prepare(s *CurveSet, held map[int]bool) (*predictor, error) {
	switch {
	case c.Law != nil:
		o := *c.Law
		o.Exclude = map[int]bool{}
		for i := range s.Curves {
			o.Exclude[i] = held[i] || c.Law.Exclude[i]
		}
		l, err := FitLaw(s, o)
		if err != nil {
			return nil, err
		}
		return &predictor{
			lr: func(t Target) (float64, error) {
				x, err := l.LnLR(t)
				return math.Exp(x), err
			},
			pi: func(t Target) (float64, float64, bool) {
				d, ok := l.predictive(t, true)
				if !ok {
					return nan, nan, false
				}
				return d.quantile(0.025), d.quantile(0.975), true
			},
		}, nil
	case c.Published != nil:
		a := c.Anchor
		if a == nil {
			if big := largestTrained(s, held); big >= 0 {
				k := &s.Curves[big]
				a = &Anchor{N: k.Key.N, D: k.Key.D, LR: math.Exp(k.LnLR)}
			}
		}
		return &predictor{lr: func(t Target) (float64, error) { return c.Published.LR(t, a) }}, nil
	}
	return c.baseline(s, held)
}

func (c *Contender) baseline(s *CurveSet, held map[int]bool) (*predictor, error) {
	big := largestTrained(s, held)
	if big < 0 {
		return nil, errors.New("no training cell has a vertex")
	}
	var x float64
	switch c.Baseline {
	case "largest":
		x = s.Curves[big].LnLR
	case "mean":
		var n int
		for i := range s.Curves {
			if !held[i] && s.Curves[i].OK {
				x += s.Curves[i].LnLR
				n++
			}
		}
		x /= float64(n)
	default:
		return nil, fmt.Errorf("contender %q: needs a law, a published law, or the baseline mean or largest", c.Name)
	}
	return &predictor{lr: func(Target) (float64, error) { return math.Exp(x), nil }}, nil
}

// largestTrained is the training cell with a vertex and the largest N·D, or −1.
func largestTrained(s *CurveSet, held map[int]bool) int {
	best := -1
	for i := range s.Curves {
		if held[i] || !s.Curves[i].OK {
			continue
		}
		if best < 0 || s.Curves[i].Key.size() > s.Curves[best].Key.size() {
			best = i
		}
	}
	return best
}

func scoreCell(c *Curve, t Target, p *predictor) (CompareCell, error) {
	lr, err := p.lr(t)
	if err != nil {
		return CompareCell{}, err
	}
	out := CompareCell{Key: c.Key, Predict: lr, Measured: nan, LnErr: nan}
	out.Penalty, out.Clamped = c.penalty(math.Log(lr))
	if !c.OK {
		return out, nil
	}
	out.Measured = math.Exp(c.LnLR)
	out.LnErr = math.Log(lr) - c.LnLR
	if p.pi != nil {
		if lo, hi, ok := p.pi(t); ok {
			out.HasPI, out.Covered = true, lo <= c.LnLR && c.LnLR <= hi
		}
	}
	return out, nil
}

// penalty interpolates the points linearly in ln η and returns the relative excess
// over their minimum at ln η = x. Even the true optimum can have one, since it lies
// between grid points. It is NaN for a minimum at or below zero.
func (c *Curve) penalty(x float64) (excess float64, clamped bool) {
	lowest := math.Inf(1)
	for _, p := range c.Points {
		lowest = math.Min(lowest, p.Loss)
	}
	if !(lowest > 0) {
		return nan, false
	}
	last := len(c.Points) - 1
	at := func(i int) float64 { return math.Log(c.Points[i].LR) }
	switch {
	case x < at(0):
		return c.Points[0].Loss/lowest - 1, true
	case x > at(last):
		return c.Points[last].Loss/lowest - 1, true
	case last == 0:
		return 0, false
	}
	i := 0
	for i+2 <= last && x > at(i+1) {
		i++
	}
	f := (x - at(i)) / (at(i+1) - at(i))
	loss := (1-f)*c.Points[i].Loss + f*c.Points[i+1].Loss
	return loss/lowest - 1, false
}

// summarise fills the scores from the cells.
func (r *CompareRow) summarise() {
	r.MeanAbsErr, r.Bias, r.RMSErr, r.MaxAbsErr = nan, nan, nan, nan
	r.MeanPenalty, r.MaxPenalty, r.Coverage = nan, nan, nan
	var abs, bias, sq, worst, pen, worstPen float64
	var errs, pens, intervals, covered int
	for _, c := range r.Cells {
		if !math.IsNaN(c.LnErr) {
			errs++
			abs += math.Abs(c.LnErr)
			bias += c.LnErr
			sq += c.LnErr * c.LnErr
			worst = math.Max(worst, math.Abs(c.LnErr))
		}
		if !math.IsNaN(c.Penalty) {
			pens++
			pen += c.Penalty
			worstPen = math.Max(worstPen, c.Penalty)
		}
		intervals += btoi(c.HasPI)
		covered += btoi(c.HasPI && c.Covered)
	}
	if n := float64(errs); errs > 0 {
		r.MeanAbsErr, r.Bias, r.RMSErr, r.MaxAbsErr = abs/n, bias/n, math.Sqrt(sq/n), worst
	}
	if pens > 0 {
		r.MeanPenalty, r.MaxPenalty = pen/float64(pens), worstPen
	}
	if intervals > 0 {
		r.Coverage = float64(covered) / float64(intervals)
	}
}
