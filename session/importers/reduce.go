package importers

import (
	"fmt"
	"math"
	"slices"

	"github.com/etastar/etastar/session/table"
)

// steps are the names of what counts a run's progress, best first.
var steps = []string{
	"step", "_step", "global_step", "iteration", "iter", "training_iteration", "steps", "iters", "update", "num_updates", "relative_time_wall_", "wall_time",
	"timesteps_total", "epoch",
}

// stepColumn returns the column that counts steps, or nil.
func stepColumn(t *table.Table) *table.Column {
	best, at := (*table.Column)(nil), len(steps)
	for _, c := range t.Columns {
		if i := slices.Index(steps, table.Fold(c.Name)); i >= 0 && i < at && c.Kind == table.Number {
			best, at = c, i
		}
	}
	return best
}

// counts reports whether the column goes up as a run's steps do. A sweep may have
// a column of epochs too, about the same in every row.
func counts(step *table.Column) bool {
	up, down, n := 0, 0, 0
	before := math.NaN()
	for _, v := range step.Numbers {
		if table.IsMissing(v) {
			continue
		}
		n++
		if v > before {
			up++
		} else if v < before {
			down++
		}
		before = v
	}
	return up > down && 10*up >= n
}

func lossColumn(t *table.Table) *table.Column {
	for _, c := range t.Columns {
		if c.Kind == table.Number && isLoss(c.Name) {
			return c
		}
	}
	return nil
}

// reduce makes of a history one value for each of its columns: of a loss what
// final says, of a learning rate the peak, of others the last. step may be nil.
func reduce(t *table.Table, step *table.Column, f final, curves bool) (cells []cell, kept []Curve) {
	end := 0 // steps without any value are not the run's: a chart's x axis is longer
	for _, c := range t.Columns {
		if c == step {
			continue
		}
		for i := t.Rows - 1; i >= end; i-- {
			if c.Kind == table.Text && c.Codes[i] != 0 || c.Kind == table.Number && !table.IsMissing(c.Numbers[i]) {
				end = i + 1
				break
			}
		}
	}
	for _, c := range t.Columns {
		if c.Kind == table.Text {
			for i := end - 1; i >= 0; i-- {
				if w := c.String(i); w != "" {
					cells = append(cells, cell{name: c.Name, word: w, isText: true})
					break
				}
			}
			continue
		}
		role := f.role(c.Name)
		loss, lr := role == table.RoleLoss, role == table.RoleLR
		out := cell{name: c.Name, curve: true}
		if !loss && !lr {
			i := end - 1
			for i >= 0 && table.IsMissing(c.Numbers[i]) {
				i--
			}
			if i >= 0 {
				out.value, out.last = c.Numbers[i], c.Numbers[i]
				cells = append(cells, out)
			}
			continue
		}
		curve := Curve{Name: c.Name}
		if step != nil {
			curve.StepName = step.Name
		}
		for i, v := range c.Numbers[:end] {
			if table.IsMissing(v) {
				continue
			}
			curve.Value = append(curve.Value, v)
			if at := float64(i); curves {
				if step != nil {
					at = step.Numbers[i]
				}
				curve.Step = append(curve.Step, at)
			}
		}
		if len(curve.Value) == 0 {
			continue
		}
		out.last = curve.Value[len(curve.Value)-1]
		if loss {
			out.value = f.loss(curve.Value)
			out.early = endsEarly(c, step, end)
		} else {
			out.value = curve.Value[0]
			for _, v := range curve.Value {
				if v > out.value || math.IsNaN(out.value) {
					out.value = v
				}
			}
		}
		cells = append(cells, out)
		if curves {
			kept = append(kept, curve)
		}
	}
	return cells, kept
}

// endsEarly says where the curve of a loss ends if that is in the first nine tenths
// of its run: its last value is then no final loss.
func endsEarly(c, step *table.Column, end int) string {
	if step == nil {
		return ""
	}
	last, most := math.NaN(), math.NaN()
	for i, v := range step.Numbers[:end] {
		if table.IsMissing(v) {
			continue
		}
		if !(v <= most) {
			most = v
		}
		if !table.IsMissing(c.Numbers[i]) {
			last = v
		}
	}
	if !(last < 0.9*most) {
		return ""
	}
	return fmt.Sprintf("%s of %s", table.FormatNumber(last), table.FormatNumber(most))
}
