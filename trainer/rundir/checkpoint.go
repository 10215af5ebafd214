package rundir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/etastar/etastar/trainer/atomicfile"
)

// Checkpoint is a finished checkpoint.
type Checkpoint struct {
	Step int64
	Dir  string
}

// Prefixes inside checkpoints/. What begins with a dot is unfinished or on its way out.
const (
	stepPrefix = "step-"
	tempPrefix = ".tmp-"
	goPrefix   = ".gone-"
)

func stepName(step int64) string { return fmt.Sprintf("%s%06d", stepPrefix, step) }

// SaveCheckpoint makes the checkpoint of a step: write fills an empty folder, which is
// flushed to the disk and only then takes its name. A checkpoint that is there already
// is kept and write is not called: the same run's same step holds the same bytes.
func (w *Writer) SaveCheckpoint(step int64, write func(dir string) error) (err error) {
	if step < 0 {
		return fmt.Errorf("save checkpoint: step %d", step)
	}
	parent := filepath.Join(w.dir, checkpointDir)
	final := filepath.Join(parent, stepName(step))
	defer func() {
		if err != nil {
			err = fmt.Errorf("save checkpoint of step %d: %w", step, err)
		}
	}()
	if info, err := os.Stat(final); err == nil && info.IsDir() {
		return nil
	}
	// The events up to here belong to it.
	if err := w.Flush(); err != nil {
		return err
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(parent, tempPrefix+stepName(step)+"-")
	if err != nil {
		return err
	}
	defer func() { // does nothing once it has its name
		if err != nil {
			_ = os.RemoveAll(temp)
		}
	}()
	if err := w.at("checkpoint made"); err != nil {
		return err
	}
	if err := write(temp); err != nil {
		return err
	}
	if err := w.at("checkpoint written"); err != nil {
		return err
	}
	if err := syncTree(temp); err != nil {
		return err
	}
	if err := w.at("checkpoint flushed"); err != nil {
		return err
	}
	if err := os.Rename(temp, final); err != nil {
		return err
	}
	atomicfile.SyncDir(parent)
	return w.at("checkpoint renamed")
}

func (w *Writer) at(stage string) error {
	if w.hook == nil {
		return nil
	}
	return w.hook(stage)
}

// syncTree flushes every file below dir, and the folders.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			atomicfile.SyncDir(path)
			return nil
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}

// Prune removes the checkpoints whose step keep does not want, one at a time, so that
// none is ever there in part. Removing fails quietly: a checkpoint too many does no harm.
func (w *Writer) Prune(keep func(step int64) bool) {
	for _, c := range Checkpoints(w.dir) {
		if keep(c.Step) {
			continue
		}
		gone := filepath.Join(filepath.Dir(c.Dir), goPrefix+filepath.Base(c.Dir))
		if os.Rename(c.Dir, gone) == nil && w.at("checkpoint gone") == nil {
			_ = os.RemoveAll(gone)
		}
	}
}

// cleanCheckpoints removes what a killed writer left unfinished.
func (w *Writer) cleanCheckpoints() {
	parent := filepath.Join(w.dir, checkpointDir)
	list, _ := os.ReadDir(parent)
	for _, e := range list {
		if strings.HasPrefix(e.Name(), tempPrefix) || strings.HasPrefix(e.Name(), goPrefix) {
			_ = os.RemoveAll(filepath.Join(parent, e.Name()))
		}
	}
}

// Checkpoints lists the finished checkpoints of a run, oldest first.
func Checkpoints(dir string) []Checkpoint {
	parent := filepath.Join(dir, checkpointDir)
	list, _ := os.ReadDir(parent)
	var out []Checkpoint
	for _, e := range list {
		digits, ok := strings.CutPrefix(e.Name(), stepPrefix)
		step, err := strconv.ParseInt(digits, 10, 64)
		if !ok || err != nil || step < 0 || stepName(step) != e.Name() || !e.IsDir() {
			continue
		}
		out = append(out, Checkpoint{Step: step, Dir: filepath.Join(parent, e.Name())})
	}
	slices.SortFunc(out, func(a, b Checkpoint) int { return int(min(1, max(-1, a.Step-b.Step))) })
	return out
}

// CheckpointAt finds the checkpoint of a step, such as the one a branch starts from.
func CheckpointAt(dir string, step int64) (Checkpoint, error) {
	for _, c := range Checkpoints(dir) {
		if c.Step == step {
			return c, nil
		}
	}
	return Checkpoint{}, fmt.Errorf("%w of step %d in %s", errNoCheckpoint, step, dir)
}

// Latest is the last finished checkpoint; ok is false when there is none.
func Latest(dir string) (c Checkpoint, ok bool) {
	all := Checkpoints(dir)
	if len(all) == 0 {
		return Checkpoint{}, false
	}
	return all[len(all)-1], true
}
