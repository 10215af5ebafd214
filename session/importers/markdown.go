package importers

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/etastar/etastar/session/table"
)

// mdTable is a pipe table of a Markdown file.
type mdTable struct {
	line   int // of the header
	header []string
	rows   [][]string
	fenced bool // within a code block
}

var delimiterRow = regexp.MustCompile(`^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$`)

// isDelimiterRow recognises the |---|:--:| below a table's header.
func isDelimiterRow(line string) bool {
	return len(line) < 1<<20 && strings.Contains(line, "|") && strings.Contains(line, "-") && delimiterRow.MatchString(line)
}

func sniffMarkdown(head []byte) int {
	before := ""
	for line := range bytes.Lines(head) {
		text := unquoteBlock(string(line))
		if strings.Contains(before, "|") && isDelimiterRow(text) && len(splitPipes(before)) == len(splitPipes(text)) {
			return 80
		}
		before = text
	}
	return 0
}

// scanMarkdown reads one pipe table of a Markdown file.
func scanMarkdown(j *job) error {
	if !j.first {
		// The text of every cell is at hand, so no column is read twice.
		return nil
	}
	for !j.in.eof {
		if err := j.in.more(1); err != nil {
			if len(j.in.rest()) >= maxRecord {
				return fmt.Errorf("the Markdown file is larger than %d MiB: save the table as CSV", maxRecord>>20)
			}
			return err
		}
	}
	t, err := j.pickTable(markdownTables(string(j.in.rest())))
	if err != nil {
		return err
	}
	cs := &j.cols
	header := make([][]byte, len(t.header))
	for i, h := range t.header {
		header[i] = []byte(cleanCell(h))
	}
	if len(header) > maxColumns {
		return fmt.Errorf("line %d: the table has more than %d columns", t.line, maxColumns)
	}
	for _, name := range cs.uniqueNames(header) {
		cs.list = append(cs.list, newColumn(name))
	}
	cells := make([][]string, len(header))
	rag := ragged{job: j}
	for r, row := range t.rows {
		line := t.line + 2 + r
		if len(row) != len(header) {
			if err = rag.row(line, len(row), len(header)); err != nil {
				break
			}
			continue
		}
		rag.last = nil
		for i, cell := range row {
			cells[i] = append(cells[i], cleanCell(cell))
		}
		cs.lines = append(cs.lines, int32(line))
	}
	rag.note()
	for i, c := range cs.list {
		c.addRemarked(cells[i], cs)
	}
	if err == nil && len(cs.lines) == 0 {
		return rag.all
	}
	return err
}

// pickTable chooses the table to read.
func (j *job) pickTable(tables []mdTable) (mdTable, error) {
	if len(tables) == 0 {
		return mdTable{}, errors.New("there is no table in it: one needs a header line, a line such as |---|---| below it, and rows")
	}
	chosen := j.opts.Table
	if chosen < 0 || chosen > len(tables) {
		return mdTable{}, fmt.Errorf("there is no table %d: the file has %d", chosen, len(tables))
	}
	if chosen == 0 {
		chosen = 1
		for i := len(tables) - 1; i >= 0; i-- {
			for _, h := range tables[i].header {
				if r, ok := table.MatchRole(cleanCell(h)); ok && (r == table.RoleLR || r == table.RoleLoss) {
					chosen = i + 1
				}
			}
		}
	}
	if len(tables) > 1 {
		var others []string
		for i, t := range tables {
			if i+1 != chosen {
				others = append(others, fmt.Sprintf("%d (line %d)", i+1, t.line))
			}
		}
		j.cols.note("table %d of %d, at line %d; also: %s; choose with table=%s", chosen, len(tables), tables[chosen-1].line,
			some(others), strings.Fields(others[0])[0])
	}
	return tables[chosen-1], nil
}

// markdownTables finds the pipe tables of a text; those in code blocks count
// only if there are no others.
func markdownTables(text string) []mdTable {
	var outside, inside []mdTable
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	fence := ""
	for i := 0; i < len(lines); i++ {
		line := unquoteBlock(lines[i])
		trimmed := strings.TrimLeft(line, " ")
		if fence != "" {
			if strings.HasPrefix(trimmed, fence) && strings.Trim(trimmed, fence[:1]+" ") == "" {
				fence = ""
				continue
			}
		} else if strings.HasPrefix(trimmed, "```") || strings.HasPrefix(trimmed, "~~~") {
			fence = trimmed[:3]
			continue
		}
		if i+1 >= len(lines) || !strings.Contains(line, "|") {
			continue
		}
		below := unquoteBlock(lines[i+1])
		header := splitPipes(line)
		if !isDelimiterRow(below) || len(splitPipes(below)) != len(header) {
			continue
		}
		t := mdTable{line: i + 1, header: header, fenced: fence != ""}
		for i += 2; i < len(lines); i++ {
			row := unquoteBlock(lines[i])
			if !strings.Contains(row, "|") {
				i--
				break
			}
			t.rows = append(t.rows, splitPipes(row))
		}
		if t.fenced {
			inside = append(inside, t)
		} else {
			outside = append(outside, t)
		}
	}
	if len(outside) == 0 {
		return inside
	}
	return outside
}

// unquoteBlock removes the marks of a block quote.
func unquoteBlock(line string) string {
	for {
		rest := strings.TrimLeft(line, " \t")
		if !strings.HasPrefix(rest, ">") {
			return line
		}
		line = rest[1:]
	}
}

// splitPipes splits a table row at the pipes that are not escaped.
func splitPipes(line string) []string {
	line = strings.TrimSpace(line)
	line = strings.TrimPrefix(line, "|")
	var cells []string
	var cell strings.Builder
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '\\' && i+1 < len(line) && line[i+1] == '|':
			cell.WriteByte('|')
			i++
		case line[i] == '|':
			cells = append(cells, cell.String())
			cell.Reset()
		default:
			cell.WriteByte(line[i])
		}
	}
	if cell.Len() > 0 || !strings.HasSuffix(line, "|") {
		cells = append(cells, cell.String())
	}
	return cells
}

var (
	mdLink = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
	mdTag  = regexp.MustCompile(`(?i)</?(br|b|i|u|em|strong|code|sub|sup|span|small)\b[^>]*>|&nbsp;`)
)

// cleanCell removes markup from a cell.
func cleanCell(s string) string {
	s = mdLink.ReplaceAllString(s, "$1")
	s = mdTag.ReplaceAllString(s, " ")
	s = strings.NewReplacer("**", "", "`", "", "~~", "").Replace(s)
	s = strings.TrimSpace(s)
	for _, mark := range []string{"__", "*", "_"} {
		if inner, ok := strings.CutPrefix(s, mark); ok && len(inner) > len(mark) && strings.HasSuffix(inner, mark) {
			s = strings.TrimSpace(strings.TrimSuffix(inner, mark))
		}
	}
	return s
}

// addRemarked adds the cells of a column of a hand-written table. Numbers may
// carry remarks there: "0.04 (default)". If more than half of the cells that are
// not blank begin with a number, the column is one of numbers.
func (c *column) addRemarked(cells []string, cs *columns) {
	values := make([]string, len(cells))
	written, numbers, remarked, other := 0, 0, "", ""
	otherLine, others := 0, 0
	var styles style
	for i, cell := range cells {
		if isDash(cell) {
			continue
		}
		written++
		number, rest := leadingNumber(cell)
		if number == "" {
			if others++; others == 1 {
				other, otherLine = cell, int(cs.lines[i])
			}
			continue
		}
		_, s, _ := parseCell([]byte(number), false)
		styles |= s
		numbers++
		values[i] = number
		if rest != "" && remarked == "" {
			remarked = cell
		}
	}
	if 2*numbers <= written || styles.conflict() {
		values = cells
	} else {
		if remarked != "" {
			cs.note("column %s: the remarks after its numbers are dropped, as in %s", strconv.Quote(c.name), strconv.Quote(cut(remarked)))
		}
		if others > 0 {
			cs.note("column %s: %d of %d cells have no number and are blank, as on line %d: %s",
				strconv.Quote(c.name), others, written, otherLine, strconv.Quote(cut(other)))
		}
	}
	// Text is known to be text here, so that no exact words are lost.
	for i, v := range values {
		if _, _, ok := parseCell([]byte(v), false); !ok && v != "" {
			c.mode = asText
			c.bad, c.badLine = v, int(cs.lines[i])
			c.startText()
			break
		}
	}
	if styles.conflict() && c.mode == asNumbers {
		c.mode = asText
		c.startText()
	}
	for i, v := range values {
		c.add([]byte(v), int(cs.lines[i]), false)
	}
}

// isDash recognises the dashes that stand for an empty cell.
func isDash(s string) bool {
	return strings.Trim(s, "-–—") == ""
}

// leadingNumber splits a cell into the number it begins with and a remark, which
// must not continue the number: "0.04 (default)" and "1.2 ± 0.1" have one, "7B
// dense", "12 hours", "1-2" and "2024-06-06" do not.
func leadingNumber(cell string) (number, rest string) {
	if _, _, ok := parseCell([]byte(cell), false); ok {
		return cell, ""
	}
	end := strings.IndexAny(cell, " (±*†‡[\t")
	if end <= 0 {
		return "", ""
	}
	number, rest = cell[:end], strings.TrimSpace(cell[end:])
	if _, s, ok := parseCell([]byte(number), false); !ok || s == 0 {
		return "", ""
	}
	if r, _ := utf8.DecodeRuneInString(rest); strings.ContainsRune("([±*†‡←✓✔✅⭐★🏆<+", r) {
		return number, rest
	}
	return "", ""
}
