package tui

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"pgregory.net/rapid"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/number"
)

// fits checks the promise of every frame: exactly h lines of at most w cells.
func fits(m *Model) error {
	lines := strings.Split(m.View().Content, "\n")
	if len(lines) != m.h {
		return fmt.Errorf("%d lines on a screen of %d×%d", len(lines), m.w, m.h)
	}
	for i, l := range lines {
		if w := width(l); w > m.w {
			return fmt.Errorf("line %d is %d wide on a screen of %d×%d: %q", i, w, m.w, m.h, stripped(l))
		}
	}
	if c := m.View().Cursor; c != nil && (c.X < 0 || c.Y < 0 || c.X >= m.w || c.Y >= m.h) {
		return fmt.Errorf("cursor at %d,%d on a screen of %d×%d", c.X, c.Y, m.w, m.h)
	}
	return nil
}

// everyKey is each key of the table and some that are typed.
func everyKey() []tea.KeyPressMsg {
	var out []tea.KeyPressMsg
	seen := map[string]bool{}
	for _, b := range newKeyTable().all {
		for _, k := range b.keys {
			// Leaving and stopping the process are not what is tested here.
			if k == "q" || k == "ctrl+c" || k == "ctrl+z" || seen[k] {
				continue
			}
			seen[k] = true
			out = append(out, keyPress(k))
		}
	}
	for _, r := range `abc=("#5.é漢 ` {
		out = append(out, tea.KeyPressMsg{Code: r, Text: string(r)})
	}
	return out
}

// TestAnyKeysAnySize presses anything on any size of screen.
func TestAnyKeysAnySize(t *testing.T) {
	keys := everyKey()
	path := writeNotebook(t, syntheticText+"\n```eta\nscore = compare curves\nshown = show runs\nnote \"漢字 and more\"\nbad = law nothing\np = published step\n```\n", 100)
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	rapid.Check(t, func(rt *rapid.T) {
		s, err := session.Open(path, session.Options{ReadOnly: true})
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		s.Wait(20 * time.Second)
		m := newScreen(t, s, rapid.IntRange(1, 140).Draw(rt, "w"), rapid.IntRange(1, 50).Draw(rt, "h"))
		for range rapid.IntRange(1, 40).Draw(rt, "n") {
			switch rapid.IntRange(0, 12).Draw(rt, "what") {
			case 0:
				m.Update(tea.WindowSizeMsg{Width: rapid.IntRange(1, 220).Draw(rt, "w"), Height: rapid.IntRange(1, 60).Draw(rt, "h")})
			case 1:
				m.Update(changedMsg{})
			case 2:
				x, y := rapid.IntRange(0, 219).Draw(rt, "x"), rapid.IntRange(0, 59).Draw(rt, "y")
				m.Update(tea.MouseClickMsg{X: x, Y: y, Button: tea.MouseLeft})
			case 3:
				m.Update(tea.MouseWheelMsg{Button: rapid.SampledFrom([]tea.MouseButton{tea.MouseWheelUp, tea.MouseWheelDown}).Draw(rt, "b")})
			default:
				m.Update(rapid.SampledFrom(keys).Draw(rt, "key"))
			}
			if err := fits(m); err != nil {
				rt.Fatal(err)
			}
		}
	})
}

// TestEverySizeFits walks every cell at every small size and some large ones.
func TestEverySizeFits(t *testing.T) {
	s := openNotebook(t, syntheticText)
	m := newScreen(t, s, 80, 24)
	sizes := [][2]int{{200, 50}, {120, 36}, {97, 31}, {300, 3}, {3, 300}}
	for w := 1; w <= 40; w += 3 {
		for h := 1; h <= 26; h += 2 {
			sizes = append(sizes, [2]int{w, h})
		}
	}
	for _, size := range sizes {
		m.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		for i := range m.items {
			m.moveFocus(i - m.focus)
			for _, k := range []string{"z", "v", "z", ":", "esc", "enter", "esc", "?", "esc", "!", "esc"} {
				m.Update(keyPress(k))
				if err := fits(m); err != nil {
					t.Fatalf("item %d after %s: %v", i, k, err)
				}
			}
		}
	}
}

// TestNumbersStayWhole: no text function ever cuts a number in the middle.
func TestNumbersStayWhole(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		x := math.Exp(rapid.Float64Range(-30, 30).Draw(rt, "ln x"))
		num := number.EtaPadded(x, rapid.IntRange(1, 5).Draw(rt, "digits"))
		parts := []part{{num, 3}, {"and more", 2}, {num + " again", 1}}
		w := rapid.IntRange(0, 40).Draw(rt, "w")
		line, _ := joinParts(parts, "  ", w)
		lines, _ := flowParts(parts, "  ", w, 2)
		for _, l := range append(lines, line) {
			for f := range strings.FieldsSeq(l) {
				if strings.ContainsAny(f, "0123456789") && f != num {
					rt.Fatalf("%q of %q in %q", f, num, l)
				}
			}
			if width(l) > w {
				rt.Fatalf("%q is wider than %d", l, w)
			}
		}
	})
}

// TestTokensAreTheStatement: cutting a statement into colours loses nothing.
func TestTokensAreTheStatement(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.StringOf(rapid.SampledFrom([]rune(`ab =("#5.e-4B),[]漢 where\`))).Draw(rt, "s")
		var back strings.Builder
		for _, tk := range tokens(s) {
			back.WriteString(tk.text)
		}
		if back.String() != s {
			rt.Fatalf("%q became %q", s, back.String())
		}
		w := rapid.IntRange(1, 30).Draw(rt, "w")
		end := 0
		for _, r := range paintRows(newTheme(true, true), s, w) {
			if width(r.text) > w && w > 1 {
				rt.Fatalf("%q is wider than %d", stripped(r.text), w)
			}
			if r.start < end {
				rt.Fatalf("rows overlap")
			}
			end = r.end
		}
	})
}
