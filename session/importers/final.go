package importers

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/etastar/etastar/session/nearest"
	"github.com/etastar/etastar/session/table"
)

// What is taken of a run's curve as its loss. A curve is the values that were
// logged, in the order of the file; blank cells are none.
const (
	FinalLast     = "last"     // the last value; NaN if the run diverged
	FinalSmoothed = "smoothed" // the mean of the last Window values, in nats as logged
	FinalBest     = "best"     // the least value, whatever came after
	// FinalValidation is the last value of losses on held-out data only: a training
	// loss never stands in for a validation loss that was not measured.
	FinalValidation = "validation"
)

// DefaultWindow is the number of values that FinalSmoothed averages.
const DefaultWindow = 10

// Finals returns what Options.Final takes.
func Finals() []string {
	return []string{FinalLast, FinalSmoothed, FinalBest, FinalValidation}
}

// final reduces curves to values.
type final struct {
	how    string
	window int
	roles  *roleMemo
}

// roleMemo remembers the roles of names: a thousand runs have the same columns.
type roleMemo struct {
	mu    sync.Mutex
	known map[string]table.Role
}

// role is table.MatchRole; "" is none.
func (f final) role(name string) table.Role {
	f.roles.mu.Lock()
	defer f.roles.mu.Unlock()
	role, ok := f.roles.known[name]
	if !ok {
		role, _ = table.MatchRole(name)
		f.roles.known[name] = role
	}
	return role
}

func newFinal(o Options) (final, error) {
	f := final{how: strings.ToLower(o.Final), window: o.Window, roles: &roleMemo{known: map[string]table.Role{}}}
	if f.how == "" {
		f.how = FinalLast
	}
	if !slices.Contains(Finals(), f.how) {
		hint := ""
		if near := nearest.Word(o.Final, Finals()); near != "" {
			hint = "; did you mean " + near + "?"
		}
		return f, fmt.Errorf("final: there is no %q%s (%s)", o.Final, hint, strings.Join(Finals(), ", "))
	}
	switch {
	case f.window < 0:
		return f, fmt.Errorf("window: %d values cannot be averaged: it takes 1 or more", f.window)
	case f.window > 0 && f.how != FinalSmoothed:
		return f, fmt.Errorf("window: only final=%s has one", FinalSmoothed)
	case f.window == 0:
		f.window = DefaultWindow
	}
	return f, nil
}

// loss reduces the curve of a loss, which has a value.
func (f final) loss(curve []float64) float64 {
	switch f.how {
	case FinalSmoothed:
		curve = curve[max(0, len(curve)-f.window):]
		sum := 0.0
		for _, v := range curve {
			sum += v
		}
		return sum / float64(len(curve))
	case FinalBest:
		best := math.NaN()
		for _, v := range curve {
			if math.IsNaN(best) || v < best {
				best = v
			}
		}
		return best
	}
	return curve[len(curve)-1]
}

// takes reports whether a loss of that name counts at all.
func (f final) takes(name string) bool {
	return f.how != FinalValidation || HeldOut(name)
}

// fromSummary reports whether the last value alone, without a curve, will do.
func (f final) fromSummary() bool {
	return f.how == FinalLast || f.how == FinalValidation
}

func (f final) note() string {
	what := map[string]string{
		FinalLast:       "the last value of each curve",
		FinalSmoothed:   fmt.Sprintf("the mean of the last %d values of each curve", f.window),
		FinalBest:       "the least value of each curve",
		FinalValidation: "the last value of each validation curve",
	}[f.how]
	others := slices.DeleteFunc(Finals(), func(s string) bool { return s == f.how })
	return fmt.Sprintf("losses are %s (final=%s; also %s)", what, f.how, strings.Join(others, ", "))
}

// isLoss reports whether a column of that name is a loss to be minimised.
func isLoss(name string) bool {
	r, ok := table.MatchRole(name)
	return ok && r == table.RoleLoss
}

// HeldOut reports whether a loss was measured on held-out data, by its name.
func HeldOut(name string) bool {
	for word := range strings.SplitSeq(table.Fold(name), "_") {
		switch word {
		case "val", "valid", "validation", "eval", "evaluation", "dev", "heldout", "holdout", "valloss", "evalloss":
			return true
		}
	}
	return false
}

// isScore recognises the names of quantities of which more is better.
func isScore(name string) bool {
	for word := range strings.SplitSeq(table.Fold(name), "_") {
		switch word {
		case "accuracy", "acc", "score", "reward", "return", "auc", "auroc", "f1", "bleu", "rouge", "precision", "recall":
			return true
		}
	}
	return false
}

// noLossNote says of a table without a loss what it has instead: an accuracy is
// not taken for one.
func noLossNote(t *table.Table) string {
	var scores []string
	for _, c := range t.Columns {
		switch {
		case isLoss(c.Name):
			return ""
		case c.Kind == table.Number && isScore(c.Name):
			scores = append(scores, fmt.Sprintf("%q", cut(c.Name)))
		}
	}
	if len(scores) == 0 {
		return "no column is a loss by its name; say which is, as in loss=column"
	}
	return fmt.Sprintf("no column is a loss; scores, of which more is better, are not taken for one (%s): say loss=-column to minimise the opposite", some(scores))
}
