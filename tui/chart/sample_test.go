package chart

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestResampleKeepsExtremes checks that down-sampling loses no spike.
func TestResampleKeepsExtremes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		y := rapid.SliceOfN(rapid.Float64Range(-5, 5), 400, 2000).Draw(t, "y")
		s := Series{Y: y}
		pts := s.clean()
		got := resample(pts, 0, float64(len(y)-1), rapid.IntRange(2, 60).Draw(t, "n"))
		if slices.Min(got) != slices.Min(y) || slices.Max(got) != slices.Max(y) {
			t.Fatalf("extremes %g..%g, not %g..%g", slices.Min(got), slices.Max(got), slices.Min(y), slices.Max(y))
		}
	})
}

func TestResampleGaps(t *testing.T) {
	s := Series{X: []float64{0, 10, 20, 30, 40}, Y: []float64{1, 2, math.Inf(1), 4, 5}}
	got := resample(s.clean(), 0, 40, 9)
	want := []float64{1, 1.5, 2, math.NaN(), math.NaN(), math.NaN(), 4, 4.5, 5}
	for i := range want {
		if got[i] != want[i] && !(math.IsNaN(got[i]) && math.IsNaN(want[i])) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

func TestShorten(t *testing.T) {
	for _, k := range []struct {
		text string
		w    int
		want string
	}{
		{"power", 5, "power"},
		{"power law", 7, "power…"},
		{"fixed at 524288 tokens", 13, "fixed at…"},
		{"1e-3", 3, "…"},
		{"", 0, ""},
		{"abc", 0, ""},
	} {
		if got := shorten(k.text, k.w); got != k.want {
			t.Errorf("shorten(%q, %d) = %q, want %q", k.text, k.w, got, k.want)
		}
	}
}
