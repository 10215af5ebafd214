package fitting

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// variable is one factor of a power law.
type variable struct {
	name     string
	of       func(Target) float64
	pinned   bool
	exponent float64 // when pinned
}

var (
	varN = variable{name: "N", of: func(t Target) float64 { return t.N }}
	varD = variable{name: "D", of: func(t Target) float64 { return t.D }}
	varB = variable{name: "B", of: func(t Target) float64 { return t.B }}
	varC = variable{name: "FLOPs", of: Target.FLOPs}
)

var powerForms = map[LawForm][]variable{
	PowerND:  {varN, varD},
	PowerNDB: {varN, varD, varB},
	PowerN:   {varN},
	PowerD:   {varD},
	PowerC:   {varC},
}

// power is ln η* = ln C + Σ eᵢ·ln vᵢ. θ holds ln C, unless it is pinned, and the
// exponents that are not pinned.
type power struct {
	vars    []variable
	pinnedC bool
	lnC     float64
}

func (p *power) free() int {
	n := btoi(!p.pinnedC)
	for _, v := range p.vars {
		n += btoi(!v.pinned)
	}
	return n
}

// row puts the regressors of the free parameters at t into x and returns the
// part of ln η* that is pinned.
func (p *power) row(t Target, x []float64) (offset float64) {
	k := 0
	if p.pinnedC {
		offset = p.lnC
	} else {
		x[0], k = 1, 1
	}
	for _, v := range p.vars {
		ln := math.Log(v.of(t))
		if v.pinned {
			offset += v.exponent * ln
			continue
		}
		x[k] = ln
		k++
	}
	return offset
}

func (p *power) at(t Target, theta []float64) float64 {
	var buf [4]float64
	y := p.row(t, buf[:])
	for i, v := range theta {
		y += v * buf[i]
	}
	return y
}

func (p *power) gradient(t Target, _, g []float64) { p.row(t, g) }

func (p *power) missing(t Target) string {
	for _, v := range p.vars {
		if !known(v.of(t)) {
			return v.name
		}
	}
	return ""
}

// names of the free parameters.
func (p *power) names() []string {
	var names []string
	if !p.pinnedC {
		names = append(names, "C")
	}
	for _, v := range p.vars {
		if !v.pinned {
			names = append(names, v.name)
		}
	}
	return names
}

// system is the linear system of the free parameters over ts.
func (p *power) system(ts []Target, y, w []float64) *linear {
	d := newLinear(len(ts), p.free(), !p.pinnedC)
	for i, t := range ts {
		d.y[i] = y[i] - p.row(t, d.x[i*d.p:(i+1)*d.p])
	}
	d.w = w
	d.centre()
	return d
}

func (p *power) fit(ts []Target, y, w []float64, huber float64, _ []float64) (*solution, error) {
	d := p.system(ts, y, w)
	names := p.names()
	if j := d.dependent(); j >= 0 {
		return nil, p.collinear(ts, names[j])
	}
	sol, err := d.solve(huber)
	if err != nil {
		return nil, err
	}
	sol.notes = append(sol.notes, p.nearCollinear(ts)...)
	return sol, nil
}

// collinear explains why the exponent of name cannot be told from the others.
func (p *power) collinear(ts []Target, name string) error {
	if p.pinnedC || len(p.vars) < 2 {
		return fmt.Errorf("the cells do not determine the coefficient %s: pin it", name)
	}
	hasN := slices.ContainsFunc(p.vars, func(v variable) bool { return v.name == "N" && !v.pinned })
	if name == "D" && hasN {
		ratio := ts[0].D / ts[0].N
		same := true
		for _, t := range ts {
			same = same && math.Abs(t.D/t.N/ratio-1) < 1e-6
		}
		if same {
			return fmt.Errorf("all cells have one D/N (%.3g): the exponents of N and D cannot be told apart; pin one of them, or use form=N_only or C_only", ratio)
		}
	}
	return fmt.Errorf("over these cells %s is a fixed function of the other quantities: its exponent cannot be fitted; pin %s or use a form without it", name, name)
}

// nearCollinear warns of pairs of variables that the cells hardly separate.
func (p *power) nearCollinear(ts []Target) []string {
	var notes []string
	if len(ts) < 3 || p.pinnedC {
		return nil
	}
	column := func(v variable) []float64 {
		x := make([]float64, len(ts))
		for i, t := range ts {
			x[i] = math.Log(v.of(t))
		}
		return x
	}
	for i, a := range p.vars {
		for _, b := range p.vars[i+1:] {
			if a.pinned || b.pinned {
				continue
			}
			if r := stat.Correlation(column(a), column(b), nil); math.Abs(r) > 0.98 {
				notes = append(notes, fmt.Sprintf(
					"ln %s and ln %s are nearly collinear (correlation %.3f): their exponents trade against each other, and a target off that line is uncertain", a.name, b.name, r))
			}
		}
	}
	return notes
}
