package importers

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/etastar/etastar/session/table"
)

// maxColumns bounds a table's width: a file beyond it is no table, or one that
// stands on its side.
const maxColumns = 100_000

type mode uint8

const (
	asNumbers mode = iota // until a cell says otherwise
	asText
	settled // done in an earlier pass
)

// column collects the cells of one column. It starts as numbers and keeps
// nothing else; at the first cell that is no number it goes on as text. If cells
// with numbers came before, their exact text is gone, and reread asks for
// another pass over the file that collects this column as text from the start.
// So memory is bounded by what is kept, and only columns with a stray word cost
// a second pass.
type column struct {
	name   string
	mode   mode
	reread bool
	styles style
	rows   int // cells so far

	numbers []float64
	codes   []uint32
	dict    *dictionary // of a text column

	written  int    // cells that are not empty
	example  string // of an unusual style
	bad      string // the cell that made the column text
	badLine  int
	capacity int
}

// columns collects a table.
type columns struct {
	list  []*column
	lines []int32
	comma bool // decimal commas
	notes []string
	// blanks are the cells of columns that a row does not have, and room how many there may
	// be: of a file that names other columns in each row they are the square of its size.
	blanks, room int
}

// sparse is the number of blank cells that any file may have.
const sparse = 1 << 24

var errSparse = errors.New("almost all cells of the table would be blank, since most columns are in few rows: are values used as keys?")

// fill appends blank cells until the column has rows of them.
func (cs *columns) fill(c *column, rows int) error {
	n := max(0, rows-c.rows)
	if cs.blanks += n; cs.blanks > cs.room {
		return errSparse
	}
	c.pad(rows)
	return nil
}

// fillAll does so with all columns.
func (cs *columns) fillAll(rows int) error {
	for _, c := range cs.list {
		if err := cs.fill(c, rows); err != nil {
			return err
		}
	}
	return nil
}

func newColumn(name string) *column { return &column{name: name} }

// add appends a cell, with surrounding space removed.
func (c *column) add(cell []byte, line int, comma bool) {
	c.rows++
	switch c.mode {
	case asNumbers:
		if v, s, ok := parseDecimal(cell); ok && (c.styles|s)&^(styleInteger|stylePoint) == 0 {
			c.styles |= s
			c.numbers = append(c.numbers, v)
			c.written++
			return
		}
		c.addUnusual(bytes.TrimSpace(cell), line, comma)
	case asText:
		c.addWord(bytes.TrimSpace(cell))
	}
}

func (c *column) addUnusual(cell []byte, line int, comma bool) {
	if len(cell) == 0 {
		c.numbers = append(c.numbers, table.Missing)
		return
	}
	v, s, ok := parseCell(cell, comma)
	if ok && !(c.styles | s).conflict() {
		if s&^(styleInteger|stylePoint) != 0 && c.styles&s == 0 {
			c.example = string(cell)
		}
		c.styles |= s
		c.numbers = append(c.numbers, v)
		c.written++
		return
	}
	c.bad, c.badLine = string(cell), line
	c.mode = asText
	c.reread = c.written > 0
	if c.reread {
		c.mode = settled
		c.numbers = nil
		return
	}
	blanks := len(c.numbers)
	c.numbers = nil
	c.startText()
	for range blanks {
		c.codes = append(c.codes, 0)
	}
	c.addWord(cell)
}

func (c *column) startText() {
	c.dict = newDictionary()
	c.codes = make([]uint32, 0, c.capacity)
}

func (c *column) addWord(cell []byte) {
	if len(cell) > 0 {
		c.written++
	}
	c.codes = append(c.codes, 0)
	c.dict.later(cell, c.codes, len(c.codes)-1)
}

// pad appends blank cells until the column has rows of them.
func (c *column) pad(rows int) {
	for ; c.rows < rows; c.rows++ {
		switch c.mode {
		case asNumbers:
			c.numbers = append(c.numbers, table.Missing)
		case asText:
			c.codes = append(c.codes, 0)
		}
	}
}

// cut drops what a record that was not finished left behind.
func (cs *columns) cut(rows int) error {
	for _, c := range cs.list {
		if c.rows > rows {
			if c.dict != nil {
				c.dict.lookUp(c.codes)
			}
			c.rows = rows
			c.numbers = c.numbers[:min(rows, len(c.numbers))]
			c.codes = c.codes[:min(rows, len(c.codes))]
		}
	}
	return cs.fillAll(rows)
}

// reserve makes room for rows cells in all.
func (c *column) reserve(rows int) {
	c.capacity = rows
	switch c.mode {
	case asNumbers:
		c.numbers = slices.Grow(c.numbers, max(0, rows-len(c.numbers)))
	case asText:
		if 2*len(c.dict.words) > len(c.codes) {
			c.dict.reserve(rows)
		}
		c.codes = slices.Grow(c.codes, max(0, rows-len(c.codes)))
	}
}

// again prepares another pass over the source, which collects the columns whose
// text was lost, and reports whether one is needed.
func (cs *columns) again() bool {
	need := false
	cs.blanks = 0
	for _, c := range cs.list {
		if !c.reread {
			c.mode = settled
			continue
		}
		need = true
		c.reread = false
		c.mode = asText
		c.capacity = c.rows
		c.rows, c.written = 0, 0
		c.startText()
	}
	return need
}

// even reports whether all columns have a cell in each row, after several passes.
func (cs *columns) even() bool {
	for _, c := range cs.list {
		if n := len(c.numbers); c.dict == nil && n != len(cs.lines) || c.dict != nil && len(c.codes) != len(cs.lines) {
			return false
		}
	}
	return true
}

func (cs *columns) note(format string, args ...any) {
	cs.notes = append(cs.notes, fmt.Sprintf(format, args...))
}

// build makes the table.
func (cs *columns) build() *table.Table {
	t := &table.Table{Rows: len(cs.lines), Lines: cs.lines}
	for _, c := range cs.list {
		out := &table.Column{Name: c.name}
		if c.dict != nil {
			c.dict.lookUp(c.codes)
			out.Kind, out.Codes, out.Words = table.Text, c.codes, c.dict.words
			if c.dict.invalid {
				cs.note("column %s has characters that are not UTF-8, shown as �", strconv.Quote(c.name))
			}
			if note := c.nearlyNumbers(cs.comma); note != "" {
				cs.notes = append(cs.notes, note)
			}
		} else {
			out.Numbers = c.numbers
			if note := c.styleNote(); note != "" {
				cs.notes = append(cs.notes, note)
			}
		}
		c.dict = nil
		t.Columns = append(t.Columns, out)
	}
	t.Notes = cs.notes
	return t
}

// nearlyNumbers explains why a column of almost only numbers is text.
func (c *column) nearlyNumbers(comma bool) string {
	const share = 0.8
	if c.bad == "" || c.written == 0 {
		return ""
	}
	numbers := c.written
	const unknown, number, word = 0, 1, 2
	known := make([]uint8, len(c.dict.words))
	for _, code := range c.codes {
		if known[code] == unknown && code != 0 {
			w := c.dict.words[code]
			known[code] = word
			if _, _, ok := parseCell(unsafe.Slice(unsafe.StringData(w), len(w)), comma); ok {
				known[code] = number
			}
		}
		if known[code] == word {
			// Of a column of names a part is enough.
			if numbers--; float64(numbers) < share*float64(c.written) {
				return ""
			}
		}
	}
	what := "the other cells are numbers"
	if _, _, ok := parseCell([]byte(c.bad), comma); ok {
		what = "its numbers are written in several ways"
	} else if others := c.written - numbers - 1; others > 0 {
		what = fmt.Sprintf("so have %d more cells no number; the other %d are numbers", others, numbers)
	}
	return fmt.Sprintf("column %s is text: line %d has %s; %s", strconv.Quote(c.name), c.badLine, strconv.Quote(cut(c.bad)), what)
}

// styleNote says how unusual numbers were read.
func (c *column) styleNote() string {
	var how string
	switch s := c.styles; {
	case s&styleSuffix != 0:
		how = "K, M, B, T are thousand to trillion"
	case s&stylePercent != 0:
		how = "the percent sign is dropped, 12% is 12"
	case s&styleThousands != 0:
		how = "commas are thousands separators"
	case s&styleComma != 0:
		how = "the comma is the decimal point"
	default:
		return ""
	}
	return fmt.Sprintf("column %s has numbers such as %s: %s", strconv.Quote(c.name), strconv.Quote(c.example), how)
}

// uniqueNames makes column names of header cells: trimmed, blank ones named by
// their place, repeated ones numbered. It notes what it changed.
func (cs *columns) uniqueNames(header [][]byte) []string {
	used := make(map[string]bool, len(header))
	for _, h := range header {
		used[string(bytes.TrimSpace(h))] = true
	}
	var blank, repeated []string
	seen := make(map[string]bool, len(header))
	next := map[string]int{}
	names := make([]string, len(header))
	for i, h := range header {
		name := strings.ToValidUTF8(string(bytes.TrimSpace(h)), "�")
		if name == "" {
			name = "column_" + strconv.Itoa(i+1)
			for used[name] {
				name += "_"
			}
			blank = append(blank, strconv.Itoa(i+1))
		} else if seen[name] {
			base := name
			for n := max(2, next[base]); ; n++ {
				name = base + "_" + strconv.Itoa(n)
				if !used[name] {
					next[base] = n + 1
					break
				}
			}
			repeated = append(repeated, strconv.Quote(cut(name)))
		}
		seen[name], used[name] = true, true
		names[i] = name
	}
	if len(blank) > 0 {
		cs.note("columns without a name are called column_N: %s", some(blank))
	}
	if len(repeated) > 0 {
		cs.note("repeated column names are numbered: %s", some(repeated))
	}
	return names
}

// cut shortens a cell for a message.
func cut(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// some lists items, shortened when they are many.
func some(items []string) string {
	const most = 5
	if len(items) <= most {
		return strings.Join(items, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(items[:most], ", "), len(items)-most)
}
