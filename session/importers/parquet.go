package importers

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	pqformat "github.com/parquet-go/parquet-go/format"

	"github.com/etastar/etastar/session/table"
)

const parquetMagic = "PAR1"

// A Parquet file begins and ends with its magic; text may begin so too.
func sniffParquet(head []byte) int {
	if len(head) > len(parquetMagic) && string(head[:len(parquetMagic)]) == parquetMagic &&
		(!utf8.Valid(trimRune(head)) || strings.ContainsRune(string(head), 0)) {
		return 100
	}
	return 0
}

// scanParquet reads the columns of a Parquet file whose values are single numbers,
// truth values, times or texts; what is within groups is named group/name.
func scanParquet(j *job) (err error) {
	in := j.in.f
	// What a library makes of a damaged file is not ours to foresee.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the Parquet file is damaged: %v", r)
		}
	}()
	f, err := parquet.OpenFile(in.file, in.info.Size(), parquet.SkipBloomFilters(true), parquet.SkipPageIndex(true))
	if err != nil {
		return fmt.Errorf("the Parquet file is damaged, or still being written: %w", err)
	}
	r := &parquetReader{job: j}
	r.leaves(f.Root(), nil)
	if len(r.columns) == 0 {
		return errors.New("the Parquet file has no columns of single values")
	}
	if len(r.columns) > maxColumns {
		return fmt.Errorf("the Parquet file has more than %d columns", maxColumns)
	}
	rows := f.NumRows()
	if rows < 0 || rows > int64(maxCells/len(r.columns)) {
		return fmt.Errorf("the table of %d rows and %d columns has more than %d cells", rows, len(r.columns), maxCells)
	}
	if j.first {
		for _, c := range r.columns {
			j.cols.list = append(j.cols.list, newColumn(cleanName(c.name)))
		}
		r.uniqueNames()
		if len(r.lists) > 0 {
			j.cols.note("lists are left out: %s", some(r.lists))
		}
	}
	total := 0
	for g, group := range f.RowGroups() {
		if total += int(group.NumRows()); group.NumRows() < 0 || int64(total) > rows {
			return errors.New("the Parquet file is damaged: its parts have more rows than it has")
		}
		if err := r.checkGroup(&f.Metadata().RowGroups[g], group.NumRows()); err != nil {
			return err
		}
		chunks := group.ColumnChunks()
		for i, c := range r.columns {
			if err := r.chunk(j.cols.list[i], c, chunks[c.index], total); err != nil {
				return fmt.Errorf("column %s: %w", strconv.Quote(c.name), err)
			}
			if j.cols.list[i].rows != total {
				return fmt.Errorf("column %s: the Parquet file is damaged: %d of %d rows are there", strconv.Quote(c.name), j.cols.list[i].rows, total)
			}
		}
		for i := len(j.cols.lines); j.first && i < total; i++ {
			j.cols.lines = append(j.cols.lines, int32(i+1))
		}
		if in.progress != nil {
			in.progress(in.info.Size()*int64(total)/max(1, rows), in.info.Size())
		}
	}
	return nil
}

// parquetColumn is a column of single values.
type parquetColumn struct {
	name  string
	index int // of the file's leaves
	kind  parquet.Kind
	time  time.Duration // the unit of a time stamp; 0: none
	date  bool
	scale int // of a decimal
}

// meaning takes from a logical type what the numbers stand for.
func (c *parquetColumn) meaning(l *pqformat.LogicalType) {
	if l == nil {
		return
	}
	switch t := l.Value.(type) {
	case *pqformat.TimestampType:
		c.time = time.Millisecond
		switch t.Unit.Value.(type) {
		case *pqformat.MicroSeconds:
			c.time = time.Microsecond
		case *pqformat.NanoSeconds:
			c.time = time.Nanosecond
		}
	case *pqformat.DateType:
		c.date = true
	case *pqformat.DecimalType:
		c.scale = int(t.Scale)
	}
}

type parquetReader struct {
	job     *job
	columns []parquetColumn
	lists   []string
	values  [1024]parquet.Value
	text    []byte
}

// leaves collects the columns below c.
func (r *parquetReader) leaves(c *parquet.Column, path []string) {
	for _, child := range c.Columns() {
		name := append(path[:len(path):len(path)], child.Name())
		switch {
		case child.Repeated():
			if len(r.lists) < 100 {
				r.lists = append(r.lists, strconv.Quote(cut(strings.Join(name, "/"))))
			}
		case !child.Leaf():
			r.leaves(child, name)
		default:
			col := parquetColumn{name: strings.Join(name, "/"), index: child.Index(), kind: child.Type().Kind()}
			col.meaning(child.Type().LogicalType())
			r.columns = append(r.columns, col)
		}
	}
}

// uniqueNames tells columns of the same name apart.
func (r *parquetReader) uniqueNames() {
	used := map[string]bool{}
	for _, c := range r.job.cols.list {
		name := c.name
		for n := 2; used[c.name]; n++ {
			c.name = name + "_" + strconv.Itoa(n)
		}
		used[c.name] = true
	}
}

// chunk reads the values that a row group has of a column, to total rows.
func (r *parquetReader) chunk(to *column, c parquetColumn, chunk parquet.ColumnChunk, total int) error {
	if to.mode == settled && !r.job.first {
		to.rows = total
		return nil
	}
	pages := chunk.Pages()
	defer pages.Close()
	for {
		if err := r.job.in.f.ctx.Err(); err != nil {
			return err
		}
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("the Parquet file is damaged: %w", err)
		}
		err = r.page(to, c, page, total)
		parquet.Release(page)
		if err != nil {
			return err
		}
	}
}

func (r *parquetReader) page(to *column, c parquetColumn, page parquet.Page, total int) error {
	values := page.Values()
	for {
		n, err := values.ReadValues(r.values[:])
		if to.rows+n > total {
			return errors.New("the Parquet file is damaged: it has more values than rows")
		}
		for i := range r.values[:n] {
			r.add(to, c, &r.values[i])
		}
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("the Parquet file is damaged: %w", err)
		}
	}
}

// add adds a value; numbers go into a column of numbers as they are.
func (r *parquetReader) add(to *column, c parquetColumn, v *parquet.Value) {
	number, isNumber := 0.0, true
	switch {
	case v.IsNull():
		number = table.Missing
	case c.time != 0 || c.date || c.scale > 0:
		isNumber = false
	default:
		switch v.Kind() {
		case parquet.Double:
			// A NaN of any payload is a NaN: ours for a blank cell is no one else's.
			if number = v.Double(); number != number {
				number = math.NaN()
			}
		case parquet.Float:
			number = float64(v.Float())
		case parquet.Int32:
			number = float64(v.Int32())
		case parquet.Int64:
			number = float64(v.Int64())
		default:
			isNumber = false
		}
	}
	if isNumber && to.mode == asNumbers {
		to.rows++
		to.numbers = append(to.numbers, number)
		if !v.IsNull() {
			to.written++
		}
		return
	}
	to.add(r.words(c, v), to.rows+1, false)
}

// words is a value as text.
func (r *parquetReader) words(c parquetColumn, v *parquet.Value) []byte {
	r.text = r.text[:0]
	if v.IsNull() {
		return nil
	}
	switch kind := v.Kind(); {
	case kind == parquet.Int64 && c.time != 0:
		unit := int64(time.Second / c.time)
		at := time.Unix(v.Int64()/unit, v.Int64()%unit*int64(c.time)).UTC()
		return at.AppendFormat(r.text, "2006-01-02 15:04:05.999999999")
	case kind == parquet.Int32 && c.date:
		return time.Unix(int64(v.Int32())*86400, 0).UTC().AppendFormat(r.text, time.DateOnly)
	case (kind == parquet.Int32 || kind == parquet.Int64) && c.scale > 0:
		n := v.Int64()
		if kind == parquet.Int32 {
			n = int64(v.Int32())
		}
		return strconv.AppendFloat(r.text, float64(n)/math.Pow10(c.scale), 'g', -1, 64)
	case kind == parquet.Boolean:
		return strconv.AppendBool(r.text, v.Boolean())
	case kind == parquet.Int32:
		return strconv.AppendInt(r.text, int64(v.Int32()), 10)
	case kind == parquet.Int64:
		return strconv.AppendInt(r.text, v.Int64(), 10)
	case kind == parquet.Float:
		return strconv.AppendFloat(r.text, float64(v.Float()), 'g', -1, 64)
	case kind == parquet.Double:
		return strconv.AppendFloat(r.text, v.Double(), 'g', -1, 64)
	case kind == parquet.ByteArray || kind == parquet.FixedLenByteArray:
		return v.ByteArray()
	}
	return append(r.text, v.String()...)
}
