package headless

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etastar/etastar/kernels/cpu"
	"github.com/etastar/etastar/trainer"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/rundir"
)

// trainedRun is a run of 8 steps with checkpoints at 4 and 8.
func trainedRun(t *testing.T) (dir string) {
	t.Helper()
	c := config.Default(config.Dense(16, 1, 256, 16), 1e-3)
	c.Data = config.Data{Source: "synthetic", Tokenizer: "bytes", HeldOut: 0.1, Split: "spread", Bytes: 1 << 16}
	c.Batch = config.Batch{Sequences: 4, Accumulate: 1}
	c.Validation.Tokens = 256
	c.Keep.Checkpoints = []int64{4}
	dirs, err := trainer.Ask(t.TempDir(), "sweep", []config.Run{c.For(8 * c.BatchTokens())})
	if err != nil {
		t.Fatal(err)
	}
	backend, err := cpu.New(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := (&trainer.Worker{Backend: backend, Log: t.Output()}).Train(t.Context(), dirs[0]); err != nil {
		t.Fatal(err)
	}
	return dirs[0]
}

func TestExportCheckpoint(t *testing.T) {
	run := trainedRun(t)
	name := filepath.Base(run)
	root := everyState(t)
	bare := made(t, t.TempDir(), "sweep", 1e-3, rundir.Status{State: rundir.Queued})
	broken := made(t, t.TempDir(), "sweep", 1e-3, rundir.Status{})
	foreign, out := t.TempDir(), t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(broken, "run.json"), []byte("{"), 0o600), os.WriteFile(filepath.Join(foreign, "x"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(out, name) }
	for _, tt := range []struct {
		name string
		e    ExportCheckpoint
		code int
		says string // on standard output for OK, else on the error stream
	}{
		{"the last", ExportCheckpoint{Run: run, Output: at("last"), Step: LastStep}, OK, at("last") + ": " + name + ", step 8 of 8\n"},
		{"again", ExportCheckpoint{Run: run, Output: at("last"), Step: LastStep}, Usage, "--force"},
		{"forced", ExportCheckpoint{Run: run, Output: at("last"), Step: 4, DType: "float32", Force: true}, OK, at("last") + ": " + name + ", step 4 of 8\n"},
		{"the only run of a folder", ExportCheckpoint{Run: filepath.Dir(run), Output: at("only"), Step: LastStep, DType: "bfloat16"}, OK, "step 8 of 8"},
		{"no such step", ExportCheckpoint{Run: run, Output: at("none"), Step: 5}, Usage, "there are those of step 4, 8"},
		{"no output", ExportCheckpoint{Run: run, Step: LastStep}, Usage, "-o"},
		{"dtype", ExportCheckpoint{Run: run, Output: at("none"), Step: LastStep, DType: "fp8"}, Usage, `"fp8": use bfloat16 or float32`},
		{"another's folder", ExportCheckpoint{Run: run, Output: foreign, Step: LastStep, Force: true}, Usage, "holds x"},
		{"nowhere", ExportCheckpoint{Run: run, Output: at("none/at/all"), Step: LastStep}, Environment, "make it first"},
		{"no folder", ExportCheckpoint{Run: at("none"), Output: at("none"), Step: LastStep}, Environment, "there is no folder"},
		{"no run", ExportCheckpoint{Run: foreign, Output: at("none"), Step: LastStep}, Usage, "there is no run in"},
		{"many runs", ExportCheckpoint{Run: root, Output: at("none"), Step: LastStep}, Usage, "holds 11 runs: name one of them"},
		{"not trained", ExportCheckpoint{Run: bare, Output: at("none"), Step: LastStep}, Failed, "has no checkpoint: train it first"},
		{"unreadable", ExportCheckpoint{Run: broken, Output: at("none"), Step: LastStep}, Environment, broken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			tt.e.Out, tt.e.Err = &stdout, &stderr
			code := tt.e.Do(t.Context())
			said, silent := &stdout, &stderr
			if tt.code != OK {
				said, silent = silent, said
			}
			if code != tt.code || !strings.Contains(said.String(), tt.says) || silent.Len() > 0 {
				t.Errorf("exit code %d, want %d; it says %q and %q, want %q", code, tt.code, &stdout, &stderr, tt.says)
			}
		})
	}
	for name, want := range map[string]string{"last": "step 4 of 8", "only": "step 8 of 8"} {
		card, err := os.ReadFile(filepath.Join(out, name, "README.md"))
		if err != nil || !strings.Contains(string(card), want) {
			t.Errorf("%s: %v, %s", name, err, card)
		}
	}
	if list, err := os.ReadDir(out); err != nil || len(list) != 2 {
		t.Errorf("it leaves %v, %v", list, err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	e := ExportCheckpoint{Run: run, Output: at("none"), Step: LastStep, Out: &stdout, Err: &stderr}
	if code := e.Do(ctx); code != Failed || stdout.Len() > 0 || stderr.String() != "etastar: interrupted\n" {
		t.Errorf("interrupted: exit code %d, %q, %q", code, &stdout, fmt.Sprint(&stderr))
	}
}
