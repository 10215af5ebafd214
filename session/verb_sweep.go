package session

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/session/table"
	"github.com/etastar/etastar/trainer"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/data"
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
	Device  string // where it is asked to train: trainer.Auto, GPU, CPU
	Cost    Cost
	// Facts are of the corpus; of runs that are watched, its name alone.
	Facts data.Facts
	// commands are what another program is asked for, by run; nil: ours.
	commands []*rundir.Command
	// Study is what a verb that trains reads off its runs; nil: nothing yet.
	Study Study
}

// Study is what runs say together: tables, and pictures of lines.
type Study interface {
	Sheets() []Sheet
	Plots() []Plot
	Fields() []NamedNumber // for expect
	Summary() string
}

// Plot is a picture of lines over a logarithmic x axis.
type Plot struct {
	Name, XName string
	Short       string // the name where there is little room; "": Name
	Log         bool   // a logarithmic y axis
	Lines       []PlotLine
}

// PlotLine is one of its lines, X ascending.
type PlotLine struct {
	Name string
	X, Y []float64
	Note string
}

// SweepRun is one run of a sweep as its directory shows it.
type SweepRun struct {
	Config config.Run
	// Foreign is of a run that another program trains; Config is empty then.
	Foreign *Foreign
	Dir     string // "" when it was never asked for
	Status  rundir.Status
	Stale   bool // said to run, and not heard of for a while
	// Tokens and Losses are the training loss over time, thinned for drawing.
	Tokens, Losses []float64
	Stats          *StatLog // nil: none
	// Part and Line tell runs of one shape and η apart, where a verb varies something else.
	Part, Line string
	Spikes     int // steps whose loss stood far above those just before
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

// Started counts the runs that were asked for, by whomever.
func (s Sweep) Started() int {
	n := 0
	for _, r := range s.Runs {
		if r.Dir != "" || r.Status.State != "" {
			n++
		}
	}
	return n
}

func counts(name, doc, def string) Param {
	return Param{Name: name, Doc: doc, Number: &NumberSpec{Min: 1, Integer: true}, List: true, Default: def}
}

func sweepVerb() *Verb {
	return &Verb{
		Name:    "sweep",
		Summary: "train small proxy models at several learning rates on this machine",
		Doc: "Plans a run for every shape, horizon, seed and learning rate; nothing trains until it is started. A run that is there already is found, finished or not, " +
			"and never trained twice. Training goes on when the screen is closed. The result is a table like a loaded one: curves and law take it while it grows. " +
			"With schedule=wsd one stable run serves all horizons. The loss is that on held-out text. " +
			"rule= trains every shape under a parametrization rule that scales from base=; lr is then η at the base. " +
			"With command= another program trains: one for each combination of the values its placeholders name, in the environment and folder given, its log read while it grows.",
		Example: `proxies = sweep d_model=[32,64,128] lr=1e-3..1e-1 x5 tokens=205k`,
		Result:  "sweep",
		Params: append([]Param{
			{Name: "d_model", Doc: "widths", Number: &NumberSpec{Min: 4, Max: 65536, Integer: true}, List: true},
			{Name: "lr", Doc: "peak learning rates: a list, or a range with a number of points (1e-3..1e-1 x5)", Number: &NumberSpec{Above: true}, List: true, Range: true, Required: true},
			{Name: "tokens", Doc: "horizons D; 20 for every parameter where not given", Unit: "tokens", Number: &NumberSpec{Above: true, Count: true, Log: true}, List: true},
			counts("layers", "depths", "2"),
			whole("heads", "query heads; as many as fill d_model where not given", "0"),
			whole("kv_heads", "key-value heads; half of heads where that divides", "0"),
			whole("head_dim", "width of a head", "0"),
			whole("d_ff", "inner width of SwiGLU; 3·d_model where not given", "0"),
			whole("experts", "experts a layer; 0: dense", "0"),
			whole("top_k", "experts a token goes through", "2"),
			whole("context", "tokens of a sequence", "128"),
			{Name: "batch", Doc: "tokens of an optimizer step, whole sequences", Unit: "tokens", Number: &NumberSpec{Above: true, Count: true}, Default: "2048"},
			{Name: "accumulate", Doc: "micro-batches that an optimizer step is cut into", Number: &NumberSpec{Min: 1, Integer: true}, Default: "1"},
			{Name: "schedule", Doc: "shape of the learning rate over time", Words: schedule.Kinds, Default: schedule.WSD},
			{Name: "decay", Doc: "shape of the decay of wsd", Words: schedule.Decays, String: true, Default: `"` + schedule.DecaySqrt + `"`},
			{Name: "decay_part", Doc: "share of the horizon that decays (wsd)", Number: &NumberSpec{Above: true, Max: 100, Percent: true}, Default: "20%"},
			{Name: "warmup", Doc: "warm-up; a twentieth of the shortest horizon where not given", Unit: "tokens", Number: &NumberSpec{Min: 0, Count: true}},
			{Name: "floor", Doc: "last learning rate as a share of the peak", Number: &NumberSpec{Min: 0, Max: 100, Percent: true}, Default: "0"},
			{Name: "seeds", Doc: "how many seeds", Number: &NumberSpec{Min: 1, Max: 100, Integer: true}, Default: "1"},
			{Name: "beta1", Doc: "AdamW's β₁", Number: &NumberSpec{Min: 0, Max: 0.9999999}, Default: "0.9"},
			{Name: "beta2", Doc: "AdamW's β₂", Number: &NumberSpec{Min: 0, Max: 0.9999999}, Default: "0.95"},
			{Name: "eps", Doc: "AdamW's ε", Number: &NumberSpec{Above: true, Max: 0.1, Log: true}, Default: "1e-8"},
			{Name: "weight_decay", Doc: "decoupled weight decay", Number: &NumberSpec{Min: 0, Max: 10}, Default: "0.1"},
			{Name: "clip", Doc: "largest gradient norm; 0: no clipping", Number: &NumberSpec{Min: 0}, Default: "1"},
			{Name: "z_loss", Doc: "weight of the z-loss", Number: &NumberSpec{Min: 0, Max: 1000}, Default: "0"},
			{Name: "balance", Doc: "weight of the load-balance loss of a mixture of experts", Number: &NumberSpec{Min: 0, Max: 1000}, Default: "0.01"},
			{Name: "data", Doc: "a text, .jsonl or token file, or a folder of them; else the text that the Go toolchain ships, or a synthetic language", File: true},
			{Name: "tokenizer", Doc: "a tokenizer.json; bytes where not given", File: true},
			{Name: "vocab", Doc: "size of the vocabulary; 256 for bytes", Number: &NumberSpec{Min: 2, Max: 1 << 22, Integer: true}, Default: "256"},
			{Name: "held_out", Doc: "share of the corpus that is kept for validation", Number: &NumberSpec{Above: true, Max: 50, Percent: true}, Default: "10%"},
			{Name: "validation_data", Doc: "a corpus of its own to validate on", File: true},
			{Name: "validate", Doc: "tokens of a validation, the same for every run", Unit: "tokens", Number: &NumberSpec{Min: 1, Count: true}, Default: "32768"},
			{Name: "stats_every", Doc: "optimizer steps between statistics of activations, gradients and updates; -1: none, 0: forty times a run at most", Number: &NumberSpec{Min: -1, Integer: true}, Default: "0"},
			{Name: "early_stop", Doc: "stop runs that lie far behind the best of their sweep; they count as stopped, never as finished", Words: []string{"off", "on"}, Default: "off", Knob: true},
			{Name: "device", Doc: "cpu, gpu, or auto: a GPU where one is usable, else the processor", Words: trainer.Devices, Default: trainer.Auto},
			{Name: "dir", Doc: "folder of the runs", File: true, Default: `"runs"`},
			{Name: "command", Doc: "your own trainer: a command line with placeholders {lr}, {tokens}, {d_model}, {layers}, {batch}, {steps} (tokens over batch), {seed}, …, {run} (its folder), {gpu}, {port}", String: true},
			{Name: "resume", Doc: "what is appended to the command where a run goes on from its own checkpoint", String: true},
			{Name: "folder", Doc: "working directory of the command; the notebook's where not given", File: true},
			{Name: "env", Doc: "environment of the command, NAME=value separated by blanks", String: true},
			{Name: "log", Doc: "the file or folder that the command logs to, with placeholders; what it prints where not given", String: true},
			{Name: "slots", Doc: "commands that run at once; one a GPU, or one, where not given", Number: &NumberSpec{Min: 1, Max: 1024, Integer: true}},
			{Name: "retries", Doc: "how often a command that failed is started again", Number: &NumberSpec{Min: 0, Max: 100, Integer: true}, Default: "0"},
			{Name: "silence", Doc: "minutes without a word after which a command is stopped; 0: never", Unit: "minutes", Number: &NumberSpec{Min: 0, Max: 10080}, Default: "0"},
		}, ruleParams()...),
		fingerprint: sweepPrint,
		run:         runSweep,
	}
}

// sweepPrint changes when a run's status does.
func sweepPrint(c *Call) string {
	if c.Given("command") {
		return c.commandPrint()
	}
	if c.refers("rule") || c.refers("base") {
		return c.statusPrint() // which runs it is of is not known without their values
	}
	return runsPrint(c, (*Call).sweepRuns)
}

// runsPrint changes when the runs that are planned do, or a status of theirs.
func runsPrint(c *Call, plan func(*Call) ([]config.Run, error)) string {
	runs, err := plan(c)
	if err != nil {
		return err.Error()
	}
	h := sha256.New()
	fmt.Fprint(h, c.rulePrint("rule"))
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

func runSweep(c *Call) (Value, error) {
	if c.Given("command") {
		return c.commandSweep()
	}
	if !c.Given("d_model") {
		return nil, errParam{"d_model", hinted{errors.New("d_model= is missing"), "the widths to train, as in d_model=[32,64,128], or command= for a trainer of your own"}}
	}
	for _, name := range []string{"resume", "folder", "env", "log", "slots", "retries", "silence"} {
		if c.Given(name) && (name != "retries" && name != "silence") {
			return nil, errParam{name, fmt.Errorf("%s= is for command=", name)}
		}
	}
	runs, err := c.sweepRuns()
	if err != nil {
		return nil, err
	}
	s, err := c.asSweep(runs)
	if err != nil {
		return nil, err
	}
	return s.settle(c)
}

// asSweep looks for the runs on disk.
func (c *Call) asSweep(runs []config.Run) (s Sweep, err error) {
	if r := runs[0]; r.Scaling != nil && r.Scaling.Base != nil {
		c.Note(fmt.Sprintf("under %s from %s: lr is η there, and every module has its own", r.Rule, r.Scaling.Base.Shape.Name()))
	}
	root := c.runsRoot()
	s = Sweep{Dir: filepath.Join(root, sweepName(runs)), Device: c.Text("device")}
	for _, r := range runs {
		run := SweepRun{Config: r}
		found := rundir.Read(filepath.Join(s.Dir, r.Name()))
		if found.Problem != "" || !found.Started {
			if elsewhere, ok := rundir.Find(root, r); ok {
				found = elsewhere
			}
		}
		switch {
		case found.Newer > 0:
			c.Note(newer(found))
		case found.Started && found.Problem == "":
			run.Dir, run.Status, run.Stale = found.Dir, found.Status, found.Stale
			run.readCurve()
		}
		s.Runs = append(s.Runs, run)
		s.Cost.Runs++
		tokens := newTokens(r)
		s.Cost.Tokens += tokens
		s.Cost.FLOPs += tokens * r.Shape.FLOPs().Compute
	}
	// Tokenizing a text takes a while: it is not worth it once the runs are there.
	if s.Started() == 0 || runs[0].Data.Tokenizer == "bytes" {
		s.Facts, err = c.survey(runs[0])
	} else {
		s.Facts.Description = filepath.Base(runs[0].Data.Source)
	}
	return s, err
}

func newer(s rundir.Summary) string {
	return fmt.Sprintf("%s was written by a newer version (%d): update etastar to read it", s.Name, s.Newer)
}

// Failed says why runs failed, "" when none did.
func (s Sweep) Failed() string {
	for _, r := range s.Runs {
		if r.Status.State == rundir.Failed {
			return strings.Join(s.reasons(), "; ")
		}
	}
	return ""
}

// foreign reports whether another program trains the runs.
func (s Sweep) foreign() bool { return len(s.Runs) > 0 && s.Runs[0].Foreign != nil }

// settle completes a sweep whose runs are known.
func (s Sweep) settle(c *Call) (Value, error) {
	if s.foreign() {
		c.Note(s.foreignNotes()...)
		return s, nil
	}
	s.Table = sweepTable(s.Runs)
	if s.Started() == 0 && !c.start {
		s.estimate(c)
	}
	c.Note(s.notes()...)
	return s, nil
}

// notes says what is planned, what runs and what is over.
func (s Sweep) notes() []string {
	tally := map[rundir.State]int{}
	for _, r := range s.Runs {
		tally[r.Status.State]++
	}
	cost := fmt.Sprintf("%s, %s tokens, %.2g FLOPs in all", countOf(s.Cost.Runs, "run"), fitting.FormatCount(s.Cost.Tokens), s.Cost.FLOPs)
	if s.Cost.Seconds > 0 {
		cost += fmt.Sprintf(", about %s on this machine", roughly(s.Cost.Seconds))
	}
	corpus := s.corpusNotes()
	if s.Started() == 0 {
		if memory := s.Cost.memory(); memory != "" {
			corpus = append(corpus, memory)
		}
		return append([]string{cost, "nothing trains yet: start it"}, corpus...)
	}
	notes := []string{cost, tallyStates(tally)}
	notes = append(notes, s.reasons()...)
	if n := s.Finished(); n < len(s.Runs) {
		notes = append(notes, fmt.Sprintf("provisional: %d of %d runs are over; the others have no loss yet", n, len(s.Runs)))
	}
	return append(notes, corpus...)
}

// tallyStates says how many runs are in which state.
func tallyStates(tally map[rundir.State]int) string {
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
	return strings.Join(parts, ", ")
}

// reasons says why runs failed or were stopped, each reason once.
func (s Sweep) reasons() []string {
	var out []string
	count := map[string]int{}
	for _, r := range s.Runs {
		if st := r.Status; (st.State == rundir.Failed || st.State == rundir.Stopped || st.State == rundir.Interrupted) && st.Reason != "" {
			text := string(st.State) + ": " + st.Reason
			if count[text]++; count[text] == 1 {
				out = append(out, text)
			}
		}
	}
	for i, text := range out {
		out[i] = countOf(count[text], "run") + " " + text
	}
	return out
}

// corpusNotes says how often the corpus is read, how sure the losses are, and what losses
// are plausible.
func (s Sweep) corpusNotes() []string {
	out := []string{"on " + s.Facts.Description}
	longest := int64(0)
	for _, r := range s.Runs {
		longest = max(longest, r.Config.TrainedTokens())
	}
	if s.Facts.TrainTokens > 0 {
		if note := s.Facts.EpochNote(longest); note != "" {
			out[0] += ": " + note
		}
	}
	out = append(out, s.Facts.Notes...)
	best := -1
	for i, r := range s.Runs {
		if r.Status.State == rundir.Finished && (best < 0 || r.Status.Val < s.Runs[best].Status.Val) {
			best = i
		}
	}
	if best >= 0 {
		st := s.Runs[best].Status
		note := fmt.Sprintf("losses are means over the same held-out tokens; the best, %s, is %s ± %s", s.Runs[best].Config.Shape.Name(), number.Loss(float64(st.Val)), number.Loss(float64(st.ValSE)))
		if bits := s.Facts.BitsPerByte(float64(st.Val)); !math.IsNaN(bits) {
			note += fmt.Sprintf(", %.2f bits a byte", bits)
		}
		out = append(out, note)
	}
	if sanity := s.Facts.Sanity(); sanity != "" {
		out = append(out, sanity)
	}
	return out
}
