package mup

import "strings"

// Reason is why a rule is not applied.
type Reason string

// Reasons.
const (
	NotCovered Reason = "not covered" // target and base differ in what the rule says nothing about
	NotStated  Reason = "not stated"  // the sources do not give an exponent that cannot be left out
	Smaller    Reason = "smaller"     // the target is smaller than the base
	NoLR       Reason = "no η"        // the base has no learning rate
	NoModule   Reason = "no module"   // the shape or the rule does not have the module
	BadShape   Reason = "shape"       // a shape that is no model
	BadValue   Reason = "value"       // a number that is no hyperparameter
)

// Refusal is the error of a rule that does not apply, with what to do instead.
type Refusal struct {
	Reason Reason
	Rule   string // its name; empty where no rule is at fault
	Dim    Dim    // the dimension concerned, if one is
	Module Module // the module concerned, if one is
	Why    string
	WayOut string
}

func (r *Refusal) Error() string {
	var b strings.Builder
	if r.Rule != "" {
		b.WriteString("rule " + r.Rule + ": ")
	}
	b.WriteString(r.Why)
	if r.WayOut != "" {
		b.WriteString(": " + r.WayOut)
	}
	return b.String()
}
