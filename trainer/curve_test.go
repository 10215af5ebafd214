package trainer

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/data"
	"github.com/etastar/etastar/trainer/huggingface"
	"github.com/etastar/etastar/trainer/internal/python"
	"github.com/etastar/etastar/trainer/rundir"
)

//go:embed testdata/curve.py
var curveScript []byte

func TestCurveScript(t *testing.T) { python.Compiles(t, curveScript) }

// Precisions that curve.py trains in.
const (
	half   = "bfloat16"
	single = "float32"
)

// peerCurve is what curve.py answers.
type peerCurve struct {
	Torch, Transformers, Device string
	Losses                      map[string][]float64
	GradNorms                   map[string][]float64 `json:"grad_norms"`
}

// pytorch trains the first run of a group that has not begun in PyTorch: transformers'
// model with the group's initial weights, batches, learning rates and optimizer.
func pytorch(t *testing.T, exe string, g *Group, corpus *data.Corpus, device string, precisions ...string) peerCurve {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	r := g.Runs[0].Config
	w, _, err := rundir.Create(t.TempDir(), "peer", r)
	check(err)
	check(w.SaveCheckpoint(0, func(dir string) error { return g.Save(0, dir) }))
	check(w.Close())
	start, err := rundir.CheckpointAt(w.Dir(), 0)
	check(err)
	folder := filepath.Join(t.TempDir(), "model")
	check(huggingface.Export(t.Context(), rundir.Read(w.Dir()), start, folder, huggingface.Options{DType: huggingface.Float32}))

	var rates []float64
	var batches []byte
	in, out := make([]int32, r.BatchTokens()), make([]int32, r.BatchTokens())
	for step := range r.Steps() {
		rates = append(rates, g.Runs[0].curve.LR(step))
		check(corpus.Batch(in, out, r.Seed, step*int64(r.Batch.Sequences)))
		for _, part := range [][]int32{in, out} {
			batches, err = binary.Append(batches, binary.NativeEndian, part)
			check(err)
		}
	}
	path := filepath.Join(t.TempDir(), "batches")
	check(os.WriteFile(path, batches, 0o600))

	var p peerCurve
	o := r.Optimizer
	python.Run(t, exe, curveScript, map[string]any{
		"model": folder, "batches": path, "sequences": r.Batch.Sequences, "context": r.Shape.Context,
		"lr": rates, "beta1": o.Beta1, "beta2": o.Beta2, "eps": o.Eps, "weight_decay": o.WeightDecay, "clip": o.Clip,
		"z": r.Loss.Z, "balance": r.Loss.Balance, "top_k": r.Shape.TopK, "device": device, "precisions": precisions,
	}, &p)
	for _, precision := range precisions {
		if len(p.Losses[precision]) != len(rates) || len(p.GradNorms[precision]) != len(rates) {
			t.Fatalf("PyTorch did %d of %d steps in %s", len(p.Losses[precision]), len(rates), precision)
		}
	}
	return p
}

// distance is the mean and the largest difference of two curves.
func distance(a, b []float64) (mean, most float64) {
	for i := range a {
		d := math.Abs(a[i] - b[i])
		mean += d / float64(len(a))
		most = max(most, d)
	}
	return mean, most
}

func losses(results []StepResult) (out []float64) {
	for _, r := range results {
		out = append(out, r.Loss)
	}
	return out
}

// curveRuns are runs with everything in them that shapes a curve: warm-up, decay,
// clipping, weight decay, z-loss and, with experts, the load-balance loss.
func curveRuns(s config.Shape, sequences int, steps int64, rates ...float64) (runs []config.Run) {
	for _, lr := range rates {
		r := config.Default(s, lr)
		r.Data = config.Data{Source: "synthetic", Tokenizer: "bytes", HeldOut: 0.1, Split: "spread", Bytes: 1 << 22}
		r.Batch = config.Batch{Sequences: sequences, Accumulate: 1}
		r.Loss.Z = 1e-3
		runs = append(runs, r.For(steps*r.BatchTokens()))
	}
	return runs
}

// shapesOf is a dense shape and its mixture of experts.
func shapesOf(s config.Shape, experts, topK int) map[string]config.Shape {
	return map[string]config.Shape{"dense": s, "experts": s.MoE(experts, topK)}
}

// grouped makes a group on a backend.
func grouped(t testing.TB, backend kernels.Backend, runs ...config.Run) (*Group, *data.Corpus) {
	t.Helper()
	corpus, err := data.Open(t.Context(), runs[0].Data, runs[0].Shape.Context, runs[0].Shape.Vocab)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = corpus.Close() })
	g, err := NewGroup(backend, corpus, runs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g, corpus
}

// TestCurveInFloat32: on the processor, where both compute in float32, the losses and
// gradient norms are PyTorch's but for the order of sums.
func TestCurveInFloat32(t *testing.T) {
	exe := python.Find(t, "torch", "transformers", "safetensors")
	for kind, s := range shapesOf(config.Dense(32, 2, 256, 32), 4, 2) {
		t.Run(kind, func(t *testing.T) {
			g, corpus := grouped(t, worker(t).Backend, curveRuns(s, 8, 60, 5e-3)...)
			p := pytorch(t, exe, g, corpus, "cpu", single)
			results := train(t, g, 10)[0]
			mean, most := distance(losses(results), p.Losses[single])
			worst := 0.0
			for i, r := range results {
				worst = max(worst, math.Abs(r.GradNorm/p.GradNorms[single][i]-1))
			}
			t.Logf("torch %s, transformers %s: loss from %.4f to %.4f; |Δ| %.2g on average, at most %.2g; gradient norms within %.2g",
				p.Torch, p.Transformers, results[0].Loss, results[len(results)-1].Loss, mean, most, worst)
			// Rounding of 1e-7 grows along the way; a term left out or wrong by a percent is 1e-2.
			if !(most < 1e-3 && worst < 1e-2) {
				t.Errorf("beyond 1e-3 and 1e-2")
			}
		})
	}
}

// TestCurve: 200 steps on the GPU beside PyTorch's on the same card, from the same
// weights, over the same tokens.
//
// The yardstick of noise is PyTorch's own: how far its curve in bfloat16 lies from its
// curve in float32. Two curves that both round to bfloat16, independently, lie √2 times as
// far from each other; one that rounds at more places (here the gradient of the
// residual stream) further. The bound is three times the yardstick, on average and at most.
// A learning rate half as high again must lie beyond it, else it would say nothing.
func TestCurve(t *testing.T) {
	backend := gpu(t)
	exe := python.Find(t, "torch", "transformers", "safetensors")
	for kind, s := range shapesOf(config.Dense(128, 4, 256, 256), 8, 2) {
		t.Run(kind, func(t *testing.T) {
			g, corpus := grouped(t, backend, curveRuns(s, 16, 200, 2e-3, 3e-3)...)
			p := pytorch(t, exe, g, corpus, "cuda", half, single)
			both := train(t, g, 10)
			ours, higher := losses(both[0]), losses(both[1])
			if len(ours) != 200 || len(higher) != 200 {
				t.Fatalf("%d and %d of 200 steps", len(ours), len(higher))
			}
			noise, worst := distance(p.Losses[half], p.Losses[single])
			t.Logf("torch %s, transformers %s, %s; PyTorch's bfloat16 from its float32: %.2g on average, at most %.2g", p.Torch, p.Transformers, p.Device, noise, worst)
			table(t, ours, p)
			for _, precision := range []string{half, single} {
				mean, most := distance(ours, p.Losses[precision])
				early, _ := distance(ours[:20], p.Losses[precision][:20])
				t.Logf("ours from PyTorch's %s: |Δ| %.2g on average, at most %.2g; %.2g over the first 20 steps", precision, mean, most, early)
				if !(mean <= 3*noise && most <= 3*worst) {
					t.Errorf("beyond three times the noise: %.2g, %.2g", 3*noise, 3*worst)
				}
			}
			if mean, _ := distance(higher, p.Losses[half]); mean <= 3*noise {
				t.Errorf("a learning rate half as high again lies %.2g away, within the bound: it shows nothing", mean)
			}
			// Before any update there is no noise to grow: the same weights and tokens.
			first, norm := p.Losses[single][0], p.GradNorms[single][0]
			if math.Abs(ours[0]-first) > 1e-3 || math.Abs(both[0][0].GradNorm/norm-1) > 0.01 {
				t.Errorf("the first step's loss is %.5f, PyTorch's %.5f; its gradient's norm %.5f, PyTorch's %.5f", ours[0], first, both[0][0].GradNorm, norm)
			}
			if fell := ours[0] - ours[199]; fell < 2 {
				t.Errorf("the loss fell by %.3f only: nothing was learned that could differ", fell)
			}
		})
	}
}

func table(t *testing.T, ours []float64, p peerCurve) {
	t.Helper()
	text := "step    ours  bfloat16   float32\n"
	for i := range ours {
		if i == 0 || (i+1)%20 == 0 {
			text += fmt.Sprintf("%4d  %.4f    %.4f    %.4f\n", i+1, ours[i], p.Losses[half][i], p.Losses[single][i])
		}
	}
	t.Log("\n" + text)
}
