package kernels

import (
	"cmp"
	"slices"
)

// intervals is a set of integers, as disjoint half-open intervals in order.
type intervals [][2]int

func (s *intervals) add(from, until int) {
	kept := (*s)[:0:0]
	for _, v := range *s {
		if v[1] < from || v[0] > until {
			kept = append(kept, v)
			continue
		}
		from, until = min(from, v[0]), max(until, v[1])
	}
	kept = append(kept, [2]int{from, until})
	slices.SortFunc(kept, func(a, b [2]int) int { return cmp.Compare(a[0], b[0]) })
	*s = kept
}

func (s *intervals) covers(from, until int) bool {
	for _, v := range *s {
		if v[0] <= from && until <= v[1] {
			return true
		}
	}
	return false
}

// lifetime is the operations from the first to the last that use a scratch buffer.
type lifetime struct {
	root        Buffer
	first, last int
	size, at    int
}

// planScratch gives every scratch buffer an offset such that buffers that live at the
// same time do not overlap: largest first, each at the lowest place that is free.
func planScratch(p *Program) Layout {
	index := map[Buffer]int{}
	var lives []lifetime
	for i := range p.ops {
		for _, a := range p.accesses[i] {
			info := &p.space.buffers[a.Buffer-1]
			if info.Class != Scratch {
				continue
			}
			k, ok := index[info.Root]
			if !ok {
				k = len(lives)
				index[info.Root] = k
				root := &p.space.buffers[info.Root-1]
				lives = append(lives, lifetime{root: info.Root, first: i, size: padded(root.Len())})
			}
			lives[k].last = i
		}
	}
	slices.SortStableFunc(lives, func(a, b lifetime) int { return cmp.Compare(b.size, a.size) })
	l := Layout{Offset: make([]int, len(p.space.buffers))}
	for i := range l.Offset {
		l.Offset[i] = -1
	}
	var meet []lifetime // placed buffers that live at the same time, by place
	for i := range lives {
		b := &lives[i]
		meet = meet[:0]
		for _, o := range lives[:i] {
			if o.first <= b.last && b.first <= o.last {
				meet = append(meet, o)
			}
		}
		slices.SortFunc(meet, func(x, y lifetime) int { return cmp.Compare(x.at, y.at) })
		for _, o := range meet {
			if o.at >= b.at+b.size {
				break
			}
			b.at = max(b.at, o.at+o.size)
		}
		l.Offset[b.root-1] = b.at
		l.Len = max(l.Len, b.at+b.size)
	}
	return l
}
