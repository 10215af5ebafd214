package session

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/etastar/etastar/mup"
)

// Rule is the value of rule: a parametrization rule, and another to compare it with.
type Rule struct {
	*mup.Rule
	Against *mup.Rule // nil: none
}

// Type is the word used in JSON and in messages.
func (Rule) Type() string { return "rule" }

// Identity implements [Sheeted].
func (r Rule) Identity() any { return [2]any{r.Rule, r.Against} }

// Summary implements [Sheeted].
func (r Rule) Summary() string {
	out := r.Title + "  " + string(r.Status)
	if r.Against != nil {
		out = fmt.Sprintf("%s against %s: %d differences", r.Name, r.Against.Name, len(mup.Compare(r.Rule, r.Against)))
	}
	return out
}

// Sheets implements [Sheeted].
func (r Rule) Sheets() []Sheet {
	t := Sheet{Name: "exponents", Heads: []string{"module"}}
	for _, q := range mup.Quantities() {
		t.Heads = append(t.Heads, string(q))
	}
	for _, m := range mup.Modules() {
		if !m.Factor() && !r.Has(m) {
			continue
		}
		row := []Entry{textEntry(string(m))}
		for _, q := range mup.Quantities() {
			text := ""
			if m.Has(q) {
				text = r.Entry(m, q).String()
			}
			row = append(row, textEntry(text))
		}
		t.Rows = append(t.Rows, row)
	}
	var out []Sheet
	if r.Against != nil {
		d := Sheet{Name: "differences", Heads: []string{"module", "quantity", r.Name, r.Against.Name}}
		for _, x := range mup.Compare(r.Rule, r.Against) {
			side := func(e *mup.Entry) Entry {
				if e == nil {
					return textEntry("none")
				}
				return textEntry(e.String())
			}
			d.Rows = append(d.Rows, []Entry{textEntry(string(x.Module)), textEntry(string(x.Quantity)), side(x.A), side(x.B)})
		}
		out = append(out, d)
	}
	prescribed := ""
	if r.PrescribedLR != 0 {
		prescribed = "base η " + strconv.FormatFloat(r.PrescribedLR, 'g', -1, 64)
	}
	about := aboutSheet("rule", r.Title, "source", r.Source+" ("+string(r.Status)+")", "derived", r.Derived,
		"covers", dimList(r.Covers), "assumes", strings.Join(r.Assumes, "; "), "notes", strings.Join(r.Notes, "; "), "prescribes", prescribed,
		"signs", "m_N width, m_L depth, m_E experts, m_κ active fraction, m_α inner/outer width, m_h head width, m_B batch, m_D horizon, target over base; "+
			"1 unscaled, · not stated and left alone, ? not stated and refused, * from the rule it builds on, ! edited")
	out = append(out, t, about)
	if text, err := r.TOML(); err == nil {
		out = append(out, linesSheet("toml", ".toml", strings.Split(strings.TrimRight(string(text), "\n"), "\n")))
	}
	return out
}

func dimList(dims []mup.Dim) string {
	out := make([]string, len(dims))
	for i, d := range dims {
		out[i] = string(d)
	}
	return strings.Join(out, ", ")
}

// ruleParam declares a parameter that takes a rule.
func ruleParam(doc string) Param {
	return Param{Name: "rule", Doc: doc + `: a published one, several that cover different dimensions ("mup+horizon_zhou"), a file ("my.toml"), or a value of the verb rule`, Words: mup.Names(), String: true, Input: []string{"rule"}, Stops: mup.Names()}
}

// maxRuleFile bounds a rule's file, whose text a run's configuration holds.
const maxRuleFile = 1 << 18

// rule is the rule of a parameter; nil where it is not given.
func (c *Call) rule(name string) (*mup.Rule, error) {
	if v, ok := c.Input(name).(Rule); ok {
		return v.Rule, nil
	}
	text := c.Text(name)
	switch {
	case text == "":
		return nil, nil
	case strings.HasSuffix(text, ".toml"):
		info, err := os.Stat(c.path(text))
		switch {
		case err != nil:
			return nil, errParam{name, hinted{fmt.Errorf("rule %q: there is no such file", text), nearFiles(c.Dir, text)}}
		case info.Size() > maxRuleFile:
			return nil, errParam{name, fmt.Errorf("rule %q: %d bytes is too long for a rule", text, info.Size())}
		}
		data, err := os.ReadFile(c.path(text))
		if err != nil {
			return nil, errParam{name, fmt.Errorf("rule %q: %w", text, err)}
		}
		r, err := mup.ReadTOML(data)
		if err != nil {
			return nil, errParam{name, fmt.Errorf("rule %q: %w", text, err)}
		}
		return r, nil
	}
	r, err := mup.Find(text)
	if err != nil {
		return nil, errParam{name, err}
	}
	return r, nil
}

// rulePrint changes when a rule's file does.
func (c *Call) rulePrint(names ...string) string {
	var out []string
	for _, name := range names {
		if text := c.Text(name); strings.HasSuffix(text, ".toml") {
			out = append(out, filePrint(c.path(text)))
		}
	}
	return strings.Join(out, " ")
}

func ruleVerb() *Verb {
	r := ruleParam("the rule")
	r.Position, r.Required, r.Knob = true, true, true
	against := ruleParam("another rule, to list where they differ")
	against.Name = "against"
	return &Verb{
		Name:    "rule",
		Summary: "a parametrization rule: its exponents, edited, or beside another",
		Doc: "How each module's initial values, learning rate, weight decay, Adam ε and multiplier scale with the ratios of target to base. edit= changes exponents, " +
			`such as edit=["head.lr.width=-0.5"]; the rule is then marked as derived. Its TOML is one of the views, and rule "my.toml" reads one.`,
		Example: `mine = rule completep edit=["embedding.lr.width=-0.5"] against=mup`,
		Result:  "rule",
		Params: []Param{
			r,
			{Name: "edit", Doc: `exponents to set, each "module.quantity.dimension=number"`, String: true, List: true},
			against,
		},
		fingerprint: func(c *Call) string { return c.rulePrint("rule", "against") },
		run: func(c *Call) (Value, error) {
			r, err := c.rule("rule")
			if err != nil {
				return nil, err
			}
			for _, e := range c.Texts("edit") {
				if r, err = edited(r, e); err != nil {
					return nil, errParam{"edit", err}
				}
			}
			against, err := c.rule("against")
			if err != nil {
				return nil, err
			}
			c.Note(r.Notes...)
			return Rule{r, against}, nil
		},
	}
}

// edited sets one exponent, written module.quantity.dimension=number.
func edited(r *mup.Rule, text string) (*mup.Rule, error) {
	place, value, ok := strings.Cut(text, "=")
	parts := strings.Split(strings.TrimSpace(place), ".")
	x, err := strconv.ParseFloat(strings.TrimSpace(strings.ReplaceAll(value, "−", "-")), 64)
	if !ok || err != nil || len(parts) != 3 {
		return nil, hinted{fmt.Errorf("%q is no edit of an exponent", text), `write "module.quantity.dimension=number", such as "head.lr.width=-0.5"`}
	}
	return r.Edit(mup.Module(parts[0]), mup.Quantity(parts[1]), mup.Dim(parts[2]), x)
}

// refused gives a refusal's way out as a hint.
func refused(err error) error {
	var r *mup.Refusal
	if errors.As(err, &r) && r.WayOut != "" {
		short := *r
		short.WayOut = ""
		return hinted{&short, r.WayOut}
	}
	return err
}

// ignored are the dimensions of ignore=.
func (c *Call) ignored() (out []mup.Dim) {
	for _, d := range c.Texts("ignore") {
		out = append(out, mup.Dim(d))
	}
	return out
}

func (c *Call) transferOptions() mup.Options {
	return mup.Options{AllowSmaller: c.Text("smaller") == "on", Ignore: c.ignored()}
}

// transferParams relax what a rule refuses.
func transferParams() []Param {
	var dims []string
	for _, d := range mup.Dims() {
		dims = append(dims, string(d))
	}
	return []Param{
		{Name: "ignore", Doc: "dimensions that the rule does not cover, taken as if they did not matter", Words: dims, Set: true},
		{Name: "smaller", Doc: "the target may be smaller than the base", Words: []string{"off", "on"}, Default: "off"},
	}
}
