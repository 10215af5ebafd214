package importers

import (
	"bytes"
	"math"
	"strconv"
	"unsafe"

	"github.com/etastar/etastar/session/table"
)

// style is the set of ways in which the numbers of a column are written. Which
// of them may stand together decides whether the column is one of numbers.
type style uint8

const (
	styleInteger   style = 1 << iota // 12
	stylePoint                       // 1.5, 3e-4
	styleSuffix                      // 7B, 1.5M
	styleThousands                   // 1,234
	styleComma                       // 0,0003 where fields are separated by semicolons
	stylePercent                     // 12%
)

// conflict reports whether a column cannot hold numbers in all these styles. A
// suffix or a percent sign belongs on every cell or the plain ones mean something
// else; 1.234 next to 1,5 could be either.
func (s style) conflict() bool {
	switch {
	case s&styleSuffix != 0:
		return s != styleSuffix
	case s&stylePercent != 0:
		return s != stylePercent
	case s&styleComma != 0:
		return s&^(styleComma|styleInteger) != 0
	}
	return false
}

var pow10 = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// parseDecimal parses [+-]digits[.digits][e[+-]digits] to the same bits as
// strconv.ParseFloat; beyond the range of a float it gives ±Inf. Spaces,
// underscores, hexadecimals and words are not numbers here.
func parseDecimal(b []byte) (v float64, s style, ok bool) {
	i, n := 0, len(b)
	neg := false
	if n > 0 && (b[0] == '-' || b[0] == '+') {
		neg = b[0] == '-'
		i = 1
	}
	var mantissa uint64
	start := i
	for i < n {
		d := b[i] - '0'
		if d > 9 {
			break
		}
		mantissa = mantissa*10 + uint64(d)
		i++
	}
	digits := i - start
	exp := 0
	s = styleInteger
	if i < n && b[i] == '.' {
		s = stylePoint
		i++
		point := i
		for i < n {
			d := b[i] - '0'
			if d > 9 {
				break
			}
			mantissa = mantissa*10 + uint64(d)
			i++
		}
		exp = point - i
		digits += i - point
	}
	if digits == 0 {
		return 0, 0, false
	}
	if i < n {
		if b[i]|0x20 != 'e' {
			return 0, 0, false
		}
		s = stylePoint
		i++
		negExp := false
		if i < n && (b[i] == '-' || b[i] == '+') {
			negExp = b[i] == '-'
			i++
		}
		if i == n {
			return 0, 0, false
		}
		e := 0
		for i < n {
			d := b[i] - '0'
			if d > 9 {
				return 0, 0, false
			}
			if e < 1e6 {
				e = e*10 + int(d)
			}
			i++
		}
		if negExp {
			e = -e
		}
		exp += e
	}
	// Clinger: both the mantissa and the power of ten are exact, so one rounding
	// gives the nearest float. More than 19 digits may have wrapped the mantissa.
	if digits <= 19 && mantissa < 1<<53 && exp >= -22 && exp <= 22 {
		v = float64(mantissa)
		if exp < 0 {
			v /= pow10[-exp]
		} else {
			v *= pow10[exp]
		}
		if neg {
			v = -v
		}
		return v, s, true
	}
	// The error can only be a value out of range, which comes with ±Inf.
	v, _ = strconv.ParseFloat(unsafe.String(&b[0], n), 64)
	return v, s, true
}

// parseCell parses a cell of a number column, which is not blank. Besides
// decimals it takes NaN and infinity (a diverged run), the words people write
// for "no value" (blank), and the styles above; comma says that 0,5 is a half.
// Style 0 with ok means a word rather than digits.
func parseCell(b []byte, comma bool) (v float64, s style, ok bool) {
	if v, s, ok := parseDecimal(b); ok {
		return v, s, true
	}
	if len(b) == 0 || len(b) > 64 {
		return 0, 0, false
	}
	// U+2212, the minus sign of typeset tables.
	if rest, found := bytes.CutPrefix(b, []byte("−")); found {
		b = append([]byte{'-'}, rest...)
		if v, s, ok := parseDecimal(b); ok {
			return v, s, true
		}
	}
	if v, ok := parseWord(b); ok {
		return v, 0, true
	}
	last := b[len(b)-1]
	switch {
	case last == '%':
		v, _, ok = parseDecimal(bytes.TrimRight(b[:len(b)-1], " "))
		return v, stylePercent, ok
	case bytes.IndexByte(b, ',') >= 0:
		return parseComma(b, comma)
	}
	if exp, isSuffix := table.Suffix(last); isSuffix {
		digits := bytes.TrimRight(b[:len(b)-1], " ")
		// One rounding, of the whole number: 1.1B is 1.1e9, not 1.1 * 1e9.
		if _, _, ok := parseDecimal(digits); ok && bytes.IndexByte(digits, 'e') < 0 && bytes.IndexByte(digits, 'E') < 0 {
			v, _, _ = parseDecimal(append(bytes.Clone(digits), 'e', byte('0'+exp/10), byte('0'+exp%10)))
			return v, styleSuffix, true
		}
	}
	return 0, 0, false
}

// parseWord knows the words for diverged and for absent values, in any case.
func parseWord(b []byte) (float64, bool) {
	sign := 1.0
	w := b
	if len(w) > 0 && (w[0] == '-' || w[0] == '+') {
		if w[0] == '-' {
			sign = -1
		}
		w = w[1:]
	}
	if len(w) == 0 || len(w) > 10 {
		return 0, false
	}
	var buf [10]byte
	lower := buf[:copy(buf[:], w)]
	for i, c := range lower {
		if 'A' <= c && c <= 'Z' {
			lower[i] = c | 0x20
		}
	}
	switch string(lower) {
	case "nan", "1.#qnan", "1.#ind", "nan(ind)":
		return math.NaN(), true
	case "inf", "infinity", "1.#inf", "∞":
		return math.Inf(int(sign)), true
	}
	if len(w) != len(b) {
		return 0, false
	}
	switch string(lower) {
	case "null", "none", "na", "n/a", "#n/a", "<na>", "nil":
		return table.Missing, true
	}
	return 0, false
}

// parseComma parses a number with commas: a decimal comma if comma is set, else
// thousands separators in groups of exactly three.
func parseComma(b []byte, comma bool) (float64, style, bool) {
	if comma {
		if bytes.Count(b, []byte{','}) != 1 || bytes.IndexByte(b, '.') >= 0 {
			return 0, 0, false
		}
		v, _, ok := parseDecimal(bytes.Replace(b, []byte{','}, []byte{'.'}, 1))
		return v, styleComma, ok
	}
	whole, _, _ := bytes.Cut(bytes.TrimLeft(b, "+-"), []byte{'.'})
	for i, group := range bytes.Split(whole, []byte{','}) {
		if len(group) != 3 && (i > 0 || len(group) == 0 || len(group) > 3) {
			return 0, 0, false
		}
	}
	v, _, ok := parseDecimal(bytes.ReplaceAll(b, []byte{','}, nil))
	return v, styleThousands, ok && !bytes.ContainsAny(b, "eE")
}
