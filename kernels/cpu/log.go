package cpu

import "github.com/etastar/etastar/kernels"

func (c *compiler) log(o kernels.Log) step {
	ring, cursor, xs := c.loc(o.Ring), c.loc(o.Cursor), c.locs(o.X)
	return func(w *worker) error {
		at, rows := w.ints(cursor), w.f(ring)
		row := rows[int(uint32(at[0]))%ring.rows*ring.cols:]
		for i, x := range xs {
			row[i] = w.f(x)[0]
		}
		at[0]++
		return nil
	}
}
