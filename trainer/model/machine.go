package model

import (
	"fmt"
	"math"
	"math/rand/v2"

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

// InitialValue draws a parameter's initial value. It depends on the seed and the
// parameter's name alone: a shape with another module added starts the others alike.
func (p *Param) InitialValue(seed uint64) []float32 {
	n := 1
	for _, d := range p.Shape {
		n *= d
	}
	v := make([]float32, n)
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
	for i := range m.Params {
		v := m.Params[i].InitialValue(seed)
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
