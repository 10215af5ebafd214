package cpu

import (
	"math"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/internal/simd"
)

// headChunk is how many rows of logits are held at once: enough that a pass over the
// weights and their gradient is worth it, in no more than 16 MB but for large V.
func headChunk(rows, vocabulary, asked int) int {
	if asked > 0 {
		return min(asked, rows)
	}
	return min(rows, min(max((4<<20)/vocabulary, 64), 1024))
}

func (c *compiler) head(o kernels.Head) step {
	x, wt, targets, loss := c.loc(o.X), c.loc(o.W), c.loc(o.Targets), c.loc(o.Loss)
	lse, dx, dw, scale := c.loc(o.LSE), c.loc(o.DX), c.loc(o.DW), c.loc(o.Scale)
	n, d, v := x.rows, x.cols, wt.rows
	all, _ := c.space.Info(o.Loss)
	chunk := headChunk(n, v, o.Chunk)
	logits := c.reserve(chunk * v)
	mult, grad := one(o.Multiplier), dx.n > 0 || dw.n > 0
	return func(w *worker) error {
		in, weights, ids, losses, z := w.f(x), w.mat(wt, false), w.ints(targets), w.f(loss), w.f(logits)
		for i, t := range ids {
			if t >= 0 {
				if err := checkTokens("Head: target", ids[i:i+1], w.chunk*n+i, v); err != nil {
					return err
				}
			}
		}
		factor := 1 / float32(all.Len())
		if scale.n > 0 {
			factor = w.f(scale)[0]
		}
		for from := 0; from < n; from += chunk {
			rows := min(chunk, n-from)
			a := simd.Rows(in[from*d:(from+rows)*d], d)
			w.set.Gemm(w.pack, rows, v, d, 1, a, weights.T(), z, v, false)
			for i := range rows {
				row, t := z[i*v:(i+1)*v], int(ids[from+i])
				at := float64(mult * row[max(t, 0)])
				shift := mult * w.set.Max(row)
				sum := float64(w.set.ExpSum(row, row, mult, shift))
				total := float64(shift) + math.Log(sum)
				if lse.n > 0 {
					w.f(lse)[from+i] = float32(total)
				}
				if t < 0 {
					losses[from+i] = 0
					clear(row)
					continue
				}
				losses[from+i] = float32(total - at)
				if grad {
					f := factor * mult
					w.set.Scale(row, row, float32(float64(f)*(1+2*float64(o.ZLoss)*total)/sum))
					row[t] -= f
				}
			}
			dz := simd.Rows(z[:rows*v], v)
			if dx.n > 0 {
				w.set.Gemm(w.pack, rows, d, v, 1, dz, weights, w.f(dx)[from*d:], d, false)
			}
			if dw.n > 0 {
				w.set.Gemm(w.pack, v, d, rows, 1, dz.T(), a, w.f(dw), d, true)
			}
		}
		return nil
	}
}
