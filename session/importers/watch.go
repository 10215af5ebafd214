package importers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// watchShare is what of a core following runs may take.
	watchShare = 0.01
	// watchBudget is the most that is saved up for a look.
	watchBudget = 2 * time.Second
	firstBudget = time.Second / 2
)

// Watcher follows runs while they grow: a folder of runs, or one log. It looks at sizes
// and times, as also network file systems tell them, and reads again what changed, as
// much as a hundredth of a core allows; what waits its turn keeps what was read last.
type Watcher struct {
	path string

	mu      sync.Mutex
	final   final
	runs    []watchedRun // as found, in order
	apart   []Apart
	version int
	budget  time.Duration
	last    time.Time
	clock   func() time.Time
}

// watchedRun is a run as it was read last.
type watchedRun struct {
	files    runFiles
	print    string
	read     string // print of what was read; "": not yet
	readAt   time.Time
	modified time.Time // of the newest file
	run      run
	carried  int // times that a log began anew
}

// WatchedRuns is what a Watcher knows.
type WatchedRuns struct {
	*Runs
	Modified []time.Time // by row: when something of the run was last written
}

// NewWatcher follows path. Nothing is read yet.
func NewWatcher(path string) *Watcher {
	f, _ := newFinal(Options{})
	return &Watcher{path: path, final: f, clock: time.Now}
}

// Version grows when what Runs returns changes. It is 0 before the first look.
func (w *Watcher) Version() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.version
}

// Silent counts the runs of which nothing was written for a while.
func (w *Watcher) Silent(after time.Duration) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for i := range w.runs {
		if w.clock().Sub(w.runs[i].modified) > after {
			n++
		}
	}
	return n
}

// Look looks whether anything changed, and reads it, within what the time since the last
// look allows. The first look reads everything.
func (w *Watcher) Look(ctx context.Context) (err error) {
	defer recovered(new("looking at it"), &err)
	w.mu.Lock()
	defer w.mu.Unlock()
	begun := w.clock()
	first := w.version == 0
	if !first {
		w.budget = min(watchBudget, w.budget+time.Duration(watchShare*float64(begun.Sub(w.last))))
	}
	w.last = begun
	if !first && w.budget <= 0 {
		return nil
	}
	changed, err := w.find(ctx)
	if err != nil {
		return err
	}
	// Those that were read longest ago come first.
	var stale []int
	for i := range w.runs {
		if w.runs[i].print != w.runs[i].read {
			stale = append(stale, i)
		}
	}
	slices.SortStableFunc(stale, func(a, b int) int { return w.runs[a].readAt.Compare(w.runs[b].readAt) })
	for _, i := range stale {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !first && w.clock().Sub(begun) >= w.budget {
			break
		}
		w.runs[i].again(ctx, w.root(), w.final)
		changed = true
	}
	if changed || first {
		w.version++
	}
	if first {
		w.budget = firstBudget // what begins to be watched is looked at closely
	} else {
		w.budget -= w.clock().Sub(begun)
	}
	return nil
}

func (w *Watcher) root() string {
	if info, err := os.Stat(w.path); err == nil && !info.IsDir() {
		return filepath.Dir(w.path)
	}
	return w.path
}

// find brings the list of runs up to date, and reports whether runs came or went.
func (w *Watcher) find(ctx context.Context) (changed bool, err error) {
	var files []runFiles
	info, err := os.Stat(w.path)
	switch {
	case err != nil:
		return false, underlying(err)
	case info.IsDir():
		found, err := findRuns(ctx, w.path)
		if err != nil {
			return false, err
		}
		files, w.apart = found.runs, found.apart
	default:
		base := filepath.Base(w.path)
		files = []runFiles{{name: strings.TrimSuffix(base, filepath.Ext(base)), history: []string{base}, loose: true}}
	}
	known := map[string]*watchedRun{}
	for i := range w.runs {
		known[w.runs[i].files.name] = &w.runs[i]
	}
	runs := make([]watchedRun, 0, len(files))
	for _, f := range files {
		r := watchedRun{files: f}
		if old := known[f.name]; old != nil {
			r = *old
			r.files = f
			delete(known, f.name)
		} else {
			changed = true
		}
		r.look(w.root())
		runs = append(runs, r)
	}
	changed = changed || len(known) > 0
	w.runs = runs
	return changed, nil
}

// look notes sizes and times of a run's files.
func (r *watchedRun) look(root string) {
	var b strings.Builder
	for _, name := range slices.Concat(r.files.config, r.files.summary, r.files.history) {
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil {
			continue
		}
		fmt.Fprintf(&b, "%d %d ", info.Size(), info.ModTime().UnixNano())
		if info.ModTime().After(r.modified) {
			r.modified = info.ModTime()
		}
	}
	r.print = b.String()
}

// again reads a run. One that cannot be read now, such as a log just emptied, keeps what
// is known of it; one whose log began anew keeps the steps before.
func (r *watchedRun) again(ctx context.Context, root string, f final) {
	next := reducedRun(ctx, root, r.files, Options{}, &progress{}, f, true)
	r.read, r.readAt = r.print, time.Now()
	if next.err != nil {
		if r.run.name == "" || errors.Is(next.err, fs.ErrNotExist) {
			r.run = next
		}
		return
	}
	began := false
	for i := range next.curves {
		c := &next.curves[i]
		k := slices.IndexFunc(r.run.curves, func(o Curve) bool { return o.Name == c.Name })
		if k < 0 || len(c.Step) == 0 {
			continue
		}
		old := &r.run.curves[k]
		n := 0
		for n < len(old.Step) && old.Step[n] < c.Step[0] {
			n++
		}
		if n > 0 {
			began = true
			c.Step, c.Value = append(slices.Clone(old.Step[:n]), c.Step...), append(slices.Clone(old.Value[:n]), c.Value...)
		}
	}
	if began {
		r.carried++
		next.notes = append(next.notes, "its log began anew: the steps before are from what was read earlier")
	}
	r.run = next
}

// Runs returns what is known of the runs, as ReadRuns does.
func (w *Watcher) Runs() (*WatchedRuns, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var runs []run
	out := &WatchedRuns{}
	apart := slices.Clone(w.apart)
	for i := range w.runs {
		r := &w.runs[i]
		switch {
		case r.run.err != nil:
			apart = append(apart, Apart{r.files.name, r.run.err})
		case r.run.name != "":
			// assemble moves cells about: it gets lists of its own.
			c := r.run
			c.config, c.metrics, c.curves = slices.Clone(c.config), slices.Clone(c.metrics), slices.Clone(c.curves)
			runs = append(runs, c)
			out.Modified = append(out.Modified, r.modified)
		}
	}
	if len(runs) == 0 {
		if len(apart) > 0 {
			return nil, fmt.Errorf("no run can be read yet: %s", sentences(apartText(apart)))
		}
		return nil, errors.New("no runs are in it yet")
	}
	var err error
	if out.Runs, err = assemble(runs, w.final, true); err != nil {
		return nil, err
	}
	out.Apart = apart
	if len(apart) > 0 {
		out.Table.Notes = append(out.Table.Notes, fmt.Sprintf("%d left out: %s", len(apart), sentences(apartText(apart))))
	}
	named(out.Runs, w.path)
	return out, nil
}
