package trainer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/cpu"
	"github.com/etastar/etastar/trainer/config"
)

// Speed is what a machine trains of one shape.
type Speed struct {
	TokensPerSecond float64 `json:"tokens_per_second"` // of all runs together
	Measured        bool    `json:"measured"`          // a step was timed; false: from the machine's peak alone
	Bytes           int64   `json:"bytes"`             // that the runs need at once
	Room            int64   `json:"room,omitzero"`     // that they may take; beyond it they train in groups. 0: not known
}

// Asked is a number of runs of one shape whose speed is to be measured.
type Asked struct {
	Run  config.Run `json:"run"`
	Runs int        `json:"runs"`
}

// longestMeasure is how much of a step is worth waiting for before anything is asked.
const longestMeasure = 300 * time.Millisecond

// shareOfPeak is what a step reaches of a core's peak where it is not measured: what
// proxies of 0.1M to 1M parameters reach.
const shareOfPeak = 0.4

// measure times a step on this machine's processor with tokens that are all the same. A
// core trains one run at a time. A step that would take long is estimated from a core's
// measured peak and the run's FLOPs.
func measure(a Asked) (Speed, error) {
	backend, err := cpu.New(cpu.Options{Workers: 1})
	if err != nil {
		return Speed{}, err
	}
	all, err := cpu.New(cpu.Options{})
	if err != nil {
		return Speed{}, err
	}
	micro := float64(a.Run.BatchTokens()) / float64(a.Run.Batch.Accumulate)
	s := Speed{TokensPerSecond: shareOfPeak * backend.Peak() / a.Run.Shape.FLOPs().Compute}
	if micro/s.TokensPerSecond <= longestMeasure.Seconds() {
		seconds, err := timeStep(backend, a.Run, 1, 1)
		if err != nil {
			return Speed{}, err
		}
		s = Speed{TokensPerSecond: micro / seconds, Measured: true}
	}
	rounds := (a.Runs + all.Workers() - 1) / all.Workers()
	s.TokensPerSecond *= float64(a.Runs) / float64(rounds)
	s.Room = memoryBudget()
	s.Bytes, err = Memory(all, a.Run, a.Runs)
	return s, err
}

// timeStep is the time of a micro-batch and its update, after one that touches the memory.
func timeStep(backend kernels.Backend, r config.Run, runs, steps int) (float64, error) {
	r.Keep.StatsEvery = -1
	m, err := newModel(r)
	if err != nil {
		return 0, err
	}
	mc, err := backend.Load(runs, m.Programs()...)
	if err != nil {
		return 0, err
	}
	defer mc.Close()
	if err := m.Prepare(mc, runs, 0); err != nil {
		return 0, err
	}
	var start time.Time
	wait := make([]float32, 1)
	for i := range steps + 1 {
		if i == 1 {
			if err := mc.ReadFloats(wait, m.LossSum, 0); err != nil { // waits for the device
				return 0, err
			}
			start = time.Now()
		}
		if err := errors.Join(mc.Execute(m.Accumulate), mc.Execute(m.Apply)); err != nil {
			return 0, err
		}
	}
	err = mc.ReadFloats(wait, m.LossSum, 0)
	return time.Since(start).Seconds() / float64(steps), err
}

// Meter measures speeds on a device and remembers them by shape, batch and number of runs.
// The zero Meter is ready; it may be used by several goroutines.
type Meter struct {
	mu sync.Mutex
	by map[string]Speed
}

// Measure says how fast runs train on a device ("" for Auto). A GPU is left to a process
// of its own, one for all that is not known yet: the program at exe, started with the words
// and --measure, must call ServeMeasure.
func (m *Meter) Measure(ctx context.Context, exe string, words []string, device string, asked []Asked) ([]Speed, error) {
	name, _, err := choose(device)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	key := func(a Asked) string { return fmt.Sprintf("%s %+v %+v %d", name, a.Run.Shape, a.Run.Batch, a.Runs) }
	var unknown []Asked
	for _, a := range asked {
		if _, ok := m.by[key(a)]; !ok && !slices.ContainsFunc(unknown, func(u Asked) bool { return key(u) == key(a) }) {
			unknown = append(unknown, a)
		}
	}
	found, err := measureOn(ctx, exe, words, name, unknown)
	if err != nil {
		return nil, err
	}
	if m.by == nil {
		m.by = map[string]Speed{}
	}
	for i, a := range unknown {
		m.by[key(a)] = found[i]
	}
	out := make([]Speed, len(asked))
	for i, a := range asked {
		out[i] = m.by[key(a)]
	}
	return out, nil
}

func measureOn(ctx context.Context, exe string, words []string, name string, asked []Asked) ([]Speed, error) {
	out := make([]Speed, len(asked))
	if name == CPU {
		for i, a := range asked {
			var err error
			if out[i], err = measure(a); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	if len(asked) == 0 {
		return nil, nil
	}
	question, err := json.Marshal(asked)
	if err != nil {
		return nil, err
	}
	var answer bytes.Buffer
	cmd := exec.CommandContext(ctx, exe, append(slices.Clone(words), "--measure", "--device", name, ".")...)
	cmd.Stdin, cmd.Stdout = bytes.NewReader(question), &answer
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("measure on %s: %w", name, err)
	}
	if err := json.Unmarshal(answer.Bytes(), &out); err != nil || len(out) != len(asked) {
		return nil, fmt.Errorf("measure on %s: an answer of %d bytes: %w", name, answer.Len(), err)
	}
	return out, nil
}

// gpuSteps is how many steps are timed on a GPU.
const gpuSteps = 5

// ServeMeasure answers a Meter.
func ServeMeasure(in io.Reader, out io.Writer, device string) (err error) {
	var asked []Asked
	if err = json.NewDecoder(in).Decode(&asked); err != nil {
		return err
	}
	d, err := openDevice(device)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	speeds := make([]Speed, len(asked))
	for i, a := range asked {
		n := a.Runs
		need, err := Memory(d.backend, a.Run, n)
		if err != nil {
			return err
		}
		if need > d.budget && d.budget > 0 {
			n = int(max(1, int64(n)*d.budget/need))
		}
		seconds, err := timeStep(d.backend, a.Run, n, gpuSteps)
		if err != nil {
			return err
		}
		micro := float64(a.Run.BatchTokens()) / float64(a.Run.Batch.Accumulate)
		speeds[i] = Speed{TokensPerSecond: float64(n) * micro / seconds, Measured: true, Bytes: need, Room: d.budget}
	}
	return json.NewEncoder(out).Encode(speeds)
}
