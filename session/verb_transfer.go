package session

import (
	"fmt"
	"math"
	"strings"

	"github.com/etastar/etastar/mup"
	"github.com/etastar/etastar/mup/snippet"
	"github.com/etastar/etastar/session/number"
)

// Transfer is the value of transfer: a base's hyperparameters at a target, module by
// module.
type Transfer struct {
	*mup.Result
	Measured string // where the base's η comes from
}

// Type is the word used in JSON and in messages.
func (Transfer) Type() string { return "transfer" }

// Identity implements [Sheeted].
func (t Transfer) Identity() any { return t.Result }

// Summary implements [Sheeted].
func (t Transfer) Summary() string {
	lo, hi := t.rates()
	rates := number.Eta(lo, 3)
	if hi != lo {
		rates += " to " + number.Eta(hi, 3)
	}
	return fmt.Sprintf("η %s at the base → %s  %s", number.Eta(t.Hyper.LR, 3), rates, t.Rule.Name)
}

// rates are the lowest and the highest η of a module at the target.
func (t Transfer) rates() (lo, hi float64) {
	lo = math.Inf(1)
	for _, r := range t.Rows {
		if r.Has(mup.LR) {
			lo, hi = min(lo, r.Target.LR), max(hi, r.Target.LR)
		}
	}
	return lo, hi
}

// Sheets implements [Sheeted]: the table, what it is, and a snippet for every trainer.
func (t Transfer) Sheets() []Sheet {
	var out []Sheet
	table := Sheet{Name: "target", Heads: []string{"module"}}
	change := Sheet{Name: "base → target", Heads: []string{"module"}}
	for _, q := range mup.Quantities() {
		table.Heads, change.Heads = append(table.Heads, string(q)), append(change.Heads, string(q))
	}
	for _, r := range t.Rows {
		at, both := []Entry{textEntry(string(r.Module))}, []Entry{textEntry(string(r.Module))}
		for _, q := range mup.Quantities() {
			if !r.Has(q) {
				at, both = append(at, textEntry("")), append(both, textEntry(""))
				continue
			}
			write := func(x float64) string { return number.Sig(x, 4) }
			if q == mup.LR || q == mup.Eps {
				write = func(x float64) string { return number.Eta(x, 3) }
			}
			b, v := r.Base.Of(q), r.Target.Of(q)
			at = append(at, Entry{write(v), v})
			text := write(v)
			if b != v {
				text = write(b) + " → " + write(v)
			}
			both = append(both, Entry{text, v})
		}
		table.Rows, change.Rows = append(table.Rows, at), append(change.Rows, both)
	}
	decay := "multiplied by η, as AdamW does"
	if t.Hyper.Decay == mup.Independent {
		decay = "independent of η"
	}
	out = append(out, table, change, aboutSheet("rule", t.Rule.Title+", "+t.Rule.Source+" ("+string(t.Rule.Status)+")", "derived", t.Rule.Derived,
		"base", t.Base.String(), "target", t.Target.String(), "base η", number.Eta(t.Hyper.LR, 4)+", "+t.Measured, "weight decay", decay,
		"assumes", strings.Join(t.Rule.Assumes, "; ")))
	for _, f := range snippet.Formats() {
		out = append(out, linesSheet(f.Name, f.Ext, strings.Split(strings.TrimRight(f.Write(t.Result), "\n"), "\n")))
	}
	return out
}

// Snippet is the transfer as a trainer reads it: megatron, torchtitan, huggingface,
// nanotron or pytorch.
func (t Transfer) Snippet(name string) (string, error) { return snippet.Write(name, t.Result) }

// SnippetNames lists the trainers.
func SnippetNames() []string {
	var out []string
	for _, f := range snippet.Formats() {
		out = append(out, f.Name)
	}
	return out
}

func transferVerb() *Verb {
	rule := ruleParam("the parametrization rule")
	rule.Default, rule.Knob = "completep", true
	base := shapeInput("base", "the model the learning rate was measured on: a shape with its lr, or a sweep of one shape")
	base.Required = true
	target := shapeInput("target", "the model to train")
	target.Required = true
	return &Verb{
		Name:    "transfer",
		Summary: "a proxy's η at a target under a parametrization rule, module by module",
		Doc: "Every module's initial standard deviation, learning rate, weight decay, Adam ε and multiplier at the target, with what the rule assumes, and ready text for " +
			"Megatron-LM, torchtitan, the Hugging Face Trainer, nanotron and PyTorch among the views (v). What a rule does not cover is refused with the reason; ignore= overrides that. " +
			"Where batch or horizon are given on one side only, they are taken as equal.",
		Example: `table = transfer base=(shape d_model=256 layers=4 lr=3e-3) target=(shape d_model=4096 layers=32) rule=completep`,
		Result:  "transfer",
		Params: append([]Param{
			base, target, rule,
			{Name: "lr", Doc: "η of the base, in place of its own", Number: &NumberSpec{Above: true, Log: true}, Knob: true},
			{Name: "decay", Doc: "what weight decay is multiplied with: η as in AdamW, or nothing", Words: []string{"times_lr", "independent"}, Default: "times_lr", Knob: true},
		}, transferParams()...),
		fingerprint: func(c *Call) string { return c.rulePrint("rule") },
		run:         runTransfer,
	}
}

func runTransfer(c *Call) (Value, error) {
	base, err := c.shapeGiven("base")
	if err != nil {
		return nil, err
	}
	target, err := c.shapeGiven("target")
	if err != nil {
		return nil, err
	}
	rule, err := c.rule("rule")
	if err != nil {
		return nil, err
	}
	h := mup.Hyper{LR: c.numberOr("lr", base.LR), WeightDecay: base.WeightDecay, Eps: base.Eps}
	said := base.Measured
	if c.Given("lr") {
		said = "as given"
	}
	if c.Text("decay") == "independent" {
		h.Decay = mup.Independent
	}
	if h.LR == 0 && base.Measured != "" && base.Measured != "as given" {
		return nil, errParam{"base", hinted{fmt.Errorf("the base's η is %s", base.Measured), "widen its learning rates, or give lr="}}
	}
	if base.Batch == 0 || target.Batch == 0 {
		base.Batch, target.Batch = 0, 0
	}
	if base.Tokens == 0 || target.Tokens == 0 {
		base.Tokens, target.Tokens = 0, 0
	}
	t, err := mup.Transfer(rule, base.Rule(base.Batch, base.Tokens), target.Rule(target.Batch, target.Tokens), h, c.transferOptions())
	if err != nil {
		return nil, refused(err)
	}
	c.Note(t.Warnings...)
	return Transfer{t, said}, nil
}
