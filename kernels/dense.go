package kernels

// MatMul is the operation Y = Alpha·A·B, or Y += Alpha·A·B with Add: Y [m,n], A [m,k]
// or its transpose [k,m] with TransA, B [k,n] or [n,k] with TransB.
type MatMul struct {
	Y, A, B        Buffer
	TransA, TransB bool
	Alpha          float32
	Add            bool
}

func (o MatMul) check(c *checker) {
	a, b, y := c.in("A", o.A), c.in("B", o.B), c.outOrUpdate("Y", o.Y, o.Add)
	m, k := rows(a), cols(a)
	if o.TransA {
		m, k = k, m
	}
	k2, n := rows(b), cols(b)
	if o.TransB {
		k2, n = n, k2
	}
	if k >= 0 && k2 >= 0 && k != k2 {
		c.errorf("inner sizes of %s and %s differ: %d and %d", a, b, k, k2)
	}
	c.matrix(y, m, n)
	c.factor("Alpha", o.Alpha)
}

// Embed is the operation Y[i] = Scale·Table[Tokens[i]]: Y [N,d], Table [V,d], Tokens
// [N] in 0…V−1 (else Execute fails).
type Embed struct {
	Y, Table, Tokens Buffer
	Scale            float32
}

func (o Embed) check(c *checker) {
	table, tokens, y := c.in("Table", o.Table), c.ints("Tokens", o.Tokens), c.out("Y", o.Y)
	c.matrix(y, length(tokens), cols(table))
	c.factor("Scale", o.Scale)
}

// EmbedGrad is the gradient of [Embed]: DTable[Tokens[i]] += Scale·DY[i], in an order
// that does not depend on anything but the tokens.
type EmbedGrad struct {
	DTable, DY, Tokens Buffer
	Scale              float32
}

func (o EmbedGrad) check(c *checker) {
	dy, tokens, table := c.in("DY", o.DY), c.ints("Tokens", o.Tokens), c.update("DTable", o.DTable)
	c.matrix(dy, length(tokens), cols(table))
	c.factor("Scale", o.Scale)
}

// RMSNorm is the operation h = X, or h = X + ResidualScale·Residual where a residual is
// given, and Y = Gain ∘ h·r with r = 1/√(mean h² + Eps) a row (Zhang and Sennrich 2019,
// eq. 4). X, Residual, Sum, Y [N,d], Gain [d]. It keeps r in RStd [N] and, with a
// residual, h in Sum.
type RMSNorm struct {
	Y, X, Gain, RStd Buffer
	Residual, Sum    Buffer // both or neither
	ResidualScale    float32
	Eps              float32
}

func (o RMSNorm) check(c *checker) {
	x, gain, y, rstd := c.in("X", o.X), c.in("Gain", o.Gain), c.out("Y", o.Y), c.out("RStd", o.RStd)
	c.matrix(y, rows(x), cols(x))
	c.vector(gain, cols(x))
	c.vector(rstd, rows(x))
	if o.Residual != 0 || o.Sum != 0 {
		c.matrix(c.in("Residual", o.Residual), rows(x), cols(x))
		c.matrix(c.out("Sum", o.Sum), rows(x), cols(x))
	}
	c.factor("ResidualScale", o.ResidualScale)
	c.epsilon(o.Eps)
}

// RMSNormGrad is the gradient of [RMSNorm] with respect to h, which X holds (X or Sum
// of the forward): DX [N,d] is written, or added to with Add; DGain [d] is added to.
// RStd is the forward's. The gradients of X and Residual are DX and ResidualScale·DX.
type RMSNormGrad struct {
	DX, DGain         Buffer
	DY, X, Gain, RStd Buffer
	Add               bool
}

func (o RMSNormGrad) check(c *checker) {
	x, gain, rstd, dy := c.in("X", o.X), c.in("Gain", o.Gain), c.in("RStd", o.RStd), c.in("DY", o.DY)
	c.matrix(dy, rows(x), cols(x))
	c.vector(gain, cols(x))
	c.vector(rstd, rows(x))
	c.matrix(c.outOrUpdate("DX", o.DX, o.Add), rows(x), cols(x))
	c.vector(c.update("DGain", o.DGain), cols(x))
}

// SwiGLU is the operation Y = silu(gate) ∘ up (Shazeer 2020, eq. 6 without the
// projections): X [N,2f] holds gate in its first f columns and up in the others, Y [N,f].
type SwiGLU struct {
	Y, X Buffer
}

func (o SwiGLU) check(c *checker) {
	y, x := c.out("Y", o.Y), c.in("X", o.X)
	c.matrix(x, rows(y), times(cols(y), 2))
}

// SwiGLUGrad is the gradient of [SwiGLU]: DX [N,2f] is written; DY [N,f], X [N,2f].
type SwiGLUGrad struct {
	DX, DY, X Buffer
}

func (o SwiGLUGrad) check(c *checker) {
	dy, x, dx := c.in("DY", o.DY), c.in("X", o.X), c.out("DX", o.DX)
	c.matrix(x, rows(dy), times(cols(dy), 2))
	c.matrix(dx, rows(dy), times(cols(dy), 2))
}

// Blend is the operation Y = Alpha·A + Beta·B, or Y = Alpha·A without B. Y may be A or B.
type Blend struct {
	Y, A, B     Buffer
	Alpha, Beta float32
}

func (o Blend) check(c *checker) {
	c.inPlace = true
	a, y := c.in("A", o.A), c.out("Y", o.Y)
	c.vector(y, length(a))
	if o.B != 0 {
		c.vector(c.in("B", o.B), length(a))
	}
	c.factor("Alpha", o.Alpha)
	c.factor("Beta", o.Beta)
}

// Copy is the operation Y[i] = X[i] for pairs of buffers of one type and length.
type Copy struct {
	Y, X []Buffer
}

func (o Copy) check(c *checker) {
	if len(o.X) == 0 || len(o.Y) != len(o.X) {
		c.errorf("has %d buffers to copy and %d places", len(o.X), len(o.Y))
		return
	}
	for k := range o.X {
		t := Float32
		if i, ok := c.space.Info(o.X[k]); ok {
			t = i.Type
		}
		x, y := c.operand("X", o.X[k], t, true, false), c.operand("Y", o.Y[k], t, false, true)
		c.vector(y, length(x))
	}
}

// Zero sets buffers of either type to 0.
type Zero struct {
	Y []Buffer
}

func (o Zero) check(c *checker) {
	if len(o.Y) == 0 {
		c.errorf("has no buffers")
	}
	for _, b := range o.Y {
		t := Float32
		if i, ok := c.space.Info(b); ok {
			t = i.Type
		}
		c.operand("Y", b, t, false, true)
	}
}

// Sum is the operation Y[0] = Scale·Σ X, or += with Add, summed in float64.
type Sum struct {
	Y, X  Buffer
	Scale float32
	Add   bool
}

func (o Sum) check(c *checker) {
	c.in("X", o.X)
	c.vector(c.outOrUpdate("Y", o.Y, o.Add), 1)
	c.factor("Scale", o.Scale)
}

// Stats writes a row of three numbers for every buffer of X into Out [len(X), 3]: root
// mean square, mean absolute value, largest absolute value.
type Stats struct {
	X   []Buffer
	Out Buffer
}

// StatFields is the number of columns of Stats.Out.
const StatFields = 3

func (o Stats) check(c *checker) {
	if len(o.X) == 0 {
		c.errorf("has no buffers")
	}
	for _, b := range o.X {
		c.in("X", b)
	}
	c.matrix(c.out("Out", o.Out), len(o.X), StatFields)
}
