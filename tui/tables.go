package tui

import (
	"math"
	"slices"
	"strings"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/session/table"
)

// tableGrid shows a table of data, row for row as in its file.
func tableGrid(_ *Model, c *session.Cell) *gridSource {
	var t *table.Table
	var cols []*table.Column
	switch v := shownValue(c.Value).(type) {
	case session.Table:
		t = v.Table
		cols = t.Columns
	case session.Sweep:
		if t = v.Table; t != nil {
			cols = t.Columns
		}
	case session.View:
		t = v.Table
		for _, name := range v.Columns {
			if col := t.Column(name); col != nil {
				cols = append(cols, col)
			}
		}
	}
	if t == nil {
		return nil
	}
	g := &gridSource{id: identity(shownValue(c.Value)), n: t.Rows}
	for _, col := range cols {
		g.heads = append(g.heads, col.Name)
	}
	g.label = func(r int) string {
		if r < len(t.Lines) {
			return itoa(int(t.Lines[r]))
		}
		return itoa(r + 1)
	}
	g.at = func(r, i int) string { return cols[i].String(r) }
	g.num = func(r, i int) (float64, bool) {
		if cols[i].Kind != table.Number || r >= len(cols[i].Numbers) {
			return 0, false
		}
		return cols[i].Numbers[r], true
	}
	return g
}

// field is a column of a small table: a number with its text, or text.
type field struct {
	text string
	v    float64
	num  bool
}

func numField(v float64, text string) field { return field{text, v, true} }
func textField(s string) field              { return field{text: s} }

// fields makes a table of rows that are few enough to be written out. Columns with
// nothing in them are left out.
func fields(id any, heads []string, rows [][]field) *gridSource {
	for c := len(heads) - 1; c >= 0 && len(rows) > 0; c-- {
		if slices.ContainsFunc(rows, func(r []field) bool { return r[c].text != "" }) {
			continue
		}
		heads = slices.Delete(slices.Clone(heads), c, c+1)
		for i := range rows {
			rows[i] = slices.Delete(rows[i], c, c+1)
		}
	}
	return &gridSource{
		id: id, heads: heads, n: len(rows),
		at:  func(r, c int) string { return rows[r][c].text },
		num: func(r, c int) (float64, bool) { return rows[r][c].v, rows[r][c].num },
	}
}

func sizeField(x float64) field {
	if x == 0 {
		return numField(math.NaN(), "")
	}
	return numField(x, number.SI(x))
}

// curvesGrid lists the vertices of a set of curves.
func curvesGrid(_ *Model, c *session.Cell) *gridSource {
	v, ok := shownValue(c.Value).(session.Curves)
	if !ok {
		return nil
	}
	var rows [][]field
	for i := range v.Curves {
		u := &v.Curves[i]
		star := numField(math.NaN(), number.Unknown)
		switch {
		case u.OK:
			star = numField(math.Exp(u.LnLR), number.EtaPadded(math.Exp(u.LnLR), 3))
		case u.Bound == fitting.BoundBelow:
			star = numField(u.BoundLR, "< "+number.EtaPadded(u.BoundLR, 3))
		case u.Bound == fitting.BoundAbove:
			star = numField(u.BoundLR, "> "+number.EtaPadded(u.BoundLR, 3))
		}
		var flags []string
		for _, f := range u.Flags {
			flags = append(flags, string(f))
		}
		rows = append(rows, []field{
			sizeField(u.Key.N), sizeField(u.Key.D), sizeField(u.Key.B), textField(u.Key.Extra), star,
			numField(u.LnLRSE, number.Fixed(u.LnLRSE, 3)), numField(u.Loss, number.Loss(u.Loss)), numField(u.R2, number.Fixed(u.R2, 4)),
			numField(float64(u.NFit), itoa(u.NFit)), numField(float64(u.Runs), number.Count(u.Runs)),
			numField(float64(len(u.Diverged)), number.Count(len(u.Diverged))), textField(strings.Join(flags, "; ")),
		})
	}
	return fields([2]any{v.CurveSet, "table"}, []string{"N", "D", "B", "cell", "η*", "SE ln η*", "loss*", "R²", "points", "runs", "diverged", "doubts"}, rows)
}

// lawGrid lists the cells of a law with their residuals.
func lawGrid(_ *Model, c *session.Cell) *gridSource {
	v, ok := shownValue(c.Value).(session.Law)
	if !ok {
		return nil
	}
	var rows [][]field
	for i := range v.Cells {
		u := &v.Cells[i]
		used := "used"
		if !u.Used {
			used = firstNonEmpty(u.Why, "left out")
		}
		rows = append(rows, []field{
			sizeField(u.Key.N), sizeField(u.Key.D), sizeField(u.Key.B), textField(u.Key.Extra),
			numField(u.LnLR, number.EtaPadded(math.Exp(u.LnLR), 3)), numField(u.Fitted, number.EtaPadded(math.Exp(u.Fitted), 3)),
			numField(u.Residual, number.Signed(u.Residual, 3)), numField(u.SE, number.Fixed(u.SE, 3)),
			numField(u.Leverage, number.Fixed(u.Leverage, 2)), textField(used),
		})
	}
	return fields([2]any{v.Law, "cells"}, []string{"N", "D", "B", "cell", "η* measured", "η* law", "Δ ln η", "SE", "leverage", ""}, rows)
}

// windowsGrid lists the prediction under other windows.
func windowsGrid(_ *Model, c *session.Cell) *gridSource {
	v, ok := shownValue(c.Value).(session.Prediction)
	if !ok {
		return nil
	}
	var rows [][]field
	for _, u := range v.Windows {
		lr := math.Exp(u.LnLR)
		rows = append(rows, []field{
			textField(u.Window.String()), numField(u.LnLR, number.EtaPadded(lr, 3)), numField(lr/v.LR, number.SignedPercent(lr/v.LR-1)),
			numField(float64(u.N), itoa(u.N)), textField(u.Err),
		})
	}
	return fields([2]any{v.Prediction, "windows"}, []string{"window", "η*", "shift", "vertices", ""}, rows)
}

// besideGrid lists the published laws at the target.
func besideGrid(_ *Model, c *session.Cell) *gridSource {
	v, ok := shownValue(c.Value).(session.Prediction)
	if !ok {
		return nil
	}
	var rows [][]field
	for _, u := range v.Beside {
		why := u.Why
		if !u.Comparable && why != "" && !math.IsNaN(u.LR) {
			why = "not comparable: " + why
		}
		rows = append(rows, []field{textField(title(u.Name)), numField(u.LR, number.EtaPadded(u.LR, 3)), sizeField(zeroNaN(u.B)), textField(why)})
	}
	return fields([2]any{v.Prediction, "beside"}, []string{"law", "η*", "its batch", "comparable?"}, rows)
}

func zeroNaN(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return x
}

// scoresGrid lists how each law did on the cells held out.
func scoresGrid(_ *Model, c *session.Cell) *gridSource {
	v, ok := shownValue(c.Value).(session.Comparison)
	if !ok {
		return nil
	}
	var rows [][]field
	for i := range v.Rows {
		u := &v.Rows[i]
		said := u.Condition
		switch {
		case u.Err != "":
			said = u.Err
		case u.InSample:
			said = "in sample; " + said
		case !u.Comparable:
			said = "not comparable: " + said
		}
		share := func(x float64) field { return numField(x, number.SignedPercent(x)) }
		rows = append(rows, []field{
			textField(u.Name), numField(u.MeanAbsErr, number.Fixed(u.MeanAbsErr, 3)), numField(u.Bias, number.Signed(u.Bias, 3)),
			numField(u.RMSErr, number.Fixed(u.RMSErr, 3)), numField(u.MaxAbsErr, number.Fixed(u.MaxAbsErr, 3)),
			share(u.MeanPenalty), share(u.MaxPenalty), numField(u.Coverage, number.Percent(u.Coverage)), textField(said),
		})
	}
	return fields([2]any{v.Comparison, "scores"}, []string{"law", "|Δ ln η|", "bias", "rms", "max", "loss", "worst", "covered", ""}, rows)
}

// testGrid lists every law on every cell held out.
func testGrid(_ *Model, c *session.Cell) *gridSource {
	v, ok := shownValue(c.Value).(session.Comparison)
	if !ok {
		return nil
	}
	var rows [][]field
	for i := range v.Rows {
		for _, u := range v.Rows[i].Cells {
			said := ""
			if u.Clamped {
				said = "outside the grid"
			}
			rows = append(rows, []field{
				textField(v.Rows[i].Name), sizeField(u.Key.N), sizeField(u.Key.D), numField(u.Predict, number.EtaPadded(u.Predict, 3)),
				numField(u.Measured, number.EtaPadded(u.Measured, 3)), numField(u.LnErr, number.Signed(u.LnErr, 3)), numField(u.Penalty, number.SignedPercent(u.Penalty)), textField(said),
			})
		}
	}
	return fields([2]any{v.Comparison, "cells"}, []string{"law", "N", "D", "predicted", "measured", "Δ ln η", "loss", ""}, rows)
}
