package session

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/language"
	"github.com/etastar/etastar/session/table"
)

func curvesVerb() *Verb {
	return &Verb{
		Name:    "curves",
		Summary: "loss against ln η for each cell of a sweep, with its optimum η*",
		Doc: "Groups the runs into cells of equal by=, fits the loss against ln η around the lowest point of each, and reports the vertex η* with its " +
			"standard error. Runs with several seeds count with the mean of their losses. A minimum at the edge of the learning-rate grid gives a bound, not an estimate. Diverged runs are set apart and counted.\n" +
			"A wide window is biased, because the loss rises faster above η* than below; the default is local, and predictions include the spread over windows.",
		Example: `curves = curves runs by=N,D form=quadratic window=2 batch=tuned`,
		Result:  "curves",
		Params: []Param{
			tableInput(),
			{
				Name: "by", Doc: "what makes a cell: N, D, B or any column; by default those of N and D that the table has", Words: []string{"N", "D", "B"}, Set: true,
				Column: true, List: true, Default: "N,D", Stops: []string{"N,D", "N", "D", "N,D,B"}, Knob: true,
			},
			{Name: "form", Doc: "shape fitted to loss against ln η; asymmetric has a curvature of its own on each side", Words: []string{"quadratic", "cubic", "asymmetric"}, Default: "quadratic", Knob: true},
			{
				Name: "window", Doc: "points that are fitted: so many on each side of the lowest, those within a percentage of the lowest loss, or all",
				Words: []string{"all"}, Number: &NumberSpec{Above: true, Max: 1e6, Percent: true}, Default: "2",
				Stops: []string{"1", "2", "3", "4", "5", "1%", "2%", "5%", "all"}, Knob: true,
			},
			{
				Name: "batch", Doc: "runs of one cell at several batch sizes: tuned takes the best at each η, a number keeps the runs at that batch", Unit: "tokens per step",
				Words: []string{"tuned"}, Number: &NumberSpec{Above: true, Log: true, Count: true}, Default: "tuned", Knob: true,
			},
			{
				Name: "diverged", Doc: "runs set apart as diverged: auto (non-finite, or above η* with a loss over 1.5× the cell's lowest), keep (only non-finite), or a loss",
				Words: []string{"auto", "keep"}, Number: &NumberSpec{}, Default: "auto", Stops: []string{"auto", "keep"}, Knob: true,
			},
			{Name: "exclude", Doc: "runs taken out by hand, by their line in the file", Number: &NumberSpec{Min: 1, Integer: true}, List: true},
		},
		stops: batchStops,
		run:   runCurves,
	}
}

// batchStops are the batch sizes of the sweep.
func batchStops(v Value, param string) []string {
	cs, ok := v.(Curves)
	if !ok || param != "batch" {
		return nil
	}
	col := cs.Source.RoleColumn(table.RoleBatch)
	if col == nil {
		return nil
	}
	seen := map[float64]bool{}
	for i := range cs.Source.Rows {
		if b := col.Value(i); b > 0 && !math.IsInf(b, 0) {
			seen[b] = true
		}
	}
	var sizes []float64
	for b := range seen {
		sizes = append(sizes, b)
	}
	slices.Sort(sizes)
	stops := []string{"tuned"}
	for _, b := range sizes {
		stops = append(stops, strconv.FormatFloat(b, 'f', -1, 64))
	}
	return stops
}

func runCurves(c *Call) (Value, error) {
	t := c.table()
	o := fitting.CurveOptions{Exclude: map[int]bool{}}
	if err := t.Need(table.RoleLR, table.RoleLoss); err != nil {
		return nil, err
	}
	var extra []*table.Column
	for _, key := range c.keys(t) {
		switch key {
		case "N":
			o.ByN = true
		case "D":
			o.ByD = true
		case "B":
			o.Batch.Kind = fitting.BatchKeyed
		default:
			col := t.Column(key)
			if col == nil {
				return nil, errParam{"by", noColumn(t, key)}
			}
			extra = append(extra, col)
		}
	}
	if err := c.needKeys(t, o); err != nil {
		return nil, err
	}
	if err := c.batchRule(t, &o); err != nil {
		return nil, err
	}
	o.Form = map[string]fitting.CurveForm{"quadratic": fitting.Quadratic, "cubic": fitting.Cubic, "asymmetric": fitting.Asymmetric}[c.Text("form")]
	var err error
	if o.Window, err = c.window(); err != nil {
		return nil, err
	}
	switch {
	case c.IsNumber("diverged"):
		o.Diverged.Above = c.Number("diverged")
	case c.Text("diverged") == "keep":
		o.Diverged.Keep = true
	}
	if err := c.excluded(t, &o); err != nil {
		return nil, err
	}
	if t.Rows == 0 {
		return nil, hinted{fmt.Errorf("%s has no rows", t.Source), "load a sweep that has runs"}
	}
	runs, blank := sweepRuns(t, extra)
	if len(runs) == 0 {
		return nil, hinted{fmt.Errorf("none of the %s of %s has a loss yet", countOf(t.Rows, "run"), t.Source), "train them, or name the loss column"}
	}
	cs, err := fitting.Curves(runs, o)
	if err != nil {
		return nil, err
	}
	if blank > 0 {
		if cs.Skipped == nil {
			cs.Skipped = map[string]int{}
		}
		cs.Skipped["no loss"] += blank
		cs.Runs += blank
	}
	v := Curves{CurveSet: cs, Source: t}
	if s, ok := c.Input("table").(Sweep); ok && s.Finished() < len(s.Runs) {
		v.Provisional = fmt.Sprintf("%d of %d runs are over", s.Finished(), len(s.Runs))
		c.Note("provisional: " + v.Provisional)
	}
	c.Note(curveNotes(cs)...)
	return v, nil
}

// keys are the columns of by=; without one, those of N and D that the table has.
func (c *Call) keys(t *table.Table) []string {
	if c.Given("by") {
		return c.Texts("by")
	}
	var keys []string
	for _, r := range []table.Role{table.RoleN, table.RoleD} {
		if t.RoleColumn(r) != nil {
			keys = append(keys, string(r))
		}
	}
	if len(keys) < 2 {
		c.Note("by=" + strings.Join(keys, ",") + ": the table has no other of N and D; say by=… to change that")
	}
	return keys
}

func (c *Call) needKeys(t *table.Table, o fitting.CurveOptions) error {
	var need []table.Role
	if o.ByN {
		need = append(need, table.RoleN)
	}
	if o.ByD {
		need = append(need, table.RoleD)
	}
	if o.Batch.Kind == fitting.BatchKeyed {
		need = append(need, table.RoleBatch)
	}
	if err := t.Need(need...); err != nil {
		return errParam{"by", err}
	}
	return nil
}

func (c *Call) batchRule(t *table.Table, o *fitting.CurveOptions) error {
	if !c.IsNumber("batch") {
		return nil
	}
	if o.Batch.Kind == fitting.BatchKeyed {
		return errParam{"batch", hinted{fmt.Errorf("by=…,B makes a cell of every batch size, batch=%s keeps one", c.Text("batch")), "say one of the two"}}
	}
	if err := t.Need(table.RoleBatch); err != nil {
		return errParam{"batch", err}
	}
	o.Batch = fitting.BatchRule{Kind: fitting.BatchFixed, Fixed: c.Number("batch")}
	return nil
}

func (c *Call) window() (fitting.Window, error) {
	v := c.args["window"]
	switch {
	case v.Kind == language.Number && v.Percent:
		return fitting.Window{Kind: fitting.WindowPct, Pct: v.Number}, nil
	case v.Kind == language.Number:
		if v.Number != math.Trunc(v.Number) {
			return fitting.Window{}, errParam{"window", hinted{fmt.Errorf("%s neighbours on each side: a whole number, please", v.Text), "for a share of the loss write " + v.Text + "%"}}
		}
		return fitting.Window{Kind: fitting.WindowK, K: int(v.Number)}, nil
	}
	return fitting.Window{Kind: fitting.WindowAll}, nil
}

// excluded turns lines of the file into rows of the table.
func (c *Call) excluded(t *table.Table, o *fitting.CurveOptions) error {
	lines := c.Texts("exclude")
	if len(lines) == 0 {
		return nil
	}
	rows := make(map[int]int, t.Rows)
	for i := range t.Rows {
		rows[t.Line(i)] = i
	}
	for _, text := range lines {
		line, _, _ := language.ParseNumber(text)
		row, ok := rows[int(line)]
		if !ok {
			return errParam{"exclude", hinted{fmt.Errorf("no run of this table stands on line %s of %s", text, t.Source), "remove it from the list"}}
		}
		o.Exclude[row] = true
	}
	return nil
}

// sweepRuns turns the rows that have a loss into runs and counts those that have none.
func sweepRuns(t *table.Table, extra []*table.Column) (runs []fitting.Run, blank int) {
	value := func(r table.Role) func(i int) float64 {
		col := t.RoleColumn(r)
		if col == nil {
			return func(int) float64 { return math.NaN() }
		}
		return col.Value
	}
	seed := func(int) float64 { return 0 }
	if col := t.Column("seed"); col != nil && !slices.Contains(extra, col) {
		seed = col.Value
	}
	n, d, b, f, lr, loss := value(table.RoleN), value(table.RoleD), value(table.RoleBatch), value(table.RoleFLOPs), value(table.RoleLR), value(table.RoleLoss)
	runs = make([]fitting.Run, 0, t.Rows)
	for i := range t.Rows {
		l := loss(i)
		if table.IsMissing(l) {
			blank++
			continue
		}
		r := fitting.Run{N: n(i), D: d(i), B: b(i), C: f(i), LR: lr(i), Loss: l, Seed: seed(i), Row: i}
		if len(extra) > 0 {
			parts := make([]string, len(extra))
			for k, col := range extra {
				parts[k] = col.Name + "=" + col.String(i)
			}
			r.Extra = strings.Join(parts, " ")
		}
		runs = append(runs, r)
	}
	return runs, blank
}

// countOf is "1 run" or "3 runs".
func countOf(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func curveNotes(cs *fitting.CurveSet) []string {
	var notes []string
	if n := cs.Diverged(); n > 0 {
		notes = append(notes, fmt.Sprintf("%d of %d runs diverged: set apart, not fitted", n, cs.Runs))
	}
	reasons := make([]string, 0, len(cs.Skipped))
	for why := range cs.Skipped {
		reasons = append(reasons, why)
	}
	slices.Sort(reasons)
	for _, why := range reasons {
		notes = append(notes, fmt.Sprintf("%s not used: %s", countOf(cs.Skipped[why], "run"), why))
	}
	regrouped, excluded, most, points := 0, 0, 1, map[int]int{}
	for i := range cs.Curves {
		regrouped += cs.Curves[i].Regroup
		excluded += len(cs.Curves[i].Excluded)
		for _, p := range cs.Curves[i].Points {
			points[p.Seeds]++
			most = max(most, p.Seeds)
		}
	}
	if regrouped > 0 {
		notes = append(notes, fmt.Sprintf("%d learning rates are two roundings of one value in their cell: the better run counts, as written", regrouped))
	}
	if most > 1 {
		note := fmt.Sprintf("at each learning rate the mean over %d seeds counts", most)
		for seeds := 1; seeds < most; seeds++ {
			if points[seeds] > 0 {
				note += fmt.Sprintf(", at %d over %d", points[seeds], seeds)
			}
		}
		notes = append(notes, note)
	}
	if excluded > 0 {
		notes = append(notes, countOf(excluded, "run")+" excluded by hand")
	}
	return notes
}
