package importers

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/etastar/etastar/session/table"
)

// metrics adds what runs measured to the grid.
type metrics struct {
	final      final
	configured bool
	config     map[string]int
	loss       bool     // there is one
	dropped    []string // losses that final does not take
	peaks      []string // learning rates taken from histories
	lasts      []string
	noCurve    int // runs with losses of which only the last is known
	ends       map[float64]bool
	early      []string
	short      int // runs that ended before their planned steps
	stepName   string
}

func (m *metrics) add(g *grid, row int, r *run) error {
	bare := false
	curves := map[string]*cell{}
	for k := range r.metrics {
		curves[r.metrics[k].name] = &r.metrics[k]
	}
	// The summary's columns come first: its numbers are in full precision, those
	// of a log may be rounded.
	for _, list := range [][]cell{r.summary, r.metrics} {
		for k := range list {
			c := &list[k]
			if h := curves[c.name]; h != nil && h != c {
				continue // the history knows more
			}
			name := c.name
			role := m.final.role(name)
			switch {
			case c.isText:
			case role == table.RoleLoss && !m.final.takes(name):
				remember(&m.dropped, name)
				continue
			case role == table.RoleLoss && !c.curve && !m.final.fromSummary():
				bare = true
				continue
			case role == table.RoleLoss:
				m.loss = true
				if c.early != "" && len(m.early) < 100 {
					m.early = append(m.early, fmt.Sprintf("%s of %s at step %s", strconv.Quote(cut(c.name)), r.name, c.early))
				}
			case role == table.RoleLR && (m.configured || !c.curve):
				name = "last/" + name
				c.value = c.last
				remember(&m.lasts, c.name)
			case role == table.RoleLR && c.curve:
				remember(&m.peaks, c.name)
			}
			if _, taken := m.config[name]; taken {
				name = "metrics/" + name
			}
			if !c.isText && slices.Index(steps, table.Fold(c.name)) == 0 {
				m.stepName = c.name
				if m.ends == nil {
					m.ends = map[float64]bool{}
				}
				m.ends[c.value] = true
				if r.planned() > c.value {
					m.short++
				}
			}
			if err := g.set(row, name, c); err != nil {
				return err
			}
		}
	}
	if bare {
		m.noCurve++
	}
	return nil
}

// planned returns the steps that a run was to take, by its configuration, or 0.
func (r *run) planned() float64 {
	for _, name := range []string{"max_steps", "max_iters", "total_steps", "num_steps", "train_steps", "train_iters", "num_train_steps", "num_iterations"} {
		for _, c := range r.config {
			if (c.name == name || c.name == "config/"+name) && !c.isText {
				return c.value
			}
		}
	}
	return 0
}

func remember(list *[]string, name string) {
	name = strconv.Quote(cut(name))
	if len(*list) < 100 && !slices.Contains(*list, name) {
		*list = append(*list, name)
	}
}

func (m *metrics) notes(runs int) []string {
	what := "runs, a row each"
	if runs == 1 {
		what = "run"
	}
	notes := []string{fmt.Sprintf("%d %s", runs, what)}
	if m.loss {
		notes = append(notes, m.final.note())
	}
	if len(m.dropped) > 0 {
		notes = append(notes, fmt.Sprintf("losses on training data are left out: %s", some(m.dropped)))
	}
	if len(m.early) > 0 {
		notes = append(notes, "curves that end long before their run: "+some(m.early))
	}
	if m.noCurve > 0 {
		notes = append(notes, fmt.Sprintf("%d runs have a summary and no curve: it holds last values, so final=%s leaves their loss blank", m.noCurve, m.final.how))
	}
	if len(m.peaks) > 0 {
		notes = append(notes, "no configuration has a learning rate: it is the greatest value of its history, "+some(m.peaks))
	}
	if len(m.lasts) > 0 {
		notes = append(notes, "learning rates that runs logged are of the schedule and become last/…: "+some(m.lasts))
	}
	if m.short > 0 {
		notes = append(notes, fmt.Sprintf("%d of %d runs end before the steps that their configuration plans: their losses are not those of finished runs; unfinished=predicted continues their curves", m.short, runs))
	}
	if len(m.ends) > 1 {
		ends := slices.Sorted(maps.Keys(m.ends))
		notes = append(notes, fmt.Sprintf("the runs end at different steps, from %s to %s (column %s): some may be unfinished",
			table.FormatNumber(ends[0]), table.FormatNumber(ends[len(ends)-1]), strconv.Quote(m.stepName)))
	}
	return notes
}
