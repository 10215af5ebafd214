package importers

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/big"
	"math/bits"
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
		for i+8 <= n {
			eight, ok := eightDigits(binary.LittleEndian.Uint64(b[i:]))
			if !ok {
				break
			}
			mantissa = mantissa*1e8 + eight
			i += 8
		}
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
	if digits <= 19 {
		if v, ok := nearestFloat(mantissa, exp); ok {
			if neg {
				v = -v
			}
			return v, s, true
		}
	}
	// The error can only be a value out of range, which comes with ±Inf.
	v, _ = strconv.ParseFloat(unsafe.String(&b[0], n), 64)
	return v, s, true
}

// eightDigits reads eight decimal digits, of which the first is the lowest byte, if all
// are such: pairs are added up, then pairs of pairs.
func eightDigits(w uint64) (v uint64, ok bool) {
	const zeros, sixes, highs = 0x3030303030303030, 0x0606060606060606, 0xf0f0f0f0f0f0f0f0
	if w&highs != zeros || (w+sixes)&highs != zeros {
		return 0, false
	}
	w -= zeros
	w = w*10 + w>>8
	w = (w&0x000000ff000000ff*(100+1_000_000<<32) + w>>16&0x000000ff000000ff*(1+10_000<<32)) >> 32
	return w, true
}

// powers holds the powers of ten from leastPower to mostPower as their first 128 bits,
// rounded down: the high and the low half.
var powers = func() (table [mostPower - leastPower + 1][2]uint64) {
	ten := big.NewInt(10)
	for q := range table {
		e := q + leastPower
		p := new(big.Int).Exp(ten, big.NewInt(int64(max(e, -e))), nil)
		if e < 0 {
			p.Quo(new(big.Int).Lsh(big.NewInt(1), uint(p.BitLen()+127)), p)
		}
		if n := p.BitLen(); n > 128 {
			p.Rsh(p, uint(n-128))
		} else {
			p.Lsh(p, uint(128-n))
		}
		table[q][1] = new(big.Int).And(p, new(big.Int).SetUint64(math.MaxUint64)).Uint64()
		table[q][0] = p.Rsh(p, 64).Uint64()
	}
	return table
}()

const leastPower, mostPower = -40, 40

// nearestFloat returns the float nearest to mantissa times ten to the exp, unless deciding
// which that is takes more than 128 bits of the power: the algorithm of Eisel and Lemire
// (arXiv 2101.11408, section 5), for powers whose results are all normal numbers.
func nearestFloat(mantissa uint64, exp int) (float64, bool) {
	if exp < leastPower || exp > mostPower || mantissa == 0 {
		return 0, false
	}
	shift := bits.LeadingZeros64(mantissa)
	mantissa <<= shift
	power := &powers[exp-leastPower]
	high, low := bits.Mul64(mantissa, power[0])
	const below = 1<<9 - 1 // the bits of high that a float has no room for
	if high&below == below && low+mantissa < mantissa {
		// The low half of the power may carry into them.
		more, rest := bits.Mul64(mantissa, power[1])
		var carry uint64
		low, carry = bits.Add64(low, more, 0)
		high += carry
		if high&below == below && low+1 == 0 && rest+mantissa < mantissa {
			return 0, false
		}
	}
	top := high >> 63
	m := high >> (top + 9) // 54 bits: one to round by
	if low == 0 && high&below == 0 && m&3 == 1 {
		return 0, false // half-way, as far as can be seen
	}
	m = (m + m&1) >> 1
	// 217706/2^16 is log2(10), near enough for these powers.
	e := uint64(217706*exp>>16+64+1023) - uint64(shift) - (1 ^ top)
	if m>>53 > 0 {
		m >>= 1
		e++
	}
	return math.Float64frombits(e<<52 | m&(1<<52-1)), true
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
