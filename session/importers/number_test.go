package importers

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/etastar/etastar/session/table"
)

func TestParseCell(t *testing.T) {
	missing, nan, inf := table.Missing, math.NaN(), math.Inf(1)
	tests := []struct {
		cell string
		want float64
		ok   bool
	}{
		{"1", 1, true},
		{"-1.5", -1.5, true},
		{"+3e-4", 3e-4, true},
		{".5", 0.5, true},
		{"5.", 5, true},
		{"1E5", 1e5, true},
		{"0.0003453", 0.0003453, true},
		{"2.3976109618296744", 2.3976109618296744, true},
		{"-0", math.Copysign(0, -1), true},
		{"1e400", inf, true},
		{"-1e400", -inf, true},
		{"1e-400", 0, true},
		{"0e999999999999", 0, true},
		{"1e99999999999999999999", inf, true},
		{"NaN", nan, true},
		{"nan", nan, true},
		{"-NaN", nan, true},
		{"inf", inf, true},
		{"+Inf", inf, true},
		{"-inf", -inf, true},
		{"Infinity", inf, true},
		{"-INFINITY", -inf, true},
		{"1.#INF", inf, true},
		{"−0.5", -0.5, true},
		{"null", missing, true},
		{"None", missing, true},
		{"NA", missing, true},
		{"n/a", missing, true},
		{"N/A", missing, true},
		{"nil", missing, true},
		{"<NA>", missing, true},
		{"7B", 7e9, true},
		{"1.1B", 1.1e9, true},
		{"350M", 350e6, true},
		{"125k", 125e3, true},
		{"1.4T", 1.4e12, true},
		{"7 B", 7e9, true},
		{"1,234", 1234, true},
		{"-1,234,567.5", -1234567.5, true},
		{"12%", 12, true},
		{"1.5 %", 1.5, true},
		{"", 0, false},
		{"-", 0, false},
		{".", 0, false},
		{"e5", 0, false},
		{"1e", 0, false},
		{"1e+", 0, false},
		{"0x10", 0, false},
		{"1_000", 0, false},
		{"1 2", 0, false},
		{"--1", 0, false},
		{"1.2.3", 0, false},
		{"12,34", 0, false},
		{"1,2345", 0, false},
		{",123", 0, false},
		{"1,23", 0, false},
		{"B", 0, false},
		{"1e5B", 0, false},
		{"7BB", 0, false},
		{"-null", 0, false},
		{"nano", 0, false},
		{"n/a?", 0, false},
		{"infinite", 0, false},
		{"2019-10-10", 0, false},
		{"%", 0, false},
		{strings.Repeat("x", 100), 0, false},
		{"1.2.", 0, false},
		{"0,5", 0, false},
	}
	for _, tt := range tests {
		got, _, ok := parseCell([]byte(tt.cell), false)
		if ok != tt.ok || ok && math.Float64bits(got) != math.Float64bits(tt.want) {
			t.Errorf("parseCell(%q) = %v, %v; want %v, %v", tt.cell, got, ok, tt.want, tt.ok)
		}
	}
	for cell, want := range map[string]float64{"0,5": 0.5, "1,234": 1.234, "-2,5e-3": -2.5e-3} {
		if got, s, ok := parseCell([]byte(cell), true); !ok || got != want || s != styleComma {
			t.Errorf("decimal comma: parseCell(%q) = %v, %v, %v", cell, got, s, ok)
		}
	}
}

// checkDecimal compares with strconv, bit for bit.
func checkDecimal(t interface{ Fatalf(string, ...any) }, s string) {
	got, _, ok := parseDecimal([]byte(s))
	want, err := strconv.ParseFloat(s, 64)
	plain := strings.Trim(s, "0123456789+-.eE") == ""
	if wantOK := plain && (err == nil || math.IsInf(want, 0)); ok != wantOK {
		t.Fatalf("parseDecimal(%q) accepts: %v, strconv says %v, %v", s, ok, want, err)
	}
	if ok && math.Float64bits(got) != math.Float64bits(want) {
		t.Fatalf("parseDecimal(%q) = %v, want %v", s, got, want)
	}
}

func TestParseDecimalAgrees(t *testing.T) {
	for _, s := range []string{
		"9007199254740993", "9007199254740992e22", "1e22", "1e23", "1e-22", "123456789012345678901234567890", "0.1", "1.7976931348623157e308",
		"5e-324", "2.4703282292062327e-324", "18446744073709551616", "99999999999999999999e-20", "00000000000000000000001", "0.00000000000000000000001",
	} {
		checkDecimal(t, s)
	}
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.Float64().Draw(t, "f")
		for _, format := range []byte("efg") {
			checkDecimal(t, strconv.FormatFloat(f, format, rapid.IntRange(-1, 20).Draw(t, "precision"), 64))
		}
		checkDecimal(t, rapid.StringMatching(`[+-]?[0-9]{0,25}\.?[0-9]{0,25}([eE][+-]?[0-9]{0,4})?`).Draw(t, "s"))
		checkDecimal(t, fmt.Sprintf("%de%d", rapid.Uint64Max(1e19-1).Draw(t, "digits"), rapid.IntRange(leastPower-2, mostPower+2).Draw(t, "power")))
	})
}

// Decimals of 19 digits as near as they come to the middle of two floats, which decides
// how they are rounded.
func TestParseDecimalHalfway(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		f := math.Float64frombits(uint64(1023-60+r.IntN(120))<<52 | r.Uint64()>>12)
		half := new(big.Float).SetPrec(200).Add(big.NewFloat(f), big.NewFloat(math.Nextafter(f, math.Inf(1))))
		mantissa, exp, _ := strings.Cut(half.Quo(half, big.NewFloat(2)).Text('e', 18), "e")
		digits, err := strconv.ParseUint(strings.Replace(mantissa, ".", "", 1), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		power, err := strconv.Atoi(exp)
		if err != nil {
			t.Fatal(err)
		}
		for d := range uint64(3) {
			checkDecimal(t, fmt.Sprintf("%de%d", digits+d-1, power-18))
		}
	}
}

func FuzzParseNumber(f *testing.F) {
	for _, s := range []string{"1.5e-3", "-0.0003453", "1e400", "7B", "1,234.5", "12%", "−5", "NaN", "-inf", "n/a", "9007199254740993"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		checkDecimal(t, s)
		for _, comma := range []bool{false, true} {
			v, style, ok := parseCell([]byte(s), comma)
			if _, _, decimal := parseDecimal([]byte(s)); decimal && !ok {
				t.Fatalf("parseCell(%q) refuses a decimal", s)
			}
			if ok && table.IsMissing(v) && style != 0 {
				t.Fatalf("parseCell(%q) is blank and written as %b", s, style)
			}
		}
	})
}
