package snippet_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/etastar/etastar/mup"
	"github.com/etastar/etastar/mup/snippet"
	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
)

var update = flag.Bool("update", false, "write golden files")

var (
	denseBase = mup.Shape{Width: 256, Depth: 4, Heads: 4, HeadDim: 64, DFF: 768, Vocab: 8192, BatchTokens: 131072, HorizonTokens: 1e9}
	denseGoal = mup.Shape{Width: 1024, Depth: 16, Heads: 8, HeadDim: 128, DFF: 3072, Vocab: 8192, BatchTokens: 524288, HorizonTokens: 2e10}
	moeBase   = mup.Shape{Width: 256, Depth: 4, Heads: 4, HeadDim: 64, Experts: 8, TopK: 2, DFFExpert: 384, Vocab: 8192}
	moeGoal   = mup.Shape{Width: 1024, Depth: 4, Heads: 16, HeadDim: 64, Experts: 32, TopK: 8, DFFExpert: 1536, Vocab: 8192}
	tiedBase  = mup.Shape{Width: 256, Depth: 4, Heads: 4, HeadDim: 64, DFF: 768, Vocab: 8192, Tied: true}
	tiedGoal  = mup.Shape{Width: 512, Depth: 4, Heads: 8, HeadDim: 64, DFF: 1536, Vocab: 8192, Tied: true}
)

func transfer(t *testing.T, rule string, base, target mup.Shape, decay mup.DecayForm) *mup.Result {
	t.Helper()
	r, err := mup.Find(rule)
	if err != nil {
		t.Fatal(err)
	}
	got, err := mup.Transfer(r, base, target, mup.Hyper{LR: 4e-3, WeightDecay: 0.1, Eps: 1e-8, Decay: decay}, mup.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func cases(t *testing.T) map[string]*mup.Result {
	return map[string]*mup.Result{
		"dense": transfer(t, "completep_dp", denseBase, denseGoal, mup.TimesLR),
		"moe":   transfer(t, "moe_width", moeBase, moeGoal, mup.TimesLR),
		"tied":  transfer(t, "minicpm", tiedBase, tiedGoal, mup.Independent),
		"sp":    transfer(t, "sp", denseBase, denseBase, mup.TimesLR),
	}
}

func TestGolden(t *testing.T) {
	for name, result := range cases(t) {
		for _, f := range snippet.Formats() {
			got, err := snippet.Write(f.Name, result)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+"_"+f.Name+f.Ext+".golden")
			if *update {
				if err := os.MkdirAll("testdata", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("%s (-want +got):\n%s", path, d)
			}
		}
	}
}

// TestPatterns: every parameter of Hugging Face's Qwen3 and Qwen3-MoE is found by exactly
// one pattern, that of its module.
func TestPatterns(t *testing.T) {
	const layer = "model.layers.11."
	names := map[string]mup.Module{
		"model.embed_tokens.weight":                   mup.Embedding,
		layer + "self_attn.q_proj.weight":             mup.AttentionQ,
		layer + "self_attn.k_proj.weight":             mup.AttentionK,
		layer + "self_attn.v_proj.weight":             mup.AttentionV,
		layer + "self_attn.o_proj.weight":             mup.AttentionO,
		layer + "self_attn.q_norm.weight":             mup.QKNorm,
		layer + "self_attn.k_norm.weight":             mup.QKNorm,
		layer + "mlp.gate_proj.weight":                mup.MLPGateUp,
		layer + "mlp.up_proj.weight":                  mup.MLPGateUp,
		layer + "mlp.gate_up_proj.weight":             mup.MLPGateUp,
		layer + "mlp.down_proj.weight":                mup.MLPDown,
		layer + "mlp.gate.weight":                     mup.Router,
		layer + "mlp.experts.gate_up_proj":            mup.ExpertGateUp,
		layer + "mlp.experts.down_proj":               mup.ExpertDown,
		layer + "mlp.experts.127.gate_proj.weight":    mup.ExpertGateUp,
		layer + "mlp.experts.0.up_proj.weight":        mup.ExpertGateUp,
		layer + "mlp.experts.5.down_proj.weight":      mup.ExpertDown,
		layer + "input_layernorm.weight":              mup.Norm,
		layer + "post_attention_layernorm.weight":     mup.Norm,
		"model.norm.weight":                           mup.FinalNorm,
		"lm_head.weight":                              mup.Head,
		"module.model.embed_tokens.weight":            mup.Embedding,
		"_orig_mod.model.norm.weight":                 mup.FinalNorm,
		"module." + layer + "self_attn.q_proj.weight": mup.AttentionQ,
	}
	seen := map[mup.Module]bool{}
	for name, want := range names {
		var hits []mup.Module
		for m, p := range snippet.Patterns() {
			if regexp.MustCompile(p).MatchString(name) {
				hits = append(hits, m)
			}
		}
		if len(hits) != 1 || hits[0] != want {
			t.Errorf("%s: %v, want %s", name, hits, want)
		}
		seen[want] = true
	}
	for _, m := range mup.Modules() {
		if !m.Factor() && !seen[m] {
			t.Errorf("no parameter of %s was tried", m)
		}
	}
}

// TestEveryTextSaysWhatItIs: rule, source, base and target stand in each, as comments.
func TestEveryTextSaysWhatItIs(t *testing.T) {
	for name, result := range cases(t) {
		for _, f := range snippet.Formats() {
			text := f.Write(result)
			for _, want := range []string{result.Rule.Name, result.Rule.Source, result.Base.String(), result.Target.String()} {
				if !strings.Contains(text, want) {
					t.Errorf("%s, %s: no %q", name, f.Name, want)
				}
			}
			for _, w := range result.Warnings {
				if !strings.Contains(text, "# warning: "+w) {
					t.Errorf("%s, %s: warning lost: %s", name, f.Name, w)
				}
			}
		}
	}
}

// TestRateReachesOptimizer: the values read back from the texts are the transfer's.
func TestRateReachesOptimizer(t *testing.T) {
	result := transfer(t, "mup", tiedBase, tiedGoal, mup.TimesLR)
	var cfg struct {
		Optimizer struct {
			LR          float64 `toml:"lr"`
			WeightDecay float64 `toml:"weight_decay"`
			Eps         float64 `toml:"eps"`
			Name        string  `toml:"name"`
		} `toml:"optimizer"`
	}
	if err := toml.Unmarshal([]byte(snippet.Torchtitan(result)), &cfg); err != nil {
		t.Fatal(err)
	}
	if o := cfg.Optimizer; o.LR != 2e-3 || o.WeightDecay != 0.2 || o.Eps != 1e-8 || o.Name != "AdamW" {
		t.Errorf("torchtitan: %+v", o)
	}
	megatron := snippet.Megatron(result)
	for _, want := range []string{"--lr 0.002\n", "--decoupled-lr 0.004\n", "--weight-decay 0.2\n", "norm lr: 0.004 asked, 0.002 used"} {
		if !strings.Contains(megatron, want) {
			t.Errorf("Megatron-LM: no %q in\n%s", want, megatron)
		}
	}
}

// TestIndependentDecay: λ that is not multiplied by η is divided by it for AdamW.
func TestIndependentDecay(t *testing.T) {
	result := transfer(t, "mup", tiedBase, tiedGoal, mup.Independent)
	if text := snippet.Torchtitan(result); !strings.Contains(text, "weight_decay = 50.0\n") { // 0.1/2e-3
		t.Errorf("got\n%s", text)
	}
}

// TestTextCannotEndItsComment: a rule read from a file cannot smuggle in lines.
func TestTextCannotEndItsComment(t *testing.T) {
	result := transfer(t, "mup", tiedBase, tiedGoal, mup.TimesLR)
	result.Rule.Title = "a\nimport os\rb\u2028c"
	for _, f := range snippet.Formats() {
		if text := f.Write(result); !strings.Contains(text, "a import os b c") {
			t.Errorf("%s: %s", f.Name, text[:120])
		}
	}
}

func TestUnknownTrainer(t *testing.T) {
	if _, err := snippet.Write("keras", cases(t)["sp"]); err == nil || !strings.Contains(err.Error(), "megatron, torchtitan") {
		t.Errorf("got %v", err)
	}
}
