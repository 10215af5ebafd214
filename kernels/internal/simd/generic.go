package simd

import "math"

// generic is the set in portable Go.
func generic() *Set {
	return &Set{
		Name: "generic",
		Axpy: func(y, x []float32, a float32) {
			x = x[:len(y)]
			for i := range y {
				y[i] += a * x[i]
			}
		},
		Scale: func(y, x []float32, a float32) {
			x = x[:len(y)]
			for i := range y {
				y[i] = a * x[i]
			}
		},
		Axpby: func(y, x, z []float32, a, b float32) {
			x, z = x[:len(y)], z[:len(y)]
			for i := range y {
				y[i] = a*x[i] + b*z[i]
			}
		},
		Sum:    func(x []float32) float32 { return reduce(len(x), func(i int) float32 { return x[i] }) },
		SumSq:  func(x []float32) float32 { return dotGeneric(x, x) },
		SumAbs: func(x []float32) float32 { return reduce(len(x), func(i int) float32 { return abs(x[i]) }) },
		Dot:    dotGeneric,
		Max: func(x []float32) float32 {
			m := float32(math.Inf(-1))
			for _, v := range x {
				if v > m {
					m = v
				}
			}
			return m
		},
		MaxAbs: func(x []float32) float32 {
			m := float32(0)
			for _, v := range x {
				if v = abs(v); v > m {
					m = v
				}
			}
			return m
		},
		ExpSum: func(y, x []float32, scale, shift float32) float32 {
			x = x[:len(y)]
			var s [4]float32
			for i := range y {
				y[i] = expGeneric(scale*x[i] - shift)
				s[i&3] += y[i]
			}
			return (s[0] + s[1]) + (s[2] + s[3])
		},
		SoftmaxGrad: func(d, p []float32, delta, scale float32) {
			p = p[:len(d)]
			for i := range d {
				d[i] = p[i] * scale * (d[i] - delta)
			}
		},
		ColMax: func(x, top []float32) {
			for i, v := range x {
				top[i%Columns] = max(top[i%Columns], v)
			}
		},
		ColExp: func(x, shift, sum []float32, scale float32) {
			for i, v := range x {
				x[i] = expGeneric(scale*v - shift[i%Columns])
				sum[i%Columns] += x[i]
			}
		},
		ColDot: func(x, y, sum []float32) {
			y = y[:len(x)]
			for i, v := range x {
				sum[i%Columns] += v * y[i]
			}
		},
		ColScale: func(x, f []float32) {
			for i := range x {
				x[i] *= f[i%Columns]
			}
		},
		ColSoftmaxGrad: func(p, d, lse, delta []float32, scale float32) {
			d = d[:len(p)]
			for i := range p {
				p[i] = expGeneric(scale*p[i] - lse[i%Columns])
				d[i] = p[i] * scale * (d[i] - delta[i%Columns])
			}
		},
		NormRows: func(y, x, g, r []float32, n, ldx, ldy int, eps float32) {
			d := len(g)
			for i := range n {
				row := x[i*ldx : i*ldx+d]
				r[i] = 1 / sqrt(dotGeneric(row, row)/float32(d)+eps)
				for j, v := range row {
					y[i*ldy+j] = v * r[i] * g[j]
				}
			}
		},
		NormGradRows:    normGradGeneric(false),
		NormGradAddRows: normGradGeneric(true),
		RotateRows: func(ylo, yhi, lo, hi, c, s []float32, n, ldx, ldy int, sign float32) {
			for i := range n {
				for j := range c {
					a, b, t := lo[i*ldx+j], hi[i*ldx+j], s[j]*sign
					ylo[i*ldy+j] = a*c[j] - b*t
					yhi[i*ldy+j] = b*c[j] + a*t
				}
			}
		},
		Swiglu: func(y, g, u []float32) {
			g, u = g[:len(y)], u[:len(y)]
			for i := range y {
				y[i] = g[i] * sigmoid(g[i]) * u[i]
			}
		},
		SwigluGrad: func(dg, du, dy, g, u []float32) {
			du, dy, g, u = du[:len(dg)], dy[:len(dg)], g[:len(dg)], u[:len(dg)]
			for i := range dg {
				s := sigmoid(g[i])
				silu, up, d := g[i]*s, u[i], dy[i]
				du[i] = d * silu
				dg[i] = d * up * (s + silu*(1-s))
			}
		},
		AdamW: func(p, m, v, g []float32, clip, step, rbias, b1, c1, b2, c2, eps, decay float32) {
			m, v, g = m[:len(p)], v[:len(p)], g[:len(p)]
			for i := range p {
				x := g[i] * clip
				m[i] = b1*m[i] + c1*x
				v[i] = b2*v[i] + c2*(x*x)
				p[i] -= step*m[i]/(rbias*sqrt(v[i])+eps) + decay*p[i]
			}
		},
		Spin:      spinGeneric,
		SpinFlops: 2 * 8,
		lanes:     2,
		tile:      2,
		micro:     [2][]micro{{{2, gemmGeneric}, {1, gemmGeneric1}}, {{2, gemmGeneric}, {1, gemmGeneric1}}},
	}
}

func normGradGeneric(add bool) func(dx, dy, x, g, dg, r []float32, n, lddx, lddy, ldx int) {
	return func(dx, dy, x, g, dg, r []float32, n, lddx, lddy, ldx int) {
		d := len(g)
		for i := range n {
			to, from, in := dx[i*lddx:i*lddx+d], dy[i*lddy:i*lddy+d], x[i*ldx:i*ldx+d]
			dot := reduce(d, func(j int) float32 { return from[j] * g[j] * in[j] })
			f := r[i] * r[i] * dot / float32(d)
			for j := range to {
				dg[j] += from[j] * in[j] * r[i]
				v := r[i] * (from[j]*g[j] - in[j]*f)
				if add {
					v += to[j]
				}
				to[j] = v
			}
		}
	}
}

// reduce adds in four lanes, which halves the error of one chain and is faster.
func reduce(n int, at func(i int) float32) float32 {
	var s [4]float32
	for i := range n {
		s[i&3] += at(i)
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

func dotGeneric(x, y []float32) float32 {
	y = y[:len(x)]
	var a, b, c, d float32
	i := 0
	for ; i+4 <= len(x); i += 4 {
		a += x[i] * y[i]
		b += x[i+1] * y[i+1]
		c += x[i+2] * y[i+2]
		d += x[i+3] * y[i+3]
	}
	for ; i < len(x); i++ {
		a += x[i] * y[i]
	}
	return (a + b) + (c + d)
}

func abs(x float32) float32     { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }
func sqrt(x float32) float32    { return float32(math.Sqrt(float64(x))) }
func sigmoid(g float32) float32 { return 1 / (1 + expGeneric(-g)) }

// expGeneric is eˣ with the polynomial of the assembly.
func expGeneric(x float32) float32 {
	switch {
	case x != x:
		return x
	case x > 89:
		return float32(math.Inf(1))
	case x < -104:
		return 0
	}
	n := int32(x*1.44269504088896341+256.5) - 256
	f := float32(n)
	r := x - f*0.693359375
	r -= f * -2.12194440e-4
	p := float32(1.9875691500e-4)
	p = p*r + 1.3981999507e-3
	p = p*r + 8.3334519073e-3
	p = p*r + 4.1665795894e-2
	p = p*r + 1.6666665459e-1
	p = p*r + 5.0000001201e-1
	p = p*(r*r) + r + 1
	// 2ⁿ as two factors: one alone cannot reach the subnormals.
	h := n >> 1
	return p * math.Float32frombits(uint32(h+127)<<23) * math.Float32frombits(uint32(n-h+127)<<23)
}

func spinGeneric(n int) {
	var s [8]float32
	a, b, c, d, e, f, g, h := s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]
	x, y := float32(n)*0, float32(n)*0+1
	for range n {
		a, b, c, d = a*y+x, b*y+x, c*y+x, d*y+x
		e, f, g, h = e*y+x, f*y+x, g*y+x, h*y+x
	}
	spinSink(a + b + c + d + e + f + g + h)
}

//go:noinline
func spinSink(float32) {}
