package session

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etastar/etastar/trainer/rundir"
)

// Runs of another program are followed: one goes on, others ended in their ways; the
// curve forms while they do.
func TestWatchForeign(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, from, to int, lr float64, bad bool) {
		t.Helper()
		d := filepath.Join(dir, name)
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for s := from; s <= to; s += 10 {
			loss := 3 + 2/float64(s) + math.Pow(math.Log(lr/1e-3), 2)/10
			if fmt.Fprintf(&b, "{\"step\": %d, \"train_loss\": %g, \"val_loss\": %g}\n", s, loss, loss+0.1); bad && s == to {
				fmt.Fprintf(&b, "{\"step\": %d, \"train_loss\": NaN, \"val_loss\": NaN}\n", s+10)
			}
		}
		f, err := os.OpenFile(filepath.Join(d, "metrics.jsonl"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(b.String()); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d, "config.json"), []byte(fmt.Sprintf(`{"lr": %g, "max_steps": 500, "n_params": 1000000}`, lr)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, lr := range []float64{2.5e-4, 5e-4, 1e-3, 2e-3} {
		write(fmt.Sprintf("r%d", i), 10, 500, lr, false)
	}
	write("going", 10, 200, 4e-3, false)
	write("bad", 10, 100, 8e-3, true)
	write("killed", 10, 100, 1e-4, false)
	old := time.Now().Add(-time.Hour)
	for _, f := range []string{"metrics.jsonl", "config.json"} {
		if err := os.Chtimes(filepath.Join(dir, "killed", f), old, old); err != nil {
			t.Fatal(err)
		}
	}
	s := computed(t, fmt.Sprintf("```eta\nw = watch %q\nc = curves w by=N\n```\n", dir))
	look := func() (Sweep, map[string]SweepRun) {
		t.Helper()
		c := cell(t, s, "w")
		if c.Err != nil {
			t.Fatal(c.Err)
		}
		v := c.Value.(Sweep)
		by := map[string]SweepRun{}
		for _, r := range v.Runs {
			by[r.Name()] = r
		}
		return v, by
	}
	v, by := look()
	for name, want := range map[string]rundir.State{"r0": rundir.Finished, "going": rundir.Running, "bad": rundir.Diverged, "killed": rundir.Interrupted} {
		if got := by[name].Status; got.State != want {
			t.Errorf("%s is %s (%s), want %s", name, got.State, got.Reason, want)
		}
	}
	r := by["going"]
	if len(r.Losses) != 20 || r.Status.Step != 200 || r.Status.Steps != 500 || r.LR() != 4e-3 {
		t.Errorf("%d losses, %+v", len(r.Losses), r.Status)
	}
	loss := v.RoleColumn("loss")
	for i, r := range v.Runs {
		if missing := loss.String(i) == ""; missing != (r.Name() == "going") {
			t.Errorf("%s: loss %q", r.Name(), loss.String(i))
		}
	}
	if g := v.Groups(); len(g) != 1 || len(g[0].Runs) != 7 {
		t.Errorf("%+v", g)
	} else if c, open := v.Forming(g[0]); len(c.Points) != 4 || len(c.Diverged) != 1 || len(open) != 2 {
		t.Errorf("%d points, %d diverged, %d open", len(c.Points), len(c.Diverged), len(open))
	}
	// It goes on, and ends: the screen's polling finds it.
	write("going", 210, 500, 4e-3, false)
	for range 400 {
		s.Poll()
		settle(t, s)
		if _, by = look(); by["going"].Status.State == rundir.Finished {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if st := by["going"].Status; st.State != rundir.Finished || st.Step != 500 {
		t.Errorf("%+v", st)
	}
	if c := cell(t, s, "c"); c.Err != nil || c.Value.(Curves).Curves[0].NFit == 0 {
		t.Errorf("%+v", c.Err)
	}
	if _, err := s.Start(1); err == nil {
		t.Error("what is watched was started")
	}
}

func TestWatchForeignErrors(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{dir: "no runs are in it yet", filepath.Join(dir, "none"): "there is no such folder or log"} {
		s := computed(t, fmt.Sprintf("```eta\nw = watch %q\n```\n", path))
		if err := cell(t, s, "w").Err; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
