package session

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/language"
	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/session/table"
)

// lawForms are the words of form=.
var lawForms = []string{"power", "N_only", "D_only", "C_only", "power_B"} // power_B last: it needs cells keyed by B

func lawVerb() *Verb {
	exponent := func(name, of string) Param {
		return Param{
			Name: name, Doc: "exponent of " + of + ": free, or pinned at a number", Words: []string{"free"},
			Number: &NumberSpec{Min: -10, Max: 10, Step: 0.01}, Default: "free", Knob: true,
		}
	}
	return &Verb{
		Name:    "law",
		Summary: "η* as a function of N, D and more, through the vertices of curves",
		Doc: "Fits ln η* over the cells that have a vertex; cells that only give a bound are left out and listed. power is C·N^a·D^b, power_B adds B^c, " +
			"the others keep one variable. A form in quotes is your own: \"C * N^a * (1 + D/D0)^b\" over N, D, B and FLOPs; any other name in it is a parameter " +
			"that is fitted, or pinned by name=number.",
		Example: `law = law curves form=power`,
		Result:  "law",
		Params: []Param{
			{Name: "curves", Doc: "the curves", Input: []string{"curves"}, Position: true, Required: true},
			{Name: "form", Doc: "power, N_only, D_only, C_only, power_B (cells keyed by B), or your own formula in quotes", Words: lawForms, String: true, Default: "power", Stops: lawForms, Knob: true},
			exponent("N", "N"),
			exponent("D", "D"),
			exponent("B", "B (form=power_B)"),
			exponent("FLOPs", "the training FLOPs (form=C_only)"),
			{Name: "C", Doc: "the constant: free, or pinned at a number", Words: []string{"free"}, Number: &NumberSpec{Above: true, Log: true}, Default: "free"},
			{Name: "weights", Doc: "every cell the same, or by the standard error of its vertex", Words: []string{"none", "se"}, Default: "none", Knob: true},
			{
				Name: "robust", Doc: "Huber loss: residuals above this (in ln η) count linearly", Words: []string{"off"}, Number: &NumberSpec{Above: true, Max: 10},
				Default: "off", Stops: []string{"off", "0.2", "0.1", "0.05", "0.02"}, Knob: true,
			},
			{Name: "bounds", Doc: "off leaves out cells whose minimum is at the grid's edge; use counts their vertex as if it were measured", Words: []string{"off", "use"}, Default: "off", Knob: true},
			{
				Name: "errors", Doc: "where standard errors and intervals of the coefficients come from: Student's t around the fit, leaving each cell out in turn, or resampling the cells",
				Words: []string{"t", "jackknife", "bootstrap"}, Default: "t", Knob: true,
			},
			{Name: "samples", Doc: "bootstrap samples", Number: &NumberSpec{Min: 50, Max: 100_000, Integer: true}, Default: "1000"},
			{Name: "seed", Doc: "bootstrap seed", Number: &NumberSpec{Min: 0, Max: 1 << 53, Integer: true}, Default: "0"},
			{Name: "exclude", Doc: "cells left out by hand: \"215M,100B\" or their number in the curves, from 1", Number: &NumberSpec{Min: 1, Integer: true}, String: true, List: true},
		},
		open:   &Param{Name: "parameter", Doc: "a parameter of your own formula, pinned at a number", Number: &NumberSpec{Min: math.Inf(-1)}},
		turned: lawKnob,
		run:    runLaw,
	}
}

func lawKnob(v Value, param string) (float64, bool) {
	l, ok := v.(Law)
	if !ok {
		return 0, false
	}
	for _, co := range l.Coef {
		if co.Name == param {
			return co.Value, true
		}
	}
	return 0, false
}

func runLaw(c *Call) (Value, error) {
	cs := c.Input("curves").(Curves)
	o := fitting.LawOptions{Form: fitting.LawForm(c.Text("form")), Pin: map[string]float64{}, Exclude: map[int]bool{}}
	if c.args["form"].Kind == language.String {
		custom, err := customForm(c.Text("form"))
		if err != nil {
			return nil, errParam{"form", err}
		}
		o.Form, o.Custom = fitting.Custom, custom
	}
	pinned, err := c.pins(&o)
	if err != nil {
		return nil, err
	}
	if c.Text("weights") == "se" {
		o.Weights = fitting.WeightSE
	}
	if c.IsNumber("robust") {
		o.Huber = c.Number("robust")
	}
	o.UseBounds = c.Text("bounds") == "use"
	for _, text := range c.Texts("exclude") {
		i, err := cellIndex(cs.CurveSet, text)
		if err != nil {
			return nil, errParam{"exclude", err}
		}
		o.Exclude[i] = true
	}
	l, err := fitting.FitLaw(cs.CurveSet, o)
	if err != nil {
		if pinned != "" {
			return nil, errParam{pinned, err}
		}
		return nil, err
	}
	if kind := fitting.ErrorKind(c.Text("errors")); kind != fitting.ErrorsT {
		if l, err = l.WithErrors(kind, int(c.Number("samples")), uint64(c.Number("seed"))); err != nil {
			return nil, errParam{"errors", err}
		}
	}
	c.Note(l.Notes...)
	return Law{Law: l, Provisional: cs.Provisional}, nil
}

// pins collects what is held fixed; last is the parameter pinned last.
func (c *Call) pins(o *fitting.LawOptions) (last string, err error) {
	names := []string{"N", "D", "B", "FLOPs", "C"}
	for _, name := range c.order {
		if c.Verb.param(name) == nil {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if !c.IsNumber(name) {
			continue
		}
		if o.Custom != nil && !slices.Contains(o.Custom.Params, name) {
			return "", errParam{name, hinted{fmt.Errorf("the formula %q has no parameter %s", o.Custom.Text, name), "its parameters: " + strings.Join(o.Custom.Params, ", ")}}
		}
		if o.Custom == nil && c.Verb.param(name) == nil {
			hint := "law takes " + strings.Join(c.Verb.paramNames(), " ")
			if w := nearestWord(name, c.Verb.paramNames()); w != "" {
				hint = fmt.Sprintf("did you mean %s?", w)
			}
			return "", errParam{name, hinted{fmt.Errorf("law has no parameter %q", name), hint}}
		}
		o.Pin[name], last = c.Number(name), name
	}
	return last, nil
}

// customVariables are what a formula of the user's own may use besides its parameters.
var customVariables = []string{"N", "D", "B", "FLOPs"}

func customForm(text string) (*fitting.CustomForm, error) {
	f, err := table.CompileFormula(text, customVariables)
	if err != nil {
		return nil, err
	}
	return &fitting.CustomForm{
		Text:   text,
		Params: f.Params,
		Eval: func(t fitting.Target, theta []float64) float64 {
			vars := [4]float64{t.N, t.D, t.B, t.C}
			return f.Eval(vars[:], theta)
		},
	}, nil
}

// CellLabel names a cell the way the screen does and exclude= takes: "215M, 4B".
func CellLabel(k fitting.Key) string { return number.Key(k) }

// cellIndex finds a cell by its label or its number from 1.
func cellIndex(cs *fitting.CurveSet, text string) (int, error) {
	if n, _, ok := language.ParseNumber(text); ok && !strings.Contains(text, ",") {
		if i := int(n) - 1; n == math.Trunc(n) && i >= 0 && i < len(cs.Curves) {
			return i, nil
		}
		return 0, hinted{fmt.Errorf("there is no cell %s", text), fmt.Sprintf("cells are numbered 1 to %d", len(cs.Curves))}
	}
	squeeze := func(s string) string { return strings.ReplaceAll(s, " ", "") }
	labels := make([]string, len(cs.Curves))
	found := -1
	for i := range cs.Curves {
		labels[i] = CellLabel(cs.Curves[i].Key)
		if squeeze(labels[i]) == squeeze(text) {
			if found >= 0 {
				return 0, hinted{fmt.Errorf("more than one cell is labelled %q", text), "use the cell's number instead"}
			}
			found = i
		}
	}
	if found >= 0 {
		return found, nil
	}
	hint := "cells: " + strings.Join(clip(labels, 6), "; ")
	if w := nearestWord(text, labels); w != "" {
		hint = fmt.Sprintf("did you mean %q?", w)
	}
	return 0, hinted{fmt.Errorf("there is no cell %q", text), hint}
}
