package cuda

import (
	"fmt"

	"github.com/etastar/etastar/kernels"
)

// headElements bounds the logits of a run that exist at once, unless that leaves too few
// rows for a product. The weights' gradient is read and written once for each part, so
// small parts cost time: with 128<<20 a step takes 1% longer at d_model 768, 3% at 512.
const (
	headElements = 288 << 20
	headMinRows  = 512
)

// headChunk is how many rows of logits are held at once: enough to fill the card.
func headChunk(rows, vocabulary, asked int) int {
	if asked > 0 {
		return min(asked, rows)
	}
	most := max(headElements/vocabulary, headMinRows)
	chunks := ceil(rows, most)
	return min(rows, ceil(ceil(rows, chunks), 128)*128)
}

func (c *compiler) head(o kernels.Head) {
	x, w := c.info(o.X), c.info(o.W)
	n, d, v := x.Rows(), x.Cols(), w.Rows()
	c.rowsOf("Head: target", o.Targets, v, true)
	chunk := headChunk(n, v, o.Chunk)
	// Rows of logits begin at multiples of 16 bytes whatever the vocabulary.
	pitch := ceil(v, 8) * 8
	logits := c.tmp(int64(chunk)*int64(pitch), narrow)
	in, weights := c.in16(o.X), c.in16(o.W)
	var dx, dw ref
	var kind string
	if o.DX != 0 {
		dx, kind = c.outAny(o.DX)
	}
	if o.DW != 0 {
		dw = c.out32(o.DW)
	}
	ce := crossEntropyArgs{
		scale: c.in32(o.Scale), runs: c.slots(), v: int32(v), ldl: int32(pitch),
		grad: flag(o.DX != 0 || o.DW != 0), rows: int32(n), multiplier: one(o.Multiplier), zLoss: o.ZLoss,
	}
	loss, lse, targets := c.out32(o.Loss), c.out32(o.LSE), c.in32(o.Targets)
	for from := 0; from < n; from += chunk {
		rows := min(chunk, n-from)
		at := in.skip(int64(from)*int64(d), narrow)
		c.gemm(product{a: at, b: weights, c: logits, kind: suffix(narrow), m: rows, n: v, k: d, transB: true, alpha: one(o.Multiplier), ldc: pitch})
		e := ce
		e.logits, e.loss, e.targets = logits, loss.skip(int64(from), wide), targets.skip(int64(from), wide)
		if o.LSE != 0 {
			e.lse = lse.skip(int64(from), wide)
		}
		e.n = int32(rows)
		c.crossEntropy(e)
		if o.DX != 0 {
			to := dx.skip(int64(from)*int64(d), c.have(o.DX))
			c.gemm(product{a: logits, b: weights, c: to, kind: kind, m: rows, n: d, k: v, alpha: 1, lda: pitch})
		}
		if o.DW != 0 {
			c.gemm(product{a: logits, b: at, c: dw, kind: suffix(wide), m: v, n: d, k: rows, transA: true, add: true, alpha: 1, lda: pitch})
		}
	}
}

// crossEntropyWidths are the most columns of the kernels that hold a row in registers,
// with the rows of a block.
var crossEntropyWidths = []struct{ width, rows int }{{256, 8}, {1024, 4}, {4096, 1}, {8192, 1}, {16384, 1}, {32768, 1}, {81920, 1}}

// crossEntropy records the loss of one chunk: the smallest kernel that holds a row.
func (c *compiler) crossEntropy(a crossEntropyArgs) {
	n := int(a.n)
	for _, k := range crossEntropyWidths {
		if int(a.v) <= k.width {
			c.add(fmt.Sprint("cross_entropy_", k.width), ceil(n, k.rows), 1, raw(&a))
			return
		}
	}
	c.add("cross_entropy_any", n, 1, raw(&a))
}

// skip is a buffer without its first n elements.
func (r ref) skip(n int64, f form) ref {
	if r.p == 0 {
		return r
	}
	return ref{r.p + uint64(n*f.size()), r.stride}
}
