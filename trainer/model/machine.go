package model

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/etastar/etastar/kernels"
)

// Programs lists what a machine must load.
func (m *Model) Programs() []*kernels.Program {
	out := []*kernels.Program{m.Accumulate, m.Apply, m.Evaluate}
	if m.Observed != nil {
		out = append(out, m.Observed.Accumulate, m.Observed.Apply)
	}
	return out
}

// Rows is the number of tokens of a micro-batch.
func (m *Model) Rows() int {
	info, _ := m.Space.Info(m.Tokens)
	return info.Len()
}

// Len is the number of elements.
func (p *Param) Len() int {
	n := 1
	for _, d := range p.Shape {
		n *= d
	}
	return n
}

// InitialValue draws a parameter's initial value. It depends on the seed and the
// parameter's name alone: a shape with another module added starts the others alike.
func (p *Param) InitialValue(seed uint64) []float32 {
	v := make([]float32, p.Len())
	if p.Gain {
		for i := range v {
			v[i] = 1
		}
		return v
	}
	// FNV-1a, so that a name's stream does not change with the program.
	h := uint64(14695981039346656037)
	for i := range len(p.Name) {
		h = (h ^ uint64(p.Name[i])) * 1099511628211
	}
	rng := rand.New(rand.NewPCG(seed, h))
	for i := range v {
		// Cut at three standard deviations, drawn again: no outlier decides a proxy.
		x := rng.NormFloat64()
		for math.Abs(x) > 3 {
			x = rng.NormFloat64()
		}
		v[i] = float32(x * p.Init)
	}
	return v
}

// Prepare writes what no step changes (positions) and the initial values of every run.
func (m *Model) Prepare(mc kernels.Machine, runs int, seed uint64) error {
	positions := make([]int32, m.Rows())
	for i := range positions {
		positions[i] = int32(i % m.Shape.Context)
	}
	if err := mc.WriteInts(m.Positions, 0, positions); err != nil {
		return fmt.Errorf("model %s: %w", m.Shape.Name(), err)
	}
	for i, v := range m.initialValues(seed) {
		for r := range runs {
			if err := mc.WriteFloats(m.Params[i].Value, r, v); err != nil {
				return fmt.Errorf("model %s: %w", m.Shape.Name(), err)
			}
		}
		if m.Observed != nil {
			if err := m.prepareObserved(mc, runs, i, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// initialValues draws those of all parameters on all cores, the largest first, and yields
// them as they are done.
func (m *Model) initialValues(seed uint64) iter.Seq2[int, []float32] {
	return func(yield func(int, []float32) bool) {
		order := make([]int, len(m.Params))
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(m.Params[b].Len(), m.Params[a].Len()) })
		type value struct {
			param int
			v     []float32
		}
		values, enough := make(chan value), make(chan struct{})
		var next atomic.Int64
		var cores sync.WaitGroup
		for range min(len(order), runtime.GOMAXPROCS(0)) {
			cores.Go(func() {
				for k := int(next.Add(1)) - 1; k < len(order); k = int(next.Add(1)) - 1 {
					i := order[k]
					select {
					case values <- value{i, m.Params[i].InitialValue(seed)}:
					case <-enough:
						return
					}
				}
			})
		}
		defer cores.Wait()
		defer close(enough)
		for range order {
			if got := <-values; !yield(got.param, got.v) {
				return
			}
		}
	}
}
