package rundir

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etastar/etastar/trainer/config"
)

func testConfig(lr float64) config.Run {
	return config.Default(config.Dense(64, 2, 256, 128), lr)
}

func create(t *testing.T, root string, lr float64) *Writer {
	t.Helper()
	w, fresh, err := Create(root, "sweep", testConfig(lr))
	if err != nil || !fresh {
		t.Fatal(fresh, err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func event(step int64) Event {
	return Event{
		Step: step, Tokens: step * 2048, LR: 1e-3, Loss: Number(5 - float64(step)/100), GradNorm: 1, Rate: 1e5,
		Stats: map[string]map[string]Number{"embedding": {"rms": 0.5, "max": Number(math.Inf(1))}},
	}
}

func TestSameConfigSameDirectory(t *testing.T) {
	root := t.TempDir()
	w := create(t, root, 1e-3)
	if _, ok := Find(root, testConfig(2e-3)); ok {
		t.Error("found a run nobody asked for")
	}
	_, _, err := Create(root, "sweep", testConfig(1e-3))
	if !errors.Is(err, ErrLocked) {
		t.Errorf("two programs on one run: %v", err)
	}
	if _, err := Open(w.Dir()); !errors.Is(err, ErrLocked) {
		t.Errorf("two programs on one run: %v", err)
	}
	before, err := os.ReadFile(filepath.Join(w.Dir(), runFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.SetStatus(Status{State: Finished, Step: 7}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	c := testConfig(1e-3)
	c.Keep.LogEvery = 9 // recorded more often: the same run
	again, fresh, err := Create(root, "sweep", c)
	if err != nil || fresh || again.Dir() != w.Dir() {
		t.Fatal(fresh, err)
	}
	defer again.Close()
	if s, ok := again.Status(); !ok || s.State != Finished || again.Config().Keep.LogEvery != 0 {
		t.Errorf("%+v", s)
	}
	if after, _ := os.ReadFile(filepath.Join(w.Dir(), runFile)); string(after) != string(before) {
		t.Error("run.json changed")
	}
	s, ok := Find(root, c)
	if !ok || s.Dir != w.Dir() || s.Status.Step != 7 || s.Sweep != "sweep" {
		t.Errorf("%+v %v", s, ok)
	}
	for path, mode := range map[string]os.FileMode{"": 0o700, runFile: 0o600, eventsFile: 0o600, statusFile: 0o600, checkpointDir: 0o700} {
		if info, err := os.Stat(filepath.Join(w.Dir(), path)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
}

func TestRefusals(t *testing.T) {
	root := t.TempDir()
	for _, sweep := range []string{"", "..", "a/b", ".x", strings.Repeat("a", 200)} {
		if _, _, err := Create(root, sweep, testConfig(1e-3)); err == nil || !strings.Contains(err.Error(), "sweep name") {
			t.Errorf("%q: %v", sweep, err)
		}
	}
	if _, _, err := Create(root, "s", testConfig(0)); err == nil || !strings.Contains(err.Error(), "learning rate 0") {
		t.Error(err)
	}
	if _, err := Open(filepath.Join(root, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := Open(root); err == nil || !strings.Contains(err.Error(), "no run directory") {
		t.Error(err)
	}
	if left, _ := os.ReadDir(root); len(left) > 0 {
		t.Errorf("refusals left %v", left)
	}
	if os.Getuid() > 0 {
		locked := filepath.Join(root, "ro")
		if err := os.Mkdir(locked, 0o500); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Create(locked, "s", testConfig(1e-3)); !errors.Is(err, os.ErrPermission) {
			t.Error(err)
		}
	}
}

func TestNewerVersion(t *testing.T) {
	w := create(t, t.TempDir(), 1e-3)
	path := filepath.Join(w.Dir(), runFile)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(b), `"version": 1`, `"version": 2`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	var newer *config.NewerError
	if _, err := Open(w.Dir()); !errors.As(err, &newer) {
		t.Error(err)
	}
	if s := Read(w.Dir()); s.Newer != 2 || !strings.Contains(s.Problem, "newer version") {
		t.Errorf("%+v", s)
	}
}

// Killed between any two steps of a checkpoint, the finished ones stay, none is there
// in part, and the next writer cleans up and can make it.
func TestCheckpointKilled(t *testing.T) {
	for _, stage := range []string{"checkpoint made", "in the middle", "checkpoint written", "checkpoint flushed", "checkpoint renamed", "checkpoint gone"} {
		root := t.TempDir()
		w := create(t, root, 1e-3)
		save := func(w *Writer, step int64) error {
			return w.SaveCheckpoint(step, func(dir string) error {
				if err := os.WriteFile(filepath.Join(dir, "a"), fmt.Append(nil, step), 0o600); err != nil {
					return err
				}
				if err := w.at("in the middle"); err != nil {
					return err
				}
				return os.WriteFile(filepath.Join(dir, "b"), fmt.Append(nil, step), 0o600)
			})
		}
		check := func(want ...int64) {
			t.Helper()
			got := Checkpoints(w.Dir())
			for i, c := range got {
				for _, name := range []string{"a", "b"} {
					if b, _ := os.ReadFile(filepath.Join(c.Dir, name)); string(b) != fmt.Sprint(c.Step) {
						t.Errorf("%s: %s of step %d holds %q", stage, name, c.Step, b)
					}
				}
				if i >= len(want) || c.Step != want[i] {
					t.Errorf("%s: %v, want %v", stage, got, want)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%s: %v, want %v", stage, got, want)
			}
		}
		if err := save(w, 100); err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() { // nothing of the writer runs after a kill, cleaning up included
				if r := recover(); r != nil && r != "killed" {
					panic(r)
				}
			}()
			w.hook = func(s string) error {
				if s == stage {
					// A panic would run the deferred clean-up; keep what is there from it.
					if err := os.CopyFS(filepath.Join(root, "snapshot"), os.DirFS(w.Dir())); err != nil {
						t.Fatal(err)
					}
					panic("killed")
				}
				return nil
			}
			if err := save(w, 200); err != nil {
				t.Fatal(err)
			}
			w.Prune(func(step int64) bool { return step == 200 })
		}()
		_ = w.Close()
		if err := os.RemoveAll(w.Dir()); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(root, "snapshot"), w.Dir()); err != nil {
			t.Fatal(err)
		}
		switch stage {
		case "checkpoint renamed":
			check(100, 200)
		case "checkpoint gone":
			check(200)
		default:
			check(100)
		}
		next, err := Open(w.Dir())
		if err != nil {
			t.Fatal(err)
		}
		if left, _ := filepath.Glob(filepath.Join(w.Dir(), checkpointDir, ".*")); len(left) > 0 {
			t.Errorf("%s: left %v", stage, left)
		}
		if err := save(next, 200); err != nil {
			t.Fatal(err)
		}
		if c, ok := Latest(w.Dir()); !ok || c.Step != 200 {
			t.Errorf("%s: %+v", stage, c)
		}
		if _, err := CheckpointAt(w.Dir(), 150); err == nil {
			t.Error("a checkpoint that was never made")
		}
		_ = next.Close()
	}
}

func TestFailedCheckpointLeavesNothing(t *testing.T) {
	w := create(t, t.TempDir(), 1e-3)
	if err := w.SaveCheckpoint(5, func(string) error { return errFull }); !errors.Is(err, errFull) {
		t.Error(err)
	}
	if list, _ := os.ReadDir(filepath.Join(w.Dir(), checkpointDir)); len(list) > 0 {
		t.Errorf("left %v", list)
	}
	// The status that was there outlives one that cannot be written.
	if err := w.SetStatus(Status{State: Running, Step: 1}); err != nil {
		t.Fatal(err)
	}
	w.hook = func(string) error { return errFull }
	if err := w.SetStatus(Status{State: Running, Step: 2}); !errors.Is(err, errFull) {
		t.Error(err)
	}
	if s, ok := w.Status(); !ok || s.Step != 1 {
		t.Errorf("%+v", s)
	}
}

func TestControl(t *testing.T) {
	w := create(t, t.TempDir(), 1e-3)
	if err := Ask(w.Dir(), Stop, "test"); err == nil || !strings.Contains(err.Error(), "not started") {
		t.Error(err)
	}
	if err := w.SetStatus(Status{State: Running}); err != nil {
		t.Fatal(err)
	}
	if c, fresh := w.Control(); fresh || c.Request != "" {
		t.Error(c)
	}
	if err := Ask(w.Dir(), "explode", "test"); err == nil {
		t.Error("asked to explode")
	}
	for _, r := range []Request{Pause, Resume, Stop} {
		if err := Ask(w.Dir(), r, "test"); err != nil {
			t.Fatal(err)
		}
		if c, fresh := w.Control(); !fresh || c.Request != r || c.By != "test" {
			t.Errorf("%+v %v", c, fresh)
		}
		if c, fresh := w.Control(); fresh || c.Request != r {
			t.Errorf("%+v %v", c, fresh)
		}
	}
	if err := os.WriteFile(filepath.Join(w.Dir(), controlFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, fresh := w.Control(); fresh || c.Request != Stop {
		t.Errorf("%+v %v", c, fresh)
	}
	_ = w.Close()
	again, err := Open(w.Dir())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if c, fresh := again.Control(); fresh || c.Request != "" {
		t.Errorf("an old request reached a new worker: %+v", c)
	}
	if err := again.SetStatus(Status{State: Finished}); err != nil {
		t.Fatal(err)
	}
	if err := Ask(w.Dir(), Pause, "test"); err == nil || !strings.Contains(err.Error(), "it is finished") {
		t.Error(err)
	}
}

func TestSettle(t *testing.T) {
	now := time.Now()
	var s Status
	s.Here()
	s.State, s.Heartbeat = Running, now
	if got, stale := s.Settle(now); got.State != Running || stale {
		t.Errorf("%+v %v", got, stale)
	}
	if got, stale := s.Settle(now.Add(time.Hour)); got.State != Running || !stale {
		t.Errorf("%+v %v", got, stale)
	}
	far := s
	far.Host, far.PID = "elsewhere", 1<<22
	if got, stale := far.Settle(now); got.State != Running || stale {
		t.Errorf("%+v %v", got, stale)
	}
	if got, stale := far.Settle(now.Add(time.Hour)); got.State != Running || !stale {
		t.Errorf("%+v %v", got, stale)
	}
	if q := (Status{State: Queued}); true {
		if got, stale := q.Settle(now); got.State != Queued || stale {
			t.Errorf("%+v %v", got, stale)
		}
	}
	if _, known := processStart(os.Getpid()); !known {
		t.Skip("this system does not say which processes there are")
	}
	c := exec.Command(os.Args[0], "-test.run=^$")
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	dead := s
	dead.PID = c.Process.Pid
	if got, _ := dead.Settle(now); got.State != Interrupted || !strings.Contains(got.Reason, "gone") {
		t.Errorf("%+v", got)
	}
	if s.Boot != "" {
		for _, change := range []func(s *Status){func(s *Status) { s.Boot = "before" }, func(s *Status) { s.Started = "1" }} {
			other := s
			change(&other)
			if got, _ := other.Settle(now); got.State != Interrupted {
				t.Errorf("%+v", got)
			}
		}
	}
}

// A reader lists whatever is there, damaged or not.
func TestList(t *testing.T) {
	root := t.TempDir()
	if got := List(filepath.Join(root, "none")); len(got) != 0 {
		t.Error(got)
	}
	a := create(t, root, 1e-3)
	b := create(t, root, 2e-3)
	if err := a.SaveCheckpoint(1, func(string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := a.SetStatus(Status{State: Running}); err != nil {
		t.Fatal(err)
	}
	_ = a.Close()
	// Its process is said to be one that is long gone.
	path := filepath.Join(a.Dir(), statusFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), fmt.Sprintf(`"pid": %d`, os.Getpid()), `"pid": 4194999`, 1))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.Dir(), runFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.Dir(), statusFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{root, filepath.Join(root, "sweep")} {
		got := List(from)
		if len(got) != 2 {
			t.Fatalf("%+v", got)
		}
		if s := got[0]; s.Dir != a.Dir() || s.Status.State != Interrupted || !s.Status.Resumable || s.Problem != "" || s.Config.LR != 1e-3 {
			t.Errorf("%+v", s)
		}
		if s := got[1]; s.Problem == "" || s.Started {
			t.Errorf("%+v", s)
		}
	}
	if got := List(a.Dir()); len(got) != 1 {
		t.Error(got)
	}
}

// FuzzRun reads damaged run directories.
func FuzzRun(f *testing.F) {
	text, err := config.Encode(testConfig(1e-3))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text, []byte(`{"version":1,"state":"running","pid":1}`), []byte("{\"step\":1}\n{"))
	f.Fuzz(func(t *testing.T, run, status, events []byte) {
		dir := t.TempDir()
		for name, b := range map[string][]byte{runFile: run, statusFile: status, eventsFile: events} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := List(dir); len(got) != 1 {
			t.Fatal(got)
		}
		all, _, err := ReadEvents(dir)
		if err != nil {
			t.Fatal(err)
		}
		for i := 1; i < len(all); i++ {
			if all[i].Step <= all[i-1].Step {
				t.Fatal(all)
			}
		}
		if w, err := Open(dir); err == nil {
			if err := errors.Join(w.Append(event(1)), w.Close()); err != nil {
				t.Fatal(err)
			}
		}
	})
}
