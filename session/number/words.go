package number

import (
	"math"
	"strings"

	"github.com/etastar/etastar/fitting"
)

// Key names a cell of a sweep: "215M, 4B", "215M, 4B, 524k, seed=1". The text is
// what exclude= takes, so what stands over a curve can be typed as it stands.
func Key(k fitting.Key) string {
	var parts []string
	for _, x := range []float64{k.N, k.D, k.B} {
		if x != 0 {
			parts = append(parts, SI(x))
		}
	}
	if k.Extra != "" {
		parts = append(parts, k.Extra)
	}
	if len(parts) == 0 {
		return "all runs"
	}
	return strings.Join(parts, ", ")
}

// Target names a target: "7B, 1.4T", "C 6.4e21".
func Target(t fitting.Target) string {
	var parts []string
	known := func(v float64) bool { return v != 0 && !math.IsNaN(v) }
	add := func(name string, v float64) {
		if known(v) {
			parts = append(parts, name+SI(v))
		}
	}
	if known(t.N) && known(t.D) { // C follows from both
		add("", t.N)
		add("", t.D)
	} else {
		add("N ", t.N)
		add("D ", t.D)
		add("C ", t.C)
	}
	add("B ", t.B)
	add("active ", t.NActive)
	add("experts ", t.Experts)
	if len(parts) == 0 {
		return "target"
	}
	return strings.Join(parts, ", ")
}

// flagWords shortens a reason to doubt a curve to a word or two. Diverged runs are
// drawn as such and have no word.
var flagWords = map[fitting.Flag]string{
	fitting.FlagEdgeLow:       "lowest rate wins",
	fitting.FlagEdgeHigh:      "highest rate wins",
	fitting.FlagDivergedAbove: "all higher diverged",
	fitting.FlagFlat:          "flat",
	fitting.FlagNearEdge:      "near the edge",
	fitting.FlagFewPoints:     "few points",
	fitting.FlagTooFew:        "too few points",
	fitting.FlagConcave:       "concave",
	fitting.FlagOutsidePoints: "vertex outside points",
	fitting.FlagOutsideGrid:   "vertex outside grid",
	fitting.FlagHighLoss:      "high loss in window",
	fitting.FlagNonPositive:   "losses ≤ 0",
	fitting.FlagAllDiverged:   "all diverged",
	fitting.FlagDiverged:      "",
}

// Flags joins the short words of a curve's flags; a flag without one stays as it is.
func Flags(flags []fitting.Flag) string {
	var words []string
	for _, f := range flags {
		s, ok := flagWords[f]
		if !ok {
			s = string(f)
		}
		if s != "" {
			words = append(words, s)
		}
	}
	return strings.Join(words, ", ")
}
