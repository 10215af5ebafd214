package cpu

import (
	"fmt"
	"testing"

	"github.com/etastar/etastar/kernels"
)

func qwen(d, layers, heads, kv, dim, f, vocabulary, sequences, seq int) shape {
	return shape{
		vocabulary: vocabulary, d: d, layers: layers, f: f, sequences: sequences, seq: seq,
		heads: kernels.Heads{Query: heads, KeyValue: kv, Dim: dim},
	}
}

func (m *model) parameters() int {
	n := 0
	for _, t := range m.tensors {
		n += product(t.shape)
	}
	return n
}

// multiplied counts the parameters that a token meets in matrix products: all but the
// embedding, and of the experts those chosen.
func (m *model) multiplied() float64 {
	n := 0.0
	for i, t := range m.tensors {
		switch {
		case i == 0 || len(t.shape) == 1:
		case len(t.shape) == 3:
			n += float64(product(t.shape)) * float64(m.topK) / float64(m.shape.experts)
		default:
			n += float64(product(t.shape))
		}
	}
	return n
}

// BenchmarkStep is a whole training step of proxies, byte level: tokens a second over
// all runs, and the share of the peak that 6 operations a
// multiplied parameter and token take, without attention.
func BenchmarkStep(b *testing.B) {
	moe := qwen(64, 2, 4, 2, 16, 64, 256, 8, 256)
	moe.experts, moe.topK = 8, 2
	for _, c := range []struct {
		name string
		shape
		runs int
	}{
		{"33k", qwen(32, 2, 2, 1, 16, 88, 256, 16, 128), 1},
		{"115k", qwen(64, 2, 4, 2, 16, 176, 256, 16, 128), 1},
		{"115k", qwen(64, 2, 4, 2, 16, 176, 256, 16, 128), 2},
		{"115k", qwen(64, 2, 4, 2, 16, 176, 256, 16, 128), 5},
		{"427k", qwen(128, 2, 4, 2, 32, 344, 256, 16, 128), 1},
		{"1M", qwen(128, 5, 4, 2, 32, 344, 256, 8, 256), 1},
		{"1M", qwen(128, 5, 4, 2, 32, 344, 256, 8, 256), 2},
		{"1M short", qwen(128, 5, 4, 2, 32, 344, 256, 2, 256), 1},
		{"moe", moe, 1},
		{"10M", qwen(384, 6, 6, 2, 64, 1024, 256, 4, 512), 1},
	} {
		b.Run(fmt.Sprintf("%s/runs=%d", c.name, c.runs), func(b *testing.B) {
			m := newModel(b, c.shape)
			backend := must[*Backend](b)(New(Options{}))
			mem := must[kernels.Machine](b)(backend.Load(c.runs, m.train)).(*Machine)
			defer mem.Close()
			for run := range c.runs {
				m.start(b, mem, run, run)
				m.adam(b, mem, run, run, 1)
			}
			m.batch(b, mem, 1)
			peak := backend.Peak()
			if err := mem.Execute(m.train); err != nil { // touch the memory
				b.Fatal(err)
			}
			for b.Loop() {
				if err := mem.Execute(m.train); err != nil {
					b.Fatal(err)
				}
			}
			rate := float64(m.shape.tokens()*c.runs*b.N) / b.Elapsed().Seconds()
			b.ReportMetric(rate, "tok/s")
			b.ReportMetric(float64(m.parameters()), "params")
			cores := min(c.runs, backend.Workers())
			b.ReportMetric(100*rate*6*m.multiplied()/peak/float64(cores), "%peak")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkOps times single operations on one core, in ns an element of the output.
func BenchmarkOps(b *testing.B) {
	const n, d, v = 2048, 256, 8192
	h := kernels.Heads{Query: 4, KeyValue: 2, Dim: 64}
	for _, c := range []struct {
		name  string
		elems int
		op    func(r *rig) []kernels.Op
	}{
		{"RMSNorm", n * d, func(r *rig) []kernels.Op {
			return []kernels.Op{kernels.RMSNorm{Y: r.out("Y", n, d), X: r.in("X", n, d), Gain: r.in("G", d), RStd: r.out("R", n)}}
		}},
		{"RMSNormGrad", n * d, func(r *rig) []kernels.Op {
			return []kernels.Op{kernels.RMSNormGrad{
				DX: r.out("DX", n, d), DGain: r.in("DG", d), DY: r.in("DY", n, d), X: r.in("X", n, d), Gain: r.in("G", d), RStd: r.in("R", n),
			}}
		}},
		{"SwiGLU", n * d, func(r *rig) []kernels.Op {
			return []kernels.Op{kernels.SwiGLU{Y: r.out("Y", n, d), X: r.in("X", n, 2*d)}}
		}},
		{"SwiGLUGrad", n * d, func(r *rig) []kernels.Op {
			return []kernels.Op{kernels.SwiGLUGrad{DX: r.out("DX", n, 2*d), DY: r.in("DY", n, d), X: r.in("X", n, 2*d)}}
		}},
		{"QKNormRope", n * 6 * 64, func(r *rig) []kernels.Op {
			return []kernels.Op{kernels.QKNormRope{
				QK: r.out("QK", n, 6*64), QKV: r.in("QKV", n, 8*64), QGain: r.in("QG", 64), KGain: r.in("KG", 64), RStd: r.out("R", n, 6),
				Positions: r.indices("P", make([]int32, n), n), Heads: h, Theta: 1e4, MaxPosition: 512,
			}}
		}},
		{"Attention512", n * 4 * 64, func(r *rig) []kernels.Op {
			return []kernels.Op{kernels.Attention{
				Y: r.out("Y", n, 256), LSE: r.out("L", n, 4), QK: r.in("QK", n, 6*64), QKV: r.in("QKV", n, 8*64), Heads: h, Seq: 512, Scale: 0.125,
			}}
		}},
		{"AttentionGrad512", n * 4 * 64, func(r *rig) []kernels.Op {
			return []kernels.Op{kernels.AttentionGrad{
				DQK: r.out("DQK", n, 6*64), DQKV: r.out("DQKV", n, 8*64), DY: r.in("DY", n, 256), Y: r.in("Y", n, 256), LSE: r.in("L", n, 4),
				QK: r.in("QK", n, 6*64), QKV: r.in("QKV", n, 8*64), Heads: h, Seq: 512, Scale: 0.125,
			}}
		}},
		{"Head256", n * 256, func(r *rig) []kernels.Op {
			return []kernels.Op{kernels.Head{
				Loss: r.out("Loss", n), DX: r.out("DX", n, 64), DW: r.in("DW", 256, 64), X: r.in("X", n, 64), W: r.in("W", 256, 64),
				Targets: r.indices("T", make([]int32, n), n),
			}}
		}},
		{"Head8192", n * v, func(r *rig) []kernels.Op {
			return []kernels.Op{kernels.Head{
				Loss: r.out("Loss", n), DX: r.out("DX", n, d), DW: r.in("DW", v, d), X: r.in("X", n, d), W: r.in("W", v, d),
				Targets: r.indices("T", make([]int32, n), n),
			}}
		}},
		{"AdamW", 1 << 20, func(r *rig) []kernels.Op {
			one := func(s string) []kernels.Buffer { return []kernels.Buffer{r.in(s, 1<<20)} }
			return []kernels.Op{kernels.AdamW{Params: one("P"), Grads: one("G"), M: one("M"), V: one("V"), Table: r.in("T", 1, 8)}}
		}},
	} {
		for _, isa := range ISAs() {
			b.Run(c.name+"/"+isa, func(b *testing.B) {
				r := newRig(b, isa, 1)
				ops := c.op(r)
				r.run(ops...)
				rec := r.space.Record("bench")
				rec.Add(ops...)
				p := must[*kernels.Program](b)(rec.Build())
				m := must[kernels.Machine](b)(must[*Backend](b)(New(Options{ISA: isa, Workers: 1})).Load(1, p))
				defer m.Close()
				for x, v := range r.fill {
					f := make([]float32, len(v))
					for i := range v {
						f[i] = float32(v[i])
					}
					if err := m.WriteFloats(x, 0, f); err != nil {
						b.Fatal(err)
					}
				}
				for b.Loop() {
					if err := m.Execute(p); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(c.elems), "ns/elem")
			})
		}
	}
}
