// Package tokenizer turns text into token ids and back: bytes, and byte-level BPE as
// Hugging Face's tokenizer.json describes it (GPT-2, Qwen2 and Qwen3, Llama 3).
//
// It reads tokenizer files and writes token files. It learns no vocabulary, and adds no
// tokens that the text does not call for (no post-processor runs: a training corpus has
// its own document separators).
package tokenizer

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Tokenizer maps text to token ids. It does not change; several goroutines may use it.
type Tokenizer struct {
	name  string
	vocab int // ids are below it
	eos   int32

	// Below: BPE only.
	tokens       [][]byte // bytes of each id; nil where the vocabulary has a hole
	ofByte       [256]int32
	merges       map[pair]merge
	whole        map[string]int32 // words that are tokens, for ignoreMerges
	ignoreMerges bool
	nfc          bool
	split        scanner // nil: bytes
	added        []addedToken
	addedFirst   [256]bool // bytes an added token can begin with
	limit        int64     // of ids, while reading
}

type pair struct{ left, right int32 }

type merge struct {
	rank int32
	id   int32
}

type addedToken struct {
	id   int32
	text string
}

// Bytes is the tokenizer with one token for every byte: a vocabulary of 256.
func Bytes() *Tokenizer { return &Tokenizer{name: "bytes", vocab: 256, eos: -1} }

// Name says what it is: "bytes", or the kind and size of the vocabulary.
func (t *Tokenizer) Name() string { return t.name }

// Vocab is the size of the vocabulary a model needs: the largest id plus one.
func (t *Tokenizer) Vocab() int { return t.vocab }

// IsBytes reports whether every byte is its own token.
func (t *Tokenizer) IsBytes() bool { return t.split == nil }

// EOS is the token between documents, where the tokenizer has one.
func (t *Tokenizer) EOS() (id int32, ok bool) { return t.eos, t.eos >= 0 }

// Encode appends the tokens of a text to dst. For much text use an Encoder, which
// remembers words.
func (t *Tokenizer) Encode(dst []int32, text []byte) []int32 {
	return t.NewEncoder().Encode(dst, text)
}

// Decode appends the bytes of tokens to dst.
func (t *Tokenizer) Decode(dst []byte, ids []int32) ([]byte, error) {
	for i, id := range ids {
		switch {
		case id < 0 || int(id) >= t.vocab:
			return dst, fmt.Errorf("token %d has id %d, outside the vocabulary of %d", i, id, t.vocab)
		case t.IsBytes():
			dst = append(dst, byte(id))
		case t.tokens[id] == nil:
			return dst, fmt.Errorf("token %d has id %d, which the vocabulary leaves out", i, id)
		default:
			dst = append(dst, t.tokens[id]...)
		}
	}
	return dst, nil
}

// Encoder encodes with a memory of the words seen. One goroutine may use it at a time.
type Encoder struct {
	t      *Tokenizer
	cache  map[string][]int32
	merger merger
}

// maxCached bounds the words remembered; Zipf's law makes more of them worth little.
const maxCached = 1 << 16

// NewEncoder starts an encoder.
func (t *Tokenizer) NewEncoder() *Encoder { return &Encoder{t: t, cache: map[string][]int32{}} }

// Encode appends the tokens of a text to dst. Bytes that are no UTF-8 are tokens of
// their own kind and survive, except next to a normalizing tokenizer's (Qwen's NFC).
func (e *Encoder) Encode(dst []int32, text []byte) []int32 {
	if e.t.IsBytes() {
		for _, b := range text {
			dst = append(dst, int32(b))
		}
		return dst
	}
	for len(text) > 0 {
		at, a := e.t.findAdded(text)
		dst = e.plain(dst, text[:at])
		text = text[at:]
		if a != nil {
			dst = append(dst, a.id)
			text = text[len(a.text):]
		}
	}
	return dst
}

// findAdded returns the first place of an added token, and the longest one there; the
// text's end and nil when there is none.
func (t *Tokenizer) findAdded(text []byte) (int, *addedToken) {
	for i, b := range text {
		if !t.addedFirst[b] {
			continue
		}
		for j := range t.added { // longest first
			if a := &t.added[j]; len(text)-i >= len(a.text) && string(text[i:i+len(a.text)]) == a.text {
				return i, a
			}
		}
	}
	return len(text), nil
}

// plain encodes text without added tokens.
func (e *Encoder) plain(dst []int32, text []byte) []int32 {
	if e.t.nfc && !norm.NFC.IsNormal(text) {
		text = norm.NFC.Bytes(text)
	}
	for len(text) > 0 {
		n := e.t.split(text)
		dst = e.word(dst, text[:n])
		text = text[n:]
	}
	return dst
}

// word encodes one pre-token.
func (e *Encoder) word(dst []int32, w []byte) []int32 {
	if ids, ok := e.cache[string(w)]; ok {
		return append(dst, ids...)
	}
	start := len(dst)
	if id, ok := e.t.whole[string(w)]; ok && e.t.ignoreMerges {
		dst = append(dst, id)
	} else {
		dst = e.merger.run(dst, e.t, w)
	}
	if len(w) <= 64 {
		if len(e.cache) >= maxCached {
			clear(e.cache)
		}
		e.cache[string(w)] = append([]int32(nil), dst[start:]...)
	}
	return dst
}

// errNoCut is what streaming gives up with.
var errNoCut = errors.New("the text has no place to cut between two words")

// safeCut returns the last place at which a text can be cut so that both sides encode
// as they do together: before a space between two ASCII letters, or between a line
// feed that stands alone and an ASCII letter (GPT-2's pattern takes two line feeds as
// one word at the end of a text only). There every supported pattern starts a new word. −1: none.
func (t *Tokenizer) safeCut(text []byte) int {
	if t.IsBytes() {
		return len(text)
	}
	longest := 0 // an added token may hold such a place: keep its length away from the end of what is searched
	for _, a := range t.added {
		longest = max(longest, len(a.text))
	}
	for i := len(text) - 1 - longest; i > 0; i-- {
		ok := i > 1 && text[i-1] == '\n' && letter(text[i]) && text[i-2] > ' ' && text[i-2] < utf8.RuneSelf || i+1 < len(text) && text[i] == ' ' && letter(text[i-1]) && letter(text[i+1])
		if ok && !t.insideAdded(text, i) {
			return i
		}
	}
	return -1
}

// insideAdded reports whether an added token spans place i.
func (t *Tokenizer) insideAdded(text []byte, i int) bool {
	for _, a := range t.added {
		for from := max(0, i-len(a.text)+1); from < i; from++ {
			if len(text)-from >= len(a.text) && string(text[from:from+len(a.text)]) == a.text {
				return true
			}
		}
	}
	return false
}

func letter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' && b < utf8.RuneSelf }
