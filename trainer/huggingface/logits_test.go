package huggingface

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/etastar/etastar/kernels/cpu"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/model"
)

// decoder is Qwen3 and Qwen3-MoE written out plainly in float64 over the tensors and
// config.json of a model directory, as transformers' modules compose them.
type decoder struct {
	Heads    int     `json:"num_attention_heads"`
	KVHeads  int     `json:"num_key_value_heads"`
	HeadDim  int     `json:"head_dim"`
	Layers   int     `json:"num_hidden_layers"`
	Eps      float64 `json:"rms_norm_eps"`
	Theta    float64 `json:"rope_theta"`
	Experts  int     `json:"num_experts"`
	TopK     int     `json:"num_experts_per_tok"`
	NormTopK bool    `json:"norm_topk_prob"`
	Tied     bool    `json:"tie_word_embeddings"`
	w        map[string][]float32
}

func (d *decoder) linear(name string, x []float64) []float64 {
	w := d.w[name+".weight"]
	y := make([]float64, len(w)/len(x))
	for o := range y {
		for i := range x {
			y[o] += float64(w[o*len(x)+i]) * x[i]
		}
	}
	return y
}

func (d *decoder) norm(name string, x []float64) []float64 {
	ss := 0.0
	for _, v := range x {
		ss += v * v
	}
	y := make([]float64, len(x))
	for i := range x {
		y[i] = float64(d.w[name+".weight"][i]) * x[i] / math.Sqrt(ss/float64(len(x))+d.Eps)
	}
	return y
}

func (d *decoder) mlp(name string, x []float64) []float64 {
	gate, up := d.linear(name+"gate_proj", x), d.linear(name+"up_proj", x)
	for i, g := range gate {
		up[i] *= g / (1 + math.Exp(-g))
	}
	return d.linear(name+"down_proj", up)
}

func (d *decoder) experts(name string, x []float64) []float64 {
	p := d.linear(name+"gate", x)
	logSoftmax(p)
	order := make([]int, d.Experts)
	for e := range order {
		order[e], p[e] = e, math.Exp(p[e])
	}
	slices.SortFunc(order, func(a, b int) int {
		if p[a] > p[b] {
			return -1
		}
		return 1
	})
	sum := 1.0
	if d.NormTopK {
		sum = 0
		for _, e := range order[:d.TopK] {
			sum += p[e]
		}
	}
	y := make([]float64, len(x))
	for _, e := range order[:d.TopK] {
		for i, v := range d.mlp(fmt.Sprintf("%sexperts.%d.", name, e), x) {
			y[i] += p[e] / sum * v
		}
	}
	return y
}

// heads projects, normalises (where norm is not "") and rotates a token's heads.
func (d *decoder) heads(name, norm string, x []float64, pos int) (out [][]float64) {
	for h := range slices.Chunk(d.linear(name, x), d.HeadDim) {
		if norm != "" {
			h = d.norm(norm, h)
			half := d.HeadDim / 2
			for i := range half {
				sin, cos := math.Sincos(float64(pos) * math.Pow(d.Theta, -float64(2*i)/float64(d.HeadDim)))
				h[i], h[half+i] = h[i]*cos-h[half+i]*sin, h[half+i]*cos+h[i]*sin
			}
		}
		out = append(out, h)
	}
	return out
}

// logprobs are the logarithms of the probabilities [token][vocabulary] of what follows.
func (d *decoder) logprobs(tokens []int32) [][]float64 {
	out := d.logits(tokens)
	for _, row := range out {
		logSoftmax(row)
	}
	return out
}

// logits [token][vocabulary] of what follows.
func (d *decoder) logits(tokens []int32) (out [][]float64) {
	width := len(d.w["model.norm.weight"])
	stream := make([][]float64, len(tokens))
	for t, id := range tokens {
		for _, v := range d.w["model.embed_tokens.weight"][int(id)*width:][:width] {
			stream[t] = append(stream[t], float64(v))
		}
	}
	add := func(x, y []float64) {
		for i := range x {
			x[i] += y[i]
		}
	}
	for l := range d.Layers {
		name := fmt.Sprintf("model.layers.%d.", l)
		var k, v [][][]float64
		for t, x := range stream {
			n := d.norm(name+"input_layernorm", x)
			att := name + "self_attn."
			k, v = append(k, d.heads(att+"k_proj", att+"k_norm", n, t)), append(v, d.heads(att+"v_proj", "", n, t))
			var mixed []float64
			for h, q := range d.heads(att+"q_proj", att+"q_norm", n, t) {
				g := h / (d.Heads / d.KVHeads)
				scores := make([]float64, t+1)
				for u := range scores {
					for i := range q {
						scores[u] += q[i] * k[u][g][i] / math.Sqrt(float64(d.HeadDim))
					}
				}
				logSoftmax(scores)
				y := make([]float64, d.HeadDim)
				for u, s := range scores {
					for i := range y {
						y[i] += math.Exp(s) * v[u][g][i]
					}
				}
				mixed = append(mixed, y...)
			}
			add(x, d.linear(att+"o_proj", mixed))
		}
		for _, x := range stream {
			n := d.norm(name+"post_attention_layernorm", x)
			if d.Experts > 0 {
				add(x, d.experts(name+"mlp.", n))
			} else {
				add(x, d.mlp(name+"mlp.", n))
			}
		}
	}
	head := "lm_head"
	if d.Tied {
		head = "model.embed_tokens"
	}
	for _, x := range stream {
		out = append(out, d.linear(head, d.norm("model.norm", x)))
	}
	return out
}

func logSoftmax(x []float64) {
	sum, top := 0.0, slices.Max(x)
	for _, v := range x {
		sum += math.Exp(v - top)
	}
	for i := range x {
		x[i] -= top + math.Log(sum)
	}
}

// trained are the same of the trainer's own model with a checkpoint's weights: its loss
// for every target in turn.
func trained(t *testing.T, r config.Run, weights map[string][]float32, tokens []int32) [][]float64 {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s := r.Shape
	m, err := model.New(s, model.Options{Sequences: 1, Modules: r.Modules()})
	check(err)
	backend, err := cpu.New(cpu.Options{})
	check(err)
	mc, err := backend.Load(1, m.Programs()...)
	check(err)
	defer mc.Close()
	check(m.Prepare(mc, 1, 0))
	for _, p := range m.Params {
		check(mc.WriteFloats(p.Value, 0, weights[p.Name]))
	}
	check(mc.WriteInts(m.Tokens, 0, tokens))
	out := make([][]float64, len(tokens))
	targets, losses := make([]int32, len(tokens)), make([]float32, len(tokens))
	for v := range s.Vocab {
		for i := range targets {
			targets[i] = int32(v)
		}
		check(mc.WriteInts(m.Targets, 0, targets))
		check(mc.Execute(m.Evaluate))
		check(mc.ReadFloats(losses, m.TokenLoss, 0))
		for i, l := range losses {
			out[i] = append(out[i], -float64(l))
		}
	}
	return out
}

// opened reads a model directory.
func opened(t *testing.T, dir string) *decoder {
	t.Helper()
	var d decoder
	if err := json.Unmarshal(read(t, dir, configFile), &d); err != nil {
		t.Fatal(err)
	}
	d.w, _, _ = tensors(t, filepath.Join(dir, weightsFile))
	return &d
}

// TestLogits: the exported model, computed from its own files alone, gives the
// probabilities of the model that was trained.
func TestLogits(t *testing.T) {
	for kind, s := range shapes() {
		for _, dtype := range DTypes {
			t.Run(kind+" "+string(dtype), func(t *testing.T) {
				run, c := saved(t, runOf(s))
				dir := filepath.Join(t.TempDir(), "model")
				if err := Export(t.Context(), run, c, dir, Options{DType: dtype}); err != nil {
					t.Fatal(err)
				}
				tokens := make([]int32, s.Context)
				for i := range tokens {
					tokens[i] = int32((i*i*37 + 11*i + 5) % s.Vocab)
				}
				weights, _, _ := tensors(t, filepath.Join(c.Dir, weightsFile))
				if dtype == BFloat16 {
					for _, v := range weights {
						for i := range v {
							v[i] = nearest(v[i])
						}
					}
				}
				want := trained(t, runOf(s), weights, tokens)
				worst, spread := 0.0, 0.0
				for i, row := range opened(t, dir).logprobs(tokens) {
					spread = max(spread, slices.Max(row)-slices.Min(row))
					for v := range row {
						worst = max(worst, math.Abs(row[v]-want[i][v]))
					}
				}
				if !(worst < 5e-5) || spread < 2 {
					t.Errorf("log-probabilities differ by %.2g, and span %.2g", worst, spread)
				}
			})
		}
	}
}

// TestMultipliers: a run under a rule with a multiplier for everything is exported as a
// model without any that computes the same.
func TestMultipliers(t *testing.T) {
	for kind, s := range shapes() {
		if s.Tied {
			continue // refused, see TestRefusals
		}
		r := runOf(s)
		r.Rule, r.Scaling = "mine", &config.Scaling{Modules: config.Standard(s)}
		for i := range r.Scaling.Modules {
			r.Scaling.Modules[i].Multiplier *= 0.6 + 0.07*float64(i)
		}
		run, c := saved(t, r)
		dir := filepath.Join(t.TempDir(), "model")
		if err := Export(t.Context(), run, c, dir, Options{DType: Float32, Program: "etastar test"}); err != nil {
			t.Fatal(err)
		}
		tokens := make([]int32, s.Context)
		for i := range tokens {
			tokens[i] = int32((i*i*37 + 11*i + 5) % s.Vocab)
		}
		weights, _, _ := tensors(t, filepath.Join(c.Dir, weightsFile))
		want := trained(t, r, weights, tokens)
		var d decoder
		if err := json.Unmarshal(read(t, dir, configFile), &d); err != nil {
			t.Fatal(err)
		}
		d.w, _, _ = tensors(t, filepath.Join(dir, weightsFile))
		plain := trained(t, runOf(s), weights, tokens)
		worst, apart := 0.0, 0.0
		for i, row := range d.logprobs(tokens) {
			for v := range row {
				worst, apart = max(worst, math.Abs(row[v]-want[i][v])), max(apart, math.Abs(plain[i][v]-want[i][v]))
			}
		}
		if !(worst < 5e-5) || apart < 0.1 {
			t.Errorf("%s: log-probabilities differ by %.2g; the multipliers change them by %.2g", kind, worst, apart)
		}
		if card := string(read(t, dir, cardFile)); !strings.Contains(card, "mine, its multipliers gone into the weights") {
			t.Errorf("%s: the card does not say so:\n%s", kind, card)
		}
	}
}
