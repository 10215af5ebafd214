// Package scale finds the ticks of an axis, for the pictures of session and the
// charts of the screen alike. It never returns a label that would have to be cut.
package scale

import (
	"math"
	"strconv"

	"github.com/etastar/etastar/session/number"
)

// mantissas are the digits a logarithmic axis may show in every decade, from
// crowded to sparse.
var mantissas = [][]float64{
	{1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8},
	{1, 1.5, 2, 3, 5, 7},
	{1, 2, 5},
	{1, 3},
	{1},
}

// Tick is a labelled place on an axis.
type Tick struct {
	V     float64
	Label string
}

// Log returns ticks for a logarithmic axis from lo to hi (both positive), the
// most for which fits says yes, printed by format. Axes narrower than a tick
// set allows get evenly spaced numbers. It returns nil for an empty or
// unusable range, or when nothing fits.
func Log(lo, hi float64, format func(v float64, sig int) string, fits func([]Tick) bool) []Tick {
	if !(lo > 0) || !(hi >= lo) || math.IsInf(hi, 0) {
		return nil
	}
	first, last := int(math.Floor(math.Log10(lo))), int(math.Ceil(math.Log10(hi)))
	for _, set := range mantissas {
		if last-first > 12 && len(set) > 1 {
			continue
		}
		if t := decades(lo, hi, first, last, 1, set, format); len(t) >= 2 && fits(t) {
			return t
		}
	}
	for step := 2; step <= last-first; step++ {
		if t := decades(lo, hi, first, last, step, mantissas[4], format); len(t) >= 2 && fits(t) {
			return t
		}
	}
	if hi/lo < 10 {
		for n := 8; n >= 2; n-- {
			if t := even(lo, hi, n, format); len(t) >= 2 && fits(t) {
				return t
			}
		}
	}
	return single(lo, hi, format, fits)
}

// decades lists set·10^e inside [lo, hi] for every step-th e.
func decades(lo, hi float64, first, last, step int, set []float64, format func(float64, int) string) []Tick {
	var out []Tick
	for e := first; e <= last; e++ {
		if e%step != 0 {
			continue
		}
		for _, m := range set {
			// Through the decimal text, so that 2e-3 is 2e-3 and not 2.0000000000000004e-3.
			v, err := strconv.ParseFloat(strconv.FormatFloat(m, 'f', -1, 64)+"e"+strconv.Itoa(e), 64)
			if err != nil || v < lo*(1-1e-9) || v > hi*(1+1e-9) || v <= 0 {
				continue
			}
			out = append(out, Tick{v, format(v, 2)})
		}
	}
	return out
}

// even lists about n evenly spaced values between lo and hi, for axes that span
// less than a tick set resolves.
func even(lo, hi float64, n int, format func(float64, int) string) []Tick {
	step := niceStep((hi - lo) / float64(n))
	if !(step > 0) {
		return nil
	}
	sig := int(math.Floor(math.Log10(hi))-math.Floor(math.Log10(step))) + 1
	if sig > 6 {
		return nil
	}
	var out []Tick
	for i := math.Ceil(lo / step); i*step <= hi; i++ {
		v := i * step
		out = append(out, Tick{v, format(v, sig)})
	}
	return distinct(out)
}

// single is the one tick of an axis too short for two.
func single(lo, hi float64, format func(float64, int) string, fits func([]Tick) bool) []Tick {
	mid := math.Sqrt(lo) * math.Sqrt(hi)
	for sig := 1; sig <= 3; sig++ {
		v := number.Round(mid, sig)
		if v < lo || v > hi {
			continue
		}
		t := []Tick{{v, format(v, sig)}}
		if fits(t) {
			return t
		}
	}
	return nil
}

// Linear returns at most n ticks at round values of a linear axis, all with the
// same number of decimals. Ranges too narrow for their magnitude give one tick.
func Linear(lo, hi float64, n int) []Tick {
	if n < 1 || math.IsNaN(lo) || math.IsNaN(hi) || math.IsInf(lo, 0) || math.IsInf(hi, 0) || hi < lo {
		return nil
	}
	big := math.Max(math.Abs(lo), math.Abs(hi))
	if span := hi - lo; math.IsInf(span, 0) || span <= big*1e-9 {
		return []Tick{{lo + (hi-lo)/2, number.Eta(lo/2+hi/2, 4)}}
	}
	for k := 2 * n; k >= 1; k-- { // a rounded step can give fewer ticks than asked for
		step := niceStep((hi - lo) / float64(k))
		t := linear(lo, hi, step, big)
		if len(t) > 0 && len(t) <= n {
			return t
		}
	}
	return nil
}

func linear(lo, hi, step, big float64) []Tick {
	if !(step > 0) {
		return nil
	}
	exp := int(math.Floor(math.Log10(step) + 1e-9))
	var out []Tick
	for i := math.Ceil(lo/step - 1e-9); i*step <= hi+step*1e-9; i++ {
		v := i * step
		if math.Abs(v) < step/2 {
			v = 0
		}
		var label string
		if big >= 1e5 || exp < -5 {
			label = number.Eta(v, max(1, int(math.Floor(math.Log10(big)))-exp+1))
		} else {
			label = number.Fixed(v, max(0, -exp))
		}
		out = append(out, Tick{v, label})
	}
	return distinct(out)
}

// niceStep is the smallest of 1, 2, 5 times a power of ten at or above raw.
func niceStep(raw float64) float64 {
	if !(raw > 0) || math.IsInf(raw, 0) {
		return 0
	}
	e := int(math.Floor(math.Log10(raw)))
	for _, m := range [...]string{"1", "2", "5", "10"} {
		v, err := strconv.ParseFloat(m+"e"+strconv.Itoa(e), 64)
		if err == nil && v >= raw*(1-1e-9) {
			return v
		}
	}
	return 0
}

// distinct drops ticks whose label repeats the one before.
func distinct(t []Tick) []Tick {
	var out []Tick
	for _, k := range t {
		if len(out) == 0 || out[len(out)-1].Label != k.Label {
			out = append(out, k)
		}
	}
	return out
}
