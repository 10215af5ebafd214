//go:build ignore

package main

import (
	"fmt"
	"maps"
	"slices"
)

var pointers = []string{"DI", "SI", "R8", "R9", "R10", "R11", "R12", "R13"}

// reduction is how the accumulators of a kernel are joined, by instruction.
type reduction struct {
	join string // VADDPS or VMAXPS
	init string // name of a constant, or "" for zero
}

// kernel describes a loop over slices of one length, the length of the first.
type kernel struct {
	name    string
	slices  []string
	scalars []string
	unroll  int
	reduce  *reduction
	body    func(v *vec)

	// A kernel with columns walks over rows of simd.Columns floats, whole ones only: a
	// column is a slice of one row that belongs to every row. acc is the column that
	// holds the accumulators.
	columns []string
	acc     string
}

const columns = 32 // simd.Columns

// vec is the body of one vector of the loop: it loads, computes and stores lanes.
type vec struct {
	*asm
	k      *kernel
	slot   int // which vector of an unrolled group
	masked bool
	used   int
	mask   string
	fixed  map[string]string
	accs   []string
	dim    string // of a row
}

// tmp takes a fresh register.
func (v *vec) tmp() string {
	r := v.used
	v.used++
	if r >= v.registers()-len(v.fixed)-len(v.accs)-1 {
		panic(fmt.Sprintf("%s%s: out of registers", v.k.name, v.suffix))
	}
	return v.reg(r)
}

// scalar is the register that holds a broadcast argument.
func (v *vec) scalar(name string) string { return v.fixed[name] }

// acc is this vector's accumulator.
func (v *vec) acc() string { return v.accs[v.slot] }

func (v *vec) at(slice string) string {
	for i, s := range v.k.slices {
		if s == slice {
			return fmt.Sprintf("%d(%s)(AX*1)", v.slot*v.bytes(), pointers[i])
		}
	}
	panic("no slice " + slice)
}

// column is the operand of a column's lanes.
func (v *vec) column(name string) string {
	i := slices.Index(v.k.columns, name)
	return fmt.Sprintf("%d(%s)", v.slot*v.bytes(), pointers[len(v.k.slices)+i])
}

// load reads the lanes of a slice; lanes past the end are zero.
func (v *vec) load(slice string) string {
	r := v.tmp()
	switch {
	case !v.masked:
		v.op("VMOVUPS", v.at(slice), r)
	case v.wide:
		v.op("VMOVUPS.Z", v.at(slice), "K1", r)
	default:
		v.op("VMASKMOVPS", v.at(slice), v.mask, r)
	}
	return r
}

func (v *vec) store(r, slice string) {
	switch {
	case !v.masked:
		v.op("VMOVUPS", r, v.at(slice))
	case v.wide:
		v.op("VMOVUPS", r, "K1", v.at(slice))
	default:
		v.op("VMASKMOVPS", r, v.mask, v.at(slice))
	}
}

// fill replaces the lanes past the end by a constant.
func (v *vec) fill(r, name string) {
	if !v.masked {
		return
	}
	t := v.tmp()
	v.op("VMOVUPS", konst(name), t)
	if v.wide {
		v.op("VBLENDMPS", r, t, "K1", r)
	} else {
		v.op("VBLENDVPS", v.mask, r, t, r)
	}
}

// clear zeroes the lanes past the end.
func (v *vec) clear(r string) {
	switch {
	case !v.masked:
	case v.wide:
		v.op("VMOVAPS.Z", r, "K1", r)
	default:
		v.op("VANDPS", v.mask, r, r)
	}
}

func (v *vec) add(d, a, b string) { v.op("VADDPS", b, a, d) }
func (v *vec) sub(d, a, b string) { v.op("VSUBPS", b, a, d) }
func (v *vec) mul(d, a, b string) { v.op("VMULPS", b, a, d) }
func (v *vec) div(d, a, b string) { v.op("VDIVPS", b, a, d) }

// fma is d += a·b, fnma d −= a·b, muladd d = d·a + c.
func (v *vec) fma(d, a, b string)    { v.op("VFMADD231PS", b, a, d) }
func (v *vec) fnma(d, a, b string)   { v.op("VFNMADD231PS", b, a, d) }
func (v *vec) muladd(d, a, c string) { v.op("VFMADD213PS", c, a, d) }

// exp replaces x by eˣ: 0 below the range, +Inf above it, NaN stays NaN.
func (v *vec) exp(x string) {
	n, p := v.tmp(), v.tmp()
	v.op("VMOVUPS", konst("exphi"), n)
	v.op("VMINPS", x, n, x) // the second source wins against NaN
	v.op("VMOVUPS", konst("explo"), n)
	v.op("VMAXPS", x, n, x)
	v.mul(n, x, konst("log2e"))
	if v.wide {
		v.op("VRNDSCALEPS", "$8", n, n)
	} else {
		v.op("VROUNDPS", "$8", n, n)
	}
	v.fnma(x, n, konst("ln2hi"))
	v.fnma(x, n, konst("ln2lo"))
	v.op("VMOVUPS", konst("e5"), p)
	for _, c := range []string{"e4", "e3", "e2", "e1", "e0"} {
		v.muladd(p, x, konst(c))
	}
	t := v.tmp()
	v.mul(t, x, x)
	v.muladd(p, t, x)
	v.add(p, p, konst("one"))
	if v.wide {
		v.op("VSCALEFPS", n, p, x)
	} else {
		// 2ⁿ as two factors: one alone cannot reach the subnormals.
		v.op("VCVTPS2DQ", n, n)
		v.op("VPSRAD", "$1", n, t)
		v.op("VPSUBD", t, n, n)
		for _, r := range []string{t, n} {
			v.op("VPADDD", konst("bias"), r, r)
			v.op("VPSLLD", "$23", r, r)
		}
		v.mul(x, p, t)
		v.mul(x, x, n)
	}
	v.used -= 3
}

// emit writes the function: an unrolled loop, a loop by one vector, a masked tail; with
// columns an unrolled loop over rows.
func (k kernel) emit(a *asm) {
	var params []param
	arrays := append(k.slices[:len(k.slices):len(k.slices)], k.columns...)
	for _, s := range arrays {
		params = append(params, param{s, "[]float32"})
	}
	for _, s := range k.scalars {
		params = append(params, param{s, "float32"})
	}
	off := a.begin(k.name, params, k.reduce != nil)
	v := &vec{asm: a, k: &k, fixed: map[string]string{}}
	top := a.registers() - 1
	v.mask = a.reg(top)
	for i, s := range arrays {
		a.op("MOVQ", fmt.Sprintf("%s_base+%d(FP)", s, off[s]), pointers[i])
	}
	a.op("MOVQ", fmt.Sprintf("%s_len+%d(FP)", k.slices[0], off[k.slices[0]]+8), "CX")
	for _, s := range k.scalars {
		top--
		v.fixed[s] = a.reg(top)
		a.op("VBROADCASTSS", fmt.Sprintf("%s+%d(FP)", s, off[s]), v.fixed[s])
	}
	unroll := max(k.unroll, 1)
	if k.columns != nil {
		unroll = columns / a.lanes
	}
	if k.acc != "" {
		for v.slot = range unroll {
			top--
			v.accs = append(v.accs, a.reg(top))
			a.op("VMOVUPS", v.column(k.acc), a.reg(top))
		}
	}
	if k.reduce != nil {
		for range unroll {
			top--
			v.accs = append(v.accs, a.reg(top))
			if k.reduce.init == "" {
				a.op("VXORPS", a.reg(top), a.reg(top), a.reg(top))
			} else {
				a.op("VMOVUPS", konst(k.reduce.init), a.reg(top))
			}
		}
	}
	a.op("XORQ", "AX", "AX")
	run := func(slot int, masked bool) {
		v.slot, v.masked, v.used = slot, masked, 0
		k.body(v)
	}
	loop := func(n int) {
		head, tail := a.newLabel("loop"), a.newLabel("next")
		a.op("SUBQ", fmt.Sprintf("$%d", n*a.lanes), "CX")
		a.op("JLT", tail)
		a.mark(head)
		for s := range n {
			run(s, false)
		}
		a.op("ADDQ", fmt.Sprintf("$%d", n*a.bytes()), "AX")
		a.op("SUBQ", fmt.Sprintf("$%d", n*a.lanes), "CX")
		a.op("JGE", head)
		a.mark(tail)
		a.op("ADDQ", fmt.Sprintf("$%d", n*a.lanes), "CX")
	}
	if k.columns != nil {
		loop(unroll)
		for v.slot = range v.accs {
			a.op("VMOVUPS", v.acc(), v.column(k.acc))
		}
		a.ret()
		return
	}
	if unroll > 1 {
		loop(unroll)
	}
	loop(1)
	done := a.newLabel("done")
	a.op("TESTQ", "CX", "CX")
	a.op("JEQ", done)
	a.tailMask(v.mask)
	run(0, true)
	a.mark(done)
	if k.reduce != nil {
		a.fold(v.accs, k.reduce.join)
		a.op("VMOVSS", "X0", fmt.Sprintf("ret+%d(FP)", off["ret"]))
	}
	a.ret()
}

// rows describes a loop over n rows with one or two passes over each.
type rows struct {
	name    string
	slices  []string
	moving  map[string]string // argument by which a slice moves from row to row; the others stay
	each    string            // slice with one float a row
	dim     string            // slice that has the length of a row
	scalars []string
	first   func(v *vec) // adds to the scalar sum; may be nil
	between func(v *vec) // takes the sum of the row from X0
	second  func(v *vec)
}

func (k rows) emit(a *asm) {
	var params []param
	for _, s := range k.slices {
		params = append(params, param{s, "[]float32"})
	}
	params = append(params, param{"n", "int"})
	for _, ld := range slices.Compact(slices.Sorted(maps.Values(k.moving))) {
		params = append(params, param{ld, "int"})
	}
	for _, s := range k.scalars {
		params = append(params, param{s, "float32"})
	}
	off := a.begin(k.name, params, false)
	v := &vec{asm: a, k: &kernel{name: k.name, slices: k.slices}, fixed: map[string]string{}}
	v.dim = fmt.Sprintf("%s_len+%d(FP)", k.dim, off[k.dim]+8)
	top := a.registers() - 1
	v.mask = a.reg(top)
	for i, s := range k.slices {
		a.op("MOVQ", fmt.Sprintf("%s_base+%d(FP)", s, off[s]), pointers[i])
	}
	for _, s := range append(k.scalars[:len(k.scalars):len(k.scalars)], "row", "sum") {
		top--
		v.fixed[s] = a.reg(top)
	}
	for _, s := range k.scalars {
		a.op("VBROADCASTSS", fmt.Sprintf("%s+%d(FP)", s, off[s]), v.fixed[s])
	}
	a.op("MOVQ", v.dim, "CX")
	a.op("ANDQ", fmt.Sprintf("$%d", a.lanes-1), "CX")
	a.tailMask(v.mask)
	a.op("MOVQ", fmt.Sprintf("n+%d(FP)", off["n"]), "BX")
	head, done := a.newLabel("row"), a.newLabel("done")
	a.op("TESTQ", "BX", "BX")
	a.op("JLE", done)
	a.mark(head)
	if k.first != nil {
		sum := v.scalar("sum")
		a.op("VXORPS", sum, sum, sum)
		v.pass(k.first)
		a.fold([]string{sum}, "VADDPS")
		k.between(v)
	}
	v.pass(k.second)
	for i, s := range k.slices {
		if s == k.each {
			a.op("ADDQ", "$4", pointers[i])
		}
		if ld := k.moving[s]; ld != "" {
			a.op("MOVQ", fmt.Sprintf("%s+%d(FP)", ld, off[ld]), "DX")
			a.op("LEAQ", fmt.Sprintf("(%s)(DX*4)", pointers[i]), pointers[i])
		}
	}
	a.op("DECQ", "BX")
	a.op("JNE", head)
	a.mark(done)
	a.ret()
}

// pass emits a loop over one row, with its masked tail.
func (v *vec) pass(body func(v *vec)) {
	loop, tail, end := v.newLabel("loop"), v.newLabel("tail"), v.newLabel("end")
	v.op("XORQ", "AX", "AX")
	v.op("MOVQ", v.dim, "CX")
	v.op("SUBQ", fmt.Sprintf("$%d", v.lanes), "CX")
	v.op("JLT", tail)
	v.mark(loop)
	v.masked, v.used = false, 0
	body(v)
	v.op("ADDQ", fmt.Sprintf("$%d", v.bytes()), "AX")
	v.op("SUBQ", fmt.Sprintf("$%d", v.lanes), "CX")
	v.op("JGE", loop)
	v.mark(tail)
	v.op("CMPQ", "CX", fmt.Sprintf("$-%d", v.lanes))
	v.op("JEQ", end)
	v.masked, v.used = true, 0
	body(v)
	v.mark(end)
}

// value is the operand of a row's float.
func (v *vec) value(slice string) string {
	return "(" + pointers[slices.Index(v.k.slices, slice)] + ")"
}

// mean leaves X0 divided by the length of a row.
func (v *vec) mean() {
	v.op("VXORPS", "X1", "X1", "X1")
	v.op("VCVTSI2SSQ", v.dim, "X1", "X1")
	v.op("VDIVSS", "X1", "X0", "X0")
}

// fold joins the accumulators and their lanes into lane 0 of X0.
func (a *asm) fold(accs []string, join string) {
	for len(accs) > 1 {
		half := (len(accs) + 1) / 2
		for i := half; i < len(accs); i++ {
			a.op(join, accs[i], accs[i-half], accs[i-half])
		}
		accs = accs[:half]
	}
	if a.wide {
		a.op("VEXTRACTF64X4", "$1", accs[0], "Y1")
		a.op("VMOVAPS", accs[0], "Z0")
		a.op(join, "Y1", "Y0", "Y0")
	} else {
		a.op("VMOVAPS", accs[0], "Y0")
	}
	a.op("VEXTRACTF128", "$1", "Y0", "X1")
	a.op(join, "X1", "X0", "X0")
	for _, shuffle := range []string{"$0x4e", "$0xb1"} {
		a.op("VPERMILPS", shuffle, "X0", "X1")
		a.op(join, "X1", "X0", "X0")
	}
}
