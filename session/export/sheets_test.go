package export

import (
	"bytes"
	"errors"
	"strings"
	"testing"
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
