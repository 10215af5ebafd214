package tui

import (
	"slices"
	"strings"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/number"
)

// span is where a knob stands on the screen, for the mouse.
type span struct {
	line, from, to int // line within the knob rows
	param          string
}

// knobKey is all that the knob rows are drawn from.
type knobKey struct {
	text     string
	selected int
	w, rows  int
	theme    *theme
	gutter   int
}

// knobRows draws the knobs of the focused cell on at most rows lines. When
// they do not fit, the rows scroll to the selected one and say what is beyond.
func (m *Model) knobRows(w, rows int) ([]string, []span) {
	if len(m.knobs) == 0 || rows <= 0 {
		return nil, nil
	}
	var sb strings.Builder
	for i := range m.knobs {
		k := &m.knobs[i]
		sb.WriteString(k.Param.Name + "\x00" + k.Shown + "\x00" + k.OffWhy + "\x01")
	}
	key := knobKey{sb.String(), m.selectedKnob(), w, rows, m.th, m.gutter}
	lines, extra := m.memo.getWith("knobs", key, func() ([]string, any) {
		lines, spans := m.drawKnobs(w, rows)
		return lines, spans
	})
	spans, _ := extra.([]span)
	return lines, spans
}

func (m *Model) drawKnobs(w, rows int) ([]string, []span) {
	t := m.th
	lead := m.margin(true, m.gutter)
	room := w - m.gutter
	if room < 4 {
		return nil, nil
	}
	sel := m.selectedKnob()
	type placed struct {
		text       string
		line, x, w int
	}
	var all []placed
	line, x := 0, 0
	for i := range m.knobs {
		k := &m.knobs[i]
		text, kw := m.knobText(k, i == sel, room)
		if x > 0 && x+kw > room {
			line, x = line+1, 0
		}
		all = append(all, placed{text, line, x, kw})
		x += kw + 3
	}
	total := line + 1
	first := 0
	if total > rows {
		first = min(max(all[max(sel, 0)].line-rows+1, 0), total-rows)
	}
	out := make([]string, 0, rows)
	var spans []span
	for r := first; r < min(first+rows, total); r++ {
		s, used := "", 0
		for i, p := range all {
			if p.line != r {
				continue
			}
			s += strings.Repeat(" ", p.x-used) + p.text
			used = p.x + p.w
			spans = append(spans, span{r - first, m.gutter + p.x, m.gutter + p.x + p.w, m.knobs[i].Param.Name})
		}
		tail := ""
		switch last := r == min(first+rows, total)-1; {
		case last && total > rows:
			tail = "Tab: more knobs"
		case last && sel >= 0 && m.knobs[sel].OffWhy != "":
			tail = oneLine(m.knobs[sel].OffWhy)
		case last:
			tail = "←→ turn · Tab next"
		}
		if used+3+width(tail) <= room {
			s = ends(s, t.faint.Render(tail), room)
		}
		out = append(out, lead+s)
	}
	return out, spans
}

// toggles reports a knob that Space switches between its word and a number.
func toggles(p *session.Param) bool {
	return p.Number != nil && len(p.Words) > 0 || slices.Contains(p.Words, "on") && slices.Contains(p.Words, "off")
}

// knobText paints one knob: name ‹value›, or name [value] when Space switches it.
func (m *Model) knobText(k *session.Knob, selected bool, room int) (string, int) {
	t := m.th
	name, value := k.Param.Name, oneLine(k.Shown)
	if value == "" {
		value = oneLine(k.Text)
	}
	if value == "" {
		value = number.Unknown
	}
	value = strings.ReplaceAll(value, " -", " −")
	open, shut := "‹", "›"
	if toggles(k.Param) {
		open, shut = "[", "]"
	}
	if over := width(name) + 1 + width(value) + 2 - room; over > 0 {
		value = cutWords(value, max(width(value)-over, 1))
	}
	w := width(name) + 1 + width(value) + 2
	body := open + value + shut
	switch {
	case selected && k.OffWhy == "":
		return t.bold.Render(name) + " " + t.knobOn.Render(body), w
	case selected:
		return t.knobOff.Underline(true).Render(name) + " " + t.knobOff.Render(body), w
	case k.OffWhy != "":
		return t.knobOff.Render(name + " " + body), w
	case !k.Written:
		return t.dim.Render(name + " " + body), w
	}
	return t.dim.Render(name) + " " + t.knob.Render(body), w
}

// cutWords shortens a value at a space or a comma with an ellipsis, so that no
// number is cut in the middle.
func cutWords(s string, w int) string {
	if width(s) <= w {
		return s
	}
	head, _ := headOf(s, max(w-1, 0))
	if i := strings.LastIndexAny(head, " ,"); i > 0 {
		head = strings.TrimRight(head[:i], " ,")
	} else if strings.ContainsAny(head, "0123456789") {
		head = ""
	}
	return head + "…"
}
