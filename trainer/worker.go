package trainer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/data"
	"github.com/etastar/etastar/trainer/rundir"
)

// Worker trains the runs of a folder, group by group, until none is left to train. It
// may be killed at any instant; a worker started again goes on from the checkpoints.
type Worker struct {
	Backend kernels.Backend
	Log     io.Writer // narration, for worker.log
	// MaxBytes bounds the memory of a group; runs beyond it train in a later one. 0: no bound.
	MaxBytes int64
	// CheckpointEvery is the longest time between checkpoints; 0: a minute.
	CheckpointEvery time.Duration
	// Share is how many workers train the same folder, each on a device of its own: runs
	// that could train together are shared out. 0: this one alone.
	Share int
	// Gauge reads the card that the backend works on; nil: there is none.
	Gauge func() *rundir.Card
	// Poll is how often requests are looked for; 0: four times a second.
	Poll time.Duration
}

func (w *Worker) logf(format string, args ...any) {
	if w.Log != nil {
		fmt.Fprintf(w.Log, "%s %s\n", time.Now().Format(time.DateTime), fmt.Sprintf(format, args...))
	}
}

func (w *Worker) defaults() {
	if w.CheckpointEvery == 0 {
		w.CheckpointEvery = time.Minute
	}
	if w.Poll == 0 {
		w.Poll = time.Second / 4
	}
}

// Ask creates the directory of every run below root/sweep; runs that are there already,
// finished or not, are left as they are. It returns their directories.
func Ask(root, sweep string, runs []config.Run) ([]string, error) {
	var dirs []string
	for _, r := range runs {
		r.Data = data.Resolve(r.Data)
		if err := r.Validate(); err != nil {
			return dirs, fmt.Errorf("run %s: %w", r.Name(), err)
		}
		// Asking again for the same run finds it, whatever sweep it was made for.
		if found, ok := rundir.Find(root, r); ok {
			dirs = append(dirs, found.Dir)
			continue
		}
		out, fresh, err := rundir.Create(root, sweep, r)
		if err != nil {
			return dirs, err
		}
		if fresh {
			err = out.SetStatus(rundir.Status{State: rundir.Queued, Steps: r.Steps(), Resumable: true})
		}
		if err := errors.Join(err, out.Close()); err != nil {
			return dirs, err
		}
		dirs = append(dirs, out.Dir())
	}
	return dirs, nil
}

// Train trains every run in or below dir that is not over. It returns nil when all are,
// ctx's error when it was told to end, and otherwise what kept it from training; a run
// that failed alone is recorded in its directory and does not keep others.
func (w *Worker) Train(ctx context.Context, dir string) error {
	w.defaults()
	tried := map[string]int64{} // the step a run was at when it was last taken up
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		ready, taken, paused := w.pending(dir, tried)
		if len(ready) == 0 {
			if !paused {
				return nil
			}
			select { // a paused run waits for its request
			case <-ctx.Done():
			case <-time.After(w.Poll):
			}
			continue
		}
		batch := w.nextGroup(ready, taken)
		for _, s := range batch {
			tried[s.Dir] = s.Status.Step
		}
		if err := w.trainGroup(ctx, batch, tried); err != nil {
			return err
		}
	}
}

// locked stands in place of a step for a run that another program trains.
const locked = -1

// pending lists the runs that can be trained now, and those that another worker has taken;
// paused says that others wait for a request.
func (w *Worker) pending(dir string, tried map[string]int64) (ready, taken []rundir.Summary, paused bool) {
	for _, s := range rundir.List(dir) {
		if s.Problem != "" || s.Newer > 0 || s.Command != nil {
			continue
		}
		switch s.Status.State {
		case rundir.Finished, rundir.Diverged, rundir.Stopped, rundir.Failed:
			continue
		case rundir.Paused:
			switch c, _ := rundir.Asked(s.Dir); c.Request {
			case rundir.Resume:
			case rundir.Stop:
				w.stopPaused(s.Dir, c.By)
				continue
			default:
				paused = true
				continue
			}
		}
		if at, ok := tried[s.Dir]; ok && (at == locked || at == s.Status.Step && s.Status.State != rundir.Paused) {
			if at == locked {
				taken = append(taken, s)
			}
			continue // or it did not get on: its status says why
		}
		ready = append(ready, s)
	}
	return ready, taken, paused
}

// stopPaused ends a run that was put aside.
func (w *Worker) stopPaused(dir, by string) {
	out, err := rundir.Open(dir)
	if err != nil {
		return // another worker has it
	}
	defer out.Close()
	st, _ := out.Status()
	st.State, st.Reason, st.Resumable = rundir.Stopped, "stopped by "+by, true
	if err := out.SetStatus(st); err != nil {
		w.logf("%s: %v", dir, err)
	}
}

// nextGroup takes the first run and all that can train with it, or this worker's share of
// them and of those that are taken.
func (w *Worker) nextGroup(ready, taken []rundir.Summary) []rundir.Summary {
	slices.SortStableFunc(ready, func(a, b rundir.Summary) int {
		return cmp.Or(
			// The cheap shapes first: they show soonest whether the sweep is well placed.
			cmp.Compare(a.Config.Shape.FLOPs().Compute, b.Config.Shape.FLOPs().Compute),
			cmp.Compare(generation(a.Config), generation(b.Config)),
			cmp.Compare(a.Config.Tokens, b.Config.Tokens),
		)
	})
	first := ready[0]
	together := func(s rundir.Summary) bool {
		return Together(first.Config, s.Config) == "" && generation(s.Config) == generation(first.Config)
	}
	at, share := startStep(first), max(w.Share, 1)
	var group []rundir.Summary
	all := 0
	for _, s := range taken {
		if together(s) {
			all++
		}
	}
	for _, s := range ready {
		if together(s) && startStep(s) == at {
			group = append(group, s)
		}
	}
	all += len(group)
	group = group[:min(len(group), (all+share-1)/share)]
	for w.MaxBytes > 0 && len(group) > 1 {
		n, err := Memory(w.Backend, first.Config, len(group))
		if err == nil && n <= w.MaxBytes {
			break
		}
		group = group[:len(group)-1]
	}
	return group
}

// generation puts stable runs before the branches that start from them.
func generation(r config.Run) int {
	if r.Origin == nil {
		return 0
	}
	return 1
}

// startStep is where a run goes on: its last checkpoint, else where its branch starts.
func startStep(s rundir.Summary) int64 {
	if c, ok := rundir.Latest(s.Dir); ok {
		return c.Step
	}
	if s.Config.Origin != nil {
		return s.Config.Origin.Step
	}
	return 0
}

// trainGroup opens the runs and trains them. Its error is one that concerns no single run.
func (w *Worker) trainGroup(ctx context.Context, batch []rundir.Summary, tried map[string]int64) error {
	t := &training{w: w}
	defer t.close()
	for _, s := range batch {
		out, err := rundir.Open(s.Dir)
		if err != nil {
			if w.Share < 2 || !errors.Is(err, rundir.ErrLocked) { // a worker beside this one was first
				w.logf("%s: %v", s.Name, err)
			}
			tried[s.Dir] = locked
			continue
		}
		t.outs = append(t.outs, out)
		t.runs = append(t.runs, out.Config())
	}
	if len(t.outs) == 0 {
		return nil
	}
	first := t.runs[0]
	corpus, err := data.Open(ctx, first.Data, first.Shape.Context, first.Shape.Vocab)
	if err != nil {
		return t.failAll(ctx, err)
	}
	defer corpus.Close()
	if t.group, err = NewGroup(w.Backend, corpus, t.runs); err != nil {
		return t.failAll(ctx, err)
	}
	if err := t.restore(batch); err != nil {
		return t.failAll(ctx, err)
	}
	w.logf("%s: %d together on %s, from step %d", first.Shape.Name(), len(t.runs), w.Backend.Name(), t.group.Done())
	return t.train(ctx)
}

// Again makes a run that was stopped, failed or was interrupted ready to be taken up by
// the next worker. Runs that are over, or train, stay as they are.
func Again(dir string) error {
	s := rundir.Read(dir)
	switch s.Status.State {
	case rundir.Stopped, rundir.Failed, rundir.Interrupted:
	default:
		return nil
	}
	out, err := rundir.Open(dir)
	if err != nil {
		return err
	}
	defer out.Close()
	st, _ := out.Status()
	st.State, st.Reason = rundir.Queued, ""
	return out.SetStatus(st)
}
