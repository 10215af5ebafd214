package importers

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/etastar/etastar/session/table"
)

// Weights & Biases exports CSV in three shapes: the table of runs, a row a run;
// the history of one run, a row a step; and a chart, a row a step with the runs
// side by side, "run - metric" with its least and greatest value of the step's
// bucket in "run - metric__MIN" and "…__MAX".

const (
	chartMin = "__MIN"
	chartMax = "__MAX"
)

func sniffWandbChart(head []byte) int {
	named := map[string]bool{}
	for _, n := range headerNames(head, chartMin) {
		named[n] = true
	}
	for n := range named {
		if base, ok := strings.CutSuffix(n, chartMin); ok && strings.Contains(n, " - ") && named[base] && named[base+chartMax] {
			return 95
		}
	}
	return 0
}

func sniffWandbHistory(head []byte) int {
	names := headerNames(head, "_step")
	has := func(name string) bool { return slices.Contains(names, name) }
	if has("_step") && (len(names) > 2 || has("_runtime") || has("_timestamp")) {
		return 90
	}
	return 0
}

func sniffWandbRuns(head []byte) int {
	names := headerNames(head, "Name")
	has := func(name string) bool { return slices.Contains(names, name) }
	switch {
	case !has("Name"):
	case has("_wandb"), has("State") && (has("Runtime") || has("Created") || has("Sweep") || has("User")):
		return 90
	}
	return 0
}

func scanWandbHistory(j *job) error {
	j.history("steps of a W&B run")
	return scanCSV(j)
}

// scanWandbRuns reads the table of runs. A run that is not finished has a summary
// too, of its last step.
func scanWandbRuns(j *job) error {
	j.edit = unfinishedNote
	return scanCSV(j)
}

func unfinishedNote(t *table.Table) *table.Table {
	state := t.Column("State")
	if state == nil || state.Kind != table.Text {
		return t
	}
	others, n := map[string]int{}, 0
	for i := range t.Rows {
		if s := state.String(i); s != "finished" && s != "" {
			others[s]++
			n++
		}
	}
	if n > 0 {
		t.Notes = append(t.Notes, fmt.Sprintf("%d of %d runs are not finished (%s), and their losses those of an earlier step: "+
			`where State == "finished" keeps the others`, n, t.Rows, tally(others)))
	}
	return t
}

// scanWandbChart reads a chart as its runs.
func scanWandbChart(j *job) error {
	j.runs = chartRuns
	return scanCSV(j)
}

var numbered = regexp.MustCompile(`^(.*)_(\d+)$`)

// chartRuns cuts a chart into its runs. Its first column is the x axis; without numbers
// it says nothing of the steps, and the records are counted.
func chartRuns(t *table.Table) []run {
	x := t.Columns[0]
	axis := run{step: x}
	if x.Kind != table.Number {
		axis = run{notes: []string{fmt.Sprintf("the x axis %q has cells that are no numbers: records are counted instead", cut(x.Name))}}
	}
	var runs []run
	at := map[string]int{}
	var left []string
	named := make(map[string]bool, len(t.Columns))
	for _, c := range t.Columns {
		named[c.Name] = true
	}
	for _, c := range t.Columns[1:] {
		name, copyOf := c.Name, ""
		// Runs of the same name have columns of the same name, which are numbered.
		if m := numbered.FindStringSubmatch(name); m != nil && named[m[1]] {
			name, copyOf = m[1], " ("+m[2]+")"
		}
		if strings.HasSuffix(name, chartMin) || strings.HasSuffix(name, chartMax) {
			continue
		}
		i := strings.LastIndex(name, " - ")
		if i < 0 {
			left = append(left, fmt.Sprintf("%q", cut(c.Name)))
			continue
		}
		runName, metric := name[:i]+copyOf, name[i+len(" - "):]
		if metric == "_step" && x.Name == "Step" {
			continue
		}
		k, ok := at[runName]
		if !ok {
			k = len(runs)
			at[runName] = k
			r := axis
			r.name, r.history = runName, &table.Table{Rows: t.Rows}
			if r.step != nil {
				r.history.Columns = []*table.Column{x}
			}
			runs = append(runs, r)
		}
		as := *c
		as.Name = metric
		runs[k].history.Columns = append(runs[k].history.Columns, &as)
	}
	if len(left) > 0 && len(runs) > 0 {
		runs[0].notes = append(slices.Clip(runs[0].notes), "columns that name no run are left out: "+some(left))
	}
	return runs
}

// headerNames returns the cells of the first line that is not empty, if that holds
// the word at all.
func headerNames(head []byte, word string) []string {
	head = bytes.TrimLeft(head, " \t\r\n")
	line, _, _ := bytes.Cut(head, []byte{'\n'})
	if !bytes.Contains(line, []byte(word)) {
		return nil
	}
	s := splitter{comma: separator(head, separators)}
	n, _, err := s.next(head, len(head) < headSize)
	if err != nil || n == 0 {
		return nil
	}
	names := make([]string, len(s.fields))
	for i, f := range s.fields {
		names[i] = string(bytes.TrimSpace(f))
	}
	return names
}
