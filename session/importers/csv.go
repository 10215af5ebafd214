package importers

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// separators in order of preference.
var separators = []byte{',', '\t', ';', '|'}

func scanCSV(j *job) error {
	return j.scanSeparated(separator(j.in.f.head(), separators), false)
}

func sniffCSV(head []byte) int {
	score, _ := fit(head, separator(head, separators))
	return score
}

// separator finds what separates the fields: the candidate by which most lines
// have as many fields as the first, of these the one that gives most fields.
func separator(head []byte, among []byte) byte {
	best, bestScore, bestFields := among[0], 0, 1
	for _, c := range among {
		score, fields := fit(head, c)
		if fields < 2 {
			continue
		}
		if score > bestScore || score == bestScore && fields > bestFields {
			best, bestScore, bestFields = c, score, fields
		}
	}
	return best
}

// fit says how well separator c explains the head of a file: the number of
// fields of its first line, and from 0 to 50 how many lines have as many. A
// single column fits barely.
func fit(head []byte, c byte) (score, fields int) {
	const most = 200
	s := splitter{comma: c, loose: c == '\t'}
	whole := len(head) < headSize
	alike, rows := 0, 0
	for len(head) > 0 && rows < most {
		n, _, err := s.next(head, whole || rows == 0)
		if err != nil {
			// Go on after the line: one bad quote does not make another format.
			n = bytes.IndexByte(head, '\n') + 1
			if n == 0 {
				break
			}
			s.fields = nil
		}
		if n == 0 {
			break
		}
		head = head[n:]
		switch {
		case err == nil && len(s.fields) == 0:
			continue
		case rows == 0:
			fields = len(s.fields)
		}
		if len(s.fields) == fields && err == nil {
			alike++
		}
		rows++
	}
	if fields < 2 {
		if fields == 1 && alike == rows {
			return 1, fields
		}
		return 0, fields
	}
	if rows == 1 {
		// A header alone proves little.
		return 10, fields
	}
	return 50 * alike / rows, fields
}

// scanSeparated feeds separated text into the columns. It ends where a quote is broken:
// what follows may be another's field.
func (j *job) scanSeparated(comma byte, loose bool) error {
	j.cols.comma = comma == ';'
	rag := ragged{job: j}
	rows, err := j.records(&splitter{comma: comma, loose: loose}, &rag)
	if full := j.cols.fillAll(rows); full != nil {
		return full
	}
	rag.note()
	j.noteBlocks()
	if err == nil && rows == 0 {
		return rag.all
	}
	return err
}

// records reads the header and the rows, and returns how many these are.
func (j *job) records(s *splitter, rag *ragged) (rows int, err error) {
	cs := &j.cols
	var block []*column // of the header above
	line, chunks, width := 1, 0, 0
	for {
		n, lines, err := s.next(j.in.rest(), j.in.eof)
		if err != nil {
			return rows, j.quoteError(line+lines, len(s.fields), err)
		}
		if n == 0 {
			if j.in.eof {
				break
			}
			if chunks == 1 && j.first {
				for _, c := range cs.list {
					c.reserve(j.in.expectRows(rows))
				}
			}
			chunks++
			if err := j.in.more(line); err != nil {
				return rows, err
			}
			continue
		}
		if rest := j.in.rest(); n == len(rest) && rest[n-1] != '\n' && (j.in.torn || j.cutOff(s.fields, block, line)) {
			break
		}
		switch {
		case len(s.fields) == 0:
		case len(s.fields) == 1 && len(bytes.TrimSpace(s.fields[0])) == 0:
			// A line of spaces is an empty line.
		case width == 0:
			width = len(s.fields)
			if err := j.header(s.fields, line); err != nil {
				return rows, err
			}
			block = cs.list[:width]
		case j.isHeader(s.fields, line):
			var err error
			if block, err = j.nextBlock(s.fields, line); err != nil {
				return rows, err
			}
			if rag.header {
				return rows, rag.last
			}
			rag.last = nil
			for _, c := range block {
				if err := cs.fill(c, rows); err != nil {
					return rows, fmt.Errorf("line %d: %w", line, err)
				}
			}
			width = len(block)
		case len(s.fields) == width:
			for i, c := range block {
				c.add(s.fields[i], line, cs.comma)
			}
			if j.first {
				cs.lines = append(cs.lines, int32(line))
			}
			rows++
			if rag.header {
				return rows - 1, rag.last
			}
			rag.last = nil
		default:
			if err := rag.row(line, len(s.fields), width); err != nil {
				return rows, err
			}
			rag.header = !j.opts.Ragged && isWords(s.fields)
		}
		line += lines
		j.in.skip(n)
	}
	if width == 0 {
		return 0, errors.New("the file holds only empty lines")
	}
	return rows, nil
}

// cutOff reports whether the last line, which has no end, is cut off within a number:
// "3e-" where the cells above are numbers.
func (j *job) cutOff(fields [][]byte, block []*column, line int) bool {
	if !j.first {
		return line == j.cut
	}
	if len(fields) == 0 || len(fields) != len(block) {
		return false
	}
	c, cell := block[len(block)-1], bytes.TrimSpace(fields[len(fields)-1])
	if _, _, whole := parseCell(cell, j.cols.comma); whole || len(cell) == 0 || c.mode != asNumbers || c.written == 0 {
		return false
	}
	if _, _, begun := parseDecimal(append(bytes.Clone(cell), '0')); !begun {
		return false
	}
	j.cut = line
	j.damage("line %d: column %s: the file ends within the number %q; the row is left out", line, strconv.Quote(cut(c.name)), cell)
	return true
}

// header makes the columns, or on a later pass checks that they are the same.
func (j *job) header(fields [][]byte, line int) error {
	cs := &j.cols
	if len(fields) > maxColumns {
		return fmt.Errorf("line %d: the header has %d columns, more than %d: is the table on its side?", line, len(fields), maxColumns)
	}
	if !j.first {
		if len(fields) > len(cs.list) {
			return errChanged
		}
		return nil
	}
	if bytes.IndexByte(bytes.Join(fields, nil), '\r') >= 0 {
		return fmt.Errorf(`line %d: lines end in a lone carriage return: convert them, as with tr '\r' '\n'`, line)
	}
	numbers := 0
	for _, f := range fields {
		if _, _, ok := parseDecimal(bytes.TrimSpace(f)); ok {
			numbers++
		}
	}
	if numbers > len(fields)/2 {
		cs.note("line %d is taken for the header although it looks like data (%s): name the columns in a first line",
			line, strconv.Quote(cut(string(bytes.TrimSpace(fields[0])))))
	}
	for _, name := range cs.uniqueNames(fields) {
		cs.list = append(cs.list, newColumn(name))
	}
	return nil
}

// quoteError names the column of a broken field.
func (j *job) quoteError(line, field int, err error) error {
	if i := field - 1; i >= 0 && i < len(j.cols.list) {
		return fmt.Errorf("line %d: column %s: %w", line, strconv.Quote(cut(j.cols.list[i].name)), err)
	}
	return fmt.Errorf("line %d: field %d: %w", line, field, err)
}

// ragged deals with rows of the wrong number of fields. They are never shifted
// or filled: which field is missing cannot be known. One by itself is left out: a
// line that was damaged. Several in succession are a block of other columns, and so
// is what follows a row of words.
type ragged struct {
	job    *job
	count  int
	lines  []string
	last   error // of the row before, if that is one
	header bool  // which may be the header of what follows
	all    error // of the first
}

var errRagged = errors.New("mend the line, give its block a header, or say ragged=skip to leave out and count such lines")

func (r *ragged) row(line, found, expected int) error {
	if !r.job.opts.Ragged {
		if r.last != nil {
			return r.last
		}
		r.last = fmt.Errorf("line %d: expected %d fields as in the header, found %d; %w", line, expected, found, errRagged)
		if r.all == nil {
			r.all = r.last
		}
	}
	r.count++
	if len(r.lines) <= 5 {
		r.lines = append(r.lines, strconv.Itoa(line))
	}
	return nil
}

// isWords reports whether a row could be a header: of several fields, none blank or a number.
func isWords(fields [][]byte) bool {
	return len(fields) > 1 && !slices.ContainsFunc(fields, func(f []byte) bool {
		_, _, number := parseCell(bytes.TrimSpace(f), true)
		return number || len(bytes.TrimSpace(f)) == 0
	})
}

func (r *ragged) note() {
	if r.count == 0 || !r.job.first {
		return
	}
	at := r.lines
	more := ""
	if len(at) > 5 {
		at, more = at[:5], ", …"
	}
	what, where := "rows", "lines"
	if r.count == 1 {
		what, where = "row", "line"
	}
	r.job.damage("%d %s with the wrong number of fields left out (%s %s%s)", r.count, what, where, strings.Join(at, ", "), more)
}
