package tui

import (
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/etastar/etastar/session"
)

// proseKey is all that a run of prose is drawn from.
type proseKey struct {
	text      string
	w, gutter int
	focused   bool
	theme     *theme
}

// proseLines draws a run of prose, dimmed and wrapped to the screen, or the
// comments between statements.
func (m *Model) proseLines(name string, it *session.Item, w int, focused bool) []string {
	k := proseKey{strings.Join(it.Prose, "\n"), w, m.gutter, focused, m.th}
	return m.memo.get(name, k, func() []string { return m.drawProse(it, w, focused) })
}

func (m *Model) drawProse(it *session.Item, w int, focused bool) []string {
	lead := m.margin(focused, m.gutter)
	room := max(w-m.gutter, 1)
	var out []string
	for _, p := range blocks(it.Prose) {
		switch {
		case p.blank:
			if len(out) > 0 {
				out = append(out, lead)
			}
		case it.Fence:
			out = append(out, clip(lead+m.th.comment.Render(cutWords(p.text, room)), w))
		case p.code:
			out = append(out, clip(lead+m.th.faint.Render(ansi.Truncate(p.text, room, "…")), w))
		default:
			style := m.th.dim
			if p.heading {
				style = m.th.heading
			}
			for _, l := range wrap(p.text, room) {
				out = append(out, clip(lead+m.inline(l, style), w))
			}
		}
	}
	for len(out) > 0 && out[len(out)-1] == lead {
		out = out[:len(out)-1]
	}
	return out
}

// block is a paragraph, a heading, a list entry, a line of foreign code, or a gap.
type block struct {
	text                 string
	heading, code, blank bool
}

// blocks is light Markdown: enough to reflow paragraphs, not a renderer.
func blocks(lines []string) []block {
	var out []block
	fence := false
	open := false // the last block is a paragraph that goes on
	for _, l := range lines {
		l = strings.TrimRight(oneLine(l), " ")
		trimmed := strings.TrimSpace(l)
		mark := strings.HasPrefix(trimmed, "```") || strings.HasPrefix(trimmed, "~~~")
		switch {
		case fence || mark:
			out = append(out, block{text: l, code: true})
			fence = fence != mark
			open = false
		case trimmed == "":
			if len(out) == 0 || !out[len(out)-1].blank {
				out = append(out, block{blank: true})
			}
			open = false
		case strings.HasPrefix(l, "#"):
			out = append(out, block{text: l, heading: true})
			open = false
		case open && !strings.ContainsAny(trimmed[:1], "-*+>|0123456789") && !strings.HasPrefix(l, "    "):
			out[len(out)-1].text += " " + trimmed
		default:
			out = append(out, block{text: l})
			open = !strings.HasPrefix(trimmed, "|")
		}
	}
	return out
}

// inline paints **strong** and `code` within one line.
func (m *Model) inline(l string, style lipgloss.Style) string {
	if !strings.ContainsAny(l, "*`") {
		return style.Render(l)
	}
	var b strings.Builder
	plain := func(s string) {
		if s != "" {
			b.WriteString(style.Render(s))
		}
	}
	for l != "" {
		at := strings.IndexAny(l, "*`")
		if at < 0 {
			break
		}
		mark, in := "`", m.th.knob
		if l[at] == '*' {
			mark, in = "**", style.Bold(true)
		}
		body, ok := strings.CutPrefix(l[at:], mark)
		end := strings.Index(body, mark)
		if !ok || end <= 0 {
			plain(l[:at+1])
			l = l[at+1:]
			continue
		}
		plain(l[:at])
		b.WriteString(in.Render(body[:end]))
		l = body[end+len(mark):]
	}
	plain(l)
	return b.String()
}

// blankProse reports prose that holds no words.
func blankProse(prose []string) bool {
	for _, l := range prose {
		if strings.TrimSpace(l) != "" {
			return false
		}
	}
	return true
}
