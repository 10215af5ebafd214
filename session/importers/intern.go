package importers

import (
	"hash/maphash"
	"slices"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// dictionary numbers the different words of a text column. A column of names has
// a new word in every row, which decides how fast a file with one is read: this
// table hashes a word once, keeps the hash, and stores words back to back, where a
// map would hash twice and allocate each.
type dictionary struct {
	words   []string // words[0] is the blank cell
	slots   []slot   // open addressing, a power of two, at most half full
	arena   []byte   // the free rest of the current block
	invalid bool     // some word was not UTF-8
	seed    maphash.Seed

	waiting []byte // words whose numbers are asked for later, back to back
	queue   []waiting
	touched uint32 // keeps the reads that only fetch
}

// waiting is a word in dictionary.waiting and where its number goes.
type waiting struct {
	end  int
	hash uint32
	row  int
}

// Looking up a word in a table that the processor's caches do not hold takes the time of
// all else that is done for a row. From largeTable slots on, words are looked up in batches:
// their reads are under way together.
const (
	largeTable  = 1 << 15
	lookUpBatch = 64
)

// slot holds a word's number plus one; 0 is free.
type slot struct{ hash, code uint32 }

func newDictionary() *dictionary {
	return &dictionary{words: []string{""}, slots: make([]slot, 64), seed: maphash.MakeSeed()}
}

// code returns the number of a word, which is new if it was not seen before.
// Bytes that are no UTF-8 are replaced.
func (d *dictionary) code(word []byte) uint32 {
	if len(word) == 0 {
		return 0
	}
	return d.hashed(word, d.hash(word))
}

func (d *dictionary) hash(word []byte) uint32 {
	full := maphash.Bytes(d.seed, word)
	return uint32(full ^ full>>32)
}

// later puts the number of a word into a row of codes, now or with lookUp.
func (d *dictionary) later(word []byte, codes []uint32, row int) {
	if len(d.slots) < largeTable || len(word) == 0 {
		codes[row] = d.code(word)
		return
	}
	d.waiting = append(d.waiting, word...)
	d.queue = append(d.queue, waiting{len(d.waiting), d.hash(word), row})
	if len(d.queue) == lookUpBatch {
		d.lookUp(codes)
	}
}

// lookUp writes the numbers of the words that wait for them.
func (d *dictionary) lookUp(codes []uint32) {
	mask := uint32(len(d.slots) - 1)
	for _, w := range d.queue {
		d.touched ^= d.slots[w.hash&mask].code
	}
	from := 0
	for _, w := range d.queue {
		codes[w.row] = d.hashed(d.waiting[from:w.end], w.hash)
		from = w.end
	}
	d.waiting, d.queue = d.waiting[:0], d.queue[:0]
}

func (d *dictionary) hashed(word []byte, hash uint32) uint32 {
	mask := uint32(len(d.slots) - 1)
	i := hash & mask
	for ; d.slots[i].code != 0; i = (i + 1) & mask {
		if d.slots[i].hash == hash && d.words[d.slots[i].code-1] == string(word) {
			return d.slots[i].code - 1
		}
	}
	if !utf8.Valid(word) {
		// The repaired word is looked up on its own; the broken one is not kept.
		d.invalid = true
		return d.code([]byte(strings.ToValidUTF8(string(word), "�")))
	}
	code := uint32(len(d.words))
	d.words = append(d.words, d.keep(word))
	d.slots[i] = slot{hash, code + 1}
	if 2*len(d.words) > len(d.slots) {
		d.grow(2 * len(d.slots))
	}
	return code
}

// reserve makes room for n words: of a column of names they come to as many as its rows.
func (d *dictionary) reserve(n int) {
	d.words = slices.Grow(d.words, max(0, n-len(d.words)))
	slots := len(d.slots)
	for slots < 2*n {
		slots *= 2
	}
	d.grow(slots)
}

// keep copies a word into the arena.
func (d *dictionary) keep(word []byte) string {
	const block = 64 << 10
	if len(word) > block/8 {
		return string(word)
	}
	if len(d.arena) < len(word) {
		// Small first, so that a table of many short columns stays small.
		d.arena = make([]byte, min(block, max(512, 16*len(d.words))+len(word)))
	}
	kept := d.arena[:len(word):len(word)]
	d.arena = d.arena[len(word):]
	copy(kept, word)
	return unsafe.String(&kept[0], len(kept))
}

func (d *dictionary) grow(slots int) {
	old := d.slots
	d.slots = make([]slot, slots)
	mask := uint32(len(d.slots) - 1)
	for _, s := range old {
		if s.code == 0 {
			continue
		}
		i := s.hash & mask
		for d.slots[i].code != 0 {
			i = (i + 1) & mask
		}
		d.slots[i] = s
	}
}
