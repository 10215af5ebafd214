package importers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/etastar/etastar/session/table"
)

// Options controls Read.
type Options struct {
	Format   string                  // one of Formats; "" finds it
	Ragged   bool                    // leave out all rows with the wrong number of fields; otherwise two of them in succession are an error
	Table    int                     // which table of a Markdown file or database, from 1; 0: the first that has a learning-rate or loss column, else the first
	Progress func(read, total int64) // called now and then; may be nil

	// Final is what is taken of a run's curve as its loss, one of Finals. "" is
	// FinalLast where runs become rows, and leaves a file of one run's steps as it
	// is; anything else makes a row of it.
	Final  string
	Window int // FinalSmoothed: the logged values averaged; 0: DefaultWindow
}

// job is one Read. The fields that describe the file stay from pass to pass;
// those of the pass are set anew for each.
type job struct {
	opts  Options
	path  string
	cols  columns
	first bool // the first pass, which takes notes
	in    *window
	keys  map[string]int // JSON, CSV with several headers: columns by path or name
	// blocks are the later headers of a CSV file: its columns, by line.
	blocks map[int][]int
	cut    int // the last line of a CSV file, if it is left out
	// unreadable are the damaged columns of a Parquet file.
	unreadable map[string]bool

	// asPart reads one file of a run directory: its rows are the steps of a run.
	asPart bool
	// record reads a file as one row, whatever lists of objects are in it.
	record bool
	// runs cuts the table into runs, where the format holds several; set by scan.
	runs func(*table.Table) []run
	// edit changes the table once it is read; set by scan.
	edit func(*table.Table) *table.Table
}

// Read reads path, a file or a directory of runs (see ReadRuns). It honours ctx
// between chunks.
//
// A column is one of numbers if every cell that is not blank is one; NaN and inf
// in any spelling are numbers (a diverged run), and null, None, NA, n/a and nil
// are blank there. Otherwise it is text, without surrounding space. The table's
// notes say which columns were nearly numbers, how unusual numbers were read,
// what was renamed and what was left out. Roles are not assigned; see table.Assign.
//
// The table of a file that is damaged holds the rows before the damage, and a note
// says where that is. Where columns may have shifted a file is refused.
func Read(ctx context.Context, path string, o Options) (*table.Table, error) {
	runs, err := readRuns(ctx, path, o, false)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	return runs.Table, nil
}

// read reads a file with a chosen size of chunks.
func read(ctx context.Context, path string, o Options, chunk int) (*table.Table, error) {
	return (&job{opts: o, path: path}).read(ctx, chunk)
}

func (j *job) read(ctx context.Context, chunk int) (t *table.Table, err error) {
	j.first = true
	doing := "finding its format"
	defer recovered(&doing, &err)
	f, err := openFile(ctx, j.path, j.opts.Progress)
	if err != nil {
		return nil, err
	}
	defer func() { f.close() }()
	if err := f.look(); err != nil {
		return nil, err
	}
	chosen, err := j.choose(ctx, f.head())
	if err != nil {
		return nil, cmp.Or(f.headDamage(), err)
	}
	if err := f.refuse(&chosen); err != nil {
		return nil, err
	}
	doing = "reading it as " + chosen.name
	j.in = f.window(chunk)
	j.cols.room = sparse + 8*int(f.info.Size())
	if f.packed {
		j.cols.room *= 10
	}
	if err := j.scan(ctx, chosen); err != nil {
		return nil, err
	}
	changed, err := f.changed()
	if err != nil {
		return nil, err
	}
	if f.damage > 0 {
		if len(j.cols.lines) == 0 {
			return nil, nulError(f.damage)
		}
		j.damaged(fmt.Errorf("byte %d is NUL", f.damage))
	}
	if j.cols.again() {
		before, once := f, f.count
		if f, err = j.reopen(ctx, before, changed); err != nil {
			f = before
			return nil, err
		}
		j.first = false
		j.in = f.window(chunk)
		if err := j.scan(ctx, chosen); err != nil {
			return nil, err
		}
		if again := f.count; again.n != once.n || again.sum != once.sum || !j.cols.even() {
			return nil, errChanged
		}
	}
	if changed {
		j.cols.note("the file changed while it was read: rows may be missing; load it again for the rest")
	}
	if len(j.cols.lines) == 0 {
		j.cols.note("the file has a header and no rows")
	}
	t = j.cols.build()
	if j.edit != nil {
		t = j.edit(t)
	}
	return t, nil
}

// reopen opens the file for another pass. The log of a run that is being written has
// grown meanwhile: what it held at first is read again.
func (j *job) reopen(ctx context.Context, before *inputFile, changed bool) (*inputFile, error) {
	if j.asPart {
		return before.rewind()
	}
	f, err := openFile(ctx, j.path, j.opts.Progress)
	if err != nil {
		return nil, err
	}
	if changed || !f.same(before) {
		f.close()
		return nil, errChanged
	}
	before.close()
	return f, nil
}

// history says that the rows of the file are not runs but the steps of one.
func (j *job) history(what string) {
	if j.asPart || j.opts.Final != "" {
		return
	}
	j.edit = func(t *table.Table) *table.Table {
		t.Notes = append(t.Notes, fmt.Sprintf("the rows are the %d %s, not runs: say final=%s (or %s) for a row of its final values",
			t.Rows, what, FinalLast, strings.Join(Finals()[1:], ", ")))
		if note := noLossNote(t); note != "" {
			t.Notes = append(t.Notes, note)
		}
		return t
	}
}

var errChanged = errors.New("the file changed while it was read: load it again")

// scan runs the format over the file. Of one that is damaged it keeps the rows before
// the damage.
func (j *job) scan(ctx context.Context, f format) error {
	err := f.scan(j)
	if err == nil || ctx.Err() != nil || len(j.cols.lines) == 0 || len(j.cols.list) == 0 || errors.Is(err, errChanged) {
		return err
	}
	if errors.Is(err, errRagged) && !j.asPart {
		return err
	}
	if errors.Is(j.cols.cut(len(j.cols.lines)), errSparse) {
		return err
	}
	j.damaged(err)
	j.in.f.damage = 0 // it was only read ahead
	return nil
}

// damaged notes where reading ends.
func (j *job) damaged(err error) {
	j.damage("%v; what comes before is read", err)
}

// damage notes, once if the file is read twice, what is wrong with the file. Of the
// parts of a run the run's notes say which file it is.
func (j *job) damage(format string, args ...any) {
	if !j.first {
		return
	}
	if !j.asPart {
		format, args = "%s: "+format, append([]any{filepath.Base(j.path)}, args...)
	}
	j.cols.note(format, args...)
}
