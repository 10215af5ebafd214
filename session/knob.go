package session

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/etastar/etastar/session/language"
)

// Knob is one parameter of a cell as the screen turns it.
type Knob struct {
	Param   *Param
	Text    string // value in force, as written or the default
	Written bool   // stands in the statement; false: default
	Shown   string // Text, or more ("free −0.811")
	OffWhy  string // why it cannot be turned now; "" if it can
}

// Knobs returns the knobs of the statement at line.
func (s *Session) Knobs(line int) []Knob {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.statement(line)
	if n == nil || n.bound == nil {
		return nil
	}
	var knobs []Knob
	for i := range n.bound.verb.Params {
		p := &n.bound.verb.Params[i]
		if !p.Knob {
			continue
		}
		k := Knob{Param: p, Text: n.knobText(p), Written: n.bound.given[p.Name]}
		k.Shown = k.Text
		if k.Text == "" {
			k.Shown = "–"
		}
		if p.pinnable() && slices.Contains(p.Words, k.Text) {
			if at, ok := s.pinAt(n, p); ok {
				k.Shown = fmt.Sprintf("%s %s", k.Text, formatLinear(at, p.step()))
			} else if f := n.bound.verb.turned; f != nil && s.lastGood[n.identity] != nil {
				k.OffWhy = "the present form has no " + p.Name
			}
		}
		knobs = append(knobs, k)
	}
	return knobs
}

// knobText is the parameter's value in force, as written.
func (n *node) knobText(p *Param) string {
	if v, ok := n.bound.args[p.Name]; ok {
		return v.Text
	}
	return ""
}

// pinnable says that the parameter is a word (free) or a number it is pinned at.
func (p *Param) pinnable() bool { return p.Number != nil && slices.Equal(p.Words, []string{"free"}) }

// pinAt is the value a pinnable parameter has now, from the last good result.
func (s *Session) pinAt(n *node, p *Param) (float64, bool) {
	f, v := n.bound.verb.turned, s.lastGood[n.identity]
	if f == nil || v == nil {
		return 0, false
	}
	return f(v, p.Name)
}

func (p *Param) step() float64 {
	if p.Number == nil || p.Number.Step == 0 {
		return 1
	}
	return p.Number.Step
}

// turnable finds the statement and the declaration of a knob. s.mu is held.
func (s *Session) turnable(line int, param string) (*node, *Param, error) {
	n := s.statement(line)
	if n == nil {
		return nil, nil, fmt.Errorf("line %d holds no statement", line+1)
	}
	if n.bound == nil {
		return nil, nil, fmt.Errorf("line %d has an error: mend it first", line+1)
	}
	p := n.bound.verb.param(param)
	if p == nil {
		return nil, nil, fmt.Errorf("%s has no parameter %q", n.bound.verb.Name, param)
	}
	return n, p, nil
}

// Turn turns a knob by steps (negative: back; big steps when coarse) by editing the
// statement's text at that parameter alone. Consecutive turns of one knob are one undo step.
func (s *Session) Turn(line int, param string, steps int, coarse bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, p, err := s.turnable(line, param)
	if err != nil {
		return err
	}
	next, err := s.turned(n, p, steps, coarse)
	if err != nil {
		return err
	}
	s.setParam(n, p.Name, next, fmt.Sprintf("%s.%s", n.identity, p.Name))
	return nil
}

func (s *Session) turned(n *node, p *Param, steps int, coarse bool) (string, error) {
	text := n.knobText(p)
	stops := p.Stops
	if f := n.bound.verb.stops; f != nil && s.lastGood[n.identity] != nil {
		if now := f(s.lastGood[n.identity], p.Name); now != nil {
			stops = now
		}
	}
	switch {
	case len(stops) > 0:
		return along(stops, text, steps), nil
	case p.pinnable() && slices.Contains(p.Words, text):
		at, ok := s.pinAt(n, p)
		if !ok {
			return "", fmt.Errorf("%s has no value to turn from yet", p.Name)
		}
		return p.linear(at, steps, coarse), nil
	case p.Number != nil:
		v := n.bound.args[p.Name]
		if v.Kind != language.Number {
			return "", fmt.Errorf("%s has no value to turn from: give it one with %s=…", p.Name, p.Name)
		}
		if p.Number.Log {
			return p.log(v.Number, steps, coarse), nil
		}
		return p.linear(v.Number, steps, coarse), nil
	case len(p.Words) > 0:
		i := slices.Index(p.Words, text)
		return p.Words[((i+steps)%len(p.Words)+len(p.Words))%len(p.Words)], nil
	}
	return "", fmt.Errorf("%s is written, not turned: press Enter to edit the statement", p.Name)
}

// along moves through stops without running over their ends. A value between the
// stops goes to the nearest first.
func along(stops []string, text string, steps int) string {
	i := slices.Index(stops, text)
	if i < 0 {
		i = nearestStop(stops, text)
		if steps > 0 {
			steps--
		} else {
			steps++
		}
	}
	return stops[min(max(i+steps, 0), len(stops)-1)]
}

func nearestStop(stops []string, text string) int {
	x, percent, ok := language.ParseNumber(text)
	best, distance := 0, math.Inf(1)
	for i, stop := range stops {
		y, p, isNumber := language.ParseNumber(stop)
		if ok && isNumber && p == percent && math.Abs(x-y) < distance {
			best, distance = i, math.Abs(x-y)
		}
	}
	return best
}

// fine and coarse are the round mantissas a logarithmic knob stops at.
var (
	fineStops   = []float64{1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2, 2.2, 2.5, 2.8, 3, 3.5, 4, 4.5, 5, 5.5, 6, 6.5, 7, 7.5, 8, 9}
	coarseStops = []float64{1, 2, 5}
)

// log moves x through round values by steps.
func (p *Param) log(x float64, steps int, coarse bool) string {
	stops := fineStops
	if coarse {
		stops = coarseStops
	}
	up := steps > 0
	for range max(steps, -steps) {
		x = nextRound(x, stops, up)
	}
	x = p.clamp(x)
	if p.Number.Count {
		return formatExactCount(x)
	}
	return strconv.FormatFloat(x, 'g', 4, 64)
}

// nextRound is the next value above or below x whose mantissa is a stop.
func nextRound(x float64, stops []float64, up bool) float64 {
	if !(x > 0) {
		return 1
	}
	const slack = 1e-9 // a stop read back from its text is still that stop
	exp := math.Floor(math.Log10(x) + slack)
	for e := exp - 1; e <= exp+1; e++ {
		for i := range stops {
			if y := scaleTo(stops[i], e); up && y > x*(1+slack) {
				return y
			}
			if y := scaleTo(stops[len(stops)-1-i], 2*exp-e); !up && y < x*(1-slack) {
				return y
			}
		}
	}
	return x
}

// scaleTo is m·10^e as the decimal reads, so that 7 turned up and down is 7 again.
func scaleTo(m, e float64) float64 {
	y, _ := strconv.ParseFloat(fmt.Sprintf("%ge%d", m, int(e)), 64)
	return y
}

func (p *Param) linear(x float64, steps int, coarse bool) string {
	step := p.step()
	by := float64(steps) * step
	if coarse {
		by *= 10
	}
	grid := math.Round(x/step) * step
	if math.Abs(grid-x) > step*1e-6 && (grid-x > 0) == (by > 0) {
		by -= math.Copysign(step, by) // reaching the grid is the first step
	}
	text := formatLinear(p.clamp(grid+by), step)
	if p.Number.Percent {
		text += "%"
	}
	return text
}

func (p *Param) clamp(x float64) float64 {
	n := p.Number
	if n.Max != 0 {
		x = min(x, n.Max)
	}
	if n.Min != 0 || !n.Log {
		x = max(x, n.Min)
	}
	return x
}

// formatLinear prints x with the digits of its step.
func formatLinear(x, step float64) string {
	digits := max(0, int(math.Ceil(-math.Log10(step)-1e-9)))
	text := strconv.FormatFloat(x, 'f', digits, 64)
	if strings.Trim(text, "-0.") == "" {
		return strings.TrimPrefix(text, "-")
	}
	return text
}

// formatExactCount prints a count with the suffix that keeps it shortest and exact to
// four digits: 7B, 1.4T, 524288.
func formatExactCount(x float64) string {
	for _, u := range []struct {
		size   float64
		suffix string
	}{{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "k"}} {
		if x >= u.size {
			return strconv.FormatFloat(x/u.size, 'g', 4, 64) + u.suffix
		}
	}
	return strconv.FormatFloat(x, 'g', 6, 64)
}

// Toggle switches a knob between its word and its number (free ↔ pinned where it is), or on ↔ off.
func (s *Session) Toggle(line int, param string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, p, err := s.turnable(line, param)
	if err != nil {
		return err
	}
	text := n.knobText(p)
	switch {
	case p.pinnable() && slices.Contains(p.Words, text):
		at, ok := s.pinAt(n, p)
		if !ok {
			return fmt.Errorf("%s has no value to pin yet", p.Name)
		}
		s.setParam(n, p.Name, strconv.FormatFloat(at, 'g', 4, 64), "")
	case p.pinnable():
		s.setParam(n, p.Name, "", "")
	case len(p.Words) == 2:
		s.setParam(n, p.Name, p.Words[1-max(0, slices.Index(p.Words, text))], "")
	default:
		return fmt.Errorf("%s has nothing to switch: turn it", p.Name)
	}
	return nil
}

// SetParam writes a parameter's value ("" removes it: the default holds again).
func (s *Session) SetParam(line int, param, value string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, p, err := s.turnable(line, param)
	if err != nil {
		return err
	}
	if value != "" {
		v, perr := language.ParseValue(value)
		if perr == nil {
			perr = p.check(&v, language.Arg{Key: p.Name})
		}
		if perr != nil {
			return perr
		}
	}
	s.setParam(n, p.Name, value, "")
	return nil
}

// ToggleListed adds value to a list parameter, or takes it out (exclude=[…]).
func (s *Session) ToggleListed(line int, param, value string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, p, err := s.turnable(line, param)
	if err != nil {
		return err
	}
	if !p.List {
		return fmt.Errorf("%s is not a list", p.Name)
	}
	if _, _, ok := language.ParseNumber(value); !ok {
		value = language.Quote(value)
	}
	var items []string
	if v, ok := n.bound.args[p.Name]; ok && n.bound.given[p.Name] {
		if v.Kind == language.List {
			for _, e := range v.List {
				items = append(items, e.Text)
			}
		} else {
			items = []string{v.Text}
		}
	}
	if i := slices.Index(items, value); i >= 0 {
		items = slices.Delete(items, i, i+1)
	} else {
		items = append(items, value)
	}
	text := ""
	if len(items) > 0 {
		text = "[" + strings.Join(items, ",") + "]"
	}
	s.setParam(n, p.Name, text, "")
	return nil
}
