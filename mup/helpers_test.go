package mup_test

import (
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/etastar/etastar/mup"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

func denseShape() mup.Shape {
	return mup.Shape{Width: 256, Depth: 4, Heads: 4, HeadDim: 64, DFF: 768, Vocab: 8192, BatchTokens: 1 << 17, HorizonTokens: 1e9}
}

func moeShape() mup.Shape {
	return mup.Shape{Width: 256, Depth: 4, Heads: 4, HeadDim: 64, Experts: 8, TopK: 2, DFFExpert: 384, Vocab: 8192, BatchTokens: 1 << 17, HorizonTokens: 1e9}
}

func hyper() mup.Hyper { return mup.Hyper{LR: 3e-3, WeightDecay: 0.1, Eps: 1e-8} }

func isMoE(rule string) bool { return rule == "moe_mup" || rule == "moe_width" }

// baseFor is a base that the rule knows.
func baseFor(r *mup.Rule) mup.Shape {
	if isMoE(r.Name) {
		return moeShape()
	}
	return denseShape()
}

func find(t rapid.TB, name string) *mup.Rule {
	t.Helper()
	r, err := mup.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// usable is the rule with what is missing edited in, so that it can be applied.
func usable(t rapid.TB, r *mup.Rule) *mup.Rule {
	t.Helper()
	for c, e := range r.Entries {
		if e.State == mup.Missing {
			edited, err := r.Edit(c.Module, c.Quantity, mup.Width, -0.25)
			if err != nil {
				t.Fatal(err)
			}
			r = edited
		}
	}
	return r
}

func transfer(t rapid.TB, r *mup.Rule, base, target mup.Shape, h mup.Hyper) *mup.Result {
	t.Helper()
	got, err := mup.Transfer(r, base, target, h, mup.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func row(t rapid.TB, r *mup.Result, m mup.Module) mup.Row {
	t.Helper()
	got, err := r.Row(m)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12*math.Max(math.Abs(a), math.Abs(b)) }

func refusal(t rapid.TB, err error) *mup.Refusal {
	t.Helper()
	var r *mup.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("got %v, want a refusal", err)
	}
	return r
}

// grown is a shape larger in exactly one dimension, by a factor that is a power of two.
func grown(s mup.Shape, d mup.Dim, by int) mup.Shape {
	switch d {
	case mup.Width:
		s.Width, s.Heads, s.DFF, s.DFFExpert = s.Width*by, s.Heads*by, s.DFF*by, s.DFFExpert*by
	case mup.Depth:
		s.Depth *= by
	case mup.Experts:
		s.Experts, s.TopK = s.Experts*by, s.TopK*by
	case mup.ActiveFraction:
		s.TopK *= by
	case mup.FFNRatio:
		s.DFF, s.DFFExpert = s.DFF*by, s.DFFExpert*by
	case mup.HeadDim:
		s.Heads, s.HeadDim = s.Heads/by, s.HeadDim*by
	case mup.Batch:
		s.BatchTokens *= float64(by)
	case mup.Horizon:
		s.HorizonTokens *= float64(by)
	}
	return s
}
