package data

import (
	"maps"
	"math"
	"slices"
)

// Entropy is what a model that only counts would reach on a text, in bits per byte: a
// sanity table for losses. A trained byte-level proxy lies below Order2 on a long text,
// an untrained one at 8 (log₂ 256).
type Entropy struct {
	Order0 float64 // bytes alone
	Order2 float64 // bytes given the two before; on a short text too low, since it has counted that very text
	Bytes  int64   // counted
}

// maxCounted bounds the text counted: the figures change little beyond.
const maxCounted = 1 << 20

// MeasureEntropy counts the beginning of a text, 1 MB at most.
func MeasureEntropy(text []byte) Entropy {
	text = text[:min(len(text), maxCounted)]
	e := Entropy{Bytes: int64(len(text))}
	var ones [256]int64
	pairs, triples := map[uint32]int64{}, map[uint32]int64{}
	var h uint32
	for i, b := range text {
		ones[b]++
		if h = h<<8&0xffffff | uint32(b); i >= 2 {
			triples[h]++
			pairs[h>>8]++
		}
	}
	for _, n := range ones {
		e.Order0 += surprise(n, e.Bytes)
	}
	for _, t := range slices.Sorted(maps.Keys(triples)) { // in order: the same sum every time
		n := triples[t] // −p(abc) log₂ p(c|ab)
		e.Order2 += float64(n) * math.Log2(float64(pairs[t>>8])/float64(n))
	}
	if e.Bytes > 2 {
		e.Order2 /= float64(e.Bytes - 2)
	}
	return e
}

func surprise(n, of int64) float64 {
	if n == 0 {
		return 0
	}
	p := float64(n) / float64(of)
	return -p * math.Log2(p)
}

// Entropy counts a corpus of bytes; ok is false when its tokens are no bytes.
func (c *Corpus) Entropy() (e Entropy, ok bool, err error) {
	if c.Info.Vocab != 256 {
		return Entropy{}, false, nil
	}
	row := c.train.row
	ids := make([]int32, min(row.Len(), maxCounted))
	if err := row.Read(ids, 0); err != nil {
		return Entropy{}, false, err
	}
	text := make([]byte, len(ids))
	for i, id := range ids {
		text[i] = byte(id)
	}
	return MeasureEntropy(text), true, nil
}
