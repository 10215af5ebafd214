package cpu

import (
	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/internal/simd"
)

func (c *compiler) attentionGrad(o kernels.AttentionGrad) step {
	h := newHeads(o.Heads, o.Seq, o.Scale)
	dqk, dqkv, dy, y := c.loc(o.DQK), c.loc(o.DQKV), c.loc(o.DY), c.loc(o.Y)
	lse, qk, qkv := c.loc(o.LSE), c.loc(o.QK), c.loc(o.QKV)
	keys, values := c.reserve(h.seq*h.dim), c.reserve(h.seq*h.dim)
	queries, outs, grad := c.reserve(h.dim*queryBlock), c.reserve(h.dim*queryBlock), c.reserve(h.dim*queryBlock)
	scores, grads := c.reserve(keyBlock*queryBlock), c.reserve(keyBlock*queryBlock)
	part := queryBlock * c.set.PackLen(1, h.dim)
	packedQ, packedOut := c.reserve(part), c.reserve(part)
	return func(w *worker) error {
		a := &w.attendGrad
		*a = attendGrad{
			worker: w, heads: h,
			qk: w.f(qk), y: w.f(y), lse: w.f(lse), dy: w.f(dy), dqk: w.f(dqk), dqkv: w.f(dqkv),
			keys: w.f(keys), values: w.f(values),
			queries: w.f(queries), outs: w.f(outs), grad: w.f(grad), scores: w.f(scores), grads: w.f(grads),
			packedQ: w.f(packedQ), packedOut: w.f(packedOut),
		}
		group := h.query / h.keyValue
		for row := 0; row < qk.rows; row += h.seq {
			for kv := range h.keyValue {
				h.compact(a.keys, h.key(a.qk, row, kv), h.qkCols)
				h.compact(a.values, h.value(w.f(qkv), row, kv), h.qkvCols)
				a.dk, a.dv = h.key(a.dqk, row, kv), h.value(a.dqkv, row, kv)
				for i := range h.seq {
					clear(a.dk[i*h.qkCols : i*h.qkCols+h.dim])
					clear(a.dv[i*h.qkvCols : i*h.qkvCols+h.dim])
				}
				for head := kv * group; head < (kv+1)*group; head++ {
					for q := 0; q < h.seq; q += queryBlock {
						a.block(row, head, q)
					}
				}
			}
		}
		return nil
	}
}

// attendGrad is the state of the backward of one run.
type attendGrad struct {
	*worker
	heads
	qk, y, lse, dy, dqk, dqkv []float32
	keys, values              []float32 // of one head [seq, dim]
	queries, outs, grad       []float32 // of a block [dim, queryBlock]: q, dy, y and then dq
	scores, grads             []float32 // of a block [keyBlock, queryBlock]
	packedQ, packedOut        []float32
	dk, dv                    []float32 // at the sequence's first row of the key-value head

	top, delta [queryBlock]float32 // LSE and rowsum(dy∘y) of each query
}

// block adds what a block of queries, the first of them q, contributes: with
// P = exp(scale·q·kᵀ − LSE) and dS = scale·P∘(dy·vᵀ − rowsum(dy∘y)),
// dq = dS·k, dk += dSᵀ·q, dv += Pᵀ·dy.
func (a *attendGrad) block(row, head, q int) {
	w, rows, d, ld := a.worker, min(queryBlock, a.seq-q), a.dim, a.query*a.dim
	at, out := (row+q)*a.qkCols+head*d, (row+q)*ld+head*d
	a.columns(w, a.queries, a.qk[at:], a.qkCols, rows)
	a.columns(w, a.outs, a.dy[out:], ld, rows)
	a.columns(w, a.grad, a.y[out:], ld, rows)
	a.set.Pack(a.packedQ, simd.Rows(a.qk[at:], a.qkCols), rows, d)
	a.set.Pack(a.packedOut, simd.Rows(a.dy[out:], ld), rows, d)
	clear(a.delta[:])
	a.set.ColDot(a.outs, a.grad, a.delta[:])
	clear(a.top[:])
	for i := range rows {
		a.top[i] = a.lse[(row+q+i)*a.query+head]
	}
	for key := 0; key < q+rows; key += keyBlock {
		n := min(keyBlock, q+rows-key)
		p, g := a.scores[:n*queryBlock], a.grads[:n*queryBlock]
		a.products(w, p, a.keys[key*d:], a.queries, n)
		mask(p, key, q, rows)
		a.products(w, g, a.values[key*d:], a.outs, n)
		a.set.ColSoftmaxGrad(p, g, a.top[:], a.delta[:], a.scale)
		a.mix(w, a.grad, a.keys[key*d:], g, n, key > 0)
		a.set.GemmPacked(a.pack, n, d, rows, 1, simd.Rows(g, queryBlock), a.packedQ, rows, a.dk[key*a.qkCols:], a.qkCols, true)
		a.set.GemmPacked(a.pack, n, d, rows, 1, simd.Rows(p, queryBlock), a.packedOut, rows, a.dv[key*a.qkvCols:], a.qkvCols, true)
	}
	a.set.Transpose(a.dqk[at:], a.qkCols, a.grad, queryBlock, d, rows)
}
