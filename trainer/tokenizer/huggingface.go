package tokenizer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxFile bounds a tokenizer.json; the largest in use have some 30 MB.
const maxFile = 256 << 20

// maxVocab bounds ids by the number of tokens: holes are few in a sound file, and a
// model has a row for each.
func (f *file) maxVocab() int64 {
	return 1<<16 + 4*int64(len(f.Model.Vocab)+len(f.AddedTokens))
}

// file is tokenizer.json (huggingface/tokenizers) as far as it concerns us.
type file struct {
	Model struct {
		Type                    string            `json:"type"`
		Vocab                   map[string]int64  `json:"vocab"`
		Merges                  []json.RawMessage `json:"merges"`
		Dropout                 *float64          `json:"dropout"`
		ContinuingSubwordPrefix *string           `json:"continuing_subword_prefix"`
		EndOfWordSuffix         *string           `json:"end_of_word_suffix"`
		ByteFallback            bool              `json:"byte_fallback"`
		IgnoreMerges            bool              `json:"ignore_merges"`
	} `json:"model"`
	Normalizer   *component `json:"normalizer"`
	PreTokenizer *component `json:"pre_tokenizer"`
	AddedTokens  []struct {
		ID         int64  `json:"id"`
		Content    string `json:"content"`
		SingleWord bool   `json:"single_word"`
		LStrip     bool   `json:"lstrip"`
		RStrip     bool   `json:"rstrip"`
	} `json:"added_tokens"`
}

type component struct {
	Type           string                  `json:"type"`
	AddPrefixSpace bool                    `json:"add_prefix_space"`
	UseRegex       *bool                   `json:"use_regex"`
	Behavior       string                  `json:"behavior"`
	Invert         bool                    `json:"invert"`
	Pattern        struct{ Regex *string } `json:"pattern"`
	Normalizers    []component             `json:"normalizers"`
	PreTokenizers  []component             `json:"pretokenizers"`
}

// supported ends every refusal.
const supported = "supported are byte-level BPE tokenizers with the split patterns of GPT-2, Qwen2/Qwen3 and Llama 3, and bytes"

// Open reads a tokenizer.json.
func Open(path string) (*Tokenizer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open tokenizer: %w", err)
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("open tokenizer %s: not a file; name its tokenizer.json, or use bytes", path)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("open tokenizer %s: %d MB is no tokenizer.json", path, info.Size()>>20)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("open tokenizer: %w", err)
	}
	t, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("open tokenizer %s: %w", path, err)
	}
	return t, nil
}

// Parse reads the text of a tokenizer.json.
func Parse(data []byte) (*Tokenizer, error) {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("it is no tokenizer.json: %w", err)
	}
	m := &f.Model
	switch {
	case m.Type != "BPE" && (m.Type != "" || len(m.Merges) == 0):
		return nil, fmt.Errorf("its model is %q; %s", m.Type, supported)
	case m.ByteFallback:
		return nil, fmt.Errorf("it is a SentencePiece-style BPE (byte_fallback); %s", supported)
	case m.ContinuingSubwordPrefix != nil && *m.ContinuingSubwordPrefix != "", m.EndOfWordSuffix != nil && *m.EndOfWordSuffix != "":
		return nil, fmt.Errorf("it marks the parts of words; %s", supported)
	case m.Dropout != nil && *m.Dropout != 0:
		return nil, errors.New("it drops merges at random (dropout): set dropout to null")
	}
	t := &Tokenizer{eos: -1, ignoreMerges: m.IgnoreMerges, limit: f.maxVocab()}
	nfc, err := f.Normalizer.nfc()
	if err != nil {
		return nil, err
	}
	t.nfc = nfc
	pattern, err := f.PreTokenizer.pattern()
	if err != nil {
		return nil, err
	}
	t.split = scanners[pattern]
	if err := t.setVocab(m.Vocab); err != nil {
		return nil, err
	}
	if err := t.setMerges(m.Merges, m.Vocab); err != nil {
		return nil, err
	}
	if err := t.setAdded(&f); err != nil {
		return nil, err
	}
	t.vocab = len(t.tokens)
	t.name = fmt.Sprintf("BPE, %d tokens", t.vocab)
	return t, nil
}

// nfc reports whether the normalizer is NFC; other ones are refused.
func (c *component) nfc() (bool, error) {
	switch {
	case c == nil:
		return false, nil
	case c.Type == "NFC":
		return true, nil
	case c.Type == "Sequence" && len(c.Normalizers) == 0:
		return false, nil
	case c.Type == "Sequence" && len(c.Normalizers) == 1:
		return c.Normalizers[0].nfc()
	}
	return false, fmt.Errorf("its normalizer is %q, and only NFC or none is; %s", c.Type, supported)
}

// pattern returns the pattern a pre-tokenizer splits with.
func (c *component) pattern() (string, error) {
	if c == nil {
		return "", fmt.Errorf("it has no pre-tokenizer; %s", supported)
	}
	list := []component{*c}
	if c.Type == "Sequence" {
		list = c.PreTokenizers
	}
	pattern := ""
	for i, p := range list {
		switch {
		case p.Type == "Split" && i == 0 && len(list) == 2 && p.Pattern.Regex != nil:
			// "Removed" with invert keeps what matches: the same, since the patterns match everything.
			all := p.Behavior == "Isolated" && !p.Invert || p.Behavior == "Removed" && p.Invert
			if !all {
				return "", fmt.Errorf("it splits with behavior %q, invert %v; %s", p.Behavior, p.Invert, supported)
			}
			if pattern = *p.Pattern.Regex; scanners[pattern] == nil {
				return "", fmt.Errorf("it splits by %q; %s", pattern, supported)
			}
		case p.Type == "ByteLevel" && i == len(list)-1:
			if p.AddPrefixSpace {
				return "", fmt.Errorf("it adds a space before every text (add_prefix_space); %s", supported)
			}
			regex := p.UseRegex == nil || *p.UseRegex
			switch {
			case regex && pattern != "":
				return "", fmt.Errorf("it splits twice, by a pattern and by GPT-2's; %s", supported)
			case !regex && pattern == "":
				return "", fmt.Errorf("it does not split text into words; %s", supported)
			case regex:
				pattern = gpt2Pattern
			}
			return pattern, nil
		default:
			return "", fmt.Errorf("its pre-tokenizer has %q; %s", p.Type, supported)
		}
	}
	return "", fmt.Errorf("its pre-tokenizer has no ByteLevel; %s", supported)
}

func (t *Tokenizer) setVocab(vocab map[string]int64) error {
	t.whole = make(map[string]int32, len(vocab))
	for i := range t.ofByte {
		t.ofByte[i] = -1
	}
	for _, word := range slices.Sorted(keys(vocab)) { // in order: errors are the same every time
		id := vocab[word]
		b, ok := toBytes(word)
		if !ok {
			// Added tokens may also stand here; their text is not byte-level.
			b = []byte(word)
		}
		if err := t.put(id, b); err != nil {
			return fmt.Errorf("token %q: %w", word, err)
		}
		if !ok {
			continue
		}
		t.whole[string(b)] = int32(id)
		if len(b) == 1 {
			t.ofByte[b[0]] = int32(id)
		}
	}
	for b, id := range t.ofByte {
		if id < 0 {
			return fmt.Errorf("its vocabulary has no token for byte 0x%02x, so it is not byte-level; %s", b, supported)
		}
	}
	return nil
}

// put sets the bytes of an id.
func (t *Tokenizer) put(id int64, b []byte) error {
	if id < 0 || id >= t.limit {
		return fmt.Errorf("its id %d is not from 0 to %d", id, t.limit-1)
	}
	if int(id) >= len(t.tokens) {
		t.tokens = append(t.tokens, make([][]byte, int(id)+1-len(t.tokens))...)
	}
	if t.tokens[id] != nil && string(t.tokens[id]) != string(b) {
		return fmt.Errorf("its id %d is also that of %q", id, t.tokens[id])
	}
	if len(b) == 0 {
		return errors.New("it is empty")
	}
	t.tokens[id] = b
	return nil
}

// setMerges reads merges as "a b" or ["a","b"].
func (t *Tokenizer) setMerges(merges []json.RawMessage, vocab map[string]int64) error {
	t.merges = make(map[pair]merge, len(merges))
	for rank, raw := range merges {
		var two []string
		var joined string
		if err := json.Unmarshal(raw, &joined); err == nil {
			two = strings.Split(joined, " ")
		} else if err := json.Unmarshal(raw, &two); err != nil {
			return fmt.Errorf("merge %d is neither a text nor a pair", rank)
		}
		if len(two) != 2 {
			return fmt.Errorf("merge %d is %q: want two tokens", rank, raw)
		}
		var ids [3]int32
		for i, word := range []string{two[0], two[1], two[0] + two[1]} {
			id, ok := vocab[word]
			b, byteLevel := toBytes(word)
			if !ok || !byteLevel || string(t.tokens[id]) != string(b) {
				return fmt.Errorf("merge %d (%q and %q): the vocabulary has no %q", rank, two[0], two[1], word)
			}
			ids[i] = int32(id)
		}
		p := pair{ids[0], ids[1]}
		if _, ok := t.merges[p]; !ok {
			t.merges[p] = merge{rank: int32(rank), id: ids[2]}
		}
	}
	return nil
}

// ends are the names of tokens that separate documents, the likeliest first.
var ends = []string{"<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>"}

func (t *Tokenizer) setAdded(f *file) error {
	byName := map[string]int32{}
	for _, a := range f.AddedTokens {
		switch {
		case a.Content == "":
			return fmt.Errorf("added token %d is empty", a.ID)
		case a.SingleWord || a.LStrip || a.RStrip:
			return fmt.Errorf("added token %q takes its surroundings (single_word, lstrip or rstrip): set these to false", a.Content)
		}
		b := []byte(a.Content)
		if err := t.put(a.ID, b); err != nil {
			return fmt.Errorf("added token %q: %w", a.Content, err)
		}
		t.added = append(t.added, addedToken{id: int32(a.ID), text: a.Content})
		t.addedFirst[a.Content[0]] = true
		byName[a.Content] = int32(a.ID)
	}
	slices.SortStableFunc(t.added, func(a, b addedToken) int { return cmp.Compare(len(b.text), len(a.text)) })
	for _, name := range ends {
		if id, ok := byName[name]; ok {
			t.eos = id
			break
		}
	}
	return nil
}

func keys(m map[string]int64) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// byteRunes is GPT-2's spelling of bytes as printable characters (openai/gpt-2,
// encoder.py, bytes_to_unicode): printable Latin-1 stands for itself, the other bytes
// for the characters from U+0100 on.
var byteRunes, runeBytes = func() (to [256]rune, from map[rune]byte) {
	from = map[rune]byte{}
	next := rune(256)
	for b := range 256 {
		r := rune(b)
		printable := r >= '!' && r <= '~' || r >= '¡' && r <= '¬' || r >= '®' && r <= 'ÿ'
		if !printable {
			r = next
			next++
		}
		to[b], from[r] = r, byte(b)
	}
	return to, from
}()

// toBytes reads GPT-2's spelling; ok is false when the word holds something else.
func toBytes(word string) (b []byte, ok bool) {
	b = make([]byte, 0, len(word))
	for _, r := range word {
		v, ok := runeBytes[r]
		if !ok || r == utf8.RuneError {
			return nil, false
		}
		b = append(b, v)
	}
	return b, true
}
