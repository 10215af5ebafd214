package cpu

import (
	"math"

	"github.com/etastar/etastar/kernels"
)

// ropeKey names a table of rotations.
type ropeKey struct {
	theta      float64
	dim, limit int
}

// ropeTable has dim/2 cosines, then dim/2 sines, for every position.
type ropeTable []float32

func (c *compiler) ropeTable(theta float64, dim, limit int) ropeTable {
	key := ropeKey{theta, dim, limit}
	if t, ok := c.ropes[key]; ok {
		return t
	}
	var t ropeTable
	if !c.dry {
		t = make(ropeTable, limit*dim)
		half := dim / 2
		for p := range limit {
			for i := range half {
				angle := float64(p) * math.Pow(theta, -2*float64(i)/float64(dim))
				sin, cos := math.Sincos(angle)
				t[p*dim+i], t[p*dim+half+i] = float32(cos), float32(sin)
			}
		}
	}
	c.ropes[key] = t
	return t
}

// rotary applies a table to heads, forwards or back.
type rotary struct {
	table     ropeTable
	positions loc
	limit     int
	dim       int
}

func (c *compiler) rotary(theta float64, positions kernels.Buffer, dim, limit int) rotary {
	if theta == 0 {
		return rotary{}
	}
	return rotary{c.ropeTable(theta, dim, limit), c.loc(positions), limit, dim}
}

// rows returns the positions of the run's rows, or nothing where nothing rotates.
func (r *rotary) rows(w *worker, what string) ([]int32, error) {
	if r.dim == 0 {
		return nil, nil
	}
	p := w.ints(r.positions)
	return p, checkTokens(what, p, w.chunk*len(p), r.limit)
}

// turn writes the rotation of n heads, one after another in x, to y, which may be x.
func (r *rotary) turn(w *worker, y, x []float32, n int, position int32, sign float32) {
	half := r.dim / 2
	t := r.table[int(position)*r.dim : (int(position)+1)*r.dim]
	w.set.RotateRows(y, y[half:], x, x[half:], t[:half], t[half:], n, r.dim, r.dim, sign)
}

func (c *compiler) qkNormRope(o kernels.QKNormRope) step {
	qk, qkv := c.loc(o.QK), c.loc(o.QKV)
	qgain, kgain, rstd := c.loc(o.QGain), c.loc(o.KGain), c.loc(o.RStd)
	q, k, d := o.Heads.Query, o.Heads.KeyValue, o.Heads.Dim
	rope := c.rotary(o.Theta, o.Positions, d, o.MaxPosition)
	return func(w *worker) error {
		positions, err := rope.rows(w, "QKNormRope: position")
		if err != nil {
			return err
		}
		var rs, gq, gk []float32
		if qgain.n > 0 {
			rs, gq, gk = w.f(rstd), w.f(qgain), w.f(kgain)
		}
		in, out := w.f(qkv), w.f(qk)
		for i := range qk.rows {
			x, y := in[i*qkv.cols:i*qkv.cols+qk.cols], out[i*qk.cols:(i+1)*qk.cols]
			switch {
			case rs != nil:
				r := rs[i*(q+k) : (i+1)*(q+k)]
				w.set.NormRows(y, x, gq, r, q, d, d, o.Eps)
				w.set.NormRows(y[q*d:], x[q*d:], gk, r[q:], k, d, d, o.Eps)
				x = y
			case positions == nil:
				copy(y, x)
			}
			if positions != nil {
				rope.turn(w, y, x, q+k, positions[i], 1)
			}
		}
		return nil
	}
}

func (c *compiler) qkNormRopeGrad(o kernels.QKNormRopeGrad) step {
	dqk, dqkv, qkv := c.loc(o.DQK), c.loc(o.DQKV), c.loc(o.QKV)
	qgain, kgain, rstd := c.loc(o.QGain), c.loc(o.KGain), c.loc(o.RStd)
	dqgain, dkgain := c.loc(o.DQGain), c.loc(o.DKGain)
	q, k, d := o.Heads.Query, o.Heads.KeyValue, o.Heads.Dim
	rope := c.rotary(o.Theta, o.Positions, d, o.MaxPosition)
	turned := c.reserve(dqk.cols)
	return func(w *worker) error {
		positions, err := rope.rows(w, "QKNormRopeGrad: position")
		if err != nil {
			return err
		}
		var rs, gq, gk, dgq, dgk, in []float32
		if qgain.n > 0 {
			rs, gq, gk, dgq, dgk, in = w.f(rstd), w.f(qgain), w.f(kgain), w.f(dqgain), w.f(dkgain), w.f(qkv)
		}
		from, to, t := w.f(dqk), w.f(dqkv), w.f(turned)
		for i := range dqk.rows {
			dy, dx := from[i*dqk.cols:(i+1)*dqk.cols], to[i*dqkv.cols:i*dqkv.cols+dqk.cols]
			if positions != nil {
				rope.turn(w, t, dy, q+k, positions[i], -1)
				dy = t
			}
			if rs == nil {
				copy(dx, dy)
				continue
			}
			x, r := in[i*qkv.cols:i*qkv.cols+dqk.cols], rs[i*(q+k):(i+1)*(q+k)]
			w.set.NormGradRows(dx, dy, x, gq, dgq, r, q, d, d, d)
			w.set.NormGradRows(dx[q*d:], dy[q*d:], x[q*d:], gk, dgk, r[q:], k, d, d, d)
		}
		return nil
	}
}
