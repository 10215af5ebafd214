package session

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etastar/etastar/mup"
	"github.com/etastar/etastar/trainer/config"
)

// evaluated computes statements and returns the cell of the last.
func evaluated(t *testing.T, dir string, statements ...string) Cell {
	t.Helper()
	s := New("```eta\n"+strings.Join(statements, "\n")+"\n```\n", dir)
	t.Cleanup(func() { _ = s.Close() })
	settle(t, s)
	cells := s.Cells()
	return cells[len(cells)-1]
}

// TestTransferVerb: every module's numbers are those of package mup.
func TestTransferVerb(t *testing.T) {
	c := evaluated(t, t.TempDir(), `b = shape d_model=256 layers=4 lr=3e-3`, `big = shape d_model=2048 layers=16`, `t = transfer base=b target=big rule=completep`)
	if c.Err != nil {
		t.Fatal(c.Err)
	}
	v := c.Value.(Transfer)
	rule, _ := mup.Find("completep")
	want, err := mup.Transfer(rule, config.Dense(256, 4, 256, 128).Rule(0, 0), config.Dense(2048, 16, 256, 128).Rule(0, 0), mup.Hyper{LR: 3e-3, WeightDecay: 0.1, Eps: 1e-8}, mup.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range want.Rows {
		if v.Rows[i].Target != r.Target {
			t.Errorf("%s: %v, want %v", r.Module, v.Rows[i].Target, r.Target)
		}
	}
	if x, err := Field(v, "attention_q.lr"); err != nil || math.Abs(x-3e-3/8) > 1e-12 {
		t.Errorf("attention_q.lr is %v, %v", x, err)
	}
	names := map[string]bool{}
	for _, s := range v.Sheets() {
		names[s.Name] = true
		for _, r := range s.Rows {
			if len(r) != len(s.Heads) {
				t.Errorf("%s: a row of %d under %d heads", s.Name, len(r), len(s.Heads))
			}
		}
	}
	for _, n := range append(SnippetNames(), "target", "about") {
		if !names[n] {
			t.Errorf("no view %s", n)
		}
	}
	if text, err := v.Snippet("pytorch"); err != nil || !strings.Contains(text, "0.000375") {
		t.Errorf("%v: %s", err, text)
	}
}

func TestRulesFromFilesAndEdits(t *testing.T) {
	dir := t.TempDir()
	rule, _ := mup.Find("mup")
	rule.Name = "mine"
	text, err := rule.TOML()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "my.toml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s := New("```eta\n"+`r = rule "my.toml" edit=["head.lr.width=-0.5"] against=mup`+"\n"+`t = transfer base=(shape d_model=64 lr=1e-2) target=(shape d_model=256) rule=r`+"\n```\n", dir)
	t.Cleanup(func() { _ = s.Close() })
	settle(t, s)
	if r := cell(t, s, "r").Value.(Rule); len(mup.Compare(r.Rule, r.Against)) != 1 || r.Sheets()[0].Name != "differences" {
		t.Errorf("%v", r.Sheets()[0])
	}
	head := func() float64 {
		t.Helper()
		x, err := Field(cell(t, s, "t").Value, "head.lr")
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	if x := head(); math.Abs(x-5e-3) > 1e-12 {
		t.Errorf("head.lr is %v", x)
	}
	// The file changes: what is made of it follows.
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "head", "had")), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Poll()
	settle(t, s)
	if c := cell(t, s, "r"); c.Err == nil || !strings.Contains(c.Err.Error(), `rule "my.toml": line `) || !strings.Contains(c.Err.Error(), "did you mean head?") {
		t.Errorf("%v", c.Err)
	}
}

// TestHeadsFillTheWidth: of a width and a head's width follow the heads.
func TestHeadsFillTheWidth(t *testing.T) {
	for text, want := range map[string][3]int{
		"d_model=64":                       {4, 2, 16},
		"d_model=64 head_dim=8":            {8, 4, 8},
		"d_model=24 head_dim=8":            {3, 3, 8},
		"d_model=64 head_dim=8 heads=2":    {2, 1, 8},
		"d_model=64 head_dim=8 heads=3":    {3, 3, 8},
		"d_model=8 head_dim=16":            {1, 1, 16},
		"d_model=64 heads=4 kv_heads=4":    {4, 4, 16},
		"d_model=64 head_dim=8 kv_heads=1": {8, 1, 8},
	} {
		c := evaluated(t, t.TempDir(), "x = shape "+text)
		if c.Err != nil {
			t.Fatal(c.Err)
		}
		if s := c.Value.(Shape); [3]int{s.Heads, s.KVHeads, s.HeadDim} != want {
			t.Errorf("%s: %d heads, %d of keys, %d wide, want %v", text, s.Heads, s.KVHeads, s.HeadDim, want)
		}
	}
}

// TestTransferRefusals: what cannot be carried is refused with the reason and the way out.
func TestTransferRefusals(t *testing.T) {
	const base = "base=(shape d_model=256 layers=4 lr=3e-3)"
	for text, want := range map[string]string{
		"transfer " + base + " target=(shape d_model=128 layers=4) rule=mup":                                                                    "the target's width is 0.5× of the base's; swap base and target",
		"transfer " + base + " target=(shape d_model=512 layers=8) rule=mup":                                                                    "depth differs 2×",
		"transfer base=(shape d_model=256) target=(shape d_model=512) rule=mup":                                                                 "the base has no learning rate",
		"transfer base=(shape d_model=256 lr=1e-3 experts=8) target=(shape d_model=512 experts=8) rule=mup":                                     "says nothing about",
		"transfer base=(shape d_model=256 lr=1e-3 experts=8 d_ff_expert=96) target=(shape d_model=512 experts=8 d_ff_expert=96) rule=moe_width": "granularity",
		"transfer " + base + ` target=(shape d_model=512 layers=4) rule="mup+completep"`:                                                        "both cover width",
		"transfer " + base + ` target=(shape d_model=512 layers=4) rule="none.toml"`:                                                            "there is no such file",
		"transfer " + base + ` target=(shape d_model=512 layers=4) rule="mupp"`:                                                                 "did you mean mup?",
		"transfer " + base + ` target=(shape d_model=512 layers=4) rule=(rule mup edit=["tail.lr.width=1"])`:                                    `unknown module "tail"`,
		"transfer " + base + ` target=(shape d_model=512 layers=4) rule=(rule mup edit=["head.lr=1"])`:                                          "is no edit of an exponent",
		"transfer " + base + " target=(shape d_model=512 layers=4) ignore=width":                                                                "it cannot be ignored",
		"shape d_model=512 d_ff_expert=4":                                                                               "a dense shape has no experts",
		"sweep d_model=[8] lr=1e-2 ignore=depth":                                                                        "ignore belongs to a rule",
		"sweep d_model=[8,16] layers=[1,2] context=16 batch=64 tokens=3k lr=1e-2 rule=mup":                              "depth differs 2×",
		"sweep d_model=[8,16] layers=1 context=16 batch=64 tokens=3k lr=1e-2 rule=mup base=(shape d_model=16 layers=1)": "the target's width is 0.5×",
		"plan N=1M D=1B fit_horizons=2":                                                                                 "C_D = 2: use 1 to the 1 horizons",
	} {
		c := evaluated(t, t.TempDir(), "x = "+text)
		if c.Err == nil || !strings.Contains(c.Err.Error(), want) {
			t.Errorf("%s\n\tsays %v\n\twant %q", text, c.Err, want)
		}
	}
}

// TestSweepUnderRules: a rule decides the runs and their names; sp leaves them as they
// were, and one stable run serves horizons unless the rule scales with them.
func TestSweepUnderRules(t *testing.T) {
	const sweep = "s = sweep d_model=[16,32] layers=1 head_dim=8 context=16 batch=64 tokens=[3k,6k] lr=[1e-2,3e-2]"
	runs := func(more string) []SweepRun {
		t.Helper()
		c := evaluated(t, t.TempDir(), sweep+more)
		if c.Err != nil {
			t.Fatal(c.Err)
		}
		return c.Value.(Sweep).Runs
	}
	plain, sp, ruled := runs(""), runs(" rule=sp"), runs(" rule=mup")
	if len(plain) != 12 || len(ruled) != 12 {
		t.Fatalf("%d and %d runs", len(plain), len(ruled))
	}
	for i := range plain {
		p, s, r := plain[i].Config, sp[i].Config, ruled[i].Config
		if p.Hash() != s.Hash() {
			t.Errorf("%s: sp gives another run", p.Name())
		}
		if p.Hash() == r.Hash() || r.Rule != "mup" || r.Scaling == nil || r.Scaling.Base.Shape.DModel != 16 {
			t.Errorf("%s under mup: %+v", p.Name(), r.Scaling)
		}
		if (p.Origin == nil) != (r.Origin == nil) {
			t.Errorf("%s branches without the rule, or with it, alone", p.Name())
		}
		if o := r.Origin; o != nil && o.Run != ruled[i/3*3].Config.Name() {
			t.Errorf("%s branches from %s, not from its stable run", r.Name(), o.Run)
		}
	}
	for _, r := range runs(` rule="mup+horizon_zhou"`) {
		if r.Config.Origin != nil {
			t.Error("a horizon branches though η depends on it")
		}
	}
	if _, err := sweepShape("base", evaluated(t, t.TempDir(), sweep).Value.(Sweep)); err == nil || !strings.Contains(err.Error(), "several shapes") {
		t.Errorf("a base of two widths: %v", err)
	}
	c := evaluated(t, t.TempDir(), sweep+" rule=mup")
	if !strings.Contains(strings.Join(c.Notes, "\n"), "lr is η there") || c.Value.(Sweep).Column("rule") == nil {
		t.Errorf("%v", c.Notes)
	}
}

// TestRuleIsPartOfTheHash: turning rule= to another word is another result.
func TestRuleIsPartOfTheHash(t *testing.T) {
	for _, text := range []string{"t = transfer base=(shape d_model=64 lr=1e-2) target=(shape d_model=256) rule=", "t = rule "} {
		s := New("```eta\n"+text+"mup\nu = "+text[4:]+"minicpm\n```\n", t.TempDir())
		t.Cleanup(func() { _ = s.Close() })
		settle(t, s)
		a, b := cell(t, s, "t"), cell(t, s, "u")
		if a.Value == nil || b.Value != nil && a.Value.(Sheeted).Summary() == b.Value.(Sheeted).Summary() {
			t.Errorf("%s: %v and %v", text, a.Value, b.Value)
		}
	}
}

// TestTransferFromASweep: the base is a sweep that was trained, its η the vertex of the
// losses; train takes a rule as sweep does.
func TestTransferFromASweep(t *testing.T) {
	const runs = "layers=1 head_dim=8 context=16 batch=64 "
	s := trained(t, "s = sweep d_model=16 "+runs+"tokens=12k lr=1e-3..3e-1 x5 validate=4096",
		"c = curves s", "t = transfer base=s target=(shape d_model=64 layers=1 head_dim=8) rule=mup",
		"one = train d_model=64 "+runs+"tokens=3k lr=1e-2 rule=mup base=s ignore=horizon validate=512")
	c, curves := cell(t, s, "t"), cell(t, s, "c").Value.(Curves)
	u := &curves.Curves[0]
	switch v, ok := c.Value.(Transfer); {
	case u.OK && (!ok || math.Abs(v.Hyper.LR/math.Exp(u.LnLR)-1) > 1e-9 || v.Measured != "vertex of the sweep"):
		t.Errorf("base η %+v, %v; the vertex is %v", v, c.Err, math.Exp(u.LnLR))
	case !u.OK && (c.Err == nil || !strings.Contains(c.Err.Error(), "the base's η is")):
		t.Errorf("a base without a vertex: %v", c.Err)
	}
	one := cell(t, s, "one").Value.(Sweep)
	if r := one.Runs[0].Config; len(one.Runs) != 1 || one.Finished() != 1 || r.Rule != "mup" || r.Scaling.Base.Shape.DModel != 16 {
		t.Errorf("%+v", one.Runs)
	}
}
