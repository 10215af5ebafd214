package cuda

import (
	"cmp"
	"slices"

	"github.com/etastar/etastar/kernels"
)

// form is how a buffer lies in memory; a float buffer can have both.
type form uint8

const (
	wide   form = 1 << iota // float32 or int32
	narrow                  // bfloat16
)

func (f form) size() int64 {
	if f == narrow {
		return 2
	}
	return 4
}

// align is what every buffer's place is a multiple of, in bytes.
const align = 256

func aligned(n int64) int64 { return (n + align - 1) / align * align }

// places is where roots lie in each form, in bytes; -1 where they do not.
type places struct {
	wide, narrow []int64 // by root − 1
}

func newPlaces(n int) places {
	p := places{make([]int64, n), make([]int64, n)}
	for i := range n {
		p.wide[i], p.narrow[i] = -1, -1
	}
	return p
}

func (p places) of(f form) []int64 {
	if f == narrow {
		return p.narrow
	}
	return p.wide
}

// layout is the memory of a machine, one allocation:
//
//	shared: slot map, run numbers, constants, shared buffers, shared working memory
//	run 0:  per-run buffers, then scratch and working memory of the widest program
//	run 1:  …
type layout struct {
	base   uint64
	slots  int64 // slot map: int32 a run
	number int64 // the numbers 0, 1, 2, …: int32 a run
	consts int64
	work   int64 // working memory that all runs share
	shared int64 // bytes of the shared part
	run    int64 // bytes of a run
	runs   int

	constBytes, workBytes int64
	places                places // of shared buffers from base, of others from their run
	scratch               int64  // where scratch begins in a run
}

func (l *layout) bytes() int64 { return l.shared + int64(l.runs)*l.run }

// plan places everything. programs have been sized; forms are final.
func plan(space *kernels.Space, forms []form, runs int, programs []*compiled, constBytes, workBytes int64) *layout {
	l := &layout{runs: runs, places: newPlaces(len(forms)), constBytes: constBytes, workBytes: workBytes}
	at := int64(0)
	take := func(n int64) int64 {
		from := at
		at += aligned(n)
		return from
	}
	place := func(class kernels.Class) {
		for i, f := range forms {
			info, _ := space.Info(kernels.Buffer(i + 1))
			if info.Class != class || info.Root != kernels.Buffer(i+1) {
				continue
			}
			for _, one := range []form{wide, narrow} {
				if f&one != 0 {
					l.places.of(one)[i] = take(int64(info.Len()) * one.size())
				}
			}
		}
	}
	l.slots, l.number = take(int64(runs)*4), take(int64(runs)*4)
	l.consts = take(constBytes)
	place(kernels.Shared)
	l.work = take(workBytes)
	l.shared = at
	at = 0
	place(kernels.PerRun)
	l.scratch = at
	most := int64(0)
	for _, c := range programs {
		most = max(most, c.place(space, forms))
	}
	l.run = at + most
	return l
}

// block is memory that a program needs from its first to its last use.
type block struct {
	first, last int
	size, at    int64
}

// place gives the scratch buffers of a program and the working memory of its operations
// places such that what lives at the same time does not overlap, and returns the bytes:
// largest first, each at the lowest place that is free.
func (c *compiled) place(space *kernels.Space, forms []form) int64 {
	c.scratch = newPlaces(len(forms))
	c.workAt = make([]int64, len(c.work))
	var blocks []*block
	type key struct {
		root kernels.Buffer
		form form
	}
	index, work := map[key]*block{}, map[int]*block{}
	var put []func() // writes results where they belong
	add := func(i int, size int64, at *int64) *block {
		b := &block{first: i, last: i, size: aligned(size)}
		blocks = append(blocks, b)
		put = append(put, func() { *at = b.at })
		return b
	}
	for i, s := range c.steps {
		for _, a := range s.accesses {
			info, _ := space.Info(a.Buffer)
			if info.Class != kernels.Scratch {
				continue
			}
			root, _ := space.Info(info.Root)
			for _, one := range []form{wide, narrow} {
				if forms[info.Root-1]&one == 0 {
					continue
				}
				k := key{info.Root, one}
				if index[k] == nil {
					index[k] = add(i, int64(root.Len())*one.size(), &c.scratch.of(one)[info.Root-1])
				}
				index[k].last = i
			}
		}
		if c.work[i] > 0 {
			work[i] = add(i, c.work[i], &c.workAt[i])
		}
	}
	for _, h := range c.holds {
		for _, root := range h.roots {
			for _, one := range []form{wide, narrow} {
				if b := index[key{root, one}]; b != nil {
					b.last = max(b.last, h.until-1)
				}
			}
		}
		if b := work[h.step]; b != nil {
			b.last = h.until - 1
		}
	}
	total := fit(blocks)
	for _, f := range put {
		f()
	}
	return total
}

// fit places blocks and returns where the last one ends.
func fit(blocks []*block) int64 {
	blocks = slices.Clone(blocks)
	slices.SortStableFunc(blocks, func(a, b *block) int { return cmp.Compare(b.size, a.size) })
	total := int64(0)
	var meet []*block
	for i, b := range blocks {
		meet = meet[:0]
		for _, o := range blocks[:i] {
			if o.first <= b.last && b.first <= o.last {
				meet = append(meet, o)
			}
		}
		slices.SortFunc(meet, func(x, y *block) int { return cmp.Compare(x.at, y.at) })
		b.at = 0
		for _, o := range meet {
			if o.at >= b.at+b.size {
				break
			}
			b.at = max(b.at, o.at+o.size)
		}
		total = max(total, b.at+b.size)
	}
	return total
}
