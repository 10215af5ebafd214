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

// checkTokens reports the first token outside of a table.
func checkTokens(op string, tokens []int32, limit int) error {
	for i, t := range tokens {
		if t < 0 || int(t) >= limit {
			return fmt.Errorf("%s: %d at position %d is not in 0…%d", op, t, i, limit-1)
		}
	}
	return nil
}

func (c *compiler) embed(o kernels.Embed) step {
	y, table, tokens := c.loc(o.Y), c.loc(o.Table), c.loc(o.Tokens)
	scale, d := one(o.Scale), y.cols
	return func(w *worker) error {
		ids, from, to := w.ints(tokens), w.f(table), w.f(y)
		if err := checkTokens("Embed: token", ids, table.rows); err != nil {
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
		if err := checkTokens("EmbedGrad: token", ids, table.rows); err != nil {
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
		for i := range rs {
			row := in[i*d : (i+1)*d]
			if residual.n > 0 {
				s := h[i*d : (i+1)*d]
				w.set.Axpby(s, row, add[i*d:(i+1)*d], 1, scale)
				row = s
			}
			rs[i] = w.rstd(row, o.Eps)
			w.set.NormApply(out[i*d:(i+1)*d], row, g, rs[i])
		}
		return nil
	}
}

// rstd is 1/√(mean x² + eps).
func (w *worker) rstd(x []float32, eps float32) float32 {
	return float32(1 / math.Sqrt(float64(w.set.SumSq(x))/float64(len(x))+float64(eps)))
}

func (c *compiler) rmsNormGrad(o kernels.RMSNormGrad) step {
	dx, dgain, dy := c.loc(o.DX), c.loc(o.DGain), c.loc(o.DY)
	x, gain, rstd := c.loc(o.X), c.loc(o.Gain), c.loc(o.RStd)
	d := x.cols
	return func(w *worker) error {
		in, g, dg := w.f(x), w.f(gain), w.f(dgain)
		from, to := w.f(dy), w.f(dx)
		for i, r := range w.f(rstd) {
			at, until := i*d, (i+1)*d
			w.normGrad(to[at:until], dg, from[at:until], in[at:until], g, r, o.Add)
		}
		return nil
	}
}

// normGrad is the gradient of y = x·r·g with r = 1/√(mean x² + ε):
// dx = r·dy∘g − x·r³·mean(dy∘g∘x), dg += dy∘x·r.
func (w *worker) normGrad(dx, dg, dy, x, g []float32, r float32, add bool) {
	dot := w.set.Dot3(dy, x, g)
	b := float32(float64(r) * float64(r) * float64(r) * float64(dot) / float64(len(x)))
	w.set.GainGrad(dg, dy, x, r)
	if add {
		w.set.NormGradAdd(dx, dy, x, g, r, b)
	} else {
		w.set.NormGrad(dx, dy, x, g, r, b)
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
	y, x := c.loc(o.Y), c.loc(o.X)
	return func(w *worker) error {
		copy(w.ints(y), w.ints(x))
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
