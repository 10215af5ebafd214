package config

import (
	"fmt"
	"math"
	"strings"
)

// Shape is a decoder of the Qwen3 family (transformers: modeling_qwen3.py,
// modeling_qwen3_moe.py): per layer RMSNorm, grouped-query attention with RMSNorm on
// every query and key head (QK-norm) and rotary positions, RMSNorm, and a SwiGLU or a
// mixture of SwiGLU experts; a final RMSNorm and the output head. No biases.
type Shape struct {
	DModel    int     `json:"d_model"`
	Layers    int     `json:"layers"`
	Heads     int     `json:"heads"`
	KVHeads   int     `json:"kv_heads"`
	HeadDim   int     `json:"head_dim"`
	DFF       int     `json:"d_ff"`                 // SwiGLU's inner width, dense only
	Experts   int     `json:"experts,omitzero"`     // 0: dense
	TopK      int     `json:"top_k,omitzero"`       // experts a token goes through
	DFFExp    int     `json:"d_ff_expert,omitzero"` // inner width of one expert
	Vocab     int     `json:"vocab"`                //
	Context   int     `json:"context"`              // tokens a sequence holds
	Tied      bool    `json:"tied,omitempty"`       // the head is the embedding, transposed
	RopeTheta float64 `json:"rope_theta"`           // base of the rotary frequencies
	NormEps   float64 `json:"norm_eps"`             //
}

// Dense is a dense shape with Qwen3's proportions: heads of 64 at most (each of even
// width), two query heads to a key head where they divide, d_ff = 3·d_model, rope base
// 1e4 (proxies have short contexts), eps 1e-6.
func Dense(dModel, layers, vocab, context int) Shape {
	hd := 64
	for hd > 8 && dModel/hd < 4 {
		hd /= 2
	}
	heads := max(1, dModel/hd)
	kv := heads
	if heads%2 == 0 {
		kv = heads / 2
	}
	return Shape{
		DModel: dModel, Layers: layers, Heads: heads, KVHeads: kv, HeadDim: hd, DFF: 3 * dModel,
		Vocab: vocab, Context: context, RopeTheta: 1e4, NormEps: 1e-6,
	}
}

// MoE turns a dense shape into a mixture of experts in every layer whose active width
// top_k·d_ff_expert is the dense d_ff, rounded down to a multiple of 8.
func (s Shape) MoE(experts, topK int) Shape {
	s.Experts, s.TopK = experts, topK
	if topK > 0 {
		s.DFFExp = max(8, s.DFF/topK/8*8)
	}
	s.DFF = 0
	return s
}

// IsMoE reports whether the layers hold experts.
func (s Shape) IsMoE() bool { return s.Experts > 0 }

// Name is a short readable name: "d128L4", "d128L4e8k2". Shapes that differ in other
// things share it.
func (s Shape) Name() string {
	n := fmt.Sprintf("d%dL%d", s.DModel, s.Layers)
	if s.IsMoE() {
		n += fmt.Sprintf("e%dk%d", s.Experts, s.TopK)
	}
	return n
}

// Bounds no proxy reaches: a number beyond is a slip of the keyboard, and within them
// no count overflows 64 bits.
const (
	maxWidth   = 1 << 16
	maxLayers  = 1 << 10
	maxVocab   = 1 << 22
	maxContext = 1 << 20
	maxExperts = 1 << 12
)

// Problems says what is wrong with a shape, each with what to change.
func (s Shape) Problems() (out []string) {
	bad := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	within := func(name string, v, least, most int) bool {
		if v < least || v > most {
			bad("%s is %d: use %d to %d", name, v, least, most)
			return false
		}
		return true
	}
	within("d_model", s.DModel, 1, maxWidth)
	within("layers", s.Layers, 1, maxLayers)
	within("vocab", s.Vocab, 2, maxVocab)
	within("context", s.Context, 1, maxContext)
	if within("heads", s.Heads, 1, maxWidth) && within("kv_heads", s.KVHeads, 1, maxWidth) && s.Heads%s.KVHeads != 0 {
		bad("kv_heads %d does not divide heads %d: use %s", s.KVHeads, s.Heads, divisors(s.Heads))
	}
	if within("head_dim", s.HeadDim, 2, maxWidth) && s.HeadDim%2 != 0 {
		bad("head_dim %d is odd, and rotary positions turn pairs: use %d or %d", s.HeadDim, s.HeadDim-1, s.HeadDim+1)
	}
	if s.Heads > 0 && s.HeadDim > 0 && s.Heads <= maxWidth && s.HeadDim <= maxWidth && s.Heads*s.HeadDim > 16*maxWidth {
		bad("heads × head_dim is %d: use at most %d", s.Heads*s.HeadDim, 16*maxWidth)
	}
	switch {
	case s.Experts == 0:
		within("d_ff", s.DFF, 1, 4*maxWidth)
		if s.TopK != 0 || s.DFFExp != 0 {
			bad("top_k %d and d_ff_expert %d belong to a mixture of experts: set experts, or leave them 0", s.TopK, s.DFFExp)
		}
	case within("experts", s.Experts, 1, maxExperts):
		within("d_ff_expert", s.DFFExp, 1, 4*maxWidth)
		switch {
		case s.TopK < 1:
			bad("top_k is %d: a token must go through at least one of the %d experts", s.TopK, s.Experts)
		case s.TopK > s.Experts:
			bad("top_k %d is more than the %d experts: lower top_k or add experts", s.TopK, s.Experts)
		}
		if s.DFF != 0 {
			bad("d_ff %d and experts %d are both set: a layer holds either, so set d_ff to 0", s.DFF, s.Experts)
		}
	}
	if !(s.RopeTheta > 1) || math.IsInf(s.RopeTheta, 0) {
		bad("rope_theta %g: use a number above 1, such as 10000", s.RopeTheta)
	}
	if !(s.NormEps > 0 && s.NormEps < 1) {
		bad("norm_eps %g: use a small positive number, such as 1e-6", s.NormEps)
	}
	return out
}

// divisors lists what divides n, at most its eight largest.
func divisors(n int) string {
	var d []string
	for i := n; i >= 1 && len(d) < 8; i-- {
		if n%i == 0 {
			d = append(d, fmt.Sprint(i))
		}
	}
	return strings.Join(d, ", ")
}

// Params counts parameters in every convention the published laws use (see
// facts/learning_rate_laws.md). With a tied head, the one matrix counts once in Total.
type Params struct {
	Total             int64 // every weight
	Active            int64 // those one token goes through: top_k experts of each layer
	NonEmbedding      int64 // Total without the input embedding's V·d; an untied head stays
	WithoutVocabulary int64 // without embedding and head (Step Law; Kaplan's N, whose head is tied)
	WithHead          int64 // WithoutVocabulary plus V·d, tied or not (Porian)
	ActiveNonEmb      int64 // Active without the input embedding
	ActiveWithoutVoc  int64 // Active without embedding and head
	Vocabulary        int64 // what embedding and head hold together
}

// Params counts.
func (s Shape) Params() Params {
	d, table := int64(s.DModel), int64(s.Vocab)*int64(s.DModel)
	norms := 2*d + 2*int64(s.HeadDim)
	layers := int64(s.Layers)
	all := layers*(norms+s.attention()+s.ffn(s.Experts)) + d
	active := layers*(norms+s.attention()+s.ffn(s.TopK)) + d
	p := Params{WithoutVocabulary: all, WithHead: all + table, ActiveWithoutVoc: active, Vocabulary: 2 * table}
	if s.Tied {
		p.Vocabulary = table
	}
	p.Total, p.Active = all+p.Vocabulary, active+p.Vocabulary
	p.NonEmbedding, p.ActiveNonEmb = p.Total-table, p.Active-table
	return p
}

// attention counts the four projections of one layer.
func (s Shape) attention() int64 {
	return int64(s.DModel) * int64(s.HeadDim) * int64(2*s.Heads+2*s.KVHeads)
}

// ffn counts the feed-forward matrices of one layer with n experts: gate, up and down
// of each, and the router.
func (s Shape) ffn(n int) int64 {
	d := int64(s.DModel)
	if !s.IsMoE() {
		return 3 * d * int64(s.DFF)
	}
	return 3*d*int64(s.DFFExp)*int64(n) + d*int64(s.Experts)
}

// FLOPs are training FLOPs (forward and backward) for one token.
type FLOPs struct {
	// SixN is 6·N with N = Active, the usual C = 6·N·D.
	SixN float64
	// M is DeepSeek's non-embedding FLOPs per token, attention included (arXiv
	// 2401.02954, eq. 2: M = 72·L·d² + 12·L·d·T). 72·d² is 6 × the 12·d² weights that
	// a layer of theirs multiplies with, and 12·d·T is 6 × the 2·d·T multiply-adds of
	// q·k and p·v over T positions. For any heads, SwiGLU and experts that is
	//
	//	M = 6·L·(d·h·(2·H + 2·KV) + W) + 12·L·H·h·T
	//
	// with h = head_dim, W = 3·d·d_ff or, for experts, 3·d·d_ff_expert·top_k + d·E. It
	// equals theirs at H·h = KV·h = d and d_ff = 8d/3. Norms and softmax are not counted.
	M float64
	// Compute is M and the output head, 6·V·d: what a step really multiplies. A small
	// proxy with a large vocabulary spends most of it in the head.
	Compute float64
}

// FLOPs counts for one token in a sequence of Context tokens.
func (s Shape) FLOPs() FLOPs {
	l := float64(s.Layers)
	m := 6*l*float64(s.attention()+s.ffn(s.TopK)) + 12*l*float64(s.Heads*s.HeadDim)*float64(s.Context)
	return FLOPs{
		SixN:    6 * float64(s.Params().Active),
		M:       m,
		Compute: m + 6*float64(s.Vocab)*float64(s.DModel),
	}
}

// Memory is what training one learning rate keeps, in 32-bit floats. It is an estimate
// for planning: the backend's own buffers come on top.
type Memory struct {
	Weights    int64 // and as many gradients
	Optimizer  int64 // AdamW's two moments
	PerToken   int64 // activations kept for the backward pass, per token of a micro-batch
	LogitToken int64 // logits, per token of the chunk the head works on
}

// Memory counts. Per layer and token it keeps: the residual stream twice, both
// normalised inputs, q, k, v before and q, k after norm and rotation, the attention
// output and one log-sum-exp per head, and gate, up and product of SwiGLU (with
// gathered input and output for every expert used, and the router's scores).
func (s Shape) Memory() Memory {
	q, kv, d := int64(s.Heads*s.HeadDim), int64(s.KVHeads*s.HeadDim), int64(s.DModel)
	layer := 4*d + (q + 2*kv) + (q + kv) + q + int64(s.Heads)
	if s.IsMoE() {
		layer += int64(s.TopK)*(2*d+3*int64(s.DFFExp)) + int64(s.Experts)
	} else {
		layer += 3 * int64(s.DFF)
	}
	n := s.Params().Total
	return Memory{Weights: n, Optimizer: 2 * n, PerToken: int64(s.Layers)*layer + 2*d, LogitToken: int64(s.Vocab)}
}

// Bytes is the estimate for runs learning rates trained together with micro-batches of
// tokens, their logits in chunks of chunk tokens.
func (m Memory) Bytes(runs int, tokens, chunk int64) int64 {
	return 4 * int64(runs) * (2*m.Weights + m.Optimizer + m.PerToken*tokens + m.LogitToken*min(chunk, tokens))
}
