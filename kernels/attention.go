package kernels

import "math"

// Heads is the shape of grouped-query attention (Ainslie et al. 2023): Query heads
// share KeyValue heads in consecutive groups of Query/KeyValue.
type Heads struct {
	Query, KeyValue, Dim int
}

func (h Heads) ok(c *checker) bool {
	ok := c.positive("Heads.Query", h.Query) && c.positive("Heads.KeyValue", h.KeyValue) && c.positive("Heads.Dim", h.Dim)
	if ok && h.Query%h.KeyValue != 0 {
		c.errorf("Heads.Query %d is not a multiple of Heads.KeyValue %d", h.Query, h.KeyValue)
		return false
	}
	if ok && (h.Query+2*h.KeyValue) > maxLen/h.Dim {
		c.errorf("Heads are too large")
		return false
	}
	return ok
}

// QKNormRope is the operation that prepares queries and keys for attention: an RMSNorm
// of every head with a gain over its Dim (Qwen3's QK-norm), left out where both gains
// are, then rotary positions (Su et al. 2021) that turn the pairs (i, i+Dim/2) by
// Position·Theta^(−2i/Dim), left out where Theta is 0.
//
// QKV [N,(Query+2·KeyValue)·Dim] holds queries, keys and values side by side, QK
// [N,(Query+KeyValue)·Dim] the result; values stay where they are. RStd
// [N,Query+KeyValue] keeps 1/√(mean x²+Eps), and is needed exactly with the gains.
// Positions [N] must lie in 0…MaxPosition−1, else Execute fails.
type QKNormRope struct {
	QK, QKV            Buffer
	QGain, KGain, RStd Buffer
	Positions          Buffer
	Heads              Heads
	Theta              float64
	MaxPosition        int
	Eps                float32
}

func (o QKNormRope) check(c *checker) {
	if !o.Heads.ok(c) {
		return
	}
	h := o.Heads
	qkv, qk := c.in("QKV", o.QKV), c.out("QK", o.QK)
	c.matrix(qkv, -1, (h.Query+2*h.KeyValue)*h.Dim)
	c.matrix(qk, rows(qkv), (h.Query+h.KeyValue)*h.Dim)
	if o.QGain != 0 || o.KGain != 0 || o.RStd != 0 {
		c.vector(c.in("QGain", o.QGain), h.Dim)
		c.vector(c.in("KGain", o.KGain), h.Dim)
		c.vector(c.out("RStd", o.RStd), times(rows(qkv), h.Query+h.KeyValue))
	}
	c.rotary(o.Positions, rows(qkv), h, o.Theta, o.MaxPosition)
	c.epsilon(o.Eps)
}

func (c *checker) rotary(positions Buffer, n int, h Heads, theta float64, limit int) {
	if theta == 0 {
		return
	}
	if !(theta > 0) || math.IsInf(theta, 0) {
		c.errorf("Theta is %v; it must be above 0, or 0 for no rotation", theta)
	}
	if h.Dim%2 != 0 {
		c.errorf("Heads.Dim %d is odd; rotary positions turn pairs", h.Dim)
	}
	c.positive("MaxPosition", limit)
	if limit > maxLen/h.Dim {
		c.errorf("MaxPosition %d is too large", limit)
	}
	c.vector(c.ints("Positions", positions), n)
}

// QKNormRopeGrad is the gradient of [QKNormRope]: it writes the query and key columns
// of DQKV, whose value columns [AttentionGrad] has written before, and adds to DQGain
// and DKGain. DQK, QKV, gains and RStd are as in the forward.
type QKNormRopeGrad struct {
	DQKV, DQGain, DKGain         Buffer
	DQK, QKV, QGain, KGain, RStd Buffer
	Positions                    Buffer
	Heads                        Heads
	Theta                        float64
	MaxPosition                  int
}

func (o QKNormRopeGrad) check(c *checker) {
	if !o.Heads.ok(c) {
		return
	}
	h := o.Heads
	dqk, dqkv := c.in("DQK", o.DQK), c.update("DQKV", o.DQKV)
	n := rows(dqk)
	c.matrix(dqk, -1, (h.Query+h.KeyValue)*h.Dim)
	c.matrix(dqkv, n, (h.Query+2*h.KeyValue)*h.Dim)
	if o.QGain != 0 || o.KGain != 0 || o.RStd != 0 || o.DQGain != 0 || o.DKGain != 0 {
		c.matrix(c.in("QKV", o.QKV), n, (h.Query+2*h.KeyValue)*h.Dim)
		c.vector(c.in("QGain", o.QGain), h.Dim)
		c.vector(c.in("KGain", o.KGain), h.Dim)
		c.vector(c.in("RStd", o.RStd), times(n, h.Query+h.KeyValue))
		c.vector(c.update("DQGain", o.DQGain), h.Dim)
		c.vector(c.update("DKGain", o.DKGain), h.Dim)
	}
	c.rotary(o.Positions, n, h, o.Theta, o.MaxPosition)
}

// Attention is causal attention over sequences of Seq consecutive rows, computed in
// blocks with an online softmax (Dao et al. 2022), so that no Seq×Seq matrix exists:
// Y [N,Query·Dim] = softmax(Scale·q·kᵀ)·v. Queries and keys are QK, values the last
// KeyValue·Dim columns of QKV, as in [QKNormRope]. LSE [N,Query] keeps the log of the
// sum of exponentials. MaxLogit [Query], if given, receives the largest scaled logit.
type Attention struct {
	Y, LSE, MaxLogit Buffer
	QK, QKV          Buffer
	Heads            Heads
	Seq              int
	Scale            float32
}

func (o Attention) check(c *checker) {
	if !o.Heads.ok(c) {
		return
	}
	h := o.Heads
	n := c.attention(o.QK, o.QKV, h, o.Seq, o.Scale)
	c.matrix(c.out("Y", o.Y), n, h.Query*h.Dim)
	c.vector(c.out("LSE", o.LSE), times(n, h.Query))
	if o.MaxLogit != 0 {
		c.vector(c.out("MaxLogit", o.MaxLogit), h.Query)
	}
}

func (c *checker) attention(qkBuffer, qkvBuffer Buffer, h Heads, seq int, scale float32) int {
	qk, qkv := c.in("QK", qkBuffer), c.in("QKV", qkvBuffer)
	c.matrix(qk, -1, (h.Query+h.KeyValue)*h.Dim)
	c.matrix(qkv, rows(qk), (h.Query+2*h.KeyValue)*h.Dim)
	if c.positive("Seq", seq) && qk.ok && qk.Rows()%seq != 0 {
		c.errorf("%d rows are not whole sequences of %d", qk.Rows(), seq)
	}
	if !finite(scale) || scale <= 0 {
		c.errorf("Scale is %v; it must be above 0", scale)
	}
	return rows(qk)
}

// AttentionGrad is the gradient of [Attention]; it recomputes the probabilities from
// LSE. DQK is written, and of DQKV the value columns; then [QKNormRopeGrad] writes the
// others.
type AttentionGrad struct {
	DQK, DQKV           Buffer
	DY, Y, LSE, QK, QKV Buffer
	Heads               Heads
	Seq                 int
	Scale               float32
}

func (o AttentionGrad) check(c *checker) {
	if !o.Heads.ok(c) {
		return
	}
	h := o.Heads
	n := c.attention(o.QK, o.QKV, h, o.Seq, o.Scale)
	c.matrix(c.in("DY", o.DY), n, h.Query*h.Dim)
	c.matrix(c.in("Y", o.Y), n, h.Query*h.Dim)
	c.vector(c.in("LSE", o.LSE), times(n, h.Query))
	c.matrix(c.out("DQK", o.DQK), n, (h.Query+h.KeyValue)*h.Dim)
	c.matrix(c.out("DQKV", o.DQKV), n, (h.Query+2*h.KeyValue)*h.Dim)
}
