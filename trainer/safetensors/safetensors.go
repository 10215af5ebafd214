// Package safetensors reads and writes tensors in the safetensors format
// (github.com/huggingface/safetensors): eight bytes with the length of a JSON header,
// the header with each tensor's type, shape and place, the data, all little-endian and
// without gaps.
//
// It moves bytes and checks them. What a tensor means is the caller's business.
package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/etastar/etastar/trainer/internal/mapped"
)

// DType is an element type, by its name in the format.
type DType string

// Element types that can be read and written.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
	I64  DType = "I64"
	I32  DType = "I32"
	I16  DType = "I16"
	I8   DType = "I8"
	U64  DType = "U64"
	U32  DType = "U32"
	U16  DType = "U16"
	U8   DType = "U8"
	Bool DType = "BOOL"
)

var sizes = map[DType]int64{
	F64: 8, I64: 8, U64: 8, F32: 4, I32: 4, U32: 4, F16: 2, BF16: 2, I16: 2, U16: 2, I8: 1, U8: 1, Bool: 1,
}

// Size is the bytes of one element; 0 for a type that is not known.
func (d DType) Size() int64 { return sizes[d] }

// Tensor describes a tensor. Shape is empty for a scalar.
type Tensor struct {
	Name  string
	DType DType
	Shape []int64

	offset, length int64 // bytes, offset from the beginning of the file
}

// Elements is the number of elements.
func (t Tensor) Elements() int64 { return t.length / max(1, t.DType.Size()) }

// maxHeader is the reference implementation's bound.
const maxHeader = 100 << 20

// metadataKey holds the header's free-form map of strings.
const metadataKey = "__metadata__"

// File is an open file. Several goroutines may read from it.
type File struct {
	Metadata map[string]string
	tensors  []Tensor // in the order of their data
	byName   map[string]int
	r        io.ReaderAt
	closer   io.Closer
}

// Open opens a file, memory-mapped where that is possible.
func Open(path string) (*File, error) {
	m, err := mapped.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open safetensors: %w", err)
	}
	f, err := NewFile(m, m.Size())
	if err != nil {
		_ = m.Close()
		return nil, fmt.Errorf("open safetensors %s: %w", path, err)
	}
	f.closer = m
	return f, nil
}

// NewFile reads the header of size bytes and checks that the tensors cover the data
// exactly.
func NewFile(r io.ReaderAt, size int64) (*File, error) {
	var n [8]byte
	if size < int64(len(n)) {
		return nil, fmt.Errorf("%d bytes are no safetensors file", size)
	}
	if _, err := r.ReadAt(n[:], 0); err != nil {
		return nil, fmt.Errorf("read the header's length: %w", err)
	}
	length := binary.LittleEndian.Uint64(n[:])
	if length > maxHeader || int64(length) > size-8 {
		return nil, fmt.Errorf("its header of %d bytes does not fit (the file has %d, the format allows %d): it is cut short or no safetensors file", length, size, maxHeader)
	}
	header := make([]byte, length)
	if _, err := io.ReadFull(io.NewSectionReader(r, 8, int64(length)), header); err != nil {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	f := &File{r: r, byName: map[string]int{}}
	if err := f.parse(header, 8+int64(length), size); err != nil {
		return nil, err
	}
	return f, nil
}

// entry is a tensor in the header.
type entry struct {
	DType   DType    `json:"dtype"`
	Shape   *[]int64 `json:"shape"`
	Offsets *[]int64 `json:"data_offsets"`
}

// parse reads the header, whose tensors' data lies from start to size.
func (f *File) parse(header []byte, start, size int64) error {
	if len(header) == 0 || header[0] != '{' {
		return errors.New("its header does not begin with {")
	}
	// A decoder, since a map would hide a name that is there twice.
	d := json.NewDecoder(bytes.NewReader(header))
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("its header: %w", err)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return fmt.Errorf("its header: %w", err)
		}
		name, _ := key.(string) // a key is always a string
		if name == metadataKey {
			if f.Metadata != nil {
				return errors.New("its header has two maps of metadata")
			}
			if err := d.Decode(&f.Metadata); err != nil {
				return fmt.Errorf("its metadata: %w", err)
			}
			continue
		}
		var e entry
		if err := d.Decode(&e); err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		t, err := e.tensor(name, start, size)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		f.tensors = append(f.tensors, t)
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("its header: %w", err)
	}
	if rest := bytes.TrimSpace(header[d.InputOffset():]); len(rest) > 0 {
		return errors.New("something follows the header's end")
	}
	// Empty tensors have no place of their own: by end, they come before what follows.
	slices.SortStableFunc(f.tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.length, b.length))
	})
	at := start
	for i, t := range f.tensors {
		if _, ok := f.byName[t.Name]; ok {
			return fmt.Errorf("tensor %q is there twice", t.Name)
		}
		f.byName[t.Name] = i
		if t.offset != at {
			return fmt.Errorf("tensor %q begins at byte %d of the data, and the one before ends at %d: tensors must follow each other without gap or overlap", t.Name, t.offset-start, at-start)
		}
		at += t.length
	}
	if at != size {
		return fmt.Errorf("its tensors end at byte %d of %d", at, size)
	}
	return nil
}

func (e entry) tensor(name string, start, size int64) (Tensor, error) {
	width := e.DType.Size()
	if width == 0 {
		return Tensor{}, fmt.Errorf("its type %q is not known", e.DType)
	}
	if e.Shape == nil || e.Offsets == nil || len(*e.Offsets) != 2 {
		return Tensor{}, errors.New("shape or data_offsets are missing")
	}
	elements, err := count(*e.Shape)
	if err != nil {
		return Tensor{}, err
	}
	from, to := (*e.Offsets)[0], (*e.Offsets)[1]
	if from < 0 || to < from || to > size-start {
		return Tensor{}, fmt.Errorf("its data (bytes %d to %d) lies outside the file's %d", from, to, size-start)
	}
	if elements > (to-from)/width || elements*width != to-from {
		return Tensor{}, fmt.Errorf("shape %v of %s does not take the %d bytes it has", *e.Shape, e.DType, to-from)
	}
	return Tensor{Name: name, DType: e.DType, Shape: *e.Shape, offset: start + from, length: to - from}, nil
}

// count multiplies a shape's sizes.
func count(shape []int64) (int64, error) {
	n := int64(1)
	for _, s := range shape {
		if s < 0 || s > 0 && n > math.MaxInt64/s {
			return 0, fmt.Errorf("shape %v is impossible", shape)
		}
		n *= s
	}
	return n, nil
}

// Tensors lists the tensors in the order of their data.
func (f *File) Tensors() []Tensor { return slices.Clone(f.tensors) }

// Tensor finds a tensor.
func (f *File) Tensor(name string) (Tensor, bool) {
	i, ok := f.byName[name]
	if !ok {
		return Tensor{}, false
	}
	return f.tensors[i], true
}

// Reader returns a tensor's bytes as they are in the file.
func (f *File) Reader(name string) (*io.SectionReader, error) {
	t, ok := f.Tensor(name)
	if !ok {
		return nil, fmt.Errorf("there is no tensor %q", name)
	}
	return io.NewSectionReader(f.r, t.offset, t.length), nil
}

// Read fills dst with a tensor's bytes; dst must be as long.
func (f *File) Read(name string, dst []byte) error {
	t, ok := f.Tensor(name)
	if !ok {
		return fmt.Errorf("there is no tensor %q", name)
	}
	if int64(len(dst)) != t.length {
		return fmt.Errorf("tensor %q has %d bytes, not %d", name, t.length, len(dst))
	}
	if n, err := f.r.ReadAt(dst, t.offset); n < len(dst) {
		return fmt.Errorf("read tensor %q: %w", name, err)
	}
	return nil
}

// ReadFloats fills dst with a tensor of F32, or of F16 or BF16 widened; dst must have
// as many elements.
func (f *File) ReadFloats(name string, dst []float32) error {
	t, ok := f.Tensor(name)
	if !ok {
		return fmt.Errorf("there is no tensor %q", name)
	}
	if t.Elements() != int64(len(dst)) {
		return fmt.Errorf("tensor %q has %d elements (shape %v), not %d", name, t.Elements(), t.Shape, len(dst))
	}
	if t.DType != F32 && t.DType != F16 && t.DType != BF16 {
		return fmt.Errorf("tensor %q is of type %s, not of 32- or 16-bit floats", name, t.DType)
	}
	var buf [1 << 16]byte
	w := int(t.DType.Size())
	for at := t.offset; len(dst) > 0; {
		b := buf[:min(len(buf), w*len(dst))]
		if n, err := f.r.ReadAt(b, at); n < len(b) {
			return fmt.Errorf("read tensor %q: %w", name, err)
		}
		for i := range len(b) / w {
			switch t.DType {
			case F32:
				dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
			case BF16:
				dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(b[2*i:])) << 16)
			default:
				dst[i] = half(binary.LittleEndian.Uint16(b[2*i:]))
			}
		}
		dst, at = dst[len(b)/w:], at+int64(len(b))
	}
	return nil
}

// half widens an IEEE 754 binary16.
func half(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10)&0x1f, uint32(h)&0x3ff
	switch exp {
	case 0:
		f := float32(frac) * 0x1p-24
		if sign != 0 {
			return -f
		}
		return f
	case 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

// Close gives the file back.
func (f *File) Close() error {
	if f.closer == nil {
		return nil
	}
	return f.closer.Close()
}
