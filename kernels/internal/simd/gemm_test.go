package simd

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

const canary = 12345.0

func each(t *testing.T, f func(t *testing.T, s *Set)) {
	for _, s := range Available() {
		t.Run(s.Name, func(t *testing.T) { f(t, s) })
	}
}

// matrix draws an r×c matrix in row or column order with a gap after every line.
func matrix(t *rapid.T, rng *rand.Rand, r, c int, name string) Mat {
	gap := rapid.IntRange(0, 3).Draw(t, name+" gap")
	if rapid.Bool().Draw(t, name+" transposed") {
		m := matrixRows(rng, c, r, gap)
		return m.T()
	}
	return matrixRows(rng, r, c, gap)
}

func matrixRows(rng *rand.Rand, r, c, gap int) Mat {
	v := make([]float32, (r-1)*(c+gap)+c)
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	return Rows(v, c+gap)
}

func TestGemm(t *testing.T) {
	each(t, func(t *testing.T, s *Set) {
		w := s.NewWork()
		rapid.Check(t, func(t *rapid.T) {
			m := rapid.IntRange(1, 60).Draw(t, "m")
			n := rapid.OneOf(rapid.IntRange(1, 80), rapid.IntRange(380, 400)).Draw(t, "n")
			k := rapid.OneOf(rapid.IntRange(1, 40), rapid.IntRange(250, 270), rapid.Just(0)).Draw(t, "k")
			rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
			a := matrix(t, rng, m, max(k, 1), "A")
			b := matrix(t, rng, max(k, 1), n, "B")
			ldc := n + rapid.IntRange(0, 3).Draw(t, "C gap")
			c := make([]float32, m*ldc+40)
			for i := range c {
				c[i] = canary
			}
			add := rapid.Bool().Draw(t, "add")
			alpha := float32(rapid.SampledFrom([]float64{1, -0.5}).Draw(t, "alpha"))
			s.Gemm(w, m, n, k, alpha, a, b, c[:(m-1)*ldc+n], ldc, add)
			for i := range m {
				for j := range ldc {
					want, norm := 0.0, 1.0
					for l := range k {
						p := float64(a.V[i*a.Row+l*a.Col]) * float64(b.V[l*b.Row+min(j, n-1)*b.Col])
						want += p
						norm += abs64(p)
					}
					want *= float64(alpha)
					if add || j >= n {
						want += canary
						norm += canary
					}
					if j >= n {
						want, norm = canary, 0
					}
					if d := abs64(float64(c[i*ldc+j]) - want); !(d <= 1e-6*norm) {
						t.Fatalf("C[%d,%d] = %g, want %g", i, j, c[i*ldc+j], want)
					}
				}
			}
			for _, v := range c[(m-1)*ldc+n:] {
				if v != canary {
					t.Fatal("wrote past the end")
				}
			}
		})
	})
}

// TestGemmPages has rows 4 KB apart, which GemmPacked copies.
func TestGemmPages(t *testing.T) {
	each(t, func(t *testing.T, s *Set) {
		rng := rand.New(rand.NewPCG(1, 2))
		const m, n, k = 29, 300, 70
		a, b := matrixRows(rng, m, k, 1024-k), matrixRows(rng, k, n, 0)
		c := make([]float32, m*n)
		s.Gemm(s.NewWork(), m, n, k, 1, a, b, c, n, false)
		for i := range m {
			for j := range n {
				want := 0.0
				for l := range k {
					want += float64(a.V[i*1024+l]) * float64(b.V[l*n+j])
				}
				if !(abs64(float64(c[i*n+j])-want) < 1e-4) {
					t.Fatalf("C[%d,%d] = %v, want %v", i, j, c[i*n+j], want)
				}
			}
		}
	})
}

func abs64(x float64) float64 {
	return max(x, -x)
}

func BenchmarkPeak(b *testing.B) {
	for _, s := range Available() {
		b.Run(s.Name, func(b *testing.B) {
			const rounds = 100000
			for b.Loop() {
				s.Spin(rounds)
			}
			b.ReportMetric(rounds*s.SpinFlops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}

func BenchmarkGemm(b *testing.B) {
	shapes := [][3]int{
		{256, 256, 256},
		{512, 512, 512},
		{1024, 1024, 1024},
		{512, 128, 128},
		{2048, 256, 256},
		{2048, 1024, 256},
		{4096, 64, 64},
	}
	for _, s := range Available() {
		for _, sh := range shapes {
			for _, kind := range []string{"NN", "NT", "TN"} {
				b.Run(fmt.Sprintf("%s/%s/%d,%d,%d", s.Name, kind, sh[0], sh[1], sh[2]), func(b *testing.B) {
					benchGemm(b, s, kind, sh[0], sh[1], sh[2])
				})
			}
		}
	}
}

// BenchmarkGemmStep has the shapes of one linear layer of a proxy with d = 128: forward,
// gradient of the input, gradient of the weights.
func BenchmarkGemmStep(b *testing.B) {
	for _, s := range Available() {
		b.Run(s.Name+"/y", func(b *testing.B) { benchGemm(b, s, "NT", 2048, 688, 128) })
		b.Run(s.Name+"/dx", func(b *testing.B) { benchGemm(b, s, "NN", 2048, 128, 688) })
		b.Run(s.Name+"/dw", func(b *testing.B) { benchGemm(b, s, "TN", 688, 128, 2048) })
	}
}

func benchGemm(b *testing.B, s *Set, kind string, m, n, k int) {
	rng := rand.New(rand.NewPCG(1, 1))
	x, y := matrixRows(rng, m, k, 0), matrixRows(rng, k, n, 0)
	if kind[0] == 'T' {
		x = matrixRows(rng, k, m, 0).T()
	}
	if kind[1] == 'T' {
		y = matrixRows(rng, n, k, 0).T()
	}
	c, w := make([]float32, m*n), s.NewWork()
	for b.Loop() {
		s.Gemm(w, m, n, k, 1, x, y, c, n, false)
	}
	b.ReportMetric(2*float64(m)*float64(n)*float64(k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}
