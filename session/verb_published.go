package session

import (
	"fmt"

	"github.com/etastar/etastar/fitting"
)

func publishedVerb() *Verb {
	laws := fitting.PublishedLaws()
	names := make([]string, len(laws))
	for i, l := range laws {
		names[i] = l.Name
	}
	return &Verb{
		Name:    "published",
		Summary: "a law from the literature, with the conditions it holds under",
		Doc: "Published constants transfer badly between codebases; use them to compare, and fit your own sweep to decide. " +
			"A relative law needs a measured optimum to start from: anchor_N, anchor_D and anchor_lr.",
		Example: `step = published step`,
		Result:  "published",
		Params: []Param{
			{Name: "name", Doc: "which law", Words: names, Position: true, Required: true, Stops: names, Knob: true},
			countParam("anchor_N", "size of a measured optimum, for a relative law", "parameters"),
			countParam("anchor_D", "horizon of that optimum", "tokens"),
			{Name: "anchor_lr", Doc: "its learning rate", Number: &NumberSpec{Above: true, Log: true}},
			{
				Name: "absolute", Doc: "read the relative law as printed instead, N in this unit (1 or 1M): the paper states none, and neither reading is proven",
				Unit: "parameters", Number: &NumberSpec{Above: true, Count: true},
			},
		},
		run: func(c *Call) (Value, error) {
			law, err := fitting.FindPublished(c.Text("name"))
			if err != nil {
				return nil, errParam{"name", err}
			}
			if c.Given("absolute") {
				if !law.Relative {
					return nil, errParam{"absolute", fmt.Errorf("%s is absolute as it is", law.Title)}
				}
				if law, err = fitting.AbsoluteZhou(c.Number("absolute")); err != nil {
					return nil, errParam{"absolute", err}
				}
			}
			v := Published{Published: law}
			given := 0
			for _, name := range []string{"anchor_N", "anchor_D", "anchor_lr"} {
				if c.Given(name) {
					given++
				}
			}
			switch {
			case given == 3:
				v.Anchor = &fitting.Anchor{N: c.Number("anchor_N"), D: c.Number("anchor_D"), LR: c.Number("anchor_lr")}
			case given > 0:
				return nil, hinted{fmt.Errorf("an anchor is a size, a horizon and a learning rate"), "give all of anchor_N, anchor_D and anchor_lr"}
			}
			if v.Anchor != nil && !law.Relative {
				return nil, hinted{fmt.Errorf("%s needs no anchor: it states η* itself", law.Title), "remove anchor_N, anchor_D and anchor_lr"}
			}
			c.Note(law.Conditions)
			return v, nil
		},
	}
}
