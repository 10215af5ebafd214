package export

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/table"
)

// JSONRows writes one named value as CSV does, as a list of objects, one a line. A
// blank cell is null; the numbers that JSON lacks are the strings "NaN", "Infinity"
// and "-Infinity", so that reading the list gives the same table.
func JSONRows(w io.Writer, s *session.Session, name string) error {
	columns, rows, err := namedRows(s, name)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	if err := writeRows(out, columns, rows); err != nil {
		return fmt.Errorf("write %s as JSON: %w", name, err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write %s as JSON: %w", name, err)
	}
	return nil
}

func writeRows(out *bufio.Writer, columns []*table.Column, rows int) error {
	keys := make([][]byte, len(columns))
	for k, c := range columns {
		var err error
		if keys[k], err = json.Marshal(c.Name); err != nil {
			return err
		}
	}
	_, _ = out.WriteString("[")
	for i := range rows {
		if i > 0 {
			_ = out.WriteByte(',')
		}
		_, _ = out.WriteString("\n{")
		for k, c := range columns {
			if k > 0 {
				_, _ = out.WriteString(", ")
			}
			value, err := json.Marshal(jsonCell(c, i))
			if err != nil {
				return err
			}
			_, _ = out.Write(keys[k])
			_, _ = out.WriteString(": ")
			_, _ = out.Write(value)
		}
		_ = out.WriteByte('}')
	}
	_, err := out.WriteString("\n]\n")
	return err
}

func jsonCell(c *table.Column, i int) any {
	if c.Kind == table.Text {
		if c.Codes[i] == 0 {
			return nil
		}
		return c.String(i)
	}
	switch v := c.Numbers[i]; {
	case table.IsMissing(v):
		return nil
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 1):
		return "Infinity"
	case math.IsInf(v, -1):
		return "-Infinity"
	default:
		return v
	}
}
