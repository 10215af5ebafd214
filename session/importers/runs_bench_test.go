package importers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runDirectories writes runs as small trainers do: a configuration, and a line a
// logged step, in all size bytes.
func runDirectories(tb testing.TB, runs, steps int) (root string, size int64) {
	tb.Helper()
	root = tb.TempDir()
	for r := range runs {
		lr := 1e-4 * float64(r+1)
		config := fmt.Sprintf(`{"vocab_size": 10000, "d_model": %d, "num_layers": 4, "lr": %v, "weight_decay": 0.1, "betas": [0.9, 0.999], "batch_size": 32, "device": "cuda"}`, 64*(r%8+1), lr)
		var b strings.Builder
		for s := range steps {
			loss := 2 + 8/float64(s+1)
			fmt.Fprintf(&b, "{\"step\": %d, \"wallclock\": %v, \"train_loss\": %v, \"lr\": %v, \"step_time_ms\": %v}\n", 10*s, 3.664984703063965*float64(s), loss, lr*float64(s), 308.943510055542)
			if s%10 == 9 {
				fmt.Fprintf(&b, "{\"step\": %d, \"wallclock\": %v, \"val_loss\": %v}\n", 10*s, 3.664984703063965*float64(s), loss+0.125)
			}
		}
		dir := filepath.Join(root, fmt.Sprintf("run_%04d", r))
		if err := os.Mkdir(dir, 0o700); err != nil {
			tb.Fatal(err)
		}
		for name, content := range map[string]string{"config.json": config, "metrics.jsonl": b.String()} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				tb.Fatal(err)
			}
			size += int64(len(content))
		}
	}
	return root, size
}

func BenchmarkReadRuns1000(b *testing.B) {
	root, size := runDirectories(b, 1000, 500)
	for _, curves := range []bool{false, true} {
		b.Run(fmt.Sprintf("curves=%v", curves), func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				r, err := readRuns(b.Context(), root, Options{}, curves)
				if err != nil {
					b.Fatal(err)
				}
				if r.Table.Rows != 1000 || curves != (len(r.Curves) == 3000) {
					b.Fatalf("%d rows, %d curves", r.Table.Rows, len(r.Curves))
				}
			}
		})
	}
}

func BenchmarkReadJSONLines(b *testing.B) {
	root, size := runDirectories(b, 1, 300_000)
	path := filepath.Join(root, "run_0000", "metrics.jsonl")
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(b.Context(), path, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFingerprint1000(b *testing.B) {
	root, _ := runDirectories(b, 1000, 1)
	for b.Loop() {
		if _, err := Fingerprint(b.Context(), root); err != nil {
			b.Fatal(err)
		}
	}
}
