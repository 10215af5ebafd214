package cpu

import (
	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/internal/simd"
)

func (c *compiler) attentionGrad(o kernels.AttentionGrad) step {
	h := newHeads(o.Heads, o.Seq, o.Scale)
	dqk, dqkv, dy, y := c.loc(o.DQK), c.loc(o.DQKV), c.loc(o.DY), c.loc(o.Y)
	lse, qk, qkv := c.loc(o.LSE), c.loc(o.QK), c.loc(o.QKV)
	across, along := h.packLen(c.set, true), h.packLen(c.set, false)
	keysT, valuesT, keys := c.reserve(across), c.reserve(across), c.reserve(along)
	scores, grads := c.reserve(queryBlock*keyBlock), c.reserve(queryBlock*keyBlock)
	part := queryBlock * c.set.PackLen(1, h.dim)
	queries, outs := c.reserve(part), c.reserve(part)
	return func(w *worker) error {
		a := &w.attendGrad
		*a = attendGrad{
			worker: w, heads: h,
			qk: w.f(qk), y: w.f(y), lse: w.f(lse), dy: w.f(dy), dqk: w.f(dqk), dqkv: w.f(dqkv),
			keysT: w.f(keysT), valuesT: w.f(valuesT), keys: w.f(keys),
			scores: w.f(scores), grads: w.f(grads), queries: w.f(queries), outs: w.f(outs),
		}
		group := h.query / h.keyValue
		for row := 0; row < qk.rows; row += h.seq {
			for kv := range h.keyValue {
				k, v := h.key(a.qk, row, kv), h.value(w.f(qkv), row, kv)
				h.packBlocks(w, a.keysT, k, true)
				h.packBlocks(w, a.valuesT, v, true)
				h.packBlocks(w, a.keys, k, false)
				a.dk, a.dv = h.key(a.dqk, row, kv).V, h.value(a.dqkv, row, kv).V
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
	keysT, valuesT, keys      []float32
	scores, grads             []float32
	queries, outs             []float32 // the block's queries and output gradients, packed
	dk, dv                    []float32 // at the sequence's first row of the key-value head
}

// block adds what a block of queries, the first of them q, contributes: with
// P = exp(scale·q·kᵀ − LSE) and dS = scale·P∘(dy·vᵀ − rowsum(dy∘y)),
// dq = dS·k, dk += dSᵀ·q, dv += Pᵀ·dy.
func (a *attendGrad) block(row, head, q int) {
	rows, d, ld := min(queryBlock, a.seq-q), a.dim, a.query*a.dim
	at := (row+q)*a.qkCols + head*d
	queries, outs := simd.Rows(a.qk[at:], a.qkCols), simd.Rows(a.dy[(row+q)*ld+head*d:], ld)
	y := a.y[(row+q)*ld+head*d:]
	a.set.Pack(a.queries, queries, rows, d)
	a.set.Pack(a.outs, outs, rows, d)
	var delta [queryBlock]float32
	for i := range rows {
		delta[i] = a.set.Dot(outs.V[i*ld:i*ld+d], y[i*ld:i*ld+d])
	}
	for key := 0; key < q+rows; key += keyBlock {
		s := a.span(a.worker, key, q+rows-1)
		a.set.GemmPacked(a.pack, rows, s.cols, d, 1, queries, a.keysT[d*key:], d, a.scores, keyBlock, false)
		a.set.GemmPacked(a.pack, rows, s.cols, d, 1, outs, a.valuesT[d*key:], d, a.grads, keyBlock, false)
		for i := range rows {
			p, g := a.scores[i*keyBlock:i*keyBlock+s.cols], a.grads[i*keyBlock:i*keyBlock+s.cols]
			n := s.seen(q + i)
			clear(p[n:])
			clear(g[n:])
			if n > 0 {
				a.set.ExpSum(p[:n], p[:n], a.scale, a.lse[(row+q+i)*a.query+head])
				a.set.SoftmaxGrad(g[:n], p[:n], delta[i], a.scale)
			}
		}
		p, g := simd.Rows(a.scores, keyBlock), simd.Rows(a.grads, keyBlock)
		a.set.GemmPacked(a.pack, rows, d, s.used, 1, g, a.keys[a.set.PackLen(1, d)*key:], s.depth, a.dqk[at:], a.qkCols, key > 0)
		a.set.GemmPacked(a.pack, s.used, d, rows, 1, g.T(), a.queries, rows, a.dk[key*a.qkCols:], a.qkCols, true)
		a.set.GemmPacked(a.pack, s.used, d, rows, 1, p.T(), a.outs, rows, a.dv[key*a.qkvCols:], a.qkvCols, true)
	}
}
