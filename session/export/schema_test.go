package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session"
)

// A schema says what kind each field has: "number", "string", "bool", "null" and
// combinations such as "number|null"; a nested object is a schema itself, a list has
// the schema of its elements in a slice of one. "?" before a name: may be absent.
type schema map[string]any

var keySchema = schema{"?N": "number", "?D": "number", "?B": "number", "?cell": "string"}

var schemas = map[string]schema{
	"table": {
		"type": "string", "notes": []any{"string"}, "rows": "number", "source": "string",
		"columns": []any{schema{"name": "string", "kind": "string", "?role": "string"}},
	},
	"view": {
		"type": "string", "notes": []any{"string"}, "rows": "number", "source": "string",
		"columns": []any{schema{"name": "string", "kind": "string", "?role": "string"}},
		"data":    []any{[]any{"number|string|null"}},
	},
	"curves": {
		"type": "string", "notes": []any{"string"}, "form": "string", "window": "string", "batch": "string",
		"runs": "number", "diverged": "number",
		"cells": []any{schema{
			"key": keySchema, "lr": "number|null", "ln_lr_se": "number|null", "loss": "number|null", "r2": "number|null",
			"n": "number", "flags": []any{"string"}, "?bound": "string", "?bound_lr": "number",
			"runs": "number", "diverged": "number", "excluded": "number",
		}},
	},
	"law": {
		"type": "string", "notes": []any{"string"}, "form": "string", "?custom": "string", "formula": "string", "batch": "string",
		"coef": map[string]any{"": "number"}, "se": map[string]any{"": "number|null"}, "errors": "string",
		"ci95": map[string]any{"": []any{"number|null"}}, "?t95": map[string]any{"": []any{"number|null"}},
		"pinned": []any{"string"}, "n": "number", "dof": "number", "r2": "number|null", "resid_sd": "number|null",
		"cells": []any{schema{
			"key": keySchema, "lr": "number|null", "fitted": "number|null", "residual": "number|null", "used": "bool", "why": "string",
		}},
	},
	"prediction": {
		"type": "string", "law": "string", "batch": "string", "batch_tokens": "number|null",
		"target": map[string]any{"": "number"}, "lr": "number", "low": "number|null", "high": "number|null", "level": "number",
		"band": []any{"number|null"}, "near": "number", "at": "number|null", "at_regret": "number|null", "interval_regret": "number|null",
		"extrapolation": map[string]any{"": "number"}, "warnings": []any{"string"},
		"windows": []any{schema{"window": "string", "lr": "number|null", "n": "number", "?error": "string"}},
		"beside":  []any{schema{"name": "string", "lr": "number|null", "batch_tokens": "number|null", "comparable": "bool", "why": "string"}},
	},
	"comparison": {
		"type": "string", "notes": []any{"string"}, "holdout": "string", "train": []any{keySchema}, "test": []any{keySchema},
		"rows": []any{schema{
			"name": "string", "mean_abs_err": "number|null", "bias": "number|null", "rms_err": "number|null", "max_abs_err": "number|null",
			"mean_penalty": "number|null", "max_penalty": "number|null", "coverage": "number|null", "in_sample": "bool",
			"comparable": "bool", "condition": "string", "error": "string",
			"cells": []any{schema{
				"key": keySchema, "lr": "number|null", "measured": "number|null", "ln_err": "number|null", "penalty": "number|null",
				"clamped": "bool", "covered": "bool|null",
			}},
		}},
	},
	"published": {
		"type": "string", "notes": []any{"string"}, "name": "string", "title": "string", "source": "string", "formula": "string",
		"batch": "string", "means": "string", "conditions": "string", "status": "string", "needs": []any{"string"}, "relative": "bool",
		"ranges": map[string]any{"": []any{"number|null"}}, "anchor": "null",
	},
	"picture":     {"type": "string", "notes": []any{"string"}, "of": "string", "file": "string|null"},
	"note":        {"type": "string", "notes": []any{"string"}, "text": "string"},
	"expectation": {"type": "string", "notes": []any{"string"}, "met": "bool", "got": "number|null", "said": "string", "path": "string"},
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case float64:
		return "number"
	case string:
		return "string"
	case bool:
		return "bool"
	}
	return "other"
}

// mismatch says where v departs from what is documented.
func mismatch(path string, v, want any) []string {
	switch want := want.(type) {
	case string:
		for w := range strings.SplitSeq(want, "|") {
			if kindOf(v) == w {
				return nil
			}
		}
		return []string{fmt.Sprintf("%s is %v, want %s", path, v, want)}
	case []any:
		list, ok := v.([]any)
		if !ok {
			return []string{path + " is no list"}
		}
		var out []string
		for i, e := range list {
			out = append(out, mismatch(fmt.Sprintf("%s[%d]", path, i), e, want[0])...)
		}
		return out
	case map[string]any: // any names
		o, ok := v.(map[string]any)
		if !ok {
			return []string{path + " is no object"}
		}
		var out []string
		for name, e := range o {
			out = append(out, mismatch(path+"."+name, e, want[""])...)
		}
		return out
	case schema:
		o, ok := v.(map[string]any)
		if !ok {
			return []string{path + " is no object"}
		}
		var out []string
		known := map[string]bool{}
		for name, w := range want {
			bare := strings.TrimPrefix(name, "?")
			known[bare] = true
			e, there := o[bare]
			switch {
			case there:
				out = append(out, mismatch(path+"."+bare, e, w)...)
			case bare == name:
				out = append(out, path+"."+bare+" is absent")
			}
		}
		for name := range o {
			if !known[name] {
				out = append(out, path+"."+name+" is not documented")
			}
		}
		return out
	}
	return []string{path + ": the schema is wrong"}
}

type exported struct {
	Values map[string]map[string]any `json:"values"`
	Errors []problem                 `json:"errors"`
}

func decoded(t *testing.T, s *session.Session) exported {
	t.Helper()
	var out exported
	if err := json.Unmarshal(render(t, func(b *bytes.Buffer) error { return JSON(b, s) }), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSchema(t *testing.T) {
	e := decoded(t, open(t, "testdata/sweep.md"))
	e.Values["plot"] = decoded(t, compute(t, "p = plot (law (curves (load \"sweep.csv\"))) \"law.svg\"")).Values["p"]
	seen := map[string]bool{}
	for name, v := range e.Values {
		kind, _ := v["type"].(string)
		seen[kind] = true
		for _, m := range mismatch(name, v, schemas[kind]) {
			t.Error(m)
		}
	}
	for kind := range schemas {
		if !seen[kind] {
			t.Errorf("no value of type %s was checked", kind)
		}
	}
	if got := e.Values["plot"]["file"]; got != "law.svg" {
		t.Errorf("file of a picture: %v, want law.svg", got)
	}
}

func TestErrorsInJSON(t *testing.T) {
	e := decoded(t, open(t, "testdata/sweep.md"))
	want := []problem{
		{Cell: "broken", Line: 36, Col: 1, Kind: "failed", Message: "no row of 108 is left; loosen the condition"},
		{Cell: "waits", Line: 37, Col: 1, Kind: "waiting", Message: "waits for broken"},
		{Cell: "#19", Line: 38, Col: 9, Kind: "statement", Message: "nothing is named nothing; law holds a law"},
		{Cell: "#20", Line: 39, Col: 1, Kind: "expectation", Message: "expectation not met: target.lr: 0.003396, expected > 1"},
	}
	if diff := cmp.Diff(want, e.Errors); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"broken", "waits", "#19"} {
		if _, ok := e.Values[name]; ok {
			t.Errorf("%s has a value", name)
		}
	}
	empty := decoded(t, quiet(t, session.New("", ".")))
	if empty.Values == nil || empty.Errors == nil || len(empty.Values)+len(empty.Errors) > 0 {
		t.Errorf("an empty notebook gives %+v", empty)
	}
}

func TestBoundsAndNulls(t *testing.T) {
	e := decoded(t, open(t, "testdata/sweep.md"))
	cells := e.Values["curves"]["cells"].([]any)
	edge := cells[len(cells)-1].(map[string]any)
	for _, name := range []string{"lr", "ln_lr_se", "loss"} {
		if edge[name] != nil {
			t.Errorf("%s of a cell with its minimum at the edge: %v, want null", name, edge[name])
		}
	}
	if edge["bound"] != "above" || edge["bound_lr"] != 0.004653 {
		t.Errorf("bound %v at %v, want above 0.004653", edge["bound"], edge["bound_lr"])
	}
	if diff := cmp.Diff([]any{"argmin_at_grid_edge", "fewer_than_5_points", "vertex_outside_fitted_points", "vertex_outside_grid"}, edge["flags"]); diff != "" {
		t.Error(diff)
	}
	cells = e.Values["law"]["cells"].([]any)
	left := cells[len(cells)-1].(map[string]any)
	if left["used"] != false || left["why"] == "" || left["lr"] != nil || left["residual"] != nil {
		t.Errorf("cell left out of the law: %v", left)
	}
	if knife := e.Values["knife"]; knife["errors"] != "jackknife" || knife["t95"] != nil || knife["ci95"] == nil {
		t.Errorf("a law with errors by jackknife: %v, t95 %v", knife["errors"], knife["t95"])
	}
	few := e.Values["few"]
	if few["resid_sd"] != nil || few["se"].(map[string]any)["N"] != nil {
		t.Errorf("a law without degrees of freedom: %v, %v", few["resid_sd"], few["se"])
	}
	alone := e.Values["alone"]
	if alone["low"] != nil || alone["high"] != nil || alone["at"] != nil {
		t.Errorf("a prediction without an interval: %v to %v", alone["low"], alone["high"])
	}
	if diff := cmp.Diff([]any{"D"}, e.Values["pinned"]["pinned"]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]any{"N": 7e9, "D": 1.4e12}, e.Values["target"]["target"]); diff != "" {
		t.Error(diff)
	}
}

// TestEveryFlagIsNamed reads the flags from the source of fitting: a new one needs a stable name.
func TestEveryFlagIsNamed(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../fitting/curve.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Values) != 1 || !strings.HasPrefix(v.Names[0].Name, "Flag") {
			return true
		}
		text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		found++
		if flagIDs[fitting.Flag(text)] == "" {
			t.Errorf("%s has no identifier", v.Names[0].Name)
		}
		return true
	})
	if found != len(flagIDs) {
		t.Errorf("%d flags in fitting, %d identifiers", found, len(flagIDs))
	}
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range flagIDs {
		if !bytes.Contains(doc, []byte(id)) {
			t.Errorf("%s is not documented", id)
		}
	}
	if got := identifiers([]fitting.Flag{"some new thing"}); got[0] != "some_new_thing" {
		t.Errorf("an unknown flag becomes %q", got[0])
	}
}

func TestCSV(t *testing.T) {
	s := open(t, "testdata/sweep.md")
	for name, want := range map[string][]string{
		"runs":   {"name,N,D,lr,batch_tokens,val loss", "run|<b>1</b>,100000000,2000000000,"},
		"view":   {"name,lr,val loss", "run|<b>100</b>,0.0002908,2.9624"},
		"curves": {"N,D,lr,ln_lr_se,loss,r2,n,flags,bound,bound_lr", "100000000,2000000000,0.013"},
		"law":    {"name,value,se,lo95,hi95,errors,pinned", "C,25."},
		"few":    {"name,value,se,lo95,hi95,errors,pinned", "C,27."},
		"target": {"N,D,B,C,active,experts,loss,lr,low,high,level,band_low,band_high,near,at,at_regret,batch,warnings", "7000000000,1400000000000,,,,,,0.0033"},
		"score":  {"law,mean_abs_err,bias,rms_err,max_abs_err,mean_penalty,max_penalty,coverage,in_sample,comparable,condition,error", "power,0.00"},
	} {
		lines := strings.Split(string(render(t, func(b *bytes.Buffer) error { return CSV(b, s, name) })), "\n")
		if lines[0] != want[0] || !strings.HasPrefix(lines[1], want[1]) {
			t.Errorf("%s: %q\n%q", name, lines[0], lines[1])
		}
	}
	data, err := os.ReadFile("testdata/sweep.csv")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(data), string(render(t, func(b *bytes.Buffer) error { return CSV(b, s, "runs") }))); diff != "" {
		t.Errorf("a table does not come back as it was: %s", diff)
	}
	curves := string(render(t, func(b *bytes.Buffer) error { return CSV(b, s, "curves") }))
	if !strings.Contains(curves, "\n800000000,32000000000,,,,") || !strings.HasSuffix(curves, ",above,0.004653\n") {
		t.Errorf("the bound is not in %s", curves)
	}
}

func TestCSVErrors(t *testing.T) {
	s := open(t, "testdata/sweep.md")
	for name, want := range map[string]string{
		"":       "CSV and Parquet hold one value: name it; there are runs, curves, law, target, good, view, score, few, alone, pinned, own, knife",
		"rusn":   "nothing is named rusn; there are runs, ",
		"remark": "remark holds a note, which has no rows; there are runs, ",
		"broken": "broken failed: no row of 108 is left",
		"waits":  "waits has no value: waits for broken",
	} {
		err := CSV(&bytes.Buffer{}, s, name)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", name, err, want)
		}
		var no *NoValue
		if got, want := errors.As(err, &no), name != "broken" && name != "waits"; got != want {
			t.Errorf("%q: at fault is the request: %v, want %v", name, got, want)
		}
	}
}
