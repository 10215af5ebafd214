package tui

import (
	"math"
	"strconv"
	"strings"
)

// unknown is what a number that does not exist looks like.
const unknown = "–"

// count writes n with thousands separators: 1,911.
func count(n int) string {
	s := strconv.Itoa(n)
	neg := strings.TrimPrefix(s, "-")
	var b strings.Builder
	for i, r := range neg {
		if i > 0 && (len(neg)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	if len(neg) != len(s) {
		return "−" + b.String()
	}
	return b.String()
}

// si writes a size the way the notebook takes it: 215M, 1.07B, 1.4T.
func si(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return unknown
	}
	for _, u := range []struct {
		at   float64
		name string
	}{{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "k"}} {
		// 999.6M is 1B at three digits, so the step down comes just below the unit.
		if math.Abs(x) >= u.at*0.9995 {
			return sig(x/u.at, 3) + u.name
		}
	}
	return sig(x, 3)
}

// sig writes x with at most n significant digits and no trailing zeros.
func sig(x float64, n int) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return unknown
	}
	return minus(strconv.FormatFloat(roundSig(x, n), 'f', -1, 64))
}

// roundSig rounds for display.
func roundSig(x float64, n int) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(x, 'e', n-1, 64), 64)
	if err != nil {
		return x
	}
	return r
}

// eta writes a learning rate with n significant digits: 5.53e-4.
func eta(x float64, n int) string {
	m, e, ok := mantissa(x, n)
	if !ok {
		return unknown
	}
	return m + "e" + e
}

// mantissa splits x at n significant digits into "5.53" and "-4".
func mantissa(x float64, n int) (m, e string, ok bool) {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return "", "", false
	}
	s := strconv.FormatFloat(x, 'e', n-1, 64)
	m, e, _ = strings.Cut(s, "e")
	v, err := strconv.Atoi(e)
	if err != nil {
		return "", "", false
	}
	return m, strconv.Itoa(v), true
}

// shortEta is eta without zeros that say nothing: 1e-3.
func shortEta(x float64, n int) string {
	m, e, ok := mantissa(x, n)
	if !ok {
		return unknown
	}
	if strings.Contains(m, ".") {
		m = strings.TrimRight(strings.TrimRight(m, "0"), ".")
	}
	return m + "e" + e
}

// etaRange writes an interval of learning rates, the power of ten once when
// both ends share it: [4.3, 7.2]e-4.
func etaRange(lo, hi float64, n int) string {
	ml, el, okl := mantissa(lo, n)
	mh, eh, okh := mantissa(hi, n)
	switch {
	case !okl && !okh:
		return ""
	case okl && okh && el == eh:
		return "[" + ml + ", " + mh + "]e" + el
	}
	return "[" + eta(lo, n) + ", " + eta(hi, n) + "]"
}

// signed writes x with its sign and d decimals: −0.811, +0.275.
func signed(x float64, d int) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return unknown
	}
	s := strconv.FormatFloat(x, 'f', d, 64)
	if x >= 0 {
		s = "+" + s
	}
	return minus(s)
}

// fixed writes x with d decimals.
func fixed(x float64, d int) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return unknown
	}
	return minus(strconv.FormatFloat(x, 'f', d, 64))
}

// percent writes a relative loss: +0.31%.
func percent(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return unknown
	}
	d := 2
	switch a := math.Abs(x); {
	case a >= 0.1:
		d = 0
	case a >= 0.01:
		d = 1
	case a < 0.00005 && a > 0: // a cost too small for two decimals is not no cost
		return "<0.01%"
	}
	return signed(100*x, d) + "%"
}

// factor writes how far past the data something lies: 6.5×, 14×.
func factor(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return unknown
	}
	return sig(x, 2) + "×"
}

// minus sets a true minus sign, which is as wide as a plus.
func minus(s string) string {
	if strings.HasPrefix(s, "-") {
		return "−" + s[1:]
	}
	return s
}

// plural counts things: 1 vertex, 17 vertices.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}
