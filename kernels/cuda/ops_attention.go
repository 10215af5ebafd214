package cuda

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/etastar/etastar/kernels"
)

// Head sizes that the attention kernels take.
const (
	headStep = 8
	headMax  = 128
)

func (c *compiler) headSize(h kernels.Heads) {
	if h.Dim%headStep != 0 || h.Dim > headMax {
		c.fail("heads of %d; on a GPU their size must be a multiple of %d, and at most %d", h.Dim, headStep, headMax)
	}
}

type ropeKey struct {
	theta      float64
	dim, limit int
}

// rope is the table of rotations [limit, dim]: cosines, then sines, of every position.
func (c *compiler) rope(theta float64, dim, limit int) uint64 {
	if theta == 0 {
		return 0
	}
	k := ropeKey{theta, dim, limit}
	if p, ok := c.ropes[k]; ok {
		return p
	}
	p := c.constant(int64(limit)*int64(dim)*4, func() []byte {
		b := make([]byte, 0, limit*dim*4)
		for pos := range limit {
			for _, f := range []func(float64) float64{math.Cos, math.Sin} {
				for i := range dim / 2 {
					angle := float64(pos) * math.Pow(theta, -2*float64(i)/float64(dim))
					b = binary.NativeEndian.AppendUint32(b, math.Float32bits(float32(f(angle))))
				}
			}
		}
		return b
	})
	c.ropes[k] = p
	return p
}

// perPosition calls f with the positions' address, as eachRun does; without rotation
// there are none.
func (c *compiler) perPosition(op string, b kernels.Buffer, theta float64, limit int, f func(run int, p uint64, slots uint64)) {
	if theta == 0 {
		f(-1, 0, c.slots())
		return
	}
	c.rowsOf(op+": position", b, limit, false)
	c.eachRun(b, f)
}

// ropeVariant is the kernel for a head size and how many lanes a head has.
func ropeVariant(dim int) (suffix string, lanes int) {
	for _, w := range []int{16, 32, 64, 128} {
		if dim <= w && dim%16 == 0 {
			return fmt.Sprint(w), w / 16
		}
	}
	return "any", 32
}

func (c *compiler) qkNormRope(o kernels.QKNormRope) {
	c.headSize(o.Heads)
	n, h := c.info(o.QKV).Rows(), o.Heads
	a := qkNormRopeArgs{
		qk: c.out16(o.QK), qkv: c.in16(o.QKV), qGain: c.in32(o.QGain), kGain: c.in32(o.KGain), rstd: c.out32(o.RStd),
		cosSin: c.rope(o.Theta, h.Dim, o.MaxPosition),
		n:      int32(n), query: int32(h.Query), keyValue: int32(h.KeyValue), dim: int32(h.Dim), eps: o.Eps,
	}
	variant, lanes := ropeVariant(h.Dim)
	c.perPosition("QKNormRope", o.Positions, o.Theta, o.MaxPosition, func(run int, p, slots uint64) {
		a.positions, a.runs = p, slots
		c.addFor(run, "qk_norm_rope_"+variant, ceil(n*(h.Query+h.KeyValue)*lanes, 256), 1, raw(&a))
	})
}

func (c *compiler) qkNormRopeGrad(o kernels.QKNormRopeGrad) {
	c.headSize(o.Heads)
	n, h := c.info(o.DQK).Rows(), o.Heads
	variant, lanes := ropeVariant(h.Dim)
	if variant != "any" {
		lanes *= 2
	}
	blocks := min(ceil(n*(h.Query+h.KeyValue)*lanes, 512), 528)
	a := qkNormRopeGradArgs{
		dqkv: c.out16(o.DQKV), dqk: c.in16(o.DQK), qGain: c.in32(o.QGain), kGain: c.in32(o.KGain), rstd: c.in32(o.RStd),
		dqGain: c.out32(o.DQGain), dkGain: c.out32(o.DKGain), cosSin: c.rope(o.Theta, h.Dim, o.MaxPosition),
		n: int32(n), query: int32(h.Query), keyValue: int32(h.KeyValue), dim: int32(h.Dim), blocks: int32(blocks),
	}
	if o.QGain != 0 {
		a.qkv, a.work = c.in16(o.QKV), c.tmp(int64(blocks)*2*int64(h.Dim), wide)
	}
	c.perPosition("QKNormRopeGrad", o.Positions, o.Theta, o.MaxPosition, func(run int, p, slots uint64) {
		a.positions, a.runs, c.until = p, slots, 0
		c.addFor(run, "qk_norm_rope_grad_"+variant, blocks, 1, raw(&a))
		if o.QGain != 0 {
			c.beside(nil, o.DQGain, o.DKGain)
			c.addFor(run, "qk_norm_rope_grad_gain", ceil(h.Dim, 32), 2, raw(&a))
		}
	})
}

// attentionRows are the queries that a block of attention has.
const attentionRows = 128

// attentionForm says how the kernels for a head size are launched: bytes of shared memory
// beside what they declare, and the keys or the queries that a block of the gradient has.
type attentionForm struct {
	name, gradName     string
	shared, gradShared int
	gradQueries        int
}

const attentionGradKeys = 64

// attentionKernels are those of the smallest size that holds a head. For Hopper there are
// others up to 64, but for 32 forward, where exponentials are what takes time.
func (c *compiler) attentionKernels(dim int) attentionForm {
	width := ceil(dim, 32) * 32
	name := fmt.Sprint(width)
	f := attentionForm{name: name, gradName: name, gradQueries: 64}
	switch {
	case c.target.hopper && width == 32:
		f.gradName, f.gradShared = "sm90_32", 25600
	case c.target.hopper && width == 64:
		f = attentionForm{name: "sm90_64", gradName: "sm90_64", shared: 49152, gradShared: 50176, gradQueries: 64}
	case width == 64:
		f.gradQueries = 128
	}
	return f
}

func (c *compiler) attention(o kernels.Attention) {
	c.headSize(o.Heads)
	n, h := c.info(o.QK).Rows(), o.Heads
	blocks := n / o.Seq * ceil(o.Seq, attentionRows)
	a := attentionArgs{
		y: c.out16(o.Y), lse: c.out32(o.LSE), qk: c.in16(o.QK), qkv: c.in16(o.QKV), maxLogit: c.out32(o.MaxLogit), runs: c.slots(),
		n: int32(n), query: int32(h.Query), keyValue: int32(h.KeyValue), dim: int32(h.Dim), seq: int32(o.Seq), scale: o.Scale,
	}
	if o.MaxLogit != 0 {
		a.work = c.tmp(int64(blocks)*int64(h.Query), wide)
	}
	form := c.attentionKernels(h.Dim)
	c.add("attention_"+form.name, blocks*h.Query, 1, raw(&a))
	c.last().shared = form.shared
	if o.MaxLogit != 0 {
		c.add("attention_max_logit", h.Query, 1, raw(&a))
	}
}

func (c *compiler) attentionGrad(o kernels.AttentionGrad) {
	c.headSize(o.Heads)
	n, h := c.info(o.QK).Rows(), o.Heads
	a := attentionGradArgs{
		dqk: c.out16(o.DQK), dqkv: c.out16(o.DQKV), dy: c.in16(o.DY), y: c.in16(o.Y), lse: c.in32(o.LSE), qk: c.in16(o.QK), qkv: c.in16(o.QKV),
		delta: c.tmp(int64(n)*int64(h.Query), wide), runs: c.slots(),
		n: int32(n), query: int32(h.Query), keyValue: int32(h.KeyValue), dim: int32(h.Dim), seq: int32(o.Seq), scale: o.Scale,
	}
	c.add("attention_grad_delta", ceil(n*h.Query, 64), 1, raw(&a))
	form := c.attentionKernels(h.Dim)
	blocks := h.KeyValue*ceil(o.Seq, attentionGradKeys) + h.Query*ceil(o.Seq, form.gradQueries)
	c.add("attention_grad_"+form.gradName, n/o.Seq*blocks, 1, raw(&a))
	c.last().shared = form.gradShared
}
