package trainer

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/cuda"
	"github.com/etastar/etastar/kernels/cuda/driver"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/rundir"
)

// gpu is the first GPU; without one the test is skipped.
func gpu(t testing.TB) *cuda.Backend {
	t.Helper()
	b, err := cuda.New(cuda.Options{})
	if driver.Missing(err) {
		t.Skipf("needs an NVIDIA GPU: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// point is what an event says of the training itself, of time nothing.
type point struct{ lr, loss, val, valSE, norm rundir.Number }

// curves reads what every run below root did, by its name and step.
func curves(t *testing.T, root string) map[string]map[int64]point {
	t.Helper()
	out := map[string]map[int64]point{}
	for _, s := range rundir.List(root) {
		events, _, err := rundir.ReadEvents(s.Dir)
		if err != nil || s.Status.State != rundir.Finished && s.Status.State != rundir.Diverged {
			t.Fatalf("%s: %s, %s, %v", s.Name, s.Status.State, s.Status.Reason, err)
		}
		curve := map[int64]point{}
		for _, e := range events {
			curve[e.Step] = point{e.LR, e.Loss, e.Val, e.ValSE, e.GradNorm}
		}
		if s.Status.State == rundir.Finished && curve[s.Config.Steps()].val == 0 {
			t.Errorf("%s is finished without a last validation", s.Name)
		}
		out[s.Name] = curve
	}
	return out
}

// same requires curves that agree to the bit at every step.
func same(t *testing.T, what string, got, want map[string]map[int64]point) {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Fatalf("%s: %d runs, want %d", what, len(got), len(want))
	}
	for name, curve := range want {
		for step, p := range curve {
			if q, ok := got[name][step]; !ok || q != p {
				t.Errorf("%s: %s at step %d: %+v, want %+v", what, name, step, q, p)
				break
			}
		}
	}
}

// followed trains runs on a backend and returns their root.
func followed(t *testing.T, backend kernels.Backend, runs ...config.Run) string {
	t.Helper()
	root := t.TempDir()
	if _, err := Ask(root, "s", runs); err != nil {
		t.Fatal(err)
	}
	if err := (&Worker{Backend: backend, Log: t.Output(), Poll: time.Millisecond}).Train(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	return root
}

// medium is a run of every step recorded, dense or with experts, long enough that a GPU is
// stopped within it.
func medium(lr float64, steps int64, experts bool) config.Run {
	r := config.Default(config.Dense(64, 2, 256, 64), lr)
	if experts {
		r = config.Default(r.Shape.MoE(8, 2), lr)
	}
	r.Data = config.Data{Source: "synthetic", Tokenizer: "bytes", HeldOut: 0.1, Split: "spread", Bytes: 1 << 20}
	r.Loss.Z = 1e-4
	r = r.For(steps * r.BatchTokens())
	r.Keep.LogEvery = 1
	return r
}

func kinds(t *testing.T, test func(t *testing.T, experts bool)) {
	t.Helper()
	t.Run("dense", func(t *testing.T) { test(t, false) })
	t.Run("experts", func(t *testing.T) { test(t, true) })
}

// TestSameBitsOnGPU: through run directories as well, a sweep trained again has the same
// bits, and so has each of its runs trained alone.
func TestSameBitsOnGPU(t *testing.T) {
	backend := gpu(t)
	kinds(t, func(t *testing.T, experts bool) {
		var runs []config.Run
		for _, lr := range []float64{1e-3, 3e-3, 6, 1e-2, 2e-2} { // one of them diverges
			runs = append(runs, medium(lr, 150, experts))
		}
		together := curves(t, followed(t, backend, runs...))
		same(t, "again", curves(t, followed(t, backend, runs...)), together)
		alone := map[string]map[int64]point{}
		for _, r := range runs {
			for name, curve := range curves(t, followed(t, backend, r)) {
				alone[name] = curve
			}
		}
		same(t, "alone", alone, together)
	})
}

// TestKilledOnGPU: the same as TestKilled of workers on a GPU.
func TestKilledOnGPU(t *testing.T) {
	backend := gpu(t)
	kinds(t, func(t *testing.T, experts bool) {
		killed(t, backend, GPU+":0", 5, medium(1e-3, 3000, experts), medium(5e-3, 3000, experts))
	})
}

// through is a backend whose machines let a test look before each optimizer step.
type through struct {
	kernels.Backend
	update func() error
}

func (b through) Load(runs int, programs ...*kernels.Program) (kernels.Machine, error) {
	mc, err := b.Backend.Load(runs, programs...)
	return throughMachine{mc, b.update}, err
}

type throughMachine struct {
	kernels.Machine
	update func() error
}

func (m throughMachine) Execute(p *kernels.Program) error {
	if strings.HasSuffix(p.Name(), "apply") { // an observed one too
		if err := m.update(); err != nil {
			return err
		}
	}
	return m.Machine.Execute(p)
}

// TestCarriedBetweenDevices: a run that begins on one device and ends on the other. Its
// state is carried over to the bit, and its losses are those of a run that stays, within
// what the devices differ by anyway.
func TestCarriedBetweenDevices(t *testing.T) {
	card, processor := gpu(t), worker(t).Backend
	kinds(t, func(t *testing.T, experts bool) {
		r := medium(3e-3, 120, experts)
		name := r.Name()
		curve := func(root string) (out []float64) {
			points := curves(t, root)[name]
			for step := range r.Steps() {
				out = append(out, float64(points[step+1].loss))
			}
			return out
		}
		stays := map[bool][]float64{true: curve(followed(t, card, r)), false: curve(followed(t, processor, r))}
		noise, most := distance(stays[true], stays[false])
		t.Logf("GPU and processor differ by %.2g on average, at most %.2g", noise, most)
		if !(most < 0.1) {
			t.Errorf("that is too much to compare by")
		}
		for onCard, words := range map[bool]string{true: "from the GPU to the processor", false: "from the processor to the GPU"} {
			from, to := processor, kernels.Backend(card)
			if onCard {
				from, to = to, from
			}
			root := t.TempDir()
			dirs, err := Ask(root, "s", []config.Run{r})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			steps := 0
			first := &Worker{Backend: through{from, func() error {
				if steps++; steps == 60 {
					cancel()
				}
				return nil
			}}}
			if err := first.Train(ctx, root); !errors.Is(err, context.Canceled) {
				t.Fatalf("%s: %v", words, err)
			}
			c, ok := rundir.Latest(dirs[0])
			if !ok || c.Step < 60 || c.Step >= r.Steps() {
				t.Fatalf("%s: stopped at %+v", words, c)
			}
			carried(t, from, to, r, c)
			if err := (&Worker{Backend: to}).Train(t.Context(), root); err != nil {
				t.Fatal(err)
			}
			got := curve(root)
			for i, loss := range got[:c.Step] {
				if loss != stays[onCard][i] {
					t.Fatalf("%s: before it was carried, at step %d, the loss is %v, want %v", words, i+1, loss, stays[onCard][i])
				}
			}
			// One forward pass on the same weights, then updates by the moments that came along.
			if d := math.Abs(got[c.Step] - stays[onCard][c.Step]); d > max(2e-3, most) {
				t.Errorf("%s: the first step after it is off by %.2g", words, d)
			}
			mean, far := distance(got[c.Step:], stays[onCard][c.Step:])
			t.Logf("%s at step %d: |Δ| %.2g on average, at most %.2g", words, c.Step, mean, far)
			if !(mean <= 3*noise && far <= 3*most) {
				t.Errorf("%s: beyond three times what the devices differ by", words)
			}
		}
	})
}

// carried requires that a checkpoint of one device, restored on another and saved there,
// is the same file for file.
func carried(t *testing.T, from, to kernels.Backend, r config.Run, c rundir.Checkpoint) {
	t.Helper()
	g, _ := grouped(t, to, r)
	dir := t.TempDir()
	if err := errors.Join(g.Restore(0, c.Dir, true), g.Save(0, dir)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{weightsFile, optimizerFile} {
		a, err := os.ReadFile(filepath.Join(c.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s from %s is another one on %s", name, from.Name(), to.Name())
		}
	}
}

// TestDeviceBreaksMidway: where a device breaks between steps that were asked for at once,
// no checkpoint is made of what nobody has seen; taken up again, the run has the losses of
// one that was left alone, to the bit.
func TestDeviceBreaksMidway(t *testing.T) {
	runs := []config.Run{small(3e-3), small(1e-3)}
	for i := range runs {
		runs[i].Keep.LogEvery, runs[i].Keep.CheckpointEvery = 1, 10
	}
	want := curves(t, followed(t, worker(t).Backend, runs...))
	for _, at := range []int{1, 17, 38, 60} {
		root := t.TempDir()
		dirs, err := Ask(root, "s", runs)
		if err != nil {
			t.Fatal(err)
		}
		steps := 0
		w := worker(t)
		w.Backend = through{w.Backend, func() error {
			if steps++; steps == at {
				return &driver.Error{Code: 719, Name: "CUDA_ERROR_LAUNCH_FAILED", Text: "unspecified launch failure", Doing: "waiting for the device"}
			}
			return nil
		}}
		if err := w.Train(t.Context(), root); err == nil {
			t.Error("the worker goes on with a broken device")
		}
		for _, dir := range dirs {
			if st := rundir.Read(dir).Status; st.State != rundir.Interrupted || st.Resumable != (at > 10) || !strings.Contains(st.Reason, "CUDA_ERROR_LAUNCH_FAILED") {
				t.Errorf("broken at step %d: %s, %q, resumable %v", at, st.State, st.Reason, st.Resumable)
			}
			if err := Again(dir); err != nil {
				t.Fatal(err)
			}
		}
		if err := worker(t).Train(t.Context(), root); err != nil {
			t.Fatal(err)
		}
		same(t, "taken up again", curves(t, root), want)
	}
}

// TestOutOfMemoryOnGPU: a run too large for any card is interrupted, says what it needed and
// what there was, and keeps no other from training.
func TestOutOfMemoryOnGPU(t *testing.T) {
	backend := gpu(t)
	big, good := medium(1e-3, 100, false), medium(1e-3, 100, false)
	big.Shape = config.Dense(16384, 16, 256, 64) // 50e9 parameters, 16 bytes each
	root := t.TempDir()
	dirs, err := Ask(root, "s", []config.Run{big, good})
	if err != nil {
		t.Fatal(err)
	}
	if err := (&Worker{Backend: backend, Log: t.Output()}).Train(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	st := rundir.Read(dirs[0]).Status
	if st.State != rundir.Interrupted || !strings.Contains(st.Reason, driver.ErrOutOfMemory.Name) || !strings.Contains(st.Reason, "are free") {
		t.Errorf("the large one: %s, %q", st.State, st.Reason)
	}
	if st := rundir.Read(dirs[1]).Status; st.State != rundir.Finished {
		t.Errorf("the small one: %s, %q", st.State, st.Reason)
	}
}

// TestNobodyComes: where a worker cannot have its device, the runs that wait for it say so.
func TestNobodyComes(t *testing.T) {
	if _, err := driver.Count(); err == nil {
		t.Skip("this machine has a GPU")
	}
	for _, share := range []int{1, 2} {
		root := t.TempDir()
		dirs, err := Ask(root, "s", []config.Run{small(1e-3), small(2e-3)})
		if err != nil {
			t.Fatal(err)
		}
		err = Work(t.Context(), root, GPU, share, t.TempDir())
		if err == nil {
			t.Fatal("it trains on a GPU")
		}
		want := map[int]rundir.State{1: rundir.Interrupted, 2: rundir.Queued}[share]
		for _, dir := range dirs {
			if st := rundir.Read(dir).Status; st.State != want || share == 1 && st.Reason != err.Error() {
				t.Errorf("%d workers: %s, %q after %v", share, st.State, st.Reason, err)
			}
		}
	}
}
