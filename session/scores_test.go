package session

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadOpenCompass(t *testing.T) {
	dir := t.TempDir()
	text := "dataset,version,metric,mode,lr3e-4,lr1e-3,lr3e-3\nmmlu,-,naive_average,ppl,45.20,46.80,45.50\ncmmlu,-,naive_average,ppl,40.10,40.30,-\nlukaemon_mmlu_anatomy,2db373,accuracy,ppl,44.44,45.19,40.00\n"
	if err := os.WriteFile(filepath.Join(dir, "summary_20250101_000000.csv"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := New("```eta\ns = load \"summary_20250101_000000.csv\"\nm = where s dataset == \"mmlu\"\n```\n", dir)
	defer func() { _ = s.Close() }()
	settle(t, s)
	c := cell(t, s, "s")
	if c.Err != nil {
		t.Fatal(c.Err)
	}
	v := c.Value.(Table)
	if v.Rows != 8 || v.Column("score").Value(0) != 45.2 || v.Column("questions").Value(1) != 11528 || v.Column("low").Value(0) != 44.38 || v.Column("high").Value(0) != 46.02 || v.Column("low").String(2) != "" {
		t.Errorf("%d rows, %v in [%v, %v]", v.Rows, v.Column("score").Value(0), v.Column("low").Value(0), v.Column("high").Value(0))
	}
	notes := strings.Join(c.Notes, "\n")
	for _, want := range []string{
		"mmlu: lr1e-3 − lr3e-4 = +1.60 points [+0.43, +2.77]: lr1e-3 is better", "mmlu: lr3e-3 − lr3e-4 = +0.30 points", "cmmlu: lr1e-3 − lr3e-4 = +0.20 points [-1.07, +1.47]: they cannot be told apart",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("%s\nwant %s", notes, want)
		}
	}
	if strings.Contains(notes, "anatomy:") {
		t.Error(notes)
	}
	if c := cell(t, s, "m"); c.Err != nil || c.Value.(Table).Rows != 3 {
		t.Errorf("%v", c.Err)
	}
}
