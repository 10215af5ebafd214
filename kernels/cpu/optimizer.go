package cpu

import (
	"math"

	"github.com/etastar/etastar/kernels"
)

func (c *compiler) gradNorm(o kernels.GradNorm) step {
	grads, limit, norm, clip := c.locs(o.Grads), c.loc(o.MaxNorm), c.loc(o.Norm), c.loc(o.Clip)
	return func(w *worker) error {
		sq := 0.0
		for _, g := range grads {
			sq += w.sumSq(w.f(g))
		}
		n, most := math.Sqrt(sq), float64(w.f(limit)[0])
		factor := 1.0
		switch {
		case math.IsNaN(n) || math.IsInf(n, 0):
			factor = math.NaN()
		case most > 0 && n > most:
			factor = most / n
		}
		w.f(norm)[0], w.f(clip)[0] = float32(n), float32(factor)
		return nil
	}
}

func (c *compiler) adamW(o kernels.AdamW) step {
	params, grads, m, v := c.locs(o.Params), c.locs(o.Grads), c.locs(o.M), c.locs(o.V)
	table, clip := c.loc(o.Table), c.loc(o.Clip)
	return func(w *worker) error {
		factor := float32(1)
		if clip.n > 0 {
			factor = w.f(clip)[0]
		}
		if factor != factor || math.IsInf(float64(factor), 0) {
			return nil
		}
		rows := w.f(table)
		for i := range params {
			t := rows[i*kernels.AdamFields : (i+1)*kernels.AdamFields]
			w.set.AdamW(w.f(params[i]), w.f(m[i]), w.f(v[i]), w.f(grads[i]), factor,
				t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7])
		}
		return nil
	}
}
