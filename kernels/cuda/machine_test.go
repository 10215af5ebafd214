package cuda

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/cpu"
	"github.com/etastar/etastar/kernels/cuda/driver"
)

func load(t testing.TB, b kernels.Backend, runs int, m *model) kernels.Machine {
	t.Helper()
	mc, err := b.Load(runs, m.accumulate, m.apply, m.evaluate)
	check(t, err)
	t.Cleanup(func() { check(t, mc.Close()) })
	if mc, ok := mc.(*Machine); ok {
		poison(t, mc)
	}
	return mc
}

// follow trains runs of the given numbers together.
func (m *model) follow(t testing.TB, mc kernels.Machine, numbers []int, steps int) (loss, norm [][]float32) {
	t.Helper()
	for run, number := range numbers {
		m.start(t, mc, run, number)
	}
	for step := 1; step <= steps; step++ {
		l, n := m.step(t, mc, numbers, step)
		loss, norm = append(loss, l), append(norm, n)
	}
	return loss, norm
}

type onBackend struct {
	backend *Backend
	shape   shape
}

// cases are the small models on every backend of the device.
func cases(t testing.TB) (list []onBackend) {
	t.Helper()
	for _, b := range gpus(t) {
		list = append(list, onBackend{b, smallDense}, onBackend{b, smallExperts})
	}
	return list
}

// TestTrains: losses and gradient norms follow those of the processor.
func TestTrains(t *testing.T) {
	for _, c := range cases(t) {
		b, m := c.backend, newModel(t, c.shape)
		reference, err := cpu.New(cpu.Options{})
		check(t, err)
		numbers := []int{0, 2}
		wantLoss, wantNorm := m.follow(t, load(t, reference, 2, m), numbers, 12)
		mc := load(t, b, 2, m)
		loss, norm := m.follow(t, mc, numbers, 12)
		for step := range loss {
			for run := range numbers {
				// Later on, rounding has changed which experts some tokens go to.
				lossTol, normTol := 6e-3, 4e-2
				if c.shape.experts > 0 && step > 2 {
					lossTol, normTol = 2e-2, 0.2
				}
				near := func(what string, got, want float32, tol float64) {
					if d := math.Abs(float64(got/want) - 1); !(d < tol) {
						t.Errorf("%s, step %d, run %d: %s %v, want %v", b.Name(), step, run, what, got, want)
					}
				}
				near("loss", loss[step][run], wantLoss[step][run], lossTol)
				near("gradient norm", norm[step][run], wantNorm[step][run], normTol)
			}
		}
		if !(loss[11][0] < loss[0][0]) {
			t.Errorf("nothing was learnt: %v", loss)
		}
		// Evaluation executes what training does before its update.
		before := make([]float32, m.rows())
		check(t, mc.Execute(m.evaluate))
		check(t, mc.ReadFloats(before, m.tokenLoss, 1))
		check(t, mc.Execute(m.accumulate))
		after := make([]float32, m.rows())
		check(t, mc.ReadFloats(after, m.tokenLoss, 1))
		if !slices.Equal(before, after) {
			t.Error("evaluation and training do not give the same losses")
		}
	}
}

// TestSlices: a product whose inner axis is cut has the same bits in blocks of their own as
// in one block after another, which is how many runs are done.
func TestSlices(t *testing.T) {
	b := gpu(t)
	for _, size := range [][3]int{{768, 256, 8192}, {1536, 256, 8192}, {200, 136, 4000}} {
		m, n, k := size[0], size[1], size[2]
		s := kernels.NewSpace()
		x, w, y := s.Float("x", kernels.PerRun, k, m), s.Float("w", kernels.PerRun, k, n), s.Float("y", kernels.PerRun, m, n)
		r := s.Record("product")
		r.Add(kernels.MatMul{Y: y, A: x, B: w, TransA: true, Add: true})
		p, err := r.Build()
		check(t, err)
		var want []float32
		for _, runs := range []int{1, 3, 8, 24} {
			mc, err := b.Load(runs, p)
			check(t, err)
			rng := rand.New(rand.NewPCG(9, uint64(m)))
			values := func(n int) []float32 {
				v := make([]float32, n)
				for i := range v {
					v[i] = float32(rng.NormFloat64())
				}
				return v
			}
			vx, vw, vy := values(k*m), values(k*n), values(m*n)
			for run := range runs {
				check(t, errors.Join(mc.WriteFloats(x, run, vx), mc.WriteFloats(w, run, vw), mc.WriteFloats(y, run, vy)))
			}
			check(t, errors.Join(mc.Execute(p), mc.Execute(p)))
			got := make([]float32, m*n)
			check(t, mc.ReadFloats(got, y, runs-1))
			if want == nil {
				want = got
			} else if !slices.Equal(got, want) {
				t.Errorf("%v: other bits with %d runs than alone", size, runs)
			}
			check(t, mc.Close())
		}
	}
}

// TestTogetherAlone: a run has the same bits alone and with others, and again.
func TestTogetherAlone(t *testing.T) {
	for _, c := range cases(t) {
		b, m := c.backend, newModel(t, c.shape)
		numbers := []int{0, 1, 2, 3, 4}
		mc := load(t, b, 5, m)
		loss, norm := m.follow(t, mc, numbers, 5)
		again, _ := m.follow(t, load(t, b, 5, m), numbers, 5)
		for step := range loss {
			if !slices.Equal(loss[step], again[step]) {
				t.Fatalf("step %d: losses %v, the second time %v", step, loss[step], again[step])
			}
		}
		for run, number := range numbers[:2] {
			single := load(t, b, 1, m)
			l, n := m.follow(t, single, []int{number}, 5)
			for step := range l {
				if l[step][0] != loss[step][run] || n[step][0] != norm[step][run] {
					t.Fatalf("run %d, step %d: loss %v alone, %v together", run, step, l[step][0], loss[step][run])
				}
			}
			for _, w := range m.tensors {
				x, y := make([]float32, size(w.shape)), make([]float32, size(w.shape))
				check(t, mc.ReadFloats(x, w.p, run))
				check(t, single.ReadFloats(y, w.p, 0))
				if !slices.Equal(x, y) {
					t.Fatalf("run %d: weights of %s differ", run, w.name)
				}
			}
		}
	}
}

// TestInOrder: kernels that work beside each other leave the bits that they leave in order.
func TestInOrder(t *testing.T) {
	inOrder, err := New(Options{InOrder: true})
	if driver.Missing(err) {
		t.Skipf("needs an NVIDIA GPU: %v", err)
	}
	check(t, err)
	defer func() { check(t, inOrder.Close()) }()
	for _, s := range []shape{smallDense, smallExperts, benchShapes[0]} {
		var want []float32
		for _, backend := range []*Backend{inOrder, gpu(t), gpu(t)} {
			m := newModel(t, s)
			mc, err := backend.Load(2, m.accumulate, m.apply, m.evaluate)
			check(t, err)
			m.start(t, mc, 0, 1)
			m.start(t, mc, 1, 2)
			for step := range 30 {
				m.step(t, mc, []int{0, 1}, step+1)
			}
			var got []float32
			for run := range 2 {
				for _, w := range m.tensors {
					x := make([]float32, size(w.shape))
					check(t, mc.ReadFloats(x, w.p, run))
					got = append(got, x...)
				}
			}
			check(t, mc.Close())
			if want == nil {
				want = got
			} else if !slices.Equal(got, want) {
				t.Errorf("%+v: other weights than in order", s)
			}
		}
	}
}

// TestInactive: a run taken out stays as it is, and comes back.
func TestInactive(t *testing.T) {
	b := gpu(t)
	m := newModel(t, smallDense)
	mc := load(t, b, 3, m)
	m.follow(t, mc, []int{0, 1, 2}, 2)
	weights := func(run int) []float32 {
		v := make([]float32, size(m.tensors[0].shape))
		check(t, mc.ReadFloats(v, m.tensors[0].p, run))
		return v
	}
	for round := range 3 {
		x, y := weights(0), weights(1)
		mc.SetActive(1, round == 2)
		check(t, mc.Execute(m.accumulate))
		check(t, mc.Execute(m.apply))
		if moved := !slices.Equal(y, weights(1)); moved != (round == 2) || slices.Equal(x, weights(0)) {
			t.Errorf("round %d: the inactive run moved or an active one stood still", round)
		}
	}
	for run := range 3 {
		mc.SetActive(run, false)
	}
	x := weights(0)
	check(t, mc.Execute(m.accumulate))
	if !slices.Equal(x, weights(0)) {
		t.Error("without active runs something moved")
	}
}

// TestBytes: the prediction is what is allocated.
func TestBytes(t *testing.T) {
	b := gpu(t)
	m := newModel(t, smallExperts)
	for _, runs := range []int{1, 7} {
		want, err := b.Bytes(runs, m.accumulate, m.apply, m.evaluate)
		check(t, err)
		if got := load(t, b, runs, m).(*Machine).layout.bytes(); got != want {
			t.Errorf("%d runs: %d bytes, predicted %d", runs, got, want)
		}
	}
	if _, err := b.Load(1<<13, bigProgram(t)); err == nil || !strings.Contains(err.Error(), "CUDA_ERROR_OUT_OF_MEMORY") || !strings.Contains(err.Error(), "bytes of "+b.Info().Name+" are free") {
		t.Errorf("more than the card has: %v", err)
	}
}

func bigProgram(t testing.TB) *kernels.Program {
	t.Helper()
	s := kernels.NewSpace()
	r := s.Record("big")
	r.Add(kernels.Zero{Y: []kernels.Buffer{s.Float("x", kernels.PerRun, 1<<27)}})
	p, err := r.Build()
	check(t, err)
	return p
}

func TestMachineErrors(t *testing.T) {
	b := gpu(t)
	s := kernels.NewSpace()
	x, y := s.Float("x", kernels.PerRun, 3), s.Float("y", kernels.PerRun, 3)
	ids, shared := s.Int("ids", kernels.PerRun, 3), s.Float("shared", kernels.Shared, 2)
	scratch := s.Float("scratch", kernels.Scratch, 2)
	build := func(s *kernels.Space, op kernels.Op) *kernels.Program {
		r := s.Record("twice")
		r.Add(op)
		p, err := r.Build()
		check(t, err)
		return p
	}
	twice := build(s, kernels.Blend{Y: y, A: x, Alpha: 2})
	foreign := kernels.NewSpace()
	other := build(foreign, kernels.Blend{Y: foreign.Float("y", kernels.PerRun, 1), A: foreign.Float("x", kernels.PerRun, 1)})
	mc, err := b.Load(2, twice)
	check(t, err)
	late := s.Float("late", kernels.PerRun, 1)
	three := []float32{1, 2, 3}
	for want, err := range map[string]error{
		"program twice was not loaded":    mc.Execute(other),
		"buffer x [3]: run 2 of 2":        mc.ReadFloats(three, x, 2),
		"run -1 of 2":                     mc.WriteFloats(x, -1, three),
		"2 elements for 3":                mc.WriteFloats(x, 0, three[:2]),
		"buffer ids [3] is int32":         mc.ReadFloats(three, ids, 0),
		"buffer x [3] is float32":         mc.ReadInts(make([]int32, 3), x, 0),
		"buffer scratch [2] is scratch":   mc.ReadFloats(three[:2], scratch, 0),
		"no buffer 99":                    mc.ReadFloats(three, 99, 0),
		"late [1] was declared after the": mc.ReadFloats(three[:1], late, 0),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	check(t, mc.WriteFloats(shared, 7, three[:2]))
	check(t, mc.WriteFloats(x, 1, three))
	check(t, mc.Execute(twice))
	got := make([]float32, 3)
	check(t, mc.ReadFloats(got, y, 1))
	if !slices.Equal(got, []float32{2, 4, 6}) {
		t.Errorf("got %v", got)
	}
	for range 2 {
		check(t, mc.Close())
	}
	if err := mc.Execute(twice); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("after Close: %v", err)
	}
}

// TestLargeCopies: buffers larger than the staging memory arrive whole.
func TestLargeCopies(t *testing.T) {
	b := gpu(t)
	s := kernels.NewSpace()
	n := 3*stagingBytes/4 + 12345
	x, y := s.Float("x", kernels.PerRun, n), s.Float("y", kernels.PerRun, n)
	r := s.Record("copy")
	r.Add(kernels.Copy{Y: []kernels.Buffer{y}, X: []kernels.Buffer{x}})
	p, err := r.Build()
	check(t, err)
	mc, err := b.Load(2, p)
	check(t, err)
	defer mc.Close()
	want, got := make([]float32, n), make([]float32, n)
	for run := range 2 {
		for i := range want {
			want[i] = float32(i ^ run<<20)
		}
		check(t, mc.WriteFloats(x, run, want))
		clear(want) // the machine must have taken its copy
	}
	check(t, mc.Execute(p))
	for run := range 2 {
		check(t, mc.ReadFloats(got, y, run))
		for i, v := range got {
			if v != float32(i^run<<20) {
				t.Fatalf("run %d: element %d is %v", run, i, v)
			}
		}
	}
}
