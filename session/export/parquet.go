package export

import (
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/table"
)

// Parquet writes one named value as CSV does, in the columns' types: numbers as
// doubles, blank cells as nulls, so that reading it gives the same table.
func Parquet(w io.Writer, s *session.Session, name string) error {
	columns, rows, err := namedRows(s, name)
	if err != nil {
		return err
	}
	if err := writeParquet(w, columns, rows); err != nil {
		return fmt.Errorf("write %s as Parquet: %w", name, err)
	}
	return nil
}

// namedRows is a named value as columns; a *NoValue where there is none.
func namedRows(s *session.Session, name string) ([]*table.Column, int, error) {
	c, err := chosen(s.Cells(), name)
	if err != nil {
		return nil, 0, err
	}
	columns, rows, ok := typed(current(c))
	if !ok {
		return nil, 0, &NoValue{fmt.Sprintf("%s holds %s, which has no rows; %s", name, article(c.Value.Type()), choices(s.Cells()))}
	}
	return columns, rows, nil
}

// typed turns a value into columns: those of a table, or the records of another.
func typed(v session.Value) (columns []*table.Column, rows int, ok bool) {
	switch v := v.(type) {
	case session.Table:
		return v.Columns, v.Rows, true
	case session.Sweep:
		return v.Columns, v.Rows, true
	case session.View:
		return shownColumns(v), v.Rows, true
	}
	records, ok := records(v)
	if !ok {
		return nil, 0, false
	}
	next := slices.Collect(records)
	for k, name := range next[0] {
		columns = append(columns, recordColumn(name, next[1:], k))
	}
	return columns, len(next) - 1, true
}

// recordColumn makes a column of field k of the records: of numbers if all that are
// not empty are.
func recordColumn(name string, records [][]string, k int) *table.Column {
	c := &table.Column{Name: name, Kind: table.Number}
	for _, r := range records {
		v := table.Missing
		if r[k] != "" {
			var err error
			if v, err = strconv.ParseFloat(r[k], 64); err != nil {
				c.Kind = table.Text
				break
			}
		}
		c.Numbers = append(c.Numbers, v)
	}
	if c.Kind == table.Number {
		return c
	}
	c.Numbers, c.Words = nil, []string{""}
	for _, r := range records {
		if r[k] == "" {
			c.Codes = append(c.Codes, 0)
			continue
		}
		c.Codes = append(c.Codes, uint32(len(c.Words)))
		c.Words = append(c.Words, r[k])
	}
	return c
}

// inOrder is a group whose fields keep their order.
type inOrder struct {
	parquet.Group
	fields []parquet.Field
}

func (g inOrder) Fields() []parquet.Field { return g.fields }

func writeParquet(w io.Writer, columns []*table.Column, rows int) error {
	group := parquet.Group{}
	for _, c := range columns {
		node := parquet.Leaf(parquet.DoubleType)
		if c.Kind == table.Text {
			node = parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
		}
		group[c.Name] = parquet.Optional(node)
	}
	byName := map[string]parquet.Field{}
	for _, f := range group.Fields() {
		byName[f.Name()] = f
	}
	root := inOrder{Group: group}
	for _, c := range columns {
		root.fields = append(root.fields, byName[c.Name])
	}
	out := parquet.NewWriter(w, parquet.NewSchema("table", root), parquet.Compression(&zstd.Codec{}), parquet.CreatedBy("etastar", "", ""))
	row := make(parquet.Row, len(columns))
	for i := range rows {
		for k, c := range columns {
			v := parquet.NullValue()
			switch {
			case c.Kind == table.Text && c.Codes[i] != 0:
				v = parquet.ByteArrayValue([]byte(c.String(i)))
			case c.Kind == table.Number && !table.IsMissing(c.Numbers[i]):
				v = parquet.DoubleValue(c.Numbers[i])
			}
			level := 1
			if v.IsNull() {
				level = 0
			}
			row[k] = v.Level(0, level, k)
		}
		if _, err := out.WriteRows([]parquet.Row{row}); err != nil {
			return err
		}
	}
	return out.Close()
}
