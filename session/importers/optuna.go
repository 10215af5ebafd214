package importers

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etastar/etastar/session/table"
)

// sniffOptuna recognises what study.trials_dataframe().to_csv() writes: number,
// value (or values_0, values_1 … of several objectives), params_*, state.
func sniffOptuna(head []byte) int {
	names := headerNames(head, "number")
	has := func(name string) bool { return slices.Contains(names, name) }
	objective := has("value") || has("values_0")
	params := slices.ContainsFunc(names, func(s string) bool { return strings.HasPrefix(s, "params_") })
	if has("number") && objective && (params || has("datetime_start")) {
		return 90
	}
	return 0
}

// scanOptuna reads the trials of a study, a row each. Only those that are complete
// have the value of a whole run: a pruned trial has an intermediate one.
func scanOptuna(j *job) error {
	j.edit = completeTrials
	return scanCSV(j)
}

func completeTrials(t *table.Table) *table.Table {
	var objectives []string
	for _, c := range t.Columns {
		if c.Name == "value" || strings.HasPrefix(c.Name, "values_") {
			objectives = append(objectives, fmt.Sprintf("%q", c.Name))
		}
	}
	t.Notes = append(t.Notes, fmt.Sprintf("%s: the study's objective, which may be a loss or a score such as an accuracy; the file does not say: "+
		"say loss=value for a loss, loss=-value for a score", strings.Join(objectives, ", ")))
	state := t.Column("state")
	if state == nil || state.Kind != table.Text {
		return t
	}
	kept, others := make([]int, 0, t.Rows), map[string]int{}
	for i := range t.Rows {
		if s := state.String(i); s == "COMPLETE" {
			kept = append(kept, i)
		} else {
			others[s]++
		}
	}
	if len(kept) == t.Rows {
		return t
	}
	t.Notes = append(t.Notes, fmt.Sprintf("%d of %d trials are left out, which did not complete (%s); format=csv keeps them",
		t.Rows-len(kept), t.Rows, tally(others)))
	return pickRows(t, kept)
}
