package tui

import (
	"math"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/number"
)

// predictionParts writes a prediction as the answer: η*, its interval, the
// band, the price of another η, how far it reaches, warnings; then the
// published laws beside it.
func (m *Model) predictionParts(p *fitting.Prediction, stale bool, before *session.Prediction) (answer, rest []part) {
	t := m.th
	plain, strong, warn := t.text, t.eta, t.warn
	if stale {
		plain, strong, warn = t.faint, t.faint, t.faint
	}
	lead := "η*(" + number.Target(p.Target) + ") = "
	if over := width(lead) + 8 - m.w; over > 0 { // the number before what it is
		lead = ""
	}
	head := plain.Render(lead) + strong.Render(number.EtaPadded(p.LR, 2))
	if before != nil && width(lead)+20 <= m.w {
		head += movedMark(t.moved, before.LR, p.LR)
	}
	answer = append(answer, part{head, 10})
	if s := number.EtaRange(p.Low, p.High, 2); s != "" {
		answer = append(answer, part{plain.Render(s), 9})
	} else {
		answer = append(answer, part{warn.Render("no interval"), 9})
	}
	if !math.IsNaN(p.Band[0]) && !math.IsNaN(p.Band[1]) {
		answer = append(answer, part{plain.Render("near-optimal " + number.EtaPadded(p.Band[0], 2) + "–" + number.EtaPadded(p.Band[1], 2)), 7})
	}
	if p.At != 0 && !math.IsNaN(p.At) && !math.IsNaN(p.AtRegret) {
		answer = append(answer, part{plain.Render("at " + number.Eta(p.At, 3) + ": " + number.SignedPercent(p.AtRegret) + " loss"), 6})
	}
	if s := reach(p); s != "" {
		if len(p.Warnings) > 0 {
			s += " ⚠"
		}
		answer = append(answer, part{warn.Render(s), 8})
	} else if len(p.Warnings) > 0 {
		answer = append(answer, part{warn.Render("⚠ " + number.Plural(len(p.Warnings), "warning", "warnings") + ": !"), 8})
	}
	return answer, besideParts(t.dim, p)
}

// movedMark says by how much the answer just moved: ▾ 12%.
func movedMark(style lipgloss.Style, from, to float64) string {
	r := to/from - 1
	if math.IsNaN(r) || math.IsInf(r, 0) {
		return ""
	}
	arrow := " ▴ "
	if r < 0 {
		arrow = " ▾ "
	}
	size := math.Abs(r) * 100
	switch {
	case size < 0.05:
		return ""
	case size < 1:
		return style.Render(arrow + number.Fixed(size, 1) + "%")
	case size >= 200:
		return style.Render(arrow + number.Factor(to/from))
	}
	return style.Render(arrow + number.Fixed(size, 0) + "%")
}

// reach says how far past the data a prediction stands.
func reach(p *fitting.Prediction) string {
	var s []string
	for _, f := range []struct {
		name string
		v    float64
	}{{"N", p.NFactor}, {"D", p.DFactor}, {"C", p.CFactor}, {"B", p.BFactor}} {
		switch {
		case f.name == "C" && len(s) > 0: // follows from N and D
		case math.IsNaN(f.v) || f.v == 0:
		case f.v > 1.005:
			s = append(s, number.Factor(f.v)+" past "+f.name)
		case f.v < 0.995:
			s = append(s, number.Factor(1/f.v)+" below "+f.name)
		}
	}
	return strings.Join(s, ", ")
}

// besideParts sets the published laws beside a prediction, those that are not
// comparable apart; why they are not stands in the notes.
func besideParts(style lipgloss.Style, p *fitting.Prediction) []part {
	var out []part
	for _, comparable := range []bool{true, false} {
		lead := ""
		if !comparable {
			lead = "not comparable: "
		}
		for i := range p.Beside {
			b := &p.Beside[i]
			if b.Comparable != comparable || math.IsNaN(b.LR) {
				continue
			}
			out = append(out, part{style.Render(lead + title(b.Name) + " " + number.EtaPadded(b.LR, 2)), 3})
			lead = ""
		}
	}
	return out
}

// title writes a law's name the way people do.
func title(name string) string {
	name = oneLine(name)
	if own, ok := ownNames[name]; ok {
		return own
	}
	if name == "" {
		return name
	}
	r := []rune(name)
	return strings.ToUpper(string(r[:1])) + string(r[1:])
}

// ownNames are spelled by their owners.
var ownNames = map[string]string{"deepseek": "DeepSeek", "minicpm": "MiniCPM", "joint_moe": "Joint MoE", "ling2025": "Ling 2025", "ling2026": "Ling 2026"}
