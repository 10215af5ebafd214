package model

import (
	"math"
	"slices"

	"github.com/etastar/etastar/mup"
	"github.com/etastar/etastar/trainer/config"
)

// reference is the model written out plainly in float64, forward only: its gradients
// come from central differences, so that nothing is shared with what it checks.
type reference struct {
	s       config.Shape
	zLoss   float64
	balance float64
	p       map[string][]float64 // by parameter name
	names   []string
	m, v    map[string][]float64
	of      map[string]config.Module // of a parameter
	rule    map[mup.Module]config.Module
	step    int
}

func newReference(m *Model, o Options, value func(p *Param) []float32) *reference {
	r := &reference{
		s: m.Shape, zLoss: o.ZLoss, balance: o.Balance,
		p: map[string][]float64{}, m: map[string][]float64{}, v: map[string][]float64{},
		of: map[string]config.Module{}, rule: map[mup.Module]config.Module{},
	}
	for _, x := range o.Modules {
		r.rule[x.Module] = x
	}
	for i := range m.Params {
		p := &m.Params[i]
		var w []float64
		for _, x := range value(p) {
			w = append(w, float64(x))
		}
		r.names = append(r.names, p.Name)
		r.p[p.Name], r.of[p.Name] = w, r.rule[p.Module]
		r.m[p.Name], r.v[p.Name] = make([]float64, len(w)), make([]float64, len(w))
	}
	return r
}

// linear is W·x with W [out, in].
func linear(w, x []float64) []float64 {
	y := make([]float64, len(w)/len(x))
	for o := range y {
		for i := range x {
			y[o] += w[o*len(x)+i] * x[i]
		}
	}
	return y
}

func rmsNorm(x, gain []float64, eps float64) []float64 {
	ss := 0.0
	for _, v := range x {
		ss += v * v
	}
	y := make([]float64, len(x))
	for i := range x {
		y[i] = gain[i] * x[i] / math.Sqrt(ss/float64(len(x))+eps)
	}
	return y
}

func rotate(x []float64, pos int, theta float64) {
	h := len(x) / 2
	for i := range h {
		a := float64(pos) * math.Pow(theta, -2*float64(i)/float64(len(x)))
		c, s := math.Cos(a), math.Sin(a)
		x[i], x[i+h] = x[i]*c-x[i+h]*s, x[i+h]*c+x[i]*s
	}
}

func softmax(z []float64) []float64 {
	top := slices.Max(z)
	sum := 0.0
	p := make([]float64, len(z))
	for i := range z {
		p[i] = math.Exp(z[i] - top)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

func swiglu(gateUp []float64) []float64 {
	f := len(gateUp) / 2
	y := make([]float64, f)
	for i := range y {
		y[i] = gateUp[i] / (1 + math.Exp(-gateUp[i])) * gateUp[f+i]
	}
	return y
}

func addTo(x, y []float64) {
	for i := range x {
		x[i] += y[i]
	}
}

func times(f float64, x []float64) []float64 {
	y := make([]float64, len(x))
	for i := range x {
		y[i] = f * x[i]
	}
	return y
}

// layer transforms the streams of one sequence in place; counts and mean collect the
// router's choices and probabilities.
func (r *reference) layer(name string, xs [][]float64, counts, mean []float64) {
	s, h := r.s, r.s.HeadDim
	w := func(part string) []float64 { return r.p[name+part] }
	apply := func(part string, x []float64) []float64 { return times(r.of[name+part].Multiplier, linear(w(part), x)) }
	branch := r.rule[mup.Residual].Multiplier
	var q, k, v [][]float64 // [token][heads·h]
	for t, x := range xs {
		n := rmsNorm(x, w("input_layernorm.weight"), s.NormEps)
		heads := func(part, gain string) []float64 {
			y := apply("self_attn."+part+"_proj.weight", n)
			for i := 0; gain != "" && i < len(y); i += h {
				copy(y[i:i+h], rmsNorm(y[i:i+h], w("self_attn."+gain+".weight"), s.NormEps))
				rotate(y[i:i+h], t, s.RopeTheta)
			}
			return y
		}
		q, k, v = append(q, heads("q", "q_norm")), append(k, heads("k", "k_norm")), append(v, heads("v", ""))
	}
	for t, x := range xs {
		att := make([]float64, s.Heads*h)
		for head := range s.Heads {
			g := head / (s.Heads / s.KVHeads)
			var z []float64
			for u := range t + 1 {
				dot := 0.0
				for i := range h {
					dot += q[t][head*h+i] * k[u][g*h+i]
				}
				z = append(z, dot*r.rule[mup.AttnLogits].Multiplier)
			}
			for u, p := range softmax(z) {
				for i := range h {
					att[head*h+i] += p * v[u][g*h+i]
				}
			}
		}
		addTo(x, times(branch, apply("self_attn.o_proj.weight", att)))
		n := rmsNorm(x, w("post_attention_layernorm.weight"), s.NormEps)
		if !s.IsMoE() {
			addTo(x, times(branch, apply("mlp.down_proj.weight", swiglu(apply("mlp.gate_up_proj.weight", n)))))
			continue
		}
		p := softmax(apply("mlp.gate.weight", n))
		addTo(mean, p)
		order := make([]int, s.Experts)
		for e := range order {
			order[e] = e
		}
		slices.SortStableFunc(order, func(a, b int) int {
			switch {
			case p[a] > p[b]:
				return -1
			case p[a] < p[b]:
				return 1
			}
			return 0
		})
		sum := 0.0
		for _, e := range order[:s.TopK] {
			sum += p[e]
		}
		out := make([]float64, len(x))
		for _, e := range order[:s.TopK] {
			counts[e]++
			up, down := w("mlp.experts.gate_up_proj"), w("mlp.experts.down_proj")
			nu, nd := len(up)/s.Experts, len(down)/s.Experts
			inner := swiglu(times(r.rule[mup.ExpertGateUp].Multiplier, linear(up[e*nu:(e+1)*nu], n)))
			y := times(r.rule[mup.ExpertDown].Multiplier, linear(down[e*nd:(e+1)*nd], inner))
			for i := range y {
				out[i] += p[e] / sum * y[i]
			}
		}
		addTo(x, times(branch, out))
	}
}

// loss is the mean cross-entropy of a batch and the objective that is trained, which
// adds z-loss and load balance.
func (r *reference) loss(tokens, targets []int32) (mean, objective float64) {
	s := r.s
	n := float64(len(tokens))
	var seqs [][][]float64
	for t, id := range tokens {
		if t%s.Context == 0 {
			seqs = append(seqs, nil)
		}
		row := r.p["model.embed_tokens.weight"][int(id)*s.DModel : (int(id)+1)*s.DModel]
		seqs[len(seqs)-1] = append(seqs[len(seqs)-1], times(r.rule[mup.Embedding].Multiplier, row))
	}
	for l := range s.Layers {
		counts, probs := make([]float64, s.Experts), make([]float64, s.Experts)
		for _, xs := range seqs {
			r.layer("model.layers."+string(rune('0'+l))+".", xs, counts, probs)
		}
		for e := range counts {
			objective += r.balance * float64(s.Experts) * counts[e] / n * probs[e] / n
		}
	}
	head := r.p["lm_head.weight"]
	if s.Tied {
		head = r.p["model.embed_tokens.weight"]
	}
	for i, xs := range seqs {
		for t, x := range xs {
			z := times(r.rule[mup.Head].Multiplier, linear(head, rmsNorm(x, r.p["model.norm.weight"], s.NormEps)))
			top, sum := slices.Max(z), 0.0
			for _, v := range z {
				sum += math.Exp(v - top)
			}
			lse := top + math.Log(sum)
			ce := lse - z[targets[i*s.Context+t]]
			mean += ce / n
			objective += (ce + r.zLoss*lse*lse) / n
		}
	}
	return mean, objective
}

// adamStep is one step of AdamW with clipping, every parameter with its own η, λ and ε; it
// returns the loss before it and the gradient's norm.
func (r *reference) adamStep(tokens, targets []int32, lr, wd, eps, clip float64) (mean, norm float64) {
	const b1, b2, h = 0.9, 0.95, 1e-5
	mean, _ = r.loss(tokens, targets)
	grads := map[string][]float64{}
	for _, name := range r.names {
		w := r.p[name]
		g := make([]float64, len(w))
		for i, x := range w {
			w[i] = x + h
			_, up := r.loss(tokens, targets)
			w[i] = x - h
			_, down := r.loss(tokens, targets)
			w[i] = x
			g[i] = (up - down) / (2 * h)
			norm += g[i] * g[i]
		}
		grads[name] = g
	}
	norm = math.Sqrt(norm)
	scale := 1.0
	if clip > 0 && norm > clip {
		scale = clip / norm
	}
	r.step++
	for _, name := range r.names {
		of := r.of[name]
		lr, decay, eps := lr*of.LR, wd*of.WeightDecay, eps*of.Eps
		w, m, v := r.p[name], r.m[name], r.v[name]
		for i, g := range grads[name] {
			g *= scale
			m[i] = b1*m[i] + (1-b1)*g
			v[i] = b2*v[i] + (1-b2)*g*g
			mh, vh := m[i]/(1-math.Pow(b1, float64(r.step))), v[i]/(1-math.Pow(b2, float64(r.step)))
			w[i] -= lr * (mh/(math.Sqrt(vh)+eps) + decay*w[i])
		}
	}
	return mean, norm
}
