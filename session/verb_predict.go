package session

import (
	"fmt"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/language"
)

func countParam(name, doc, unit string) Param {
	return Param{Name: name, Doc: doc, Unit: unit, Number: &NumberSpec{Above: true, Log: true, Count: true}}
}

func knob(p Param) Param {
	p.Knob = true
	return p
}

func predictVerb() *Verb {
	return &Verb{
		Name:    "predict",
		Summary: "η* at a target, with its interval and what another η would cost",
		Doc: "The interval covers the noise of the fit and the choice of window. The near-optimal band holds every η whose expected loss is within near= of the best; " +
			"at= asks what one other η would cost. The same target under the published laws stands beside it, with the reason where one is not comparable.",
		Example: `target = predict law N=7B D=1.4T`,
		Result:  "prediction",
		Params: []Param{
			{Name: "law", Doc: "a law of your own, or a published one", Input: []string{"law", "published"}, Position: true, Required: true},
			knob(countParam("N", "size of the target", "parameters")),
			knob(countParam("D", "horizon of the target", "tokens")),
			countParam("B", "batch of the target", "tokens per step"),
			countParam("C", "training FLOPs of the target; 6·N·D where not given", "FLOPs"),
			countParam("active", "active parameters of a mixture of experts", "parameters"),
			countParam("experts", "experts of a mixture of experts", ""),
			countParam("active_experts", "experts that are active for a token", ""),
			{Name: "loss", Doc: "final loss, for published batch rules that start from it", Number: &NumberSpec{Above: true}},
			{Name: "at", Doc: "another learning rate: what it would cost", Number: &NumberSpec{Above: true, Log: true}, Knob: true},
			{
				Name: "near", Doc: "what counts as near-optimal: loss within this share of the best", Number: &NumberSpec{Above: true, Max: 100, Percent: true},
				Default: "0.25%", Stops: []string{"0.1%", "0.25%", "0.5%", "1%"}, Knob: true,
			},
			{Name: "level", Doc: "level of the interval", Number: &NumberSpec{Min: 50, Max: 99.9, Percent: true}, Default: "95%", Stops: []string{"50%", "80%", "90%", "95%", "99%"}, Knob: true},
			{Name: "interval", Doc: "how noise becomes an interval: Student's t around the fit, or a bootstrap over cells", Words: []string{"t", "bootstrap"}, Default: "t", Knob: true},
			{Name: "windows", Doc: "cover also how the answer changes with the window of the curves", Words: []string{"on", "off"}, Default: "on", Knob: true},
			{Name: "scatter", Doc: "add the cells' scatter around the law: an interval for one more cell instead of for the law", Words: []string{"off", "on"}, Default: "off", Knob: true},
			{Name: "samples", Doc: "bootstrap samples", Number: &NumberSpec{Min: 50, Max: 100_000, Integer: true}, Default: "1000"},
			{Name: "seed", Doc: "bootstrap seed", Number: &NumberSpec{Min: 0, Max: 1 << 53, Integer: true}, Default: "0"},
		},
		run: runPredict,
	}
}

// share reads a parameter that may be written with %: 0.25% is 0.0025.
func (c *Call) share(name string) float64 {
	v := c.args[name]
	if v.Percent {
		return v.Number / 100
	}
	return v.Number
}

func runPredict(c *Call) (Value, error) {
	t := fitting.Target{
		N: c.Number("N"), D: c.Number("D"), B: c.Number("B"), C: c.Number("C"),
		NActive: c.Number("active"), Experts: c.Number("experts"), ActiveExperts: c.Number("active_experts"), FinalLoss: c.Number("loss"),
	}
	o := fitting.PredictOptions{
		Level: c.share("level"), Interval: fitting.IntervalKind(c.Text("interval")), Samples: int(c.Number("samples")),
		Seed: uint64(c.Number("seed")), Scatter: c.Text("scatter") == "on", NearOptimal: c.share("near"), At: c.Number("at"),
	}
	if o.Level >= 1 {
		o.Level /= 100 // level=95 means 95%
	}
	if v := c.args["near"]; !v.Percent && v.Kind == language.Number && v.Number >= 1 {
		return nil, errParam{"near", hinted{fmt.Errorf("near=%s is no share of the loss", v.Text), "write a percentage: near=0.25%"}}
	}
	if c.Text("windows") == "off" {
		o.Windows = []fitting.Window{}
	}
	var p *fitting.Prediction
	var err error
	switch l := c.Input("law").(type) {
	case Law:
		if p, err = l.Predict(t, o); err == nil && l.Provisional != "" {
			p.Warnings = append([]string{"provisional: " + l.Provisional}, p.Warnings...)
		}
	case Published:
		p, err = l.Predict(t, l.Anchor, o)
	}
	if err != nil {
		return nil, err
	}
	c.Note(p.Warnings...)
	return Prediction{p}, nil
}
