package trainer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"time"

	"github.com/etastar/etastar/kernels/cuda/driver"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/health"
	"github.com/etastar/etastar/trainer/rundir"
)

// training is one group in training with the directories it writes.
type training struct {
	w     *Worker
	group *Group
	outs  []*rundir.Writer
	runs  []config.Run
	state []rundir.Status

	begun, saved, polled, beat time.Time
	before                     []float64 // seconds trained before this worker
	from                       int64     // step this worker began at
	shown                      bool      // the status says that it trains
	results                    []StepResult
	last                       map[int]rundir.Event // of each run, its last step
}

func (t *training) close() {
	for _, out := range t.outs {
		if err := out.Close(); err != nil {
			t.w.logf("%s: %v", out.Config().Name(), err)
		}
	}
	if t.group != nil {
		if err := t.group.Close(); err != nil {
			t.w.logf("%v", err)
		}
	}
}

// failAll records an error that concerns every run of the group. Being told to end is none.
func (t *training) failAll(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	t.w.logf("%v", err)
	state := rundir.Failed
	var broken *driver.Error
	if errors.As(err, &broken) {
		state = rundir.Interrupted // the device failed, not the run
	}
	for _, out := range t.outs {
		st, _ := out.Status()
		st.State, st.Reason, st.Resumable, st.Steps = state, err.Error(), true, out.Config().Steps()
		if serr := out.SetStatus(st); serr != nil {
			return errors.Join(err, serr)
		}
	}
	if state == rundir.Interrupted && !errors.Is(err, driver.ErrOutOfMemory) {
		return err // nothing more runs on this device
	}
	return nil
}

// restore puts every run where it goes on.
func (t *training) restore(batch []rundir.Summary) error {
	first := true
	for i, out := range t.outs {
		st, _ := out.Status()
		st.Steps, st.Device = t.runs[i].Steps(), t.w.Backend.Name()
		t.state = append(t.state, st)
		t.before = append(t.before, float64(st.Elapsed))
		c, ok := rundir.Latest(out.Dir())
		if !ok && t.runs[i].Origin != nil {
			o := t.runs[i].Origin
			trunk := filepath.Join(filepath.Dir(out.Dir()), o.Run)
			var err error
			if c, err = rundir.CheckpointAt(trunk, o.Step); err != nil {
				return fmt.Errorf("branch of %s at step %d: %w", o.Run, o.Step, err)
			}
			ok = true
		}
		if !ok {
			continue
		}
		if err := t.group.Restore(i, c.Dir, first); err != nil {
			return err
		}
		first = false
		if st.Step > 0 || t.runs[i].Origin != nil {
			e, err := eventAt(out.Dir(), c.Step)
			if err != nil {
				return err
			}
			e.Tokens, e.Time, e.Note = c.Step*t.runs[i].BatchTokens(), time.Now().UnixMilli(), fmt.Sprintf("goes on from step %d", c.Step)
			if err := out.Append(e); err != nil {
				return err
			}
		}
	}
	t.from = t.group.Done()
	return nil
}

// eventAt is what was recorded of a step: a line that is written again replaces it.
func eventAt(dir string, step int64) (rundir.Event, error) {
	events, _, err := rundir.ReadEvents(dir)
	for _, e := range slices.Backward(events) {
		if e.Step == step {
			return e, err
		}
	}
	return rundir.Event{Step: step}, err
}

// train steps the group until no run is left.
func (t *training) train(ctx context.Context) error {
	now := time.Now()
	t.begun, t.saved, t.polled, t.beat = now, now, now, now
	t.last = map[int]rundir.Event{}
	if t.group.Done() == 0 {
		untrained := slices.DeleteFunc(t.active(), func(run int) bool { return t.state[run].Val != 0 })
		if err := t.validate(untrained); err != nil {
			return t.failAll(ctx, err)
		}
	}
	if err := t.status(t.active(), rundir.Running, ""); err != nil {
		return err
	}
	if err := t.atEnd(); err != nil {
		return t.failAll(ctx, err)
	}
	for t.group.Active() {
		if ctx.Err() != nil {
			t.saveAll()
			return ctx.Err()
		}
		results, err := t.group.Steps(t.results[:0], t.ahead())
		t.results = results
		if err != nil {
			// Some of the steps asked for were done, so that no step's number fits the weights:
			// the runs go on from their last checkpoints.
			return t.failAll(ctx, err)
		}
		if err := t.after(results); err != nil {
			return t.failAll(ctx, err)
		}
	}
	return nil
}

// lookEvery is how long steps are queued without looking at them.
const lookEvery = time.Second / 20

// ahead is how many steps may go before something is to be done between them.
func (t *training) ahead() int64 {
	done := t.group.Done()
	n := int64(1)
	if s := time.Since(t.begun); s > 0 && done > t.from {
		n = int64(float64(done-t.from) * lookEvery.Seconds() / s.Seconds())
	}
	until := func(every int64) {
		if every > 0 {
			n = min(n, every-done%every)
		}
	}
	for _, run := range t.active() {
		c := t.runs[run]
		if c.Hopeless.On {
			return 1 // which step it ends at must not depend on the machine's speed
		}
		until(validateEvery(c))
		until(StatsEvery(c))
		until(c.Keep.CheckpointEvery)
		for _, at := range c.Keep.Checkpoints {
			if at > done {
				n = min(n, at-done)
			}
		}
	}
	return max(n, 1)
}

// atEnd records runs whose last checkpoint is their end: something kept that from being
// written down.
func (t *training) atEnd() error {
	for _, run := range t.active() {
		if t.group.Done() < t.runs[run].Steps() {
			continue
		}
		t.group.Leave(run)
		st := &t.state[run]
		st.Step, st.Tokens = t.group.Done(), t.group.Done()*t.runs[run].BatchTokens()
		if err := t.validate([]int{run}); err != nil {
			return err
		}
		if err := t.end(run, nil); err != nil {
			return err
		}
	}
	return nil
}

func (t *training) active() []int {
	var out []int
	for i, r := range t.group.Runs {
		if r.Active {
			out = append(out, i)
		}
	}
	return out
}

// beatEvery is how often a run's status is written: what a screen shows of it is no older.
const beatEvery = time.Second / 2

// logEvery keeps a run's log at about a thousand lines where nothing else is asked for.
func logEvery(r config.Run) int64 {
	if r.Keep.LogEvery > 0 {
		return r.Keep.LogEvery
	}
	return max(1, r.Steps()/1000)
}

// validateEvery is a fifth of the horizon where nothing else is asked for.
func validateEvery(r config.Run) int64 {
	if r.Keep.ValidateEvery > 0 {
		return r.Keep.ValidateEvery
	}
	return max(1, r.Steps()/5)
}

// after records a step: events, validations, checkpoints, ends, requests.
func (t *training) after(results []StepResult) error {
	now := time.Now()
	stats, err := t.stats(results)
	if err != nil {
		return err
	}
	var ended, validate []int
	for _, r := range results {
		c, step := t.runs[r.Run], r.Step
		e := rundir.Event{
			Step: step, Tokens: step * c.BatchTokens(), LR: rundir.Number(r.LR), Loss: rundir.Number(r.Loss), GradNorm: rundir.Number(r.GradNorm),
			Rate: rundir.Number(t.rate(r.Run, now)), Elapsed: rundir.Number(t.elapsed(r.Run, now)), Time: now.UnixMilli(),
		}
		st := &t.state[r.Run]
		st.Step, st.Tokens, st.Loss, st.Rate, st.Elapsed = e.Step, e.Tokens, e.Loss, e.Rate, e.Elapsed
		switch {
		case r.Diverged != "":
			ended = append(ended, r.Run)
			e.Note = "diverged: " + r.Diverged
		case r.Done:
			ended, validate = append(ended, r.Run), append(validate, r.Run)
		case step%validateEvery(c) == 0:
			validate = append(validate, r.Run)
		}
		if statsAt(c, step) {
			e.Stats = stats[r.Run]
		}
		e.Spike = r.Spike
		t.last[r.Run] = e
		if e.Note != "" || e.Stats != nil || e.Spike || r.Done || step%logEvery(c) == 0 || step == 1 {
			if err := t.outs[r.Run].Append(e); err != nil {
				return err
			}
		}
	}
	step := t.group.Done()
	if err := t.validate(validate); err != nil {
		return err
	}
	if err := t.hopeless(step); err != nil {
		return err
	}
	if err := t.checkpoints(results, now); err != nil {
		return err
	}
	for _, run := range ended {
		if err := t.end(run, results); err != nil {
			return err
		}
	}
	if now.Sub(t.beat) >= beatEvery || !t.shown {
		t.beat, t.shown = now, true
		if err := t.status(t.active(), rundir.Running, ""); err != nil {
			return err
		}
	}
	if now.Sub(t.polled) >= t.w.Poll {
		t.polled = now
		return t.requests()
	}
	return nil
}

// stats are the statistics of the runs that were observed in the last step, by run.
func (t *training) stats(results []StepResult) (map[int]Stats, error) {
	var runs []int
	for _, r := range results {
		if r.Step == t.group.Done() && statsAt(t.runs[r.Run], r.Step) {
			runs = append(runs, r.Run)
		}
	}
	list, err := t.group.Stats(runs...)
	if err != nil {
		return nil, err
	}
	byRun := map[int]Stats{}
	for i, run := range runs {
		byRun[run] = list[i]
	}
	return byRun, nil
}

func (t *training) elapsed(run int, now time.Time) float64 {
	return t.before[run] + now.Sub(t.begun).Seconds()
}

// rate is what the run alone trains a second, since this worker began.
func (t *training) rate(run int, now time.Time) float64 {
	s := now.Sub(t.begun).Seconds()
	if s <= 0 {
		return 0
	}
	return float64((t.group.Done()-t.from)*t.runs[run].BatchTokens()) / s
}

// validate measures runs on the held-out blocks and records it.
func (t *training) validate(runs []int) error {
	if len(runs) == 0 {
		return nil
	}
	blocks, err := t.group.Validate(runs)
	if err != nil {
		return err
	}
	step := t.group.Done()
	for i, run := range runs {
		m := health.Mean(blocks[i])
		st := &t.state[run]
		st.Val, st.ValSE = rundir.Number(m.Mean), rundir.Number(m.SE)
		if st.Best == nil || m.Mean < float64(st.Best.Val) {
			st.Best = &rundir.Best{Step: step, Val: st.Val, SE: st.ValSE}
		}
		e := rundir.Event{Step: step, Tokens: step * t.runs[run].BatchTokens(), Val: st.Val, ValSE: st.ValSE, Time: time.Now().UnixMilli()}
		if step > 0 {
			// One line a step: it says again what the step did.
			e.LR, e.Loss, e.GradNorm, e.Rate, e.Elapsed = t.lastStep(run)
			if last := t.last[run]; last.Step == step {
				e.Stats, e.Spike = last.Stats, last.Spike
			}
		} else {
			e.Loss = st.Val
		}
		if err := t.outs[run].Append(e); err != nil {
			return err
		}
	}
	return nil
}

func (t *training) lastStep(run int) (lr, loss, norm, rate, elapsed rundir.Number) {
	for _, r := range slices.Backward(t.results) {
		if r.Run == run {
			return rundir.Number(r.LR), rundir.Number(r.Loss), rundir.Number(r.GradNorm), t.state[run].Rate, t.state[run].Elapsed
		}
	}
	return 0, rundir.Number(math.NaN()), 0, 0, 0
}

// hopeless stops runs that asked for it and lie far behind the best of the group.
func (t *training) hopeless(step int64) error {
	active := t.active()
	if len(active) < 2 || !t.runs[active[0]].Hopeless.On {
		return nil
	}
	smooth := make([]float64, len(t.runs))
	best := math.Inf(1)
	for _, run := range active {
		smooth[run] = t.group.Runs[run].Detector.Median()
		best = min(best, smooth[run])
	}
	for _, run := range active {
		r := t.runs[run]
		why := r.Hopeless.Stop(float64(step)/float64(r.Steps()), smooth[run], best)
		if why == "" {
			continue
		}
		if err := t.save(run); err != nil {
			return err
		}
		t.group.Leave(run)
		t.w.logf("%s stopped early: %s", r.Name(), why)
		if err := t.status([]int{run}, rundir.Stopped, why); err != nil {
			return err
		}
	}
	return nil
}

// checkpoints saves where a branch starts, at every given number of steps, at the end,
// and when the last one is too old.
func (t *training) checkpoints(results []StepResult, now time.Time) error {
	step := t.group.Done()
	due := now.Sub(t.saved) >= t.w.CheckpointEvery
	for _, r := range results {
		if r.Diverged != "" || r.Step != step {
			continue
		}
		k := t.runs[r.Run].Keep
		branch := false
		for _, at := range k.Checkpoints {
			branch = branch || at == step
		}
		if !due && !branch && !r.Done && (k.CheckpointEvery == 0 || step%k.CheckpointEvery != 0) {
			continue
		}
		if err := t.save(r.Run); err != nil {
			return err
		}
	}
	if due {
		t.saved = now
	}
	return nil
}

// save writes a checkpoint and drops the older ones that no branch starts from.
func (t *training) save(run int) error {
	step, out := t.group.Done(), t.outs[run]
	if err := out.SaveCheckpoint(step, func(dir string) error { return t.group.Save(run, dir) }); err != nil {
		return err
	}
	t.state[run].Checkpoint = step
	out.Prune(func(at int64) bool {
		if at == step {
			return true
		}
		for _, keep := range t.runs[run].Keep.Checkpoints {
			if at == keep {
				return true
			}
		}
		return false
	})
	return nil
}

// saveAll checkpoints what still trains, as well as it can: the worker is ending.
func (t *training) saveAll() {
	for _, run := range t.active() {
		if err := t.save(run); err != nil {
			t.w.logf("%s: %v", t.runs[run].Name(), err)
		}
	}
}

// end records how a run ended.
func (t *training) end(run int, results []StepResult) error {
	for _, r := range results {
		if r.Run == run && r.Diverged != "" {
			t.w.logf("%s diverged at step %d: %s", t.runs[run].Name(), r.Step, r.Diverged)
			return t.status([]int{run}, rundir.Diverged, fmt.Sprintf("at step %d: %s", r.Step, r.Diverged))
		}
	}
	t.w.logf("%s finished: validation loss %.4f ± %.4f", t.runs[run].Name(), float64(t.state[run].Val), float64(t.state[run].ValSE))
	return t.status([]int{run}, rundir.Finished, "")
}

func (t *training) status(runs []int, state rundir.State, reason string) error {
	var card *rundir.Card
	if state == rundir.Running && t.w.Gauge != nil {
		card = t.w.Gauge()
	}
	for _, run := range runs {
		st := &t.state[run]
		st.Card = card
		st.State, st.Reason, st.Heartbeat = state, reason, time.Time{} // stamped when it is written
		st.Resumable = state == rundir.Running || state == rundir.Paused || state == rundir.Stopped
		if err := t.outs[run].SetStatus(*st); err != nil {
			return err
		}
	}
	return nil
}

// requests does what other programs asked of the runs.
func (t *training) requests() error {
	for _, run := range t.active() {
		c, fresh := t.outs[run].Control()
		if !fresh || c.Request == rundir.Resume {
			continue
		}
		if err := t.save(run); err != nil {
			return err
		}
		t.group.Leave(run)
		state, reason := rundir.Paused, "paused by "+c.By
		if c.Request == rundir.Stop {
			state, reason = rundir.Stopped, "stopped by "+c.By
		}
		t.w.logf("%s: %s at step %d", t.runs[run].Name(), reason, t.group.Done())
		if err := t.status([]int{run}, state, reason); err != nil {
			return err
		}
	}
	return nil
}
