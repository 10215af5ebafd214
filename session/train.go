package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/etastar/etastar/trainer"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/rundir"
)

// TurnDir is where the workers of this machine take turns.
func TurnDir() string { return StateDir() }

// sweepAt returns the sweep at a line.
func (s *Session) sweepAt(line int) (Sweep, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.statement(line)
	if n == nil {
		return Sweep{}, fmt.Errorf("line %d holds no statement", line+1)
	}
	c := s.snapshot(n)
	v, ok := c.Value.(Sweep)
	if !ok || c.Stale {
		return Sweep{}, fmt.Errorf("line %d holds no sweep that could be trained", line+1)
	}
	return v, nil
}

// Start trains the sweep at a line: it makes the run directories that are not there and
// starts a worker, which goes on when this program ends. A sweep that is over, or
// trains already, is left alone: what says which.
func (s *Session) Start(line int) (what string, err error) {
	if s.options.ReadOnly {
		return "", errors.New("this notebook is open for reading only")
	}
	v, err := s.sweepAt(line)
	if err != nil {
		return "", err
	}
	if v.Measured() {
		return "", errors.New("these losses were measured before: leave measured= out to train")
	}
	if v.Watched {
		return "", errors.New("these runs are watched, not asked for here: etastar runs start takes them up again")
	}
	var runs []config.Run
	alive, open := 0, 0
	for _, r := range v.Runs {
		switch r.Status.State {
		case rundir.Finished, rundir.Diverged:
		case rundir.Running, rundir.Paused:
			alive++
		default:
			runs = append(runs, r.Config)
			open++
		}
	}
	switch {
	case alive > 0:
		return fmt.Sprintf("%d of its runs train already", alive), nil
	case open == 0:
		return "every run is over", nil
	}
	var dirs []string
	if v.foreign() {
		dirs, err = v.askCommands()
	} else {
		dirs, err = trainer.Ask(filepath.Dir(v.Dir), filepath.Base(v.Dir), runs)
	}
	if err != nil {
		return "", err
	}
	for _, dir := range dirs {
		if err := trainer.Again(dir); err != nil {
			return "", err
		}
	}
	exe, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("start a worker: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := trainer.Launch(ctx, exe, workerWords(s.options.Worker), v.Device, v.Dir); err != nil {
		return "", err
	}
	s.Poll()
	return countOf(open, "run") + " started; closing this leaves them training", nil
}

// AskRuns passes a request (pause, resume, stop) to every run of the sweep at a line
// that trains, or for stop waits its turn, or to those in the directories given only. It
// returns how many there are.
func (s *Session) AskRuns(line int, r rundir.Request, only ...string) (int, error) {
	v, err := s.sweepAt(line)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, run := range v.Runs {
		if run.Dir == "" || len(only) > 0 && !slices.Contains(only, run.Dir) {
			continue
		}
		asked, err := trainer.Request(run.Dir, r, "the notebook")
		if err != nil {
			return n, err
		}
		if asked {
			n++
		}
	}
	return n, nil
}

var errBusy = errors.New("the notebook still computes after a minute")

// startNext starts what was planned once the runs before were over: the next stage of a
// search. It reports whether there was any.
func (s *Session) startNext(said func(string)) (bool, error) {
	for _, c := range s.Cells() {
		v, ok := c.Value.(Sweep)
		if !ok || v.Watched || c.Status != Done || v.Started() == len(v.Runs) {
			continue
		}
		what, err := s.Start(c.Line)
		if err != nil {
			return false, err
		}
		said(c.Name + ": " + what)
		return true, nil
	}
	return false, nil
}

// StartAll starts every sweep of the notebook and waits until all are over, polling
// their directories; said is told what happens.
func (s *Session) StartAll(ctx context.Context, said func(string)) error {
	for _, c := range s.Cells() {
		if v, ok := c.Value.(Sweep); !ok || v.Watched || c.Status != Done {
			continue
		}
		what, err := s.Start(c.Line)
		if err != nil {
			return err
		}
		said(c.Name + ": " + what)
	}
	last := ""
	for {
		s.Poll()
		if !s.Wait(time.Minute) {
			return errBusy
		}
		open, total, over := 0, 0, 0
		for _, c := range s.Cells() {
			v, ok := c.Value.(Sweep)
			if !ok || v.Watched { // what somebody else started may never end
				continue
			}
			total, over = total+len(v.Runs), over+v.Finished()
			for _, r := range v.Runs {
				if !r.Status.State.Ended() && r.Status.State != rundir.Interrupted {
					open++
				}
			}
		}
		if now := fmt.Sprintf("%d of %d runs are over", over, total); now != last && total > 0 {
			said(now)
			last = now
		}
		if open == 0 {
			s.Poll() // a cell that watches the same runs may have looked before their end
			if !s.Wait(time.Minute) {
				return errBusy
			}
			more, err := s.startNext(said)
			if err != nil || !more {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}
