package config

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/etastar/etastar/trainer/schedule"
)

// The counts of published models, from their weights: Qwen3-0.6B (tied) and
// Qwen3-30B-A3B.
func TestPublishedCounts(t *testing.T) {
	small := Shape{
		DModel: 1024, Layers: 28, Heads: 16, KVHeads: 8, HeadDim: 128, DFF: 3072, Vocab: 151936,
		Context: 4096, Tied: true, RopeTheta: 1e6, NormEps: 1e-6,
	}
	p := small.Params()
	if p.Total != 596_049_920 || p.WithoutVocabulary != 440_467_456 || p.NonEmbedding != p.WithoutVocabulary || p.WithHead != p.Total || p.Active != p.Total {
		t.Errorf("Qwen3-0.6B: %+v", p)
	}
	moe := Shape{
		DModel: 2048, Layers: 48, Heads: 32, KVHeads: 4, HeadDim: 128, Experts: 128, TopK: 8, DFFExp: 768,
		Vocab: 151936, Context: 4096, RopeTheta: 1e6, NormEps: 1e-6,
	}
	p = moe.Params()
	if p.Total != 30_532_122_624 || p.Active != p.Total-48*120*3*2048*768 {
		t.Errorf("Qwen3-30B-A3B: %+v", p)
	}
	if p.NonEmbedding-p.WithoutVocabulary != 151936*2048 || p.ActiveNonEmb != p.Active-151936*2048 {
		t.Errorf("Qwen3-30B-A3B: %+v", p)
	}
	for _, s := range []Shape{small, moe} {
		if out := s.Problems(); len(out) > 0 {
			t.Error(out)
		}
	}
}

// With square attention and the width of SwiGLU that holds as many weights as a plain
// feed-forward layer, M is DeepSeek's 72·L·d² + 12·L·d·T.
func TestFLOPsAreDeepSeeks(t *testing.T) {
	const d, l, ctx = 768.0, 12.0, 512.0
	s := Shape{DModel: d, Layers: l, Heads: 12, KVHeads: 12, HeadDim: 64, DFF: 8 * d / 3, Vocab: 1000, Context: ctx}
	f := s.FLOPs()
	if want := 72*l*d*d + 12*l*d*ctx; f.M != want {
		t.Errorf("M = %g, want %g", f.M, want)
	}
	if f.Compute-f.M != 6*1000*d {
		t.Errorf("head: %g", f.Compute-f.M)
	}
	if f.SixN != 6*float64(s.Params().Total) {
		t.Errorf("6N = %g", f.SixN)
	}
	// The experts a token does not visit cost nothing.
	a, b := s.MoE(8, 2), s.MoE(64, 2)
	if b.FLOPs().M-a.FLOPs().M != 6*l*d*56 {
		t.Errorf("%g and %g differ by more than the router", a.FLOPs().M, b.FLOPs().M)
	}
}

func TestShapesBuilt(t *testing.T) {
	for _, d := range []int{8, 32, 64, 96, 128, 256, 768, 2048} {
		for _, s := range []Shape{Dense(d, 4, 256, 128), Dense(d, 4, 256, 128).MoE(8, 2)} {
			if out := s.Problems(); len(out) > 0 {
				t.Errorf("%s: %v", s.Name(), out)
			}
			if err := Default(s, 1e-3).Validate(); err != nil {
				t.Errorf("%s: %v", s.Name(), err)
			}
		}
	}
	if m := Dense(64, 2, 256, 128).Memory(); m.Weights != Dense(64, 2, 256, 128).Params().Total || m.Bytes(5, 1024, 256) <= m.Bytes(1, 1024, 256)*4 {
		t.Errorf("%+v", m)
	}
}

func TestRefusals(t *testing.T) {
	for want, change := range map[string]func(r *Run){
		"kv_heads 3 does not divide heads 4: use 4, 2, 1": func(r *Run) { r.Shape.Heads, r.Shape.KVHeads = 4, 3 },
		"head_dim 15 is odd":                              func(r *Run) { r.Shape.HeadDim = 15 },
		"d_model is 0":                                    func(r *Run) { r.Shape.DModel = 0 },
		"layers is 99999":                                 func(r *Run) { r.Shape.Layers = 99999 },
		"top_k 9 is more than the 8":                      func(r *Run) { r.Shape = r.Shape.MoE(8, 9); r.Shape.DFFExp = 8 },
		"top_k is 0":                                      func(r *Run) { r.Shape = r.Shape.MoE(8, 0); r.Shape.DFFExp = 8 },
		"both set":                                        func(r *Run) { r.Shape = r.Shape.MoE(8, 2); r.Shape.DFF = 5 },
		"belong to a mixture":                             func(r *Run) { r.Shape.TopK = 2 },
		"rope_theta NaN":                                  func(r *Run) { r.Shape.RopeTheta = math.NaN() },
		"norm_eps 0":                                      func(r *Run) { r.Shape.NormEps = 0 },
		"learning rate 0":                                 func(r *Run) { r.LR = 0 },
		"learning rate 1e+09":                             func(r *Run) { r.LR = 1e9 },
		"learning rate NaN":                               func(r *Run) { r.LR = math.NaN() },
		"does not divide into 3 micro":                    func(r *Run) { r.Batch.Accumulate = 3 },
		"a batch of 0 sequences":                          func(r *Run) { r.Batch.Sequences = 0 },
		"a horizon of -5 tokens":                          func(r *Run) { r.Tokens = -5 },
		"do not fit before the decay":                     func(r *Run) { r.Schedule.WarmupTokens = r.Tokens },
		`optimizer "sgd"`:                                 func(r *Run) { r.Optimizer.Name = "sgd" },
		"betas 1 and 0.95":                                func(r *Run) { r.Optimizer.Beta1 = 1 },
		"eps 0":                                           func(r *Run) { r.Optimizer.Eps = 0 },
		"weight decay -1":                                 func(r *Run) { r.Optimizer.WeightDecay = -1 },
		"clip +Inf":                                       func(r *Run) { r.Optimizer.Clip = math.Inf(1) },
		"z-loss weight -1":                                func(r *Run) { r.Loss.Z = -1 },
		"needs experts":                                   func(r *Run) { r.Loss.Balance = 1 },
		"no data source":                                  func(r *Run) { r.Data.Source = "" },
		"no tokenizer":                                    func(r *Run) { r.Data.Tokenizer = "" },
		`split "random"`:                                  func(r *Run) { r.Data.Split = "random" },
		"held_out 0.9":                                    func(r *Run) { r.Data.HeldOut = 0.9 },
		"a synthetic corpus of -1":                        func(r *Run) { r.Data.Bytes = -1 },
		"validation on 0":                                 func(r *Run) { r.Validation.Tokens = 0 },
		"divergence window":                               func(r *Run) { r.Divergence.Window = 0 },
		"early stop after":                                func(r *Run) { r.Hopeless.On = true },
		"keep: a negative":                                func(r *Run) { r.Keep.LogEvery = -1 },
		"rule is empty":                                   func(r *Run) { r.Rule = "" },
		"this program writes version":                     func(r *Run) { r.Version = 7 },
		`schedule "steps" is none of`:                     func(r *Run) { r.Schedule.Kind = "steps" },
		"heads × head_dim is":                             func(r *Run) { r.Shape.Heads, r.Shape.KVHeads, r.Shape.HeadDim = 4096, 4096, 4096 },
	} {
		r := Default(Dense(64, 2, 256, 128), 1e-3)
		change(&r)
		err := r.Validate()
		var invalid *Invalid
		if !errors.As(err, &invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestNames(t *testing.T) {
	for lr, want := range map[float64]string{3e-3: "3e-3", 1e-10: "1e-10", 1.41421e-3: "1.41e-3", 1: "1", 0.5: "5e-1", 20: "2e1", 1e-3: "1e-3"} {
		if got := ShortLR(lr); got != want {
			t.Errorf("%g: %s, want %s", lr, got, want)
		}
	}
	r := Default(Dense(128, 4, 256, 128), 3e-3)
	if n := r.Name(); !strings.HasPrefix(n, "d128L4-lr3e-3-") || len(n) != len("d128L4-lr3e-3-")+10 {
		t.Error(n)
	}
	a := r
	a.Keep.LogEvery = 5
	if a.Hash() != r.Hash() {
		t.Error("what is recorded changes the hash")
	}
	a.Seed++
	if a.Hash() == r.Hash() {
		t.Error("the seed does not change the hash")
	}
	a = r
	a.Data.Source, a.Data.Tokenizer = "books", "tok.json"
	a = a.Absolute("/data")
	if a.Data.Source != "/data/books" || a.Data.Tokenizer != "/data/tok.json" || !reflect.DeepEqual(r.Absolute("/x"), r) {
		t.Errorf("%+v", a.Data)
	}
}

// The hash names runs on the disk: if this changes, no run made before is found again.
func TestHashIsStable(t *testing.T) {
	if got := Default(Dense(64, 2, 256, 128), 1e-3).Hash()[:10]; got != "bac32ca1b7" {
		t.Error(got)
	}
}

// drawRun fills every field of a run.
func drawRun(t *rapid.T) Run {
	var r Run
	fill(t, reflect.ValueOf(&r).Elem())
	r.Version = Version
	return r
}

func fill(t *rapid.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "set") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem())
		}
	case reflect.Slice:
		n := rapid.IntRange(0, 3).Draw(t, "n")
		for range n {
			e := reflect.New(v.Type().Elem()).Elem()
			fill(t, e)
			v.Set(reflect.Append(v, e))
		}
	case reflect.Int, reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, "int"))
	case reflect.Uint64:
		v.SetUint(rapid.Uint64().Draw(t, "uint"))
	case reflect.Float64:
		v.SetFloat(rapid.Float64().Draw(t, "float"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.String:
		v.SetString(rapid.StringMatching(`[a-zé/<&\\"]{0,8}`).Draw(t, "string"))
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRun(t)
		text, err := Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		got, unknown, err := Decode(text)
		if err != nil || len(unknown) > 0 {
			t.Fatal(err, unknown)
		}
		if !reflect.DeepEqual(got, r) || got.Hash() != r.Hash() {
			t.Fatalf("%+v became %+v", r, got)
		}
		_ = r.Validate() // whatever it says, it says it without a panic
	})
}

func TestDecodeRefusals(t *testing.T) {
	r := Default(Dense(64, 2, 256, 128), 1e-3)
	text, err := Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	s := string(text)
	later := strings.Replace(s, `"shape": {`, `"sharding": 4, "shape": { "window": 512,`, 1)
	got, unknown, err := Decode([]byte(later))
	if err != nil || !reflect.DeepEqual(got, r) || !slices.Equal(unknown, []string{"shape.window", "sharding"}) {
		t.Errorf("%v %v", unknown, err)
	}
	_, _, err = Decode([]byte(strings.Replace(s, `"version": 1`, `"version": 2`, 1)))
	var newer *NewerError
	if !errors.As(err, &newer) || newer.Version != 2 || !strings.Contains(err.Error(), "update etastar") {
		t.Error(err)
	}
	for _, bad := range []string{"", "{}", "[]", "null", s + "{}", s[:len(s)/2], `{"version":0}`, `{"version":"1"}`, strings.Repeat(" ", maxText+1)} {
		if _, _, err := Decode([]byte(bad)); err == nil {
			t.Errorf("%.20q accepted", bad)
		}
	}
	r.LR = math.NaN()
	if _, err := Encode(r); err == nil {
		t.Error("a learning rate that is not a number was written")
	}
	if r.Hash() == "" || r.Name() == "" {
		t.Error("no name")
	}
}

func TestBranches(t *testing.T) {
	r := Default(Dense(64, 2, 256, 128), 1e-3).For(4_000_000)
	r.Schedule.WarmupTokens = 40_000
	horizons := []int64{4_000_000, 1_000_000, 2_000_000}
	trunk, branches, plan, err := Branches(r, horizons)
	if err != nil {
		t.Fatal(err)
	}
	if err := trunk.Validate(); err != nil {
		t.Error(err)
	}
	if trunk.Steps() != plan.Trunk.To || !slices.Equal(trunk.Keep.Checkpoints, plan.Checkpoints) || len(branches) != 3 {
		t.Errorf("%+v %+v", trunk, plan)
	}
	for i, b := range branches {
		if err := b.Validate(); err != nil {
			t.Error(err)
		}
		straight := r
		straight.Tokens = plan.Branches[i].Tokens
		if b.Hash() != straight.Hash() || b.Origin.Run != trunk.Name() || b.Origin.Step != plan.Branches[i].Segment.From {
			t.Errorf("%+v", b)
		}
	}
	r.Schedule = schedule.Schedule{Kind: schedule.Cosine}
	if _, _, _, err := Branches(r, horizons); err == nil {
		t.Error("a cosine branched")
	}
}

func FuzzDecode(f *testing.F) {
	text, err := Encode(Default(Dense(64, 2, 256, 128).MoE(4, 2), 1e-3))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"version":1,"shape":null,"origin":{"step":1e300}}`))
	f.Add([]byte(`{"version":1,"keep":{"checkpoints":[1,2]},"x":[{}]}`))
	f.Add([]byte(`{"version":1,"rule":"mup","scaling":{"modules":[{"module":"head","lr":1e400},{"module":7}],"base":{"shape":{"d_model":-1}},"text":"x"}}`))
	f.Add([]byte(`{"version":1,"rule":"mup","scaling":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, _, err := Decode(data)
		if err != nil {
			return
		}
		_ = r.Validate()
		_, _, _ = r.Shape.Params(), r.Shape.FLOPs(), r.Name()
		text, err := Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		again, unknown, err := Decode(text)
		if err != nil || len(unknown) > 0 || again.Hash() != r.Hash() {
			t.Fatalf("%v %v: %s", err, unknown, text)
		}
	})
}
