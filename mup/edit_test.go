package mup_test

import (
	"math"
	"strings"
	"testing"

	"github.com/etastar/etastar/mup"
	"github.com/google/go-cmp/cmp"
)

func TestEdit(t *testing.T) {
	r := find(t, "mup")
	before := r.Clone()
	once, err := r.Edit(mup.AttentionQ, mup.LR, mup.Width, -0.5)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, r); d != "" {
		t.Errorf("the edited rule changed:\n%s", d)
	}
	twice, err := once.Edit(mup.Residual, mup.Multiplier, mup.Depth, -1)
	if err != nil {
		t.Fatal(err)
	}
	if twice.Name != "mup_edited" || twice.Status != mup.Derived || !twice.Covered(mup.Depth) ||
		twice.Derived != "from mup: attention_q.lr width -1 → -0.5; residual.multiplier depth 0 → -1" {
		t.Errorf("name %q, status %q, covers %v, derived %q", twice.Name, twice.Status, twice.Covers, twice.Derived)
	}
	got := mup.Compare(r, twice)
	if len(got) != 2 || got[0].String() != "attention_q.lr: m_N^−1, m_N^−½!" || got[0].A.Width != -1 || got[0].B.Width != -0.5 ||
		got[1].String() != "residual.multiplier: ·, m_L^−1!" || got[1].B.State != mup.Edited {
		t.Errorf("differences: %+v", got)
	}
	target := grown(grown(denseShape(), mup.Width, 4), mup.Depth, 2)
	applied := transfer(t, twice, denseShape(), target, hyper())
	if q := row(t, applied, mup.AttentionQ); !near(q.Target.LR, q.Base.LR/2) {
		t.Errorf("edited η: %g of base %g", q.Target.LR, q.Base.LR)
	}
	if f := row(t, applied, mup.Residual); f.Target.Multiplier != 0.5 {
		t.Errorf("edited residual factor: %g", f.Target.Multiplier)
	}
}

func TestEditErrors(t *testing.T) {
	r := find(t, "mup")
	for _, c := range []struct {
		m    mup.Module
		q    mup.Quantity
		d    mup.Dim
		x    float64
		says string
	}{
		{"hed", mup.LR, mup.Width, 0, "did you mean head?"},
		{mup.Head, "learning", mup.Width, 0, "use one of init_std"},
		{mup.Head, mup.LR, "widht", 0, "did you mean width?"},
		{mup.Norm, mup.InitStd, mup.Width, 0, "norm has no init_std"},
		{mup.Residual, mup.LR, mup.Width, 0, "residual has no lr"},
		{mup.Head, mup.LR, mup.Width, math.NaN(), "within"},
		{mup.Head, mup.LR, mup.Width, 17, "within"},
	} {
		if _, err := r.Edit(c.m, c.q, c.d, c.x); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s.%s %s %v: %v, want %q", c.m, c.q, c.d, c.x, err, c.says)
		}
	}
}

func TestCompose(t *testing.T) {
	both := find(t, "completep+horizon_zhou")
	if both.Status != mup.Read || !both.Covered(mup.Depth) || !both.Covered(mup.Horizon) || both.Has(mup.Router) {
		t.Errorf("status %s, covers %v, router %v", both.Status, both.Covers, both.Has(mup.Router))
	}
	if s := find(t, "completep+horizon_bjorck").Status; s != mup.SecondHand {
		t.Errorf("as sure as the surer: %s", s)
	}
	for name, says := range map[string]string{
		"mup+completep":               "both cover width",
		"horizon_zhou+horizon_bjorck": "both cover horizon",
		"completep_dp+horizon_zhou":   "both cover horizon",
		"mpu":                         "did you mean mup?",
		"mup+horizon_zho":             "did you mean horizon_zhou?",
		"":                            "unknown rule",
	} {
		if _, err := mup.Find(name); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", name, err, says)
		}
	}
	// MiniCPM's own base values survive.
	got := transfer(t, find(t, "minicpm+horizon_bjorck"), denseShape(), denseShape(), mup.Hyper{})
	if e := row(t, got, mup.Embedding); e.Target.Multiplier != 12 || e.Target.LR != 0.01 {
		t.Errorf("prescribed values: %+v", e.Target)
	}
}

func TestCompareModules(t *testing.T) {
	for _, d := range mup.Compare(find(t, "mup"), find(t, "moe_width")) {
		dense := d.Module == mup.MLPDown || d.Module == mup.MLPGateUp
		moe := d.Module == mup.Router || d.Module == mup.ExpertGateUp || d.Module == mup.ExpertDown
		if (d.B == nil) != dense || (d.A == nil) != moe {
			t.Errorf("%s: %v, %v", d, d.A, d.B)
		}
	}
	if d := mup.Compare(find(t, "umup"), find(t, "umup")); d != nil {
		t.Errorf("a rule differs from itself: %v", d)
	}
}
