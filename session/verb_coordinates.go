package session

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/mup"
	"github.com/etastar/etastar/session/language"
	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/rundir"
)

// Coordinates is the study of coordinates: how the mean absolute size of every module's
// output depends on width and depth, step by step (Yang et al., Tensor Programs V,
// appendix D.1, "coordinate checking").
type Coordinates struct {
	Rule    string
	Depths  bool // slopes in the depth are there
	Modules []Coordinate
}

// Coordinate is one module.
type Coordinate struct {
	Module  string
	First   Slope // before the first update
	Last    Slope // at the last step
	Verdict string
	widths  []PlotLine // a line a step, over the width
}

// Slope is that of ln mean |activation| in ln width, and in ln depth where depths differ,
// with standard errors (NaN where there are no degrees of freedom).
type Slope struct{ Width, WidthSE, Depth, DepthSE float64 }

// flatSlope is the exponent up to which a module counts as flat: half of the smallest that
// the standard parametrization predicts for a module, ½.
const flatSlope = 0.25

func coordinatesVerb() *Verb {
	v := sweepVerb()
	keep := v.Params[:0]
	for _, p := range v.Params {
		switch p.Name {
		case "tokens", "accumulate", "schedule", "decay", "decay_part", "warmup", "floor", "validate", "early_stop", "stats_every":
			continue
		case "lr":
			p.Doc, p.Range = "learning rate of the base", false
		case "d_model":
			p.Doc = "widths; two at least"
		case "clip":
			p.Default = "0" // clipping would hide what grows
		}
		keep = append(keep, p)
	}
	v.Params = append(keep, Param{Name: "steps", Doc: "optimizer steps", Number: &NumberSpec{Min: 2, Max: 1000, Integer: true}, Default: "10"})
	v.Name, v.Example = "coordinates", `check = coordinates d_model=[64,128,256,512] lr=1e-2 rule=mup`
	v.Summary = "does a rule keep every module's activations of one size over widths and depths?"
	v.Doc = "Trains every width and depth a few steps at a constant learning rate and fits the exponent of mean |activation| in width and depth, module by module, with its error. " +
		"Under a right rule the exponents after the first steps are near 0; under sp what comes out of hidden matrices grows. Before the first update only the initial values show: " +
		"there the logits of a head with a multiplier may shrink with the width. The table has a verdict a module; the picture shows a module's activations over the widths, a line a step (m: the next module). " +
		"Nothing trains until it is started."
	v.fingerprint = func(c *Call) string {
		if c.refers("rule") || c.refers("base") {
			return c.statusPrint()
		}
		return runsPrint(c, (*Call).coordinateRuns)
	}
	v.run = func(c *Call) (Value, error) {
		runs, err := c.coordinateRuns()
		if err != nil {
			return nil, err
		}
		s, err := c.asSweep(runs)
		if err != nil {
			return nil, err
		}
		if study := coordinates(s); study != nil {
			s.Study = study
			c.Note(study.Summary())
		}
		return s.settle(c)
	}
	return v
}

// with is the call with other parameters, as the notebook writes them.
func (c *Call) with(params map[string]string) *Call {
	d := *c
	d.args, d.given = map[string]language.Value{}, map[string]bool{}
	for k, v := range c.args {
		d.args[k] = v
	}
	for k, v := range c.given {
		d.given[k] = v
	}
	for k, text := range params {
		v, err := language.ParseValue(text)
		if err != nil {
			panic(fmt.Sprintf("%s=%s: %v", k, text, err))
		}
		d.args[k], d.given[k] = v, true
	}
	return &d
}

func (c *Call) coordinateRuns() ([]config.Run, error) {
	if n := len(c.numbers("d_model")); n < 2 {
		return nil, errParam{"d_model", hinted{fmt.Errorf("one width shows no slope"), "give two or more: d_model=[64,128,256]"}}
	}
	context, batch := c.Number("context"), c.Number("batch")
	tokens := c.Number("steps") * max(1, math.Round(batch/context)) * context
	return c.with(map[string]string{
		"tokens": fmt.Sprintf("%.0f", tokens), "schedule": "constant", "warmup": "0", "floor": "0", "accumulate": "1",
		"validate": fmt.Sprintf("%.0f", 2*context), "stats_every": "1", "early_stop": "off", "decay": `"linear"`, "decay_part": "20%",
	}).sweepRuns()
}

// coordinates reads the study off the runs that are over; nil while two widths are not.
func coordinates(s Sweep) *Coordinates {
	var runs []*SweepRun
	widths, depths := map[int]bool{}, map[int]bool{}
	steps := 0
	for i := range s.Runs {
		r := &s.Runs[i]
		if r.Status.State != rundir.Finished || r.Stats.Len() < 2 {
			continue
		}
		if steps == 0 || r.Stats.Len() < steps {
			steps = r.Stats.Len()
		}
		runs = append(runs, r)
		widths[r.Config.Shape.DModel], depths[r.Config.Shape.Layers] = true, true
	}
	if len(widths) < 2 {
		return nil
	}
	out := &Coordinates{Rule: runs[0].Config.Rule, Depths: len(depths) > 1}
	modules := modulesOfStat(runs[0], "act_abs")
	for _, m := range modules {
		slope := func(k int) Slope {
			var rows [][]float64
			var y []float64
			for _, r := range runs {
				v := r.Stats.At(m, "act_abs", k)
				if !(v > 0) || math.IsInf(v, 0) {
					continue
				}
				row := []float64{float64(r.Config.Shape.DModel)}
				if out.Depths {
					row = append(row, float64(r.Config.Shape.Layers))
				}
				rows, y = append(rows, row), append(y, v)
			}
			return fitSlope(rows, y)
		}
		c := Coordinate{Module: m, First: slope(0), Last: slope(steps - 1)}
		c.Verdict = c.Last.verdict(out.Depths)
		for _, k := range shownSteps(steps) {
			line := PlotLine{Name: fmt.Sprintf("step %d", k+1)}
			for _, w := range slices.Sorted(maps.Keys(widths)) {
				sum, n := 0.0, 0.0
				for _, r := range runs {
					if r.Config.Shape.DModel == w {
						sum, n = sum+r.Stats.At(m, "act_abs", k), n+1
					}
				}
				line.X, line.Y = append(line.X, float64(w)), append(line.Y, sum/n)
			}
			c.widths = append(c.widths, line)
		}
		out.Modules = append(out.Modules, c)
	}
	return out
}

// shownSteps are up to five of n steps, the first and the last among them.
func shownSteps(n int) []int {
	var out []int
	for k := range min(n, 5) {
		out = append(out, k*(n-1)/max(min(n, 5)-1, 1))
	}
	return slices.Compact(out)
}

// modulesOfStat lists the modules of the rules for which a run has a statistic, in their order.
func modulesOfStat(r *SweepRun, stat string) []string {
	var out []string
	for _, m := range mup.Modules() {
		if !math.IsNaN(r.Stats.At(string(m), stat, 0)) {
			out = append(out, string(m))
		}
	}
	return out
}

// fitSlope fits the exponents of width and, with depth, depth.
func fitSlope(x [][]float64, y []float64) Slope {
	nan := math.NaN()
	e, se, ok := fitting.Exponents(x, y)
	switch {
	case !ok:
		return Slope{nan, nan, nan, nan}
	case len(e) == 1:
		return Slope{e[0], se[0], nan, nan}
	}
	return Slope{e[0], se[0], e[1], se[1]}
}

// verdict says whether a slope is flat, which one up to flatSlope is; a steeper one counts
// where it is at least twice its error.
func (s Slope) verdict(depth bool) string {
	one := func(x, se float64, of string) string {
		switch {
		case math.IsNaN(x):
			return "not measured"
		case math.Abs(x) > flatSlope && !(math.Abs(x) < 2*se):
			if x < 0 {
				return "shrinks with the " + of
			}
			return "grows with the " + of
		case math.Abs(x) > flatSlope, se > flatSlope:
			return "too noisy to tell in the " + of
		}
		return ""
	}
	out := one(s.Width, s.WidthSE, "width")
	if depth {
		if d := one(s.Depth, s.DepthSE, "depth"); d != "" && out != "" {
			out += ", " + d
		} else {
			out = cmp.Or(out, d)
		}
	}
	return cmp.Or(out, "flat")
}

// Summary implements [Study].
func (c *Coordinates) Summary() string {
	flat := 0
	var not []string
	for _, m := range c.Modules {
		if m.Verdict == "flat" {
			flat++
		} else {
			not = append(not, m.Module+" "+m.Verdict)
		}
	}
	out := fmt.Sprintf("under %s %d of %d modules are flat at the last step", c.Rule, flat, len(c.Modules))
	for i, n := range not {
		if i == 3 {
			return out + fmt.Sprintf("; and %d more", len(not)-i)
		}
		out += "; " + n
	}
	return out
}

// Sheets implements [Study].
func (c *Coordinates) Sheets() []Sheet {
	t := Sheet{Name: "slopes", Heads: []string{"module", "untrained", "±", "last step", "±"}}
	if c.Depths {
		t.Heads = append(t.Heads, "in depth", "±")
	}
	t.Heads = append(t.Heads, "verdict")
	cell := func(x float64) Entry { return Entry{number.Signed(x, 2), x} }
	se := func(x float64) Entry {
		if math.IsNaN(x) {
			return textEntry("")
		}
		return Entry{number.Fixed(x, 2), x}
	}
	for _, m := range c.Modules {
		row := []Entry{textEntry(m.Module), cell(m.First.Width), se(m.First.WidthSE), cell(m.Last.Width), se(m.Last.WidthSE)}
		if c.Depths {
			row = append(row, cell(m.Last.Depth), se(m.Last.DepthSE))
		}
		t.Rows = append(t.Rows, append(row, textEntry(m.Verdict)))
	}
	return []Sheet{t}
}

// Fields implements [Study]: how many modules are flat of how many, and the last slope in
// the width of each.
func (c *Coordinates) Fields() []NamedNumber {
	flat := 0.0
	var slopes []NamedNumber
	for _, m := range c.Modules {
		if m.Verdict == "flat" {
			flat++
		}
		slopes = append(slopes, NamedNumber{m.Module + ".slope", m.Last.Width})
		if c.Depths {
			slopes = append(slopes, NamedNumber{m.Module + ".depth_slope", m.Last.Depth})
		}
	}
	return append([]NamedNumber{{"flat", flat}, {"modules", float64(len(c.Modules))}}, slopes...)
}

// Plots implements [Study].
func (c *Coordinates) Plots() []Plot {
	var out []Plot
	for _, m := range c.Modules {
		out = append(out, Plot{
			Name:  fmt.Sprintf("%s: mean |activation|, slope %s ± %s: %s", m.Module, number.Signed(m.Last.Width, 2), number.Fixed(m.Last.WidthSE, 2), m.Verdict),
			Short: m.Module + "  " + number.Signed(m.Last.Width, 2), XName: "d_model", Log: true, Lines: m.widths,
		})
	}
	return out
}
