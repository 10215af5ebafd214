package cpu

import (
	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/internal/simd"
)

func (c *compiler) route(o kernels.Route) step {
	logits, probs, index, weight := c.loc(o.Logits), c.loc(o.Probs), c.loc(o.Index), c.loc(o.Weight)
	slot, offsets, counts, loss := c.loc(o.Slot), c.loc(o.Offsets), c.loc(o.Counts), c.loc(o.Loss)
	n, e, k := logits.rows, logits.cols, index.cols
	mean := c.reserve(e)
	return func(w *worker) error {
		z, p, idx, wt := w.f(logits), w.f(probs), w.ints(index), w.f(weight)
		start, total := w.ints(offsets), w.f(mean)
		clear(total)
		clear(start)
		for i := range n {
			row := p[i*e : (i+1)*e]
			in := z[i*e : (i+1)*e]
			sum := w.set.ExpSum(row, in, 1, w.set.Max(in))
			w.set.Scale(row, row, 1/sum)
			w.set.Axpy(total, row, 1)
			choice, share := idx[i*k:(i+1)*k], wt[i*k:(i+1)*k]
			choose(row, choice)
			s := float32(0)
			for j, x := range choice {
				share[j] = row[x]
				s += row[x]
				start[x+1]++
			}
			if !o.Raw {
				for j := range share {
					share[j] /= s
				}
			}
		}
		if counts.n > 0 {
			copy(w.ints(counts), start[1:])
		}
		if loss.n > 0 {
			s := 0.0
			for x := range e {
				s += float64(start[x+1]) * float64(total[x])
			}
			w.f(loss)[0] = float32(s * float64(e) / float64(n) / float64(n))
		}
		for x := range e {
			start[x+1] += start[x]
		}
		to := w.ints(slot)
		for i, x := range idx {
			to[i] = start[x]
			start[x]++
		}
		// Every entry now holds the next expert's start.
		copy(start[1:], start[:e])
		start[0] = 0
		return nil
	}
}

// choose writes the numbers of the largest p, in falling order, the lower number first
// among equals. NaN is never larger, and the result is always valid and distinct.
func choose(p []float32, choice []int32) {
	found := 0
	for x, v := range p {
		if found == len(choice) && !(v > p[choice[found-1]]) {
			continue
		}
		if found < len(choice) {
			found++
		}
		j := found - 1
		for ; j > 0 && v > p[choice[j-1]]; j-- {
			choice[j] = choice[j-1]
		}
		choice[j] = int32(x)
	}
}

func (c *compiler) routeGrad(o kernels.RouteGrad) step {
	dlogits, dweight, probs := c.loc(o.DLogits), c.loc(o.DWeight), c.loc(o.Probs)
	index, weight, offsets, scale := c.loc(o.Index), c.loc(o.Weight), c.loc(o.Offsets), c.loc(o.Scale)
	n, e, k := probs.rows, probs.cols, index.cols
	balance := c.reserve(e)
	return func(w *worker) error {
		p, idx, wt, dw := w.f(probs), w.ints(index), w.f(weight), w.f(dweight)
		start, base, out := w.ints(offsets), w.f(balance), w.f(dlogits)
		f := float64(o.Coefficient) * float64(e) / float64(n) / float64(n)
		if scale.n > 0 {
			f *= float64(w.f(scale)[0])
		}
		for x := range base {
			base[x] = float32(f * float64(start[x+1]-start[x]))
		}
		for i := range n {
			row, d := p[i*e:(i+1)*e], out[i*e:(i+1)*e]
			copy(d, base)
			choice, share, from := idx[i*k:(i+1)*k], wt[i*k:(i+1)*k], dw[i*k:(i+1)*k]
			mean, sum := float32(0), float32(1)
			if !o.Raw {
				sum = 0
				for j, x := range choice {
					mean += from[j] * share[j]
					sum += row[x]
				}
			}
			for j, x := range choice {
				d[x] += (from[j] - mean) / sum
			}
			w.set.SoftmaxGrad(d, row, w.set.Dot(d, row), 1)
		}
		return nil
	}
}

func (c *compiler) dispatch(o kernels.Dispatch) step {
	y, x, slot := c.loc(o.Y), c.loc(o.X), c.loc(o.Slot)
	d, k := x.cols, slot.cols
	return func(w *worker) error {
		in, out := w.f(x), w.f(y)
		for i, s := range w.ints(slot) {
			copy(out[int(s)*d:(int(s)+1)*d], in[i/k*d:(i/k+1)*d])
		}
		return nil
	}
}

func (c *compiler) combine(o kernels.Combine) step {
	y, x, slot, weight := c.loc(o.Y), c.loc(o.X), c.loc(o.Slot), c.loc(o.Weight)
	scale, d, k := one(o.Scale), y.cols, slot.cols
	return func(w *worker) error {
		in, out := w.f(x), w.f(y)
		for i, s := range w.ints(slot) {
			f := scale
			if weight.n > 0 {
				f *= w.f(weight)[i]
			}
			from, to := in[int(s)*d:(int(s)+1)*d], out[i/k*d:(i/k+1)*d]
			if i%k == 0 && !o.Add {
				w.set.Scale(to, from, f)
			} else {
				w.set.Axpy(to, from, f)
			}
		}
		return nil
	}
}

func (c *compiler) combineGrad(o kernels.CombineGrad) step {
	dx, dweight, dy := c.loc(o.DX), c.loc(o.DWeight), c.loc(o.DY)
	x, slot, weight := c.loc(o.X), c.loc(o.Slot), c.loc(o.Weight)
	scale, d, k := one(o.Scale), dy.cols, slot.cols
	return func(w *worker) error {
		in, to, from, wt, dwt := w.f(x), w.f(dx), w.f(dy), w.f(weight), w.f(dweight)
		for i, s := range w.ints(slot) {
			row := from[i/k*d : (i/k+1)*d]
			at, until := int(s)*d, (int(s)+1)*d
			w.set.Scale(to[at:until], row, scale*wt[i])
			dwt[i] = scale * w.set.Dot(row, in[at:until])
		}
		return nil
	}
}

// expert is the rows of expert e of a matrix.
func expert(v []float32, start []int32, e, cols int) (part []float32, rows int) {
	from, until := int(start[e]), int(start[e+1])
	return v[from*cols : until*cols], until - from
}

func (c *compiler) groupMatMul(o kernels.GroupMatMul) step {
	y, a, wt, offsets := c.loc(o.Y), c.loc(o.A), c.loc(o.W), c.loc(o.Offsets)
	alpha, k, n := one(o.Alpha), a.cols, y.cols
	return func(w *worker) error {
		start, in, out, weights := w.ints(offsets), w.f(a), w.f(y), w.f(wt)
		for e := range len(start) - 1 {
			x, rows := expert(in, start, e, k)
			to, _ := expert(out, start, e, n)
			b := simd.Rows(weights[e*k*n:(e+1)*k*n], n)
			if o.TransW {
				b = simd.Rows(b.V, k).T()
			}
			w.set.Gemm(w.pack, rows, n, k, alpha, simd.Rows(x, k), b, to, n, o.Add)
		}
		return nil
	}
}

func (c *compiler) groupMatMulGrad(o kernels.GroupMatMulGrad) step {
	dw, dy, x, offsets := c.loc(o.DW), c.loc(o.DY), c.loc(o.X), c.loc(o.Offsets)
	alpha, n, k := one(o.Alpha), dy.cols, x.cols
	return func(w *worker) error {
		start, from, in, out := w.ints(offsets), w.f(dy), w.f(x), w.f(dw)
		for e := range len(start) - 1 {
			g, rows := expert(from, start, e, n)
			a, _ := expert(in, start, e, k)
			w.set.Gemm(w.pack, n, k, rows, alpha, simd.Rows(g, n).T(), simd.Rows(a, k), out[e*n*k:(e+1)*n*k], k, o.Add)
		}
		return nil
	}
}
