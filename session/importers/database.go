package importers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/etastar/etastar/session/importers/sqlite"
	"github.com/etastar/etastar/session/table"
)

func sniffSQLite(head []byte) int {
	if bytes.HasPrefix(head, []byte(sqlite.Magic)) {
		return 100
	}
	return 0
}

// scanSQLite reads a database: the trials of an Optuna storage or the runs of an
// MLflow tracking database, a row each, or one table as it is. The file is only read,
// never locked; rows that a program commits meanwhile belong to the next load.
func scanSQLite(j *job) error {
	path := j.in.f.file.Name()
	var log io.ReaderAt
	var logSize int64
	if f, err := os.Open(path + "-wal"); err == nil {
		defer f.Close()
		if info, err := f.Stat(); err == nil {
			log, logSize = f, info.Size()
		}
	}
	if info, err := os.Stat(path + "-journal"); err == nil && info.Size() > 0 && j.first {
		j.cols.note("a program is writing to the database, or was killed while it was: the last rows may be of a change that was not finished")
	}
	db, err := sqlite.Open(&toldPages{f: j.in.f}, j.in.f.info.Size(), log, logSize)
	if err != nil {
		return err
	}
	d := &database{job: j, db: db, rows: &jsonRows{job: j}}
	if j.first {
		j.keys = map[string]int{}
	}
	has := func(names ...string) bool {
		return j.opts.Table == 0 && !slices.ContainsFunc(names, func(name string) bool { return db.Table(name) == nil })
	}
	switch {
	case has("studies", "trials", "trial_params"):
		err = d.optuna()
	case has("experiments", "runs", "params", "metrics"):
		err = d.mlflow()
	default:
		err = d.plain()
	}
	switch {
	case db.Changed():
		return errChanged
	case j.in.f.ctx.Err() != nil:
		return j.in.f.ctx.Err()
	case err != nil && !errors.Is(err, sqlite.ErrDamaged):
		return err
	case err != nil && d.rows.row == 0:
		return err
	case err != nil:
		j.damaged(err)
	}
	if len(d.blobs) > 0 && j.first {
		j.cols.note("values that are no text are left out: %s", some(d.blobs))
	}
	return d.rows.finish()
}

// toldPages reads a database's pages and tells how many were read: a page in no order, some
// more than once.
type toldPages struct {
	f       *inputFile
	n, told int64
}

func (t *toldPages) ReadAt(p []byte, at int64) (int, error) {
	if err := t.f.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := t.f.file.ReadAt(p, at)
	if t.n += int64(n); t.f.progress != nil && (t.told == 0 || t.n-t.told >= chunkSize) {
		t.told = t.n
		t.f.progress(min(t.n, t.f.info.Size()), t.f.info.Size())
	}
	return n, err
}

// database feeds the rows of a database into the columns of a job.
type database struct {
	job   *job
	db    *sqlite.DB
	rows  *jsonRows
	blobs []string
	text  []byte
}

// put adds a row.
func (d *database) put(line int) error {
	if d.rows.row&0xfff == 0 {
		if err := d.job.in.f.ctx.Err(); err != nil {
			return err
		}
	}
	d.rows.line = line
	err := d.rows.commit()
	d.rows.parser.leaves, d.text = d.rows.parser.leaves[:0], d.text[:0]
	return err
}

// cell adds a cell to the row in hand.
func (d *database) cell(name string, v sqlite.Value) {
	if v.Kind == sqlite.Blob {
		if !utf8.Valid(v.Bytes) {
			d.rows.remember(&d.blobs, name)
		} else {
			v.Kind = sqlite.Text
		}
	}
	start := len(d.text)
	d.text = v.Append(d.text)
	d.rows.parser.leaves = append(d.rows.parser.leaves, leaf{[]byte(name), d.text[start:len(d.text):len(d.text)]})
}

// plain reads one table: the first that has a learning rate or a loss, unless
// table= says which.
func (d *database) plain() error {
	tables := d.db.Tables()
	if len(tables) == 0 {
		return errors.New("the database has no table that can be read")
	}
	chosen := d.job.opts.Table
	if chosen < 0 || chosen > len(tables) {
		return fmt.Errorf("there is no table %d: the database has %d", chosen, len(tables))
	}
	if chosen == 0 {
		chosen = 1
		for i := len(tables) - 1; i >= 0; i-- {
			if slices.ContainsFunc(tables[i].Columns, func(name string) bool {
				r, ok := table.MatchRole(name)
				return ok && (r == table.RoleLR || r == table.RoleLoss)
			}) {
				chosen = i + 1
			}
		}
	}
	t := &tables[chosen-1]
	if len(tables) > 1 && d.job.first {
		var others []string
		for i, o := range tables {
			if i+1 != chosen {
				others = append(others, fmt.Sprintf("%d %s", i+1, strconv.Quote(cut(o.Name))))
			}
		}
		d.job.cols.note("table %d of %d, %s; also: %s; choose with table=%s", chosen, len(tables), strconv.Quote(cut(t.Name)),
			some(others), strings.Fields(others[0])[0])
	}
	return d.db.Rows(t, func(values []sqlite.Value) error {
		for i, v := range values {
			d.cell(t.Columns[i], v)
		}
		return d.put(d.rows.row + 1)
	})
}

// each calls f for the rows of a table with the values of the columns named; those
// that a table lacks are Null. A table that is not there has no rows.
func (d *database) each(name string, columns []string, f func(v []sqlite.Value)) error {
	t := d.db.Table(name)
	if t == nil {
		return nil
	}
	at := make([]int, len(columns))
	for i, c := range columns {
		at[i] = slices.Index(t.Columns, c)
	}
	picked := make([]sqlite.Value, len(columns))
	return d.db.Rows(t, func(values []sqlite.Value) error {
		for i, k := range at {
			picked[i] = sqlite.Value{}
			if k >= 0 {
				picked[i] = values[k]
			}
		}
		f(picked)
		return d.job.in.f.ctx.Err()
	})
}

// kept returns a value that stays valid.
func kept(v sqlite.Value) sqlite.Value {
	v.Bytes = bytes.Clone(v.Bytes)
	return v
}
