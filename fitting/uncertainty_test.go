package fitting

import (
	"math"
	"testing"
)

// TestWithErrorsAgreesWithItsSource: the coefficients of WithErrors are those of the
// jackknife and the bootstrap, on the coefficients' own scale.
func TestWithErrorsAgreesWithItsSource(t *testing.T) {
	ts, ln := noisy(3, 0.08)
	l := mustFit(t, vertices(ts, ln, nil), LawOptions{Form: PowerND})
	se, _, err := l.Jackknife()
	if err != nil {
		t.Fatal(err)
	}
	j, err := l.WithErrors(ErrorsJackknife, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	tq := tQuantile(0.975, l.N-1)
	for i, c := range j.Coef {
		lo, hi := l.Theta[i]-tq*se[i], l.Theta[i]+tq*se[i]
		if c.Name == "C" {
			lo, hi = math.Exp(lo), math.Exp(hi)
		}
		if c.SE != se[i] || c.Lo != lo || c.Hi != hi || c.Value != l.Coef[i].Value {
			t.Errorf("jackknife %s: %+v, want se %v in [%v, %v]", c.Name, c, se[i], lo, hi)
		}
	}
	b, err := l.WithErrors(ErrorsBootstrap, 2000, 1)
	if err != nil {
		t.Fatal(err)
	}
	again, err := l.WithErrors(ErrorsBootstrap, 2000, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range b.Coef {
		if !(c.Lo < c.Value && c.Value < c.Hi) || c != again.Coef[i] {
			t.Errorf("bootstrap %s: %+v, again %+v", c.Name, c, again.Coef[i])
		}
		// Two estimates of one spread from the same cells agree roughly.
		if r := c.SE / l.Coef[i].SE; r < 0.4 || r > 2.5 {
			t.Errorf("bootstrap %s: se %v, least squares say %v", c.Name, c.SE, l.Coef[i].SE)
		}
	}
	if l.Errors != ErrorsT || l.Coef[0].SE == j.Coef[0].SE {
		t.Error("the law itself changed")
	}
	if _, err := l.WithErrors("guess", 0, 0); err == nil {
		t.Error("an unknown kind is no error")
	}
}
