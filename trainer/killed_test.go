package trainer

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/etastar/etastar/kernels/cpu"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/rundir"
)

// asWorker makes the test binary a worker on a folder.
const asWorker = "ETASTAR_TEST_WORKER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(asWorker); dir != "" {
		backend, err := cpu.New(cpu.Options{})
		if err == nil {
			err = (&Worker{Backend: backend, CheckpointEvery: 20 * time.Millisecond}).Train(context.Background(), dir)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// TestKilled: a worker killed (SIGKILL) again and again loses nothing that was
// finished, never leaves what cannot be read, and ends with the losses of one that
// was left alone, to the bit.
func TestKilled(t *testing.T) {
	runs := []config.Run{small(1e-3), small(3e-3)}
	straight, root := t.TempDir(), t.TempDir()
	for _, dir := range []string{straight, root} {
		if _, err := Ask(dir, "s", runs); err != nil {
			t.Fatal(err)
		}
	}
	if err := worker(t).Train(context.Background(), straight); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	kills := 0
	for over := false; !over; {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), asWorker+"="+root)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		exited := make(chan error, 1)
		go func() { exited <- cmd.Wait() }()
		patience := time.Duration(60+rng.IntN(240)) * time.Millisecond
		if kills >= 15 {
			patience = time.Minute // enough has been killed: let it end
		}
		select {
		case err := <-exited:
			if err != nil {
				t.Fatalf("after %d kills: %v", kills, err)
			}
			over = true
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			over = <-exited == nil // it ended before the signal came
			kills++
		}
		for _, s := range rundir.List(root) {
			if s.Problem != "" {
				t.Fatalf("after %d kills: %s: %s", kills, s.Name, s.Problem)
			}
			if _, bad, err := rundir.ReadEvents(s.Dir); err != nil || bad > kills {
				t.Fatalf("after %d kills: %s: %d bad lines, %v", kills, s.Name, bad, err)
			}
		}
	}
	want := finals(t, straight)
	for name, got := range finals(t, root) {
		for k := range got {
			if math.Float64bits(got[k]) != math.Float64bits(want[name][k]) {
				t.Errorf("%s after %d kills: %v, left alone %v", name, kills, got, want[name])
			}
		}
	}
	t.Logf("%d kills", kills)
}
