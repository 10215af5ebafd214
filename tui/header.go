package tui

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/number"
)

var slotNames = func() (names [256]string) {
	for i := range names {
		names[i] = "item " + strconv.Itoa(i)
	}
	return names
}()

func itoa(n int) string { return strconv.Itoa(n) }

func baseName(path string) string {
	if path == "" {
		return "unnamed"
	}
	return filepath.Base(path)
}

// header names the notebook, says whether the disk has it, and counts.
func (m *Model) header(w, h int) []string {
	if h < 3 {
		return nil
	}
	t := m.th
	name := oneLine(baseName(m.file.Path))
	if m.file.Example {
		if name = strings.TrimSuffix(name, ".md"); name != "example" {
			name = "example: " + name
		}
	}
	state, style := "●saved", t.ok
	switch {
	case m.file.Conflict:
		state, style = "⚠ changed on disk: r reload · W keep ours", t.warn
	case m.file.Err != "":
		state, style = "⚠ not saved: "+oneLine(m.file.Err), t.bad
	case m.file.Recovered:
		state, style = "● recovered after a crash: r drops it", t.warn
	case !m.file.Saved:
		state, style = "○unsaved", t.warn
	}
	left := []part{{t.accent.Bold(true).Render("etastar"), 1}, {t.bold.Render(name), 8}, {style.Render(state), 7}}
	right := m.counts()
	// What is saved matters more than what is counted.
	l, _ := joinParts(left, " ", w-2)
	r, _ := joinParts(right, " · ", max(w-width(l)-5, 0))
	lines := []string{clip(" "+ends(l, t.dim.Render(r), max(w-2, 1)), w)}
	if h >= 16 {
		lines = append(lines, t.rule.Render(strings.Repeat("─", w)))
	}
	return lines
}

// counts is the summary at the right of the header.
func (m *Model) counts() []part {
	done, failed, total := 0, 0, 0
	var running *session.Cell
	var curves *session.Curves
	for i := range m.items {
		c := m.items[i].Cell
		if c == nil {
			continue
		}
		total++
		switch c.Status {
		case session.Done:
			done++
		case session.Failed:
			failed++
		case session.Running:
			running = c
		}
		if v, ok := c.Value.(session.Curves); ok && curves == nil {
			curves = &v
		}
	}
	var out []part
	if running != nil {
		s := "computing"
		if running.Name != "" {
			s += " " + oneLine(running.Name)
		}
		if running.Progress > 0 {
			s += fmt.Sprintf(" %d%%", int(100*running.Progress))
		}
		out = append(out, part{s, 9})
	}
	if curves != nil {
		t := tally(curves.CurveSet)
		out = append(out, part{"runs " + number.Count(curves.Runs), 5})
		if t.diverged > 0 {
			out = append(out, part{number.Count(t.diverged) + " diverged set apart", 4})
		}
	}
	if failed > 0 {
		out = append(out, part{number.Count(failed) + " failed", 8})
	}
	if total > 0 {
		out = append(out, part{fmt.Sprintf("cells %d/%d", done, total), 6})
	}
	return out
}
