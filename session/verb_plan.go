package session

import (
	"fmt"
	"slices"

	"github.com/etastar/etastar/mup"
	"github.com/etastar/etastar/session/number"
)

// Plan is the value of plan: what a search for η takes in three ways.
type Plan struct {
	*mup.Account
	Of mup.Plan
}

// Type is the word used in JSON and in messages.
func (Plan) Type() string { return "plan" }

// Identity implements [Sheeted].
func (p Plan) Identity() any { return p.Account }

// Summary implements [Sheeted].
func (p Plan) Summary() string {
	return fmt.Sprintf("grid %s FLOPs, Fitting %s, Transfer %s", number.Sig(p.Grid.FLOPs, 3), number.Sig(p.Fitting.FLOPs, 3), number.Sig(p.Transfer.FLOPs, 3))
}

// Sheets implements [Sheeted].
func (p Plan) Sheets() []Sheet {
	t := Sheet{Name: "account", Heads: []string{"way", "order", "endpoints", "stable runs", "FLOPs", "search factor"}}
	for _, w := range []struct {
		name, order string
		c           mup.Cost
	}{{"full grid", "O(n³)", p.Grid}, {"Fitting", "O(n·C_D·C_η)", p.Fitting}, {"Transfer", "O(n)", p.Transfer}} {
		t.Rows = append(t.Rows, []Entry{
			textEntry(w.name), textEntry(w.order),
			{number.Count(w.c.Runs), float64(w.c.Runs)},
			{number.Count(w.c.Stable), float64(w.c.Stable)},
			{number.Sig(w.c.FLOPs, 3), w.c.FLOPs},
			{number.Sig(w.c.Factor, 3), w.c.Factor},
		})
	}
	return []Sheet{t, aboutSheet("grid", fmt.Sprintf("%d sizes × %d horizons × %d learning rates", len(p.Of.FLOPsPerToken), len(p.Of.Horizons), p.Of.Rates),
		"Fitting", fmt.Sprintf("every size at its %d shortest horizons and %d learning rates, decays of %s off one stable run", p.Of.FitHorizons, p.Of.FitRates, number.Percent(p.Of.Decay)),
		"Transfer", "one proxy at every learning rate", "FLOPs", "6·N·D; the orders are those of arXiv 2601.05049, the FLOPs are counted here")}
}

func planVerb() *Verb {
	list := func(name, doc, unit string) Param {
		p := countParam(name, doc, unit)
		p.List, p.Required = true, true
		return p
	}
	n := func(name, doc, def string, least float64) Param {
		return Param{Name: name, Doc: doc, Number: &NumberSpec{Min: least, Max: 1e6, Integer: true}, Default: def, Knob: true}
	}
	return &Verb{
		Name:    "plan",
		Summary: "runs and FLOPs of a search for η: full grid, Fitting, Transfer",
		Doc: "The full grid trains every size at every horizon and learning rate. Fitting trains every size at its shortest horizons and few rates, all horizons of a rate branched " +
			"from one stable run. Transfer trains one proxy, the smallest size at the shortest horizon unless proxy_N and proxy_D say otherwise.",
		Example: `cost = plan N=[100M,400M,1.6B] D=[2B,8B,32B] rates=9`,
		Result:  "plan",
		Params: []Param{
			list("N", "sizes", "parameters"), list("D", "horizons", "tokens"),
			n("rates", "learning rates of the grid and of the proxy", "9", 1),
			n("fit_rates", "learning rates of a fit, C_η", "5", 3),
			n("fit_horizons", "horizons of a fit, C_D, the shortest", "2", 1),
			{Name: "decay_part", Doc: "share of a horizon that decays", Number: &NumberSpec{Min: 0, Max: 99, Percent: true}, Default: "20%", Knob: true},
			countParam("proxy_N", "size of the proxy", "parameters"), countParam("proxy_D", "its horizon", "tokens"),
		},
		run: func(c *Call) (Value, error) {
			sizes, horizons := c.numbers("N"), c.numbers("D")
			flops := make([]float64, len(sizes))
			for i, s := range sizes {
				flops[i] = 6 * s
			}
			p := mup.Plan{
				FLOPsPerToken: flops, Horizons: horizons, Rates: int(c.Number("rates")), FitRates: int(c.Number("fit_rates")), FitHorizons: int(c.Number("fit_horizons")),
				Decay:              c.share("decay_part"),
				ProxyFLOPsPerToken: 6 * c.numberOr("proxy_N", slices.Min(sizes)), ProxyHorizon: c.numberOr("proxy_D", slices.Min(horizons)),
			}
			a, err := p.Count()
			if err != nil {
				return nil, err
			}
			return Plan{&a, p}, nil
		},
	}
}
