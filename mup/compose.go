package mup

import (
	"fmt"
	"slices"
)

// Compose joins two rules that cover different dimensions, such as a width rule and a
// horizon rule: exponents add, and only modules that both know remain. It is an error if
// both cover a dimension. The result is as sure as the less sure of the two.
func Compose(a, b *Rule) (*Rule, error) {
	for _, d := range a.Covers {
		if b.Covered(d) {
			return nil, fmt.Errorf("compose %s with %s: both cover %s: choose one", a.Name, b.Name, d)
		}
	}
	c := a.Clone()
	c.Name, c.Title = a.Name+"+"+b.Name, a.Title+" + "+b.Title
	c.Source = a.Source + "; " + b.Source
	c.Status = statuses[max(slices.Index(statuses, a.Status), slices.Index(statuses, b.Status))]
	c.Derived = fmt.Sprintf("from %s and %s: exponents added", a.Name, b.Name)
	for _, old := range []string{a.Derived, b.Derived} {
		if old != "" {
			c.Derived += "; " + old
		}
	}
	c.Covers = slices.Concat(a.Covers, b.Covers)
	// What one rule assumed of a dimension that the other covers no longer holds in words.
	for _, s := range b.Assumes {
		c.Assumes = append(c.Assumes, b.Name+": "+s)
	}
	c.Notes = slices.Concat(a.Notes, b.Notes)
	for cell, e := range b.Entries {
		if have, ok := c.Entries[cell]; ok {
			e = joined(have, e)
		}
		c.Entries[cell] = e
	}
	for cell := range c.Entries {
		if m := cell.Module; !m.Factor() && (!a.Has(m) || !b.Has(m)) {
			delete(c.Entries, cell)
		}
	}
	for cell, p := range b.Prescribed {
		if _, ok := c.Prescribed[cell]; ok {
			return nil, fmt.Errorf("compose %s with %s: both prescribe %s", a.Name, b.Name, cell)
		}
		if c.Prescribed == nil {
			c.Prescribed = map[Cell]Constant{}
		}
		c.Prescribed[cell] = p
	}
	if a.PrescribedLR != 0 && b.PrescribedLR != 0 {
		return nil, fmt.Errorf("compose %s with %s: both prescribe a base η", a.Name, b.Name)
	}
	c.PrescribedLR = a.PrescribedLR + b.PrescribedLR
	return c, nil
}

// joined adds two entries. What is missing in one stays missing; what one states is stated.
func joined(a, b Entry) Entry {
	out := Entry{Exponents: a.Plus(b.Exponents), State: b.State, Note: a.Note}
	for _, s := range []State{Missing, Edited, Stated, Inherited} {
		if a.State == s || b.State == s {
			out.State = s
			break
		}
	}
	if b.Note != "" && b.Note != a.Note {
		if out.Note != "" {
			out.Note += "; "
		}
		out.Note += b.Note
	}
	return out
}

// Difference is a place where two rules scale differently. A or B is nil where that rule
// does not know the module.
type Difference struct {
	Cell
	A, B *Entry
}

// String is the cell and both entries; "none" for a module that a rule does not know.
func (d Difference) String() string {
	text := func(e *Entry) string {
		if e == nil {
			return "none"
		}
		return e.String()
	}
	return fmt.Sprintf("%s: %s, %s", d.Cell, text(d.A), text(d.B))
}

// Compare lists, by module and quantity, where two rules differ: in an exponent, in
// whether an entry is missing, or in whether they know the module at all. Notes and
// sources are not compared.
func Compare(a, b *Rule) (out []Difference) {
	entry := func(r *Rule, c Cell) *Entry {
		if !c.Module.Factor() && !r.Has(c.Module) {
			return nil
		}
		e := r.Entry(c.Module, c.Quantity)
		return &e
	}
	for _, m := range modules {
		for _, q := range quantitiesOf(m) {
			d := Difference{Cell: Cell{m, q}}
			d.A, d.B = entry(a, d.Cell), entry(b, d.Cell)
			switch {
			case d.A == nil && d.B == nil:
			case d.A == nil || d.B == nil, d.A.Exponents != d.B.Exponents, (d.A.State == Missing) != (d.B.State == Missing):
				out = append(out, d)
			}
		}
	}
	return out
}
