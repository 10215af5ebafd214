package importers

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etastar/etastar/session/table"
)

func mustRuns(tb testing.TB, path string, o Options) *Runs {
	tb.Helper()
	r, err := ReadRuns(tb.Context(), path, o)
	if err != nil {
		tb.Fatal(err)
	}
	for _, c := range r.Table.Columns {
		if c.Len() != r.Table.Rows {
			tb.Fatalf("column %s has %d of %d rows", c.Name, c.Len(), r.Table.Rows)
		}
	}
	return r
}

func TestRunDirectories(t *testing.T) {
	tests := []struct {
		path    string
		options Options
		want    string
		notes   []string
	}{
		{
			"runs",
			Options{},
			`run' a_lr1e-3 b_lr3e-3 broken
lr: 0.001 0.003 0.02
batch_size: 32 32 _
model/layers' [{"d": 4}, {"d": 8}] _ _
model/width: 64 64 _
config/run' first _ _
max_iters: 30 30 _
seed' 1 two _
step: 30 20 1
train_loss: 3 NaN 4
last/lr: 0.0001 0.003 _
val_loss: 3.5 _ _
`,
			[]string{
				"3 runs, a row each",
				"losses are the last value of each curve (final=last; also smoothed, best, validation)",
				`learning rates that runs logged are of the schedule and become last/…: "lr"`,
				"1 of 3 runs end before the steps that their configuration plans: their losses are not those of finished runs; unfinished=predicted continues their curves",
				`the runs end at different steps, from 1 to 30 (column "step"): some may be unfinished`,
				"b_lr3e-3: metrics.jsonl: line 3: the last record is incomplete and left out",
				`broken: metrics.jsonl: line 2: expected : after the key, found "5"; what comes before is read`,
				"1 left out: empty: metrics.jsonl: the file is empty",
			},
		},
		{
			"wandb",
			Options{},
			`run' run-20250101_000000-abc run-20250102_000000-def
betas' [0.9, 0.95] [0.9, 0.95]
learning_rate: 0.001 0.003
model/n_layer: 4 4
model/act' gelu gelu
val/loss: 3.125 2.875
last/lr: 0 0
_step: 100 100
`,
			[]string{
				"2 runs, a row each",
				"losses are the last value of each curve (final=last; also smoothed, best, validation)",
				`learning rates that runs logged are of the schedule and become last/…: "lr"`,
			},
		},
		{
			"wandb",
			Options{Final: FinalBest},
			`run' run-20250101_000000-abc run-20250102_000000-def
betas' [0.9, 0.95] [0.9, 0.95]
learning_rate: 0.001 0.003
model/n_layer: 4 4
model/act' gelu gelu
last/lr: 0 0
_step: 100 100
`,
			[]string{
				"2 runs, a row each",
				"2 runs have a summary and no curve: it holds last values, so final=best leaves their loss blank",
				`learning rates that runs logged are of the schedule and become last/…: "lr"`,
				"no column is a loss by its name; say which is, as in loss=column",
			},
		},
		{
			"ray",
			Options{},
			`run' PPO_0 PPO_1
lr: 0.0005 0.002
train_batch_size: 64 64
config/run' PPO PPO
training_iteration: 2 2
time_this_iter_s: 0.5 0.5
time_total_s: 1 1
trial_id' t0 t1
eval_loss: 2.5 2.25
episode_reward_mean: 12 12
`,
			[]string{"2 runs, a row each", "losses are the last value of each curve (final=last; also smoothed, best, validation)"},
		},
		{
			"algoperf",
			Options{Final: FinalValidation},
			`run' algoperf
learning_rate: 0.0017
beta1: 0.9
warmup: 0.05
global_step: 100
grad_norm: 3.25
validation/loss: 0.1875
score: 143.5
accumulated_submission_time: 143.5
`,
			[]string{
				"1 run",
				"losses are the last value of each validation curve (final=validation; also last, smoothed, best)",
				`losses on training data are left out: "loss", "train/loss"`,
				`algoperf: measurements.csv: "score" is AlgoPerf's time in seconds, not a measure of success`,
			},
		},
		{
			"wandb_chart.csv",
			Options{},
			`run' warm - up lr1e-3 base lr3e-3 base lr3e-3 (2)
Step: 10 20 10
train/loss: 3.5 3.125 NaN
`,
			[]string{
				"3 runs, a row each",
				"losses are the last value of each curve (final=last; also smoothed, best, validation)",
				`the runs end at different steps, from 10 to 20 (column "Step"): some may be unfinished`,
				`repeated column names are numbered: "base lr3e-3 - train/loss_2", "base lr3e-3 - train/loss__MIN_2", "base lr3e-3 - train/loss__MAX_2"`,
				`no column is a learning rate; name="lr{lr}" takes it from the names in column "run"`,
			},
		},
		{
			"wandb_history.csv",
			Options{Final: FinalSmoothed, Window: 2},
			`run' wandb_history
_step: 40
_runtime: 6
train/loss: 4
val/loss: 4
lr: 0.001
`,
			[]string{
				"1 run",
				"losses are the mean of the last 2 values of each curve (final=smoothed; also last, best, validation)",
				`curves that end long before their run: "train/loss" of wandb_history at step 30 of 40`,
				`no configuration has a learning rate: it is the greatest value of its history, "lr"`,
			},
		},
		{
			"wandb_history.csv",
			Options{},
			`_step: 10 20 30 40
_runtime: 1.5 3 4.5 6
train/loss: 4.5 _ 3.5 _
val/loss: _ 4.25 _ 3.75
lr: 0.001 _ 0.0005 _
`,
			[]string{"the rows are the 4 steps of a W&B run, not runs: say final=last (or smoothed, best, validation) for a row of its final values"},
		},
		{
			"wandb_runs.csv",
			Options{},
			`Name' crisp-sun-1 fine-moon-2 pale-sky-3
State' finished crashed finished
Runtime: 120 60 121
lr: 0.001 0.003 0.01
eval/loss: 3.25 3.5 NaN
`,
			[]string{`1 of 3 runs are not finished (1 crashed), and their losses those of an earlier step: where State == "finished" keeps the others`},
		},
		{
			"optuna.csv",
			Options{},
			`number: 0 3
value: 3.25 3.125
datetime_start' 2025-01-01 00:00:00.5 2025-01-01 00:02:00.5
datetime_complete' 2025-01-01 00:01:00.5 2025-01-01 00:03:00.5
duration' 0 days 00:01:00 0 days 00:01:00
params_lr: 0.001 0.0017
params_optimizer' adamw adamw
state' COMPLETE COMPLETE
`,
			[]string{
				`"value": the study's objective, which may be a loss or a score such as an accuracy; the file does not say: say loss=value for a loss, loss=-value for a score`,
				"2 of 4 trials are left out, which did not complete (1 FAIL, 1 PRUNED); format=csv keeps them",
			},
		},
		{
			"blocks.csv",
			Options{},
			`run' a b c d e
lr: 0.001 0.003 0.01 0.001 0.003
loss: 3.5 3.25 3.75 3.125 3
strategy' _ _ _ span span
steps: _ _ _ 100 100
`,
			[]string{"lines 4, 6 are headers again: the rows below each are read by it"},
		},
		{
			"hydra.yaml",
			Options{},
			`base/lr: 6e-5
base/betas' [0.9, 0.95]
optimizer/name' adamw
optimizer/lr: 6e-5
optimizer/betas' [0.9, 0.95]
model/n_layer: 12
model/dropout: 0
none: _
`,
			[]string{`lists are left out: "stages"`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.path+tt.options.Final, func(t *testing.T) {
			r := mustRuns(t, filepath.Join("testdata", tt.path), tt.options)
			if diff := cmp.Diff(tt.want, dump(r.Table)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.notes, r.Table.Notes); diff != "" {
				t.Error(diff)
			}
			if r.Table.Source != tt.path {
				t.Errorf("source %q", r.Table.Source)
			}
		})
	}
}

func TestCurves(t *testing.T) {
	r := mustRuns(t, filepath.Join("testdata", "runs"), Options{})
	want := []Curve{
		{0, "train_loss", "step", []float64{10, 20, 30}, []float64{4.5, 3.5, 3}},
		{0, "lr", "step", []float64{10, 20, 30}, []float64{0.0005, 0.001, 0.0001}},
		{0, "val_loss", "step", []float64{10, 20, 30}, []float64{4.75, 3.25, 3.5}},
		{1, "train_loss", "step", []float64{10, 20}, []float64{4.25, math.NaN()}},
		{1, "lr", "step", []float64{10, 20}, []float64{0.0015, 0.003}},
		{2, "train_loss", "step", []float64{1}, []float64{4}},
	}
	if diff := cmp.Diff(want, r.Curves, cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) || a != a && b != b })); diff != "" {
		t.Error(diff)
	}
	if len(r.Apart) != 1 || r.Apart[0].Path != "empty" || !strings.Contains(r.Apart[0].Err.Error(), "metrics.jsonl: the file is empty") {
		t.Errorf("%v", r.Apart)
	}
	// The x axis of a chart may be anything.
	r = mustRuns(t, file(t, "x.csv", "Relative Time (Process),a - loss,a - loss__MIN,a - loss__MAX,b - loss\n0.5,4,4,4,3\n1.5,2,2,2,\n"), Options{})
	if got := dump(r.Table); got != "run' a b\nRelative Time (Process): 1.5 0.5\nloss: 2 3\n" || r.Curves[0].StepName != "Relative Time (Process)" {
		t.Errorf("%s %+v", got, r.Curves)
	}
	r = mustRuns(t, file(t, "x.csv", "Wall Time,a - loss,a - loss__MIN,a - loss__MAX,b - loss\nnoon,4,4,4,\nevening,2,2,2,3\n"), Options{})
	note := `a, b: the x axis "Wall Time" has cells that are no numbers: records are counted instead`
	if c := r.Curves; dump(r.Table) != "run' a b\nloss: 2 3\n" || !slices.Equal(c[0].Step, []float64{0, 1}) || !slices.Equal(c[1].Step, []float64{1}) || !slices.Contains(r.Table.Notes, note) {
		t.Errorf("%s %+v %q", dump(r.Table), c, r.Table.Notes)
	}
	// A chart's x axis goes on after a run has ended.
	r = mustRuns(t, filepath.Join("testdata", "wandb_chart.csv"), Options{})
	if c := r.Curves[0]; c.Row != 0 || !slices.Equal(c.Step, []float64{0, 10}) || !slices.Equal(c.Value, []float64{4.5, 3.5}) {
		t.Errorf("%+v", c)
	}
}

func TestFinals(t *testing.T) {
	dir := filepath.Join("testdata", "runs")
	for _, tt := range []struct {
		o          Options
		train, val []float64
	}{
		{Options{}, []float64{3, math.NaN(), 4}, []float64{3.5, table.Missing, table.Missing}},
		{Options{Final: FinalLast}, []float64{3, math.NaN(), 4}, []float64{3.5, table.Missing, table.Missing}},
		{Options{Final: FinalSmoothed, Window: 2}, []float64{3.25, math.NaN(), 4}, []float64{3.375, table.Missing, table.Missing}},
		{Options{Final: FinalSmoothed}, []float64{11. / 3, math.NaN(), 4}, []float64{11.5 / 3, table.Missing, table.Missing}},
		{Options{Final: "BEST"}, []float64{3, 4.25, 4}, []float64{3.25, table.Missing, table.Missing}},
		{Options{Final: FinalValidation}, nil, []float64{3.5, table.Missing, table.Missing}},
	} {
		r := mustRuns(t, dir, tt.o)
		for name, want := range map[string][]float64{"train_loss": tt.train, "val_loss": tt.val} {
			c := r.Table.Column(name)
			if c == nil {
				if want != nil {
					t.Errorf("%+v: no %s", tt.o, name)
				}
				continue
			}
			if !slices.EqualFunc(c.Numbers, want, func(a, b float64) bool {
				return a == b || math.IsNaN(a) && math.IsNaN(b) && table.IsMissing(a) == table.IsMissing(b)
			}) {
				t.Errorf("%+v: %s %v, want %v", tt.o, name, c.Numbers, want)
			}
		}
	}
	sweep := filepath.Join("testdata", "sweep.csv")
	for _, tt := range []struct {
		path string
		o    Options
		want string
	}{
		{dir, Options{Final: "bset"}, `final: there is no "bset"; did you mean best? (last, smoothed, best, validation)`},
		{dir, Options{Window: 5}, "window: only final=smoothed has one"},
		{dir, Options{Final: FinalSmoothed, Window: -1}, "window: -1 values cannot be averaged"},
		{sweep, Options{Final: FinalBest}, "this file has no column of steps"},
		{file(t, "x.jsonl", "{\"step\": 1, \"loss\": 2}\n"), Options{Final: FinalValidation}, `final=validation: no run has a loss on held-out data, only "loss"`},
		{file(t, "x.jsonl", "{\"step\": 1, \"acc\": 2}\n"), Options{Final: FinalValidation}, "final=validation: no run has a loss on held-out data"},
	} {
		if _, err := Read(t.Context(), tt.path, tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %s", tt.o, err, tt.want)
		}
	}
}

// The learning rate that a run ended with is not its peak.
func TestSummaryHasNoPeak(t *testing.T) {
	r := mustRuns(t, tree(t, map[string]string{"a/wandb-summary.json": `{"lr": 1e-6, "val/loss": 3}`}), Options{})
	if got := dump(r.Table); !strings.HasPrefix(got, "run' a\nlast/lr: ") {
		t.Error(got)
	}
}

// An accuracy is not taken for a loss.
func TestScoreIsNoLoss(t *testing.T) {
	r := mustRuns(t, file(t, "x.jsonl", "{\"step\": 1, \"val_acc\": 0.5}\n{\"step\": 2, \"val_acc\": 0.75}\n"), Options{Final: FinalLast})
	want := `no column is a loss; scores, of which more is better, are not taken for one ("val_acc"): say loss=-column to minimise the opposite`
	if !slices.Contains(r.Table.Notes, want) || r.Table.Column("val_acc").Value(0) != 0.75 {
		t.Errorf("%v", r.Table.Notes)
	}
	assigned, err := table.Assign(r.Table, nil)
	if err != nil || assigned.RoleColumn(table.RoleLoss) != nil {
		t.Errorf("%v, %v", assigned.Roles, err)
	}
}

func TestBlocks(t *testing.T) {
	tests := []struct{ name, csv, want, err string }{
		{"the header again", "a,b\n1,2\na,b\n3,4\n", "a: 1 3\nb: 2 4\n", ""},
		{"another order", "a,b\n1,2\nb,a\n3,4\n", "a: 1 4\nb: 2 3\n", ""},
		{"fewer columns", "a,b,c\n1,2,3\na,c\n4,5\n", "a: 1 4\nb: 2 _\nc: 3 5\n", ""},
		{"text late in a block", "a,b\n1,2\na,c,b\n3,4,5\nx,6,7\n", "a' 1 3 x\nb: 2 5 7\nc: _ 4 6\n", ""},
		{"no header of its own", "a,b\n1,2\n3,4,5\n6,7,8\n", "", "line 3: expected 2 fields as in the header, found 3"},
		{"words that are no header", "a,b\n1,2\nx,y,z\n3,4\n", "", "line 3: expected 2 fields as in the header, found 3"},
		{"a name twice", "a,b\n1,2\na,b,a\n3,4,5\n", "", "line 3: expected 2 fields as in the header, found 3"},
		{"rows of the block before", "a,b\n1,2\na,b,c\n3,4,5\n6,7\n8,9\n", "", "line 5: expected 3 fields as in the header, found 2"},
	}
	for _, tt := range tests {
		for _, chunk := range []int{8, chunkSize} {
			tb, err := read(t.Context(), file(t, "x.csv", tt.csv), Options{Format: "csv"}, chunk)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("%s: %v", tt.name, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			} else if diff := cmp.Diff(tt.want, dump(tb)); diff != "" {
				t.Errorf("%s: %s", tt.name, diff)
			}
		}
	}
}

func TestYAMLErrors(t *testing.T) {
	laughs := "a0: &a0 {}\n"
	for i := range 40 {
		n := string(rune('0'+i/10)) + string(rune('0'+i%10))
		from := "a0"
		if i > 0 {
			from = "b" + string(rune('0'+(i-1)/10)) + string(rune('0'+(i-1)%10))
		}
		laughs += "b" + n + ": &b" + n + " {x: *" + from + ", y: *" + from + "}\n"
	}
	for _, tt := range []struct{ yaml, want string }{
		{"a: 1\nb: [1, 2\n", "line "},
		{"a: 1\n\tb: 2\n", "line 2: found a tab character"},
		{"- 1\n- 2\n", "line 1: expected a mapping, key: value"},
		{"a: &x\n  b: *x\n", "nested more than 64 deep"},
		{laughs, "it has more values than a configuration"},
		{"a: " + strings.Repeat("x", maxYAML), "the YAML file is larger than 4 MiB"},
		{"# nothing\n", "there are no objects with values in it"},
	} {
		_, err := Read(t.Context(), file(t, "x.yaml", tt.yaml), Options{Format: "yaml"})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.40q: %v", tt.yaml, err)
		}
	}
	tb := mustRead(t, file(t, "x.yaml", "lr: 1e-3\n---\nlr: 2e-3\n"), Options{})
	if got := dump(tb); got != "lr: 0.001 0.002\n" {
		t.Error(got)
	}
}
