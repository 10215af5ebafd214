package export

import (
	"math"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/table"
)

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// num is a JSON number; null where x is not finite.
func num(x float64) any {
	if !finite(x) {
		return nil
	}
	return x
}

// pair is an interval.
func pair(lo, hi float64) []any { return []any{num(lo), num(hi)} }

// list is never null in JSON.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// encode turns a value into its documented object.
func encode(c *session.Cell, v session.Value, dir string) object {
	o := object{}
	switch v := v.(type) {
	case session.Table:
		encodeTable(o, v.Table, v.Columns)
	case session.View:
		encodeView(o, v)
	case session.Sweep:
		encodeView(o, session.View{Table: v.Table})
		o["started"], o["over"] = v.Started(), v.Finished()
		if v.Study != nil {
			study := object{}
			encodeSheets(study, v.Study)
			o["study"] = study
		}
	case session.Curves:
		encodeCurves(o, v.CurveSet)
	case session.Law:
		encodeLaw(o, v.Law)
	case session.Published:
		encodePublished(o, v)
	case session.Prediction:
		encodePrediction(o, v.Prediction)
	case session.Comparison:
		encodeComparison(o, v.Comparison)
	case session.Picture:
		o["of"], o["file"] = v.Of.Type(), nil
		if v.File != "" {
			o["file"] = relative(v.File, dir)
		}
	case session.Sheeted:
		encodeSheets(o, v)
	case session.Note:
		o["text"] = v.Text
	case session.Expectation:
		o["met"], o["got"], o["said"], o["path"] = v.Met, num(v.Got), v.Said, v.Path
	}
	o["type"] = v.Type()
	if _, ok := v.(session.Prediction); !ok { // its notes are its warnings
		o["notes"] = list(c.Notes)
	}
	return o
}

func encodeTable(o object, t *table.Table, cols []*table.Column) {
	roles := map[string]table.Role{}
	for _, r := range table.AllRoles() {
		if src, ok := t.Roles[r]; ok {
			roles[src.Column] = r
		}
	}
	columns := make([]object, len(cols))
	for i, c := range cols {
		columns[i] = object{"name": c.Name, "kind": kindWord(c.Kind)}
		if r, ok := roles[c.Name]; ok {
			columns[i]["role"] = string(r)
		}
	}
	o["rows"], o["columns"], o["source"] = t.Rows, columns, t.Source
}

func kindWord(k table.Kind) string {
	if k == table.Text {
		return "text"
	}
	return "number"
}

func encodeView(o object, v session.View) {
	cols := shownColumns(v)
	encodeTable(o, v.Table, cols)
	data := make([][]any, v.Rows)
	for i := range data {
		data[i] = make([]any, len(cols))
		for k, c := range cols {
			if c.Kind == table.Text {
				data[i][k] = c.String(i)
			} else {
				data[i][k] = num(c.Value(i))
			}
		}
	}
	o["data"] = data
}

func encodeKey(k fitting.Key) object {
	o := object{}
	for _, q := range []struct {
		name  string
		value float64
	}{{"N", k.N}, {"D", k.D}, {"B", k.B}} {
		if q.value != 0 {
			o[q.name] = num(q.value)
		}
	}
	if k.Extra != "" {
		o["cell"] = k.Extra
	}
	return o
}

func encodeCurves(o object, s *fitting.CurveSet) {
	cells := make([]object, len(s.Curves))
	for i := range s.Curves {
		c := &s.Curves[i]
		cell := object{
			"key": encodeKey(c.Key), "lr": nil, "ln_lr_se": nil, "loss": nil, "r2": num(c.R2), "n": c.NFit,
			"flags": identifiers(c.Flags), "runs": c.Runs, "diverged": len(c.Diverged), "excluded": len(c.Excluded),
		}
		if c.OK {
			cell["lr"], cell["ln_lr_se"], cell["loss"] = num(math.Exp(c.LnLR)), num(c.LnLRSE), num(c.Loss)
		}
		if c.Bound != fitting.NoBound {
			cell["bound"], cell["bound_lr"] = boundWord(c.Bound), num(c.BoundLR)
		}
		cells[i] = cell
	}
	o["cells"], o["runs"], o["diverged"] = cells, s.Runs, s.Diverged()
	o["form"], o["window"], o["batch"] = formName(s.Options.Form), s.Options.Window.String(), s.Options.Batch.String()
}

func encodeLaw(o object, l *fitting.Law) {
	coef, se, ci, pinned := object{}, object{}, object{}, []string{}
	for _, c := range l.Coef {
		coef[c.Name], se[c.Name], ci[c.Name] = num(c.Value), num(c.SE), pair(c.Lo, c.Hi)
		if c.Pinned {
			pinned = append(pinned, c.Name)
		}
	}
	cells := make([]object, len(l.Cells))
	for i := range l.Cells {
		c := &l.Cells[i]
		lr, residual := measured(l, c)
		cells[i] = object{
			"key": encodeKey(c.Key), "residual": num(residual), "used": c.Used, "why": c.Why,
			"lr": num(lr), "fitted": num(math.Exp(c.Fitted)),
		}
	}
	o["form"] = string(l.Options.Form)
	switch l.Options.Form {
	case "":
		o["form"] = string(fitting.PowerND)
	case fitting.Custom:
		o["custom"] = l.Options.Custom.Text
	case fitting.PowerND, fitting.PowerNDB, fitting.PowerN, fitting.PowerD, fitting.PowerC:
	}
	o["coef"], o["se"], o["ci95"], o["errors"], o["pinned"], o["cells"] = coef, se, ci, string(l.Errors), pinned, cells
	if l.Errors == fitting.ErrorsT {
		o["t95"] = ci
	}
	o["n"], o["dof"], o["r2"], o["resid_sd"] = l.N, l.DOF, num(l.R2), num(l.ResidSD)
	o["batch"], o["formula"] = l.Batch.String(), l.Text()
}

func encodePublished(o object, v session.Published) {
	p := v.Published
	o["name"], o["title"], o["source"], o["formula"] = p.Name, p.Title, p.Source, p.Formula
	o["batch"], o["means"], o["conditions"], o["status"] = p.Batch, p.Means, p.Conditions, p.Status
	o["needs"], o["relative"], o["anchor"] = list(p.Needs), p.Relative, nil
	if v.Anchor != nil {
		o["anchor"] = object{"N": num(v.Anchor.N), "D": num(v.Anchor.D), "lr": num(v.Anchor.LR)}
	}
	ranges := object{}
	for _, q := range []struct {
		name string
		r    [2]float64
	}{{"N", p.NRange}, {"D", p.DRange}, {"C", p.CRange}} {
		if q.r != [2]float64{} {
			ranges[q.name] = []any{end(q.r[0]), end(q.r[1])}
		}
	}
	o["ranges"] = ranges
}

// end is an end of a range; null where it is not stated.
func end(x float64) any {
	if x == 0 {
		return nil
	}
	return num(x)
}

func encodePrediction(o object, p *fitting.Prediction) {
	target := object{}
	t := &p.Target
	for _, q := range []struct {
		name  string
		value float64
	}{
		{"N", t.N},
		{"D", t.D},
		{"B", t.B},
		{"C", t.C},
		{"active", t.NActive},
		{"experts", t.Experts},
		{"active_experts", t.ActiveExperts},
		{"loss", t.FinalLoss},
	} {
		if q.value != 0 {
			target[q.name] = num(q.value)
		}
	}
	windows := make([]object, len(p.Windows))
	for i, w := range p.Windows {
		windows[i] = object{"window": w.Window.String(), "lr": num(math.Exp(w.LnLR)), "n": w.N}
		if w.Err != "" {
			windows[i]["error"], windows[i]["lr"] = w.Err, nil
		}
	}
	beside := make([]object, len(p.Beside))
	for i, b := range p.Beside {
		beside[i] = object{"name": b.Name, "lr": num(b.LR), "comparable": b.Comparable, "why": b.Why, "batch_tokens": num(b.B)}
	}
	factors := object{}
	for _, q := range []struct {
		name  string
		value float64
	}{{"N", p.NFactor}, {"D", p.DFactor}, {"C", p.CFactor}, {"B", p.BFactor}} {
		if finite(q.value) {
			factors[q.name] = q.value
		}
	}
	o["target"], o["lr"], o["low"], o["high"], o["level"] = target, num(p.LR), num(p.Low), num(p.High), num(p.Level)
	o["band"], o["near"] = pair(p.Band[0], p.Band[1]), num(p.NearOptimal)
	o["at"], o["at_regret"] = nil, nil
	if p.At > 0 {
		o["at"], o["at_regret"] = num(p.At), num(p.AtRegret)
	}
	o["interval_regret"], o["extrapolation"] = num(p.IntervalRegret), factors
	o["windows"], o["beside"], o["warnings"] = windows, beside, list(p.Warnings)
	o["batch"], o["batch_tokens"], o["law"] = p.Batch.String(), num(p.BatchTokens), p.LawText
}

func encodeComparison(o object, c *fitting.Comparison) {
	rows := make([]object, len(c.Rows))
	for i := range c.Rows {
		r := &c.Rows[i]
		cells := make([]object, len(r.Cells))
		for k, x := range r.Cells {
			cells[k] = object{
				"key": encodeKey(x.Key), "lr": num(x.Predict), "measured": num(x.Measured), "ln_err": num(x.LnErr),
				"penalty": num(x.Penalty), "clamped": x.Clamped, "covered": nil,
			}
			if x.HasPI {
				cells[k]["covered"] = x.Covered
			}
		}
		rows[i] = object{
			"name": r.Name, "mean_abs_err": num(r.MeanAbsErr), "bias": num(r.Bias), "rms_err": num(r.RMSErr), "max_abs_err": num(r.MaxAbsErr),
			"mean_penalty": num(r.MeanPenalty), "max_penalty": num(r.MaxPenalty), "coverage": num(r.Coverage),
			"in_sample": r.InSample, "comparable": r.Comparable, "condition": r.Condition, "error": r.Err, "cells": cells,
		}
	}
	o["holdout"], o["rows"] = holdOutWord(c.HoldOut), rows
	o["train"], o["test"] = encodeKeys(c.Train), encodeKeys(c.Test)
}

func encodeKeys(keys []fitting.Key) []object {
	out := make([]object, len(keys))
	for i, k := range keys {
		out[i] = encodeKey(k)
	}
	return out
}
