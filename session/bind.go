package session

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/etastar/etastar/session/language"
	"github.com/etastar/etastar/session/nearest"
)

// binding is a statement whose arguments were matched with its verb's parameters.
type binding struct {
	verb  *Verb
	args  map[string]language.Value
	given map[string]bool
	order []string
	refs  []reference
}

// reference is a value that a statement takes from elsewhere in the notebook.
type reference struct {
	param *Param // nil: in the tail
	value language.Value
}

// bind matches a statement with the declaration of its verb.
func bind(st *language.Statement) (*binding, *language.Error) {
	verb := findVerb(st.Verb)
	if verb == nil {
		hint := "verbs: " + strings.Join(verbNames(), " ")
		if w := nearest.Word(st.Verb, verbNames()); w != "" {
			hint = fmt.Sprintf("did you mean %s?", w)
		}
		return nil, &language.Error{Span: st.VerbSpan, Message: fmt.Sprintf("there is no verb %q", st.Verb), Hint: hint}
	}
	b := &binding{verb: verb, args: map[string]language.Value{}, given: map[string]bool{}}
	for i := range verb.Params {
		p := &verb.Params[i]
		if p.Default == "" {
			continue
		}
		v, err := language.ParseValue(p.Default)
		if err != nil {
			panic(fmt.Sprintf("verb %s: default of %s: %v", verb.Name, p.Name, err))
		}
		b.args[p.Name] = v
	}
	var positional []*Param
	for i := range verb.Params {
		if verb.Params[i].Position {
			positional = append(positional, &verb.Params[i])
		}
	}
	for _, a := range st.Args {
		p, err := b.paramOf(a, &positional)
		if err != nil {
			return nil, err
		}
		v := a.Value
		if err := p.check(&v, a); err != nil {
			return nil, err
		}
		name := p.Name
		if p == verb.open {
			name = a.Key
		}
		b.args[name], b.given[name] = v, true
		b.order = append(b.order, name)
		b.collect(p, v)
	}
	for i := range verb.Params {
		if p := &verb.Params[i]; p.Required && !b.given[p.Name] {
			return nil, &language.Error{
				Span:    language.Span{Start: st.VerbSpan.Start, End: st.CodeEnd},
				Message: fmt.Sprintf("%s needs %s", verb.Name, p.missing()),
				Hint:    "for example: " + firstLine(verb.Example),
			}
		}
	}
	if verb.hasTail {
		if st.Tail == "" {
			return nil, &language.Error{Span: language.Span{Start: st.VerbSpan.Start, End: st.CodeEnd}, Message: verb.Name + " needs more", Hint: "for example: " + firstLine(verb.Example)}
		}
		if verb.checkTail != nil {
			if err := verb.checkTail(st.Tail); err != nil {
				err.Start, err.End = err.Start+st.TailSpan.Start, err.End+st.TailSpan.Start
				return nil, err
			}
		}
		if verb.tailRefs != nil {
			for _, s := range verb.tailRefs(st.Tail) {
				span := language.Span{Start: s.Start + st.TailSpan.Start, End: s.End + st.TailSpan.Start}
				b.refs = append(b.refs, reference{value: language.Value{Span: span, Kind: language.Name, Text: s.Of(st.Tail)}})
			}
		}
	}
	if st.Where != "" && !verb.whereResult && b.firstTable() == nil {
		return nil, &language.Error{Span: st.WhereSpan, Message: verb.Name + " takes no where: it has no table to filter"}
	}
	return b, nil
}

// firstTable is the parameter whose table a where clause filters.
func (b *binding) firstTable() *Param {
	for i := range b.verb.Params {
		if p := &b.verb.Params[i]; slices.Contains(p.Input, "table") {
			return p
		}
	}
	return nil
}

func (b *binding) paramOf(a language.Arg, positional *[]*Param) (*Param, *language.Error) {
	verb := b.verb
	if a.Key != "" {
		if p := verb.param(a.Key); p != nil {
			if b.given[p.Name] {
				return nil, &language.Error{Span: a.KeySpan, Message: fmt.Sprintf("%s is given twice", p.Name), Hint: "keep one of them"}
			}
			*positional = slices.DeleteFunc(*positional, func(q *Param) bool { return q == p })
			return p, nil
		}
		if verb.open != nil {
			return verb.open, nil
		}
		hint := fmt.Sprintf("%s takes %s", verb.Name, strings.Join(verb.paramNames(), " "))
		if w := nearest.Word(a.Key, verb.paramNames()); w != "" {
			hint = fmt.Sprintf("did you mean %s?", w)
		}
		return nil, &language.Error{Span: a.KeySpan, Message: fmt.Sprintf("%s has no parameter %q", verb.Name, a.Key), Hint: hint}
	}
	if len(*positional) == 0 {
		hint := "parameters are written name=value"
		for i := range verb.Params {
			if p := &verb.Params[i]; !p.Position && slices.Contains(p.Words, a.Value.Text) {
				hint = fmt.Sprintf("did you mean %s=%s?", p.Name, a.Value.Text)
				break
			}
		}
		return nil, &language.Error{Span: a.Value.Span, Message: fmt.Sprintf("%s does not expect %q here", verb.Name, a.Value.Text), Hint: hint}
	}
	p := (*positional)[0]
	*positional = (*positional)[1:]
	return p, nil
}

// collect notes the names that v takes from elsewhere in the notebook.
func (b *binding) collect(p *Param, v language.Value) {
	if len(p.Input) == 0 {
		return
	}
	switch {
	case v.Kind == language.List:
		for _, e := range v.List {
			b.collect(p, e)
		}
	case v.Kind == language.Sub, v.Kind == language.Name && !slices.Contains(p.Words, v.Text):
		b.refs = append(b.refs, reference{param: p, value: v})
	}
}

// refers reports whether v stands for values from elsewhere alone.
func (p *Param) refers(v language.Value) bool {
	switch {
	case len(p.Input) == 0:
		return false
	case v.Kind == language.List:
		return !slices.ContainsFunc(v.List, func(e language.Value) bool { return !p.refers(e) })
	}
	return v.Kind == language.Sub || v.Kind == language.Name && !slices.Contains(p.Words, v.Text)
}

// check reports whether v is something the parameter takes. It may refine v: a
// file name written without quotes becomes a string.
func (p *Param) check(v *language.Value, a language.Arg) *language.Error {
	span := v.Span
	if v.Kind == language.List && (p.List || p.Set) {
		for i := range v.List {
			e := &v.List[i]
			if !p.takes(e) {
				return p.refuse(*e, a)
			}
		}
		return nil
	}
	if p.takes(v) {
		if v.Kind == language.Number && p.Number != nil {
			return p.inRange(*v, span)
		}
		return nil
	}
	return p.refuse(*v, a)
}

func (p *Param) takes(v *language.Value) bool {
	if slices.Contains(p.Words, v.Text) && v.Kind != language.String {
		return true
	}
	switch v.Kind {
	case language.Number:
		return p.Number != nil && (!v.Percent || p.Number.Percent) || p.Expr
	case language.String:
		return p.String || p.File || p.Column || p.Expr || p.Set && slices.Contains(p.Words, v.Str)
	case language.Name:
		if p.File {
			v.Kind, v.Str = language.String, v.Text
			return true
		}
		return len(p.Input) > 0 || p.Column || p.Expr
	case language.Bool:
		return slices.Contains(p.Words, "on")
	case language.Range:
		return p.Range
	case language.Sub:
		return len(p.Input) > 0
	case language.Expr:
		if p.File {
			v.Kind, v.Str = language.String, v.Text
			return true
		}
		return p.Expr
	}
	return false
}

func (p *Param) refuse(v language.Value, a language.Arg) *language.Error {
	what := p.Name
	if a.Key != "" {
		what = a.Key
	}
	hint := ""
	if v.Kind == language.Name || v.Kind == language.Expr {
		if w := nearest.Word(v.Text, p.Words); w != "" {
			hint = fmt.Sprintf("did you mean %s?", w)
		}
	}
	if v.Kind == language.String && slices.Contains(p.Words, v.Str) {
		hint = fmt.Sprintf("write it without quotes: %s=%s", what, v.Str)
	}
	return &language.Error{Span: v.Span, Message: fmt.Sprintf("%s takes %s, not the %s %s", what, p.wants(), v.Kind, v.Text), Hint: hint}
}

func (p *Param) inRange(v language.Value, span language.Span) *language.Error {
	n, x := p.Number, v.Number
	switch {
	case n.Integer && x != math.Trunc(x):
		return &language.Error{Span: span, Message: fmt.Sprintf("%s takes whole numbers, not %s", p.Name, v.Text)}
	case x < n.Min, n.Above && x == n.Min:
		more := "at least"
		if n.Above {
			more = "more than"
		}
		return &language.Error{Span: span, Message: fmt.Sprintf("%s is %s %s, not %s", p.Name, more, plain(n.Min), v.Text)}
	case n.Max != 0 && x > n.Max:
		return &language.Error{Span: span, Message: fmt.Sprintf("%s is at most %s, not %s", p.Name, plain(n.Max), v.Text)}
	}
	return nil
}

// missing says what is not there: by name, unless it stands without one.
func (p *Param) missing() string {
	if p.Position {
		return p.wants()
	}
	return p.Name + "=, " + p.wants()
}

// wants says in words what the parameter takes.
func (p *Param) wants() string {
	var parts []string
	if len(p.Input) > 0 {
		parts = append(parts, "the name of "+orList(articles(p.Input)))
	}
	if p.Set {
		parts = append(parts, "any of "+strings.Join(p.Words, ","))
	} else if len(p.Words) > 0 {
		parts = append(parts, orList(p.Words))
	}
	if p.Number != nil {
		word := "a number"
		if p.Number.Integer {
			word = "a whole number"
		}
		if p.Number.Percent {
			word += " or a percentage"
		}
		if p.Unit != "" {
			word += " of " + p.Unit
		}
		parts = append(parts, word)
	}
	if p.Range {
		parts = append(parts, "a range (1e-3..1e-1 x5)")
	}
	switch {
	case p.File:
		parts = append(parts, `a file name ("sweep.csv")`)
	case p.Expr && p.Column:
		parts = append(parts, "a column or an expression over columns")
	case p.Column:
		parts = append(parts, "a column")
	case p.Expr:
		parts = append(parts, "an expression")
	case p.String:
		parts = append(parts, "a quoted string")
	}
	return strings.Join(parts, ", or ")
}

func articles(types []string) []string {
	out := make([]string, len(types))
	for i, t := range types {
		out[i] = article(t)
	}
	return out
}

func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

func plain(x float64) string { return fmt.Sprintf("%g", x) }

func firstLine(s string) string {
	first, _, _ := strings.Cut(s, "\n")
	return first
}
