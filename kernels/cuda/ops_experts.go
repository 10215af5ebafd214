package cuda

import (
	"fmt"

	"github.com/etastar/etastar/kernels"
)

// routeRows are the tokens of a block of the router, routeWidths the most experts of its
// kernels.
const (
	routeRows  = 32
	maxExperts = 512
)

var routeWidths = []int{64, 128, 256, maxExperts}

func (c *compiler) route(o kernels.Route) {
	logits, index := c.info(o.Logits), c.info(o.Index)
	n, e, k := logits.Rows(), logits.Cols(), index.Cols()
	a := routeArgs{
		logits: c.in32(o.Logits), probs: c.out32(o.Probs), index: c.out32(o.Index), weight: c.out32(o.Weight), slot: c.out32(o.Slot),
		offsets: c.out32(o.Offsets), counts: c.out32(o.Counts), loss: c.out32(o.Loss), runs: c.slots(),
		n: int32(n), e: int32(e), k: int32(k), raw: flag(o.Raw),
	}
	if e > maxExperts {
		c.fail("%d experts; the kernels take at most %d", e, maxExperts)
	}
	groups := ceil(n, routeRows)
	a.work = c.tmp((2*int64(groups)+2)*int64(e), wide)
	for _, most := range routeWidths {
		if e <= most {
			c.add(fmt.Sprint("route_", most), groups, 1, raw(&a))
			break
		}
	}
	c.add("route_scan", ceil(e, 32), 1, raw(&a))
	c.add("route_slots", groups, 1, raw(&a))
}

func (c *compiler) routeGrad(o kernels.RouteGrad) {
	probs, index := c.info(o.Probs), c.info(o.Index)
	n, e, k := probs.Rows(), probs.Cols(), index.Cols()
	dlogits, kind := c.outAny(o.DLogits)
	a := routeGradArgs{
		dlogits: dlogits, dweight: c.in32(o.DWeight), probs: c.in32(o.Probs), index: c.in32(o.Index), weight: c.in32(o.Weight),
		offsets: c.in32(o.Offsets), scale: c.in32(o.Scale), runs: c.slots(),
		n: int32(n), e: int32(e), k: int32(k), raw: flag(o.Raw), coefficient: o.Coefficient,
	}
	c.add("route_grad"+kind, ceil(n, 8), 1, raw(&a))
}

func (c *compiler) dispatch(o kernels.Dispatch) {
	x, slot := c.info(o.X), c.info(o.Slot)
	n, d, k := x.Rows(), x.Cols(), slot.Cols()
	a := dispatchArgs{y: c.out16(o.Y), x: c.in16(o.X), slot: c.in32(o.Slot), runs: c.slots(), n: int32(n), k: int32(k), d: int32(d)}
	kernel, vec := "dispatch", 8
	if !eights(d, a.y, a.x) {
		kernel, vec = "dispatch_any", 1
	}
	c.add(kernel, ceil(n*(d/vec), 256), 1, raw(&a))
}

func (c *compiler) combine(o kernels.Combine) {
	y, slot := c.info(o.Y), c.info(o.Slot)
	n, d, k := y.Rows(), y.Cols(), slot.Cols()
	a := combineArgs{
		y: c.out16(o.Y), x: c.in16(o.X), slot: c.in32(o.Slot), weight: c.in32(o.Weight), runs: c.slots(),
		n: int32(n), k: int32(k), d: int32(d), add: flag(o.Add), scale: one(o.Scale),
	}
	kernel, vec := "combine", 8
	if !eights(d, a.y, a.x) {
		kernel, vec = "combine_any", 1
	}
	c.add(kernel, ceil(n*(d/vec), 256), 1, raw(&a))
}

// combineGradWidths are the most columns of the kernels that hold a row in registers,
// and how many lanes have it.
var combineGradWidths = []struct{ width, lanes int }{{64, 8}, {128, 16}, {256, 32}, {512, 32}, {1024, 32}}

func (c *compiler) combineGrad(o kernels.CombineGrad) {
	dy, slot := c.info(o.DY), c.info(o.Slot)
	n, d, k := dy.Rows(), dy.Cols(), slot.Cols()
	a := combineGradArgs{
		dx: c.out16(o.DX), dweight: c.out32(o.DWeight), dy: c.in16(o.DY), x: c.in16(o.X), slot: c.in32(o.Slot), weight: c.in32(o.Weight),
		runs: c.slots(), n: int32(n), k: int32(k), d: int32(d), scale: one(o.Scale),
	}
	if eights(d, a.dx, a.dy, a.x) {
		for _, v := range combineGradWidths {
			if d <= v.width {
				c.add(fmt.Sprint("combine_grad_", v.width), ceil(n*v.lanes, 256), 1, raw(&a))
				return
			}
		}
	}
	c.add("combine_grad_any", ceil(n*k, 8), 1, raw(&a))
}
