package cuda

import (
	"errors"

	"github.com/etastar/etastar/kernels/cuda/driver"
)

// products is cuBLASLt with the algorithms that were chosen. It belongs to the device's
// thread.
type products struct {
	lt    *driver.BLAS
	plans map[driver.Product]*driver.Matmul
}

// openProducts returns nil where there is no cuBLASLt: nothing depends on it.
func openProducts(c *driver.Context) *products {
	lt, err := c.OpenBLAS()
	if err != nil {
		return nil
	}
	return &products{lt, map[driver.Product]*driver.Matmul{}}
}

func (p *products) close() error {
	if p == nil {
		return nil
	}
	for _, m := range p.plans {
		m.Close()
	}
	return p.lt.Close()
}

func (p *products) plan(product driver.Product) (*driver.Matmul, error) {
	if p == nil {
		return nil, errors.New("cuBLASLt was not opened")
	}
	if m := p.plans[product]; m != nil {
		return m, nil
	}
	m, err := p.lt.Plan(product)
	if err == nil {
		p.plans[product] = m
	}
	return m, err
}

// multiplication is a product of one run.
type multiplication struct {
	product            driver.Product
	a, b, c, workspace driver.Memory
}

func (p *products) multiply(m *multiplication, s driver.Stream) error {
	plan, err := p.plan(m.product)
	if err != nil {
		return err
	}
	return plan.Multiply(m.a, m.b, m.c, m.workspace, s)
}

// blasFrom is from how many multiply-adds on cuBLASLt takes a product of one run: smaller
// ones are better done for all runs in one launch.
const blasFrom = 1 << 28

// multiplyEach leaves a product to cuBLASLt, run by run, so that a run has the same bits
// alone; false where it is not for it.
func (c *compiler) multiplyEach(p product, lda, ldb, ldc int) bool {
	if !c.target.blas || p.m*p.n*p.k < blasFrom || !vectors([]ref{p.a, p.b, p.c}, lda, ldb, ldc) {
		return false
	}
	workspace := c.sharedTmp(driver.BLASWorkspace)
	if c.phase == asking {
		return true
	}
	f := wide
	if p.kind == suffix(narrow) {
		f = narrow
	}
	c.to.separate = true
	for run := range c.runs {
		at := func(r ref, f form) driver.Memory { return driver.Memory(r.p + uint64(int64(run)*r.stride*f.size())) }
		c.to.launches = append(c.to.launches, launch{run: run, step: c.step, grid: [3]int{1, 1, 1}, blas: &multiplication{
			product: driver.Product{
				M: p.m, N: p.n, K: p.k, TransA: p.transA, TransB: p.transB, LDA: lda, LDB: ldb, LDC: ldc,
				Narrow: f == narrow, Add: p.add, Alpha: p.alpha,
			},
			a: at(p.a, narrow), b: at(p.b, narrow), c: at(p.c, f), workspace: driver.Memory(workspace),
		}})
	}
	return true
}
