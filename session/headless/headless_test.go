package headless

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/etastar/etastar/session"
)

const sweep = `runs = load "sweep.csv"
curves = curves runs by=N,D
law = law curves
target = predict law N=7B D=1.4T
`

// folder makes a folder with the sweep of the tests of export, and in it a notebook
// of these statements.
func folder(t *testing.T, statements string) (path string) {
	t.Helper()
	dir := t.TempDir()
	data, err := os.ReadFile("../export/testdata/sweep.csv")
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "nb.md")
	for name, b := range map[string][]byte{filepath.Join(dir, "sweep.csv"): data, path: []byte("# η*\n\n```eta\n" + statements + "```\n")} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// full refuses every byte, like a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestExitCodes(t *testing.T) {
	for _, tt := range []struct {
		name, statements string
		run, check       int
		stderr           []string // of run, without the path
	}{
		{"all well", sweep + "expect law.N between -0.8 and -0.6\n", OK, OK, nil},
		{"no statement", "", OK, OK, nil},
		{"a cell failed", "runs = load \"sweep.cvs\"\nshow runs\n", Failed, OK, []string{":4:13: load \"sweep.cvs\": there is no such file; did you mean \"sweep.csv\"?"}},
		{"unmet", sweep + "expect target.lr > 1\n", Unmet, OK, []string{":8:1: expectation not met: target.lr: 0.003396, expected > 1"}},
		{"does not parse", "x = note \"a\ny = note \"b\"\n", Usage, Usage, []string{":4:10: this string is never closed"}},
		{"no such verb", "x = laod \"a\"\n", Usage, Usage, []string{":4:5: there is no verb \"laod\"; did you mean load?"}},
		{"column in characters", "ηη = predict lawη N=1B\n", Usage, Usage, []string{":4:14: nothing is named lawη; name a result with: lawη = …"}},
		{"a cycle", "x = where y lr > 0\ny = where x lr > 0\n", Usage, Usage, []string{":4:1: depends on itself: x → y → x", ":5:1: depends on itself: x → y → x"}},
		{"failed before unmet", sweep + "show runs columns=nope\nexpect target.lr > 1\n", Failed, OK, []string{
			":8:19: there is no column \"nope\"", ":9:1: expectation not met",
		}},
		{"usage before failed", sweep + "show runs columns=nope\nlw curves\n", Usage, Usage, []string{":8:19: there is no column", ":9:1: there is no verb \"lw\""}},
		{"picture that cannot be written", sweep + "plot law \"nowhere/law.svg\"\nlw curves\n", Environment, Usage, []string{":8:1: plot law.svg: write ", ":9:1: "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := folder(t, tt.statements)
			var out, stderr bytes.Buffer
			if got := (Run{Path: path, Out: &out, Err: &stderr}).Do(t.Context()); got != tt.run {
				t.Errorf("run: exit code %d, want %d", got, tt.run)
			}
			lines := strings.Split(strings.TrimSuffix(stderr.String(), "\n"), "\n")
			if stderr.Len() == 0 {
				lines = nil
			}
			if len(lines) != len(tt.stderr) {
				t.Errorf("run says\n%swant %q", &stderr, tt.stderr)
			} else {
				for i, want := range tt.stderr {
					if !strings.HasPrefix(lines[i], path+want) {
						t.Errorf("run says %q, want %q", lines[i], path+want)
					}
				}
			}
			stderr.Reset()
			var nothing bytes.Buffer
			if got := (Check{Path: path, Out: &nothing, Err: &stderr}).Do(t.Context()); got != tt.check || nothing.Len() > 0 {
				t.Errorf("check: exit code %d, want %d; output %q", got, tt.check, &nothing)
			}
			if (stderr.Len() > 0) != (tt.check != OK) {
				t.Errorf("check says %q", &stderr)
			}
			unchanged(t, path, tt.statements)
		})
	}
}

func unchanged(t *testing.T, path, statements string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("# η*\n\n```eta\n"+statements+"```\n", string(b)); diff != "" {
		t.Errorf("the notebook changed: %s", diff)
	}
}

func TestEnvironment(t *testing.T) {
	dir := t.TempDir()
	good := folder(t, sweep)
	for name, do := range map[string]func(errs *bytes.Buffer) int{
		"run, no notebook": func(errs *bytes.Buffer) int {
			return Run{Path: filepath.Join(dir, "no.md"), Out: full{}, Err: errs}.Do(t.Context())
		},
		"check, no notebook": func(errs *bytes.Buffer) int {
			return Check{Path: filepath.Join(dir, "no.md"), Out: full{}, Err: errs}.Do(t.Context())
		},
		"export, no notebook": func(errs *bytes.Buffer) int {
			return Export{Path: filepath.Join(dir, "no.md"), Format: "md", Out: full{}, Err: errs}.Do(t.Context())
		},
		"run, a folder": func(errs *bytes.Buffer) int { return Run{Path: dir, Out: full{}, Err: errs}.Do(t.Context()) },
		"run, no room": func(errs *bytes.Buffer) int {
			return Run{Path: good, Out: full{}, Err: errs}.Do(t.Context())
		},
		"run as JSON, no room": func(errs *bytes.Buffer) int {
			return Run{Path: good, JSON: true, Out: full{}, Err: errs}.Do(t.Context())
		},
		"export, no room": func(errs *bytes.Buffer) int {
			return Export{Path: good, Format: "html", Out: full{}, Err: errs}.Do(t.Context())
		},
		"export, no folder": func(errs *bytes.Buffer) int {
			return Export{Path: good, Format: "html", Output: filepath.Join(dir, "no", "x.html"), Out: full{}, Err: errs}.Do(t.Context())
		},
	} {
		t.Run(name, func(t *testing.T) {
			var errs bytes.Buffer
			if got := do(&errs); got != Environment {
				t.Errorf("exit code %d, want %d", got, Environment)
			}
			if !strings.HasPrefix(errs.String(), "etastar: ") || strings.Count(errs.String(), "\n") != 1 {
				t.Errorf("says %q", &errs)
			}
		})
	}
}

func TestRunWritesPicturesAndData(t *testing.T) {
	statements := sweep + "plot law \"law.svg\"\n"
	path := folder(t, statements)
	var out, errs bytes.Buffer
	if code := (Run{Path: path, JSON: true, Out: &out, Err: &errs}).Do(t.Context()); code != OK {
		t.Fatalf("exit code %d: %s", code, &errs)
	}
	var object struct {
		Values map[string]struct {
			Type string
			LR   float64 `json:"lr"`
		}
		Errors []any
	}
	d := json.NewDecoder(&out)
	if err := d.Decode(&object); err != nil || d.More() {
		t.Fatalf("standard output is not one object: %v", err)
	}
	if v := object.Values["target"]; v.Type != "prediction" || v.LR < 3e-3 || v.LR > 4e-3 {
		t.Errorf("target: %+v", v)
	}
	if b, err := os.ReadFile(filepath.Join(filepath.Dir(path), "law.svg")); err != nil || !bytes.Contains(b, []byte("<svg")) {
		t.Errorf("the picture: %v", err)
	}
	unchanged(t, path, statements)
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 3 {
		t.Errorf("files left: %v, %v", entries, err)
	}
}

func TestExport(t *testing.T) {
	statements := sweep + "plot law \"law.svg\"\nexpect target.lr > 1\n"
	path := folder(t, statements)
	dir := filepath.Dir(path)
	for _, tt := range []struct {
		name string
		e    Export
		code int
		want string // of the output, or of the errors where there is none
	}{
		{"html", Export{Format: "html"}, Unmet, "<!doctype html>"},
		{"md", Export{Format: "md"}, Unmet, "# η*\n\n```eta\nruns = load"},
		{"json", Export{Format: "json"}, Unmet, "{\n"},
		{"csv", Export{Format: "csv", Value: "law"}, Unmet, "name,value,se,"},
		{"csv of nothing", Export{Format: "csv"}, Usage, "etastar: CSV and Parquet hold one value: name it; there are runs, curves, law, target"},
		{"csv of an unknown name", Export{Format: "csv", Value: "lwa"}, Usage, "etastar: nothing is named lwa; there are"},
		{"value with html", Export{Format: "html", Value: "law"}, Usage, "etastar: only CSV, Parquet, JSON and snippets write a single value"},
		{"unknown trainer", Export{Format: "snippet", Trainer: "caffe"}, Usage, "etastar: snippet \"caffe\": there are megatron, torchtitan, huggingface, nanotron, pytorch, json"},
		{"snippet of a law", Export{Format: "snippet", Trainer: "json", Value: "law"}, Usage, "etastar: law holds a law: a snippet is written of a prediction or a transfer"},
		{"snippet of a prediction", Export{Format: "snippet", Trainer: "pytorch", Value: "target"}, Usage, "etastar: write target for a trainer: unknown trainer \"pytorch\""},
		{"unknown format", Export{Format: "pdf"}, Usage, "etastar: format \"pdf\": there are html, md, csv, parquet, json and snippet"},
		{"over the notebook", Export{Format: "md", Output: path}, Usage, "etastar: export to " + path + " would replace the notebook"},
		{"over the data", Export{Format: "csv", Value: "runs", Output: filepath.Join(dir, "sweep.csv")}, Usage, "etastar: export to " + filepath.Join(dir, "sweep.csv") + " would replace data that the notebook reads (line 4)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			tt.e.Path, tt.e.Out, tt.e.Err = path, &out, &errs
			if code := tt.e.Do(t.Context()); code != tt.code {
				t.Errorf("exit code %d, want %d: %s", code, tt.code, &errs)
			}
			if tt.code == Usage {
				if last := errs.String()[strings.LastIndex(strings.TrimSuffix(errs.String(), "\n"), "\n")+1:]; out.Len() > 0 || !strings.HasPrefix(last, tt.want) {
					t.Errorf("output %q, says %q", &out, &errs)
				}
				return
			}
			if !strings.HasPrefix(out.String(), tt.want) {
				t.Errorf("output begins %.60q", &out)
			}
			file := filepath.Join(dir, "out")
			again := tt.e
			again.Output = file
			if code := again.Do(t.Context()); code != tt.code {
				t.Errorf("exit code to a file %d, want %d", code, tt.code)
			}
			if b, err := os.ReadFile(file); err != nil || !bytes.Equal(b, out.Bytes()) {
				t.Errorf("the file differs from standard output: %v", err)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "law.svg")); err == nil {
		t.Error("export wrote a picture of the notebook")
	}
	unchanged(t, path, statements)
	var out, errs bytes.Buffer
	broken := folder(t, "runs = load \"no.csv\"\n")
	if code := (Export{Path: broken, Format: "csv", Value: "runs", Out: &out, Err: &errs}).Do(t.Context()); code != Failed || out.Len() > 0 {
		t.Errorf("a value that failed: exit code %d, output %q", code, &out)
	}
}

// slow is a notebook that takes a while: it reads a large file.
func slow(t *testing.T) string {
	t.Helper()
	path := folder(t, "runs = load \"large.csv\"\nshow runs\n")
	row := []byte("100000000,2000000000,0.001,2.5,some text that fills the line\n")
	data := append([]byte("N,D,lr,loss,text\n"), bytes.Repeat(row, 400_000)...)
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "large.csv"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTimeout(t *testing.T) {
	path := slow(t)
	var out, errs bytes.Buffer
	code := Run{Path: path, JSON: true, Timeout: time.Millisecond, Out: &out, Err: &errs}.Do(t.Context())
	if code != Failed || errs.String() != path+":4:1: not finished when time ran out\n" {
		t.Errorf("exit code %d, says %q", code, &errs)
	}
	var object struct {
		Values map[string]any
		Errors []struct{ Cell, Kind, Message string }
	}
	if err := json.Unmarshal(out.Bytes(), &object); err != nil {
		t.Fatal(err)
	}
	if len(object.Values) != 0 || len(object.Errors) != 2 || object.Errors[0].Kind != "unfinished" || object.Errors[1].Message != "waits for runs" {
		t.Errorf("output: %+v", object)
	}
}

func TestInterruptedWhileComputing(t *testing.T) {
	path := slow(t)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	var out, errs bytes.Buffer
	start := time.Now()
	if code := (Run{Path: path, Out: &out, Err: &errs}).Do(ctx); code != Failed || out.Len() > 0 || errs.String() != "etastar: interrupted\n" {
		t.Errorf("exit code %d, output %q, says %q", code, &out, &errs)
	}
	if took := time.Since(start); took > closeTime+time.Second {
		t.Errorf("took %v to give up", took)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	path := folder(t, sweep)
	for name, do := range map[string]func(out, errs *bytes.Buffer) int{
		"run":   func(out, errs *bytes.Buffer) int { return Run{Path: path, Out: out, Err: errs}.Do(ctx) },
		"check": func(out, errs *bytes.Buffer) int { return Check{Path: path, Out: out, Err: errs}.Do(ctx) },
		"export": func(out, errs *bytes.Buffer) int {
			return Export{Path: path, Format: "md", Out: out, Err: errs}.Do(ctx)
		},
	} {
		var out, errs bytes.Buffer
		start := time.Now()
		if code := do(&out, &errs); code != Failed || out.Len() > 0 || errs.String() != "etastar: interrupted\n" {
			t.Errorf("%s: exit code %d, output %q, says %q", name, code, &out, &errs)
		}
		if took := time.Since(start); took > closeTime+time.Second {
			t.Errorf("%s took %v to give up", name, took)
		}
	}
}

func TestWorking(t *testing.T) {
	cells := []session.Cell{
		{Status: session.Done},
		{Status: session.Running, Name: "runs", Verb: "load", Progress: 0.42},
		{Status: session.Running, Verb: "show\x1b"},
		{Status: session.Waiting},
	}
	if got, want := working(cells), "1 of 4: runs = load 42%, show\ufffd"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	var b bytes.Buffer
	p := &progress{w: &b, width: 20}
	p.put("a long line that does not fit")
	p.put("short")
	p.clear()
	if got, want := b.String(), "\ra long line that d…\rshort"+strings.Repeat(" ", 14)+"\r     \r"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if p := newProgress(&b); p.w != nil {
		t.Error("progress is told to what is no terminal")
	}
	if columns(&b) != 0 || terminal(os.Stderr) != nil && columns(os.Stderr) == 0 {
		t.Error("width of what is no terminal")
	}
}

func TestWorse(t *testing.T) {
	rising := []int{OK, Unmet, Failed, Usage, Environment}
	for i, a := range rising {
		for k, b := range rising {
			if got, want := worse(a, b), rising[max(i, k)]; got != want {
				t.Errorf("worse(%d, %d) = %d, want %d", a, b, got, want)
			}
		}
	}
}
