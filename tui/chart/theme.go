package chart

import (
	"image/color"
	"strings"

	"charm.land/lipgloss/v2"
)

// Theme is the styles of a chart. Use only colours, bold, faint and reverse:
// styles are applied to runs of cells, and must not add padding or borders.
type Theme struct {
	Axis     lipgloss.Style // axis lines and tick labels
	Title    lipgloss.Style // the key of a cell, headings
	Text     lipgloss.Style // numbers beside a chart
	Dim      lipgloss.Style // legends, what matters less
	Point    lipgloss.Style // measured points that the fit uses
	Outside  lipgloss.Style // measured points that it does not use
	Curve    lipgloss.Style // fitted lines
	Star     lipgloss.Style // η*
	Interval lipgloss.Style // its interval
	Band     lipgloss.Style // near-optimal band
	Diverged lipgloss.Style
	Excluded lipgloss.Style
	Warning  lipgloss.Style
	Accent   lipgloss.Style // the focused cell, the paging mark
	Selected lipgloss.Style // the cursor on a point
	Series   []color.Color  // lines that are told apart; empty: no colour
}

// Dark is the theme for a dark background.
func Dark() Theme {
	return colours("244", "252", "248", "242", "81", "246", "75", "222", "60", "65", "203", "240", "214", "215",
		"81", "215", "114", "175", "186", "209", "109", "147")
}

// Light is the theme for a light background.
func Light() Theme {
	return colours("243", "235", "238", "246", "25", "242", "32", "130", "146", "151", "160", "249", "130", "166",
		"25", "166", "29", "125", "94", "160", "30", "61")
}

// NoColor is the theme without any escape sequence.
func NoColor() Theme { return Theme{} }

func colours(axis, title, text, dim, point, outside, curve, star, interval, band, diverged, excluded, warning, accent string, series ...string) Theme {
	fg := func(c string) lipgloss.Style { return lipgloss.NewStyle().Foreground(lipgloss.Color(c)) }
	t := Theme{
		Axis: fg(axis), Title: fg(title).Bold(true), Text: fg(text), Dim: fg(dim),
		Point: fg(point).Bold(true), Outside: fg(outside), Curve: fg(curve),
		Star: fg(star).Bold(true), Interval: fg(interval), Band: fg(band),
		Diverged: fg(diverged), Excluded: fg(excluded), Warning: fg(warning),
		Accent: fg(accent).Bold(true), Selected: fg(accent).Bold(true).Reverse(true),
	}
	for _, c := range series {
		t.Series = append(t.Series, lipgloss.Color(c))
	}
	return t
}

// pen is an index into the styles of a theme, one byte a cell.
type pen uint8

const (
	penNone pen = iota
	penAxis
	penTitle
	penText
	penDim
	penPoint
	penOutside
	penCurve
	penStar
	penInterval
	penBand
	penDiverged
	penExcluded
	penWarning
	penAccent
	penSelected
	penSeries // the first of 3·seriesPens pens: as they are, bold, faint
)

// seriesPens is how many lines can have a colour of their own.
const seriesPens = 16

// seriesPen is the pen of the i-th line; the colours repeat.
func seriesPen(i int) pen { return penSeries + pen(i%seriesPens) }

// boldPen and faintPen are the i-th line's colour where one line is picked: it, and
// the others.
func boldPen(i int) pen { return seriesPen(i) + seriesPens }

func faintPen(i int) pen { return seriesPen(i) + 2*seriesPens }

// sequences are the escape sequences that open and close each pen.
type sequences struct {
	open, end [int(penSeries) + 3*seriesPens]string
}

// sequences asks lipgloss once per frame what each style writes, so that a frame
// does not render cell by cell.
func (t *Theme) sequences() *sequences {
	if t == nil {
		return new(sequences)
	}
	s := new(sequences)
	for i, st := range []*lipgloss.Style{
		penAxis: &t.Axis, penTitle: &t.Title, penText: &t.Text, penDim: &t.Dim, penPoint: &t.Point,
		penOutside: &t.Outside, penCurve: &t.Curve, penStar: &t.Star, penInterval: &t.Interval,
		penBand: &t.Band, penDiverged: &t.Diverged, penExcluded: &t.Excluded, penWarning: &t.Warning,
		penAccent: &t.Accent, penSelected: &t.Selected,
	} {
		if st != nil {
			s.set(pen(i), *st)
		}
	}
	for i := range seriesPens {
		if len(t.Series) == 0 {
			break
		}
		st := lipgloss.NewStyle().Foreground(t.Series[i%len(t.Series)])
		s.set(seriesPen(i), st)
		s.set(boldPen(i), st.Bold(true))
		s.set(faintPen(i), st.Faint(true))
	}
	return s
}

func (s *sequences) set(p pen, st lipgloss.Style) {
	// A style that does more than wrap the text has no place in a cell.
	if before, after, ok := strings.Cut(st.Render("x"), "x"); ok {
		s.open[p], s.end[p] = before, after
	}
}
