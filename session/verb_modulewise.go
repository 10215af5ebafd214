package session

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/mup"
	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/trainer/config"
)

type moduleGroup struct {
	name    string
	modules []mup.Module
}

// moduleGroups are the words for modules that are tuned together.
var moduleGroups = []moduleGroup{
	{"embedding", []mup.Module{mup.Embedding}},
	{"attention", []mup.Module{mup.AttentionQ, mup.AttentionK, mup.AttentionV, mup.AttentionO}},
	{"mlp", []mup.Module{mup.MLPGateUp, mup.MLPDown}},
	{"router", []mup.Module{mup.Router}},
	{"experts", []mup.Module{mup.ExpertGateUp, mup.ExpertDown}},
	{"norms", []mup.Module{mup.QKNorm, mup.Norm, mup.FinalNorm}},
	{"head", []mup.Module{mup.Head}},
}

// globally is the group of all modules: another η for the whole model.
const globally = "all"

// groupModules are the modules of a group that a shape has with a learning rate of their own.
func groupModules(s config.Shape, name string) []mup.Module {
	var out []mup.Module
	have := config.Standard(s)
	single := []mup.Module{mup.Module(name)}
	for _, g := range slices.Concat(moduleGroups, []moduleGroup{{name, single}}) {
		for _, m := range g.modules {
			if g.name == name && !slices.Contains(out, m) && slices.ContainsFunc(have, func(x config.Module) bool { return x.Module == m && x.LR > 0 }) {
				out = append(out, m)
			}
		}
	}
	return out
}

// trial is one run of a module-wise search.
type trial struct {
	stage  int // groups tuned before it, in a descent
	group  string
	factor float64 // on η of the group; 1 and "all": the global η
	seed   uint64
	run    config.Run
}

func modulewiseVerb() *Verb {
	v := sweepVerb()
	keep := v.Params[:0]
	for _, p := range v.Params {
		switch p.Name {
		case "d_model", "layers", "tokens":
			p.List = false
		case "lr":
			p.Doc, p.Range, p.List = "the global learning rate", false, false
		case "seeds":
			p.Default, p.Doc = "3", "seeds that every learning rate is repeated with: they give the noise"
			p.Number = &NumberSpec{Min: 2, Max: 100, Integer: true}
		case "early_stop":
			continue
		}
		keep = append(keep, p)
	}
	var words []string
	for _, g := range moduleGroups {
		words = append(words, g.name)
	}
	for _, m := range mup.Modules() {
		if m.Has(mup.LR) && !slices.Contains(words, string(m)) {
			words = append(words, string(m))
		}
	}
	v.Params = append(
		keep,
		Param{Name: "groups", Doc: "groups of modules, or single ones; the groups of the shape where not given", Words: words, Set: true},
		Param{Name: "factors", Doc: "factors on the global η; 1 is always there", Number: &NumberSpec{Above: true, Max: 1000}, List: true, Default: "[0.5,2]"},
		Param{Name: "search", Doc: "one: a group at a time, the others at the global η; descent: group after group, each keeps its best", Words: []string{"one", "descent"}, Default: "one", Knob: true},
		Param{Name: "level", Doc: "chance that nothing is called a gain or a loss where there is none, all rows together", Number: &NumberSpec{Min: 50, Max: 99.9, Percent: true}, Default: "95%"},
	)
	v.Name, v.Example = "modulewise", `parts = modulewise d_model=64 lr=1e-2 tokens=205k groups=embedding,attention,mlp,head`
	v.Summary = "one group of modules' η at a time against one global η, with the noise"
	v.Doc = "Every group's learning rate is multiplied by the factors while the others keep the global one; every setting is repeated over the seeds, and ΔL is the mean difference, seed by seed, to the " +
		"best global η, which the row all searches too. What counts as a gain is beyond the noise of all rows together (Student's t with Bonferroni's correction). " +
		"search=descent tunes group after group and keeps what was best; each group is a stage of its own, started once the one before is over. Nothing trains until it is started."
	v.fingerprint = func(c *Call) string {
		if c.refers("rule") || c.refers("base") || c.Text("search") == "descent" {
			return c.statusPrint()
		}
		return runsPrint(c, func(c *Call) ([]config.Run, error) {
			trials, _, err := c.trials(nil)
			return runsOf(trials), err
		})
	}
	v.run = func(c *Call) (Value, error) {
		var trials []trial
		var more string
		s, err := c.staged(func(l losses) ([]config.Run, error) {
			var err error
			trials, more, err = c.trials(l)
			return runsOf(trials), err
		})
		if err != nil {
			return nil, err
		}
		level := c.share("level")
		if level >= 1 {
			level /= 100
		}
		study := newModulewise(trials, &s, level)
		if study != nil {
			s.Study = study
			c.Note(study.Summary())
		}
		if more != "" {
			c.Note(more)
		}
		return s.settle(c)
	}
	return v
}

// runsOf are the runs of trials, each once.
func runsOf(trials []trial) (out []config.Run) {
	seen := map[string]bool{}
	for _, t := range trials {
		if h := t.run.Hash(); !seen[h] {
			seen[h] = true
			out = append(out, t.run)
		}
	}
	return out
}

// trials plans the runs: all of them, or those of a descent, the only search that looks at
// losses, as far as its stages are over; more says what is to come.
func (c *Call) trials(l losses) (trials []trial, more string, err error) {
	bases, err := c.with(map[string]string{"early_stop": "off"}).sweepRuns() // one a seed
	if err != nil {
		return nil, "", err
	}
	shape := bases[0].Shape
	groups := c.Texts("groups")
	if len(groups) == 0 {
		for _, g := range moduleGroups {
			if len(groupModules(shape, g.name)) > 0 {
				groups = append(groups, g.name)
			}
		}
	}
	for _, g := range groups {
		if len(groupModules(shape, g)) == 0 {
			return nil, "", errParam{"groups", hinted{fmt.Errorf("%s has no %s with a learning rate of its own", shape.Name(), g), "leave it out"}}
		}
	}
	factors := slices.DeleteFunc(c.numbers("factors"), func(f float64) bool { return f == 1 })
	slices.Sort(factors)
	factors = slices.Compact(factors)
	if len(factors) == 0 {
		return nil, "", errParam{"factors", hinted{fmt.Errorf("there is nothing to try"), "give factors other than 1: factors=[0.5,2]"}}
	}
	if n := (len(groups) + 1) * (len(factors) + 1) * len(bases); n > maxRuns {
		return nil, "", hinted{fmt.Errorf("this is %d runs, more than %d", n, maxRuns), "fewer groups, factors or seeds"}
	}
	add := func(stage int, group string, factor float64, with map[mup.Module]float64) error {
		for _, b := range bases {
			r := b
			if group == globally {
				r.LR *= factor
			}
			var err error
			if len(with) > 0 {
				if r, err = r.WithLR(with); err != nil {
					return err
				}
			}
			trials = append(trials, trial{stage, group, factor, b.Seed, r})
		}
		return valid(trials[len(trials)-1].run)
	}
	for _, f := range append([]float64{1}, factors...) {
		if err := add(0, globally, f, nil); err != nil {
			return nil, "", err
		}
	}
	tuned := map[mup.Module]float64{}
	for i, g := range groups {
		descent := c.Text("search") == "descent"
		best, lowest := 1.0, math.Inf(1)
		for _, f := range append([]float64{1}, factors...) {
			with := maps.Clone(tuned)
			if f == 1 && !descent {
				continue
			}
			for _, m := range groupModules(shape, g) {
				if f != 1 {
					with[m] = f
				}
			}
			from := len(trials)
			if err := add(i, g, f, with); err != nil {
				return nil, "", err
			}
			if descent {
				loss, over := meanLoss(trials[from:], l)
				if !over {
					lowest = math.NaN()
				}
				if loss < lowest {
					best, lowest = f, loss
				}
			}
		}
		if !descent {
			continue
		}
		if math.IsNaN(lowest) {
			return trials, fmt.Sprintf("stage %d of %d, %s: the next one is planned once its runs are over", i+1, len(groups), g), nil
		}
		if best != 1 {
			for _, m := range groupModules(shape, g) {
				tuned[m] = best
			}
		}
	}
	return trials, "", nil
}

// meanLoss is the mean over the seeds; over says that all have ended. A run that diverged
// counts as infinite.
func meanLoss(trials []trial, l losses) (mean float64, over bool) {
	over = true
	for _, t := range trials {
		loss, ended := l(t.run)
		over = over && ended
		mean += loss / float64(len(trials))
	}
	return mean, over
}

// Modulewise is the study of modulewise.
type Modulewise struct {
	Rows  []ModuleRow
	Noise float64 // standard deviation of a difference between two runs of one seed
	DOF   int     // that it was estimated with
	Seeds int
	Best  float64 // factor of the best global η
	Bound float64 // |ΔL| up to which a row is within the noise
	Level float64
}

// ModuleRow is one setting: a group's η times a factor.
type ModuleRow struct {
	Group    string
	Factor   float64
	Stage    int
	Loss     float64 // mean over the seeds that are over
	Delta    float64 // mean difference to the best global η, seed by seed
	Over     int
	Diverged int
	Verdict  string
	diffs    []float64
}

// newModulewise reads the study off the runs; nil until the global η is known.
func newModulewise(trials []trial, s *Sweep, level float64) *Modulewise {
	losses := map[string]float64{}
	index := map[string]int{}
	for i := range s.Runs {
		h := s.Runs[i].Config.Hash()
		index[h] = i
		if l, ok := lossOf(s.Runs[i].Status); ok {
			losses[h] = l
		}
	}
	type key struct {
		stage  int
		group  string
		factor float64
	}
	var order []key
	by := map[key]map[uint64]float64{} // loss by seed
	count := map[key]int{}
	for _, t := range trials {
		h, k := t.run.Hash(), key{t.stage, t.group, t.factor}
		if count[k]++; count[k] == 1 {
			order, by[k] = append(order, k), map[uint64]float64{}
		}
		if r := &s.Runs[index[h]]; r.Part == "" {
			r.Part, r.Line = t.group, number.Factor(t.factor)
		}
		if l, ok := losses[h]; ok {
			by[k][t.seed] = l
		}
	}
	m := &Modulewise{Best: math.NaN(), Level: level, Seeds: count[order[0]]}
	var best map[uint64]float64
	lowest := math.Inf(1)
	for _, k := range order {
		if k.group == globally && len(by[k]) == m.Seeds {
			if l := meanOf(by[k]); l < lowest {
				best, lowest, m.Best = by[k], l, k.factor
			}
		}
	}
	if best == nil {
		return nil
	}
	var differences [][]float64
	for _, k := range order {
		row := ModuleRow{Group: k.group, Factor: k.factor, Stage: k.stage, Over: len(by[k]), Loss: meanOf(by[k]), Delta: math.NaN()}
		for _, seed := range slices.Sorted(maps.Keys(by[k])) {
			l := by[k][seed]
			if math.IsInf(l, 0) {
				row.Diverged++
			} else {
				row.diffs = append(row.diffs, l-best[seed])
			}
		}
		if n := len(row.diffs); n > 0 && row.Diverged == 0 {
			row.Delta = fitting.Mean(row.diffs)
			differences = append(differences, row.diffs)
		}
		m.Rows = append(m.Rows, row)
	}
	var ok bool
	if m.Noise, m.DOF, m.Bound, ok = fitting.PairedNoise(differences, m.Seeds, level); !ok {
		return m
	}
	for i := range m.Rows {
		m.Rows[i].judge(m)
	}
	return m
}

func meanOf(by map[uint64]float64) float64 {
	var values []float64
	for _, seed := range slices.Sorted(maps.Keys(by)) { // in one order, to the bit
		values = append(values, by[seed])
	}
	return fitting.Mean(values)
}

// judge says whether a row's difference is more than noise.
func (r *ModuleRow) judge(m *Modulewise) {
	switch {
	case r.Group == globally && r.Factor == m.Best:
		r.Verdict = "the best global η"
	case r.Over == 0:
		r.Verdict = "not trained"
	case r.Diverged > 0:
		r.Verdict = fmt.Sprintf("diverged, %d of %d seeds", r.Diverged, r.Over)
	case r.Over < m.Seeds:
		r.Verdict = fmt.Sprintf("%d of %d seeds", r.Over, m.Seeds)
	case r.Delta < -m.Bound:
		r.Verdict = "gain"
	case r.Delta > m.Bound:
		r.Verdict = "loss"
	default:
		r.Verdict = "within the noise"
	}
}

// Summary implements [Study].
func (m *Modulewise) Summary() string {
	if m.DOF < 1 {
		return "no noise level yet: it takes every seed of two settings"
	}
	var gains []string
	open := 0
	for _, r := range m.Rows {
		if r.Verdict == "gain" {
			gains = append(gains, fmt.Sprintf("%s %s %s", r.Group, number.Factor(r.Factor), number.Signed(r.Delta, 4)))
		}
		if r.Over < m.Seeds {
			open++
		}
	}
	out := fmt.Sprintf("no group gains over one global η beyond the noise, ±%s nats at %s", number.Sig(m.Bound, 2), number.Percent(m.Level))
	if gains != nil {
		out = fmt.Sprintf("beyond the noise of ±%s nats: %s", number.Sig(m.Bound, 2), strings.Join(gains, ", "))
	}
	if m.Best != 1 {
		out += fmt.Sprintf("; the best global η is the given one times %s, at which the others were not tried", number.Sig(m.Best, 3))
	}
	if open > 0 {
		out = "provisional: " + out
	}
	return out
}

// Sheets implements [Study].
func (m *Modulewise) Sheets() []Sheet {
	t := Sheet{Name: "ΔL", Heads: []string{"group", "factor", "loss", "ΔL", "noise", "seeds", "verdict"}}
	for _, r := range m.Rows {
		bound := Entry{number.Sig(m.Bound, 2), m.Bound}
		t.Rows = append(t.Rows, []Entry{
			textEntry(r.Group),
			{number.Factor(r.Factor), r.Factor},
			{number.Loss(r.Loss), r.Loss},
			{number.Signed(r.Delta, 4), r.Delta},
			bound,
			{number.Count(r.Over), float64(r.Over)},
			textEntry(r.Verdict),
		})
	}
	return []Sheet{t, aboutSheet(
		"ΔL", "mean over the seeds of the loss less that of the best global η with the same seed",
		"noise", fmt.Sprintf("standard deviation of such a difference %s nats, %d degrees of freedom; a mean of %d beyond ±%s counts, at %s for all %d rows together",
			number.Sig(m.Noise, 2), m.DOF, m.Seeds, number.Sig(m.Bound, 2), number.Percent(m.Level), len(m.Rows)-1),
	)}
}

// Fields implements [Study].
func (m *Modulewise) Fields() []NamedNumber {
	gains := 0.0
	for _, r := range m.Rows {
		if r.Verdict == "gain" {
			gains++
		}
	}
	return []NamedNumber{{"gains", gains}, {"bound", m.Bound}, {"noise", m.Noise}, {"best_factor", m.Best}}
}

// Plots implements [Study]: ΔL over the factor, a line a group.
func (m *Modulewise) Plots() []Plot {
	p := Plot{Name: "ΔL over the factor on the group's η", XName: "factor"}
	at := map[string]int{}
	rows := slices.Clone(m.Rows)
	slices.SortStableFunc(rows, func(a, b ModuleRow) int { return int(math.Copysign(1, a.Factor-b.Factor)) })
	for _, r := range rows {
		if math.IsNaN(r.Delta) {
			continue
		}
		i, ok := at[r.Group]
		if !ok {
			i = len(p.Lines)
			at[r.Group] = i
			p.Lines = append(p.Lines, PlotLine{Name: r.Group})
		}
		p.Lines[i].X, p.Lines[i].Y = append(p.Lines[i].X, r.Factor), append(p.Lines[i].Y, r.Delta)
	}
	return []Plot{p}
}
