package session

import (
	"math"

	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/rundir"
)

// losses is the final loss of a run; false while it has none. A run that diverged has an
// infinite one.
type losses func(config.Run) (float64, bool)

// lossOf is a run's final loss; ended is false while it has none.
func lossOf(st rundir.Status) (loss float64, ended bool) {
	switch st.State {
	case rundir.Finished:
		return float64(st.Val), true
	case rundir.Diverged:
		return math.Inf(1), true
	}
	return math.NaN(), false
}

// found is a loss that was looked up.
type found struct {
	loss float64
	over bool
}

// losses looks runs up on disk, each once.
func (c *Call) losses() losses {
	known := map[string]found{}
	return func(r config.Run) (float64, bool) {
		h := r.Hash()
		f, ok := known[h]
		if !ok {
			if s, there := rundir.Find(c.runsRoot(), r); there {
				f.loss, f.over = lossOf(s.Status)
			}
			known[h] = f
		}
		return f.loss, f.over
	}
}

// losses are those of the sweep's runs as it holds them.
func (s Sweep) losses() losses {
	known := map[string]found{}
	for _, r := range s.Runs {
		l, over := lossOf(r.Status)
		known[r.Config.Hash()] = found{l, over}
	}
	return func(r config.Run) (float64, bool) {
		f := known[r.Hash()]
		return f.loss, f.over
	}
}

// staged is the sweep of runs that are planned in stages, by the losses of those before.
// plan is called last with the losses that the sweep holds: what it says then and the sweep
// agree, though runs end meanwhile.
func (c *Call) staged(plan func(losses) ([]config.Run, error)) (Sweep, error) {
	l := c.losses()
	for {
		runs, err := plan(l)
		if err != nil {
			return Sweep{}, err
		}
		s, err := c.asSweep(runs)
		if err != nil {
			return Sweep{}, err
		}
		l = s.losses()
		again, err := plan(l)
		if err != nil || len(again) == len(runs) {
			return s, err
		}
	}
}
