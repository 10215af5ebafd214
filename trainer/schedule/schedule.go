// Package schedule says which learning rate a step trains with: Warmup-Stable-Decay,
// cosine, linear and constant schedules, and the plan by which one stable run serves
// several horizons.
//
// It is arithmetic on steps alone: it trains nothing, reads nothing and keeps no state.
package schedule

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Kinds of schedules.
const (
	WSD      = "wsd"      // warm-up, stable, decay (MiniCPM, arXiv 2404.06395)
	Cosine   = "cosine"   // warm-up, then half a cosine to the floor
	Linear   = "linear"   // warm-up, then a straight line to the floor
	Constant = "constant" // warm-up, then the peak
)

// Shapes of the decay of a WSD schedule, as functions of its progress x in [0, 1].
const (
	DecayLinear      = "linear"      // 1 − x
	DecaySqrt        = "1-sqrt"      // 1 − √x (Hägele et al., arXiv 2405.18392)
	DecayCosine      = "cosine"      // (1 + cos πx)/2
	DecayExponential = "exponential" // floor^x, needs a floor above 0
)

// Kinds and Decays list the words a schedule takes.
var (
	Kinds  = []string{WSD, Cosine, Linear, Constant}
	Decays = []string{DecayLinear, DecaySqrt, DecayCosine, DecayExponential}
)

// Schedule is a learning-rate schedule as asked for. It fixes fractions of the peak
// rather than rates, except FloorLR.
type Schedule struct {
	Kind         string  `json:"kind"`
	WarmupTokens int64   `json:"warmup_tokens"`       // linear from 0; rounded up to whole steps
	Decay        string  `json:"decay,omitempty"`     // shape, WSD only
	DecayPart    float64 `json:"decay_part,omitzero"` // share of the horizon that decays, WSD only
	Floor        float64 `json:"floor"`               // what the last step trains with, as a fraction of the peak
	FloorLR      float64 `json:"floor_lr,omitzero"`   // the same as a rate (Step Law: 1e-5); not with Floor
}

// Default is a Warmup-Stable-Decay schedule whose last fifth decays as 1 − √x to zero.
// Warm-up is left to the caller, who knows the horizon.
func Default() Schedule {
	return Schedule{Kind: WSD, Decay: DecaySqrt, DecayPart: 0.2}
}

// Problems says what is wrong with a schedule, each with what to change; peak is the
// largest learning rate.
func (s Schedule) Problems(peak float64) (out []string) {
	bad := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if !slices.Contains(Kinds, s.Kind) {
		bad("schedule %q is none of %s", s.Kind, strings.Join(Kinds, ", "))
		return out
	}
	if s.WarmupTokens < 0 {
		bad("warmup_tokens %d is negative: use 0 for no warm-up", s.WarmupTokens)
	}
	if !(s.Floor >= 0 && s.Floor <= 1) {
		bad("floor %g is not a fraction of the peak: use a number from 0 to 1, or floor_lr for a rate", s.Floor)
	}
	if s.FloorLR != 0 {
		switch {
		case !(s.FloorLR > 0) || math.IsInf(s.FloorLR, 0):
			bad("floor_lr %g must be a positive rate", s.FloorLR)
		case s.Floor != 0:
			bad("floor and floor_lr are both set: keep one")
		case peak > 0 && s.FloorLR > peak:
			bad("floor_lr %g lies above the peak learning rate %g", s.FloorLR, peak)
		}
	}
	if s.Kind != WSD {
		if s.Decay != "" || s.DecayPart != 0 {
			bad("decay and decay_part belong to the %s schedule, not to %s", WSD, s.Kind)
		}
		return out
	}
	if !slices.Contains(Decays, s.Decay) {
		bad("decay %q is none of %s", s.Decay, strings.Join(Decays, ", "))
	}
	if !(s.DecayPart >= 0 && s.DecayPart <= 1) {
		bad("decay_part %g is not a share of the horizon: use a number from 0 to 1, such as 0.2", s.DecayPart)
	}
	if s.Decay == DecayExponential && s.Floor == 0 && s.FloorLR == 0 {
		bad("an exponential decay never reaches 0: give it a floor, such as floor=0.01")
	}
	return out
}

// Curve is a schedule over a fixed number of steps at a fixed peak.
type Curve struct {
	Steps  int64 // optimizer steps in all
	Warmup int64 // steps 0 … Warmup−1 warm up
	Stable int64 // the first step that decays; Steps when none does

	kind, shape string
	peak, floor float64 // floor as a fraction of the peak
}

// Steps is the number of optimizer steps that cover a number of tokens, the last one
// counted whole.
func Steps(tokens, batch int64) int64 {
	if tokens <= 0 || batch <= 0 {
		return 0
	}
	return (tokens-1)/batch + 1
}

// Compile lays a schedule out over steps of batch tokens each at a peak learning rate.
func (s Schedule) Compile(peak float64, steps, batch int64) (Curve, error) {
	if p := s.Problems(peak); len(p) > 0 {
		return Curve{}, fmt.Errorf("schedule: %s", strings.Join(p, "; "))
	}
	if steps <= 0 || batch <= 0 {
		return Curve{}, fmt.Errorf("schedule: %d steps of %d tokens: both must be positive", steps, batch)
	}
	c := Curve{Steps: steps, Warmup: Steps(s.WarmupTokens, batch), kind: s.Kind, shape: s.Decay, peak: peak, floor: s.Floor}
	if s.FloorLR > 0 {
		c.floor = s.FloorLR / peak
	}
	switch s.Kind {
	case WSD:
		c.Stable = steps - decaySteps(s.DecayPart, steps)
	case Constant:
		c.Stable = steps
	default:
		c.Stable = min(c.Warmup, steps)
		if s.Kind == Linear {
			c.shape = DecayLinear
		} else {
			c.shape = DecayCosine
		}
	}
	if c.Warmup > c.Stable {
		return Curve{}, fmt.Errorf("schedule: %d warm-up steps do not fit before the decay at step %d of %d: shorten the warm-up to %d tokens or train longer", c.Warmup, c.Stable, steps, c.Stable*batch)
	}
	return c, nil
}

// decaySteps is the number of decaying steps; a part above 0 has at least one.
func decaySteps(part float64, steps int64) int64 {
	if part <= 0 {
		return 0
	}
	return min(steps, max(1, int64(math.Round(part*float64(steps)))))
}

// LR is the learning rate of a step, counted from 0. Warm-up is linear and reaches the
// peak at its last step; a decay reaches the floor at the last step of all. Steps
// beyond the last train with what it did.
func (c Curve) LR(step int64) float64 {
	step = min(max(step, 0), c.Steps-1)
	switch {
	case step < c.Warmup:
		return c.peak * (float64(step+1) / float64(c.Warmup))
	case step < c.Stable:
		return c.peak
	}
	x := float64(step-c.Stable+1) / float64(c.Steps-c.Stable)
	return c.peak * fall(c.shape, x, c.floor)
}

// fall is the fraction of the peak at progress x of a decay to floor.
func fall(shape string, x, floor float64) float64 {
	if x >= 1 {
		return floor
	}
	var f float64
	switch shape {
	case DecayExponential:
		return math.Pow(floor, x)
	case DecaySqrt:
		f = 1 - math.Sqrt(x)
	case DecayCosine:
		f = (1 + math.Cos(math.Pi*x)) / 2
	default:
		f = 1 - x
	}
	return floor + (1-floor)*f
}

// Phase names the part of the schedule a step belongs to: "warm-up", "stable" or "decay".
func (c Curve) Phase(step int64) string {
	switch {
	case step < c.Warmup:
		return "warm-up"
	case step < c.Stable:
		return "stable"
	}
	return "decay"
}
