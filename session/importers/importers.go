package importers

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/etastar/etastar/session/table"
)

// Options controls Read.
type Options struct {
	Format   string                  // "", "csv", "tsv", "jsonl", "markdown"; "" finds it
	Ragged   bool                    // skip and count rows with the wrong number of fields instead of failing
	Table    int                     // which table of a Markdown file, from 1; 0: the first that has a learning-rate or loss column, else the first
	Progress func(read, total int64) // called now and then; may be nil
}

// job is one Read. The fields that describe the file stay from pass to pass;
// those of the pass are set anew for each.
type job struct {
	opts  Options
	path  string
	cols  columns
	first bool // the first pass, which takes notes
	in    *window
	keys  map[string]int // JSON: columns by path
}

// Read reads path. It honours ctx between chunks.
//
// A column is one of numbers if every cell that is not blank is one; NaN and inf
// in any spelling are numbers (a diverged run), and null, None, NA, n/a and nil
// are blank there. Otherwise it is text, without surrounding space. The table's
// notes say which columns were nearly numbers, how unusual numbers were read,
// what was renamed and what was left out. Roles are not assigned; see table.Assign.
func Read(ctx context.Context, path string, o Options) (*table.Table, error) {
	t, err := read(ctx, path, o, chunkSize)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	t.Source = filepath.Base(path)
	return t, nil
}

// read is Read with a chosen size of chunks.
func read(ctx context.Context, path string, o Options, chunk int) (*table.Table, error) {
	j := &job{opts: o, path: path, first: true}
	f, err := openFile(ctx, path, o.Progress)
	if err != nil {
		return nil, err
	}
	defer func() { f.close() }()
	if err := f.look(); err != nil {
		return nil, err
	}
	chosen, err := choose(f.head(), path, o.Format)
	if err != nil {
		return nil, err
	}
	j.in = f.window(chunk)
	if err := chosen.scan(j); err != nil {
		return nil, err
	}
	changed, err := f.changed()
	if err != nil {
		return nil, err
	}
	if j.cols.again() {
		before := f
		if f, err = openFile(ctx, path, o.Progress); err != nil {
			return nil, err
		}
		before.close()
		if changed || !f.same(before) {
			return nil, fmt.Errorf("the file changed while it was read: load it again")
		}
		j.first = false
		j.in = f.window(chunk)
		if err := chosen.scan(j); err != nil {
			return nil, err
		}
	}
	if changed {
		j.cols.note("the file changed while it was read: rows may be missing; load it again for the rest")
	}
	if len(j.cols.lines) == 0 {
		j.cols.note("the file has a header and no rows")
	}
	return j.cols.build(), nil
}
