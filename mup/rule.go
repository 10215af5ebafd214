package mup

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"
)

// Exponents of the ratios, by dimension; 0 leaves the quantity alone.
type Exponents struct {
	Width, Depth, Experts, ActiveFraction, FFNRatio, HeadDim, Batch, Horizon float64
}

// at is the place of one dimension, nil for an unknown one.
func (e *Exponents) at(d Dim) *float64 {
	switch d {
	case Width:
		return &e.Width
	case Depth:
		return &e.Depth
	case Experts:
		return &e.Experts
	case ActiveFraction:
		return &e.ActiveFraction
	case FFNRatio:
		return &e.FFNRatio
	case HeadDim:
		return &e.HeadDim
	case Batch:
		return &e.Batch
	case Horizon:
		return &e.Horizon
	}
	return nil
}

// Of is one exponent; 0 for an unknown dimension.
func (e Exponents) Of(d Dim) float64 {
	if p := e.at(d); p != nil {
		return *p
	}
	return 0
}

// Plus adds dimension by dimension.
func (e Exponents) Plus(o Exponents) Exponents {
	for _, d := range dims {
		*e.at(d) += o.Of(d)
	}
	return e
}

// Factor is Π m_d^e_d. At ratios of 1 it is exactly 1.
func (e Exponents) Factor(r Ratios) float64 {
	f := 1.0
	for _, d := range dims {
		if p := e.Of(d); p != 0 {
			f *= math.Pow(r.Of(d), p)
		}
	}
	return f
}

// State says where an entry comes from.
type State string

// States of an entry.
const (
	Stated    State = "stated"     // the source gives it
	Inherited State = "inherited"  // the source builds on another rule, which gives it
	Neutral   State = "not stated" // the source is silent: left as the standard parametrization has it
	Missing   State = "missing"    // the source is silent and there is no neutral choice: refused until edited
	Edited    State = "edited"     // set by the user
)

var states = []State{Stated, Inherited, Neutral, Missing, Edited}

// Entry is how one quantity of one module scales.
type Entry struct {
	Exponents
	State State
	Note  string // what the source says beyond the exponents, or what is not known
}

// Cell is a place in a rule's table.
type Cell struct {
	Module   Module
	Quantity Quantity
}

func (c Cell) String() string { return string(c.Module) + "." + string(c.Quantity) }

// Constant is a base value that a rule prescribes: Value·(base depth)^Depth.
type Constant struct {
	Value float64
	Depth float64
}

// Status says how sure a rule's numbers are.
type Status string

// Statuses, surest first.
const (
	Read       Status = "read"        // checked on a public page or file
	SecondHand Status = "second-hand" // seen in a summary only
	Recalled   Status = "recalled"    // not checked
	Derived    Status = "derived"     // edited: no source states it
)

var statuses = []Status{Read, SecondHand, Recalled, Derived}

// Rule is a parametrization: a table of exponents and what it holds for. Treat it as a
// value; Edit and Compose return new ones.
type Rule struct {
	Name    string // as [Find] takes it
	Title   string
	Source  string // paper, with equation or table where known
	Status  Status
	Derived string   // what it was made from, empty for a published rule
	Covers  []Dim    // dimensions in which target and base may differ
	Assumes []string // what must be equal besides
	Notes   []string

	// Entries holds what the rule says. A module without an entry is not covered; a
	// quantity without one, of a module that has others, is not stated and left alone.
	Entries map[Cell]Entry
	// Prescribed base values, used where the caller gives none.
	Prescribed map[Cell]Constant
	// PrescribedLR is a base η the rule comes with; 0 for none.
	PrescribedLR float64
}

// Clone copies a rule so that nothing is shared.
func (r *Rule) Clone() *Rule {
	c := *r
	c.Covers, c.Assumes, c.Notes = slices.Clone(r.Covers), slices.Clone(r.Assumes), slices.Clone(r.Notes)
	c.Entries, c.Prescribed = maps.Clone(r.Entries), maps.Clone(r.Prescribed)
	return &c
}

// Has reports whether the rule says anything about a module.
func (r *Rule) Has(m Module) bool {
	for _, q := range quantities {
		if _, ok := r.Entries[Cell{m, q}]; ok {
			return true
		}
	}
	return false
}

// Entry is what the rule says about one quantity of a module: what it does not state is
// [Neutral]. An attention-logit factor not stated is the standard 1/√d_head.
func (r *Rule) Entry(m Module, q Quantity) Entry {
	if e, ok := r.Entries[Cell{m, q}]; ok {
		return e
	}
	e := Entry{State: Neutral}
	if m == AttnLogits {
		e.HeadDim = -0.5
	}
	return e
}

// Covered reports whether target and base may differ in a dimension.
func (r *Rule) Covered(d Dim) bool { return slices.Contains(r.Covers, d) }

// Edit sets one exponent and returns the rule that results, marked as derived: it is no
// longer what its source states. The dimension becomes covered. The error names an
// unknown word's nearest valid one.
func (r *Rule) Edit(m Module, q Quantity, d Dim, exponent float64) (*Rule, error) {
	wrong := func(err error) (*Rule, error) { return nil, fmt.Errorf("edit rule %s: %w", r.Name, err) }
	switch {
	case !slices.Contains(modules, m):
		return wrong(unknown("module", m, modules))
	case !slices.Contains(quantities, q):
		return wrong(unknown("quantity", q, quantities))
	case !slices.Contains(dims, d):
		return wrong(unknown("dimension", d, dims))
	case !m.Has(q):
		return wrong(fmt.Errorf("%s has no %s: it has %s", m, q, list(quantitiesOf(m))))
	case math.IsNaN(exponent) || math.Abs(exponent) > maxExponent:
		return wrong(fmt.Errorf("exponent %v: use a number within ±%d", exponent, maxExponent))
	}
	c := r.Clone()
	e := r.Entry(m, q)
	change := fmt.Sprintf("%s.%s %s %s → %s", m, q, d, number(e.Of(d)), number(exponent))
	*e.at(d) = exponent
	e.State = Edited
	c.Entries[Cell{m, q}] = e
	if !c.Covered(d) {
		c.Covers = append(c.Covers, d)
	}
	c.Status = Derived
	if r.Derived == "" {
		c.Name = r.Name + "_edited"
		c.Derived = "from " + r.Name + ": " + change
	} else {
		c.Derived = r.Derived + "; " + change
	}
	return c, nil
}

// maxExponent bounds an exponent: a ratio of 1000 to it is still a float64.
const maxExponent = 16

// Problems says what is wrong with a rule, each with what to change; nil for a usable one.
func (r *Rule) Problems() (out []string) {
	bad := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if r.Name == "" || strings.ContainsFunc(r.Name, func(c rune) bool { return !unicode.IsPrint(c) || c == ' ' || c == '"' }) {
		bad("name %q: use one word", r.Name)
	}
	if !slices.Contains(statuses, r.Status) {
		bad("%v", unknown("status", r.Status, statuses))
	}
	for i, d := range r.Covers {
		if !slices.Contains(dims, d) {
			bad("%v", unknown("dimension", d, dims))
		} else if slices.Contains(r.Covers[:i], d) {
			bad("covers lists %s twice", d)
		}
	}
	if len(r.Entries) == 0 {
		bad("no entries: give at least one module a quantity")
	}
	for _, c := range cells(r.Entries) {
		e := r.Entries[c]
		switch {
		case !c.Module.Has(c.Quantity):
			bad("%s: no such module and quantity", c)
		case !slices.Contains(states, e.State):
			bad("%s: %v", c, unknown("state", e.State, states))
		}
		for _, d := range dims {
			x := e.Of(d)
			standard := c.Module == AttnLogits && d == HeadDim
			switch {
			case math.IsNaN(x) || math.Abs(x) > maxExponent:
				bad("%s: %s = %v: use a number within ±%d", c, d, x, maxExponent)
			case x != 0 && !r.Covered(d) && !standard:
				bad("%s scales with %s, which covers does not list: add it to covers", c, d)
			}
		}
	}
	for _, c := range cells(r.Prescribed) {
		p := r.Prescribed[c]
		if !c.Module.Has(c.Quantity) || !positive(p.Value) || math.IsNaN(p.Depth) || math.Abs(p.Depth) > maxExponent {
			bad("prescribed %s = %v·depth^%v: use a positive number for a quantity the module has", c, p.Value, p.Depth)
		}
	}
	if r.PrescribedLR != 0 && !positive(r.PrescribedLR) {
		bad("prescribed lr %v: use a positive number", r.PrescribedLR)
	}
	return out
}

// cells lists a table's places in the order of modules and quantities, unknown ones last.
func cells[E any](table map[Cell]E) []Cell {
	rank := func(c Cell) int {
		m, q := slices.Index(modules, c.Module), slices.Index(quantities, c.Quantity)
		if m < 0 || q < 0 {
			return len(modules) * len(quantities)
		}
		return m*len(quantities) + q
	}
	return slices.SortedFunc(maps.Keys(table), func(a, b Cell) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a.String(), b.String())
	})
}

func positive(x float64) bool { return x > 0 && !math.IsInf(x, 0) }
