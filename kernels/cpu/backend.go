package cpu

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/internal/simd"
)

// Options choose how programs execute. The zero value takes what is fastest.
type Options struct {
	// ISA is avx512, avx2 or generic; the fastest that the machine runs if empty.
	ISA string
	// Workers is how many runs execute at once; GOMAXPROCS if 0.
	Workers int
}

// Backend implements [kernels.Backend] on the processor.
type Backend struct {
	set     *simd.Set
	workers int
	chunk   int // most rows that go through a program at a time
}

var _ kernels.Backend = (*Backend)(nil)

// New returns the backend, or an error if the machine does not run the instruction set.
func New(o Options) (*Backend, error) {
	set, err := simd.Select(o.ISA)
	if err != nil {
		return nil, fmt.Errorf("cpu backend: %w", err)
	}
	if o.Workers < 0 {
		return nil, fmt.Errorf("cpu backend: %d workers", o.Workers)
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	return &Backend{set, o.Workers, chunkRows}, nil
}

// ISAs lists the instruction sets that this machine runs, fastest first.
func ISAs() []string {
	var names []string
	for _, s := range simd.Available() {
		names = append(names, s.Name)
	}
	return names
}

// Name is cpu/ and the instruction set. Portable Go may fuse multiplications and
// additions on some processors, so its name carries the architecture.
func (b *Backend) Name() string {
	if b.set.Name == "generic" {
		return "cpu/generic/" + runtime.GOARCH
	}
	return "cpu/" + b.set.Name
}

// Workers is how many runs execute at once.
func (b *Backend) Workers() int { return b.workers }

// Peak measures what one core does at most, in float32 operations a second, during
// about 10 ms.
func (b *Backend) Peak() float64 {
	const rounds = 20000
	best := 0.0
	for start := time.Now(); time.Since(start) < 10*time.Millisecond; {
		t := time.Now()
		b.set.Spin(rounds)
		if s := time.Since(t).Seconds(); s > 0 {
			best = max(best, rounds*b.set.SpinFlops/s)
		}
	}
	return best
}

// needs is the memory of a set of programs, in floats.
type needs struct {
	shared, perRun     int
	scratch, tmp, rope int // scratch and tmp a worker
}

// maxBytes is more than any machine has and far from overflow: 2⁴⁶, or 2³⁰ with 32 bits.
const maxBytes = 1 << (30 + 16*(^uint(0)>>63))

func (b *Backend) compileAll(runs int, programs []*kernels.Program, dry bool) ([]*compiled, needs, error) {
	var n needs
	if runs < 1 {
		return nil, n, fmt.Errorf("%d runs", runs)
	}
	if len(programs) == 0 {
		return nil, n, errors.New("no programs")
	}
	space := programs[0].Space()
	shared, perRun := space.Layout(kernels.Shared), space.Layout(kernels.PerRun)
	n.shared, n.perRun = shared.Len, perRun.Len
	ropes := map[ropeKey]ropeTable{}
	var list []*compiled
	for _, p := range programs {
		if p.Space() != space {
			return nil, n, fmt.Errorf("program %s is over another space", p.Name())
		}
		c := &compiler{set: b.set, space: space, shared: shared, perRun: perRun, ropes: ropes, dry: dry, chunk: b.chunk}
		done := &compiled{program: p}
		done.parts = c.parts(p)
		c.scratch = c.squeeze(p, done.parts)
		for _, c.part = range done.parts {
			for i := c.part.from; i < c.part.until; i++ {
				c.tmp = 0
				run, err := c.compile(p.Op(i))
				if err != nil {
					return nil, n, fmt.Errorf("program %s: op %d: %w", p.Name(), i, err)
				}
				done.steps = append(done.steps, run)
				n.tmp = max(n.tmp, c.tmp)
			}
		}
		n.scratch = max(n.scratch, c.scratch.Len)
		list = append(list, done)
	}
	for k := range ropes {
		n.rope += k.limit * k.dim
	}
	if n.perRun > maxBytes/4/runs || n.shared+n.scratch+n.tmp+n.rope > maxBytes/4/b.workers {
		return nil, n, fmt.Errorf("%d runs need more memory than any machine has", runs)
	}
	return list, n, nil
}

// Bytes predicts what Load allocates: shared buffers, per-run buffers for every run, and
// scratch and working memory for every worker.
func (b *Backend) Bytes(runs int, programs ...*kernels.Program) (int64, error) {
	_, n, err := b.compileAll(runs, programs, true)
	if err != nil {
		return 0, fmt.Errorf("cpu backend: %w", err)
	}
	return b.bytes(runs, n), nil
}

func (b *Backend) bytes(runs int, n needs) int64 {
	workers := int64(min(b.workers, runs))
	floats := int64(n.shared) + int64(n.rope) + int64(runs)*int64(n.perRun) + workers*int64(n.scratch+n.tmp)
	return 4*floats + workers*b.set.NewWork().Bytes()
}

// Load allocates the memory of the runs, zeroed, and starts the workers.
func (b *Backend) Load(runs int, programs ...*kernels.Program) (kernels.Machine, error) {
	list, n, err := b.compileAll(runs, programs, false)
	if err != nil {
		return nil, fmt.Errorf("cpu backend: %w", err)
	}
	return newMachine(b, runs, list, n), nil
}
