package kernels

import "fmt"

// Log is the operation that lets a host look at a run's progress later, so that it need
// not wait in every step: row Cursor[0] mod K of Ring [K,n] receives the n numbers X, a
// buffer of one element each, and Cursor[0] grows by one. Cursor [1] is an integer.
type Log struct {
	Ring, Cursor Buffer
	X            []Buffer
}

// MaxLog is how many numbers an operation Log can take.
const MaxLog = 4

func (o Log) check(c *checker) {
	if n := len(o.X); n < 1 || n > MaxLog {
		c.errorf("has %d numbers; it takes 1 to %d", n, MaxLog)
	}
	for i, b := range o.X {
		c.vector(c.in(fmt.Sprintf("X[%d]", i), b), 1)
	}
	c.matrix(c.update("Ring", o.Ring), -1, len(o.X))
	c.vector(c.operand("Cursor", o.Cursor, Int32, true, true), 1)
}
