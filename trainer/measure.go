package trainer

import (
	"fmt"
	"sync"
	"time"

	"github.com/etastar/etastar/kernels/cpu"
	"github.com/etastar/etastar/trainer/config"
)

// Speed is what one core of this machine trains.
type Speed struct {
	TokensPerSecond float64 // of one run
	Cores           int     // runs that train at once
	Measured        bool    // a step was timed; false: from the machine's peak alone
}

// Seconds is how long runs of one shape take together: a core trains one run at a time.
func (s Speed) Seconds(runs int, tokens float64) float64 {
	rounds := (runs + s.Cores - 1) / s.Cores
	return float64(rounds) * tokens / s.TokensPerSecond
}

// longestMeasure is how much of a step is worth waiting for before anything is asked.
const longestMeasure = 300 * time.Millisecond

// shareOfPeak is what a step reaches of a core's peak where it is not measured: what
// proxies of 0.1M to 1M parameters reach.
const shareOfPeak = 0.4

var measured struct {
	sync.Mutex
	by map[string]Speed
}

// Measure times a step of a run on one core with tokens that are all the same, and
// remembers it by shape and batch. A step that would take long is estimated from the
// core's measured peak and the run's FLOPs.
func Measure(r config.Run) (Speed, error) {
	key := fmt.Sprintf("%+v %+v", r.Shape, r.Batch)
	measured.Lock()
	defer measured.Unlock()
	if s, ok := measured.by[key]; ok {
		return s, nil
	}
	backend, err := cpu.New(cpu.Options{Workers: 1})
	if err != nil {
		return Speed{}, err
	}
	all, err := cpu.New(cpu.Options{})
	if err != nil {
		return Speed{}, err
	}
	s := Speed{Cores: all.Workers()}
	micro := float64(r.BatchTokens()) / float64(r.Batch.Accumulate)
	s.TokensPerSecond = shareOfPeak * backend.Peak() / r.Shape.FLOPs().Compute
	if micro/s.TokensPerSecond <= longestMeasure.Seconds() {
		seconds, err := timeStep(backend, r)
		if err != nil {
			return Speed{}, err
		}
		s.TokensPerSecond, s.Measured = micro/seconds, true
	}
	if measured.by == nil {
		measured.by = map[string]Speed{}
	}
	measured.by[key] = s
	return s, nil
}

// timeStep is the time of the second micro-batch: the first touches the memory.
func timeStep(backend *cpu.Backend, r config.Run) (float64, error) {
	m, err := newModel(r)
	if err != nil {
		return 0, err
	}
	mc, err := backend.Load(1, m.Programs()...)
	if err != nil {
		return 0, err
	}
	defer mc.Close()
	if err := m.Prepare(mc, 1, 0); err != nil {
		return 0, err
	}
	var took time.Duration
	for range 2 {
		start := time.Now()
		if err := mc.Execute(m.Accumulate); err != nil {
			return 0, err
		}
		if err := mc.Execute(m.Apply); err != nil {
			return 0, err
		}
		took = time.Since(start)
	}
	return took.Seconds(), nil
}
