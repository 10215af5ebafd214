package headless

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/etastar/etastar/trainer"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/rundir"
)

// workerWord makes the test binary a worker that trains nothing: it notes that it ran.
const workerWord = "etastar-test-worker"

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == workerWord {
		dir := os.Args[len(os.Args)-1]
		var err error
		if slices.Contains(os.Args, "--detach") {
			err = trainer.Detach(os.Args[0], []string{workerWord, dir}, dir)
		} else if err = os.WriteFile(filepath.Join(dir, "ran.part"), nil, 0o600); err == nil {
			err = os.Rename(filepath.Join(dir, "ran.part"), filepath.Join(dir, "ran"))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// made makes a run below root whose status is st; no state: it has none. An interrupted
// run says that it is running, in a process that never was.
func made(t *testing.T, root, sweep string, lr float64, st rundir.Status) (dir string) {
	t.Helper()
	c := config.Default(config.Dense(16, 1, 256, 16), lr)
	c.Data = config.Data{Source: "synthetic", Tokenizer: "bytes", HeldOut: 0.1, Split: "spread", Bytes: 1 << 16}
	c.Batch = config.Batch{Sequences: 4, Accumulate: 1}
	w, _, err := rundir.Create(root, sweep, c.For(1500*c.BatchTokens()))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	gone := st.State == rundir.Interrupted
	if gone {
		st.State = rundir.Running
	}
	if st.State != "" {
		if err := w.SetStatus(st); err != nil {
			t.Fatal(err)
		}
	}
	if gone {
		path := filepath.Join(w.Dir(), "status.json")
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(b, &fields); err != nil {
			t.Fatal(err)
		}
		fields["pid"] = 1 << 30
		if b, err = json.Marshal(fields); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return w.Dir()
}

// everyState makes two sweeps with a run in each state.
func everyState(t *testing.T) (root string) {
	t.Helper()
	root = filepath.Join(t.TempDir(), "runs")
	made(t, root, "first", 1e-3, rundir.Status{
		State: rundir.Running, Step: 1250, Steps: 1500, Tokens: 80_000, Loss: 2.2, Val: 2.10344, ValSE: 0.00312, Rate: 12_345, Elapsed: 65.4, Resumable: true,
	})
	made(t, root, "first", 2e-3, rundir.Status{State: rundir.Running, Step: 3, Steps: 1500, Heartbeat: time.Now().Add(-time.Hour)})
	made(t, root, "first", 3e-3, rundir.Status{State: rundir.Paused, Step: 7, Steps: 1500, Reason: "paused by \x1b[31mme"})
	made(t, root, "first", 4e-3, rundir.Status{State: rundir.Queued, Steps: 1500})
	made(t, root, "first", 5e-3, rundir.Status{})
	made(t, root, "second", 1e-3, rundir.Status{State: rundir.Finished, Step: 1500, Steps: 1500, Val: 1.5, Rate: 9e5, Elapsed: 3725})
	made(t, root, "second", 2e-3, rundir.Status{State: rundir.Diverged, Step: 9, Steps: 1500, Loss: rundir.Number(math.NaN()), Val: rundir.Number(math.NaN()), Elapsed: 0.25})
	made(t, root, "second", 3e-3, rundir.Status{State: rundir.Stopped, Step: 9, Steps: 1500, Reason: "stopped by me"})
	made(t, root, "second", 4e-3, rundir.Status{State: rundir.Failed, Steps: 1500, Reason: "no data"})
	made(t, root, "second", 5e-3, rundir.Status{State: rundir.Interrupted, Step: 9, Steps: 1500})
	broken := made(t, root, "second", 6e-3, rundir.Status{})
	if err := os.WriteFile(filepath.Join(broken, "run.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestRunsAsText(t *testing.T) {
	var out, stderr bytes.Buffer
	root := everyState(t)
	if code := (Runs{Root: root, Out: &out, Err: &stderr}).Do(t.Context()); code != OK || stderr.Len() > 0 {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("there is an escape sequence in %q", &out)
	}
	lines := strings.Split(strings.ReplaceAll(out.String(), root, "ROOT"), "\n")
	var got []string
	for _, l := range lines {
		f := strings.Fields(l) // without the name, which is config's to choose
		if len(f) > 0 && f[0] != "first" && f[0] != "second" {
			f = f[1:]
		}
		if len(f) > 0 && f[0] == "unreadable" {
			f = f[:5]
		}
		got = append(got, strings.Join(f, " "))
	}
	want := []string{
		"first state step val loss tokens/s elapsed reason",
		"running 1,250/1,500 2.1034 ± 0.0031 12.3k 1m5s",
		"running (stale) 3/1,500 – – –",
		"paused 7/1,500 – – – paused by �[31mme",
		"queued 0/1,500 – – –",
		"queued 0/1,500 – – –",
		"",
		"second state step val loss tokens/s elapsed reason",
		"finished 1,500/1,500 1.5000 900k 1h2m5s",
		"diverged 9/1,500 – – 250ms",
		"stopped 9/1,500 – – – stopped by me",
		"failed 0/1,500 – – – no data",
		"interrupted 9/1,500 – – – its process 1073741824 is gone",
		"unreadable – – – –",
		"",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s\n%s", diff, &out)
	}
	column := strings.Index(lines[0], "state")
	for _, l := range lines {
		if l != "" && (l[column-1] != ' ' || l[column] == ' ') {
			t.Errorf("not aligned: %q", l)
		}
	}
}

func TestRunsAsJSON(t *testing.T) {
	var out, stderr bytes.Buffer
	root := everyState(t)
	if code := (Runs{Root: root, JSON: true, Out: &out, Err: &stderr}).Do(t.Context()); code != OK || stderr.Len() > 0 {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	var got []map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, r := range got {
		states = append(states, fmt.Sprint(r["sweep"], " ", r["state"], " ", r["stale"], " ", r["lr"], " ", r["problem"] != ""))
		if len(r) != 18 || r["steps"] != 1500. && r["problem"] == "" || r["dir"] != filepath.Join(root, r["sweep"].(string), r["name"].(string)) {
			t.Errorf("%v", r)
		}
	}
	want := []string{
		"first running false 0.001 false", "first running true 0.002 false", "first paused false 0.003 false",
		"first queued false 0.004 false", "first queued false 0.005 false",
		"second finished false 0.001 false", "second diverged false 0.002 false", "second stopped false 0.003 false",
		"second failed false 0.004 false", "second interrupted false 0.005 false", "second unreadable false <nil> true",
	}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Error(diff)
	}
	first := got[0]
	delete(first, "name")
	delete(first, "dir")
	if diff := cmp.Diff(map[string]any{
		"sweep": "first", "state": "running", "stale": false, "lr": 0.001, "step": 1250., "steps": 1500., "tokens": 80000.,
		"loss": 2.2, "val_loss": 2.10344, "val_se": 0.00312, "tokens_per_s": 12345., "elapsed_s": 65.4, "checkpoint": 0.,
		"resumable": true, "reason": "", "problem": "",
	}, first); diff != "" {
		t.Error(diff)
	}
	if d := got[6]; d["loss"] != nil || d["val_loss"] != nil {
		t.Errorf("losses of a diverged run are %v and %v, want null", d["loss"], d["val_loss"])
	}
}

func TestRunsOfOtherFolders(t *testing.T) {
	root := everyState(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, root  string
		json        bool
		code, lines int
		stderr      string
	}{
		{"a sweep", filepath.Join(root, "first"), false, OK, 6, ""},
		{"missing", filepath.Join(root, "third"), false, Environment, 0, "there is no folder"},
		{"missing, as JSON", filepath.Join(root, "third"), true, Environment, 0, "there is no folder"},
		{"a file", file, false, Environment, 0, "is not a folder"},
		{"empty", t.TempDir(), false, OK, 0, "there are no runs in"},
		{"empty, as JSON", t.TempDir(), true, OK, 1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, stderr bytes.Buffer
			code := Runs{Root: tt.root, JSON: tt.json, Out: &out, Err: &stderr}.Do(t.Context())
			if n := strings.Count(out.String(), "\n"); code != tt.code || n != tt.lines {
				t.Errorf("exit code %d, want %d; %d lines, want %d", code, tt.code, n, tt.lines)
			}
			if !strings.Contains(stderr.String(), tt.stderr) || (stderr.Len() > 0) != (tt.stderr != "") {
				t.Errorf("it says %q, want %q", &stderr, tt.stderr)
			}
		})
	}
	var stderr bytes.Buffer
	if code := (Runs{Root: root, Out: full{}, Err: &stderr}).Do(t.Context()); code != Environment {
		t.Errorf("exit code %d on a full disk", code)
	}
}

func TestAskRuns(t *testing.T) {
	for _, tt := range []struct {
		name    string
		below   []string
		request rundir.Request
		code    int
		out     string
		stderr  string
	}{
		{"all", []string{""}, rundir.Pause, OK, "3 runs asked to pause\n", "2 queued runs were not asked"},
		{"resume", []string{"first"}, rundir.Resume, OK, "3 runs asked to resume\n", ""},
		{"twice the same", []string{"first", "", "first"}, rundir.Stop, OK, "5 runs asked to stop\n", ""},
		{"none lives", []string{"second"}, rundir.Stop, Failed, "", "there is no run to stop"},
		{"missing", []string{"third"}, rundir.Stop, Environment, "", "there is no folder"},
		{"one is missing", []string{"third", "first"}, rundir.Stop, Environment, "5 runs asked to stop\n", "there is no folder"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := everyState(t)
			var dirs []string
			for _, b := range tt.below {
				dirs = append(dirs, filepath.Join(root, b))
			}
			var out, stderr bytes.Buffer
			code := AskRuns{Dirs: dirs, Request: tt.request, Out: &out, Err: &stderr}.Do(t.Context())
			if code != tt.code || out.String() != tt.out {
				t.Errorf("exit code %d, want %d; output %q, want %q", code, tt.code, &out, tt.out)
			}
			if !strings.Contains(stderr.String(), tt.stderr) || (stderr.Len() > 0) != (tt.stderr != "") {
				t.Errorf("it says %q, want %q", &stderr, tt.stderr)
			}
			for _, s := range rundir.List(root) {
				c, asked := rundir.Asked(s.Dir)
				living := s.Started && (s.Status.State == rundir.Running || s.Status.State == rundir.Paused)
				if asked != (living && tt.out != "") || asked && c.Request != tt.request {
					t.Errorf("a %s run was asked: %v, to %q", s.Status.State, asked, c.Request)
				}
			}
		})
	}
}

func TestAskOneRun(t *testing.T) {
	dir := made(t, t.TempDir(), "sweep", 1e-3, rundir.Status{State: rundir.Running})
	var out, stderr bytes.Buffer
	if code := (AskRuns{Dirs: []string{dir}, Request: rundir.Pause, Out: &out, Err: &stderr}).Do(t.Context()); code != OK || out.String() != "1 run asked to pause\n" {
		t.Errorf("exit code %d, output %q, %q", code, &out, &stderr)
	}
}

func TestStartRuns(t *testing.T) {
	root := t.TempDir()
	states := []rundir.State{"", rundir.Queued, rundir.Stopped, rundir.Failed, rundir.Interrupted, rundir.Running, rundir.Paused, rundir.Finished, rundir.Diverged}
	want := []rundir.State{"", rundir.Queued, rundir.Queued, rundir.Queued, rundir.Queued, rundir.Running, rundir.Paused, rundir.Finished, rundir.Diverged}
	var dirs []string
	for i, s := range states {
		dirs = append(dirs, made(t, root, "sweep", float64(i+1)*1e-3, rundir.Status{State: s, Step: 5, Steps: 1500, Reason: "because"}))
	}
	sweep := filepath.Join(root, "sweep")
	var out, stderr bytes.Buffer
	if code := (StartRuns{Dir: sweep, Words: []string{workerWord}, Out: &out, Err: &stderr}).Do(t.Context()); code != OK || out.String() != "5 runs started in the background\n" || stderr.Len() > 0 {
		t.Errorf("exit code %d, output %q, %q", code, &out, &stderr)
	}
	for i, dir := range dirs {
		if got := rundir.Read(dir).Status; got.State != want[i] || want[i] != "" && got.Step != 5 {
			t.Errorf("the run that was %q is %q at step %d, want %q at 5", states[i], got.State, got.Step, want[i])
		}
	}
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(sweep, "ran")); err == nil {
			break
		}
		if time.Now().After(until) {
			t.Fatal("the worker did not run")
		}
	}
}

func TestStartNothing(t *testing.T) {
	over, busy, broken := t.TempDir(), t.TempDir(), t.TempDir()
	made(t, over, "sweep", 1e-3, rundir.Status{State: rundir.Finished})
	made(t, busy, "sweep", 1e-3, rundir.Status{State: rundir.Running})
	bad := made(t, broken, "sweep", 1e-3, rundir.Status{State: rundir.Stopped})
	if err := os.WriteFile(filepath.Join(bad, "run.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, dir string
		code      int
		stderr    string
	}{
		{"over", over, Failed, "nothing to start: every run is over\n"},
		{"busy", busy, Failed, "nothing to start: 1 run trains or is paused already\n"},
		{"unreadable", broken, Failed, "nothing to start: no run could be taken up\n"},
		{"empty", t.TempDir(), Failed, "nothing to start: there are no runs in"},
		{"missing", filepath.Join(over, "nowhere"), Environment, "there is no folder"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, stderr bytes.Buffer
			code := StartRuns{Dir: tt.dir, Words: []string{workerWord}, Out: &out, Err: &stderr}.Do(t.Context())
			if code != tt.code || out.Len() > 0 || !strings.Contains(stderr.String(), tt.stderr) {
				t.Errorf("exit code %d, want %d; output %q; it says %q, want %q", code, tt.code, &out, &stderr, tt.stderr)
			}
		})
	}
}

func TestRunsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	root := everyState(t)
	for name, do := range map[string]func(out, err *bytes.Buffer) int{
		"list": func(o, e *bytes.Buffer) int { return Runs{Root: root, Out: o, Err: e}.Do(ctx) },
		"pause": func(o, e *bytes.Buffer) int {
			return AskRuns{Dirs: []string{root}, Request: rundir.Pause, Out: o, Err: e}.Do(ctx)
		},
		"start": func(o, e *bytes.Buffer) int {
			return StartRuns{Dir: root, Words: []string{workerWord}, Out: o, Err: e}.Do(ctx)
		},
	} {
		var out, stderr bytes.Buffer
		if code := do(&out, &stderr); code != Failed || out.Len() > 0 || !strings.Contains(stderr.String(), "interrupted") {
			t.Errorf("%s: exit code %d, output %q, %q", name, code, &out, &stderr)
		}
	}
}

// TestFailedRunsFail: a notebook whose runs failed says why and does not exit with 0.
func TestFailedRunsFail(t *testing.T) {
	root := everyState(t)
	path := filepath.Join(filepath.Dir(root), "n.md")
	if err := os.WriteFile(path, []byte("```eta\nr = watch \"runs\"\n```\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, stderr bytes.Buffer
	if code := (Run{Path: path, Out: &out, Err: &stderr}).Do(t.Context()); code != Failed || !strings.Contains(stderr.String(), "1 run failed: no data") {
		t.Errorf("code %d, %s", code, stderr.String())
	}
}
