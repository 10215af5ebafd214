package kernels

import (
	"errors"
	"fmt"
	"reflect"
)

// Op is an operation: one of the struct types of this package that say so, each by
// value. In all of them N is the number of rows (tokens), and a multiplier of 0 stands
// for 1, so that it can be left out.
type Op interface {
	// check names the operands and reports what does not fit.
	check(c *checker)
}

// Access is how an operation uses a buffer. An operation that adds to what is there
// both reads and writes.
type Access struct {
	Buffer      Buffer
	Read, Write bool
}

// Recorder collects the operations of a program.
type Recorder struct {
	name  string
	space *Space
	ops   []Op
}

// Record starts a program over the buffers of the space.
func (s *Space) Record(name string) *Recorder { return &Recorder{name: name, space: s} }

// Add appends operations, executed in this order.
func (r *Recorder) Add(ops ...Op) { r.ops = append(r.ops, ops...) }

// Program is a checked list of operations with its memory planned. It never changes.
type Program struct {
	name     string
	space    *Space
	ops      []Op
	accesses [][]Access
	scratch  Layout
}

// Build checks every operation (shapes, types, scratch read before it is written,
// outputs that overlap inputs, shared buffers written) and plans the scratch memory.
// The error lists everything that was found.
func (r *Recorder) Build() (*Program, error) {
	errs := append([]error(nil), r.space.errs...)
	p := &Program{name: r.name, space: r.space, ops: append([]Op(nil), r.ops...)}
	written := map[Buffer]*intervals{}
	for i, op := range p.ops {
		c := &checker{space: r.space}
		if op = value(op); op == nil {
			c.errorf("is nil")
		} else {
			p.ops[i] = op
			op.check(c)
			c.overlaps()
		}
		if len(c.errs) == 0 {
			c.order(written)
		}
		for _, err := range c.errs {
			errs = append(errs, fmt.Errorf("op %d %s: %w", i, opName(op), err))
		}
		p.accesses = append(p.accesses, c.accesses)
	}
	if len(r.ops) == 0 {
		errs = append(errs, errors.New("no operations"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("program %s: %w", r.name, err)
	}
	p.scratch = planScratch(p)
	return p, nil
}

// value replaces a pointer to an operation by the operation; nil stays nil.
func value(op Op) Op {
	v := reflect.ValueOf(op)
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if !v.IsValid() {
		return nil
	}
	return v.Interface().(Op)
}

func opName(op Op) string {
	if op == nil {
		return "operation"
	}
	return reflect.TypeOf(op).Name()
}

// Name is what Record was given.
func (p *Program) Name() string { return p.name }

// Space is where the program's buffers are declared.
func (p *Program) Space() *Space { return p.space }

// Ops is the number of operations; Op returns one of them, for backends.
func (p *Program) Ops() int { return len(p.ops) }

// Op returns the i-th operation.
func (p *Program) Op(i int) Op { return p.ops[i] }

// Accesses lists the buffers that the i-th operation uses. Do not change it.
func (p *Program) Accesses(i int) []Access { return p.accesses[i] }

// Scratch is where the scratch buffers lie, of one run, in elements; -1 for those that
// the program does not use.
func (p *Program) Scratch() Layout { return p.scratch }

// Backend executes programs.
type Backend interface {
	// Name is the device and code path, recorded with every run: results are equal to
	// the bit only under one name.
	Name() string
	// Bytes predicts what Load would allocate.
	Bytes(runs int, programs ...*Program) (int64, error)
	// Load allocates memory for the programs, all over one space, and zeroes it.
	Load(runs int, programs ...*Program) (Machine, error)
}

// Machine is the memory of R runs and the means to execute programs on it. Its methods
// are not for use by several goroutines at once.
type Machine interface {
	// Execute runs a loaded program once for every active run. After an error the
	// contents of the buffers that the program writes are undefined.
	Execute(p *Program) error
	// SetActive takes a run out of (or back into) Execute, which then leaves its
	// buffers as they are. All runs start active.
	SetActive(run int, active bool)
	// ReadFloats and ReadInts copy from a per-run or shared buffer (then run is
	// ignored), WriteFloats and WriteInts copy to it. Lengths must match.
	ReadFloats(dst []float32, b Buffer, run int) error
	WriteFloats(b Buffer, run int, src []float32) error
	ReadInts(dst []int32, b Buffer, run int) error
	WriteInts(b Buffer, run int, src []int32) error
	// Close frees the memory.
	Close() error
}
