package importers

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A script that appends its results to one file writes its header again, and
// another when its columns have changed. Such a line begins a block of rows of its
// own: the table has the columns of all blocks, blank where a block lacks one.

// isHeader reports whether a row below the header is another: names only, and
// half of them or more known from above.
func (j *job) isHeader(fields [][]byte, line int) bool {
	if !j.first {
		// More columns are known by now than when it was decided.
		return j.blocks[line] != nil
	}
	// Of most files that is all it costs a row.
	if c := fields[0]; len(c) > 0 && c[0]-'0' <= 9 {
		return false
	}
	if j.keys == nil {
		j.keys = make(map[string]int, len(j.cols.list))
		for i, c := range j.cols.list {
			j.keys[c.name] = i
		}
	}
	known := 0
	for i, f := range fields {
		f = bytes.TrimSpace(f)
		// The first number decides, of almost every row one of the first cells.
		if _, _, number := parseDecimal(f); number {
			return false
		}
		if _, ok := j.keys[string(f)]; ok {
			known++
		}
		if 2*(known+len(fields)-i-1) < len(fields) || len(f) == 0 {
			return false
		}
	}
	seen := make(map[string]bool, len(fields))
	for _, f := range fields {
		f = bytes.TrimSpace(f)
		if _, _, number := parseCell(f, j.cols.comma); number || seen[string(f)] {
			return false
		}
		seen[string(f)] = true
	}
	return true
}

// nextBlock returns the columns of a further header.
func (j *job) nextBlock(fields [][]byte, line int) ([]*column, error) {
	cs := &j.cols
	if j.first {
		if j.blocks == nil {
			j.blocks = map[int][]int{}
		}
		list := make([]int, len(fields))
		taken := make(map[int]bool, len(fields))
		for i, f := range fields {
			name := strings.ToValidUTF8(string(bytes.TrimSpace(f)), "�")
			at, ok := j.keys[name]
			if !ok || taken[at] {
				if len(cs.list) >= maxColumns {
					return nil, fmt.Errorf("line %d: the headers have more than %d columns in all", line, maxColumns)
				}
				at = len(cs.list)
				for ok {
					name += "_"
					_, ok = j.keys[name]
				}
				cs.list = append(cs.list, newColumn(name))
				j.keys[name] = at
			}
			list[i], taken[at] = at, true
		}
		j.blocks[line] = list
	}
	list := j.blocks[line]
	if len(list) != len(fields) {
		return nil, errChanged
	}
	block := make([]*column, len(list))
	for i, at := range list {
		block[i] = cs.list[at]
	}
	return block, nil
}

func (j *job) noteBlocks() {
	if !j.first || len(j.blocks) == 0 {
		return
	}
	var at []string
	for _, line := range slices.Sorted(maps.Keys(j.blocks)) {
		at = append(at, strconv.Itoa(line))
	}
	what := "line %s is a header again: the rows below it are read by it"
	if len(at) > 1 {
		what = "lines %s are headers again: the rows below each are read by it"
	}
	j.cols.note(what, some(at))
}
