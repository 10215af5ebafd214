package export

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/table"
)

// NoValue says that a notebook has no value of that name that could be written as
// rows: the request is at fault, not the data.
type NoValue struct{ Message string }

func (e *NoValue) Error() string { return e.Message }

// CSV writes one named value as rows: a table or a view as it is, curves a row a
// cell, a law a row a coefficient, a prediction in one row, a comparison a row a law, a transfer a row a
// module.
// A number that does not exist is an empty field. The name must be given; the error
// for one that is empty or unknown is a *NoValue that lists the names there are.
func CSV(w io.Writer, s *session.Session, name string) error {
	c, err := chosen(s.Cells(), name)
	if err != nil {
		return err
	}
	rows, ok := records(current(c))
	if !ok {
		return &NoValue{fmt.Sprintf("%s holds %s, which has no rows; %s", name, article(c.Value.Type()), choices(s.Cells()))}
	}
	out := csv.NewWriter(w)
	for row := range rows {
		if err := out.Write(row); err != nil {
			return fmt.Errorf("write %s as CSV: %w", name, err)
		}
	}
	if out.Flush(); out.Error() != nil {
		return fmt.Errorf("write %s as CSV: %w", name, out.Error())
	}
	return nil
}

// chosen finds the cell called name and checks that it has a value.
func chosen(cells []session.Cell, name string) (*session.Cell, error) {
	if name == "" {
		return nil, &NoValue{"CSV and Parquet hold one value: name it; " + choices(cells)}
	}
	for i := range cells {
		c := &cells[i]
		if c.Name != name {
			continue
		}
		switch {
		case current(c) != nil:
			return c, nil
		case c.Err != nil:
			return nil, fmt.Errorf("%s failed: %w", name, c.Err)
		}
		return nil, fmt.Errorf("%s has no value: %s", name, pending(c))
	}
	return nil, &NoValue{fmt.Sprintf("nothing is named %s; %s", name, choices(cells))}
}

// choices lists the names that have rows.
func choices(cells []session.Cell) string {
	var names []string
	for i := range cells {
		if _, ok := records(current(&cells[i])); ok && cells[i].Name != "" {
			names = append(names, cells[i].Name)
		}
	}
	if len(names) == 0 {
		return "the notebook has no named value with rows"
	}
	return "there are " + strings.Join(names, ", ")
}

// sequence yields rows, the header first.
type sequence = func(yield func([]string) bool)

// records turns a value into rows; ok is false for one that has none.
func records(v session.Value) (rows sequence, ok bool) {
	switch v := v.(type) {
	case session.Table:
		return tableRecords(v.Columns, v.Rows), true
	case session.Sweep:
		return tableRecords(v.Columns, v.Rows), true
	case session.View:
		return tableRecords(shownColumns(v), v.Rows), true
	case session.Curves:
		return slices.Values(curveRecords(v.CurveSet)), true
	case session.Law:
		return slices.Values(lawRecords(v.Law)), true
	case session.Prediction:
		return slices.Values(predictionRecords(v.Prediction)), true
	case session.Comparison:
		return slices.Values(comparisonRecords(v.Comparison)), true
	case session.Sheeted:
		return slices.Values(sheetRecords(v)), true
	}
	return nil, false
}

// tableRecords writes numbers so that they read back as the same ones, a NaN of the data included.
func tableRecords(cols []*table.Column, n int) sequence {
	return func(yield func([]string) bool) {
		row := make([]string, len(cols))
		for k, c := range cols {
			row[k] = c.Name
		}
		if !yield(row) {
			return
		}
		for i := range n {
			for k, c := range cols {
				row[k] = c.String(i)
			}
			if !yield(row) {
				return
			}
		}
	}
}

// field writes a number in full; one that does not exist is empty.
func field(x float64) string {
	if !finite(x) {
		return ""
	}
	return table.FormatNumber(x)
}

// given is field for a quantity that is zero where it is not given.
func given(x float64) string {
	if x == 0 {
		return ""
	}
	return field(x)
}

func curveRecords(s *fitting.CurveSet) [][]string {
	var used [4]bool
	for i := range s.Curves {
		k := s.Curves[i].Key
		used = [4]bool{used[0] || k.N != 0, used[1] || k.D != 0, used[2] || k.B != 0, used[3] || k.Extra != ""}
	}
	key := func(texts [4]string) []string {
		var out []string
		for i, t := range texts {
			if used[i] {
				out = append(out, t)
			}
		}
		return out
	}
	rows := [][]string{append(key([4]string{"N", "D", "B", "cell"}), "lr", "ln_lr_se", "loss", "r2", "n", "flags", "bound", "bound_lr")}
	for i := range s.Curves {
		c := &s.Curves[i]
		lr, se, low, edge := math.NaN(), math.NaN(), math.NaN(), math.NaN()
		if c.OK {
			lr, se, low = math.Exp(c.LnLR), c.LnLRSE, c.Loss
		}
		if c.Bound != fitting.NoBound {
			edge = c.BoundLR
		}
		rows = append(rows, append(
			key([4]string{given(c.Key.N), given(c.Key.D), given(c.Key.B), c.Key.Extra}),
			field(lr), field(se), field(low), field(c.R2), itoa(c.NFit),
			strings.Join(identifiers(c.Flags), " "), boundWord(c.Bound), field(edge),
		))
	}
	return rows
}

// boundWord is "below", "above" or, without a bound, "".
func boundWord(b fitting.Bound) string {
	switch b {
	case fitting.BoundBelow:
		return "below"
	case fitting.BoundAbove:
		return "above"
	case fitting.NoBound:
	}
	return ""
}

func lawRecords(l *fitting.Law) [][]string {
	rows := [][]string{{"name", "value", "se", "lo95", "hi95", "errors", "pinned"}}
	for _, c := range l.Coef {
		rows = append(rows, []string{c.Name, field(c.Value), field(c.SE), field(c.Lo), field(c.Hi), string(l.Errors), strconv.FormatBool(c.Pinned)})
	}
	return rows
}

func predictionRecords(p *fitting.Prediction) [][]string {
	at, regret := math.NaN(), math.NaN()
	if p.At > 0 {
		at, regret = p.At, p.AtRegret
	}
	t := &p.Target
	return [][]string{
		{"N", "D", "B", "C", "active", "experts", "loss", "lr", "low", "high", "level", "band_low", "band_high", "near", "at", "at_regret", "batch", "warnings"},
		{
			given(t.N), given(t.D), given(t.B), given(t.C), given(t.NActive), given(t.Experts), given(t.FinalLoss),
			field(p.LR), field(p.Low), field(p.High), field(p.Level), field(p.Band[0]), field(p.Band[1]), field(p.NearOptimal),
			field(at), field(regret), p.Batch.String(), strings.Join(p.Warnings, "; "),
		},
	}
}

func comparisonRecords(c *fitting.Comparison) [][]string {
	rows := [][]string{{
		"law", "mean_abs_err", "bias", "rms_err", "max_abs_err", "mean_penalty", "max_penalty",
		"coverage", "in_sample", "comparable", "condition", "error",
	}}
	for i := range c.Rows {
		r := &c.Rows[i]
		rows = append(rows, []string{
			r.Name, field(r.MeanAbsErr), field(r.Bias), field(r.RMSErr), field(r.MaxAbsErr), field(r.MeanPenalty), field(r.MaxPenalty),
			field(r.Coverage), strconv.FormatBool(r.InSample), strconv.FormatBool(r.Comparable), r.Condition, r.Err,
		})
	}
	return rows
}
