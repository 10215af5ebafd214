// Package config says what a training run is: its shape, data, optimizer, schedule and
// seed, as one value with one canonical text and one hash. Two runs with the same hash
// train the same weights.
//
// It checks and counts. It opens no data, draws no weights and trains nothing.
package config

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/etastar/etastar/trainer/health"
	"github.com/etastar/etastar/trainer/schedule"
)

// Version is the version of the format this program writes and the newest it reads.
const Version = 1

// Run is everything that decides what a run trains, and (in Keep) what it records.
type Run struct {
	Version    int               `json:"version"`
	Shape      Shape             `json:"shape"`
	Rule       string            `json:"rule"`              // parametrization: how initial weights and learning rates depend on the shape
	Scaling    *Scaling          `json:"scaling,omitempty"` // what the rule gives the modules; nil: the standard parametrization
	Seed       uint64            `json:"seed"`              // of the weights and the order of the data
	LR         float64           `json:"lr"`                // peak learning rate
	Tokens     int64             `json:"tokens"`
	Batch      Batch             `json:"batch"`
	Schedule   schedule.Schedule `json:"schedule"`
	Optimizer  Optimizer         `json:"optimizer"`
	Loss       Loss              `json:"loss"`
	Data       Data              `json:"data"`
	Validation Validation        `json:"validation"`
	Divergence health.Rule       `json:"divergence"`
	Hopeless   health.Hopeless   `json:"early_stop"`
	Keep       Keep              `json:"keep"`
	Origin     *schedule.Origin  `json:"origin,omitempty"` // the stable run this one branches from
}

// Batch is what one optimizer step trains on.
type Batch struct {
	Sequences  int `json:"sequences"`  // of the shape's context each
	Accumulate int `json:"accumulate"` // micro-batches that divide them; 1 for none
}

// Optimizer is AdamW (decoupled weight decay) with clipping by global gradient norm.
type Optimizer struct {
	Name        string  `json:"name"`
	Beta1       float64 `json:"beta1"`
	Beta2       float64 `json:"beta2"`
	Eps         float64 `json:"eps"`
	WeightDecay float64 `json:"weight_decay"`
	Clip        float64 `json:"clip"` // largest gradient norm; 0: no clipping
}

// Loss is what is added to the cross-entropy while training.
type Loss struct {
	Z       float64 `json:"z"`       // weight of the mean squared log-partition (z-loss); 0: none
	Balance float64 `json:"balance"` // weight of the experts' load-balance loss E·Σ f·P; 0 when dense
}

// Data says which tokens a run reads.
type Data struct {
	Source      string  `json:"source"`                // "default", "opticks", "synthetic", or a file or folder
	Format      string  `json:"format,omitempty"`      // "": found out; else text, jsonl, nanogpt, llmc, megatron
	Field       string  `json:"field,omitempty"`       // text field of .jsonl; "": text
	Tokenizer   string  `json:"tokenizer"`             // "bytes" or a tokenizer.json; ignored for files of tokens
	Validation  string  `json:"validation,omitempty"`  // a source of its own to validate on; "": part of Source
	HeldOut     float64 `json:"held_out"`              // share of Source's blocks kept for validation
	Split       string  `json:"split"`                 // "spread": every 1/held_out blocks one; "tail": the last ones
	Bytes       int64   `json:"bytes,omitzero"`        // size of a synthetic source
	Fingerprint string  `json:"fingerprint,omitempty"` // of the corpus, from data.Fingerprint; "" for any
}

// Splits lists the words Data.Split takes.
var Splits = []string{"spread", "tail"}

// Validation says how much is validated on. The held-out blocks used are the same for
// every run over the same data and context.
type Validation struct {
	Tokens int64 `json:"tokens"` // per validation
}

// Keep says what is recorded and how often, in steps; it has no influence on what is
// trained and none on the hash. 0 leaves it to the training loop.
type Keep struct {
	ValidateEvery   int64 `json:"validate_every,omitzero"`
	CheckpointEvery int64 `json:"checkpoint_every,omitzero"`
	LogEvery        int64 `json:"log_every,omitzero"`
	StatsEvery      int64 `json:"stats_every,omitzero"` // per-module statistics; -1: none
	// Checkpoints are steps that must be kept because branches start there.
	Checkpoints []int64 `json:"checkpoints,omitempty"`
}

// Default is a run over the default corpus with the usual settings of small proxies:
// AdamW(0.9, 0.95, 1e-8), weight decay 0.1, clip 1, WSD with 1 − √x over the last
// fifth. The horizon, and with it the warm-up, is set by For.
func Default(s Shape, lr float64) Run {
	r := Run{
		Version: Version, Shape: s, Rule: SP, LR: lr,
		Batch:      Batch{Sequences: 16, Accumulate: 1},
		Schedule:   schedule.Default(),
		Optimizer:  Optimizer{Name: "adamw", Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1, Clip: 1},
		Data:       Data{Source: "default", Tokenizer: "bytes", HeldOut: 0.1, Split: "spread"},
		Validation: Validation{Tokens: 1 << 15},
		Divergence: health.DefaultRule(),
	}
	if s.IsMoE() {
		r.Loss.Balance = 0.01
	}
	return r.For(20 * s.Params().Active)
}

// For returns the run with a horizon of tokens and a warm-up of a twentieth of it, at
// most 2,000 steps. A sweep over horizons that is to share one stable run must give
// all of them one warm-up: set Schedule.WarmupTokens.
func (r Run) For(tokens int64) Run {
	r.Tokens = tokens
	r.Schedule.WarmupTokens = min(tokens/20, 2000*r.BatchTokens())
	return r
}

// BatchTokens is the number of tokens of one optimizer step.
func (r Run) BatchTokens() int64 { return int64(r.Batch.Sequences) * int64(r.Shape.Context) }

// Steps is the number of optimizer steps: the horizon in whole batches, rounded up.
func (r Run) Steps() int64 { return schedule.Steps(r.Tokens, r.BatchTokens()) }

// TrainedTokens is the horizon as trained, whole batches.
func (r Run) TrainedTokens() int64 { return r.Steps() * r.BatchTokens() }

// Curve is the learning rate of every step.
func (r Run) Curve() (schedule.Curve, error) {
	return r.Schedule.Compile(r.LR, r.Steps(), r.BatchTokens())
}

// Invalid is a configuration that cannot be trained.
type Invalid struct{ Problems []string }

func (e *Invalid) Error() string { return strings.Join(e.Problems, "; ") }

// LR bounds: outside them a number is a slip, not a learning rate for Adam.
const minLR, maxLR = 1e-9, 10

// Validate says everything that is wrong with a run, as an *Invalid.
func (r Run) Validate() error {
	out := r.Shape.Problems()
	bad := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if r.Version != Version {
		bad("version %d: this program writes version %d", r.Version, Version)
	}
	switch {
	case r.Rule == "":
		bad("rule is empty: use sp for the standard parametrization")
	case r.Scaling != nil:
		out = append(out, r.Scaling.problems(r.Shape)...)
	case r.Rule != SP:
		bad("rule %s says nothing of the modules: give it a base to scale from", r.Rule)
	}
	if !(r.LR >= minLR && r.LR <= maxLR) {
		bad("learning rate %g: use a number from %g to %g", r.LR, float64(minLR), float64(maxLR))
	}
	switch b := r.Batch; {
	case b.Sequences < 1 || b.Sequences > 1<<20:
		bad("a batch of %d sequences: use 1 to %d", b.Sequences, 1<<20)
	case b.Accumulate < 1:
		bad("accumulate is %d: use 1 for no accumulation", b.Accumulate)
	case b.Sequences%b.Accumulate != 0:
		bad("a batch of %d sequences does not divide into %d micro-batches: use %s", b.Sequences, b.Accumulate, divisors(b.Sequences))
	}
	switch {
	case r.Tokens < 1 || r.Tokens > 1<<50:
		bad("a horizon of %d tokens: use 1 to %d", r.Tokens, int64(1)<<50)
	case len(out) == 0:
		if _, err := r.Curve(); err != nil {
			bad("%v", err)
		}
	default:
		out = append(out, r.Schedule.Problems(r.LR)...)
	}
	out = append(out, r.Optimizer.problems()...)
	for _, w := range []struct {
		name  string
		value float64
	}{{"z-loss", r.Loss.Z}, {"load-balance loss", r.Loss.Balance}} {
		if !(w.value >= 0 && w.value <= 1e3) {
			bad("%s weight %g: use 0 for none, or a small number", w.name, w.value)
		}
	}
	if r.Loss.Balance != 0 && !r.Shape.IsMoE() {
		bad("a load-balance loss needs experts: set it to 0 for a dense shape")
	}
	out = append(out, r.Data.problems()...)
	if r.Validation.Tokens < 1 {
		bad("validation on %d tokens: use at least one block of context %d", r.Validation.Tokens, r.Shape.Context)
	}
	out = append(out, r.Divergence.Problems()...)
	out = append(out, r.Hopeless.Problems()...)
	if k := r.Keep; k.ValidateEvery < 0 || k.CheckpointEvery < 0 || k.LogEvery < 0 || k.StatsEvery < -1 {
		bad("keep: a negative number of steps; use 0 to leave it to the program")
	}
	if len(out) == 0 {
		return nil
	}
	return &Invalid{Problems: out}
}

func (o Optimizer) problems() (out []string) {
	bad := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if o.Name != "adamw" {
		bad("optimizer %q: only adamw is there", o.Name)
	}
	if !(o.Beta1 >= 0 && o.Beta1 < 1) || !(o.Beta2 >= 0 && o.Beta2 < 1) {
		bad("betas %g and %g: use numbers from 0 to below 1, such as 0.9 and 0.95", o.Beta1, o.Beta2)
	}
	if !(o.Eps > 0 && o.Eps < 1) {
		bad("eps %g: use a small positive number, such as 1e-8", o.Eps)
	}
	if !(o.WeightDecay >= 0) || math.IsInf(o.WeightDecay, 0) {
		bad("weight decay %g: use 0 for none, or a positive number such as 0.1", o.WeightDecay)
	}
	if !(o.Clip >= 0) || math.IsInf(o.Clip, 0) {
		bad("clip %g: use 0 for none, or the largest gradient norm", o.Clip)
	}
	return out
}

func (d Data) problems() (out []string) {
	bad := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if d.Source == "" {
		bad("no data source: name a file or folder, or use default")
	}
	if d.Tokenizer == "" {
		bad("no tokenizer: use bytes, or name a tokenizer.json")
	}
	switch {
	case d.Split != Splits[0] && d.Split != Splits[1]:
		bad("split %q is none of %s", d.Split, strings.Join(Splits, ", "))
	case d.Validation == "" && !(d.HeldOut > 0 && d.HeldOut <= 0.5):
		bad("held_out %g: keep a share above 0 and up to 0.5 for validation, such as 0.1", d.HeldOut)
	}
	if d.Bytes < 0 || d.Bytes > 1<<30 {
		bad("a synthetic corpus of %d bytes: use up to %d", d.Bytes, 1<<30)
	}
	return out
}

// Name is the name of the run's folder: shape, learning rate and hash, such as
// d128L4-lr3e-3-5f0c9a1b22.
func (r Run) Name() string {
	return r.Shape.Name() + "-lr" + ShortLR(r.LR) + "-" + r.Hash()[:10]
}

// ShortLR writes a learning rate in three digits at most: 3e-3, 1.41e-3.
func ShortLR(lr float64) string {
	m, e, finite := strings.Cut(strconv.FormatFloat(lr, 'e', 2, 64), "e")
	if !finite {
		return m
	}
	if strings.Contains(m, ".") {
		m = strings.TrimRight(strings.TrimRight(m, "0"), ".")
	}
	sign := strings.TrimPrefix(e[:1], "+")
	digits := strings.TrimLeft(e[1:], "0")
	if digits == "" {
		return m
	}
	return m + "e" + sign + digits
}

// Absolute returns the run with the files of its data named from the root: a worker
// may run in another folder than who asked.
func (r Run) Absolute(dir string) Run {
	abs := func(p string, words ...string) string {
		for _, w := range words {
			if p == w {
				return p
			}
		}
		if p == "" || filepath.IsAbs(p) {
			return p
		}
		return filepath.Join(dir, p)
	}
	r.Data.Source = abs(r.Data.Source, "default", "opticks", "synthetic")
	r.Data.Validation = abs(r.Data.Validation)
	r.Data.Tokenizer = abs(r.Data.Tokenizer, "bytes")
	return r
}

// Branches turns a run into a stable trunk and one run for each horizon (tokens) that
// branches from it. Each branch has the hash of the same run made alone, since it
// trains the same weights.
func Branches(r Run, horizons []int64) (trunk Run, branches []Run, plan schedule.Plan, err error) {
	plan, err = schedule.NewPlan(r.Schedule, r.BatchTokens(), horizons)
	if err != nil {
		return Run{}, nil, schedule.Plan{}, err
	}
	trunk = r
	trunk.Origin = nil
	trunk.Schedule = r.Schedule.TrunkSchedule()
	trunk.Tokens = plan.Trunk.To * r.BatchTokens()
	trunk.Keep.Checkpoints = plan.Checkpoints
	for _, b := range plan.Branches {
		run := r
		run.Tokens = b.Tokens
		run.Keep.Checkpoints = nil
		run.Origin = &schedule.Origin{Run: trunk.Name(), Step: b.Segment.From}
		branches = append(branches, run)
	}
	return trunk, branches, plan, nil
}
