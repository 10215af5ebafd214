// Package number writes the numbers of the field for people, the same in the
// screen, its charts, reports and pictures: learning rates (5.53e-4), counts
// (7B, 524k), percentages (+0.31%), factors (6.5×), exponents with a true minus
// (−0.811), losses, intervals, plurals, and keys, targets and flags in short
// words.
//
// Where fitting writes the same kind of number in its messages, fitting's rule
// decides. A number that is not known is "–", an infinite one "∞". The package
// knows no value types beyond fitting's keys, targets and flags, and draws
// nothing.
package number

import (
	"math"
	"strconv"
	"strings"

	"github.com/etastar/etastar/fitting"
)

// Unknown stands for a number that does not exist.
const Unknown = "–"

// special writes what no digits can.
func special(x float64) (string, bool) {
	switch {
	case math.IsNaN(x):
		return Unknown, true
	case math.IsInf(x, 1):
		return "∞", true
	case math.IsInf(x, -1):
		return "−∞", true
	}
	return "", false
}

// minus sets a true minus sign, which is as wide as a plus, before a number; the
// exponent of a learning rate keeps the hyphen that the notebook reads.
func minus(s string) string {
	if strings.HasPrefix(s, "-") {
		return "−" + s[1:]
	}
	return s
}

// Round rounds x to a number of significant digits.
func Round(x float64, digits int) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(x, 'e', max(digits-1, 0), 64), 64)
	if err != nil {
		return x
	}
	return r
}

// mantissa splits a finite x at so many significant digits into "5.53" and "-4".
func mantissa(x float64, digits int) (m, e string) {
	m, e, _ = strings.Cut(strconv.FormatFloat(x, 'e', max(digits-1, 0), 64), "e")
	sign := strings.TrimPrefix(e[:1], "+")
	if e = strings.TrimLeft(e[1:], "0"); e == "" {
		return minus(m), "0"
	}
	return minus(m), sign + e
}

// plain writes a finite x with at most so many significant digits, in scientific
// notation outside [from, 1e4).
func plain(x float64, digits int, from float64) string {
	r := Round(x, digits)
	if r == 0 {
		return "0"
	}
	if a := math.Abs(r); a >= from && a < 1e4 {
		return minus(strconv.FormatFloat(r, 'f', -1, 64))
	}
	m, e := mantissa(r, digits)
	if strings.Contains(m, ".") {
		m = strings.TrimRight(strings.TrimRight(m, "0"), ".")
	}
	return m + "e" + e
}

// Eta writes a learning rate with at most so many significant digits and no
// trailing zeros: "1.38e-3", "5e-4", "0.1".
func Eta(x float64, digits int) string {
	if s, ok := special(x); ok {
		return s
	}
	if digits > 3 || x == 0 { // more than FormatLR has
		return plain(x, digits, 0.1)
	}
	return minus(fitting.FormatLR(Round(x, digits)))
}

// EtaPadded writes a learning rate with all its digits always, so that a column of
// them lines up and one that moves stands still: "2.20e-3".
func EtaPadded(x float64, digits int) string {
	if s, ok := special(x); ok {
		return s
	}
	if x == 0 {
		return "0"
	}
	m, e := mantissa(x, digits)
	return m + "e" + e
}

// EtaRange writes an interval of learning rates, the power of ten once where both
// ends share it: "[4.3, 7.2]e-4". It is empty where neither end is known.
func EtaRange(lo, hi float64, digits int) string {
	_, lost := special(lo)
	_, lostHi := special(hi)
	if !lost && !lostHi && lo != 0 && hi != 0 {
		ml, el := mantissa(lo, digits)
		mh, eh := mantissa(hi, digits)
		if el == eh {
			return "[" + ml + ", " + mh + "]e" + el
		}
	}
	return EtaInterval(lo, hi, digits)
}

// EtaInterval is EtaRange with full ends: "[4.3e-4, 7.2e-4]".
func EtaInterval(lo, hi float64, digits int) string {
	if math.IsNaN(lo) && math.IsNaN(hi) {
		return ""
	}
	return "[" + EtaPadded(lo, digits) + ", " + EtaPadded(hi, digits) + "]"
}

// SI writes a size the way the notebook takes it, with three significant digits:
// "215M", "1.07B", "1.4T", "6.4e21".
func SI(x float64) string {
	if s, ok := special(x); ok {
		return s
	}
	return fitting.FormatCount(x)
}

// Count writes n with thousands separators: "1,911".
func Count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return minus(s)
}

// Plural counts things: "1 vertex", "17 vertices".
func Plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(n) + " " + many
}

// Sig writes a constant with at most so many significant digits, in scientific
// notation from 1e4 on and below 0.01, as fitting writes the constant of a law.
func Sig(x float64, digits int) string {
	if s, ok := special(x); ok {
		return s
	}
	return plain(x, digits, 0.01)
}

// Fixed writes x with so many decimals, and without a negative zero.
func Fixed(x float64, decimals int) string {
	if s, ok := special(x); ok {
		return s
	}
	if math.Abs(x) >= 1e9 { // where decimals say nothing
		return Sig(x, 4)
	}
	s := strconv.FormatFloat(x, 'f', decimals, 64)
	if zero(s) {
		return strings.TrimPrefix(s, "-")
	}
	return minus(s)
}

// Signed is Fixed with a sign: "−0.811", "+0.275". A zero has none, it would claim
// a direction.
func Signed(x float64, decimals int) string { return withSign(x, Fixed(x, decimals)) }

func withSign(x float64, s string) string {
	if x > 0 && !zero(s) {
		return "+" + s
	}
	return s
}

// zero tells the text of a zero.
func zero(s string) bool { return strings.Trim(s, "-0.%") == "" }

// Loss writes a loss with the digits that tell two of them apart.
func Loss(x float64) string {
	if a := math.Abs(x); a > 0 && a < 0.1 {
		return plain(x, 4, 1e-4)
	}
	return Fixed(x, 4)
}

// Percent writes a share with two significant digits: 0.0031 is "0.31%".
func Percent(share float64) string {
	a := math.Abs(share)
	switch s, ok := special(share); {
	case ok:
		return s
	case a < 5e-7: // what rounding leaves of nothing
		return "0%"
	case a >= 1e4:
		return Sig(100*share, 2) + "%"
	}
	return minus(fitting.FormatPercent(share))
}

// SignedPercent writes a change or a cost, no finer than a hundredth of a percent:
// "+0.31%", "−12%". A cost that is smaller is not no cost: "<0.01%".
func SignedPercent(share float64) string {
	switch a := math.Abs(share); {
	case a == 0:
		return "0%"
	case a < 0.5e-4:
		return "<0.01%"
	case a < 1e-3:
		share = math.Round(share*1e4) / 1e4
	}
	return withSign(share, Percent(share))
}

// Level writes a confidence level, whose third digit counts: "95%", "99.5%".
func Level(share float64) string {
	if s, ok := special(share); ok {
		return s
	}
	return Sig(100*share, 3) + "%"
}

// Factor writes how far past the data something lies: "6.5×", "14×".
func Factor(x float64) string {
	if s, ok := special(x); ok {
		return s
	}
	return Sig(x, 2) + "×"
}

// Spread writes an interval of η, half as wide as it is in ln η, as a share while that
// reads well ("±9%") and as a factor beyond ("×/÷3.2"). It is empty when half is not a
// positive number.
func Spread(half float64) string {
	f := math.Exp(half)
	switch {
	case !(half > 0) || math.IsInf(half, 0):
		return ""
	case f > 1e4:
		return "×/÷>1e4"
	case f > 1.95:
		return "×/÷" + Sig(f, 2)
	}
	return "±" + Percent(f-1)
}
