package cuda

import "github.com/etastar/etastar/kernels"

func (c *compiler) log(o kernels.Log) {
	ring := c.info(o.Ring)
	a := logArgs{ring: c.out32(o.Ring), cursor: c.out32(o.Cursor), runs: c.slots(), rows: int32(ring.Rows()), n: int32(ring.Cols())}
	for i, x := range o.X {
		a.x[i] = c.in32(x)
	}
	c.add("log_row", 1, 1, raw(&a))
}
