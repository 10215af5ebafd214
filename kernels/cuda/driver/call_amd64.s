//go:build linux

#include "textflag.h"

// callMany calls a C function with sixteen arguments, more than purego does: it is itself
// called as C code, with the address of a struct{fn uintptr; args [16]uintptr}.
TEXT callMany(SB), NOSPLIT|NOFRAME, $0-0
	PUSHQ BP
	MOVQ  SP, BP
	SUBQ  $80, SP
	MOVQ  56(DI), AX
	MOVQ  AX, 0(SP)
	MOVQ  64(DI), AX
	MOVQ  AX, 8(SP)
	MOVQ  72(DI), AX
	MOVQ  AX, 16(SP)
	MOVQ  80(DI), AX
	MOVQ  AX, 24(SP)
	MOVQ  88(DI), AX
	MOVQ  AX, 32(SP)
	MOVQ  96(DI), AX
	MOVQ  AX, 40(SP)
	MOVQ  104(DI), AX
	MOVQ  AX, 48(SP)
	MOVQ  112(DI), AX
	MOVQ  AX, 56(SP)
	MOVQ  120(DI), AX
	MOVQ  AX, 64(SP)
	MOVQ  128(DI), AX
	MOVQ  AX, 72(SP)
	MOVQ  0(DI), R11
	MOVQ  48(DI), R9
	MOVQ  40(DI), R8
	MOVQ  32(DI), CX
	MOVQ  24(DI), DX
	MOVQ  16(DI), SI
	MOVQ  8(DI), DI
	CALL  R11
	MOVQ  BP, SP
	POPQ  BP
	RET

DATA ·callManyAt(SB)/8, $callMany(SB)
GLOBL ·callManyAt(SB), NOPTR|RODATA, $8
