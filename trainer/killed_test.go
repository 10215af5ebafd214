package trainer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/rundir"
)

// The test binary is a worker on the folder in asWorker, on the device in onDevice.
const (
	asWorker = "ETASTAR_TEST_WORKER"
	onDevice = "ETASTAR_TEST_DEVICE"
)

func TestMain(m *testing.M) {
	dir := os.Getenv(asWorker)
	if dir == "" {
		goleak.VerifyTestMain(m)
		return
	}
	d, err := openDevice(os.Getenv(onDevice))
	if err == nil {
		err = (&Worker{Backend: d.backend, CheckpointEvery: 20 * time.Millisecond}).Train(context.Background(), dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// TestKilled: a worker killed (SIGKILL) again and again loses nothing that was
// finished, never leaves what cannot be read, and ends with the losses of one that
// was left alone, to the bit.
func TestKilled(t *testing.T) {
	killed(t, worker(t).Backend, CPU, 15, small(1e-3), small(3e-3))
}

// killed trains runs with workers on a device of which at most limit are killed, and
// compares with one on the backend of that device that is left alone.
func killed(t *testing.T, backend kernels.Backend, device string, limit int, runs ...config.Run) {
	t.Helper()
	want := curves(t, followed(t, backend, runs...))
	root := t.TempDir()
	if _, err := Ask(root, "s", runs); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	kills, got := 0, int64(0)
	for over := false; !over; {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), asWorker+"="+root, onDevice+"="+device)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		exited := make(chan error, 1)
		go func() { exited <- cmd.Wait() }()
		// Every other one lives until it has got on; enough killed, one lives to its end.
		patience := time.After(time.Duration(rng.IntN(120)) * time.Millisecond)
		if kills >= limit {
			patience = nil
		}
		for alive := true; alive; {
			select {
			case err := <-exited:
				if err != nil {
					t.Fatalf("after %d kills: %v", kills, err)
				}
				over, alive = true, false
			case <-patience:
				now := farthest(root)
				if now <= got && kills%2 == 0 {
					patience = time.After(10 * time.Millisecond)
					continue
				}
				got, alive = max(got, now), false
				_ = cmd.Process.Kill()
				over = <-exited == nil // it ended before the signal came
				kills++
			}
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
	if kills == 0 {
		t.Error("it ended before it could be killed")
	}
	same(t, fmt.Sprintf("after %d kills", kills), curves(t, root), want)
	t.Logf("%d kills", kills)
}

// farthest is the last checkpoint of any run below root.
func farthest(root string) int64 {
	step := int64(0)
	for _, s := range rundir.List(root) {
		if c, ok := rundir.Latest(s.Dir); ok {
			step = max(step, c.Step)
		}
	}
	return step
}
