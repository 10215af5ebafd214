package huggingface

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/etastar/etastar/trainer/safetensors"
)

// tensors reads a file of weights as float32s.
func tensors(t testing.TB, path string) (values map[string][]float32, shapes map[string][]int64, dtype safetensors.DType) {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	values, shapes = map[string][]float32{}, map[string][]int64{}
	for _, x := range f.Tensors() {
		v := make([]float32, x.Elements())
		if err := f.ReadFloats(x.Name, v); err != nil {
			t.Fatal(err)
		}
		values[x.Name], shapes[x.Name], dtype = v, x.Shape, x.DType
	}
	if f.Metadata["format"] != "pt" && strings.Contains(path, "/model/") {
		t.Errorf("%s: metadata %v", path, f.Metadata)
	}
	return values, shapes, dtype
}

// published is what a Qwen3 (dense, tied) or Qwen3-MoE checkpoint of these tests' shapes
// holds, as transformers' modules print them.
func published(kind string) map[string][]int64 {
	out := map[string][]int64{"model.embed_tokens.weight": {256, 24}, "model.norm.weight": {24}, "lm_head.weight": {256, 24}}
	if kind == "tied" {
		delete(out, "lm_head.weight")
	}
	layer := map[string][]int64{
		"input_layernorm.weight": {24}, "post_attention_layernorm.weight": {24},
		"self_attn.q_proj.weight": {32, 24}, "self_attn.k_proj.weight": {16, 24}, "self_attn.v_proj.weight": {16, 24}, "self_attn.o_proj.weight": {24, 32},
		"self_attn.q_norm.weight": {8}, "self_attn.k_norm.weight": {8},
	}
	if kind == "moe" {
		layer["mlp.gate.weight"] = []int64{5, 24}
		for e := range 5 {
			name := fmt.Sprintf("mlp.experts.%d.", e)
			layer[name+"gate_proj.weight"], layer[name+"up_proj.weight"], layer[name+"down_proj.weight"] = []int64{16, 24}, []int64{16, 24}, []int64{24, 16}
		}
	} else {
		layer["mlp.gate_proj.weight"], layer["mlp.up_proj.weight"], layer["mlp.down_proj.weight"] = []int64{40, 24}, []int64{40, 24}, []int64{24, 40}
	}
	for i := range 2 {
		for name, shape := range layer {
			out[fmt.Sprintf("model.layers.%d.%s", i, name)] = shape
		}
	}
	return out
}

// nearest is the bfloat16 next to x, found by distance, ties to the even one.
func nearest(x float32) float32 {
	down := math.Float32frombits(math.Float32bits(x) &^ 0xffff)
	up := math.Float32frombits(math.Float32bits(x)&^0xffff + 1<<16)
	below, above := math.Abs(float64(x)-float64(down)), math.Abs(float64(up)-float64(x))
	if below < above || below == above && math.Float32bits(down)>>16&1 == 0 {
		return down
	}
	return up
}

func TestWeights(t *testing.T) {
	for kind, s := range shapes() {
		for _, dtype := range DTypes {
			t.Run(kind+" "+string(dtype), func(t *testing.T) {
				dir, c := exported(t, runOf(s), Options{DType: dtype})
				from, _, _ := tensors(t, filepath.Join(c.Dir, weightsFile))
				got, gotShapes, stored := tensors(t, filepath.Join(dir, weightsFile))
				if want := map[DType]safetensors.DType{BFloat16: safetensors.BF16, Float32: safetensors.F32}[dtype]; stored != want {
					t.Errorf("stored as %s", stored)
				}
				if want := published(kind); !maps.EqualFunc(want, gotShapes, slices.Equal) {
					t.Errorf("it holds\n%v\nwant\n%v", gotShapes, want)
				}
				for name, v := range got {
					want := from[name]
					before, part, packed := strings.Cut(name, "mlp.")
					switch {
					case want != nil:
					case !packed:
						t.Fatalf("%s is not in the checkpoint", name)
					case kind != "moe": // gate over up
						n := len(from[before+"mlp.gate_up_proj.weight"]) / 2
						want = from[before+"mlp.gate_up_proj.weight"][:n]
						if part == "up_proj.weight" {
							want = from[before+"mlp.gate_up_proj.weight"][n:]
						}
					default:
						var e int
						var matrix string
						if n, err := fmt.Sscanf(part, "experts.%d.%s", &e, &matrix); n != 2 || err != nil {
							t.Fatal(name, err)
						}
						n := 16 * 24
						all := from[before+"mlp.experts.gate_up_proj"]
						switch matrix {
						case "gate_proj.weight":
							want = all[2*e*n:]
						case "up_proj.weight":
							want = all[(2*e+1)*n:]
						case "down_proj.weight":
							want = from[before+"mlp.experts.down_proj"][e*n:]
						}
						want = want[:n]
					}
					if len(want) != len(v) {
						t.Fatalf("%s has %d values, want %d", name, len(v), len(want))
					}
					for i := range v {
						w := want[i]
						if dtype == BFloat16 {
							w = nearest(w)
						}
						if math.Float32bits(v[i]) != math.Float32bits(w) {
							t.Fatalf("%s[%d] is %g, want %g", name, i, v[i], w)
						}
					}
				}
			})
		}
	}
}

func TestBFloat16(t *testing.T) {
	for _, tt := range []struct {
		from uint32
		want uint16
	}{
		{0, 0},
		{0x8000_0000, 0x8000},
		{0x3f80_0000, 0x3f80},
		{0x3f80_8000, 0x3f80},
		{0x3f81_8000, 0x3f82}, // ties
		{0x3f80_7fff, 0x3f80},
		{0x3f80_8001, 0x3f81},
		{0xbf80_8001, 0xbf81},
		{0x3fff_ffff, 0x4000}, // into the next power of two
		{0x0000_8001, 0x0001}, // subnormal
		{0x7f7f_ffff, 0x7f80},
		{0xff7f_ffff, 0xff80},
		{0x7f80_0000, 0x7f80},
		{0x7f80_0001, 0x7fc0},
		{0xffff_ffff, 0xffff}, // not a number
	} {
		if got := bfloat16(tt.from); got != tt.want {
			t.Errorf("%#08x: %#04x, want %#04x", tt.from, got, tt.want)
		}
	}
	b := make([]byte, 8)
	binary.LittleEndian.PutUint32(b, 0x3f81_8000)
	binary.LittleEndian.PutUint32(b[4:], 0xbf80_8001)
	if got := round(b); !slices.Equal(got, []byte{0x82, 0x3f, 0x81, 0xbf}) {
		t.Errorf("% x", got)
	}
}
