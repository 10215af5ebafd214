package importers

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Event files are written here as TensorFlow's own writers do it.

func appendFrame(b, record []byte) []byte {
	sum := func(p []byte) uint32 {
		c := crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli))
		return (c>>15 | c<<17) + 0xa282ead8
	}
	start := len(b)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(record)))
	b = binary.LittleEndian.AppendUint32(b, sum(b[start:]))
	b = append(b, record...)
	return binary.LittleEndian.AppendUint32(b, sum(record))
}

func message(field int, b []byte) []byte {
	out := binary.AppendUvarint(nil, uint64(field)<<3|2)
	return append(binary.AppendUvarint(out, uint64(len(b))), b...)
}

func fixed(field int, v float64) []byte {
	return binary.LittleEndian.AppendUint64(binary.AppendUvarint(nil, uint64(field)<<3|1), math.Float64bits(v))
}

func single(field int, v float32) []byte {
	return binary.LittleEndian.AppendUint32(binary.AppendUvarint(nil, uint64(field)<<3|5), math.Float32bits(v))
}

func whole(field int, n int64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(field)<<3), uint64(n))
}

func event(wall float64, step int64, values ...[]byte) []byte {
	b := append(fixed(1, wall), whole(2, step)...)
	var summary []byte
	for _, v := range values {
		summary = append(summary, message(1, v)...)
	}
	return append(b, message(5, summary)...)
}

func simple(tag string, v float32) []byte { return append(message(1, []byte(tag)), single(2, v)...) }

func tensorValue(tag string, tensor ...[]byte) []byte {
	return append(message(1, []byte(tag)), message(8, bytes.Join(tensor, nil))...)
}

// smallEvents is testdata/events.out.tfevents.…: what PyTorch and TensorFlow write
// of a run that was restarted.
func smallEvents() []byte {
	var b []byte
	add := func(record []byte) { b = appendFrame(b, record) }
	shape := func(sizes ...int64) []byte {
		var dims []byte
		for _, n := range sizes {
			dims = append(dims, message(2, whole(1, n))...)
		}
		return message(2, dims)
	}
	add(append(fixed(1, 1.7e9), message(3, []byte("brain.Event:2"))...))
	hparam := func(name string, value []byte) []byte {
		return message(1, append(message(1, []byte(name)), message(2, value)...))
	}
	start := append(hparam("lr", fixed(2, 3e-4)), append(hparam("optimizer", message(3, []byte("adamw"))), hparam("bf16", whole(4, 1))...)...)
	plugin := append(message(1, []byte("hparams")), message(2, message(3, start))...)
	add(event(1.7e9, 0, append(message(1, []byte("_hparams_/session_start_info")), message(9, message(1, plugin))...)))
	add(event(1.7e9+0.25, 0, simple("train/loss", 10.5)))
	add(event(1.7e9+0.5, 0, tensorValue("lr", whole(1, dtDouble), shape(), fixed(6, 1e-4))))
	add(event(1.7e9+1, 10, simple("train/loss", 8.25), simple("grad_norm", 1.1)))
	add(event(1.7e9+1.5, 10, tensorValue("lr", whole(1, dtDouble), shape(), message(4, binary.LittleEndian.AppendUint64(nil, math.Float64bits(2e-4))))))
	add(event(1.7e9+2, 10, append(message(1, []byte("weights")), message(5, []byte{1, 2, 3})...)))
	add(event(1.7e9+2, 10, tensorValue("note/text_summary", whole(1, 7), shape(), message(8, []byte("hello")))))
	add(event(1.7e9+2, 10, tensorValue("vector", whole(1, dtFloat), shape(2), message(5, make([]byte, 8)))))
	// Evaluations count epochs: steps of their own.
	add(event(1.7e9+3, 1, tensorValue("val/loss", whole(1, dtFloat), shape(), message(5, binary.LittleEndian.AppendUint32(nil, math.Float32bits(8.5))))))
	add(event(1.7e9+4, 20, simple("train/loss", float32(math.NaN()))))
	add(event(1.7e9+5, 10, simple("train/loss", 8.125)))
	add(event(1.7e9+6, 20, simple("train/loss", 7.5)))
	add(event(1.7e9+6, 20, tensorValue("lr", whole(1, dtBfloat16), shape(1), whole(13, 0x3980))))
	return b
}

const smallEventsName = "events.out.tfevents.1700000000.host.1.0"

func TestEventsTestdata(t *testing.T) {
	path := filepath.Join("testdata", smallEventsName)
	stored, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(stored, smallEvents()) {
		t.Error("the stored file is not what the writers write")
	}
	want := `step: 0 10 1 20 10 20
wall_time: 1700000000.25 1700000001 1700000003 1700000004 1700000005 1700000006
train/loss: 10.5 8.25 _ NaN 8.125 7.5
lr: 0.0001 0.0002 _ _ _ 0.000244140625
grad_norm: _ 1.100000023841858 _ _ _ _
val/loss: _ _ 8.5 _ _ _
restart: 0 0 0 0 1 1
config/lr: 0.0003 0.0003 0.0003 0.0003 0.0003 0.0003
config/optimizer' adamw adamw adamw adamw adamw adamw
config/bf16' true true true true true true
`
	tb := mustRead(t, path, Options{})
	if diff := cmp.Diff(want, dump(tb)); diff != "" {
		t.Error(diff)
	}
	notes := []string{
		"the steps go back once: the run was restarted; rows of both are kept, the column restart tells them apart",
		`tags without numbers are left out: "weights", "note/text_summary", "vector"`,
		"the columns config/… are what the log says of its run, the same in every row",
	}
	if diff := cmp.Diff(notes, tb.Notes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int32{3, 5, 10, 11, 12, 13}, tb.Lines); diff != "" {
		t.Error(diff)
	}
	// Its content alone is enough.
	if diff := cmp.Diff(dump(tb), dump(mustRead(t, file(t, "x.bin", string(stored)), Options{}))); diff != "" {
		t.Error(diff)
	}
}

// isPrefixOf checks that a table of what is left of a file says nothing that the
// whole does not.
func isPrefixOf(t *testing.T, what string, part, whole string) {
	t.Helper()
	full := map[string][]string{}
	for line := range strings.Lines(whole) {
		name, cells := splitDump(line)
		full[name] = cells
	}
	for line := range strings.Lines(part) {
		name, cells := splitDump(line)
		if strings.HasPrefix(name, "restart") || strings.HasPrefix(name, "config/") {
			continue
		}
		known, ok := full[name]
		if !ok || len(cells) > len(known) {
			t.Fatalf("%s: column %s has %d rows, the whole %d", what, name, len(cells), len(known))
		}
		for i, c := range cells {
			if c != known[i] && c != "_" {
				t.Fatalf("%s: column %s, row %d is %s, in the whole %s", what, name, i, c, known[i])
			}
		}
	}
}

func splitDump(line string) (name string, cells []string) {
	i := strings.IndexAny(line, ":'")
	return line[:i], strings.Fields(line[i+1:])
}

func TestEventsCutAnywhere(t *testing.T) {
	content := smallEvents()
	ends := map[int]bool{}
	for at := 0; at < len(content); {
		at += frameHead + frameTail + int(binary.LittleEndian.Uint64(content[at:]))
		ends[at] = true
	}
	path := filepath.Join(t.TempDir(), smallEventsName)
	full, rows := dump(mustRead(t, filepath.Join("testdata", smallEventsName), Options{})), 0
	for n := 1; n <= len(content); n++ {
		if err := os.WriteFile(path, content[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		tb, err := Read(t.Context(), path, Options{})
		if err != nil {
			t.Fatalf("the first %d bytes: %v", n, err)
		}
		if tb.Rows < rows {
			t.Fatalf("the first %d bytes have %d rows, fewer bytes %d", n, tb.Rows, rows)
		}
		rows = tb.Rows
		isPrefixOf(t, "cut", dump(tb), full)
		if said := strings.Contains(strings.Join(tb.Notes, "\n"), "the file ends within a record; what comes before is read"); said == ends[n] {
			t.Errorf("the first %d bytes: notes %q", n, tb.Notes)
		}
	}
	if rows != 6 {
		t.Errorf("%d rows of the whole file", rows)
	}
}

func TestEventsDamagedAnywhere(t *testing.T) {
	content := smallEvents()
	path := filepath.Join(t.TempDir(), smallEventsName)
	full := dump(mustRead(t, filepath.Join("testdata", smallEventsName), Options{}))
	for i := range content {
		broken := bytes.Clone(content)
		broken[i] ^= 1 << (i % 8)
		if err := os.WriteFile(path, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		tb, err := Read(t.Context(), path, Options{})
		if err != nil {
			t.Fatalf("byte %d: %v", i, err)
		}
		isPrefixOf(t, "damaged", dump(tb), full)
		if notes := strings.Join(tb.Notes, "\n"); !strings.Contains(notes, "is wrong; what comes before is read") || !strings.Contains(notes, ", byte ") {
			t.Errorf("byte %d: notes %q", i, tb.Notes)
		}
	}
}

// What is not a scalar may be of any size: it costs its checksum, not memory.
func TestEventsLargeRecord(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 100 MB")
	}
	image := append(message(1, []byte("image")), message(4, make([]byte, 100<<20))...)
	content := appendFrame(nil, event(1, 0, simple("loss", 2)))
	content = appendFrame(content, event(2, 1, image))
	content = appendFrame(content, event(3, 2, simple("loss", 1)))
	path := file(t, "events.out.tfevents.1", string(content))
	broken := file(t, "events.out.tfevents.2", string(content[:len(content)/2]))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	tb := mustRead(t, path, Options{})
	runtime.ReadMemStats(&after)
	if got := dump(tb); got != "step: 0 2\nwall_time: 1 3\nloss: 2 1\n" {
		t.Error(got)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
		t.Errorf("%d MB allocated", used>>20)
	}
	tb = mustRead(t, broken, Options{})
	if tb.Rows != 1 || !strings.Contains(strings.Join(tb.Notes, "\n"), "the file ends within a record") {
		t.Errorf("%d rows, notes %q", tb.Rows, tb.Notes)
	}
	// A length that no file has.
	head := binary.LittleEndian.AppendUint64(nil, 1<<62)
	head = binary.LittleEndian.AppendUint32(head, maskedCRC(head))
	first := string(appendFrame(nil, event(1, 0, simple("loss", 2))))
	tb = mustRead(t, file(t, "x", first+string(head)+"abc"), Options{})
	if tb.Rows != 1 || !strings.Contains(strings.Join(tb.Notes, "\n"), fmt.Sprintf("record 2, byte %d: the file ends within a record", len(first))) {
		t.Errorf("%d rows, notes %q", tb.Rows, tb.Notes)
	}
}

func TestOtherRecords(t *testing.T) {
	example := message(1, message(1, append(message(1, []byte("loss")), message(2, message(2, message(1, make([]byte, 4))))...)))
	tb := mustRead(t, file(t, "x.tfrecord", string(appendFrame(nil, example))), Options{})
	if tb.Rows != 0 || !strings.HasPrefix(strings.Join(tb.Notes, "\n"), "x.tfrecord: record 1, byte 0: a record is no event") {
		t.Errorf("%d rows, notes %q", tb.Rows, tb.Notes)
	}
}

func TestTensorScalar(t *testing.T) {
	le := binary.LittleEndian
	scalar := message(2, nil)
	tests := []struct {
		name   string
		tensor [][]byte
		want   float64
		ok     bool
	}{
		{"float", [][]byte{whole(1, dtFloat), single(5, 0.1)}, float64(float32(0.1)), true},
		{"packed float", [][]byte{whole(1, dtFloat), scalar, message(5, le.AppendUint32(nil, math.Float32bits(2.5)))}, 2.5, true},
		{"double", [][]byte{whole(1, dtDouble), message(6, le.AppendUint64(nil, math.Float64bits(0.1)))}, 0.1, true},
		{"int64", [][]byte{whole(1, dtInt64), whole(10, -7)}, -7, true},
		{"packed int", [][]byte{whole(1, dtInt32), message(7, binary.AppendUvarint(nil, 300))}, 300, true},
		{"bool", [][]byte{whole(1, dtBool), whole(11, 1)}, 1, true},
		{"half", [][]byte{whole(1, dtHalf), whole(13, 0x3e00)}, 1.5, true},
		{"smallest half", [][]byte{whole(1, dtHalf), message(4, []byte{1, 0})}, 0x1p-24, true},
		{"infinite half", [][]byte{whole(1, dtHalf), message(4, []byte{0, 0xfc})}, math.Inf(-1), true},
		{"bfloat16", [][]byte{whole(1, dtBfloat16), message(4, []byte{0xc0, 0x3f})}, 1.5, true},
		{"int content", [][]byte{whole(1, dtInt32), message(4, le.AppendUint32(nil, uint32(0xfffffffe)))}, -2, true},
		{"uint64 content", [][]byte{whole(1, dtUint64), message(4, le.AppendUint64(nil, 1<<63))}, 1 << 63, true},
		{"int8 content", [][]byte{whole(1, dtInt8), message(4, []byte{0xff})}, -1, true},
		{"text", [][]byte{whole(1, 7), message(8, []byte("x"))}, 0, false},
		{"vector", [][]byte{whole(1, dtFloat), message(2, message(2, whole(1, 2))), message(4, make([]byte, 8))}, 0, false},
		{"two values", [][]byte{whole(1, dtFloat), single(5, 1), single(5, 2)}, 0, false},
		{"nothing", nil, 0, false},
		{"damaged", [][]byte{{0xff}}, 0, false},
	}
	for _, tt := range tests {
		got, ok := tensorScalar(bytes.Join(tt.tensor, nil))
		if ok != tt.ok || ok && math.Float64bits(got) != math.Float64bits(tt.want) {
			t.Errorf("%s: %v, %v; want %v, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}

// Rows are found again however the steps are ordered.
func TestEventsOrder(t *testing.T) {
	type logged struct {
		tag  string
		step int64
		v    float32
	}
	tests := []struct {
		name string
		logs []logged
		want string
	}{
		{"late values", []logged{{"a", 0, 1}, {"a", 5, 2}, {"a", 9, 3}, {"b", 5, 4}, {"b", 9, 5}}, "step: 0 5 9\na: 1 2 3\nb: _ 4 5\n"},
		{"other steps", []logged{{"a", 100, 1}, {"b", 1, 2}, {"a", 200, 3}, {"b", 2, 4}, {"b", 100, 5}}, "step: 100 1 200 2\na: 1 _ 3 _\nb: 5 2 _ 4\n"},
		{"without steps", []logged{{"a", 0, 1}, {"a", 0, 2}, {"a", 0, 2}, {"b", 0, 3}}, "step: 0 0\na: 1 2\nb: _ 3\n"},
		{"two restarts", []logged{{"a", 1, 1}, {"a", 2, 2}, {"a", 1, 3}, {"a", 0, 4}, {"a", 1, 5}}, "step: 1 2 1 0 1\na: 1 2 3 4 5\nrestart: 0 0 1 2 2\n"},
		{"names", []logged{{"step", 0, 1}, {"wall_time", 0, 2}, {"", 0, 3}, {" ", 0, 4}, {"restart", 1, 5}, {"step", 1, 6}, {"step", 0, 7}}, "step: 0 1 0\nstep_: 1 6 7\nwall_time_: 2 _ _\n_: 4 _ _\nrestart: _ 5 _\nrestart_: 0 0 1\n"},
	}
	for _, tt := range tests {
		var content []byte
		for _, l := range tt.logs {
			content = appendFrame(content, event(0, l.step, simple(l.tag, l.v)))
		}
		got := dump(mustRead(t, file(t, "x", string(content)), Options{}))
		if diff := cmp.Diff(tt.want, strings.Replace(got, "wall_time: "+strings.TrimSpace(strings.Repeat("0 ", strings.Count(strings.SplitAfter(got, "\n")[0], " ")))+"\n", "", 1)); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}
