package mup

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// LineError is what is wrong at a line of a rule's TOML; lines count from 1.
type LineError struct {
	Line int
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap is the error without its line.
func (e *LineError) Unwrap() error { return e.Err }

// TOML writes a rule so that [ReadTOML] gives the same rule back. A rule with
// [Rule.Problems] or with text that is not UTF-8 is an error.
func (r *Rule) TOML() ([]byte, error) {
	if p := r.Problems(); p != nil {
		return nil, fmt.Errorf("write rule %s: %s", r.Name, strings.Join(p, "; "))
	}
	var b bytes.Buffer
	var failed error
	put := func(key string, value any) {
		line, err := toml.Marshal(map[string]any{key: value})
		failed = errors.Join(failed, err)
		b.Write(line)
	}
	text := func(key, value string) {
		if !utf8.ValidString(value) {
			failed = errors.Join(failed, fmt.Errorf("write rule %s: %s is not UTF-8", r.Name, key))
		} else if value != "" {
			put(key, value)
		}
	}
	texts := func(key string, values []string) {
		for _, v := range values {
			if !utf8.ValidString(v) {
				failed = errors.Join(failed, fmt.Errorf("write rule %s: %s is not UTF-8", r.Name, key))
				return
			}
		}
		if len(values) > 0 {
			put(key, values)
		}
	}
	text("name", r.Name)
	text("title", r.Title)
	text("source", r.Source)
	text("status", string(r.Status))
	text("derived", r.Derived)
	texts("covers", words(r.Covers))
	texts("assumes", r.Assumes)
	texts("notes", r.Notes)
	if r.PrescribedLR != 0 {
		put("base_lr", r.PrescribedLR)
	}
	inline := func(q Quantity, fields []string) {
		fmt.Fprintf(&b, "%s = { %s }\n", q, strings.Join(fields, ", "))
	}
	table := func(kind string, m, last Module) {
		if m != last {
			fmt.Fprintf(&b, "\n[%s.%s]\n", kind, m)
		}
	}
	var last Module
	for _, c := range cells(r.Prescribed) {
		table("base", c.Module, last)
		last = c.Module
		p := r.Prescribed[c]
		fields := []string{"value = " + number(p.Value)}
		if p.Depth != 0 {
			fields = append(fields, "depth = "+number(p.Depth))
		}
		inline(c.Quantity, fields)
	}
	last = ""
	for _, c := range cells(r.Entries) {
		table("module", c.Module, last)
		last = c.Module
		e := r.Entries[c]
		var fields []string
		for _, d := range dims {
			if x := e.Of(d); x != 0 {
				fields = append(fields, string(d)+" = "+number(x))
			}
		}
		if e.State != Stated {
			fields = append(fields, fmt.Sprintf("state = %q", e.State))
		}
		if e.Note != "" {
			if !utf8.ValidString(e.Note) {
				failed = errors.Join(failed, fmt.Errorf("write rule %s: the note of %s is not UTF-8", r.Name, c))
			}
			note, err := toml.Marshal(map[string]any{"note": e.Note})
			failed = errors.Join(failed, err)
			fields = append(fields, strings.TrimSpace(string(note)))
		}
		inline(c.Quantity, fields)
	}
	if failed != nil {
		return nil, failed
	}
	return b.Bytes(), nil
}

// ReadTOML reads what TOML writes, strictly: every unknown name and every value of the
// wrong kind is a [LineError], with the nearest valid word; all of them are joined.
// A quantity without exponents is stated and unscaled.
func ReadTOML(data []byte) (*Rule, error) {
	var tree map[string]any
	if err := toml.Unmarshal(data, &tree); err != nil {
		var at *toml.DecodeError
		if errors.As(err, &at) {
			line, _ := at.Position()
			return nil, &LineError{Line: line, Err: err}
		}
		return nil, fmt.Errorf("read rule: %w", err)
	}
	in := &reader{rule: &Rule{Entries: map[Cell]Entry{}}, data: data}
	in.top(tree)
	if in.failed == nil {
		for _, p := range in.rule.Problems() {
			in.fail(in.rule.placeOf(p), "%s", p)
		}
	}
	if in.failed != nil {
		slices.SortStableFunc(in.failed, func(a, b *LineError) int { return a.Line - b.Line })
		all := make([]error, len(in.failed))
		for i, e := range in.failed {
			all[i] = e
		}
		return nil, errors.Join(all...)
	}
	return in.rule, nil
}

// placeOf is the path of the entry that a problem names, for its line.
func (r *Rule) placeOf(problem string) []string {
	for c := range r.Entries {
		if strings.HasPrefix(problem, c.String()+" ") || strings.HasPrefix(problem, c.String()+":") {
			return []string{"module", string(c.Module), string(c.Quantity)}
		}
	}
	return []string{strings.SplitN(problem, " ", 2)[0]}
}

type reader struct {
	rule   *Rule
	data   []byte
	lines  map[string]int // of data, made when the first error needs it
	failed []*LineError
}

func (in *reader) fail(path []string, format string, args ...any) {
	if in.lines == nil {
		in.lines = lineIndex(in.data)
	}
	line := 1
	for n := len(path); n > 0; n-- {
		if l, ok := in.lines[strings.Join(path[:n], "\x00")]; ok {
			line = l
			break
		}
	}
	in.failed = append(in.failed, &LineError{Line: line, Err: fmt.Errorf(format, args...)})
}

var topKeys = []string{"name", "title", "source", "status", "derived", "covers", "assumes", "notes", "base_lr", "base", "module"}

func (in *reader) top(tree map[string]any) {
	r := in.rule
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		v, path := tree[key], []string{key}
		switch key {
		case "name":
			r.Name = in.text(path, v)
		case "title":
			r.Title = in.text(path, v)
		case "source":
			r.Source = in.text(path, v)
		case "status":
			r.Status = word(in, path, v, statuses)
		case "derived":
			r.Derived = in.text(path, v)
		case "covers":
			for _, s := range in.texts(path, v) {
				r.Covers = append(r.Covers, word(in, path, s, dims))
			}
		case "assumes":
			r.Assumes = in.texts(path, v)
		case "notes":
			r.Notes = in.texts(path, v)
		case "base_lr":
			r.PrescribedLR = in.number(path, v)
		case "base":
			in.modules(path, v, in.constant)
		case "module":
			in.modules(path, v, in.entry)
		default:
			in.fail(path, "%w", unknown("key", key, topKeys))
		}
	}
}

// modules walks [kind.module] tables down to each quantity.
func (in *reader) modules(path []string, v any, each func(path []string, c Cell, fields map[string]any)) {
	table := in.table(path, v)
	for _, name := range slices.Sorted(maps.Keys(table)) {
		path, v := append(slices.Clone(path), name), table[name]
		m := word(in, path, name, modules)
		if m == "" {
			continue
		}
		table := in.table(path, v)
		for _, key := range slices.Sorted(maps.Keys(table)) {
			path, v := append(slices.Clone(path), key), table[key]
			q := word(in, path, key, quantities)
			switch {
			case q == "":
			case !m.Has(q):
				in.fail(path, "%s has no %s: it has %s", m, q, list(quantitiesOf(m)))
			default:
				if fields := in.table(path, v); fields != nil {
					each(path, Cell{m, q}, fields)
				}
			}
		}
	}
}

var (
	entryKeys    = append(words(dims), "state", "note")
	constantKeys = []string{"value", "depth"}
)

func (in *reader) entry(path []string, c Cell, fields map[string]any) {
	e := Entry{State: Stated}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		path, v := append(slices.Clone(path), key), fields[key]
		switch d := Dim(key); {
		case e.at(d) != nil:
			*e.at(d) = in.exponent(path, v)
		case key == "state":
			e.State = word(in, path, v, states)
		case key == "note":
			e.Note = in.text(path, v)
		default:
			in.fail(path, "%w", unknown("exponent", key, entryKeys))
		}
	}
	in.rule.Entries[c] = e
}

func (in *reader) constant(path []string, c Cell, fields map[string]any) {
	var p Constant
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		path, v := append(slices.Clone(path), key), fields[key]
		switch key {
		case "value":
			p.Value = in.number(path, v)
		case "depth":
			p.Depth = in.exponent(path, v)
		default:
			in.fail(path, "%w", unknown("key", key, constantKeys))
		}
	}
	if p.Value == 0 {
		in.fail(path, "%s has no value: give a positive number", c)
	}
	if in.rule.Prescribed == nil {
		in.rule.Prescribed = map[Cell]Constant{}
	}
	in.rule.Prescribed[c] = p
}

func (in *reader) table(path []string, v any) map[string]any {
	t, ok := v.(map[string]any)
	if !ok {
		in.fail(path, "%s is %s: use a table", last(path), kind(v))
		return nil
	}
	return t
}

func (in *reader) text(path []string, v any) string {
	s, ok := v.(string)
	if !ok {
		in.fail(path, "%s is %s: use text", last(path), kind(v))
	}
	return s
}

func (in *reader) texts(path []string, v any) (out []string) {
	a, ok := v.([]any)
	if !ok {
		in.fail(path, "%s is %s: use a list of texts", last(path), kind(v))
	}
	for _, v := range a {
		out = append(out, in.text(path, v))
	}
	return out
}

func (in *reader) float(path []string, v any) (float64, bool) {
	switch x := v.(type) {
	case float64:
		return x, true
	case int64:
		return float64(x), true
	}
	in.fail(path, "%s is %s: use a number", last(path), kind(v))
	return 0, false
}

// number reads a positive number.
func (in *reader) number(path []string, v any) float64 {
	x, ok := in.float(path, v)
	if ok && !positive(x) {
		in.fail(path, "%s is %v: use a positive number", last(path), x)
	}
	return x
}

func (in *reader) exponent(path []string, v any) float64 {
	x, ok := in.float(path, v)
	if ok && !(math.Abs(x) <= maxExponent) {
		in.fail(path, "%s is %v: use a number within ±%d", last(path), x, maxExponent)
	}
	if x == 0 {
		return 0 // TOML knows −0
	}
	return x
}

// word reads one of the valid words; "" after a failure.
func word[W ~string](in *reader, path []string, v any, valid []W) W {
	s, ok := v.(string)
	if !ok {
		in.fail(path, "%s is %s: use one of %s", last(path), kind(v), list(valid))
		return ""
	}
	if !slices.Contains(valid, W(s)) {
		in.fail(path, "%w", unknown(kindOfWord(path), W(s), valid))
		return ""
	}
	return W(s)
}

func kindOfWord(path []string) string {
	switch {
	case path[0] == "covers":
		return "dimension"
	case len(path) == 2:
		return "module"
	case len(path) == 3:
		return "quantity"
	}
	return last(path)
}

func last(path []string) string { return path[len(path)-1] }

func kind(v any) string {
	switch v.(type) {
	case string:
		return "text"
	case bool:
		return "true or false"
	case int64, float64:
		return "a number"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a date or time"
}

// lineIndex maps the path of every key and table, joined by NUL, to its first line.
func lineIndex(data []byte) map[string]int {
	index := map[string]int{}
	p := &unstable.Parser{}
	p.Reset(data)
	var walk func(prefix []string, n *unstable.Node)
	walk = func(prefix []string, n *unstable.Node) {
		path := slices.Clone(prefix)
		for it := n.Key(); it.Next(); {
			key := it.Node()
			path = append(path, string(key.Data))
			at := strings.Join(path, "\x00")
			if _, ok := index[at]; !ok {
				index[at] = p.Shape(key.Raw).Start.Line
			}
		}
		if n.Kind == unstable.KeyValue && n.Value().Kind == unstable.InlineTable {
			for it := n.Value().Children(); it.Next(); {
				if it.Node().Kind == unstable.KeyValue {
					walk(path, it.Node())
				}
			}
		}
	}
	var table []string
	for p.NextExpression() {
		n := p.Expression()
		switch n.Kind {
		case unstable.Table, unstable.ArrayTable:
			walk(nil, n)
			table = nil
			for it := n.Key(); it.Next(); {
				table = append(table, string(it.Node().Data))
			}
		case unstable.KeyValue:
			walk(table, n)
		}
	}
	return index
}
