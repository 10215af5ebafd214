package session

import (
	"fmt"
	"math"
	"strings"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/language"
	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/trainer/config"
)

// Shape is the value of shape: a model with its run's batch and horizon and, of a base,
// the η measured on it.
type Shape struct {
	config.Shape
	Batch, Tokens    int64   // 0: not said
	LR               float64 // measured peak η; 0: none
	WeightDecay, Eps float64
	Measured         string // where LR comes from
}

// Type is the word used in JSON and in messages.
func (Shape) Type() string { return "shape" }

// Identity implements [Sheeted].
func (s Shape) Identity() any { return s }

// Summary implements [Sheeted].
func (s Shape) Summary() string {
	out := s.Name() + "  " + number.SI(float64(s.Params().WithoutVocabulary)) + " parameters"
	if s.LR > 0 {
		out += "  η " + number.Eta(s.LR, 3)
	}
	return out
}

// Sheets implements [Sheeted].
func (s Shape) Sheets() []Sheet {
	p, f := s.Params(), s.FLOPs()
	row := func(label string, x float64) []Entry { return []Entry{textEntry(label), {number.Count(int(x)), x}} }
	t := Sheet{Name: "shape", Heads: []string{"of the model", ""}}
	for _, r := range []struct {
		label string
		x     int64
	}{
		{"d_model", int64(s.DModel)},
		{"layers", int64(s.Layers)},
		{"heads", int64(s.Heads)},
		{"kv_heads", int64(s.KVHeads)},
		{"head_dim", int64(s.HeadDim)},
		{"d_ff", int64(s.DFF)},
		{"experts", int64(s.Experts)},
		{"top_k", int64(s.TopK)},
		{"d_ff_expert", int64(s.DFFExp)},
		{"vocabulary", int64(s.Vocab)},
		{"context", int64(s.Context)},
		{"parameters", p.Total},
		{"active", p.Active},
		{"without vocabulary", p.WithoutVocabulary},
		{"batch, tokens", s.Batch},
		{"horizon, tokens", s.Tokens},
	} {
		if r.x != 0 {
			t.Rows = append(t.Rows, row(r.label, float64(r.x)))
		}
	}
	t.Rows = append(t.Rows, []Entry{textEntry("training FLOPs a token"), {number.Sig(f.Compute, 3), f.Compute}})
	if s.LR > 0 {
		t.Rows = append(t.Rows, []Entry{textEntry("η, " + s.Measured), {number.Eta(s.LR, 3), s.LR}})
	}
	return []Sheet{t}
}

func whole(name, doc, def string) Param {
	return Param{Name: name, Doc: doc, Number: &NumberSpec{Min: 0, Integer: true}, Default: def}
}

func shapeVerb() *Verb {
	v := &Verb{
		Name:    "shape",
		Summary: "a model and its run: the base or the target of a transfer",
		Doc:     "A base has the learning rate measured on it, lr=. What is not given is as in sweep.",
		Example: `big = shape d_model=4096 layers=32 vocab=50k`,
		Result:  "shape",
		Params: []Param{
			{Name: "d_model", Doc: "width", Number: &NumberSpec{Min: 4, Max: 65536, Integer: true, Log: true}, Required: true, Knob: true},
			{Name: "layers", Doc: "depth", Number: &NumberSpec{Min: 1, Max: 1024, Integer: true}, Default: "2", Knob: true},
			whole("heads", "query heads; as many as fill d_model where not given", "0"),
			whole("kv_heads", "key-value heads; half of heads where that divides", "0"),
			whole("head_dim", "width of a head", "0"),
			whole("d_ff", "inner width of SwiGLU, of all active experts together; 3·d_model where not given", "0"),
			whole("experts", "experts a layer; 0: dense", "0"),
			whole("top_k", "experts a token goes through", "2"),
			whole("d_ff_expert", "inner width of one expert; d_ff/top_k where not given", "0"),
			{Name: "tied", Doc: "the head is the embedding", Words: []string{"off", "on"}, Default: "off"},
			{Name: "vocab", Doc: "size of the vocabulary", Number: &NumberSpec{Min: 2, Max: 1 << 22, Integer: true, Count: true}, Default: "256"},
			{Name: "context", Doc: "tokens of a sequence", Number: &NumberSpec{Min: 1, Max: 1 << 20, Integer: true}, Default: "128"},
			countParam("batch", "tokens of an optimizer step", "tokens"),
			countParam("tokens", "horizon", "tokens"),
			{Name: "lr", Doc: "peak learning rate measured on it", Number: &NumberSpec{Above: true, Log: true}, Knob: true},
			{Name: "weight_decay", Doc: "decoupled weight decay it was trained with", Number: &NumberSpec{Min: 0, Max: 10}, Default: "0.1"},
			{Name: "eps", Doc: "AdamW's ε it was trained with", Number: &NumberSpec{Above: true, Max: 0.1, Log: true}, Default: "1e-8"},
		},
		run: func(c *Call) (Value, error) {
			s, err := c.shape(int(c.Number("d_model")), int(c.Number("layers")))
			if err != nil {
				return nil, err
			}
			if f := int(c.Number("d_ff_expert")); f > 0 {
				if !s.IsMoE() {
					return nil, errParam{"d_ff_expert", hinted{fmt.Errorf("a dense shape has no experts"), "set experts, or d_ff"}}
				}
				s.DFFExp = f
			}
			s.Tied = c.Text("tied") == "on"
			if p := s.Problems(); len(p) > 0 {
				return nil, fmt.Errorf("%s: %s", s.Name(), strings.Join(p, "; "))
			}
			return Shape{
				Shape: s, Batch: int64(c.Number("batch")), Tokens: int64(c.Number("tokens")), LR: c.Number("lr"),
				WeightDecay: c.Number("weight_decay"), Eps: c.Number("eps"), Measured: "as given",
			}, nil
		},
	}
	return v
}

// shapeInput declares a parameter that takes a shape, or a sweep of one.
func shapeInput(name, doc string) Param {
	return Param{Name: name, Doc: doc, Input: []string{"shape", "sweep"}}
}

// shapeGiven is the shape of an input parameter: of a sweep, that of all its runs, with
// the vertex of its longest horizon as η.
func (c *Call) shapeGiven(name string) (Shape, error) {
	switch v := c.Input(name).(type) {
	case Shape:
		return v, nil
	case Sweep:
		return sweepShape(name, v)
	}
	return Shape{}, errParam{name, hinted{fmt.Errorf("%s is no shape", name), "for example: (shape d_model=256 layers=4)"}}
}

// sweepShape reads a base off a sweep of one shape.
func sweepShape(name string, s Sweep) (Shape, error) {
	first := s.Runs[0].Config
	for _, r := range s.Runs {
		if r.Config.Shape != first.Shape {
			return Shape{}, errParam{name, hinted{fmt.Errorf("the sweep has several shapes: %s, %s", first.Shape.Name(), r.Config.Shape.Name()), "give a sweep of one, or a shape with its lr"}}
		}
	}
	out := Shape{Shape: first.Shape, Batch: first.BatchTokens(), WeightDecay: first.Optimizer.WeightDecay, Eps: first.Optimizer.Eps}
	for _, r := range s.Runs {
		out.Tokens = max(out.Tokens, r.Config.Tokens)
	}
	runs, _ := sweepRuns(s.Table, nil)
	if len(runs) == 0 {
		return out, nil
	}
	cs, err := fitting.Curves(runs, fitting.CurveOptions{ByD: true, Window: fitting.Window{Kind: fitting.WindowK, K: 2}})
	if err != nil {
		return out, err
	}
	if last := &cs.Curves[len(cs.Curves)-1]; last.OK {
		out.LR, out.Measured = math.Exp(last.LnLR), "vertex of the sweep"
		if last.Key.D > 0 {
			out.Tokens = int64(last.Key.D)
		}
	} else if last.Bound != fitting.NoBound {
		out.Measured = "only bounded: the lowest loss stands at the edge of the grid"
	} else {
		out.Measured = "not measured: " + number.Flags(last.Flags)
	}
	return out, nil
}

// numberOr is a numeric parameter, or else where it is not given.
func (c *Call) numberOr(name string, or float64) float64 {
	if v, ok := c.args[name]; ok && v.Kind == language.Number && c.given[name] {
		return v.Number
	}
	return or
}
