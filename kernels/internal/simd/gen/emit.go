//go:build ignore

package main

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

// isa is one instruction set: AVX2 with FMA (8 lanes) or AVX-512 F+DQ+VL (16).
type isa struct {
	suffix string
	wide   bool
	lanes  int
}

// reg names the n-th vector register.
func (i isa) reg(n int) string {
	if i.wide {
		return fmt.Sprintf("Z%d", n)
	}
	return fmt.Sprintf("Y%d", n)
}

// registers counts the vector registers.
func (i isa) registers() int {
	if i.wide {
		return 32
	}
	return 16
}

// bytes is the width of a vector register.
func (i isa) bytes() int { return 4 * i.lanes }

// asm collects the text of one assembly file.
type asm struct {
	isa
	buf   bytes.Buffer
	decls *bytes.Buffer
	label int
}

// op emits an instruction; operands are in Go's order, destination last.
func (a *asm) op(mnemonic string, operands ...string) {
	fmt.Fprintf(&a.buf, "\t%s %s\n", mnemonic, strings.Join(operands, ", "))
}

func (a *asm) ret() {
	fmt.Fprint(&a.buf, "\tVZEROUPPER\n\tRET\n")
}

func (a *asm) newLabel(hint string) string {
	a.label++
	return fmt.Sprintf("%s%d", hint, a.label)
}

func (a *asm) mark(label string) { fmt.Fprintf(&a.buf, "%s:\n", label) }

// param is an argument of an assembly function.
type param struct {
	name, typ string
}

// frame gives the offset of every argument and their size together.
func frame(params []param) (offsets map[string]int, end int) {
	size := map[string]int{"[]float32": 24, "*float32": 8, "int": 8, "float32": 4}
	offsets = map[string]int{}
	at := 0
	for _, p := range params {
		s := size[p.typ]
		align := min(s, 8)
		at = (at + align - 1) / align * align
		offsets[p.name] = at
		at += s
	}
	return offsets, at
}

// begin opens a function and declares it on the Go side.
func (a *asm) begin(name string, params []param, ret bool) map[string]int {
	name += a.suffix
	offsets, size := frame(params)
	result := ""
	if ret {
		offsets["ret"] = (size + 7) / 8 * 8
		size, result = offsets["ret"]+4, " (ret float32)"
	}
	var list []string
	for _, p := range params {
		list = append(list, p.name+" "+p.typ)
	}
	fmt.Fprintf(a.decls, "\n//go:noescape\nfunc %s(%s)%s\n", name, strings.Join(list, ", "), result)
	fmt.Fprintf(&a.buf, "\nTEXT ·%s(SB), NOSPLIT, $0-%d\n", name, size)
	return offsets
}

// constants are stored as whole vectors so that any instruction can take them
// from memory. The names are those that konst takes.
func (a *asm) constants() {
	table := []struct {
		name string
		bits uint32
	}{
		{"one", math.Float32bits(1)},
		{"negone", math.Float32bits(-1)},
		{"abs", 0x7fffffff},
		{"neginf", math.Float32bits(float32(math.Inf(-1)))},
		// exp: Cephes' expf polynomial, ln 2 in two parts. The bounds keep 2ⁿ
		// representable in two factors and still let the result reach 0 and +Inf.
		{"exphi", math.Float32bits(89)},
		{"explo", math.Float32bits(-104)},
		{"log2e", math.Float32bits(1.44269504088896341)},
		{"ln2hi", math.Float32bits(0.693359375)},
		{"ln2lo", math.Float32bits(-2.12194440e-4)},
		{"e5", math.Float32bits(1.9875691500e-4)},
		{"e4", math.Float32bits(1.3981999507e-3)},
		{"e3", math.Float32bits(8.3334519073e-3)},
		{"e2", math.Float32bits(4.1665795894e-2)},
		{"e1", math.Float32bits(1.6666665459e-1)},
		{"e0", math.Float32bits(5.0000001201e-1)},
		{"bias", 127},
	}
	for _, c := range table {
		for i := 0; i < a.bytes(); i += 8 {
			fmt.Fprintf(&a.buf, "DATA k_%s<>+%d(SB)/8, $0x%08x%08x\n", c.name, i, c.bits, c.bits)
		}
		fmt.Fprintf(&a.buf, "GLOBL k_%s<>(SB), RODATA|NOPTR, $%d\n", c.name, a.bytes())
	}
	if a.wide {
		return
	}
	// Sliding window over it gives the mask of the first n lanes.
	for i := 0; i < 64; i += 8 {
		bits := "0"
		if i < 32 {
			bits = "0xffffffffffffffff"
		}
		fmt.Fprintf(&a.buf, "DATA k_tail<>+%d(SB)/8, $%s\n", i, bits)
	}
	fmt.Fprint(&a.buf, "GLOBL k_tail<>(SB), RODATA|NOPTR, $64\n")
}

func konst(name string) string { return "k_" + name + "<>(SB)" }

// tailMask sets K1 (AVX-512) or the given register (AVX2) to the mask of the
// first CX lanes. DX is clobbered.
func (a *asm) tailMask(reg string) {
	if a.wide {
		a.op("MOVL", "$1", "DX")
		a.op("SHLL", "CX", "DX")
		a.op("DECL", "DX")
		a.op("KMOVW", "DX", "K1")
		return
	}
	a.op("LEAQ", "k_tail<>+32(SB)", "DX")
	a.op("SHLQ", "$2", "CX")
	a.op("SUBQ", "CX", "DX")
	a.op("VMOVUPS", "(DX)", reg)
}
