package kernels

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Class says who owns a buffer and how long its contents last.
type Class uint8

const (
	// Shared buffers exist once for all runs: tokens, targets, positions. Only the
	// host writes them.
	Shared Class = iota
	// PerRun buffers exist once a run and last: weights, gradients, optimizer state,
	// scalars, losses.
	PerRun
	// Scratch buffers last for one execution of one program; those whose lifetimes do
	// not meet share memory. A program writes them before it reads them.
	Scratch
)

func (c Class) String() string {
	switch c {
	case Shared:
		return "shared"
	case PerRun:
		return "per-run"
	case Scratch:
		return "scratch"
	}
	return fmt.Sprintf("class %d", uint8(c))
}

// Type is the element type of a buffer; both take four bytes.
type Type uint8

const (
	// Float32 is IEEE single precision.
	Float32 Type = iota
	// Int32 is a signed integer: tokens, positions, expert numbers.
	Int32
)

func (t Type) String() string {
	if t == Int32 {
		return "int32"
	}
	return "float32"
}

// Buffer is a handle to a buffer of a [Space]; the zero Buffer is none.
type Buffer int32

// Info describes a buffer. Operations take a buffer as a matrix: the last axis is its
// columns, all others together are its rows; memory is contiguous in that order.
type Info struct {
	Name  string
	Class Class
	Type  Type
	Shape []int
	// Root is the buffer whose memory this one is part of, itself unless it is a view;
	// Offset is where it starts there, in elements.
	Root   Buffer
	Offset int
}

// Len is the number of elements.
func (i *Info) Len() int {
	n := 1
	for _, d := range i.Shape {
		n *= d
	}
	return n
}

// Cols is the size of the last axis, Rows that of all others together.
func (i *Info) Cols() int { return i.Shape[len(i.Shape)-1] }

// Rows is the product of all axes but the last.
func (i *Info) Rows() int { return i.Len() / i.Cols() }

func (i *Info) String() string {
	dims := make([]string, len(i.Shape))
	for k, d := range i.Shape {
		dims[k] = fmt.Sprint(d)
	}
	return fmt.Sprintf("%s [%s]", i.Name, strings.Join(dims, ","))
}

// maxLen bounds a buffer so that no size computed from it overflows: 2⁴⁰, or 2²⁸ where
// an int has 32 bits.
const maxLen = 1 << (28 + 12*(^uint(0)>>63))

// Space is a set of declared buffers. Declarations that make no sense are kept as
// errors, returned by Err and by every program recorded over the space.
type Space struct {
	buffers []Info
	errs    []error
}

// NewSpace returns a space without buffers.
func NewSpace() *Space { return &Space{} }

// Float declares a float32 buffer.
func (s *Space) Float(name string, class Class, shape ...int) Buffer {
	return s.declare(Info{Name: name, Class: class, Type: Float32, Shape: shape})
}

// Int declares an int32 buffer.
func (s *Space) Int(name string, class Class, shape ...int) Buffer {
	return s.declare(Info{Name: name, Class: class, Type: Int32, Shape: shape})
}

func (s *Space) declare(i Info) Buffer {
	i.Shape = slices.Clone(i.Shape)
	if err := checkShape(i.Shape); err != nil {
		return s.fail(fmt.Errorf("buffer %s: %w", &i, err))
	}
	if i.Class > Scratch {
		return s.fail(fmt.Errorf("buffer %s: unknown %s", &i, i.Class))
	}
	i.Root = Buffer(len(s.buffers) + 1)
	s.buffers = append(s.buffers, i)
	return i.Root
}

func checkShape(shape []int) error {
	if len(shape) == 0 {
		return errors.New("no shape")
	}
	n := 1
	for _, d := range shape {
		if d < 1 {
			return fmt.Errorf("size %d of an axis must be at least 1", d)
		}
		if d > maxLen/n {
			return errors.New("too large")
		}
		n *= d
	}
	return nil
}

// View declares a part of a buffer: count entries of its leading axis from first on.
// It has the memory, class and type of the buffer.
func (s *Space) View(name string, of Buffer, first, count int) Buffer {
	base, ok := s.Info(of)
	if !ok {
		return s.fail(fmt.Errorf("view %s: of no buffer", name))
	}
	if first < 0 || count < 1 || first > base.Shape[0]-count {
		return s.fail(fmt.Errorf("view %s: entries %d to %d of %s, which has %d", name, first, first+count, &base, base.Shape[0]))
	}
	v := base
	v.Name = name
	v.Shape = slices.Clone(base.Shape)
	v.Shape[0] = count
	v.Offset += first * (base.Len() / base.Shape[0])
	s.buffers = append(s.buffers, v)
	return Buffer(len(s.buffers))
}

func (s *Space) fail(err error) Buffer {
	s.errs = append(s.errs, err)
	return 0
}

// Err returns what was wrong with the declarations so far.
func (s *Space) Err() error { return errors.Join(s.errs...) }

// Info describes a buffer; false if the space does not have it.
func (s *Space) Info(b Buffer) (Info, bool) {
	if b < 1 || int(b) > len(s.buffers) {
		return Info{}, false
	}
	return s.buffers[b-1], true
}

// Layout is where the root buffers of a class lie in that class's arena, in elements;
// -1 for buffers of other classes and views.
type Layout struct {
	Offset []int // by Buffer−1
	Len    int
}

// Layout places the buffers of a class one after another. Every buffer starts at a
// multiple of 64 bytes and is followed by at least 64 bytes that belong to none.
func (s *Space) Layout(class Class) Layout {
	l := Layout{Offset: make([]int, len(s.buffers))}
	for i := range s.buffers {
		b := &s.buffers[i]
		l.Offset[i] = -1
		if b.Class == class && b.Root == Buffer(i+1) {
			l.Offset[i] = l.Len
			l.Len += padded(b.Len())
		}
	}
	return l
}

// padded rounds a length up to whole cache lines and adds one, which keeps buffers of
// power-of-two sizes from competing for the same lines of a cache.
func padded(n int) int { return (n+15)/16*16 + 16 }

func finite(x float32) bool {
	return !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0)
}
