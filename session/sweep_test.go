package session

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/etastar/etastar/session/table"
	"github.com/etastar/etastar/trainer"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/rundir"
)

// workerWord makes the test binary a training worker, as the program is one.
const workerWord = "etastar-test-worker"

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == workerWord {
		dir := os.Args[len(os.Args)-1]
		var err error
		if slices.Contains(os.Args, "--detach") {
			err = trainer.Detach(os.Args[0], []string{workerWord, dir}, dir)
		} else {
			err = trainer.Work(context.Background(), dir, trainer.CPU, 1, filepath.Join(dir, "turn"))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

const tinySweep = "proxies = sweep d_model=[8,16] layers=1 context=16 batch=64 tokens=3k lr=1e-3..1e-1 x3"

func openSweep(t *testing.T, dir, text string) *Session {
	t.Helper()
	s, err := Open(notebookIn(t, dir, "```eta\n"+text+"\n```\n"), Options{Interactive: true, Worker: []string{workerWord}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	settle(t, s)
	return s
}

func TestSweepIsPlannedFirst(t *testing.T) {
	dir := t.TempDir()
	s := openSweep(t, dir, tinySweep+"\ncurves = curves proxies by=N")
	c := cell(t, s, "proxies")
	if c.Err != nil {
		t.Fatal(c.Err)
	}
	v := c.Value.(Sweep)
	if len(v.Runs) != 6 || v.Started() != 0 || v.Rows != 6 || v.Cost.Tokens != 6*3008 {
		t.Errorf("%d runs, %d started, %d rows, %+v", len(v.Runs), v.Started(), v.Rows, v.Cost)
	}
	if _, err := os.Stat(filepath.Join(dir, "runs")); err == nil {
		t.Error("planning made run directories")
	}
	if got := v.Runs[1].Config.LR; got != 0.01 {
		t.Errorf("the middle of 1e-3..1e-1 x3 is %v", got)
	}
	// What lacks losses waits for them; it has not failed.
	for _, text := range []string{"curves = curves proxies by=N", "curves = curves (where proxies lr > 0) by=N"} {
		s := openSweep(t, t.TempDir(), tinySweep+"\n"+text+"\nlaw = law curves form=N_only")
		if c := cell(t, s, "curves"); c.Err != nil || c.Status != Waiting || !c.Untrained || c.WaitsFor != "proxies" || !strings.Contains(strings.Join(c.Notes, " "), "loss yet") {
			t.Errorf("%s of what has not been trained: %+v", text, c)
		}
		if c := cell(t, s, "law"); c.Status != Waiting || c.WaitsFor != "curves" || c.Untrained {
			t.Errorf("law of what has not been trained: %+v", c)
		}
	}
}

// TestSweepTrains: started, a worker of its own trains the sweep; the table fills,
// what depends on it follows, and nothing is trained twice.
func TestSweepTrains(t *testing.T) {
	dir := t.TempDir()
	s := openSweep(t, dir, tinySweep+"\ncurves = curves proxies by=N")
	line := cell(t, s, "proxies").Line
	what, err := s.Start(line)
	if err != nil || !strings.Contains(what, "6 runs started") {
		t.Fatalf("%q, %v", what, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var said []string
	if err := s.StartAll(ctx, func(w string) { said = append(said, w) }); err != nil {
		t.Fatalf("%v, after %q", err, said)
	}
	v := cell(t, s, "proxies").Value.(Sweep)
	if v.Finished() != 6 {
		t.Fatalf("%d of 6 over: %+v", v.Finished(), cell(t, s, "proxies").Notes)
	}
	loss := v.RoleColumn(table.RoleLoss)
	for i := range v.Rows {
		if l := loss.Value(i); math.IsNaN(l) || l < 1 {
			t.Errorf("run %d has a loss of %v", i, l)
		}
	}
	for _, r := range v.Runs {
		if len(r.Losses) == 0 || len(r.Losses) != len(r.Tokens) {
			t.Errorf("%s has no loss curve", r.Config.Name())
		}
	}
	if c := cell(t, s, "curves"); c.Err != nil || len(c.Value.(Curves).Curves) != 2 {
		t.Errorf("curves: %v", c.Err)
	}
	if g := v.Groups(); len(g) != 2 || g[0].Best < 0 {
		t.Errorf("groups: %+v", g)
	}
	if p := v.Progress(); p.Share != 1 {
		t.Errorf("progress %+v", p)
	}
	if what, err := s.Start(line); err != nil || what != "every run is over" {
		t.Errorf("started again: %q, %v", what, err)
	}
	// A notebook that asks for more finds those, and what follows from them is provisional.
	more := openSweep(t, dir, strings.Replace(tinySweep, "x3", "x5", 1)+"\ncurves = curves proxies by=N where lr > 0\nlaw = law curves form=N_only bounds=use\np = predict law N=2k")
	if v := cell(t, more, "curves").Value.(Curves); v.Provisional != "6 of 10 runs are over" {
		t.Errorf("curves of a sweep that is not over: %q", v.Provisional)
	}
	if v, ok := cell(t, more, "p").Value.(Prediction); !ok || (len(v.Warnings) == 0 || !strings.HasPrefix(v.Warnings[0], "provisional: 6 of 10")) {
		t.Errorf("prediction %v, law %v", cell(t, more, "p"), cell(t, more, "law").Err)
	}
	// Another notebook that asks for some of the same runs finds them.
	other := openSweep(t, dir, strings.Replace(tinySweep, "[8,16]", "8", 1))
	if v := cell(t, other, "proxies").Value.(Sweep); len(v.Runs) != 3 || v.Finished() != 3 {
		t.Errorf("%d of %d runs found over", v.Finished(), len(v.Runs))
	}
}

func TestSweepRefuses(t *testing.T) {
	tests := []struct{ text, want string }{
		{"s = sweep d_model=32 heads=3 kv_heads=2 lr=1e-3", "kv_heads 2 does not divide heads 3"},
		{"s = sweep d_model=32 experts=4 top_k=5 lr=1e-3", "top_k 5 is more than the 4 experts"},
		{"s = sweep d_model=32 head_dim=7 lr=1e-3", "head_dim 7 is odd"},
		{"s = sweep d_model=32 lr=0", "lr is more than 0"},
		{"s = sweep d_model=32 lr=1e9", "learning rate 1e+09"},
		{"s = sweep d_model=32 lr=1e-3 batch=10", "holds no sequence"},
		{"s = sweep lr=1e-3", "d_model= is missing"},
		{"s = sweep d_model=32 lr=1e-3 data=\"none.txt\"", "there is no"},
		{"s = sweep d_model=32 lr=1e-3 context=300k batch=300k", "use a context of at most"},
		{"s = sweep d_model=32 lr=1e-5..1e-1 x9999 seeds=50", "this is"},
	}
	for _, tt := range tests {
		s := New("```eta\n"+tt.text+"\n```\n", t.TempDir())
		settle(t, s)
		if c := cell(t, s, "s"); c.Err == nil || !strings.Contains(c.Err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.text, c.Err)
		}
		_ = s.Close()
	}
	// A corpus that goes missing later ends its runs alone.
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "gone.txt"), bytes.Repeat([]byte("a few words, "), 400), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openSweep(t, dir, "s = sweep d_model=8 layers=1 context=16 batch=64 tokens=1k lr=1e-3 data=\"gone.txt\"")
	if err := os.Remove(filepath.Join(dir, "gone.txt")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Start(cell(t, s, "s").Line); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the run fails", func() bool {
		s.Poll()
		settle(t, s)
		found := rundir.List(filepath.Join(dir, "runs"))
		return len(found) == 1 && found[0].Status.State == rundir.Failed && strings.Contains(found[0].Status.Reason, "gone.txt")
	})
	if c := cell(t, s, "s"); c.Err == nil || !strings.Contains(c.Err.Error(), "there is no") || !strings.Contains(c.Err.Error(), "watch") {
		t.Errorf("%v", c.Err)
	}
}

func TestWatch(t *testing.T) {
	dir := t.TempDir()
	s := openSweep(t, dir, "s = sweep d_model=8 layers=1 context=16 batch=64 tokens=1k lr=1e-3..1e-1 x2")
	if _, err := s.Start(cell(t, s, "s").Line); err != nil {
		t.Fatal(err)
	}
	w := openSweep(t, dir, "w = watch \"runs\"\nnone = watch \"absent\"")
	eventually(t, "the watched runs are over", func() bool {
		w.Poll()
		settle(t, w)
		v, ok := cell(t, w, "w").Value.(Sweep)
		return ok && len(v.Runs) == 2 && v.Finished() == 2
	})
	if c := cell(t, w, "none"); c.Err == nil || !strings.Contains(c.Err.Message, "no such folder") {
		t.Errorf("a folder that is not there: %v", c.Err)
	}
	if _, err := w.Start(cell(t, w, "w").Line); err == nil {
		t.Error("runs of another notebook were started")
	}
}

// TestStartAllBesideOthers: what is only watched is neither waited for nor counted.
func TestStartAllBesideOthers(t *testing.T) {
	dir := t.TempDir()
	const line = "s = sweep d_model=8 layers=1 context=16 batch=64 tokens=1k lr=1e-3..1e-1 x2"
	other := cell(t, openSweep(t, dir, strings.ReplaceAll(line, "1e-3", "2e-3")), "s").Value.(Sweep)
	if _, err := trainer.Ask(filepath.Join(dir, "theirs"), "sweep", []config.Run{other.Runs[0].Config}); err != nil {
		t.Fatal(err)
	}
	s := openSweep(t, dir, line+"\nall = watch \"runs\"\nothers = watch \"theirs\"")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var said []string
	if err := s.StartAll(ctx, func(w string) { said = append(said, w) }); err != nil {
		t.Fatal(err)
	}
	if last := said[len(said)-1]; last != "2 of 2 runs are over" {
		t.Errorf("it ends with %q", last)
	}
	if v, ok := cell(t, s, "all").Value.(Sweep); !ok || v.Finished() != 2 {
		t.Errorf("the watched folder was not looked at again: %+v", cell(t, s, "all"))
	}
}

// TestNewerRun: a run directory that a newer version wrote is said to be one, and left
// alone.
func TestNewerRun(t *testing.T) {
	dir := t.TempDir()
	v := cell(t, openSweep(t, dir, tinySweep), "proxies").Value.(Sweep)
	dirs, err := trainer.Ask(filepath.Dir(v.Dir), filepath.Base(v.Dir), []config.Run{v.Runs[0].Config})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dirs[0], "run.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte(`"version": 1`), []byte(`"version": 9`), 1)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c := cell(t, openSweep(t, dir, tinySweep), "proxies")
	if notes := strings.Join(c.Notes, " "); c.Err != nil || !strings.Contains(notes, "newer version (9): update") {
		t.Errorf("%v, %v", c.Err, c.Notes)
	}
	if again, err := os.ReadFile(path); err != nil || !bytes.Equal(again, text) {
		t.Errorf("the directory was written to: %v", err)
	}
}
