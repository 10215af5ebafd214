package command

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/etastar/etastar/session/importers"
	"github.com/etastar/etastar/session/table"
	"github.com/etastar/etastar/trainer/rundir"
)

// reader turns a log that grows into events.
type reader struct {
	path  string
	batch float64 // tokens of a step; 0: not known
	print string
	taken map[string]int // points of each curve that became events
}

// look reads what was logged since the last look. A log that cannot be read yet, or has
// no steps yet, has none.
func (r *reader) look(ctx context.Context) []rundir.Event {
	print, err := importers.Fingerprint(ctx, r.path)
	if err != nil || print == r.print {
		return nil
	}
	runs, err := importers.ReadRuns(ctx, r.path, importers.Options{})
	if err != nil || len(runs.Curves) == 0 {
		return nil
	}
	r.print = print
	if r.taken == nil {
		r.taken = map[string]int{}
	}
	loss, val, lr := pick(runs)
	if loss != nil && len(loss.Value) < r.taken["loss"] || val != nil && len(val.Value) < r.taken["val"] {
		clear(r.taken) // another log took its place: its steps come again
	}
	var out []rundir.Event
	add := func(c *importers.Curve, name string, set func(e *rundir.Event, v float64)) {
		if c == nil {
			return
		}
		for i := r.taken[name]; i < len(c.Value); i++ {
			step := int64(c.Step[i])
			if step < 0 {
				continue
			}
			k := len(out) - 1
			for k >= 0 && out[k].Step > step {
				k--
			}
			if k < 0 || out[k].Step != step {
				out = append(out[:k+1], append([]rundir.Event{{Step: step, Tokens: int64(c.Step[i] * r.batch)}}, out[k+1:]...)...)
				k++
			}
			set(&out[k], c.Value[i])
		}
		r.taken[name] = len(c.Value)
	}
	// The steps of a restarted run go back: events are of one pass, in order.
	add(loss, "loss", func(e *rundir.Event, v float64) { e.Loss = rundir.Number(v) })
	add(val, "val", func(e *rundir.Event, v float64) { e.Val = rundir.Number(v) })
	add(lr, "lr", func(e *rundir.Event, v float64) { e.LR = rundir.Number(v) })
	now := time.Now().UnixMilli()
	for i := range out {
		out[i].Time = now
	}
	return out
}

// pick finds the loss on training data, that on held-out data, and the learning rate.
func pick(r *importers.Runs) (loss, val, lr *importers.Curve) {
	for i := range r.Curves {
		c := &r.Curves[i]
		role, ok := table.MatchRole(c.Name)
		switch {
		case !ok || len(c.Value) == 0:
		case role == table.RoleLR:
			if lr == nil {
				lr = c
			}
		case role == table.RoleLoss && importers.HeldOut(c.Name):
			if val == nil {
				val = c
			}
		case role == table.RoleLoss:
			if loss == nil {
				loss = c
			}
		}
	}
	return loss, val, lr
}

// lastLine returns the last line that a program printed, for messages.
func lastLine(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	const most = 4096
	b := make([]byte, min(info.Size(), most))
	if _, err := f.ReadAt(b, info.Size()-int64(len(b))); err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(strings.ToValidUTF8(string(b), "�")), "\n")
	line := strings.TrimSpace(lines[len(lines)-1])
	if r := []rune(line); len(r) > 160 {
		line = string(r[:159]) + "…"
	}
	return line
}

// modified is when a file, or the newest one directly in a folder, was last written.
func modified(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	newest := info.ModTime()
	if !info.IsDir() {
		return newest
	}
	entries, _ := os.ReadDir(path)
	for _, e := range entries {
		if i, err := os.Stat(filepath.Join(path, e.Name())); err == nil && i.ModTime().After(newest) {
			newest = i.ModTime()
		}
	}
	return newest
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
