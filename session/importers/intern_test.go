package importers

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestLookUp: looked up in batches, words have the numbers of their first appearance.
func TestLookUp(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	d, c := newDictionary(), &column{mode: asText}
	c.dict = d
	words, number := []string{""}, map[string]uint32{"": 0}
	var want []uint32
	for range 60_000 {
		w := fmt.Sprint("w", r.IntN(40_000))
		switch r.IntN(20) {
		case 0:
			w = ""
		case 1:
			w += "\xff"
		}
		c.addWord([]byte(w))
		w = strings.ToValidUTF8(w, "�")
		if _, ok := number[w]; !ok {
			number[w] = uint32(len(words))
			words = append(words, w)
		}
		want = append(want, number[w])
	}
	if len(d.slots) < 2*largeTable {
		t.Fatalf("%d slots are few", len(d.slots))
	}
	d.lookUp(c.codes)
	if !slices.Equal(c.codes, want) || !slices.Equal(d.words, words) || !d.invalid {
		t.Error("other numbers or words than one by one")
	}
}
