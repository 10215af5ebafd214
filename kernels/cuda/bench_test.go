package cuda

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/cuda/driver"
)

// benchShapes are those of etastar bench, and one that is all launches.
var benchShapes = []shape{
	{vocabulary: 8192, d: 64, layers: 4, heads: kernels.Heads{Query: 2, KeyValue: 1, Dim: 32}, f: 192, sequences: 4, seq: 512},
	{vocabulary: 256, d: 128, layers: 4, heads: kernels.Heads{Query: 4, KeyValue: 4, Dim: 32}, f: 384, sequences: 32, seq: 512},
	{vocabulary: 8192, d: 256, layers: 6, heads: kernels.Heads{Query: 4, KeyValue: 4, Dim: 64}, f: 768, sequences: 16, seq: 512},
	{vocabulary: 8192, d: 256, layers: 6, heads: kernels.Heads{Query: 4, KeyValue: 4, Dim: 64}, f: 768, sequences: 64, seq: 512},
	{vocabulary: 32768, d: 512, layers: 8, heads: kernels.Heads{Query: 8, KeyValue: 8, Dim: 64}, f: 1536, sequences: 64, seq: 1024},
	{vocabulary: 50304, d: 768, layers: 12, heads: kernels.Heads{Query: 12, KeyValue: 12, Dim: 64}, f: 2304, sequences: 32, seq: 1024},
	{vocabulary: 32768, d: 512, layers: 8, heads: kernels.Heads{Query: 8, KeyValue: 4, Dim: 64}, f: 256, experts: 64, topK: 8, sequences: 32, seq: 1024},
}

// benchRuns are how many runs of a shape train together.
func benchRuns(s shape) []int {
	if s.rows() > 16384 || s.d > 256 {
		return []int{1}
	}
	return []int{1, 8}
}

// BenchmarkStep is a whole optimizer step of runs trained together, with kernels beside each
// other and in order.
func BenchmarkStep(b *testing.B) {
	gpu(b)
	inOrder, err := New(Options{InOrder: true})
	check(b, err)
	defer func() { check(b, inOrder.Close()) }()
	for _, s := range benchShapes {
		for k, runs := range slices.Repeat(benchRuns(s), 2) {
			name, backend := "beside", gpu(b)
			if k >= len(benchRuns(s)) {
				name, backend = "in-order", inOrder
			}
			b.Run(fmt.Sprintf("d%d/L%d/E%d/n%d/R%d/%s", s.d, s.layers, s.experts, s.rows(), runs, name), func(b *testing.B) {
				m := newModel(b, s)
				mc, err := backend.Load(runs, m.accumulate, m.apply, m.evaluate)
				check(b, err)
				defer mc.Close()
				var numbers []int
				for run := range runs {
					m.start(b, mc, run, run)
					numbers = append(numbers, run)
				}
				m.step(b, mc, numbers, 1)
				step := 2
				for b.Loop() {
					m.step(b, mc, numbers, step)
					step++
				}
				rate := float64(b.N) * float64(s.rows()) * float64(runs) / b.Elapsed().Seconds()
				b.ReportMetric(rate/1e6, "Mtok/s")
			})
		}
	}
}

// BenchmarkKernels writes to standard error where the time of a step goes, by kernel and
// size, with what products reach.
func BenchmarkKernels(b *testing.B) {
	backend := gpu(b)
	for _, s := range benchShapes {
		for _, runs := range benchRuns(s) {
			b.Run(fmt.Sprintf("d%d/E%d/n%d/R%d", s.d, s.experts, s.rows(), runs), func(b *testing.B) {
				m := newModel(b, s)
				loaded, err := backend.Load(runs, m.accumulate, m.apply, m.evaluate)
				check(b, err)
				mc := loaded.(*Machine)
				defer mc.Close()
				for run := range runs {
					m.start(b, mc, run, run)
				}
				m.step(b, mc, make([]int, runs), 1)
				spent := map[string]*timing{}
				for b.Loop() {
					mc.timed(b, m.accumulate, spent)
					mc.timed(b, m.apply, spent)
				}
				total := 0.0
				for _, t := range spent {
					total += t.ms
				}
				fmt.Fprintf(os.Stderr, "%s: %.3f ms\n", b.Name(), total/float64(b.N))
				for _, name := range slices.SortedFunc(maps.Keys(spent), func(x, y string) int { return cmp.Compare(spent[y].ms, spent[x].ms) }) {
					t := spent[name]
					rate := ""
					if t.flops > 0 {
						rate = fmt.Sprintf("  %.0f TFLOP/s", t.flops/t.ms/1e9)
					}
					fmt.Fprintf(os.Stderr, "%5.1f%% %8.1f us %3d× %s%s\n", 100*t.ms/total, 1000*t.ms/float64(b.N), t.count/b.N, name, rate)
				}
			})
		}
	}
}

// BenchmarkTiles writes what every tile needs for products of the usual shapes, beside what
// is expected of it.
func BenchmarkTiles(b *testing.B) {
	backend := gpu(b)
	if !backend.target().hopper {
		b.Skip("needs a Hopper GPU")
	}
	all := hopperTiles
	defer func() { hopperTiles = all }()
	for _, s := range benchShapes[1:6] {
		n, d, f, v := s.rows(), s.d, s.f, s.vocabulary
		chunk := headChunk(n, v, 0)
		for _, runs := range benchRuns(s) {
			for _, p := range [][3]int{{n, 3 * d, d}, {n, d, d}, {n, d, 2 * f}, {n, d, f}, {chunk, v, d}} {
				for _, kind := range []string{"nt", "nn", "tn"} {
					m, n, k := p[0], p[1], p[2]
					if kind == "nn" && p[0] == chunk && p[1] == v {
						m, n, k = p[0], p[2], p[1]
					}
					if kind == "tn" {
						m, n, k = p[1], p[2], p[0]
					}
					line := fmt.Sprintf("R%d %s %d×%d×%d", runs, kind, m, n, k)
					for _, t := range all {
						hopperTiles = []tile{t}
						line += fmt.Sprintf("  %s/%d %.1f", t.name, t.resident, product1(b, backend, runs, kind, m, n, k))
					}
					hopperTiles = all
					c := &compiler{target: backend.target(), runs: runs}
					best, slices, _, apart := c.pick(m, n, k, kind == "tn")
					fmt.Fprintf(os.Stderr, "%s  picks %s/%d, slices %d in %d blocks, expects %.1f\n",
						line, best.name, best.resident, slices, apart, c.cost(best, m, n, k, runs, slices, apart == slices))
				}
			}
		}
	}
}

// product1 times one product of every run, in microseconds.
func product1(b *testing.B, backend *Backend, runs int, kind string, m, n, k int) float64 {
	s := kernels.NewSpace()
	op := kernels.MatMul{TransA: kind[0] == 't', TransB: kind[1] == 't'}
	sizes := func(x, y int, trans bool) []int {
		if trans {
			return []int{y, x}
		}
		return []int{x, y}
	}
	op.A, op.B = s.Float("a", kernels.PerRun, sizes(m, k, op.TransA)...), s.Float("b", kernels.PerRun, sizes(k, n, op.TransB)...)
	op.Y = s.Float("y", kernels.Scratch, m, n)
	if op.TransA {
		op.Y, op.Add = s.Float("y", kernels.PerRun, m, n), true
	}
	r := s.Record("product")
	r.Add(op)
	p, err := r.Build()
	check(b, err)
	loaded, err := backend.Load(runs, p)
	check(b, err)
	defer loaded.Close()
	spent := map[string]*timing{}
	mc := loaded.(*Machine)
	mc.timed(b, p, spent)
	clear(spent)
	for range 5 {
		mc.timed(b, p, spent)
	}
	total := 0.0
	for _, t := range spent {
		total += t.ms
	}
	return 1000 * total / 5
}

// timing is what launches of one kind took together.
type timing struct {
	ms, flops float64
	count     int
}

// timed executes a program kernel by kernel and adds up their times.
func (m *Machine) timed(t testing.TB, p *kernels.Program, spent map[string]*timing) {
	t.Helper()
	c := m.programs[p]
	check(t, m.backend.device.Do(func(d *driver.Context) error {
		events := make([]driver.Event, len(c.launches)+1)
		for i := range events {
			e, err := d.NewEvent()
			if err != nil {
				return err
			}
			events[i] = e
		}
		if err := m.writeSlots(d); err != nil {
			return err
		}
		for i := range c.launches {
			one := *c
			one.launches = c.launches[i : i+1]
			if err := errors.Join(d.Record(events[i], m.stream), m.record(&fork{d: d, main: m.stream}, &one)); err != nil {
				return err
			}
		}
		if err := errors.Join(d.Record(events[len(c.launches)], m.stream), d.Synchronize(m.stream)); err != nil {
			return err
		}
		for i := range c.launches {
			l := &c.launches[i]
			ms, err := d.Elapsed(events[i], events[i+1])
			if err != nil {
				return err
			}
			name, flops := l.describe()
			if spent[name] == nil {
				spent[name] = &timing{}
			}
			spent[name].ms += ms
			spent[name].flops += flops * float64(m.activeRuns())
			spent[name].count++
		}
		for _, e := range events {
			check(t, d.DestroyEvent(e))
		}
		return nil
	}))
}

// describe names a launch with the size of its product or its grid, and the operations of
// a product.
func (l *launch) describe() (name string, flops float64) {
	at := -1
	switch {
	case strings.HasPrefix(l.kernel, "gemm_sm90"):
		at = int(unsafe.Offsetof(gemmMapArgs{}.g))
	case strings.HasPrefix(l.kernel, "gemm_"):
		at = 0
	}
	if at < 0 {
		return fmt.Sprintf("%s %v", l.kernel, l.grid), 0
	}
	g := (*gemmArgs)(unsafe.Pointer(&l.args[at]))
	return fmt.Sprintf("%s %d×%d×%d slices %d", l.kernel, g.m, g.n, g.k, g.slices), 2 * float64(g.m) * float64(g.n) * float64(g.k)
}

// BenchmarkLoad opens the device and compiles what a model needs; the driver keeps what
// it compiled, unless CUDA_CACHE_DISABLE is set.
func BenchmarkLoad(b *testing.B) {
	gpu(b)
	for b.Loop() {
		backend, err := New(Options{})
		check(b, err)
		m := newModel(b, smallDense)
		mc, err := backend.Load(1, m.accumulate, m.apply, m.evaluate)
		check(b, err)
		m.start(b, mc, 0, 0)
		m.step(b, mc, []int{0}, 1)
		check(b, mc.Close())
		check(b, backend.Close())
	}
}
