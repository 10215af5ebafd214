package schedule

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func draw(t *rapid.T) (s Schedule, peak float64, steps, batch int64) {
	steps = rapid.Int64Range(1, 500).Draw(t, "steps")
	batch = rapid.Int64Range(1, 4096).Draw(t, "batch")
	peak = math.Exp(rapid.Float64Range(-12, 1).Draw(t, "ln peak"))
	s = Schedule{
		Kind:         rapid.SampledFrom(Kinds).Draw(t, "kind"),
		WarmupTokens: rapid.Int64Range(0, steps*batch).Draw(t, "warmup"),
		Floor:        rapid.Float64Range(0, 1).Draw(t, "floor"),
	}
	if s.Kind == WSD {
		s.Decay = rapid.SampledFrom(Decays).Draw(t, "decay")
		s.DecayPart = rapid.Float64Range(0, 1).Draw(t, "part")
		if s.Decay == DecayExponential {
			s.Floor = max(s.Floor, 1e-6)
		}
	}
	return s, peak, steps, batch
}

// Every schedule rises through its warm-up, never exceeds the peak, falls through its
// decay and ends at its floor.
func TestShape(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, peak, steps, batch := draw(t)
		c, err := s.Compile(peak, steps, batch)
		if err != nil {
			if !strings.Contains(err.Error(), "warm-up") {
				t.Fatal(err)
			}
			return
		}
		for i := range steps {
			lr, next := c.LR(i), c.LR(i+1)
			if !(lr >= 0 && lr <= peak*(1+1e-15)) {
				t.Fatalf("step %d: %g, peak %g", i, lr, peak)
			}
			switch {
			case i+1 < c.Warmup && next <= lr, i < c.Warmup && lr <= 0:
				t.Fatalf("warm-up falls at step %d: %g, %g", i, lr, next)
			case i >= c.Warmup && i < c.Stable && lr != peak:
				t.Fatalf("stable step %d: %g", i, lr)
			case i >= c.Stable && next > lr*(1+1e-12):
				t.Fatalf("decay rises at step %d: %g, %g", i, lr, next)
			}
		}
		if c.Stable < steps && c.LR(steps-1) != peak*s.Floor {
			t.Fatalf("ends at %g, floor %g", c.LR(steps-1), peak*s.Floor)
		}
		if c.Warmup > 0 && c.LR(c.Warmup-1) != peak {
			t.Fatalf("warm-up ends at %g, peak %g", c.LR(c.Warmup-1), peak)
		}
	})
}

// Each horizon's trunk and branch together are the schedule of that horizon run
// straight, to the bit, and every checkpoint is where a branch starts.
func TestBranchesEqualStraightRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, peak, _, batch := draw(t)
		s.Kind = WSD
		s.Decay = rapid.SampledFrom(Decays).Draw(t, "decay")
		s.DecayPart = rapid.Float64Range(0.01, 0.9).Draw(t, "part")
		s.Floor = max(s.Floor, 1e-3)
		s.WarmupTokens = min(s.WarmupTokens, 5*batch)
		horizons := rapid.SliceOfN(rapid.Int64Range(100*batch, 400*batch), 1, 6).Draw(t, "horizons")
		p, err := NewPlan(s, batch, horizons)
		if err != nil {
			t.Fatal(err)
		}
		trunk, err := s.TrunkSchedule().Compile(peak, p.Trunk.To, batch)
		if err != nil {
			t.Fatal(err)
		}
		var from []int64
		for _, b := range p.Branches {
			if !slices.Contains(horizons, b.Tokens) {
				t.Fatalf("%d was not asked for", b.Tokens)
			}
			straight, err := s.Compile(peak, Steps(b.Tokens, batch), batch)
			if err != nil {
				t.Fatal(err)
			}
			if b.Segment.To != straight.Steps || b.Segment.From > p.Trunk.To {
				t.Fatalf("%+v of %+v", b, p)
			}
			for i := range b.Segment.From {
				if trunk.LR(i) != straight.LR(i) {
					t.Fatalf("step %d: trunk %g, straight %g", i, trunk.LR(i), straight.LR(i))
				}
			}
			for i := b.Segment.From; i < b.Segment.To; i++ {
				if straight.Phase(i) != "decay" {
					t.Fatalf("step %d of a branch is %s", i, straight.Phase(i))
				}
			}
			from = append(from, b.Segment.From)
		}
		slices.Sort(from)
		if !slices.Equal(slices.Compact(from), p.Checkpoints) {
			t.Fatalf("checkpoints %v, branches from %v", p.Checkpoints, from)
		}
		if p.Steps() > p.StraightSteps() {
			t.Fatalf("%d steps, straight %d", p.Steps(), p.StraightSteps())
		}
	})
}

func TestKnownValues(t *testing.T) {
	for _, c := range []struct {
		s    Schedule
		step int64
		want float64
	}{
		{Schedule{Kind: WSD, Decay: DecayLinear, DecayPart: 0.5}, 74, 0.5},
		{Schedule{Kind: WSD, Decay: DecaySqrt, DecayPart: 1}, 24, 0.5},
		{Schedule{Kind: WSD, Decay: DecayCosine, DecayPart: 1, Floor: 0.1}, 49, 0.55},
		{Schedule{Kind: WSD, Decay: DecayExponential, DecayPart: 1, Floor: 0.01}, 49, 0.1},
		{Schedule{Kind: Cosine, FloorLR: 0.25}, 99, 0.25},
		{Schedule{Kind: Linear}, 49, 0.5},
		{Schedule{Kind: Constant}, 99, 1},
		{Schedule{Kind: Constant, WarmupTokens: 40}, 0, 0.25},
	} {
		curve, err := c.s.Compile(1, 100, 10)
		if err != nil {
			t.Fatal(err)
		}
		if got := curve.LR(c.step); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%+v at %d: %g, want %g", c.s, c.step, got, c.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	for want, s := range map[string]Schedule{
		"none of":   {Kind: "step"},
		"needs":     {},
		"negative":  {Kind: Constant, WarmupTokens: -1},
		"fraction":  {Kind: Cosine, Floor: 2},
		"both set":  {Kind: Cosine, Floor: 0.1, FloorLR: 1e-5},
		"above":     {Kind: Cosine, FloorLR: 2},
		"belong":    {Kind: Cosine, Decay: DecayLinear},
		"share":     {Kind: WSD, Decay: DecayLinear, DecayPart: math.NaN()},
		"never":     {Kind: WSD, Decay: DecayExponential, DecayPart: 0.1},
		"shorten":   {Kind: Constant, WarmupTokens: 1e6},
		"must be a": {Kind: Constant, FloorLR: -1},
	} {
		_, err := s.Compile(1, 10, 10)
		if want == "needs" {
			want = `"" is none of`
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", s, err, want)
		}
	}
	if _, err := NewPlan(Schedule{Kind: Cosine}, 1, []int64{100}); err == nil {
		t.Error("a cosine branched")
	}
	if _, err := NewPlan(Default(), 1, nil); err == nil {
		t.Error("no horizons planned")
	}
	if _, err := NewPlan(Default(), 1, []int64{-1}); err == nil {
		t.Error("a negative horizon planned")
	}
}
