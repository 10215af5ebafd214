package cpu

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/etastar/etastar/kernels"
)

var (
	tinyDense = shape{
		vocabulary: 11, d: 6, layers: 2, heads: kernels.Heads{Query: 2, KeyValue: 1, Dim: 4},
		f: 5, sequences: 2, seq: 4,
	}
	tinyExperts = shape{
		vocabulary: 7, d: 6, layers: 2, heads: kernels.Heads{Query: 2, KeyValue: 2, Dim: 2},
		f: 3, experts: 4, topK: 2, sequences: 2, seq: 4,
	}
)

// refLoss is the whole model written out: mean cross-entropy and, apart, the sum of the
// load-balance losses.
func (m *model) refLoss(params [][]float64, tokens, targets, pos []int32) (loss, router float64) {
	next := 0
	take := func() []float64 { next++; return params[next-1] }
	embed, d := take(), m.d
	var h []float64
	for _, t := range tokens {
		h = append(h, embed[int(t)*d:(int(t)+1)*d]...)
	}
	addBranch := func(y []float64) {
		for i := range h {
			h[i] += branch * y[i]
		}
	}
	hd := m.heads
	for range m.layers {
		x := refNorm(h, take(), modelEps)
		wqkv, wo, qg, kg := take(), take(), take(), take()
		qkv := refLinear(x, wqkv, d, (hd.Query+2*hd.KeyValue)*hd.Dim)
		qk := refQKNormRope(qkv, qg, kg, pos, hd, modelTheta, modelEps)
		y, _, _ := refAttention(qk, qkv, hd, m.seq, 1/math.Sqrt(float64(hd.Dim)))
		addBranch(refLinear(y, wo, hd.Query*hd.Dim, d))

		x = refNorm(h, take(), modelEps)
		if m.shape.experts == 0 {
			gu, down := take(), take()
			addBranch(refLinear(refSwiGLU(refLinear(x, gu, d, 2*m.f), m.f), down, m.f, d))
			continue
		}
		e, k, f := m.shape.experts, m.topK, m.f
		w, gu, down := take(), take(), take()
		_, index, weight, balanceLoss := refRoute(refLinear(x, w, d, e), e, k, false)
		router += balanceLoss
		out := make([]float64, len(x))
		for i, c := range index {
			e := int(c)
			row := x[i/k*d : (i/k+1)*d]
			a := refSwiGLU(refLinear(row, gu[e*2*f*d:(e+1)*2*f*d], d, 2*f), f)
			for j, v := range refLinear(a, down[e*d*f:(e+1)*d*f], f, d) {
				out[i/k*d+j] += weight[i] * v
			}
		}
		addBranch(out)
	}
	x := refNorm(h, take(), modelEps)
	losses, _ := refHead(x, take(), targets, d, 1)
	for _, l := range losses {
		loss += l / float64(len(losses))
	}
	return loss, router
}

// trajectory is what a run must do: losses, norms and the last weights.
type trajectory struct {
	loss, norm []float64
	params     [][]float64
}

const trajectorySteps = 20

// refTrain trains the model in float64 with gradients by central differences.
func (m *model) refTrain(t testing.TB, mem *Machine, number int) trajectory {
	m.start(t, mem, 0, number)
	var tr trajectory
	var m1, m2 [][]float64
	for _, x := range m.tensors {
		p := must[[]float32](t)(mem.Floats(x.p, 0))
		v := make([]float64, len(p))
		for i := range p {
			v[i] = float64(p[i])
		}
		tr.params = append(tr.params, v)
		m1, m2 = append(m1, make([]float64, len(p))), append(m2, make([]float64, len(p)))
	}
	for step := 1; step <= trajectorySteps; step++ {
		m.batch(t, mem, step)
		tokens, targets := must[[]int32](t)(mem.Ints(m.tokens, 0)), must[[]int32](t)(mem.Ints(m.targets, 0))
		pos := must[[]int32](t)(mem.Ints(m.pos, 0))
		loss, _ := m.refLoss(tr.params, tokens, targets, pos)
		tr.loss = append(tr.loss, loss)
		sq := 0.0
		var grads [][]float64
		for _, p := range tr.params {
			g := make([]float64, len(p))
			for i, keep := range p {
				const h = 1e-5
				at := func(v float64) float64 {
					p[i] = v
					loss, router := m.refLoss(tr.params, tokens, targets, pos)
					return loss + balance*router
				}
				g[i] = (at(keep+h) - at(keep-h)) / (2 * h)
				p[i] = keep
				sq += g[i] * g[i]
			}
			grads = append(grads, g)
		}
		norm := math.Sqrt(sq)
		tr.norm = append(tr.norm, norm)
		for i, p := range tr.params {
			for j := range grads[i] {
				grads[i][j] *= min(1, 0.5/norm)
			}
			refAdamW(p, m1[i], m2[i], grads[i], m.setting(number, step, i))
		}
	}
	return tr
}

var references sync.Map

// TestTrajectory trains a dense and an MoE model for some steps beside the reference.
func TestTrajectory(t *testing.T) {
	for _, s := range []shape{tinyDense, tinyExperts} {
		eachISA(t, func(t *testing.T, isa string) {
			m := newModel(t, s)
			mem := must[kernels.Machine](t)(must[*Backend](t)(New(Options{ISA: isa})).Load(1, m.train, m.eval)).(*Machine)
			defer mem.Close()
			poison(mem)
			key := fmt.Sprint(s)
			if _, ok := references.Load(key); !ok {
				references.Store(key, m.refTrain(t, mem, 0))
			}
			v, _ := references.Load(key)
			want := v.(trajectory)
			got := m.follow(t, mem, []int{0})[0]
			checkCanaries(t, mem)
			relative(t, "loss", got.loss, want.loss, 2e-5)
			relative(t, "gradient norm", got.norm, want.norm, 1e-4)
			for i, x := range m.tensors {
				near(t, x.name, got.params[i], want.params[i], 1e-4)
			}
		})
	}
}

func relative(t testing.TB, what string, got, want []float64, tol float64) {
	t.Helper()
	for i := range want {
		if d := math.Abs(got[i]/want[i] - 1); !(d <= tol) {
			t.Errorf("%s %d: %.8g, want %.8g (off by %.1e)", what, i, got[i], want[i], d)
		}
	}
}

// follow trains runs of the given numbers together and checks that evaluation agrees.
func (m *model) follow(t testing.TB, mem *Machine, numbers []int) []trajectory {
	t.Helper()
	out := make([]trajectory, len(numbers))
	for run, number := range numbers {
		m.start(t, mem, run, number)
	}
	scalar := func(b kernels.Buffer, run int) float64 {
		return float64(must[[]float32](t)(mem.Floats(b, run))[0])
	}
	for step := 1; step <= trajectorySteps; step++ {
		m.batch(t, mem, step)
		for run, number := range numbers {
			m.adam(t, mem, run, number, step)
		}
		if err := mem.Execute(m.eval); err != nil {
			t.Fatal(err)
		}
		before := make([]float64, len(numbers))
		for run := range numbers {
			before[run] = scalar(m.loss, run)
		}
		if err := mem.Execute(m.train); err != nil {
			t.Fatal(err)
		}
		for run := range numbers {
			loss := scalar(m.loss, run)
			if loss != before[run] {
				t.Fatalf("step %d: evaluation says %v, training %v", step, before[run], loss)
			}
			out[run].loss, out[run].norm = append(out[run].loss, loss), append(out[run].norm, scalar(m.norm, run))
		}
	}
	for run := range numbers {
		for _, x := range m.tensors {
			p := must[[]float32](t)(mem.Floats(x.p, run))
			v := make([]float64, len(p))
			for i := range p {
				v[i] = float64(p[i])
			}
			out[run].params = append(out[run].params, v)
		}
	}
	return out
}

// TestTogetherAlone: runs trained together equal each alone, to the bit, whatever the
// number of workers.
func TestTogetherAlone(t *testing.T) {
	shapes := []shape{tinyDense, tinyExperts, {
		vocabulary: 60, d: 36, layers: 1, heads: kernels.Heads{Query: 3, KeyValue: 1, Dim: 12},
		f: 40, sequences: 2, seq: 60,
	}}
	for _, s := range shapes {
		eachISA(t, func(t *testing.T, isa string) {
			m := newModel(t, s)
			load := func(workers, runs int) *Machine {
				b := must[*Backend](t)(New(Options{ISA: isa, Workers: workers}))
				b.chunk = s.seq
				mem := must[kernels.Machine](t)(b.Load(runs, m.train, m.eval)).(*Machine)
				t.Cleanup(func() { mem.Close() })
				poison(mem)
				return mem
			}
			numbers := []int{0, 1, 2, 3, 4}
			if testing.Short() {
				numbers = numbers[:2]
			}
			together := m.follow(t, load(3, len(numbers)), numbers)
			again := m.follow(t, load(1, len(numbers)), numbers)
			for i, number := range numbers {
				alone := m.follow(t, load(2, 1), []int{number})[0]
				for _, other := range []trajectory{together[i], again[i]} {
					if !slices.Equal(alone.loss, other.loss) || !slices.Equal(alone.norm, other.norm) {
						t.Fatalf("run %d: losses %v alone, %v together", i, alone.loss, other.loss)
					}
					for j := range alone.params {
						if !slices.Equal(alone.params[j], other.params[j]) {
							t.Fatalf("run %d: weights of %s differ", i, m.tensors[j].name)
						}
					}
				}
			}
		})
	}
}

// TestInactiveRunStays: a run taken out keeps its weights while others go on.
func TestInactiveRunStays(t *testing.T) {
	m := newModel(t, tinyDense)
	mem := must[kernels.Machine](t)(must[*Backend](t)(New(Options{})).Load(3, m.train, m.eval)).(*Machine)
	defer mem.Close()
	m.follow(t, mem, []int{0, 1, 2})
	weights := func(run int) []float32 {
		return slices.Clone(must[[]float32](t)(mem.Floats(m.tensors[0].p, run)))
	}
	a, b := weights(0), weights(1)
	mem.SetActive(1, false)
	if err := mem.Execute(m.train); err != nil {
		t.Fatal(err)
	}
	if slices.Equal(a, weights(0)) || !slices.Equal(b, weights(1)) {
		t.Error("the inactive run moved or an active one stood still")
	}
}

func TestExecuteAllocatesNothing(t *testing.T) {
	for _, s := range []shape{tinyDense, tinyExperts} {
		m := newModel(t, s)
		mem := must[kernels.Machine](t)(must[*Backend](t)(New(Options{Workers: 2})).Load(4, m.train)).(*Machine)
		defer mem.Close()
		for run := range 4 {
			m.start(t, mem, run, run)
			m.adam(t, mem, run, run, 1)
		}
		m.batch(t, mem, 1)
		if n := testing.AllocsPerRun(5, func() {
			if err := mem.Execute(m.train); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("a step allocates %v times", n)
		}
	}
}
