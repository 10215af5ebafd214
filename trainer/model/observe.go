package model

import (
	"fmt"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/mup"
)

// Kind is what a statistic is of.
type Kind uint8

// Kinds.
const (
	Activation Kind = iota // output of the module, the last micro-batch
	Gradient               // of a parameter, over the whole batch, before clipping
	Weight                 // a parameter after the step
	Update                 // what the step added to it
	Drift                  // its distance from the initial value
	Start                  // the initial value
)

// Observation is a row of [Observed.Stats]: root mean square, mean absolute value and
// largest absolute value of N numbers. Weights, updates and drifts of a large parameter
// are those of a sample of its rows.
type Observation struct {
	Module mup.Module
	Layer  int // -1 outside the layers
	Kind   Kind
	N      int
}

// Sample is a part of the rows of a parameter.
type Sample struct {
	Param               int
	Value, Diff, start  kernels.Buffer
	Rows, Cols, at, len int // at and len: elements of the parameter
	first               int // element of what is kept of all samples
}

// Ranked is where up to 32 rows of a parameter lie in [Observed.Ranks], and those of its
// update behind them.
type Ranked struct {
	Param, Rows, Cols int
	At                int // element; the update's are Rows·Cols further on
	sample            int
}

// Observed is what the observing programs leave for the host; see [Options.Observe].
type Observed struct {
	// Accumulate and Apply do what the model's do, to the bit, and write the rest.
	Accumulate, Apply *kernels.Program

	Rows    []Observation
	Stats   kernels.Buffer // [≥ len(Rows), kernels.StatFields]
	Samples []Sample
	diff    kernels.Buffer // of all samples: what the step added
	start   kernels.Buffer // and their initial values

	// Ranks holds the rows of matrices of the middle layer, and of what the step added to them.
	Ranks  kernels.Buffer
	Ranked []Ranked

	// Probs [SampleRows, E], of the first tokens, and Counts [E] are of a layer's router.
	Probs, Counts []kernels.Buffer
	SampleRows    int
}

// wholeUpTo is the number of elements up to which a parameter is observed whole; of a
// larger one, sampleOf elements are, at least 32 rows, in sampleParts places.
const (
	wholeUpTo   = 1 << 17
	sampleOf    = 1 << 14
	sampleParts = 4
)

// Effective ranks are computed from up to rankRows rows in rankParts places.
const (
	rankRows  = 32
	rankParts = 4
)

// observe declares what is observed; the programs are recorded after it.
func (b *builder) observe() {
	s := b.s
	o := &Observed{SampleRows: min(b.n, 256)}
	b.m.Observed = o
	for i := range b.m.Params {
		b.sample(i)
	}
	total := 0
	for i := range o.Samples {
		o.Samples[i].first = total
		total += o.Samples[i].len
	}
	o.diff = b.space.Float("observed.diff", kernels.PerRun, total)
	o.start = b.space.Float("observed.start", kernels.PerRun, total)
	for i := range o.Samples {
		o.Samples[i].Diff = b.of(i, "diff", o.diff)
		o.Samples[i].start = b.of(i, "start", o.start)
	}
	o.Stats = b.space.Float("stats", kernels.PerRun, 12*(s.Layers+1)+len(b.m.Params)+4*len(o.Samples), kernels.StatFields)
	total = 0
	for i, sample := range o.Samples {
		p := &b.m.Params[sample.Param]
		if p.Gain || p.Layer != s.Layers/2 || i > 0 && o.Samples[i-1].Param == sample.Param {
			continue
		}
		r := Ranked{Param: sample.Param, Rows: min(sample.Rows, rankRows), Cols: sample.Cols, At: total, sample: i}
		o.Ranked = append(o.Ranked, r)
		total += 2 * r.Rows * r.Cols
	}
	o.Ranks = b.space.Float("observed.ranks", kernels.PerRun, total)
	for i := range s.Layers {
		if name := fmt.Sprintf("observed.%d.", i); s.IsMoE() {
			o.Probs = append(o.Probs, b.space.Float(name+"probs", kernels.PerRun, o.SampleRows, s.Experts))
			o.Counts = append(o.Counts, b.space.Int(name+"counts", kernels.PerRun, s.Experts))
		}
	}
}

// sample declares the samples of a parameter.
func (b *builder) sample(i int) {
	p := &b.m.Params[i]
	lead, stride := p.Shape[0], 1
	for _, d := range p.Shape[1:] {
		stride *= d
	}
	cols := p.Shape[len(p.Shape)-1]
	add := func(first, count int) {
		b.m.Observed.Samples = append(b.m.Observed.Samples, Sample{
			Param: i, Value: b.space.View(fmt.Sprintf("%s.observed.%d", p.Name, first), p.Value, first, count),
			Rows: count * stride / cols, Cols: cols, at: first * stride, len: count * stride,
		})
	}
	count := max(32, sampleOf/cols) / sampleParts
	if len(p.Shape) == 3 {
		count = 1 // an expert
	}
	if lead*stride <= wholeUpTo || lead < sampleParts*count {
		add(0, lead)
		return
	}
	for k := range sampleParts {
		add(k*(lead-count)/(sampleParts-1), count)
	}
}

// of is a sample's part of what is kept of all of them.
func (b *builder) of(sample int, what string, all kernels.Buffer) kernels.Buffer {
	s := b.m.Observed.Samples[sample]
	return b.space.View(fmt.Sprintf("observed.%s.%d", what, sample), all, s.first, s.len)
}

// stat appends rows and returns where they are written.
func (o *Observed) stat(b *builder, rows ...Observation) kernels.Buffer {
	at := len(o.Rows)
	o.Rows = append(o.Rows, rows...)
	return b.space.View(fmt.Sprintf("stats.%d", at), o.Stats, at, len(rows))
}

// see records the statistics of an activation where they are wanted.
func (b *builder) see(m mup.Module, layer int, x kernels.Buffer, add func(...kernels.Op)) {
	if !b.observing {
		return
	}
	info, _ := b.space.Info(x)
	add(kernels.Stats{X: []kernels.Buffer{x}, Out: b.m.Observed.stat(b, Observation{m, layer, Activation, info.Len()})})
}

// seeQKV records queries, keys and values before QK-norm. They lie side by side in one
// buffer, so they are computed again for the first tokens, each by itself.
func (b *builder) seeQKV(name string, layer int, l *layer, x kernels.Buffer, add func(...kernels.Op)) {
	if !b.observing {
		return
	}
	n := b.m.Observed.SampleRows
	first := b.space.View(name+"observed.norm1", x, 0, n)
	for i := l.q; i < l.q+3; i++ {
		p := &b.m.Params[i]
		y := b.scratch(fmt.Sprintf("%sobserved.%s", name, p.Module), n, p.Shape[0])
		add(kernels.MatMul{Y: y, A: first, B: p.Value, TransB: true, Alpha: b.factor(p.Module)})
		b.see(p.Module, layer, y, add)
	}
}

// seeProbs copies the router's probabilities for the first tokens.
func (b *builder) seeProbs(layer int, probs kernels.Buffer, add func(...kernels.Op)) {
	if b.observing {
		first := b.space.View(fmt.Sprintf("observed.of.%d", probs), probs, 0, b.m.Observed.SampleRows)
		add(kernels.Copy{Y: []kernels.Buffer{b.m.Observed.Probs[layer]}, X: []kernels.Buffer{first}})
	}
}

// seeLogits records the logits of the first tokens.
func (b *builder) seeLogits(out kernels.Buffer, add func(...kernels.Op)) {
	if !b.observing {
		return
	}
	n := min(b.n, 32)
	z := b.scratch("observed.logits", n, b.s.Vocab)
	add(kernels.MatMul{Y: z, A: b.space.View("observed.first_out", out, 0, n), B: b.value(b.head), TransB: true, Alpha: b.factor(mup.Head)})
	b.see(mup.Head, -1, z, add)
}

// observedApply is apply with what it changes.
func (b *builder) observedApply() []kernels.Op {
	o, m := b.m.Observed, b.m
	var ops []kernels.Op
	add := func(x ...kernels.Op) { ops = append(ops, x...) }
	var rows []Observation
	var of []kernels.Buffer
	row := func(kind Kind, p *Param, n int, x kernels.Buffer) {
		rows, of = append(rows, Observation{p.Module, p.Layer, kind, n}), append(of, x)
	}
	stats := func() {
		add(kernels.Stats{X: of, Out: o.stat(b, rows...)})
		rows, of = nil, nil
	}
	for i := range m.Params {
		p := &m.Params[i]
		info, _ := b.space.Info(p.Grad)
		row(Gradient, p, info.Len(), p.Grad)
	}
	stats()
	// All samples lie side by side: a launch of a GPU takes longer than what most are of.
	total, _ := b.space.Info(o.diff)
	before, now, drift := b.scratch("observed.before", total.Len()), b.scratch("observed.now", total.Len()), b.scratch("observed.drift", total.Len())
	var values, was, is []kernels.Buffer
	for i, s := range o.Samples {
		values, was, is = append(values, s.Value), append(was, b.of(i, "before", before)), append(is, b.of(i, "now", now))
	}
	add(kernels.Copy{Y: was, X: values})
	add(b.apply()...)
	add(kernels.Copy{Y: is, X: values}, kernels.Blend{Y: o.diff, A: now, B: before, Beta: -1}, kernels.Blend{Y: drift, A: now, B: o.start, Beta: -1})
	for i, s := range o.Samples {
		p := &m.Params[s.Param]
		row(Weight, p, s.len, is[i])
		row(Update, p, s.len, s.Diff)
		row(Drift, p, s.len, b.of(i, "drift", drift))
		row(Start, p, s.len, s.start)
	}
	stats()
	var kept kernels.Copy
	for _, r := range o.Ranked {
		s := o.Samples[r.sample]
		parts := 1
		if r.Rows%rankParts == 0 {
			parts = rankParts
		}
		n := r.Rows / parts
		for k := range parts {
			at := 0
			if parts > 1 {
				at = k * (s.Rows - n) / (parts - 1)
			}
			for j, from := range []kernels.Buffer{now, o.diff} {
				name := fmt.Sprintf("observed.rows.%d.%d.%d", r.Param, k, j)
				kept.X = append(kept.X, b.space.View(name, from, s.first+at*r.Cols, n*r.Cols))
				kept.Y = append(kept.Y, b.space.View(name+".kept", o.Ranks, r.At+(j*r.Rows+k*n)*r.Cols, n*r.Cols))
			}
		}
	}
	add(kept)
	return ops
}

// prepareObserved writes the initial values that drifts are measured from.
func (m *Model) prepareObserved(mc kernels.Machine, runs, param int, v []float32) error {
	for _, s := range m.Observed.Samples {
		if s.Param != param {
			continue
		}
		for r := range runs {
			if err := mc.WriteFloats(s.start, r, v[s.at:s.at+s.len]); err != nil {
				return fmt.Errorf("model %s: %w", m.Shape.Name(), err)
			}
		}
	}
	return nil
}
