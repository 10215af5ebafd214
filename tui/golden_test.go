package tui

import (
	"flag"
	"image/color"
	"os"
	"path/filepath"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden screens anew")

// golden compares a screen with the one in testdata/golden.
func golden(t *testing.T, name, screen string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".txt")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(screen), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), screen); d != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", name, d)
	}
}

// TestGoldenScreens looks at every kind of value at the sizes people have.
func TestGoldenScreens(t *testing.T) {
	s := openNotebook(t, syntheticText+"\nHow good is it?\n\n```eta\nscore  = compare curves laws=[power,N_only,largest] holdout=half\nexpect target.lr within 50% of 1e-3\n```\n")
	for _, size := range []struct {
		name string
		w, h int
	}{{"80x24", 80, 24}, {"120x36", 120, 36}, {"200x50", 200, 50}, {"40x12", 40, 12}, {"20x6", 20, 6}, {"12x2", 12, 2}} {
		m := newScreen(t, s, size.w, size.h)
		golden(t, size.name+"-first", emulated(m))
		for i := range m.items {
			m.moveFocus(i - m.focus)
			c := m.focused()
			if c == nil || c.Name == "" {
				continue
			}
			golden(t, size.name+"-"+c.Name, emulated(m))
		}
	}
}

// TestGoldenStates looks at the screen while something is typed, read or wrong.
func TestGoldenStates(t *testing.T) {
	s := openNotebook(t, syntheticText)
	press := func(m *Model, keys ...string) {
		for _, k := range keys {
			m.Update(keyPress(k))
		}
	}
	typed := func(m *Model, text string) {
		for _, r := range text {
			m.Update(tea.KeyPressMsg{Code: r, Text: string(r)})
		}
	}
	m := newScreen(t, s, 80, 24)
	press(m, "?")
	golden(t, "keys", emulated(m))
	press(m, "esc", ":")
	typed(m, "x = law curves form=")
	press(m, "tab")
	golden(t, "completing", emulated(m))
	press(m, "esc", "esc", "down", "enter", "ctrl+w")
	typed(m, "form=pwer")
	golden(t, "editing", emulated(m))
	press(m, "esc", "!")
	golden(t, "notes", emulated(m))
	press(m, "esc", "g", "enter")
	golden(t, "prose", emulated(m))
	broken := openNotebook(t, "# Broken\n\n```eta\nruns = load \"sweep.csv\" los=x\ncurves = curves runs\nlaw = law curvs form=power\n```\n")
	m = newScreen(t, broken, 80, 24)
	press(m, "down", "down")
	golden(t, "broken", emulated(m))
	empty := openNotebook(t, "")
	golden(t, "empty", emulated(newScreen(t, empty, 80, 24)))
}

// TestNoColour: without colours not one colour is written, and bold stays.
func TestNoColour(t *testing.T) {
	s := openNotebook(t, syntheticText)
	m := newModel(t.Context(), s, "none", true)
	m.Update(tea.WindowSizeMsg{Width: 120, Height: 36})
	for i := range m.items {
		m.moveFocus(i - m.focus)
		for _, seq := range []string{"\x1b[3", "\x1b[4", "\x1b[9", "38;", "48;"} {
			if at := indexSGR(m.View().Content, seq); at != "" {
				t.Fatalf("a colour in item %d: %q", i, at)
			}
		}
	}
}

// TestBackground: the colours follow the terminal's background, unless told otherwise.
func TestBackground(t *testing.T) {
	s := openNotebook(t, syntheticText)
	for _, c := range []struct {
		theme string
		dark  bool
	}{{"auto", false}, {"dark", true}, {"light", false}} {
		m := newModel(t.Context(), s, c.theme, true)
		m.Update(tea.BackgroundColorMsg{Color: color.White})
		if m.th.dark != c.dark {
			t.Errorf("theme %s on white is dark: %v", c.theme, m.th.dark)
		}
	}
}

// indexSGR finds an escape sequence that sets a colour and returns it.
func indexSGR(s, seq string) string {
	for i := 0; i+len(seq) <= len(s); i++ {
		if s[i:i+len(seq)] == seq {
			return s[i:min(i+20, len(s))]
		}
	}
	return ""
}
