package tokenizer

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// spell writes bytes as GPT-2 does.
func spell(b string) string {
	var s strings.Builder
	for i := range len(b) {
		s.WriteRune(byteRunes[b[i]])
	}
	return s.String()
}

var merged = []string{"th", "the", "in", "ing", " t", " the", "an", "and", " and", "er", "00", "\n\n", "  ", "é", " a", "ll", "'l", "'ll", "aa", "aaaa"}

// model is a tokenizer.json with a few merges over all bytes.
func model(pattern string, pairs bool, change func(m map[string]any)) []byte {
	vocab := map[string]int{}
	for b := range 256 {
		vocab[spell(string([]byte{byte(b)}))] = b
	}
	var merges []any
	for _, w := range merged {
		vocab[spell(w)] = len(vocab)
	}
	for _, w := range merged {
		for cut := 1; cut < len(w); cut++ {
			l, r := spell(w[:cut]), spell(w[cut:])
			_, okL := vocab[l]
			_, okR := vocab[r]
			if !okL || !okR {
				continue
			}
			if pairs {
				merges = append(merges, []string{l, r})
			} else {
				merges = append(merges, l+" "+r)
			}
		}
	}
	pre := map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true}
	if pattern != "" {
		pre = map[string]any{"type": "Sequence", "pretokenizers": []any{
			map[string]any{"type": "Split", "pattern": map[string]any{"Regex": pattern}, "behavior": "Isolated", "invert": false},
			map[string]any{"type": "ByteLevel", "add_prefix_space": false, "use_regex": false},
		}}
	}
	m := map[string]any{
		"version":       "1.0",
		"normalizer":    nil,
		"pre_tokenizer": pre,
		"added_tokens":  []any{map[string]any{"id": 300, "content": "<|endoftext|>", "special": true}, map[string]any{"id": 301, "content": "<|end"}},
		"model":         map[string]any{"type": "BPE", "vocab": vocab, "merges": merges},
	}
	if change != nil {
		change(m)
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

func parse(t interface{ Fatal(...any) }, pattern string) *Tokenizer {
	tok, err := Parse(model(pattern, pattern == qwenPattern, nil))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

var patterns = []string{"", gpt2Pattern, qwenPattern, llamaPattern}

// text draws texts that exercise the patterns' corners.
func text() *rapid.Generator[string] {
	piece := rapid.SampledFrom([]string{
		"the", "ing", "a", "Ω", "é", "e\u0301", "ſ", "'s", "'LL", "'ſ", "'", " ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u2028", "\u3000",
		"7", "1234", "½", "٣", ".", "!?", "漢字", "🙂", "\xff", "\xc3", "<|endoftext|>", "<|end", "<|", "\u0000", "_", "\u200d", "\ufffd",
	})
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(piece, 0, 20).Draw(t, "pieces"), "")
	})
}

// Scanners against Go's regexp, alternative by alternative; the lookahead, which it
// lacks, is taken from its meaning.
func TestScannersAreTheirPatterns(t *testing.T) {
	const white = `[\t-\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]`
	for pattern, scan := range scanners {
		before, _, _ := strings.Cut(pattern, `|\s+(?!\S)`)
		source := strings.ReplaceAll(before, `[^\s`, `[^`+white[1:len(white)-1])
		first := regexp.MustCompile(`^(?:` + strings.ReplaceAll(source, `\s`, white) + `)`)
		spaces := regexp.MustCompile(`^` + white + `+`)
		reference := func(s string) int {
			if loc := first.FindStringIndex(s); loc != nil {
				return loc[1]
			}
			loc := spaces.FindStringIndex(s)
			if loc == nil {
				t.Fatalf("%q does not match at all", s)
			}
			if loc[1] < len(s) {
				if _, last := utf8.DecodeLastRuneInString(s[:loc[1]]); loc[1] > last {
					return loc[1] - last
				}
			}
			return loc[1]
		}
		rapid.Check(t, func(t *rapid.T) {
			for s := text().Draw(t, "text"); len(s) > 0; {
				got, want := scan([]byte(s)), reference(s)
				if got != want {
					t.Fatalf("%q of %q, want %q (%s)", s[:got], s, s[:want], pattern)
				}
				s = s[got:]
			}
		})
	}
}

func TestRoundTrip(t *testing.T) {
	for _, pattern := range patterns {
		tok := parse(t, pattern)
		rapid.Check(t, func(t *rapid.T) {
			s := text().Draw(t, "text")
			ids := tok.Encode(nil, []byte(s))
			back, err := tok.Decode(nil, ids)
			if err != nil || string(back) != s {
				t.Fatalf("%q became %q: %v", s, back, err)
			}
		})
	}
	b := Bytes()
	ids := b.Encode(nil, []byte("a\xff"))
	if back, err := b.Decode(nil, ids); err != nil || string(back) != "a\xff" || !slices.Equal(ids, []int32{97, 255}) {
		t.Error(ids, err)
	}
	if _, err := b.Decode(nil, []int32{256}); err == nil {
		t.Error("an id outside the vocabulary decoded")
	}
	if _, err := parse(t, "").Decode(nil, []int32{299}); err == nil {
		t.Error("a hole decoded")
	}
}

func TestKnownEncodings(t *testing.T) {
	id := func(w string) int32 { return int32(256 + slices.Index(merged, w)) }
	gpt2, qwen, llama := parse(t, ""), parse(t, qwenPattern), parse(t, llamaPattern)
	for _, c := range []struct {
		tok  *Tokenizer
		text string
		want []int32
	}{
		{gpt2, " the thing", []int32{id(" the"), ' ', id("th"), id("ing")}},
		{gpt2, "a  the", []int32{'a', ' ', id(" the")}},
		{gpt2, "I'll", []int32{'I', id("'ll")}},
		{gpt2, "I'LL", []int32{'I', '\'', 'L', 'L'}},
		{gpt2, "0000", []int32{id("00"), id("00")}},
		{llama, "0000", []int32{id("00"), '0', '0'}},
		{qwen, "0000", []int32{'0', '0', '0', '0'}},
		{qwen, "the\n\n the", []int32{id("the"), id("\n\n"), id(" the")}},
		{gpt2, "x<|endoftext|><|end|", []int32{'x', 300, 301, '|'}},
		{gpt2, "aaaaa", []int32{id("aaaa"), 'a'}},
	} {
		if got := c.tok.Encode(nil, []byte(c.text)); !slices.Equal(got, c.want) {
			t.Errorf("%s %q: %v, want %v", c.tok.Name(), c.text, got, c.want)
		}
	}
	if e, ok := gpt2.EOS(); !ok || e != 300 || gpt2.Vocab() != 302 {
		t.Error(e, ok, gpt2.Vocab())
	}
}

func TestOptions(t *testing.T) {
	nfc, err := Parse(model(qwenPattern, false, func(m map[string]any) { m["normalizer"] = map[string]any{"type": "NFC"} }))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := nfc.Encode(nil, []byte("e\u0301")), nfc.Encode(nil, []byte("é")); !slices.Equal(a, b) || len(a) != 1 {
		t.Error(a, b)
	}
	// A word that is a token is taken whole, though no merges lead to it.
	whole, err := Parse(model("", false, func(m map[string]any) {
		mm := m["model"].(map[string]any)
		mm["vocab"].(map[string]int)["zyx"] = 299
		mm["ignore_merges"] = true
	}))
	if err != nil {
		t.Fatal(err)
	}
	if got := whole.Encode(nil, []byte("zyx zyx")); !slices.Equal(got, []int32{299, ' ', 'z', 'y', 'x'}) {
		t.Error(got)
	}
}

func TestRefusals(t *testing.T) {
	set := func(path string, v any) func(map[string]any) {
		return func(m map[string]any) {
			keys := strings.Split(path, ".")
			for _, k := range keys[:len(keys)-1] {
				m = m[k].(map[string]any)
			}
			m[keys[len(keys)-1]] = v
		}
	}
	for want, change := range map[string]func(map[string]any){
		`its model is "Unigram"`:     set("model.type", "Unigram"),
		"byte_fallback":              set("model.byte_fallback", true),
		"marks the parts":            set("model.end_of_word_suffix", "</w>"),
		"dropout":                    set("model.dropout", 0.1),
		`normalizer is "Lowercase"`:  set("normalizer", map[string]any{"type": "Lowercase"}),
		"no pre-tokenizer":           set("pre_tokenizer", nil),
		`pre-tokenizer has "Digits"`: set("pre_tokenizer.type", "Digits"),
		"add_prefix_space":           set("pre_tokenizer.add_prefix_space", true),
		"does not split":             set("pre_tokenizer.use_regex", false),
		"no token for byte 0x":       set("model.vocab", map[string]int{"a": 1}),
		"merge 0 is neither":         set("model.merges", []any{7}),
		"want two":                   set("model.merges", []any{"a b c"}),
		`vocabulary has no "zq"`:     set("model.merges", []any{"z q"}),
		"also that of":               set("added_tokens", []any{map[string]any{"id": 5, "content": "<x>"}}),
		"is not from 0":              set("added_tokens", []any{map[string]any{"id": 1 << 40, "content": "<x>"}}),
		"takes its surroundings":     set("added_tokens", []any{map[string]any{"id": 400, "content": "<x>", "lstrip": true}}),
		"no tokenizer.json":          set("added_tokens", 3),
	} {
		_, err := Parse(model("", false, change))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := Parse(model(`\w+`, false, nil)); err == nil || !strings.Contains(err.Error(), "Qwen2/Qwen3") {
		t.Error(err)
	}
	dir := t.TempDir()
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "name its tokenizer.json") {
		t.Error(err)
	}
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// The queue for long words gives what looking at every pair again gives.
func TestLongWords(t *testing.T) {
	tok := parse(t, "")
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SliceOfN(rapid.SampledFrom([]byte("athein dr0")), 1, short).Draw(t, "word")
		var m merger
		want := m.run(nil, tok, word)
		var ids []int32
		for _, b := range word {
			ids = append(ids, tok.ofByte[b])
		}
		if got := m.long(nil, tok, ids); !slices.Equal(got, want) {
			t.Fatalf("%q: %v, want %v", word, got, want)
		}
	})
	page := bytes.Repeat([]byte("a"), 1<<17)
	if got := tok.Encode(nil, page); len(got) != 1<<15 {
		t.Errorf("%d tokens", len(got))
	}
}

// A text encoded in pieces of any size is the text encoded at once.
func TestStream(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	words := []string{"the", " and", "ing ", "\nA", "\n\nthe", " 1234", "'s ", ".", " ", "é", "<|end", "<|endoftext|>", "x"}
	for _, pattern := range patterns {
		tok := parse(t, pattern)
		for range 30 {
			var s strings.Builder
			for range 200 {
				s.WriteString(words[r.IntN(len(words))])
			}
			want := tok.Encode(nil, []byte(s.String()))
			var got []int32
			n, err := tok.NewEncoder().stream(context.Background(), strings.NewReader(s.String()), func(ids []int32) error {
				got = append(got, ids...)
				return nil
			}, 40+r.IntN(100), 4096)
			if err != nil || n != int64(s.Len()) || !slices.Equal(got, want) {
				t.Fatalf("%v: %d of %d bytes, %d tokens, want %d", err, n, s.Len(), len(got), len(want))
			}
		}
		_, err := tok.NewEncoder().stream(context.Background(), strings.NewReader(strings.Repeat("漢", 500)), func([]int32) error { return nil }, 64, 256)
		if !errors.Is(err, errNoCut) {
			t.Errorf("%v", err)
		}
	}
}

func TestEncodeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.bin")
	tok := parse(t, "")
	n, err := tok.EncodeFile(t.Context(), path, strings.NewReader("the"), strings.NewReader("and"))
	if err != nil || n != 4 {
		t.Fatal(n, err)
	}
	b, err := os.ReadFile(path)
	if err != nil || len(b) != HeaderSize+8 || binary.LittleEndian.Uint32(b) != Magic16 || binary.LittleEndian.Uint32(b[8:]) != 4 {
		t.Fatal(len(b), err)
	}
	if binary.LittleEndian.Uint16(b[HeaderSize+2:]) != 300 {
		t.Error("documents are not separated")
	}
	if _, err := Bytes().EncodeFile(t.Context(), path, failing{}); err == nil {
		t.Error("a failing source gave a file")
	}
	if again, _ := os.ReadFile(path); !bytes.Equal(again, b) {
		t.Error("a failing source spoilt the file that was there")
	}
	wide, err := Parse(model("", false, func(m map[string]any) {
		m["added_tokens"] = []any{map[string]any{"id": 1<<16 + 5, "content": "<x>"}}
	}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wide.EncodeFile(t.Context(), path, strings.NewReader("<x>")); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); binary.LittleEndian.Uint32(b) != Magic32 || binary.LittleEndian.Uint32(b[HeaderSize:]) != 1<<16+5 {
		t.Errorf("%v", b[HeaderSize:])
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("unplugged") }

func FuzzParse(f *testing.F) {
	for i, p := range patterns {
		f.Add(model(p, i%2 == 0, nil), "the <|endoftext|> 'LL é\n\n 123")
	}
	f.Add([]byte(`{"model":{"type":"BPE","vocab":{"a":0},"merges":["a a"]},"pre_tokenizer":{"type":"ByteLevel"}}`), "a")
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		tok, err := Parse(data)
		if err != nil {
			return
		}
		ids := tok.Encode(nil, []byte(text))
		back, err := tok.Decode(nil, ids)
		if err != nil {
			t.Fatal(err)
		}
		if !tok.nfc && string(back) != text {
			t.Fatalf("%q became %q", text, back)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	tok := parse(b, qwenPattern)
	text := []byte(strings.Repeat("In the beginning there were 12 things, and they're all interesting.\n", 1000))
	b.SetBytes(int64(len(text)))
	e := tok.NewEncoder()
	var ids []int32
	for b.Loop() {
		ids = e.Encode(ids[:0], text)
	}
	_ = fmt.Sprint(len(ids))
}
