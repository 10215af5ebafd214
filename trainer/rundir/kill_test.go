package rundir

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

const childRoot = "ETASTAR_TEST_RUN_ROOT"

// TestTrainUntilKilled is the program that TestKilledInALoop kills: it goes on from the
// last checkpoint and writes events, statuses and checkpoints as fast as it can.
func TestTrainUntilKilled(t *testing.T) {
	root := os.Getenv(childRoot)
	if root == "" {
		t.Skip("only as a child")
	}
	w, _, err := Create(root, "sweep", testConfig(1e-3))
	if err != nil {
		t.Fatal(err)
	}
	step := int64(0)
	if c, ok := Latest(w.Dir()); ok {
		step = c.Step
	}
	fmt.Println("ready")
	for {
		step++
		if err := w.Append(event(step)); err != nil {
			t.Fatal(err)
		}
		if err := w.SetStatus(Status{State: Running, Step: step}); err != nil {
			t.Fatal(err)
		}
		if step%3 != 0 {
			continue
		}
		err := w.SaveCheckpoint(step, func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "step"), strconv.AppendInt(nil, step, 10), 0o600)
		})
		if err != nil {
			t.Fatal(err)
		}
		w.Prune(func(s int64) bool { return s >= step-6 })
	}
}

// Killed again and again at any instant, a run keeps its finished checkpoints and all
// its events up to them, and the reader sees a run that was interrupted.
func TestKilledInALoop(t *testing.T) {
	if _, known := processStart(os.Getpid()); !known {
		t.Skip("this system does not say which processes there are")
	}
	root := t.TempDir()
	dir := filepath.Join(root, "sweep", testConfig(1e-3).Name())
	last := int64(0)
	for round := range 12 {
		c := exec.Command(os.Args[0], "-test.run=^TestTrainUntilKilled$")
		c.Env = append(os.Environ(), childRoot+"="+root)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if round%4 > 0 { // the others may be killed while they begin
			if _, err := out.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Duration(5+37*round%150) * time.Millisecond)
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait()
		s := Read(dir)
		if s.Started && (s.Status.State != Interrupted || s.Problem != "") {
			t.Fatalf("round %d: %+v", round, s)
		}
		all, _, err := ReadEvents(dir)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range all {
			if e.Step != int64(i)+1 {
				t.Fatalf("round %d: event %d is of step %d", round, i, e.Step)
			}
		}
		latest, ok := Latest(dir)
		if latest.Step < last || ok && int64(len(all)) < latest.Step {
			t.Fatalf("round %d: %d events, checkpoint %d, before %d", round, len(all), latest.Step, last)
		}
		last = latest.Step
		for _, c := range Checkpoints(dir) {
			if b, err := os.ReadFile(filepath.Join(c.Dir, "step")); err != nil || string(b) != fmt.Sprint(c.Step) {
				t.Fatalf("round %d: checkpoint %d holds %q, %v", round, c.Step, b, err)
			}
		}
	}
	if last == 0 {
		t.Error("it never came to a checkpoint")
	}
}
