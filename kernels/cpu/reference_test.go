package cpu

import (
	"math"

	"github.com/etastar/etastar/kernels"
)

// The reference is the definition of each operation in float64 and plain loops; it
// shares nothing with what it checks.

func refMatMul(m, n, k int, a []float64, transA bool, b []float64, transB bool) []float64 {
	y := make([]float64, m*n)
	for i := range m {
		for j := range n {
			for l := range k {
				at, bt := i*k+l, l*n+j
				if transA {
					at = l*m + i
				}
				if transB {
					bt = j*k + l
				}
				y[i*n+j] += a[at] * b[bt]
			}
		}
	}
	return y
}

// refLinear is x·wᵀ with w [out,in].
func refLinear(x, w []float64, in, out int) []float64 {
	return refMatMul(len(x)/in, out, in, x, false, w, true)
}

func refNorm(x, g []float64, eps float64) []float64 {
	d := len(g)
	y := make([]float64, len(x))
	for i := 0; i < len(x); i += d {
		s := 0.0
		for j := range d {
			s += x[i+j] * x[i+j]
		}
		for j := range d {
			y[i+j] = x[i+j] * g[j] / math.Sqrt(s/float64(d)+eps)
		}
	}
	return y
}

// refQKNormRope normalises (with gains) and rotates the query and key heads of qkv.
func refQKNormRope(qkv, qg, kg []float64, pos []int32, h kernels.Heads, theta, eps float64) []float64 {
	width := (h.Query + 2*h.KeyValue) * h.Dim
	var y []float64
	for i := 0; i < len(qkv)/width; i++ {
		for j := range h.Query + h.KeyValue {
			x := qkv[i*width+j*h.Dim:][:h.Dim]
			if qg != nil {
				g := qg
				if j >= h.Query {
					g = kg
				}
				x = refNorm(x, g, eps)
			}
			z := append([]float64(nil), x...)
			for l := range h.Dim / 2 {
				if theta == 0 {
					break
				}
				a := float64(pos[i]) / math.Pow(theta, float64(2*l)/float64(h.Dim))
				p, q := x[l], x[l+h.Dim/2]
				z[l] = p*math.Cos(a) - q*math.Sin(a)
				z[l+h.Dim/2] = q*math.Cos(a) + p*math.Sin(a)
			}
			y = append(y, z...)
		}
	}
	return y
}

func refSoftmax(z []float64) (p []float64, lse float64) {
	top := math.Inf(-1)
	for _, x := range z {
		top = max(top, x)
	}
	s := 0.0
	p = make([]float64, len(z))
	for i, x := range z {
		p[i] = math.Exp(x - top)
		s += p[i]
	}
	for i := range p {
		p[i] /= s
	}
	return p, top + math.Log(s)
}

// refAttention returns the outputs, the log-sum-exp of each query and head, and the
// largest logit of each head.
func refAttention(qk, qkv []float64, h kernels.Heads, seq int, scale float64) (y, lse, largest []float64) {
	a, b, d := (h.Query+h.KeyValue)*h.Dim, (h.Query+2*h.KeyValue)*h.Dim, h.Dim
	n := len(qk) / a
	y = make([]float64, n*h.Query*d)
	lse = make([]float64, n*h.Query)
	for range h.Query {
		largest = append(largest, math.Inf(-1))
	}
	for i := range n {
		first := i / seq * seq
		for head := range h.Query {
			kv := head / (h.Query / h.KeyValue)
			var z []float64
			for j := first; j <= i; j++ {
				s := 0.0
				for l := range d {
					s += qk[i*a+head*d+l] * qk[j*a+(h.Query+kv)*d+l]
				}
				z = append(z, s*scale)
				largest[head] = max(largest[head], s*scale)
			}
			p, total := refSoftmax(z)
			lse[i*h.Query+head] = total
			for j, w := range p {
				for l := range d {
					y[(i*h.Query+head)*d+l] += w * qkv[(first+j)*b+(h.Query+h.KeyValue+kv)*d+l]
				}
			}
		}
	}
	return y, lse, largest
}

func refSwiGLU(x []float64, f int) []float64 {
	var y []float64
	for i := 0; i < len(x); i += 2 * f {
		for j := range f {
			g := x[i+j]
			y = append(y, g/(1+math.Exp(-g))*x[i+f+j])
		}
	}
	return y
}

// refRoute returns probabilities, choices, weights and the load-balance loss.
func refRoute(z []float64, e, k int, raw bool) (p []float64, index []int32, weight []float64, loss float64) {
	n := len(z) / e
	mean, count := make([]float64, e), make([]float64, e)
	for i := range n {
		row, _ := refSoftmax(z[i*e : (i+1)*e])
		p = append(p, row...)
		taken := make([]bool, e)
		s := 0.0
		from := len(weight)
		for range k {
			best := -1
			for x := range e {
				if !taken[x] && (best < 0 || row[x] > row[best]) {
					best = x
				}
			}
			taken[best] = true
			index, weight = append(index, int32(best)), append(weight, row[best])
			s += row[best]
			count[best]++
		}
		if !raw {
			for j := from; j < len(weight); j++ {
				weight[j] /= s
			}
		}
		for x := range e {
			mean[x] += row[x] / float64(n)
		}
	}
	for x := range e {
		loss += float64(e) * count[x] / float64(n) * mean[x]
	}
	return p, index, weight, loss
}

// refHead returns cross-entropy and log-sum-exp of every row; 0 where a target is < 0.
func refHead(x, w []float64, targets []int32, d int, mult float64) (loss, lse []float64) {
	z := refLinear(x, w, d, len(w)/d)
	v := len(w) / d
	for i, t := range targets {
		row := z[i*v : (i+1)*v]
		for j := range row {
			row[j] *= mult
		}
		_, total := refSoftmax(row)
		lse = append(lse, total)
		if t < 0 {
			loss = append(loss, 0)
		} else {
			loss = append(loss, total-row[t])
		}
	}
	return loss, lse
}

func refAdamW(p, m, v, g []float64, a kernels.Adam) {
	t := float64(a.Step)
	for i := range p {
		m[i] = a.Beta1*m[i] + (1-a.Beta1)*g[i]
		v[i] = a.Beta2*v[i] + (1-a.Beta2)*g[i]*g[i]
		mhat, vhat := m[i]/(1-math.Pow(a.Beta1, t)), v[i]/(1-math.Pow(a.Beta2, t))
		p[i] -= a.LR * (mhat/(math.Sqrt(vhat)+a.Eps) + a.WeightDecay*p[i])
	}
}
