package data

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/etastar/etastar/trainer/internal/mapped"
	"github.com/etastar/etastar/trainer/tokenizer"
)

// addNanoGPT adds a nanoGPT .bin (karpathy/nanoGPT, data/*/prepare.py): uint16 tokens,
// little-endian, nothing else.
func (r *Row) addNanoGPT(path string) error {
	m, err := r.open(path)
	if err != nil {
		return err
	}
	if m.Size()%2 != 0 {
		return fmt.Errorf("read %s: %d bytes are no whole number of 16-bit tokens: it is cut short, or in another format", path, m.Size())
	}
	r.add(part{r: m, count: m.Size() / 2, kind: asUint16, name: path})
	return nil
}

// open maps a file, to be closed with the row.
func (r *Row) open(path string) (*mapped.File, error) {
	m, err := mapped.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open corpus: %w", err)
	}
	r.closers = append(r.closers, m)
	return m, nil
}

// addLLMC adds a token file of llm.c; see tokenizer.EncodeFile for the format.
func (r *Row) addLLMC(path string) error {
	m, err := r.open(path)
	if err != nil {
		return err
	}
	kind, count, err := llmcHeader(m, m.Size())
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	r.add(part{r: m, offset: tokenizer.HeaderSize, count: count, kind: kind, name: path})
	return nil
}

func llmcHeader(r io.ReaderAt, length int64) (integer, int64, error) {
	var h [12]byte
	if n, err := r.ReadAt(h[:], 0); n < len(h) {
		return 0, 0, fmt.Errorf("its header: %w", err)
	}
	magic, version := binary.LittleEndian.Uint32(h[:]), binary.LittleEndian.Uint32(h[4:])
	count := int64(binary.LittleEndian.Uint32(h[8:]))
	var kind integer
	switch {
	case magic == tokenizer.Magic16 && version == tokenizer.Version16:
		kind = asUint16
	case magic == tokenizer.Magic32 && version == tokenizer.Version32:
		kind = asUint32
	case magic == tokenizer.Magic16 || magic == tokenizer.Magic32:
		return 0, 0, fmt.Errorf("it is an llm.c file of version %d; known are %d (16 bits) and %d (32 bits)", version, tokenizer.Version16, tokenizer.Version32)
	default:
		return 0, 0, fmt.Errorf("its magic number %d is not llm.c's", magic)
	}
	if need := tokenizer.HeaderSize + count*kind.width(); need > length {
		return 0, 0, fmt.Errorf("its header says %d tokens, and it has %d bytes instead of %d: it is cut short", count, length, need)
	}
	return kind, count, nil
}

// megatronMagic begins an .idx file of Megatron-LM (megatron/core/datasets/
// indexed_dataset.py). After it: version (uint64, 1), type code (uint8), number of
// sequences S and of document bounds B (uint64 each), S lengths in tokens (int32), S
// offsets into the .bin in bytes (int64), B sequence numbers (int64), all
// little-endian; multimodal files end with S modes (int8).
const megatronMagic = "MMIDIDX\x00\x00"

const megatronHeader = len(megatronMagic) + 8 + 1 + 8 + 8

// megatronTypes maps type codes; 6 and 7 are floating point.
var megatronTypes = map[byte]integer{1: asUint8, 2: asInt8, 3: asInt16, 4: asInt32, 5: asInt64, 8: asUint16}

// addMegatron adds a .bin with its .idx, sequence by sequence in the index's order.
func (r *Row) addMegatron(path string) error {
	base := strings.TrimSuffix(strings.TrimSuffix(path, ".bin"), ".idx")
	idx, err := os.ReadFile(base + ".idx")
	if err != nil {
		return fmt.Errorf("open corpus: a Megatron corpus is a .bin and an .idx: %w", err)
	}
	m, err := r.open(base + ".bin")
	if err != nil {
		return err
	}
	kind, sequences, err := parseIdx(idx, m.Size())
	if err != nil {
		return fmt.Errorf("read %s.idx: %w", base, err)
	}
	for i := range sequences.count() {
		length, offset := sequences.at(i)
		r.add(part{r: m, offset: offset, count: length, kind: kind, name: base + ".bin"})
	}
	return nil
}

// idx is the table of sequences in an .idx file, read in place.
type idx struct{ lengths, offsets []byte }

func (x idx) count() int { return len(x.lengths) / 4 }

func (x idx) at(i int) (length, offset int64) {
	return int64(int32(binary.LittleEndian.Uint32(x.lengths[4*i:]))), int64(binary.LittleEndian.Uint64(x.offsets[8*i:]))
}

// parseIdx reads an .idx file and checks every sequence against the .bin's length.
func parseIdx(b []byte, binSize int64) (integer, idx, error) {
	if len(b) < megatronHeader || !bytes.HasPrefix(b, []byte(megatronMagic)) {
		return 0, idx{}, fmt.Errorf("it is no Megatron index (%d bytes)", len(b))
	}
	h := b[len(megatronMagic):]
	if v := binary.LittleEndian.Uint64(h); v != 1 {
		return 0, idx{}, fmt.Errorf("it is of version %d; version 1 is known", v)
	}
	code := h[8]
	kind, ok := megatronTypes[code]
	if !ok {
		return 0, idx{}, fmt.Errorf("its tokens are of type %d, and only integers are tokens (1 to 5, 8)", code)
	}
	s, d := binary.LittleEndian.Uint64(h[9:]), binary.LittleEndian.Uint64(h[17:])
	rest := b[megatronHeader:]
	if s > uint64(len(rest))/12 || d > uint64(len(rest))/8 || 12*s+8*d > uint64(len(rest)) {
		return 0, idx{}, fmt.Errorf("it says %d sequences and %d documents, and its %d bytes do not hold them: it is cut short", s, d, len(b))
	}
	x := idx{lengths: rest[:4*s], offsets: rest[4*s : 12*s]}
	for i := range x.count() {
		length, offset := x.at(i)
		if length < 0 || offset < 0 || offset > math.MaxInt64-8*length || offset+length*kind.width() > binSize {
			return 0, idx{}, fmt.Errorf("sequence %d (%d tokens at byte %d) lies outside the .bin of %d bytes", i, length, offset, binSize)
		}
	}
	return kind, x, nil
}
