package schedule

import (
	"errors"
	"fmt"
	"slices"
)

// Plan is how one stable run (the trunk) serves several horizons: it trains to the
// last place a decay starts from and leaves a checkpoint at each; every horizon is a
// branch that goes on from its checkpoint and decays. A branch trains with exactly the
// learning rates of a run made for its horizon alone.
type Plan struct {
	Trunk       Segment  `json:"trunk"`
	Branches    []Branch `json:"branches"`    // by horizon, shortest first
	Checkpoints []int64  `json:"checkpoints"` // steps done when the trunk must save, ascending
}

// Segment is a stretch of steps From … To−1.
type Segment struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// Steps is the number of steps of a segment.
func (s Segment) Steps() int64 { return s.To - s.From }

// Branch is the end of one horizon.
type Branch struct {
	Tokens  int64   `json:"tokens"`  // horizon, as asked for
	Segment Segment `json:"segment"` // From is the trunk's checkpoint, To the horizon in steps
}

// Origin says which stable run, and which of its checkpoints, a branch came from.
type Origin struct {
	Run  string `json:"run"`  // name of the trunk's run, as in its directory
	Step int64  `json:"step"` // steps the trunk had done
}

// NewPlan plans the horizons (tokens, in any order) of one WSD schedule with batches
// of batch tokens.
func NewPlan(s Schedule, batch int64, horizons []int64) (Plan, error) {
	if s.Kind != WSD || !(s.DecayPart > 0) {
		return Plan{}, fmt.Errorf("plan horizons: only a %s schedule with a decay can branch; this one is %s with decay_part %g", WSD, s.Kind, s.DecayPart)
	}
	if len(horizons) == 0 {
		return Plan{}, errors.New("plan horizons: none given")
	}
	sorted := slices.Compact(slices.Sorted(slices.Values(horizons)))
	var p Plan
	for _, d := range sorted {
		if d <= 0 {
			return Plan{}, fmt.Errorf("plan horizons: %d tokens is no horizon", d)
		}
		// The peak does not matter for where a decay starts.
		c, err := s.Compile(max(1, s.FloorLR), Steps(d, batch), batch)
		if err != nil {
			return Plan{}, fmt.Errorf("plan the horizon of %d tokens: %w", d, err)
		}
		p.Branches = append(p.Branches, Branch{Tokens: d, Segment: Segment{From: c.Stable, To: c.Steps}})
		p.Checkpoints = append(p.Checkpoints, c.Stable)
	}
	slices.Sort(p.Checkpoints)
	p.Checkpoints = slices.Compact(p.Checkpoints)
	p.Trunk.To = p.Checkpoints[len(p.Checkpoints)-1]
	if p.Checkpoints[0] == 0 {
		return Plan{}, fmt.Errorf("plan horizons: with decay_part %g the horizon of %d tokens has no stable part to branch from: lower decay_part", s.DecayPart, sorted[0])
	}
	return p, nil
}

// Steps is what the plan trains in all.
func (p Plan) Steps() int64 {
	n := p.Trunk.Steps()
	for _, b := range p.Branches {
		n += b.Segment.Steps()
	}
	return n
}

// StraightSteps is what a run of its own for every horizon would train in all.
func (p Plan) StraightSteps() (n int64) {
	for _, b := range p.Branches {
		n += b.Segment.To
	}
	return n
}

// TrunkSchedule is the schedule the trunk trains with: the warm-up, then the peak.
func (s Schedule) TrunkSchedule() Schedule {
	return Schedule{Kind: Constant, WarmupTokens: s.WarmupTokens}
}
