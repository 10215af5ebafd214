package export

import (
	"strings"

	"github.com/etastar/etastar/fitting"
)

// flagIDs are the stable identifiers of the reasons to doubt a curve. Both edges
// share one: the bound says which.
var flagIDs = map[fitting.Flag]string{
	fitting.FlagEdgeLow:       "argmin_at_grid_edge",
	fitting.FlagEdgeHigh:      "argmin_at_grid_edge",
	fitting.FlagDivergedAbove: "every_higher_lr_diverged",
	fitting.FlagNearEdge:      "argmin_one_from_edge",
	fitting.FlagFewPoints:     "fewer_than_5_points",
	fitting.FlagTooFew:        "too_few_points",
	fitting.FlagFlat:          "flat",
	fitting.FlagConcave:       "concave",
	fitting.FlagOutsidePoints: "vertex_outside_fitted_points",
	fitting.FlagOutsideGrid:   "vertex_outside_grid",
	fitting.FlagHighLoss:      "window_contains_loss_over_1.1x_min",
	fitting.FlagNonPositive:   "non_positive_loss",
	fitting.FlagAllDiverged:   "all_diverged",
	fitting.FlagDiverged:      "diverged_set_apart",
}

// identifiers returns the stable names of flags, each once.
func identifiers(flags []fitting.Flag) []string {
	out := make([]string, 0, len(flags))
	seen := map[string]bool{}
	for _, f := range flags {
		id, ok := flagIDs[f]
		if !ok { // a flag that is newer than this table
			id = strings.ReplaceAll(string(f), " ", "_")
		}
		if !seen[id] {
			seen[id] = true
			out = append(out, id)
		}
	}
	return out
}

// inWords joins a curve's flags for a reader; diverged runs come with their number.
func inWords(c *fitting.Curve) string {
	words := make([]string, len(c.Flags))
	for i, f := range c.Flags {
		words[i] = string(f)
		if f == fitting.FlagDiverged {
			words[i] = itoa(len(c.Diverged)) + " diverged"
		}
	}
	return strings.Join(words, "; ")
}
