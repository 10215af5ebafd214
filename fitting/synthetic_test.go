package fitting

import (
	"math"
	"math/rand/v2"
)

// sweep states a law and the shape of its curves, and draws runs from it.
type sweep struct {
	n, d        []float64
	lnC, a, b   float64 // ln η* = lnC + a·ln N + b·ln D + scatter
	scatter     float64
	low         float64 // loss at the optimum
	below, over float64 // curvature on each side of it
	noise       float64 // SD of a loss
	lrs         int     // learning rates per cell
	step        float64 // between them, in ln η; the grid is centred near η*
	batch       float64
}

func defaultSweep() sweep {
	return sweep{
		n:   []float64{1e8, 2e8, 4e8, 8e8},
		d:   []float64{2e9, 8e9, 3.2e10},
		lnC: 3, a: -0.7, b: 0.25,
		low: 2.5, below: 0.02, over: 0.02,
		lrs: 9, step: math.Ln2 / 2, batch: 524288,
	}
}

// truth is ln η* of the law, without scatter.
func (s sweep) truth(n, d float64) float64 { return s.lnC + s.a*math.Log(n) + s.b*math.Log(d) }

func (s sweep) draw(rng *rand.Rand) []Run {
	var runs []Run
	for _, n := range s.n {
		for _, d := range s.d {
			best := s.truth(n, d)
			if s.scatter > 0 {
				best += s.scatter * rng.NormFloat64()
			}
			// A grid does not know where the optimum is.
			offset := 0.0
			if rng != nil {
				offset = (rng.Float64() - 0.5) * s.step
			}
			for k := range s.lrs {
				x := best + offset + (float64(k)-float64(s.lrs-1)/2)*s.step
				curv := s.over
				if x < best {
					curv = s.below
				}
				loss := s.low + curv*square(x-best)
				if s.noise > 0 {
					loss += s.noise * rng.NormFloat64()
				}
				runs = append(runs, Run{N: n, D: d, B: s.batch, C: nan, LR: math.Exp(x), Loss: loss, Row: len(runs)})
			}
		}
	}
	return runs
}

// powerAsCustom is the power law in N and D written as a user would.
func powerAsCustom(start []float64) *CustomForm {
	return &CustomForm{
		Text: "k * N^a * D^b", Params: []string{"k", "a", "b"}, Start: start,
		Eval: func(t Target, th []float64) float64 {
			return th[0] * math.Pow(t.N, th[1]) * math.Pow(t.D, th[2])
		},
	}
}
