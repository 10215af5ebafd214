package importers

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/etastar/etastar/session/table"
)

// Runs is a table with a run a row, and what else was read of the runs.
type Runs struct {
	Table *table.Table
	// Curves are the losses and learning rates that the runs logged, in the order
	// of rows; empty where the source holds none.
	Curves []Curve
	// Planned are the steps that runs were to take by their configuration, by row; 0
	// where it does not say, and nil where rows are no runs.
	Planned []float64
	// Apart is what looked like a run and could not be read as one.
	Apart []Apart
}

// Curve is a quantity that a run logged.
type Curve struct {
	Row      int       // of the table; 0 where a file of one run's steps was left as it is
	Name     string    // as logged: "val_loss"
	StepName string    // "step", "iteration", …; "" if the records are counted, from 0
	Step     []float64 // where Value was logged; as in the file, so a restarted run goes back
	Value    []float64 // without blanks; NaN where the run diverged
}

// Apart is a file or directory that was left out.
type Apart struct {
	Path string // from the directory that was read
	Err  error
}

// run is a run on its way into the table.
type run struct {
	name    string
	config  []cell
	summary []cell       // last values, without a curve
	history *table.Table // a row a step; nil: none
	step    *table.Column
	metrics []cell // what became of summary and history
	curves  []Curve
	notes   []string
	err     error
}

// ReadRuns reads path as Read does, with the runs' curves. A directory is searched
// for run directories and logs, and becomes one table: a run a row, its
// configuration and its final metrics; see Options.Final. Links are followed, each
// directory once. Runs that cannot be read are named in the notes and in Apart.
func ReadRuns(ctx context.Context, path string, o Options) (*Runs, error) {
	runs, err := readRuns(ctx, path, o, true)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	return runs, nil
}

func readRuns(ctx context.Context, path string, o Options, curves bool) (out *Runs, err error) {
	defer recovered(new("making a table of its runs"), &err)
	f, err := newFinal(o)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return readDirectory(ctx, path, o, f, curves)
	}
	j := &job{opts: o, path: path}
	t, err := j.read(ctx, chunkSize)
	if err != nil {
		return nil, err
	}
	out = &Runs{Table: t}
	step := stepColumn(t)
	switch {
	case j.runs != nil:
		if out, err = assemble(j.runs(t), f, curves); err != nil {
			return nil, err
		}
	case o.Final != "" && step == nil:
		return nil, errors.New("final: it is taken of the curves of runs, and this file has no column of steps")
	case o.Final != "":
		name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
		if out, err = assemble([]run{{name: name, history: t, step: step}}, f, curves); err != nil {
			return nil, err
		}
	case curves && step != nil:
		_, out.Curves = reduce(t, step, f, true)
		return named(out, path), nil
	}
	if out.Table != t {
		out.Table.Notes = append(out.Table.Notes, t.Notes...)
	}
	return named(out, path), nil
}

func named(r *Runs, path string) *Runs {
	r.Table.Source = filepath.Base(path)
	if note := suggestNote(r.Table); note != "" {
		r.Table.Notes = append(r.Table.Notes, note)
	}
	return r
}

func readDirectory(ctx context.Context, path string, o Options, f final, curves bool) (*Runs, error) {
	found, err := findRuns(ctx, path)
	if err != nil {
		return nil, err
	}
	runs := make([]run, len(found.runs))
	report := &progress{to: o.Progress, total: found.bytes}
	// The rest of the machine may be training.
	workers := min(runtime.GOMAXPROCS(0), 8, len(runs))
	var wg sync.WaitGroup
	next := make(chan int)
	for range workers {
		wg.Go(func() {
			for i := range next {
				runs[i] = reducedRun(ctx, path, found.runs[i], o, report, f, curves)
			}
		})
	}
	for i := range runs {
		next <- i
	}
	close(next)
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	apart := found.apart
	kept := runs[:0]
	for _, r := range runs {
		if r.err != nil {
			apart = append(apart, Apart{r.name, r.err})
			continue
		}
		kept = append(kept, r)
	}
	if len(kept) == 0 {
		if len(apart) > 0 {
			return nil, fmt.Errorf("no run in this directory can be read: %s", sentences(apartText(apart)))
		}
		return nil, errors.New("this is a directory without runs: one is a directory with metrics (metrics.jsonl, progress.csv, wandb-summary.json, …) or a log file")
	}
	out, err := assemble(kept, f, curves)
	if err != nil {
		return nil, err
	}
	out.Apart = apart
	if len(apart) > 0 {
		out.Table.Notes = append(out.Table.Notes, fmt.Sprintf("%d left out: %s", len(apart), sentences(apartText(apart))))
	}
	if found.note != "" {
		out.Table.Notes = append(out.Table.Notes, found.note)
	}
	return named(out, path), nil
}

// sentences joins sentences, shortened when they are many.
func sentences(items []string) string {
	const most = 5
	if len(items) > most {
		return fmt.Sprintf("%s; and %d more", strings.Join(items[:most], "; "), len(items)-most)
	}
	return strings.Join(items, "; ")
}

func apartText(apart []Apart) []string {
	text := make([]string, len(apart))
	for i, a := range apart {
		text[i] = fmt.Sprintf("%s: %v", a.Path, a.Err)
	}
	return text
}

// Fingerprint returns a text that changes when what ReadRuns would read of path
// does: sizes and times of the files of runs.
func Fingerprint(ctx context.Context, path string) (print string, err error) {
	defer recovered(new("looking at it"), &err)
	info, err := os.Stat(path)
	if err != nil {
		return "", underlying(err)
	}
	if !info.IsDir() {
		return fmt.Sprintf("%d %d", info.Size(), info.ModTime().UnixNano()), nil
	}
	found, err := findRuns(ctx, path)
	if err != nil {
		return "", fmt.Errorf("%q: %w", path, err)
	}
	hash := fnv.New128a()
	for _, r := range found.runs {
		for _, name := range slices.Concat(r.config, r.summary, r.history) {
			if info, err := os.Stat(filepath.Join(path, name)); err == nil {
				fmt.Fprintf(hash, "%q %d %d\n", name, info.Size(), info.ModTime().UnixNano())
			}
		}
	}
	for _, a := range found.apart {
		fmt.Fprintf(hash, "%q %v\n", a.Path, a.Err)
	}
	return fmt.Sprintf("%d runs %x", len(found.runs), hash.Sum(nil)), nil
}

// progress sums the progress of files that are read at once.
type progress struct {
	to    func(read, total int64)
	total int64
	mu    sync.Mutex
	read  int64
}

// file returns what counts the progress of one file; a second pass over it does
// not count.
func (p *progress) file() func(read, total int64) {
	if p.to == nil {
		return nil
	}
	most := int64(0)
	return func(read, _ int64) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if read > most {
			p.read += read - most
			most = read
			p.to(min(p.read, p.total), p.total)
		}
	}
}

// reducedRun reads the files of one run and reduces its history.
func reducedRun(ctx context.Context, root string, files runFiles, o Options, report *progress, f final, curves bool) (r run) {
	r.name = files.name
	defer recovered(new("reading it"), &r.err)
	r = readRun(ctx, root, files, o, report)
	if h := r.history; h != nil {
		r.metrics, r.curves = reduce(h, stepColumn(h), f, curves)
		r.history = nil
	}
	return r
}

// readRun reads the files of one run.
func readRun(ctx context.Context, root string, files runFiles, o Options, report *progress) run {
	if files.mlflow {
		return readMLflow(ctx, root, files, report)
	}
	r := run{name: files.name}
	// part reads a file as a table; record: as one row.
	part := func(name string, record bool) (*table.Table, error) {
		const tries = 3
		count := report.file()
		var t *table.Table
		var err error
		for range tries {
			j := &job{path: filepath.Join(root, name), asPart: true, record: record}
			j.opts = Options{Ragged: o.Ragged, Progress: count}
			if !record {
				j.opts.Format = o.Format
			}
			t, err = j.read(ctx, chunkSize)
			if err == nil && j.runs != nil {
				return nil, errors.New("it holds several runs: load it by itself")
			}
			if !errors.Is(err, errChanged) {
				break
			}
		}
		return t, err
	}
	one := func(name string) []cell {
		t, err := part(name, true)
		switch {
		case err != nil:
			r.notes = append(r.notes, fmt.Sprintf("%s: %v", within(name), err))
		case t.Rows != 1:
			r.notes = append(r.notes, fmt.Sprintf("%s: it holds %d records, not one, and is left out", within(name), t.Rows))
		default:
			return cellsOf(t)
		}
		return nil
	}
	for _, name := range files.config {
		r.config = append(r.config, one(name)...)
	}
	for _, name := range files.summary {
		r.summary = append(r.summary, one(name)...)
	}
	var first error
	for _, name := range files.history {
		t, err := part(name, false)
		var step *table.Column
		if err == nil {
			step = stepColumn(t)
		}
		if err == nil && (step == nil && lossColumn(t) == nil || files.loose && (step == nil || !counts(step))) {
			err = errors.New("it has no column of steps, so it is not the log of a run: load it by itself")
		}
		if err == nil {
			r.history = t
			for _, n := range t.Notes {
				if !files.loose {
					n = within(name) + ": " + n
				}
				r.notes = append(r.notes, n)
			}
			break
		}
		if first == nil {
			first = fmt.Errorf("%s: %w", within(name), err)
			if files.loose {
				first = err
			}
		}
	}
	switch {
	case r.history != nil && first == nil:
	case r.history == nil && len(r.summary) == 0 && first != nil:
		r.err = first
	case r.history == nil && len(r.summary) == 0 && len(r.notes) > 0:
		r.err = errors.New(strings.Join(r.notes, "; "))
	case r.history == nil && len(r.summary) == 0:
		r.err = errors.New("it has a configuration and no metrics")
	case first != nil:
		// Another file took its place.
		r.notes = append(r.notes, first.Error())
	}
	return r
}

// within names a file of a run for messages about the run.
func within(name string) string { return filepath.Base(name) }
