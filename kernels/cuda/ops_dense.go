package cuda

import (
	"fmt"

	"github.com/etastar/etastar/kernels"
)

func (c *compiler) operation(op kernels.Op) error {
	switch o := op.(type) {
	case kernels.MatMul:
		c.matMul(o)
	case kernels.Embed:
		c.embed(o)
	case kernels.EmbedGrad:
		c.embedGrad(o)
	case kernels.RMSNorm:
		c.rmsNorm(o)
	case kernels.RMSNormGrad:
		c.rmsNormGrad(o)
	case kernels.QKNormRope:
		c.qkNormRope(o)
	case kernels.QKNormRopeGrad:
		c.qkNormRopeGrad(o)
	case kernels.Attention:
		c.attention(o)
	case kernels.AttentionGrad:
		c.attentionGrad(o)
	case kernels.SwiGLU:
		c.swiGLU(o)
	case kernels.SwiGLUGrad:
		c.swiGLUGrad(o)
	case kernels.Route:
		c.route(o)
	case kernels.RouteGrad:
		c.routeGrad(o)
	case kernels.Dispatch:
		c.dispatch(o)
	case kernels.Combine:
		c.combine(o)
	case kernels.CombineGrad:
		c.combineGrad(o)
	case kernels.GroupMatMul:
		c.groupMatMul(o)
	case kernels.GroupMatMulGrad:
		c.groupMatMulGrad(o)
	case kernels.Head:
		c.head(o)
	case kernels.Blend:
		c.blend(o)
	case kernels.Copy:
		c.copy(o)
	case kernels.Zero:
		c.zero(o)
	case kernels.Sum:
		c.sum(o)
	case kernels.Stats:
		c.stats(o)
	case kernels.GradNorm:
		c.gradNorm(o)
	case kernels.Log:
		c.log(o)
	case kernels.AdamW:
		c.adamW(o)
	default:
		return fmt.Errorf("%T is not an operation that the cuda backend knows", op)
	}
	return nil
}

func (c *compiler) embed(o kernels.Embed) {
	y, table, tokens := c.info(o.Y), c.info(o.Table), c.info(o.Tokens)
	c.rowsOf("Embed: token", o.Tokens, table.Rows(), false)
	n, d := tokens.Len(), y.Cols()
	a := embedArgs{
		y: c.out32(o.Y), table: c.in32(o.Table), tokens: c.in32(o.Tokens),
		runs: c.slots(), n: int32(n), d: int32(d), v: int32(table.Rows()), scale: one(o.Scale),
	}
	if c.quads(d, a.y, a.table) {
		c.add("embed", ceil(n*(d/4), 512), 1, raw(&a))
	} else {
		c.add("embed_any", ceil(n*d, 512), 1, raw(&a))
	}
}

// quads reports whether rows of d float32 can be read four at a time.
func (c *compiler) quads(d int, refs ...ref) bool {
	ok := d%4 == 0
	for _, r := range refs {
		ok = ok && r.p%16 == 0
	}
	return ok
}

// The rows that one piece of embed_grad takes.
func embedPiece(n int) int {
	if n <= 16384 {
		return 16
	}
	return 32
}

func (c *compiler) embedGrad(o kernels.EmbedGrad) {
	table, in := c.info(o.DTable), c.info(o.DY)
	n, d, v := in.Rows(), in.Cols(), table.Rows()
	c.rowsOf("EmbedGrad: token", o.Tokens, v, false)
	piece := embedPiece(n)
	pieces := ceil(n, piece)
	dy, kind := c.inAny(o.DY)
	a := embedGradArgs{
		dtable: c.out32(o.DTable), dy: dy, work: c.tmp(int64(pieces)*2*int64(d), wide),
		order: c.sharedTmp(int64(n) * 4), sorted: c.sharedTmp(int64(n) * 4), first: c.sharedTmp(int64(v+1) * 4),
		n: int32(n), d: int32(d), v: int32(v), piece: int32(piece), scale: one(o.Scale),
	}
	c.eachRun(o.Tokens, func(run int, tokens, slots uint64) {
		a.runs = slots
		index := tokenIndexArgs{tokens: tokens, order: a.order, sorted: a.sorted, first: a.first, n: a.n, v: a.v}
		c.once(run, "token_index", max(ceil(v, 256), min(v, 128)), raw(&index))
		if c.quads(d, a.dtable, a.dy) {
			c.addFor(run, "embed_grad"+kind, ceil(pieces*(d/4), 128), 1, raw(&a))
			c.addFor(run, "embed_grad_finish", pieces, ceil(d, 128), raw(&a))
		} else {
			c.addFor(run, "embed_grad_any"+kind, ceil(pieces*d, 128), 1, raw(&a))
			c.addFor(run, "embed_grad_finish_any", pieces, ceil(d, 32), raw(&a))
		}
	})
}

// normWidths are the row lengths up to which there are kernels that hold a row in
// registers.
var normWidths = []int{64, 128, 256, 512, 768, 1024}

// normWidth is the kernel for rows of d elements.
func (c *compiler) normWidth(d int, refs ...ref) (suffix string, rows int) {
	if !c.quads(d, refs...) {
		return "any", 1
	}
	for _, w := range normWidths {
		if d > w {
			continue
		}
		return fmt.Sprint(w), max(4, 1024/w)
	}
	return "any", 1
}

func (c *compiler) rmsNorm(o kernels.RMSNorm) {
	x := c.info(o.X)
	n, d := x.Rows(), x.Cols()
	residual, kind := c.inAny(o.Residual)
	a := rmsNormArgs{
		x: c.in32(o.X), residual: residual, sum: c.out32(o.Sum), y: c.out16(o.Y), rstd: c.out32(o.RStd), gain: c.in32(o.Gain),
		runs: c.slots(), n: int32(n), d: int32(d), residualScale: one(o.ResidualScale), eps: o.Eps,
	}
	width, rows := c.normWidth(d, a.x, a.residual, a.sum, a.y, a.gain)
	c.add("rmsnorm"+kind+"_"+width, ceil(n, rows), 1, raw(&a))
}

func (c *compiler) rmsNormGrad(o kernels.RMSNormGrad) {
	x := c.info(o.X)
	n, d := x.Rows(), x.Cols()
	// As many blocks as a large card, of 132 multiprocessors, has room for at once. The sums
	// of a run have an order that follows from them, so they do not depend on the card.
	most := 396
	if d > 512 {
		most = 264
	}
	blocks := min(ceil(n, 16), most)
	dy, kind := c.inAny(o.DY)
	dx, dx16 := c.outKept(o.DX)
	a := rmsNormGradArgs{
		dx: dx, dx16: dx16, dy: dy, x: c.in32(o.X), gain: c.in32(o.Gain), rstd: c.in32(o.RStd), dgain: c.out32(o.DGain),
		work: c.tmp(int64(blocks)*int64(d), wide), runs: c.slots(), n: int32(n), d: int32(d), add: flag(o.Add), blocks: int32(blocks),
	}
	width, _ := c.normWidth(d, a.dx, a.dx16, a.dy, a.x, a.gain)
	c.add("rmsnorm_grad"+kind+"_"+width, blocks, 1, raw(&a))
	if width != "any" {
		// Two stages for 256 threads, each with as many vectors of four elements of x, dx16 and dy.
		vectors := max(2, ceil(d, 256))
		c.last().shared = 2 * 256 * vectors * (4*4 + 4*2 + 4*int(c.have(o.DY).size()))
	}
	c.beside(nil, o.DGain)
	c.add("rmsnorm_grad_gain", ceil(d, 32), 1, raw(&a))
}

// eights reports whether rows of d bfloat16 can be read eight at a time.
func eights(d int, refs ...ref) bool { return vectors(refs, d) }

func (c *compiler) swiGLU(o kernels.SwiGLU) {
	y := c.info(o.Y)
	n, f := y.Rows(), y.Cols()
	a := swiGLUArgs{y: c.out16(o.Y), x: c.in16(o.X), runs: c.slots(), n: int64(n), f: int32(f)}
	kernel, vec := "swiglu", 8
	if !eights(f, a.y, a.x) {
		kernel, vec = "swiglu_any", 1
	}
	c.add(kernel, ceil(n*(f/vec), 256), 1, raw(&a))
}

func (c *compiler) swiGLUGrad(o kernels.SwiGLUGrad) {
	dy := c.info(o.DY)
	n, f := dy.Rows(), dy.Cols()
	a := swiGLUGradArgs{dx: c.out16(o.DX), dy: c.in16(o.DY), x: c.in16(o.X), runs: c.slots(), n: int64(n), f: int32(f)}
	kernel, vec := "swiglu_grad", 8
	if !eights(f, a.dx, a.dy, a.x) {
		kernel, vec = "swiglu_grad_any", 1
	}
	c.add(kernel, ceil(n*(f/vec), 256), 1, raw(&a))
}
