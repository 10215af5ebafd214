package fitting_test

import (
	"fmt"
	"math"

	"github.com/etastar/etastar/fitting"
)

// sweepOf draws runs from the law η* = 20·N^−0.7·D^0.25 without noise.
func sweepOf(sizes, tokens []float64) []fitting.Run {
	var runs []fitting.Run
	for _, n := range sizes {
		for _, d := range tokens {
			best := math.Log(20) - 0.7*math.Log(n) + 0.25*math.Log(d)
			for k := -4; k <= 4; k++ {
				x := best + 0.1 + float64(k)*math.Ln2/2
				runs = append(runs, fitting.Run{
					N: n, D: d, B: math.NaN(), C: math.NaN(),
					LR: math.Exp(x), Loss: 2.5 + 0.02*(x-best)*(x-best), Row: len(runs),
				})
			}
		}
	}
	return runs
}

// A sweep, its law, and the learning rate for a larger run.
func Example() {
	runs := sweepOf([]float64{1e8, 2e8, 4e8}, []float64{2e9, 8e9})
	curves, err := fitting.Curves(runs, fitting.CurveOptions{ByN: true, ByD: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	law, err := fitting.FitLaw(curves, fitting.LawOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := law.Predict(fitting.Target{N: 1e9, D: 2e10}, fitting.PredictOptions{At: 4e-3})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.LawText)
	fmt.Println("η* =", fitting.FormatLR(p.LR))
	fmt.Println("within 0.25% of the best loss:", fitting.FormatLR(p.Band[0]), "to", fitting.FormatLR(p.Band[1]))
	fmt.Println("4e-3 costs", fitting.FormatPercent(p.AtRegret))
	for _, w := range p.Warnings {
		fmt.Println("!", w)
	}
	// Output:
	// η* = 20 · N^−0.700 · D^+0.250
	// η* = 3.77e-3
	// within 0.25% of the best loss: 2.16e-3 to 6.59e-3
	// 4e-3 costs 0.0028%
	// ! N=1B is 2.5× past the largest fitted N (400M)
	// ! D=20B is 2.5× past the largest fitted D (8B)
}

// A minimum on the edge of the grid is a bound.
func ExampleCurve() {
	runs := sweepOf([]float64{1e8}, []float64{2e9})[:4]
	curves, err := fitting.Curves(runs, fitting.CurveOptions{ByN: true, ByD: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	c := curves.Curves[0]
	fmt.Println(c.OK, c.Bound == fitting.BoundAbove, fitting.FormatLR(c.BoundLR))
	fmt.Println(c.Flags[0])
	// Output:
	// false true 8.3e-3
	// minimum at the highest learning rate
}

func ExampleFindPublished() {
	step, err := fitting.FindPublished("step")
	if err != nil {
		fmt.Println(err)
		return
	}
	lr, err := step.LR(fitting.Target{N: 7e9, D: 2e12}, nil)
	fmt.Println(step.Formula, fitting.FormatLR(lr), err)
	_, err = fitting.FindPublished("deepsek")
	fmt.Println(err)
	// Output:
	// 1.79·N^−0.713·D^0.307 1.02e-3 <nil>
	// no published law "deepsek"; did you mean deepseek?
}

func ExampleCompare() {
	curves, err := fitting.Curves(sweepOf([]float64{1e8, 2e8, 4e8}, []float64{2e9, 8e9}), fitting.CurveOptions{ByN: true, ByD: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	got, err := fitting.Compare(curves, []fitting.Contender{
		{Name: "ours", Law: &fitting.LawOptions{}},
		{Name: "keep the largest", Baseline: "largest"},
	}, fitting.HoldOut{LargestN: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range got.Rows {
		fmt.Printf("%s: %.3f in ln η over %d cells\n", r.Name, r.MeanAbsErr, len(r.Cells))
	}
	// Output:
	// ours: 0.000 in ln η over 2 cells
	// keep the largest: 0.658 in ln η over 2 cells
}
