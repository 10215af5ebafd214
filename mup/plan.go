package mup

import (
	"fmt"
	"math"
	"slices"
)

// Plan is a search for η to be counted in three ways (arXiv 2601.05049, "search
// factor"): the full grid over sizes, horizons and learning rates; Fitting; Transfer.
type Plan struct {
	FLOPsPerToken []float64 // training FLOPs a token of each size, such as 6·N or M
	Horizons      []float64 // training tokens
	Rates         int       // learning rates of the full grid, and of Transfer's proxy
	// FitRates is C_η, the learning rates of which Eq 2's parabola needs a constant
	// number; FitHorizons is C_D, the shortest horizons Eq 4 extrapolates from.
	FitRates, FitHorizons int
	// Decay is the share of a horizon that WSD decays over. Fitting trains one stable run
	// for each size and rate and branches a decay off it at every horizon; 0 reads the
	// loss in the stable phase, as Eq 4 does.
	Decay float64
	// Transfer trains one proxy: its FLOPs a token and its horizon.
	ProxyFLOPsPerToken, ProxyHorizon float64
}

// Cost is what one way takes.
type Cost struct {
	Runs   int     // trained endpoints: one for each size, horizon and rate
	Stable int     // stable runs that the endpoints branch from; Runs where none is shared
	FLOPs  float64 // training FLOPs
	Factor float64 // FLOPs over the full grid's: the search factor
}

// Account is the three ways. The paper gives the orders, O(n³) for the grid and
// O(n·C_D·C_η) for Fitting; the FLOPs, and Transfer's count of one proxy at every rate,
// are this package's.
type Account struct{ Grid, Fitting, Transfer Cost }

// Count counts:
//
//	Grid      runs |N|·|D|·n_η         FLOPs Σ_N Σ_D n_η·F_N·D
//	Fitting   runs |N|·C_D·C_η         FLOPs Σ_N C_η·F_N·((1−f)·D_max + f·Σ D), D the C_D shortest
//	Transfer  runs n_η                 FLOPs n_η·F_proxy·D_proxy
//
// with F_N the FLOPs a token and f the decay's share. Errors name what is not positive.
func (p Plan) Count() (Account, error) {
	for _, f := range []struct {
		name   string
		values []float64
	}{{"FLOPs per token", p.FLOPsPerToken}, {"horizons", p.Horizons}} {
		if len(f.values) == 0 {
			return Account{}, fmt.Errorf("plan: no %s: give at least one", f.name)
		}
		for _, v := range f.values {
			if !positive(v) {
				return Account{}, fmt.Errorf("plan: %s hold %v: use positive numbers", f.name, v)
			}
		}
	}
	switch {
	case p.Rates < 1:
		return Account{}, fmt.Errorf("plan: %d learning rates: use at least 1", p.Rates)
	case p.FitRates < 3:
		return Account{}, fmt.Errorf("plan: C_η = %d: Eq 2's parabola has three coefficients, use at least 3", p.FitRates)
	case p.FitHorizons < 1 || p.FitHorizons > len(p.Horizons):
		return Account{}, fmt.Errorf("plan: C_D = %d: use 1 to the %d horizons", p.FitHorizons, len(p.Horizons))
	case !(p.Decay >= 0 && p.Decay < 1):
		return Account{}, fmt.Errorf("plan: decay share %v: use 0 up to below 1", p.Decay)
	case !positive(p.ProxyFLOPsPerToken) || !positive(p.ProxyHorizon):
		return Account{}, fmt.Errorf("plan: proxy of %v FLOPs a token over %v tokens: use positive numbers", p.ProxyFLOPsPerToken, p.ProxyHorizon)
	}
	sum := func(values []float64) (s float64) {
		for _, v := range values {
			s += v
		}
		return s
	}
	sizes, rates := sum(p.FLOPsPerToken), float64(p.Rates)
	short := slices.Sorted(slices.Values(p.Horizons))[:p.FitHorizons]
	n := len(p.FLOPsPerToken)
	grid := n * len(p.Horizons) * p.Rates
	a := Account{
		Grid: Cost{Runs: grid, Stable: grid, FLOPs: sizes * sum(p.Horizons) * rates},
		Fitting: Cost{
			Runs: n * p.FitHorizons * p.FitRates, Stable: n * p.FitRates,
			FLOPs: sizes * float64(p.FitRates) * ((1-p.Decay)*slices.Max(short) + p.Decay*sum(short)),
		},
		Transfer: Cost{Runs: p.Rates, Stable: p.Rates, FLOPs: rates * p.ProxyFLOPsPerToken * p.ProxyHorizon},
	}
	if math.IsInf(a.Grid.FLOPs, 0) || math.IsInf(a.Transfer.FLOPs, 0) {
		return Account{}, fmt.Errorf("plan: FLOPs overflow: %v for the grid, %v for Transfer", a.Grid.FLOPs, a.Transfer.FLOPs)
	}
	for _, c := range []*Cost{&a.Grid, &a.Fitting, &a.Transfer} {
		c.Factor = c.FLOPs / a.Grid.FLOPs
	}
	return a, nil
}
