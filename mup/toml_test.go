package mup_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/etastar/etastar/mup"
	"github.com/google/go-cmp/cmp"
)

// everyRule is the published rules, some composed and some edited.
func everyRule(t testing.TB) []*mup.Rule {
	all := mup.Published()
	for _, name := range []string{"mup+horizon_zhou", "minicpm+horizon_bjorck", "moe_mup+horizon_delphi"} {
		all = append(all, find(t, name))
	}
	edited := find(t, "mup")
	for _, c := range []struct {
		m mup.Module
		q mup.Quantity
		d mup.Dim
		x float64
	}{
		{mup.Head, mup.LR, mup.Width, -0.1234567890123456789},
		{mup.MLPDown, mup.LR, mup.Depth, 1e-5},
		{mup.Residual, mup.Multiplier, mup.Depth, -2.0 / 3},
	} {
		next, err := edited.Edit(c.m, c.q, c.d, c.x)
		if err != nil {
			t.Fatal(err)
		}
		edited = next
	}
	return append(all, edited)
}

func TestTOMLRoundTrip(t *testing.T) {
	for _, r := range everyRule(t) {
		text, err := r.TOML()
		if err != nil {
			t.Fatalf("%s: %v", r.Name, err)
		}
		back, err := mup.ReadTOML(text)
		if err != nil {
			t.Fatalf("%s: %v\n%s", r.Name, err, text)
		}
		if d := cmp.Diff(r, back); d != "" {
			t.Errorf("%s (-written +read):\n%s", r.Name, d)
		}
	}
}

func TestTOMLGolden(t *testing.T) {
	text, err := find(t, "minicpm").TOML()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "minicpm.toml", string(text))
}

func TestTOMLByHand(t *testing.T) {
	r, err := mup.ReadTOML([]byte(`
name = "own"
status = "derived"
covers = ["width"]

[module.attention_q]
lr = { width = -1, note = """two
lines""" }
[module.head]
lr = {}
multiplier.width = -1
`))
	if err != nil {
		t.Fatal(err)
	}
	want := &mup.Rule{
		Name: "own", Status: mup.Derived, Covers: []mup.Dim{mup.Width},
		Entries: map[mup.Cell]mup.Entry{
			{Module: mup.AttentionQ, Quantity: mup.LR}:   {Exponents: mup.Exponents{Width: -1}, State: mup.Stated, Note: "two\nlines"},
			{Module: mup.Head, Quantity: mup.LR}:         {State: mup.Stated},
			{Module: mup.Head, Quantity: mup.Multiplier}: {Exponents: mup.Exponents{Width: -1}, State: mup.Stated},
		},
	}
	if d := cmp.Diff(want, r); d != "" {
		t.Error(d)
	}
}

func TestTOMLErrors(t *testing.T) {
	const head = "name = \"x\"\nstatus = \"read\"\ncovers = [\"width\"]\n" // three lines
	for _, c := range []struct {
		name, text string
		line       int
		says       string
	}{
		{"syntax", head + "[module.head\n", 4, "toml"},
		{"twice", head + "[module.head]\nlr = {}\nlr = {}\n", 6, "lr"},
		{"top key", "nam = \"x\"\n", 1, "did you mean name?"},
		{"module", head + "[module.attention_qq]\nlr = {}\n", 4, "did you mean attention_q?"},
		{"quantity", head + "[module.head]\ninit_sdt = {}\n", 5, "did you mean init_std?"},
		{"exponent", head + "[module.head]\nlr = {\n  wdth = -1 }\n", 6, "did you mean width?"},
		{"exponent, dotted", head + "\n[module.head]\nlr.dept = -1\n", 6, "did you mean depth?"},
		{"no such quantity of gains", head + "[module.norm]\ninit_std = {}\n", 5, "norm has no init_std: it has lr, eps"},
		{"text for a number", head + "[module.head]\nlr = { width = \"-1\" }\n", 5, "width is text: use a number"},
		{"number for a table", head + "[module.head]\nlr = -1\n", 5, "lr is a number: use a table"},
		{"NaN", head + "[module.head]\nlr = { width = nan }\n", 5, "within ±16"},
		{"infinite", head + "[module.head]\nlr = { width = inf }\n", 5, "within ±16"},
		{"not covered", head + "[module.head]\nlr = { depth = -1 }\n", 5, "add it to covers"},
		{"state", head + "[module.head]\nlr = { state = \"statd\" }\n", 5, "did you mean stated?"},
		{"status", "name = \"x\"\nstatus = \"raed\"\n", 2, "did you mean read?"},
		{"covers", "name = \"x\"\nstatus = \"read\"\ncovers = [\"with\"]\n", 3, "did you mean width?"},
		{"covers twice", "name = \"x\"\nstatus = \"read\"\ncovers = [\"width\", \"width\"]\n[module.head]\nlr = {}\n", 3, "width twice"},
		{"base lr", head + "base_lr = 0\n[module.head]\nlr = {}\n", 4, "use a positive number"},
		{"constant without value", head + "[base.head]\ninit_std = { depth = 1 }\n[module.head]\nlr = {}\n", 5, "has no value"},
		{"constant's key", head + "[base.head]\ninit_std = { value = 1, dpth = 1 }\n", 5, "did you mean depth?"},
		{"name", "name = \"two words\"\nstatus = \"read\"\n[module.head]\nlr = {}\n", 1, "use one word"},
		{"nothing said", head, 1, "no entries"},
		{"date", head + "[module.head]\nlr = { width = 2026-01-01 }\n", 5, "a date or time"},
		{"list of numbers", "name = \"x\"\nnotes = [1]\n", 2, "notes is a number: use text"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := mup.ReadTOML([]byte(c.text))
			if err == nil {
				t.Fatal("accepted")
			}
			var at *mup.LineError
			if !errors.As(err, &at) || at.Line != c.line || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v; want line %d and %q", err, c.line, c.says)
			}
		})
	}
}

// TestTOMLAllErrors: every mistake is named, in the order of lines.
func TestTOMLAllErrors(t *testing.T) {
	_, err := mup.ReadTOML([]byte("name = \"x\"\nstatus = \"read\"\n[module.heda]\nlr = {}\n[module.norm]\nlr = { with = 1 }\n"))
	want := "line 3: unknown module \"heda\": did you mean head?\nline 6: unknown exponent \"with\": did you mean width?"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want\n%s", err, want)
	}
}

func TestTOMLRefusesBadText(t *testing.T) {
	r := find(t, "sp")
	r.Title = "\xff"
	if _, err := r.TOML(); err == nil || !strings.Contains(err.Error(), "UTF-8") {
		t.Errorf("got %v", err)
	}
}

// FuzzReadTOML: no input panics, and what is read is written and read back the same.
func FuzzReadTOML(f *testing.F) {
	for _, r := range everyRule(f) {
		text, err := r.TOML()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("name = \"x\"\nstatus = \"read\"\n[module.head]\nlr = { width = -0.0, note = 'a' }\n"))
	f.Add([]byte("[[module]]\nhead = 1\n"))
	f.Add([]byte("module.head.lr.width = 1e400\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := mup.ReadTOML(data)
		if err != nil {
			return
		}
		text, err := r.TOML()
		if err != nil {
			t.Fatalf("read but not written: %v", err)
		}
		back, err := mup.ReadTOML(text)
		if err != nil {
			t.Fatalf("written but not read: %v\n%s", err, text)
		}
		if d := cmp.Diff(r, back); d != "" {
			t.Fatalf("(-read +again):\n%s", d)
		}
	})
}
