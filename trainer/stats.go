package trainer

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"gonum.org/v1/gonum/mat"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/mup"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/model"
	"github.com/etastar/etastar/trainer/rundir"
)

// Stats are the statistics of a run at a step: module → statistic → value. Over several
// layers a root mean square is that of all of them, other values are means, and what is
// called a maximum is the largest.
//
//	act_rms, act_abs   root mean square and mean absolute value of the module's output; of
//	                   queries, keys, values and logits, for the first tokens of a batch
//	grad_rms           of its gradient, before clipping
//	weight_rms         of its weights after the step
//	update_ratio       RMS of what the step added over weight_rms
//	change             ‖W − W₀‖/‖W₀‖, W₀ the initial value
//	rank, update_rank  effective rank of weights and update of the middle layer over the
//	                   rows it is computed from: exp of the entropy of the normalised
//	                   singular values (Roy and Vetterli 2007, definition 1)
//	max_logit          of attn_logits: the largest scaled q·k
//	entropy            of the router: −Σ p·ln p of a token over ln E
//	balance            of the router: the largest expert's share of the tokens over 1/E
//
// "layer.3" has the act_rms of the residual stream behind the fourth layer, "residual" its
// values behind the last.
type Stats map[string]map[string]rundir.Number

func (s Stats) set(module mup.Module, stat string, v float64) {
	m := s[string(module)]
	if m == nil {
		m = map[string]rundir.Number{}
		s[string(module)] = m
	}
	m[stat] = rundir.Number(v)
}

// statsInterval is the fewest optimizer steps between statistics that nobody asked for. It
// keeps them under 3% of the time of a small run on a fast card, where an observation takes
// about as long as two steps.
const statsInterval = 80

// StatsEvery is the number of optimizer steps between a run's statistics, 0 for none:
// where nothing else is asked for, forty times a run, and no more often than every
// 80 steps; of fewer than 160 steps twice.
func StatsEvery(r config.Run) int64 {
	switch k := r.Keep.StatsEvery; {
	case k < 0:
		return 0
	case k > 0:
		return k
	}
	return min(max(statsInterval, r.Steps()/40), max(1, r.Steps()/2))
}

// statsAt reports whether a run has statistics of a step.
func statsAt(r config.Run, step int64) bool {
	every := StatsEvery(r)
	return every > 0 && step%every == 0
}

// observes reports whether the step that comes is one whose statistics a run wants.
func (g *Group) observes(step int64) bool {
	return g.Model.Observed != nil && slices.ContainsFunc(g.Runs, func(r *Member) bool {
		return r.Active && r.every > 0 && (step+1)%r.every == 0
	})
}

// Stats reads what the last step of some runs left, if that step was observed; nil
// otherwise. It must be asked for before the group does anything else.
func (g *Group) Stats(runs ...int) ([]Stats, error) {
	if g.observed != g.step || g.step == 0 {
		return make([]Stats, len(runs)), nil
	}
	var all []Stats
	var ranks []*rank
	for _, run := range runs {
		s := Stats{}
		for _, read := range []func(int, Stats) error{g.tensorStats, g.routerStats, g.logitStats} {
			if err := read(run, s); err != nil {
				return nil, fmt.Errorf("statistics of step %d: %w", g.step, err)
			}
		}
		of, err := g.ranks(run, s)
		if err != nil {
			return nil, fmt.Errorf("statistics of step %d: %w", g.step, err)
		}
		all, ranks = append(all, s), append(ranks, of...)
	}
	// A small run's step on a GPU takes no longer than one rank.
	var next atomic.Int64
	var cores sync.WaitGroup
	for range min(len(ranks), runtime.GOMAXPROCS(0)) {
		cores.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(ranks); i = int(next.Add(1)) - 1 {
				ranks[i].value = effectiveRank(ranks[i].matrix, ranks[i].rows, ranks[i].cols)
			}
		})
	}
	cores.Wait()
	for _, r := range ranks {
		r.of.set(r.module, r.stat, r.value)
	}
	return all, nil
}

func (g *Group) logitStats(run int, s Stats) error {
	logits := make([]float32, g.first.Shape.Layers*g.first.Shape.Heads)
	if err := g.mc.ReadFloats(logits, g.Model.MaxLogit, run); err != nil {
		return err
	}
	s.set(mup.AttnLogits, "max_logit", float64(slices.Max(logits)))
	return nil
}

// sums are Σx² and Σ|x| over n numbers.
type sums struct{ sq, abs, n float64 }

func (a *sums) add(rms, abs, n float64) { a.sq, a.abs, a.n = a.sq+n*rms*rms, a.abs+n*abs, a.n+n }
func (a *sums) rms() float64            { return math.Sqrt(a.sq / a.n) }

func (g *Group) tensorStats(run int, s Stats) error {
	o := g.Model.Observed
	info, _ := g.Model.Space.Info(o.Stats)
	table := make([]float32, info.Len())
	if err := g.mc.ReadFloats(table, o.Stats, run); err != nil {
		return err
	}
	type key struct {
		m mup.Module
		k model.Kind
	}
	all := map[key]*sums{}
	for i, row := range o.Rows {
		rms, abs := float64(table[i*kernels.StatFields]), float64(table[i*kernels.StatFields+1])
		if row.Module == mup.Residual {
			s.set(mup.Module(fmt.Sprintf("layer.%d", row.Layer)), "act_rms", rms)
			if row.Layer < g.first.Shape.Layers-1 {
				continue
			}
		}
		k := key{row.Module, row.Kind}
		if all[k] == nil {
			all[k] = &sums{}
		}
		all[k].add(rms, abs, float64(row.N))
	}
	for k, v := range all {
		switch k.k {
		case model.Activation:
			s.set(k.m, "act_rms", v.rms())
			s.set(k.m, "act_abs", v.abs/v.n)
		case model.Gradient:
			s.set(k.m, "grad_rms", v.rms())
		case model.Weight:
			s.set(k.m, "weight_rms", v.rms())
			s.set(k.m, "update_ratio", all[key{k.m, model.Update}].rms()/v.rms())
			s.set(k.m, "change", all[key{k.m, model.Drift}].rms()/all[key{k.m, model.Start}].rms())
		case model.Update, model.Drift, model.Start:
		}
	}
	return nil
}

func (g *Group) routerStats(run int, s Stats) error {
	o, e := g.Model.Observed, g.first.Shape.Experts
	if e < 2 {
		return nil
	}
	probs, counts := make([]float32, o.SampleRows*e), make([]int32, e)
	entropy, balance := 0.0, 0.0
	for i := range o.Probs {
		if err := g.mc.ReadFloats(probs, o.Probs[i], run); err != nil {
			return err
		}
		if err := g.mc.ReadInts(counts, o.Counts[i], run); err != nil {
			return err
		}
		for _, p := range probs {
			if p > 0 {
				entropy -= float64(p) * math.Log(float64(p))
			}
		}
		total := 0.0
		for _, n := range counts {
			total += float64(n)
		}
		balance = max(balance, float64(slices.Max(counts))/total*float64(e))
	}
	s.set(mup.Router, "entropy", entropy/float64(o.SampleRows*len(o.Probs))/math.Log(float64(e)))
	s.set(mup.Router, "balance", balance)
	return nil
}

// rank is an effective rank to be computed.
type rank struct {
	of         Stats
	module     mup.Module
	stat       string
	matrix     []float32
	rows, cols int
	value      float64
}

// ranks reads the rows that ranks are computed from.
func (g *Group) ranks(run int, s Stats) (list []*rank, err error) {
	o := g.Model.Observed
	info, _ := g.Model.Space.Info(o.Ranks)
	all := make([]float32, info.Len())
	if err := g.mc.ReadFloats(all, o.Ranks, run); err != nil {
		return nil, err
	}
	for _, r := range o.Ranked {
		n, p := r.Rows*r.Cols, &g.Model.Params[r.Param]
		for k, stat := range []string{"rank", "update_rank"} {
			at := r.At + k*n
			list = append(list, &rank{of: s, module: p.Module, stat: stat, matrix: all[at : at+n], rows: r.Rows, cols: r.Cols})
		}
	}
	return list, nil
}

// effectiveRank is that of a matrix over the number of its rows; NaN of zeros.
func effectiveRank(v []float32, rows, cols int) float64 {
	wide := make([]float64, len(v))
	for i, x := range v {
		wide[i] = float64(x)
	}
	var gram mat.SymDense
	gram.SymOuterK(1, mat.NewDense(rows, cols, wide))
	var eig mat.EigenSym
	if !eig.Factorize(&gram, false) {
		return math.NaN()
	}
	sum, entropy := 0.0, 0.0
	values := eig.Values(nil)
	for i, x := range values {
		values[i] = math.Sqrt(max(x, 0))
		sum += values[i]
	}
	for _, x := range values {
		if x > 0 {
			entropy -= x / sum * math.Log(x/sum)
		}
	}
	if sum == 0 {
		return math.NaN()
	}
	return math.Exp(entropy) / float64(rows)
}
