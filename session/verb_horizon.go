package session

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/importers"
	"github.com/etastar/etastar/session/table"
)

func horizonVerb() *Verb {
	return &Verb{
		Name:    "horizon",
		Summary: "one run's loss curve as several horizons: loss against D at fixed N and η",
		Doc: "Reads runs with their curves, as load does, and makes a row of each run and horizon: the loss that the stable phase has at D tokens, or would have, by " +
			"L = L₀ + A·D^−α, with its 95% interval. Where the learning rate decays the curve ends; what a decay at each horizon takes off is drop=, 0 where not given. " +
			"The rows of one run share its noise: they say how the loss falls with D, not how sure an optimum is.",
		Example: `horizons = horizon "runs/lr3e-4" tokens=[1B,2B,4B] batch=524288`,
		Result:  "table",
		Params: []Param{
			{Name: "file", Doc: "a log, or a folder of runs, from the notebook's folder", File: true, Position: true, Required: true},
			{Name: "tokens", Doc: "horizons D", Unit: "tokens", Number: &NumberSpec{Above: true, Count: true, Log: true}, List: true, Required: true},
			{Name: "batch", Doc: "tokens of an optimizer step; from the runs' configuration where not given", Unit: "tokens", Number: &NumberSpec{Above: true, Count: true}},
			{Name: "loss", Doc: "which of the losses logged; the first one where not given", String: true},
			{Name: "drop", Doc: "what the decay of the learning rate takes off", Unit: "nats", Number: &NumberSpec{Min: 0, Max: 10, Step: 0.01}, Default: "0"},
		},
		whereResult: true,
		fingerprint: func(c *Call) string { return sourcePrint(c.Ctx, c.path(c.Text("file"))) },
		run:         runHorizon,
	}
}

// horizonRow is a run at a horizon.
type horizonRow struct {
	run     int
	tokens  float64
	end     *fitting.End
	further bool // beyond the curve
}

func runHorizon(c *Call) (Value, error) {
	name := c.Text("file")
	r, err := importers.ReadRuns(c.Ctx, c.path(name), importers.Options{Final: importers.FinalLast, Progress: c.progress})
	if err != nil {
		if c.Ctx.Err() != nil {
			return nil, c.Ctx.Err()
		}
		return nil, errParam{"file", errors.New("horizon " + strings.Replace(err.Error(), c.path(name), name, 1))}
	}
	t, err := table.Assign(r.Table, nil)
	if err != nil {
		return nil, err
	}
	var rows []horizonRow
	var failed []string
	runs := gatherRuns(r)
	for i := range runs {
		_, l, err := c.horizonCurve(r, &runs[i], i)
		if err != nil {
			return nil, err
		}
		batch := c.Number("batch")
		if !c.Given("batch") {
			if col := t.RoleColumn(table.RoleBatch); col != nil {
				batch = col.Value(i)
			}
		}
		if !(batch > 0) {
			return nil, errParam{"batch", hinted{fmt.Errorf("the configuration of %s does not say how many tokens a step takes", rowName(t, i)), "say batch=, in tokens"}}
		}
		for _, d := range c.numbers("tokens") {
			row, err := horizonAt(l, d, batch)
			if err != nil {
				failed = append(failed, fmt.Sprintf("%s at %s: %v", rowName(t, i), fitting.FormatCount(d), err))
				continue
			}
			row.run = i
			rows = append(rows, row)
			if d == slices.Max(c.numbers("tokens")) {
				a := row.end.A * math.Pow(l.last()*batch, row.end.Alpha)
				c.Note(fmt.Sprintf("%s: L(D) = %.4g + %.4g·D^−%.3g", rowName(t, i), row.end.L0, a, row.end.Alpha))
			}
		}
	}
	if len(rows) == 0 {
		return nil, errParam{"file", fmt.Errorf("horizon %q: no run has a loss at these horizons: %s", name, strings.Join(failed, "; "))}
	}
	c.Note(t.Notes...)
	if len(failed) > 0 {
		c.Note("left out: " + strings.Join(failed[:min(3, len(failed))], "; "))
	}
	drop := c.Number("drop")
	if drop == 0 {
		c.Note("losses are those of the stable phase: a decay at each horizon would lower them, say by drop=")
	}
	return Table{horizonTable(t, rows, drop)}, nil
}

// horizonCurve is the loss of a run up to where its learning rate decays.
func (c *Call) horizonCurve(r *importers.Runs, run *unfinishedRun, row int) (string, logged, error) {
	var names []string
	for _, col := range r.Table.Columns {
		if _, ok := run.losses[col.Name]; ok {
			names = append(names, col.Name)
		}
	}
	name := c.Text("loss")
	switch {
	case len(names) == 0:
		return "", logged{}, errParam{"file", fmt.Errorf("%s has no curve of a loss", rowName(r.Table, row))}
	case !c.Given("loss"):
		name = names[0]
		if len(names) > 1 && row == 0 {
			c.Note(fmt.Sprintf("loss = %q (also: %s)", name, strings.Join(names[1:], ", ")))
		}
	case !slices.Contains(names, name):
		return "", logged{}, errParam{"loss", hinted{fmt.Errorf("%s has no curve %q", rowName(r.Table, row), name), "there are " + strings.Join(names, ", ")}}
	}
	l := run.losses[name]
	warm, peak := run.lr.peak()
	if !(peak > 0) {
		return name, l, nil
	}
	end := slices.IndexFunc(l.step, func(s float64) bool { return s > warm && run.lr.at(s) < 0.99*peak })
	begin, _ := slices.BinarySearch(l.step, warm)
	if end < 0 {
		end = len(l.step)
	} else {
		c.Note(fmt.Sprintf("%s: its learning rate decays from step %s: the curve is taken up to there", rowName(r.Table, row), table.FormatNumber(l.step[end])))
	}
	begin = min(begin, end)
	return name, logged{step: l.step[begin:end], value: l.value[begin:end]}, nil
}

// horizonAt is the loss at d tokens, by the law fitted to what came before.
func horizonAt(l logged, d, batch float64) (horizonRow, error) {
	step := d / batch
	n, found := slices.BinarySearch(l.step, step)
	if found {
		n++
	}
	if n == 0 {
		return horizonRow{}, errors.New("the curve begins later, or the warm-up is not over there")
	}
	if step <= l.last() {
		l = logged{step: l.step[:n], value: l.value[:n]}
	}
	end, err := fitting.PredictEnd(fitting.LossCurve{Step: l.step, Loss: l.value}, fitting.EndOptions{End: max(step, l.last())})
	if err != nil {
		return horizonRow{}, err
	}
	return horizonRow{tokens: d, end: end, further: step > l.last()*1.001}, nil
}

// horizonTable repeats the configuration of each run beside its horizons.
func horizonTable(t *table.Table, rows []horizonRow, drop float64) *table.Table {
	out := &table.Table{Rows: len(rows), Source: t.Source}
	taken := map[string]bool{"D": true, "loss": true, "loss low": true, "loss high": true, "predicted": true}
	if src, ok := t.Roles[table.RoleD]; ok {
		taken[src.Column] = true // of the whole run
	}
	for _, c := range t.Columns {
		if taken[c.Name] {
			continue
		}
		if role, ok := table.MatchRole(c.Name); ok && (role == table.RoleLoss || role == table.RoleFLOPs) {
			continue // of the whole run
		}
		d := &table.Column{Name: c.Name, Kind: c.Kind, Words: c.Words}
		for _, r := range rows {
			if c.Kind == table.Text {
				d.Codes = append(d.Codes, c.Codes[r.run])
			} else {
				d.Numbers = append(d.Numbers, c.Numbers[r.run])
			}
		}
		out.Columns = append(out.Columns, d)
	}
	columns := make([]*table.Column, 4)
	for k, name := range []string{"D", "loss", "loss low", "loss high"} {
		columns[k] = &table.Column{Name: name}
	}
	words := make([]string, len(rows))
	for i, r := range rows {
		for k, v := range []float64{r.tokens, micro(r.end.Loss - drop), micro(r.end.Low - drop), micro(r.end.High - drop)} {
			columns[k].Numbers = append(columns[k].Numbers, v)
		}
		if r.further {
			words[i] = fmt.Sprintf("power law, %s seen", fitting.FormatPercent(r.end.Seen))
		}
	}
	out.Columns = append(append(out.Columns, columns...), textColumn("predicted", words))
	out.Roles = table.Roles{}
	for role, src := range t.Roles {
		out.Roles[role] = src
	}
	delete(out.Roles, table.RoleFLOPs)
	out.Roles[table.RoleD] = table.RoleSource{Column: "D", Given: true}
	out.Roles[table.RoleLoss] = table.RoleSource{Column: "loss", Given: true}
	return out
}
