package huggingface

import (
	"bytes"
	"encoding/json"

	"github.com/etastar/etastar/trainer/config"
)

// float is a number that JSON shows to be one: transformers 5 refuses the integer
// 10000 where its configuration has a float.
type float float64

// MarshalJSON implements json.Marshaler.
func (f float) MarshalJSON() ([]byte, error) {
	b, err := json.Marshal(float64(f))
	if err == nil && !bytes.ContainsAny(b, ".e") {
		b = append(b, ".0"...)
	}
	return b, err
}

// rope is transformers 5's form of the rotary parameters.
type rope struct {
	Type  string `json:"rope_type"`
	Theta float  `json:"rope_theta"`
}

// modelConfig is config.json of Qwen3 and Qwen3-MoE (transformers:
// configuration_qwen3.py, configuration_qwen3_moe.py). What changed its name between
// versions 4 and 5 is there under both.
type modelConfig struct {
	Architectures    []string `json:"architectures"`
	ModelType        string   `json:"model_type"`
	AttentionBias    bool     `json:"attention_bias"`
	AttentionDropout float    `json:"attention_dropout"`
	BOS              *int32   `json:"bos_token_id"`
	EOS              *int32   `json:"eos_token_id"`
	DType            DType    `json:"dtype"`
	TorchDType       DType    `json:"torch_dtype"`
	HeadDim          int      `json:"head_dim"`
	HiddenAct        string   `json:"hidden_act"`
	HiddenSize       int      `json:"hidden_size"`
	InitializerRange float    `json:"initializer_range"`
	IntermediateSize int      `json:"intermediate_size"`
	MaxPositions     int      `json:"max_position_embeddings"`
	Heads            int      `json:"num_attention_heads"`
	Layers           int      `json:"num_hidden_layers"`
	KVHeads          int      `json:"num_key_value_heads"`
	NormEps          float    `json:"rms_norm_eps"`
	Rope             rope     `json:"rope_parameters"`
	RopeTheta        float    `json:"rope_theta"`
	Tied             bool     `json:"tie_word_embeddings"`
	UseCache         bool     `json:"use_cache"`
	UseSlidingWindow bool     `json:"use_sliding_window"`
	SlidingWindow    *int     `json:"sliding_window"`
	Vocab            int      `json:"vocab_size"`
	*denseConfig
	*moeConfig
}

type denseConfig struct {
	MaxWindowLayers int `json:"max_window_layers"`
}

type moeConfig struct {
	SparseStep   int   `json:"decoder_sparse_step"`
	OnlyMLP      []int `json:"mlp_only_layers"`
	ExpertWidth  int   `json:"moe_intermediate_size"`
	NormTopK     bool  `json:"norm_topk_prob"`
	Experts      int   `json:"num_experts"`
	TopK         int   `json:"num_experts_per_tok"`
	RouterLogits bool  `json:"output_router_logits"`
	Balance      float `json:"router_aux_loss_coef"`
}

func configOf(r config.Run, as DType, tok vocabulary) modelConfig {
	s := r.Shape
	c := modelConfig{
		Architectures: []string{architecture(s)}, ModelType: "qwen3", DType: as, TorchDType: as, EOS: tok.eos,
		HiddenAct: "silu", HiddenSize: s.DModel, IntermediateSize: s.DFF, HeadDim: s.HeadDim, Heads: s.Heads, KVHeads: s.KVHeads,
		Layers: s.Layers, Vocab: s.Vocab, MaxPositions: s.Context, InitializerRange: 0.02, NormEps: float(s.NormEps),
		Rope: rope{"default", float(s.RopeTheta)}, RopeTheta: float(s.RopeTheta), Tied: s.Tied, UseCache: true,
	}
	if !s.IsMoE() {
		c.denseConfig = &denseConfig{MaxWindowLayers: s.Layers}
		return c
	}
	c.ModelType = "qwen3_moe"
	c.IntermediateSize = s.TopK * s.DFFExp // of dense layers, of which there are none
	c.moeConfig = &moeConfig{
		SparseStep: 1, OnlyMLP: []int{}, ExpertWidth: s.DFFExp, NormTopK: true, Experts: s.Experts, TopK: s.TopK, Balance: float(r.Loss.Balance),
	}
	return c
}

// architecture is the class in transformers.
func architecture(s config.Shape) string {
	if s.IsMoE() {
		return "Qwen3MoeForCausalLM"
	}
	return "Qwen3ForCausalLM"
}

// generation is generation_config.json.
type generation struct {
	Sample bool   `json:"do_sample"`
	EOS    *int32 `json:"eos_token_id,omitempty"`
}

// encode writes JSON as the files of a model directory have it; text stays as it is.
func encode(v any) ([]byte, error) {
	if text, ok := v.([]byte); ok {
		return text, nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}
