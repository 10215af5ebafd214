package huggingface

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/tokenizer"
)

// vocabulary is what an export says of the tokens.
type vocabulary struct {
	files map[string]any // contents by name; none where the tokenizer is not known
	name  string         // for the card
	eos   *int32
}

// tokenizerConfig is tokenizer_config.json.
type tokenizerConfig struct {
	Class     string   `json:"tokenizer_class"`
	Inputs    []string `json:"model_input_names"` // without token_type_ids, which Qwen3 has not
	MaxLength int      `json:"model_max_length"`
	CleanUp   bool     `json:"clean_up_tokenization_spaces"`
	EOS       string   `json:"eos_token,omitempty"`
}

// tokenizerOf finds the tokenizer a run was trained with.
func tokenizerOf(r config.Run) (vocabulary, error) {
	v := vocabulary{files: map[string]any{}}
	c := tokenizerConfig{Class: "PreTrainedTokenizerFast", Inputs: []string{"input_ids", "attention_mask"}, MaxLength: r.Shape.Context}
	tok := tokenizer.Bytes()
	switch name := r.Data.Tokenizer; {
	case name == "bytes" && trainedOnTokens(r):
		v.name = "unknown: the run read files of tokens"
		return v, nil
	case name == "bytes":
		v.name, v.files[tokenizerFile] = "bytes, ids 0 to 255", byteTokenizer()
	default:
		var text []byte
		var err error
		if tok, err = tokenizer.Open(name); err == nil {
			text, err = os.ReadFile(name)
		}
		if err != nil {
			return v, fmt.Errorf("the tokenizer it was trained with: %w; put it back where it was", err)
		}
		v.name, v.files[tokenizerFile] = filepath.Base(name)+", "+tok.Name(), text
		if id, ok := tok.EOS(); ok {
			content, err := tok.Decode(nil, []int32{id})
			if err != nil {
				return v, fmt.Errorf("the tokenizer %s: %w", name, err)
			}
			v.eos, c.EOS = &id, string(content)
		}
	}
	if tok.Vocab() > r.Shape.Vocab {
		return v, fmt.Errorf("the tokenizer %s has %d ids and the model %d: it is not the one of this run; put that one back", r.Data.Tokenizer, tok.Vocab(), r.Shape.Vocab)
	}
	v.files[tokenizerConfigFile] = c
	return v, nil
}

// trainedOnTokens reports whether a run read token ids rather than text, so that the
// configured "bytes" says nothing about them. Where the data are gone, a vocabulary of
// other than 256 tells.
func trainedOnTokens(r config.Run) bool {
	d := r.Data
	switch d.Format {
	case "nanogpt", "llmc", "megatron":
		return true
	case "text", "jsonl":
		return false
	}
	if slices.Contains([]string{"default", "opticks", "synthetic"}, d.Source) {
		return false
	}
	isTokens := func(path string) bool {
		return slices.Contains([]string{".bin", ".idx"}, strings.ToLower(filepath.Ext(path)))
	}
	info, err := os.Stat(d.Source)
	switch {
	case isTokens(d.Source):
		return true
	case err != nil:
		_, err := os.Stat(d.Source + ".idx") // Megatron names a corpus without its ending
		return err == nil || r.Shape.Vocab != 256
	case !info.IsDir():
		return false
	}
	found := errors.New("found") // a folder holds either kind: one file tells
	return errors.Is(filepath.WalkDir(d.Source, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(e.Name(), ".") && path != d.Source:
			if e.IsDir() {
				return fs.SkipDir
			}
		case !e.IsDir() && isTokens(path):
			return found
		}
		return nil
	}), found)
}

// byteTokenizer is a tokenizer.json whose tokens are the 256 bytes, ids equal to their
// values: byte-level BPE without merges.
func byteTokenizer() any {
	type object = map[string]any
	vocab := map[string]int{}
	next := rune(256)
	for b := range 256 {
		// GPT-2's spelling of bytes (openai/gpt-2, encoder.py, bytes_to_unicode), which
		// ByteLevel applies: Latin-1 stands for itself where it prints, the rest moves up.
		r := rune(b)
		if r <= ' ' || r >= 0x7f && r <= 0xa0 || r == 0xad {
			r = next
			next++
		}
		vocab[string(r)] = b
	}
	level := object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}
	return object{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": []any{}, "normalizer": nil,
		"pre_tokenizer": level, "post_processor": nil, "decoder": level,
		"model": object{
			"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
			"fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": vocab, "merges": []any{},
		},
	}
}
