// Package language parses one statement of the notebook:
//
//	[name =] verb argument… [key=value…] [where expression]   # comment
//
// Values are numbers with suffixes (4B, 1.5M, 3e-4, 1%), log-spaced ranges
// (1e-4..1e-2 x7), lists ([1,2] or N,D), quoted strings, names (target.lr),
// booleans, expressions over columns (bs*2048) and statements in parentheses.
//
// Every node knows the bytes it was written in, so that an edit can replace
// exactly those. The package knows no verbs and evaluates nothing.
package language

import "fmt"

// Span is a range of bytes in a statement's text.
type Span struct{ Start, End int }

// Of returns the bytes of text in the span.
func (s Span) Of(text string) string { return text[s.Start:s.End] }

// Kind is what a value is.
type Kind int

// Kinds of value.
const (
	Number Kind = iota
	String
	Bool
	Name
	List
	Range
	Expr
	Sub
)

func (k Kind) String() string {
	return [...]string{"number", "string", "boolean", "name", "list", "range", "expression", "statement"}[k]
}

// Value is a parsed value. Text is what was written.
type Value struct {
	Span
	Kind    Kind
	Text    string
	Number  float64 // Number
	Percent bool    // Number written with %
	Str     string  // String, without its quotes
	Bool    bool
	List    []Value // List
	Lo, Hi  float64 // Range
	Count   int     // Range: number of log-spaced points; 0: not given
	Sub     *Statement
}

// Arg is an argument. Key is "" for one without a name.
type Arg struct {
	Span    // key, equals sign and value
	Key     string
	KeySpan Span
	Value   Value
}

// Statement is one parsed line.
type Statement struct {
	Span
	Name     string // "" when the result has no name
	NameSpan Span
	Verb     string
	VerbSpan Span
	Args     []Arg
	// Where is the expression after the word where; "" for none.
	Where     string
	WhereSpan Span
	// Tail is the raw rest of the line for verbs that read it themselves.
	Tail     string
	TailSpan Span
	// CodeEnd is where the statement ends and blanks or a comment begin.
	CodeEnd int
}

// Error is a problem at a place of the statement.
type Error struct {
	Span
	Message string
	Hint    string
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + "; " + e.Hint
}

func errorf(s Span, hint, format string, args ...any) *Error {
	return &Error{Span: s, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// RawTail says, for a verb, how many arguments precede a tail that the verb reads
// itself (where runs loss < 5 → 1); ok is false for verbs without one.
type RawTail func(verb string) (args int, ok bool)

// Arg returns the argument with that key, or nil.
func (s *Statement) Arg(key string) *Arg {
	for i := range s.Args {
		if s.Args[i].Key == key {
			return &s.Args[i]
		}
	}
	return nil
}

// References returns the names a statement uses, in order, with their places: names
// standing as values, also in lists and in statements in parentheses.
func (s *Statement) References() []Value {
	var refs []Value
	var walk func(v Value)
	walk = func(v Value) {
		switch v.Kind {
		case Name:
			refs = append(refs, v)
		case List:
			for _, e := range v.List {
				walk(e)
			}
		case Sub:
			refs = append(refs, v.Sub.References()...)
		}
	}
	for _, a := range s.Args {
		walk(a.Value)
	}
	return refs
}

// SetArg returns text with the value of key replaced, or key=value added behind the
// last argument; value "" removes the argument. No other character changes.
func SetArg(text string, s *Statement, key, value string) string {
	a := s.Arg(key)
	switch {
	case a != nil && value != "":
		return text[:a.Value.Start] + value + text[a.Value.End:]
	case a != nil:
		start := a.Start
		for start > 0 && (text[start-1] == ' ' || text[start-1] == '\t') {
			start--
		}
		return text[:start] + text[a.End:]
	case value == "":
		return text
	}
	at := s.VerbSpan.End
	if n := len(s.Args); n > 0 {
		at = s.Args[n-1].End
	}
	return text[:at] + " " + key + "=" + value + text[at:]
}
