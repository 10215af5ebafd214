package importers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Bounds of a search: a wrong path, such as a home directory, ends soon.
const (
	maxRuns    = 10_000
	maxEntries = 500_000
	maxDepth   = 12
)

// Files of a run directory by what programs call them. Their content is found as
// that of any file; a name only says what it is for.
var (
	configNames = []string{
		"config.json", "config.yaml", "config.yml", "params.json", "hparams.json", "hparams.yaml", "args.json", "args.yaml",
		"params.yaml", "hyperparameters.json",
	}
	summaryNames = []string{"wandb-summary.json", "summary.json", "final_metrics.json"}
	// In order of preference: of a run's files that hold its curve, the first that
	// can be read is.
	historyNames = []string{
		"metrics.jsonl", "history.jsonl", "metrics.parquet", "history.parquet", "log.jsonl", "train_log.jsonl", "progress.csv", "result.json", "metrics.csv", "history.csv",
		"measurements.csv", "eval_measurements.csv", "trainer_state.json", "output.log", "main.log", "train.log", "log.txt",
	}
	// looseExtensions are of files that may each be the log of a run.
	looseExtensions = []string{".jsonl", ".ndjson", ".csv", ".tsv", ".log", ".out"}
)

const (
	eventsPrefix = "events.out.tfevents."
	wandbSuffix  = ".wandb"
)

// runFiles are the files of a run, their paths from the directory searched.
type runFiles struct {
	name                     string // of the run: its directory's path, or the file's
	config, summary, history []string
	loose                    bool // a file by itself
	mlflow                   bool
}

// finder searches a directory for runs.
type finder struct {
	ctx     context.Context //nolint:containedctx // lives as long as one search
	root    string
	runs    []runFiles
	apart   []Apart
	bytes   int64           // of the files that may be read
	seen    map[string]bool // directories by their real path
	entries int
	note    string
}

// findRuns searches root. What cannot be looked into is in apart.
func findRuns(ctx context.Context, root string) (*finder, error) {
	actual, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil, underlying(err)
	}
	f := &finder{ctx: ctx, root: root, seen: map[string]bool{}}
	if err := f.directory(".", actual, 0); err != nil {
		return nil, err
	}
	slices.SortStableFunc(f.runs, func(a, b runFiles) int { return compareNames(a.name, b.name) })
	slices.SortStableFunc(f.apart, func(a, b Apart) int { return compareNames(a.Path, b.Path) })
	return f, nil
}

// compareNames orders names as people count: lr_2 before lr_10.
func compareNames(a, b string) int {
	x, y := a, b
	for len(x) > 0 && len(y) > 0 {
		m, n := digits(x), digits(y)
		if m > 0 && n > 0 {
			v, w := strings.TrimLeft(x[:m], "0"), strings.TrimLeft(y[:n], "0")
			if len(v) != len(w) {
				return len(v) - len(w)
			}
			if v != w {
				return strings.Compare(v, w)
			}
			x, y = x[m:], y[n:]
			continue
		}
		if x[0] != y[0] {
			return int(x[0]) - int(y[0])
		}
		x, y = x[1:], y[1:]
	}
	if len(x) != len(y) {
		return len(x) - len(y)
	}
	return strings.Compare(a, b)
}

func digits(s string) int {
	i := 0
	for i < len(s) && s[i]-'0' <= 9 {
		i++
	}
	return i
}

func (f *finder) full() bool { return f.note != "" }

func (f *finder) stop(format string, args ...any) { f.note = fmt.Sprintf(format, args...) }

// leave keeps something apart.
func (f *finder) leave(rel string, err error) {
	if errors.Is(err, fs.ErrPermission) {
		err = errors.New("no permission to read it")
	}
	f.apart = append(f.apart, Apart{filepath.ToSlash(rel), underlying(err)})
}

// directory searches rel, whose real path is actual. Only the root's own errors
// are errors.
func (f *finder) directory(rel, actual string, depth int) error {
	if err := f.ctx.Err(); err != nil {
		return err
	}
	if f.seen[actual] || f.full() {
		return nil
	}
	f.seen[actual] = true
	entries, err := f.list(rel)
	if err != nil {
		if depth == 0 {
			if errors.Is(err, fs.ErrPermission) {
				return errors.New("no permission to read this directory")
			}
			return underlying(err)
		}
		f.leave(rel, err)
		return nil
	}
	var dirs, links []string
	files := map[string]int64{}
	for _, e := range entries {
		name, mode := e.Name(), e.Type()
		switch {
		case mode.IsDir():
			if !strings.HasPrefix(name, ".") {
				dirs = append(dirs, name)
			}
		case mode&fs.ModeSymlink != 0:
			info, err := os.Stat(filepath.Join(f.root, rel, name))
			switch {
			case err != nil && mayMatter(name):
				f.leave(filepath.Join(rel, name), fmt.Errorf("a link that leads nowhere: %w", underlying(err)))
			case err == nil && info.IsDir():
				links = append(links, name)
			case err == nil && info.Mode().IsRegular():
				files[name] = info.Size()
			}
		case mode.IsRegular() && mayMatter(name):
			info, err := e.Info()
			if err != nil {
				continue // it is gone
			}
			files[name] = info.Size()
		}
	}
	if f.mlflowRun(rel, dirs) {
		return nil
	}
	inner := f.wandbFiles(rel, dirs, files)
	if f.take(rel, files, inner, len(dirs)+len(links) > 0) {
		return nil
	}
	if depth == maxDepth && len(dirs)+len(links) > 0 {
		f.leave(rel, fmt.Errorf("directories are nested more than %d deep", maxDepth))
		return nil
	}
	dirs, latest := latestCheckpoint(dirs)
	before := len(f.runs)
	for _, d := range dirs {
		from := len(f.runs)
		if err := f.directory(filepath.Join(rel, d), filepath.Join(actual, d), depth+1); err != nil {
			return err
		}
		if d == latest && len(f.runs) > from && slices.ContainsFunc(f.runs[from].history, isTrainerState) {
			f.dropEvents(before, filepath.Join(rel, "runs"))
		}
	}
	// Links last: what is reached without one keeps its own name.
	for _, l := range links {
		target, err := filepath.EvalSymlinks(filepath.Join(f.root, rel, l))
		if err != nil {
			f.leave(filepath.Join(rel, l), err)
			continue
		}
		if err := f.directory(filepath.Join(rel, l), target, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// wandbFiles adds to the files of a directory that holds a .wandb log those that W&B
// keeps in its "files", if it does: one run has both.
func (f *finder) wandbFiles(rel string, dirs []string, files map[string]int64) bool {
	const within = "files"
	logged := false
	for name := range files {
		logged = logged || strings.HasSuffix(name, wandbSuffix)
	}
	if !logged || !slices.Contains(dirs, within) {
		return false
	}
	entries, err := f.list(filepath.Join(rel, within))
	if err != nil {
		return false // the log has it all
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && e.Type().IsRegular() && mayMatter(e.Name()) {
			files[filepath.Join(within, e.Name())] = info.Size()
		}
	}
	return true
}

// list returns the entries of a directory by name, as many as may still be read.
func (f *finder) list(rel string) ([]fs.DirEntry, error) {
	dir, err := os.Open(filepath.Join(f.root, rel))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	entries, err := dir.ReadDir(maxEntries - f.entries + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if f.entries += len(entries); f.entries > maxEntries {
		f.stop("the search ended after %d files, in %s: name a directory further down", maxEntries, filepath.ToSlash(rel))
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// mayMatter reports whether a file may be of a run, so that a million others, such
// as the shards of checkpoints, cost nothing.
func mayMatter(name string) bool {
	return slices.Contains(configNames, name) || slices.Contains(summaryNames, name) || slices.Contains(historyNames, name) ||
		strings.HasPrefix(name, eventsPrefix) || strings.HasSuffix(name, wandbSuffix) || isLoose(name)
}

func isLoose(name string) bool {
	// W&B's own log of itself is debug.log.
	return slices.Contains(looseExtensions, strings.ToLower(filepath.Ext(name))) && !strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "debug")
}

// take makes runs of the files of a directory, and reports whether the directory
// is a run itself, so that what is below it belongs to it. inner says that files of its
// "files" are among them.
func (f *finder) take(rel string, files map[string]int64, inner, nested bool) bool {
	r := runFiles{name: runName(f.root, rel)}
	join := func(names []string) (out []string) {
		for _, n := range names {
			if _, ok := files[n]; ok {
				out = append(out, filepath.Join(rel, n))
			}
			if !inner {
				continue
			}
			if n = filepath.Join("files", n); files[n] > 0 {
				out = append(out, filepath.Join(rel, n))
			}
		}
		return out
	}
	r.config, r.summary, r.history = join(configNames), join(summaryNames), join(historyNames)
	var loose, logs []string
	events := 0
	for name := range files {
		switch {
		case strings.HasSuffix(name, wandbSuffix):
			logs = append(logs, filepath.Join(rel, name))
		case filepath.Dir(name) != ".":
			// Of "files", by their names only.
		case strings.HasPrefix(name, eventsPrefix):
			r.history = append(r.history, filepath.Join(rel, name))
			events++
		case isLoose(name) && !slices.Contains(historyNames, name):
			loose = append(loose, filepath.Join(rel, name))
		}
	}
	slices.Sort(loose)
	slices.Sort(logs)
	slices.Sort(r.history[len(r.history)-events:])
	if _, ok := files["params.json"]; !ok {
		// Ray's result.json has the configuration too, its progress.csv has not.
		i, k := slices.Index(r.history, filepath.Join(rel, "progress.csv")), slices.Index(r.history, filepath.Join(rel, "result.json"))
		if i >= 0 && k > i {
			r.history[i], r.history[k] = r.history[k], r.history[i]
		}
	}
	r.history = append(logs, r.history...)
	isRun := len(r.summary)+len(r.history) > 0
	if !isRun && len(r.config) > 0 && len(loose) == 1 {
		r.history, loose, isRun = loose, nil, true
	}
	switch {
	case isRun:
		f.add(rel, r, files)
	case len(loose) > 0:
		for _, path := range loose {
			name := filepath.ToSlash(strings.TrimSuffix(path, filepath.Ext(path)))
			f.add(rel, runFiles{name: name, history: []string{path}, loose: true}, files)
		}
	case len(r.config) > 0 && !nested:
		f.leave(r.name, errors.New("it has a configuration and no metrics"))
	}
	return isRun
}

func (f *finder) add(rel string, r runFiles, files map[string]int64) {
	if len(f.runs) >= maxRuns {
		if !f.full() {
			f.stop("only the first %d runs are read: name a directory further down for others", maxRuns)
		}
		return
	}
	f.runs = append(f.runs, r)
	for _, path := range slices.Concat(r.config, r.summary, r.history[:min(1, len(r.history))]) {
		name, err := filepath.Rel(rel, path)
		if err == nil {
			f.bytes += files[name]
		}
	}
}

// runName names the run of a directory. W&B keeps the files of a run in "files".
func runName(root, rel string) string {
	if filepath.Base(rel) == "files" && rel != "." {
		rel = filepath.Dir(rel)
	}
	if rel == "." {
		if abs, err := filepath.Abs(root); err == nil {
			return filepath.Base(abs)
		}
	}
	return filepath.ToSlash(rel)
}

func isTrainerState(path string) bool { return filepath.Base(path) == "trainer_state.json" }

// dropEvents drops the runs from a place in the list on that are event files in a directory:
// Hugging Face's Trainer logs there what its state has too.
func (f *finder) dropEvents(from int, dir string) {
	kept := f.runs[:from]
	for _, r := range f.runs[from:] {
		same := len(r.history) > 0 && !slices.ContainsFunc(r.history, func(path string) bool {
			return filepath.Dir(filepath.Dir(path)) != dir || !strings.HasPrefix(filepath.Base(path), eventsPrefix)
		})
		if !same {
			kept = append(kept, r)
		}
	}
	f.runs = kept
}

// latestCheckpoint leaves of a run's checkpoint-500, checkpoint-1000, … the last, which
// it puts at the end: each holds the history up to it.
func latestCheckpoint(dirs []string) (out []string, latest string) {
	most := -1
	out = dirs[:0]
	for _, d := range dirs {
		step, err := strconv.Atoi(strings.TrimPrefix(d, "checkpoint-"))
		if !strings.HasPrefix(d, "checkpoint-") || err != nil {
			out = append(out, d)
		} else if step > most {
			latest, most = d, step
		}
	}
	if latest != "" {
		out = append(out, latest)
	}
	return out, latest
}
