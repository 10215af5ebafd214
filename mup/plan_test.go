package mup_test

import (
	"math"
	"strings"
	"testing"

	"github.com/etastar/etastar/mup"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func plan() mup.Plan {
	return mup.Plan{
		FLOPsPerToken: []float64{1, 2, 5}, Horizons: []float64{40, 10, 20, 80}, Rates: 7,
		FitRates: 3, FitHorizons: 2, Decay: 0.25, ProxyFLOPsPerToken: 0.5, ProxyHorizon: 10,
	}
}

func TestPlan(t *testing.T) {
	got, err := plan().Count()
	if err != nil {
		t.Fatal(err)
	}
	// Grid: 3·4·7 runs, (1+2+5)·(40+10+20+80)·7. Fitting: horizons 10 and 20, each of the
	// 3·3 stable runs 0.75·20 long with decays of 2.5 and 5. Transfer: 7·0.5·10.
	want := mup.Account{
		Grid:     mup.Cost{Runs: 84, Stable: 84, FLOPs: 8400, Factor: 1},
		Fitting:  mup.Cost{Runs: 18, Stable: 9, FLOPs: 8 * 3 * 22.5, Factor: 540.0 / 8400},
		Transfer: mup.Cost{Runs: 7, Stable: 7, FLOPs: 35, Factor: 35.0 / 8400},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestPlanOrders: with n of everything the grid grows as n³ and Fitting as n.
func TestPlanOrders(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 40).Draw(t, "n")
		p := plan()
		p.FLOPsPerToken, p.Horizons, p.Rates = make([]float64, n), make([]float64, n), n
		for i := range n {
			p.FLOPsPerToken[i], p.Horizons[i] = 1, 1
		}
		got, err := p.Count()
		if err != nil {
			t.Fatal(err)
		}
		if got.Grid.Runs != n*n*n || got.Fitting.Runs != n*p.FitRates*p.FitHorizons || got.Transfer.Runs != n {
			t.Fatalf("n = %d: %+v", n, got)
		}
	})
}

func TestPlanErrors(t *testing.T) {
	for says, change := range map[string]func(*mup.Plan){
		"no FLOPs per token":   func(p *mup.Plan) { p.FLOPsPerToken = nil },
		"no horizons":          func(p *mup.Plan) { p.Horizons = nil },
		"horizons hold -1":     func(p *mup.Plan) { p.Horizons[0] = -1 },
		"hold NaN":             func(p *mup.Plan) { p.FLOPsPerToken[0] = math.NaN() },
		"0 learning rates":     func(p *mup.Plan) { p.Rates = 0 },
		"C_η = 2":              func(p *mup.Plan) { p.FitRates = 2 },
		"C_D = 5":              func(p *mup.Plan) { p.FitHorizons = 5 },
		"decay share 1":        func(p *mup.Plan) { p.Decay = 1 },
		"decay share NaN":      func(p *mup.Plan) { p.Decay = math.NaN() },
		"proxy of 0 FLOPs":     func(p *mup.Plan) { p.ProxyFLOPsPerToken = 0 },
		"plan: FLOPs overflow": func(p *mup.Plan) { p.Horizons[0], p.FLOPsPerToken[0] = 1e200, 1e200 },
	} {
		p := plan()
		change(&p)
		if _, err := p.Count(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
}
