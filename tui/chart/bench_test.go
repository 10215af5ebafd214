package chart

import "testing"

func benchmark(b *testing.B, name string, w, h int) {
	b.Helper()
	th := Dark()
	view := views(&th)[name]
	b.ReportAllocs()
	for b.Loop() {
		view(w, h)
	}
}

func BenchmarkCurve(b *testing.B)          { benchmark(b, "curve", 80, 20) }
func BenchmarkSmallMultiples(b *testing.B) { benchmark(b, "multiples", 200, 50) }
func BenchmarkLaw(b *testing.B)            { benchmark(b, "law", 120, 22) }
func BenchmarkPrediction(b *testing.B)     { benchmark(b, "prediction", 80, 20) }
func BenchmarkComparison(b *testing.B)     { benchmark(b, "comparison", 120, 12) }
func BenchmarkLines(b *testing.B)          { benchmark(b, "lines", 90, 18) }
