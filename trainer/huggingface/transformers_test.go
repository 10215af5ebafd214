package huggingface

import (
	_ "embed"
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/etastar/etastar/kernels/cpu"
	"github.com/etastar/etastar/trainer"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/data"
	"github.com/etastar/etastar/trainer/internal/python"
	"github.com/etastar/etastar/trainer/rundir"
	"github.com/etastar/etastar/trainer/tokenizer"
)

//go:embed testdata/peer.py
var peerScript []byte

func TestPeerScript(t *testing.T) { python.Compiles(t, peerScript) }

// peerModel is what peer.py says of a model.
type peerModel struct {
	Version, Class      string
	ComputedIn          string `json:"computed_in"`
	Tied                bool
	Missing, Unexpected []string
	Logits              [][][]float64
}

// learned trains a run to its end and reads the held-out blocks that it is validated on.
func learned(t *testing.T, r config.Run) (run rundir.Summary, c rundir.Checkpoint, inputs, targets [][]int32) {
	t.Helper()
	dirs, err := trainer.Ask(t.TempDir(), "sweep", []config.Run{r})
	if err != nil {
		t.Fatal(err)
	}
	backend, err := cpu.New(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := (&trainer.Worker{Backend: backend, Log: t.Output(), Poll: time.Millisecond}).Train(t.Context(), dirs[0]); err != nil {
		t.Fatal(err)
	}
	run = rundir.Read(dirs[0])
	if run.Status.State != rundir.Finished {
		t.Fatalf("training: %s, %s", run.Status.State, run.Status.Reason)
	}
	if c, err = rundir.CheckpointAt(dirs[0], run.Config.Steps()); err != nil {
		t.Fatal(err)
	}
	corpus, err := data.Open(t.Context(), run.Config.Data, r.Shape.Context, r.Shape.Vocab)
	if err != nil {
		t.Fatal(err)
	}
	defer corpus.Close()
	n := corpus.ValidationBlocks(r.Validation.Tokens)
	for i := range n {
		in, out := make([]int32, r.Shape.Context), make([]int32, r.Shape.Context)
		if err := corpus.HeldOut(in, out, i, n); err != nil {
			t.Fatal(err)
		}
		inputs, targets = append(inputs, in), append(targets, out)
	}
	return run, c, inputs, targets
}

// meanLoss is the mean cross-entropy of logits [block][token][vocabulary].
func meanLoss(logits [][][]float64, targets [][]int32) float64 {
	sum, n := 0.0, 0
	for b, block := range logits {
		for i, row := range block {
			row = slices.Clone(row)
			logSoftmax(row)
			sum -= row[targets[b][i]]
			n++
		}
	}
	return sum / float64(n)
}

// apart compares logits: the largest difference of any, and of the tokens' relative
// differences ‖got − want‖/‖want‖, centred, the nine-tenths quantile.
func apart(got, want [][][]float64) (worst, most float64) {
	var relative []float64
	for b := range want {
		for i, row := range want[b] {
			mean, shift := 0.0, 0.0
			for v := range row {
				mean += row[v] / float64(len(row))
				shift += (got[b][i][v] - row[v]) / float64(len(row))
			}
			difference, norm := 0.0, 0.0
			for v := range row {
				e := got[b][i][v] - row[v]
				worst = max(worst, math.Abs(e))
				difference += (e - shift) * (e - shift)
				norm += (row[v] - mean) * (row[v] - mean)
			}
			relative = append(relative, math.Sqrt(difference/norm))
		}
	}
	slices.Sort(relative)
	return worst, relative[len(relative)*9/10]
}

// Bounds of differences. A model computed in bfloat16 rounds, in relative steps of 2⁻⁹,
// every activation it writes, about ten a layer, and their errors add up like a random
// walk: 1% at two layers; the bound is thrice that. A token whose router lies at a tie may
// take another expert and be anything, which is why one in ten is left out. Its mean loss
// over 512 tokens is surer than one token by far.
const (
	float32Logits  = 1e-4
	float32Loss    = 1e-4
	bfloat16Logits = 0.03
	bfloat16Loss   = 0.01
)

// TestTransformers: what was trained and exported is loaded by transformers as the model
// it claims to be, and computes the logits and the held-out loss that it has here.
func TestTransformers(t *testing.T) {
	exe := python.Find(t, "torch", "transformers", "safetensors")
	for kind, s := range shapes() {
		r := runOf(s)
		r.LR, r.Validation.Tokens = 1e-2, 512
		r = r.For(300 * r.BatchTokens())
		run, c, inputs, targets := learned(t, r)
		for _, dtype := range DTypes {
			dir := filepath.Join(t.TempDir(), "model")
			if err := Export(t.Context(), run, c, dir, Options{DType: dtype}); err != nil {
				t.Fatal(err)
			}
			d := opened(t, dir)
			var want [][][]float64
			for _, in := range inputs {
				want = append(want, d.logits(in))
			}
			ours := meanLoss(want, targets)
			// The trainer's own validation, by other code, of the weights before rounding.
			if near := map[DType]float64{Float32: float32Loss, BFloat16: bfloat16Loss}[dtype]; math.Abs(ours-float64(run.Status.Val)) > near {
				t.Errorf("%s %s: loss %.6f from the files, %.6f when it was trained", kind, dtype, ours, float64(run.Status.Val))
			}
			if ours > 3 {
				t.Errorf("%s: a loss of %.4f is no better than the letters' frequencies'", kind, ours)
			}
			computed := []DType{Float32}
			if dtype == BFloat16 {
				computed = append(computed, BFloat16)
			}
			for _, in := range computed {
				t.Run(kind+" stored as "+string(dtype)+" computed in "+string(in), func(t *testing.T) {
					var m peerModel
					python.Run(t, exe, peerScript, map[string]any{"model": dir, "dtype": in, "blocks": inputs}, &m)
					if m.Class != architecture(s) || m.ComputedIn != string(in) || m.Tied != s.Tied {
						t.Errorf("%s computed in %s, tied %v", m.Class, m.ComputedIn, m.Tied)
					}
					m.Missing = slices.DeleteFunc(m.Missing, func(name string) bool { return s.Tied && name == "lm_head.weight" })
					if len(m.Missing)+len(m.Unexpected) > 0 {
						t.Errorf("weights that were missing: %v, and too many: %v", m.Missing, m.Unexpected)
					}
					if len(m.Logits) != len(want) || len(m.Logits[0]) != s.Context || len(m.Logits[0][0]) != s.Vocab {
						t.Fatalf("%d blocks of logits", len(m.Logits))
					}
					worst, most := apart(m.Logits, want)
					theirs := meanLoss(m.Logits, targets)
					t.Logf("%s: logits differ by at most %.2g, nine of ten tokens by %.2g of their size; loss %.6f, here %.6f", m.Version, worst, most, theirs, ours)
					if in == Float32 && (worst > float32Logits || math.Abs(theirs-ours) > float32Loss) {
						t.Errorf("beyond %g and %g", float32Logits, float32Loss)
					}
					if in == BFloat16 && (most > bfloat16Logits || math.Abs(theirs-ours) > bfloat16Loss) {
						t.Errorf("beyond %g and %g", bfloat16Logits, bfloat16Loss)
					}
				})
			}
		}
	}
}

// TestTransformersTokenizer: the exported tokenizer is loaded by transformers, gives the
// ids the model was trained on, and turns them back into the text.
func TestTransformersTokenizer(t *testing.T) {
	exe := python.Find(t, "torch", "transformers", "tokenizers")
	peers, err := filepath.Glob("../tokenizer/testdata/peer/*.cases.json")
	if err != nil || len(peers) != 3 {
		t.Fatalf("%d tokenizers, %v", len(peers), err)
	}
	texts := []string{"Hello world", "  two  spaces ", "tabs\tand\r\nlines\n\n", "naïve café ﬁ 日本語 😀", "it's 3.14159 a+b=c; \x00\x7f"}
	for _, p := range append(peers, "bytes") {
		t.Run(filepath.Base(p), func(t *testing.T) {
			s, texts := shapes()["dense"], slices.Clone(texts)
			r := runOf(s)
			tok := tokenizer.Bytes()
			if p != "bytes" {
				r.Data.Tokenizer = p[:len(p)-len(".cases.json")] + ".json"
				if tok, err = tokenizer.Open(r.Data.Tokenizer); err != nil {
					t.Fatal(err)
				}
				r.Shape.Vocab = tok.Vocab()
				var cases []struct{ Text string }
				if err := json.Unmarshal(read(t, p), &cases); err != nil {
					t.Fatal(err)
				}
				for _, c := range cases {
					texts = append(texts, c.Text)
				}
			}
			dir, _ := exported(t, r, Options{})
			var answer struct {
				Version string
				IDs     [][]int32
				Texts   []string
				EOS     *int32
			}
			python.Run(t, exe, peerScript, map[string]any{"tokenizer": dir, "texts": texts}, &answer)
			if len(answer.IDs) != len(texts) || len(answer.Texts) != len(texts) {
				t.Fatalf("%d of %d texts", len(answer.IDs), len(texts))
			}
			for i, text := range texts {
				ids := tok.Encode(nil, []byte(text))
				if !slices.Equal(answer.IDs[i], ids) {
					t.Errorf("%q is %v, here %v", text, answer.IDs[i], ids)
				}
				back, err := tok.Decode(nil, ids)
				if err != nil || answer.Texts[i] != string(back) {
					t.Errorf("%q comes back as %q, here as %q, %v", text, answer.Texts[i], back, err)
				}
			}
			id, has := tok.EOS()
			if has != (answer.EOS != nil) || has && *answer.EOS != id {
				t.Errorf("its end of text is %v, here %d, %v", answer.EOS, id, has)
			}
			t.Logf("%s: %d texts", answer.Version, len(texts))
		})
	}
}
