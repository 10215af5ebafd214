package cpu

import (
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/etastar/etastar/kernels"
)

func TestNew(t *testing.T) {
	for _, isa := range ISAs() {
		b, err := New(Options{ISA: isa})
		if err != nil || !strings.HasPrefix(b.Name(), "cpu/"+isa) || b.Workers() != runtime.GOMAXPROCS(0) {
			t.Errorf("%s: %v, %v", isa, b, err)
		}
	}
	for want, o := range map[string]Options{"this machine runs": {ISA: "mmx"}, "-1 workers": {Workers: -1}} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	b, _ := New(Options{})
	if p := b.Peak(); !(p > 1e8 && p < 1e13) {
		t.Errorf("the peak is %v operations a second", p)
	}
}

// twice is a program that doubles a per-run buffer into another.
func twice(t testing.TB) (s *kernels.Space, x, y kernels.Buffer, p *kernels.Program) {
	s = kernels.NewSpace()
	x, y = s.Float("x", kernels.PerRun, 3), s.Float("y", kernels.PerRun, 3)
	r := s.Record("twice")
	r.Add(&kernels.Blend{Y: y, A: x, Alpha: 2})
	return s, x, y, must[*kernels.Program](t)(r.Build())
}

func TestMachineErrors(t *testing.T) {
	s, x, _, p := twice(t)
	shared, ids := s.Float("shared", kernels.Shared, 2), s.Int("ids", kernels.PerRun, 3)
	scratch := s.Float("scratch", kernels.Scratch, 2)
	_, _, _, other := twice(t)
	b := must[*Backend](t)(New(Options{}))
	for want, f := range map[string]func() error{
		"0 runs":                      func() error { _, err := b.Load(0, p); return err },
		"no programs":                 func() error { _, err := b.Load(1); return err },
		"over another space":          func() error { _, err := b.Load(1, p, other); return err },
		"more memory than any":        func() error { _, err := b.Load(math.MaxInt/8, p); return err },
		"memory than any machine has": func() error { _, err := b.Bytes(math.MaxInt, p); return err },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	m := must[kernels.Machine](t)(b.Load(2, p))
	late := s.Float("late", kernels.PerRun, 1)
	three := make([]float32, 3)
	for want, err := range map[string]error{
		"program twice was not loaded":    m.Execute(other),
		"buffer x [3]: run 2 of 2":        m.ReadFloats(three, x, 2),
		"run -1 of 2":                     m.WriteFloats(x, -1, three),
		"2 elements for 3":                m.WriteFloats(x, 0, three[:2]),
		"3 elements for 2":                m.ReadFloats(three[:2], x, 0),
		"buffer ids [3] is int32":         m.ReadFloats(three, ids, 0),
		"buffer x [3] is float32":         m.ReadInts(make([]int32, 3), x, 0),
		"buffer scratch [2] is scratch":   m.ReadFloats(three[:2], scratch, 0),
		"no buffer 99":                    m.ReadFloats(three, 99, 0),
		"late [1] was declared after the": m.ReadFloats(three[:1], late, 0),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if err := m.WriteFloats(shared, 7, three[:2]); err != nil {
		t.Errorf("a shared buffer has no run: %v", err)
	}
	for range 2 {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := m.Execute(p); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("after Close: %v", err)
	}
}

func TestReadWrite(t *testing.T) {
	s, x, y, p := twice(t)
	_ = s
	m := must[kernels.Machine](t)(must[*Backend](t)(New(Options{Workers: 2})).Load(3, p))
	defer m.Close()
	for run := range 3 {
		if err := m.WriteFloats(x, run, []float32{float32(run), 1, 2}); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Execute(p); err != nil {
		t.Fatal(err)
	}
	for run := range 3 {
		got := make([]float32, 3)
		if err := m.ReadFloats(got, y, run); err != nil || !slices.Equal(got, []float32{2 * float32(run), 2, 4}) {
			t.Errorf("run %d: %v, %v", run, got, err)
		}
	}
}

// TestBytes: the prediction is what Load allocates.
func TestBytes(t *testing.T) {
	for _, s := range []shape{tinyDense, tinyExperts} {
		m := newModel(t, s)
		b := must[*Backend](t)(New(Options{Workers: 2}))
		for _, runs := range []int{1, 2, 7} {
			want := must[int64](t)(b.Bytes(runs, m.train, m.eval))
			mem := must[kernels.Machine](t)(b.Load(runs, m.train, m.eval)).(*Machine)
			got := 4 * int64(len(mem.sharedMem))
			for _, v := range mem.state {
				got += 4 * int64(len(v))
			}
			for _, w := range mem.workers {
				got += 4*int64(len(w.scratch)+len(w.tmp)) + w.pack.Bytes()
			}
			// Both programs use one table of rotations.
			got += 4 * int64(s.seq*s.heads.Dim)
			if got != want {
				t.Errorf("%d runs: %d bytes, predicted %d", runs, got, want)
			}
			mem.Close()
		}
	}
}
