package export

import (
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/etastar/etastar/fitting"
)

// unknown stands in a table where there is no number; a line below the table or
// its last column says why.
const unknown = "–"

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// fixed writes x with d decimals and a true minus sign.
func fixed(x float64, d int) string {
	if !finite(x) {
		return unknown
	}
	return minus(strconv.FormatFloat(x, 'f', d, 64))
}

// signed writes x with its sign and d decimals: −0.811, +0.275.
func signed(x float64, d int) string {
	if !finite(x) {
		return unknown
	}
	s := fixed(math.Abs(x), d)
	switch {
	case strings.Trim(s, "0.") == "":
		return s // +0.000 would claim a direction
	case x < 0:
		return "−" + s
	}
	return "+" + s
}

func minus(s string) string {
	if strings.HasPrefix(s, "-") {
		return "−" + s[1:]
	}
	return s
}

// eta writes a learning rate with three digits always, so that a column of them
// lines up: 2.20e-3.
func eta(x float64) string {
	if !finite(x) {
		return unknown
	}
	m, e, _ := strings.Cut(strconv.FormatFloat(x, 'e', 2, 64), "e")
	n, err := strconv.Atoi(e)
	if err != nil {
		return unknown
	}
	return m + "e" + strconv.Itoa(n)
}

// loss writes a loss with the digits that tell two of them apart.
func loss(x float64) string {
	if a := math.Abs(x); finite(x) && a > 0 && a < 0.1 {
		return minus(strconv.FormatFloat(x, 'g', 4, 64))
	}
	return fixed(x, 4)
}

// count writes n with thousands separators: 1,911.
func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plural is "1 cell" or "17 cells".
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// size writes a quantity of a cell's key; a zero one is not part of the key.
func size(x float64) string {
	if x == 0 {
		return ""
	}
	return fitting.FormatCount(x)
}

// share writes a relative loss: +0.31%.
func share(x float64) string {
	if !finite(x) {
		return unknown
	}
	d := 2
	switch a := math.Abs(x); {
	case a >= 0.1:
		d = 0
	case a >= 0.01:
		d = 1
	}
	return signed(100*x, d) + "%"
}

// times writes how far past the data something lies: 6.5×.
func times(x float64) string {
	r, err := strconv.ParseFloat(strconv.FormatFloat(x, 'e', 1, 64), 64)
	if err != nil || !finite(r) {
		return unknown
	}
	return strconv.FormatFloat(r, 'f', -1, 64) + "×"
}

// Clean makes text from a file or a notebook fit for one line of a terminal or a
// page: what would move the cursor, reorder the line or is no text at all becomes
// U+FFFD, and blanks of every kind become spaces.
func Clean(s string) string {
	plain := true
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7f {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.IsControl(r), r == utf8.RuneError,
			r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069', r == '\u200e' || r == '\u200f':
			return utf8.RuneError
		}
		return r
	}, s)
}
