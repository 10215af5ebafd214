package scale

import (
	"math"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/etastar/etastar/fitting"
)

func TestNumbers(t *testing.T) {
	for _, k := range []struct{ got, want string }{
		{Eta(0.00138, 3), "1.38e-3"},
		{Eta(5e-4, 3), "5e-4"},
		{Eta(0.1, 3), "0.1"},
		{Eta(0.99996e-3, 3), "1e-3"},
		{Eta(12.34, 3), "12.3"},
		{Eta(123456, 2), "1.2e5"},
		{Eta(-2e-3, 2), "-2e-3"},
		{Eta(0, 2), "0"},
		{Eta(math.NaN(), 2), "–"},
		{Eta(math.Inf(-1), 2), "-∞"},
		{SI(214663680), "215M"},
		{SI(999.9e6), "1B"},
		{SI(1.4e12), "1.4T"},
		{SI(524288), "524k"},
		{SI(6.4e21), "6.4e21"},
		{SI(12), "12"},
		{SI(0), "0"},
		{Percent(0.0031), "0.31%"},
		{Percent(0.12), "12%"},
		{Percent(1.5), "150%"},
		{Percent(0), "0%"},
		{Percent(math.Inf(1)), "∞"},
		{Fixed(-0.0001, 2), "0.00"},
		{Fixed(0.97, 3), "0.970"},
		{Spread(0.07), "±15%"},
		{Spread(0.6), "×/÷3.2"},
		{Spread(math.NaN()), ""},
		{Key(fitting.Key{N: 215e6, D: 4e9}), "215M, 4B"},
		{Key(fitting.Key{N: 215e6}), "N 215M"},
		{Key(fitting.Key{D: 4e9, B: 524288, Extra: "seed=1"}), "D 4B, B 524k, seed=1"},
		{Key(fitting.Key{}), "all runs"},
		{Target(fitting.Target{N: 7e9, D: 1.4e12}), "7B, 1.4T"},
		{Target(fitting.Target{C: 6.4e21}), "C 6.4e21"},
		{Target(fitting.Target{}), "target"},
		{Flags([]fitting.Flag{fitting.FlagNearEdge, fitting.FlagDiverged, fitting.FlagConcave}), "near the edge, concave"},
	} {
		if k.got != k.want {
			t.Errorf("got %q, want %q", k.got, k.want)
		}
	}
}

func TestLogTicks(t *testing.T) {
	labels := func(lo, hi float64, most int) string {
		s := ""
		for _, k := range Log(lo, hi, Eta, func(t []Tick) bool { return len(t) <= most }) {
			s += k.Label + " "
		}
		return s
	}
	for _, k := range []struct {
		lo, hi float64
		most   int
		want   string
	}{
		{1e-3, 1e-2, 4, "1e-3 2e-3 5e-3 1e-2 "},
		{4.9e-4, 2.2e-2, 6, "5e-4 1e-3 2e-3 5e-3 1e-2 2e-2 "},
		{4.9e-4, 2.2e-2, 2, "1e-3 1e-2 "},
		{1e-9, 1, 4, "1e-9 1e-6 1e-3 1 "},
		{2.01e-3, 2.06e-3, 3, "2.02e-3 2.04e-3 2.06e-3 "},
		{2.1e-3, 2.4e-3, 1, "2.2e-3 "},
		{0, 1, 4, ""},
		{-1, 1, 4, ""},
		{math.NaN(), 1, 4, ""},
		{1, math.Inf(1), 4, ""},
	} {
		if got := labels(k.lo, k.hi, k.most); got != k.want {
			t.Errorf("Log(%g, %g) with at most %d: %q, want %q", k.lo, k.hi, k.most, got, k.want)
		}
	}
}

// TestTicks checks that ticks lie in the range, ascend, and print what they are.
func TestTicks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lo := rapid.Float64Range(-30, 5).Draw(t, "ln lo")
		span := math.Exp(rapid.Float64Range(-8, 3).Draw(t, "ln span"))
		most := rapid.IntRange(1, 12).Draw(t, "most")
		a, b := math.Exp(lo), math.Exp(lo+span)
		check(t, Log(a, b, Eta, func(k []Tick) bool { return len(k) <= most }), a, b, most)
		check(t, Linear(a, b, most), a, b, most)
	})
}

func check(t *rapid.T, ticks []Tick, lo, hi float64, most int) {
	if len(ticks) > most {
		t.Fatalf("%d ticks, not at most %d", len(ticks), most)
	}
	for i, k := range ticks {
		if k.V < lo*(1-1e-6) || k.V > hi*(1+1e-6) || i > 0 && k.V <= ticks[i-1].V {
			t.Fatalf("tick %g is out of %g..%g or of order in %v", k.V, lo, hi, ticks)
		}
		v, err := strconv.ParseFloat(k.Label, 64)
		if err != nil || len(ticks) > 1 && math.Abs(v-k.V) > 1e-3*math.Abs(k.V) {
			t.Fatalf("tick %g is labelled %q", k.V, k.Label)
		}
	}
}
