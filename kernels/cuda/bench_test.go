package cuda

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/cuda/driver"
)

var benchShapes = []shape{
	{vocabulary: 8192, d: 64, layers: 4, heads: kernels.Heads{Query: 2, KeyValue: 1, Dim: 32}, f: 192, sequences: 4, seq: 512},
	{vocabulary: 8192, d: 256, layers: 6, heads: kernels.Heads{Query: 4, KeyValue: 2, Dim: 64}, f: 768, sequences: 4, seq: 512},
	{vocabulary: 8192, d: 256, layers: 6, heads: kernels.Heads{Query: 4, KeyValue: 2, Dim: 64}, f: 768, sequences: 32, seq: 512},
	{vocabulary: 8192, d: 512, layers: 8, heads: kernels.Heads{Query: 8, KeyValue: 4, Dim: 64}, f: 1536, sequences: 32, seq: 512},
	{vocabulary: 8192, d: 256, layers: 6, heads: kernels.Heads{Query: 4, KeyValue: 2, Dim: 64}, f: 192, experts: 32, topK: 4, sequences: 8, seq: 512},
}

// BenchmarkStep is a whole optimizer step of runs trained together.
func BenchmarkStep(b *testing.B) {
	backend := gpu(b)
	for _, s := range benchShapes {
		for _, runs := range []int{1, 8} {
			b.Run(fmt.Sprintf("d%d/L%d/E%d/n%d/R%d", s.d, s.layers, s.experts, s.rows(), runs), func(b *testing.B) {
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

// BenchmarkKernels logs where the time of a step goes, by kernel.
func BenchmarkKernels(b *testing.B) {
	for _, backend := range gpus(b) {
		for _, s := range benchShapes {
			b.Run(fmt.Sprintf("%s/d%d/E%d/n%d", backend.Name(), s.d, s.experts, s.rows()), func(b *testing.B) {
				const runs = 8
				m := newModel(b, s)
				loaded, err := backend.Load(runs, m.accumulate, m.apply, m.evaluate)
				check(b, err)
				mc := loaded.(*Machine)
				defer mc.Close()
				for run := range runs {
					m.start(b, mc, run, run)
				}
				m.step(b, mc, make([]int, runs), 1)
				spent, count := map[string]float64{}, map[string]int{}
				for b.Loop() {
					mc.timed(b, m.accumulate, spent, count)
					mc.timed(b, m.apply, spent, count)
				}
				var names []string
				total := 0.0
				for name, t := range spent {
					names, total = append(names, name), total+t
				}
				slices.SortFunc(names, func(x, y string) int { return cmp.Compare(spent[y], spent[x]) })
				for _, name := range names[:min(len(names), 16)] {
					b.Logf("%5.1f%% %8.1f us %3d× %s", 100*spent[name]/total, 1000*spent[name]/float64(b.N), count[name]/b.N, name)
				}
			})
		}
	}
}

// timed executes a program kernel by kernel and adds up their times in milliseconds.
func (m *Machine) timed(t testing.TB, p *kernels.Program, spent map[string]float64, count map[string]int) {
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
			if err := errors.Join(d.Record(events[i], m.stream), m.record(d, &one)); err != nil {
				return err
			}
		}
		if err := errors.Join(d.Record(events[len(c.launches)], m.stream), d.Synchronize(m.stream)); err != nil {
			return err
		}
		for i, l := range c.launches {
			ms, err := d.Elapsed(events[i], events[i+1])
			if err != nil {
				return err
			}
			spent[l.kernel] += ms
			count[l.kernel]++
		}
		for _, e := range events {
			check(t, d.DestroyEvent(e))
		}
		return nil
	}))
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
