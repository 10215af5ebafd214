package command

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/etastar/etastar/trainer/rundir"
)

// TestMain makes the test binary a trainer when it is started as one.
func TestMain(m *testing.M) {
	if mode := os.Getenv("ETASTAR_TEST_TRAINER"); mode != "" {
		os.Exit(train(mode, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// train logs as nanoGPT does, and behaves as its mode says.
func train(mode string, args []string) int {
	lr, err := strconv.ParseFloat(args[0], 64)
	if err != nil {
		return 2
	}
	first := 0
	if args[len(args)-1] == "resume" {
		first = 20
	}
	if mode == "fail-once" {
		if _, err := os.Stat("tried"); err != nil {
			if os.WriteFile("tried", nil, 0o600) != nil {
				return 2
			}
			fmt.Println("iter 0: loss 4.0000, time 1.00ms, mfu 1.00%")
			fmt.Println("RuntimeError: out of memory")
			return 7
		}
	}
	for i := first; i < 50; i++ {
		loss := 2 + 2*math.Exp(-float64(i)/10) + math.Abs(math.Log(lr/1e-3))/10
		if mode == "diverge" && i > 30 {
			loss = math.NaN()
		}
		fmt.Printf("iter %d: loss %.4f, time 1.00ms, mfu 1.00%%\n", i, loss)
		if i%10 == 9 {
			fmt.Printf("step %d: train loss %.4f, val loss %.4f\n", i, loss, loss+0.1)
		}
		if mode == "slow" && i > 20 || mode == "diverge" && i > 30 {
			time.Sleep(20 * time.Millisecond)
		}
		if mode == "silent" && i == 5 {
			time.Sleep(time.Minute)
		}
		if mode == "endless" && i == 49 {
			i--
			time.Sleep(10 * time.Millisecond)
		}
	}
	return 0
}

func ask(t *testing.T, root, mode string, change func(c *rundir.Command)) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := rundir.Command{
		Args: []string{exe, "1e-3"}, Folder: t.TempDir(), Env: []string{"ETASTAR_TEST_TRAINER=" + mode},
		Values: []rundir.Value{{Name: "lr", V: 1e-3}}, Batch: 100,
	}
	if change != nil {
		change(&c)
	}
	w, fresh, err := rundir.CreateCommand(root, "s", c)
	if err != nil || !fresh {
		t.Fatal(fresh, err)
	}
	if err := w.SetStatus(rundir.Status{State: rundir.Queued}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.Dir()
}

func runner() *Runner { return &Runner{Poll: 10 * time.Millisecond, Say: func(string, ...any) {}} }

func TestRunEnds(t *testing.T) {
	for _, tt := range []struct {
		mode   string
		change func(c *rundir.Command)
		state  rundir.State
		reason string
	}{
		{mode: "plain", state: rundir.Finished},
		{mode: "diverge", state: rundir.Diverged, reason: "the loss is not a number"},
		{mode: "fail-once", state: rundir.Failed, reason: "exit status 7: RuntimeError: out of memory"},
		{mode: "fail-once", change: func(c *rundir.Command) { c.Retries = 1 }, state: rundir.Finished},
		{mode: "silent", change: func(c *rundir.Command) { c.Silence = 0.5 }, state: rundir.Failed, reason: "it said nothing for"},
		{mode: "plain", change: func(c *rundir.Command) { c.Args[1] = "x" }, state: rundir.Failed, reason: "exit status 2"},
		{mode: "plain", change: func(c *rundir.Command) { c.Args[0] = "no-such-program-here" }, state: rundir.Failed, reason: "it could not be started"},
		{mode: "plain", change: func(c *rundir.Command) { c.Log = "nothing.log" }, state: rundir.Failed, reason: "no loss was found in nothing.log: say log="},
	} {
		t.Run(tt.mode, func(t *testing.T) {
			root := t.TempDir()
			dir := ask(t, root, tt.mode, tt.change)
			if err := runner().Work(t.Context(), root); err != nil {
				t.Fatal(err)
			}
			s := rundir.Read(dir)
			if s.Status.State != tt.state || !strings.Contains(s.Status.Reason, tt.reason) {
				t.Fatalf("%s: %s", s.Status.State, s.Status.Reason)
			}
			if tt.state != rundir.Finished {
				return
			}
			events, bad, err := rundir.ReadEvents(dir)
			if err != nil || bad != 0 || s.Status.Step != 49 || s.Status.Tokens != 4900 {
				t.Errorf("%d events, %d bad, %v, status %+v", len(events), bad, err, s.Status)
			}
			if got := float64(s.Status.Val); math.Abs(got-(2.1+2*math.Exp(-4.9))) > 1e-4 {
				t.Errorf("validation %v", got)
			}
			if last := events[len(events)-1]; last.Step != 49 || last.Loss == 0 || last.Val == 0 {
				t.Errorf("%+v", last)
			}
		})
	}
}

func until(t *testing.T, dir string, ok func(s rundir.Summary) bool) {
	t.Helper()
	for range 1000 {
		if ok(rundir.Read(dir)) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%+v", rundir.Read(dir).Status)
}

func TestPauseResumeStop(t *testing.T) {
	root := t.TempDir()
	dir := ask(t, root, "endless", nil)
	done := make(chan error, 1)
	go func() { done <- runner().Work(context.WithoutCancel(t.Context()), root) }()
	state := func(want rundir.State) {
		t.Helper()
		until(t, dir, func(s rundir.Summary) bool { return s.Status.State == want && s.Status.Step > 40 })
	}
	state(rundir.Running)
	for _, r := range []struct {
		ask  rundir.Request
		want rundir.State
	}{{rundir.Pause, rundir.Paused}, {rundir.Resume, rundir.Running}, {rundir.Stop, rundir.Stopped}} {
		if err := rundir.Ask(dir, r.ask, "a test"); err != nil {
			t.Fatal(err)
		}
		state(r.want)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if s := rundir.Read(dir); !strings.Contains(s.Status.Reason, "stopped by a test") || !s.Status.Resumable {
		t.Errorf("%+v", s.Status)
	}
}

// A worker that is told to end ends its command; the next goes on with the resume flag.
func TestInterruptedGoesOn(t *testing.T) {
	root := t.TempDir()
	dir := ask(t, root, "slow", func(c *rundir.Command) { c.Resume = []string{"resume"} })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- runner().Work(ctx, root) }()
	until(t, dir, func(s rundir.Summary) bool { return s.Status.Step > 20 })
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if s := rundir.Read(dir); s.Status.State != rundir.Interrupted || !s.Status.Resumable {
		t.Fatalf("%+v", s.Status)
	}
	if err := runner().Work(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	events, _, err := rundir.ReadEvents(dir)
	if s := rundir.Read(dir); err != nil || s.Status.State != rundir.Finished || events[0].Step != 0 || len(events) != 50 {
		t.Errorf("%+v, %d events from step %d, %v", s.Status, len(events), events[0].Step, err)
	}
}

// Slots bound what runs at once.
func TestSlots(t *testing.T) {
	root := t.TempDir()
	for i := range 4 {
		ask(t, root, "slow", func(c *rundir.Command) {
			c.Slots = 2
			c.Args[1] = fmt.Sprint(1e-3 * float64(i+1))
		})
	}
	most := 0
	r := runner()
	finished := make(chan error, 1)
	go func() { finished <- r.Work(t.Context(), root) }()
	for over := false; !over; {
		select {
		case err := <-finished:
			if over = true; err != nil {
				t.Fatal(err)
			}
		case <-time.After(5 * time.Millisecond):
		}
		n := 0
		for _, s := range rundir.List(root) {
			if s.Status.State == rundir.Running {
				n++
			}
		}
		most = max(most, n)
	}
	if most != 2 {
		t.Errorf("%d at once", most)
	}
	for _, s := range rundir.List(root) {
		if s.Status.State != rundir.Finished {
			t.Errorf("%s: %s", s.Name, s.Status.State)
		}
	}
}

func TestSplit(t *testing.T) {
	for line, want := range map[string][]string{
		"torchrun --nproc=8 train.py":        {"torchrun", "--nproc=8", "train.py"},
		`sh -c 'echo "a b"' "x\"y" a\ b '' `: {"sh", "-c", `echo "a b"`, `x"y`, "a b", ""},
		`a"b"'c'd`:                           {"abcd"},
		"  ":                                 nil,
		"a\\\nb":                             {"ab"},
	} {
		if got, err := Split(line); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q, %v", line, got, err)
		}
	}
	for _, line := range []string{`a "b`, `a 'b`, `a \`} {
		if got, err := Split(line); err == nil {
			t.Errorf("%q: %q", line, got)
		}
	}
}

func TestFill(t *testing.T) {
	words := []string{"--lr={lr}", `{"a": 1}`, "${HOME}", "{lr}{tokens}", "{", "{}", "{x", "{lr}"}
	if got := Fields(words); !reflect.DeepEqual(got, []string{"lr", "tokens"}) {
		t.Errorf("%q", got)
	}
	want := []string{"--lr=1e-3", `{"a": 1}`, "${HOME}", "1e-3{tokens}", "{", "{}", "{x", "1e-3"}
	if got := Fill(words, map[string]string{"lr": "1e-3"}); !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{`a "b" 'c' d\e {lr} ${x}`, `"\`, "{a}{b", "'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words, err := Split(line)
		if err != nil {
			return
		}
		// What holds no placeholder stays as it is, and filling twice is filling once.
		once := Fill(words, map[string]string{"lr": "1"})
		if again := Fill(once, map[string]string{"nothing": "2"}); !reflect.DeepEqual(once, again) {
			t.Fatalf("%q: %q, %q", line, once, again)
		}
	})
}

// The example's trainer goes on from its checkpoint, and logs what is read here.
func TestExampleTrainer(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("needs python3")
	}
	script, err := filepath.Abs("../example/trainer/train.py")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	dir := ask(t, root, "", func(c *rundir.Command) {
		c.Args = []string{python, script, "--lr", "1", "--tokens", "2000", "--batch", "40", "--out", "{run}"}
		c.Resume, c.Env, c.Batch, c.Tokens = []string{"--resume"}, nil, 40, 2000
	})
	if err := runner().Work(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	s := rundir.Read(dir)
	if s.Status.State != rundir.Finished || s.Status.Step != 50 || s.Status.Steps != 50 || !(s.Status.Val > 1 && s.Status.Val < 3) {
		t.Errorf("%+v", s.Status)
	}
	var checkpoint struct{ Step int }
	b, err := os.ReadFile(filepath.Join(dir, "checkpoint.json"))
	if err != nil || json.Unmarshal(b, &checkpoint) != nil || checkpoint.Step != 50 {
		t.Errorf("checkpoint %d, %v", checkpoint.Step, err)
	}
}
