package tui

import (
	"strings"

	"github.com/etastar/etastar/session"
)

// footer is the block that never scrolls away: the answer, then the prompt.
type footer struct {
	lines  []string
	cursor int // column of the cursor on the last line; -1: none
}

func (m *Model) footer(w, h int) footer {
	f := footer{cursor: -1}
	n := 2
	if h < 10 {
		n = 1
	}
	if h >= 16 {
		f.lines = append(f.lines, m.th.rule.Render(strings.Repeat("─", w)))
	}
	typing := m.mode == prompting || m.mode == searching || m.mode == recalling
	if h > 1 || !typing {
		f.lines = append(f.lines, m.answerLines(w, n, h >= 16)...)
	}
	if h > 1 || typing {
		line, cur := m.promptLine(w)
		f.lines = append(f.lines, line)
		f.cursor = cur
	}
	return f
}

// answerLines draws the what-if on n lines; whole keeps the height even when
// there is less to say, so that the notebook does not jump.
func (m *Model) answerLines(w, n int, whole bool) []string {
	const sep, more = "   ", "… ! more"
	room := max(w-2, 1)
	answer, rest := m.answerParts()
	lines, dropped := m.flowAnswer(answer, rest, sep, room, room, n)
	if tail := width(more) + 2; dropped > 0 && room > 2*tail {
		// What is left out says how to reach it.
		lines, _ = m.flowAnswer(answer, rest, sep, room, room-tail, n)
		last := len(lines) - 1
		lines[last] = ends(lines[last], m.th.faint.Render(more), room)
	}
	for whole && len(lines) < n {
		lines = append(lines, "")
	}
	if w >= 3 {
		for i := range lines {
			lines[i] = " " + lines[i]
		}
	}
	return lines
}

// flowAnswer sets the answer on the first line; what does not fit there leads
// the second, and the published laws follow. lastRoom is the room on the last line.
func (m *Model) flowAnswer(answer, rest []part, sep string, room, lastRoom, n int) (lines []string, dropped int) {
	if n <= 1 {
		lines, dropped = flowParts(answer, sep, lastRoom, 1)
		return atLeast(lines, 1), dropped + len(rest)
	}
	fits := firstFits(answer, sep, room)
	lines, _ = flowParts(answer[:fits], sep, room, 1)
	second, dropped := flowParts(answer[fits:], sep, lastRoom, 1)
	second = atLeast(second, 1)
	left := lastRoom - width(second[0])
	if second[0] != "" {
		left -= width(sep)
	}
	published, lost := flowParts(rest, " · ", left, 1)
	if len(published) > 0 && second[0] != "" {
		second[0] += sep
	}
	if len(published) > 0 {
		second[0] += published[0]
	}
	return append(atLeast(lines, 1), second...), dropped + lost
}

func atLeast(lines []string, n int) []string {
	for len(lines) < n {
		lines = append(lines, "")
	}
	return lines
}

// firstFits counts the parts that stand on one line in order.
func firstFits(parts []part, sep string, w int) int {
	used := 0
	for i, p := range parts {
		pw := width(p.text)
		if used > 0 {
			pw += width(sep)
		}
		if used+pw > w {
			return i
		}
		used += pw
	}
	return len(parts)
}

// promptLine is the last line: what is being typed, what a key answered, or
// the keys of where you are.
func (m *Model) promptLine(w int) (string, int) {
	t := m.th
	switch m.mode {
	case prompting:
		return m.line.prompt(t, ":", w, m.promptTail())
	case searching:
		return m.line.prompt(t, "/", w, m.find.tail())
	case recalling:
		return m.line.prompt(t, "history: ", w, m.hist.tail())
	}
	room := max(w-1, 0)
	if m.said.text != "" {
		style := t.text
		if m.said.bad {
			style = t.bad
		}
		text := cutWords(m.said.text, room)
		tail, _ := joinParts([]part{{t.faint.Render("? keys"), 1}}, "", max(room-width(text)-4, 0))
		return " " + ends(style.Render(text), tail, room), -1
	}
	hints, _ := joinParts(m.hints(), t.faint.Render(" · "), room-1)
	return padLeft(hints, w-1), -1
}

// answerParts is the what-if in pieces, most important first, and what other
// laws say beside it.
func (m *Model) answerParts() (answer, rest []part) {
	t := m.th
	if !m.hasAnswer {
		return []part{{t.dim.Render("no prediction yet"), 9}, {t.dim.Render(":target = predict law N=7B D=1.4T"), 5}}, nil
	}
	c := &m.answer.Cell
	v, ok := c.Value.(session.Prediction)
	state := ""
	switch c.Status {
	case session.Running:
		state = t.warn.Render("computing…")
		if c.Progress > 0 {
			state = t.warn.Render("computing… " + itoa(int(100*c.Progress)) + "%")
		}
	case session.Waiting:
		state = t.dim.Render("waits for " + oneLine(c.WaitsFor))
	case session.Failed:
		state = t.bad.Render("✗ " + oneLine(firstNonEmpty(errText(c.Err), "failed")))
	}
	if !ok || v.Prediction == nil {
		name := firstNonEmpty(c.Name, "the prediction")
		return []part{{t.dim.Render(oneLine(name)), 5}, {state, 9}}, nil
	}
	answer, rest = m.predictionParts(v.Prediction, c.Stale, m.before())
	if state != "" {
		answer = append([]part{answer[0], {state, 9}}, answer[1:]...)
	}
	return answer, rest
}

// before is the prediction before the last edit while its mark is shown.
func (m *Model) before() *session.Prediction {
	if !m.moved {
		return nil
	}
	if b, ok := m.answer.Before.(session.Prediction); ok && b.Prediction != nil {
		return &b
	}
	return nil
}

func errText(e *session.CellError) string {
	if e == nil {
		return ""
	}
	return e.Message
}

func firstNonEmpty(s ...string) string {
	for _, v := range s {
		if v != "" {
			return v
		}
	}
	return ""
}
