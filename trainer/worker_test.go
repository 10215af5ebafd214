package trainer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/cpu"
	"github.com/etastar/etastar/kernels/cuda/driver"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/rundir"
)

func worker(t *testing.T) *Worker {
	t.Helper()
	backend, err := cpu.New(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &Worker{Backend: backend, Log: t.Output(), Poll: time.Millisecond}
}

// finals reads the last training loss and validation of every run by its name.
func finals(t *testing.T, root string) map[string][2]float64 {
	t.Helper()
	out := map[string][2]float64{}
	for _, s := range rundir.List(root) {
		events, bad, err := rundir.ReadEvents(s.Dir)
		if err != nil || bad > 1 {
			t.Fatalf("%s: %d bad lines, %v", s.Name, bad, err)
		}
		last := events[len(events)-1]
		if s.Status.State == rundir.Finished && last.Step != s.Config.Steps() {
			t.Errorf("%s is finished at step %d of %d", s.Name, last.Step, s.Config.Steps())
		}
		out[s.Name] = [2]float64{float64(last.Loss), float64(s.Status.Val)}
	}
	return out
}

func TestWorker(t *testing.T) {
	root := t.TempDir()
	runs := []config.Run{small(1e-3), small(3e-3), small(9)}
	dirs, err := Ask(root, "sweep", runs)
	if err != nil || len(dirs) != 3 {
		t.Fatal(dirs, err)
	}
	first := worker(t)
	var log strings.Builder
	first.Log = &log
	if err := first.Train(context.Background(), root); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		fmt.Sprintf(" %s: 3 together on %s, from step 0\n", runs[0].Shape.Name(), first.Backend.Name()),
		runs[1].Name() + " finished: validation loss ",
		runs[2].Name() + " diverged at step ",
	} {
		if !strings.Contains(log.String(), line) {
			t.Errorf("no %q in the log:\n%s", line, log.String())
		}
	}
	want := []rundir.State{rundir.Finished, rundir.Finished, rundir.Diverged}
	for i, dir := range dirs {
		s := rundir.Read(dir)
		if s.Status.State != want[i] {
			t.Errorf("η %g is %s (%s), want %s", runs[i].LR, s.Status.State, s.Status.Reason, want[i])
		}
		if i < 2 && (s.Status.ValSE <= 0 || s.Status.Val > 4.5 || s.Status.Best == nil) {
			t.Errorf("η %g: %+v", runs[i].LR, s.Status)
		}
		if info, err := os.Stat(filepath.Join(dir, "events.jsonl")); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("events: %v, %v", info.Mode(), err)
		}
	}
	// Asking again finds the runs and trains none twice.
	again, err := Ask(root, "other", runs)
	if err != nil || again[0] != dirs[0] {
		t.Errorf("asked again: %v, %v", again, err)
	}
	before := finals(t, root)
	if err := worker(t).Train(context.Background(), root); err != nil {
		t.Fatal(err)
	}
	for name, v := range finals(t, root) {
		if v != before[name] {
			t.Errorf("%s was trained again", name)
		}
	}
}

// TestEndedAndGoesOn: a worker that is told to end leaves checkpoints; the next one's
// results are those of an uninterrupted worker, to the bit.
func TestEndedAndGoesOn(t *testing.T) {
	straight := t.TempDir()
	runs := []config.Run{small(1e-3), small(3e-3)}
	if _, err := Ask(straight, "s", runs); err != nil {
		t.Fatal(err)
	}
	if err := worker(t).Train(context.Background(), straight); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	dirs, err := Ask(root, "s", runs)
	if err != nil {
		t.Fatal(err)
	}
	ended := 0
	for range 50 {
		// Longer each time: a slow machine gets on as well.
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(60+20*ended)*time.Millisecond)
		err := worker(t).Train(ctx, root)
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		ended++
	}
	if s := rundir.Read(dirs[0]); s.Status.State != rundir.Finished {
		t.Fatalf("after %d workers: %+v", ended, s.Status)
	}
	want := finals(t, straight)
	for name, got := range finals(t, root) {
		if math.Float64bits(got[0]) != math.Float64bits(want[name][0]) || math.Float64bits(got[1]) != math.Float64bits(want[name][1]) {
			t.Errorf("%s after %d interruptions: %v, uninterrupted %v", name, ended, got, want[name])
		}
	}
}

func TestRequests(t *testing.T) {
	root := t.TempDir()
	long := func(lr float64) config.Run { r := small(lr); return r.For(4000 * r.BatchTokens()) }
	dirs, err := Ask(root, "s", []config.Run{long(1e-3), long(3e-3)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	w := worker(t)
	go func() { done <- w.Train(ctx, root) }()
	until := func(dir string, state rundir.State) {
		t.Helper()
		for range 3000 {
			if rundir.Read(dir).Status.State == state {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.Fatalf("%s never became %s: %+v", dir, state, rundir.Read(dir).Status)
	}
	ask := func(dir string, r rundir.Request) {
		t.Helper()
		if err := rundir.Ask(dir, r, "test"); err != nil {
			t.Fatal(err)
		}
	}
	until(dirs[0], rundir.Running)
	ask(dirs[0], rundir.Pause)
	until(dirs[0], rundir.Paused)
	paused := rundir.Read(dirs[0]).Status.Step
	ask(dirs[1], rundir.Stop)
	until(dirs[1], rundir.Stopped)
	ask(dirs[0], rundir.Resume)
	until(dirs[0], rundir.Running)
	ask(dirs[0], rundir.Stop)
	until(dirs[0], rundir.Stopped)
	if err := <-done; err != nil {
		t.Error(err)
	}
	s := rundir.Read(dirs[0])
	if s.Status.Step < paused || !s.Status.Resumable {
		t.Errorf("paused at step %d, then %+v", paused, s.Status)
	}
}

func TestBranchesShareOneTrunk(t *testing.T) {
	r := small(3e-3)
	r.Schedule.WarmupTokens = 5 * r.BatchTokens()
	trunk, branches, _, err := config.Branches(r, []int64{20 * r.BatchTokens(), 40 * r.BatchTokens()})
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	dirs, err := Ask(root, "s", append(branches, trunk))
	if err != nil {
		t.Fatal(err)
	}
	if err := worker(t).Train(context.Background(), root); err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		if s := rundir.Read(dir); s.Status.State != rundir.Finished {
			t.Errorf("%s: %s, %s", s.Name, s.Status.State, s.Status.Reason)
		}
	}
	straight := t.TempDir()
	alone := r
	alone.Tokens = branches[1].Tokens
	if _, err := Ask(straight, "s", []config.Run{alone}); err != nil {
		t.Fatal(err)
	}
	if err := worker(t).Train(context.Background(), straight); err != nil {
		t.Fatal(err)
	}
	for name, want := range finals(t, straight) {
		if got := finals(t, root)[name]; got != want {
			t.Errorf("branch %s: %v, run straight %v", name, got, want)
		}
	}
}

func TestMissingCorpusFailsTheRunAlone(t *testing.T) {
	root := t.TempDir()
	bad, good := small(1e-3), small(2e-3)
	bad.Data.Source = filepath.Join(root, "none.txt")
	dirs, err := Ask(root, "s", []config.Run{bad, good})
	if err != nil {
		t.Fatal(err)
	}
	if err := worker(t).Train(context.Background(), root); err != nil {
		t.Fatal(err)
	}
	if s := rundir.Read(dirs[0]); s.Status.State != rundir.Failed || s.Status.Reason == "" {
		t.Errorf("no corpus: %+v", s.Status)
	}
	if s := rundir.Read(dirs[1]); s.Status.State != rundir.Finished {
		t.Errorf("the other run: %+v", s.Status)
	}
}

// TestHopeless: asked to, a run far behind the best of its group stops early and says
// so; it never counts as finished.
func TestHopeless(t *testing.T) {
	root := t.TempDir()
	behind, ahead := small(1e-6), small(5e-3)
	for _, r := range []*config.Run{&behind, &ahead} {
		r.Hopeless.On, r.Hopeless.After, r.Hopeless.Margin = true, 0.5, 0.3
	}
	dirs, err := Ask(root, "s", []config.Run{behind, ahead})
	if err != nil {
		t.Fatal(err)
	}
	if err := worker(t).Train(context.Background(), root); err != nil {
		t.Fatal(err)
	}
	if s := rundir.Read(dirs[0]).Status; s.State != rundir.Stopped || s.Step != 30 || s.Reason == "" {
		t.Errorf("the hopeless run: %+v", s)
	}
	if s := rundir.Read(dirs[1]).Status; s.State != rundir.Finished {
		t.Errorf("the best run: %+v", s)
	}
}

// TestStopQueued: a run that waits its turn is stopped at once, and no worker takes it up.
func TestStopQueued(t *testing.T) {
	root := t.TempDir()
	dirs, err := Ask(root, "s", []config.Run{small(1e-3), small(2e-3)})
	if err != nil {
		t.Fatal(err)
	}
	if asked, err := Request(dirs[0], rundir.Pause, "test"); asked || err != nil {
		t.Errorf("a waiting run was paused: %v", err)
	}
	if asked, err := Request(dirs[0], rundir.Stop, "test"); !asked || err != nil {
		t.Fatalf("not stopped: %v", err)
	}
	if err := worker(t).Train(context.Background(), root); err != nil {
		t.Fatal(err)
	}
	if s := rundir.Read(dirs[0]).Status; s.State != rundir.Stopped || s.Step != 0 {
		t.Errorf("the stopped run: %+v", s)
	}
	if err := Again(dirs[0]); err != nil {
		t.Fatal(err)
	}
	if err := worker(t).Train(context.Background(), root); err != nil {
		t.Fatal(err)
	}
	if s := rundir.Read(dirs[0]).Status; s.State != rundir.Finished {
		t.Errorf("taken up again: %+v", s)
	}
}

// TestEndNotWrittenDown: a run whose last checkpoint is there but whose end is not (a full
// disk) is finished without another step.
func TestEndNotWrittenDown(t *testing.T) {
	root := t.TempDir()
	dirs, err := Ask(root, "sweep", []config.Run{small(1e-3)})
	if err != nil {
		t.Fatal(err)
	}
	if err := worker(t).Train(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	before := rundir.Read(dirs[0])
	out, err := rundir.Open(dirs[0])
	if err != nil {
		t.Fatal(err)
	}
	st := before.Status
	st.State, st.Reason, st.Val, st.Step = rundir.Failed, "no space left on device", 0, st.Step-3
	if err := errors.Join(out.SetStatus(st), out.Close(), Again(dirs[0])); err != nil {
		t.Fatal(err)
	}
	if err := worker(t).Train(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	after := rundir.Read(dirs[0])
	if after.Status.State != rundir.Finished || after.Status.Step != before.Status.Step || after.Status.Val != before.Status.Val {
		t.Errorf("finished as %+v, then as %+v", before.Status, after.Status)
	}
}

// TestShares: workers that train side by side take equal parts of the runs of one shape.
func TestShares(t *testing.T) {
	var all []rundir.Summary
	for i := range 5 {
		all = append(all, rundir.Summary{Dir: t.TempDir(), Config: small(1e-3 * float64(i+1))})
	}
	other := small(1e-3)
	other.Shape = config.Dense(64, 2, 256, 32)
	all = append(all, rundir.Summary{Dir: t.TempDir(), Config: other})
	w := worker(t)
	if n := len(w.nextGroup(slices.Clone(all), nil)); n != 5 {
		t.Errorf("alone it takes %d of 5", n)
	}
	w.Share = 2
	first := w.nextGroup(slices.Clone(all), nil)
	second := w.nextGroup(slices.Clone(all[3:]), all[:3])
	third := w.nextGroup(slices.Clone(all[5:]), all[:5])
	if len(first) != 3 || len(second) != 2 || len(third) != 1 || third[0].Config.Shape != other.Shape {
		t.Errorf("two workers take %d, %d and then %d", len(first), len(second), len(third))
	}
	room, err := Memory(w.Backend, all[0].Config, 2)
	if err != nil {
		t.Fatal(err)
	}
	w.Share, w.MaxBytes = 0, room
	if n := len(w.nextGroup(slices.Clone(all), nil)); n != 2 {
		t.Errorf("%d runs in memory for two", n)
	}
}

// lost is a backend whose device breaks.
type lost struct {
	kernels.Backend
	err error
}

func (l lost) Load(int, ...*kernels.Program) (kernels.Machine, error) { return nil, l.err }

// TestDeviceBreaks: what a broken device leaves is interrupted, says why, and is taken up
// again by another worker.
func TestDeviceBreaks(t *testing.T) {
	for _, code := range []*driver.Error{driver.ErrOutOfMemory, {Code: 700, Name: "CUDA_ERROR_ILLEGAL_ADDRESS", Doing: "waiting for the device"}} {
		root := t.TempDir()
		dirs, err := Ask(root, "sweep", []config.Run{small(1e-3)})
		if err != nil {
			t.Fatal(err)
		}
		w := worker(t)
		good := w.Backend
		w.Backend = lost{good, fmt.Errorf("cuda backend: %w", code)}
		err = w.Train(t.Context(), root)
		if gone := code.Code == 700; gone != (err != nil) {
			t.Errorf("%s: the worker ends with %v", code.Name, err)
		}
		st := rundir.Read(dirs[0]).Status
		if st.State != rundir.Interrupted || !strings.Contains(st.Reason, code.Name) {
			t.Errorf("%s: %s, %q", code.Name, st.State, st.Reason)
		}
		if err := errors.Join(Again(dirs[0]), worker(t).Train(t.Context(), root)); err != nil {
			t.Fatal(err)
		}
		if st := rundir.Read(dirs[0]).Status; st.State != rundir.Finished {
			t.Errorf("%s: then %s, %q", code.Name, st.State, st.Reason)
		}
	}
}
