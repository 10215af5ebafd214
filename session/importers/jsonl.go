package importers

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

func sniffJSON(head []byte) int {
	head = bytes.TrimLeft(head, " \t\r\n")
	if len(head) == 0 {
		return 0
	}
	inner := bytes.TrimLeft(head[1:], " \t\r\n")
	switch {
	case head[0] == '{' && (len(inner) == 0 || inner[0] == '"' || inner[0] == '}'):
		return 90
	case head[0] == '[' && (len(inner) == 0 || inner[0] == '{' || inner[0] == ']'):
		return 90
	}
	return 0
}

// isJSONLines reports whether the first two lines are objects, each on its line.
func isJSONLines(head []byte) bool {
	lines := 0
	for line := range bytes.Lines(head) {
		line = bytes.TrimSpace(line)
		if len(line) < 2 || line[0] != '{' || line[len(line)-1] != '}' || sniffJSON(line) == 0 {
			return false
		}
		if lines++; lines == 2 {
			return true
		}
	}
	return false
}

// jsonRows feeds objects into the columns of a job.
type jsonRows struct {
	job    *job
	parser jsonParser
	row    int
	line   int
	long   []string
	twice  []string

	within  bool // the record in hand does not begin a line
	damaged int  // records left out
	first   error
}

// scanJSON reads objects one after another, a line each as in JSON lines or not,
// or the elements of a list of objects. Nested objects are flattened with "/":
// {"config": {"lr": 1}} gives config/lr. If the file is one object that holds a
// list of objects, these are the rows.
func scanJSON(j *job) error {
	if j.first {
		j.keys = map[string]int{}
	}
	r := &jsonRows{job: j, line: 1}
	err := r.scan()
	if r.damaged > 0 && r.row == 0 {
		return r.first
	}
	switch {
	case r.damaged == 1:
		j.damage("%v; the record is left out", r.first)
	case r.damaged > 1:
		j.damage("%d damaged records are left out, the first: %v", r.damaged, r.first)
	}
	if err != nil {
		return err
	}
	return r.finish()
}

// finish completes the table.
func (r *jsonRows) finish() error {
	j := r.job
	if err := j.cols.fillAll(r.row); err != nil {
		return err
	}
	if len(j.cols.list) == 0 {
		return errors.New("there are no objects with values in it")
	}
	if j.first {
		if len(r.long) > 0 {
			j.cols.note("lists are left out: %s", some(r.long))
		}
		if len(r.twice) > 0 {
			j.cols.note("keys that occur twice in an object keep their first value: %s", some(r.twice))
		}
	}
	return nil
}

func (r *jsonRows) scan() error {
	in := r.job.in
	inList := false
	for {
		r.skip(spaces(in.rest(), inList))
		b := in.rest()
		if len(b) == 0 {
			if in.eof && inList {
				return fmt.Errorf("line %d: the file ends within its list", r.line)
			}
			if in.eof {
				return nil
			}
			if err := in.more(r.line); err != nil {
				return err
			}
			continue
		}
		switch {
		case b[0] == '[' && !inList && r.row == 0:
			inList = true
			r.skip(1)
			continue
		case b[0] == ']' && inList:
			inList = false
			r.skip(1)
			continue
		}
		n, err := r.parser.object(b)
		if err != nil && !in.eof && beforeShown(b, err) {
			err = errShort // the message shows what follows: have it in hand
		}
		if errors.Is(err, errShort) && !in.eof {
			if err := in.more(r.line); err != nil {
				return err
			}
			continue
		}
		if errors.Is(err, errShort) && r.row == 0 && len(r.parser.lists) > 0 && !inList && !r.job.record {
			return r.elements(b)
		}
		if err != nil && !inList && !r.within {
			next := bytes.Index(b, []byte("\n{"))
			if next < 0 && !in.eof {
				if err := in.more(r.line); err != nil {
					return err
				}
				continue
			}
			if next >= 0 {
				// A run that was killed while it wrote a line, and started again.
				if r.damaged++; r.damaged == 1 {
					r.first = r.at(b, err)
				}
				r.skip(next + 1)
				continue
			}
		}
		if errors.Is(err, errShort) && r.row > 0 {
			// A program that writes its log may be at it, or have been killed.
			r.job.damage("line %d: the last record is incomplete and left out", r.line)
			return nil
		}
		if err != nil {
			return r.at(b, err)
		}
		if r.row == 0 && len(r.parser.lists) > 0 && !inList && !r.job.record {
			if len(spaceOnly(b[n:])) == 0 && !in.eof {
				if err := in.more(r.line); err != nil {
					return err
				}
				continue
			}
			if len(spaceOnly(b[n:])) == 0 {
				return r.elements(b)
			}
		}
		if err := r.commit(); err != nil {
			return err
		}
		r.skip(n)
	}
}

// beforeShown reports whether b ends before what the error shows does.
func beforeShown(b []byte, err error) bool {
	var je *jsonError
	return errors.As(err, &je) && len(b)-je.at < maxShown
}

// spaces returns the number of leading bytes between records; commas only
// separate the elements of a list.
func spaces(b []byte, inList bool) int {
	if inList {
		return len(b) - len(bytes.TrimLeft(b, " \t\r\n,"))
	}
	return len(b) - len(spaceOnly(b))
}

func spaceOnly(b []byte) []byte { return bytes.TrimLeft(b, " \t\r\n") }

// skip consumes n bytes and counts their lines.
func (r *jsonRows) skip(n int) {
	b := r.job.in.rest()[:n]
	r.line += bytes.Count(b, []byte{'\n'})
	if n > 0 {
		r.within = b[n-1] != '\n'
	}
	r.job.in.skip(n)
}

// at adds the line to a parser's error.
func (r *jsonRows) at(b []byte, err error) error {
	line := r.line
	var je *jsonError
	if errors.As(err, &je) {
		line += bytes.Count(b[:je.at], []byte{'\n'})
	}
	return fmt.Errorf("line %d: %w", line, err)
}

// elements reads the longest list of objects in the record b as the rows.
func (r *jsonRows) elements(b []byte) error {
	rows := slices.MaxFunc(r.parser.lists, func(x, y list) int { return (x.to - x.from) - (y.to - y.from) })
	rest := b[rows.from+1 : rows.to-1]
	r.line += bytes.Count(b[:rows.from], []byte{'\n'})
	for {
		n := spaces(rest, true)
		r.line += bytes.Count(rest[:n], []byte{'\n'})
		if rest = rest[n:]; len(rest) == 0 {
			break
		}
		if r.row&0xfff == 0 {
			if err := r.job.in.f.ctx.Err(); err != nil {
				return err
			}
		}
		n, err := r.parser.object(rest)
		if err != nil {
			return r.at(rest, err)
		}
		if err := r.commit(); err != nil {
			return err
		}
		r.line += bytes.Count(rest[:n], []byte{'\n'})
		rest = rest[n:]
	}
	if rows.to > len(b) {
		r.job.damage("line %d: the file ends within its list", r.line)
	}
	if r.job.first {
		r.job.cols.note("the rows are the %d elements of %s; the file's other values are left out", r.row, strconv.Quote(cut(rows.key)))
	}
	return nil
}

// commit adds the parsed object as a row.
func (r *jsonRows) commit() error {
	cs := &r.job.cols
	next := 0
	for _, l := range r.parser.leaves {
		// Records mostly repeat their keys in order.
		i := next
		if i >= len(cs.list) || cs.list[i].name != string(l.path) {
			var ok bool
			if i, ok = r.job.keys[string(l.path)]; !ok {
				var err error
				if i, err = r.newColumn(string(l.path)); err != nil {
					return err
				}
			}
		}
		next = i + 1
		c := cs.list[i]
		if c.mode == settled && !r.job.first {
			continue
		}
		if c.rows > r.row {
			r.remember(&r.twice, c.name)
			continue
		}
		if err := cs.fill(c, r.row); err != nil {
			return fmt.Errorf("line %d: %w", r.line, err)
		}
		c.add(l.cell, r.line, false)
	}
	for _, path := range r.parser.long {
		r.remember(&r.long, path)
	}
	if r.job.first {
		cs.lines = append(cs.lines, int32(r.line))
	}
	r.row++
	return nil
}

func (r *jsonRows) remember(where *[]string, name string) {
	name = strconv.Quote(cut(name))
	if len(*where) < 100 && !slices.Contains(*where, name) {
		*where = append(*where, name)
	}
}

// newColumn adds a column for a path seen for the first time.
func (r *jsonRows) newColumn(path string) (int, error) {
	cs := &r.job.cols
	if !r.job.first {
		return 0, errChanged
	}
	if len(cs.list) >= maxColumns {
		return 0, fmt.Errorf("line %d: the objects have more than %d different keys: are values used as keys?", r.line, maxColumns)
	}
	name := strings.TrimSpace(strings.ToValidUTF8(path, "�"))
	if name == "" {
		name = "column_" + strconv.Itoa(len(cs.list)+1)
	}
	// Two spellings that look the same are one column.
	i, known := r.job.keys[name]
	if !known {
		i = len(cs.list)
		cs.list = append(cs.list, newColumn(name))
		r.job.keys[name] = i
	}
	r.job.keys[path] = i
	return i, nil
}
