package table

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Kind is a column's type.
type Kind int

// Column kinds.
const (
	Number Kind = iota
	Text
)

// Missing marks a blank cell of a number column. It is a NaN with a payload of its
// own, so that "no loss yet" (blank) differs from "the loss is NaN" (diverged).
var Missing = math.Float64frombits(0x7ff8_0000_e7a5_7a20)

// IsMissing reports whether v is a blank cell.
func IsMissing(v float64) bool { return math.Float64bits(v) == math.Float64bits(Missing) }

// Column is one column. Number columns hold Numbers, text columns Codes into Words.
type Column struct {
	Name    string // as in the file, trimmed
	Kind    Kind
	Numbers []float64
	Codes   []uint32 // text: index into Words; Words[0] is the blank cell ""
	Words   []string
}

// Table is an immutable table. Columns have equal lengths.
type Table struct {
	Columns []*Column
	Rows    int
	// Row numbers in the source (line numbers for text formats), for messages; nil: row i is source row i.
	Lines []int32
	// Source names where it came from ("dense_lr_bs_loss.csv").
	Source string
	// Roles says which column is what; see Assign.
	Roles Roles
	// Notes is what the reader should know: what was taken for what, rows skipped, roundings grouped.
	Notes []string
}

// Role is what a column means to a sweep.
type Role string

// Roles a column can have.
const (
	RoleN     Role = "N"     // parameters
	RoleD     Role = "D"     // training tokens
	RoleLR    Role = "lr"    // peak learning rate
	RoleBatch Role = "batch" // tokens per optimizer step
	RoleLoss  Role = "loss"  // final loss
	RoleFLOPs Role = "C"     // training FLOPs
)

// Roles maps a role to its column name (a derived column for an expression).
type Roles map[Role]RoleSource

// RoleSource says how a role's column was found.
type RoleSource struct {
	Column string   // column of the table
	Expr   string   // the expression it was computed by, "" when it is a column as read
	Given  bool     // the user said so; false: found by its name
	Others []string // further columns that could have been taken, best first
}

// Column returns the column called name (exactly, else ignoring case, else with
// non-word characters folded to "_"), or nil.
func (t *Table) Column(name string) *Column {
	for _, c := range t.Columns {
		if c.Name == name {
			return c
		}
	}
	for _, c := range t.Columns {
		if strings.EqualFold(c.Name, name) {
			return c
		}
	}
	folded := Fold(name)
	for _, c := range t.Columns {
		if Fold(c.Name) == folded {
			return c
		}
	}
	return nil
}

// RoleColumn returns the column that has the role, or nil.
func (t *Table) RoleColumn(r Role) *Column {
	src, ok := t.Roles[r]
	if !ok {
		return nil
	}
	for _, c := range t.Columns {
		if c.Name == src.Column {
			return c
		}
	}
	return nil
}

// Names returns the column names in order.
func (t *Table) Names() []string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return names
}

// Line returns the source row (line number for text formats) of row i.
func (t *Table) Line(i int) int {
	if t.Lines == nil {
		return i
	}
	return int(t.Lines[i])
}

// Value returns row i of a number column; text columns give NaN.
func (c *Column) Value(i int) float64 {
	if c.Kind != Number {
		return math.NaN()
	}
	return c.Numbers[i]
}

// String prints row i as the notebook shows it; blank cells are "".
func (c *Column) String(i int) string {
	if c.Kind == Text {
		return c.Words[c.Codes[i]]
	}
	return FormatNumber(c.Numbers[i])
}

// Len returns the number of rows.
func (c *Column) Len() int {
	if c.Kind == Text {
		return len(c.Codes)
	}
	return len(c.Numbers)
}

// FormatNumber prints v in the fewest digits that read back as v: in full
// between 10^-4 and 10^15, else as 3e-5; blank as "".
func FormatNumber(v float64) string {
	switch {
	case IsMissing(v):
		return ""
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 0):
		return map[bool]string{true: "Inf", false: "-Inf"}[v > 0]
	case v == 0 || 1e-4 <= math.Abs(v) && math.Abs(v) < 1e15:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	s := strconv.FormatFloat(v, 'e', -1, 64)
	if i := strings.LastIndexByte(s, 'e'); i >= 0 && len(s) == i+4 && s[i+2] == '0' {
		s = s[:i+2] + s[i+3:]
	}
	return strings.Replace(s, "e+", "e", 1)
}

// gather returns the rows of c listed in rows, in that order.
func (c *Column) gather(rows []int32) *Column {
	out := &Column{Name: c.Name, Kind: c.Kind, Words: c.Words}
	if c.Kind == Text {
		out.Codes = make([]uint32, len(rows))
		for i, r := range rows {
			out.Codes[i] = c.Codes[r]
		}
		return out
	}
	out.Numbers = make([]float64, len(rows))
	for i, r := range rows {
		out.Numbers[i] = c.Numbers[r]
	}
	return out
}

// pick returns the table of the rows listed, in that order.
func (t *Table) pick(rows []int32) *Table {
	out := t.with(make([]*Column, len(t.Columns)))
	out.Rows = len(rows)
	for i, c := range t.Columns {
		out.Columns[i] = c.gather(rows)
	}
	out.Lines = make([]int32, len(rows))
	for i, r := range rows {
		out.Lines[i] = int32(t.Line(int(r)))
	}
	return out
}

// with returns a copy of t with other columns; roles and notes may be changed freely.
func (t *Table) with(columns []*Column) *Table {
	return &Table{
		Columns: columns,
		Rows:    t.Rows,
		Lines:   t.Lines,
		Source:  t.Source,
		Roles:   maps.Clone(t.Roles),
		Notes:   slices.Clone(t.Notes),
	}
}
