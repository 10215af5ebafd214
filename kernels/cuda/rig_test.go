package cuda

import (
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/cpu"
	"github.com/etastar/etastar/kernels/cuda/driver"
)

// The tests on the device share its backends: the one that takes what is fastest, and
// those with the kernels for every card where that is another, without cuBLASLt and with.
var device struct {
	once     sync.Once
	backends []*Backend
	err      error
}

// For compute-sanitizer, ETASTAR_TEST_BACKEND=0, 1 or 2 leaves one of the backends below, and
// ETASTAR_TEST_FIXED_REGISTERS takes setmaxnreg out of the kernels.

// setRegisters moves registers between the warps of a block. compute-sanitizer's racecheck
// puts code of its own into kernels and breaks those that do it.
var setRegisters = regexp.MustCompile(`(?m)^\s*setmaxnreg\.\S+\s.*$`)

// gpus is the device's backends; without a device the test is skipped.
func gpus(t testing.TB) []*Backend {
	t.Helper()
	device.once.Do(func() {
		all := []Options{{}, {Portable: true, OwnProducts: true}, {Portable: true}}
		if k, err := strconv.Atoi(os.Getenv("ETASTAR_TEST_BACKEND")); err == nil {
			all = all[k : k+1]
		}
		for _, o := range all {
			b, err := New(o)
			if err != nil {
				device.err = err
				return
			}
			if os.Getenv("ETASTAR_TEST_FIXED_REGISTERS") != "" {
				for name, text := range b.code.images {
					b.code.images[name] = setRegisters.ReplaceAll(text, nil)
				}
			}
			device.backends = append(device.backends, b)
			if b.device.Info.Major != hopper {
				return
			}
		}
	})
	if driver.Missing(device.err) {
		t.Skipf("needs an NVIDIA GPU: %v", device.err)
	}
	check(t, device.err)
	return device.backends
}

func gpu(t testing.TB) *Backend {
	t.Helper()
	return gpus(t)[0]
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, b := range device.backends {
		if err := b.Close(); err != nil && code == 0 {
			panic(err)
		}
	}
	os.Exit(code)
}

// rig runs operations on the device and on the processor and compares. It has three
// runs, of which the second takes no part.
type rig struct {
	testing.TB
	rng   *rand.Rand
	space *kernels.Space
	given map[kernels.Buffer]func(run int) []float32
	ints  map[kernels.Buffer][]int32
	outs  []outcome
}

type outcome struct {
	buffer kernels.Buffer
	tol    float64 // ‖got − want‖ / ‖want‖
}

func newRig(t testing.TB, seed uint64) *rig {
	t.Helper()
	gpus(t)
	return &rig{
		TB: t, rng: rand.New(rand.NewPCG(seed, 3)), space: kernels.NewSpace(),
		given: map[kernels.Buffer]func(int) []float32{}, ints: map[kernels.Buffer][]int32{},
	}
}

// rounded is the nearest bfloat16: what both sides then start from.
func rounded(x float32) float32 {
	b := math.Float32bits(x)
	return math.Float32frombits((b + 0x7fff + b>>16&1) &^ 0xffff)
}

// in declares a buffer of normal deviates, different for every run.
func (r *rig) in(name string, shape ...int) kernels.Buffer { return r.scaled(name, 1, shape...) }

func (r *rig) scaled(name string, scale float64, shape ...int) kernels.Buffer {
	var runs [rigRuns][]float32
	for run := range runs {
		runs[run] = make([]float32, size(shape))
		for i := range runs[run] {
			runs[run][i] = rounded(float32(scale * r.rng.NormFloat64()))
		}
	}
	return r.fill(name, func(run int) []float32 { return runs[run] }, shape...)
}

func (r *rig) fill(name string, v func(run int) []float32, shape ...int) kernels.Buffer {
	b := r.space.Float(name, kernels.PerRun, shape...)
	r.given[b] = v
	return b
}

// out declares a buffer that must be overwritten wholly, and is compared.
func (r *rig) out(name string, tol float64, shape ...int) kernels.Buffer {
	v := make([]float32, size(shape))
	for i := range v {
		v[i] = float32(math.NaN())
	}
	return r.compare(r.fill(name, func(int) []float32 { return v }, shape...), tol)
}

// compare has a buffer compared too.
func (r *rig) compare(b kernels.Buffer, tol float64) kernels.Buffer {
	r.outs = append(r.outs, outcome{b, tol})
	return b
}

func (r *rig) indices(name string, class kernels.Class, v []int32, shape ...int) kernels.Buffer {
	b := r.space.Int(name, class, shape...)
	r.ints[b] = v
	return b
}

func (r *rig) outInts(name string, shape ...int) kernels.Buffer {
	v := make([]int32, size(shape))
	for i := range v {
		v[i] = -1 << 30
	}
	return r.compare(r.indices(name, kernels.PerRun, v, shape...), 0)
}

const (
	rigRuns = 3
	absent  = 1 // the run that takes no part
	// What bfloat16 operands and results cost: they have 8 bits.
	half = 6e-3
	// What sums in float32 cost.
	single = 2e-5
)

func (r *rig) load(b kernels.Backend, p *kernels.Program) kernels.Machine {
	r.Helper()
	m, err := b.Load(rigRuns, p)
	check(r, err)
	if m, ok := m.(*Machine); ok {
		poison(r, m)
	}
	for b, v := range r.given {
		for run := range rigRuns {
			check(r, m.WriteFloats(b, run, v(run)))
		}
	}
	for b, v := range r.ints {
		for run := range rigRuns {
			check(r, m.WriteInts(b, run, v))
		}
	}
	m.SetActive(absent, false)
	return m
}

// poison fills scratch and working memory with NaN.
func poison(t testing.TB, m *Machine) {
	t.Helper()
	check(t, m.backend.device.Do(func(d *driver.Context) error {
		l := m.layout
		for run := range int64(l.runs) {
			from := l.shared + run*l.run + l.scratch
			if n := l.run - l.scratch; n > 0 {
				if err := d.Set8(m.memory+driver.Memory(from), 0xff, n, m.stream); err != nil {
					return err
				}
			}
		}
		if l.workBytes > 0 {
			return d.Set8(m.memory+driver.Memory(l.work), 0xff, l.workBytes, m.stream)
		}
		return nil
	}))
}

// bits is the contents of a buffer of a run, whatever its type.
func (r *rig) bits(m kernels.Machine, b kernels.Buffer, run int) []uint32 {
	r.Helper()
	info, _ := r.space.Info(b)
	out := make([]uint32, info.Len())
	if info.Type == kernels.Int32 {
		v := make([]int32, info.Len())
		check(r, m.ReadInts(v, b, run))
		for i, x := range v {
			out[i] = uint32(x)
		}
		return out
	}
	v := make([]float32, info.Len())
	check(r, m.ReadFloats(v, b, run))
	for i, x := range v {
		out[i] = math.Float32bits(x)
	}
	return out
}

// run executes the operations on both and compares; a second execution from the same
// start must give the same bits.
func (r *rig) run(ops ...kernels.Op) {
	r.Helper()
	backends := gpus(r)
	rec := r.space.Record("test")
	rec.Add(ops...)
	p, err := rec.Build()
	check(r, err)
	reference, err := cpu.New(cpu.Options{})
	check(r, err)
	want := r.load(reference, p)
	defer want.Close()
	check(r, want.Execute(p))
	for _, b := range backends {
		r.against(b, p, want)
	}
}

// against compares one backend with the reference.
func (r *rig) against(backend *Backend, p *kernels.Program, want kernels.Machine) {
	r.Helper()
	got, again := r.load(backend, p), r.load(backend, p)
	defer got.Close()
	defer again.Close()
	check(r, got.Execute(p))
	check(r, again.Execute(p))
	for _, o := range r.outs {
		info, _ := r.space.Info(o.buffer)
		for run := range rigRuns {
			g, w := r.bits(got, o.buffer, run), r.bits(want, o.buffer, run)
			if !slices.Equal(g, r.bits(again, o.buffer, run)) {
				r.Errorf("%s: %s, run %d: executed again, the bits differ", backend.Name(), &info, run)
			}
			switch {
			case run == absent:
				if !slices.Equal(g, r.before(o.buffer, run)) {
					r.Errorf("%s: %s: the run that takes no part changed", backend.Name(), &info)
				}
			case info.Type == kernels.Int32:
				if !slices.Equal(g, w) {
					r.Errorf("%s: %s, run %d: got %v, want %v", backend.Name(), &info, run, g[:min(len(g), 20)], w[:min(len(w), 20)])
				}
			default:
				near(r, backend.Name()+": "+info.String(), g, w, o.tol)
			}
		}
	}
}

// before is what the rig wrote into a buffer.
func (r *rig) before(b kernels.Buffer, run int) []uint32 {
	var out []uint32
	for _, x := range r.ints[b] {
		out = append(out, uint32(x))
	}
	if v := r.given[b]; v != nil {
		for _, x := range v(run) {
			out = append(out, math.Float32bits(x))
		}
	}
	return out
}

// near compares by norms; the same NaN on both sides is none.
func near(t testing.TB, what string, got, want []uint32, tol float64) {
	t.Helper()
	var diff, norm float64
	for i := range want {
		g, w := float64(math.Float32frombits(got[i])), float64(math.Float32frombits(want[i]))
		if math.IsNaN(w) && math.IsNaN(g) || g == w {
			norm += max(0, w*w)
			continue
		}
		diff, norm = diff+(g-w)*(g-w), norm+w*w
	}
	if e := math.Sqrt(diff / norm); !(diff == 0 || e <= tol) {
		i := slices.IndexFunc(got, func(uint32) bool { return false })
		for k := range got {
			g, w := float64(math.Float32frombits(got[k])), float64(math.Float32frombits(want[k]))
			if !(math.Abs(g-w) <= tol*(1+math.Abs(w))) && !(math.IsNaN(g) && math.IsNaN(w)) {
				i = k
				break
			}
		}
		if i >= 0 {
			t.Errorf("%s is off by %.2g, more than %.2g; at %d it is %v, want %v",
				what, e, tol, i, math.Float32frombits(got[i]), math.Float32frombits(want[i]))
		} else {
			t.Errorf("%s is off by %.2g, more than %.2g", what, e, tol)
		}
	}
}
