package session

import "math"

// Sheet is a small table of a value, as the screen and an export show it.
type Sheet struct {
	Name  string // of the view: "modules", "megatron"
	Heads []string
	Rows  [][]Entry
	// Text says that the rows are the lines of a text for a file of this extension: "" for a table.
	Text string
}

// Entry is a number with how it reads, or a text.
type Entry struct {
	Text  string
	Value float64 // NaN: a text
}

// Sheeted is a value that is read as tables. Identity is comparable and another for every
// value that reads differently.
type Sheeted interface {
	Value
	Sheets() []Sheet
	Identity() any
	Summary() string // in one line
}

func textEntry(s string) Entry { return Entry{s, math.NaN()} }

// About is the name of a sheet of labels with what they label.
const About = "about"

// linesSheet makes a text a sheet.
func linesSheet(name, ext string, lines []string) Sheet {
	s := Sheet{Name: name, Heads: []string{""}, Text: ext}
	for _, l := range lines {
		s.Rows = append(s.Rows, []Entry{textEntry(l)})
	}
	return s
}

// aboutSheet is labels with what they label; an empty text is left out.
func aboutSheet(pairs ...string) Sheet {
	s := Sheet{Name: About, Heads: []string{"", ""}}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			s.Rows = append(s.Rows, []Entry{textEntry(pairs[i]), textEntry(pairs[i+1])})
		}
	}
	return s
}
