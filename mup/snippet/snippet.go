// Package snippet writes a transfer as what a trainer reads: arguments, configuration
// files, or Python that builds an optimizer's parameter groups.
//
// Each text states rule, source, base and target. A trainer with one learning rate cannot
// express most rules; its text then says, module by module, what was asked for and what
// the trainer does instead. Text out only: the package writes no files and runs nothing.
package snippet

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/etastar/etastar/mup"
)

// Format is a trainer whose configuration can be written.
type Format struct {
	Name  string // as [Write] takes it
	Title string
	Ext   string // of a file that holds the text, with its dot
	Write func(*mup.Result) string
}

// Formats lists the trainers.
func Formats() []Format {
	return []Format{
		{"megatron", "Megatron-LM arguments", ".sh", Megatron},
		{"torchtitan", "torchtitan TOML", ".toml", Torchtitan},
		{"huggingface", "Hugging Face Trainer", ".py", HuggingFace},
		{"nanotron", "nanotron YAML", ".yaml", Nanotron},
		{"pytorch", "PyTorch parameter groups", ".py", PyTorch},
	}
}

// Write writes a transfer for the trainer of that name.
func Write(name string, t *mup.Result) (string, error) {
	var names []string
	for _, f := range Formats() {
		if f.Name == name {
			return f.Write(t), nil
		}
		names = append(names, f.Name)
	}
	return "", fmt.Errorf("unknown trainer %q: use one of %s", name, strings.Join(names, ", "))
}

// number keeps eight digits: more than any rate is known to.
func number(x float64) string { return strconv.FormatFloat(x, 'g', 8, 64) }

// header is the comment every text begins with.
func header(t *mup.Result) string {
	var b strings.Builder
	say := func(format string, args ...any) {
		// A rule's text may come from a file: it must not end the comment.
		line := strings.Map(func(r rune) rune {
			if r < ' ' || r == '\u007f' || r == '\u0085' || r == '\u2028' || r == '\u2029' {
				return ' '
			}
			return r
		}, fmt.Sprintf(format, args...))
		b.WriteString("# " + line + "\n")
	}
	say("rule:   %s, %s; source %s (%s)", t.Rule.Name, t.Rule.Title, t.Rule.Source, t.Rule.Status)
	if t.Rule.Derived != "" {
		say("        derived %s", t.Rule.Derived)
	}
	form := ""
	if t.Hyper.Decay == mup.Independent {
		form = " (independent of lr)"
	}
	say("base:   %s; lr %s, weight decay %s%s, eps %s", t.Base, number(t.Hyper.LR), number(t.Hyper.WeightDecay), form, number(t.Hyper.Eps))
	say("target: %s", t.Target)
	for _, w := range t.Warnings {
		say("warning: %s", w)
	}
	if t.Hyper.Decay == mup.Independent {
		say("weight decay below is divided by the peak lr: these trainers multiply it back")
	}
	return b.String()
}

// value is a quantity at the target as AdamW takes it: weight decay is multiplied by lr
// there, so an independent one is divided by it.
func value(t *mup.Result, r mup.Row, q mup.Quantity) float64 {
	v := r.Target.Of(q)
	if q == mup.WeightDecay && t.Hyper.Decay == mup.Independent {
		return v / r.Target.LR
	}
	return v
}

// hidden are the matrices that hold most of a model's weights; a trainer with one value
// gets theirs.
var hidden = []mup.Module{
	mup.AttentionQ, mup.AttentionK, mup.AttentionV, mup.AttentionO,
	mup.MLPGateUp, mup.MLPDown, mup.ExpertGateUp, mup.ExpertDown,
}

// most is the value that most of the modules have, the first of equally many.
func most(t *mup.Result, q mup.Quantity, among []mup.Module) float64 {
	best, count := 0.0, 0
	for _, r := range t.Rows {
		if !slices.Contains(among, r.Module) || !r.Has(q) {
			continue
		}
		v, n := value(t, r, q), 0
		for _, o := range t.Rows {
			if slices.Contains(among, o.Module) && o.Has(q) && same(value(t, o, q), v) {
				n++
			}
		}
		if n > count {
			best, count = v, n
		}
	}
	return best
}

func same(a, b float64) bool { return a == b || math.Abs(a-b) <= 1e-9*math.Abs(b) }

// unmet lists as comments where a trainer's value is not the one asked for. given returns
// false where what the trainer does is not set by the text.
func unmet(t *mup.Result, q mup.Quantity, given func(mup.Module) (float64, bool)) string {
	var b strings.Builder
	for _, r := range t.Rows {
		if !r.Has(q) {
			continue
		}
		v, ok := given(r.Module)
		switch asked := value(t, r, q); {
		case !ok:
			fmt.Fprintf(&b, "#   %s %s: %s asked, the trainer's own used\n", r.Module, q, number(asked))
		case !same(asked, v):
			fmt.Fprintf(&b, "#   %s %s: %s asked, %s used\n", r.Module, q, number(asked), number(v))
		}
	}
	return b.String()
}

// everywhere is one value for all modules.
func everywhere(v float64) func(mup.Module) (float64, bool) {
	return func(mup.Module) (float64, bool) { return v, true }
}

// unscaled is what a trainer without forward factors computes.
func unscaled(t *mup.Result) func(mup.Module) (float64, bool) {
	return func(m mup.Module) (float64, bool) {
		if m == mup.AttnLogits {
			return 1 / math.Sqrt(float64(t.Target.HeadDim)), true
		}
		return 1, true
	}
}

// steps is the run's length in optimizer steps, 0 where not known.
func steps(t *mup.Result) int64 {
	if t.Target.BatchTokens == 0 {
		return 0
	}
	return int64(math.Ceil(t.Target.HorizonTokens / t.Target.BatchTokens))
}

// cannot heads a list of what a trainer cannot express; nothing for an empty one.
func cannot(who, list string) string {
	if list == "" {
		return fmt.Sprintf("# %s expresses this transfer in full.\n", who)
	}
	return fmt.Sprintf("# %s cannot express, or this text does not set:\n%s", who, list)
}
