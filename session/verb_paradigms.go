package session

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/mup"
	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/trainer/config"
)

// Parts of the runs of paradigms.
const (
	partProxies  = "proxies"
	partBase     = "base"
	partFitting  = "target, Fitting"
	partTransfer = "target, Transfer"
)

// contest is what Fitting and Transfer are set against each other on.
type contest struct {
	proxies []config.Run // the sweep that Fitting fits, stable runs among them
	base    []config.Run // what Transfer tunes: one shape and horizon at every η
	target  config.Run   // at any η, under the standard parametrization
	rule    *mup.Rule
	from    config.Base
	options mup.Options

	ratios  []float64 // of the η tried at the target over the one predicted
	fitting []config.Run
	carried []config.Run // the target under the rule
}

// prediction is one paradigm's η at the target.
type prediction struct {
	lr, low, high float64
	how           string
	err           error
}

func paradigmsVerb() *Verb {
	v := sweepVerb()
	keep := v.Params[:0]
	for _, p := range v.Params {
		switch p.Name {
		case "early_stop":
			continue
		case "rule":
			p.Doc = "the rule of Transfer; where not given completep, or moe_mup with experts, and a horizon's where it differs: completep_dp, or +horizon_zhou"
			p.Knob = false
		case "base":
			p.Doc = "the shape that Transfer tunes; where not given, the narrowest and shallowest proxy at its longest horizon"
		case "lr":
			p.Doc = "learning rates of the proxies"
		}
		keep = append(keep, p)
	}
	target := shapeInput("target", "the larger model: a shape, with tokens= where its horizon is another than the proxies' longest")
	target.Required = true
	v.Params = append(
		keep, target,
		Param{Name: "around", Doc: "learning rates of the target on either side of each prediction", Number: &NumberSpec{Min: 1, Max: 10, Integer: true}, Default: "2"},
		Param{Name: "step", Doc: "ratio between them", Number: &NumberSpec{Min: 1, Above: true, Max: 10}, Default: "1.6"},
		Param{Name: "measured", Doc: "the losses of these runs in a table, such as export --csv wrote of this statement where it trained: nothing trains then, and data= is not needed", Input: []string{"table", "sweep"}},
	)
	v.Name, v.Example = "paradigms", `contest = paradigms d_model=[32,64,128] lr=1e-3..3e-2 x5 tokens=205k target=(shape d_model=256)`
	v.Summary = "Fitting against Transfer: both predict η of a larger model, which is trained to see"
	v.Doc = "Trains proxies under the standard parametrization, fits the law η*(N, D) through their optima and extrapolates (Fitting); tunes one proxy and carries its η by a rule (Transfer); " +
		"then trains the target at a few learning rates around each prediction, under the standard parametrization and under the rule. The table has each prediction's error in η, its regret and the " +
		"FLOPs it took. The proxies are one stage, the target's runs are planned once they are over. Target and proxies may differ in width, depth, experts or horizon. Nothing trains until it is started."
	v.fingerprint = (*Call).statusPrint
	v.run = func(c *Call) (Value, error) {
		k, err := c.contest()
		if err != nil {
			return nil, err
		}
		if c.Input("measured") != nil {
			return k.replay(c)
		}
		var study *Paradigms
		s, err := c.staged(func(l losses) ([]config.Run, error) {
			var err error
			study, err = k.settle(l)
			return k.runs(), err
		})
		if err != nil {
			return nil, err
		}
		k.label(&s)
		if study == nil {
			c.Note("stage 1 of 2, the proxies: the target is planned once they are over")
		} else {
			s.Study = study
			c.Note(study.Summary())
		}
		return s.settle(c)
	}
	return v
}

// contest plans what does not depend on results.
func (c *Call) contest() (*contest, error) {
	plain := c.with(map[string]string{"early_stop": "off"})
	for _, name := range []string{"rule", "base", "ignore"} {
		delete(plain.args, name)
		delete(plain.given, name)
	}
	if c.Input("measured") != nil {
		for _, name := range []string{"data", "validation_data", "tokenizer"} {
			delete(plain.args, name)
			delete(plain.given, name)
		}
	}
	plain.inputs = nil
	k := &contest{options: c.transferOptions()}
	var err error
	if k.proxies, err = plain.sweepRuns(); err != nil {
		return nil, err
	}
	if len(c.numbers("lr")) < 3 {
		return nil, errParam{"lr", hinted{fmt.Errorf("a parabola needs three learning rates"), "for example lr=1e-3..1e-1 x5"}}
	}
	target, err := c.shapeGiven("target")
	if err != nil {
		return nil, err
	}
	longest, trunks := int64(0), trunksOf(k.proxies)
	var first config.Run // a stable run's schedule has no decay: the target takes that of one with a loss
	for _, r := range slices.Backward(k.proxies) {
		if !trunks[r.Name()] {
			first, longest = r, max(longest, r.Tokens)
		}
	}
	s := target.Shape
	s.Vocab, s.Context, s.RopeTheta, s.NormEps, s.Tied = first.Shape.Vocab, first.Shape.Context, first.Shape.RopeTheta, first.Shape.NormEps, first.Shape.Tied
	if s.IsMoE() != first.Shape.IsMoE() {
		return nil, errParam{"target", hinted{fmt.Errorf("one of proxies and target is dense and the other a mixture of experts"), "take proxies of the target's kind"}}
	}
	k.target = first
	k.target.Shape, k.target.Origin, k.target.Keep.Checkpoints = s, nil, nil
	tokens := target.Tokens
	if tokens == 0 {
		tokens = longest
	}
	warmup := k.target.Schedule.WarmupTokens
	k.target = k.target.For(tokens)
	if c.Given("warmup") {
		k.target.Schedule.WarmupTokens = warmup
	}
	if err := valid(k.target); err != nil {
		return nil, errParam{"target", err}
	}
	if err := k.chooseBase(c); err != nil {
		return nil, err
	}
	step := c.Number("step")
	for i := -int(c.Number("around")); i <= int(c.Number("around")); i++ {
		k.ratios = append(k.ratios, math.Pow(step, float64(i)))
	}
	return k, nil
}

// chooseBase finds the shape that Transfer tunes and its rule.
func (k *contest) chooseBase(c *Call) error {
	size := func(r config.Run) int64 { return r.Shape.Params().ActiveWithoutVoc }
	small := slices.MinFunc(k.proxies, func(a, b config.Run) int {
		return cmp.Or(cmp.Compare(size(a), size(b)), cmp.Compare(b.Tokens, a.Tokens))
	})
	trunks := trunksOf(k.proxies)
	if trunks[small.Name()] { // of the same size, the branch at the longest horizon
		for _, r := range k.proxies {
			if r.Shape == small.Shape && !trunks[r.Name()] && (trunks[small.Name()] || r.Tokens > small.Tokens) {
				small = r
			}
		}
	}
	small.Origin = nil
	if c.Given("base") {
		b, err := c.shapeGiven("base")
		if err != nil {
			return err
		}
		small.Shape = b.Shape
		if b.Tokens > 0 {
			small = small.For(b.Tokens)
		}
	}
	name := c.Text("rule")
	var err error
	if name == "" {
		name = "completep"
		switch differ := small.Tokens != k.target.Tokens; {
		case k.target.Shape.IsMoE() && differ:
			name = "moe_mup+horizon_zhou"
		case k.target.Shape.IsMoE():
			name = "moe_mup"
		case differ:
			name = "completep_dp"
		}
		k.rule, err = mup.Find(name)
	} else {
		k.rule, err = c.rule("rule")
	}
	if err != nil {
		return err
	}
	k.from = config.Base{Shape: small.Shape, Batch: small.BatchTokens(), Tokens: small.Tokens}
	at, err := small.Under(k.rule, k.from, k.options)
	if err != nil {
		return errParam{"rule", refused(err)}
	}
	if slices.Equal(at.Modules(), small.Modules()) {
		at = small // at its base a rule is the standard parametrization: Fitting's runs serve
	}
	if _, err := k.target.Under(k.rule, k.from, k.options); err != nil {
		return errParam{"target", refused(err)}
	}
	for seed := range int(c.Number("seeds")) {
		for _, lr := range c.numbers("lr") {
			r := at
			r.LR, r.Seed = lr, uint64(seed)
			for _, p := range k.proxies { // the same run, as it was planned: a branch keeps its origin
				if p.Hash() == r.Hash() {
					r = p
				}
			}
			k.base = append(k.base, r)
		}
	}
	return valid(k.base...)
}

// trunksOf are the names of runs that others branch from.
func trunksOf(runs []config.Run) map[string]bool {
	out := map[string]bool{}
	for _, r := range runs {
		if r.Origin != nil {
			out[r.Origin.Run] = true
		}
	}
	return out
}

// runs lists everything planned so far, each run once.
func (k *contest) runs() (out []config.Run) {
	seen := map[string]bool{}
	for _, r := range slices.Concat(k.proxies, k.base, k.fitting, k.carried) {
		if h := r.Hash(); !seen[h] {
			seen[h] = true
			out = append(out, r)
		}
	}
	return out
}

// label says of every run which part it is.
func (k *contest) label(s *Sweep) {
	part := map[string]string{}
	for _, p := range []struct {
		name string
		runs []config.Run
	}{{partTransfer, k.carried}, {partFitting, k.fitting}, {partBase, k.base}, {partProxies, k.proxies}} {
		for _, r := range p.runs {
			part[r.Hash()] = p.name
		}
	}
	for i := range s.Runs {
		s.Runs[i].Part = part[s.Runs[i].Config.Hash()]
	}
}

// settle forms the predictions once all proxies are over, plans the target, and reads its
// runs; nil while proxies are not over. loss is a run's final loss, false while it has none.
func (k *contest) settle(loss losses) (*Paradigms, error) {
	k.fitting, k.carried = nil, nil
	trunks := trunksOf(k.proxies)
	for _, r := range slices.Concat(k.proxies, k.base) {
		if _, over := loss(r); !over && !trunks[r.Name()] {
			return nil, nil
		}
	}
	out := &Paradigms{rule: k.rule.Name}
	for i, way := range []struct {
		name      string
		predicted prediction
		family    *[]config.Run
		runs      []config.Run
	}{
		{"Fitting", k.fit(loss, trunks), &k.fitting, k.proxies},
		{"Transfer", k.transfer(loss), &k.carried, k.base},
	} {
		row := newRow(way.name, way.predicted)
		seen := map[string]bool{}
		for _, r := range way.runs {
			if h := r.Hash(); !seen[h] {
				seen[h] = true
				row.Runs++
				tokens := newTokens(r)
				if o := r.Origin; o != nil && !slices.ContainsFunc(way.runs, func(x config.Run) bool { return x.Name() == o.Run }) {
					tokens = float64(r.TrainedTokens()) // alone, it trains what comes before the branch too
				}
				row.FLOPs += tokens * r.Shape.FLOPs().Compute
			}
		}
		if row.Err == nil {
			for _, ratio := range k.ratios {
				for _, seed := range seedsOf(k.base) {
					r := k.target
					r.LR, r.Seed = roundTo(row.LR*ratio, 4), seed
					if i == 1 {
						var err error
						if r, err = r.Under(k.rule, k.from, k.options); err != nil {
							return nil, errParam{"target", refused(err)}
						}
					}
					if err := valid(r); err != nil {
						return nil, err
					}
					*way.family = append(*way.family, r)
				}
			}
			row.measure(*way.family, loss)
		}
		out.Rows = append(out.Rows, row)
	}
	out.compare()
	return out, nil
}

func seedsOf(runs []config.Run) (out []uint64) {
	for _, r := range runs {
		if !slices.Contains(out, r.Seed) {
			out = append(out, r.Seed)
		}
	}
	return out
}

// fittingRuns are the runs with a loss as curves take them, seeds of one setting as their
// mean. N is what a token goes through, without embedding and head.
func fittingRuns(runs []config.Run, loss losses) (out []fitting.Run) {
	type key struct{ n, d, lr float64 }
	at, n := map[key]int{}, map[key]float64{}
	for _, r := range runs {
		l, over := loss(r)
		if !over {
			continue
		}
		k := key{float64(r.Shape.Params().ActiveWithoutVoc), float64(r.TrainedTokens()), r.LR}
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k] = i
			out = append(out, fitting.Run{N: k.n, D: k.d, LR: k.lr, B: float64(r.BatchTokens()), C: math.NaN(), Row: i})
		}
		out[i].Loss += (l - out[i].Loss) / (n[k] + 1)
		n[k]++
	}
	return out
}

var paradigmWindow = fitting.Window{Kind: fitting.WindowK, K: 2}

// fit extrapolates the law through the proxies' optima.
func (k *contest) fit(loss losses, trunks map[string]bool) (p prediction) {
	var ends []config.Run
	sizes, horizons := map[int64]bool{}, map[int64]bool{}
	for _, r := range k.proxies {
		if !trunks[r.Name()] {
			ends = append(ends, r)
			sizes[r.Shape.Params().ActiveWithoutVoc], horizons[r.TrainedTokens()] = true, true
		}
	}
	o := fitting.LawOptions{Form: fitting.PowerND}
	switch {
	case len(sizes) > 1 && len(horizons) > 1:
	case len(sizes) > 1:
		o.Form = fitting.PowerN
	case len(horizons) > 1:
		o.Form = fitting.PowerD
	default:
		p.err = errors.New("one size and one horizon extrapolate to nothing: give two of either at least")
		return p
	}
	cs, err := fitting.Curves(fittingRuns(ends, loss), fitting.CurveOptions{ByN: true, ByD: true, Window: paradigmWindow})
	if err == nil {
		var law *fitting.Law
		if law, err = fitting.FitLaw(cs, o); err == nil {
			var f *fitting.Prediction
			t := fitting.Target{N: float64(k.target.Shape.Params().ActiveWithoutVoc), D: float64(k.target.TrainedTokens())}
			if f, err = law.Predict(t, fitting.PredictOptions{}); err == nil {
				p.lr, p.low, p.high, p.how = f.LR, f.Low, f.High, law.Text()
				if !(p.lr > 1e-7 && p.lr < 2) {
					err = fmt.Errorf("the law gives %s, which is no learning rate for Adam", number.Eta(p.lr, 3))
				}
			}
		}
	}
	p.err = err
	return p
}

// transfer takes the vertex of the base.
func (k *contest) transfer(loss losses) (p prediction) {
	cs, err := fitting.Curves(fittingRuns(k.base, loss), fitting.CurveOptions{Window: paradigmWindow})
	if err != nil {
		p.err = err
		return p
	}
	u := &cs.Curves[0]
	if !u.OK {
		p.err = fmt.Errorf("the base has no measured optimum: %s", number.Flags(u.Flags))
		return p
	}
	low, high := u.Interval()
	p.lr, p.low, p.high = math.Exp(u.LnLR), math.Exp(low), math.Exp(high)
	p.how = fmt.Sprintf("%s at %s, carried by %s", number.Eta(p.lr, 3), k.from.Shape.Name(), k.rule.Name)
	return p
}
