package kernels

import (
	"fmt"
	"math"
)

// GradNorm is the operation Norm[0] = the Euclidean norm of all Grads together, in
// float64, and Clip[0] = the factor that brings it down to MaxNorm[0]: min(1,
// MaxNorm/Norm), 1 where MaxNorm is 0 or less. Of a norm that is not finite the factor
// is NaN, and [AdamW] then leaves the run as it is.
type GradNorm struct {
	Norm, Clip Buffer // [1]
	Grads      []Buffer
	MaxNorm    Buffer // [1]
}

func (o GradNorm) check(c *checker) {
	if len(o.Grads) == 0 {
		c.errorf("has no gradients")
	}
	for i, b := range o.Grads {
		c.in(fmt.Sprintf("Grads[%d]", i), b)
	}
	c.vector(c.in("MaxNorm", o.MaxNorm), 1)
	c.vector(c.out("Norm", o.Norm), 1)
	c.vector(c.out("Clip", o.Clip), 1)
}

// AdamW updates all tensors of a run by Adam with decoupled weight decay (Loshchilov
// and Hutter 2019, algorithm 2): Params, Grads, M, V hold one buffer a tensor, and row
// i of Table [tensors, AdamFields], filled by [Adam.Row], has the numbers of tensor i at
// this step. Gradients are multiplied by Clip[0], if given; with a Clip that is not
// finite nothing is changed.
type AdamW struct {
	Params, Grads, M, V []Buffer
	Table, Clip         Buffer
}

func (o AdamW) check(c *checker) {
	n := len(o.Params)
	if n == 0 {
		c.errorf("has no tensors")
	}
	if len(o.Grads) != n || len(o.M) != n || len(o.V) != n {
		c.errorf("has %d params, %d grads, %d m, %d v", n, len(o.Grads), len(o.M), len(o.V))
		return
	}
	for i := range n {
		p := c.update(fmt.Sprintf("Params[%d]", i), o.Params[i])
		c.vector(c.in(fmt.Sprintf("Grads[%d]", i), o.Grads[i]), length(p))
		c.vector(c.update(fmt.Sprintf("M[%d]", i), o.M[i]), length(p))
		c.vector(c.update(fmt.Sprintf("V[%d]", i), o.V[i]), length(p))
	}
	c.matrix(c.in("Table", o.Table), n, AdamFields)
	c.scalar("Clip", o.Clip)
}

// AdamFields is the number of columns of AdamW.Table.
const AdamFields = 8

// Adam is the setting of one tensor at one step. Step counts from 1. WeightDecay is
// multiplied by the learning rate, as PyTorch does.
type Adam struct {
	LR, WeightDecay, Beta1, Beta2, Eps float64
	Step                               int
}

// Row writes the setting in the form that [AdamW] reads:
// η/(1−β₁ᵗ), 1/√(1−β₂ᵗ), β₁, 1−β₁, β₂, 1−β₂, ε, η·λ.
// The update is p −= row[0]·m/(row[1]·√v + ε) + row[7]·p.
func (a Adam) Row(dst []float32) {
	t := float64(a.Step)
	row := [AdamFields]float64{
		a.LR / -math.Expm1(t*math.Log(a.Beta1)),
		1 / math.Sqrt(-math.Expm1(t*math.Log(a.Beta2))),
		a.Beta1, 1 - a.Beta1, a.Beta2, 1 - a.Beta2, a.Eps, a.LR * a.WeightDecay,
	}
	for i, x := range row {
		dst[i] = float32(x)
	}
}
