package huggingface

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/tokenizer"
)

// object reads JSON with numbers as they are written.
func object(t testing.TB, parts ...string) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(read(t, parts...)))
	d.UseNumber()
	var out map[string]any
	if err := d.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestConfig(t *testing.T) {
	n := func(s string) json.Number { return json.Number(s) }
	common := map[string]any{
		"architectures": []any{"Qwen3ForCausalLM"}, "model_type": "qwen3", "attention_bias": false, "attention_dropout": n("0.0"),
		"bos_token_id": nil, "eos_token_id": nil, "dtype": "bfloat16", "torch_dtype": "bfloat16", "head_dim": n("8"), "hidden_act": "silu",
		"hidden_size": n("24"), "initializer_range": n("0.02"), "intermediate_size": n("40"), "max_position_embeddings": n("16"),
		"max_window_layers": n("2"), "num_attention_heads": n("4"), "num_hidden_layers": n("2"), "num_key_value_heads": n("2"),
		"rms_norm_eps": n("0.000001"), "rope_parameters": map[string]any{"rope_type": "default", "rope_theta": n("10000.0")},
		"rope_theta": n("10000.0"), "sliding_window": nil, "tie_word_embeddings": false, "use_cache": true, "use_sliding_window": false, "vocab_size": n("256"),
	}
	for kind, change := range map[string]func(map[string]any){
		"dense": func(map[string]any) {},
		"tied": func(m map[string]any) {
			m["tie_word_embeddings"], m["rope_theta"] = true, n("12345.5")
			m["rope_parameters"] = map[string]any{"rope_type": "default", "rope_theta": n("12345.5")}
		},
		"moe": func(m map[string]any) {
			delete(m, "max_window_layers")
			m["architectures"], m["model_type"] = []any{"Qwen3MoeForCausalLM"}, "qwen3_moe"
			m["intermediate_size"], m["moe_intermediate_size"] = n("32"), n("16")
			m["decoder_sparse_step"], m["mlp_only_layers"], m["norm_topk_prob"] = n("1"), []any{}, true
			m["num_experts"], m["num_experts_per_tok"], m["output_router_logits"], m["router_aux_loss_coef"] = n("5"), n("2"), false, n("0.01")
		},
	} {
		want := map[string]any{}
		for k, v := range common {
			want[k] = v
		}
		change(want)
		dir, _ := exported(t, runOf(shapes()[kind]), Options{})
		if diff := cmp.Diff(want, object(t, dir, configFile)); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
		if diff := cmp.Diff(map[string]any{"do_sample": false}, object(t, dir, generationFile)); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
	}
}

func TestFloats(t *testing.T) {
	for x, want := range map[float64]string{0: "0.0", 1e6: "1000000.0", 1e-8: "1e-8", 1e21: "1e+21", 0.5: "0.5"} {
		if b, err := json.Marshal(float(x)); err != nil || string(b) != want {
			t.Errorf("%g is %s, %v, want %s", x, b, err, want)
		}
	}
}

// TestByteTokenizer: the ids of any bytes are their values, also through the reader of
// tokenizer.json files.
func TestByteTokenizer(t *testing.T) {
	dir, _ := exported(t, runOf(shapes()["dense"]), Options{})
	tok, err := tokenizer.Open(filepath.Join(dir, tokenizerFile))
	if err != nil {
		t.Fatal(err)
	}
	if tok.Vocab() != 256 || tok.IsBytes() {
		t.Fatalf("%d ids", tok.Vocab())
	}
	text := []byte("The  Rays,\r\n\tηstar  don't 1234 — \u00a0 日本 🙂\x00")
	for b := range 256 {
		text = append(text, byte(b), byte(b*7))
	}
	ids := tok.Encode(nil, text)
	if len(ids) != len(text) {
		t.Fatalf("%d ids of %d bytes", len(ids), len(text))
	}
	for i, id := range ids {
		if id != int32(text[i]) {
			t.Fatalf("byte %d, %#x, has id %d", i, text[i], id)
		}
	}
	back, err := tok.Decode(nil, ids)
	if err != nil || !bytes.Equal(back, text) {
		t.Errorf("back to text: %v", err)
	}
	want := map[string]any{
		"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": []any{"input_ids", "attention_mask"},
		"model_max_length": json.Number("16"), "clean_up_tokenization_spaces": false,
	}
	if diff := cmp.Diff(want, object(t, dir, tokenizerConfigFile)); diff != "" {
		t.Error(diff)
	}
}

func TestUserTokenizer(t *testing.T) {
	// The bytes, one merge and the end of a text.
	text, err := encode(byteTokenizer())
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	bpe := file["model"].(map[string]any)
	bpe["vocab"].(map[string]any)["th"], bpe["merges"] = 256, []string{"t h"}
	file["added_tokens"] = []any{map[string]any{"id": 257, "content": "<|endoftext|>", "special": true}}
	if text, err = json.Marshal(file); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "mine.json")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	r := runOf(shapes()["dense"])
	r.Data.Tokenizer, r.Shape.Vocab = path, 258
	dir, _ := exported(t, r, Options{})
	if !bytes.Equal(read(t, dir, tokenizerFile), text) {
		t.Error("the tokenizer was not copied byte by byte")
	}
	c := object(t, dir, tokenizerConfigFile)
	if c["eos_token"] != "<|endoftext|>" || object(t, dir, configFile)["eos_token_id"] != json.Number("257") || object(t, dir, generationFile)["eos_token_id"] != json.Number("257") {
		t.Errorf("the end of a text: %v", c)
	}
	if card := string(read(t, dir, cardFile)); !strings.Contains(card, "| tokenizer | mine.json, BPE, 258 tokens |") || strings.Contains(card, filepath.Dir(path)) {
		t.Error(card)
	}

	r.Shape.Vocab = 257
	run, at := saved(t, r)
	err = Export(t.Context(), run, at, filepath.Join(t.TempDir(), "model"), Options{})
	if err == nil || !strings.Contains(err.Error(), "has 258 ids and the model 257") {
		t.Errorf("too many ids: %v", err)
	}
}

// TestTokenFiles: a run that read tokens says nothing of a tokenizer.
func TestTokenFiles(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"text/a.txt", "tokens/deep/a.bin", "tokens/.hidden/b.txt", "prefix.idx", "book"} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		source, format string
		vocab          int
		want           bool
	}{
		{"opticks", "", 512, false},
		{filepath.Join(folder, "book"), "", 512, false},
		{filepath.Join(folder, "book"), "nanogpt", 256, true},
		{filepath.Join(folder, "text"), "", 512, false},
		{filepath.Join(folder, "tokens"), "", 256, true},
		{filepath.Join(folder, "prefix"), "", 256, true},
		{filepath.Join(folder, "tokens/deep/a.bin"), "", 256, true},
		{filepath.Join(folder, "tokens/deep/a.bin"), "text", 256, false},
		{filepath.Join(folder, "gone"), "", 256, false},
		{filepath.Join(folder, "gone"), "", 50304, true},
		{filepath.Join(folder, "gone.bin"), "", 256, true},
	} {
		r := runOf(shapes()["dense"])
		r.Data.Source, r.Data.Format, r.Shape.Vocab = tt.source, tt.format, tt.vocab
		if got := trainedOnTokens(r); got != tt.want {
			t.Errorf("%s (%s, vocabulary %d): %v", tt.source, tt.format, tt.vocab, got)
		}
	}
	r := runOf(shapes()["dense"])
	r.Data = config.Data{Source: filepath.Join(folder, "tokens"), Tokenizer: "bytes", HeldOut: 0.1, Split: "spread"}
	dir, _ := exported(t, r, Options{})
	list, err := os.ReadDir(dir)
	if err != nil || slices.ContainsFunc(list, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), "tokenizer") }) {
		t.Errorf("it holds %v, %v", list, err)
	}
}
