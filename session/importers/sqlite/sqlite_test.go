package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The files of testdata were written by SQLite 3.40.

func load(tb testing.TB, name string) *bytes.Reader {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return bytes.NewReader(b)
}

func open(tb testing.TB, name string) *DB {
	tb.Helper()
	r := load(tb, name)
	var db *DB
	var err error
	if _, missing := os.Stat(filepath.Join("testdata", name+"-wal")); missing == nil {
		log := load(tb, name+"-wal")
		db, err = Open(r, r.Size(), log, log.Size())
	} else {
		db, err = Open(r, r.Size(), nil, 0)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return db
}

// dump prints a table, a row a line.
func dump(tb testing.TB, db *DB, name string) string {
	tb.Helper()
	var b strings.Builder
	t := db.Table(name)
	fmt.Fprintln(&b, strings.Join(t.Columns, "|"))
	err := db.Rows(t, func(values []Value) error {
		for i, v := range values {
			if i > 0 {
				b.WriteByte('|')
			}
			if v.Kind == Blob {
				fmt.Fprintf(&b, "%x", v.Bytes)
			}
			b.Write(v.Append(nil))
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

// Rows over many pages, one of them over several of its own.
func TestPlain(t *testing.T) {
	var b strings.Builder
	fmt.Fprintln(&b, "run_id|lr|loss|d, model|note|raw|tokens")
	for i := range 300 {
		if i == 4 {
			continue // deleted
		}
		loss := Value{Kind: Float, Float: 3 + 1/float64(i+1)}
		if i%50 == 7 {
			loss = Value{}
		}
		repeats, raw := i%7, ""
		if i == 10 {
			repeats = 1500
		}
		if i == 3 {
			raw = "ff00"
		}
		lr := Value{Kind: Float, Float: 1e-4 * float64(i+1)}
		fmt.Fprintf(&b, "%d|%s|%s|%d|n%d %s|%s|1000000\n", i+1, lr.Append(nil), loss.Append(nil),
			[]int64{0, 1, 127, -128, 40000, 1 << 31, -1 << 40, 1 << 62}[i%8], i, strings.Repeat("é", repeats), raw)
	}
	fmt.Fprintln(&b, "301|0.5|2.5|64|||7")
	db := open(t, "plain.db")
	if diff := cmp.Diff(b.String(), dump(t, db, "sweep runs")); diff != "" {
		t.Error(diff)
	}
	if got := dump(t, db, "notes"); got != "id|text\n-3|x\n" {
		t.Error(got)
	}
	if len(db.Tables()) != 2 || db.Changed() {
		t.Errorf("%d tables, changed %v", len(db.Tables()), db.Changed())
	}
}

// Of a write-ahead log what is committed counts: 59 rows of it, not the frames after.
func TestWAL(t *testing.T) {
	var b strings.Builder
	b.WriteString("a|b\n1|new\n")
	for i := 2; i < 60; i++ {
		fmt.Fprintf(&b, "%d|row %d\n", i, i)
	}
	if diff := cmp.Diff(b.String(), dump(t, open(t, "wal.db"), "t")); diff != "" {
		t.Error(diff)
	}
	file := load(t, "wal.db")
	db, err := Open(file, file.Size(), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := dump(t, db, "t"); got != "a|b\n1|old\n" {
		t.Error(got)
	}
	// A log that ends anywhere has a state of the database.
	log := load(t, "wal.db-wal")
	rows := 0
	for n := int64(0); n <= log.Size(); n += 8 {
		db, err := Open(file, file.Size(), log, n)
		if err != nil {
			t.Fatal(err)
		}
		now := strings.Count(dump(t, db, "t"), "\n")
		if now < rows {
			t.Fatalf("%d rows of %d bytes, %d of fewer", now, n, rows)
		}
		rows = now
	}
}

func TestUTF16(t *testing.T) {
	db := open(t, "utf16.db")
	if got := dump(t, db, "t"); got != "k|η|x|y\n7|π𝛼|é|-2.5\n" {
		t.Error(got)
	}
	if got := dump(t, db, "without_ids"); got != "a\n" {
		t.Error(got)
	}
}

// Tables without row ids, whose records have the columns of the key first: rowless.txt is
// what SQLite itself selects of them, in the order of the key.
func TestWithoutRowIDs(t *testing.T) {
	want, err := os.ReadFile(filepath.Join("testdata", "rowless.txt"))
	if err != nil {
		t.Fatal(err)
	}
	db := open(t, "rowless.db")
	var got strings.Builder
	for _, table := range db.Tables() {
		fmt.Fprintf(&got, "# %s\n%s", table.Name, dump(t, db, table.Name))
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestParseTable(t *testing.T) {
	tests := []struct {
		sql     string
		columns string
		key     int
		ok      bool
	}{
		{"CREATE TABLE t(a, b)", "a b", -1, true},
		{"CREATE TABLE t(a INTEGER PRIMARY KEY, b)", "a b", 0, true},
		{"CREATE TABLE t(a INTEGER PRIMARY KEY DESC, b)", "a b", -1, true},
		{"CREATE TABLE t(a INT PRIMARY KEY, b)", "a b", -1, true},
		{"CREATE TABLE t(b, \"A\" INTEGER, PRIMARY KEY(\"a\" ASC))", "b A", 1, true},
		{"CREATE TABLE t(a INTEGER, b INTEGER, PRIMARY KEY(a, b))", "a b", -1, true},
		{"CREATE TABLE t(a DECIMAL(10, 2) NOT NULL DEFAULT (1,2), [b c] -- x, y\n, `d``e` CHECK (a IN (1, 2)), CONSTRAINT p PRIMARY KEY (a), FOREIGN KEY (a) REFERENCES o(x))", "a b c d`e", -1, true},
		{"CREATE TABLE t(a, b AS (a+1), c GENERATED ALWAYS AS (a) STORED, d /* , e */)", "a c d", -1, true},
		{"CREATE TABLE t(a INTEGER PRIMARY KEY, b) WITHOUT ROWID", "a b", -1, true},
		{"CREATE TABLE t(a INTEGER, b, PRIMARY KEY(a COLLATE binary)) STRICT", "a b", 0, true},
		{"CREATE TABLE t(a INTEGER, b, PRIMARY KEY(a DESC))", "a b", 0, true},
		{"CREATE VIRTUAL TABLE t USING fts5", "", -1, false},
		{"CREATE TABLE t", "", -1, false},
		{"", "", -1, false},
	}
	for _, tt := range tests {
		got, ok := parseTable(tt.sql)
		if ok != tt.ok || ok && (strings.Join(got.Columns, " ") != tt.columns || got.key != tt.key) {
			t.Errorf("%s: %q, key %d, %v", tt.sql, got.Columns, got.key, ok)
		}
	}
}

// Whatever the bytes are, reading ends, and what it says of rows it read from them.
func readAll(tb testing.TB, b, log []byte) {
	tb.Helper()
	r := bytes.NewReader(b)
	db, err := Open(r, r.Size(), bytes.NewReader(log), int64(len(log)))
	if err != nil {
		return
	}
	for i := range db.Tables() {
		t := &db.Tables()[i]
		err := db.Rows(t, func(values []Value) error {
			if len(values) != len(t.Columns) {
				tb.Fatalf("%d values of %d columns", len(values), len(t.Columns))
			}
			for _, v := range values {
				v.Append(nil)
			}
			return nil
		})
		if err != nil && !errors.Is(err, ErrDamaged) {
			tb.Fatal(err)
		}
	}
}

func TestDamagedAnywhere(t *testing.T) {
	for _, name := range []string{"plain.db", "utf16.db", "rowless.db"} {
		whole := make([]byte, load(t, name).Size())
		if _, err := load(t, name).Read(whole); err != nil {
			t.Fatal(err)
		}
		for n := 0; n < len(whole); n += 7 {
			readAll(t, whole[:n], nil)
			broken := bytes.Clone(whole)
			broken[n] ^= byte(1 << (n % 8))
			readAll(t, broken, nil)
			broken[n] = 0xff
			readAll(t, broken, nil)
		}
	}
}

// A tree that refers to itself, and many rows of the same overflow pages, end.
func TestCircle(t *testing.T) {
	b := make([]byte, 5*512)
	if _, err := load(t, "utf16.db").Read(b); err != nil {
		t.Fatal(err)
	}
	page := b[512:1024]
	clear(page)
	page[0] = 0x05
	binary.BigEndian.PutUint32(page[8:], 2)
	r := bytes.NewReader(b)
	db, err := Open(r, r.Size(), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Rows(&db.Tables()[0], func([]Value) error { return nil })
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "in a circle") && !strings.Contains(err.Error(), "pages deep") {
		t.Error(err)
	}
}

// Cells that are the same bytes again and again would be more rows than the file has room for.
func TestOverlap(t *testing.T) {
	b := bigDatabase(60)
	page := b[4096:8192]
	binary.BigEndian.PutUint16(page[3:], 200)
	for i := range 200 {
		copy(page[8+2*i:], page[8:10])
	}
	r := bytes.NewReader(b)
	db, err := Open(r, r.Size(), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	err = db.Rows(&db.Tables()[0], func([]Value) error { rows++; return nil })
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "page 2: its cells overlap") || rows == 0 || rows > 100 {
		t.Errorf("%d rows, %v", rows, err)
	}
}

func FuzzDatabase(f *testing.F) {
	for _, name := range []string{"utf16.db", "wal.db", "rowless.db"} {
		b := make([]byte, load(f, name).Size())
		if _, err := load(f, name).Read(b); err != nil {
			f.Fatal(err)
		}
		f.Add(b, []byte{})
	}
	f.Fuzz(func(t *testing.T, b, log []byte) {
		readAll(t, b, log)
	})
}

// bigDatabase writes a table of rows runs, (id, lr, loss, note), on pages of 4 KiB.
func bigDatabase(rows int) []byte {
	const size = 4096
	be := binary.BigEndian
	page := func(kind byte, cells [][]byte, right uint32) []byte {
		b := make([]byte, size)
		head := 8
		b[0] = kind
		if kind == 5 {
			head = 12
			be.PutUint32(b[8:], right)
		}
		be.PutUint16(b[3:], uint16(len(cells)))
		at := size
		for i, c := range cells {
			at -= len(c)
			copy(b[at:], c)
			be.PutUint16(b[head+2*i:], uint16(at))
		}
		return b
	}
	uvarint := func(b []byte, v uint64) []byte {
		for shift := 56; shift > 0; shift -= 7 {
			if v>>shift > 0 {
				b = append(b, byte(v>>shift)|0x80)
			}
		}
		return append(b, byte(v&0x7f))
	}
	row := func(id int, values ...any) []byte {
		head, body := []byte{}, []byte{}
		for _, v := range values {
			switch v := v.(type) {
			case nil:
				head = append(head, 0)
			case int:
				head, body = append(head, 4), be.AppendUint32(body, uint32(v))
			case float64:
				head, body = append(head, 7), be.AppendUint64(body, math.Float64bits(v))
			case string:
				head, body = uvarint(head, uint64(13+2*len(v))), append(body, v...)
			}
		}
		record := append(append([]byte{byte(len(head) + 1)}, head...), body...)
		return append(uvarint(uvarint(nil, uint64(len(record))), uint64(id)), record...)
	}
	pages := [][]byte{nil}
	var level []uint32
	for id := 0; id < rows; {
		var cells [][]byte
		for room := size - 8; id < rows; id++ {
			c := row(id+1, nil, 1e-4*float64(id%97), 2+1/float64(id+1), fmt.Sprintf("run number %d of the sweep", id))
			if room -= len(c) + 2; room < 0 {
				break
			}
			cells = append(cells, c)
		}
		pages = append(pages, page(13, cells, 0))
		level = append(level, uint32(len(pages)))
	}
	for len(level) > 1 {
		var above []uint32
		for len(level) > 0 {
			n := min(len(level), 300)
			var cells [][]byte
			for _, p := range level[:n-1] {
				cells = append(cells, append(be.AppendUint32(nil, p), 1))
			}
			pages = append(pages, page(5, cells, level[n-1]))
			above = append(above, uint32(len(pages)))
			level = level[n:]
		}
		level = above
	}
	schema := row(1, "table", "runs", "runs", int(level[0]), "CREATE TABLE runs(id INTEGER PRIMARY KEY, lr REAL, loss REAL, note TEXT)")
	first := page(13, [][]byte{schema}, 0)
	copy(first[100:], first[:10])
	copy(first, Magic)
	be.PutUint16(first[16:], size)
	first[20] = 0
	be.PutUint32(first[56:], 1)
	pages[0] = first
	return bytes.Join(pages, nil)
}

func BenchmarkRows(b *testing.B) {
	file := bytes.NewReader(bigDatabase(500_000))
	b.SetBytes(file.Size())
	b.ReportAllocs()
	for b.Loop() {
		db, err := Open(file, file.Size(), nil, 0)
		if err != nil {
			b.Fatal(err)
		}
		rows := 0
		if err := db.Rows(&db.Tables()[0], func(v []Value) error {
			if rows++; v[0].Int != int64(rows) {
				return fmt.Errorf("row %d has id %d", rows, v[0].Int)
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
		if rows != 500_000 {
			b.Fatalf("%d rows", rows)
		}
	}
}
