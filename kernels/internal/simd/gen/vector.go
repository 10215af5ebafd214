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
		{name: "colMax", slices: []string{"x"}, columns: []string{"top"}, acc: "top", body: func(v *vec) {
			v.op("VMAXPS", v.load("x"), v.acc(), v.acc())
		}},
		{name: "colExp", slices: []string{"x"}, columns: []string{"shift", "sum"}, acc: "sum", scalars: []string{"scale"}, body: func(v *vec) {
			x := v.load("x")
			v.op("VFMSUB213PS", v.column("shift"), v.scalar("scale"), x)
			v.exp(x)
			v.store(x, "x")
			v.add(v.acc(), v.acc(), x)
		}},
		{name: "colDot", slices: []string{"x", "y"}, columns: []string{"sum"}, acc: "sum", body: func(v *vec) {
			x, y := v.load("x"), v.load("y")
			v.fma(v.acc(), x, y)
		}},
		{name: "colScale", slices: []string{"x"}, columns: []string{"f"}, body: func(v *vec) {
			x := v.load("x")
			v.mul(x, x, v.column("f"))
			v.store(x, "x")
		}},
		{name: "colSoftmaxGrad", slices: []string{"p", "d"}, columns: []string{"lse", "delta"}, scalars: []string{"scale"}, body: func(v *vec) {
			p := v.load("p")
			v.op("VFMSUB213PS", v.column("lse"), v.scalar("scale"), p)
			v.exp(p)
			v.store(p, "p")
			d := v.load("d")
			v.sub(d, d, v.column("delta"))
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
	rowKernels(a)
}

// rowKernels emits the loops over rows.
func rowKernels(a *asm) {
	rows{
		name: "normRows", slices: []string{"y", "x", "g", "r"}, moving: map[string]string{"y": "ldy", "x": "ldx"},
		each: "r", dim: "g", scalars: []string{"eps"},
		first: func(v *vec) {
			x := v.load("x")
			v.fma(v.scalar("sum"), x, x)
		},
		between: func(v *vec) {
			v.mean()
			v.op("VMOVAPS", v.scalar("eps"), v.reg(1))
			v.op("VADDSS", "X1", "X0", "X0")
			v.op("VSQRTSS", "X0", "X0", "X0")
			v.op("VMOVSS", konst("one"), "X1")
			v.op("VDIVSS", "X0", "X1", "X0")
			v.op("VMOVSS", "X0", v.value("r"))
			v.op("VBROADCASTSS", "X0", v.scalar("row"))
		},
		second: func(v *vec) {
			x, g := v.load("x"), v.load("g")
			v.mul(x, x, v.scalar("row"))
			v.mul(x, x, g)
			v.store(x, "y")
		},
	}.emit(a)
	for _, add := range []bool{false, true} {
		k := rows{
			name: "normGradRows", slices: []string{"dx", "dy", "x", "g", "dg", "r"},
			moving: map[string]string{"dx": "lddx", "dy": "lddy", "x": "ldx"}, each: "r", dim: "g",
			first: func(v *vec) {
				dy, x, g := v.load("dy"), v.load("x"), v.load("g")
				v.mul(dy, dy, g)
				v.fma(v.scalar("sum"), dy, x)
			},
			between: func(v *vec) { // the sum becomes r²·mean(dy∘g∘x)
				v.mean()
				v.op("VMOVSS", v.value("r"), "X1")
				v.op("VMULSS", "X1", "X0", "X0")
				v.op("VMULSS", "X1", "X0", "X0")
				v.op("VBROADCASTSS", "X0", v.scalar("sum"))
				v.op("VBROADCASTSS", "X1", v.scalar("row"))
			},
			second: func(v *vec) {
				dy, x, g, dg := v.load("dy"), v.load("x"), v.load("g"), v.load("dg")
				v.mul(g, g, dy)
				v.fnma(g, x, v.scalar("sum"))
				v.mul(g, g, v.scalar("row"))
				v.mul(x, x, v.scalar("row"))
				v.fma(dg, dy, x)
				v.store(dg, "dg")
				if add {
					v.add(g, g, v.load("dx"))
				}
				v.store(g, "dx")
			},
		}
		if add {
			k.name = "normGradAddRows"
		}
		k.emit(a)
	}
	rows{
		name: "rotateRows", slices: []string{"ylo", "yhi", "lo", "hi", "c", "s"},
		moving: map[string]string{"ylo": "ldy", "yhi": "ldy", "lo": "ldx", "hi": "ldx"}, dim: "c", scalars: []string{"sign"},
		second: func(v *vec) {
			lo, hi, c, s := v.load("lo"), v.load("hi"), v.load("c"), v.load("s")
			t := v.tmp()
			v.mul(s, s, v.scalar("sign"))
			v.mul(t, hi, s)
			v.mul(hi, hi, c)
			v.fma(hi, lo, s)
			v.mul(lo, lo, c)
			v.sub(lo, lo, t)
			v.store(lo, "ylo")
			v.store(hi, "yhi")
		},
	}.emit(a)
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
