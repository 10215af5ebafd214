package importers

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/etastar/etastar/session/table"
)

const wandbSample = "wandb_log/run-20250103_000000-ghi/run-ghi.wandb"

// samples are a file of every format that is a file.
var samples = []struct{ file, format string }{
	{"sweep.csv", "csv"},
	{"blocks.csv", "csv"},
	{"german.csv", "csv"},
	{"results.tsv", "tsv"},
	{"runs.jsonl", "jsonl"},
	{"array.json", "jsonl"},
	{"trainer_state.json", "trainer_state"},
	{"megatron.out", "megatron"},
	{"nanogpt.log", "nanogpt"},
	{"llmc_main.log", "llmc"},
	{"modded.txt", "modded-nanogpt"},
	{"ray/PPO_0/result.json", "raytune"},
	{"ray/PPO_0/progress.csv", "raytune_csv"},
	{"optuna.csv", "optuna"},
	{"wandb_chart.csv", "wandb_chart"},
	{"wandb_history.csv", "wandb_history"},
	{"wandb_runs.csv", "wandb_runs"},
	{"algoperf/measurements.csv", "algoperf"},
	{"hydra.yaml", "yaml"},
	{"notes.md", "markdown"},
	{"opencompass.csv", "opencompass"},
	{"events.out.tfevents.1700000000.host.1.0", "tensorboard"},
	{wandbSample, "wandb_log"},
	{"runs.parquet", "parquet"},
	{"optuna.db", "sqlite"},
	{"mlflow.db", "sqlite"},
}

func sampleOf(t *testing.T, name string) []byte {
	t.Helper()
	if name == "opencompass.csv" {
		return []byte("dataset,version,metric,mode,a,b\nmmlu,abc,acc,ppl,45.2,46.1\ncmmlu,abc,acc,ppl,30.1,31.2\n")
	}
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// eachSample runs a test for every format; text leaves out those that are not text.
func eachSample(t *testing.T, text bool, test func(t *testing.T, name, format string, content []byte)) {
	t.Helper()
	seen := map[string]bool{}
	for _, s := range samples {
		seen[s.format] = true
		if text && slices.Contains(ofBytes, s.format) {
			continue
		}
		t.Run(strings.ReplaceAll(s.file, "/", "_"), func(t *testing.T) { test(t, filepath.Base(s.file), s.format, sampleOf(t, s.file)) })
	}
	for _, f := range Formats() {
		if !seen[f] {
			t.Errorf("no sample of %s", f)
		}
	}
}

// Any file may be asked for as any format.
func TestAskedFormat(t *testing.T) {
	eachSample(t, false, func(t *testing.T, name, _ string, content []byte) {
		path := file(t, name, string(content))
		for _, format := range Formats() {
			for _, final := range []string{"", FinalLast} {
				r, err := ReadRuns(t.Context(), path, Options{Format: format, Final: final})
				if err == nil {
					checkRuns(t, r)
				}
			}
		}
	})
}

// readUpTo checks that a file was read up to its damage and says one of the things, or was
// refused with it.
func readUpTo(t *testing.T, path string, tb *table.Table, err error, wants ...string) {
	t.Helper()
	if err != nil {
		refused(t, path, err, wants...)
		return
	}
	if !slices.ContainsFunc(tb.Notes, func(note string) bool {
		return strings.HasPrefix(note, filepath.Base(path)+": ") && slices.ContainsFunc(wants, func(w string) bool { return strings.Contains(note, w) })
	}) {
		t.Errorf("%s: notes %.300q, want one of %q", path, tb.Notes, wants)
	}
}

// refused checks that an error names the file, says one of the things, and is short.
func refused(t *testing.T, path string, err error, wants ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s is read", path)
		return
	}
	said := err.Error()
	if !strings.HasPrefix(said, fmt.Sprintf("%q: ", path)) || len(said) > len(path)+500 || strings.Contains(said, "runtime error") {
		t.Errorf("%s: %d characters: %.300s", path, len(said), said)
	}
	if !slices.ContainsFunc(wants, func(w string) bool { return strings.Contains(said, w) }) {
		t.Errorf("%s: %q, want one of %q", path, said, wants)
	}
}

func gzipped(t *testing.T, parts ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	for _, p := range parts {
		if _, err := w.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Text that is compressed with gzip is read as it is; what is not text is refused with how
// to unpack it. A file cut off or changed gives an error that says where.
func TestGzip(t *testing.T) {
	eachSample(t, false, func(t *testing.T, name, format string, content []byte) {
		packed := gzipped(t, content)
		path := file(t, name+".gz", string(packed))
		if slices.Contains(ofBytes, format) {
			_, err := Read(t.Context(), path, Options{})
			refused(t, path, err, "unpack it first (gunzip -k")
			return
		}
		want, got := mustRead(t, file(t, name, string(content)), Options{}), mustRead(t, path, Options{})
		if diff := cmp.Diff(dump(want), dump(got)); diff != "" {
			t.Error(diff)
		}
		for _, n := range []int{3, 12, len(packed) / 2, len(packed) - 1} {
			short := file(t, name+".gz", string(packed[:n]))
			tb, err := Read(t.Context(), short, Options{})
			if err == nil && format == "trainer_state" && dump(tb) == dump(want) {
				continue // it is read to where its value ends
			}
			readUpTo(t, short, tb, err, "the gzip file ends too early, after ")
		}
		if format == "trainer_state" {
			return
		}
		packed[len(packed)-6] ^= 1 // of the checksum
		wrong := file(t, name+".gz", string(packed))
		tb, err := Read(t.Context(), wrong, Options{})
		readUpTo(t, wrong, tb, err, fmt.Sprintf("the gzip file is damaged, after %d bytes of its text", len(content)))
	})
	twice := file(t, "x.csv.gz", string(gzipped(t, gzipped(t, sampleOf(t, "sweep.csv")))))
	_, err := Read(t.Context(), twice, Options{})
	refused(t, twice, err, "compressed with gzip twice")
}

// What runs have that is compressed is read up to its damage, as what is not.
func TestGzipInRun(t *testing.T) {
	var steps []byte
	for i := range 20_000 {
		steps = fmt.Appendf(steps, "{\"step\": %d, \"loss\": %d.5}\n", i, i*7919%1000)
	}
	packed := gzipped(t, steps)
	r := mustRuns(t, tree(t, map[string]string{"a/metrics.jsonl": string(packed), "b/metrics.jsonl": string(packed[:len(packed)/2])}), Options{})
	if notes := strings.Join(r.Table.Notes, "\n"); names(r) != "a b" || !strings.Contains(notes, "b: metrics.jsonl: the gzip file ends too early, after ") || !strings.Contains(notes, "what comes before is read") {
		t.Errorf("%s: %s", names(r), notes)
	}
}

// Files of other programs that pack say how they are unpacked.
func TestPacked(t *testing.T) {
	for magic, want := range map[string]string{
		"\x28\xb5\x2f\xfd\x00\xff": `unpack it first (zstd -dk "x.csv")`, "BZh91AY\xff\x00": `unpack it first (bunzip2 -k "x.csv")`, "\xfd7zXZ\x00\xff": `unpack it first (xz -dk "x.csv")`,
		"PK\x03\x04\x14\x00": `unpack it first (unzip "x.csv")`, "7z\xbc\xaf\x27\x1c\x00": `(7z x "x.csv")`, "\x04\x22\x4d\x18\x00": `(lz4 -dk "x.csv")`,
	} {
		path := file(t, "x.csv", magic)
		_, err := Read(t.Context(), path, Options{})
		refused(t, path, err, want)
	}
}

// A file made to fill the memory is refused once it has unpacked to too much.
func TestZipBomb(t *testing.T) {
	if testing.Short() {
		t.Skip("unpacks 64 MiB a format")
	}
	blank := bytes.Repeat([]byte(" "), 1<<20)
	eachSample(t, true, func(t *testing.T, name, _ string, content []byte) {
		parts := [][]byte{content}
		for range maxRecord>>20 + 8 {
			parts = append(parts, blank)
		}
		path := file(t, name+".gz", string(gzipped(t, parts...)))
		tb, err := Read(t.Context(), path, Options{})
		if err == nil { // it ends where its value does
			if want := dump(mustRead(t, file(t, name, string(content)), Options{})); dump(tb) != want {
				t.Errorf("%.300s", dump(tb))
			}
			return
		}
		refused(t, path, err, "unpacks to more than 100 times its size", "longer than", "larger than")
	})
}

// A line that never ends is refused with its number, or left out of a log, and does not
// fill the memory.
func TestEndlessLine(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 70 MB a format")
	}
	block := []byte(strings.Repeat("0123456789", 1<<17))
	eachSample(t, true, func(t *testing.T, name, _ string, content []byte) {
		path := file(t, name, string(content))
		want := dump(mustRead(t, path, Options{}))
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		for range 56 {
			if _, err := f.Write(block); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		tb, err := Read(t.Context(), path, Options{})
		if err == nil {
			if dump(tb) != want {
				t.Errorf("%.300s", dump(tb))
			}
			return
		}
		refused(t, path, err, "the record is longer than 64 MiB", "is larger than", "a value is longer than", "expected an object {…}")
	})
}

// So is a text that never ends within a record.
func TestEndlessText(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 70 MB a format")
	}
	endless := strings.Repeat("0123456789", 7<<20)
	for name, before := range map[string]string{
		"x.jsonl": "{\"loss\": 1}\n{\"loss\": 2, \"name\": \"", "x.json": "[{\"loss\": 1}, {\"name\": \"", "x.csv": "name,loss\na,1\n\"", "config.yaml": "lr: 1\nname: \"",
		"trainer_state.json": "{\"log_history\": [{\"step\": 1, \"loss\": 2, \"name\": \"", "x.md": "| name | loss |\n|---|---|\n| ",
	} {
		path := file(t, name, before+endless)
		tb, err := Read(t.Context(), path, Options{})
		readUpTo(t, path, tb, err, "the record is longer than 64 MiB", "is larger than", "a value is longer than")
	}
}

// Nesting without end is refused with its place.
func TestEndlessNesting(t *testing.T) {
	const deep = 1_000_000
	for _, tt := range []struct{ name, format, before, open, after string }{
		{"x.jsonl", "", "{\"loss\": 1}\n{\"a\": ", `{"a":`, ""},
		{"x.json", "", `[{"a": `, "[", ""},
		{"x.json", "", "", "[", ""},
		{"result.json", "raytune", `{"training_iteration": 1, "config": `, `{"a":`, ""},
		{"trainer_state.json", "trainer_state", `{"log_history": [{"step": 1, "loss": 2, "a": `, "[", ""},
		{"trainer_state.json", "trainer_state", `{"a": `, `{"a":`, `, "log_history": []`},
		{"config.yaml", "yaml", "lr: 1\na: ", "[", ""},
		{"config.yaml", "yaml", "lr: 1\na: ", "{a: ", ""},
		{"config.yaml", "yaml", "", "- ", ""},
	} {
		path := file(t, tt.name, tt.before+strings.Repeat(tt.open, deep)+tt.after)
		tb, err := Read(t.Context(), path, Options{Format: tt.format})
		readUpTo(t, path, tb, err, "nested", "depth", "expected an object", "line 1", "line 2")
	}
}

// Text in other encodings is read as what it is, or refused by its name.
func TestEncodingsOfFormats(t *testing.T) {
	units := func(s string, order func(u uint16) []byte) string {
		var b []byte
		for _, u := range utf16.Encode([]rune(s)) {
			b = append(b, order(u)...)
		}
		return string(b)
	}
	le := func(u uint16) []byte { return []byte{byte(u), byte(u >> 8)} }
	be := func(u uint16) []byte { return []byte{byte(u >> 8), byte(u)} }
	wide := func(u uint16) []byte { return []byte{byte(u), byte(u >> 8), 0, 0} }
	eachSample(t, true, func(t *testing.T, name, _ string, content []byte) {
		text := string(content)
		want := dump(mustRead(t, file(t, name, text), Options{}))
		for what, s := range map[string]string{"UTF-8": "\ufeff" + text, "UTF-16LE": units("\ufeff"+text, le), "UTF-16BE": units("\ufeff"+text, be)} {
			if diff := cmp.Diff(want, dump(mustRead(t, file(t, name, s), Options{}))); diff != "" {
				t.Errorf("%s with a mark: %s", what, diff)
			}
		}
		for s, said := range map[string]string{units("\ufeff"+text, wide): "the text is UTF-32: convert it to UTF-8", units(text, le): "UTF-16 without a byte-order mark", units(text, be): "UTF-16 without a byte-order mark"} {
			path := file(t, name, s)
			_, err := Read(t.Context(), path, Options{})
			refused(t, path, err, said)
		}
	})
}

// A file that another program changes while it is read gives what it held at first, says
// that it changed, or is refused.
func TestChangesWhileRead(t *testing.T) {
	eachSample(t, false, func(t *testing.T, name, format string, content []byte) {
		want := dump(mustRead(t, file(t, name, string(content)), Options{}))
		during := func(change func(path string) error) (string, *table.Table, error) {
			path := file(t, name, string(content))
			done := false
			tb, err := Read(t.Context(), path, Options{Progress: func(int64, int64) {
				if !done {
					if err := change(path); err != nil {
						t.Error(err)
					}
				}
				done = true
			}})
			if !done {
				t.Error("no progress was told")
			}
			return path, tb, err
		}
		path, tb, err := during(func(path string) error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = f.Write(content)
				err = errors.Join(err, f.Close())
			}
			return err
		})
		if err != nil {
			refused(t, path, err, "the file changed while it was read")
		} else if notes := strings.Join(tb.Notes, "\n"); dump(tb) != want || !strings.Contains(notes, "the file changed while it was read") {
			t.Errorf("%s\n%s", dump(tb), notes)
		}
		path, _, err = during(func(path string) error { return os.Truncate(path, int64(len(content)/3)) })
		refused(t, path, err, "cut short", "changed while it was read", "damaged", "ends too early", "EOF")
	})
}

// A link to itself and a file without permission are refused by name.
func TestUnreadable(t *testing.T) {
	eachSample(t, false, func(t *testing.T, name, _ string, content []byte) {
		dir := t.TempDir()
		loop := filepath.Join(dir, "loop_"+name)
		if err := os.Symlink(filepath.Base(loop), loop); err != nil {
			t.Fatal(err)
		}
		_, err := Read(t.Context(), loop, Options{})
		refused(t, loop, err, "too many")
		path := file(t, name, string(content))
		if os.Geteuid() == 0 {
			return // root may read everything
		}
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
		_, err = Read(t.Context(), path, Options{})
		refused(t, path, err, "no permission to read it")
	})
}
