package huggingface

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/rundir"
	"github.com/etastar/etastar/trainer/schedule"
)

// card is README.md. Files are named without their folders, which are nobody's business
// where a model is published.
func card(run rundir.Summary, c rundir.Checkpoint, o Options, tok vocabulary) string {
	r, s := run.Config, run.Config.Shape
	var b strings.Builder
	fmt.Fprintf(&b, "---\nlibrary_name: transformers\npipeline_tag: text-generation\ntags:\n- etastar\n- learning-rate-sweep\n---\n\n# %s, step %d\n\n", r.Name(), c.Step)
	b.WriteString("A small language model, trained from random weights as a proxy in a learning-rate\n" +
		"sweep. It shows what its learning rate does to its loss; it is a base model and was\n" +
		"not tuned for any use.\n\n| | |\n| --- | --- |\n")
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "| %s | %s |\n", name, cell(fmt.Sprintf(format, args...)))
	}
	p := s.Params()
	row("architecture", "%s: %s", architecture(s), shapeText(s))
	row("parameters", "%s", paramsText(p))
	stored := "as trained"
	if o.DType != Float32 {
		stored = "rounded from the float32 that was trained"
	}
	row("weights", "%s, %s", o.DType, stored)
	row("peak learning rate η", "%g", r.LR)
	rule := r.Rule
	if s, err := scalesOf(r); err == nil && s.any() {
		rule += ", its multipliers gone into the weights"
	}
	row("parametrization", "%s", rule)
	row("schedule", "%s", scheduleText(r))
	row("horizon", "%d tokens, %d steps", r.TrainedTokens(), r.Steps())
	row("this checkpoint", "%d tokens, step %d of %d", c.Step*r.BatchTokens(), c.Step, r.Steps())
	row("batch", "%d sequences of %d tokens", r.Batch.Sequences, s.Context)
	a := r.Optimizer
	row("optimizer", "%s, β₁ %g, β₂ %g, ε %g, weight decay %g, clip %g", a.Name, a.Beta1, a.Beta2, a.Eps, a.WeightDecay, a.Clip)
	row("added losses", "z-loss × %g, load balance × %g", r.Loss.Z, r.Loss.Balance)
	row("data", "%s", dataText(r.Data))
	row("tokenizer", "%s", tok.name)
	loss := lossAt(run, c.Step)
	row("training loss", "%s", loss.train)
	row("validation loss", "%s", loss.validation)
	row("seed", "%d", r.Seed)
	row("configuration hash", "%s", r.Hash())
	row("made by", "%s", o.Program)
	b.WriteString("\nLosses are mean cross-entropies in nats per token.\n")
	return b.String()
}

// cell keeps a text within its place in a table.
func cell(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
	return strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(text)
}

func shapeText(s config.Shape) string {
	t := fmt.Sprintf("%d layers of width %d, %d query and %d key-value heads of %d, ", s.Layers, s.DModel, s.Heads, s.KVHeads, s.HeadDim)
	if s.IsMoE() {
		t += fmt.Sprintf("%d experts of width %d, %d a token", s.Experts, s.DFFExp, s.TopK)
	} else {
		t += fmt.Sprintf("feed-forward width %d", s.DFF)
	}
	head := "a head of its own"
	if s.Tied {
		head = "the head tied to it"
	}
	return t + fmt.Sprintf(", a vocabulary of %d with %s, context %d", s.Vocab, head, s.Context)
}

func paramsText(p config.Params) string {
	t := strconv.FormatInt(p.Total, 10)
	if p.Active != p.Total {
		t += fmt.Sprintf(", %d active", p.Active)
	}
	return t + fmt.Sprintf("; %d without the embedding", p.NonEmbedding)
}

func scheduleText(r config.Run) string {
	s := r.Schedule
	t := fmt.Sprintf("%s, warm-up over %d tokens", s.Kind, s.WarmupTokens)
	if s.Decay != "" {
		t += fmt.Sprintf(", %s decay over the last %g of the horizon", s.Decay, s.DecayPart)
	}
	switch {
	case s.Kind == schedule.Constant:
		return t
	case s.FloorLR != 0:
		return t + fmt.Sprintf(", down to %g", s.FloorLR)
	}
	return t + fmt.Sprintf(", down to %g of the peak", s.Floor)
}

func dataText(d config.Data) string {
	var t string
	switch d.Source {
	case "synthetic":
		t = "a synthetic language, not real text"
	case "opticks":
		t = "Newton's Opticks, English text"
	default:
		t = filepath.Base(d.Source)
	}
	if d.Validation != "" {
		t += ", validated on " + filepath.Base(d.Validation)
	} else {
		t += fmt.Sprintf(", %g of its blocks held out (%s)", d.HeldOut, d.Split)
	}
	if d.Fingerprint != "" {
		t += ", fingerprint " + d.Fingerprint
	}
	return t
}

// losses of a checkpoint, as text.
type losses struct{ train, validation string }

// lossAt looks up what a run recorded at a step, and else the last validation before it.
func lossAt(run rundir.Summary, step int64) losses {
	const none = "not recorded"
	out := losses{none, none}
	validation := func(val, se rundir.Number) string {
		t := strconv.FormatFloat(float64(val), 'f', 4, 64)
		if se > 0 {
			t += " ± " + strconv.FormatFloat(float64(se), 'f', 4, 64)
		}
		return t
	}
	events, _, err := rundir.ReadEvents(run.Dir)
	if err != nil {
		return out // the weights are what is asked for
	}
	for _, e := range events {
		if e.Step > step {
			break
		}
		if e.Step == step && e.Loss != 0 {
			out.train = strconv.FormatFloat(float64(e.Loss), 'f', 4, 64)
		}
		if e.Val == 0 {
			continue
		}
		out.validation = validation(e.Val, e.ValSE)
		if e.Step != step {
			out.validation += fmt.Sprintf(" at step %d", e.Step)
		}
	}
	return out
}
