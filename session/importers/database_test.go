package importers

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOptunaDatabase(t *testing.T) {
	// Written by SQLite with the tables of Optuna 4.
	content, err := os.ReadFile(filepath.Join("testdata", "optuna.db"))
	if err != nil {
		t.Fatal(err)
	}
	want := `number: 0 2 4
value: 3.25 +Inf 3.125
params_lr: 0.001 0.01 0.0017
params_optimizer' adamw adamw _
user_attrs_N: 1000000 3000000 5000000
datetime_start' 2025-01-01 00:00:00.500000 2025-01-01 00:02:00.500000 2025-01-01 00:04:00.500000
datetime_complete' 2025-01-01 00:00:30.500000 2025-01-01 00:02:30.500000 2025-01-01 00:04:30.500000
intermediate_step: 200 200 200
intermediate_value: 3 2.75 2.5
`
	tb := mustRead(t, file(t, "x", string(content)), Options{})
	if diff := cmp.Diff(want, strings.ReplaceAll(dump(tb), " Inf", " +Inf")); diff != "" {
		t.Error(diff)
	}
	notes := []string{
		"value: the study's objective, which it minimises: say loss=value if it is a loss",
		"2 of 5 trials are left out, which did not complete (1 PRUNED, 1 RUNNING)",
	}
	if diff := cmp.Diff(notes, tb.Notes); diff != "" {
		t.Error(diff)
	}
	// As any database, by the number of the table.
	tb = mustRead(t, filepath.Join("testdata", "optuna.db"), Options{Table: 4})
	if tb.Rows != 5 || tb.Columns[3].Name != "state" || tb.Columns[3].String(1) != "PRUNED" {
		t.Error(dump(tb), tb.Notes)
	}
}

func TestPlainDatabase(t *testing.T) {
	path := filepath.Join("sqlite", "testdata", "plain.db")
	tb := mustRead(t, path, Options{})
	if tb.Rows != 300 || len(tb.Columns) != 7 || tb.Column("loss").Value(299) != 2.5 || tb.Column("tokens").Value(0) != 1e6 {
		t.Errorf("%d rows, %d columns", tb.Rows, len(tb.Columns))
	}
	if notes := strings.Join(tb.Notes, "\n"); !strings.Contains(notes, `table 2 of 2, "sweep runs"; also: 1 "notes"; choose with table=1`) || !strings.Contains(notes, `left out: "raw"`) {
		t.Error(notes)
	}
	for _, tt := range []struct {
		content string
		o       Options
		err     string
	}{
		{"SQLite format 3\x00", Options{}, "it ends within its header"},
		{"SQLite format 3\x00" + strings.Repeat("\x00", 1000), Options{}, "its pages are 0 bytes long"},
		{readString(t, path)[:512], Options{}, "page 37 of 1 is referred to"},
		{readString(t, path), Options{Table: 3}, "there is no table 3: the database has 2"},
	} {
		_, err := Read(t.Context(), file(t, "x.db", tt.content), tt.o)
		if err == nil || !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%v, want %s", err, tt.err)
		}
	}
	// What was read before the damage is kept.
	whole := readString(t, path)
	broken := []byte(whole)
	broken[20*512] = 0xff
	tb = mustRead(t, file(t, "x.db", string(broken)), Options{})
	if tb.Rows == 0 || tb.Rows >= 300 || !strings.Contains(strings.Join(tb.Notes, "\n"), "the database is damaged") {
		t.Errorf("%d rows, %q", tb.Rows, tb.Notes)
	}
}

func readString(tb testing.TB, path string) string {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// A database that is read is left as it was, whatever is beside it.
func TestDatabaseOnlyRead(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"wal.db", "wal.db-wal"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(readString(t, filepath.Join("sqlite", "testdata", name))), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	tb := mustRead(t, filepath.Join(dir, "wal.db"), Options{})
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 || tb.Rows != 59 {
		t.Errorf("%d rows, %d files, %v", tb.Rows, len(entries), err)
	}
}

func FuzzOptunaDatabase(f *testing.F) {
	content := []byte(readString(f, filepath.Join("testdata", "optuna.db")))
	f.Add(content)
	f.Add(bytes.ReplaceAll(content, []byte("COMPLETE"), []byte("PRUNED__")))
	path := filepath.Join(f.TempDir(), "x")
	f.Fuzz(func(t *testing.T, content []byte) {
		_, _ = fuzzRead(t, path, content, Options{Format: "sqlite"})
	})
}
