package cpu

import (
	"math"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/internal/simd"
)

// Attention works on blocks of this many queries and keys. The scores of a block take
// 48 KB; queries are a multiple of the rows of every micro-kernel.
const (
	queryBlock = 48
	keyBlock   = 256
)

// heads is the geometry of one attention operation. Row i of head j of the queries
// starts at qk[i·qkCols + j·dim], of the keys after all queries.
type heads struct {
	query, keyValue, dim int
	seq                  int
	qkCols, qkvCols      int
	scale                float32
}

func newHeads(h kernels.Heads, seq int, scale float32) heads {
	return heads{
		h.Query, h.KeyValue, h.Dim, seq,
		(h.Query + h.KeyValue) * h.Dim, (h.Query + 2*h.KeyValue) * h.Dim, scale,
	}
}

// key and value are the matrices of one key-value head of the sequence at row.
func (h *heads) key(qk []float32, row, kv int) simd.Mat {
	return simd.Rows(qk[row*h.qkCols+(h.query+kv)*h.dim:], h.qkCols)
}

func (h *heads) value(qkv []float32, row, kv int) simd.Mat {
	return simd.Rows(qkv[row*h.qkvCols+(h.query+h.keyValue+kv)*h.dim:], h.qkvCols)
}

// packBlocks packs rows of m in blocks of keyBlock.
func (h *heads) packBlocks(w *worker, dst []float32, m simd.Mat, trans bool) {
	for j := 0; j < h.seq; j += keyBlock {
		n := min(keyBlock, h.seq-j)
		part := simd.Mat{V: m.V[j*m.Row:], Row: m.Row, Col: m.Col}
		if trans {
			w.set.Pack(dst[h.dim*j:], part.T(), h.dim, n)
		} else {
			w.set.Pack(dst[w.set.PackLen(1, h.dim)*j:], part, n, h.dim)
		}
	}
}

// packLen is the length of dst for packBlocks.
func (h *heads) packLen(s *simd.Set, trans bool) int {
	if trans {
		return s.PackLen(h.dim, h.seq)
	}
	return h.seq * s.PackLen(1, h.dim)
}

// span is the part of a block of keys that a block of queries sees.
type span struct {
	from  int // first key
	depth int // keys in the block
	used  int // keys that any of the queries sees
	cols  int // those, up to whole panels
}

func (h *heads) span(w *worker, key, lastQuery int) span {
	s := span{from: key, depth: min(keyBlock, h.seq-key)}
	s.used = min(s.depth, lastQuery-key+1)
	width := w.set.Width()
	s.cols = min(s.depth, (s.used+width-1)/width*width)
	return s
}

// seen is how many keys of the block the query sees: those up to itself.
func (s *span) seen(query int) int { return max(0, min(s.depth, query-s.from+1)) }

func (c *compiler) attention(o kernels.Attention) step {
	h := newHeads(o.Heads, o.Seq, o.Scale)
	y, lse, largest, qk, qkv := c.loc(o.Y), c.loc(o.LSE), c.loc(o.MaxLogit), c.loc(o.QK), c.loc(o.QKV)
	keys, values := c.reserve(h.packLen(c.set, true)), c.reserve(h.packLen(c.set, false))
	scores, state := c.reserve(queryBlock*keyBlock), c.reserve(2*queryBlock)
	return func(w *worker) error {
		a := &w.attend // not a local: it would be on the heap in every step
		*a = attend{
			worker: w, heads: h, qk: w.f(qk), y: w.f(y), lse: w.f(lse),
			keys: w.f(keys), values: w.f(values), scores: w.f(scores),
			top: w.f(state)[:queryBlock], sum: w.f(state)[queryBlock:],
		}
		if largest.n > 0 {
			a.largest = w.f(largest)
			for i := range a.largest {
				a.largest[i] = float32(math.Inf(-1))
			}
		}
		group := h.query / h.keyValue
		for row := 0; row < qk.rows; row += h.seq {
			for kv := range h.keyValue {
				h.packBlocks(w, a.keys, h.key(a.qk, row, kv), true)
				h.packBlocks(w, a.values, h.value(w.f(qkv), row, kv), false)
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

// attend is the state of the forward of one run.
type attend struct {
	*worker
	heads
	qk, y, lse, largest  []float32
	keys, values, scores []float32
	top, sum             []float32 // largest logit and sum of exponentials of each query
}

// block attends from a block of queries, the first of them q, over all keys they see.
func (a *attend) block(row, head, q int) {
	rows, d, ld := min(queryBlock, a.seq-q), a.dim, a.query*a.dim
	queries := simd.Rows(a.qk[(row+q)*a.qkCols+head*d:], a.qkCols)
	out := a.y[(row+q)*ld+head*d:]
	for key := 0; key < q+rows; key += keyBlock {
		s := a.span(a.worker, key, q+rows-1)
		a.set.GemmPacked(a.pack, rows, s.cols, d, 1, queries, a.keys[d*key:], d, a.scores, keyBlock, false)
		for i := range rows {
			a.softmax(i, a.scores[i*keyBlock:i*keyBlock+s.cols], s.seen(q+i), out[i*ld:i*ld+d], key == 0)
		}
		a.set.GemmPacked(a.pack, rows, d, s.used, 1, simd.Rows(a.scores, keyBlock),
			a.values[a.set.PackLen(1, d)*key:], s.depth, out, ld, key > 0)
	}
	for i := range rows {
		o := out[i*ld : i*ld+d]
		a.set.Scale(o, o, 1/a.sum[i])
		a.lse[(row+q+i)*a.query+head] = float32(float64(a.top[i]) + math.Log(float64(a.sum[i])))
		if a.largest != nil && a.top[i] > a.largest[head] {
			a.largest[head] = a.top[i]
		}
	}
}

// softmax turns a row of scores into exponentials relative to the largest so far, and
// rescales what the query has gathered (Milakov and Gimelshein 2018).
func (a *attend) softmax(i int, row []float32, seen int, out []float32, first bool) {
	clear(row[seen:])
	if seen == 0 {
		return
	}
	row = row[:seen]
	top := a.scale * a.set.Max(row)
	if !first && a.top[i] > top {
		top = a.top[i]
	}
	sum := a.set.ExpSum(row, row, a.scale, top)
	if !first {
		if top != a.top[i] {
			f := float32(math.Exp(float64(a.top[i]) - float64(top)))
			a.sum[i] *= f
			a.set.Scale(out, out, f)
		}
		sum += a.sum[i]
	}
	a.top[i], a.sum[i] = top, sum
}
