package importers

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// benchmarkRead reads a file that write makes, of about 64 MB.
func benchmarkRead(b *testing.B, name string, rows int, write func(w *bufio.Writer, i int)) {
	path := filepath.Join(b.TempDir(), name)
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	for i := range rows {
		write(w, i)
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	size, err := f.Seek(0, 1)
	if err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(b.Context(), path, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadEvents(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	tags := []string{"train/loss", "train/grad_norm", "train/lr", "train/tokens_per_second", "memory/reserved"}
	benchmarkRead(b, "events.out.tfevents.1.host", 200_000, func(w *bufio.Writer, i int) {
		for _, tag := range tags {
			if _, err := w.Write(appendFrame(nil, event(1.7e9+float64(i), int64(i), simple(tag, r.Float32())))); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkReadLLMC(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	benchmarkRead(b, "main.log", 1_500_000, func(w *bufio.Writer, i int) {
		if i%250 == 0 {
			fmt.Fprintf(w, "s:%d tel:%.4f\n", i, 2+r.Float64())
		}
		fmt.Fprintf(w, "s:%d trl:%.4f lr:%.6f norm:%.2f\n", i, 2+r.Float64(), 6e-4*r.Float64(), r.Float64())
	})
}

func BenchmarkReadModded(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	benchmarkRead(b, "modded.txt", 800_000, func(w *bufio.Writer, i int) {
		fmt.Fprintf(w, "step:%d/800000 train_loss:%.4f train_time:%dms step_avg:%.2fms\n", i, 2+r.Float64(), 129*i, 129+r.Float64())
	})
}

func BenchmarkReadNanoGPT(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	benchmarkRead(b, "output.log", 1_200_000, func(w *bufio.Writer, i int) {
		fmt.Fprintf(w, "iter %d: loss %.4f, time %.2fms, mfu %.2f%%\n", i, 2+r.Float64(), 200+r.Float64(), 50+r.Float64())
	})
}

func BenchmarkReadMegatron(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	benchmarkRead(b, "x.out", 100_000, func(w *bufio.Writer, i int) {
		fmt.Fprintf(w, " iteration %8d/  100000 | consumed samples: %12d | elapsed time per iteration (ms): %.1f | learning rate: %.3E | "+
			"global batch size: %5d | lm loss: %.6E | loss scale: 16384.0 | grad norm: %.3f | number of skipped iterations:   0 | number of nan iterations:   0 |\n",
			i, 4*i, 2700+r.Float64(), 1.5e-4*r.Float64(), 4, 2+r.Float64(), r.Float64())
		fmt.Fprintf(w, "time (ms) | forward-compute: 148.22 | forward-recv: 508.65 | backward-compute: 416.86 | backward-send: 1.18 | optimizer: 23.14\n")
		fmt.Fprintf(w, "[Rank %d] (after %d iterations) memory (MB) | allocated: 19494.453125 | max allocated: 22106.013671875 | reserved: 26716.0\n", i%64, i)
	})
}

func BenchmarkReadTrainerState(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	const rows = 400_000
	benchmarkRead(b, "trainer_state.json", rows, func(w *bufio.Writer, i int) {
		if i == 0 {
			fmt.Fprint(w, "{\n  \"best_metric\": null,\n  \"global_step\": 1,\n  \"log_history\": [\n")
		}
		fmt.Fprintf(w, "    {\n      \"epoch\": %.2f,\n      \"grad_norm\": %v,\n      \"learning_rate\": %v,\n      \"loss\": %.4f,\n      \"step\": %d\n    }",
			float64(i)/1e4, r.Float64(), 1e-3*r.Float64(), 2+r.Float64(), i)
		if i < rows-1 {
			fmt.Fprint(w, ",\n")
		} else {
			fmt.Fprint(w, "\n  ],\n  \"max_steps\": 400000\n}\n")
		}
	})
}
