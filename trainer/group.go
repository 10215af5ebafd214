package trainer

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/data"
	"github.com/etastar/etastar/trainer/health"
	"github.com/etastar/etastar/trainer/model"
	"github.com/etastar/etastar/trainer/schedule"
)

// Group trains runs of one shape together: what is shared (tokens, the model's
// programs) exists once. It is for one goroutine.
type Group struct {
	Model *model.Model
	Runs  []*Member

	corpus   *data.Corpus
	mc       kernels.Machine
	first    config.Run
	micro    int // sequences of a micro-batch
	step     int64
	observed int64 // the last step whose statistics are there
	tokens   []int32
	targets  []int32
	table    []float32
	log      []float32
	blocks   int64
	rowLoss  []float32
}

// Member is one run of a group.
type Member struct {
	Config   config.Run
	Steps    int64 // optimizer steps in all
	Detector *health.Detector
	Active   bool

	curve   schedule.Curve
	every   int64           // steps between statistics; 0: none
	modules []config.Module // of every parameter
	logged  int64           // steps that its log has counted
}

// modulesOf finds the module of every parameter.
func modulesOf(m *model.Model, r config.Run) []config.Module {
	all := r.Modules()
	out := make([]config.Module, len(m.Params))
	for i := range m.Params {
		k := slices.IndexFunc(all, func(x config.Module) bool { return x.Module == m.Params[i].Module })
		out[i] = all[k]
	}
	return out
}

// StepResult is what one optimizer step of one run gave.
type StepResult struct {
	Run      int     // in Group.Runs
	Step     int64   // optimizer steps done with this one
	LR       float64 // η it trained with
	Loss     float64 // mean cross-entropy of the batch before the update, nats
	GradNorm float64 // before clipping
	Spike    bool    // its loss stands far above those just before
	Diverged string  // why the run has diverged at this step; it takes no further part
	Done     bool    // this was its last step
}

// Together reports why two runs cannot train in one group, "" when they can: all but
// the learning rate, the schedule, the horizon and what is recorded must agree.
func Together(a, b config.Run) string {
	switch {
	case a.Shape != b.Shape:
		return "their shapes differ"
	case (a.Scaling != nil || b.Scaling != nil) && !slices.EqualFunc(a.Modules(), b.Modules(), sameProgram):
		return "their parametrizations differ"
	case a.Seed != b.Seed:
		return "their seeds differ"
	case a.Batch != b.Batch:
		return "their batches differ"
	case a.Data != b.Data:
		return "their data differ"
	case a.Validation != b.Validation:
		return "their validations differ"
	case a.Loss != b.Loss:
		return "their losses differ"
	}
	return ""
}

// sameProgram reports whether two modules start and compute alike; how fast they learn is
// a run's own.
func sameProgram(a, b config.Module) bool {
	return a.Module == b.Module && a.InitStd == b.InitStd && a.Multiplier == b.Multiplier
}

// Memory predicts the bytes that a group of runs needs on the backend.
func Memory(backend kernels.Backend, run config.Run, runs int) (int64, error) {
	m, err := newModel(run)
	if err != nil {
		return 0, err
	}
	return backend.Bytes(runs, m.Programs()...)
}

// newModel builds what trains the runs, which differ from the first in their horizons and
// what is recorded of them at most.
func newModel(runs ...config.Run) (*model.Model, error) {
	run := runs[0]
	observe := slices.ContainsFunc(runs, func(r config.Run) bool { return StatsEvery(r) > 0 && StatsEvery(r) <= r.Steps() })
	return model.New(run.Shape, model.Options{
		Sequences: run.Batch.Sequences / run.Batch.Accumulate, ZLoss: run.Loss.Z, Balance: run.Loss.Balance, Modules: run.Modules(), Observe: observe,
	})
}

// NewGroup allocates the runs on the backend and draws their initial weights. The
// corpus must be that of the runs; the group does not close it.
func NewGroup(backend kernels.Backend, corpus *data.Corpus, runs []config.Run) (*Group, error) {
	if len(runs) == 0 {
		return nil, errors.New("trainer: no runs")
	}
	for _, r := range runs {
		if err := r.Validate(); err != nil {
			return nil, fmt.Errorf("run %s: %w", r.Name(), err)
		}
		if why := Together(runs[0], r); why != "" {
			return nil, fmt.Errorf("runs %s and %s cannot train together: %s", runs[0].Name(), r.Name(), why)
		}
	}
	m, err := newModel(runs...)
	if err != nil {
		return nil, err
	}
	g := &Group{Model: m, corpus: corpus, first: runs[0], micro: runs[0].Batch.Sequences / runs[0].Batch.Accumulate}
	for _, r := range runs {
		curve, err := r.Curve()
		if err != nil {
			return nil, fmt.Errorf("run %s: %w", r.Name(), err)
		}
		g.Runs = append(g.Runs, &Member{
			Config: r, Steps: r.Steps(), Detector: health.NewDetector(r.Divergence), Active: true, curve: curve, modules: modulesOf(m, r), every: StatsEvery(r),
		})
	}
	g.blocks = corpus.ValidationBlocks(runs[0].Validation.Tokens)
	if g.blocks < 1 {
		return nil, fmt.Errorf("run %s: no held-out block of %d tokens to validate on: use a longer corpus or a shorter context", runs[0].Name(), runs[0].Shape.Context)
	}
	g.tokens, g.targets = make([]int32, m.Rows()), make([]int32, m.Rows())
	g.table = make([]float32, len(m.Params)*kernels.AdamFields)
	g.log = make([]float32, model.LogRows*2)
	g.rowLoss = make([]float32, m.Rows())
	if g.mc, err = backend.Load(len(runs), m.Programs()...); err != nil {
		return nil, err
	}
	if err := g.prepare(); err != nil {
		return nil, errors.Join(err, g.mc.Close())
	}
	return g, nil
}

func (g *Group) prepare() error {
	if err := g.Model.Prepare(g.mc, len(g.Runs), g.first.Seed); err != nil {
		return err
	}
	scalar := func(b kernels.Buffer, run int, x float64) error {
		return g.mc.WriteFloats(b, run, []float32{float32(x)})
	}
	for i, r := range g.Runs {
		if err := errors.Join(
			scalar(g.Model.Scale, i, 1/float64(r.Config.BatchTokens())),
			scalar(g.Model.Balance, i, 1/float64(r.Config.Batch.Accumulate)),
			scalar(g.Model.MaxNorm, i, r.Config.Optimizer.Clip),
		); err != nil {
			return err
		}
	}
	return nil
}

// Close frees the memory.
func (g *Group) Close() error { return g.mc.Close() }

// Done is the number of optimizer steps that are done.
func (g *Group) Done() int64 { return g.step }

// Active reports whether any run still trains.
func (g *Group) Active() bool {
	for _, r := range g.Runs {
		if r.Active {
			return true
		}
	}
	return false
}

// Leave takes a run out of the group; its weights stay readable.
func (g *Group) Leave(run int) {
	g.Runs[run].Active = false
	g.mc.SetActive(run, false)
}

// Steps does up to n optimizer steps of every active run, at least one, and appends their
// results to dst, step by step. It ends early where a run is done, and looks at losses only
// then: a device may work through all of them meanwhile. A run whose loss is not finite, or
// far above its own history, diverged: it leaves, and its results end there.
func (g *Group) Steps(dst []StepResult, n int64) ([]StepResult, error) {
	n = min(n, model.LogRows)
	for _, r := range g.Runs {
		if r.Active {
			n = min(n, r.Steps-g.step)
		}
	}
	n = max(n, 1)
	for k := range n {
		if err := g.queue(g.step + k); err != nil {
			return dst, fmt.Errorf("step %d: %w", g.step+k, err)
		}
	}
	start := len(dst)
	for i, r := range g.Runs {
		if !r.Active {
			continue
		}
		if err := g.mc.ReadFloats(g.log, g.Model.Log, i); err != nil {
			return dst, fmt.Errorf("step %d: %w", g.step, err)
		}
		for k := range n {
			row := g.log[(r.logged+k)%model.LogRows*2:]
			res := StepResult{
				Run: i, Step: g.step + k + 1, LR: r.curve.LR(g.step + k),
				Loss: float64(row[0]) / float64(r.Config.BatchTokens()), GradNorm: float64(row[1]),
			}
			res.Spike = r.Detector.Spike(res.Loss)
			res.Diverged = r.Detector.Add(res.Loss)
			if res.Diverged == "" && res.GradNorm-res.GradNorm != 0 { // AdamW left the weights as they were
				res.Diverged = "gradient is not finite"
			}
			res.Done = res.Diverged == "" && res.Step >= r.Steps
			dst = append(dst, res)
			if res.Diverged != "" || res.Done {
				g.Leave(i)
				break
			}
		}
		r.logged += n
	}
	g.step += n
	slices.SortStableFunc(dst[start:], func(a, b StepResult) int { return cmp.Compare(a.Step, b.Step) })
	return dst, nil
}

// queue gives the machine all of one optimizer step.
func (g *Group) queue(step int64) error {
	accumulate, apply := g.Model.Accumulate, g.Model.Apply
	observes := g.observes(step)
	if observes {
		apply = g.Model.Observed.Apply
	}
	for a := range g.first.Batch.Accumulate {
		if observes && a == g.first.Batch.Accumulate-1 {
			accumulate = g.Model.Observed.Accumulate
		}
		if err := g.corpus.Batch(g.tokens, g.targets, g.first.Seed, step*int64(g.first.Batch.Sequences)+int64(a*g.micro)); err != nil {
			return err
		}
		if err := g.write(); err != nil {
			return err
		}
		if err := g.mc.Execute(accumulate); err != nil {
			return err
		}
	}
	for i, r := range g.Runs {
		if r.Active {
			if err := g.settings(i, r, step); err != nil {
				return err
			}
		}
	}
	if observes {
		g.observed = step + 1
	}
	return g.mc.Execute(apply)
}

func (g *Group) write() error {
	return errors.Join(g.mc.WriteInts(g.Model.Tokens, 0, g.tokens), g.mc.WriteInts(g.Model.Targets, 0, g.targets))
}

// settings writes the optimizer's numbers of one run at a step.
func (g *Group) settings(run int, r *Member, step int64) error {
	o, lr := r.Config.Optimizer, r.curve.LR(step)
	for i, m := range r.modules { // of a gain the weight decay is 0
		kernels.Adam{
			LR: lr * m.LR, WeightDecay: o.WeightDecay * m.WeightDecay, Beta1: o.Beta1, Beta2: o.Beta2, Eps: o.Eps * m.Eps, Step: int(step) + 1,
		}.Row(g.table[i*kernels.AdamFields:])
	}
	return g.mc.WriteFloats(g.Model.AdamTable, run, g.table)
}

// Validate measures the loss of the given runs on the held-out blocks: for each run the
// mean loss of every block, in nats per token. Finished and diverged runs can be
// measured too.
func (g *Group) Validate(runs []int) ([][]float64, error) {
	out := make([][]float64, len(runs))
	if len(runs) == 0 {
		return out, nil
	}
	wanted := map[int]bool{}
	for _, r := range runs {
		wanted[r] = true
	}
	for i := range g.Runs {
		g.mc.SetActive(i, wanted[i])
	}
	defer func() {
		for i, r := range g.Runs {
			g.mc.SetActive(i, r.Active)
		}
	}()
	t := g.first.Shape.Context
	for at := int64(0); at < g.blocks; at += int64(g.micro) {
		for k := range g.micro {
			// A last micro-batch that is not full repeats blocks; they are not counted.
			block := (at + int64(k)) % g.blocks
			if err := g.corpus.HeldOut(g.tokens[k*t:(k+1)*t], g.targets[k*t:(k+1)*t], block, g.blocks); err != nil {
				return nil, fmt.Errorf("validation: %w", err)
			}
		}
		if err := g.write(); err != nil {
			return nil, err
		}
		if err := g.mc.Execute(g.Model.Evaluate); err != nil {
			return nil, fmt.Errorf("validation: %w", err)
		}
		for i, r := range runs {
			if err := g.mc.ReadFloats(g.rowLoss, g.Model.TokenLoss, r); err != nil {
				return nil, err
			}
			for k := range min(int64(g.micro), g.blocks-at) {
				sum := 0.0
				for _, x := range g.rowLoss[int(k)*t : (int(k)+1)*t] {
					sum += float64(x)
				}
				out[i] = append(out[i], sum/float64(t))
			}
		}
	}
	return out, nil
}
