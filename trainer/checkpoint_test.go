package trainer

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/etastar/etastar/trainer/config"
)

func steps(t *testing.T, g *Group, n int) []StepResult {
	t.Helper()
	var out []StepResult
	for range n {
		var err error
		if out, err = g.Steps(out, 1); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestResume: a run that went through a checkpoint equals one that did not, to the bit,
// dense and with experts.
func TestResume(t *testing.T) {
	moe := small(3e-3)
	moe.Shape = moe.Shape.MoE(4, 2)
	moe.Loss.Balance = 0.01
	for name, r := range map[string]config.Run{"dense": small(3e-3), "moe": moe} {
		t.Run(name, func(t *testing.T) {
			straight := group(t, r)
			steps(t, straight, 30)
			dir := t.TempDir()
			if err := straight.Save(0, dir); err != nil {
				t.Fatal(err)
			}
			if n, err := SavedStep(dir); err != nil || n != 30 {
				t.Fatalf("saved at step %d, %v", n, err)
			}
			want := steps(t, straight, 30)

			resumed := group(t, r)
			if err := resumed.Restore(0, dir, true); err != nil {
				t.Fatal(err)
			}
			got := steps(t, resumed, 30)
			for k := range want {
				if math.Float64bits(got[k].Loss) != math.Float64bits(want[k].Loss) || math.Float64bits(got[k].GradNorm) != math.Float64bits(want[k].GradNorm) {
					t.Fatalf("step %d: %+v, uninterrupted %+v", 30+k, got[k], want[k])
				}
			}
		})
	}
}

// TestBranch: a branch from the stable run's checkpoint equals the same schedule run
// straight, to the bit.
func TestBranch(t *testing.T) {
	r := small(3e-3)
	r.Schedule.WarmupTokens = 5 * r.BatchTokens()
	horizons := []int64{20 * r.BatchTokens(), 40 * r.BatchTokens()}
	trunk, branches, plan, err := config.Branches(r, horizons)
	if err != nil {
		t.Fatal(err)
	}
	g := group(t, trunk)
	saved := map[int64]string{}
	for _, at := range plan.Checkpoints {
		steps(t, g, int(at-g.Done()))
		saved[at] = t.TempDir()
		if err := g.Save(0, saved[at]); err != nil {
			t.Fatal(err)
		}
	}
	for i, b := range branches {
		straight := r
		straight.Tokens = b.Tokens
		whole := train(t, group(t, straight), 1)[0]
		from := plan.Branches[i].Segment.From
		branch := group(t, b)
		if err := branch.Restore(0, saved[from], true); err != nil {
			t.Fatal(err)
		}
		got := train(t, branch, 5)[0]
		if want := whole[from:]; len(got) != len(want) {
			t.Fatalf("horizon %d: %d steps, want %d", b.Tokens, len(got), len(want))
		}
		for k := range got {
			if w := whole[int(from)+k]; math.Float64bits(got[k].Loss) != math.Float64bits(w.Loss) || got[k].LR != w.LR {
				t.Fatalf("horizon %d step %d: %+v, straight %+v", b.Tokens, int(from)+k, got[k], w)
			}
		}
	}
}

func TestRestoreRefuses(t *testing.T) {
	g := group(t, small(1e-3))
	steps(t, g, 2)
	dir := t.TempDir()
	if err := g.Save(0, dir); err != nil {
		t.Fatal(err)
	}
	other := small(1e-3)
	other.Shape = config.Dense(16, 2, 256, 32)
	if err := group(t, other).Restore(0, dir, true); err == nil {
		t.Error("weights of another shape were taken")
	}
	late := group(t, small(1e-3), small(2e-3))
	steps(t, late, 1)
	if err := late.Restore(0, dir, false); err == nil {
		t.Error("a checkpoint of another step was taken into the group")
	}
	weights := filepath.Join(dir, weightsFile)
	b, err := os.ReadFile(weights)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(weights, b[:len(b)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := g.Restore(0, dir, true); err == nil {
		t.Error("half a file was taken")
	}
}

// TestOverCheckpoint: at its end a run that nothing branches from leaves its weights alone,
// and is found over when it is taken up again; one that has steps left needs its moments.
func TestOverCheckpoint(t *testing.T) {
	r := small(3e-3).For(6 * small(3e-3).BatchTokens())
	g := group(t, r)
	steps(t, g, 5)
	early, end := t.TempDir(), t.TempDir()
	if err := g.Save(0, early); err != nil {
		t.Fatal(err)
	}
	want := steps(t, g, 1)
	if err := g.Save(0, end); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(end, optimizerFile)); !os.IsNotExist(err) {
		t.Errorf("the optimizer of a run that is over: %v", err)
	}
	again := group(t, r)
	if err := again.Restore(0, end, true); err != nil || again.Done() != want[0].Step {
		t.Fatalf("at step %d: %v", again.Done(), err)
	}
	a, b := make([]float32, g.Model.Params[0].Shape[0]*r.Shape.DModel), make([]float32, g.Model.Params[0].Shape[0]*r.Shape.DModel)
	if err := errors.Join(g.mc.ReadFloats(a, g.Model.Params[0].Value, 0), again.mc.ReadFloats(b, g.Model.Params[0].Value, 0)); err != nil || !slices.Equal(a, b) {
		t.Errorf("other weights: %v", err)
	}
	if err := os.Remove(filepath.Join(early, optimizerFile)); err != nil {
		t.Fatal(err)
	}
	if err := group(t, r).Restore(0, early, true); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a run without its moments went on: %v", err)
	}
}
