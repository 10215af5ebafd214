package cuda

import (
	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/cuda/driver"
)

// hopperMatrices reports whether products of two buffers go to the kernels of sm_90a.
// Those find a run by its distance, so nothing shared.
func (c *compiler) hopperMatrices(a, b ref) bool {
	return c.target.hopper && (c.phase != placing || a.stride > 0 && b.stride > 0)
}

// mapOf describes an operand of every run to the copy engine.
func (c *compiler) mapOf(r ref, size [2]int, leading int) driver.Map {
	if c.phase != placing || c.encode == nil {
		return driver.Map{}
	}
	m, err := c.encode(driver.Matrices{
		Address: driver.Memory(r.p), Rows: size[0], Columns: size[1], Count: c.runs,
		RowBytes: int64(leading) * narrow.size(), Bytes: r.stride * narrow.size(),
	})
	if err != nil {
		c.fail("%w", err)
	}
	return m
}

// vectors reports whether matrices with these row lengths can be copied 16 bytes at a
// time.
func vectors(refs []ref, leading ...int) bool {
	for _, r := range refs {
		if r.p%16 != 0 || r.stride%8 != 0 {
			return false
		}
	}
	for _, l := range leading {
		if l%8 != 0 {
			return false
		}
	}
	return true
}

// product is C = alpha·op(A)·op(B) [m,n] over k, or += with add.
type product struct {
	a, b, c        ref
	kind           string // of C
	m, n, k        int
	transA, transB bool
	add            bool
	alpha          float32
	lda, ldc       int // row lengths in memory where they are not those of the matrix
}

// gemm records a product.
func (c *compiler) gemm(p product) {
	a := gemmArgs{
		a: p.a, b: p.b, c: p.c, runs: c.slots(), m: int32(p.m), n: int32(p.n), k: int32(p.k),
		lda: int32(p.k), ldb: int32(p.n), ldc: int32(p.n),
		transA: flag(p.transA), transB: flag(p.transB), add: flag(p.add), slices: 1, kSlice: int32(p.k), alpha: p.alpha,
	}
	trans := []byte("nn")
	if p.transA {
		a.lda, trans[0] = int32(p.m), 't'
	}
	if p.transB {
		a.ldb, trans[1] = int32(p.k), 't'
	}
	if p.lda > 0 {
		a.lda = int32(p.lda)
	}
	if p.ldc > 0 {
		a.ldc = int32(p.ldc)
	}
	vector := vectors([]ref{p.a, p.b}, int(a.lda), int(a.ldb)) && (!p.transA || !p.transB)
	onHopper := vector && c.hopperMatrices(p.a, p.b)
	if !onHopper && c.multiplyEach(p, int(a.lda), int(a.ldb), int(a.ldc)) {
		return
	}
	inOrder := p.kind == suffix(wide) && p.n%4 == 0 && a.ldc%4 == 0
	t, slices, kSlice, apart := c.pick(p.m, p.n, p.k, onHopper && inOrder)
	a.slices, a.kSlice = int32(slices), int32(kSlice)
	kind := p.kind
	if apart > 1 {
		a.work, kind = c.tmp(int64(slices)*int64(p.m)*int64(p.n), wide), suffix(wide)
	}
	blocks := func(t tile) int { return ceil(p.m, t.bm) * ceil(p.n, t.bn) }
	if onHopper {
		g := gemmMapArgs{g: a, a: c.mapOf(p.a, order(p.m, p.k, p.transA), int(a.lda)), b: c.mapOf(p.b, order(p.k, p.n, p.transB), int(a.ldb))}
		if kind == suffix(narrow) && !p.add && p.n%8 == 0 && p.c.stride > 0 && vectors([]ref{p.c}, int(a.ldc)) {
			g.c = c.mapOf(p.c, [2]int{p.m, p.n}, int(a.ldc))
		}
		name := t.name
		if name == hopperTiles[0].name && kind == suffix(narrow) && p.k >= longInner && !p.transA {
			name += "_long"
		}
		c.add("gemm_sm90_"+string(trans)+"_"+name+kind, blocks(t), apart, raw(&g))
		c.last().shared, c.last().spread = t.shared, max(1, t.resident*c.target.sms/apart)
	} else {
		if !vector {
			t = anyTile
		} else if c.target.hopper {
			t = tiles[1]
		}
		c.add("gemm_"+string(trans)+"_"+t.name+kind, blocks(t), slices, raw(&a))
		c.last().shared = t.shared
	}
	if apart > 1 {
		part := 1024
		if slices > 8 {
			part = 128
		}
		c.add("gemm_reduce"+p.kind, ceil(p.m*p.n, part), 1, raw(&a))
	}
}

// order is a matrix's rows and columns in memory.
func order(rows, columns int, trans bool) [2]int {
	if trans {
		return [2]int{columns, rows}
	}
	return [2]int{rows, columns}
}

func (c *compiler) matMul(o kernels.MatMul) {
	y, a := c.info(o.Y), c.info(o.A)
	k := a.Cols()
	if o.TransA {
		k = a.Rows()
	}
	out, kind := c.outAny(o.Y)
	if o.TransA {
		c.beside([]kernels.Buffer{o.A, o.B}, o.Y)
	}
	c.gemm(product{
		a: c.in16(o.A), b: c.in16(o.B), c: out, kind: kind, m: y.Rows(), n: y.Cols(), k: k,
		transA: o.TransA, transB: o.TransB, add: o.Add, alpha: one(o.Alpha),
	})
}

func (c *compiler) groupMatMul(o kernels.GroupMatMul) {
	y, a, offsets := c.info(o.Y), c.info(o.A), c.info(o.Offsets)
	out, kind := c.outAny(o.Y)
	rows, n, k, experts := y.Rows(), y.Cols(), a.Cols(), offsets.Len()-1
	g := groupGemmArgs{
		a: c.in16(o.A), w: c.in16(o.W), c: out, offsets: c.in32(o.Offsets), runs: c.slots(),
		rows: int32(rows), n: int32(n), k: int32(k), experts: int32(experts), transW: flag(o.TransW), add: flag(o.Add), alpha: one(o.Alpha),
	}
	trans := "nn"
	if o.TransW {
		trans = "nt"
	}
	vector := vectors([]ref{g.a, g.w}, n, k)
	each := ceil(rows, experts)
	if vector && (o.TransW || k%64 == 0) && c.hopperMatrices(g.a, g.w) {
		t := c.pickGroup(k, func(t tile) int { return ceil(each, t.bm) * experts * ceil(n, t.bn) })
		w := order(k, n, o.TransW)
		m := groupGemmMapArgs{g: g, a: c.mapOf(g.a, [2]int{rows, k}, k), w: c.mapOf(g.w, [2]int{experts * w[0], w[1]}, w[1])}
		c.add("group_gemm_sm90_"+trans+"_"+t.name+kind, (rows/t.bm+experts)*ceil(n, t.bn), 1, raw(&m))
		c.last().shared, c.last().spread = t.shared, t.resident*c.target.sms
		return
	}
	t := tiles[1]
	if !vector {
		t = anyTile
	} else if n > 64 && rows/experts >= 128 {
		t = tiles[0]
	}
	c.add("group_gemm_"+trans+"_"+t.name+kind, (rows/t.bm+experts)*ceil(n, t.bn), 1, raw(&g))
	c.last().shared = t.shared
}

func (c *compiler) groupMatMulGrad(o kernels.GroupMatMulGrad) {
	dy, x, offsets := c.info(o.DY), c.info(o.X), c.info(o.Offsets)
	n, k, experts := dy.Cols(), x.Cols(), offsets.Len()-1
	g := groupGemmGradArgs{
		dw: c.out32(o.DW), dy: c.in16(o.DY), x: c.in16(o.X), offsets: c.in32(o.Offsets), runs: c.slots(),
		rows: int32(dy.Rows()), n: int32(n), k: int32(k), experts: int32(experts), add: flag(o.Add), alpha: one(o.Alpha),
	}
	c.beside([]kernels.Buffer{o.DY, o.X, o.Offsets}, o.DW)
	vector := vectors([]ref{g.dy, g.x}, n, k)
	each, number := dy.Rows()/experts, func(t tile) int { return ceil(n, t.bm) * ceil(k, t.bn) * experts }
	if vector && c.hopperMatrices(g.dy, g.x) {
		t := c.pickGroup(each, number)
		m := groupGemmGradMapArgs{g: g, dy: c.mapOf(g.dy, [2]int{dy.Rows(), n}, n), x: c.mapOf(g.x, [2]int{dy.Rows(), k}, k)}
		c.add("group_gemm_grad_sm90_"+t.name, number(t), 1, raw(&m))
		c.last().shared, c.last().spread = t.shared, t.resident*c.target.sms
		return
	}
	t := tiles[1]
	if !vector {
		t = anyTile
	} else if each >= 512 && number(tiles[0])*c.runs >= 2*c.target.sms {
		t = tiles[0]
	}
	c.add("group_gemm_grad_"+t.name, ceil(n, t.bm)*ceil(k, t.bn), experts, raw(&g))
	c.last().shared = t.shared
}
