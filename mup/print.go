package mup

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

var symbols = map[Dim]string{
	Width: "N", Depth: "L", Experts: "E", ActiveFraction: "κ", FFNRatio: "α", HeadDim: "h", Batch: "B", Horizon: "D",
}

// String writes exponents as a product of ratios, such as m_N^−1·m_L^−½; 1 for none.
func (e Exponents) String() string {
	var parts []string
	for _, d := range dims {
		switch x := e.Of(d); x {
		case 0:
		case 1:
			parts = append(parts, "m_"+symbols[d])
		default:
			parts = append(parts, "m_"+symbols[d]+"^"+exponent(x))
		}
	}
	if parts == nil {
		return "1"
	}
	return strings.Join(parts, "·")
}

func exponent(x float64) string {
	s := number(x)
	if x == 0.5 || x == -0.5 {
		s = strings.Replace(s, "0.5", "½", 1)
	}
	return strings.Replace(s, "-", "−", 1)
}

// String is a table cell: the exponents, "·" where not stated and left alone, "?" where
// missing; * marks what is inherited, ! what was edited.
func (e Entry) String() string {
	switch e.State {
	case Missing:
		return "?"
	case Neutral:
		if e.Exponents == (Exponents{}) {
			return "·"
		}
		return "· " + e.Exponents.String()
	case Inherited:
		return e.Exponents.String() + "*"
	case Edited:
		return e.Exponents.String() + "!"
	}
	return e.Exponents.String()
}

const legend = "m_N width, m_L depth, m_E experts, m_κ active fraction, m_α inner/outer width, m_h head width, m_B batch, m_D horizon: target/base\n" +
	"1 unscaled  · not stated, left alone  ? not stated, refused  * from the rule it builds on  ! edited\n"

// String prints the rule: what it is, then a table of exponents, then what its entries
// note.
func (r *Rule) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\nsource: %s (%s)\n", r.Name, r.Title, r.Source, r.Status)
	if r.Derived != "" {
		fmt.Fprintf(&b, "derived: %s\n", r.Derived)
	}
	fmt.Fprintf(&b, "covers: %s\n", list(r.Covers))
	var equal []Dim
	for _, d := range dims {
		if !r.Covered(d) {
			equal = append(equal, d)
		}
	}
	if equal != nil {
		fmt.Fprintf(&b, "must be equal: %s\n", list(equal))
	}
	for _, s := range r.Assumes {
		fmt.Fprintf(&b, "assumes: %s\n", s)
	}
	for _, s := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", s)
	}
	if r.PrescribedLR != 0 {
		fmt.Fprintf(&b, "prescribes: base lr %s\n", number(r.PrescribedLR))
	}
	for _, c := range cells(r.Prescribed) {
		p := r.Prescribed[c]
		fmt.Fprintf(&b, "prescribes: base %s %s", c, number(p.Value))
		if p.Depth != 0 {
			fmt.Fprintf(&b, "·depth^%s", exponent(p.Depth))
		}
		b.WriteByte('\n')
	}
	rows := [][]string{append([]string{"module"}, words(quantities)...)}
	for _, m := range modules {
		if !m.Factor() && !r.Has(m) {
			continue
		}
		row := []string{string(m)}
		for _, q := range quantities {
			text := ""
			if m.Has(q) {
				text = r.Entry(m, q).String()
			}
			row = append(row, text)
		}
		rows = append(rows, row)
	}
	b.WriteString(align(rows))
	b.WriteString(legend)
	// Equal notes of neighbouring cells are said once.
	var order []string
	where := map[string][]string{}
	for _, c := range cells(r.Entries) {
		if n := r.Entries[c].Note; n != "" {
			if where[n] == nil {
				order = append(order, n)
			}
			where[n] = append(where[n], c.String())
		}
	}
	for _, n := range order {
		fmt.Fprintf(&b, "%s: %s\n", strings.Join(where[n], ", "), n)
	}
	return b.String()
}

// String prints the transfer: rule, shapes and every module's values at base and target.
func (t *Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s, %s)\nbase:   %s\ntarget: %s\n", t.Rule.Name, t.Rule.Source, t.Rule.Status, t.Base, t.Target)
	rows := [][]string{append([]string{"module"}, words(quantities)...)}
	for _, r := range t.Rows {
		row := []string{string(r.Module)}
		for _, q := range quantities {
			text := ""
			if r.Has(q) {
				text = fmt.Sprintf("%.4g → %.4g", r.Base.Of(q), r.Target.Of(q))
			}
			row = append(row, text)
		}
		rows = append(rows, row)
	}
	b.WriteString(align(rows))
	for _, w := range t.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	return b.String()
}

func words[W ~string](ws []W) []string {
	out := make([]string, len(ws))
	for i, w := range ws {
		out[i] = string(w)
	}
	return out
}

// align pads columns two spaces apart.
func align(rows [][]string) string {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, s := range row {
			width[i] = max(width[i], utf8.RuneCountInString(s))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		var l strings.Builder
		for i, s := range row {
			l.WriteString(s)
			l.WriteString(strings.Repeat(" ", width[i]+2-utf8.RuneCountInString(s)))
		}
		b.WriteString(strings.TrimRight(l.String(), " ") + "\n")
	}
	return b.String()
}
