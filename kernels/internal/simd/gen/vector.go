//go:build ignore

package main

// vectorKernels emits everything that walks over slices; what each computes is
// documented at the fields of simd.Set.
func vectorKernels(a *asm) {
	sum := &reduction{join: "VADDPS"}
	largest := &reduction{join: "VMAXPS", init: "neginf"}
	magnitude := &reduction{join: "VMAXPS"}
	list := []kernel{
		{name: "axpy", slices: []string{"y", "x"}, scalars: []string{"a"}, unroll: 2, body: func(v *vec) {
			x, y := v.load("x"), v.load("y")
			v.fma(y, x, v.scalar("a"))
			v.store(y, "y")
		}},
		{name: "scale", slices: []string{"y", "x"}, scalars: []string{"a"}, unroll: 2, body: func(v *vec) {
			x := v.load("x")
			v.mul(x, x, v.scalar("a"))
			v.store(x, "y")
		}},
		{name: "axpby", slices: []string{"y", "x", "z"}, scalars: []string{"a", "b"}, unroll: 2, body: func(v *vec) {
			x, z := v.load("x"), v.load("z")
			v.mul(z, z, v.scalar("b"))
			v.fma(z, x, v.scalar("a"))
			v.store(z, "y")
		}},
		{name: "gainGrad", slices: []string{"dg", "dy", "x"}, scalars: []string{"r"}, body: func(v *vec) {
			dg, dy, x := v.load("dg"), v.load("dy"), v.load("x")
			v.mul(x, x, v.scalar("r"))
			v.fma(dg, x, dy)
			v.store(dg, "dg")
		}},
		{name: "normApply", slices: []string{"y", "x", "g"}, scalars: []string{"r"}, body: func(v *vec) {
			x, g := v.load("x"), v.load("g")
			v.mul(x, x, v.scalar("r"))
			v.mul(x, x, g)
			v.store(x, "y")
		}},
		{name: "normGrad", slices: []string{"dx", "dy", "x", "g"}, scalars: []string{"a", "b"}, body: func(v *vec) {
			v.store(normGrad(v), "dx")
		}},
		{name: "normGradAdd", slices: []string{"dx", "dy", "x", "g"}, scalars: []string{"a", "b"}, body: func(v *vec) {
			d, dx := normGrad(v), v.load("dx")
			v.add(d, d, dx)
			v.store(d, "dx")
		}},
		{name: "rotate", slices: []string{"lo", "hi", "c", "s"}, scalars: []string{"sign"}, body: func(v *vec) {
			lo, hi, c, s := v.load("lo"), v.load("hi"), v.load("c"), v.load("s")
			t := v.tmp()
			v.mul(s, s, v.scalar("sign"))
			v.mul(t, hi, s)
			v.mul(hi, hi, c)
			v.fma(hi, lo, s)
			v.mul(lo, lo, c)
			v.sub(lo, lo, t)
			v.store(lo, "lo")
			v.store(hi, "hi")
		}},
		{name: "expSum", slices: []string{"y", "x"}, scalars: []string{"scale", "shift"}, unroll: 2, reduce: sum, body: func(v *vec) {
			x := v.load("x")
			v.op("VFMSUB213PS", v.scalar("shift"), v.scalar("scale"), x)
			v.exp(x)
			v.clear(x)
			v.store(x, "y")
			v.add(v.acc(), v.acc(), x)
		}},
		{name: "sum", slices: []string{"x"}, unroll: 4, reduce: sum, body: func(v *vec) {
			v.add(v.acc(), v.acc(), v.load("x"))
		}},
		{name: "sumSq", slices: []string{"x"}, unroll: 4, reduce: sum, body: func(v *vec) {
			x := v.load("x")
			v.fma(v.acc(), x, x)
		}},
		{name: "sumAbs", slices: []string{"x"}, unroll: 4, reduce: sum, body: func(v *vec) {
			x := v.load("x")
			v.op("VANDPS", konst("abs"), x, x)
			v.add(v.acc(), v.acc(), x)
		}},
		{name: "maxAbs", slices: []string{"x"}, unroll: 4, reduce: magnitude, body: func(v *vec) {
			x := v.load("x")
			v.op("VANDPS", konst("abs"), x, x)
			v.op("VMAXPS", x, v.acc(), v.acc())
		}},
		{name: "max", slices: []string{"x"}, unroll: 4, reduce: largest, body: func(v *vec) {
			x := v.load("x")
			v.fill(x, "neginf")
			v.op("VMAXPS", x, v.acc(), v.acc())
		}},
		{name: "dot", slices: []string{"x", "y"}, unroll: 4, reduce: sum, body: func(v *vec) {
			x, y := v.load("x"), v.load("y")
			v.fma(v.acc(), x, y)
		}},
		{name: "dot3", slices: []string{"x", "y", "z"}, unroll: 4, reduce: sum, body: func(v *vec) {
			x, y, z := v.load("x"), v.load("y"), v.load("z")
			v.mul(x, x, y)
			v.fma(v.acc(), x, z)
		}},
		{name: "swiglu", slices: []string{"y", "g", "u"}, body: func(v *vec) {
			g, u := v.load("g"), v.load("u")
			s := sigmoid(v, g)
			v.mul(g, g, s)
			v.mul(g, g, u)
			v.store(g, "y")
		}},
		{name: "swigluGrad", slices: []string{"dg", "du", "dy", "g", "u"}, body: func(v *vec) {
			g, dy := v.load("g"), v.load("dy")
			s := sigmoid(v, g)
			t := v.tmp()
			v.mul(t, g, s) // silu
			// d silu/dg = s + silu·(1−s)
			du := v.tmp()
			v.mul(du, dy, t)
			v.store(du, "du")
			v.fnma(t, t, s)
			v.add(t, t, s)
			u := v.load("u")
			v.mul(t, t, u)
			v.mul(t, t, dy)
			v.store(t, "dg")
		}},
		{name: "softmaxGrad", slices: []string{"d", "p"}, scalars: []string{"delta", "scale"}, body: func(v *vec) {
			d, p := v.load("d"), v.load("p")
			v.sub(d, d, v.scalar("delta"))
			v.mul(p, p, v.scalar("scale"))
			v.mul(d, d, p)
			v.store(d, "d")
		}},
		{
			name: "adamw", slices: []string{"p", "m", "v", "g"},
			scalars: []string{"clip", "step", "rbias", "b1", "c1", "b2", "c2", "eps", "decay"},
			body: func(v *vec) {
				g, m, w := v.load("g"), v.load("m"), v.load("v")
				v.mul(g, g, v.scalar("clip"))
				v.mul(m, m, v.scalar("b1"))
				v.fma(m, g, v.scalar("c1"))
				v.store(m, "m")
				v.mul(g, g, g)
				v.mul(w, w, v.scalar("b2"))
				v.fma(w, g, v.scalar("c2"))
				v.store(w, "v")
				v.op("VSQRTPS", w, w)
				v.muladd(w, v.scalar("rbias"), v.scalar("eps"))
				v.mul(m, m, v.scalar("step"))
				v.div(m, m, w)
				p := v.load("p")
				v.fma(m, p, v.scalar("decay"))
				v.sub(p, p, m)
				v.store(p, "p")
			},
		},
	}
	for _, k := range list {
		k.emit(a)
	}
}

// normGrad is a·dy·g − b·x.
func normGrad(v *vec) string {
	dy, g, x := v.load("dy"), v.load("g"), v.load("x")
	v.mul(dy, dy, g)
	v.mul(x, x, v.scalar("b"))
	v.op("VFMSUB213PS", x, v.scalar("a"), dy)
	return dy
}

// sigmoid is 1/(1+e^−g); g stays.
func sigmoid(v *vec, g string) string {
	s := v.tmp()
	v.mul(s, g, konst("negone"))
	v.exp(s)
	one := v.tmp()
	v.op("VMOVUPS", konst("one"), one)
	v.add(s, s, one)
	v.div(s, one, s)
	v.used--
	return s
}
