package mup

import (
	"fmt"
	"strconv"
	"strings"
)

// unknown is the error of a word that is none of the valid ones, with the nearest of them.
func unknown[W ~string](kind string, word W, valid []W) error {
	if n := nearest(word, valid); n != "" {
		return fmt.Errorf("unknown %s %q: did you mean %s?", kind, word, n)
	}
	return fmt.Errorf("unknown %s %q: use one of %s", kind, word, list(valid))
}

func list[W ~string](words []W) string {
	s := make([]string, len(words))
	for i, w := range words {
		s[i] = string(w)
	}
	return strings.Join(s, ", ")
}

// nearest is the valid word within a third of the letters in changes, or one that word
// begins; "" if none is near.
func nearest[W ~string](word W, valid []W) W {
	typed := []rune(strings.ToLower(string(word)))
	if len(typed) == 0 || len(typed) > 64 {
		return ""
	}
	best, at := W(""), max(1, len(typed)/3)+1
	for _, v := range valid {
		meant := []rune(string(v))
		d := distance(typed, meant)
		if len(typed) >= 3 && strings.HasPrefix(string(v), string(typed)) {
			d = min(d, 1)
		}
		if d < at {
			best, at = v, d
		}
	}
	return best
}

// distance counts letters changed, added, dropped or swapped with their neighbour
// (optimal string alignment).
func distance(a, b []rune) int {
	rows := [3][]int{}
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
	}
	before, prev, row := rows[0], rows[1], rows[2]
	for j := range prev {
		prev[j] = j
	}
	for i := range a {
		row[0] = i + 1
		for j := range b {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			row[j+1] = min(prev[j+1]+1, row[j]+1, prev[j]+change)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}

// number is a float in its shortest exact form.
func number(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// count is a number of tokens without an exponent.
func count(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
