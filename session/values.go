package session

import (
	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/table"
)

// Value is what a cell holds. Type is the word used in JSON and in messages.
type Value interface{ Type() string }

// Table is the value of load, where and show.
type Table struct{ *table.Table }

// View is a table to look at (show): which columns, in what order.
type View struct {
	*table.Table
	Columns []string
}

// Curves is the value of curves.
type Curves struct {
	*fitting.CurveSet
	Source *table.Table // runs it was made from
	// Provisional says that the runs are not over: "10 of 15 runs are over"; "" when they are.
	Provisional string
}

// Law is the value of law.
type Law struct {
	*fitting.Law
	Provisional string // as in Curves
}

// Published is the value of published.
type Published struct {
	*fitting.Published
	Anchor *fitting.Anchor
}

// Prediction is the value of predict.
type Prediction struct{ *fitting.Prediction }

// Comparison is the value of compare.
type Comparison struct{ *fitting.Comparison }

// Picture is the value of plot: what to draw, and the file it goes to.
type Picture struct {
	Of     Value
	Target *fitting.Prediction // drawn into a law when given
	Cell   int                 // of curves: the one cell to draw; -1: all
	File   string              // "" for the terminal alone
	Format string              // "png", "svg"

	Width, Height float64 // of the file, cm
}

// Note is the value of note.
type Note struct{ Text string }

// Expectation is the value of expect.
type Expectation struct {
	Text string // as written
	Path string // "target.lr"
	Got  float64
	Met  bool
	Said string // "4.71e-4 is within 10% of 4.6e-4 (+2.4%)"
}

func (Table) Type() string       { return "table" }
func (View) Type() string        { return "view" }
func (Curves) Type() string      { return "curves" }
func (Law) Type() string         { return "law" }
func (Published) Type() string   { return "published" }
func (Prediction) Type() string  { return "prediction" }
func (Comparison) Type() string  { return "comparison" }
func (Picture) Type() string     { return "picture" }
func (Note) Type() string        { return "note" }
func (Expectation) Type() string { return "expectation" }
