package cpu

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/etastar/etastar/kernels"
)

const canary = 0x4ca9a127

// rig runs a few operations on per-run buffers: outputs start as NaN, and what lies
// between buffers must not change.
type rig struct {
	testing.TB
	isa   string
	rng   *rand.Rand
	space *kernels.Space
	fill  map[kernels.Buffer][]float64
	ints  map[kernels.Buffer][]int32
	m     *Machine
	chunk int // rows, if not the backend's
}

func newRig(t testing.TB, isa string, seed uint64) *rig {
	return &rig{
		TB: t, isa: isa, rng: rand.New(rand.NewPCG(seed, 7)), space: kernels.NewSpace(),
		fill: map[kernels.Buffer][]float64{}, ints: map[kernels.Buffer][]int32{},
	}
}

// eachISA runs a test for every instruction set of the machine.
func eachISA(t *testing.T, f func(t *testing.T, isa string)) {
	for _, isa := range ISAs() {
		t.Run(isa, func(t *testing.T) { f(t, isa) })
	}
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// in declares a buffer of normal deviates that are exact in float32.
func (r *rig) in(name string, shape ...int) kernels.Buffer {
	v := make([]float64, product(shape))
	for i := range v {
		v[i] = float64(float32(r.rng.NormFloat64()))
	}
	return r.given(name, v, shape...)
}

func (r *rig) given(name string, v []float64, shape ...int) kernels.Buffer {
	b := r.space.Float(name, kernels.PerRun, shape...)
	r.fill[b] = v
	return b
}

// out declares a buffer that must be overwritten wholly.
func (r *rig) out(name string, shape ...int) kernels.Buffer {
	v := make([]float64, product(shape))
	for i := range v {
		v[i] = math.NaN()
	}
	return r.given(name, v, shape...)
}

func (r *rig) indices(name string, v []int32, shape ...int) kernels.Buffer {
	b := r.space.Int(name, kernels.PerRun, shape...)
	r.ints[b] = v
	return b
}

func (r *rig) outInts(name string, shape ...int) kernels.Buffer {
	v := make([]int32, product(shape))
	for i := range v {
		v[i] = -1 << 30
	}
	return r.indices(name, v, shape...)
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (r *rig) run(ops ...kernels.Op) {
	r.Helper()
	rec := r.space.Record("test")
	rec.Add(ops...)
	p, err := rec.Build()
	if err != nil {
		r.Fatal(err)
	}
	backend := must[*Backend](r)(New(Options{ISA: r.isa}))
	if r.chunk > 0 {
		backend.chunk = r.chunk
	}
	r.m = must[kernels.Machine](r)(backend.Load(1, p)).(*Machine)
	defer r.m.Close()
	poison(r.m)
	for b, v := range r.fill {
		dst := must[[]float32](r)(r.m.Floats(b, 0))
		for i, x := range v {
			dst[i] = float32(x)
		}
	}
	for b, v := range r.ints {
		if err := r.m.WriteInts(b, 0, v); err != nil {
			r.Fatal(err)
		}
	}
	if err := r.m.Execute(p); err != nil {
		r.Fatal(err)
	}
	checkCanaries(r, r.m)
}

// poison fills everything between per-run buffers with a pattern, and all scratch and
// working memory with NaN.
func poison(m *Machine) {
	for _, s := range m.state {
		gaps(m, func(i int) { asInts(s)[i] = canary })
	}
	for _, w := range m.workers {
		for i := range w.scratch {
			w.scratch[i] = nan()
		}
		for i := range w.tmp {
			w.tmp[i] = nan()
		}
	}
}

func checkCanaries(t testing.TB, m *Machine) {
	t.Helper()
	for _, s := range m.state {
		gaps(m, func(i int) {
			if asInts(s)[i] != canary {
				t.Fatalf("memory between buffers was written, at %d", i)
			}
		})
	}
}

// gaps visits every element of a run's arena that belongs to no buffer.
func gaps(m *Machine, visit func(i int)) {
	used := make([]bool, m.perRun.Len)
	for b, off := range m.perRun.Offset {
		if off >= 0 {
			info, _ := m.space.Info(kernels.Buffer(b + 1))
			for i := range info.Len() {
				used[off+i] = true
			}
		}
	}
	for i, u := range used {
		if !u {
			visit(i)
		}
	}
}

// get reads a buffer back in float64.
func (r *rig) get(b kernels.Buffer) []float64 {
	r.Helper()
	src := must[[]float32](r)(r.m.Floats(b, 0))
	v := make([]float64, len(src))
	for i, x := range src {
		v[i] = float64(x)
	}
	return v
}

func (r *rig) getInts(b kernels.Buffer) []int32 {
	r.Helper()
	return must[[]int32](r)(r.m.Ints(b, 0))
}

// near compares with an error relative to the largest of what is wanted, or to 1 where
// all of it is smaller: inputs are of that size, and cancelling leaves their errors.
func near(t testing.TB, what string, got, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	top := 1.0
	for _, w := range want {
		top = max(top, math.Abs(w))
	}
	for i := range got {
		if d := math.Abs(got[i] - want[i]); !(d <= tol*top) {
			t.Fatalf("%s[%d] = %v, want %v (off by %.1e of the largest, %.3g)", what, i, got[i], want[i], d/top, top)
		}
	}
}

// slope is the gradient of Σ weight·f(x) by central differences.
func slope(f func(x []float64) []float64, x, weight []float64) []float64 {
	g := make([]float64, len(x))
	for i := range x {
		g[i] = slopeAt(f, x, weight, i)
	}
	return g
}

// slopeAt is one element of slope.
func slopeAt(f func(x []float64) []float64, x, weight []float64, i int) float64 {
	const h = 1e-5
	x = append([]float64(nil), x...)
	keep := x[i]
	at := func(v float64) float64 {
		x[i] = v
		s := 0.0
		for j, y := range f(x) {
			s += weight[j] * y
		}
		return s
	}
	return (at(keep+h) - at(keep-h)) / (2 * h)
}

func plus(a, b []float64) []float64 {
	c := make([]float64, len(a))
	for i := range a {
		c[i] = a[i] + b[i]
	}
	return c
}
