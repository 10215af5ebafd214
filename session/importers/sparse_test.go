package importers

import (
	"fmt"
	"strings"
	"testing"
)

// A file that names other columns in each row would make a table as large as the square
// of its size: it is refused, or read up to where that is.
func TestSparse(t *testing.T) {
	const n = 8000
	var keys, blocks, log strings.Builder
	for i := range n {
		fmt.Fprintf(&keys, "{\"k%d\": 1, \"loss\": 2}\n", i)
		fmt.Fprintf(&blocks, "lr,k%d\n1,2\n", i)
		fmt.Fprintf(&log, "step:%d k%d:1\n", i, i)
	}
	want := "almost all cells of the table would be blank"
	for name, content := range map[string]string{"x.jsonl": keys.String(), "x.csv": blocks.String()} {
		path := file(t, name, content)
		_, err := Read(t.Context(), path, Options{})
		refused(t, path, err, want)
		small := strings.SplitAfter(content, "\n")[:200]
		if tb := mustRead(t, file(t, name, strings.Join(small, "")), Options{}); tb.Rows < 100 || len(tb.Columns) < 100 {
			t.Errorf("%s: %d rows, %d columns", name, tb.Rows, len(tb.Columns))
		}
	}
	tb := mustRead(t, file(t, "x.log", log.String()), Options{Format: "modded-nanogpt"})
	if notes := strings.Join(tb.Notes, "\n"); tb.Rows == 0 || tb.Rows >= n || !strings.Contains(notes, "the rest is left out") {
		t.Errorf("%d rows, %q", tb.Rows, tb.Notes)
	}
}
