package cuda

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/cuda/driver"
)

// Machine implements [kernels.Machine]. Execute and the writes only queue work; the
// reads wait for it. What fails on the device is therefore an error of a later call.
type Machine struct {
	backend  *Backend
	space    *kernels.Space
	compiler *compiler
	layout   *layout
	programs map[*kernels.Program]*compiled
	indices  *indices

	active []bool
	moved  bool // the slot map on the device is out of date
	graphs map[graphKey]driver.Graph
	recent []graphKey // of graphs, the latest last

	memory  driver.Memory
	stream  driver.Stream
	side    driver.Stream // beside it
	staging *staging
	closed  bool
}

var _ kernels.Machine = (*Machine)(nil)

// graphKey is what a graph was captured for: a program with a number of runs, or with
// certain runs where it has launches for single ones.
type graphKey struct {
	program *kernels.Program
	runs    int
	mask    string
}

// maxGraphs bounds how many are kept; a group seldom has more sets of runs in use.
const maxGraphs = 24

func newMachine(b *Backend, c *compiler, sized []*compiled) (*Machine, error) {
	m := &Machine{
		backend: b, space: c.space, compiler: c, layout: c.layout, programs: map[*kernels.Program]*compiled{},
		active: make([]bool, c.runs), moved: true, graphs: map[graphKey]driver.Graph{},
	}
	for r := range m.active {
		m.active[r] = true
	}
	err := b.device.Do(func(d *driver.Context) error { return m.load(d, sized) })
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

func (m *Machine) load(d *driver.Context, sized []*compiled) (err error) {
	if m.stream, err = d.NewStream(true); err != nil {
		return err
	}
	if m.side, err = d.NewStream(false); err != nil {
		return err
	}
	if m.staging, err = newStaging(d); err != nil {
		return err
	}
	total := m.layout.bytes()
	if m.memory, err = d.Alloc(total); err != nil {
		if free, all, e := d.MemInfo(); e == nil && errors.Is(err, driver.ErrOutOfMemory) {
			err = fmt.Errorf("%w: %d of %d bytes of %s are free", err, free, all, m.backend.device.Info.Name)
		}
		return err
	}
	if err = d.Set8(m.memory, 0, total, m.stream); err != nil {
		return err
	}
	m.compiler.encode = d.EncodeMap
	list, err := m.compiler.finish(uint64(m.memory), sized)
	m.compiler.encode = nil
	if err != nil {
		return err
	}
	m.indices = newIndices(m.space, list, len(m.active))
	for _, p := range list {
		m.programs[p.program] = p
	}
	for _, k := range m.compiler.consts {
		if err = m.staging.write(d, m.memory+driver.Memory(k.at), k.data, m.stream); err != nil {
			return err
		}
	}
	m.compiler.consts = nil
	numbers := make([]byte, 4*len(m.active))
	for r := range m.active {
		binary.NativeEndian.PutUint32(numbers[4*r:], uint32(r))
	}
	if err = m.staging.write(d, m.memory+driver.Memory(m.layout.number), numbers, m.stream); err != nil {
		return err
	}
	return d.Synchronize(m.stream)
}

// Close implements [kernels.Machine]: it waits for what is under way.
func (m *Machine) Close() error {
	if m.closed {
		return nil
	}
	m.closed = true
	return m.backend.device.Do(func(d *driver.Context) error {
		var failed error
		if m.stream != 0 {
			failed = d.Synchronize(m.stream)
		}
		var errs []error
		for _, g := range m.graphs {
			errs = append(errs, d.DestroyGraph(g))
		}
		if m.memory != 0 {
			errs = append(errs, d.Free(m.memory))
		}
		if m.staging != nil {
			errs = append(errs, m.staging.free(d))
		}
		for _, s := range []driver.Stream{m.stream, m.side} {
			if s != 0 {
				errs = append(errs, d.DestroyStream(s))
			}
		}
		if failed != nil {
			return failed // after which no call succeeds
		}
		return errors.Join(errs...)
	})
}

// SetActive implements [kernels.Machine]; runs that do not exist are ignored.
func (m *Machine) SetActive(run int, active bool) {
	if run >= 0 && run < len(m.active) && m.active[run] != active {
		m.active[run], m.moved = active, true
	}
}

// Execute implements [kernels.Machine].
func (m *Machine) Execute(p *kernels.Program) error {
	c := m.programs[p]
	if c == nil {
		return fmt.Errorf("program %s was not loaded", p.Name())
	}
	if m.closed {
		return fmt.Errorf("program %s: the machine is closed", p.Name())
	}
	if err := m.indices.check(c, m.active); err != nil {
		return fmt.Errorf("program %s: %w", p.Name(), err)
	}
	if !slices.Contains(m.active, true) {
		return nil
	}
	if err := m.backend.device.Do(func(d *driver.Context) error { return m.execute(d, c) }); err != nil {
		return fmt.Errorf("program %s: %w", p.Name(), err)
	}
	return nil
}

func (m *Machine) execute(d *driver.Context, c *compiled) error {
	if err := m.writeSlots(d); err != nil {
		return err
	}
	if m.backend.options.NoGraphs {
		if err := m.record(&fork{d: d, main: m.stream}, c); err != nil {
			return err
		}
		return d.Synchronize(m.stream)
	}
	g, err := m.graph(d, c)
	if err != nil {
		return err
	}
	return d.Replay(g, m.stream)
}

// writeSlots tells the device which runs are active.
func (m *Machine) writeSlots(d *driver.Context) error {
	if !m.moved {
		return nil
	}
	var list []byte
	for r, on := range m.active {
		if on {
			list = binary.NativeEndian.AppendUint32(list, uint32(r))
		}
	}
	m.moved = false
	return m.staging.write(d, m.memory+driver.Memory(m.layout.slots), list, m.stream)
}

func (m *Machine) activeRuns() int {
	n := 0
	for _, on := range m.active {
		if on {
			n++
		}
	}
	return n
}

// graph captures a program for the active runs, or finds where that was done before.
func (m *Machine) graph(d *driver.Context, c *compiled) (driver.Graph, error) {
	k := graphKey{program: c.program, runs: m.activeRuns()}
	if c.separate {
		k.mask = fmt.Sprint(m.active)
	}
	if g, ok := m.graphs[k]; ok {
		return g, nil
	}
	// Code must be on the device before: loading it may wait for the stream.
	for i := range c.launches {
		if err := m.prepare(d, &c.launches[i]); err != nil {
			return 0, err
		}
	}
	f := &fork{d: d, main: m.stream, side: m.side, ahead: true}
	g, _, err := d.Capture(m.stream, func() error { return m.record(f, c) })
	if err := errors.Join(err, f.close()); err != nil {
		return 0, err
	}
	if len(m.recent) == maxGraphs {
		// The oldest may be under way still.
		if err := errors.Join(d.Synchronize(m.stream), d.DestroyGraph(m.graphs[m.recent[0]])); err != nil {
			return 0, err
		}
		delete(m.graphs, m.recent[0])
		m.recent = m.recent[1:]
	}
	m.graphs[k], m.recent = g, append(m.recent, k)
	return g, nil
}

// record puts the launches of a program into the stream, or the one beside it.
func (m *Machine) record(f *fork, c *compiled) error {
	runs := m.activeRuns()
	for i := range c.launches {
		l := &c.launches[i]
		grid := l.grid
		switch {
		case l.run >= 0 && !m.active[l.run]:
			continue
		case l.run < 0 && !l.once:
			grid[2] = runs
		}
		if l.spread > 0 {
			grid[0] = min(grid[0], max(1, l.spread/runs))
		}
		s, err := f.before(l)
		if err != nil {
			return err
		}
		if err := m.launch(f.d, l, grid, s); err != nil {
			return err
		}
		if err := f.after(l); err != nil {
			return err
		}
	}
	return f.join(len(c.steps))
}

// prepare gets what a launch needs.
func (m *Machine) prepare(d *driver.Context, l *launch) error {
	if l.blas != nil {
		_, err := m.backend.blas.plan(l.blas.product)
		return err
	}
	_, err := m.backend.code.function(d, l.kernel, l.shared)
	return err
}

func (m *Machine) launch(d *driver.Context, l *launch, grid [3]int, s driver.Stream) error {
	if l.blas != nil {
		return m.backend.blas.multiply(l.blas, s)
	}
	f, err := m.backend.code.function(d, l.kernel, l.shared)
	if err == nil {
		err = d.Launch(f, grid, [3]int{l.block, 1, 1}, l.shared, s, l.args)
	}
	if err == nil && m.backend.options.NoGraphs {
		err = d.Synchronize(s)
	}
	if err != nil {
		return fmt.Errorf("kernel %s: %w", l.kernel, err)
	}
	return nil
}

// find is where a buffer of the host's lies, in float32 or int32.
func (m *Machine) find(b kernels.Buffer, run, n int, t kernels.Type) (driver.Memory, kernels.Info, error) {
	info, ok := m.space.Info(b)
	var err error
	switch {
	case !ok:
		err = fmt.Errorf("no buffer %d in this space", b)
	case info.Type != t:
		err = fmt.Errorf("buffer %s is %s, not %s", &info, info.Type, t)
	case int(b) > len(m.compiler.forms):
		err = fmt.Errorf("buffer %s was declared after the programs were loaded", &info)
	case info.Class == kernels.Scratch:
		err = fmt.Errorf("buffer %s is scratch: its contents do not outlive a program", &info)
	case info.Class == kernels.PerRun && (run < 0 || run >= len(m.active)):
		err = fmt.Errorf("buffer %s: run %d of %d", &info, run, len(m.active))
	case n != info.Len():
		err = fmt.Errorf("buffer %s: %d elements for %d", &info, n, info.Len())
	case m.closed:
		err = fmt.Errorf("buffer %s: the machine is closed", &info)
	}
	if err != nil {
		return 0, info, err
	}
	return m.place(b, run, wide), info, nil
}

// place is where a buffer of the host's lies in a form.
func (m *Machine) place(b kernels.Buffer, run int, f form) driver.Memory {
	r := m.compiler.ref(b, f)
	return driver.Memory(r.p + uint64(int64(run)*r.stride*f.size()))
}

// ReadFloats implements [kernels.Machine].
func (m *Machine) ReadFloats(dst []float32, b kernels.Buffer, run int) error {
	return m.read(asBytes(dst), b, run, kernels.Float32)
}

// ReadInts implements [kernels.Machine].
func (m *Machine) ReadInts(dst []int32, b kernels.Buffer, run int) error {
	return m.read(asBytes(dst), b, run, kernels.Int32)
}

func (m *Machine) read(dst []byte, b kernels.Buffer, run int, t kernels.Type) error {
	at, _, err := m.find(b, run, len(dst)/4, t)
	if err != nil {
		return err
	}
	return m.backend.device.Do(func(d *driver.Context) error { return m.staging.read(d, dst, at, m.stream) })
}

// WriteFloats implements [kernels.Machine].
func (m *Machine) WriteFloats(b kernels.Buffer, run int, src []float32) error {
	at, info, err := m.find(b, run, len(src), kernels.Float32)
	if err != nil {
		return err
	}
	return m.backend.device.Do(func(d *driver.Context) error {
		if err := m.staging.write(d, at, asBytes(src), m.stream); err != nil {
			return err
		}
		if m.compiler.forms[info.Root-1]&narrow == 0 {
			return nil
		}
		return m.refresh(d, b, run, ref{p: uint64(at)}, info.Len())
	})
}

// refresh brings the bfloat16 copy of a buffer up to date.
func (m *Machine) refresh(d *driver.Context, b kernels.Buffer, run int, from ref, n int) error {
	c := m.compiler
	c.to, c.err = &compiled{}, nil
	c.convertFor(0, c.only(0), narrow, ref{p: uint64(m.place(b, run, narrow))}, from, n)
	if c.err != nil {
		return c.err
	}
	l := c.last()
	return m.launch(d, l, l.grid, m.stream)
}

// WriteInts implements [kernels.Machine].
func (m *Machine) WriteInts(b kernels.Buffer, run int, src []int32) error {
	at, info, err := m.find(b, run, len(src), kernels.Int32)
	if err != nil {
		return err
	}
	m.indices.write(info, run, src)
	return m.backend.device.Do(func(d *driver.Context) error { return m.staging.write(d, at, asBytes(src), m.stream) })
}

// asBytes is the memory of a slice of 32-bit numbers.
func asBytes[T int32 | float32](v []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), 4*len(v))
}
