package session

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/etastar/etastar/session/importers"
	"github.com/etastar/etastar/session/table"
	"github.com/etastar/etastar/trainer/rundir"
)

// watchers follow the folders and logs that are watched, by their path.
var watchers sync.Map // of string to *importers.Watcher

func watcherOf(path string) *importers.Watcher {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	w, _ := watchers.LoadOrStore(path, importers.NewWatcher(path))
	return w.(*importers.Watcher)
}

// silentAfter is when a run that logs nothing is no longer taken for alive.
const silentAfter = 10 * time.Minute

// foreignPrint changes when a look finds something new, or a run falls silent.
func foreignPrint(c *Call, path string) string {
	w := watcherOf(path)
	if w.Version() == 0 {
		return "not looked at yet"
	}
	if err := w.Look(c.Ctx); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d, %d silent", w.Version(), w.Silent(silentAfter))
}

// watchForeign follows runs that no trainer of ours writes.
func watchForeign(c *Call, path, name string) (Value, error) {
	w := watcherOf(path)
	if err := w.Look(c.Ctx); err != nil {
		return nil, errParam{"folder", fmt.Errorf("watch %q: %w", name, err)}
	}
	r, err := w.Runs()
	if err != nil {
		return nil, errParam{"folder", hinted{fmt.Errorf("watch %q: %w", name, err), "it is looked at again and again: runs appear here as they begin"}}
	}
	t, err := table.Assign(r.Table, nil)
	if err != nil {
		return nil, err
	}
	s := Sweep{Dir: path, Watched: true, Table: t}
	s.Facts.Description = name
	runs := gatherRuns(r.Runs)
	states := make([]string, t.Rows)
	for i := range runs {
		run := foreignRun(t, r, &runs[i], i)
		states[i] = string(run.Status.State)
		s.Runs = append(s.Runs, run)
		s.Cost.Runs++
	}
	s.Table = withState(t, states)
	c.Note(t.Notes...)
	return s.settle(c)
}

// withState adds the state of runs, and takes away the losses of those that go on: they
// are not final.
func withState(t *table.Table, states []string) *table.Table {
	out := *t
	out.Columns = slices.Clone(t.Columns)
	loss := t.RoleColumn(table.RoleLoss)
	for k, c := range out.Columns {
		if c != loss || c.Kind != table.Number {
			continue
		}
		d := *c
		d.Numbers = slices.Clone(c.Numbers)
		for i, s := range states {
			if s == string(rundir.Running) {
				d.Numbers[i] = table.Missing
			}
		}
		out.Columns[k] = &d
	}
	name := "state"
	for out.Column(name) != nil {
		name += "_"
	}
	out.Columns = append(out.Columns, textColumn(name, states))
	return &out
}

// foreignRun is a row of the table as a run that is shown live.
func foreignRun(t *table.Table, r *importers.WatchedRuns, run *unfinishedRun, i int) SweepRun {
	value := func(role table.Role) float64 {
		if c := t.RoleColumn(role); c != nil && c.Kind == table.Number && isFinite(c.Numbers[i]) {
			return c.Numbers[i]
		}
		return 0
	}
	f := &Foreign{Name: rowName(t, i), LR: value(table.RoleLR), N: value(table.RoleN), Batch: value(table.RoleBatch)}
	f.Group = "runs"
	var parts []string
	for _, role := range []table.Role{table.RoleN, table.RoleD, table.RoleBatch} {
		if v := value(role); v > 0 && role != table.RoleD {
			parts = append(parts, string(role)+" "+table.FormatNumber(v))
		}
	}
	if len(parts) > 0 {
		f.Group = strings.Join(parts, ", ")
	}
	out := SweepRun{Foreign: f, Dir: ""}
	st := &out.Status
	var loss logged
	if c := t.RoleColumn(table.RoleLoss); c != nil {
		loss = run.losses[c.Name]
	}
	// The training loss is logged more often than that on held-out data: it is what is drawn.
	drawn := loss
	for _, c := range t.Columns {
		if l, ok := run.losses[c.Name]; ok && len(l.step) > len(drawn.step) {
			drawn = l
		}
	}
	unit := 1.0
	if f.Batch > 0 {
		unit = f.Batch
	}
	every := max(1, len(drawn.step)/maxCurve)
	for k := 0; k < len(drawn.step); k += every {
		out.Tokens, out.Losses = append(out.Tokens, drawn.step[k]*unit), append(out.Losses, drawn.value[k])
	}
	st.Step, st.Steps = int64(max(drawn.last(), loss.last())), int64(run.planned)
	st.Tokens, f.Total = int64(float64(st.Step)*unit), run.planned*unit
	if n := len(drawn.value); n > 0 {
		st.Loss = rundir.Number(drawn.value[n-1])
	}
	if n := len(loss.value); n > 0 {
		st.Val = rundir.Number(loss.value[n-1])
	}
	st.Heartbeat = r.Modified[i]
	quiet := time.Since(r.Modified[i])
	st.State = rundir.Running
	word := ""
	for _, name := range []string{"status", "config/exit_code", "exit_code"} {
		if c := t.Column(name); c != nil {
			word = c.String(i)
			break
		}
	}
	switch {
	case loss.diverged || drawn.diverged:
		st.State, st.Val = rundir.Diverged, rundir.Number(math.NaN())
	case run.planned > 0 && float64(st.Step) >= 0.999*run.planned, word == "FINISHED", word == "0":
		st.State = rundir.Finished
	case word == "FAILED", word == "KILLED", word != "" && word != "RUNNING" && word != "SCHEDULED":
		st.State, st.Reason = rundir.Failed, "it says "+word
	case quiet > silentAfter && run.planned == 0:
		st.State, st.Reason = rundir.Finished, fmt.Sprintf("silent for %s, taken for ended: it does not say how many steps it was to take", roughly(quiet.Seconds()))
	case quiet > silentAfter:
		st.State, st.Reason = rundir.Interrupted, fmt.Sprintf("silent for %s", roughly(quiet.Seconds()))
	}
	return out
}
