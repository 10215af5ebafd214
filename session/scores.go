package session

import (
	"fmt"
	"slices"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/table"
)

// withScoreIntervals adds to a table of benchmark scores the 95% binomial interval of
// each, where the number of questions is known, and notes how models differ. Other
// tables are left as they are.
func withScoreIntervals(t *table.Table) *table.Table {
	score, count, model, dataset := t.Column("score"), t.Column("questions"), t.Column("model"), t.Column("dataset")
	if len(t.Columns) != 6 || score == nil || count == nil || model == nil || dataset == nil || model.Kind != table.Text || dataset.Kind != table.Text ||
		score.Kind != table.Number || count.Kind != table.Number {
		return t
	}
	out := *t
	low, high := slices.Repeat([]float64{table.Missing}, t.Rows), slices.Repeat([]float64{table.Missing}, t.Rows)
	known := 0
	for i := range t.Rows {
		l, h, err := fitting.Wilson(score.Numbers[i]/100, count.Numbers[i], 0.95)
		if err == nil {
			low[i], high[i] = roundTo(100*l, 4), roundTo(100*h, 4)
			known++
		}
	}
	out.Columns = append(slices.Clone(t.Columns), &table.Column{Name: "low", Numbers: low}, &table.Column{Name: "high", Numbers: high})
	out.Notes = slices.Clone(t.Notes)
	if known > 0 {
		out.Notes = append(out.Notes, "low and high are the 95% binomial interval of a score; of an average over subjects it is that of as many questions alike")
	}
	const most = 12
	for a := range t.Rows {
		for b := a + 1; b < t.Rows && len(out.Notes) < most; b++ {
			if dataset.Codes[a] != dataset.Codes[b] || model.Codes[a] == model.Codes[b] {
				continue
			}
			d, l, h, err := fitting.ShareDifference(score.Numbers[a]/100, count.Numbers[a], score.Numbers[b]/100, count.Numbers[b], 0.95)
			if err != nil {
				continue
			}
			verdict := "they cannot be told apart"
			switch {
			case l > 0:
				verdict = model.String(b) + " is better"
			case h < 0:
				verdict = model.String(a) + " is better"
			}
			out.Notes = append(out.Notes, fmt.Sprintf("%s: %s − %s = %+.2f points [%+.2f, %+.2f]: %s",
				dataset.String(a), model.String(b), model.String(a), 100*d, 100*l, 100*h, verdict))
		}
	}
	return &out
}
