package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// file builds a file by hand.
func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	types := slices.Sorted(func(yield func(DType) bool) {
		for d := range sizes {
			if !yield(d) {
				return
			}
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		var specs []Spec
		data := map[string][]byte{}
		for i := range rapid.IntRange(0, 6).Draw(t, "n") {
			s := Spec{
				Name:  fmt.Sprintf("%s.%d", rapid.StringMatching(`[a-z".\\é]{1,5}`).Draw(t, "name"), i),
				DType: rapid.SampledFrom(types).Draw(t, "type"),
				Shape: rapid.SliceOfN(rapid.Int64Range(0, 5), 0, 3).Draw(t, "shape"),
			}
			n, _ := count(s.Shape)
			data[s.Name] = rapid.SliceOfN(rapid.Byte(), int(n*s.DType.Size()), int(n*s.DType.Size())).Draw(t, "data")
			specs = append(specs, s)
		}
		meta := rapid.MapOfN(rapid.String(), rapid.StringMatching(`[a-z]*`), 0, 3).Draw(t, "metadata")
		for k := range meta {
			if !json.Valid([]byte(`"`+k+`"`)) || strings.ContainsRune(k, '\ufffd') {
				delete(meta, k)
			}
		}
		path := filepath.Join(dir, "x.safetensors")
		w, err := Create(path, specs, meta)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abort()
		for name, b := range data {
			if err := w.Write(name, b); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if len(f.Tensors()) != len(specs) || len(f.Metadata) != len(meta) {
			t.Fatalf("%d tensors, metadata %v", len(f.Tensors()), f.Metadata)
		}
		for _, s := range specs {
			got, ok := f.Tensor(s.Name)
			b := make([]byte, len(data[s.Name]))
			if !ok || got.DType != s.DType || !slices.Equal(got.Shape, s.Shape) || f.Read(s.Name, b) != nil || !bytes.Equal(b, data[s.Name]) {
				t.Fatalf("%+v became %+v", s, got)
			}
			if got.length > 0 && got.offset%got.DType.Size() != 0 {
				t.Fatalf("%s lies at %d", got.DType, got.offset)
			}
			r, err := f.Reader(s.Name)
			if err != nil {
				t.Fatal(err)
			}
			if all, _ := io.ReadAll(r); !bytes.Equal(all, b) {
				t.Fatal("the reader reads something else")
			}
		}
	})
}

func TestFloats(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	w, err := Create(path, []Spec{{"w", F32, []int64{300, 300}}, {"h", F16, []int64{7}}, {"b", BF16, []int64{2}}, {"i", I32, []int64{1}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	want := make([]float32, 90000)
	for i := range want {
		want[i] = float32(math.Sin(float64(i)))
	}
	want[5] = float32(math.Inf(-1))
	halves := []uint16{0x3c00, 0xc000, 0x0001, 0x8000, 0x7c00, 0x7bff, 0x0400}
	var hb []byte
	for _, h := range halves {
		hb = binary.LittleEndian.AppendUint16(hb, h)
	}
	for _, err := range []error{
		w.WriteFloats("w", want), w.Write("h", hb), w.Write("b", []byte{0x80, 0x3f, 0x49, 0xc0}), w.Write("i", []byte{1, 0, 0, 0}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{w.WriteFloats("h", make([]float32, 7)), w.WriteFloats("w", want[1:]), w.Write("z", nil)} {
		if err == nil {
			t.Error("accepted")
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := make([]float32, 90000)
	if err := f.ReadFloats("w", got); err != nil || !slices.Equal(got, want) {
		t.Error("floats changed", err)
	}
	if err := f.ReadFloats("h", got[:7]); err != nil || !slices.Equal(got[:7], []float32{1, -2, 0x1p-24, 0, float32(math.Inf(1)), 65504, 0x1p-14}) {
		t.Error(got[:7], err)
	}
	if math.Signbit(float64(got[3])) == false {
		t.Error("−0 lost its sign")
	}
	if err := f.ReadFloats("b", got[:2]); err != nil || got[0] != 1 || got[1] != -3.140625 {
		t.Error(got[:2], err)
	}
	for _, err := range []error{f.ReadFloats("i", got[:1]), f.ReadFloats("w", got[:1]), f.ReadFloats("none", nil), f.Read("w", nil), f.Read("none", nil)} {
		if err == nil {
			t.Error("accepted")
		}
	}
}

func TestRefusals(t *testing.T) {
	a := `"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	for header, want := range map[string]string{
		`{` + a + `,"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}`:  "gap or overlap",
		`{` + a + `,"b":{"dtype":"U8","shape":[3],"data_offsets":[9,12]}}`: "gap or overlap",
		`{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`:          "gap or overlap",
		`{` + a + `}`:           "end at byte",
		`{` + a + `,` + a + `}`: "twice",
		`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`:                      "does not take",
		`{"a":{"dtype":"Q4","shape":[2],"data_offsets":[0,12]}}`:                      "not known",
		`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,99]}}`:                     "outside",
		`{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`:                      "outside",
		`{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}`:                     "impossible",
		`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,12]}}`: "impossible",
		`{"a":{"dtype":"F32","shape":[3]}}`:                                           "missing",
		`{"a":3}`:                                                                     "tensor",
		`{"__metadata__":{"a":1}}`:                                                    "metadata",
		`[]`:                                                                          "begin with",
		`{"a"`:                                                                        "EOF",
		`{} x`:                                                                        "follows",
		``:                                                                            "begin with",
	} {
		b := file(header, 12)
		if _, err := NewFile(bytes.NewReader(b), int64(len(b))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", header, err, want)
		}
	}
	for _, b := range [][]byte{nil, {1, 2}, binary.LittleEndian.AppendUint64(nil, 1<<40), binary.LittleEndian.AppendUint64(nil, 5)} {
		if _, err := NewFile(bytes.NewReader(b), int64(len(b))); err == nil {
			t.Errorf("%v accepted", b)
		}
	}
	empty := file(`{}  `, 0)
	if f, err := NewFile(bytes.NewReader(empty), int64(len(empty))); err != nil || len(f.Tensors()) != 0 {
		t.Error(err)
	}
}

func TestWriterRefusals(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	for _, specs := range [][]Spec{
		{{"", F32, nil}},
		{{metadataKey, F32, nil}},
		{{"a", "F8", nil}},
		{{"a", F32, []int64{-1}}},
		{{"a", F32, nil}, {"a", U8, nil}},
		{{"a", F64, []int64{math.MaxInt64}}},
	} {
		if _, err := Create(path, specs, nil); err == nil {
			t.Errorf("%v accepted", specs)
		}
	}
	w, err := Create(path, []Spec{{"a", F32, []int64{1}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err == nil {
		t.Error("a file with a tensor missing appeared")
	}
	w, err = Create(path, []Spec{{"a", F32, []int64{1}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.Abort()
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(file(`{"__metadata__":{"a":"b"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"e":{"dtype":"U8","shape":[0],"data_offsets":[8,8]}}`, 8))
	f.Add(file(`{"a":{"dtype":"BF16","shape":[],"data_offsets":[0,2]}}   `, 2))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := NewFile(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		var total int64
		for _, x := range file.Tensors() {
			dst := make([]byte, x.length)
			if err := file.Read(x.Name, dst); err != nil {
				t.Fatal(err)
			}
			if x.Elements()*x.DType.Size() != x.length {
				t.Fatalf("%+v", x)
			}
			total += x.length
		}
		if total > int64(len(b)) {
			t.Fatalf("%d bytes of tensors in a file of %d", total, len(b))
		}
	})
}
