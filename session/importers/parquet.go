package importers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"slices"
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
			if function, _ := origin(); strings.HasPrefix(function, "github.com/etastar/") {
				panic(r)
			}
			err = fmt.Errorf("the Parquet file is damaged: %v", r)
		}
	}()
	if err := checkFooter(in.file, in.info.Size()); err != nil {
		return err
	}
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
	if isLZ4(f.Metadata()) {
		return errors.New("the Parquet file is compressed with LZ4: write it out with another compression, such as zstd")
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
		chunks := group.ColumnChunks()
		for i := 0; i < len(r.columns); i++ {
			c := r.columns[i]
			err := r.checkChunk(&f.Metadata().RowGroups[g], c, group.NumRows())
			if err == nil {
				err = r.chunk(j.cols.list[i], c, chunks[c.index], total)
			}
			if err == nil && j.cols.list[i].rows != total {
				err = fmt.Errorf("the Parquet file is damaged: %d of %d rows are there", j.cols.list[i].rows, total)
			}
			if err == nil {
				continue
			}
			err = fmt.Errorf("column %s: %w", strconv.Quote(c.name), err)
			// Without rows before it, a damaged column is left out and the others kept.
			if !j.first || g > 0 || len(r.columns) == 1 || in.ctx.Err() != nil {
				return err
			}
			j.damage("%v; the column is left out", err)
			if j.unreadable == nil {
				j.unreadable = map[string]bool{}
			}
			j.unreadable[c.name] = true
			r.columns = slices.Delete(r.columns, i, i+1)
			j.cols.list = slices.Delete(j.cols.list, i, i+1)
			i--
		}
		for i := len(j.cols.lines); j.first && i < total; i++ {
			j.cols.lines = append(j.cols.lines, int32(i+1))
		}
		if in.progress != nil {
			in.progress(in.info.Size()*int64(total)/max(1, rows), in.info.Size())
		}
	}
	if j.first && len(r.blobs) > 0 {
		j.cols.note("values that are no text are left out: %s", some(r.blobs))
	}
	return nil
}

// isLZ4 reports whether any pages are compressed with LZ4. The library reads of such a page
// what its buffer held before, wherever the page is not a third of its text
// (Column.decompress of parquet-go 0.32).
func isLZ4(m *pqformat.FileMetaData) bool {
	return slices.ContainsFunc(m.RowGroups, func(g pqformat.RowGroup) bool {
		return slices.ContainsFunc(g.Columns, func(c pqformat.ColumnChunk) bool { return c.MetaData.Codec == pqformat.Lz4Raw })
	})
}

// parquetColumn is a column of single values.
type parquetColumn struct {
	name     string
	index    int // of the file's leaves
	leaf     *parquet.Column
	layout   string        // of a time, "": none
	unit     time.Duration // of a time
	decimal  bool
	scale    int // of a decimal
	unsigned bool
	uuid     bool
	text     bool
}

const (
	stampLayout = "2006-01-02 15:04:05.999999999"
	clockLayout = "15:04:05.999999999"
)

// meaning takes from a logical type what the values stand for.
func (c *parquetColumn) meaning(l *pqformat.LogicalType) {
	if l == nil {
		return
	}
	switch t := l.Value.(type) {
	case *pqformat.TimestampType:
		c.layout, c.unit = stampLayout, unitOf(t.Unit)
	case *pqformat.TimeType:
		c.layout, c.unit = clockLayout, unitOf(t.Unit)
	case *pqformat.DateType:
		c.layout, c.unit = time.DateOnly, 24*time.Hour
	case *pqformat.DecimalType:
		c.decimal, c.scale = true, int(t.Scale)
	case *pqformat.IntType:
		c.unsigned = !t.IsSigned
	case *pqformat.UUIDType:
		c.uuid = true
	case *pqformat.StringType, *pqformat.EnumType, *pqformat.JsonType:
		c.text = true
	}
}

func unitOf(u pqformat.TimeUnit) time.Duration {
	switch u.Value.(type) {
	case *pqformat.MicroSeconds:
		return time.Microsecond
	case *pqformat.NanoSeconds:
		return time.Nanosecond
	}
	return time.Millisecond
}

type parquetReader struct {
	job     *job
	columns []parquetColumn
	lists   []string
	blobs   []string
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
			col := parquetColumn{name: strings.Join(name, "/"), index: child.Index(), leaf: child}
			col.meaning(child.Type().LogicalType())
			if !r.job.unreadable[col.name] {
				r.columns = append(r.columns, col)
			}
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
	case c.layout != "" || c.decimal:
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
			if number = float64(v.Int32()); c.unsigned {
				number = float64(v.Uint32())
			}
		case parquet.Int64:
			if number = float64(v.Int64()); c.unsigned {
				number = float64(v.Uint64())
			}
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
	switch v.Kind() {
	case parquet.Int32:
		return r.integer(c, int64(v.Int32()), uint64(v.Uint32()))
	case parquet.Int64:
		return r.integer(c, v.Int64(), v.Uint64())
	case parquet.Boolean:
		return strconv.AppendBool(r.text, v.Boolean())
	case parquet.Float:
		return strconv.AppendFloat(r.text, float64(v.Float()), 'g', -1, 64)
	case parquet.Double:
		return strconv.AppendFloat(r.text, v.Double(), 'g', -1, 64)
	case parquet.Int96:
		// A time stamp of older programs: nanoseconds of a Julian day.
		const epoch = 2440588 // 1970-01-01
		t := v.Int96()
		at := time.Unix((int64(int32(t[2]))-epoch)*86400, int64(uint64(t[1])<<32|uint64(t[0])))
		return at.UTC().AppendFormat(r.text, stampLayout)
	}
	b := v.ByteArray()
	switch {
	case c.decimal:
		n := new(big.Int).SetBytes(b)
		if len(b) > 0 && b[0] >= 0x80 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
		}
		return c.scaled(n.Append(r.text, 10))
	case c.uuid && len(b) == 16:
		return fmt.Appendf(r.text, "%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	case !c.text && (!utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0):
		if name := strconv.Quote(cut(c.name)); len(r.blobs) < 100 && !slices.Contains(r.blobs, name) {
			r.blobs = append(r.blobs, name)
		}
		return nil
	}
	return b
}

// integer is a whole number as text, or what it stands for; u is its bits.
func (r *parquetReader) integer(c parquetColumn, n int64, u uint64) []byte {
	switch {
	case c.layout != "" && c.unit > time.Second:
		return time.Unix(n*int64(c.unit/time.Second), 0).UTC().AppendFormat(r.text, c.layout)
	case c.layout != "":
		unit := int64(time.Second / c.unit)
		return time.Unix(n/unit, n%unit*int64(c.unit)).UTC().AppendFormat(r.text, c.layout)
	case c.unsigned:
		return strconv.AppendUint(r.text, u, 10)
	}
	return c.scaled(strconv.AppendInt(r.text, n, 10))
}

// scaled adds the exponent of a decimal to its digits.
func (c parquetColumn) scaled(digits []byte) []byte {
	if c.scale == 0 {
		return digits
	}
	return strconv.AppendInt(append(digits, 'e'), -int64(c.scale), 10)
}
