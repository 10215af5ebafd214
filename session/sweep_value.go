package session

import (
	"math"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/trainer/rundir"
)

// View is the sweep as a table to read.
func (s Sweep) View() View {
	return View{Table: s.Table, Columns: []string{"d_model", "layers", "N", "D", "lr", "state", "step", "val_loss", "val_se"}}
}

// Group is the runs of a sweep that differ in their learning rate alone.
type Group struct {
	Name string // "98.7k parameters, 205k tokens"
	Runs []int  // in Sweep.Runs
	Best int    // of Runs, the finished one with the lowest loss; -1: none yet
}

// Groups lists the shapes and horizons of a sweep.
func (s Sweep) Groups() []Group {
	var out []Group
	index := map[string]int{}
	for i := range s.Runs {
		r := s.Runs[i].Config
		name := r.Shape.Name() + ", " + fitting.FormatCount(float64(r.Shape.Params().WithoutVocabulary)) + " parameters, " +
			fitting.FormatCount(float64(r.TrainedTokens())) + " tokens"
		if r.Seed != 0 {
			name += ", seed " + fitting.FormatCount(float64(r.Seed))
		}
		g, ok := index[name]
		if !ok {
			g = len(out)
			index[name] = g
			out = append(out, Group{Name: name, Best: -1})
		}
		out[g].Runs = append(out[g].Runs, i)
		if st := s.Runs[i].Status; st.State == rundir.Finished && (out[g].Best < 0 || st.Val < s.Runs[out[g].Best].Status.Val) {
			out[g].Best = i
		}
	}
	return out
}

// Progress is how far a sweep is.
type Progress struct {
	Share float64 // of the tokens of all runs; what ended early counts as done
	Rate  float64 // tokens a second of what trains now
	Left  float64 // seconds at that rate; NaN when nothing trains
}

// Progress sums over the runs.
func (s Sweep) Progress() Progress {
	var p Progress
	done, all := 0.0, 0.0
	for _, r := range s.Runs {
		n := float64(r.Config.TrainedTokens())
		all += n
		switch st := r.Status; st.State {
		case rundir.Finished, rundir.Diverged, rundir.Stopped, rundir.Failed:
			done += n
		case rundir.Running:
			done += float64(st.Tokens)
			p.Rate += float64(st.Rate)
		default:
			done += float64(st.Tokens)
		}
	}
	p.Share, p.Left = 1, math.NaN()
	if all > 0 {
		p.Share = done / all
	}
	if p.Rate > 0 {
		p.Left = (all - done) / p.Rate
	}
	return p
}

// maxCurve is how many points of a loss curve a sweep carries for drawing.
const maxCurve = 512

// readCurve reads the training losses of a run, thinned evenly.
func (r *SweepRun) readCurve() {
	events, _, err := rundir.ReadEvents(r.Dir)
	if err != nil {
		return // the status is there all the same
	}
	step := max(1, len(events)/maxCurve)
	for i := 0; i < len(events); i += step {
		r.Tokens = append(r.Tokens, float64(events[i].Tokens))
		r.Losses = append(r.Losses, float64(events[i].Loss))
	}
}
