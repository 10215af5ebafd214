package tui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// width is the number of screen cells s takes.
func width(s string) int { return ansi.StringWidth(s) }

// clip is the last guard: no line leaves the screen wider than it is.
func clip(s string, w int) string {
	if w <= 0 {
		return ""
	}
	if len(s) <= w || width(s) <= w {
		return s
	}
	return ansi.Truncate(s, w, "")
}

// pad fills s up to w cells.
func pad(s string, w int) string {
	if n := w - width(s); n > 0 {
		return s + strings.Repeat(" ", n)
	}
	return s
}

// padLeft fills s on its left up to w cells.
func padLeft(s string, w int) string {
	if n := w - width(s); n > 0 {
		return strings.Repeat(" ", n) + s
	}
	return s
}

// ends sets left and right at the two ends of a line of w cells; the right
// side goes when both do not fit with a gap of two.
func ends(left, right string, w int) string {
	l, r := width(left), width(right)
	switch {
	case r == 0 || l+2+r > w:
		return clip(left, w)
	default:
		return left + strings.Repeat(" ", w-l-r) + right
	}
}

// part is a piece of a line that is shown whole or not at all. Parts of a
// lower keep go first.
type part struct {
	text string
	keep int
}

// joinParts sets as many parts as fit in w cells, in their order, dropping
// the least important, and tells how many it dropped.
func joinParts(parts []part, sep string, w int) (line string, dropped int) {
	on := make([]bool, len(parts))
	ws := make([]int, len(parts))
	total, shown := 0, 0
	for i, p := range parts {
		ws[i] = width(p.text)
		if ws[i] > 0 {
			on[i] = true
			shown++
			total += ws[i]
		}
	}
	sepW := width(sep)
	for shown > 0 && total+(shown-1)*sepW > w {
		least := -1
		for i := range parts {
			if on[i] && (least < 0 || parts[i].keep <= parts[least].keep) {
				least = i
			}
		}
		on[least] = false
		shown--
		dropped++
		total -= ws[least]
	}
	var b strings.Builder
	for i, p := range parts {
		if !on[i] {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(sep)
		}
		b.WriteString(p.text)
	}
	return b.String(), dropped
}

// flowParts sets parts into at most n lines of w cells in their order; parts
// that do not fit are dropped whole, and counted.
func flowParts(parts []part, sep string, w, n int) (lines []string, dropped int) {
	if n <= 0 {
		return nil, len(parts)
	}
	sepW := width(sep)
	line, used := "", 0
	for _, p := range parts {
		pw := width(p.text)
		if pw == 0 {
			continue
		}
		switch {
		case used > 0 && used+sepW+pw <= w:
			line += sep + p.text
			used += sepW + pw
		case used == 0 && pw <= w:
			line, used = p.text, pw
		case pw <= w && len(lines) < n-1:
			lines = append(lines, line)
			line, used = p.text, pw
		default:
			dropped++
		}
	}
	if used > 0 {
		lines = append(lines, line)
	}
	return lines, dropped
}

// wrap breaks prose into lines of at most w cells.
func wrap(s string, w int) []string {
	if w <= 0 {
		return nil
	}
	if width(s) <= w {
		return []string{s}
	}
	return strings.Split(ansi.Wrap(s, w, " "), "\n")
}

// box makes exactly h lines of at most w cells out of lines.
func box(lines []string, w, h int) []string {
	out := make([]string, max(h, 0))
	for i := range out {
		if i < len(lines) {
			out[i] = clip(lines[i], w)
		}
	}
	return out
}

// beside sets two blocks next to each other, the left one w cells wide.
func beside(left, right []string, w int, gap string) []string {
	n := max(len(left), len(right))
	out := make([]string, n)
	for i := range out {
		l, r := "", ""
		if i < len(left) {
			l = clip(left[i], w)
		}
		if i < len(right) {
			r = right[i]
		}
		out[i] = pad(l, w) + gap + r
	}
	return out
}

// oneLine flattens text that may hold line breaks or control characters:
// nothing from a file may move the cursor.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < 0x20 || r >= 0x7f && r < 0xa0:
			return '�'
		}
		return r
	}, s)
}

// stripped is s without its colours.
func stripped(s string) string { return ansi.Strip(s) }
