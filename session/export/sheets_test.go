package export

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/table"
)

var sheeted = schema{
	"type": "string", "notes": []any{"string"}, "summary": "string",
	"tables": []any{schema{"name": "string", "columns": []any{"string"}, "rows": []any{[]any{"number|string|null"}}}},
}

const transfers = "base = shape d_model=256 layers=4 lr=3e-3\nr = rule completep against=mup\n" +
	"t = transfer base=base target=(shape d_model=1024 layers=8) rule=r\ncost = plan N=[1M,2M] D=[10M,20M]"

// TestTables: values that are tables are documented, complete in every format, and a
// transfer is written for every trainer.
func TestTables(t *testing.T) {
	s := compute(t, transfers)
	e := decoded(t, s)
	for _, name := range []string{"base", "r", "t", "cost"} {
		for _, m := range mismatch(name, e.Values[name], sheeted) {
			t.Error(m)
		}
	}
	target := e.Values["t"]["tables"].([]any)[0].(map[string]any)
	q := target["rows"].([]any)[1].([]any)
	if target["name"] != "target" || q[0] != "attention_q" || q[2] != 0.00075 {
		t.Errorf("%v", q)
	}
	csv := string(render(t, func(b *bytes.Buffer) error { return CSV(b, s, "t") }))
	if !strings.Contains(csv, "module,init_std,lr,weight_decay,eps,multiplier\n") || !strings.Contains(csv, "\nattention_q,0.03125,0.00075,0.4,") {
		t.Error(csv)
	}
	for _, write := range []func(b *bytes.Buffer) error{
		func(b *bytes.Buffer) error { return Text(b, s, 120) }, func(b *bytes.Buffer) error { return HTML(b, s) }, func(b *bytes.Buffer) error { return Markdown(b, s) },
	} {
		out := strings.ReplaceAll(string(render(t, write)), `\`, "") // Markdown escapes _
		for _, want := range []string{"attention_q", "3e-3 → 7.5e-4", "search factor", "arXiv 2505.01618", "residual"} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
	}
	for trainer, want := range map[string]string{"megatron": "--lr 0.00075", "torchtitan": "lr = 0.00075", "huggingface": "0.00075", "nanotron": "0.00075", "pytorch": "0.00075"} {
		if out := string(render(t, func(b *bytes.Buffer) error { return Snippet(b, s, "", trainer) })); !strings.Contains(out, want) {
			t.Errorf("%s: no %s in\n%s", trainer, want, out)
		}
	}
	var no *NoValue
	var b bytes.Buffer
	for _, err := range []error{Snippet(&b, s, "t", "caffe"), Snippet(&b, s, "r", "megatron"), Snippet(&b, compute(t, "note x"), "", "megatron")} {
		if !errors.As(err, &no) {
			t.Errorf("%v", err)
		}
	}
}

// study is one table and one picture.
type study struct{}

func (study) Summary() string { return "9 of 10 modules are flat" }

func (study) Fields() []session.NamedNumber { return nil }

func (study) Sheets() []session.Sheet {
	return []session.Sheet{{Name: "slopes", Heads: []string{"module", "slope"}, Rows: [][]session.Entry{{{Text: "head", Value: math.NaN()}, {Text: "−0.02", Value: -0.0213}}}}}
}

func (study) Plots() []session.Plot {
	return []session.Plot{{Name: "a long name", Short: "head", XName: "x", Lines: []session.PlotLine{{Name: "step 1", Note: "flat", X: []float64{1, 2}, Y: []float64{3, 4}}}}}
}

// TestStudy: what a sweep's runs say together stands before the runs, with its numbers in
// full for programs and its picture on a page.
func TestStudy(t *testing.T) {
	v := session.Sweep{Table: &table.Table{}, Study: study{}}
	blocks := report(v, ".", 10)
	if l, ok := blocks[0].(line); !ok || l.text != "9 of 10 modules are flat" {
		t.Errorf("%v", blocks[0])
	}
	if g, ok := blocks[1].(*grid); !ok || g.title != "slopes" || g.rows[0][1] != "−0.02" || !g.right[1] || g.right[0] {
		t.Errorf("%v", blocks[1])
	}
	o := encode(&session.Cell{}, v, ".")
	tables := o["study"].(object)["tables"].([]object)
	if rows := tables[0]["rows"].([][]any); rows[0][0] != "head" || rows[0][1] != -0.0213 {
		t.Errorf("%v", tables)
	}
	if l := v.StudyLines(); l.Panels[0].Title != "head" || l.Panels[0].Lines[0].Y[1] != 4 || l.Panels[0].Lines[0].Name != "step 1, flat" {
		t.Errorf("%+v", l)
	}
	if _, ok := encode(&session.Cell{}, session.Sweep{Table: &table.Table{}}, ".")["study"]; ok {
		t.Error("a sweep without a study has one")
	}
}
