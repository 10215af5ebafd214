package importers

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/etastar/etastar/session/table"
)

// file writes a file for a test.
func file(tb testing.TB, name, content string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func mustRead(tb testing.TB, path string, o Options) *table.Table {
	tb.Helper()
	t, err := Read(tb.Context(), path, o)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// dump prints a table, a column a line: "name: cells" for numbers, "name' cells"
// for text; "_" is a blank cell.
func dump(t *table.Table) string {
	var b strings.Builder
	for _, c := range t.Columns {
		b.WriteString(c.Name)
		b.WriteString(map[table.Kind]string{table.Number: ":", table.Text: "'"}[c.Kind])
		for i := range t.Rows {
			cell := c.String(i)
			if cell == "" {
				cell = "_"
			}
			b.WriteString(" " + strings.ReplaceAll(cell, "\n", "\\n"))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestReadTestdata(t *testing.T) {
	tests := []struct {
		name  string
		want  string
		lines []int32
		notes []string
	}{
		{
			"sweep.csv", `lr: 0.000488 0.0004883 0.000977 0.001953
bs: 32 32 64 64
loss: 2.413517 2.4135 NaN _
smooth loss: 2.3976109618296744 2.39761 Inf _
name' a_lr4.88e-04 a_lr4.883e-04 b, "wide" c
D: 1000000000 1000000000 2000000000 2000000000
N: 214663680 214663680 214663680 429260800
`,
			[]int32{2, 3, 4, 5},
			nil,
		},
		{
			"results.tsv", `val_bpb: 1.363 1.359
artifact_bytes: 12265862 15102915
notes' baseline the "best" so far
`,
			[]int32{2, 3},
			nil,
		},
		{
			"german.csv", `lr: 0.0003 0.001
loss: 2.5 2.25
name' erste zweite; halb
`,
			[]int32{2, 3},
			[]string{
				`column "lr" has numbers such as "0,0003": the comma is the decimal point`,
				`column "loss" has numbers such as "2,5": the comma is the decimal point`,
			},
		},
		{
			"runs.jsonl", `step: 10 20 30
train_loss: 13.9 NaN Inf
lr: 0.04 0.03 _
config/opt' adamw muon _
config/model/n_params: 1000000000 1000000000 _
tags' _ ["a", "b"] _
extra' _ _ true
`,
			[]int32{1, 2, 4},
			nil,
		},
		{
			"state.json", `epoch: 0.5 1
loss: 3.2 3
learning_rate: 0.001 0.0005
`,
			[]int32{5, 6},
			[]string{`the rows are the 2 elements of "log_history"; the file's other values are left out`},
		},
		{
			"array.json", `lr: 0.001 0.002
loss: 3.2 3.1
`,
			[]int32{2, 3},
			nil,
		},
		{
			"notes.md", `Learning rate: 0.06 0.04 0.02 0.01
val_bpb (post-quant): 1.2445 1.2286 1.223 _
Delta: 0.0159 _ -0.0056 _
remark' a | b _ best _
`,
			[]int32{11, 12, 13, 14},
			[]string{
				"table 2 of 2, at line 9; also: 1 (line 3); choose with table=1",
				`column "Learning rate": the remarks after its numbers are dropped, as in "0.04 (default)"`,
				`column "val_bpb (post-quant)": 1 of 4 cells have no number and are blank, as on line 14: "diverged"`,
				`column "Delta": the remarks after its numbers are dropped, as in "+0.0159 (much worse)"`,
			},
		},
	}
	for _, tt := range tests {
		path := filepath.Join("testdata", tt.name)
		for _, chunk := range []int{64, 100, chunkSize} {
			tb, err := read(t.Context(), path, Options{}, chunk)
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			if diff := cmp.Diff(tt.want, dump(tb)); diff != "" {
				t.Errorf("%s in chunks of %d: %s", tt.name, chunk, diff)
			}
			if !slices.Equal(tb.Lines, tt.lines) {
				t.Errorf("%s: lines %v, want %v", tt.name, tb.Lines, tt.lines)
			}
			if diff := cmp.Diff(tt.notes, tb.Notes); diff != "" {
				t.Errorf("%s: notes %s", tt.name, diff)
			}
		}
	}
	if tb := mustRead(t, "testdata/sweep.csv", Options{}); tb.Source != "sweep.csv" {
		t.Errorf("source %q", tb.Source)
	}
}

func TestCells(t *testing.T) {
	tests := []struct {
		name, csv, want string
		notes           []string
	}{
		{"blank, NaN and none", "x,y\n1,a\n,\nnan,b\nNone,c\n-inf,d\n", "x: 1 _ NaN _ -Inf\ny' a _ b c d\n", nil},
		{"words of absence are words in a text column", "opt,x\nNone,1\nadamw,2\nNA,3\n", "opt' None adamw NA\nx: 1 2 3\n", nil},
		{"only absence", "x,y\nNA,1\n,2\n", "x: _ _\ny: 1 2\n", nil},
		{"exact text of what looked like numbers", "id,x\n007,1\n1e3,2\n1.50,3\nabc,4\nx,5\n", "id' 007 1e3 1.50 abc x\nx: 1 2 3 4 5\n", nil},
		{
			"one stray word", "lr,x\n1,1\n2,1\n3,1\n4,1\n5,1\nn/a?,1\n", "lr' 1 2 3 4 5 n/a?\nx: 1 1 1 1 1 1\n",
			[]string{`column "lr" is text: line 7 has "n/a?"; the other cells are numbers`},
		},
		{
			"two stray words", "lr,x\ntodo,1\n1,1\n2,1\n3,1\n4,1\n5,1\n6,1\n7,1\n8,1\n?,1\n", "lr' todo 1 2 3 4 5 6 7 8 ?\nx: 1 1 1 1 1 1 1 1 1 1\n",
			[]string{`column "lr" is text: line 2 has "todo"; so have 1 more cells no number; the other 8 are numbers`},
		},
		{"suffixes", "N,x\n7B,1\n1.1B,2\n120M,3\n,4\n", "N: 7000000000 1100000000 120000000 _\nx: 1 2 3 4\n", []string{`column "N" has numbers such as "7B": K, M, B, T are thousand to trillion`}},
		{
			"suffixes on some", "N,x\n7B,1\n350,2\n", "N' 7B 350\nx: 1 2\n",
			[]string{`column "N" is text: line 3 has "350"; its numbers are written in several ways`},
		},
		{"thousands", "N,x\n\"1,234\",1\n999,2\n\"1,234,567.5\",3\n", "N: 1234 999 1234567.5\nx: 1 2 3\n", []string{`column "N" has numbers such as "1,234": commas are thousands separators`}},
		{"thousands among text", "N,x\n\"1,234\",1\nmany,2\n", "N' 1,234 many\nx: 1 2\n", nil},
		{"percent", "acc,x\n12%,1\n13.5%,2\n", "acc: 12 13.5\nx: 1 2\n", []string{`column "acc" has numbers such as "12%": the percent sign is dropped, 12% is 12`}},
		{"spaces", " a , b \n 1 ,  x y \n\t2,z\n", "a: 1 2\nb' x y z\n", nil},
		{"quotes", "a,b\n\"1\",\"x\ny\"\n2,\"\"\"z\"\"\"\n", "a: 1 2\nb' x\\ny \"z\"\n", nil},
		{"CRLF", "a,b\r\n1,x\r\n2,y\r\n", "a: 1 2\nb' x y\n", nil},
		{"no newline at the end", "a,b\n1,x", "a: 1\nb' x\n", nil},
		{"empty lines", "\n\na,b\n\n1,2\n   \n\n", "a: 1\nb: 2\n", nil},
		{"a column", "loss\n1\n2\n", "loss: 1 2\n", nil},
		{"names", "a,a,,a_2, a\n1,2,3,4,5\n", "a: 1\na_3: 2\ncolumn_3: 3\na_2: 4\na_4: 5\n", []string{
			"columns without a name are called column_N: 3", `repeated column names are numbered: "a_3", "a_4"`,
		}},
		{"no header", "0.1,3\n0.2,4\n", "0.1: 0.2\n3: 4\n", []string{`line 1 is taken for the header although it looks like data ("0.1"): name the columns in a first line`}},
		{"header only", "lr,loss\n", "lr:\nloss:\n", []string{"the file has a header and no rows"}},
		{"semicolons", "a;b\n1.5;x,y\n2;z\n", "a: 1.5 2\nb' x,y z\n", nil},
		{"bars", "a|b\n1|x\n2|y\n", "a: 1 2\nb' x y\n", nil},
		{"tabs in a .csv", "a\tb\n1\tx\n", "a: 1\nb' x\n", nil},
		{"not UTF-8 here and there", "a,b\n1,caf\xe9\n2,caf\xe9\n3,tea\n", "a: 1 2 3\nb' caf� caf� tea\n", []string{`column "b" has characters that are not UTF-8, shown as �`}},
	}
	for _, tt := range tests {
		path := file(t, "x.csv", tt.csv)
		for _, chunk := range []int{16, chunkSize} {
			tb, err := read(t.Context(), path, Options{}, chunk)
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			if diff := cmp.Diff(tt.want, dump(tb)); diff != "" {
				t.Errorf("%s, chunks of %d: %s", tt.name, chunk, diff)
			}
			if diff := cmp.Diff(tt.notes, tb.Notes); diff != "" {
				t.Errorf("%s: notes %s", tt.name, diff)
			}
		}
	}
}

func TestEncodings(t *testing.T) {
	text := "lr,name\n0.001,η–é😀\n"
	units := utf16.Encode([]rune("\ufeff" + text))
	var le, be []byte
	for _, u := range units {
		le = append(le, byte(u), byte(u>>8))
		be = append(be, byte(u>>8), byte(u))
	}
	want := dump(mustRead(t, file(t, "x.csv", text), Options{}))
	for name, content := range map[string]string{"UTF-8 with a mark": "\xef\xbb\xbf" + text, "UTF-16LE": string(le), "UTF-16BE": string(be)} {
		if got := dump(mustRead(t, file(t, "x.csv", content), Options{})); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// Whatever the chunks, the table is the same.
func TestChunksDoNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cell := rapid.SampledFrom([]string{"1", "2.5", "", "nan", "abc", "\"x,\ny\"", "7B", "\"1,234\"", "\"\"\"\""})
		rows := rapid.SliceOf(rapid.SliceOfN(cell, 3, 3)).Draw(rt, "rows")
		var b strings.Builder
		b.WriteString("a,b,c\n")
		for _, r := range rows {
			b.WriteString(strings.Join(r, ",") + "\n")
		}
		path := filepath.Join(t.TempDir(), "x.csv")
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
			rt.Fatal(err)
		}
		small, err := read(t.Context(), path, Options{Format: "csv"}, rapid.IntRange(1, 40).Draw(rt, "chunk"))
		if err != nil {
			rt.Fatal(err)
		}
		large, err := read(t.Context(), path, Options{Format: "csv"}, chunkSize)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(dump(large), dump(small)) + cmp.Diff(large.Notes, small.Notes) + cmp.Diff(large.Lines, small.Lines); diff != "" {
			rt.Fatalf("%q: %s", b.String(), diff)
		}
		if large.Rows != len(rows) {
			rt.Fatalf("%d rows of %d", large.Rows, len(rows))
		}
	})
}

func TestNaNIsNotMissing(t *testing.T) {
	tb := mustRead(t, file(t, "x.csv", "a,b\nNaN,1\n,2\n"), Options{})
	a := tb.Column("a")
	if table.IsMissing(a.Value(0)) || !math.IsNaN(a.Value(0)) || !table.IsMissing(a.Value(1)) {
		t.Errorf("%v", a.Numbers)
	}
}
