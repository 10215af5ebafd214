package importers

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/etastar/etastar/session/table"
)

// Pattern lifts values out of the names of runs: lr{lr}_bs{batch} takes 0.0003453
// and 736 from "sweep_lr3.453e-04_bs736_final". It may match anywhere in a name,
// but its first letters not in the midst of a word; … stands for anything.
type Pattern struct {
	text  string
	parts []patternPart
}

// patternPart is literal text, a gap or a field.
type patternPart struct {
	literal string
	field   string
	gap     bool
}

// ParsePattern parses a pattern. Each field is a name in braces and stands for a
// number: 3e-4, 0.5, 0p5 (which is 0.5), 7B.
func ParsePattern(text string) (*Pattern, error) {
	p := &Pattern{text: text}
	fail := func(format string, args ...any) (*Pattern, error) {
		return nil, fmt.Errorf("pattern %q: %s", cut(text), fmt.Sprintf(format, args...))
	}
	rest := text
	for rest != "" {
		i := strings.IndexAny(rest, "{}…")
		if i < 0 {
			i = len(rest)
		}
		if i > 0 {
			p.parts = append(p.parts, patternPart{literal: rest[:i]})
			rest = rest[i:]
			continue
		}
		if after, ok := strings.CutPrefix(rest, "…"); ok {
			p.parts = append(p.parts, patternPart{gap: true})
			rest = after
			continue
		}
		name, after, ok := strings.Cut(rest[1:], "}")
		switch {
		case rest[0] == '}':
			return fail("} without { before it")
		case !ok:
			return fail("{ without } after it")
		case !isFieldName(name):
			return fail("%q is no name for a value: letters, digits and _, as in {lr}", cut(name))
		case slices.Contains(p.Fields(), name):
			return fail("{%s} stands in it twice", name)
		case len(p.parts) > 0 && p.parts[len(p.parts)-1].field != "":
			return fail("{%s} follows another value with nothing between", name)
		}
		p.parts = append(p.parts, patternPart{field: name})
		rest = after
	}
	if len(p.Fields()) == 0 {
		return fail("it takes no value: write one as {lr}")
	}
	return p, nil
}

func isFieldName(s string) bool {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return false
		}
	}
	return s != ""
}

// Fields returns the names of the values, in order.
func (p *Pattern) Fields() []string {
	var names []string
	for _, part := range p.parts {
		if part.field != "" {
			names = append(names, part.field)
		}
	}
	return names
}

// Match returns the values of the fields in a name.
func (p *Pattern) Match(name string) (values []float64, ok bool) {
	if len(name) > 4096 {
		return nil, false
	}
	m := matcher{parts: p.parts, text: name, failed: make([]int, len(p.parts))}
	for at := 0; at <= len(name); at++ {
		if at > 0 && insideWord(name, at, p.parts[0].literal) {
			continue
		}
		if m.match(0, at) {
			return m.values, true
		}
	}
	return nil, false
}

// insideWord reports whether a literal that begins with a letter would begin
// within a word of the name: bs is not in jobs3.
func insideWord(name string, at int, literal string) bool {
	first, _ := utf8.DecodeRuneInString(literal)
	before, _ := utf8.DecodeLastRuneInString(name[:at])
	return unicode.IsLetter(first) && unicode.IsLetter(before)
}

// matcher tries parts at places of a text. What follows a gap and matches nowhere
// after one place matches nowhere after a later: remembering that keeps several gaps
// from multiplying.
type matcher struct {
	parts  []patternPart
	text   string
	values []float64
	failed []int // by part: a gap fails from here on, plus one; 0: not known
}

// match matches the parts from part on at a place, and leaves the values.
func (m *matcher) match(part, at int) bool {
	if part == len(m.parts) {
		return true
	}
	rest := m.text[at:]
	switch p := m.parts[part]; {
	case p.gap:
		if from := m.failed[part]; from > 0 && at >= from-1 {
			return false
		}
		for next := at; next <= len(m.text); next++ {
			if m.match(part+1, next) {
				return true
			}
		}
		m.failed[part] = at + 1
	case p.literal != "":
		if strings.HasPrefix(rest, p.literal) && m.match(part+1, at+len(p.literal)) {
			return true
		}
	default:
		before := len(m.values)
		// What looks like a suffix may be the text after the number: {x}b.
		for _, suffix := range []bool{true, false} {
			v, n := leadingValue(rest, suffix)
			if n == 0 {
				break
			}
			m.values = append(m.values[:before], v)
			if m.match(part+1, at+n) {
				return true
			}
		}
		m.values = m.values[:before]
	}
	return false
}

// leadingValue reads the number that a text begins with, and its length, 0 if
// there is none. A sign would be a dash between words: only exponents have one. p
// between digits is a decimal point; suffix allows K, M, B and T after them.
func leadingValue(s string, suffix bool) (v float64, n int) {
	number := make([]byte, 0, 32)
	take := func() bool {
		from := n
		for n < len(s) && s[n]-'0' <= 9 {
			number = append(number, s[n])
			n++
		}
		return n > from
	}
	if !take() {
		return 0, 0
	}
	if n+1 < len(s) && (s[n] == '.' || s[n] == 'p') && s[n+1]-'0' <= 9 {
		number = append(number, '.')
		n++
		take()
	}
	if n < len(s) && s[n]|0x20 == 'e' {
		end, mark := n, len(number)
		number = append(number, 'e')
		n++
		if n < len(s) && (s[n] == '-' || s[n] == '+') {
			number = append(number, s[n])
			n++
		}
		if !take() {
			n, number = end, number[:mark]
		}
	} else if n < len(s) && suffix {
		after, _ := utf8.DecodeRuneInString(s[n+1:])
		if _, ok := table.Suffix(s[n]); ok && !unicode.IsLetter(after) && !unicode.IsDigit(after) {
			number = append(number, s[n])
			n++
		}
	}
	v, _, ok := parseCell(number, false)
	if !ok {
		return 0, 0
	}
	return v, n
}

// nameColumns are the columns that hold the names of runs, best first.
var nameColumns = []string{"run", "name", "run_name", "exp_name", "experiment_name", "experiment", "exp", "run_id", "trial", "trial_name", "id", "model", "path"}

// NameColumn returns the column that holds the runs' names, or nil.
func NameColumn(t *table.Table) *table.Column {
	for _, name := range nameColumns {
		for _, c := range t.Columns {
			if c.Kind == table.Text && table.Fold(c.Name) == name {
				return c
			}
		}
	}
	return nil
}

// Lift adds to the table a column of numbers for each field of the pattern, taken
// from the names in a text column; column "" is NameColumn. Rows whose name does not
// match are blank there, and counted in a note. It is an error if no name matches
// or there is a column of a field's name.
func Lift(t *table.Table, column, pattern string) (*table.Table, error) {
	p, err := ParsePattern(pattern)
	if err != nil {
		return nil, err
	}
	c := NameColumn(t)
	if column != "" {
		if c = t.Column(column); c == nil {
			return nil, fmt.Errorf("there is no column %q to take names from", column)
		}
	}
	if c == nil || c.Kind != table.Text {
		return nil, fmt.Errorf("pattern %q: no column holds the names of runs; say which", cut(pattern))
	}
	fields := p.Fields()
	out := *t
	out.Columns, out.Notes = slices.Clone(t.Columns), slices.Clone(t.Notes)
	lifted := make([]*table.Column, len(fields))
	for i, f := range fields {
		for _, old := range t.Columns {
			if old.Name == f {
				return nil, fmt.Errorf("pattern %q: there is a column %s already: call the value otherwise", cut(pattern), f)
			}
		}
		lifted[i] = &table.Column{Name: f, Numbers: make([]float64, t.Rows)}
	}
	matched, other := 0, ""
	for row := range t.Rows {
		name := c.String(row)
		values, ok := p.Match(name)
		if ok {
			matched++
		} else if other == "" {
			other = name
		}
		for i := range lifted {
			lifted[i].Numbers[row] = table.Missing
			if ok {
				lifted[i].Numbers[row] = values[i]
			}
		}
	}
	if matched == 0 && t.Rows > 0 {
		hint := ""
		if s := SuggestPattern(c.Words[1:]); s != "" {
			hint = fmt.Sprintf("; %q would", s)
		}
		return nil, fmt.Errorf("pattern %q matches no name in column %q, such as %q%s", cut(pattern), c.Name, cut(other), hint)
	}
	out.Columns = append(out.Columns, lifted...)
	note := fmt.Sprintf("%s taken from the names in column %q by %q", strings.Join(fields, ", "), c.Name, pattern)
	if matched < t.Rows {
		note += fmt.Sprintf("; %d of %d names do not match, such as %q", t.Rows-matched, t.Rows, cut(other))
	}
	out.Notes = append(out.Notes, note)
	return &out, nil
}

// fieldKeys are what stands before a value in a name, by what the value is.
var fieldKeys = map[string]string{
	"lr": "lr", "learning_rate": "lr", "learningrate": "lr", "learning-rate": "lr", "eta": "lr", "peak_lr": "lr", "max_lr": "lr", "peaklr": "lr", "maxlr": "lr",
	"bs": "batch", "bsz": "batch", "gbs": "batch", "batch": "batch", "batch_size": "batch", "batchsize": "batch", "batch-size": "batch", "global_batch_size": "batch",
	"params": "N", "nparams": "N", "N": "N",
	"D": "D", "tok": "D", "tokens": "D", "ntok": "D",
	"seed": "seed",
}

// SuggestPattern returns a pattern that takes a learning rate, and what else it
// knows by its abbreviation, out of most of the names (at least four of five), or
// "" if there is no learning rate in them.
func SuggestPattern(names []string) string {
	const most = 200
	if len(names) > most {
		names = names[:most]
	}
	best, bestFields := "", 0
	for _, name := range names[:min(len(names), 8)] {
		fields := fieldsOf(name)
		// Fields that other names lack are dropped, the last first.
		for len(fields) > 0 {
			if text, ok := suggest(name, fields, names); ok {
				if len(fields) > bestFields {
					best, bestFields = text, len(fields)
				}
				break
			}
			drop := len(fields) - 1
			if fields[drop].name == "lr" {
				drop--
			}
			if drop < 0 {
				break
			}
			fields = slices.Delete(fields, drop, drop+1)
		}
	}
	return best
}

// suggestNote says how a table without learning rates has them in its names.
func suggestNote(t *table.Table) string {
	for _, c := range t.Columns {
		if role, ok := table.MatchRole(c.Name); ok && role == table.RoleLR && c.Kind == table.Number {
			return ""
		}
	}
	c := NameColumn(t)
	if c == nil {
		return ""
	}
	s := SuggestPattern(c.Words[1:])
	if s == "" {
		return ""
	}
	return fmt.Sprintf("no column is a learning rate; name=%q takes it from the names in column %q", s, c.Name)
}

// found is a key and its value in a name.
type found struct {
	name            string
	from, value, to int
}

func fieldsOf(name string) []found {
	var fields []found
	for at := 0; at < len(name); at++ {
		value := at
		for value < len(name) && (name[value]|0x20 >= 'a' && name[value]|0x20 <= 'z' || name[value] == '_' || name[value] == '-' || name[value] == '=' || name[value] == ':') {
			value++
		}
		_, n := leadingValue(name[value:], true)
		if n == 0 || value == at {
			continue
		}
		key := strings.TrimRight(name[at:value], "_-=:")
		field := fieldKeys[key]
		if field == "" && len(key) > 1 {
			field = fieldKeys[strings.ToLower(key)]
		}
		if field == "" || at > 0 && insideWord(name, at, key) || slices.ContainsFunc(fields, func(f found) bool { return f.name == field }) {
			continue
		}
		fields = append(fields, found{field, at, value, value + n})
		at = value + n - 1
	}
	if !slices.ContainsFunc(fields, func(f found) bool { return f.name == "lr" }) {
		return nil
	}
	return fields
}

// suggest writes the pattern of the fields and reports whether most names match:
// with what stands between two values where that does not differ, else with a gap.
func suggest(name string, fields []found, names []string) (string, bool) {
	for _, exact := range []bool{true, false} {
		var b bytes.Buffer
		for i, f := range fields {
			if i > 0 {
				between := name[fields[i-1].to:f.from]
				if !exact && len(between) > 1 || strings.ContainsAny(between, "{}…") {
					between = "…"
				}
				b.WriteString(between)
			}
			fmt.Fprintf(&b, "%s{%s}", name[f.from:f.value], f.name)
		}
		p, err := ParsePattern(b.String())
		if err != nil {
			return "", false
		}
		matched := 0
		for _, n := range names {
			if _, ok := p.Match(n); ok {
				matched++
			}
		}
		if 5*matched >= 4*len(names) {
			return b.String(), true
		}
	}
	return "", false
}
