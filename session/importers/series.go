package importers

import (
	"slices"
	"strconv"
	"strings"

	"github.com/etastar/etastar/session/table"
)

// maxCells bounds a series: what logs a new name at every step is no log.
const maxCells = 1 << 27

// series collects what a run logged into a table, one row for each step. What is
// logged of a step in several records goes into one row, unless it is logged
// twice with different values. When the steps go back, the run was restarted:
// nothing is dropped, and a column restart counts the restarts before each row.
type series struct {
	job     *job
	columns map[string]int
	rows    int
	line    int // of the record in hand
	step    float64
	cells   []sample
	scratch []byte
	most    int // cells
	full    bool

	restarts []int // rows
	config   []setting
	counted  bool               // Megatron: the iterations planned are known
	ranks    map[string]float64 // Megatron: parameters by rank
}

// sample is a value of a record.
type sample struct {
	column int
	v      float64
	// clock is set of the time of a record, which may differ within a step.
	clock bool
}

// setting is what a log says of its run.
type setting struct{ name, value string }

func newSeries(j *job) *series {
	s := &series{job: j, columns: map[string]int{}, most: min(maxCells, j.cols.room)}
	s.column("step")
	return s
}

// note takes a note, once if the file is read twice.
func (s *series) note(format string, args ...any) {
	if s.job.first {
		s.job.cols.note(format, args...)
	}
}

// column returns the number of a column, which is new if its name is.
func (s *series) column(name string) int {
	i, ok := s.columns[name]
	if !ok {
		i = s.newColumn(name)
	}
	return i
}

// columnOf is column for a name that is only borrowed.
func (s *series) columnOf(name []byte) int {
	i, ok := s.columns[string(name)]
	if !ok {
		i = s.newColumn(string(name))
	}
	return i
}

func (s *series) newColumn(name string) int {
	cs := &s.job.cols
	if clean := cleanName(name); clean != name {
		// Two spellings that look the same are one column.
		i := s.column(clean)
		s.columns[name] = i
		return i
	}
	i := len(cs.list)
	s.columns[name] = i
	cs.list = append(cs.list, newColumn(name))
	return i
}

// cleanName makes what a program called a value a name.
func cleanName(name string) string {
	if name = strings.TrimSpace(strings.ToValidUTF8(name, "�")); name == "" {
		return "_"
	}
	return name
}

// unitColumn is columnOf for a name with its unit.
func (s *series) unitColumn(name []byte, unit string) int {
	s.scratch = append(append(s.scratch[:0], name...), unit...)
	return s.columnOf(s.scratch)
}

// add adds a value to the record in hand.
func (s *series) add(name string, v float64) {
	s.cells = append(s.cells, sample{column: s.column(name), v: v})
}

// put ends the record in hand, which is of this step; a missing step makes a row
// of its own.
func (s *series) put(step float64) {
	cs := &s.job.cols
	again := s.rows > 0 && step == s.step
	again = again && !slices.ContainsFunc(s.cells, func(c sample) bool {
		logged := cs.list[c.column]
		return !c.clock && logged.rows >= s.rows && !same(logged.numbers[s.rows-1], c.v)
	})
	if !again {
		if s.overflows("line") {
			return
		}
		if s.rows > 0 && step < s.step {
			s.restarts = append(s.restarts, s.rows)
		}
		s.step = step
		s.rows++
		cs.lines = append(cs.lines, int32(s.line))
		s.set(0, step)
		if s.rows == worthReserving {
			s.reserve()
		}
	}
	for _, c := range s.cells {
		s.set(c.column, c.v)
	}
	s.cells = s.cells[:0]
}

// At worthReserving rows the file's size tells the number of the rest, unless its
// rows are only at its beginning: hence mostReserved.
const (
	worthReserving = 4096
	mostReserved   = 1 << 21
)

func (s *series) reserve() {
	cs := &s.job.cols
	expected := min(s.job.in.expectRows(s.rows), s.most/len(cs.list), mostReserved)
	for _, c := range cs.list {
		c.reserve(expected)
	}
	cs.lines = slices.Grow(cs.lines, max(0, expected-len(cs.lines)))
}

// overflows reports whether another row would be too much, which ends the series.
func (s *series) overflows(unit string) bool {
	if (s.rows+1)*len(s.job.cols.list) <= s.most {
		return false
	}
	s.full = true
	s.note("%s %d: the table would have more than %d cells: the rest is left out", unit, s.line, s.most)
	return true
}

// same reports whether two values logged at a step are one, NaN included.
func same(v, w float64) bool { return v == w || v != v && w != w }

// set sets a cell of the last row that is not set yet.
func (s *series) set(column int, v float64) {
	c := s.job.cols.list[column]
	if c.rows >= s.rows {
		return
	}
	c.pad(s.rows - 1)
	c.numbers = append(c.numbers, v)
	c.rows++
}

// configure keeps a setting; the last of several counts.
func (s *series) configure(name, value string) {
	for i := range s.config {
		if s.config[i].name == name {
			s.config[i].value = value
			return
		}
	}
	s.config = append(s.config, setting{name, value})
}

// configured returns a setting as a number.
func (s *series) configured(name string) (float64, bool) {
	i := slices.IndexFunc(s.config, func(c setting) bool { return c.name == name })
	if i < 0 {
		return 0, false
	}
	v, _, ok := parseDecimal([]byte(s.config[i].value))
	return v, ok
}

// finish makes the columns equally long and adds those of the settings.
func (s *series) finish() {
	cs := &s.job.cols
	for _, c := range cs.list {
		c.pad(s.rows)
	}
	if len(s.restarts) > 0 {
		s.restarted()
	}
	if len(s.config) == 0 {
		return
	}
	for _, set := range s.config {
		name := "config/" + set.name
		if _, taken := s.columns[name]; taken {
			continue
		}
		if c := cs.list[s.column(name)]; c.rows == 0 {
			s.constant(c, set.value)
		}
	}
	s.note("the columns config/… are what the log says of its run, the same in every row")
}

func (s *series) restarted() {
	at := make([]string, 0, len(s.restarts))
	for _, row := range s.restarts {
		at = append(at, strconv.Itoa(int(s.job.cols.lines[row])))
	}
	c := s.job.cols.list[s.column("restart")]
	if c.rows > 0 {
		return // the log has its own
	}
	c.numbers = make([]float64, s.rows)
	c.rows = s.rows
	for i, row := range s.restarts {
		end := s.rows
		if i+1 < len(s.restarts) {
			end = s.restarts[i+1]
		}
		for r := row; r < end; r++ {
			c.numbers[r] = float64(i + 1)
		}
	}
	s.note("the steps go back %s (line %s): the run was restarted; rows of both are kept, the column restart tells them apart",
		times(len(s.restarts)), some(at))
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
}

// constant fills a column with one value.
func (s *series) constant(c *column, value string) {
	c.rows = s.rows
	if v, style, ok := parseCell([]byte(value), false); ok && style&^(styleInteger|stylePoint) == 0 && !table.IsMissing(v) {
		c.numbers = slices.Repeat([]float64{v}, s.rows)
		return
	}
	c.mode = asText
	c.startText()
	c.codes = slices.Repeat([]uint32{c.dict.code([]byte(value))}, s.rows)
}
