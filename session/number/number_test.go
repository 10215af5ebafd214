package number

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/etastar/etastar/fitting"
)

var (
	nan  = math.NaN()
	inf  = math.Inf(1)
	minf = math.Inf(-1)
	neg0 = math.Copysign(0, -1)
)

type text struct{ got, want string }

func check(t *testing.T, texts ...text) {
	t.Helper()
	for _, k := range texts {
		if k.got != k.want {
			t.Errorf("got %q, want %q", k.got, k.want)
		}
	}
}

func TestEta(t *testing.T) {
	check(
		t,
		text{Eta(0.00138, 3), "1.38e-3"},
		text{Eta(5e-4, 3), "5e-4"},
		text{Eta(0.99996e-3, 3), "1e-3"},
		text{Eta(5.5349e-4, 4), "5.535e-4"},
		text{Eta(0.1, 3), "0.1"},
		text{Eta(0.09999, 3), "0.1"},
		text{Eta(12.34, 3), "12.3"},
		text{Eta(1234, 2), "1200"},
		text{Eta(123456, 2), "1.2e5"},
		text{Eta(-2e-3, 2), "−2e-3"},
		text{Eta(-0.5, 5), "−0.5"},
		text{Eta(3e-10, 1), "3e-10"},
		text{Eta(5e-324, 3), "4.94e-324"},
		text{Eta(math.MaxFloat64, 5), "1.7977e308"},
		text{Eta(0, 2), "0"},
		text{Eta(neg0, 2), "0"},
		text{Eta(nan, 2), "–"},
		text{Eta(inf, 2), "∞"},
		text{Eta(minf, 2), "−∞"},
	)
	for _, x := range []float64{2.2e-3, 6.569e-4, 0.01, 0.5, 1, 3e-10, 1e5, 0} {
		if got, want := Eta(x, 3), fitting.FormatLR(x); got != want {
			t.Errorf("Eta(%g) = %q, fitting writes %q", x, got, want)
		}
		if got, want := plain(x, 3, 0.1), fitting.FormatLR(x); got != want {
			t.Errorf("more digits follow another rule: %q, fitting writes %q", got, want)
		}
	}
}

func TestEtaPadded(t *testing.T) {
	check(
		t,
		text{EtaPadded(2.2e-3, 3), "2.20e-3"},
		text{EtaPadded(5.53e-4, 2), "5.5e-4"},
		text{EtaPadded(1e-3, 1), "1e-3"},
		text{EtaPadded(9.999e-4, 2), "1.0e-3"},
		text{EtaPadded(0.5, 3), "5.00e-1"},
		text{EtaPadded(1, 3), "1.00e0"},
		text{EtaPadded(1e12, 3), "1.00e12"},
		text{EtaPadded(-1e-3, 2), "−1.0e-3"},
		text{EtaPadded(5e-324, 2), "4.9e-324"},
		text{EtaPadded(0, 3), "0"},
		text{EtaPadded(nan, 3), "–"},
		text{EtaPadded(inf, 3), "∞"},
		text{EtaPadded(minf, 3), "−∞"},
	)
}

func TestEtaRange(t *testing.T) {
	check(
		t,
		text{EtaRange(4.3e-4, 7.2e-4, 2), "[4.3, 7.2]e-4"},
		text{EtaRange(4e-4, 9.96e-4, 2), "[4.0e-4, 1.0e-3]"},
		text{EtaRange(0, 1e-3, 2), "[0, 1.0e-3]"},
		text{EtaRange(1e-3, inf, 2), "[1.0e-3, ∞]"},
		text{EtaRange(nan, 1e-3, 2), "[–, 1.0e-3]"},
		text{EtaRange(nan, nan, 2), ""},
		text{EtaRange(-2, -1, 2), "[−2.0, −1.0]e0"},
		text{EtaInterval(4.3e-4, 7.2e-4, 2), "[4.3e-4, 7.2e-4]"},
		text{EtaInterval(nan, 7.2e-4, 2), "[–, 7.2e-4]"},
		text{EtaInterval(nan, nan, 2), ""},
	)
}

func TestSI(t *testing.T) {
	check(
		t,
		text{SI(214663680), "215M"},
		text{SI(999.9e6), "1B"},
		text{SI(1.4e12), "1.4T"},
		text{SI(524288), "524k"},
		text{SI(6.4e21), "6.4e21"},
		text{SI(12), "12"},
		text{SI(2.5), "2.5"},
		text{SI(-2e6), "−2M"},
		text{SI(1e-12), "1e-12"},
		text{SI(0), "0"},
		text{SI(nan), "–"},
		text{SI(inf), "∞"},
		text{SI(minf), "−∞"},
	)
}

func TestCount(t *testing.T) {
	check(
		t,
		text{Count(1911), "1,911"},
		text{Count(999), "999"},
		text{Count(1234567), "1,234,567"},
		text{Count(0), "0"},
		text{Count(-1), "−1"},
		text{Count(-123), "−123"},
		text{Count(-1234567), "−1,234,567"},
		text{Count(math.MaxInt64), "9,223,372,036,854,775,807"},
		text{Count(math.MinInt64), "−9,223,372,036,854,775,808"},
		text{Plural(1, "vertex", "vertices"), "1 vertex"},
		text{Plural(0, "vertex", "vertices"), "0 vertices"},
		text{Plural(1911, "run", "runs"), "1,911 runs"},
	)
}

func TestSig(t *testing.T) {
	check(
		t,
		text{Sig(9.54e19, 3), "9.54e19"},
		text{Sig(9999, 3), "1e4"},
		text{Sig(9994, 3), "9990"},
		text{Sig(123.4, 3), "123"},
		text{Sig(0.01, 3), "0.01"},
		text{Sig(0.00999, 3), "9.99e-3"},
		text{Sig(-0.5, 3), "−0.5"},
		text{Sig(-1e-300, 3), "−1e-300"},
		text{Sig(0, 3), "0"},
		text{Sig(neg0, 3), "0"},
		text{Sig(nan, 3), "–"},
		text{Sig(inf, 3), "∞"},
		text{Sig(minf, 3), "−∞"},
	)
}

func TestFixed(t *testing.T) {
	check(
		t,
		text{Fixed(0.97, 3), "0.970"},
		text{Fixed(-0.811, 3), "−0.811"},
		text{Fixed(-0.0001, 2), "0.00"},
		text{Fixed(neg0, 0), "0"},
		text{Fixed(1e-300, 2), "0.00"},
		text{Fixed(1e20, 2), "1e20"},
		text{Fixed(-1.23456e20, 2), "−1.235e20"},
		text{Fixed(nan, 2), "–"},
		text{Fixed(inf, 2), "∞"},
		text{Fixed(minf, 2), "−∞"},
		text{Signed(-0.811, 3), "−0.811"},
		text{Signed(0.275, 3), "+0.275"},
		text{Signed(-0.0004, 3), "0.000"},
		text{Signed(0.0004, 3), "0.000"},
		text{Signed(0, 3), "0.000"},
		text{Signed(1e20, 3), "+1e20"},
		text{Signed(nan, 2), "–"},
		text{Signed(inf, 2), "+∞"},
		text{Signed(minf, 2), "−∞"},
	)
}

func TestLoss(t *testing.T) {
	check(
		t,
		text{Loss(2.61514), "2.6151"},
		text{Loss(2.5), "2.5000"},
		text{Loss(0.01234567), "0.01235"},
		text{Loss(1.234567e-5), "1.235e-5"},
		text{Loss(-0.05), "−0.05"},
		text{Loss(1e12), "1e12"},
		text{Loss(0), "0.0000"},
		text{Loss(nan), "–"},
		text{Loss(inf), "∞"},
		text{Loss(minf), "−∞"},
	)
}

func TestPercent(t *testing.T) {
	check(
		t,
		text{Percent(0.0031), "0.31%"},
		text{Percent(0.000028), "0.0028%"},
		text{Percent(0.12), "12%"},
		text{Percent(1.5), "150%"},
		text{Percent(-0.12), "−12%"},
		text{Percent(1e6), "1e8%"},
		text{Percent(1e-17), "0%"},
		text{Percent(0), "0%"},
		text{Percent(nan), "–"},
		text{Percent(inf), "∞"},
		text{Percent(minf), "−∞"},
		text{SignedPercent(0.0031), "+0.31%"},
		text{SignedPercent(0.25), "+25%"},
		text{SignedPercent(-0.092), "−9.2%"},
		text{SignedPercent(0), "0%"},
		text{SignedPercent(0.000028), "<0.01%"},
		text{SignedPercent(-0.00034), "−0.03%"},
		text{SignedPercent(0.03), "+3%"},
		text{SignedPercent(neg0), "0%"},
		text{SignedPercent(nan), "–"},
		text{SignedPercent(inf), "+∞"},
		text{Level(0.95), "95%"},
		text{Level(0.995), "99.5%"},
		text{Level(1), "100%"},
		text{Level(0), "0%"},
		text{Level(nan), "–"},
	)
}

func TestFactor(t *testing.T) {
	check(
		t,
		text{Factor(6.54), "6.5×"},
		text{Factor(163.2), "160×"},
		text{Factor(1.55e5), "1.6e5×"},
		text{Factor(0.001), "1e-3×"},
		text{Factor(-2), "−2×"},
		text{Factor(0), "0×"},
		text{Factor(nan), "–"},
		text{Factor(inf), "∞"},
		text{Spread(0.14), "±15%"},
		text{Spread(1.18), "×/÷3.3"},
		text{Spread(196), "×/÷>1e4"},
		text{Spread(2e-9), "±0%"},
		text{Spread(0), ""},
		text{Spread(-1), ""},
		text{Spread(nan), ""},
		text{Spread(inf), ""},
	)
}

func TestWords(t *testing.T) {
	check(
		t,
		text{Key(fitting.Key{N: 215e6, D: 4e9}), "215M, 4B"},
		text{Key(fitting.Key{N: 215e6}), "215M"},
		text{Key(fitting.Key{D: 4e9, B: 524288, Extra: "seed=1"}), "4B, 524k, seed=1"},
		text{Key(fitting.Key{}), "all runs"},
		text{Target(fitting.Target{N: 7e9, D: 1.4e12}), "7B, 1.4T"},
		text{Target(fitting.Target{N: 7e9, D: 1.4e12, B: 4e6, C: 5.88e22}), "7B, 1.4T, B 4M"},
		text{Target(fitting.Target{N: 7e9, B: nan}), "N 7B"},
		text{Target(fitting.Target{D: 2e9, NActive: 1e9, Experts: 64}), "D 2B, active 1B, experts 64"},
		text{Target(fitting.Target{C: 6.4e21}), "C 6.4e21"},
		text{Target(fitting.Target{}), "target"},
		text{Flags([]fitting.Flag{"new"}), "new"},
		text{Target(fitting.Target{N: nan, D: 2e9}), "D 2B"},
		text{Flags([]fitting.Flag{fitting.FlagNearEdge, fitting.FlagDiverged, fitting.FlagConcave}), "near the edge, concave"},
		text{Flags(nil), ""},
	)
}

func TestRound(t *testing.T) {
	for _, k := range []struct {
		x      float64
		digits int
		want   float64
	}{{1234, 2, 1200}, {-0.00126, 2, -0.0013}, {1.5, 0, 2}, {0, 3, 0}, {inf, 3, inf}, {math.MaxFloat64, 1, math.MaxFloat64}} {
		if got := Round(k.x, k.digits); got != k.want {
			t.Errorf("Round(%g, %d) = %g, want %g", k.x, k.digits, got, k.want)
		}
	}
}

// TestNumbersAreWhatTheySay reads every number back: it is as near as its digits
// say, at any size, and no plain notation runs to more than a few characters.
func TestNumbersAreWhatTheySay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := math.Exp(rapid.Float64Range(-700, 700).Draw(t, "ln x"))
		if rapid.Bool().Draw(t, "negative") {
			x = -x
		}
		digits := rapid.IntRange(1, 6).Draw(t, "digits")
		for name, s := range map[string]string{"Eta": Eta(x, digits), "EtaPadded": EtaPadded(x, digits), "Sig": Sig(x, digits)} {
			v, err := strconv.ParseFloat(strings.Replace(s, "−", "-", 1), 64)
			if err != nil || math.Abs(v-x) > 0.5001*math.Pow(10, 1-float64(digits))*math.Abs(x) || len([]rune(s)) > digits+7 {
				t.Fatalf("%s(%g, %d) = %q", name, x, digits, s)
			}
		}
		for _, s := range []string{Fixed(x, 3), Signed(x, 3), Loss(x), Percent(x), SignedPercent(x), Factor(x), SI(x), Spread(x)} {
			if len([]rune(s)) > 15 || strings.ContainsAny(s, "?NI") {
				t.Fatalf("%g is written %q", x, s)
			}
		}
	})
}
