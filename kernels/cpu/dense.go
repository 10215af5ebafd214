package cpu

import (
	"fmt"
	"math"

	"github.com/etastar/etastar/kernels"
)

func (c *compiler) matMul(o kernels.MatMul) step {
	y, a, b := c.loc(o.Y), c.loc(o.A), c.loc(o.B)
	k, alpha := a.cols, one(o.Alpha)
	if o.TransA {
		k = a.rows
	}
	return func(w *worker) error {
		w.set.Gemm(w.pack, y.rows, y.cols, k, alpha, w.mat(a, o.TransA), w.mat(b, o.TransB), w.f(y), y.cols, o.Add)
		return nil
	}
}

// checkTokens reports the first token outside of a table; from is the position of the first.
func checkTokens(op string, tokens []int32, from, limit int) error {
	for i, t := range tokens {
		if t < 0 || int(t) >= limit {
			return fmt.Errorf("%s: %d at position %d is not in 0…%d", op, t, from+i, limit-1)
		}
	}
	return nil
}

func (c *compiler) embed(o kernels.Embed) step {
	y, table, tokens := c.loc(o.Y), c.loc(o.Table), c.loc(o.Tokens)
	scale, d := one(o.Scale), y.cols
	return func(w *worker) error {
		ids, from, to := w.ints(tokens), w.f(table), w.f(y)
		if err := checkTokens("Embed: token", ids, w.chunk*len(ids), table.rows); err != nil {
			return err
		}
		for i, t := range ids {
			w.set.Scale(to[i*d:(i+1)*d], from[int(t)*d:(int(t)+1)*d], scale)
		}
		return nil
	}
}

func (c *compiler) embedGrad(o kernels.EmbedGrad) step {
	table, dy, tokens := c.loc(o.DTable), c.loc(o.DY), c.loc(o.Tokens)
	scale, d := one(o.Scale), dy.cols
	return func(w *worker) error {
		ids, from, to := w.ints(tokens), w.f(dy), w.f(table)
		if err := checkTokens("EmbedGrad: token", ids, w.chunk*len(ids), table.rows); err != nil {
			return err
		}
		for i, t := range ids {
			w.set.Axpy(to[int(t)*d:(int(t)+1)*d], from[i*d:(i+1)*d], scale)
		}
		return nil
	}
}

func (c *compiler) rmsNorm(o kernels.RMSNorm) step {
	y, x, gain, rstd := c.loc(o.Y), c.loc(o.X), c.loc(o.Gain), c.loc(o.RStd)
	residual, sum := c.loc(o.Residual), c.loc(o.Sum)
	scale, d := one(o.ResidualScale), x.cols
	return func(w *worker) error {
		in, out, g, rs := w.f(x), w.f(y), w.f(gain), w.f(rstd)
		var add, h []float32
		if residual.n > 0 {
			add, h = w.f(residual), w.f(sum)
		}
		for from := 0; from < len(rs); from += rowBlock {
			until := min(from+rowBlock, len(rs))
			rows := in[from*d : until*d]
			if residual.n > 0 {
				rows = h[from*d : until*d]
				w.set.Axpby(rows, in[from*d:], add[from*d:], 1, scale)
			}
			w.set.NormRows(out[from*d:], rows, g, rs[from:], until-from, d, d, o.Eps)
		}
		return nil
	}
}

// rowBlock is how many rows a loop takes at a time that goes over them twice.
const rowBlock = 16

func (c *compiler) rmsNormGrad(o kernels.RMSNormGrad) step {
	dx, dgain, dy := c.loc(o.DX), c.loc(o.DGain), c.loc(o.DY)
	x, gain, rstd := c.loc(o.X), c.loc(o.Gain), c.loc(o.RStd)
	grad, d := c.set.NormGradRows, x.cols
	if o.Add {
		grad = c.set.NormGradAddRows
	}
	return func(w *worker) error {
		grad(w.f(dx), w.f(dy), w.f(x), w.f(gain), w.f(dgain), w.f(rstd), x.rows, d, d, d)
		return nil
	}
}

func (c *compiler) swiglu(o kernels.SwiGLU) step {
	y, x := c.loc(o.Y), c.loc(o.X)
	f := y.cols
	return func(w *worker) error {
		out, in := w.f(y), w.f(x)
		for i := range y.rows {
			row := in[2*i*f : 2*(i+1)*f]
			w.set.Swiglu(out[i*f:(i+1)*f], row[:f], row[f:])
		}
		return nil
	}
}

func (c *compiler) swigluGrad(o kernels.SwiGLUGrad) step {
	dx, dy, x := c.loc(o.DX), c.loc(o.DY), c.loc(o.X)
	f := dy.cols
	return func(w *worker) error {
		out, from, in := w.f(dx), w.f(dy), w.f(x)
		for i := range dy.rows {
			row, d := in[2*i*f:2*(i+1)*f], out[2*i*f:2*(i+1)*f]
			w.set.SwigluGrad(d[:f], d[f:], from[i*f:(i+1)*f], row[:f], row[f:])
		}
		return nil
	}
}

func (c *compiler) blend(o kernels.Blend) step {
	y, a, b := c.loc(o.Y), c.loc(o.A), c.loc(o.B)
	alpha, beta := one(o.Alpha), one(o.Beta)
	return func(w *worker) error {
		if b.n == 0 {
			w.set.Scale(w.f(y), w.f(a), alpha)
		} else {
			w.set.Axpby(w.f(y), w.f(a), w.f(b), alpha, beta)
		}
		return nil
	}
}

func (c *compiler) copy(o kernels.Copy) step {
	y, x := c.locs(o.Y), c.locs(o.X)
	return func(w *worker) error {
		for i := range y {
			copy(w.ints(y[i]), w.ints(x[i]))
		}
		return nil
	}
}

func (c *compiler) zero(o kernels.Zero) step {
	list := c.locs(o.Y)
	return func(w *worker) error {
		for _, l := range list {
			clear(w.f(l))
		}
		return nil
	}
}

func (c *compiler) sum(o kernels.Sum) step {
	y, x := c.loc(o.Y), c.loc(o.X)
	scale := float64(one(o.Scale))
	return func(w *worker) error {
		out, in, total := w.f(y), w.f(x), 0.0
		for len(in) > 0 {
			n := min(block, len(in))
			total += float64(w.set.Sum(in[:n]))
			in = in[n:]
		}
		total *= scale
		if o.Add {
			total += float64(out[0])
		}
		out[0] = float32(total)
		return nil
	}
}

func (c *compiler) stats(o kernels.Stats) step {
	list, out := c.locs(o.X), c.loc(o.Out)
	return func(w *worker) error {
		to := w.f(out)
		for i, l := range list {
			x := w.f(l)
			var sq, mag float64
			var top float32
			for rest := x; len(rest) > 0; {
				part := rest[:min(block, len(rest))]
				rest = rest[len(part):]
				sq += float64(w.set.SumSq(part))
				mag += float64(w.set.SumAbs(part))
				top = max(top, w.set.MaxAbs(part))
			}
			n := float64(len(x))
			row := to[i*kernels.StatFields:]
			row[0], row[1], row[2] = float32(math.Sqrt(sq/n)), float32(mag/n), top
			if math.IsNaN(sq) {
				row[2] = nan() // the largest passes over NaN
			}
		}
		return nil
	}
}
