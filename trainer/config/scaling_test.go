package config

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/etastar/etastar/mup"
)

func rule(t *testing.T, name string) *mup.Rule {
	t.Helper()
	r, err := mup.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func under(t *testing.T, r Run, rule *mup.Rule, base Base) Run {
	t.Helper()
	out, err := r.Under(rule, base, mup.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := out.Validate(); err != nil {
		t.Fatal(err)
	}
	return out
}

func (m Module) of(q mup.Quantity) float64 {
	return map[mup.Quantity]float64{mup.InitStd: m.InitStd, mup.LR: m.LR, mup.WeightDecay: m.WeightDecay, mup.Eps: m.Eps, mup.Multiplier: m.Multiplier}[q]
}

// TestExponentsOverWidths: every module's numbers at widths 64 to 4096 follow the rule's
// exponent of the width.
func TestExponentsOverWidths(t *testing.T) {
	for _, name := range []string{"mup", "mup_simple", "completep", "depth_mup", "minicpm", "moe_mup", "moe_width"} {
		rule := rule(t, name)
		shape := func(d int) Shape {
			s := Dense(d, 4, 256, 128)
			s.HeadDim, s.Heads, s.KVHeads = 16, d/16, d/32
			if strings.HasPrefix(name, "moe") {
				s = s.MoE(8, 2)
			}
			return s
		}
		first := Default(shape(64), 1e-3).For(1 << 20)
		base := Base{Shape: first.Shape, Batch: first.BatchTokens(), Tokens: first.Tokens}
		for d := 64; d <= 4096; d *= 2 {
			r := Default(shape(d), 1e-3).For(1 << 20)
			at := under(t, r, rule, base).Modules()
			for i, m := range under(t, first, rule, base).Modules() {
				for _, q := range mup.Quantities() {
					b, v := m.of(q), at[i].of(q)
					if want := math.Pow(float64(d)/64, rule.Entry(m.Module, q).Width); b != 0 && math.Abs(v/b/want-1) > 1e-12 {
						t.Errorf("%s, width %d: %s of %s is %g, %g of the base's, want %g", name, d, q, m.Module, v, v/b, want)
					}
				}
			}
		}
	}
}

func TestAtTheBaseARuleIsStandard(t *testing.T) {
	for _, r := range []Run{Default(Dense(64, 3, 256, 128), 1e-3), Default(Dense(64, 3, 256, 128).MoE(8, 2), 1e-3)} {
		name := "completep_dp"
		if r.Shape.IsMoE() {
			name = "moe_mup"
		}
		got := under(t, r, rule(t, name), Base{Shape: r.Shape, Batch: r.BatchTokens(), Tokens: r.Tokens})
		if !reflect.DeepEqual(got.Modules(), Standard(r.Shape)) {
			t.Errorf("%s at its base:\n%v\nstandard:\n%v", name, got.Modules(), Standard(r.Shape))
		}
	}
}

func TestHashUnderRules(t *testing.T) {
	r := Default(Dense(128, 2, 256, 128), 3e-3)
	base := Base{Shape: Dense(64, 2, 256, 128), Batch: r.BatchTokens(), Tokens: r.Tokens}
	if got := under(t, r, rule(t, SP), base).Hash(); got != r.Hash() {
		t.Errorf("sp changes the hash of %s", r.Name())
	}
	m := under(t, r, rule(t, "mup"), base)
	edited, err := rule(t, "mup").Edit(mup.Head, mup.LR, mup.Width, -0.5)
	if err != nil {
		t.Fatal(err)
	}
	noted := rule(t, "mup")
	noted.Notes = append(noted.Notes, "a remark")
	renamed := rule(t, "mup")
	renamed.Name = SP
	half := base
	half.Shape = Dense(32, 2, 256, 128)
	hashes := map[string]string{}
	for what, other := range map[string]Run{
		"sp": r, "mup": m, "mup edited": under(t, r, edited, base), "another base": under(t, r, rule(t, "mup"), half), "a rule called sp": under(t, r, renamed, base),
	} {
		if was, ok := hashes[other.Hash()]; ok {
			t.Errorf("%s and %s have one hash", was, what)
		}
		hashes[other.Hash()] = what
	}
	if under(t, r, noted, base).Hash() != m.Hash() {
		t.Error("a remark in a rule changes the hash")
	}
	text, err := Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	back, unknown, err := Decode(text)
	if err != nil || len(unknown) > 0 || !reflect.DeepEqual(back, m) {
		t.Fatalf("read back %+v, unknown %v, %v", back, unknown, err)
	}
	if again, err := mup.ReadTOML([]byte(back.Scaling.Text)); err != nil || len(mup.Compare(again, rule(t, "mup"))) != 0 {
		t.Errorf("the rule in the configuration is another: %v", err)
	}
	if !bytes.Contains(text, []byte(`"d_model": 64`)) {
		t.Error("the base is not in the configuration")
	}
}

func TestWithLR(t *testing.T) {
	r := Default(Dense(128, 2, 256, 128), 3e-3)
	got, err := r.WithLR(map[mup.Module]float64{mup.Embedding: 4})
	if err != nil {
		t.Fatal(err)
	}
	want := Standard(r.Shape)
	want[0].LR = 4
	if !reflect.DeepEqual(got.Modules(), want) || got.Hash() == r.Hash() || got.Validate() != nil {
		t.Errorf("%v", got.Modules())
	}
	for _, m := range []mup.Module{mup.Router, mup.Residual, "tail"} {
		if _, err := r.WithLR(map[mup.Module]float64{m: 2}); err == nil {
			t.Errorf("%s has a learning rate", m)
		}
	}
}

func TestScalingRefusals(t *testing.T) {
	r := Default(Dense(128, 2, 256, 128), 3e-3)
	for want, change := range map[string]func(s *Scaling){
		`no module "tail"`:                  func(s *Scaling) { s.Modules[0].Module = "tail" },
		`no module "router"`:                func(s *Scaling) { s.Modules[0].Module = mup.Router },
		"embedding is there twice":          func(s *Scaling) { s.Modules[1].Module = mup.Embedding },
		"lr of embedding is 0":              func(s *Scaling) { s.Modules[0].LR = 0 },
		"lr of embedding is NaN":            func(s *Scaling) { s.Modules[0].LR = math.NaN() },
		"attn_logits has no lr of its own":  func(s *Scaling) { s.Modules[6].LR = 1 },
		"says nothing of final_norm, head":  func(s *Scaling) { s.Modules = s.Modules[:len(s.Modules)-2] },
		"init_std of embedding is -1":       func(s *Scaling) { s.Modules[0].InitStd = -1 },
		"multiplier of embedding is 1e+300": func(s *Scaling) { s.Modules[0].Multiplier = 1e300 },
	} {
		r := r
		r.Scaling = &Scaling{Modules: Standard(r.Shape)}
		change(r.Scaling)
		if err := r.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	r.Rule = "mup"
	if err := r.Validate(); err == nil || !strings.Contains(err.Error(), "give it a base") {
		t.Errorf("a rule without a base: %v", err)
	}
	if _, err := r.Under(rule(t, "mup"), Base{Shape: Dense(256, 2, 256, 128), Batch: r.BatchTokens(), Tokens: r.Tokens}, mup.Options{}); err == nil {
		t.Error("a target smaller than its base")
	}
}
