package importers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMLflow(t *testing.T) {
	// The directory as MLflow's file store writes it, the database with its tables.
	body := `lr: 0.001 0.003
optimizer' adamw adamw
step: 20 1
train/loss: NaN _
val_loss: 7.75 9.25
`
	fields := func(text string) (rest string, names map[string]string) {
		names = map[string]string{}
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "run") || strings.HasPrefix(line, "status") {
				names[line[:strings.Index(line, "'")]] = strings.TrimSpace(line[strings.Index(line, "'")+1:])
			} else {
				rest += line
			}
		}
		return rest, names
	}
	for _, path := range []string{"mlruns", "mlruns/0", "mlflow.db"} {
		r := mustRuns(t, filepath.Join("testdata", path), Options{})
		checkRuns(t, r)
		rest, names := fields(dump(r.Table))
		if diff := cmp.Diff(body, rest); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
		if names["run_name"] != "polite-fox-1 bold-hen-2" || names["status"] != "FINISHED KILLED" {
			t.Errorf("%s: %v", path, names)
		}
		if len(r.Curves) != 3 || r.Curves[0].Name != "train/loss" || len(r.Curves[0].Value) != 3 || r.Curves[1].Step[1] != 20 || r.Curves[2].Step[1] != 1 {
			t.Errorf("%s: %+v", path, r.Curves)
		}
		notes := strings.Join(r.Table.Notes, "\n")
		if !strings.Contains(notes, `logged without steps, which are counted instead: "val_loss"`) || strings.HasPrefix(path, "mlruns") != strings.Contains(notes, "the last line is not complete") ||
			strings.HasSuffix(path, ".db") != strings.Contains(notes, "1 run deleted in MLflow left out") {
			t.Errorf("%s: %s", path, notes)
		}
	}
	// One run by itself.
	r := mustRuns(t, filepath.Join("testdata", "mlruns", "0", "abc123"), Options{Final: FinalValidation})
	if got := dump(r.Table); !strings.HasPrefix(got, "run' abc123\n") || !strings.Contains(got, "val_loss: 7.75\n") {
		t.Error(got)
	}
}

func TestMLflowLeftOut(t *testing.T) {
	meta := "lifecycle_stage: deleted\nrun_name: x\nstatus: 3\n"
	r := mustRuns(t, tree(t, map[string]string{
		"1/a/meta.yaml": meta, "1/a/metrics/loss": "1 2 3\n", "1/a/params/lr": "1",
		"1/b/meta.yaml": strings.Replace(meta, "deleted", "active", 1), "1/b/metrics/loss": "1 2 3\nbad\n1 inf 4\n", "1/b/params/lr": "1",
		"1/c/meta.yaml": "[", "1/c/metrics/loss": "", "1/c/params/lr": "1",
		"1/d/meta.yaml": "a: 1\n", "1/d/metrics/m/x": "1 2 3\n", "1/d/params/big": strings.Repeat("x", maxSmallFile+1),
	}), Options{})
	checkRuns(t, r)
	notes := strings.Join(r.Table.Notes, "\n")
	for _, want := range []string{"1/a: it was deleted in MLflow", "1/c: it has no metrics", "1/b: metrics/loss: 1 line without a value left out", "1/d: params/big: the file is larger than 65536 bytes"} {
		if !strings.Contains(notes, want) {
			t.Errorf("%s\nwant %s", notes, want)
		}
	}
	if r.Table.Rows != 2 || r.Table.Column("loss").String(0) != "Inf" {
		t.Error(dump(r.Table))
	}
}

// Metrics that are each logged at a step of their own do not make a table of the square
// of their number.
func TestMLflowSparse(t *testing.T) {
	const n = 10_000
	m := mlflowMetrics{}
	for i := range n {
		m.add(fmt.Sprint("m", i), mlflowValue{float64(i), 1})
	}
	tb, _ := m.table()
	if len(tb.Columns) >= n || len(tb.Columns) < 1000 || tb.Rows != n || len(m.notes) != 1 || !strings.Contains(m.notes[0], "metrics are left out") {
		t.Errorf("%d columns, %d rows, %q", len(tb.Columns), tb.Rows, m.notes)
	}
}

func FuzzMLflow(f *testing.F) {
	f.Add([]byte("run_name: a\nstatus: 3\n"), []byte("1700000000000 2.5 10\n1700000000000 nan 20\n"), []byte("0.001"))
	f.Add([]byte("status: [1]\nrun_name: 7\n"), []byte("1 2\n1 2 x\n1 2 3"), []byte("\xff\x00"))
	f.Fuzz(func(t *testing.T, meta, metric, param []byte) {
		r := mustRuns(t, tree(t, map[string]string{
			"0/a/meta.yaml": string(meta), "0/a/metrics/loss": string(metric), "0/a/params/lr": string(param),
			"0/b/meta.yaml": "run_name: b\n", "0/b/metrics/loss": "1 2 3\n", "0/b/params/lr": "1",
		}), Options{})
		checkRuns(t, r)
	})
}

func FuzzMLflowDatabase(f *testing.F) {
	content, err := os.ReadFile(filepath.Join("testdata", "mlflow.db"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(content, byte(0))
	finals := Finals()
	path := filepath.Join(f.TempDir(), "x")
	f.Fuzz(func(t *testing.T, content []byte, final byte) {
		fuzzRuns(t, path, content, Options{Format: "sqlite", Final: finals[int(final)%len(finals)]})
	})
}
