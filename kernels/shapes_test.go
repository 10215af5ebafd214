package kernels

import (
	"encoding/binary"
	"math"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// every lists one of each operation.
var every = []Op{
	MatMul{},
	Embed{},
	EmbedGrad{},
	RMSNorm{},
	RMSNormGrad{},
	QKNormRope{},
	QKNormRopeGrad{},
	Attention{},
	AttentionGrad{},
	SwiGLU{},
	SwiGLUGrad{},
	Route{},
	RouteGrad{},
	Dispatch{},
	Combine{},
	CombineGrad{},
	GroupMatMul{},
	GroupMatMulGrad{},
	Head{},
	Blend{},
	Copy{},
	Zero{},
	Sum{},
	Stats{},
	Log{},
	GradNorm{},
	AdamW{},
}

// TestEmptyOps: an operation without operands is an error that names it.
func TestEmptyOps(t *testing.T) {
	for _, op := range every {
		r := NewSpace().Record("p")
		r.Add(op)
		_, err := r.Build()
		name := reflect.TypeOf(op).Name()
		if err == nil || !strings.Contains(err.Error(), "op 0 "+name+": ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, op := range []Op{nil, (*MatMul)(nil)} {
		r := NewSpace().Record("p")
		r.Add(op)
		if _, err := r.Build(); err == nil || !strings.Contains(err.Error(), "is nil") {
			t.Errorf("nil: %v", err)
		}
	}
	if _, err := NewSpace().Record("p").Build(); err == nil {
		t.Error("a program without operations was built")
	}
}

// source hands out small numbers from bytes, then zeros.
type source struct{ data []byte }

func (s *source) next() int {
	if len(s.data) == 0 {
		return 0
	}
	b := s.data[0]
	s.data = s.data[1:]
	return int(b)
}

// odd numbers are what shapes must survive besides small ones.
var odd = []int{0, -1, math.MaxInt32, math.MaxInt >> 23, math.MaxInt / 2, math.MinInt, math.MaxInt}

func (s *source) size() int {
	if b := s.next(); b < 2*len(odd) {
		return odd[b/2]
	} else {
		return 1 + b%9
	}
}

// fill sets every field of an operation to something.
func (s *source) fill(v reflect.Value, buffers int) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			s.fill(v.Field(i), buffers)
		}
	case reflect.Slice:
		n := s.next() % 4
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			s.fill(v.Index(i), buffers)
		}
	case reflect.Int32:
		v.SetInt(int64(s.next()%(buffers+3) - 1))
	case reflect.Int:
		v.SetInt(int64(s.size()))
	case reflect.Bool:
		v.SetBool(s.next()%2 == 1)
	case reflect.Float32, reflect.Float64:
		var b [8]byte
		for i := range b {
			b[i] = byte(s.next())
		}
		f := float64(int8(b[0])) * float64(binary.LittleEndian.Uint32(b[1:]))
		v.SetFloat(f / float64(b[5]))
	}
}

// FuzzBuild: whatever the shapes, Build returns a program or an error.
func FuzzBuild(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x03\x01\x00\x02\x30\x31\x01\x00\x02\x32\x33"))
	f.Fuzz(func(t *testing.T, data []byte) { build(t, data) })
}

func build(t interface{ Fatalf(string, ...any) }, data []byte) {
	s := &source{data}
	space := NewSpace()
	n := 1 + s.next()%8
	for range n {
		shape := make([]int, s.next()%4)
		for i := range shape {
			shape[i] = s.size()
		}
		switch s.next() % 4 {
		case 0:
			space.Int("i", Class(s.next()%4), shape...)
		case 1:
			space.View("v", Buffer(s.next()%n), s.size(), s.size())
		default:
			space.Float("f", Class(s.next()%4), shape...)
		}
	}
	if s.next()%2 == 0 {
		space.errs = nil // so that operations are reached
	}
	r := space.Record("fuzz")
	for range 1 + s.next()%3 {
		op := reflect.New(reflect.TypeOf(every[s.next()%len(every)]))
		s.fill(op.Elem(), n)
		r.Add(op.Interface().(Op))
	}
	p, err := r.Build()
	if (p == nil) == (err == nil) {
		t.Fatalf("program %v and error %v", p, err)
	}
}

func TestBuildRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		build(t, rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "data"))
	})
}

// TestErrors: what is wrong is said with the names and sizes concerned.
func TestErrors(t *testing.T) {
	s := NewSpace()
	x, w, y := s.Float("x", Scratch, 8, 4), s.Float("w", PerRun, 6, 4), s.Float("y", Scratch, 8, 6)
	ids, gone := s.Int("ids", Shared, 8), NewSpace().Float("gone", Shared, 1)
	shared := s.Float("shared", Shared, 8, 6)
	half := s.View("half", w, 3, 3)
	given := s.Float("given", PerRun, 8, 4)
	_ = gone
	for want, op := range map[string]Op{
		"inner sizes of A (given [8,4]) and B (w [6,4]) differ: 4 and 6":    MatMul{Y: y, A: given, B: w},
		"Y (w [6,4]) must be 8×6":                                           MatMul{Y: w, A: given, B: s.View("w2", w, 0, 6), TransB: true},
		"A (ids [8]) is int32, not float32":                                 MatMul{Y: y, A: ids, B: w},
		"Y (shared [8,6]) is written but shared by all runs":                MatMul{Y: shared, A: given, B: w, TransB: true},
		"reads scratch x [8,4] before anything wrote all of it":             MatMul{Y: y, A: x, B: w, TransB: true},
		"reads scratch y [8,6] before anything wrote all of it":             MatMul{Y: y, A: given, B: w, TransB: true, Add: true},
		"output shares memory with another operand: w [6,4] and half [3,4]": Zero{Y: []Buffer{half, w}},
		"B is missing":                                        MatMul{Y: y, A: given},
		"A is a buffer of another space":                      MatMul{Y: y, A: 1000, B: w},
		"chooses 5 of 4 experts":                              Route{Logits: given, Index: s.Int("index", PerRun, 8, 5)},
		"Heads.Query 3 is not a multiple of Heads.KeyValue 2": Attention{Heads: Heads{3, 2, 4}},
		"Heads.Dim 3 is odd":                                  QKNormRope{Heads: Heads{1, 1, 3}, Theta: 1, MaxPosition: 1},
		"8 rows are not whole sequences of 3":                 Attention{QK: given, Heads: Heads{1, 1, 2}, Seq: 3, Scale: 1},
	} {
		r := s.Record("p")
		r.Add(op)
		if _, err := r.Build(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestDeclarationErrors(t *testing.T) {
	s := NewSpace()
	ok := s.Float("ok", Shared, 4, 2)
	for _, b := range []Buffer{
		s.Float("none", Shared), s.Float("zero", Shared, 0, 3), s.Float("huge", Shared, math.MaxInt, math.MaxInt),
		s.Float("class", 7, 1), s.View("past", ok, 3, 2), s.View("before", ok, -1, 2), s.View("of none", 0, 0, 1),
		s.View("wraps", ok, math.MaxInt, math.MaxInt),
	} {
		if b != 0 {
			t.Errorf("buffer %d was declared", b)
		}
	}
	if err := s.Err(); err == nil || strings.Count(err.Error(), "\n") != 7 {
		t.Errorf("errors: %v", err)
	}
	r := s.Record("p")
	r.Add(Zero{Y: []Buffer{ok}})
	if _, err := r.Build(); err == nil || !strings.Contains(err.Error(), "buffer zero [0,3]: size 0 of an axis") {
		t.Errorf("Build: %v", err)
	}
}

// TestScratchPlan: buffers that live together never overlap, and the plan is no larger
// than without reuse; in a chain two buffers are enough.
func TestScratchPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewSpace()
		src := s.Float("src", PerRun, 100)
		n := rapid.IntRange(1, 12).Draw(t, "buffers")
		var buffers []Buffer
		r := s.Record("p")
		total := 0
		for i := range n {
			size := rapid.IntRange(1, 100).Draw(t, "size")
			b := s.Float("b", Scratch, size)
			buffers = append(buffers, b)
			total += padded(size)
			r.Add(Copy{Y: []Buffer{b}, X: []Buffer{s.View("v", src, 0, size)}})
			use := buffers[rapid.IntRange(0, i).Draw(t, "use")]
			r.Add(Sum{Y: s.Float("sum", PerRun, 1), X: use})
		}
		p, err := r.Build()
		if err != nil {
			t.Fatal(err)
		}
		l := p.Scratch()
		if l.Len > total {
			t.Fatalf("%d elements for %d", l.Len, total)
		}
		live := map[Buffer][2]int{}
		for i := range p.Ops() {
			for _, a := range p.Accesses(i) {
				if v, ok := live[a.Buffer]; ok {
					live[a.Buffer] = [2]int{v[0], i}
				} else {
					live[a.Buffer] = [2]int{i, i}
				}
			}
		}
		for i, a := range buffers {
			for _, b := range buffers[:i] {
				x, y := live[a], live[b]
				ia, _ := s.Info(a)
				ib, _ := s.Info(b)
				p, q := l.Offset[a-1], l.Offset[b-1]
				if x[0] <= y[1] && y[0] <= x[1] && p < q+ib.Len() && q < p+ia.Len() {
					t.Fatalf("%v and %v live together and overlap", &ia, &ib)
				}
			}
		}
	})
	s := NewSpace()
	src, r := s.Float("src", PerRun, 64), s.Record("chain")
	for from, i := src, 0; i < 10; i++ {
		to := s.Float("b", Scratch, 64)
		r.Add(Copy{Y: []Buffer{to}, X: []Buffer{from}})
		from = to
	}
	p, err := r.Build()
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Scratch().Len; got != 2*padded(64) {
		t.Errorf("a chain takes %d elements, want %d", got, 2*padded(64))
	}
}
