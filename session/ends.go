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

// logged is what one run logged of a quantity: steps increase, values are finite.
type logged struct {
	step, value []float64
	diverged    bool // the last value is not finite
}

func (l *logged) last() float64 {
	if len(l.step) == 0 {
		return 0
	}
	return l.step[len(l.step)-1]
}

// at interpolates, and holds the ends.
func (l *logged) at(step float64) float64 {
	i, found := slices.BinarySearch(l.step, step)
	switch {
	case found || i == 0:
		return l.value[min(i, len(l.value)-1)]
	case i == len(l.step):
		return l.value[i-1]
	}
	t := (step - l.step[i-1]) / (l.step[i] - l.step[i-1])
	return l.value[i-1]*(1-t) + l.value[i]*t
}

// loggedOf makes a curve increase: where a run was restarted, its last account counts.
func loggedOf(c importers.Curve) logged {
	var l logged
	for i, s := range c.Step {
		for len(l.step) > 0 && l.last() >= s {
			l.step, l.value = l.step[:len(l.step)-1], l.value[:len(l.value)-1]
		}
		l.diverged = !isFinite(c.Value[i])
		if s > 0 && !l.diverged {
			l.step, l.value = append(l.step, s), append(l.value, c.Value[i])
		}
	}
	return l
}

// unfinishedRun is a run of a table with what is known of its curve.
type unfinishedRun struct {
	planned float64
	losses  map[string]logged // by column
	lr      logged
}

func (r *unfinishedRun) last() float64 {
	last := 0.0
	for _, l := range r.losses {
		last = max(last, l.last())
	}
	return last
}

func (r *unfinishedRun) finished() bool { return r.planned > 0 && r.last() >= 0.999*r.planned }

// gatherRuns sorts the curves of runs by row.
func gatherRuns(r *importers.Runs) []unfinishedRun {
	runs := make([]unfinishedRun, r.Table.Rows)
	for i := range runs {
		runs[i].losses = map[string]logged{}
		if i < len(r.Planned) {
			runs[i].planned = r.Planned[i]
		}
	}
	for _, c := range r.Curves {
		role, ok := table.MatchRole(c.Name)
		switch {
		case !ok || c.Row >= len(runs):
		case role == table.RoleLoss && r.Table.Column(c.Name) != nil:
			runs[c.Row].losses[r.Table.Column(c.Name).Name] = loggedOf(c)
		case role == table.RoleLR && len(runs[c.Row].lr.step) == 0:
			runs[c.Row].lr = loggedOf(c)
		}
	}
	return runs
}

// predictEnds replaces the losses of runs that ended before the steps they planned by
// the predicted ends of their curves, and says so in columns: "predicted" has the law
// and how much was seen, "… low" and "… high" the 95% interval of a loss.
func predictEnds(r *importers.Runs) *table.Table {
	runs := gatherRuns(r)
	t := *r.Table
	t.Columns, t.Notes = slices.Clone(t.Columns), slices.Clone(t.Notes)
	words := make([]string, t.Rows)
	var failed []string
	predicted, unfinished := 0, 0
	for k, c := range t.Columns {
		var low, high []float64
		for i := range runs {
			run := &runs[i]
			l, ok := run.losses[c.Name]
			if !ok || run.planned == 0 || run.finished() || l.diverged {
				continue
			}
			if c.Kind != table.Number {
				failed = append(failed, fmt.Sprintf("%s of %s: some run has a word for it, so the column is text", c.Name, rowName(&t, i)))
				continue
			}
			end, err := run.predict(l, runs, c.Name)
			if err != nil {
				failed = append(failed, fmt.Sprintf("%s of %s: %v", c.Name, rowName(&t, i), err))
				continue
			}
			if low == nil {
				d := *c
				d.Numbers = slices.Clone(c.Numbers)
				c = &d
				low, high = slices.Repeat([]float64{table.Missing}, t.Rows), slices.Repeat([]float64{table.Missing}, t.Rows)
			}
			c.Numbers[i], low[i], high[i] = micro(end.Loss), micro(end.Low), micro(end.High)
			words[i] = fmt.Sprintf("%s law, %s seen", end.Law, fitting.FormatPercent(end.Seen))
			if len(end.Warnings) > 0 {
				words[i] += "; " + strings.Join(end.Warnings, "; ")
			}
		}
		if low != nil {
			t.Columns[k] = c
			t.Columns = append(t.Columns, &table.Column{Name: c.Name + " low", Numbers: low}, &table.Column{Name: c.Name + " high", Numbers: high})
		}
	}
	for i := range runs {
		if runs[i].planned > 0 && !runs[i].finished() {
			unfinished++
		}
		if words[i] != "" {
			predicted++
		}
	}
	if unfinished == 0 {
		t.Notes = append(t.Notes, "no run ended before the steps it planned: nothing is predicted")
		return &t
	}
	t.Columns = append(t.Columns, textColumn("predicted", words))
	t.Notes = append(t.Notes, fmt.Sprintf("%d of %d runs ended before the steps they planned; %d have the predicted end of their curve as loss, with its 95%% interval in the columns … low and … high (column predicted says how)",
		unfinished, t.Rows, predicted))
	if len(failed) > 0 {
		const most = 3
		more := ""
		if len(failed) > most {
			more = fmt.Sprintf("; and %d more", len(failed)-most)
		}
		t.Notes = append(t.Notes, "not predicted, and still the last loss logged: "+strings.Join(failed[:min(most, len(failed))], "; ")+more)
	}
	return &t
}

func rowName(t *table.Table, i int) string {
	if c := importers.NameColumn(t); c != nil && c.Kind == table.Text {
		return c.String(i)
	}
	return fmt.Sprintf("row %d", i+1)
}

func textColumn(name string, words []string) *table.Column {
	c := &table.Column{Name: name, Kind: table.Text, Words: []string{""}}
	for _, w := range words {
		k := slices.Index(c.Words, w)
		if k < 0 {
			k = len(c.Words)
			c.Words = append(c.Words, w)
		}
		c.Codes = append(c.Codes, uint32(k))
	}
	return c
}

// predict continues one curve. What the decay brings is taken from finished runs of
// the same schedule where the curve does not show it.
func (r *unfinishedRun) predict(l logged, all []unfinishedRun, name string) (*fitting.End, error) {
	curve := fitting.LossCurve{Step: l.step, Loss: l.value}
	o := fitting.EndOptions{End: r.planned, LR: r.schedule(all)}
	end, err := fitting.PredictEnd(curve, o)
	if !errors.Is(err, fitting.ErrNoDecay) {
		return end, err
	}
	o.Drop, o.DropSE = r.dropOf(all, name)
	return fitting.PredictEnd(curve, o)
}

// peak is the largest learning rate logged, and where the warm-up to it ended.
func (l *logged) peak() (step, value float64) {
	for i, v := range l.value {
		if v > value*(1+1e-6) {
			step, value = l.step[i], v
		}
	}
	return step, value
}

// sameShape reports whether f is what l logged, up to a factor of the peaks.
func (l *logged) sameShape(f func(float64) float64, peak float64) bool {
	_, own := l.peak()
	if !(own > 0) || !(peak > 0) || len(l.step) < 3 {
		return false
	}
	for i, s := range l.step {
		if math.Abs(l.value[i]/own-f(s)/peak) > 0.02 {
			return false
		}
	}
	return true
}

// schedule is the learning rate over all planned steps: that of a finished run whose
// schedule began alike, or a usual one that what was logged agrees with. nil: unknown.
func (r *unfinishedRun) schedule(all []unfinishedRun) func(float64) float64 {
	warm, peak := r.lr.peak()
	if !(peak > 0) {
		return nil
	}
	for i := range all {
		o := &all[i]
		if _, op := o.lr.peak(); o.finished() && o.planned == r.planned && o.lr.last() >= 0.98*o.planned && r.lr.sameShape(o.lr.at, op) {
			return func(s float64) float64 { return o.lr.at(s) * peak / op }
		}
	}
	// Where it starts to fall before it is cut off tells cosine from linear. A rate that
	// has stayed as it is may still decay: then nothing is known.
	if final := r.lr.value[len(r.lr.value)-1]; final > 0.98*peak {
		return nil
	}
	for _, floor := range []float64{0, 0.1, 0.01} {
		for _, shape := range []func(t float64) float64{
			func(t float64) float64 { return (1 + math.Cos(math.Pi*t)) / 2 },
			func(t float64) float64 { return 1 - t },
		} {
			f := func(s float64) float64 {
				if s < warm {
					return r.lr.at(s)
				}
				t := min((s-warm)/(r.planned-warm), 1)
				return peak * (floor + (1-floor)*shape(t))
			}
			if r.lr.sameShape(f, peak) {
				return f
			}
		}
	}
	return nil
}

// dropOf is what the decay took off the loss of finished runs of the same schedule:
// the mean and the standard deviation. One run alone is trusted to a third.
func (r *unfinishedRun) dropOf(all []unfinishedRun, name string) (mean, sd float64) {
	var drops []float64
	_, own := r.lr.peak()
	for i := range all {
		o := &all[i]
		l, ok := o.losses[name]
		_, peak := o.lr.peak()
		if !ok || !o.finished() || l.diverged || o.planned != r.planned || !r.lr.sameShape(o.lr.at, peak) {
			continue
		}
		decay := slices.IndexFunc(l.step, func(s float64) bool { w, _ := o.lr.peak(); return s > w && o.lr.at(s) < 0.99*peak })
		if decay < 0 {
			continue
		}
		plateau, err := fitting.PredictEnd(fitting.LossCurve{Step: l.step[:decay], Loss: l.value[:decay]},
			fitting.EndOptions{End: o.planned, Law: fitting.EndPower, LR: o.lr.at})
		if err == nil {
			// By both laws of the decay it takes off in proportion to the learning rate.
			drops = append(drops, (plateau.Loss-l.value[len(l.value)-1])*own/peak)
		}
	}
	for _, d := range drops {
		mean += d / float64(len(drops))
	}
	for _, d := range drops {
		sd += (d - mean) * (d - mean) / float64(max(1, len(drops)-1))
	}
	return mean, max(math.Sqrt(sd), math.Abs(mean)/3/math.Sqrt(float64(max(1, len(drops)))))
}
