package trainer

import (
	"fmt"
	"testing"
	"time"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/cpu"
	"github.com/etastar/etastar/trainer/config"
)

// BenchmarkStats is what statistics cost at the default interval: the time of an observed
// step, its reading included, beyond that of a plain one, as a share of the interval.
func BenchmarkStats(b *testing.B) {
	for _, s := range []struct {
		name      string
		d, layers int
		runs      int
		experts   int
	}{
		{"115k", 64, 2, 1, 0}, {"427k", 128, 2, 1, 0}, {"427k×4", 128, 2, 4, 0}, {"3M", 256, 4, 1, 0}, {"moe", 128, 2, 1, 8},
	} {
		b.Run(s.name, func(b *testing.B) {
			runs := proxy(s.d, s.layers, s.runs)
			if s.experts > 0 {
				runs[0].Shape = runs[0].Shape.MoE(s.experts, 2)
			}
			on, err := cpu.New(cpu.Options{})
			if err != nil {
				b.Fatal(err)
			}
			statsCost(b, on, runs)
		})
	}
}

// BenchmarkStatsOnGPU is the same on a GPU, for shapes of etastar bench.
func BenchmarkStatsOnGPU(b *testing.B) {
	for _, s := range []struct {
		name                          string
		d, layers, vocab, context     int
		sequences, runs, experts, top int
	}{
		{"d128", 128, 4, 256, 512, 32, 1, 0, 0},
		{"d128×8", 128, 4, 256, 512, 32, 8, 0, 0},
		{"d256", 256, 6, 8192, 512, 64, 1, 0, 0},
		{"d256×8", 256, 6, 8192, 512, 16, 8, 0, 0},
		{"d512", 512, 8, 32768, 1024, 64, 1, 0, 0},
		{"moe", 512, 8, 32768, 1024, 32, 1, 64, 8},
	} {
		b.Run(s.name, func(b *testing.B) {
			on := gpu(b)
			var runs []config.Run
			for i := range s.runs {
				shape := config.Dense(s.d, s.layers, s.vocab, s.context)
				if s.experts > 0 {
					shape = shape.MoE(s.experts, s.top)
				}
				r := config.Default(shape, 1e-3*float64(i+1))
				r.Batch = config.Batch{Sequences: s.sequences, Accumulate: 1}
				r.Data = config.Data{Source: "synthetic", Tokenizer: "bytes", HeldOut: 0.1, Split: "spread", Bytes: 1 << 20}
				runs = append(runs, r.For(1<<40))
			}
			statsCost(b, on, runs)
		})
	}
}

func statsCost(b *testing.B, on kernels.Backend, runs []config.Run) {
	const interval = statsInterval
	var all []int
	for i := range runs {
		runs[i].Keep.StatsEvery = interval
		all = append(all, i)
	}
	g, _ := grouped(b, on, runs...)
	var results []StepResult
	steps := func(n int64) time.Duration {
		start := time.Now()
		var err error
		if results, err = g.Steps(results[:0], n); err != nil {
			b.Fatal(err)
		}
		if _, err := g.Stats(all...); err != nil {
			b.Fatal(err)
		}
		return time.Since(start)
	}
	steps(interval)
	var plain, observed time.Duration
	n := 0
	for b.Loop() {
		plain += steps(interval - 1)
		observed += steps(1)
		n++
	}
	step := plain / time.Duration(n*(interval-1))
	extra := observed/time.Duration(n) - step
	b.ReportMetric(100*float64(extra)/float64(step)/interval, fmt.Sprintf("%%of-%d-steps", interval))
	b.ReportMetric(float64(extra.Microseconds()), "µs/observation")
	b.ReportMetric(float64(step.Microseconds()), "µs/step")
}
