package session

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// wideSweep is a sweep of the size of a published one: 17 cells, ten batches, eleven
// learning rates, with losses that no rounding makes alike.
func wideSweep() string {
	var b strings.Builder
	b.WriteString("N,D,batch_tokens,lr,loss\n")
	for cell := range 17 {
		n, d := 2e8*float64(1+cell%5), 4e9*float64(1+cell)
		for batch := range 10 {
			for k := range 11 {
				x := float64(k-5) - float64(cell%4)/3 + float64(batch)/7
				loss := 3 - float64(cell)/20 + 0.004*x*x + 0.001*float64((cell*31+batch*17+k*7)%5)
				fmt.Fprintf(&b, "%g,%g,%d,%.4g,%.6f\n", n, d, 65536<<(batch/2), 2e-3*float64(int(1)<<k)/32, loss)
			}
		}
	}
	return b.String()
}

func benchmarkSession(b *testing.B, predict string) *Session {
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sweep.csv"), []byte(wideSweep()), 0o600); err != nil {
		b.Fatal(err)
	}
	s := New("```eta\nruns = load \"sweep.csv\"\ncurves = curves runs by=N,D window=2\nlaw = law curves\ntarget = "+predict+"\n```\n", dir)
	b.Cleanup(func() { _ = s.Close() })
	settle(b, s)
	for _, c := range s.Cells() {
		if c.Err != nil {
			b.Fatal(c.Err)
		}
	}
	return s
}

// BenchmarkKnob turns a knob of the curves to a value it has not had and waits for
// every dependant: 1,870 runs fitted, the law, and the prediction with its interval.
func BenchmarkKnob(b *testing.B) {
	for name, predict := range map[string]string{
		"t":         "predict law N=7B D=1.4T",
		"bootstrap": "predict law N=7B D=1.4T interval=bootstrap samples=1000",
	} {
		b.Run(name, func(b *testing.B) {
			s := benchmarkSession(b, predict)
			line := 2
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := s.SetParam(line, "window", fmt.Sprintf("%d.%04d%%", 1+i%3, i%10000)); err != nil {
					b.Fatal(err)
				}
				if !s.Wait(time.Minute) {
					b.Fatal("still computing")
				}
			}
		})
	}
}

// BenchmarkOpen reads, plans and computes a notebook from nothing.
func BenchmarkOpen(b *testing.B) {
	s := benchmarkSession(b, "predict law N=7B D=1.4T")
	text, dir := s.Text(), s.dir()
	b.ReportAllocs()
	for b.Loop() {
		s := New(text, dir)
		if !s.Wait(time.Minute) {
			b.Fatal("still computing")
		}
		_ = s.Close()
	}
}
