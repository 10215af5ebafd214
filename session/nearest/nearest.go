// Package nearest finds the word a person probably meant, for error messages and
// completion. It knows nothing of what the words stand for.
package nearest

import (
	"strings"
	"unicode"
)

// longest is the length in runes beyond which words are not compared: nobody
// mistypes a word that long, and the comparison is quadratic.
const longest = 64

// Word returns the candidate closest to word, or "" if none is close. Case and
// punctuation do not count ("learning rate" is learning_rate). A few typing
// slips (a letter changed, added, dropped or two swapped: one for every three
// letters) are allowed, and so is leaving off the end of a word of at least
// three letters. Of equally close candidates the first wins.
func Word(word string, candidates []string) string {
	typed := fold(word)
	if len(typed) == 0 || len(typed) > longest {
		return ""
	}
	allowed := max(1, len(typed)/3)
	if len(typed) == 1 {
		allowed = 0
	}
	best, bestCost := "", 1<<30
	for _, c := range candidates {
		// Costs are doubled so that a cut-off word ranks behind one slip.
		cost := 1 << 30
		meant := fold(c)
		switch {
		case len(meant) == 0 || len(meant) > longest:
		case string(meant) == string(typed):
			cost = 0
		case abs(len(meant)-len(typed)) <= allowed:
			if d := distance(typed, meant, allowed); d <= allowed {
				cost = 2 * d
			}
		}
		if cost > 3 && len(typed) >= 3 && strings.HasPrefix(string(meant), string(typed)) {
			cost = 3
		}
		if cost < bestCost {
			best, bestCost = c, cost
		}
	}
	return best
}

// fold keeps letters, digits and symbols that carry meaning, in lower case.
func fold(s string) []rune {
	out := make([]rune, 0, min(len(s), longest+1))
	for _, r := range s {
		if unicode.IsSpace(r) || unicode.IsPunct(r) {
			continue
		}
		if out = append(out, unicode.ToLower(r)); len(out) > longest {
			break
		}
	}
	return out
}

// distance is the optimal string alignment distance, or limit+1 if it is more than limit.
func distance(a, b []rune, limit int) int {
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		least := row[0]
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
			least = min(least, row[j])
		}
		if least > limit {
			return limit + 1
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}

func abs(x int) int { return max(x, -x) }
