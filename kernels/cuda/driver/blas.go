package driver

import (
	"errors"
	"fmt"
	"unsafe"
)

// BLAS is cuBLASLt on a device, opened in its context. Its products are the same to the
// bit on one card with one version of the library.
type BLAS struct {
	file    library
	Version int // as the library says it: 130101 is 13.1.1

	handle uintptr
	api    struct {
		create, destroy, version                           uintptr
		descCreate, descSet, descDestroy                   uintptr
		layoutCreate, layoutDestroy                        uintptr
		preferenceCreate, preferenceSet, preferenceDestroy uintptr
		heuristic, matmul                                  uintptr
	}
}

// BLASWorkspace is the device memory that products may use, in bytes.
const BLASWorkspace = 32 << 20

// OpenBLAS opens the newest cuBLASLt there is, see [Probe] for where it is looked for.
func (c *Context) OpenBLAS() (*BLAS, error) {
	if callManyAt == 0 {
		return nil, errors.New("cuBLASLt is used on Linux and x86-64 alone")
	}
	found, looked := findBLAS()
	if len(found) == 0 {
		return nil, &MissingError{Library: blasNames[0], Tried: looked}
	}
	h, err := openLibrary(found[0])
	if err != nil {
		return nil, &MissingError{Library: found[0], Tried: []string{reason(err)}}
	}
	b := &BLAS{file: library{h, found[0]}}
	if err := b.file.bind([]entry{
		{&b.api.create, "cublasLtCreate", false},
		{&b.api.destroy, "cublasLtDestroy", false},
		{&b.api.version, "cublasLtGetVersion", false},
		{&b.api.descCreate, "cublasLtMatmulDescCreate", false},
		{&b.api.descSet, "cublasLtMatmulDescSetAttribute", false},
		{&b.api.descDestroy, "cublasLtMatmulDescDestroy", false},
		{&b.api.layoutCreate, "cublasLtMatrixLayoutCreate", false},
		{&b.api.layoutDestroy, "cublasLtMatrixLayoutDestroy", false},
		{&b.api.preferenceCreate, "cublasLtMatmulPreferenceCreate", false},
		{&b.api.preferenceSet, "cublasLtMatmulPreferenceSetAttribute", false},
		{&b.api.preferenceDestroy, "cublasLtMatmulPreferenceDestroy", false},
		{&b.api.heuristic, "cublasLtMatmulAlgoGetHeuristic", false},
		{&b.api.matmul, "cublasLtMatmul", false},
	}); err != nil {
		return nil, err
	}
	b.Version = int(call(b.api.version))
	if err := b.check(call(b.api.create, uintptr(unsafe.Pointer(&b.handle))), "starting it"); err != nil {
		return nil, errors.Join(err, closeLibrary(h))
	}
	return b, nil
}

// Close gives the library back; no product of it may be under way.
func (b *BLAS) Close() error {
	return errors.Join(b.check(call(b.api.destroy, b.handle), "closing it"), closeLibrary(b.file.handle))
}

func (b *BLAS) check(status uintptr, doing string, args ...any) error {
	if int32(status) == 0 {
		return nil
	}
	return fmt.Errorf("cuBLASLt %s: %s: status %d", b.file.path, fmt.Sprintf(doing, args...), int32(status))
}

// Product is C = Alpha·op(A)·op(B) [M,N] over K, or += with Add: row-major, row lengths in
// elements, A and B bfloat16, C float32 or (Narrow) bfloat16, added in float32.
type Product struct {
	M, N, K        int
	TransA, TransB bool
	LDA, LDB, LDC  int
	Narrow, Add    bool
	Alpha          float32
}

// Matmul is a product with its algorithm chosen. Its memory lies outside of the Go heap.
type Matmul struct {
	blas                       *BLAS
	desc, first, second, third uintptr
	page                       []byte
}

// Of a Matmul's page: the factors, the algorithm, and the call's arguments.
const (
	matmulAlpha, matmulBeta, matmulAlgorithm, matmulCall, matmulPage = 0, 4, 64, 256, 512
)

// Numbers of cublasLt.h and library_types.h.
const (
	computeFloat32       = 68 // CUBLAS_COMPUTE_32F
	typeFloat32          = 0  // CUDA_R_32F
	typeBFloat16         = 14 // CUDA_R_16BF
	descTransA           = 3  // CUBLASLT_MATMUL_DESC_TRANSA
	descTransB           = 4
	preferenceWorkspace  = 1 // CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES
	preferenceReductions = 3 // CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK
	preferenceAlignment  = 5 // CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES; then B, C and D
	// Parts of a split inner axis are added in an order of their own, not in that of their
	// ends: all schemes but CUBLASLT_REDUCTION_SCHEME_INPLACE.
	reductionsOrdered = 2 | 4
)

// heuristicResult is cublasLtMatmulHeuristicResult_t.
type heuristicResult struct {
	algorithm [8]uint64
	workspace uint64
	state     int32
	waves     float32
	_         [4]int32
}

// Plan chooses how to do a product; operands lie at multiples of 16 bytes.
func (b *BLAS) Plan(p Product) (m *Matmul, err error) {
	page, err := newPage(matmulPage)
	if err != nil {
		return nil, err
	}
	m = &Matmul{blas: b, page: page}
	defer func() {
		if err != nil {
			m.Close()
		}
	}()
	// The library's matrices are column-major: Cᵀ = op(B)ᵀ·op(A)ᵀ has their order.
	result := uintptr(typeFloat32)
	if p.Narrow {
		result = typeBFloat16
	}
	order := func(rows, columns int, trans bool) (uintptr, uintptr) {
		if trans {
			rows, columns = columns, rows
		}
		return uintptr(rows), uintptr(columns)
	}
	aRows, aColumns := order(p.M, p.K, p.TransA)
	bRows, bColumns := order(p.K, p.N, p.TransB)
	flags := [2]int32{}
	if p.TransB {
		flags[0] = 1
	}
	if p.TransA {
		flags[1] = 1
	}
	limit, schemes, alignment := uint64(BLASWorkspace), uint32(reductionsOrdered), uint32(16)
	var preference uintptr
	address := func(p *uintptr) uintptr { return uintptr(unsafe.Pointer(p)) }
	steps := []func() uintptr{
		func() uintptr { return call(b.api.descCreate, address(&m.desc), computeFloat32, typeFloat32) },
		func() uintptr {
			return call(b.api.descSet, m.desc, descTransA, uintptr(unsafe.Pointer(&flags[0])), 4)
		},
		func() uintptr {
			return call(b.api.descSet, m.desc, descTransB, uintptr(unsafe.Pointer(&flags[1])), 4)
		},
		func() uintptr {
			return call(b.api.layoutCreate, address(&m.first), typeBFloat16, bColumns, bRows, uintptr(p.LDB))
		},
		func() uintptr {
			return call(b.api.layoutCreate, address(&m.second), typeBFloat16, aColumns, aRows, uintptr(p.LDA))
		},
		func() uintptr {
			return call(b.api.layoutCreate, address(&m.third), result, uintptr(p.N), uintptr(p.M), uintptr(p.LDC))
		},
		func() uintptr { return call(b.api.preferenceCreate, address(&preference)) },
		func() uintptr {
			return call(b.api.preferenceSet, preference, preferenceWorkspace, uintptr(unsafe.Pointer(&limit)), 8)
		},
		func() uintptr {
			return call(b.api.preferenceSet, preference, preferenceReductions, uintptr(unsafe.Pointer(&schemes)), 4)
		},
	}
	for operand := range uintptr(4) {
		steps = append(steps, func() uintptr {
			return call(b.api.preferenceSet, preference, preferenceAlignment+operand, uintptr(unsafe.Pointer(&alignment)), 4)
		})
	}
	for _, step := range steps {
		if err := b.check(step(), "describing %+v", p); err != nil {
			return nil, err
		}
	}
	defer call(b.api.preferenceDestroy, preference)
	var best heuristicResult
	var found int32
	if err := b.check(call(b.api.heuristic, b.handle, m.desc, m.first, m.second, m.third, m.third, preference, 1,
		uintptr(unsafe.Pointer(&best)), uintptr(unsafe.Pointer(&found))), "choosing an algorithm for %+v", p); err != nil {
		return nil, err
	}
	if found == 0 || best.state != 0 {
		return nil, fmt.Errorf("cuBLASLt %s has no algorithm for %+v", b.file.path, p)
	}
	*(*[8]uint64)(unsafe.Pointer(&page[matmulAlgorithm])) = best.algorithm
	*(*float32)(unsafe.Pointer(&page[matmulAlpha])) = p.Alpha
	if p.Add {
		*(*float32)(unsafe.Pointer(&page[matmulBeta])) = 1
	}
	return m, nil
}

// Multiply puts the product into a stream; workspace has BLASWorkspace bytes, which one
// product at a time uses.
func (m *Matmul) Multiply(a, b, c, workspace Memory, s Stream) error {
	at := func(offset int) uintptr { return uintptr(unsafe.Pointer(&m.page[offset])) }
	*(*[17]uintptr)(unsafe.Pointer(&m.page[matmulCall])) = [17]uintptr{
		m.blas.api.matmul, m.blas.handle, m.desc, at(matmulAlpha), uintptr(b), m.first, uintptr(a), m.second,
		at(matmulBeta), uintptr(c), m.third, uintptr(c), m.third, at(matmulAlgorithm), uintptr(workspace), BLASWorkspace, uintptr(s),
	}
	return m.blas.check(call(callManyAt, at(matmulCall)), "multiplying")
}

// Close frees what the description takes.
func (m *Matmul) Close() {
	for _, l := range []uintptr{m.first, m.second, m.third} {
		if l != 0 {
			call(m.blas.api.layoutDestroy, l)
		}
	}
	if m.desc != 0 {
		call(m.blas.api.descDestroy, m.desc)
	}
	_ = freePage(m.page)
}

// BLASVersion writes a version as the library's makers do: 130101 is 13.1.1.
func BLASVersion(v int) string { return fmt.Sprintf("%d.%d.%d", v/10000, v/100%100, v%100) }
