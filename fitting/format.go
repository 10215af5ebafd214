package fitting

import (
	"math"
	"strconv"
	"strings"
)

// FormatCount prints a count with three significant digits and an SI-style
// suffix: 7e9 is "7B", 1.07e9 "1.07B", 524288 "524k". Beyond a thousand T, and
// below a thousandth, it is in scientific notation; NaN is "?".
func FormatCount(x float64) string {
	switch {
	case math.IsNaN(x):
		return "?"
	case math.IsInf(x, 1):
		return "∞"
	case x == 0:
		return "0"
	case x < 0:
		return "−" + FormatCount(-x)
	}
	r := roundSig(x, 3)
	if r >= 1e-3 && r < 1 { // counts given in billions
		return strconv.FormatFloat(r, 'f', -1, 64)
	}
	for _, u := range []struct {
		size   float64
		suffix string
	}{{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "k"}, {1, ""}} {
		if r >= u.size && r < u.size*1000 {
			return strconv.FormatFloat(roundSig(r/u.size, 3), 'f', -1, 64) + u.suffix
		}
	}
	return scientific(x, 3)
}

// FormatLR prints a learning rate with up to three significant digits: "2.2e-3".
// From 0.1 on it is a plain decimal; NaN is "?".
func FormatLR(x float64) string {
	if math.IsNaN(x) {
		return "?"
	}
	if a := math.Abs(x); a == 0 || a >= 0.1 && a < 1e4 {
		return strconv.FormatFloat(roundSig(x, 3), 'f', -1, 64)
	}
	return scientific(x, 3)
}

// FormatPercent prints a share as a percentage with two significant digits:
// 0.0012 is "0.12%".
func FormatPercent(share float64) string {
	if math.IsNaN(share) {
		return "?"
	}
	return strconv.FormatFloat(roundSig(share*100, 2), 'f', -1, 64) + "%"
}

// formatTimes prints a ratio: "6.5×", "120×".
func formatTimes(x float64) string {
	if x >= 1e4 {
		return scientific(x, 2) + "×"
	}
	return strconv.FormatFloat(roundSig(x, 2), 'f', -1, 64) + "×"
}

// roundSig rounds x to digits significant decimal digits.
func roundSig(x float64, digits int) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(x, 'e', digits-1, 64), 64)
	if err != nil {
		return x
	}
	return r
}

// scientific prints with at most digits significant digits and a short exponent: "2.2e-3".
func scientific(x float64, digits int) string {
	m, e, ok := strings.Cut(strconv.FormatFloat(x, 'e', digits-1, 64), "e")
	if !ok {
		return m // an infinity
	}
	if strings.Contains(m, ".") {
		m = strings.TrimRight(strings.TrimRight(m, "0"), ".")
	}
	sign := strings.TrimPrefix(e[:1], "+")
	return m + "e" + sign + strings.TrimLeft(e[1:], "0")
}

// formatConstant prints the constant of a law.
func formatConstant(x float64) string {
	if a := math.Abs(x); a >= 0.01 && a < 1e4 {
		return strconv.FormatFloat(roundSig(x, 3), 'f', -1, 64)
	}
	return scientific(x, 3)
}

// formatExponent prints an exponent with its sign: "−0.811", "+0.275".
func formatExponent(x float64) string {
	text := strconv.FormatFloat(math.Abs(x), 'f', 3, 64)
	if math.Signbit(x) {
		return "−" + text
	}
	return "+" + text
}

// listed joins names as a sentence does: "N, D and B".
func listed(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// plural is "1 cell" or "3 cells".
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + one + "s"
}
