package fitting

import "testing"

// benchRuns are the 1,911 runs of Step Law's sweep.
func benchRuns(b *testing.B) []Run {
	b.Helper()
	return loadStepRuns(b)
}

func benchSet(b *testing.B) *CurveSet {
	b.Helper()
	s, err := Curves(benchRuns(b), CurveOptions{ByN: true, ByD: true})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func benchLaw(b *testing.B) *Law {
	b.Helper()
	l, err := FitLaw(benchSet(b), LawOptions{})
	if err != nil {
		b.Fatal(err)
	}
	return l
}

func BenchmarkCurves(b *testing.B) {
	runs := benchRuns(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Curves(runs, CurveOptions{ByN: true, ByD: true}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCurvesAsymmetric(b *testing.B) {
	runs := benchRuns(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Curves(runs, CurveOptions{ByN: true, ByD: true, Form: Asymmetric, Window: Window{K: 3}}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFitLaw(b *testing.B) {
	s := benchSet(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := FitLaw(s, LawOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBootstrap1000(b *testing.B) {
	l := benchLaw(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := l.Bootstrap(1000, 1); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPredict(b *testing.B) {
	for _, kind := range []IntervalKind{IntervalT, IntervalBootstrap} {
		b.Run(string(kind), func(b *testing.B) {
			l := benchLaw(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.Predict(Target{N: 7e9, D: 1.4e12}, PredictOptions{Interval: kind}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkKnob is one turn of a knob: everything from the runs to the prediction.
func BenchmarkKnob(b *testing.B) {
	runs := benchRuns(b)
	b.ReportAllocs()
	for b.Loop() {
		s, err := Curves(runs, CurveOptions{ByN: true, ByD: true})
		if err != nil {
			b.Fatal(err)
		}
		l, err := FitLaw(s, LawOptions{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := l.Predict(Target{N: 7e9, D: 1.4e12}, PredictOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCustomLaw(b *testing.B) {
	s := benchSet(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := FitLaw(s, LawOptions{Form: Custom, Custom: powerAsCustom(nil)}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCustomBootstrap100(b *testing.B) {
	l, err := FitLaw(benchSet(b), LawOptions{Form: Custom, Custom: powerAsCustom(nil)})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := l.Bootstrap(100, 1); err != nil {
			b.Fatal(err)
		}
	}
}
