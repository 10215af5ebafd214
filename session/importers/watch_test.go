package importers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// clocked is a watcher whose time a test sets.
func clocked(path string) (*Watcher, *time.Time) {
	now := time.Unix(1_700_000_000, 0)
	w := NewWatcher(path)
	w.clock = func() time.Time { return now }
	return w, &now
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func looked(t *testing.T, w *Watcher, now *time.Time) *WatchedRuns {
	t.Helper()
	*now = now.Add(time.Minute)
	if err := w.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := w.Runs()
	if err != nil {
		t.Fatal(err)
	}
	checkRuns(t, r.Runs)
	return r
}

func nanoLine(i int, loss float64) string {
	return fmt.Sprintf("iter %d: loss %.4f, time 1.00ms, mfu 1.00%%\n", i, loss)
}

func TestWatcher(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.log"), filepath.Join(dir, "b.log")
	appendTo(t, a, nanoLine(0, 5)+nanoLine(10, 4))
	w, now := clocked(dir)
	if w.Version() != 0 {
		t.Error("looked before it was told to")
	}
	r := looked(t, w, now)
	if v := w.Version(); v != 1 || r.Table.Rows != 1 || len(r.Curves[0].Value) != 2 {
		t.Fatalf("version %d, %s", v, dump(r.Table))
	}
	// Nothing new, nothing read.
	if looked(t, w, now); w.Version() != 1 {
		t.Errorf("version %d", w.Version())
	}
	// It grows, within a line at first, and another run begins.
	appendTo(t, a, nanoLine(20, 3)+"iter 30: loss 2.")
	appendTo(t, b, nanoLine(0, 5)+nanoLine(10, 4.5))
	r = looked(t, w, now)
	if w.Version() != 2 || r.Table.Rows != 2 || r.Curves[0].Value[2] != 3 || len(r.Curves[0].Value) != 3 || len(r.Modified) != 2 {
		t.Fatalf("version %d, %+v", w.Version(), r.Curves)
	}
	appendTo(t, a, "5000, time 1.00ms, mfu 1.00%\n")
	if r = looked(t, w, now); r.Curves[0].Value[3] != 2.5 {
		t.Fatalf("%+v", r.Curves[0])
	}
	// The log is emptied: what is known stays until there is something new.
	if err := os.WriteFile(a, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r = looked(t, w, now); r.Table.Rows != 2 || len(r.Curves[0].Value) != 4 {
		t.Fatalf("%+v", r.Curves)
	}
	// It begins anew at a later step, as a rotated log does, or after a restart.
	if err := os.WriteFile(a, []byte(nanoLine(20, 3.1)+nanoLine(30, 2.6)+nanoLine(40, 2.2)), 0o600); err != nil {
		t.Fatal(err)
	}
	r = looked(t, w, now)
	if c := r.Curves[0]; fmt.Sprint(c.Step, c.Value) != "[0 10 20 30 40] [5 4 3.1 2.6 2.2]" {
		t.Errorf("%v %v", c.Step, c.Value)
	}
	if notes := strings.Join(r.Table.Notes, "\n"); !strings.Contains(notes, "a: its log began anew") {
		t.Error(notes)
	}
	// A run that is gone is gone.
	if err := os.Remove(b); err != nil {
		t.Fatal(err)
	}
	if r = looked(t, w, now); r.Table.Rows != 1 {
		t.Errorf("%d rows", r.Table.Rows)
	}
	// One log by itself is followed too.
	w, now = clocked(a)
	if r = looked(t, w, now); r.Table.Rows != 1 || r.Table.Column("run").String(0) != "a" {
		t.Error(dump(r.Table))
	}
	w, now = clocked(filepath.Join(dir, "none"))
	*now = now.Add(time.Second)
	if err := w.Look(t.Context()); err == nil {
		t.Error("a folder that is not there is followed")
	}
}

// What a look cost is waited out a hundred times over.
func TestWatcherBudget(t *testing.T) {
	dir := t.TempDir()
	for i := range 20 {
		appendTo(t, filepath.Join(dir, fmt.Sprintf("r%d.log", i)), nanoLine(0, 5)+nanoLine(10, 4))
	}
	now := time.Unix(1_700_000_000, 0)
	w := NewWatcher(dir)
	spent := time.Duration(0)
	w.clock = func() time.Time { // each look at the clock finds that 2 ms went by
		now, spent = now.Add(2*time.Millisecond), spent+2*time.Millisecond
		return now
	}
	if err := w.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	spent = 0
	begun := now
	for i := range 600 {
		now = now.Add(time.Second)
		for k := range 20 {
			if (i+k)%7 == 0 {
				appendTo(t, filepath.Join(dir, fmt.Sprintf("r%d.log", k)), nanoLine(20+10*i, 3))
			}
		}
		if err := w.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if share := float64(spent) / float64(now.Sub(begun)); share > 1.2*watchShare+float64(firstBudget)/float64(now.Sub(begun)) {
		t.Errorf("%.2f%% of the time went into looking", 100*share)
	}
	// Every run had its turn.
	for i := range w.runs {
		if n := len(w.runs[i].run.curves[0].Value); n < 20 {
			t.Errorf("%s: %d values were read", w.runs[i].files.name, n)
		}
	}
}

// BenchmarkWatcher looks at 100 runs of which one has grown: at one look a second, 10 ms
// are the hundredth of a core.
func BenchmarkWatcher100(b *testing.B) {
	root, _ := runDirectories(b, 100, 500)
	w, now := clocked(root)
	if err := w.Look(b.Context()); err != nil {
		b.Fatal(err)
	}
	i := 0
	for b.Loop() {
		*now = now.Add(time.Hour)
		i++
		f, err := os.OpenFile(filepath.Join(root, fmt.Sprintf("run_%04d", i%100), "metrics.jsonl"), os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			b.Fatal(err)
		}
		fmt.Fprintf(f, "{\"step\": %d, \"train_loss\": 2}\n", 5000+i)
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
		if err := w.Look(b.Context()); err != nil {
			b.Fatal(err)
		}
		if _, err := w.Runs(); err != nil {
			b.Fatal(err)
		}
	}
}
