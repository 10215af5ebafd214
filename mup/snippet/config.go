package snippet

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/etastar/etastar/mup"
)

// writers are the matrices whose initial values some trainers scale by depth.
var writers = []mup.Module{mup.AttentionO, mup.MLPDown, mup.ExpertDown}

// readers are the matrices that read the residual stream.
var readers = []mup.Module{mup.AttentionQ, mup.AttentionK, mup.AttentionV, mup.MLPGateUp, mup.Router, mup.ExpertGateUp}

// byDepth is the initial standard deviation of trainers that divide that of what writes
// into the residual stream by √(2·depth).
func byDepth(t *mup.Result, std, embedding float64) func(mup.Module) (float64, bool) {
	return func(m mup.Module) (float64, bool) {
		switch {
		case m == mup.Head:
			return 0, false
		case m == mup.Embedding:
			return embedding, true
		case slices.Contains(writers, m):
			return std / math.Sqrt(2*float64(t.Target.Depth)), true
		}
		return std, true
	}
}

func isVocabulary(m mup.Module) bool { return m == mup.Embedding || m == mup.Head }

// Megatron writes Megatron-LM arguments: --lr for the hidden weights, --decoupled-lr for
// embedding and head together, one weight decay, ε and two initial standard deviations.
func Megatron(t *mup.Result) string {
	lr, vocabulary := most(t, mup.LR, hidden), most(t, mup.LR, []mup.Module{mup.Embedding, mup.Head})
	std, embedding := most(t, mup.InitStd, readers), most(t, mup.InitStd, []mup.Module{mup.Embedding})
	decay, eps := most(t, mup.WeightDecay, hidden), most(t, mup.Eps, hidden)
	args := []string{"--optimizer adam", "--lr " + number(lr)}
	if !same(lr, vocabulary) {
		args = append(args, "--decoupled-lr "+number(vocabulary))
	}
	args = append(args,
		"--weight-decay "+number(decay), "--adam-eps "+number(eps),
		"--init-method-std "+number(std), "--embedding-init-method-std "+number(embedding))
	var b strings.Builder
	b.WriteString(header(t))
	b.WriteString("# --lr holds for hidden weights and norms, --decoupled-lr for the input and output layer;\n")
	b.WriteString("# attention output and down projections start at --init-method-std/sqrt(2*depth); norms are not decayed.\n")
	b.WriteString(tokens(t))
	fmt.Fprintf(&b, "ETASTAR_ARGS=(\n    %s\n)\n", strings.Join(args, "\n    "))
	rates := unmet(t, mup.LR, func(m mup.Module) (float64, bool) {
		if isVocabulary(m) {
			return vocabulary, true
		}
		return lr, true
	}) + unmet(t, mup.WeightDecay, everywhere(decay))
	forward := unmet(t, mup.Multiplier, unscaled(t))
	b.WriteString(cannot("Megatron-LM", rates+unmet(t, mup.Eps, everywhere(eps))+unmet(t, mup.InitStd, byDepth(t, std, embedding))+forward))
	if rates != "" {
		b.WriteString("# Rates and decay of single groups need a ParamGroupOverride in code.\n")
	}
	if forward != "" {
		b.WriteString("# The attention factor is softmax_scale in TransformerConfig; other multipliers need a change of the model.\n")
	}
	if recipe := map[string]string{"mup": "mup", "depth_mup": "depth_mup", "completep": "depth_mup"}[t.Rule.Name]; recipe != "" {
		fmt.Fprintf(&b, "# Newer versions have a recipe of their own, with Megatron's exponents, not this rule's:\n"+
			"# --scaling-recipe %s --scaling-base-hidden-size %d --scaling-base-head-dim %d", recipe, t.Base.Width, t.Base.HeadDim)
		if recipe == "depth_mup" {
			fmt.Fprintf(&b, " --scaling-base-num-layers %d", t.Base.Depth)
		}
		b.WriteString("; with it, pass the base's values, not these.\n")
	}
	return b.String()
}

// tokens is a comment with batch and horizon, whose options count sequences or steps.
func tokens(t *mup.Result) string {
	if n := steps(t); n > 0 {
		return fmt.Sprintf("# %.0f tokens a step, %d steps; set batch in sequences and steps to match.\n", t.Target.BatchTokens, n)
	}
	return "# Batch and horizon are not part of this transfer: keep the base's.\n"
}

// Torchtitan writes the [optimizer] table of torchtitan's TOML configuration, which has one
// learning rate.
func Torchtitan(t *mup.Result) string {
	lr, decay, eps := most(t, mup.LR, hidden), most(t, mup.WeightDecay, hidden), most(t, mup.Eps, hidden)
	var b strings.Builder
	b.WriteString(header(t))
	b.WriteString(tokens(t))
	fmt.Fprintf(&b, "[optimizer]\nname = \"AdamW\"\nlr = %s\neps = %s\nweight_decay = %s\n", decimal(lr), decimal(eps), decimal(decay))
	if n := steps(t); n > 0 {
		fmt.Fprintf(&b, "\n[training]\nsteps = %d\n", n)
	}
	own := func(mup.Module) (float64, bool) { return 0, false }
	list := unmet(t, mup.LR, everywhere(lr)) + unmet(t, mup.WeightDecay, everywhere(decay)) + unmet(t, mup.Eps, everywhere(eps)) +
		unmet(t, mup.InitStd, own) + unmet(t, mup.Multiplier, unscaled(t)) + "#   norm gains: no weight decay asked, decayed as all parameters\n"
	b.WriteString(cannot("torchtitan's TOML", list))
	b.WriteString("# Versions configured in Python have optimizer param_groups (pattern, optimizer_kwargs), which express rates, decay and eps.\n")
	return b.String()
}

// Nanotron writes nanotron's optimizer and init_method, which have one learning rate.
func Nanotron(t *mup.Result) string {
	lr, decay, eps := most(t, mup.LR, hidden), most(t, mup.WeightDecay, hidden), most(t, mup.Eps, hidden)
	std := most(t, mup.InitStd, readers)
	var b strings.Builder
	b.WriteString(header(t))
	b.WriteString(tokens(t))
	fmt.Fprintf(&b, `model:
  init_method:
    std: %s
optimizer:
  learning_rate_scheduler:
    learning_rate: %s
  optimizer_factory:
    name: adamW
    adam_eps: %s
  weight_decay: %s
  weight_decay_exclude_named_params: [".*norm.*"]
`, decimal(std), decimal(lr), decimal(eps), decimal(decay))
	if n := steps(t); n > 0 {
		fmt.Fprintf(&b, "tokens:\n  train_steps: %d\n", n)
	}
	list := unmet(t, mup.LR, everywhere(lr)) + unmet(t, mup.WeightDecay, everywhere(decay)) + unmet(t, mup.Eps, everywhere(eps)) +
		unmet(t, mup.InitStd, func(m mup.Module) (float64, bool) {
			if m == mup.Head {
				return std, true
			}
			return byDepth(t, std, std)(m)
		}) + unmet(t, mup.Multiplier, unscaled(t))
	b.WriteString(cannot("nanotron", list))
	b.WriteString("# Output projections start at std/sqrt(2*depth), nanotron's scaling_method num_layers, its default.\n" +
		"# init_method use_mup turns on nanotron's own spectral rule, which is not this one.\n")
	return b.String()
}

// decimal is a number that every reader of YAML or TOML takes for a float: with a point.
func decimal(x float64) string {
	s := number(x)
	mantissa, exponent, scaled := strings.Cut(s, "e")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	if scaled {
		return mantissa + "e" + exponent
	}
	return mantissa
}
