package scale

import (
	"math"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/etastar/etastar/session/number"
)

func TestLogTicks(t *testing.T) {
	labels := func(lo, hi float64, most int) string {
		s := ""
		for _, k := range Log(lo, hi, number.Eta, func(t []Tick) bool { return len(t) <= most }) {
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
		check(t, Log(a, b, number.Eta, func(k []Tick) bool { return len(k) <= most }), a, b, most)
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
