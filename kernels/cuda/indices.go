package cuda

import (
	"fmt"

	"github.com/etastar/etastar/kernels"
)

// indices keeps a copy of what the host wrote into buffers that programs use as row
// numbers, so that numbers out of range are errors before anything is launched.
type indices struct {
	space  *kernels.Space
	values map[kernels.Buffer][][]int32 // by root, then run
	bad    map[use]error
	checks map[kernels.Buffer][]use // by root
}

// use is one bound of one program for one run; shared buffers have run 0 alone.
type use struct {
	program *compiled
	bound   int
	run     int
}

func newIndices(space *kernels.Space, list []*compiled, runs int) *indices {
	x := &indices{space, map[kernels.Buffer][][]int32{}, map[use]error{}, map[kernels.Buffer][]use{}}
	for _, p := range list {
		for i, b := range p.bounds {
			info, _ := space.Info(b.buffer)
			root, _ := space.Info(info.Root)
			n := runs
			if info.Class == kernels.Shared {
				n = 1
			}
			for run := range n {
				if len(x.values[info.Root]) <= run {
					x.values[info.Root] = append(x.values[info.Root], make([]int32, root.Len()))
				}
				x.checks[info.Root] = append(x.checks[info.Root], use{p, i, run})
			}
		}
	}
	return x
}

// write notes what the host wrote.
func (x *indices) write(info kernels.Info, run int, v []int32) {
	runs := x.values[info.Root]
	if runs == nil {
		return
	}
	if info.Class == kernels.Shared {
		run = 0
	}
	copy(runs[run][info.Offset:], v)
	for _, k := range x.checks[info.Root] {
		if k.run == run {
			x.look(k)
		}
	}
}

// look checks all numbers of a bound.
func (x *indices) look(k use) {
	b := k.program.bounds[k.bound]
	info, _ := x.space.Info(b.buffer)
	delete(x.bad, k)
	for i, v := range x.values[info.Root][k.run][info.Offset : info.Offset+info.Len()] {
		if int(v) >= b.limit || v < 0 && !b.negative {
			x.bad[k] = fmt.Errorf("op %d: %s: %d at position %d is not in 0…%d", b.op, b.what, v, i, b.limit-1)
			return
		}
	}
}

// check returns the error of the first active run that has one.
func (x *indices) check(p *compiled, active []bool) error {
	if len(x.bad) == 0 {
		return nil
	}
	for run, on := range active {
		if !on {
			continue
		}
		for i, b := range p.bounds {
			info, _ := x.space.Info(b.buffer)
			k := use{p, i, run}
			if info.Class == kernels.Shared {
				k.run = 0
			}
			if err := x.bad[k]; err != nil {
				return fmt.Errorf("run %d: %w", run, err)
			}
		}
	}
	return nil
}
