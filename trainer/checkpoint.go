package trainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/trainer/health"
	"github.com/etastar/etastar/trainer/safetensors"
)

// Files of a checkpoint.
const (
	weightsFile   = "model.safetensors"
	optimizerFile = "optimizer.safetensors"
)

// checkpointVersion is the newest layout of a checkpoint that is read.
const checkpointVersion = 1

// Save writes everything from which a run goes on to the bit into dir, which must
// exist: weights, the optimizer's moments, the step (which is the position in the data)
// and what the divergence detector remembers. At a run's end, where no branch starts,
// there are the weights alone: a third of the bytes. It is not atomic: the caller writes
// aside and renames.
func (g *Group) Save(run int, dir string) error {
	detector, err := json.Marshal(g.Runs[run].Detector)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	meta := map[string]string{
		"format": "pt", // what loaders of the format expect to find
		"run":    g.Runs[run].Config.Name(), "step": strconv.FormatInt(g.step, 10), "version": strconv.Itoa(checkpointVersion),
		"detector": string(detector),
	}
	var weights, moments []tensor
	for _, p := range g.Model.Params {
		weights = append(weights, tensor{p.Name, p.Shape, p.Value})
		moments = append(moments, tensor{p.Name + ".m", p.Shape, p.M}, tensor{p.Name + ".v", p.Shape, p.V})
	}
	if err := g.writeTensors(run, filepath.Join(dir, weightsFile), weights, meta); err != nil || g.over(run) {
		return err
	}
	return g.writeTensors(run, filepath.Join(dir, optimizerFile), moments, meta)
}

// over reports whether a run has done all its steps and nothing goes on from there.
func (g *Group) over(run int) bool {
	r := g.Runs[run]
	return g.step >= r.Steps && !slices.Contains(r.Config.Keep.Checkpoints, g.step)
}

// tensor is a buffer under the name it has in a file.
type tensor struct {
	name   string
	shape  []int
	buffer kernels.Buffer
}

func (t *tensor) len() int {
	n := 1
	for _, d := range t.shape {
		n *= d
	}
	return n
}

func (g *Group) writeTensors(run int, path string, tensors []tensor, meta map[string]string) error {
	specs := make([]safetensors.Spec, len(tensors))
	for i, t := range tensors {
		specs[i] = safetensors.Spec{Name: t.name, DType: safetensors.F32}
		for _, d := range t.shape {
			specs[i].Shape = append(specs[i].Shape, int64(d))
		}
	}
	w, err := safetensors.Create(path, specs, meta)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	defer w.Abort()
	for _, t := range tensors {
		v := make([]float32, t.len())
		if err := g.mc.ReadFloats(v, t.buffer, run); err != nil {
			return fmt.Errorf("checkpoint: %s: %w", t.name, err)
		}
		if err := w.WriteFloats(t.name, v); err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
	}
	if err := w.Commit(); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// SavedStep is the number of steps that were done at the checkpoint in dir.
func SavedStep(dir string) (int64, error) {
	f, err := safetensors.Open(filepath.Join(dir, weightsFile))
	if err != nil {
		return 0, fmt.Errorf("checkpoint: %w", err)
	}
	defer f.Close()
	return savedStep(f, dir)
}

func savedStep(f *safetensors.File, dir string) (int64, error) {
	if v, err := strconv.Atoi(f.Metadata["version"]); err != nil || v > checkpointVersion {
		return 0, fmt.Errorf("checkpoint %s: version %q; this program reads up to %d", dir, f.Metadata["version"], checkpointVersion)
	}
	step, err := strconv.ParseInt(f.Metadata["step"], 10, 64)
	if err != nil || step < 0 {
		return 0, fmt.Errorf("checkpoint %s: step %q", dir, f.Metadata["step"])
	}
	return step, nil
}

// Restore puts a run back to the checkpoint in dir, also that of another run of the
// same shape (a branch goes on from its trunk's). All runs of a group must be at one
// step: the first to be restored sets it.
func (g *Group) Restore(run int, dir string, first bool) error {
	weights, err := safetensors.Open(filepath.Join(dir, weightsFile))
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	defer weights.Close()
	step, err := savedStep(weights, dir)
	if err != nil {
		return err
	}
	optimizer, err := safetensors.Open(filepath.Join(dir, optimizerFile))
	switch {
	case err == nil:
		defer optimizer.Close()
	case errors.Is(err, fs.ErrNotExist) && step >= g.Runs[run].Steps:
		optimizer = nil // the run is over
	default:
		return fmt.Errorf("checkpoint: %w", err)
	}
	if optimizer != nil && weights.Metadata["step"] != optimizer.Metadata["step"] {
		return fmt.Errorf("checkpoint %s: weights of step %s, optimizer of step %s", dir, weights.Metadata["step"], optimizer.Metadata["step"])
	}
	if !first && step != g.step {
		return fmt.Errorf("checkpoint %s: it is of step %d, the group is at %d", dir, step, g.step)
	}
	detector := health.NewDetector(g.Runs[run].Config.Divergence)
	if err := json.Unmarshal([]byte(weights.Metadata["detector"]), detector); err != nil {
		return fmt.Errorf("checkpoint %s: divergence history: %w", dir, err)
	}
	detector.Rule = g.Runs[run].Config.Divergence
	var errs []error
	for _, p := range g.Model.Params {
		errs = append(errs, g.readTensor(weights, run, tensor{p.Name, p.Shape, p.Value}))
		if optimizer != nil {
			errs = append(errs,
				g.readTensor(optimizer, run, tensor{p.Name + ".m", p.Shape, p.M}),
				g.readTensor(optimizer, run, tensor{p.Name + ".v", p.Shape, p.V}))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("checkpoint %s: %w", dir, err)
	}
	g.Runs[run].Detector, g.step = detector, step
	return nil
}

func (g *Group) readTensor(f *safetensors.File, run int, t tensor) error {
	v := make([]float32, t.len())
	if err := f.ReadFloats(t.name, v); err != nil {
		return err
	}
	return g.mc.WriteFloats(t.buffer, run, v)
}
