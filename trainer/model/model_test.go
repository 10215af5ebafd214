package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/cpu"
	"github.com/etastar/etastar/mup"
	"github.com/etastar/etastar/trainer/config"
)

func shapes() map[string]config.Shape {
	dense := config.Dense(32, 2, 61, 16)
	gqa := dense
	gqa.Heads, gqa.KVHeads, gqa.HeadDim = 4, 1, 6
	tied := dense
	tied.Tied = true
	return map[string]config.Shape{"dense": dense, "grouped heads": gqa, "tied": tied, "moe": dense.MoE(5, 2), "one expert": dense.MoE(1, 1)}
}

type rig struct {
	t  *testing.T
	m  *Model
	mc kernels.Machine
}

func load(t *testing.T, s config.Shape, o Options, runs int) *rig {
	t.Helper()
	if p := s.Problems(); p != nil {
		t.Fatal(p)
	}
	m, err := New(s, o)
	if err != nil {
		t.Fatal(err)
	}
	backend, err := cpu.New(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	mc, err := backend.Load(runs, m.Programs()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mc.Close() })
	if err := m.Prepare(mc, runs, 1); err != nil {
		t.Fatal(err)
	}
	return &rig{t, m, mc}
}

func (r *rig) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) read(b kernels.Buffer, run int) []float32 {
	r.t.Helper()
	info, _ := r.m.Space.Info(b)
	v := make([]float32, info.Len())
	r.check(r.mc.ReadFloats(v, b, run))
	return v
}

// batch writes random tokens; the targets are the next token.
func (r *rig) batch(seed uint64) {
	r.t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	tokens, targets := make([]int32, r.m.Rows()), make([]int32, r.m.Rows())
	for i := range tokens {
		tokens[i], targets[i] = int32(rng.IntN(r.m.Shape.Vocab)), int32(rng.IntN(r.m.Shape.Vocab))
	}
	r.check(r.mc.WriteInts(r.m.Tokens, 0, tokens))
	r.check(r.mc.WriteInts(r.m.Targets, 0, targets))
}

// loss is the mean over the micro-batch, of the evaluating program.
func (r *rig) loss(run int) float64 {
	r.t.Helper()
	r.check(r.mc.Execute(r.m.Evaluate))
	sum := 0.0
	v := r.read(r.m.TokenLoss, run)
	for _, x := range v {
		sum += float64(x)
	}
	return sum / float64(len(v))
}

func (r *rig) scalar(b kernels.Buffer, run int, x float32) {
	r.check(r.mc.WriteFloats(b, run, []float32{x}))
}

func TestUntrainedLossIsLnV(t *testing.T) {
	for name, s := range shapes() {
		t.Run(name, func(t *testing.T) {
			r := load(t, s, Options{Sequences: 4}, 1)
			r.batch(1)
			if got, want := r.loss(0), math.Log(float64(s.Vocab)); math.Abs(got-want) > 0.03 {
				t.Errorf("loss %v, ln V is %v", got, want)
			}
		})
	}
}

// TestGradients compares, for every parameter, the slope of the loss along the
// parameter's gradient with the gradient's squared norm: an operand wired wrongly
// anywhere shows.
func TestGradients(t *testing.T) {
	for name, s := range shapes() {
		t.Run(name, func(t *testing.T) {
			r := load(t, s, Options{Sequences: 3}, 1)
			r.batch(2)
			// Larger weights than the initial ones, so that no gradient drowns in rounding.
			for i := range r.m.Params {
				p := &r.m.Params[i]
				if p.Module == mup.Embedding || p.Module == mup.Head {
					v := r.read(p.Value, 0)
					for k := range v {
						v[k] *= 15
					}
					r.check(r.mc.WriteFloats(p.Value, 0, v))
				}
			}
			r.scalar(r.m.Scale, 0, 1/float32(r.m.Rows()))
			r.check(r.mc.Execute(r.m.Accumulate))
			for i := range r.m.Params {
				p := &r.m.Params[i]
				g, v := r.read(p.Grad, 0), r.read(p.Value, 0)
				norm := 0.0
				for _, x := range g {
					norm += float64(x) * float64(x)
				}
				if p.Module == mup.Router && s.Experts == 1 {
					if norm > 1e-12 {
						t.Errorf("%s: one expert leaves nothing to choose, gradient %v", p.Name, norm)
					}
					continue
				}
				step := 0.01 / math.Sqrt(norm)
				move := func(by float64) float64 {
					moved := make([]float32, len(v))
					for k := range v {
						moved[k] = v[k] + float32(by)*g[k]
					}
					r.check(r.mc.WriteFloats(p.Value, 0, moved))
					return r.loss(0)
				}
				slope := (move(step) - move(-step)) / (2 * step)
				r.check(r.mc.WriteFloats(p.Value, 0, v))
				if math.Abs(slope/norm-1) > 0.02 && math.Abs(slope-norm)*step > 2e-6 {
					t.Errorf("%s: slope along the gradient %.6g, its squared norm %.6g", p.Name, slope, norm)
				}
			}
		})
	}
}

// TestTogetherAsAlone: two learning rates trained together are, to the bit, the two
// trained alone.
func TestTogetherAsAlone(t *testing.T) {
	for _, name := range []string{"dense", "moe"} {
		s := shapes()[name]
		train := func(rates ...float64) [][]float32 {
			r := load(t, s, Options{Sequences: 2, Balance: 0.01}, len(rates))
			table := make([]float32, len(r.m.Params)*kernels.AdamFields)
			for step := range 5 {
				r.batch(uint64(step))
				for run, lr := range rates {
					for i, p := range r.m.Params {
						a := kernels.Adam{LR: lr, WeightDecay: 0.1, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Step: step + 1}
						if p.Gain {
							a.WeightDecay = 0
						}
						a.Row(table[i*kernels.AdamFields:])
					}
					r.check(r.mc.WriteFloats(r.m.AdamTable, run, table))
					r.scalar(r.m.Scale, run, 1/float32(r.m.Rows()))
					r.scalar(r.m.Balance, run, 1)
					r.scalar(r.m.MaxNorm, run, 1)
				}
				r.check(r.mc.Execute(r.m.Accumulate))
				r.check(r.mc.Execute(r.m.Apply))
			}
			var out [][]float32
			for run := range rates {
				var all []float32
				for _, p := range r.m.Params {
					all = append(all, r.read(p.Value, run)...)
				}
				out = append(out, all)
			}
			return out
		}
		together := train(1e-3, 1e-2)
		for i, lr := range []float64{1e-3, 1e-2} {
			alone := train(lr)[0]
			for k := range alone {
				if math.Float32bits(alone[k]) != math.Float32bits(together[i][k]) {
					t.Fatalf("%s at %g: weight %d is %v alone, %v together", name, lr, k, alone[k], together[i][k])
				}
			}
		}
	}
}

func TestParametersAreThoseOfTheShape(t *testing.T) {
	for name, s := range shapes() {
		m, err := New(s, Options{Sequences: 1})
		if err != nil {
			t.Fatal(err)
		}
		n, seen := int64(0), map[string]bool{}
		for _, p := range m.Params {
			size := int64(1)
			for _, d := range p.Shape {
				size *= int64(d)
			}
			n += size
			if seen[p.Name] {
				t.Errorf("%s: two parameters %s", name, p.Name)
			}
			seen[p.Name] = true
		}
		if want := s.Params().Total; n != want {
			t.Errorf("%s: %d parameters, the shape counts %d", name, n, want)
		}
	}
}

func ExampleModel() {
	m, _ := New(config.Dense(64, 2, 256, 128), Options{Sequences: 16})
	fmt.Println(len(m.Params), "parameters,", m.Rows(), "tokens a micro-batch")
	// Output: 23 parameters, 2048 tokens a micro-batch
}
