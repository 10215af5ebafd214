package session

import (
	"fmt"
	"slices"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/language"
)

func compareVerb() *Verb {
	words := append(slices.Clone(lawForms), "mean", "largest", "published")
	for _, l := range fitting.PublishedLaws() {
		words = append(words, l.Name)
	}
	return &Verb{
		Name:    "compare",
		Summary: "laws side by side on cells they have not seen",
		Doc: "Holds the largest cells out, fits each law on the rest, and scores its predictions on the cells held out: error in ln η, the loss it costs on the cell's own " +
			"curve, and how often the interval holds the measured η*. Laws are forms (power, N_only, …), names of your own laws, published ones, mean (the average η* of the rest) " +
			"and largest (the η* of the largest of the rest).",
		Example: `score = compare curves laws=[power,N_only,step,largest] holdout=half`,
		Result:  "comparison",
		Params: []Param{
			{Name: "curves", Doc: "the curves", Input: []string{"curves"}, Position: true, Required: true},
			{Name: "laws", Doc: "what is compared", Words: words, Input: []string{"law", "published"}, List: true, Default: "[power,N_only,D_only,published,mean,largest]"},
			{
				Name: "holdout", Doc: "half: the larger half of the cells by N·D; largest_N; each_N in turn; or a size N",
				Words: []string{"half", "largest_N", "each_N"}, Number: &NumberSpec{Above: true, Log: true, Count: true}, Default: "half",
				Stops: []string{"half", "largest_N", "each_N"}, Knob: true,
			},
			{Name: "cells", Doc: "hold out this many of the largest cells instead", Number: &NumberSpec{Min: 1, Integer: true}},
		},
		run: runCompare,
	}
}

func runCompare(c *Call) (Value, error) {
	cs := c.Input("curves").(Curves)
	h := fitting.HoldOut{Largest: int(c.Number("cells"))}
	switch {
	case h.Largest > 0:
		if c.Given("holdout") {
			return nil, errParam{"holdout", hinted{fmt.Errorf("cells= and holdout= both say what to hold out"), "keep one of them"}}
		}
	case c.IsNumber("holdout"):
		h.N = c.Number("holdout")
	default:
		h.Half, h.LargestN, h.EachN = c.Text("holdout") == "half", c.Text("holdout") == "largest_N", c.Text("holdout") == "each_N"
	}
	contenders, err := c.contenders()
	if err != nil {
		return nil, errParam{"laws", err}
	}
	cmp, err := fitting.Compare(cs.CurveSet, contenders, h)
	if err != nil {
		return nil, err
	}
	c.Note(cmp.Notes...)
	return Comparison{cmp}, nil
}

// contenders turns the words and names of laws= into laws.
func (c *Call) contenders() ([]fitting.Contender, error) {
	v := c.args["laws"]
	elements := []language.Value{v}
	if v.Kind == language.List {
		elements = v.List
	}
	p := c.Verb.param("laws")
	own := c.inputs["laws"]
	var out []fitting.Contender
	for _, e := range elements {
		word := e.Text
		if !slices.Contains(p.Words, word) {
			if len(own) == 0 {
				return nil, fmt.Errorf("%s is no law", word)
			}
			switch l := own[0].(type) {
			case Law:
				out = append(out, fitting.Contender{Name: word, Law: &l.Options})
			case Published:
				out = append(out, fitting.Contender{Name: word, Published: l.Published, Anchor: l.Anchor})
			}
			own = own[1:]
			continue
		}
		switch {
		case slices.Contains(lawForms, word):
			out = append(out, fitting.Contender{Name: word, Law: &fitting.LawOptions{Form: fitting.LawForm(word)}})
		case word == "mean", word == "largest":
			out = append(out, fitting.Contender{Name: word, Baseline: word})
		case word == "published":
			for _, l := range fitting.PublishedLaws() {
				if !l.Relative && !slices.Contains(l.Needs, "NActive") {
					out = append(out, fitting.Contender{Name: l.Name, Published: l})
				}
			}
		default:
			l, err := fitting.FindPublished(word)
			if err != nil {
				return nil, err
			}
			out = append(out, fitting.Contender{Name: word, Published: l})
		}
	}
	return out, nil
}
