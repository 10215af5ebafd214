package session

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/language"
	"github.com/etastar/etastar/session/table"
	"github.com/etastar/etastar/trainer"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/data"
	"github.com/etastar/etastar/trainer/health"
	"github.com/etastar/etastar/trainer/rundir"
	"github.com/etastar/etastar/trainer/schedule"
)

// Sweep is the value of sweep: a table with a row for every run, and the runs.
type Sweep struct {
	*table.Table
	Runs []SweepRun
	Dir  string // folder of the sweep's runs, where its worker works
	// Watched says that something else started the runs: they are looked at only.
	Watched bool
	Cost    Cost
	Data    string // what is trained on, in words
}

// SweepRun is one run of a sweep as its directory shows it.
type SweepRun struct {
	Config config.Run
	Dir    string // "" when it was never asked for
	Status rundir.Status
	Stale  bool // said to run, and not heard of for a while
	// Tokens and Losses are the training loss over time, thinned for drawing.
	Tokens, Losses []float64
}

// Cost is what a sweep trains in all.
type Cost struct {
	Runs   int
	Tokens float64
	FLOPs  float64
	// Seconds is how long it takes on this machine, from a timed step; 0: not known.
	Seconds float64
}

// Type is the word used in JSON and in messages.
func (Sweep) Type() string { return "sweep" }

// Finished counts the runs whose loss counts: finished or diverged.
func (s Sweep) Finished() int {
	n := 0
	for _, r := range s.Runs {
		if r.Status.State == rundir.Finished || r.Status.State == rundir.Diverged {
			n++
		}
	}
	return n
}

// Started counts the runs that were asked for.
func (s Sweep) Started() int {
	n := 0
	for _, r := range s.Runs {
		if r.Dir != "" {
			n++
		}
	}
	return n
}

func counts(name, doc, def string) Param {
	return Param{Name: name, Doc: doc, Number: &NumberSpec{Min: 1, Integer: true}, List: true, Default: def}
}

func sweepVerb() *Verb {
	whole := func(name, doc, def string) Param {
		return Param{Name: name, Doc: doc, Number: &NumberSpec{Min: 0, Integer: true}, Default: def}
	}
	return &Verb{
		Name:    "sweep",
		Summary: "train small proxy models at several learning rates on this machine",
		Doc: "Plans a run for every shape, horizon, seed and learning rate; nothing trains until it is started. A run that is there already is found, finished or not, " +
			"and never trained twice. Training goes on when the screen is closed. The result is a table like a loaded one: curves and law take it while it grows. " +
			"With schedule=wsd one stable run serves all horizons. The loss is that on held-out text.",
		Example: `proxies = sweep d_model=[32,64,128] lr=1e-3..1e-1 x5 tokens=205k`,
		Result:  "sweep",
		Params: []Param{
			{Name: "d_model", Doc: "widths", Number: &NumberSpec{Min: 4, Max: 65536, Integer: true}, List: true, Required: true},
			{Name: "lr", Doc: "peak learning rates: a list, or a range with a number of points (1e-3..1e-1 x5)", Number: &NumberSpec{Above: true}, List: true, Range: true, Required: true},
			{Name: "tokens", Doc: "horizons D; 20 for every parameter where not given", Unit: "tokens", Number: &NumberSpec{Above: true, Count: true, Log: true}, List: true},
			counts("layers", "depths", "2"),
			whole("heads", "query heads; from d_model where not given", "0"),
			whole("kv_heads", "key-value heads; half of heads where that divides", "0"),
			whole("head_dim", "width of a head", "0"),
			whole("d_ff", "inner width of SwiGLU; 3·d_model where not given", "0"),
			whole("experts", "experts a layer; 0: dense", "0"),
			whole("top_k", "experts a token goes through", "2"),
			whole("context", "tokens of a sequence", "128"),
			{Name: "batch", Doc: "tokens of an optimizer step, whole sequences", Unit: "tokens", Number: &NumberSpec{Above: true, Count: true}, Default: "2048"},
			{Name: "schedule", Doc: "shape of the learning rate over time", Words: schedule.Kinds, Default: schedule.WSD},
			{Name: "decay", Doc: "shape of the decay of wsd", Words: schedule.Decays, String: true, Default: `"` + schedule.DecaySqrt + `"`},
			{Name: "decay_part", Doc: "share of the horizon that decays (wsd)", Number: &NumberSpec{Above: true, Max: 100, Percent: true}, Default: "20%"},
			{Name: "warmup", Doc: "warm-up; a twentieth of the shortest horizon where not given", Unit: "tokens", Number: &NumberSpec{Min: 0, Count: true}},
			{Name: "floor", Doc: "last learning rate as a share of the peak", Number: &NumberSpec{Min: 0, Max: 100, Percent: true}, Default: "0"},
			{Name: "seeds", Doc: "how many seeds", Number: &NumberSpec{Min: 1, Max: 100, Integer: true}, Default: "1"},
			{Name: "weight_decay", Doc: "decoupled weight decay", Number: &NumberSpec{Min: 0, Max: 10}, Default: "0.1"},
			{Name: "clip", Doc: "largest gradient norm; 0: no clipping", Number: &NumberSpec{Min: 0}, Default: "1"},
			{Name: "z_loss", Doc: "weight of the z-loss", Number: &NumberSpec{Min: 0, Max: 1000}, Default: "0"},
			{Name: "data", Doc: "a text, .jsonl or token file, or a folder of them; else the text that the Go toolchain ships, or a synthetic language", File: true},
			{Name: "tokenizer", Doc: "a tokenizer.json; bytes where not given", File: true},
			{Name: "vocab", Doc: "size of the vocabulary; 256 for bytes", Number: &NumberSpec{Min: 2, Max: 1 << 22, Integer: true}, Default: "256"},
			{Name: "early_stop", Doc: "stop runs that lie far behind the best of their sweep; they count as stopped, never as finished", Words: []string{"off", "on"}, Default: "off", Knob: true},
			{Name: "dir", Doc: "folder of the runs", File: true, Default: `"runs"`},
		},
		fingerprint: sweepPrint,
		run:         runSweep,
	}
}

// sweepPrint changes when a run's status does.
func sweepPrint(c *Call) string {
	runs, err := c.sweepRuns()
	if err != nil {
		return err.Error()
	}
	h := sha256.New()
	for _, r := range runs {
		info, err := os.Stat(filepath.Join(c.runsRoot(), sweepName(runs), r.Name(), "status.json"))
		if err == nil {
			fmt.Fprintf(h, "%d %d ", info.Size(), info.ModTime().UnixNano())
		} else {
			fmt.Fprint(h, "- ")
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:12])
}

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
					r.Seed = uint64(seed)
					runs, err := c.horizons(r)
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

func (c *Call) shape(d, layers int) (config.Shape, error) {
	s := config.Dense(d, layers, int(c.Number("vocab")), int(c.Number("context")))
	set := func(to *int, name string) {
		if v := int(c.Number(name)); v > 0 {
			*to = v
		}
	}
	set(&s.Heads, "heads")
	if c.Given("heads") && !c.Given("kv_heads") {
		s.KVHeads = s.Heads
		if s.Heads%2 == 0 {
			s.KVHeads = s.Heads / 2
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
func (c *Call) horizons(r config.Run) ([]config.Run, error) {
	seqs := int(math.Round(c.Number("batch") / float64(r.Shape.Context)))
	if seqs < 1 {
		return nil, errParam{"batch", hinted{fmt.Errorf("a batch of %s tokens holds no sequence of %d", c.Text("batch"), r.Shape.Context), "a larger batch or a shorter context"}}
	}
	r.Batch = config.Batch{Sequences: seqs, Accumulate: 1}
	r.Optimizer.WeightDecay, r.Optimizer.Clip = c.Number("weight_decay"), c.Number("clip")
	r.Loss.Z = c.Number("z_loss")
	if c.Text("early_stop") == "on" {
		r.Hopeless = health.DefaultHopeless()
	}
	if c.Given("data") {
		r.Data.Source = c.path(c.Text("data"))
	}
	if c.Given("tokenizer") {
		r.Data.Tokenizer = c.path(c.Text("tokenizer"))
	}
	r.Data = data.Resolve(r.Data)
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
	if len(tokens) > 1 && r.Schedule.Kind == schedule.WSD {
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

func runSweep(c *Call) (Value, error) {
	runs, err := c.sweepRuns()
	if err != nil {
		return nil, err
	}
	root := c.runsRoot()
	s := Sweep{Dir: filepath.Join(root, sweepName(runs)), Data: runs[0].Data.Source}
	for _, r := range runs {
		run := SweepRun{Config: r}
		found := rundir.Read(filepath.Join(s.Dir, r.Name()))
		if found.Problem != "" || !found.Started {
			if elsewhere, ok := rundir.Find(root, r); ok {
				found = elsewhere
			}
		}
		if found.Started && found.Problem == "" {
			run.Dir, run.Status, run.Stale = found.Dir, found.Status, found.Stale
			run.readCurve()
		}
		s.Runs = append(s.Runs, run)
		s.Cost.Runs++
		tokens := newTokens(r)
		s.Cost.Tokens += tokens
		s.Cost.FLOPs += tokens * r.Shape.FLOPs().Compute
	}
	return s.settle(c)
}

// settle completes a sweep whose runs are known.
func (s Sweep) settle(c *Call) (Value, error) {
	s.Table = sweepTable(s.Runs)
	if s.Started() == 0 {
		s.estimate()
	}
	c.Note(s.notes()...)
	return s, nil
}

// estimate times a step of every shape. What cannot be timed leaves the time unknown;
// training says why.
func (s *Sweep) estimate() {
	total := 0.0
	for _, g := range s.Groups() {
		r := s.Runs[g.Runs[0]].Config
		speed, err := trainer.Measure(r)
		if err != nil {
			return
		}
		total += speed.Seconds(len(g.Runs), newTokens(r))
	}
	s.Cost.Seconds = total
}

// newTokens is what a run trains itself: a branch goes on from its stable run.
func newTokens(r config.Run) float64 {
	tokens := float64(r.TrainedTokens())
	if r.Origin != nil {
		tokens -= float64(r.Origin.Step * r.BatchTokens())
	}
	return tokens
}

// roughly writes a time no finer than an estimate is.
func roughly(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%.0f minutes", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.1f hours", d.Hours())
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}

// notes says what is planned, what runs and what is over.
func (s Sweep) notes() []string {
	tally := map[rundir.State]int{}
	for _, r := range s.Runs {
		tally[r.Status.State]++
	}
	cost := fmt.Sprintf("%s, %s tokens, %.2g FLOPs in all, on %s", countOf(s.Cost.Runs, "run"), fitting.FormatCount(s.Cost.Tokens), s.Cost.FLOPs, s.Data)
	if s.Cost.Seconds > 0 {
		cost += fmt.Sprintf("; about %s on this machine", roughly(s.Cost.Seconds))
	}
	if s.Started() == 0 {
		return []string{cost, "nothing trains yet: start it"}
	}
	var parts []string
	states := make([]rundir.State, 0, len(tally))
	for st := range tally {
		states = append(states, st)
	}
	slices.SortFunc(states, func(a, b rundir.State) int { return cmp.Compare(a, b) })
	for _, st := range states {
		word := string(st)
		if st == "" {
			word = "not asked for"
		}
		parts = append(parts, fmt.Sprintf("%d %s", tally[st], word))
	}
	notes := []string{cost, strings.Join(parts, ", ")}
	if n := s.Finished(); n < len(s.Runs) {
		notes = append(notes, fmt.Sprintf("provisional: %d of %d runs are over; the others have no loss yet", n, len(s.Runs)))
	}
	return notes
}

func micro(x float64) float64 { return math.Round(x*1e6) / 1e6 }

// sweepTable is the sweep as curves and law take it: one row a run with a horizon. A
// stable run that others branch from has no loss of its own at a horizon and is left out.
func sweepTable(runs []SweepRun) *table.Table {
	names := []string{"N", "D", "batch_tokens", "lr", "val_loss", "val_se", "FLOPs", "N_total", "d_model", "layers", "experts", "seed", "step"}
	columns := make([]*table.Column, len(names))
	for i, n := range names {
		columns[i] = &table.Column{Name: n, Kind: table.Number}
	}
	state := &table.Column{Name: "state", Kind: table.Text, Words: []string{""}}
	trunks := map[string]bool{}
	for _, r := range runs {
		if o := r.Config.Origin; o != nil {
			trunks[o.Run] = true
		}
	}
	n := 0
	for _, r := range runs {
		if trunks[r.Config.Name()] {
			continue
		}
		n++
		s, p := r.Config.Shape, r.Config.Shape.Params()
		loss, se := table.Missing, table.Missing
		switch r.Status.State {
		case rundir.Finished:
			// Far below the noise; the status holds every digit.
			loss, se = micro(float64(r.Status.Val)), micro(float64(r.Status.ValSE))
		case rundir.Diverged:
			loss = math.Inf(1)
		}
		for i, v := range []float64{
			float64(p.WithoutVocabulary), float64(r.Config.TrainedTokens()), float64(r.Config.BatchTokens()), r.Config.LR, loss, se,
			float64(r.Config.TrainedTokens()) * s.FLOPs().M, float64(p.Total), float64(s.DModel), float64(s.Layers), float64(s.Experts),
			float64(r.Config.Seed), float64(r.Status.Step),
		} {
			columns[i].Numbers = append(columns[i].Numbers, v)
		}
		word := string(r.Status.State)
		k := slices.Index(state.Words, word)
		if k < 0 {
			state.Words = append(state.Words, word)
			k = len(state.Words) - 1
		}
		state.Codes = append(state.Codes, uint32(k))
	}
	t := &table.Table{Columns: append(columns, state), Rows: n, Source: "sweep"}
	t.Roles = table.Roles{}
	for role, name := range map[table.Role]string{
		table.RoleN: "N", table.RoleD: "D", table.RoleBatch: "batch_tokens", table.RoleLR: "lr", table.RoleLoss: "val_loss", table.RoleFLOPs: "FLOPs",
	} {
		t.Roles[role] = table.RoleSource{Column: name, Given: true}
	}
	return t
}
