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

// TestRows walks over rows with gaps, which keep their canaries.
func TestRows(t *testing.T) {
	each(t, func(t *testing.T, s *Set) {
		rapid.Check(t, func(t *rapid.T) {
			rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 5))
			n, d := rapid.IntRange(0, 5).Draw(t, "n"), rapid.IntRange(1, 50).Draw(t, "d")
			a, b, c := d+rapid.IntRange(0, 3).Draw(t, "gap a"), d+rapid.IntRange(0, 3).Draw(t, "gap b"), d+rapid.IntRange(0, 3).Draw(t, "gap c")
			row := func() guarded { return newGuarded(rng, d) }
			near := func(what string, got float32, want float64) {
				if !(abs64(float64(got)-want) <= 1e-5*(1+abs64(want))) {
					t.Fatalf("%s is %v, want %v", what, got, want)
				}
			}
			y, x, r, g := newGuarded(rng, n*a), newGuarded(rng, n*b), newGuarded(rng, n), row()
			s.NormRows(y.v, x.v, g.v, r.v, n, b, a, 0.5)
			for i := range n {
				sq := 0.5
				for _, v := range x.v[i*b : i*b+d] {
					sq += float64(v) * float64(v) / float64(d)
				}
				near("r", r.v[i], 1/math.Sqrt(sq))
				for j := range d {
					near("y", y.v[i*a+j], float64(x.v[i*b+j])*float64(g.v[j])/math.Sqrt(sq))
				}
			}
			dy, dg, dx := newGuarded(rng, n*c), row(), newGuarded(rng, n*a)
			old, total := append([]float32(nil), dx.v...), append([]float32(nil), dg.v...)
			grad, add := s.NormGradRows, rapid.Bool().Draw(t, "add")
			if add {
				grad = s.NormGradAddRows
			}
			grad(dx.v, dy.v, x.v, g.v, dg.v, r.v, n, a, c, b)
			for j := range d {
				want := float64(total[j])
				for i := range n {
					want += float64(dy.v[i*c+j]) * float64(x.v[i*b+j]) * float64(r.v[i])
				}
				near("dg", dg.v[j], want)
			}
			for i := range n {
				mean, q := 0.0, float64(r.v[i])
				for j := range d {
					mean += float64(dy.v[i*c+j]) * float64(g.v[j]) * float64(x.v[i*b+j]) / float64(d)
				}
				for j := range d {
					want := q * (float64(dy.v[i*c+j])*float64(g.v[j]) - float64(x.v[i*b+j])*q*q*mean)
					if add {
						want += float64(old[i*a+j])
					}
					near("dx", dx.v[i*a+j], want)
				}
				for j := d; j < a; j++ {
					near("gap of dx", dx.v[i*a+j], float64(old[i*a+j]))
				}
			}
			hi, cos, sin, ylo, yhi := newGuarded(rng, n*b), row(), row(), newGuarded(rng, n*a), newGuarded(rng, n*a)
			s.RotateRows(ylo.v, yhi.v, x.v, hi.v, cos.v, sin.v, n, b, a, -1)
			for i := range n {
				for j := range d {
					p, q, c, s := float64(x.v[i*b+j]), float64(hi.v[i*b+j]), float64(cos.v[j]), -float64(sin.v[j])
					near("ylo", ylo.v[i*a+j], p*c-q*s)
					near("yhi", yhi.v[i*a+j], q*c+p*s)
				}
			}
			for _, v := range []guarded{y, x, r, g, dy, dg, dx, hi, cos, sin, ylo, yhi} {
				v.check(t, "a loop over rows")
			}
		})
	})
}

func TestColumns(t *testing.T) {
	each(t, func(t *testing.T, s *Set) {
		if Columns%s.Width() != 0 {
			t.Fatalf("%d columns are not whole panels of %d", Columns, s.Width())
		}
		rapid.Check(t, func(t *rapid.T) {
			rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 6))
			n := rapid.IntRange(0, 9).Draw(t, "n")
			in, d, f, sum := newGuarded(rng, n*Columns), newGuarded(rng, n*Columns), newGuarded(rng, Columns), newGuarded(rng, Columns)
			x, y := append([]float32(nil), in.v...), append([]float32(nil), d.v...)
			was := append([]float32(nil), sum.v...)
			near := func(what string, got float32, want float64) {
				if !(abs64(float64(got)-want) <= 1e-5*(1+abs64(want))) {
					t.Fatalf("%s is %v, want %v", what, got, want)
				}
			}
			column := func(what string, start []float32, add func(sum float64, i, j int) float64) {
				for j := range Columns {
					want := float64(start[j])
					for i := range n {
						want = add(want, i*Columns+j, j)
					}
					near(what, sum.v[j], want)
				}
				copy(sum.v, was)
			}
			s.ColMax(in.v, sum.v)
			column("ColMax", was, func(m float64, i, _ int) float64 { return max(m, float64(x[i])) })
			s.ColDot(in.v, d.v, sum.v)
			column("ColDot", was, func(m float64, i, _ int) float64 { return m + float64(x[i])*float64(y[i]) })
			s.ColExp(in.v, f.v, sum.v, 0.5)
			exp := func(i, j int) float64 { return math.Exp(0.5*float64(x[i]) - float64(f.v[j])) }
			column("ColExp", was, func(m float64, i, j int) float64 { return m + exp(i, j) })
			for i := range x {
				near("exp", in.v[i], exp(i, i%Columns))
			}
			copy(in.v, x)
			s.ColSoftmaxGrad(in.v, d.v, f.v, sum.v, 0.5)
			for i := range x {
				p := exp(i, i%Columns)
				near("p", in.v[i], p)
				near("d", d.v[i], p*(float64(y[i])-float64(sum.v[i%Columns]))*0.5)
			}
			copy(in.v, x)
			s.ColScale(in.v, f.v)
			for i := range x {
				near("ColScale", in.v[i], float64(x[i])*float64(f.v[i%Columns]))
			}
			for _, v := range []guarded{in, d, f, sum} {
				v.check(t, "a loop over columns")
			}
		})
	})
}

func TestReductions(t *testing.T) {
	each(t, func(t *testing.T, s *Set) {
		rapid.Check(t, func(t *rapid.T) {
			rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 4))
			n := rapid.IntRange(1, 300).Draw(t, "n")
			x, y := newGuarded(rng, n), newGuarded(rng, n)
			if rapid.Bool().Draw(t, "negative") {
				for i := range x.v {
					x.v[i] = -1 - float32(math.Abs(float64(x.v[i])))
				}
			}
			var sum, sq, mag, dot, exp float64
			top, most := math.Inf(-1), 0.0
			for i := range n {
				a, b := float64(x.v[i]), float64(y.v[i])
				sum, sq, mag, dot = sum+a, sq+a*a, mag+abs64(a), dot+a*b
				exp += math.Exp(a - 1)
				top, most = max(top, a), max(most, abs64(a))
			}
			for name, p := range map[string][2]float64{
				"Sum": {float64(s.Sum(x.v)), sum}, "SumSq": {float64(s.SumSq(x.v)), sq}, "SumAbs": {float64(s.SumAbs(x.v)), mag},
				"Dot":    {float64(s.Dot(x.v, y.v)), dot},
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
