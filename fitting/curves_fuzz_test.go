package fitting

import (
	"encoding/binary"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// checkCurves states what holds for any input.
func checkCurves(t testing.TB, runs []Run, o CurveOptions) {
	s, err := Curves(runs, o)
	if err != nil {
		return
	}
	used := 0
	for _, n := range s.Skipped {
		used += n
	}
	for i := range s.Curves {
		c := &s.Curves[i]
		used += c.Runs
		if c.OK != (c.OK && c.Fitted && finite(c.LnLR) && finite(c.Loss) && c.Bound == NoBound) {
			t.Fatalf("%v is OK with ln η* %v", c.Key, c.LnLR)
		}
		if c.OK && (c.LnLR < math.Log(c.Points[0].LR) || c.LnLR > math.Log(c.Points[len(c.Points)-1].LR)) {
			t.Fatalf("%v: vertex outside the grid is OK", c.Key)
		}
		for _, p := range c.Points {
			if !finite(p.Loss) || !known(p.LR) {
				t.Fatalf("%v holds the point %+v", c.Key, p)
			}
		}
		if !c.OK && len(c.Flags) == 0 {
			t.Fatalf("%v has no vertex and no flag", c.Key)
		}
	}
	if used != len(runs) {
		t.Fatalf("%d of %d runs accounted for", used, len(runs))
	}
	for _, form := range []LawForm{PowerND, PowerNDB, PowerN, PowerD, PowerC} {
		l, err := FitLaw(s, LawOptions{Form: form, UseBounds: true, Weights: WeightSE})
		if err != nil {
			continue
		}
		if p, err := l.Predict(Target{N: 1e9, D: 1e10, B: 1e5}, PredictOptions{}); err == nil && !(p.LR >= 0) {
			t.Fatalf("η* = %v", p.LR)
		}
	}
}

func TestAnyInput(t *testing.T) {
	values := []float64{nan, math.Inf(1), math.Inf(-1), 0, -1, 1, 2, 1e-3, 1e-300, 1e300, math.MaxFloat64, 5e-324}
	number := rapid.OneOf(rapid.SampledFrom(values), rapid.Float64Range(1e-4, 10))
	run := rapid.Custom(func(t *rapid.T) Run {
		return Run{
			N:  rapid.OneOf(rapid.SampledFrom([]float64{1e8, 2e8}), number).Draw(t, "N"),
			D:  rapid.OneOf(rapid.SampledFrom([]float64{1e9, 2e9}), number).Draw(t, "D"),
			B:  number.Draw(t, "B"),
			C:  number.Draw(t, "C"),
			LR: number.Draw(t, "LR"), Loss: number.Draw(t, "loss"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		runs := rapid.SliceOfN(run, 0, 40).Draw(t, "runs")
		checkCurves(t2(t), runs, CurveOptions{
			ByN: rapid.Bool().Draw(t, "byN"), ByD: rapid.Bool().Draw(t, "byD"),
			Form:     CurveForm(rapid.IntRange(0, 2).Draw(t, "form")),
			Window:   Window{Kind: WindowKind(rapid.IntRange(0, 2).Draw(t, "window"))},
			Batch:    BatchRule{Kind: BatchKind(rapid.IntRange(0, 2).Draw(t, "batch")), Fixed: 1},
			Diverged: DivergedRule{Keep: rapid.Bool().Draw(t, "keep")},
		})
	})
}

func FuzzCurves(f *testing.F) {
	f.Add([]byte{}, uint8(0))
	seed := []byte{}
	for i, loss := range []float64{2.2, 2.1, 2, 2.1, 2.2} {
		for _, v := range []float64{1e8, 2e9, 5e5, 1e-4 * math.Pow(2, float64(i)), loss} {
			seed = binary.LittleEndian.AppendUint64(seed, math.Float64bits(v))
		}
	}
	f.Add(seed, uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, choice uint8) {
		var runs []Run
		for len(data) >= 40 && len(runs) < 60 {
			var v [5]float64
			for i := range v {
				v[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
			}
			runs = append(runs, Run{N: v[0], D: v[1], B: v[2], C: nan, LR: v[3], Loss: v[4], Row: len(runs)})
			data = data[40:]
		}
		checkCurves(t, runs, CurveOptions{
			ByN: choice&1 == 0, ByD: choice&2 == 0,
			Form:   CurveForm(choice>>2) % 3,
			Window: Window{Kind: WindowKind(choice>>4) % 3},
			Batch:  BatchRule{Kind: BatchKind(choice>>6) % 3, Fixed: 5e5},
		})
	})
}
