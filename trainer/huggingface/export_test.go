package huggingface

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etastar/etastar/kernels/cpu"
	"github.com/etastar/etastar/trainer"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/model"
	"github.com/etastar/etastar/trainer/rundir"
	"github.com/etastar/etastar/trainer/safetensors"
	"github.com/etastar/etastar/trainer/schedule"
)

// shapes are one of each kind, with dimensions that all differ.
func shapes() map[string]config.Shape {
	dense := config.Shape{DModel: 24, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 8, DFF: 40, Vocab: 256, Context: 16, RopeTheta: 1e4, NormEps: 1e-6}
	tied := dense
	tied.Tied, tied.RopeTheta = true, 12345.5
	moe := dense
	moe.DFF, moe.Experts, moe.TopK, moe.DFFExp = 0, 5, 2, 16
	return map[string]config.Shape{"dense": dense, "tied": tied, "moe": moe}
}

func runOf(s config.Shape) config.Run {
	r := config.Default(s, 3e-3)
	r.Data = config.Data{Source: "synthetic", Tokenizer: "bytes", HeldOut: 0.1, Split: "spread", Bytes: 1 << 16}
	r.Batch = config.Batch{Sequences: 4, Accumulate: 1}
	return r.For(60 * r.BatchTokens())
}

// saved makes a run with one checkpoint of random weights, gains around 1, under the
// names the trainer's model has.
func saved(t testing.TB, r config.Run) (rundir.Summary, rundir.Checkpoint) {
	t.Helper()
	const step = 30
	m, err := model.New(r.Shape, model.Options{Sequences: 1})
	if err != nil {
		t.Fatal(err)
	}
	w, _, err := rundir.Create(t.TempDir(), "sweep", r)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	err = w.SaveCheckpoint(step, func(dir string) error {
		var specs []safetensors.Spec
		for _, p := range m.Params {
			s := safetensors.Spec{Name: p.Name, DType: safetensors.F32}
			for _, d := range p.Shape {
				s.Shape = append(s.Shape, int64(d))
			}
			specs = append(specs, s)
		}
		out, err := safetensors.Create(filepath.Join(dir, weightsFile), specs, map[string]string{"step": fmt.Sprint(step)})
		if err != nil {
			return err
		}
		defer out.Abort()
		for _, p := range m.Params {
			v := p.InitialValue(1)
			for i := range v {
				v[i] += float32(0.2 * rng.NormFloat64())
			}
			if err := out.WriteFloats(p.Name, v); err != nil {
				return err
			}
		}
		return out.Commit()
	})
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	c, err := rundir.CheckpointAt(w.Dir(), step)
	if err != nil {
		t.Fatal(err)
	}
	return rundir.Read(w.Dir()), c
}

func exported(t testing.TB, r config.Run, o Options) (dir string, c rundir.Checkpoint) {
	t.Helper()
	run, c := saved(t, r)
	dir = filepath.Join(t.TempDir(), "model")
	if err := Export(t.Context(), run, c, dir, o); err != nil {
		t.Fatal(err)
	}
	return dir, c
}

func read(t testing.TB, parts ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// snapshot is every file below some folders with its content.
func snapshot(t testing.TB, dirs ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				out[path] = string(read(t, path))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestTrained exports what a worker trained, with what its card says of the losses.
func TestTrained(t *testing.T) {
	r := runOf(shapes()["moe"])
	r.Keep.ValidateEvery, r.Keep.Checkpoints = 20, []int64{20, 30}
	dirs, err := trainer.Ask(t.TempDir(), "sweep", []config.Run{r})
	if err != nil {
		t.Fatal(err)
	}
	backend, err := cpu.New(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := (&trainer.Worker{Backend: backend, Log: t.Output(), Poll: time.Millisecond}).Train(t.Context(), dirs[0]); err != nil {
		t.Fatal(err)
	}
	run := rundir.Read(dirs[0])
	events, _, err := rundir.ReadEvents(dirs[0])
	if err != nil {
		t.Fatal(err)
	}
	at := map[int64]rundir.Event{}
	for _, e := range events {
		at[e.Step] = e
	}
	for _, c := range rundir.Checkpoints(dirs[0]) {
		dir := filepath.Join(t.TempDir(), "model")
		if err := Export(t.Context(), run, c, dir, Options{Program: "etastar v0 | test"}); err != nil {
			t.Fatal(err)
		}
		list, err := os.ReadDir(dir)
		if err != nil || len(list) != len(files) {
			t.Errorf("it holds %v, %v", list, err)
		}
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("the folder: %v, %v", info.Mode(), err)
		}
		for _, e := range list {
			if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
			}
		}
		want := []string{
			"| peak learning rate η | 0.003 |", fmt.Sprintf("| this checkpoint | %d tokens, step %d of 60 |", 64*c.Step, c.Step),
			"| made by | etastar v0 \\| test |", "5 experts of width 16, 2 a token", r.Hash(), "| data | a synthetic language, not real text, 0.1 of its blocks held out (spread) |",
			fmt.Sprintf("| training loss | %.4f |", float64(at[c.Step].Loss)), "| tokenizer | bytes, ids 0 to 255 |",
		}
		switch e := at[c.Step]; c.Step {
		case 30:
			want = append(want, fmt.Sprintf("| validation loss | %.4f ± %.4f at step 20 |", float64(at[20].Val), float64(at[20].ValSE)))
		default:
			want = append(want, fmt.Sprintf("| validation loss | %.4f ± %.4f |", float64(e.Val), float64(e.ValSE)))
		}
		card := string(read(t, dir, cardFile))
		for _, w := range want {
			if !strings.Contains(card, w) {
				t.Errorf("step %d: the card does not say %q:\n%s", c.Step, w, card)
			}
		}
	}
	if n := len(rundir.Checkpoints(dirs[0])); n < 3 {
		t.Errorf("%d checkpoints were exported", n)
	}
}

func TestScheduleText(t *testing.T) {
	for want, s := range map[string]schedule.Schedule{
		"constant, warm-up over 64 tokens": {Kind: schedule.Constant, WarmupTokens: 64},
		"wsd, warm-up over 64 tokens, 1-sqrt decay over the last 0.2 of the horizon, down to 0 of the peak": {Kind: schedule.WSD, WarmupTokens: 64, Decay: schedule.DecaySqrt, DecayPart: 0.2},
		"cosine, warm-up over 64 tokens, down to 0.1 of the peak":                                           {Kind: schedule.Cosine, WarmupTokens: 64, Floor: 0.1},
		"linear, warm-up over 64 tokens, down to 1e-05":                                                     {Kind: schedule.Linear, WarmupTokens: 64, FloorLR: 1e-5},
	} {
		if got := scheduleText(config.Run{Schedule: s}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// endsAfter is a context that is cancelled when it is asked for the n-th time.
type endsAfter struct {
	context.Context
	n *int
}

func (c endsAfter) Err() error {
	if *c.n--; *c.n < 0 {
		return context.Canceled
	}
	return nil
}

// TestEndsAnywhere ends an export at every place it can: what was there stays, and
// nothing is left beside it.
func TestEndsAnywhere(t *testing.T) {
	run, c := saved(t, runOf(shapes()["dense"]))
	parent := t.TempDir()
	dir := filepath.Join(parent, "model")
	for _, there := range []bool{false, true} {
		before := snapshot(t, parent)
		o := Options{DType: BFloat16, Force: there}
		if there {
			o.DType = Float32
		}
		ends := 0
		for ; ; ends++ {
			left := ends
			err := Export(endsAfter{t.Context(), &left}, run, c, dir, o)
			if err == nil {
				break
			}
			if !errors.Is(err, context.Canceled) || !maps.Equal(snapshot(t, parent), before) {
				t.Fatalf("ended at %d (%v), it leaves %v", ends, err, slices.Sorted(maps.Keys(snapshot(t, parent))))
			}
			if list, err := os.ReadDir(parent); err != nil || len(list) > 1 || !there && len(list) > 0 {
				t.Fatalf("ended at %d, it leaves %v, %v", ends, list, err)
			}
		}
		if list, err := os.ReadDir(parent); err != nil || len(list) != 1 {
			t.Errorf("beside it: %v, %v", list, err)
		}
		if ends < 20 {
			t.Errorf("it could be ended at %d places only", ends)
		}
		if after := snapshot(t, parent); len(after) != len(files) || maps.Equal(after, before) {
			t.Errorf("it wrote %v", slices.Sorted(maps.Keys(after)))
		}
	}
}

func TestTargets(t *testing.T) {
	run, c := saved(t, runOf(shapes()["dense"]))
	earlier, _ := exported(t, runOf(shapes()["tied"]), Options{})
	root := t.TempDir()
	file, foreign, nested := filepath.Join(root, "file"), filepath.Join(root, "foreign"), filepath.Join(root, "nested")
	empty, linked := filepath.Join(root, "empty"), filepath.Join(root, "link")
	if err := errors.Join(
		os.WriteFile(file, nil, 0o600), os.Mkdir(foreign, 0o700), os.WriteFile(filepath.Join(foreign, "thesis.tex"), nil, 0o600),
		os.MkdirAll(filepath.Join(nested, configFile), 0o700), os.Mkdir(empty, 0o700), os.Symlink(t.TempDir(), linked),
	); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, dir string
		force     bool
		says      string
	}{
		{"a file", file, true, "is not a folder"},
		{"an earlier export", earlier, false, "--force"},
		{"another's folder", foreign, false, "is not empty"},
		{"another's folder, forced", foreign, true, "holds thesis.tex"},
		{"a folder in place of a file", nested, true, "holds config.json"},
		{"the checkpoint", c.Dir, false, "is not empty"},
		{"the run", run.Dir, true, "which no export writes"},
		{"no parent", filepath.Join(foreign, "a", "b"), false, "make it first"},
		{"an empty folder", empty, false, ""},
		{"a link to an empty folder", linked, false, ""},
		{"an earlier export, forced", earlier, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := snapshot(t, root, earlier, run.Dir)
			err := Export(t.Context(), run, c, tt.dir, Options{Force: tt.force})
			if tt.says == "" {
				if err != nil || len(read(t, tt.dir, weightsFile)) == 0 {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.says) || errors.Is(err, ErrOccupied) != (tt.name != "no parent") {
				t.Errorf("it says %v, want %q", err, tt.says)
			}
			if !maps.Equal(before, snapshot(t, root, earlier, run.Dir)) {
				t.Error("files have changed")
			}
		})
	}
	if info, err := os.Lstat(linked); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info, err)
	}
	var dense map[string]any
	if err := json.Unmarshal(read(t, earlier, configFile), &dense); err != nil || dense["tie_word_embeddings"] != false {
		t.Errorf("the earlier export was not replaced: %v, %v", dense, err)
	}
}

func TestRefusals(t *testing.T) {
	s := shapes()["moe"]
	run, c := saved(t, runOf(s))
	with := func(change func(*config.Run)) rundir.Summary {
		other := run
		change(&other.Config)
		return other
	}
	cut := rundir.Checkpoint{Step: c.Step, Dir: t.TempDir()}
	b := read(t, c.Dir, weightsFile)
	if err := os.WriteFile(filepath.Join(cut.Dir, weightsFile), b[:len(b)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	problem := run
	problem.Problem = "it cannot be read"
	for _, tt := range []struct {
		name string
		run  rundir.Summary
		c    rundir.Checkpoint
		o    Options
		is   error
		says string
	}{
		{"dtype", run, c, Options{DType: "float16"}, ErrDType, "use bfloat16 or float32"},
		{"unreadable", problem, c, Options{}, nil, "it cannot be read"},
		{"tied under a rule", with(func(r *config.Run) {
			r.Shape.Tied = true
			r.Rule, r.Scaling = "mup", &config.Scaling{Modules: config.Standard(r.Shape)}
			r.Scaling.Modules[len(r.Scaling.Modules)-1].Multiplier = 0.5
		}), c, Options{}, ErrUnsupported, `rule "mup" multiplies the embedding by 1 and the head tied to it by 0.5`},
		{"invalid", with(func(r *config.Run) { r.Shape.Layers = 0 }), c, Options{}, nil, "layers is 0"},
		{"cut short", run, cut, Options{}, nil, "outside the file"},
		{"no weights", run, rundir.Checkpoint{Step: c.Step, Dir: t.TempDir()}, Options{}, fs.ErrNotExist, weightsFile},
		{"another step", run, rundir.Checkpoint{Step: 31, Dir: c.Dir}, Options{}, nil, `step "30", not of 31`},
		{"another width", with(func(r *config.Run) { r.Shape.DFFExp = 8 }), c, Options{}, nil, "experts.down_proj\" is [5 24 16], and the run's shape has [5 24 8]"},
		{"fewer layers", with(func(r *config.Run) { r.Shape.Layers = 1 }), c, Options{}, nil, "which the run's shape has not"},
		{"more layers", with(func(r *config.Run) { r.Shape.Layers = 3 }), c, Options{}, nil, "model.layers.2.input_layernorm.weight\" of the run's shape is missing"},
		{"tokenizer gone", with(func(r *config.Run) { r.Data.Tokenizer = filepath.Join(c.Dir, "none.json") }), c, Options{}, fs.ErrNotExist, "put it back"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			parent := t.TempDir()
			err := Export(t.Context(), tt.run, tt.c, filepath.Join(parent, "model"), tt.o)
			if err == nil || !strings.Contains(err.Error(), tt.says) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("it says %v, want %q", err, tt.says)
			}
			if list, err := os.ReadDir(parent); err != nil || len(list) > 0 {
				t.Errorf("it leaves %v, %v", list, err)
			}
		})
	}
}
