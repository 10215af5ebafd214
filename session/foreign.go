package session

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/table"
	"github.com/etastar/etastar/trainer/rundir"
)

// Foreign is a run that another program trains, as far as it is known: there is no
// configuration of ours behind it.
type Foreign struct {
	Name  string
	LR    float64 // 0: not known
	N     float64 // parameters; 0: not known
	Total float64 // tokens, or steps, at the end; 0: not known
	Batch float64 // tokens of a step; 0: not known
	Group string  // what it shares with runs that differ in their learning rate alone
}

// Name names a run within its sweep.
func (r *SweepRun) Name() string {
	if r.Foreign != nil {
		return r.Foreign.Name
	}
	return r.Config.Name()
}

// LR is the peak learning rate; 0 where it is not known.
func (r *SweepRun) LR() float64 {
	if r.Foreign != nil {
		return r.Foreign.LR
	}
	return r.Config.LR
}

// Total is the tokens at the run's end. Of another program's run whose horizon is not
// known it is what was trained so far.
func (r *SweepRun) Total() float64 {
	if f := r.Foreign; f != nil {
		return max(f.Total, float64(r.Status.Tokens))
	}
	return float64(r.Config.TrainedTokens())
}

// Unit is what Tokens count: steps where it is not known how many tokens one takes.
func (r *SweepRun) Unit() string {
	if r.Foreign != nil && r.Foreign.Batch == 0 {
		return "steps"
	}
	return "tokens"
}

// batch is the tokens of an optimizer step.
func (r *SweepRun) batch() float64 {
	if r.Foreign != nil {
		return r.Foreign.Batch
	}
	return float64(r.Config.BatchTokens())
}

// group names what the run shares with those that differ in their learning rate alone.
func (r *SweepRun) group() Group {
	g := Group{D: r.Total(), Best: -1}
	if f := r.Foreign; f != nil {
		g.Name, g.N, g.D = f.Group, f.N, f.Total
		return g
	}
	c := &r.Config
	g.N = float64(c.Shape.Params().WithoutVocabulary)
	g.Name = c.Shape.Name() + ", " + fitting.FormatCount(g.N) + " parameters, " + fitting.FormatCount(g.D) + " tokens"
	if c.Seed != 0 {
		g.Name += ", seed " + fitting.FormatCount(float64(c.Seed))
	}
	return g
}

// commandRun is a run directory of a command as a run of a sweep.
func commandRun(s rundir.Summary) SweepRun {
	c := s.Command
	f := &Foreign{Name: s.Name, LR: c.Value("lr"), Total: c.Tokens, Batch: c.Batch}
	var parts []string
	for _, v := range c.Values {
		switch {
		case v.Name == "lr":
			continue
		case strings.EqualFold(v.Name, "n"), v.Name == "parameters":
			f.N = v.V
		}
		parts = append(parts, v.Name+" "+fitting.FormatCount(v.V))
	}
	if f.Group = strings.Join(parts, ", "); f.Group == "" {
		f.Group = "one shape"
	}
	if f.Batch == 0 && f.Total > 0 {
		f.Total = 0 // steps are all that is known of how far it is
	}
	r := SweepRun{Foreign: f}
	if s.Started && s.Problem == "" {
		r.Dir, r.Status, r.Stale = s.Dir, s.Status, s.Stale
		r.readCurve()
	}
	return r
}

// commandTable has a row for each run of commands: the values of the grid and what
// became of it.
func commandTable(runs []SweepRun, commands []*rundir.Command) *table.Table {
	t := &table.Table{Rows: len(runs), Source: "sweep", Roles: table.Roles{}}
	names := make([]string, len(runs))
	states := make([]string, len(runs))
	var columns []*table.Column
	column := func(name string) *table.Column {
		for _, c := range columns {
			if c.Name == name {
				return c
			}
		}
		c := &table.Column{Name: name, Numbers: slices.Repeat([]float64{table.Missing}, len(runs))}
		columns = append(columns, c)
		return c
	}
	for i := range runs {
		r, st := &runs[i], &runs[i].Status
		names[i], states[i] = r.Name(), string(st.State)
		for _, v := range commands[i].Values {
			column(v.Name).Numbers[i] = v.V
		}
		if commands[i].Tokens > 0 {
			column("tokens").Numbers[i] = commands[i].Tokens
		}
		if commands[i].Batch > 0 {
			column("batch_tokens").Numbers[i] = commands[i].Batch
		}
		column("step").Numbers[i] = float64(st.Step)
		switch st.State {
		case rundir.Finished:
			column("loss").Numbers[i] = micro(float64(st.Val))
		case rundir.Diverged:
			column("loss").Numbers[i] = math.Inf(1)
		default:
			column("loss")
		}
	}
	t.Columns = append(append([]*table.Column{textColumn(nameOfRuns, names)}, columns...), textColumn("state", states))
	for role, name := range map[table.Role]string{
		table.RoleN: "N", table.RoleD: "tokens", table.RoleBatch: "batch_tokens", table.RoleLR: "lr", table.RoleLoss: "loss",
	} {
		if c := t.Column(name); c != nil && c.Name == name {
			t.Roles[role] = table.RoleSource{Column: name, Given: true}
		}
	}
	return t
}

const nameOfRuns = "run"

// foreignNotes says what is planned and how far it is, of runs of other programs.
func (s Sweep) foreignNotes() []string {
	tally := map[rundir.State]int{}
	for i := range s.Runs {
		tally[s.Runs[i].Status.State]++
	}
	if s.Started() == 0 {
		return []string{countOf(len(s.Runs), "run"), "nothing runs yet: start it", "first: " + s.Facts.Description}
	}
	notes := append([]string{countOf(len(s.Runs), "run") + ": " + tallyStates(tally)}, s.reasons()...)
	if n := s.Finished(); n < len(s.Runs) {
		notes = append(notes, fmt.Sprintf("provisional: %d of %d runs are over; the others have no loss yet", n, len(s.Runs)))
	}
	return notes
}
