package kernels

// Head is the output head with cross-entropy and its own gradient, in chunks of rows so
// that the logits of all tokens never exist at once: logits z = Multiplier·X·Wᵀ with X
// [N,d], W [V,d]; Loss[i] = log Σ exp z_i − z_i[Targets[i]], in nats. A negative target
// is left out: loss 0, no gradient. One of V or more makes Execute fail.
//
// Where DX or DW is given, it receives the gradient of
// Scale[0]·Σ_i (Loss[i] + ZLoss·LSE[i]²): DX [N,d] is written, DW [V,d] added to. Scale
// [1] is 1/N without a buffer; a trainer puts 1/tokens of the whole batch there. LSE
// [N], the log of the sum of exponentials, is optional.
type Head struct {
	Loss, LSE, DX, DW Buffer
	X, W, Targets     Buffer
	Scale             Buffer
	Multiplier        float32
	ZLoss             float32 // 0 is none
	Chunk             int     // rows at once; 0 lets the backend choose
}

func (o Head) check(c *checker) {
	x, w, targets, loss := c.in("X", o.X), c.in("W", o.W), c.ints("Targets", o.Targets), c.out("Loss", o.Loss)
	n, d := rows(x), cols(x)
	c.matrix(w, -1, d)
	c.vector(targets, n)
	c.vector(loss, n)
	if o.LSE != 0 {
		c.vector(c.out("LSE", o.LSE), n)
	}
	if o.DX != 0 {
		c.matrix(c.out("DX", o.DX), n, d)
	}
	if o.DW != 0 {
		c.matrix(c.update("DW", o.DW), rows(w), d)
	}
	c.scalar("Scale", o.Scale)
	if !finite(o.Multiplier) || o.Multiplier < 0 {
		c.errorf("Multiplier is %v; it must be above 0, or 0 for 1", o.Multiplier)
	}
	if !finite(o.ZLoss) || o.ZLoss < 0 {
		c.errorf("ZLoss is %v; it must be 0 or more", o.ZLoss)
	}
	if o.Chunk < 0 {
		c.errorf("Chunk is %d; it must be 0 or more", o.Chunk)
	}
}
