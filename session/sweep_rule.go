package session

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/etastar/etastar/mup"
	"github.com/etastar/etastar/trainer/config"
)

// ruling is how the runs of a sweep are parametrized.
type ruling struct {
	rule *mup.Rule // nil: the standard parametrization
	base Shape
}

// ruleParams declare how runs are parametrized.
func ruleParams() []Param {
	rule := ruleParam("the parametrization; the standard one where not given. lr is then the base's η, and a rule scales it module by module")
	rule.Knob = true
	return append([]Param{rule, shapeInput("base", "the shape the rule scales from; where not given, the narrowest and shallowest of the sweep at its shortest horizon")}, transferParams()...)
}

// ruling reads rule= and base=.
func (c *Call) ruling() (out ruling, err error) {
	if out.rule, err = c.rule("rule"); err != nil {
		return out, err
	}
	if out.rule == nil {
		for _, name := range []string{"base", "ignore"} {
			if c.Given(name) {
				return out, errParam{name, hinted{fmt.Errorf("%s belongs to a rule", name), "say rule=mup, or another"}}
			}
		}
		return out, nil
	}
	if c.Given("base") {
		out.base, err = c.shapeGiven("base")
		return out, err
	}
	s, err := c.shape(int(slices.Min(c.numbers("d_model"))), int(slices.Min(c.numbers("layers"))))
	out.base = Shape{Shape: s}
	if tokens := c.numbers("tokens"); len(tokens) > 0 {
		out.base.Tokens = int64(slices.Min(tokens))
	} else {
		out.base.Tokens = 20 * s.Params().Active
	}
	if !out.horizonsDiffer() {
		out.base.Tokens = 0
	}
	return out, err
}

// apply puts a run under the rule.
func (u ruling) apply(c *Call, r config.Run) (config.Run, error) {
	if u.rule == nil {
		return r, nil
	}
	base := config.Base{Shape: u.base.Shape, Batch: u.base.Batch, Tokens: u.base.Tokens}
	if base.Batch == 0 {
		base.Batch = r.BatchTokens()
	}
	if base.Tokens == 0 {
		base.Tokens = r.Tokens
	}
	out, err := r.Under(u.rule, base, c.transferOptions())
	if err != nil {
		return r, errParam{"rule", refused(err)}
	}
	return out, nil
}

// horizonsDiffer reports whether runs of one shape train differently before they decay,
// so that no stable run serves several horizons.
func (u ruling) horizonsDiffer() bool {
	if u.rule == nil {
		return false
	}
	for _, e := range u.rule.Entries {
		if e.Horizon != 0 {
			return true
		}
	}
	return false
}

// refers reports whether a parameter takes its value from elsewhere in the notebook.
func (c *Call) refers(name string) bool {
	v, ok := c.args[name]
	return ok && c.Verb.param(name).refers(v)
}

// statusPrint changes when any run below the folder of runs does, or a rule's file.
func (c *Call) statusPrint() string {
	h := sha256.New()
	fmt.Fprint(h, c.rulePrint("rule"))
	files, _ := filepath.Glob(filepath.Join(c.runsRoot(), "*", "*", "status.json")) // the pattern is well formed
	for _, f := range files {
		fmt.Fprintf(h, "%s %s\n", f, filePrint(f))
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:12])
}
