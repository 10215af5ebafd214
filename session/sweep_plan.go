package session

import (
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/etastar/etastar/session/language"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/data"
	"github.com/etastar/etastar/trainer/health"
	"github.com/etastar/etastar/trainer/schedule"
)

func (c *Call) runsRoot() string { return c.path(c.Text("dir")) }

// numbers are the values of a list of numbers or of a range.
func (c *Call) numbers(name string) []float64 {
	v, ok := c.args[name]
	if !ok {
		return nil
	}
	switch v.Kind {
	case language.Range:
		n := max(v.Count, 1)
		if v.Count == 0 {
			n = 5
		}
		out := make([]float64, n)
		for i := range out {
			x := math.Log(v.Lo)
			if n > 1 {
				x += (math.Log(v.Hi) - math.Log(v.Lo)) * float64(i) / float64(n-1)
			}
			// Four digits, so that the range reads the same wherever it is printed.
			out[i] = roundTo(math.Exp(x), 4)
		}
		return out
	case language.List:
		var out []float64
		for _, e := range v.List {
			out = append(out, e.Number)
		}
		return out
	}
	return []float64{v.Number}
}

// maxRuns is more than one machine trains in a life: a slip in a range.
const maxRuns = 2000

// sweepRuns lists the runs that the statement asks for.
func (c *Call) sweepRuns() ([]config.Run, error) {
	n := len(c.numbers("d_model")) * len(c.numbers("layers")) * len(c.numbers("lr")) * max(1, len(c.numbers("tokens"))) * int(c.Number("seeds"))
	if n > maxRuns {
		return nil, hinted{fmt.Errorf("this is %d runs, more than %d", n, maxRuns), "fewer learning rates, shapes or seeds"}
	}
	corpus, err := c.corpus()
	if err != nil {
		return nil, err
	}
	under, err := c.ruling()
	if err != nil {
		return nil, err
	}
	var out []config.Run
	for _, d := range c.numbers("d_model") {
		for _, l := range c.numbers("layers") {
			s, err := c.shape(int(d), int(l))
			if err != nil {
				return nil, err
			}
			for seed := range int(c.Number("seeds")) {
				for _, lr := range c.numbers("lr") {
					r := config.Default(s, lr)
					r.Seed, r.Data = uint64(seed), corpus
					runs, err := c.horizons(r, under)
					if err != nil {
						return nil, err
					}
					out = append(out, runs...)
				}
			}
		}
	}
	return out, nil
}

// prints remembers the fingerprints of corpora by what names them and its time.
var prints sync.Map // of string to string

// corpus is what the statement trains on, with its fingerprint: of another corpus under
// the same name the runs are others.
func (c *Call) corpus() (config.Data, error) {
	d := config.Default(config.Shape{}, 1).Data
	if c.Given("data") {
		d.Source = c.path(c.Text("data"))
	}
	if c.Given("validation_data") {
		d.Validation = c.path(c.Text("validation_data"))
	}
	if c.Given("tokenizer") {
		d.Tokenizer = c.path(c.Text("tokenizer"))
	}
	d.HeldOut = c.share("held_out")
	d = data.Resolve(d)
	key := fmt.Sprintf("%+v %s %s %s", d, filePrint(d.Source), filePrint(d.Validation), filePrint(d.Tokenizer))
	if print, ok := prints.Load(key); ok {
		d.Fingerprint = print.(string)
		return d, nil
	}
	print, err := data.Fingerprint(c.Ctx, d)
	if err != nil {
		return d, hinted{err, "runs that were trained on it are still there: watch \"" + c.Text("dir") + "\""}
	}
	prints.Store(key, print)
	d.Fingerprint = print
	return d, nil
}

func (c *Call) shape(d, layers int) (config.Shape, error) {
	s := config.Dense(d, layers, int(c.Number("vocab")), int(c.Number("context")))
	set := func(to *int, name string) {
		if v := int(c.Number(name)); v > 0 {
			*to = v
		}
	}
	heads := int(c.Number("heads"))
	if h := int(c.Number("head_dim")); heads == 0 && h > 0 {
		heads = max(1, d/h)
	}
	if heads > 0 {
		s.Heads, s.KVHeads = heads, heads
		if heads%2 == 0 {
			s.KVHeads = heads / 2
		}
	}
	set(&s.KVHeads, "kv_heads")
	set(&s.HeadDim, "head_dim")
	set(&s.DFF, "d_ff")
	if e := int(c.Number("experts")); e > 0 {
		s = s.MoE(e, int(c.Number("top_k")))
	}
	if p := s.Problems(); len(p) > 0 {
		return s, fmt.Errorf("%s: %s", s.Name(), strings.Join(p, "; "))
	}
	return s, nil
}

// horizons completes a run for every horizon, the stable run of a WSD sweep first.
func (c *Call) horizons(r config.Run, under ruling) ([]config.Run, error) {
	seqs := int(math.Round(c.Number("batch") / float64(r.Shape.Context)))
	if seqs < 1 {
		return nil, errParam{"batch", hinted{fmt.Errorf("a batch of %s tokens holds no sequence of %d", c.Text("batch"), r.Shape.Context), "a larger batch or a shorter context"}}
	}
	r.Batch = config.Batch{Sequences: seqs, Accumulate: int(c.Number("accumulate"))}
	r.Optimizer.WeightDecay, r.Optimizer.Clip = c.Number("weight_decay"), c.Number("clip")
	r.Optimizer.Beta1, r.Optimizer.Beta2, r.Optimizer.Eps = c.Number("beta1"), c.Number("beta2"), c.Number("eps")
	r.Loss.Z = c.Number("z_loss")
	if r.Shape.IsMoE() {
		r.Loss.Balance = c.Number("balance")
	}
	r.Validation.Tokens = int64(c.Number("validate"))
	r.Keep.StatsEvery = int64(c.Number("stats_every"))
	if c.Text("early_stop") == "on" {
		r.Hopeless = health.DefaultHopeless()
	}
	var tokens []int64
	for _, t := range c.numbers("tokens") {
		tokens = append(tokens, int64(t))
	}
	if len(tokens) == 0 {
		tokens = []int64{20 * r.Shape.Params().Active}
	}
	slices.Sort(tokens)
	tokens = slices.Compact(tokens)
	r = r.For(tokens[0]) // one warm-up for all horizons: they share a stable run
	if c.Given("warmup") {
		r.Schedule.WarmupTokens = int64(c.Number("warmup"))
	}
	r.Schedule.Kind, r.Schedule.Floor = c.Text("schedule"), c.share("floor")
	r.Schedule.Decay, r.Schedule.DecayPart = c.Text("decay"), c.share("decay_part")
	if r.Schedule.Kind != schedule.WSD {
		r.Schedule.Decay, r.Schedule.DecayPart = "", 0
	}
	if len(tokens) > 1 && r.Schedule.Kind == schedule.WSD && !under.horizonsDiffer() {
		r, err := under.apply(c, r)
		if err != nil {
			return nil, err
		}
		trunk, branches, _, err := config.Branches(r, tokens)
		if err != nil {
			return nil, err
		}
		return append([]config.Run{trunk}, branches...), valid(branches...)
	}
	var out []config.Run
	for _, t := range tokens {
		one := r
		one.Tokens = t
		one, err := under.apply(c, one)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, valid(out...)
}

func valid(runs ...config.Run) error {
	for _, r := range runs {
		if err := r.Validate(); err != nil {
			return fmt.Errorf("run %s: %w", r.Name(), err)
		}
	}
	return nil
}

// sweepName names the folder of a sweep by what it trains: a sweep that grows by a
// learning rate has another, and finds the runs of the first.
func sweepName(runs []config.Run) string {
	h := sha256.New()
	for _, r := range runs {
		fmt.Fprintln(h, r.Hash())
	}
	return fmt.Sprintf("sweep-%x", h.Sum(nil)[:5])
}
