package huggingface

import (
	"fmt"
	"math"
	"strings"

	"github.com/etastar/etastar/mup"
	"github.com/etastar/etastar/trainer/config"
)

// scales are what the tensors of an export are multiplied by: Qwen3 has none of a
// parametrization rule's multipliers, so they go into the weights they act on. The branch's
// factor goes into what writes into the residual stream, that of q·k over 1/√head_dim into
// the gains of the normalised queries.
type scales map[mup.Module]float64

// scalesOf fails where no weight can hold a multiplier: a tied matrix is the embedding and
// the head.
func scalesOf(r config.Run) (scales, error) {
	out := scales{}
	for _, m := range r.Modules() {
		out[m.Module] = m.Multiplier
	}
	if e, h := out[mup.Embedding], out[mup.Head]; r.Shape.Tied && e != h {
		return nil, fmt.Errorf("%w: parametrization rule %q multiplies the embedding by %g and the head tied to it by %g, which one matrix cannot hold", ErrUnsupported, r.Rule, e, h)
	}
	for _, m := range []mup.Module{mup.AttentionO, mup.MLPDown, mup.ExpertDown} {
		out[m] *= out[mup.Residual]
	}
	out[mup.QKNorm] = out[mup.AttnLogits] / (1 / math.Sqrt(float64(r.Shape.HeadDim))) // exactly 1 under the standard parametrization
	return out, nil
}

// of is the factor of a tensor of the checkpoint.
func (s scales) of(name string) float64 {
	for _, part := range []struct {
		suffix string
		module mup.Module
	}{
		{"embed_tokens.weight", mup.Embedding},
		{"q_proj.weight", mup.AttentionQ},
		{"k_proj.weight", mup.AttentionK},
		{"v_proj.weight", mup.AttentionV},
		{"o_proj.weight", mup.AttentionO},
		{"q_norm.weight", mup.QKNorm},
		{"mlp.gate_up_proj.weight", mup.MLPGateUp},
		{"mlp.down_proj.weight", mup.MLPDown},
		{"mlp.gate.weight", mup.Router},
		{"mlp.experts.gate_up_proj", mup.ExpertGateUp},
		{"mlp.experts.down_proj", mup.ExpertDown},
		{"lm_head.weight", mup.Head},
	} {
		if strings.HasSuffix(name, part.suffix) {
			return s[part.module]
		}
	}
	return 1
}

// any reports whether any factor is not 1.
func (s scales) any() bool {
	for m, f := range s {
		switch m {
		case mup.AttnLogits, mup.Residual, mup.Norm, mup.FinalNorm: // they are in those of other modules, or have none
		default:
			if f != 1 {
				return true
			}
		}
	}
	return false
}
