package snippet

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
)

// Rate is a peak learning rate for every module alike, as a fitted law predicts it:
// what a prediction says to a trainer. Fields that are 0 are not known.
type Rate struct {
	LR          float64
	Low, High   float64 // interval of LR
	Level       float64 // of the interval
	N, D, Batch float64 // parameters, tokens, tokens per optimizer step
	Band        [2]float64
	Law         string
	Warnings    []string
}

// RateFormats lists the trainers and files that WriteRate knows.
func RateFormats() []string {
	return []string{"megatron", "torchtitan", "nanotron", "huggingface", "json"}
}

// WriteRate writes a learning rate for the trainer of that name, or as JSON.
func WriteRate(name string, r Rate) (string, error) {
	if !(r.LR > 0) || math.IsInf(r.LR, 0) {
		return "", fmt.Errorf("the learning rate %v is no number above 0", r.LR)
	}
	steps := ""
	if r.D > 0 && r.Batch > 0 {
		steps = fmt.Sprintf("%.0f", math.Ceil(r.D/r.Batch))
	}
	lr := number(r.LR)
	b := r.header()
	switch name {
	case "megatron":
		args := "--lr " + lr
		if steps != "" {
			args += "\n    --train-iters " + steps + "\n    --lr-decay-iters " + steps
		}
		return b + "ETASTAR_ARGS=(\n    " + args + "\n)\n", nil
	case "torchtitan":
		b += "[optimizer]\nlr = " + floatText(lr) + "\n"
		if steps != "" {
			b += "\n[training]\nsteps = " + steps + "\n"
		}
		return b, nil
	case "nanotron":
		b += "optimizer:\n  learning_rate_scheduler:\n    learning_rate: " + floatText(lr) + "\n"
		if steps != "" {
			b += "tokens:\n  train_steps: " + steps + "\n"
		}
		return b, nil
	case "huggingface":
		b += "from transformers import TrainingArguments\n\nETASTAR = dict(\n    learning_rate=" + lr + ",\n"
		if steps != "" {
			b += "    max_steps=" + steps + ",\n"
		}
		return b + ")\n\n# args = TrainingArguments(output_dir=\"out\", **ETASTAR)\n", nil
	case "json":
		return r.json()
	}
	return "", fmt.Errorf("unknown trainer %q: use one of %s", name, strings.Join(RateFormats(), ", "))
}

// floatText writes a number so that TOML 1.0 and YAML 1.1 take it for one: with a point.
func floatText(s string) string {
	mantissa, exponent, found := strings.Cut(s, "e")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	if found {
		return mantissa + "e" + exponent
	}
	return mantissa
}

// known drops what is not known.
func known(x float64) bool { return x > 0 && !math.IsInf(x, 0) }

func (r *Rate) header() string {
	var b strings.Builder
	say := func(format string, args ...any) {
		line := strings.Map(func(c rune) rune {
			if c < ' ' || c == '\u007f' || c == '\u0085' || c == '\u2028' || c == '\u2029' {
				return ' '
			}
			return c
		}, fmt.Sprintf(format, args...))
		b.WriteString("# " + line + "\n")
	}
	say("peak learning rate predicted by etastar")
	if r.Law != "" {
		say("law: %s", r.Law)
	}
	var at []string
	for _, v := range []struct {
		name string
		x    float64
	}{{"N", r.N}, {"D", r.D}, {"batch", r.Batch}} {
		if known(v.x) {
			at = append(at, v.name+" "+number(v.x))
		}
	}
	if len(at) > 0 {
		say("target: %s (N in parameters, D and batch in tokens)", strings.Join(at, ", "))
	}
	if known(r.Low) && known(r.High) {
		say("%.0f%% interval: %.3g to %.3g", 100*r.Level, r.Low, r.High)
	}
	if known(r.Band[0]) && known(r.Band[1]) {
		say("about as good: %.3g to %.3g", r.Band[0], r.Band[1])
	}
	for _, w := range r.Warnings {
		say("doubt: %s", w)
	}
	return b.String()
}

func (r *Rate) json() (string, error) {
	or := func(x float64) any {
		if !known(x) {
			return nil
		}
		return x
	}
	warnings := r.Warnings
	if warnings == nil {
		warnings = []string{}
	}
	out, err := json.MarshalIndent(map[string]any{
		"learning_rate": r.LR, "low": or(r.Low), "high": or(r.High), "level": or(r.Level), "parameters": or(r.N), "tokens": or(r.D),
		"batch_tokens": or(r.Batch), "near_optimal": []any{or(r.Band[0]), or(r.Band[1])}, "law": r.Law, "warnings": warnings,
	}, "", "  ")
	return string(out) + "\n", err
}
