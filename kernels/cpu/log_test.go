package cpu

import (
	"slices"
	"testing"

	"github.com/etastar/etastar/kernels"
)

// TestLog: the last rows stay, each where its number says.
func TestLog(t *testing.T) {
	s := kernels.NewSpace()
	a, b := s.Float("a", kernels.PerRun, 1), s.Float("b", kernels.PerRun, 1)
	ring, cursor := s.Float("ring", kernels.PerRun, 3, 2), s.Int("cursor", kernels.PerRun, 1)
	r := s.Record("p")
	r.Add(kernels.Log{Ring: ring, Cursor: cursor, X: []kernels.Buffer{a, b}})
	p, err := r.Build()
	if err != nil {
		t.Fatal(err)
	}
	backend, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := backend.Load(2, p)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for i := range 5 {
		for run := range 2 {
			if err := m.WriteFloats(a, run, []float32{float32(10*run + i)}); err != nil {
				t.Fatal(err)
			}
		}
		m.SetActive(1, i != 2) // a run that takes no part does not count
		if err := m.Execute(p); err != nil {
			t.Fatal(err)
		}
	}
	for run, want := range [][]float32{{3, 0, 4, 0, 2, 0}, {14, 0, 11, 0, 13, 0}} {
		got := make([]float32, 6)
		if err := m.ReadFloats(got, ring, run); err != nil || !slices.Equal(got, want) {
			t.Errorf("run %d: %v, want %v, %v", run, got, want, err)
		}
	}
}
