package importers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/etastar/etastar/session/table"
)

func TestRagged(t *testing.T) {
	path := file(t, "x.csv", "lr,loss,name\n1,2,a\n3,4\n3,4\n5,6,b\n7,8,c,9\n")
	_, err := Read(t.Context(), path, Options{})
	want := fmt.Sprintf("%q: line 3: expected 3 fields as in the header, found 2; mend the line, give its block a header, or say ragged=skip to leave out and count such lines", path)
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	tb := mustRead(t, path, Options{Ragged: true})
	if got := dump(tb); got != "lr: 1 5\nloss: 2 6\nname' a b\n" {
		t.Error(got)
	}
	if !slices.Equal(tb.Lines, []int32{2, 5}) || !slices.Equal(tb.Notes, []string{"x.csv: 3 rows with the wrong number of fields left out (lines 3, 4, 6)"}) {
		t.Errorf("%v %v", tb.Lines, tb.Notes)
	}
	md := file(t, "x.md", "| lr | loss |\n|---|---|\n| 1 | 2 |\n| 3 |\n| 3 |\n| 4 | 5 |\n")
	if _, err := Read(t.Context(), md, Options{}); err == nil || !strings.Contains(err.Error(), "line 4: expected 2 fields as in the header, found 1") {
		t.Error(err)
	}
	if got := dump(mustRead(t, md, Options{Ragged: true})); got != "lr: 1 4\nloss: 2 5\n" {
		t.Error(got)
	}
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		name, content string
		options       Options
		want          string
	}{
		{"x.csv", "", Options{}, "the file is empty"},
		{"x.csv", "\n \n\n", Options{Format: "csv"}, "the file holds only empty lines"},
		{"x.csv", "\n\n\n", Options{}, "the file holds only empty lines"},
		{"x.csv", "a,b\n1,2\n", Options{Format: "opencompass"}, "this is no summary of OpenCompass: the header of one begins with dataset, version, metric, mode"},
		{"x.csv", "a,b\n1,2\n3,4\"\n", Options{Format: "opencompass"}, "line 3: column \"b\": has a quote"},
		{"x.csv", "\r", Options{}, "the file holds only empty lines"},
		{"x.tsv", "\n\r", Options{Format: "tsv"}, "the file holds only empty lines"},
		{"x.csv", "a,b\n1,x\"y\n", Options{}, `line 2: column "b": has a quote within an unquoted field`},
		{"x.csv", "a,b\n1,\"x\"y\n", Options{}, `line 2: column "b": has a quoted field that goes on after its closing quote`},
		{"x.csv", "a,b\n\n1,\"x\ny\n", Options{}, `line 3: column "b": begins a quoted field that is never closed`},
		{"x.csv", "a,\"b\nc\",d\n1,2,\"3\n4\"5\n", Options{}, `line 4: column "d": has a quoted field that goes on`},
		{"x.csv", "\"a\n", Options{}, `line 1: field 1: begins a quoted field that is never closed`},
		{"x.csv", "a,b\r1,2\r", Options{}, "line 1: lines end in a lone carriage return"},
		{"x.csv", "a,b\n1,\x002\n", Options{}, "this is not text: byte 6 is NUL"},
		{"x.csv", "a,b\n" + strings.Repeat("\n", 160_000) + "1,\x002\n", Options{}, "this is not text: byte 160006 is NUL"},
		{"x.csv", "a,b\n1\n2\n", Options{}, "line 2: expected 2 fields as in the header, found 1"},
		{"x.csv", "a,b\n1\n", Options{}, "line 2: expected 2 fields as in the header, found 1"},
		{"x.csv", "a,b\n1,2\nx,y,z\n5,6\n", Options{}, "line 3: expected 2 fields as in the header, found 3"},
		{"x.csv", "a,b\n1,2\nx,y,z\na,b\n5,6\n", Options{}, "line 3: expected 2 fields as in the header, found 3"},
		{"x.md", "|a|b|\n|-|-|\n|1|\n", Options{}, "line 3: expected 2 fields as in the header, found 1"},
		{"x.csv", strings.Repeat("\xff\xe0\x80", 100), Options{}, "this is not UTF-8 text"},
		{"x.csv.gz", "\x1f\x8b\x08\x00\x00\x00", Options{}, "the gzip file ends too early, after 0 bytes of its text"},
		{"x.xlsx", "PK\x03\x04\x14\x00\x06\x00", Options{}, "a zip archive or a spreadsheet"},
		{"x.parquet", "PAR1\x15\x00", Options{}, "the Parquet file is damaged, or still being written"},
		{"x.csv", "\xff\xfe\x00\x00a\x00\x00\x00", Options{}, "the text is UTF-32"},
		{"x.csv", "a,b\n1,2\n", Options{Format: "cvs"}, `there is no format "cvs"; did you mean csv? (formats: `},
		{"x.log", "step 1 of 10, loss 3\nstarting\nstep 2\n", Options{}, "no table is found in it"},
		{"x.csv", strings.Repeat(",", maxColumns) + "\n", Options{}, "the header has 100001 columns"},
		{"x.jsonl", "{\"a\" 2}\n", Options{}, `line 1: expected : after the key, found "2"`},
		{"x.jsonl", "{\"a\": 2\n{\"a\": 3\n{", Options{}, `line 2: expected , or } after a value, found "{"`},
		{"x.jsonl", "{\"a\": bad}\n", Options{}, `line 1: expected a value, found "bad"`},
		{"x.jsonl", "{a: 1}\n", Options{Format: "jsonl"}, `line 1: expected a key in double quotes, found "a"`},
		{"x.jsonl", "{\"a\": \"x\ny\"}\n", Options{}, "line 1: a string is not closed on its line"},
		{"x.jsonl", "{\"a\": \"\\x\"}\n", Options{}, "line 1: a string has an escape that is none"},
		{"x.jsonl", "{\"a\": 1", Options{}, "line 1: the record ends too early"},
		{"x.jsonl", "{}\n{}\n", Options{}, "there are no objects with values in it"},
		{"x.json", strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100), Options{}, "objects are nested more than 64 deep"},
		{"x.json", `{"a":` + strings.Repeat(`[`, 100) + strings.Repeat("]", 100) + "}", Options{}, "lists are nested more than 64 deep"},
		{"x.md", "# only prose, with a | in it\n", Options{}, "there is no table in it"},
		{"x.md", "|a|b|\n|-|-|\n|1|2|\n", Options{Table: 2}, "there is no table 2: the file has 1"},
	}
	for i, tt := range tests {
		path := filepath.Join(dir, fmt.Sprint(i)+tt.name)
		if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Read(t.Context(), path, tt.options)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), fmt.Sprintf("%q: ", path)) {
			t.Errorf("%.60q: %v\nwant %s", tt.content, err, tt.want)
		}
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "nothing.csv"): "there is no such file",
		t.TempDir():                       "this is a directory without runs",
		os.DevNull:                        "this is not a regular file",
	} {
		if _, err := Read(t.Context(), path, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}

// A record that never ends is refused before it fills the memory.
func TestEndlessRecord(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 70 MB")
	}
	path := filepath.Join(t.TempDir(), "x.csv")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	block := []byte(strings.Repeat("0123456789", 1<<17))
	for range 56 {
		if _, err := f.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(t.Context(), path, Options{}); err == nil || !strings.Contains(err.Error(), "line 1: the record is longer than 64 MiB") {
		t.Error(err)
	}
}

func TestManyColumns(t *testing.T) {
	var b strings.Builder
	for r := range 3 {
		for c := range 10_000 {
			if c > 0 {
				b.WriteByte(',')
			}
			if r == 0 {
				b.WriteByte('c')
			}
			fmt.Fprint(&b, c*r+c)
		}
		b.WriteByte('\n')
	}
	tb := mustRead(t, file(t, "wide.csv", b.String()), Options{})
	if len(tb.Columns) != 10_000 || tb.Rows != 2 || tb.Columns[9999].Value(1) != 3*9999 {
		t.Errorf("%d columns, %d rows", len(tb.Columns), tb.Rows)
	}
}

func TestCancel(t *testing.T) {
	path, size := sweepFile(t, 20_000)
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	_, err := Read(ctx, path, Options{Progress: func(read, total int64) {
		if calls++; total != size || read <= 0 || read > total {
			t.Errorf("progress %d of %d", read, total)
		}
		cancel()
	}})
	if !errors.Is(err, context.Canceled) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

func TestProgressEndsAtTheSize(t *testing.T) {
	path, size := sweepFile(t, 20_000)
	last := int64(0)
	tb := mustRead(t, path, Options{Progress: func(read, _ int64) { last = read }})
	if last != size || tb.Rows != 20_000 {
		t.Errorf("%d of %d bytes, %d rows", last, size, tb.Rows)
	}
}

// A file that grows while it is read gives what it held at first, and says so.
func TestChangingFile(t *testing.T) {
	grow := func(content, more string) (*table.Table, error) {
		path := file(t, "x.csv", content)
		return Read(t.Context(), path, Options{Progress: func(int64, int64) {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString(more); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}})
	}
	tb, err := grow("lr,loss\n1,2\n", "3,4\n")
	if err != nil || tb.Rows != 1 || len(tb.Notes) != 1 || !strings.HasPrefix(tb.Notes[0], "the file changed while it was read") {
		t.Errorf("%v, %v", tb, err)
	}
	// Another pass would see another file.
	if _, err := grow("id,loss\n1,2\nx,4\n", "3,4\n"); err == nil || !strings.Contains(err.Error(), "the file changed while it was read: load it again") {
		t.Error(err)
	}
	path := file(t, "x.csv", "lr,loss\n1,2\n")
	_, err = Read(t.Context(), path, Options{Progress: func(int64, int64) {
		if err := os.Truncate(path, 3); err != nil {
			t.Fatal(err)
		}
	}})
	if err == nil || !strings.Contains(err.Error(), "cut short") {
		t.Error(err)
	}
}
