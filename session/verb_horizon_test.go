package session

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// A stable run read at three horizons: two within its curve, one beyond.
func TestHorizon(t *testing.T) {
	dir, _ := writeRuns(t, map[string]int{"lr1e-3": 4000, "lr2e-3": 2900})
	s := computed(t, fmt.Sprintf("```eta\nh = horizon %q tokens=[1M,2M,6M] batch=1000 drop=0.1\nc = curves h by=D\n```\n", dir))
	c := cell(t, s, "h")
	if c.Err != nil {
		t.Fatal(c.Err)
	}
	tb := c.Value.(Table)
	if tb.Rows != 6 {
		t.Fatalf("%d rows", tb.Rows)
	}
	// On the plateau L = 2.4 + 0.6·S₁^−½ + …: S₁ counts the warm-up half.
	for i := range tb.Rows {
		lr, d := tb.Column("lr").Value(i), tb.Column("D").Value(i)
		want := 2.4 + 0.6*math.Pow(lr*(d/1000-50), -0.5) + math.Pow(math.Log(lr/1e-3), 2)/20 - 0.1
		loss, low, high := tb.Column("loss").Value(i), tb.Column("loss low").Value(i), tb.Column("loss high").Value(i)
		if math.Abs(loss-want) > 0.05 || low > want || high < want || (tb.Column("predicted").String(i) != "") != (d > 3e6) {
			t.Errorf("η %v, D %v: %v in [%v, %v], %q; want %v", lr, d, loss, low, high, tb.Column("predicted").String(i), want)
		}
	}
	if notes := strings.Join(c.Notes, "\n"); !strings.Contains(notes, "lr1e-3: its learning rate decays from step 3020") || !strings.Contains(notes, "L(D) = ") {
		t.Error(notes)
	}
	if c := cell(t, s, "c"); c.Err != nil {
		t.Error(c.Err)
	}
	for text, want := range map[string]string{
		"h = horizon %q tokens=1M":                         "does not say how many tokens a step takes",
		"h = horizon %q tokens=1M batch=1000 loss=\"val\"": "has no curve \"val\"",
		"h = horizon %q tokens=10k batch=1000":             "no run has a loss at these horizons",
	} {
		s := computed(t, fmt.Sprintf("```eta\n"+text+"\n```\n", dir))
		if err := cell(t, s, "h").Err; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
