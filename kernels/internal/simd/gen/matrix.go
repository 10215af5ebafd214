//go:build ignore

package main

import "fmt"

// matrixKernels emits the GEMM micro-kernels, the transposing pack and the loop
// that measures the peak.
func matrixKernels(a *asm) {
	rows := []int{6, 4, 2, 1}
	if a.wide {
		rows = []int{12, 8, 4, 2, 1}
	}
	for _, vectors := range []int{2, 1} {
		for _, r := range rows {
			a.micro(r, vectors)
		}
	}
	if !a.wide {
		a.transpose()
		a.gather(12)
	}
	a.gather(2 * a.lanes)
	a.peak()
}

// gather emits the copy of groups of t columns of a row-major matrix, one after another:
// dst[(p·k + l)·t + r] = src[l·ld + p·t + r] for l < k, p < groups, r < t.
func (a *asm) gather(t int) {
	off := a.begin(fmt.Sprintf("gather%dx", t), []param{
		{"dst", "*float32"}, {"src", "*float32"}, {"ld", "int"}, {"k", "int"}, {"groups", "int"},
	}, false)
	for _, p := range [][2]string{{"dst", "DI"}, {"src", "SI"}, {"ld", "R8"}, {"k", "CX"}, {"groups", "R9"}} {
		a.op("MOVQ", fmt.Sprintf("%s+%d(FP)", p[0], off[p[0]]), p[1])
	}
	a.op("SHLQ", "$2", "R8")
	a.op("LEAQ", "(R8*8)", "R13") // rows are far apart: ask for them ahead
	a.op("IMUL3Q", fmt.Sprintf("$%d", 4*t), "CX", "R10")
	head, inner := a.newLabel("row"), a.newLabel("group")
	a.mark(head)
	a.op("MOVQ", "SI", "R11")
	a.op("MOVQ", "DI", "R12")
	a.op("MOVQ", "R9", "DX")
	a.mark(inner)
	for at := 0; at < max(4*t-63, 1); at += 64 {
		a.op("PREFETCHT0", shift("(R11)(R13*1)", at))
	}
	for at := 0; at < 4*t; {
		n := 32
		if a.wide && 4*t-at >= 64 {
			n = 64
		}
		name := map[int]string{16: "X", 32: "Y", 64: "Z"}
		if 4*t-at < 32 {
			n = 16
		}
		reg := name[n] + "0"
		a.op("VMOVUPS", shift("(R11)", at), reg)
		a.op("VMOVUPS", reg, shift("(R12)", at))
		at += n
	}
	a.op("ADDQ", fmt.Sprintf("$%d", 4*t), "R11")
	a.op("ADDQ", "R10", "R12")
	a.op("DECQ", "DX")
	a.op("JGT", inner)
	a.op("ADDQ", "R8", "SI")
	a.op("ADDQ", fmt.Sprintf("$%d", 4*t), "DI")
	a.op("DECQ", "CX")
	a.op("JGT", head)
	a.ret()
}

// micro emits C[rows × n] = α·A·B (+ C), n up to vectors×lanes columns.
//
// A is read in place by broadcasts with both strides free, so that neither A nor Aᵀ
// needs a copy; B has bs floats from one k to the next.
func (a *asm) micro(rows, vectors int) {
	off := a.begin(fmt.Sprintf("gemm%dx%d", rows, vectors), []param{
		{"k", "int"},
		{"a", "*float32"},
		{"rs", "int"},
		{"cs", "int"},
		{"b", "*float32"},
		{"bs", "int"},
		{"c", "*float32"},
		{"ldc", "int"},
		{"n", "int"},
		{"alpha", "float32"},
		{"add", "int"},
	}, false)
	arg := func(name string) string { return fmt.Sprintf("%s+%d(FP)", name, off[name]) }
	acc := func(r, v int) string { return a.reg(r*vectors + v) }
	free := rows * vectors
	bvec := func(v int) string { return a.reg(free + v) }
	spare := a.registers() - free - vectors
	bcast := func(r int) string { return a.reg(free + vectors + r%spare) }
	bases := []string{"DI", "R8", "R9", "R10"}[:(rows+2)/3]

	a.op("MOVQ", arg("k"), "CX")
	a.op("MOVQ", arg("a"), "DI")
	a.op("MOVQ", arg("rs"), "R11")
	a.op("MOVQ", arg("cs"), "R12")
	a.op("MOVQ", arg("b"), "SI")
	a.op("MOVQ", arg("bs"), "R13")
	for _, r := range []string{"R11", "R12", "R13"} {
		a.op("SHLQ", "$2", r)
	}
	for i := 1; i < len(bases); i++ {
		a.op("LEAQ", fmt.Sprintf("(%s)(R11*2)", bases[i-1]), bases[i])
		a.op("ADDQ", "R11", bases[i])
	}
	for i := range free {
		a.op("VXORPS", a.reg(i), a.reg(i), a.reg(i))
	}
	// C is on its way while the products are summed.
	a.op("MOVQ", arg("c"), "DX")
	a.op("MOVQ", arg("ldc"), "AX")
	a.op("SHLQ", "$2", "AX")
	for r := range rows {
		a.op("PREFETCHT0", "(DX)")
		if vectors*a.bytes() > 64 {
			a.op("PREFETCHT0", "64(DX)")
		}
		if r < rows-1 {
			a.op("ADDQ", "AX", "DX")
		}
	}
	step := func() {
		for v := range vectors {
			a.op("VMOVUPS", fmt.Sprintf("%d(SI)", v*a.bytes()), bvec(v))
		}
		for r := range rows {
			at := "(" + bases[r/3] + ")"
			if r%3 > 0 {
				at += fmt.Sprintf("(R11*%d)", r%3)
			}
			if a.wide && vectors == 1 { // a broadcast of its own would serve one product only
				a.op("VFMADD231PS.BCST", at, bvec(0), acc(r, 0))
				continue
			}
			a.op("VBROADCASTSS", at, bcast(r))
			for v := range vectors {
				a.op("VFMADD231PS", bcast(r), bvec(v), acc(r, v))
			}
		}
		for _, b := range bases {
			a.op("ADDQ", "R12", b)
		}
		a.op("ADDQ", "R13", "SI")
	}
	pair, odd, last, done := a.newLabel("pair"), a.newLabel("odd"), a.newLabel("last"), a.newLabel("out")
	a.op("SUBQ", "$2", "CX")
	a.op("JLT", odd)
	a.mark(pair)
	step()
	step()
	a.op("SUBQ", "$2", "CX")
	a.op("JGE", pair)
	a.mark(odd)
	a.op("ADDQ", "$2", "CX")
	a.op("JEQ", last)
	step()
	a.mark(last)

	a.op("MOVQ", arg("c"), "DI")
	a.op("MOVQ", arg("ldc"), "R8")
	a.op("SHLQ", "$2", "R8")
	a.op("MOVQ", arg("n"), "CX")
	alpha := a.reg(free)
	a.op("VBROADCASTSS", arg("alpha"), alpha)
	a.op("MOVQ", arg("add"), "R9")
	part := a.newLabel("part")
	a.op("CMPQ", "CX", fmt.Sprintf("$%d", vectors*a.lanes))
	a.op("JLT", part)
	a.writeBack(rows, vectors, alpha, acc, nil, done)
	a.mark(part)
	masks := make([]string, vectors)
	switch {
	case a.wide:
		a.op("MOVQ", "$1", "DX")
		a.op("SHLQ", "CX", "DX")
		a.op("DECQ", "DX")
		for v := range masks {
			masks[v] = fmt.Sprintf("K%d", v+1)
			a.op("KMOVW", "DX", masks[v])
			a.op("SHRQ", "$16", "DX")
		}
	default:
		for v := range masks {
			masks[v] = a.reg(free + 1 + v)
			a.op("MOVQ", "CX", "DX")
			if v > 0 {
				a.op("SUBQ", fmt.Sprintf("$%d", v*a.lanes), "DX")
			}
			// clamp to 0…lanes without a branch
			a.op("XORQ", "R10", "R10")
			a.op("TESTQ", "DX", "DX")
			a.op("CMOVQLT", "R10", "DX")
			a.op("MOVQ", fmt.Sprintf("$%d", a.lanes), "R10")
			a.op("CMPQ", "DX", "R10")
			a.op("CMOVQGT", "R10", "DX")
			a.op("LEAQ", "k_tail<>+32(SB)", "R11")
			a.op("SHLQ", "$2", "DX")
			a.op("SUBQ", "DX", "R11")
			a.op("VMOVUPS", "(R11)", masks[v])
		}
	}
	a.writeBack(rows, vectors, alpha, acc, masks, done)
	a.mark(done)
	a.ret()
}

// writeBack stores the tile, adding to C where R9 is not zero.
func (a *asm) writeBack(rows, vectors int, alpha string, acc func(r, v int) string, masks []string, done string) {
	for _, add := range []bool{false, true} {
		skip := a.newLabel("add")
		if !add {
			a.op("TESTQ", "R9", "R9")
			a.op("JNE", skip)
		}
		for r := range rows {
			for v := range vectors {
				c, x := fmt.Sprintf("%d(DI)", v*a.bytes()), acc(r, v)
				old := c
				if add && masks != nil {
					old = a.reg(a.registers() - 1)
					if a.wide {
						a.op("VMOVUPS.Z", c, masks[v], old)
					} else {
						a.op("VMASKMOVPS", c, masks[v], old)
					}
				}
				if add {
					a.op("VFMADD213PS", old, alpha, x)
				} else {
					a.op("VMULPS", alpha, x, x)
				}
				switch {
				case masks == nil:
					a.op("VMOVUPS", x, c)
				case a.wide:
					a.op("VMOVUPS", x, masks[v], c)
				default:
					a.op("VMASKMOVPS", x, masks[v], c)
				}
			}
			if r < rows-1 {
				a.op("ADDQ", "R8", "DI")
			}
		}
		a.op("JMP", done)
		if !add {
			a.mark(skip)
		}
	}
}

// transpose emits dst[j·stride + i] = src[i·ld + j] for 8 rows i and j < k, k a
// multiple of 8.
func (a *asm) transpose() {
	off := a.begin("transpose8", []param{
		{"dst", "*float32"}, {"src", "*float32"}, {"ld", "int"}, {"k", "int"}, {"stride", "int"},
	}, false)
	for _, p := range [][2]string{{"dst", "DI"}, {"src", "SI"}, {"ld", "R8"}, {"k", "CX"}, {"stride", "R9"}} {
		a.op("MOVQ", fmt.Sprintf("%s+%d(FP)", p[0], off[p[0]]), p[1])
	}
	a.op("SHLQ", "$2", "R8")
	a.op("SHLQ", "$2", "R9")
	a.op("LEAQ", "(R8)(R8*2)", "R10") // 3 rows of src
	a.op("LEAQ", "(R9)(R9*2)", "R12") // 3 rows of dst
	head, end := a.newLabel("block"), a.newLabel("end")
	a.op("SUBQ", "$8", "CX")
	a.op("JLT", end)
	a.mark(head)
	a.op("LEAQ", "(SI)(R8*4)", "R11")
	rows := []string{
		"(SI)", "(SI)(R8*1)", "(SI)(R8*2)", "(SI)(R10*1)",
		"(R11)", "(R11)(R8*1)", "(R11)(R8*2)", "(R11)(R10*1)",
	}
	// Rows i and i+4 share a register by halves, which leaves two shuffles a row.
	for i := range 4 {
		for half := range 2 {
			r := i + 4*half // register: left columns in 0-3, right in 4-7
			lo, hi := shift(rows[i], 16*half), shift(rows[i+4], 16*half)
			a.op("VMOVUPS", lo, fmt.Sprintf("X%d", r))
			a.op("VINSERTF128", "$1", hi, fmt.Sprintf("Y%d", r), fmt.Sprintf("Y%d", r))
		}
	}
	a.op("LEAQ", "(DI)(R9*4)", "R13")
	outs := []string{
		"(DI)", "(DI)(R9*1)", "(DI)(R9*2)", "(DI)(R12*1)",
		"(R13)", "(R13)(R9*1)", "(R13)(R9*2)", "(R13)(R12*1)",
	}
	y := func(n int) string { return fmt.Sprintf("Y%d", n) }
	for half := range 2 {
		b := 4 * half
		a.op("VUNPCKLPS", y(b+1), y(b), y(8))
		a.op("VUNPCKHPS", y(b+1), y(b), y(9))
		a.op("VUNPCKLPS", y(b+3), y(b+2), y(10))
		a.op("VUNPCKHPS", y(b+3), y(b+2), y(11))
		a.op("VSHUFPS", "$0x44", y(10), y(8), y(12))
		a.op("VSHUFPS", "$0xee", y(10), y(8), y(13))
		a.op("VSHUFPS", "$0x44", y(11), y(9), y(14))
		a.op("VSHUFPS", "$0xee", y(11), y(9), y(15))
		for j := range 4 {
			a.op("VMOVUPS", y(12+j), outs[b+j])
		}
	}
	a.op("ADDQ", "$32", "SI")
	a.op("LEAQ", "(DI)(R9*8)", "DI")
	a.op("SUBQ", "$8", "CX")
	a.op("JGE", head)
	a.mark(end)
	a.ret()
}

func shift(address string, bytes int) string {
	if bytes == 0 {
		return address
	}
	return fmt.Sprintf("%d%s", bytes, address)
}

// peak emits iters × 12 independent fused multiply-adds.
func (a *asm) peak() {
	off := a.begin("peak", []param{{"iters", "int"}}, false)
	a.op("MOVQ", fmt.Sprintf("iters+%d(FP)", off["iters"]), "CX")
	for i := range 14 {
		a.op("VXORPS", a.reg(i), a.reg(i), a.reg(i))
	}
	head := a.newLabel("spin")
	a.mark(head)
	for i := range 12 {
		a.op("VFMADD231PS", a.reg(12), a.reg(13), a.reg(i))
	}
	a.op("DECQ", "CX")
	a.op("JGT", head)
	a.ret()
}
