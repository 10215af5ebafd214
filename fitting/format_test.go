package fitting

import (
	"math"
	"testing"
)

func TestFormats(t *testing.T) {
	for x, want := range map[float64]string{
		7e9: "7B", 1.07e9: "1.07B", 1073741824: "1.07B", 524288: "524k", 1.4e12: "1.4T", 214663680: "215M",
		128: "128", 1: "1", 999.6e6: "1B", 1e15: "1e15", 5.88e22: "5.88e22", 0: "0", -2e6: "−2M", 0.25: "0.25", 2e-4: "2e-4", 2.5: "2.5",
		math.Inf(1): "∞",
	} {
		if got := FormatCount(x); got != want {
			t.Errorf("FormatCount(%v) = %q, want %q", x, got, want)
		}
	}
	for x, want := range map[float64]string{
		2.2e-3: "2.2e-3", 0.00065690: "6.57e-4", 0.01: "1e-2", 0.5: "0.5", 1: "1", 9.996e-4: "1e-3", 0: "0", 3e-10: "3e-10",
	} {
		if got := FormatLR(x); got != want {
			t.Errorf("FormatLR(%v) = %q, want %q", x, got, want)
		}
	}
	for x, want := range map[float64]string{0.0012: "0.12%", 0.00172: "0.17%", 0.1: "10%", 0: "0%"} {
		if got := FormatPercent(x); got != want {
			t.Errorf("FormatPercent(%v) = %q, want %q", x, got, want)
		}
	}
	for _, got := range []string{FormatCount(nan), FormatLR(nan), FormatPercent(nan)} {
		if got != "?" {
			t.Errorf("NaN prints %q", got)
		}
	}
}

func TestKeyText(t *testing.T) {
	for k, want := range map[Key]string{
		{}:                                 "all runs",
		{N: 214663680, D: 4e9}:             "N=215M D=4B",
		{N: 1e9, B: 524288, Extra: "wd=0"}: "N=1B B=524k wd=0",
	} {
		if got := k.String(); got != want {
			t.Errorf("%#v prints %q, want %q", k, got, want)
		}
	}
	if got := (Target{N: 7e9, D: 1.4e12}).String(); got != "N=7B D=1.4T" {
		t.Errorf("target prints %q", got)
	}
}
