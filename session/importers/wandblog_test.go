package importers

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// .wandb files are written here as W&B does it: LevelDB's log format behind a header
// of seven bytes, with the plain CRC-32 of IEEE 802.3.

type wandbWriter struct{ b []byte }

func newWandbWriter() *wandbWriter { return &wandbWriter{[]byte{':', 'W', '&', 'B', 0xe1, 0xbe, 0}} }

func (w *wandbWriter) add(record []byte) {
	for first := true; ; first = false {
		room := wandbBlock - len(w.b)%wandbBlock
		if room < 7 {
			w.b = append(w.b, make([]byte, room)...)
			room = wandbBlock
		}
		n := min(room-7, len(record))
		kind := map[[2]bool]byte{{true, true}: 1, {true, false}: 2, {false, false}: 3, {false, true}: 4}[[2]bool{first, n == len(record)}]
		w.b = binary.LittleEndian.AppendUint32(w.b, crc32.ChecksumIEEE(append([]byte{kind}, record[:n]...)))
		w.b = binary.LittleEndian.AppendUint16(w.b, uint16(n))
		w.b = append(append(w.b, kind), record[:n]...)
		if record = record[n:]; len(record) == 0 {
			return
		}
	}
}

// wandbItem is an item of history, summary or configuration.
func wandbItem(value string, keys ...string) []byte {
	var b []byte
	if len(keys) == 1 {
		b = message(1, []byte(keys[0]))
	} else {
		for _, k := range keys {
			b = append(b, message(2, []byte(k))...)
		}
	}
	return append(b, message(16, []byte(value))...)
}

func wandbItems(items ...[]byte) []byte {
	var b []byte
	for _, i := range items {
		b = append(b, message(1, i)...)
	}
	return b
}

func wandbHistory(num, step int64, items ...[]byte) []byte {
	items = append(items, wandbItem(fmt.Sprint(step), "_step"))
	h := append(wandbItems(items...), message(2, whole(1, step))...)
	return append(whole(1, num), message(2, h)...)
}

// smallWandb is testdata/wandb_log/…/run-ghi.wandb. Its output makes a record of three
// chunks if it is as long as a block.
func smallWandb(output int) []byte {
	w := newWandbWriter()
	w.add(append(whole(1, 1), message(21, nil)...))
	config := wandbItems(wandbItem("0.0003", "lr"), wandbItem(`{"n_layer": 4, "act": "gelu"}`, "model"), wandbItem("null", "resume"), wandbItem("1", "old"),
		wandbItem(`{"cli_version": "0.19"}`, "_wandb"), wandbItem("0.9", "optimizer", "beta1"))
	w.add(append(whole(1, 2), message(17, bytes.Join([][]byte{message(1, []byte("ghi")), message(4, config), message(8, []byte("lr3e-4_bs64"))}, nil))...))
	w.add(append(whole(1, 3), message(5, append(message(1, wandbItem("64", "batch_size")), message(2, wandbItem("", "old"))...))...))
	w.add(append(whole(1, 4), message(7, message(3, wandbItem("12.5", "cpu")))...))
	w.add(wandbHistory(5, 0, wandbItem("10.5", "train/loss"), wandbItem("1700000000.5", "_timestamp")))
	w.add(append(whole(1, 6), message(4, message(3, bytes.Repeat([]byte("x"), output)))...))
	w.add(wandbHistory(7, 10, wandbItem("8.25", "train/loss"), wandbItem(`{"_type": "histogram", "values": [1, 2]}`, "weights"), wandbItem("1.5", "grad", "norm")))
	w.add(wandbHistory(8, 20, wandbItem("NaN", "train/loss"), wandbItem(`"a text"`, "note"), wandbItem(`{"loss": 7.75, "acc": 0.5}`, "val")))
	w.add(append(whole(1, 9), message(3, wandbItems(wandbItem(`"NaN"`, "train/loss"), wandbItem("8.25", "best_loss"), wandbItem("20", "_step")))...))
	w.add(append(whole(1, 10), message(18, append(whole(1, 1), whole(2, 60)...))...))
	return w.b
}

var wandbLogFile = filepath.Join("testdata", "wandb_log", "run-20250103_000000-ghi", "run-ghi.wandb")

func TestWandbLogTestdata(t *testing.T) {
	stored, err := os.ReadFile(wandbLogFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(stored, smallWandb(100)) {
		t.Error("the stored file is not what the writer writes")
	}
	want := `step: 0 10 20
train/loss: 10.5 8.25 NaN
_timestamp: 1700000000.5 _ _
grad/norm: _ 1.5 _
val/loss: _ _ 7.75
val/acc: _ _ 0.5
best_loss: _ _ 8.25
config/lr: 0.0003 0.0003 0.0003
config/model/n_layer: 4 4 4
config/model/act' gelu gelu gelu
config/optimizer/beta1: 0.9 0.9 0.9
config/display_name' lr3e-4_bs64 lr3e-4_bs64 lr3e-4_bs64
config/batch_size: 64 64 64
config/exit_code: 1 1 1
`
	for _, path := range []string{wandbLogFile, file(t, "x.bin", string(stored)), file(t, "y.wandb", string(smallWandb(3*wandbBlock)))} {
		tb := mustRead(t, path, Options{})
		if diff := cmp.Diff(want, dump(tb)); diff != "" {
			t.Error(diff)
		}
		notes := []string{
			`keys without numbers are left out: "weights", "note"`,
			`values of the run's summary stand in the last row: "best_loss"`,
			"the columns config/… are what the log says of its run, the same in every row",
		}
		if diff := cmp.Diff(notes, tb.Notes); diff != "" {
			t.Error(diff)
		}
	}
}

// A directory that W&B writes is one run: its log, and what is beside it in files.
func TestWandbLogRun(t *testing.T) {
	r := mustRuns(t, filepath.Join("testdata", "wandb_log"), Options{Final: FinalBest})
	checkRuns(t, r)
	want := `run' run-20250103_000000-ghi
lr: 0.0003
config/model/n_layer: 4
config/model/act' gelu
config/optimizer/beta1: 0.9
config/display_name' lr3e-4_bs64
config/batch_size: 64
config/exit_code: 1
`
	if got := dump(r.Table); !strings.HasPrefix(got, want) || !strings.Contains(got, "train/loss: 8.25\n") || !strings.Contains(got, "val/loss: 7.75\n") {
		t.Error(got)
	}
	if len(r.Curves) < 2 || r.Curves[0].Name != "train/loss" || len(r.Curves[0].Value) != 3 {
		t.Errorf("%+v", r.Curves)
	}
	// A log without history leaves the run to what was printed.
	empty := newWandbWriter()
	empty.add(append(whole(1, 1), message(21, nil)...))
	r = mustRuns(t, tree(t, map[string]string{
		"run-1/run-1.wandb": string(empty.b), "run-1/files/config.yaml": "lr:\n  value: 0.001\n",
		"run-1/files/output.log": "iter 0: loss 4.5, time 1.00ms, mfu 1.00%\niter 10: loss 4.25, time 1.00ms, mfu 1.00%\n",
	}), Options{})
	if got := dump(r.Table); !strings.HasPrefix(got, "run' run-1\nlr: 0.001\n") || !strings.Contains(got, "loss: 4.25\n") {
		t.Error(got)
	}
}

func TestWandbLogCutAnywhere(t *testing.T) {
	content := smallWandb(wandbBlock)
	path := filepath.Join(t.TempDir(), "run-x.wandb")
	full, rows := dump(mustRead(t, file(t, "x.wandb", string(content)), Options{})), 0
	for n := 1; n <= len(content); n++ {
		if n > 1000 && n < wandbBlock-100 || n > wandbBlock+100 && n < len(content)-600 {
			continue // within the output
		}
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
		if running := strings.Contains(strings.Join(tb.Notes, "\n"), "does not say that the run ended"); running != (n < len(content)) {
			t.Errorf("the first %d bytes: notes %q", n, tb.Notes)
		}
	}
	if rows != 3 {
		t.Errorf("%d rows of the whole file", rows)
	}
}

func TestWandbLogDamagedAnywhere(t *testing.T) {
	content := smallWandb(100)
	path := filepath.Join(t.TempDir(), "run-x.wandb")
	full := dump(mustRead(t, wandbLogFile, Options{}))
	for i := wandbHeader; i < len(content); i++ {
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
		if notes := strings.Join(tb.Notes, "\n"); !strings.Contains(notes, "; what comes before is read") {
			t.Errorf("byte %d: notes %q", i, tb.Notes)
		}
	}
}

func FuzzWandbLog(f *testing.F) {
	f.Add(smallWandb(100))
	f.Add(wandbHistory(1, 2, wandbItem("1", "loss")))
	f.Add(append(whole(1, 2), message(17, message(4, wandbItems(wandbItem(`{"a": {"b": [1]}}`, "x", "y"))))...))
	f.Add([]byte(":W&B\xe1\xbe"))
	path := filepath.Join(f.TempDir(), "x")
	f.Fuzz(func(t *testing.T, content []byte) {
		if sniffWandbLog(content) > 0 {
			if _, err := fuzzRead(t, path, content, Options{Format: "wandb_log"}); err != nil {
				t.Fatalf("%q: %v", content, err)
			}
		}
		w := newWandbWriter()
		w.add(content)
		w.add(wandbHistory(2, 3, wandbItem("1", "a")))
		w.add(content)
		if _, err := fuzzRead(t, path, w.b, Options{Format: "wandb_log"}); err != nil {
			t.Fatalf("%q: %v", content, err)
		}
	})
}

func BenchmarkReadWandbLog(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	out, done := newWandbWriter(), 0
	benchmarkRead(b, "run-x.wandb", 250_000, func(w *bufio.Writer, i int) {
		out.add(wandbHistory(int64(i), int64(i), wandbItem(fmt.Sprint(2+r.Float64()), "train/loss"), wandbItem(fmt.Sprint(r.Float64()), "train/grad_norm"),
			wandbItem(fmt.Sprint(3e-4*r.Float64()), "lr"), wandbItem(fmt.Sprint(1.7e9+float64(i)), "_timestamp"), wandbItem(fmt.Sprint(i), "_runtime")))
		if _, err := w.Write(out.b[done:]); err != nil {
			b.Fatal(err)
		}
		done = len(out.b)
	})
}
