package trainer

import (
	"testing"
	"time"

	"github.com/etastar/etastar/trainer/config"
)

// BenchmarkStats is what statistics cost at the default interval: the time of an observed
// step, its reading included, beyond that of a plain one, as a share of the interval.
func BenchmarkStats(b *testing.B) {
	for _, s := range []struct {
		name string
		run  func() []config.Run
	}{
		{"115k", func() []config.Run { return proxy(64, 2, 1) }},
		{"427k", func() []config.Run { return proxy(128, 2, 1) }},
		{"427k×4", func() []config.Run { return proxy(128, 2, 4) }},
		{"3M", func() []config.Run { return proxy(256, 4, 1) }},
		{"moe", func() []config.Run {
			r := proxy(128, 2, 1)
			r[0].Shape = r[0].Shape.MoE(8, 2)
			return r
		}},
	} {
		b.Run(s.name, func(b *testing.B) {
			runs := s.run()
			for i := range runs {
				runs[i].Keep.StatsEvery = 2
			}
			g := group(b, runs...)
			var plain, observed time.Duration
			stepping(b, g)
			for range 20 {
				for range 2 {
					start := time.Now()
					if _, err := g.Steps(nil, 1); err != nil {
						b.Fatal(err)
					}
					if g.observed != g.step {
						plain += time.Since(start)
						continue
					}
					for i := range g.Runs {
						if _, err := g.Stats(i); err != nil {
							b.Fatal(err)
						}
					}
					observed += time.Since(start)
				}
			}
			b.ReportMetric(100*float64(observed-plain)/float64(plain)/20, "%of-20-steps")
			b.ReportMetric(float64((observed-plain).Microseconds())/20, "µs/observation")
			b.ReportMetric(float64(plain.Microseconds())/20, "µs/step")
		})
	}
}
