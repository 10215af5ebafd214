package fitting

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// HoldOut says which cells a comparison does not show to the laws. Exactly one
// field is set; none holds out the largest half.
type HoldOut struct {
	// Half holds out the largest ⌈n/2⌉ cells by N·D (17 cells: fit on 8, test on 9).
	Half bool
	// Largest > 0 holds out that many of the largest cells by N·D.
	Largest int
	// N > 0 holds out every cell of that N, to within 1%.
	N float64
	// LargestN holds out every cell of the largest N.
	LargestN bool
	// EachN holds out each N in turn and pools the scores.
	EachN bool
}

// size orders cells: N·D, or whichever of the two the key has.
func (k Key) size() float64 {
	s := 1.0
	if k.N > 0 {
		s *= k.N
	}
	if k.D > 0 {
		s *= k.D
	}
	return s
}

// folds returns the sets of held-out cells, by index.
func (h HoldOut) folds(s *CurveSet) ([]map[int]bool, error) {
	n := len(s.Curves)
	chosen := btoi(h.Half) + btoi(h.Largest != 0) + btoi(h.N != 0) + btoi(h.LargestN) + btoi(h.EachN)
	switch {
	case chosen > 1:
		return nil, errors.New("hold-out: choose one of half, largest, N, largest N and each N")
	case h.Largest != 0:
		if h.Largest < 0 || h.Largest >= n {
			return nil, fmt.Errorf("hold-out: %d of %s cannot be held out; leave at least one to fit", h.Largest, plural(n, "cell"))
		}
		return []map[int]bool{largest(s, h.Largest)}, nil
	case h.N != 0:
		held := map[int]bool{}
		for i := range s.Curves {
			if r := s.Curves[i].Key.N / h.N; r > 1/1.01 && r < 1.01 {
				held[i] = true
			}
		}
		return oneFold(held, n, "N="+FormatCount(h.N))
	}
	byN := map[float64]map[int]bool{}
	var sizes []float64
	for i := range s.Curves {
		k := s.Curves[i].Key.N
		if byN[k] == nil {
			byN[k] = map[int]bool{}
			sizes = append(sizes, k)
		}
		byN[k][i] = true
	}
	slices.Sort(sizes)
	switch {
	case h.LargestN:
		return oneFold(byN[sizes[len(sizes)-1]], n, "the largest N")
	case h.EachN:
		if len(sizes) < 2 {
			return nil, errors.New("hold-out: all cells have one N, so none can be held out")
		}
		var folds []map[int]bool
		for _, k := range sizes {
			folds = append(folds, byN[k])
		}
		return folds, nil
	}
	if n < 2 {
		return nil, errors.New("hold-out: one cell cannot be split")
	}
	return []map[int]bool{largest(s, (n+1)/2)}, nil
}

func oneFold(held map[int]bool, n int, what string) ([]map[int]bool, error) {
	switch len(held) {
	case 0:
		return nil, fmt.Errorf("hold-out: no cell has %s", what)
	case n:
		return nil, fmt.Errorf("hold-out: every cell has %s, so nothing is left to fit", what)
	}
	return []map[int]bool{held}, nil
}

// largest holds out the k largest cells; of equals, the later in the set.
func largest(s *CurveSet, k int) map[int]bool {
	order := make([]int, len(s.Curves))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(s.Curves[a].Key.size(), s.Curves[b].Key.size())
	})
	held := map[int]bool{}
	for _, i := range order[len(order)-k:] {
		held[i] = true
	}
	return held
}
