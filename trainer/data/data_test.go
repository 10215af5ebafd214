package data

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/tokenizer"
)

func write(tb testing.TB, path string, data []byte) string {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// pack writes integers of a width.
func pack(width int, ids ...int64) []byte {
	var b []byte
	for _, id := range ids {
		var w [8]byte
		binary.LittleEndian.PutUint64(w[:], uint64(id))
		b = append(b, w[:width]...)
	}
	return b
}

func llmc(magic, version uint32, width int, ids ...int64) []byte {
	b := make([]byte, tokenizer.HeaderSize)
	for i, v := range []uint32{magic, version, uint32(len(ids))} {
		binary.LittleEndian.PutUint32(b[4*i:], v)
	}
	return append(b, pack(width, ids...)...)
}

// megatron writes an .idx of sequences with their places in tokens.
func megatron(code byte, width int, lengths, places []int64) []byte {
	b := []byte(megatronMagic)
	b = append(b, pack(8, 1)...)
	b = append(b, code)
	b = append(b, pack(8, int64(len(lengths)), int64(len(lengths))+1)...)
	b = append(b, pack(4, lengths...)...)
	for _, p := range places {
		b = append(b, pack(8, p*int64(width))...)
	}
	for i := range len(lengths) + 1 {
		b = append(b, pack(8, int64(i))...)
	}
	return b
}

func spec(source string) config.Data {
	return config.Data{Source: source, Tokenizer: "bytes", HeldOut: 0.25, Split: "spread"}
}

func open(tb testing.TB, d config.Data, context, vocab int) *Corpus {
	tb.Helper()
	c, err := Open(tb.Context(), d, context, vocab)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

func contents(tb testing.TB, c *Corpus) []int32 {
	tb.Helper()
	ids := make([]int32, c.train.row.Len())
	if err := c.train.row.Read(ids, 0); err != nil {
		tb.Fatal(err)
	}
	return ids
}

func TestFormats(t *testing.T) {
	dir := t.TempDir()
	ids := []int64{5, 6, 7, 8, 9, 10, 11, 12}
	want := []int32{5, 6, 7, 8, 9, 10, 11, 12}
	write(t, filepath.Join(dir, "nano.bin"), pack(2, ids...))
	write(t, filepath.Join(dir, "gpt2.bin"), llmc(20240520, 1, 2, ids...))
	write(t, filepath.Join(dir, "llama.bin"), llmc(20240801, 7, 4, ids...))
	for code, width := range map[byte]int{1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 8: 2} {
		name := filepath.Join(dir, "meg"+string('0'+rune(code)))
		// Two sequences stored the other way round, with a gap.
		write(t, name+".bin", pack(width, 10, 11, 12, 99, 5, 6, 7, 8, 9))
		write(t, name+".idx", megatron(code, width, []int64{5, 3}, []int64{4, 0}))
	}
	for _, name := range []string{"nano.bin", "gpt2.bin", "llama.bin", "meg1", "meg2.bin", "meg3.idx", "meg4", "meg5", "meg8"} {
		c := open(t, spec(filepath.Join(dir, name)), 2, 100)
		if got := contents(t, c); !slices.Equal(got, want) {
			t.Errorf("%s: %v", name, got)
		}
		if c.Info.Tokens != 8 || c.Info.Vocab != 0 || !math.IsNaN(c.Info.BitsPerByte(1)) {
			t.Errorf("%s: %+v", name, c.Info)
		}
	}
}

func TestText(t *testing.T) {
	dir := t.TempDir()
	long := bytes.Repeat([]byte("0123456789"), smallFile/10+1)
	write(t, filepath.Join(dir, "a.txt"), []byte("first"))
	write(t, filepath.Join(dir, "b", "long.txt"), long)
	write(t, filepath.Join(dir, "c.jsonl"), []byte("{\"text\":\"caf\\u00e9\"}\n\n{\"text\":\"\"}\n{\"no\":1}\nnot json\n{\"text\":\"z\",\"n\":[1]}"))
	write(t, filepath.Join(dir, "d.txt"), nil)
	write(t, filepath.Join(dir, ".hidden", "x.txt"), []byte("hidden"))
	write(t, filepath.Join(dir, "readme.md"), []byte("left out"))
	c := open(t, spec(dir), 8, 256)
	want := "first\n" + string(long) + "\ncafé\nz"
	got := contents(t, c)
	if len(got) != len(want) {
		t.Fatalf("%d tokens, want %d", len(got), len(want))
	}
	for i, id := range got {
		if id != int32(want[i]) {
			t.Fatalf("token %d is %d, want %q", i, id, want[i])
		}
	}
	if c.Info.Files != 4 || c.Info.Vocab != 256 || len(c.Info.Notes) != 1 || !strings.Contains(c.Info.Description, "4 files") {
		t.Errorf("%+v", c.Info)
	}
	if got := c.Info.BitsPerByte(math.Ln2); math.Abs(got-1) > 1e-3 {
		t.Error(got)
	}
}

func TestBPEText(t *testing.T) {
	dir := t.TempDir()
	vocab := make([]string, 256)
	i := 0
	for b := range 256 { // GPT-2's spelling of bytes
		r := rune(b)
		if b <= ' ' || b >= 0x7f && b <= 0xa0 || b == 0xad {
			r = rune(256 + i)
			i++
		}
		vocab[b] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(string(r)) + `":` + string(appendInt(nil, b))
	}
	tok := write(t, filepath.Join(dir, "tokenizer.json"), []byte(`{"added_tokens":[{"id":257,"content":"<|endoftext|>"}],"pre_tokenizer":{"type":"ByteLevel"},"model":{"type":"BPE","merges":["t h"],"vocab":{"th":256,`+strings.Join(vocab, ",")+`}}}`))
	d := spec(write(t, filepath.Join(dir, "t.jsonl"), []byte(`{"body":"the thin"}`+"\n"+`{"body":"x"}`)))
	d.Tokenizer, d.Field = tok, "body"
	c := open(t, d, 2, 258)
	if got := contents(t, c); !slices.Equal(got, []int32{256, 'e', ' ', 256, 'i', 'n', 257, 'x', 257}) {
		t.Error(got)
	}
	if _, err := Open(t.Context(), d, 2, 256); err == nil || !strings.Contains(err.Error(), "set vocab to 258") {
		t.Error(err)
	}
}

func appendInt(b []byte, v int) []byte {
	if v >= 10 {
		b = appendInt(b, v/10)
	}
	return append(b, byte('0'+v%10))
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	p := func(name string) string { return filepath.Join(dir, name) }
	write(t, p("empty.txt"), nil)
	write(t, p("short.txt"), []byte("12345"))
	write(t, p("odd.bin"), []byte{1, 2, 3})
	write(t, p("cut.bin"), llmc(20240520, 1, 2, 1, 2, 3)[:tokenizer.HeaderSize+4])
	write(t, p("v9.bin"), llmc(20240520, 9, 2, 1))
	write(t, p("big.bin"), pack(2, 1, 2, 3, 4, 5, 60000, 7, 8, 9))
	write(t, p("neg.bin"), pack(4, 1, 2, -3, 4, 5))
	write(t, p("neg.idx"), megatron(4, 4, []int64{5}, []int64{0}))
	write(t, p("float.bin"), pack(4, 1, 2))
	write(t, p("float.idx"), megatron(7, 4, []int64{2}, []int64{0}))
	write(t, p("out.bin"), pack(2, 1, 2))
	write(t, p("out.idx"), megatron(8, 2, []int64{3}, []int64{0}))
	write(t, p("nobin.idx"), megatron(8, 2, []int64{3}, []int64{0}))
	write(t, p("none.jsonl"), []byte("{\"a\":1}\n[]\n"))
	write(t, p("blank.jsonl"), []byte("\n\n"))
	write(t, p("mixed/a.txt"), []byte("a"))
	write(t, p("mixed/b.bin"), []byte("ab"))
	write(t, p("nothing/x.csv"), []byte("a"))
	write(t, p("image.png"), []byte("\x89PNG\x00\x00"))
	for name, want := range map[string]string{
		"missing":     "there is no",
		"empty.txt":   "is empty",
		"short.txt":   "use a context of at most 4",
		"odd.bin":     "cut short",
		"cut.bin":     "cut short",
		"v9.bin":      "version 9",
		"float.bin":   "only integers",
		"out.bin":     "lies outside",
		"nobin":       "nobin.bin",
		"none.jsonl":  `line 1: it has no field "text"`,
		"blank.jsonl": "no lines",
		"mixed":       "folders of their own",
		"nothing":     "has no .txt",
		"image.png":   "binary file",
	} {
		_, err := Open(t.Context(), spec(p(name)), 8, 256)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if _, err := Open(t.Context(), spec(p("short.txt")), 3, 256); err == nil || !strings.Contains(err.Error(), "at most 2") {
		t.Error(err)
	}
	in, out := make([]int32, 2), make([]int32, 2)
	c := open(t, spec(p("neg.bin")), 2, 256)
	err := errors.Join(c.Sequence(in, out, 1, 0), c.HeldOut(in, out, 0, 1))
	if err == nil || !strings.Contains(err.Error(), "no token id") {
		t.Error(err)
	}
	c, err = open(t, spec(p("big.bin")), 2, 256), nil
	for i := int64(0); i < c.TrainBlocks() && err == nil; i++ {
		err = c.Sequence(in, out, 1, i)
	}
	if err == nil || !strings.Contains(err.Error(), "id 60000, outside the vocabulary of 256") {
		t.Error(err)
	}
	for _, err := range []error{
		c.Sequence(in, out, 1, -1), c.Sequence(in[:1], out, 1, 0), c.Batch(in[:1], out, 1, 0),
		c.HeldOut(in, out, 0, 0), c.HeldOut(in, out, 9, 10), c.train.row.Read(in, 1<<40),
	} {
		if err == nil {
			t.Error("accepted")
		}
	}
	for _, d := range []config.Data{{}, {Source: p("short.txt"), Format: "csv"}, {Source: p("short.txt"), Tokenizer: p("none")}, {Source: p("short.txt"), Fingerprint: "old"}} {
		if _, err := Open(t.Context(), d, 2, 0); err == nil {
			t.Errorf("%+v accepted", d)
		}
	}
}

func TestValidationSource(t *testing.T) {
	dir := t.TempDir()
	d := spec(write(t, filepath.Join(dir, "a.txt"), []byte("aaaaaaaaaaaaaaaaa")))
	d.Validation = write(t, filepath.Join(dir, "b.txt"), []byte("bbbbbbbbb"))
	c := open(t, d, 4, 256)
	in, out := make([]int32, 4), make([]int32, 4)
	if err := c.HeldOut(in, out, 1, 2); err != nil || in[0] != 'b' || c.TrainBlocks() != 4 || c.HeldOutBlocks() != 2 {
		t.Error(err, in, c.TrainBlocks(), c.HeldOutBlocks())
	}
	d.Fingerprint = c.Info.Fingerprint
	open(t, d, 4, 256)
	write(t, d.Validation, []byte("bbbbbbbbc"))
	if _, err := Open(t.Context(), d, 4, 256); err == nil || !strings.Contains(err.Error(), "has changed") {
		t.Error(err)
	}
}

// numbered is a corpus whose tokens are their own places.
func numbered(t interface{ Fatal(...any) }, tokens int64, context int, split Split) *Corpus {
	ids := make([]int32, tokens)
	for i := range ids {
		ids[i] = int32(i)
	}
	row := &Row{}
	row.addIDs(ids, "numbers")
	c, err := newCorpus(row, nil, context, 0, split, Info{Name: "numbers"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Every epoch reads every training block once; training and held-out blocks share no
// target and together are all there are; what a number reads depends on the seed alone.
func TestBlocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		context := rapid.IntRange(1, 5).Draw(t, "context")
		n := rapid.Int64Range(2, 120).Draw(t, "blocks")
		split := Split{Part: rapid.Float64Range(0.01, 0.5).Draw(t, "part"), Tail: rapid.Bool().Draw(t, "tail")}
		seed := rapid.Uint64().Draw(t, "seed")
		c := numbered(t, n*int64(context)+1+rapid.Int64Range(0, int64(context)-1).Draw(t, "rest"), context, split)
		if c.TrainBlocks() < 1 || c.HeldOutBlocks() < 1 || c.TrainBlocks()+c.HeldOutBlocks() != n {
			t.Fatalf("%d + %d of %d blocks", c.TrainBlocks(), c.HeldOutBlocks(), n)
		}
		in, out := make([]int32, context), make([]int32, context)
		held := map[int32]bool{}
		for i := range c.HeldOutBlocks() {
			if err := c.HeldOut(in, out, i, c.HeldOutBlocks()); err != nil {
				t.Fatal(err)
			}
			for _, id := range out {
				held[id] = true
			}
		}
		if len(held) != int(c.HeldOutBlocks())*context {
			t.Fatalf("%d held-out targets", len(held))
		}
		for epoch := range int64(2) {
			seen := map[int32]bool{}
			for i := range c.TrainBlocks() {
				if err := c.Sequence(in, out, seed, epoch*c.TrainBlocks()+i); err != nil {
					t.Fatal(err)
				}
				for j, id := range out {
					if held[id] || seen[id] || in[j]+1 != id {
						t.Fatalf("target %d after %d: held out %v, seen %v", id, in[j], held[id], seen[id])
					}
					seen[id] = true
				}
			}
			if len(seen) != int(c.TrainBlocks())*context {
				t.Fatalf("an epoch reads %d targets of %d", len(seen), c.TrainBlocks()*int64(context))
			}
		}
		// A batch is its sequences.
		first := rapid.Int64Range(0, 300).Draw(t, "first")
		bi, bo := make([]int32, 3*context), make([]int32, 3*context)
		if err := c.Batch(bi, bo, seed, first); err != nil {
			t.Fatal(err)
		}
		if err := c.Sequence(in, out, seed, first+2); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(bi[2*context:], in) || !slices.Equal(bo[2*context:], out) {
			t.Fatal("a batch is not its sequences")
		}
	})
}

func TestPermutation(t *testing.T) {
	for _, n := range []int64{1, 2, 3, 4, 5, 15, 16, 17, 1000, 4096} {
		p, q, e := newPermutation(n, 7, 0), newPermutation(n, 8, 0), newPermutation(n, 7, 1)
		seen := make([]bool, n)
		same, fixed := 0, 0
		for i := range n {
			j := p.at(i)
			if j < 0 || j >= n || seen[j] {
				t.Fatalf("n %d: %d goes to %d", n, i, j)
			}
			seen[j] = true
			if j == q.at(i) || j == e.at(i) {
				same++
			}
			if j == i {
				fixed++
			}
		}
		if n >= 1000 && (same > 20 || fixed > 10) {
			t.Errorf("n %d: %d equal under another seed or epoch, %d fixed", n, same, fixed)
		}
	}
}

func TestEpochs(t *testing.T) {
	c := numbered(t, 1001, 10, Split{Part: 0.1})
	f, err := c.facts()
	if err != nil || f.TrainTokens != 900 || f.HeldOut != 100 || f.Epochs(1800) != 2 || f.EpochNote(900) != "" ||
		!strings.Contains(f.EpochNote(1350), "1.5 epochs") || !strings.Contains(f.EpochNote(9000), "by heart") || f.Sanity() != "" {
		t.Error(err, f, f.EpochNote(1350), f.EpochNote(9000))
	}
	if c.ValidationBlocks(1) != 1 || c.ValidationBlocks(35) != 4 || c.ValidationBlocks(1e6) != 10 {
		t.Error(c.ValidationBlocks(35))
	}
	// Validation on part of the held-out blocks spreads over all of them.
	in, out := make([]int32, 10), make([]int32, 10)
	if err := c.HeldOut(in, out, 1, 2); err != nil || in[0] < 500 {
		t.Error(in, err)
	}
}

func TestDefaultCorpora(t *testing.T) {
	a, b := Synthetic(1, 50_000), Synthetic(1, 80_000)
	if !bytes.Equal(a, b[:50_000]) || bytes.Equal(a, Synthetic(2, 50_000)) {
		t.Error("the synthetic language is not a function of its seed")
	}
	d := spec("synthetic")
	d.Bytes = 200_000
	c := open(t, d, 64, 256)
	if !c.Info.Synthetic || !strings.Contains(c.Info.Description, "not real text") || c.Info.Tokens != 200_000 {
		t.Errorf("%+v", c.Info)
	}
	e, ok, err := c.Entropy()
	if err != nil || !ok || !(e.Order2 < e.Order0-0.5 && e.Order0 < 5 && e.Order2 > 0.5) {
		t.Errorf("%+v %v %v", e, ok, err)
	}
	t.Setenv("GOROOT", t.TempDir())
	if FindOpticks() != "" {
		c := open(t, spec("default"), 256, 256)
		if c.Info.Name != "Newton's Opticks" || !strings.Contains(c.Info.Description, "from the Go toolchain") || c.Info.Synthetic {
			t.Errorf("%+v", c.Info)
		}
		if e, _, _ := c.Entropy(); !(e.Order0 > 4 && e.Order0 < 5 && e.Order2 > 2 && e.Order2 < 3) {
			t.Errorf("%+v", e)
		}
	}
}

func TestEntropy(t *testing.T) {
	if e := MeasureEntropy(bytes.Repeat([]byte("abcd"), 1000)); math.Abs(e.Order0-2) > 1e-9 || e.Order2 > 1e-9 {
		t.Errorf("%+v", e)
	}
	if e := MeasureEntropy(nil); e.Order0 != 0 || e.Order2 != 0 {
		t.Errorf("%+v", e)
	}
}

func FuzzIdx(f *testing.F) {
	f.Add(megatron(8, 2, []int64{3, 2}, []int64{0, 3}), int64(10))
	f.Add(megatron(4, 4, []int64{-1}, []int64{1 << 60}), int64(10))
	f.Fuzz(func(t *testing.T, b []byte, length int64) {
		kind, x, err := parseIdx(b, length)
		if err != nil {
			return
		}
		for i := range x.count() {
			n, at := x.at(i)
			if n < 0 || at < 0 || at+n*kind.width() > length {
				t.Fatalf("sequence %d: %d tokens at %d of %d", i, n, at, length)
			}
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add(llmc(20240520, 1, 2, 1, 2, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, count, err := llmcHeader(bytes.NewReader(b), int64(len(b)))
		if err == nil && (count < 0 || tokenizer.HeaderSize+count*kind.width() > int64(len(b))) {
			t.Fatalf("%d tokens in %d bytes", count, len(b))
		}
	})
}

func FuzzTextField(f *testing.F) {
	f.Add([]byte(`{"text":"a\n"}`))
	f.Add([]byte(`{"text":null}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if text, err := textField(line, "text"); err == nil && len(text) > 3*len(line) {
			t.Fatalf("%d bytes from %d", len(text), len(line))
		}
	})
}
