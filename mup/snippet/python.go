package snippet

import (
	"fmt"
	"math"
	"strings"

	"github.com/etastar/etastar/mup"
)

// Patterns are Python regular expressions, for re.search, that find a module's parameters
// by their names in Hugging Face's Qwen3 and Qwen3-MoE, with experts apart or packed.
func Patterns() map[mup.Module]string {
	return map[mup.Module]string{
		mup.Embedding:    `(^|\.)embed_tokens\.weight$`,
		mup.AttentionQ:   `\.self_attn\.q_proj\.weight$`,
		mup.AttentionK:   `\.self_attn\.k_proj\.weight$`,
		mup.AttentionV:   `\.self_attn\.v_proj\.weight$`,
		mup.AttentionO:   `\.self_attn\.o_proj\.weight$`,
		mup.QKNorm:       `\.self_attn\.[qk]_norm\.weight$`,
		mup.MLPGateUp:    `\.mlp\.(gate_proj|up_proj|gate_up_proj)\.weight$`,
		mup.MLPDown:      `\.mlp\.down_proj\.weight$`,
		mup.Router:       `\.mlp\.gate\.weight$`,
		mup.ExpertGateUp: `\.mlp\.experts\.(\d+\.(gate_proj|up_proj)\.weight|gate_up_proj)$`,
		mup.ExpertDown:   `\.mlp\.experts\.(\d+\.down_proj\.weight|down_proj)$`,
		mup.Norm:         `\.(input|post_attention)_layernorm\.weight$`,
		mup.FinalNorm:    `(^|model\.)norm\.weight$`,
		mup.Head:         `(^|\.)lm_head\.weight$`,
	}
}

const groupsCode = `


def module_of(name):
    """The row of MODULES that a parameter belongs to: exactly one."""
    rows = [row for row in MODULES if re.search(row[1], name)]
    if len(rows) != 1:
        raise ValueError(f"{name}: {len(rows)} patterns match, expected one")
    return rows[0]


def parameter_groups(model):
    groups = {row[0]: [] for row in MODULES}
    for name, p in model.named_parameters():
        groups[module_of(name)[0]].append(p)
    if empty := [module for module, params in groups.items() if not params]:
        raise ValueError(f"no parameter found for {', '.join(empty)}")
    return [
        dict(params=groups[module], lr=lr, weight_decay=decay, eps=eps)
        for module, _, lr, decay, eps, _ in MODULES
    ]


@torch.no_grad()
def initialize(model):
    for name, p in model.named_parameters():
        std = module_of(name)[5]
        p.fill_(1) if std is None else p.normal_(0, std)


`

// PyTorch writes Python with one AdamW parameter group for each module, found by name, the
// initial values and the forward factors as hooks on Hugging Face's Qwen3 modules.
func PyTorch(t *mup.Result) string {
	return python(t, "import torch\n") + `
# Once, on a freshly built model, with the betas of the base run:
#   initialize(model); scale_forward(model)
#   optimizer = torch.optim.AdamW(parameter_groups(model), betas=betas)
# A scheduler must scale every group's lr by the same factor, as LambdaLR does.
`
}

// HuggingFace writes the same for transformers' Trainer, as a subclass that makes the
// optimizer; the schedule stays the Trainer's.
func HuggingFace(t *mup.Result) string {
	return python(t, "import torch\nfrom transformers import Trainer\n") + `

def get_optimizer(model, betas):
    return torch.optim.AdamW(parameter_groups(model), betas=betas)


class TransferTrainer(Trainer):
    """Trainer with a learning rate for each module; args.learning_rate,
    args.weight_decay and args.adam_epsilon are not used, the schedule's shape is."""

    def create_optimizer(self, *args, **kwargs):
        if self.optimizer is None:
            self.optimizer = get_optimizer(self.model, (self.args.adam_beta1, self.args.adam_beta2))
        return self.optimizer


# Once, on a freshly built model, before the Trainer: initialize(model); scale_forward(model)
`
}

// python is what both share: the table, the groups, initial values and factors.
func python(t *mup.Result, imports string) string {
	var b strings.Builder
	b.WriteString(header(t))
	b.WriteString(tokens(t))
	fmt.Fprintf(&b, "import re\n\n%s\n# module, pattern of parameter names, lr, weight decay, eps, initial std (None: gains, which start at 1)\nMODULES = [\n", imports)
	patterns := Patterns()
	for _, r := range t.Rows {
		if !r.Has(mup.LR) {
			continue
		}
		std := "None"
		if r.Has(mup.InitStd) {
			std = number(r.Target.InitStd)
		}
		fmt.Fprintf(&b, "    (%q, r\"%s\", %s, %s, %s, %s),\n", r.Module, patterns[r.Module],
			number(r.Target.LR), number(value(t, r, mup.WeightDecay)), number(r.Target.Eps), std)
	}
	b.WriteString("]")
	b.WriteString(groupsCode)
	b.WriteString(factors(t))
	return b.String()
}

// factors writes scale_forward. A linear module's factor goes on its input, which is the
// same for its output and holds whatever the module returns.
func factors(t *mup.Result) string {
	var b strings.Builder
	b.WriteString("def scale_forward(model):\n")
	b.WriteString("    \"\"\"The rule's forward factors, on Hugging Face's Qwen3 modules.\"\"\"\n\n")
	b.WriteString("    def on_input(factor):\n        return lambda module, args: (args[0] * factor, *args[1:])\n\n")
	b.WriteString("    def on_output(factor):\n        return lambda module, args, out: (out[0] * factor, *out[1:]) if isinstance(out, tuple) else out * factor\n\n")
	b.WriteString("    for name, module in model.named_modules():\n")
	attn, _ := t.Row(mup.AttnLogits)
	note := ""
	if !same(attn.Target.Multiplier, 1/math.Sqrt(float64(t.Target.HeadDim))) {
		note = "  # not 1/sqrt(head_dim)"
	}
	fmt.Fprintf(&b, "        if name.endswith(\"self_attn\"):\n            module.scaling = %s%s\n", number(attn.Target.Multiplier), note)
	packed := false
	for _, r := range t.Rows {
		f := r.Target.Multiplier
		if r.Module == mup.AttnLogits || !r.Has(mup.Multiplier) || f == 1 {
			continue
		}
		hook, pattern := "register_forward_pre_hook(on_input", modulePattern(r.Module)
		if r.Module == mup.Embedding || r.Module == mup.Residual {
			hook = "register_forward_hook(on_output"
		}
		if r.Module == mup.ExpertGateUp || r.Module == mup.ExpertDown {
			packed = true
		}
		fmt.Fprintf(&b, "        if re.search(r\"%s\", name):  # %s\n            module.%s(%s))\n", pattern, r.Module, hook, number(f))
	}
	if packed {
		b.WriteString("    # Packed experts are parameters without a module: scale them in the model's code.\n")
	}
	return b.String()
}

// modulePattern finds the module whose input or output a factor scales.
func modulePattern(m mup.Module) string {
	if m == mup.Residual {
		return `\.self_attn\.o_proj$|\.mlp$`
	}
	p := strings.TrimSuffix(Patterns()[m], "$")
	return strings.Replace(strings.TrimSuffix(p, `\.weight`), `\.weight|`, "|", 1) + "$"
}
