package importers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// tree writes files below a new directory; "name -> target" is a link.
func tree(tb testing.TB, files map[string]string) string {
	tb.Helper()
	root := tb.TempDir()
	for name, content := range files {
		link, target, isLink := strings.Cut(name, " -> ")
		path := filepath.Join(root, link)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			tb.Fatal(err)
		}
		var err error
		if isLink {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o600)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	return root
}

const oneStep = `{"step": 1, "loss": 3}` + "\n"

func names(r *Runs) string {
	c := r.Table.Columns[0]
	out := make([]string, r.Table.Rows)
	for i := range out {
		out[i] = c.String(i)
	}
	return strings.Join(out, " ")
}

func TestFindRuns(t *testing.T) {
	log := "step,loss\n1,4\n2,3\n"
	tests := []struct {
		name  string
		files map[string]string
		want  string // names of runs
		note  string
	}{
		{"in the order people count", map[string]string{"lr_10/metrics.jsonl": oneStep, "lr_2/metrics.jsonl": oneStep, "lr_02/metrics.jsonl": oneStep}, "lr_02 lr_2 lr_10", ""},
		{"further down", map[string]string{"a/b/c/metrics.csv": log, "a/readme.txt": "x", "d/metrics.jsonl": oneStep}, "a/b/c d", ""},
		{"logs side by side", map[string]string{"lr1.csv": log, "lr2.csv": log, "more/lr3.log": log}, "lr1 lr2 more/lr3", ""},
		{"a log and a configuration", map[string]string{"x/config.yaml": "lr: 1", "x/run7.csv": log}, "x", ""},
		{"what is below a run is its own", map[string]string{"a/metrics.jsonl": oneStep, "a/checkpoints/metrics.jsonl": oneStep}, "a", ""},
		{"the last checkpoint", map[string]string{"a/checkpoint-500/metrics.jsonl": oneStep, "a/checkpoint-1000/metrics.jsonl": oneStep, "a/checkpoint-x/metrics.jsonl": oneStep}, "a/checkpoint-1000 a/checkpoint-x", ""},
		{
			"event files beside a trainer's state", map[string]string{
				"a/checkpoint-1/trainer_state.json":        `{"global_step": 1, "log_history": [{"step": 1, "loss": 2}]}`,
				"a/runs/Nov27_vm/events.out.tfevents.1.vm": string(appendFrame(nil, event(1, 0, simple("train/loss", 2)))), "a/runs/b/metrics.jsonl": oneStep,
				"b/checkpoint-1/config.json": "{\"x\": 1}", "b/runs/Nov27_vm/events.out.tfevents.1.vm": string(appendFrame(nil, event(1, 0, simple("train/loss", 2)))),
			}, "a/checkpoint-1 a/runs/b b/runs/Nov27_vm", "1 left out: b/checkpoint-1: it has a configuration and no metrics",
		},
		{"the first history that can be read", map[string]string{"a/metrics.jsonl": "{", "a/progress.csv": log}, "a", "a: metrics.jsonl: line 1: the record ends too early"},
		{"two configurations", map[string]string{"a/metrics.jsonl": oneStep, "a/config.json": `{"lr": 1}`, "a/config.yaml": "lr: 2\nx: 3"}, "a", ""},
		{"hidden directories", map[string]string{".cache/metrics.jsonl": oneStep, "a/metrics.jsonl": oneStep}, "a", ""},
		{"links are followed once", map[string]string{"a/metrics.jsonl": oneStep, "latest -> a": "", "b -> latest": ""}, "a", ""},
		{"a link to elsewhere", map[string]string{"a/metrics.jsonl -> ../store": "", "store": oneStep}, "a", ""},
		{"loops", map[string]string{"a/metrics.jsonl": oneStep, "a2/up -> ..": "", "self -> self": "", "x.csv -> y.csv": "", "y.csv -> x.csv": ""}, "a", "2 left out: x.csv: a link that leads nowhere"},
		{"a dead link", map[string]string{"a/metrics.jsonl": oneStep, "b/metrics.jsonl -> gone": ""}, "a", "1 left out: b/metrics.jsonl: a link that leads nowhere: no such file or directory"},
		{"a configuration only", map[string]string{"a/metrics.jsonl": oneStep, "b/config.json": `{"lr": 1}`}, "a", "1 left out: b: it has a configuration and no metrics"},
		{"a sweep among runs", map[string]string{"a/metrics.jsonl": oneStep, "b/sweep.csv": "lr,loss\n1,2\n"}, "a", "1 left out: b/sweep: it has no column of steps, so it is not the log of a run: load it by itself"},
		{"a sweep with epochs", map[string]string{"a/metrics.jsonl": oneStep, "b/sweep.csv": "lr,loss,epoch\n1,2,3\n2,2,3\n3,2,3\n"}, "a", "1 left out: b/sweep: it has no column of steps"},
		{"a chart among runs", map[string]string{"a/metrics.jsonl": oneStep, "b/x.csv": "Step,r - loss,r - loss__MIN,r - loss__MAX\n1,2,2,2\n"}, "a", "1 left out: b/x: it holds several runs: load it by itself"},
		{"too deep", map[string]string{"a/metrics.jsonl": oneStep, strings.Repeat("d/", maxDepth+1) + "metrics.jsonl": oneStep}, "a", "directories are nested more than 12 deep"},
		{"a configuration that is none", map[string]string{"a/metrics.jsonl": oneStep, "a/config.json": "[]"}, "a", "a: config.json: there are no objects with values in it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := mustRuns(t, tree(t, tt.files), Options{})
			notes := strings.Join(r.Table.Notes, "\n")
			if got := names(r); got != tt.want || !strings.Contains(notes, tt.note) || tt.note == "" && strings.Contains(notes, "left out") {
				t.Errorf("%s\nnotes: %s", got, notes)
			}
		})
	}
}

func TestDirectoryErrors(t *testing.T) {
	for _, tt := range []struct {
		files map[string]string
		want  string
	}{
		{map[string]string{"readme.txt": "x"}, "this is a directory without runs"},
		{map[string]string{"a/metrics.jsonl": ""}, "no run in this directory can be read: a: metrics.jsonl: the file is empty"},
		{map[string]string{"a/config.json": "{}"}, "no run in this directory can be read: a: it has a configuration and no metrics"},
	} {
		root := tree(t, tt.files)
		if _, err := Read(t.Context(), root, Options{}); err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("%q: %s", root, tt.want)) {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
	if _, err := Read(t.Context(), tree(t, map[string]string{"a/metrics.jsonl": oneStep}), Options{Final: FinalValidation}); err == nil {
		t.Error("a training loss stands in for a validation loss")
	}
}

func TestPermissions(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	root := tree(t, map[string]string{"a/metrics.jsonl": oneStep, "b/metrics.jsonl": oneStep, "c/metrics.jsonl": oneStep})
	for path, mode := range map[string]os.FileMode{"b/metrics.jsonl": 0, "c": 0} {
		if err := os.Chmod(filepath.Join(root, path), mode); err != nil {
			t.Fatal(err)
		}
	}
	defer os.Chmod(filepath.Join(root, "c"), 0o700) //nolint:errcheck // so that it can be removed
	r := mustRuns(t, root, Options{})
	want := "2 left out: c: no permission to read it; b: metrics.jsonl: no permission to read it"
	if names(r) != "a" || !slices.Contains(r.Table.Notes, want) {
		t.Errorf("%s: %v", names(r), r.Table.Notes)
	}
}

// What damages one run leaves the others alone, and what was readable is kept.
func TestDamagedRuns(t *testing.T) {
	units := utf16.Encode([]rune("\ufeff{\"lr\": 0.5, \"name\": \"η\"}"))
	var wide []byte
	for _, u := range units {
		wide = append(wide, byte(u), byte(u>>8))
	}
	root := tree(t, map[string]string{
		"a/metrics.jsonl": oneStep, "a/config.json": string(wide),
		"b/metrics.jsonl": oneStep + "{\"step\": 2, \"loss\": 2.5}\n\x00\x00\x00",
		"c/metrics.jsonl": "\x1f\x8b\x08\x00\x00",
		"d/metrics.csv":   "step,loss\n1,4\n2,3\n3,2,1\n4,1\n",
		"e/metrics.jsonl": oneStep + "{\"step\": 2, \"name\": \"" + strings.Repeat("x", 100_000) + "\xff\"}\n",
	})
	r := mustRuns(t, root, Options{})
	if got := names(r); got != "a b d e" {
		t.Error(got)
	}
	if got := r.Table.Column("loss").Numbers; !slices.Equal(got, []float64{3, 2.5, 1, 3}) {
		t.Error(got)
	}
	if got := r.Table.Column("lr").Value(0); got != 0.5 {
		t.Error(got)
	}
	for _, want := range []string{
		"b: metrics.jsonl: byte 48 is NUL; what comes before is read", "c: metrics.jsonl: the gzip file ends too early, after 0 bytes of its text",
		"d: metrics.csv: 1 row with the wrong number of fields left out (line 4)",
	} {
		if notes := strings.Join(r.Table.Notes, "\n"); !strings.Contains(notes, want) {
			t.Errorf("no note %q in\n%s", want, notes)
		}
	}
}

// A line that never ends is given up before it fills the memory; the rows before
// it are kept.
func TestEndlessLineOfARun(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 70 MB")
	}
	root := tree(t, map[string]string{"a/metrics.jsonl": oneStep + "{\"step\": 2, \"name\": \"" + strings.Repeat("x", maxRecord+chunkSize)})
	r := mustRuns(t, root, Options{})
	want := "a: metrics.jsonl: line 2: the record is longer than 64 MiB"
	if r.Table.Column("loss").Value(0) != 3 || !strings.Contains(strings.Join(r.Table.Notes, "\n"), want) {
		t.Errorf("%v", r.Table.Notes)
	}
}

func TestManyRunsAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 10,000 files")
	}
	root := t.TempDir()
	for i := range maxRuns + 5 {
		if err := os.WriteFile(filepath.Join(root, fmt.Sprintf("r%05d.jsonl", i)), []byte(oneStep+`{"step": 2, "loss": 1}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := mustRuns(t, root, Options{})
	if r.Table.Rows != maxRuns || !strings.Contains(strings.Join(r.Table.Notes, "\n"), "only the first 10000 runs are read") {
		t.Errorf("%d rows, %v", r.Table.Rows, r.Table.Notes)
	}
}

func TestDirectoryProgress(t *testing.T) {
	root, size := runDirectories(t, 20, 50)
	last := int64(0)
	r, err := ReadRuns(t.Context(), root, Options{Progress: func(read, total int64) {
		if total != size || read < last || read > total {
			t.Errorf("%d of %d after %d", read, total, last)
		}
		last = read
	}})
	if err != nil || last != size || r.Table.Rows != 20 {
		t.Errorf("%v: %d of %d bytes", err, last, size)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = ReadRuns(ctx, root, Options{Progress: func(int64, int64) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A run that is being written gives what it held when it was opened.
func TestGrowingRun(t *testing.T) {
	root := tree(t, map[string]string{"a/metrics.jsonl": oneStep, "b/metrics.jsonl": oneStep})
	r, err := ReadRuns(t.Context(), root, Options{Progress: func(int64, int64) {
		f, err := os.OpenFile(filepath.Join(root, "a", "metrics.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		if _, err := f.WriteString("{\"step\": 2, \"loss\": 2}\n{\"step\": 3, \"lo"); err != nil {
			t.Error(err)
		}
	}})
	if err != nil || names(r) != "a b" {
		t.Fatalf("%v", err)
	}
	if !strings.Contains(strings.Join(r.Table.Notes, "\n"), "a: metrics.jsonl: the file changed while it was read") {
		t.Errorf("%v", r.Table.Notes)
	}
}

// A log that grows between two passes, which a late word asks for, is read to where
// it ended at first.
func TestGrowingLogReadTwice(t *testing.T) {
	root := tree(t, map[string]string{"a/metrics.csv": "step,id,loss\n1,7,4\n2,x,3\n"})
	path := filepath.Join(root, "a", "metrics.csv")
	r, err := ReadRuns(t.Context(), root, Options{Progress: func(int64, int64) {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		if _, err := f.WriteString("3,y,2\n"); err != nil {
			t.Error(err)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got := dump(r.Table); got != "run' a\nstep: 2\nid' x\nloss: 3\n" {
		t.Error(got)
	}
	// One that is rewritten is read anew.
	first := true
	r, err = ReadRuns(t.Context(), root, Options{Progress: func(int64, int64) {
		if first {
			first = false
			if err := os.WriteFile(path, []byte("step,id,loss\n1,z,4\n2,z,3\n3,z,1\n4,z,1\n5,z,1\n6,z,0.5\n"), 0o600); err != nil {
				t.Error(err)
			}
		}
	}})
	if err != nil || dump(r.Table) != "run' a\nstep: 6\nid' z\nloss: 0.5\n" {
		t.Errorf("%v %s", err, dump(r.Table))
	}
}

func TestFingerprint(t *testing.T) {
	root := tree(t, map[string]string{"a/metrics.jsonl": oneStep, "a/config.json": `{"lr": 1}`, "b/readme.txt": "x"})
	print := func() string {
		t.Helper()
		p, err := Fingerprint(t.Context(), root)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	before := print()
	if before != print() {
		t.Error("it changes by itself")
	}
	if err := os.WriteFile(filepath.Join(root, "b", "readme.txt"), []byte("other text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if before != print() {
		t.Error("a file that is not read changes it")
	}
	if err := os.WriteFile(filepath.Join(root, "a", "metrics.jsonl"), []byte(oneStep+oneStep), 0o600); err != nil {
		t.Fatal(err)
	}
	grown := print()
	if grown == before {
		t.Error("a run that grew does not change it")
	}
	if err := os.MkdirAll(filepath.Join(root, "c"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "c", "metrics.jsonl"), []byte(oneStep), 0o600); err != nil {
		t.Fatal(err)
	}
	if grown == print() {
		t.Error("a new run does not change it")
	}
}
