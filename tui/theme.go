package tui

import (
	"image/color"

	"charm.land/lipgloss/v2"
)

// theme is every style of the screen. Colours are of the 256-colour palette:
// half the bytes of true colour on the wire, and the same everywhere.
type theme struct {
	dark, color bool

	text, dim, faint, bold    lipgloss.Style
	rule, bar, accent, eta    lipgloss.Style
	ok, warn, bad, moved      lipgloss.Style
	verb, name, param, number lipgloss.Style
	str, comment, heading     lipgloss.Style
	knob, knobOn, knobOff     lipgloss.Style
	pick, key                 lipgloss.Style
}

// newTheme builds the styles for a dark or light background; without colour
// only bold, faint, underline and reverse carry meaning.
func newTheme(dark, colour bool) *theme {
	t := &theme{dark: dark, color: colour}
	plain := lipgloss.NewStyle()
	fg := func(onDark, onLight string) lipgloss.Style {
		if !colour {
			return plain
		}
		return plain.Foreground(t.of(onDark, onLight))
	}
	t.text = plain
	t.bold = plain.Bold(true)
	t.dim = fg("246", "242")
	t.faint = fg("241", "248")
	t.rule = fg("238", "252")
	t.bar = fg("75", "26")
	t.accent = fg("215", "130")
	t.eta = fg("222", "94").Bold(true)
	t.ok = fg("114", "28")
	t.warn = fg("214", "130")
	t.bad = fg("203", "160")
	t.moved = fg("213", "127").Bold(true)
	t.verb = fg("75", "26")
	t.name = fg("180", "94")
	t.param = fg("109", "30")
	t.number = fg("150", "64")
	t.str = fg("108", "29")
	t.comment = fg("242", "246")
	t.heading = t.dim.Bold(true)
	t.knob = fg("252", "236")
	t.knobOn = fg("222", "94").Bold(true).Reverse(true)
	t.knobOff = fg("241", "248")
	t.pick = plain.Reverse(true)
	t.key = fg("252", "236").Bold(true)
	if !colour {
		t.faint = plain.Faint(true)
		t.dim = plain.Faint(true)
		t.comment = plain.Faint(true)
		t.rule = plain.Faint(true)
		t.knobOff = plain.Faint(true)
		t.heading = t.bold
		t.eta = t.bold
		t.verb = t.bold
	}
	return t
}

// of picks the colour for the background at hand.
func (t *theme) of(onDark, onLight string) color.Color {
	if t.dark {
		return lipgloss.Color(onDark)
	}
	return lipgloss.Color(onLight)
}
