package huggingface

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/safetensors"
)

// part is a tensor of the export: consecutive elements of one of the checkpoint's.
type part struct {
	name   string
	shape  []int64
	source string
	at     int64 // elements of source before it
}

// layout is what an export of a shape takes from a checkpoint.
type layout struct {
	parts   []part
	sources map[string][]int64 // shapes in the checkpoint
}

// whole takes a tensor as it is.
func (l *layout) whole(name string, shape ...int64) {
	l.sources[name] = shape
	l.parts = append(l.parts, part{name: name, shape: shape, source: name})
}

// cut takes consecutive matrices of one tensor, which must be covered in the end.
func (l *layout) cut(source string, sourceShape []int64, names []string, shape ...int64) {
	l.sources[source] = sourceShape
	for i, name := range names {
		l.parts = append(l.parts, part{name: name, shape: shape, source: source, at: int64(i) * shape[0] * shape[1]})
	}
}

// layoutOf names the tensors as the published Qwen3 and Qwen3-MoE checkpoints do. The
// trainer packs gate [f, d] over up [f, d], and all experts of a layer; published
// checkpoints have a matrix for each, which transformers 4 has modules for and
// transformers 5 packs again when it loads.
func layoutOf(s config.Shape) layout {
	l := layout{sources: map[string][]int64{}}
	d, h, v := int64(s.DModel), int64(s.HeadDim), int64(s.Vocab)
	q, kv := int64(s.Heads)*h, int64(s.KVHeads)*h
	l.whole("model.embed_tokens.weight", v, d)
	for i := range s.Layers {
		name := fmt.Sprintf("model.layers.%d.", i)
		l.whole(name+"input_layernorm.weight", d)
		l.whole(name+"self_attn.q_proj.weight", q, d)
		l.whole(name+"self_attn.k_proj.weight", kv, d)
		l.whole(name+"self_attn.v_proj.weight", kv, d)
		l.whole(name+"self_attn.q_norm.weight", h)
		l.whole(name+"self_attn.k_norm.weight", h)
		l.whole(name+"self_attn.o_proj.weight", d, q)
		l.whole(name+"post_attention_layernorm.weight", d)
		name += "mlp."
		if !s.IsMoE() {
			f := int64(s.DFF)
			l.cut(name+"gate_up_proj.weight", []int64{2 * f, d}, []string{name + "gate_proj.weight", name + "up_proj.weight"}, f, d)
			l.whole(name+"down_proj.weight", d, f)
			continue
		}
		e, f := int64(s.Experts), int64(s.DFFExp)
		l.whole(name+"gate.weight", e, d)
		var in, out []string
		for k := range s.Experts {
			expert := fmt.Sprintf("%sexperts.%d.", name, k)
			in = append(in, expert+"gate_proj.weight", expert+"up_proj.weight")
			out = append(out, expert+"down_proj.weight")
		}
		l.cut(name+"experts.gate_up_proj", []int64{e, 2 * f, d}, in, f, d)
		l.cut(name+"experts.down_proj", []int64{e, d, f}, out, d, f)
	}
	l.whole("model.norm.weight", d)
	if !s.Tied { // a tied head is the embedding and has no tensor
		l.whole("lm_head.weight", v, d)
	}
	return l
}

// matches refuses a checkpoint that is not of the layout's shape.
func (l *layout) matches(f *safetensors.File) error {
	have := f.Tensors()
	for _, t := range have {
		want, ok := l.sources[t.Name]
		switch {
		case !ok:
			return fmt.Errorf("it has a tensor %q, which the run's shape has not", t.Name)
		case !slices.Equal(t.Shape, want):
			return fmt.Errorf("tensor %q is %v, and the run's shape has %v", t.Name, t.Shape, want)
		case t.DType != safetensors.F32:
			return fmt.Errorf("tensor %q is of type %s, and the trainer writes %s", t.Name, t.DType, safetensors.F32)
		}
	}
	if len(have) == len(l.sources) {
		return nil
	}
	for _, p := range l.parts {
		if _, ok := f.Tensor(p.source); !ok {
			return fmt.Errorf("tensor %q of the run's shape is missing", p.source)
		}
	}
	return nil
}

// writeWeights writes the weights as one file.
func writeWeights(ctx context.Context, path string, f *safetensors.File, r config.Run, as DType) error {
	l := layoutOf(r.Shape)
	factors, err := scalesOf(r)
	if err != nil {
		return err
	}
	if err := l.matches(f); err != nil {
		return err
	}
	dtype := safetensors.F32
	if as == BFloat16 {
		dtype = safetensors.BF16
	}
	specs := make([]safetensors.Spec, len(l.parts))
	for i, p := range l.parts {
		specs[i] = safetensors.Spec{Name: p.name, DType: dtype, Shape: p.shape}
	}
	w, err := safetensors.Create(path, specs, map[string]string{"format": "pt"}) // loaders ask for the framework
	if err != nil {
		return err
	}
	defer w.Abort()
	var buf []byte
	for _, p := range l.parts {
		if err := ctx.Err(); err != nil {
			return err
		}
		from, err := f.Reader(p.source)
		if err != nil {
			return err
		}
		n := safetensors.F32.Size()
		for _, d := range p.shape {
			n *= d
		}
		buf = slices.Grow(buf[:0], int(n))[:n]
		if k, err := from.ReadAt(buf, p.at*safetensors.F32.Size()); k < len(buf) {
			return fmt.Errorf("read tensor %q: %w", p.source, err)
		}
		if f := factors.of(p.source); f != 1 {
			multiply(buf, f)
		}
		data := buf
		if dtype == safetensors.BF16 {
			data = round(buf)
		}
		if err := w.Write(p.name, data); err != nil {
			return err
		}
	}
	return w.Commit()
}

// multiply multiplies float32s in place.
func multiply(b []byte, f float64) {
	for i := range len(b) / 4 {
		x := float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
		binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(float32(f*x)))
	}
}

// round turns float32s into bfloat16s in place and returns their half of b.
func round(b []byte) []byte {
	for i := range len(b) / 4 {
		binary.LittleEndian.PutUint16(b[2*i:], bfloat16(binary.LittleEndian.Uint32(b[4*i:])))
	}
	return b[:len(b)/2]
}

// bfloat16 rounds the bits of a float32 to the nearest bfloat16, ties to even; beyond
// the largest comes infinity. NaN stays one: its lower bits may be all it has.
func bfloat16(x uint32) uint16 {
	const infinity = 0x7f80_0000
	if x&^(1<<31) > infinity {
		return uint16(x>>16) | 1<<6
	}
	return uint16((x + 0x7fff + x>>16&1) >> 16)
}
