// Package huggingface writes a checkpoint as a model directory of Hugging Face's
// transformers: Qwen3 for dense shapes, Qwen3-MoE for experts, with weights under the
// names of the published checkpoints, both configurations, the tokenizer and a card.
//
// It reads a run directory and writes beside it. It loads no model and runs none.
package huggingface

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/etastar/etastar/trainer/atomicfile"
	"github.com/etastar/etastar/trainer/rundir"
	"github.com/etastar/etastar/trainer/safetensors"
)

// DType is how weights are stored, by transformers' name.
type DType string

// What weights can be stored as. Training is in Float32; BFloat16 rounds to the
// nearest, ties to even.
const (
	BFloat16 DType = "bfloat16"
	Float32  DType = "float32"
)

// DTypes lists the words for a DType, the default first.
var DTypes = []DType{BFloat16, Float32}

// Files of a model directory.
const (
	configFile          = "config.json"
	generationFile      = "generation_config.json"
	weightsFile         = "model.safetensors"
	tokenizerFile       = "tokenizer.json"
	tokenizerConfigFile = "tokenizer_config.json"
	cardFile            = "README.md"
	openCompassFile     = "opencompass.py"
	serveFile           = "serve.sh"
)

var files = []string{configFile, generationFile, weightsFile, tokenizerFile, tokenizerConfigFile, cardFile, openCompassFile, serveFile}

var (
	// ErrOccupied means that the target cannot be taken for an export.
	ErrOccupied = errors.New("the target is taken")
	// ErrDType means that weights are not stored in that way.
	ErrDType = errors.New("unknown dtype")
	// ErrUnsupported means that transformers has no model that computes the same.
	ErrUnsupported = errors.New("it has no counterpart in transformers")
)

// Options of an export.
type Options struct {
	DType   DType  // "": BFloat16
	Force   bool   // replace an earlier export
	Program string // name and version of the program, for the card
}

// Export writes a checkpoint of a run as the directory dir, whose parent must exist.
// The directory appears whole or not at all; files are for their owner alone. Memory
// holds one tensor at a time. A dir with content is refused (ErrOccupied) unless
// o.Force is set and it holds nothing but the files of an earlier export.
func Export(ctx context.Context, run rundir.Summary, c rundir.Checkpoint, dir string, o Options) error {
	if o.DType == "" {
		o.DType = BFloat16
	}
	if !slices.Contains(DTypes, o.DType) {
		return fmt.Errorf("export: %w %q: use %s or %s", ErrDType, o.DType, BFloat16, Float32)
	}
	if err := check(run); err != nil {
		return fmt.Errorf("export %s: %w", run.Dir, err)
	}
	dir, err := target(dir, o.Force)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	weights, err := safetensors.Open(filepath.Join(c.Dir, weightsFile))
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer weights.Close()
	if at := weights.Metadata["step"]; at != strconv.FormatInt(c.Step, 10) {
		return fmt.Errorf("export: checkpoint %s holds the weights of step %q, not of %d", c.Dir, at, c.Step)
	}
	tok, err := tokenizerOf(run.Config)
	if err != nil {
		return fmt.Errorf("export %s: %w", run.Dir, err)
	}

	temp, err := os.MkdirTemp(filepath.Dir(dir), atomicfile.TempPattern(dir))
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer func() { _ = os.RemoveAll(temp) }() // gone already once it has its name
	if err := writeWeights(ctx, filepath.Join(temp, weightsFile), weights, run.Config, o.DType); err != nil {
		return fmt.Errorf("export checkpoint %s: %w", c.Dir, err)
	}
	small := tok.files
	small[configFile] = configOf(run.Config, o.DType, tok)
	small[generationFile] = generation{EOS: tok.eos}
	small[cardFile] = []byte(card(run, c, o, tok))
	small[openCompassFile] = []byte(openCompass(run, c))
	small[serveFile] = []byte(lmDeploy(run))
	for _, name := range files {
		content, ok := small[name]
		if !ok {
			continue
		}
		text, err := encode(content)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("export: %s: %w", name, err)
		}
		if err := atomicfile.Write(filepath.Join(temp, name), text, nil); err != nil {
			return fmt.Errorf("export: %w", err)
		}
	}
	atomicfile.SyncDir(temp)
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if err := swap(temp, dir); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

// check refuses runs whose weights mean something else in transformers' model.
func check(run rundir.Summary) error {
	if run.Problem != "" {
		return errors.New(run.Problem)
	}
	if err := run.Config.Validate(); err != nil {
		return err
	}
	_, err := scalesOf(run.Config)
	return err
}

// target resolves the directory to write and refuses one that must not be replaced.
func target(dir string, force bool) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real // a link stays a link
	}
	if info, err := os.Stat(filepath.Dir(dir)); err != nil || !info.IsDir() {
		return "", fmt.Errorf("there is no folder %s to write %s in: make it first, or choose another place", filepath.Dir(dir), filepath.Base(dir))
	}
	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return dir, nil
	case err != nil:
		return "", err
	case !info.IsDir():
		return "", fmt.Errorf("%w: %s is not a folder; choose another place", ErrOccupied, dir)
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	if len(list) == 0 {
		return dir, nil
	}
	if !force {
		return "", fmt.Errorf("%w: %s is not empty; choose another folder, or replace an earlier export with --force", ErrOccupied, dir)
	}
	for _, e := range list {
		if !e.Type().IsRegular() || !slices.Contains(files, e.Name()) {
			return "", fmt.Errorf("%w: %s holds %s, which no export writes, and replacing would delete it; choose another folder, or move it away", ErrOccupied, dir, e.Name())
		}
	}
	return dir, nil
}

// swap gives temp the name dir, in place of what target let pass.
func swap(temp, dir string) error {
	old := strings.TrimSuffix(temp, ".tmp") + ".old"
	err := os.Rename(dir, old)
	there := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(temp, dir); err != nil {
		if there {
			err = errors.Join(err, os.Rename(old, dir))
		}
		return err
	}
	atomicfile.SyncDir(filepath.Dir(dir))
	if !there {
		return nil
	}
	// File by file: what somebody put there meanwhile stays, and is told of.
	for _, name := range files {
		_ = os.Remove(filepath.Join(old, name))
	}
	if err := os.Remove(old); err != nil {
		return fmt.Errorf("%s is written; what was there before is left over: %w", dir, err)
	}
	return nil
}
