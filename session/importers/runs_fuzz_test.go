package importers

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etastar/etastar/session/table"
)

// fuzzRuns reads a file as runs, whatever it holds, and checks the table's shape.
func fuzzRuns(t *testing.T, path string, content []byte, o Options) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := ReadRuns(t.Context(), path, o)
	if err != nil {
		if !strings.HasPrefix(err.Error(), `"`+path+`": `) {
			t.Fatalf("%q: %v", content, err)
		}
		return
	}
	checkRuns(t, r)
}

func checkRuns(t *testing.T, r *Runs) {
	t.Helper()
	seen := map[string]bool{}
	for _, c := range r.Table.Columns {
		if c.Len() != r.Table.Rows || c.Name == "" || seen[c.Name] {
			t.Fatalf("column %q has %d of %d rows, known: %v", c.Name, c.Len(), r.Table.Rows, seen[c.Name])
		}
		seen[c.Name] = true
		for i := range c.Len() {
			c.String(i)
		}
	}
	for _, c := range r.Curves {
		if len(c.Step) != len(c.Value) || len(c.Value) == 0 || c.Row < 0 || c.Row >= max(1, r.Table.Rows) {
			t.Fatalf("%+v", c)
		}
	}
	if _, err := table.Assign(r.Table, nil); err != nil {
		t.Fatal(err)
	}
}

func addFiles(f *testing.F, names ...string) {
	f.Helper()
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content, byte(0))
		f.Add(content, byte(2))
	}
}

// FuzzRuns is for the formats that are CSV of a certain shape.
func FuzzRuns(f *testing.F) {
	addFiles(f, "wandb_chart.csv", "wandb_history.csv", "wandb_runs.csv", "optuna.csv", "blocks.csv", "ray/PPO_0/progress.csv", "ray/PPO_0/result.json", "algoperf/measurements.csv")
	f.Add([]byte("dataset,version,metric,mode,a,b\nmmlu,-,acc,ppl,45.2,-\nx,1,acc,gen,,no\n"), byte(0))
	f.Add([]byte("time,a - loss,a - loss__MIN,a - loss__MAX\nnoon,2,2,2\n"), byte(2))
	f.Add([]byte("Step,a - b,a - b__MIN,a - b__MAX,a - b_2\n1,2,3,x\n"), byte(1))
	finals := append([]string{""}, Finals()...)
	path := filepath.Join(f.TempDir(), "x")
	f.Fuzz(func(t *testing.T, content []byte, final byte) {
		if final > 128 {
			_, _ = fuzzRead(t, path, content, Options{Ragged: final > 192})
			return
		}
		fuzzRuns(t, path, content, Options{Final: finals[int(final)%len(finals)]})
	})
}

// FuzzAskedFormat reads any content as any format.
func FuzzAskedFormat(f *testing.F) {
	for i, s := range []string{"a,b\n1,2\n", "a\tb\n1\t2\n", "{\"a\": 1}\n", "|a|\n|-|\n|1|\n", "s:1 trl:2\n", "iter 1: loss 2, time 3ms, mfu 1%\n", "a: 1\n"} {
		for k := range formats {
			f.Add([]byte(s), byte(k), byte(i))
		}
	}
	finals := append([]string{""}, Finals()...)
	path := filepath.Join(f.TempDir(), "x")
	f.Fuzz(func(t *testing.T, content []byte, format, final byte) {
		o := Options{Format: formats[int(format)%len(formats)].name}
		_, _ = fuzzRead(t, path, content, o)
		o.Final = finals[int(final)%len(finals)]
		fuzzRuns(t, path, content, o)
	})
}

func FuzzYAML(f *testing.F) {
	addFiles(f, "hydra.yaml", "wandb/run-20250101_000000-abc/files/config.yaml")
	f.Add([]byte("a: &a [*a]\nb: {<<: *a, c: !!float 1}\n--- !x\n- {}\n"), byte(0))
	path := filepath.Join(f.TempDir(), "x")
	f.Fuzz(func(t *testing.T, content []byte, _ byte) {
		_, _ = fuzzRead(t, path, content, Options{Format: "yaml"})
	})
}

// FuzzRunDirectory puts bytes into the files of one run beside a whole one.
func FuzzRunDirectory(f *testing.F) {
	f.Add([]byte(`{"lr": 1}`), []byte(oneStep), []byte(`{"loss": 2, "lr": 3}`))
	f.Add([]byte("[]"), []byte("{\"step\": 1}\n\x00"), []byte(""))
	f.Fuzz(func(t *testing.T, config, history, summary []byte) {
		r := mustRuns(t, tree(t, map[string]string{
			"a/metrics.jsonl": oneStep, "a/config.json": `{"lr": 1, "run": 2}`,
			"b/metrics.jsonl": string(history), "b/config.yaml": string(config), "b/wandb-summary.json": string(summary),
		}), Options{})
		checkRuns(t, r)
		if r.Table.Rows < 1 || r.Table.Columns[0].String(0) != "a" {
			t.Fatalf("the run that is whole is missing: %v", r.Table.Notes)
		}
	})
}

func FuzzPattern(f *testing.F) {
	for _, s := range []string{"lr{lr}_bs{batch}", "…{a}…{b}", "x{a}", "{"} {
		f.Add(s, "sweep_lr3.453e-04_bs736")
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if s := SuggestPattern([]string{name}); s != "" {
			if p, err := ParsePattern(s); err != nil {
				t.Fatalf("%q: %v", s, err)
			} else if _, ok := p.Match(name); !ok {
				t.Fatalf("%q does not match %q", s, name)
			}
		}
		p, err := ParsePattern(pattern)
		if err != nil {
			return
		}
		values, ok := p.Match(name)
		if ok && len(values) != len(p.Fields()) {
			t.Fatalf("%q in %q: %v", pattern, name, values)
		}
		for _, v := range values {
			if math.IsNaN(v) || v < 0 {
				t.Fatalf("%q in %q: %v", pattern, name, values)
			}
		}
	})
}
