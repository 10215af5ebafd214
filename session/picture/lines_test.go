package picture

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

// TestLines: every panel and line is in the picture, the same bytes each time; what cannot
// be drawn is left out, and of nothing there is no picture.
func TestLines(t *testing.T) {
	l := &Lines{}
	for _, m := range []string{"embedding", "head", "mlp_down", "residual"} {
		l.Panels = append(l.Panels, LinesPanel{
			Title: m + ": flat", XName: "d_model", Log: true,
			Lines: []Line{{"step 1", []float64{6, 7, 8}, []float64{1, 2, math.NaN()}}, {"step 10", []float64{6, 7, 8}, []float64{0, math.Inf(1), 3}}},
		})
	}
	a, err := Draw(l, "svg", Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"embedding: flat", "head: flat", "residual: flat", "step 1", "step 10"} {
		if !strings.Contains(string(a), want) {
			t.Errorf("no %q in the picture", want)
		}
	}
	if b, err := Draw(l, "svg", Options{}); err != nil || !bytes.Equal(a, b) {
		t.Errorf("drawn again it differs, %v", err)
	}
	if _, err := Draw(l, "png", Options{Width: 4, Height: 4}); err != nil {
		t.Error(err)
	}
	for _, none := range []*Lines{nil, {}, {Panels: []LinesPanel{{Log: true, Lines: []Line{{"x", []float64{1}, []float64{-1}}}}}}} {
		if _, err := Draw(none, "svg", Options{}); err == nil {
			t.Errorf("%+v has a picture", none)
		}
	}
}
