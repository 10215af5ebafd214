package importers

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	pqformat "github.com/parquet-go/parquet-go/format"
)

// The file was written by hyparquet-writer 0.13, in row groups of three.
func TestParquet(t *testing.T) {
	content := readString(t, filepath.Join("testdata", "runs.parquet"))
	want := `run' a b _ d é
lr: 0.0001 0.0003 0.001 0.003 0.01
loss: 3.5 3.25 _ NaN 4
tokens: 1000000 2000000 3000000 4000000 9.007199254740992e15
layers: 2 4 6 8 10
half: 0.5 0.25 0.125 1 2
ok' true false _ true true
at' 2025-01-01 00:00:00.5 _ 2025-06-01 12:00:00 1969-12-31 23:59:59 1970-01-01 00:00:00
`
	tb := mustRead(t, file(t, "x", content), Options{})
	if diff := cmp.Diff(want, dump(tb)); diff != "" {
		t.Error(diff)
	}
	if len(tb.Notes) > 0 {
		t.Error(tb.Notes)
	}
}

// The file was written by DuckDB 1.5.6, with a column of almost every type it has; the CSV
// file is what DuckDB writes of the same rows.
func TestParquetTypes(t *testing.T) {
	records, err := csv.NewReader(strings.NewReader(readString(t, filepath.Join("testdata", "duckdb.csv")))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	tb := mustRead(t, filepath.Join("testdata", "duckdb.parquet"), Options{})
	if tb.Rows != len(records)-1 || len(tb.Columns) != len(records[0])+1 {
		t.Fatalf("%d rows, %d columns", tb.Rows, len(tb.Columns))
	}
	for k, name := range records[0] {
		c := tb.Column(name)
		if c == nil {
			t.Errorf("no column %s", name)
			continue
		}
		for i, r := range records[1:] {
			want, got := r[k], c.String(i)
			v, err := strconv.ParseFloat(want, 64)
			if w, err2 := strconv.ParseFloat(got, 64); want != got && (err != nil || err2 != nil || !same(v, w)) {
				t.Errorf("row %d: %s is %q, want %q", i+1, name, got, want)
			}
		}
	}
	want := []string{`lists are left out: "list/list"`, `values that are no text are left out: "blob"`}
	if diff := cmp.Diff(want, tb.Notes); diff != "" {
		t.Error(diff)
	}
}

// 96-bit time stamps, which Arrow writes for old readers: the nanoseconds of 1.5 seconds on
// the Julian days of 2024-01-01 and of the day before 1970.
func TestParquetInt96(t *testing.T) {
	var r parquetReader
	for days, want := range map[uint32]string{2460311: "2024-01-01 00:00:01.5", 2440587: "1969-12-31 00:00:01.5"} {
		v := parquet.ValueOf(deprecated.Int96{1_500_000_000, 0, days})
		if got := string(r.words(parquetColumn{}, &v)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// A column whose pages are damaged is left out; those before and after it are read.
func TestParquetDamagedColumn(t *testing.T) {
	content := []byte(readString(t, filepath.Join("testdata", "duckdb.parquet")))
	f, err := parquet.OpenFile(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	want := dump(mustRead(t, filepath.Join("testdata", "duckdb.parquet"), Options{}))
	chunk := f.Metadata().RowGroups[0].Columns[2].MetaData
	for i := range chunk.TotalCompressedSize {
		content[chunk.DataPageOffset+i] = 0xff
	}
	tb := mustRead(t, file(t, "x.parquet", string(content)), Options{})
	want = regexp.MustCompile(`(?m)^lr: .*\n`).ReplaceAllString(want, "")
	if diff := cmp.Diff(want, dump(tb)); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(tb.Notes[1], `x.parquet: column "lr": `) || !strings.HasSuffix(tb.Notes[1], "; the column is left out") {
		t.Errorf("%q", tb.Notes)
	}
}

func TestParquetLZ4(t *testing.T) {
	var b bytes.Buffer
	w := parquet.NewGenericWriter[nestedRow](&b, parquet.Compression(&parquet.Lz4Raw))
	if _, err := w.Write(make([]nestedRow, 3)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := file(t, "x.parquet", b.String())
	_, err := Read(t.Context(), path, Options{})
	refused(t, path, err, "the Parquet file is compressed with LZ4: write it out with another compression")
}

type nestedRow struct {
	Config struct {
		LR   string `parquet:"lr"`
		Name string `parquet:"name,optional"`
	} `parquet:"config"`
	Losses []float64 `parquet:"losses,list"`
	Loss   float64   `parquet:"loss"`
}

func TestParquetGroups(t *testing.T) {
	var b bytes.Buffer
	w := parquet.NewGenericWriter[nestedRow](&b)
	rows := make([]nestedRow, 3)
	for i, lr := range []string{"1e-3", "0.002", "auto"} {
		rows[i].Config.LR, rows[i].Losses, rows[i].Loss = lr, []float64{1, 2}, float64(i)
	}
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	tb := mustRead(t, file(t, "x.parquet", b.String()), Options{})
	if diff := cmp.Diff("config/lr' 1e-3 0.002 auto\nconfig/name: _ _ _\nloss: 0 1 2\n", dump(tb)); diff != "" {
		t.Error(diff)
	}
	if notes := strings.Join(tb.Notes, "\n"); !strings.Contains(notes, "lists are left out") {
		t.Error(notes)
	}
}

func TestParquetDamagedAnywhere(t *testing.T) {
	content := readString(t, filepath.Join("testdata", "runs.parquet"))
	path := filepath.Join(t.TempDir(), "x.parquet")
	for i := 4; i < len(content); i += 3 {
		broken := []byte(content)
		broken[i] ^= 1 << (i % 8)
		for _, b := range [][]byte{broken, broken[:i]} {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			tb, err := Read(t.Context(), path, Options{})
			if err == nil && tb.Rows > 5 {
				t.Errorf("byte %d: %d rows", i, tb.Rows)
			}
		}
	}
}

// A file of a few bytes that promises a description of four gigabytes is refused before
// there is room made for it.
func TestParquetFooter(t *testing.T) {
	path := file(t, "x.parquet", hugeFooter)
	_, err := Read(t.Context(), path, Options{})
	refused(t, path, err, "its description of 4294967295 bytes is longer than the file")
}

const hugeFooter = "PAR1\x15\x00\xff\xff\xff\xffPAR1"

// textFile writes a Parquet file with a page of texts whose head says there are fewer.
func textFile(tb testing.TB, o ...parquet.WriterOption) string {
	tb.Helper()
	type row struct {
		LR   float64 `parquet:"lr"`
		Name string  `parquet:"name,optional,plain"`
	}
	var b bytes.Buffer
	w := parquet.NewGenericWriter[row](&b, o...)
	if _, err := w.Write([]row{{1, "a"}, {2, "b"}, {3, "c"}}); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		tb.Fatal(err)
	}
	at := f.Metadata().RowGroups[0].Columns[1].MetaData.DataPageOffset
	var h pqformat.PageHeader
	protocol := thrift.CompactProtocol{}
	r := protocol.NewReaderFromBytes(b.Bytes()[at:])
	if err := thrift.NewDecoder(r).Decode(&h); err != nil {
		tb.Fatal(err)
	}
	if h.DataPageHeader.Valid {
		h.DataPageHeader.V.NumValues--
	} else {
		h.DataPageHeaderV2.V.NumValues--
	}
	head, err := thrift.Marshal(&protocol, &h)
	if err != nil || len(head) != r.BytesRead() {
		tb.Fatal(err, len(head), r.BytesRead())
	}
	copy(b.Bytes()[at:], head)
	return file(tb, "x.parquet", b.String())
}

// What the library says of a damaged page on the error stream would tear the screen.
func TestParquetIsQuiet(t *testing.T) {
	const task = "ETASTAR_TEST_QUIET"
	files := map[string][]parquet.WriterOption{
		"v1":        {parquet.DataPageVersion(1)},
		"v2":        {parquet.DataPageVersion(2)},
		"v1 snappy": {parquet.DataPageVersion(1), parquet.Compression(&parquet.Snappy)},
		"v2 zstd":   {parquet.DataPageVersion(2), parquet.Compression(&parquet.Zstd)},
	}
	for name, options := range files {
		switch os.Getenv(task) {
		case "importer":
			path := textFile(t, options...)
			tb := mustRead(t, path, Options{})
			if notes := strings.Join(tb.Notes, "\n"); dump(tb) != "lr: 1 2 3\n" || !strings.Contains(notes, `column "name": the Parquet file is damaged: byte `) ||
				!strings.Contains(notes, "a page has 3 texts, its head says 2; the column is left out") {
				t.Errorf("%s: %s %q", name, dump(tb), tb.Notes)
			}
		case "library":
			content := readString(t, textFile(t, options...))
			f, err := parquet.OpenFile(strings.NewReader(content), int64(len(content)))
			if err != nil {
				t.Fatal(err)
			}
			pages := f.RowGroups()[0].ColumnChunks()[1].Pages()
			if p, err := pages.ReadPage(); err == nil {
				parquet.Release(p)
			}
			_ = pages.Close()
		}
	}
	if os.Getenv(task) != "" {
		return
	}
	for who, said := range map[string]bool{"importer": false, "library": true} {
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestParquetIsQuiet$")
		c.Env = append(os.Environ(), task+"="+who)
		var out, errs strings.Builder
		c.Stdout, c.Stderr = &out, &errs
		if err := c.Run(); err != nil {
			t.Errorf("%s: %v\n%s", who, err, out.String())
		}
		if got := strings.Count(errs.String(), "parquet: warning"); (got > 0) != said || !said && errs.Len() > 0 {
			t.Errorf("%s: %s", who, errs.String())
		}
	}
}

// A description that is nested without end, or promises lists and texts longer than the
// file, is refused: the library would run out of stack or memory, which nothing recovers.
func TestThrift(t *testing.T) {
	for want, b := range map[string]string{
		"":                               "\x15\x02\x19\x2c\x18\x01x\x00\x00\x11\x1b\x01\x85\x01x\x02\x00",
		"it is nested more than 64 deep": "\x1a" + strings.Repeat("\x1a", 1000),
		"it ends too early":              "\x18\xff\xff\xff\xff\x07x",
		"promises more than there is":    "\x19\xfc\xff\xff\xff\xff\x07\x00",
		"a value of type 15":             "\x1f\x00",
	} {
		n, err := checkThrift(strings.NewReader(b+"rest"), 0, int64(len(b)))
		if want == "" && (err != nil || n != int64(len(b))) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %d, %v; want %s", b, n, err, want)
		}
	}
	deep := strings.Repeat("\x1a", 1<<20)
	path := file(t, "x.parquet", "PAR1\x00"+deep+string(binary.LittleEndian.AppendUint32(nil, uint32(len(deep))))+"PAR1")
	_, err := Read(t.Context(), path, Options{})
	refused(t, path, err, "nested more than 64 deep")
}

func FuzzParquet(f *testing.F) {
	f.Add([]byte(hugeFooter))
	for _, name := range []string{"runs.parquet", "duckdb.parquet"} {
		f.Add([]byte(readString(f, filepath.Join("testdata", name))))
	}
	path := filepath.Join(f.TempDir(), "x")
	f.Fuzz(func(t *testing.T, content []byte) {
		_, _ = fuzzRead(t, path, content, Options{Format: "parquet"})
	})
}

func BenchmarkReadParquet(b *testing.B) {
	type row struct {
		Name string  `parquet:"name,dict"`
		LR   float64 `parquet:"lr"`
		Loss float64 `parquet:"loss,optional"`
		N    int64   `parquet:"N"`
	}
	path := filepath.Join(b.TempDir(), "x.parquet")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w := parquet.NewGenericWriter[row](f)
	r := rand.New(rand.NewPCG(1, 2))
	rows := make([]row, 1000)
	for range 2000 {
		for i := range rows {
			rows[i] = row{fmt.Sprintf("sweep_%d", r.IntN(100)), r.Float64(), 2 + r.Float64(), r.Int64N(1e9)}
		}
		if _, err := w.Write(rows); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	size, err := f.Seek(0, 1)
	if err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		t, err := Read(b.Context(), path, Options{})
		if err != nil || t.Rows != 2_000_000 {
			b.Fatal(err)
		}
	}
}

// A page that promises more than there is is refused before room is made for it.
func TestParquetBomb(t *testing.T) {
	for want, h := range map[string]pqformat.PageHeader{
		"unpacks to 2000000000 bytes":     {UncompressedPageSize: 2_000_000_000, CompressedPageSize: 4},
		"a page has 2000000000 values":    {UncompressedPageSize: 8, CompressedPageSize: 4, DataPageHeader: thrift.New(pqformat.DataPageHeader{NumValues: 2_000_000_000})},
		"ends outside of its column":      {UncompressedPageSize: 8, CompressedPageSize: 400},
		"a page of -1 bytes ends outside": {UncompressedPageSize: 8, CompressedPageSize: -1},
	} {
		b, err := thrift.Marshal(&thrift.CompactProtocol{}, &h)
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, 1, 2, 3, 4)
		err = checkPages(bytes.NewReader(b), int64(len(b)), &pqformat.ColumnMetaData{TotalCompressedSize: int64(len(b))}, 10, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if err := checkPages(bytes.NewReader(nil), 0, &pqformat.ColumnMetaData{DataPageOffset: 4, TotalCompressedSize: 10}, 10, nil); err == nil {
		t.Error("pages outside of the file")
	}
}

// TestUnpacksTo: a packed page is not unpacked beyond what its head says.
func TestUnpacksTo(t *testing.T) {
	zeros := make([]byte, 1<<20)
	pack := func(w io.WriteCloser, b *bytes.Buffer) []byte {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	var g, z, b bytes.Buffer
	zw, err := zstd.NewWriter(&z)
	if err != nil {
		t.Fatal(err)
	}
	for codec, packed := range map[pqformat.CompressionCodec][]byte{
		pqformat.Gzip: pack(gzip.NewWriter(&g), &g), pqformat.Zstd: pack(zw, &z), pqformat.Brotli: pack(brotli.NewWriter(&b), &b),
	} {
		if err := unpacksTo(codec, bytes.NewReader(packed), 1<<20); err != nil {
			t.Errorf("%s: %v", codec, err)
		}
		if err := unpacksTo(codec, bytes.NewReader(packed), 1000); err == nil || !strings.Contains(err.Error(), "more than the 1000 bytes") {
			t.Errorf("%s: a bomb: %v", codec, err)
		}
		if err := unpacksTo(codec, bytes.NewReader(packed[:len(packed)/2]), 1<<20); err == nil {
			t.Errorf("%s: half of a page is none", codec)
		}
	}
}
