package session

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"github.com/etastar/etastar/session/table"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/rundir"
)

// measuredRun tells the runs of a table apart, but for η.
type measuredRun struct {
	dModel, layers, experts, topK, params, tokens, batch, seed float64
	rule                                                       string
}

func measuredKey(r config.Run) measuredRun {
	s := r.Shape
	return measuredRun{
		float64(s.DModel), float64(s.Layers), float64(s.Experts), float64(s.TopK), float64(s.Params().Total),
		float64(r.TrainedTokens()), float64(r.BatchTokens()), float64(r.Seed), r.Rule,
	}
}

// sameEta is how far two logarithms of one η may be apart: a predicted η is rounded to four
// digits, the last of which may differ between processors.
const sameEta = 2e-3

// measuredRuns are what was measured at each η.
type measuredRuns map[measuredRun][]measuredPoint

type measuredPoint struct{ lnLR, loss, se float64 }

// readMeasured reads a table with the columns of a sweep's. Without a column rule all runs
// are of the standard parametrization.
func readMeasured(t *table.Table) (measuredRuns, error) {
	names := []string{"d_model", "layers", "experts", "top_k", "N_total", "D", "batch_tokens", "seed", "lr", "val_loss", "val_se"}
	columns := make([]*table.Column, len(names))
	for k, name := range names {
		if columns[k] = t.Column(name); columns[k] == nil || columns[k].Kind != table.Number {
			return nil, errParam{"measured", hinted{fmt.Errorf("the table has no column %s of numbers", name), "it takes what export --csv writes of the statement where it trained"}}
		}
	}
	rule := t.Column("rule")
	out := measuredRuns{}
	for i := range t.Rows {
		at := func(k int) float64 { return columns[k].Value(i) }
		if table.IsMissing(at(9)) {
			continue
		}
		k := measuredRun{at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7), config.SP}
		if rule != nil {
			k.rule = rule.String(i)
		}
		out[k] = append(out[k], measuredPoint{math.Log(at(8)), at(9), at(10)})
	}
	return out, nil
}

func (m measuredRuns) of(r config.Run) (measuredPoint, bool) {
	for _, p := range m[measuredKey(r)] {
		if math.Abs(p.lnLR-math.Log(r.LR)) < sameEta {
			return p, true
		}
	}
	return measuredPoint{loss: math.NaN()}, false
}

// replay is the contest on losses that were measured before. Its runs are looked at only.
func (k *contest) replay(c *Call) (Value, error) {
	t, _ := asTable(c.Input("measured"))
	known, err := readMeasured(t)
	if err != nil {
		return nil, err
	}
	study, err := k.settle(func(r config.Run) (float64, bool) {
		p, over := known.of(r)
		return p.loss, over
	})
	if err != nil {
		return nil, err
	}
	s := Sweep{Watched: true, Device: c.Text("device")}
	s.Facts.Description = filepath.Base(t.Source)
	var lacks []string
	trunks := trunksOf(k.proxies)
	for _, r := range k.runs() {
		run := SweepRun{Config: r}
		p, over := known.of(r)
		switch {
		case trunks[r.Name()]:
			continue // it has no loss of its own
		case !over:
			lacks = append(lacks, fmt.Sprintf("%s at η %s on %d tokens, seed %d, rule %s", r.Shape.Name(), config.ShortLR(r.LR), r.TrainedTokens(), r.Seed, r.Rule))
		case math.IsInf(p.loss, 0):
			run.Status.State = rundir.Diverged
		default:
			run.Status.State, run.Status.Val, run.Status.ValSE = rundir.Finished, rundir.Number(p.loss), rundir.Number(p.se)
			run.Status.Step, run.Status.Steps, run.Status.Tokens = r.Steps(), r.Steps(), r.TrainedTokens()
		}
		s.Runs = append(s.Runs, run)
		s.Cost.Runs++
		tokens := newTokens(r)
		s.Cost.Tokens += tokens
		s.Cost.FLOPs += tokens * r.Shape.FLOPs().Compute
	}
	if n := len(lacks); n > 0 {
		lacks = lacks[:min(n, 3)]
		missing := fmt.Errorf("the table lacks %d of %d runs: %s", n, len(s.Runs), strings.Join(lacks, "; "))
		if study == nil {
			return nil, errParam{"measured", hinted{missing, "the statement must be the one that was trained"}}
		}
		c.Note(missing.Error())
	}
	k.label(&s)
	s.Study, s.Table = study, sweepTable(s.Runs)
	c.Note(study.Summary(), fmt.Sprintf("%s, measured before: %s", countOf(len(s.Runs), "run"), s.Facts.Description))
	return s, nil
}
