package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/etastar/etastar/trainer/atomicfile"
)

// Spec is a tensor to be written.
type Spec struct {
	Name  string
	DType DType
	Shape []int64
}

// Writer writes a file whose tensors are known beforehand, in any order, without
// holding them. The file appears at Commit, whole. Abort ends it without a trace and
// does nothing after Commit.
type Writer struct {
	f       *atomicfile.File
	path    string
	tensors map[string]Tensor
	missing map[string]bool
	buf     []byte
}

// Create starts a file. Data begins at a multiple of eight bytes, and wider types come
// first, so that every tensor lies aligned, as the reference implementation does it.
func Create(path string, specs []Spec, metadata map[string]string) (*Writer, error) {
	header, tensors, size, err := layout(specs, metadata)
	if err != nil {
		return nil, fmt.Errorf("write safetensors %s: %w", path, err)
	}
	f, err := atomicfile.Create(path, nil)
	if err != nil {
		return nil, fmt.Errorf("write safetensors: %w", err)
	}
	w := &Writer{f: f, path: path, tensors: tensors, missing: map[string]bool{}}
	for name := range tensors {
		w.missing[name] = true
	}
	if _, err = f.Write(header); err == nil {
		err = f.Truncate(size)
	}
	if err != nil {
		f.Abort()
		return nil, fmt.Errorf("write safetensors %s: %w", path, err)
	}
	return w, nil
}

// layout places the tensors and writes the header, its length before it.
func layout(specs []Spec, metadata map[string]string) (header []byte, tensors map[string]Tensor, size int64, err error) {
	order := slices.Clone(specs)
	slices.SortStableFunc(order, func(a, b Spec) int {
		return cmp.Or(-cmp.Compare(a.DType.Size(), b.DType.Size()), cmp.Compare(a.Name, b.Name))
	})
	tensors = map[string]Tensor{}
	var b bytes.Buffer
	b.WriteByte('{')
	put := func(key string, value any) error {
		k, err := json.Marshal(key)
		if err != nil {
			return err
		}
		v, err := json.Marshal(value)
		if err != nil {
			return err
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.Write(k)
		b.WriteByte(':')
		b.Write(v)
		return nil
	}
	if len(metadata) > 0 {
		if err := put(metadataKey, metadata); err != nil {
			return nil, nil, 0, err
		}
	}
	for _, s := range order {
		n, err := count(s.Shape)
		width := s.DType.Size()
		switch {
		case s.Name == "" || s.Name == metadataKey:
			return nil, nil, 0, fmt.Errorf("a tensor cannot be named %q", s.Name)
		case err != nil:
			return nil, nil, 0, fmt.Errorf("tensor %q: %w", s.Name, err)
		case width == 0:
			return nil, nil, 0, fmt.Errorf("tensor %q: its type %q is not known", s.Name, s.DType)
		case n > (math.MaxInt64-size)/width:
			return nil, nil, 0, fmt.Errorf("tensor %q: shape %v is too large", s.Name, s.Shape)
		}
		if _, ok := tensors[s.Name]; ok {
			return nil, nil, 0, fmt.Errorf("tensor %q is there twice", s.Name)
		}
		tensors[s.Name] = Tensor{Name: s.Name, DType: s.DType, Shape: s.Shape, offset: size, length: n * width}
		shape := s.Shape
		if shape == nil {
			shape = []int64{}
		}
		if err := put(s.Name, entry{DType: s.DType, Shape: &shape, Offsets: &[]int64{size, size + n*width}}); err != nil {
			return nil, nil, 0, err
		}
		size += n * width
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	if b.Len() > maxHeader {
		return nil, nil, 0, fmt.Errorf("a header of %d bytes is more than the format's %d", b.Len(), maxHeader)
	}
	start := int64(8 + b.Len())
	for name, t := range tensors {
		t.offset += start
		tensors[name] = t
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(b.Len())), b.Bytes()...), tensors, start + size, nil
}

// Write writes a tensor's bytes.
func (w *Writer) Write(name string, data []byte) error {
	t, err := w.begin(name, int64(len(data)), "bytes", func(t Tensor) int64 { return t.length })
	if err != nil {
		return err
	}
	if _, err := w.f.WriteAt(data, t.offset); err != nil {
		return fmt.Errorf("write safetensors %s: tensor %q: %w", w.path, name, err)
	}
	delete(w.missing, name)
	return nil
}

// WriteFloats writes a tensor of F32.
func (w *Writer) WriteFloats(name string, data []float32) error {
	t, err := w.begin(name, int64(len(data)), "elements", Tensor.Elements)
	if err != nil {
		return err
	}
	if t.DType != F32 {
		return fmt.Errorf("write safetensors %s: tensor %q is of type %s, not F32", w.path, name, t.DType)
	}
	const chunk = 1 << 16
	for at := t.offset; len(data) > 0; {
		part := data[:min(len(data), chunk)]
		w.buf = w.buf[:0]
		for _, v := range part {
			w.buf = binary.LittleEndian.AppendUint32(w.buf, math.Float32bits(v))
		}
		if _, err := w.f.WriteAt(w.buf, at); err != nil {
			return fmt.Errorf("write safetensors %s: tensor %q: %w", w.path, name, err)
		}
		data, at = data[len(part):], at+int64(len(w.buf))
	}
	delete(w.missing, name)
	return nil
}

func (w *Writer) begin(name string, n int64, unit string, want func(Tensor) int64) (Tensor, error) {
	t, ok := w.tensors[name]
	if !ok {
		return t, fmt.Errorf("write safetensors %s: tensor %q was not announced", w.path, name)
	}
	if n != want(t) {
		return t, fmt.Errorf("write safetensors %s: tensor %q has %d %s, not %d", w.path, name, want(t), unit, n)
	}
	return t, nil
}

// Commit flushes the file to the disk and makes it appear. Every tensor must have been
// written.
func (w *Writer) Commit() error {
	for name := range w.missing {
		if w.tensors[name].length > 0 {
			w.f.Abort()
			return fmt.Errorf("write safetensors %s: tensor %q and %d more were not written", w.path, name, len(w.missing)-1)
		}
	}
	return w.f.Commit()
}

// Abort ends a file that is not to appear.
func (w *Writer) Abort() { w.f.Abort() }
