package cpu

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/etastar/etastar/kernels"
)

// chunks lists in how many chunks the parts of a program execute.
func chunks(b *Backend, p *kernels.Program) []int {
	c := &compiler{space: p.Space(), chunk: b.chunk}
	var list []int
	for _, t := range c.parts(p) {
		list = append(list, t.chunks)
	}
	return list
}

// TestChunks: a step in chunks does what it does at once.
func TestChunks(t *testing.T) {
	eachISA(t, func(t *testing.T, isa string) {
		m := newModel(t, tinyDense)
		train := func(chunk, want int) trajectory {
			b := must[*Backend](t)(New(Options{ISA: isa}))
			b.chunk = chunk
			for _, p := range []*kernels.Program{m.train, m.eval} {
				if got := chunks(b, p); slices.Max(got) != want {
					t.Fatalf("%s executes in %v chunks, want %d", p.Name(), got, want)
				}
			}
			mem := must[kernels.Machine](t)(b.Load(1, m.train, m.eval)).(*Machine)
			defer mem.Close()
			poison(mem)
			return m.follow(t, mem, []int{0})[0]
		}
		whole, split := train(chunkRows, 1), train(tinyDense.seq, tinyDense.sequences)
		near(t, "losses", split.loss, whole.loss, 1e-4)
		near(t, "norms", split.norm, whole.norm, 1e-4)
		for i, p := range split.params {
			near(t, m.tensors[i].name, p, whole.params[i], 1e-4)
		}
	})
}

// TestChunksOnce covers what a step must do for all chunks together.
func TestChunksOnce(t *testing.T) {
	const n, d, v = 8, 4, 5
	h := kernels.Heads{Query: 1, KeyValue: 1, Dim: d}
	var got [][]float64
	for _, chunk := range []int{n, 2} {
		r := newRig(t, "", 1)
		r.chunk = chunk
		y, largest, loss, dx := r.out("Y", n, d), r.out("MaxLogit", 1), r.out("Loss", n), r.out("DX", n, d)
		dw, total := r.in("DW", v, d), r.in("Total", 1)
		r.run(
			kernels.Attention{
				Y: y, LSE: r.out("LSE", n), MaxLogit: largest, QK: r.in("QK", n, 2*d), QKV: r.in("QKV", n, 3*d), Heads: h, Seq: 2, Scale: 1,
			},
			kernels.Head{
				Loss: loss, DX: dx, DW: dw, X: y, W: r.in("W", v, d), Targets: r.indices("Targets", []int32{0, 1, 2, 3, 4, 3, -1, 1}, n),
			},
			kernels.Sum{Y: total, X: loss, Add: true},
		)
		var all []float64
		for _, b := range []kernels.Buffer{y, largest, loss, dx, dw, total} {
			all = append(all, r.get(b)...)
		}
		got = append(got, all)
	}
	near(t, "results in chunks", got[1], got[0], 1e-6)
}

func TestChunkOf(t *testing.T) {
	for _, x := range []struct{ n, seq, want int }{
		{2048, 128, 512}, {1280, 128, 256}, {300, 100, 300}, {4096, 1024, 1024}, {1000, 1, 500}, {1031, 1, 1031}, {640, 1, 320},
	} {
		if got := (&compiler{chunk: 512}).chunkOf(x.n, x.seq); got != x.want {
			t.Errorf("%d rows in sequences of %d go in chunks of %d, want %d", x.n, x.seq, got, x.want)
		}
	}
}

// TestInseparable lists programs whose chunks would see each other.
func TestInseparable(t *testing.T) {
	const n, d = 8, 4
	s := kernels.NewSpace()
	f := func(name string, class kernels.Class, shape ...int) kernels.Buffer {
		return s.Float(name, class, shape...)
	}
	x, y, w, dw := f("x", kernels.PerRun, n, d), f("y", kernels.PerRun, n, d), f("w", kernels.PerRun, d, d), f("dw", kernels.PerRun, d, d)
	tmp, square := f("tmp", kernels.Scratch, n, d), f("square", kernels.PerRun, n, n)
	product := kernels.MatMul{Y: y, A: x, B: w}
	for name, c := range map[string]struct {
		ops  []kernels.Op
		want []int
	}{
		"rows":                   {[]kernels.Op{product, kernels.MatMul{Y: dw, A: x, B: y, TransA: true, Add: true}}, []int{4}},
		"a sum that is read":     {[]kernels.Op{kernels.MatMul{Y: w, A: x, B: x, TransA: true, Add: true}, product}, []int{1}},
		"a product without Add":  {[]kernels.Op{product, kernels.MatMul{Y: dw, A: x, B: y, TransA: true}}, []int{4, 1}},
		"all rows of a buffer":   {[]kernels.Op{kernels.MatMul{Y: square, A: x, B: x, TransB: true}}, []int{1}},
		"scratch memory made":    {[]kernels.Op{kernels.Copy{Y: []kernels.Buffer{tmp}, X: []kernels.Buffer{x}}, kernels.MatMul{Y: y, A: tmp, B: w}}, []int{1, 1}},
		"scratch memory left":    {[]kernels.Op{kernels.MatMul{Y: tmp, A: x, B: w}, kernels.Copy{Y: []kernels.Buffer{y}, X: []kernels.Buffer{tmp}}}, []int{1, 1}},
		"scratch memory its own": {[]kernels.Op{kernels.MatMul{Y: tmp, A: x, B: w}, kernels.MatMul{Y: y, A: tmp, B: w}}, []int{4}},
	} {
		r := s.Record(name)
		r.Add(c.ops...)
		if got := chunks(&Backend{chunk: 2}, must[*kernels.Program](t)(r.Build())); !slices.Equal(got, c.want) {
			t.Errorf("%s: chunks %v, want %v", name, got, c.want)
		}
	}
}

// TestChunkError: a position in an error is that of the batch.
func TestChunkError(t *testing.T) {
	s := kernels.NewSpace()
	y, table, ids := s.Float("y", kernels.PerRun, 8, 2), s.Float("table", kernels.PerRun, 3, 2), s.Int("ids", kernels.Shared, 8)
	r := s.Record("embed")
	r.Add(kernels.Embed{Y: y, Table: table, Tokens: ids})
	p := must[*kernels.Program](t)(r.Build())
	b := must[*Backend](t)(New(Options{}))
	b.chunk = 2
	m := must[kernels.Machine](t)(b.Load(1, p))
	defer m.Close()
	for _, at := range []int{1, 6} {
		tokens := make([]int32, 8)
		tokens[at] = 3
		if err := m.WriteInts(ids, 0, tokens); err != nil {
			t.Fatal(err)
		}
		if err := m.Execute(p); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("position %d ", at)) {
			t.Errorf("token %d is bad: %v", at, err)
		}
	}
}

// TestSqueeze: buffers that live at the same time keep their distance.
func TestSqueeze(t *testing.T) {
	wide := tinyDense
	wide.d, wide.f, wide.heads.Dim = 32, 48, 16
	m := newModel(t, wide)
	c := &compiler{space: m.space, chunk: wide.seq}
	parts := c.parts(m.train)
	l, before := c.squeeze(m.train, parts), m.train.Scratch()
	if l.Len > before.Len*2/3 {
		t.Errorf("two chunks take %d floats of scratch memory, all at once %d", l.Len, before.Len)
	}
	for a, from := range before.Offset {
		if from < 0 {
			continue
		}
		x, _ := m.space.Info(kernels.Buffer(a + 1))
		if l.Offset[a]%line != 0 || l.Offset[a]+x.Len()/2 > l.Len {
			t.Errorf("%s is at %d of %d", &x, l.Offset[a], l.Len)
		}
		for b, other := range before.Offset {
			if other >= from+x.Len() && l.Offset[b] < l.Offset[a]+x.Len()/2 {
				t.Errorf("%s at %d runs into what is at %d", &x, l.Offset[a], l.Offset[b])
			}
		}
	}
}
