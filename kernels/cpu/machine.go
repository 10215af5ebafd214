package cpu

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/internal/simd"
)

// step executes one operation for the run that the worker has.
type step func(w *worker) error

type compiled struct {
	program *kernels.Program
	steps   []step
	parts   []part
}

// worker executes runs one after another.
type worker struct {
	set                    *simd.Set
	pack                   *simd.Work
	shared, state, scratch []float32
	tmp                    []float32
	chunk                  int // of the part that executes

	attend     attend
	attendGrad attendGrad
}

// Machine implements [kernels.Machine].
type Machine struct {
	space          *kernels.Space
	programs       map[*kernels.Program]*compiled
	shared, perRun kernels.Layout
	sharedMem      []float32
	state          [][]float32
	active         []bool
	errs           []error
	workers        []*worker

	next  atomic.Int64
	start chan *compiled
	done  chan struct{}
	close bool
}

var _ kernels.Machine = (*Machine)(nil)

func newMachine(b *Backend, runs int, list []*compiled, n needs) *Machine {
	space := list[0].program.Space()
	m := &Machine{
		space:     space,
		programs:  map[*kernels.Program]*compiled{},
		shared:    space.Layout(kernels.Shared),
		perRun:    space.Layout(kernels.PerRun),
		sharedMem: aligned(n.shared),
		active:    make([]bool, runs),
		errs:      make([]error, runs),
		start:     make(chan *compiled),
		done:      make(chan struct{}),
	}
	for _, c := range list {
		m.programs[c.program] = c
	}
	for r := range runs {
		m.state = append(m.state, aligned(n.perRun))
		m.active[r] = true
	}
	for range min(b.workers, runs) {
		m.workers = append(m.workers, &worker{
			set: b.set, pack: b.set.NewWork(), shared: m.sharedMem,
			scratch: aligned(n.scratch), tmp: aligned(n.tmp),
		})
	}
	// The first worker is whoever calls Execute.
	for _, w := range m.workers[1:] {
		go func() {
			for p := range m.start {
				m.work(w, p)
				m.done <- struct{}{}
			}
		}()
	}
	return m
}

// aligned allocates n floats that start on a cache line.
func aligned(n int) []float32 {
	v := make([]float32, n+line)
	skip := int(-uintptr(unsafe.Pointer(&v[0]))%64) / 4
	return v[skip : skip+n : skip+n]
}

// Execute implements [kernels.Machine]. It allocates nothing.
func (m *Machine) Execute(p *kernels.Program) error {
	c := m.programs[p]
	if c == nil {
		return fmt.Errorf("program %s was not loaded", p.Name())
	}
	if m.close {
		return fmt.Errorf("program %s: the machine is closed", p.Name())
	}
	runs := 0
	for r, on := range m.active {
		m.errs[r] = nil
		if on {
			runs++
		}
	}
	m.next.Store(0)
	helpers := max(min(len(m.workers), runs)-1, 0)
	for range helpers {
		m.start <- c
	}
	m.work(m.workers[0], c)
	for range helpers {
		<-m.done
	}
	for _, err := range m.errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// work takes runs until none is left.
func (m *Machine) work(w *worker, c *compiled) {
	for {
		run := int(m.next.Add(1)) - 1
		if run >= len(m.active) {
			return
		}
		if !m.active[run] {
			continue
		}
		w.state = m.state[run]
		if i, err := w.execute(c); err != nil {
			m.errs[run] = fmt.Errorf("program %s: run %d: op %d: %w", c.program.Name(), run, i, err)
		}
	}
}

// execute does all steps; with an error it returns which of them failed.
func (w *worker) execute(c *compiled) (int, error) {
	for _, p := range c.parts {
		for w.chunk = range p.chunks {
			for i := p.from; i < p.until; i++ {
				if err := c.steps[i](w); err != nil {
					return i, err
				}
			}
		}
	}
	return 0, nil
}

// SetActive implements [kernels.Machine]; runs that do not exist are ignored.
func (m *Machine) SetActive(run int, active bool) {
	if run >= 0 && run < len(m.active) {
		m.active[run] = active
	}
}

// Close implements [kernels.Machine].
func (m *Machine) Close() error {
	if !m.close {
		m.close = true
		close(m.start)
	}
	return nil
}

// Floats is the memory of a per-run or shared float32 buffer itself: no copy.
func (m *Machine) Floats(b kernels.Buffer, run int) ([]float32, error) {
	return m.find(b, run, kernels.Float32)
}

// Ints is the memory of a per-run or shared int32 buffer itself: no copy.
func (m *Machine) Ints(b kernels.Buffer, run int) ([]int32, error) {
	v, err := m.find(b, run, kernels.Int32)
	if err != nil {
		return nil, err
	}
	return asInts(v), nil
}

func asInts(v []float32) []int32 {
	return unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(v))), len(v))
}

func (m *Machine) find(b kernels.Buffer, run int, t kernels.Type) ([]float32, error) {
	info, ok := m.space.Info(b)
	switch {
	case !ok:
		return nil, fmt.Errorf("no buffer %d in this space", b)
	case info.Type != t:
		return nil, fmt.Errorf("buffer %s is %s, not %s", &info, info.Type, t)
	case int(info.Root) > len(m.shared.Offset):
		return nil, fmt.Errorf("buffer %s was declared after the programs were loaded", &info)
	}
	var mem []float32
	var off int
	switch info.Class {
	case kernels.Shared:
		mem, off = m.sharedMem, m.shared.Offset[info.Root-1]
	case kernels.PerRun:
		if run < 0 || run >= len(m.state) {
			return nil, fmt.Errorf("buffer %s: run %d of %d", &info, run, len(m.state))
		}
		mem, off = m.state[run], m.perRun.Offset[info.Root-1]
	default:
		return nil, fmt.Errorf("buffer %s is scratch: its contents do not outlive a program", &info)
	}
	off += info.Offset
	return mem[off : off+info.Len() : off+info.Len()], nil
}

// ReadFloats implements [kernels.Machine].
func (m *Machine) ReadFloats(dst []float32, b kernels.Buffer, run int) error {
	v, err := m.Floats(b, run)
	return exchange(dst, v, err)
}

// WriteFloats implements [kernels.Machine].
func (m *Machine) WriteFloats(b kernels.Buffer, run int, src []float32) error {
	v, err := m.Floats(b, run)
	return exchange(v, src, err)
}

// ReadInts implements [kernels.Machine].
func (m *Machine) ReadInts(dst []int32, b kernels.Buffer, run int) error {
	v, err := m.Ints(b, run)
	return exchange(dst, v, err)
}

// WriteInts implements [kernels.Machine].
func (m *Machine) WriteInts(b kernels.Buffer, run int, src []int32) error {
	v, err := m.Ints(b, run)
	return exchange(v, src, err)
}

func exchange[T any](dst, src []T, err error) error {
	if err != nil {
		return err
	}
	if len(dst) != len(src) {
		return fmt.Errorf("%d elements for %d", len(src), len(dst))
	}
	copy(dst, src)
	return nil
}
