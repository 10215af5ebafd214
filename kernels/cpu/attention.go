package cpu

import (
	"math"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/internal/simd"
)

// Attention works on blocks of this many queries and keys. Scores are kept transposed,
// a row a key and a column a query: what a softmax does is then the same for every lane,
// and the small head dimension is never the one that vectors run along. The scores of a
// block take 16 KB.
const (
	queryBlock = simd.Columns
	keyBlock   = 4 * queryBlock
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

// key and value are where one key-value head of the sequence at row starts.
func (h *heads) key(qk []float32, row, kv int) []float32 {
	return qk[row*h.qkCols+(h.query+kv)*h.dim:]
}

func (h *heads) value(qkv []float32, row, kv int) []float32 {
	return qkv[row*h.qkvCols+(h.query+h.keyValue+kv)*h.dim:]
}

// compact copies the rows of a head to dst, one after another.
func (h *heads) compact(dst, src []float32, stride int) {
	for i := range h.seq {
		copy(dst[i*h.dim:(i+1)*h.dim], src[i*stride:])
	}
}

// columns transposes n rows of a head to the columns of dst [dim, queryBlock]; what is
// left of them is zero.
func (h *heads) columns(w *worker, dst, src []float32, stride, n int) {
	if n < queryBlock {
		clear(dst)
	}
	w.set.Transpose(dst, queryBlock, src, stride, n, h.dim)
}

// products writes (keys·x)ᵀ of a block: keys [n, dim], x [dim, queryBlock].
func (h *heads) products(w *worker, dst, keys, x []float32, n int) {
	w.set.GemmInPlace(n, queryBlock, h.dim, 1, simd.Rows(keys, h.dim), simd.Rows(x, queryBlock), dst, queryBlock, false)
}

// mix is dst = valuesᵀ·p, or dst += the same with add: values [n, dim], p [n, queryBlock].
func (h *heads) mix(w *worker, dst, values, p []float32, n int, add bool) {
	w.set.GemmInPlace(h.dim, queryBlock, n, 1, simd.Rows(values, h.dim).T(), simd.Rows(p, queryBlock), dst, queryBlock, add)
}

// mask hides from query q+j the keys after it; the first row of scores is key.
func mask(scores []float32, key, q, rows int) {
	for j := max(1, key-q); j < min(rows, key-q+keyBlock); j++ {
		at := (q - key + j) * queryBlock
		copy(scores[at:at+j], minusInf[:])
	}
}

var minusInf = func() (v [queryBlock]float32) {
	for i := range v {
		v[i] = float32(math.Inf(-1))
	}
	return v
}()

func (c *compiler) attention(o kernels.Attention) step {
	h := newHeads(o.Heads, o.Seq, o.Scale)
	y, lse, largest, qk, qkv := c.loc(o.Y), c.loc(o.LSE), c.loc(o.MaxLogit), c.loc(o.QK), c.loc(o.QKV)
	keys, values := c.reserve(h.seq*h.dim), c.reserve(h.seq*h.dim)
	queries, outs := c.reserve(h.dim*queryBlock), c.reserve(h.dim*queryBlock)
	scores := c.reserve(keyBlock * queryBlock)
	return func(w *worker) error {
		a := &w.attend // not a local: it would be on the heap in every step
		*a = attend{
			worker: w, heads: h, qk: w.f(qk), y: w.f(y), lse: w.f(lse),
			keys: w.f(keys), values: w.f(values), queries: w.f(queries), outs: w.f(outs), scores: w.f(scores),
		}
		if a.largest = w.f(largest); w.chunk == 0 {
			for i := range a.largest {
				a.largest[i] = float32(math.Inf(-1))
			}
		}
		group := h.query / h.keyValue
		for row := 0; row < qk.rows; row += h.seq {
			for kv := range h.keyValue {
				h.compact(a.keys, h.key(a.qk, row, kv), h.qkCols)
				h.compact(a.values, h.value(w.f(qkv), row, kv), h.qkvCols)
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
	qk, y, lse, largest []float32
	keys, values        []float32 // of one head [seq, dim]
	queries, outs       []float32 // of a block [dim, queryBlock]
	scores              []float32 // of a block [keyBlock, queryBlock]

	top, shift, sum, factor [queryBlock]float32
}

// block attends from a block of queries, the first of them q, over all keys they see. It
// keeps the largest score so far and the sum of exponentials relative to it, and rescales
// what is gathered when it grows (Milakov and Gimelshein 2018).
func (a *attend) block(row, head, q int) {
	rows, d, ld := min(queryBlock, a.seq-q), a.dim, a.query*a.dim
	a.columns(a.worker, a.queries, a.qk[(row+q)*a.qkCols+head*d:], a.qkCols, rows)
	a.top, a.sum = minusInf, [queryBlock]float32{}
	for key := 0; key < q+rows; key += keyBlock {
		n := min(keyBlock, q+rows-key)
		s := a.scores[:n*queryBlock]
		a.products(a.worker, s, a.keys[key*d:], a.queries, n)
		mask(s, key, q, rows)
		a.set.ColMax(s, a.top[:])
		a.factor = a.shift
		a.set.Scale(a.shift[:], a.top[:], a.scale)
		if key > 0 {
			a.set.Axpy(a.factor[:], a.shift[:], -1)
			a.set.ExpSum(a.factor[:], a.factor[:], 1, 0)
			a.set.ColScale(a.sum[:], a.factor[:])
			a.set.ColScale(a.outs, a.factor[:])
		}
		a.set.ColExp(s, a.shift[:], a.sum[:], a.scale)
		a.mix(a.worker, a.outs, a.values[key*d:], s, n, key > 0)
	}
	for i, sum := range a.sum {
		a.factor[i] = 1 / sum
	}
	a.set.ColScale(a.outs, a.factor[:])
	a.set.Transpose(a.y[(row+q)*ld+head*d:], ld, a.outs, queryBlock, d, rows)
	for i := range rows {
		a.lse[(row+q+i)*a.query+head] = float32(float64(a.shift[i]) + math.Log(float64(a.sum[i])))
	}
	if len(a.largest) > 0 {
		a.largest[head] = max(a.largest[head], a.set.Max(a.shift[:rows]))
	}
}
