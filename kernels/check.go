package kernels

import (
	"fmt"
	"math"
)

// checker collects what an operation says of itself.
type checker struct {
	space    *Space
	accesses []Access
	errs     []error
	inPlace  bool // an output may be exactly an input
}

// arg is an operand; with ok false its sizes mean nothing and checks on it pass.
type arg struct {
	Info
	field string
	ok    bool
}

func (a arg) String() string { return a.field + " (" + a.Info.String() + ")" }

func (c *checker) errorf(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

func (c *checker) operand(field string, b Buffer, t Type, read, write bool) arg {
	i, ok := c.space.Info(b)
	switch {
	case b == 0:
		c.errorf("%s is missing", field)
	case !ok:
		c.errorf("%s is a buffer of another space", field)
	case i.Type != t:
		c.errorf("%s (%s) is %s, not %s", field, &i, i.Type, t)
		ok = false
	case write && i.Class == Shared:
		c.errorf("%s (%s) is written but shared by all runs", field, &i)
		ok = false
	}
	if !ok {
		return arg{field: field}
	}
	c.accesses = append(c.accesses, Access{b, read, write})
	return arg{i, field, true}
}

func (c *checker) in(field string, b Buffer) arg { return c.operand(field, b, Float32, true, false) }

func (c *checker) out(field string, b Buffer) arg { return c.operand(field, b, Float32, false, true) }

// update is an operand that is added to.
func (c *checker) update(field string, b Buffer) arg {
	return c.operand(field, b, Float32, true, true)
}

func (c *checker) outOrUpdate(field string, b Buffer, add bool) arg {
	return c.operand(field, b, Float32, add, true)
}

func (c *checker) ints(field string, b Buffer) arg { return c.operand(field, b, Int32, true, false) }

func (c *checker) outInts(field string, b Buffer) arg {
	return c.operand(field, b, Int32, false, true)
}

// matrix asks for rows × cols; a negative size is not compared.
func (c *checker) matrix(a arg, rows, cols int) {
	if a.ok && (rows >= 0 && a.Rows() != rows || cols >= 0 && a.Cols() != cols) {
		c.errorf("%s must be %s×%s", a, size(rows), size(cols))
	}
}

func size(n int) string {
	if n < 0 {
		return "any"
	}
	return fmt.Sprint(n)
}

// vector asks for n elements in all; a negative n is not compared.
func (c *checker) vector(a arg, n int) {
	if a.ok && n >= 0 && a.Len() != n {
		c.errorf("%s must have %d elements", a, n)
	}
}

// rows and cols are -1 where the operand is missing.
func rows(a arg) int {
	if !a.ok {
		return -1
	}
	return a.Rows()
}

func cols(a arg) int {
	if !a.ok {
		return -1
	}
	return a.Cols()
}

func length(a arg) int {
	if !a.ok {
		return -1
	}
	return a.Len()
}

// times multiplies sizes of which -1 is unknown.
func times(a, b int) int {
	if a < 0 || b < 0 {
		return -1
	}
	return a * b
}

// factor asks for a finite number.
func (c *checker) factor(field string, x float32) {
	if !finite(x) {
		c.errorf("%s is %v", field, x)
	}
}

// epsilon asks for a finite number that is not negative.
func (c *checker) epsilon(x float32) {
	if !finite(x) || x < 0 {
		c.errorf("Eps is %v; it must be 0 or more", x)
	}
}

func (c *checker) positive(field string, n int) bool {
	if n < 1 || n > math.MaxInt32 {
		c.errorf("%s is %d; it must be at least 1 and fit 32 bits", field, n)
		return false
	}
	return true
}

// overlaps reports outputs that share memory with another operand.
func (c *checker) overlaps() {
	type span struct {
		root        Buffer
		from, until int
	}
	spans := make([]span, len(c.accesses))
	for i, a := range c.accesses {
		info := &c.space.buffers[a.Buffer-1]
		spans[i] = span{info.Root, info.Offset, info.Offset + info.Len()}
	}
	for i, a := range c.accesses {
		for j := range i {
			b := c.accesses[j]
			x, y := spans[i], spans[j]
			if !a.Write && !b.Write || x.root != y.root || x.from >= y.until || y.from >= x.until {
				continue
			}
			if c.inPlace && x == y && a.Write != b.Write {
				continue
			}
			c.errorf("output shares memory with another operand: %s and %s",
				&c.space.buffers[a.Buffer-1], &c.space.buffers[b.Buffer-1])
			return
		}
	}
}

// order reports scratch that is read before the program wrote it.
func (c *checker) order(written map[Buffer]*intervals) {
	for _, a := range c.accesses {
		info := &c.space.buffers[a.Buffer-1]
		if info.Class != Scratch || !a.Read {
			continue
		}
		if w := written[info.Root]; w == nil || !w.covers(info.Offset, info.Offset+info.Len()) {
			c.errorf("reads scratch %s before anything wrote all of it", info)
		}
	}
	for _, a := range c.accesses {
		info := &c.space.buffers[a.Buffer-1]
		if info.Class != Scratch || !a.Write {
			continue
		}
		if written[info.Root] == nil {
			written[info.Root] = &intervals{}
		}
		written[info.Root].add(info.Offset, info.Offset+info.Len())
	}
}
