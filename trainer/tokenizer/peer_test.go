package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPeer: ids are those that Hugging Face's tokenizers gives. testdata/peer has small
// tokenizers in its format (the merges are the project's own) with the ids that version
// 0.2.0 of its JavaScript library gave; ETASTAR_TOKENIZERS names a folder of more, such as
// the whole of GPT-2's.
func TestPeer(t *testing.T) {
	dirs := []string{"testdata/peer"}
	if d := os.Getenv("ETASTAR_TOKENIZERS"); d != "" {
		dirs = append(dirs, d)
	}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.cases.json"))
		if err != nil || len(files) != 3 {
			t.Fatalf("%s has %d tokenizers, %v", dir, len(files), err)
		}
		for _, f := range files {
			tok, err := Open(strings.TrimSuffix(f, ".cases.json") + ".json")
			if err != nil {
				t.Error(err)
				continue
			}
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			var cases []struct {
				Text string
				IDs  []int32
			}
			if err := json.Unmarshal(b, &cases); err != nil {
				t.Fatal(err)
			}
			for _, c := range cases {
				if got := tok.Encode(nil, []byte(c.Text)); !slices.Equal(got, c.IDs) {
					t.Errorf("%s: %.60q: %v, want %v", filepath.Base(f), c.Text, got[:min(len(got), 40)], c.IDs[:min(len(c.IDs), 40)])
				}
			}
		}
	}
}
