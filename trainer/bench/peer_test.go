package bench

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestScript compiles peer.py, and has it say that there is no PyTorch where there is none.
func TestScript(t *testing.T) {
	exe, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 to check peer.py with")
	}
	path := filepath.Join(t.TempDir(), "peer.py")
	if err := os.WriteFile(path, script, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), exe, "-m", "py_compile", path).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if exec.CommandContext(t.Context(), exe, "-c", "import torch").Run() == nil {
		t.Skip("this machine has PyTorch")
	}
	if _, err := findPython(t.Context(), exe, 0, 0); err == nil || !strings.Contains(err.Error(), "torch") || strings.Contains(err.Error(), "\n") {
		t.Errorf("without PyTorch: %v", err)
	}
	if _, err := findPython(t.Context(), filepath.Join(t.TempDir(), "python"), 0, 0); err == nil {
		t.Error("a Python that is not there has PyTorch")
	}
}

// fake is a Python that answers as the lines of a shell script say; $2 is the job.
func fake(t *testing.T, lines string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no shell to stand in for Python")
	}
	path := filepath.Join(t.TempDir(), "python")
	text := "#!/bin/sh\ncase \"$2\" in\n*probe*) echo loading; echo '{\"mode\": \"probe\", \"torch\": \"2.11.0\", \"cuda\": \"13.0\"}';;\n" + lines + "esac\n"
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestModes(t *testing.T) {
	c := tiny()
	good := func(mode string, runs int, rate float64, params int64) string {
		return fmt.Sprintf("*'\"runs\":%d,\"mode\":\"%s\"'*) echo; echo '{\"mode\": \"%s\", \"runs\": %d, \"tokens_per_s\": [%g, 1], \"first_step_s\": 2, \"params\": %d}';;\n", runs, mode, mode, runs, rate, params)
	}
	n := c.Shape.Params().Total
	exe := fake(t, good(eager, 1, 10, n)+good(compiled, 1, 20, n+1)+
		"*'\"runs\":1,\"mode\":\"graphs\"'*) echo why >&2; exit 3;;\n"+
		good(reduceOverhead, 1, 15, n)+good(graphs, 3, 30, n))
	p, err := findPython(t.Context(), exe, 1, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if p.torch != "PyTorch 2.11.0, CUDA 13.0" {
		t.Error(p.torch)
	}
	var said []string
	say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	one := p.modes(t.Context(), c, job{Shape: c.Shape, Runs: 1}, say)
	for i, want := range []struct {
		mode, problem string
		rate          float64
	}{
		{eager, "", 10},
		{compiled, fmt.Sprintf("its model has %d parameters, ours %d", n+1, n), 0},
		{graphs, "exit status 3: why", 0},
		{reduceOverhead, "", 15},
	} {
		if i >= len(one) {
			t.Fatalf("%+v", one)
		}
		if r := one[i]; r.Mode != want.mode || r.Problem != want.problem || r.Rate() != want.rate || r.Runs != 1 {
			t.Errorf("%+v, want %+v", r, want)
		}
	}
	three := p.modes(t.Context(), c, job{Shape: c.Shape, Runs: 3}, say)
	if len(three) != 1 || three[0].Rate() != 30 || len(one) != 4 {
		t.Errorf("%+v", three)
	}
	if !slices.Contains(said, "tiny, PyTorch graphs, 3 together") {
		t.Errorf("said %q", said)
	}
	p.only = []string{compiled, graphs}
	if r := p.modes(t.Context(), c, job{Shape: c.Shape, Runs: 1}, say); len(r) != 3 || r[0].Mode != compiled || r[2].Mode != reduceOverhead {
		t.Errorf("of two modes: %+v", r)
	}
	p.only = nil
	moe := c
	moe.Shape = moe.Shape.MoE(4, 2)
	if r := p.modes(t.Context(), moe, job{Shape: moe.Shape, Runs: 3}, say); len(r) != 1 || r[0].Problem == "" {
		t.Errorf("%+v", r)
	}
	p.close()
	if _, err := os.Stat(p.dir); err == nil {
		t.Errorf("%s is left", p.dir)
	}
}

// TestBeside: a row has PyTorch's rates between ours, and its single runs are measured once.
func TestBeside(t *testing.T) {
	c := tiny()
	count := filepath.Join(t.TempDir(), "count")
	answer := func(mode string, runs int, rate float64) string {
		return fmt.Sprintf("*'\"runs\":%d,\"mode\":\"%s\"'*) echo %s%d >> %s; echo '{\"mode\": \"%s\", \"runs\": %d, \"tokens_per_s\": [%g], \"params\": %d}';;\n",
			runs, mode, mode, runs, count, mode, runs, rate, c.Shape.Params().Total)
	}
	exe := fake(t, answer(eager, 1, 1)+answer(compiled, 1, 2)+answer(graphs, 1, 3)+answer(graphs, 3, 5))
	d, err := openCPU()
	if err != nil {
		t.Fatal(err)
	}
	peer, err := findPython(t.Context(), exe, 0, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	p := &Plan{Steps: 1, Warmup: 1, device: d, cases: []Case{c}, peer: peer}
	defer p.Close()
	var rows []Row
	if err := p.Each(t.Context(), func(r Row) { rows = append(rows, r) }); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || rows[0].OneByOne != 3 || rows[1].OneByOne != 3 || len(rows[0].Peers) != 3 || len(rows[0].Rates) != 2 || len(rows[1].Rates) != 2 {
		t.Fatalf("%+v", rows)
	}
	if best, _ := rows[1].Peer(); best.Rate() != 5 || rows[1].Ratio() != rows[1].Rate()/5 {
		t.Errorf("%+v", rows[1])
	}
	if b, err := os.ReadFile(count); err != nil || string(b) != "eager1\ncompile1\ngraphs1\ngraphs3\n" {
		t.Errorf("asked %q, %v", b, err)
	}
}

func TestBudget(t *testing.T) {
	exe := fake(t, "*) exec sleep 600;;\n")
	p, err := findPython(t.Context(), exe, 0, 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if r := p.mode(t.Context(), tiny(), job{Mode: eager, Runs: 1}); r.Problem != "no result within 50ms" || r.Mode != eager {
		t.Errorf("%+v", r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := p.modes(ctx, tiny(), job{Runs: 1}, func(string, ...any) {}); len(r) > 0 {
		t.Errorf("%+v", r)
	}
}

func TestProbe(t *testing.T) {
	for out, want := range map[string]string{
		"warning\n{\"mode\": \"probe\", \"torch\": \"2.11.0\", \"cuda\": \"\"}\n": "PyTorch 2.11.0",
		`{"mode": "probe", "problem": "PyTorch 2.11.0 sees no GPU"}`:              "error: PyTorch 2.11.0 sees no GPU",
		"{}\nnothing": "error: it printed no version of PyTorch",
	} {
		got, err := parseProbe([]byte(out))
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != want {
			t.Errorf("%q gives %q, want %q", out, got, want)
		}
	}
}

// FuzzResult: whatever is printed, an answer belongs to the job and has either a problem
// or rates that are numbers.
func FuzzResult(f *testing.F) {
	for _, line := range []string{
		`{"mode": "eager", "runs": 1, "tokens_per_s": [1e6, 9e5], "first_step_s": 1.5, "params": 10}`,
		"W0101 a warning\n{\"mode\": \"eager\", \"runs\": 1, \"problem\": \"OutOfMemoryError: x\", \"tokens_per_s\": [1]}",
		`{"mode": "eager", "runs": 1}`, `{"mode": "eager", "runs": 1, "tokens_per_s": [-1]}`, `{"mode": "eager", "runs": 1, "tokens_per_s": [1e400]}`,
		`{"mode": "eager", "runs": 1, "tokens_per_s": [1], "first_step_s": -1}`, `{"mode": "graphs", "runs": 1}`, `[]`, "", "\xff{",
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, out []byte) {
		j := job{Mode: eager, Runs: 1}
		r, found := parseResult(out, j)
		if r.Mode != j.Mode || r.Runs != j.Runs {
			t.Fatalf("%q answers another job: %+v", out, r)
		}
		if found && (r.Problem == "") != (r.Rate() > 0) || !found && r.Rate() != 0 {
			t.Errorf("%q: %+v", out, r)
		}
		for _, x := range r.Rates {
			if !(x > 0) || math.IsInf(x, 0) {
				t.Errorf("%q: a rate of %g", out, x)
			}
		}
		_, _ = parseProbe(out)
	})
}

func TestParseModes(t *testing.T) {
	for list, want := range map[string][]string{"": nil, "graphs": {graphs}, "eager, compile": {eager, compiled}} {
		if got, err := parseModes(list); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", list, got, err)
		}
	}
	if _, err := parseModes("graphs,jit"); err == nil || !strings.Contains(err.Error(), `"jit"`) {
		t.Error(err)
	}
}
