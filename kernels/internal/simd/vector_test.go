package simd

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// guarded is a slice of random numbers inside a larger one of canaries, at any
// alignment.
type guarded struct {
	all []float32
	v   []float32
}

func newGuarded(rng *rand.Rand, n int) guarded {
	at := 1 + rng.IntN(20)
	g := guarded{all: make([]float32, at+n+40)}
	for i := range g.all {
		g.all[i] = canary
	}
	g.v = g.all[at : at+n : at+n]
	for i := range g.v {
		g.v[i] = float32(rng.NormFloat64())
	}
	return g
}

func (g guarded) check(t *rapid.T, name string) {
	n := 0
	for _, x := range g.all {
		if x == canary {
			n++
		}
	}
	if n < len(g.all)-len(g.v) {
		t.Fatalf("%s wrote outside of its slice", name)
	}
}

func sigmoid64(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// elementwise lists the loops with what they compute for one element in float64; in
// holds the values before the call, in the order of the slices.
var elementwise = []struct {
	name   string
	slices int
	call   func(s *Set, v [][]float32)
	want   func(in []float64) map[int]float64 // by slice
}{
	{
		"Axpy", 2, func(s *Set, v [][]float32) { s.Axpy(v[0], v[1], 0.5) },
		func(x []float64) map[int]float64 { return map[int]float64{0: x[0] + 0.5*x[1]} },
	},
	{
		"Scale", 2, func(s *Set, v [][]float32) { s.Scale(v[0], v[1], 0.5) },
		func(x []float64) map[int]float64 { return map[int]float64{0: 0.5 * x[1]} },
	},
	{
		"Axpby", 3, func(s *Set, v [][]float32) { s.Axpby(v[0], v[1], v[2], 0.5, -2) },
		func(x []float64) map[int]float64 { return map[int]float64{0: 0.5*x[1] - 2*x[2]} },
	},
	{
		"ExpSum", 2, func(s *Set, v [][]float32) { s.ExpSum(v[0], v[1], 0.5, 1) },
		func(x []float64) map[int]float64 { return map[int]float64{0: math.Exp(0.5*x[1] - 1)} },
	},
	{
		"SoftmaxGrad", 2, func(s *Set, v [][]float32) { s.SoftmaxGrad(v[0], v[1], 0.25, 3) },
		func(x []float64) map[int]float64 { return map[int]float64{0: x[1] * (x[0] - 0.25) * 3} },
	},
	{
		"NormApply", 3, func(s *Set, v [][]float32) { s.NormApply(v[0], v[1], v[2], 3) },
		func(x []float64) map[int]float64 { return map[int]float64{0: x[1] * x[2] * 3} },
	},
	{
		"NormGrad", 4, func(s *Set, v [][]float32) { s.NormGrad(v[0], v[1], v[2], v[3], 3, 0.5) },
		func(x []float64) map[int]float64 { return map[int]float64{0: 3*x[1]*x[3] - 0.5*x[2]} },
	},
	{
		"NormGradAdd", 4, func(s *Set, v [][]float32) { s.NormGradAdd(v[0], v[1], v[2], v[3], 3, 0.5) },
		func(x []float64) map[int]float64 { return map[int]float64{0: x[0] + 3*x[1]*x[3] - 0.5*x[2]} },
	},
	{
		"GainGrad", 3, func(s *Set, v [][]float32) { s.GainGrad(v[0], v[1], v[2], 3) },
		func(x []float64) map[int]float64 { return map[int]float64{0: x[0] + 3*x[1]*x[2]} },
	},
	{
		"Rotate", 4, func(s *Set, v [][]float32) { s.Rotate(v[0], v[1], v[2], v[3], -1) },
		func(x []float64) map[int]float64 {
			return map[int]float64{0: x[0]*x[2] + x[1]*x[3], 1: x[1]*x[2] - x[0]*x[3]}
		},
	},
	{
		"Swiglu", 3, func(s *Set, v [][]float32) { s.Swiglu(v[0], v[1], v[2]) },
		func(x []float64) map[int]float64 { return map[int]float64{0: x[1] * sigmoid64(x[1]) * x[2]} },
	},
	{
		"SwigluGrad", 5, func(s *Set, v [][]float32) { s.SwigluGrad(v[0], v[1], v[2], v[3], v[4]) },
		func(x []float64) map[int]float64 {
			g := sigmoid64(x[3])
			return map[int]float64{0: x[2] * x[4] * (g + x[3]*g*(1-g)), 1: x[2] * x[3] * g}
		},
	},
	{"AdamW", 4, func(s *Set, v [][]float32) {
		for i, x := range v[2] {
			v[2][i] = x * x
		}
		s.AdamW(v[0], v[1], v[2], v[3], 0.5, 0.1, 1.5, 0.9, 0.1, 0.75, 0.25, 1e-3, 0.01)
	}, func(x []float64) map[int]float64 {
		g := 0.5 * x[3]
		m, v := 0.9*x[1]+0.1*g, 0.75*x[2]*x[2]+0.25*g*g
		return map[int]float64{0: x[0] - 0.1*m/(1.5*math.Sqrt(v)+1e-3) - 0.01*x[0], 1: m, 2: v}
	}},
}

func TestElementwise(t *testing.T) {
	each(t, func(t *testing.T, s *Set) {
		rapid.Check(t, func(t *rapid.T) {
			rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 3))
			n := rapid.IntRange(0, 100).Draw(t, "n")
			for _, c := range elementwise {
				var list []guarded
				var v, in [][]float32
				for range c.slices {
					g := newGuarded(rng, n)
					list, v, in = append(list, g), append(v, g.v), append(in, append([]float32(nil), g.v...))
				}
				c.call(s, v)
				for i := range n {
					x := make([]float64, c.slices)
					for j := range x {
						x[j] = float64(in[j][i])
					}
					want := c.want(x)
					for j := range v {
						w, out := want[j]
						if !out {
							w = x[j]
						}
						if d := abs64(float64(v[j][i]) - w); !(d <= 3e-6*(1+abs64(w))) {
							t.Fatalf("%s: slice %d [%d] is %v, want %v", c.name, j, i, v[j][i], w)
						}
					}
				}
				for _, g := range list {
					g.check(t, c.name)
				}
			}
		})
	})
}

func TestReductions(t *testing.T) {
	each(t, func(t *testing.T, s *Set) {
		rapid.Check(t, func(t *rapid.T) {
			rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 4))
			n := rapid.IntRange(1, 300).Draw(t, "n")
			x, y, z := newGuarded(rng, n), newGuarded(rng, n), newGuarded(rng, n)
			if rapid.Bool().Draw(t, "negative") {
				for i := range x.v {
					x.v[i] = -1 - float32(math.Abs(float64(x.v[i])))
				}
			}
			var sum, sq, mag, dot, dot3, exp float64
			top, most := math.Inf(-1), 0.0
			for i := range n {
				a, b, c := float64(x.v[i]), float64(y.v[i]), float64(z.v[i])
				sum, sq, mag, dot, dot3 = sum+a, sq+a*a, mag+abs64(a), dot+a*b, dot3+a*b*c
				exp += math.Exp(a - 1)
				top, most = max(top, a), max(most, abs64(a))
			}
			for name, p := range map[string][2]float64{
				"Sum": {float64(s.Sum(x.v)), sum}, "SumSq": {float64(s.SumSq(x.v)), sq}, "SumAbs": {float64(s.SumAbs(x.v)), mag},
				"Dot": {float64(s.Dot(x.v, y.v)), dot}, "Dot3": {float64(s.Dot3(x.v, y.v, z.v)), dot3},
				"ExpSum": {float64(s.ExpSum(y.v, x.v, 1, 1)), exp},
			} {
				if !(abs64(p[0]-p[1]) <= 2e-6*float64(n)+1e-6*abs64(p[1])) {
					t.Fatalf("%s is %v, want %v", name, p[0], p[1])
				}
			}
			if float64(s.Max(x.v)) != top || float64(s.MaxAbs(x.v)) != most {
				t.Fatalf("Max %v, want %v; MaxAbs %v, want %v", s.Max(x.v), top, s.MaxAbs(x.v), most)
			}
		})
	})
}

// ulps is the distance of got from want in units of the last place of a float32.
func ulps(got float32, want float64) float64 {
	near := float32(want)
	next := math.Float32frombits(math.Float32bits(float32(math.Abs(float64(near)))) + 1)
	return abs64(float64(got)-want) / (float64(next) - math.Abs(float64(near)))
}

func TestExpAccuracy(t *testing.T) {
	each(t, func(t *testing.T, s *Set) {
		const n = 1 << 18
		x, y := make([]float32, n), make([]float32, n)
		for i := range x {
			x[i] = -104 + 192.7*float32(i)/n
		}
		s.ExpSum(y, x, 1, 0)
		worst, at := 0.0, float32(0)
		for i := range x {
			if u := ulps(y[i], math.Exp(float64(x[i]))); u > worst {
				worst, at = u, x[i]
			}
		}
		t.Logf("worst error %.2f ulp, at %v", worst, at)
		if worst > 1.5 {
			t.Errorf("exp(%v) is off by %.2f ulp", at, worst)
		}
	})
}

func TestExpExtremes(t *testing.T) {
	each(t, func(t *testing.T, s *Set) {
		inf := float32(math.Inf(1))
		x := []float32{-inf, -1e30, -1000, -105, 0, 88.72, 88.73, 1000, 1e30, inf, float32(math.NaN())}
		y := make([]float32, len(x))
		sum := s.ExpSum(y, x, 1, 0)
		for i, v := range x {
			want := float32(math.Exp(float64(v)))
			if v != v {
				if y[i] == y[i] {
					t.Errorf("exp(NaN) = %v", y[i])
				}
			} else if y[i] != want && !(ulps(y[i], math.Exp(float64(v))) < 1.5) {
				t.Errorf("exp(%v) = %v, want %v", v, y[i], want)
			}
		}
		if sum == sum {
			t.Errorf("a sum with NaN is %v", sum)
		}
	})
}

func TestSelect(t *testing.T) {
	if s, err := Select(""); err != nil || s.Name != Available()[0].Name {
		t.Errorf("the default is %v, %v", s, err)
	}
	if s, err := Select("generic"); err != nil || s.Name != "generic" {
		t.Errorf("generic: %v, %v", s, err)
	}
	if _, err := Select("mmx"); err == nil {
		t.Error("mmx was found")
	}
}

func BenchmarkLoops(b *testing.B) {
	const n = 4096
	for _, s := range Available() {
		for _, c := range elementwise {
			b.Run(c.name+"/"+s.Name, func(b *testing.B) {
				rng := rand.New(rand.NewPCG(1, 1))
				var v [][]float32
				for range c.slices {
					v = append(v, newGuarded(rng, n).v)
				}
				b.SetBytes(int64(4 * n * c.slices))
				for b.Loop() {
					c.call(s, v)
				}
			})
		}
	}
}
