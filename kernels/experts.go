package kernels

// Route is the router of a mixture of E experts, k of them a token: probabilities
// softmax(Logits) over all experts, the k most probable (the lower number first among
// equals), and as weights their probabilities divided by their sum, or as they are with
// Raw. It also orders the N·k pairs of token and choice by expert, keeping their order
// within one, for [Dispatch], [GroupMatMul] and [Combine].
//
// Logits, Probs [N,E]; Index, Weight, Slot [N,k]: expert, weight, row in expert order;
// Offsets [E+1]: where each expert's rows start there, and their number at the end.
// Optional: Counts [E], the pairs of each expert; Loss [1], the load-balance loss
// E·Σ_e f_e·P_e with f_e = Counts_e/N and P_e the mean probability (Fedus et al. 2021,
// eq. 4; as in Qwen3-MoE, f sums to k, so that balance gives k).
type Route struct {
	Probs, Index, Weight, Slot, Offsets Buffer
	Counts, Loss                        Buffer
	Logits                              Buffer
	Raw                                 bool
}

func (o Route) check(c *checker) {
	logits, probs, index := c.in("Logits", o.Logits), c.out("Probs", o.Probs), c.outInts("Index", o.Index)
	n, e := rows(logits), cols(logits)
	c.matrix(probs, n, e)
	k := c.choices(index, n, e)
	c.matrix(c.out("Weight", o.Weight), n, k)
	c.matrix(c.outInts("Slot", o.Slot), n, k)
	if e >= 0 {
		c.vector(c.outInts("Offsets", o.Offsets), e+1)
	}
	if o.Counts != 0 {
		c.vector(c.outInts("Counts", o.Counts), e)
	}
	if o.Loss != 0 {
		c.vector(c.out("Loss", o.Loss), 1)
	}
}

// choices checks Index [n,k] against the number of experts and returns k.
func (c *checker) choices(index arg, n, e int) int {
	c.matrix(index, n, -1)
	k := cols(index)
	if k >= 0 && e >= 0 && k > e {
		c.errorf("chooses %d of %d experts", k, e)
	}
	return k
}

// RouteGrad is the gradient of [Route]: DLogits [N,E] from DWeight [N,k], plus that of
// Scale[0]·Coefficient·Loss through the mean probabilities. Scale [1] is optional.
// Here a Coefficient of 0 is 0.
type RouteGrad struct {
	DLogits, DWeight              Buffer
	Probs, Index, Weight, Offsets Buffer
	Raw                           bool
	Coefficient                   float32
	Scale                         Buffer
}

func (o RouteGrad) check(c *checker) {
	probs, index, dlogits := c.in("Probs", o.Probs), c.ints("Index", o.Index), c.out("DLogits", o.DLogits)
	n, e := rows(probs), cols(probs)
	k := c.choices(index, n, e)
	c.matrix(dlogits, n, e)
	c.matrix(c.in("Weight", o.Weight), n, k)
	c.matrix(c.in("DWeight", o.DWeight), n, k)
	if e >= 0 {
		c.vector(c.ints("Offsets", o.Offsets), e+1)
	}
	c.scalar("Scale", o.Scale)
	c.factor("Coefficient", o.Coefficient)
}

// scalar is an optional buffer of one number.
func (c *checker) scalar(field string, b Buffer) {
	if b != 0 {
		c.vector(c.in(field, b), 1)
	}
}

// Dispatch copies every token's row to its experts: Y[Slot[i,j]] = X[i], X [N,d],
// Y [N·k,d]. Its gradient is [Combine] without weights.
type Dispatch struct {
	Y, X, Slot Buffer
}

func (o Dispatch) check(c *checker) {
	x, slot, y := c.in("X", o.X), c.ints("Slot", o.Slot), c.out("Y", o.Y)
	c.matrix(slot, rows(x), -1)
	c.matrix(y, length(slot), cols(x))
}

// Combine gathers the experts' rows back: Y[i] = Scale·Σ_j Weight[i,j]·X[Slot[i,j]], or
// += with Add; X [N·k,d], Y [N,d], Weight [N,k] or none for 1.
type Combine struct {
	Y, X, Slot, Weight Buffer
	Scale              float32
	Add                bool
}

func (o Combine) check(c *checker) {
	x, slot, y := c.in("X", o.X), c.ints("Slot", o.Slot), c.outOrUpdate("Y", o.Y, o.Add)
	c.matrix(slot, rows(y), -1)
	c.matrix(x, length(slot), cols(y))
	if o.Weight != 0 {
		c.matrix(c.in("Weight", o.Weight), rows(slot), cols(slot))
	}
	c.factor("Scale", o.Scale)
}

// CombineGrad is the gradient of a [Combine] with weights: DX[Slot[i,j]] =
// Scale·Weight[i,j]·DY[i] and DWeight[i,j] = Scale·DY[i]·X[Slot[i,j]].
type CombineGrad struct {
	DX, DWeight, DY, X, Slot, Weight Buffer
	Scale                            float32
}

func (o CombineGrad) check(c *checker) {
	dy, x, slot := c.in("DY", o.DY), c.in("X", o.X), c.ints("Slot", o.Slot)
	c.matrix(slot, rows(dy), -1)
	c.matrix(x, length(slot), cols(dy))
	c.matrix(c.in("Weight", o.Weight), rows(slot), cols(slot))
	c.matrix(c.out("DX", o.DX), length(slot), cols(dy))
	c.matrix(c.out("DWeight", o.DWeight), rows(slot), cols(slot))
	c.factor("Scale", o.Scale)
}

// GroupMatMul multiplies each expert's rows by its own weights: Y_e = Alpha·A_e·W_e, or
// A_e·W_eᵀ with TransW; += with Add. Rows Offsets[e] to Offsets[e+1] of A [P,k] and Y
// [P,n] are expert e's; W is [E,k,n], or [E,n,k] with TransW.
type GroupMatMul struct {
	Y, A, W, Offsets Buffer
	TransW           bool
	Alpha            float32
	Add              bool
}

func (o GroupMatMul) check(c *checker) {
	a, w, y := c.in("A", o.A), c.in("W", o.W), c.outOrUpdate("Y", o.Y, o.Add)
	c.group(w, y, a, o.Offsets, o.TransW)
	c.factor("Alpha", o.Alpha)
}

// group checks W [E,k,n] (or [E,n,k]) against A [P,k] and Y [P,n].
func (c *checker) group(w, y, a arg, offsets Buffer, trans bool) {
	off := c.ints("Offsets", offsets)
	if !w.ok {
		return
	}
	if len(w.Shape) != 3 {
		c.errorf("%s must have three axes: expert, rows, columns", w)
		return
	}
	k, n := w.Shape[1], w.Shape[2]
	if trans {
		k, n = n, k
	}
	c.vector(off, w.Shape[0]+1)
	c.matrix(a, -1, k)
	c.matrix(y, rows(a), n)
}

// GroupMatMulGrad is the gradient of a [GroupMatMul] with TransW with respect to its
// weights: DW_e = Alpha·DY_eᵀ·X_e, or += with Add; DW [E,n,k], DY [P,n], X [P,k]. An
// expert without rows has gradient zero.
type GroupMatMulGrad struct {
	DW, DY, X, Offsets Buffer
	Alpha              float32
	Add                bool
}

func (o GroupMatMulGrad) check(c *checker) {
	dy, x, dw := c.in("DY", o.DY), c.in("X", o.X), c.outOrUpdate("DW", o.DW, o.Add)
	c.group(dw, dy, x, o.Offsets, true)
	c.factor("Alpha", o.Alpha)
}
