package session

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/trainer/rundir"
)

// View is the sweep as a table to read.
func (s Sweep) View() View {
	if s.foreign() {
		return View{Table: s.Table}
	}
	columns := []string{"d_model", "layers", "N", "D", "lr", "state", "step", "val_loss", "val_se"}
	for _, c := range []string{"part", "rule"} {
		if s.Column(c) != nil {
			columns = append([]string{c}, columns...)
		}
	}
	return View{Table: s.Table, Columns: columns}
}

// Group is the runs of a sweep that differ in their learning rate alone.
type Group struct {
	Name string  // "98.7k parameters, 205k tokens"
	N, D float64 // parameters and tokens, as Name has them
	Runs []int   // in Sweep.Runs
	Best int     // of Runs, the finished one with the lowest loss; -1: none yet
}

// Groups lists the shapes and horizons of a sweep.
func (s Sweep) Groups() []Group {
	var out []Group
	index := map[string]int{}
	for i := range s.Runs {
		group := s.Runs[i].group()
		name := group.Name
		if part := s.Runs[i].Part; part != "" {
			name += ", " + part
			group.Name = name
		}
		g, ok := index[name]
		if !ok {
			g = len(out)
			index[name] = g
			out = append(out, group)
		}
		out[g].Runs = append(out[g].Runs, i)
		if st := s.Runs[i].Status; st.State == rundir.Finished && isFinite(float64(st.Val)) && (out[g].Best < 0 || st.Val < s.Runs[out[g].Best].Status.Val) {
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
		n := r.Total()
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

// GroupState is how far a group is.
type GroupState struct {
	Over  int     // runs that ended, however they did
	Share float64 // of the tokens of its runs
	Live  bool    // one of them trains or is paused
}

// Over counts the runs that ended, however they did.
func (s Sweep) Over() int {
	n := 0
	for _, r := range s.Runs {
		if ended(r.Status.State) {
			n++
		}
	}
	return n
}

func ended(st rundir.State) bool {
	return st == rundir.Finished || st == rundir.Diverged || st == rundir.Stopped || st == rundir.Failed
}

// LineName is what a run is called among those of its group.
func (r *SweepRun) LineName() string {
	if r.Line != "" {
		return r.Line
	}
	return number.Eta(r.LR(), 3)
}

// State says how far a group is.
func (s Sweep) State(g Group) GroupState {
	var out GroupState
	part := Sweep{}
	for _, i := range g.Runs {
		part.Runs = append(part.Runs, s.Runs[i])
		st := s.Runs[i].Status.State
		out.Live = out.Live || st == rundir.Running || st == rundir.Paused
	}
	out.Over = part.Over()
	out.Share = part.Progress().Share
	return out
}

// Training is the first of the groups in which a run trains; the first where none does.
func (s Sweep) Training(groups []Group) int {
	for k, g := range groups {
		for _, i := range g.Runs {
			if s.Runs[i].Status.State == rundir.Running {
				return k
			}
		}
	}
	return 0
}

// Forming is the loss against η of a group as far as it is known: a curve of the
// finished and diverged runs, and apart from it the training losses at which the
// others stand, which are not final and not the losses on held-out text.
func (s Sweep) Forming(g Group) (c fitting.Curve, open []fitting.Point) {
	c.Key = fitting.Key{N: g.N, D: g.D}
	for _, i := range g.Runs {
		r := &s.Runs[i]
		p := fitting.Point{LR: r.LR(), B: r.batch(), Row: i}
		switch r.Status.State {
		case rundir.Finished:
			p.Loss, p.InWindow = float64(r.Status.Val), true
			c.Points = append(c.Points, p)
		case rundir.Diverged:
			p.Loss = math.Inf(1)
			c.Diverged = append(c.Diverged, p)
		default:
			if p.Loss = lastFinite(r.Losses); !math.IsNaN(p.Loss) {
				open = append(open, p)
			}
		}
	}
	byRate := func(a, b fitting.Point) int { return cmp.Compare(a.LR, b.LR) }
	slices.SortStableFunc(c.Points, byRate)
	slices.SortStableFunc(c.Diverged, byRate)
	slices.SortStableFunc(open, byRate)
	c.Runs = len(g.Runs)
	return c, open
}

func isFinite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func lastFinite(y []float64) float64 {
	for _, v := range slices.Backward(y) {
		if isFinite(v) {
			return v
		}
	}
	return math.NaN()
}

// Card is the GPU that a run trains on now, and its name; nil when none trains on one.
func (s Sweep) Card() (card *rundir.Card, name string) {
	for i := range s.Runs {
		if st := &s.Runs[i].Status; st.State == rundir.Running && st.Card != nil {
			name = strings.TrimPrefix(st.Device, "cuda/")
			name, _, _ = strings.Cut(name, "/")
			return st.Card, strings.TrimPrefix(name, "NVIDIA ")
		}
	}
	return nil, ""
}

// Smooth is the running median of y over about n points, those around each; towards
// the ends it takes as many on either side as there are, so the last value stays as it
// is. What is not finite stays, and counts for no other. y itself is not changed.
func Smooth(y []float64, n int) []float64 {
	out := slices.Clone(y)
	if n < 2 {
		return out
	}
	var near []float64
	for i, v := range y {
		if !isFinite(v) {
			continue
		}
		half := min(n/2, i, len(y)-1-i)
		near = near[:0]
		for _, u := range y[i-half : i+half+1] {
			if isFinite(u) {
				near = append(near, u)
			}
		}
		slices.Sort(near)
		k := len(near) / 2
		out[i] = near[k]
		if len(near)%2 == 0 {
			out[i] = near[k-1]/2 + near[k]/2
		}
	}
	return out
}

// maxRates is how many places of a schedule are drawn.
const maxRates = 256

// Rates is the learning rate of a run over its tokens, thinned for drawing; nothing
// for a run whose schedule is none.
func (r *SweepRun) Rates() (tokens, rates []float64) {
	if r.Foreign != nil {
		return nil, nil // what it logged of its schedule is in its log
	}
	c, err := r.Config.Curve()
	if err != nil || c.Steps < 1 {
		return nil, nil
	}
	batch := float64(r.Config.BatchTokens())
	n := min(c.Steps, maxRates)
	at := make([]int64, 0, n+4)
	for k := range n {
		at = append(at, int64(float64(c.Steps-1)*float64(k)/float64(max(n-1, 1))))
	}
	for _, k := range []int64{c.Warmup - 1, c.Warmup, c.Stable - 1, c.Stable} { // the corners
		if k >= 0 && k < c.Steps {
			at = append(at, k)
		}
	}
	slices.Sort(at)
	for _, k := range slices.Compact(at) {
		tokens = append(tokens, float64(k)*batch)
		rates = append(rates, c.LR(k))
	}
	return tokens, rates
}

// Measured says that the losses are a table's: there are no runs to train or to follow.
func (s Sweep) Measured() bool { return s.Watched && s.Dir == "" }
