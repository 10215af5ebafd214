// Package scale finds the ticks of an axis and prints the numbers on it, for
// the pictures of session and the charts of the screen alike.
//
// It knows learning rates ("2e-3"), counts ("215M", "1.4T") and losses
// ("2.65"), and never returns a label that would have to be cut.
package scale

import (
	"math"
	"strconv"
	"strings"

	"github.com/etastar/etastar/fitting"
)

// Tick is a labelled place on an axis.
type Tick struct {
	V     float64
	Label string
}

// missing stands for a number that is not known.
const missing = "–"

// Eta prints a learning rate with at most sig significant digits and no
// trailing zeros: "1.38e-3", "5e-4", "0.1".
func Eta(v float64, sig int) string {
	switch {
	case math.IsNaN(v):
		return missing
	case math.IsInf(v, 0):
		return inf(v)
	case v == 0:
		return "0"
	}
	if a := math.Abs(v); a >= 0.1 && a < 1000 {
		return strconv.FormatFloat(Round(v, sig), 'f', -1, 64)
	}
	return exponent(strconv.FormatFloat(v, 'e', max(sig-1, 0), 64))
}

// exponent shortens "1.380e-03" to "1.38e-3".
func exponent(s string) string {
	mant, exp, ok := strings.Cut(s, "e")
	if !ok {
		return s
	}
	if strings.Contains(mant, ".") {
		mant = strings.TrimRight(strings.TrimRight(mant, "0"), ".")
	}
	sign := ""
	if exp[0] == '-' {
		sign = "-"
	}
	exp = strings.TrimLeft(exp[1:], "0")
	if exp == "" {
		return mant
	}
	return mant + "e" + sign + exp
}

func inf(v float64) string {
	if v < 0 {
		return "-∞"
	}
	return "∞"
}

// Round rounds v to sig significant digits.
func Round(v float64, sig int) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'e', max(sig-1, 0), 64), 64)
	if err != nil {
		return v
	}
	return r
}

// SI prints a count with three significant digits: "215M", "4B", "1.4T", "6.4e21".
func SI(v float64) string {
	switch {
	case math.IsNaN(v):
		return missing
	case math.IsInf(v, 0):
		return inf(v)
	}
	v = Round(v, 3)
	a := math.Abs(v)
	switch {
	case a >= 1e15, a < 0.1 && a > 0:
		return exponent(strconv.FormatFloat(v, 'e', 2, 64))
	case a >= 1e12:
		return short(v/1e12) + "T"
	case a >= 1e9:
		return short(v/1e9) + "B"
	case a >= 1e6:
		return short(v/1e6) + "M"
	case a >= 1e3:
		return short(v/1e3) + "k"
	}
	return short(v)
}

func short(v float64) string { return strconv.FormatFloat(Round(v, 3), 'f', -1, 64) }

// Fixed prints v with the given decimals, without a negative zero.
func Fixed(v float64, decimals int) string {
	switch {
	case math.IsNaN(v):
		return missing
	case math.IsInf(v, 0):
		return inf(v)
	case math.Abs(v) >= 1e9:
		return Eta(v, 4)
	}
	s := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Trim(s, "-0.") == "" {
		s = strings.TrimPrefix(s, "-")
	}
	return s
}

// Percent prints a share: 0.0031 as "0.31%", two significant digits below 10%.
func Percent(v float64) string {
	switch {
	case math.IsNaN(v):
		return missing
	case math.IsInf(v, 0):
		return inf(v)
	case math.Abs(v) < 5e-7:
		return "0%"
	}
	r := Round(100*v, 2)
	if math.Abs(r) >= 100 {
		r = math.Round(100 * v)
	}
	if a := math.Abs(r); a >= 1e6 || a < 1e-3 {
		return Eta(r, 2) + "%"
	}
	return strconv.FormatFloat(r, 'f', -1, 64) + "%"
}

// Spread prints the 95% interval that a standard error of ln η spans, as a
// share while that reads well ("±9%") and as a factor beyond ("×/÷3.2").
// It is empty when se is not a positive number.
func Spread(se float64) string {
	f := math.Exp(1.96 * se)
	switch {
	case !(se > 0) || math.IsInf(se, 0):
		return ""
	case f > 1e4:
		return "×/÷>1e4"
	case f > 1.95:
		return "×/÷" + Eta(f, 2)
	}
	return "±" + Percent(f-1)
}

// Key names a cell: "215M, 4B", "N 215M", "215M, 4B, B 524k, seed=1".
func Key(k fitting.Key) string {
	var parts []string
	switch {
	case k.N != 0 && k.D != 0:
		parts = append(parts, SI(k.N), SI(k.D))
	case k.N != 0:
		parts = append(parts, "N "+SI(k.N))
	case k.D != 0:
		parts = append(parts, "D "+SI(k.D))
	}
	if k.B != 0 {
		parts = append(parts, "B "+SI(k.B))
	}
	if k.Extra != "" {
		parts = append(parts, k.Extra)
	}
	if len(parts) == 0 {
		return "all runs"
	}
	return strings.Join(parts, ", ")
}

// Target names a target: "7B, 1.4T", "C 6.4e21".
func Target(t fitting.Target) string {
	var parts []string
	add := func(name string, v float64) {
		if v != 0 {
			parts = append(parts, name+SI(v))
		}
	}
	if t.N != 0 && t.D != 0 {
		add("", t.N)
		add("", t.D)
	} else {
		add("N ", t.N)
		add("D ", t.D)
	}
	add("B ", t.B)
	add("C ", t.C)
	if len(parts) == 0 {
		return "target"
	}
	return strings.Join(parts, ", ")
}

// Flag shortens a reason to doubt a curve to a word or two. Diverged runs are
// drawn as such and have no word; unknown flags stay as they are.
func Flag(f fitting.Flag) string {
	if s, ok := flagWords[f]; ok {
		return s
	}
	return string(f)
}

var flagWords = map[fitting.Flag]string{
	fitting.FlagEdgeLow:       "lowest rate wins",
	fitting.FlagEdgeHigh:      "highest rate wins",
	fitting.FlagDivergedAbove: "all higher diverged",
	fitting.FlagFlat:          "flat",
	fitting.FlagNearEdge:      "near the edge",
	fitting.FlagFewPoints:     "few points",
	fitting.FlagTooFew:        "too few points",
	fitting.FlagConcave:       "concave",
	fitting.FlagOutsidePoints: "vertex outside points",
	fitting.FlagOutsideGrid:   "vertex outside grid",
	fitting.FlagHighLoss:      "high loss in window",
	fitting.FlagNonPositive:   "losses ≤ 0",
	fitting.FlagAllDiverged:   "all diverged",
	fitting.FlagDiverged:      "",
}

// Flags joins the short words of a curve's flags.
func Flags(flags []fitting.Flag) string {
	var words []string
	for _, f := range flags {
		if s := Flag(f); s != "" {
			words = append(words, s)
		}
	}
	return strings.Join(words, ", ")
}
