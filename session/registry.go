package session

import (
	"context"
	"slices"
	"sync"

	"github.com/etastar/etastar/session/language"
)

// Param declares one parameter of a verb. The parser's checks, error messages,
// completion, help, knobs and documentation come from it alone.
type Param struct {
	Name     string
	Doc      string
	Default  string   // in the notebook's notation; "" for none
	Unit     string   // "tokens", "parameters", …
	Words    []string // words it takes ("free", "tuned", "all")
	Set      bool     // takes a list of Words (by=N,D)
	Number   *NumberSpec
	String   bool     // takes a quoted string
	Column   bool     // takes a column name of the first table argument
	Expr     bool     // takes an expression over columns
	File     bool     // takes a file name (completion lists files)
	List     bool     // takes a list of what it takes
	Range    bool     // takes a log-spaced range (1e-3..1e-1 x5)
	Input    []string // takes a value of one of these types, by name or (verb …)
	Position bool     // stands without its name, in order
	Required bool
	Stops    []string // what a knob turns through, in order; nil: derived from the rest
	Knob     bool     // shown as a knob
}

// NumberSpec says which numbers a parameter takes and how a knob turns them.
type NumberSpec struct {
	Min, Max float64 // Max 0: no upper limit
	Above    bool    // Min itself is not allowed
	Log      bool    // turns by a ratio through round values
	Count    bool    // prints with a suffix (7B)
	Step     float64 // linear step of a knob; 0: 1
	Integer  bool
	Percent  bool // written with %, may also be a plain number
}

// Verb is one word of the language.
type Verb struct {
	Name    string
	Summary string // one line
	Doc     string // a paragraph or two
	Example string // statements that can be inserted
	Result  string // type of its value
	Params  []Param

	// open describes parameters of any name (derive runs x=a/b); nil: none.
	open *Param
	// tail says how many arguments precede a rest of the line the verb reads itself; 0: see hasTail.
	tail    int
	hasTail bool
	// tailRefs returns the names used inside the tail.
	tailRefs func(tail string) []language.Span
	// checkTail reports a mistake in the tail before anything runs.
	checkTail func(tail string) *language.Error
	// whereResult applies a where clause to the result instead of the first table.
	whereResult bool
	// fingerprint adds to the content hash what lies outside the notebook (a file's size and time).
	fingerprint func(c *Call) string
	// stops returns what a knob turns through when that depends on the data.
	stops func(v Value, param string) []string
	// turned returns the number a knob starts from when it is pinned at the value in force.
	turned func(v Value, param string) (float64, bool)
	run    func(c *Call) (Value, error)
}

// Call is one evaluation of a statement.
type Call struct {
	Ctx  context.Context
	Dir  string // the notebook's folder: file names are relative to it
	Verb *Verb
	Tail string

	args     map[string]language.Value
	given    map[string]bool
	order    []string // keys as written, for open verbs
	inputs   map[string][]Value
	refs     map[string]Value // names used in a tail
	notes    []string
	progress func(done, total int64)
	worker   []string // Options.Worker
	start    bool     // Options.Start
}

// Note tells the reader something about the result.
func (c *Call) Note(notes ...string) {
	for _, n := range notes {
		if !slices.Contains(c.notes, n) {
			c.notes = append(c.notes, n)
		}
	}
}

// Given reports whether the statement says the parameter.
func (c *Call) Given(name string) bool { return c.given[name] }

// Number returns a numeric parameter; 0 when it has neither value nor default.
func (c *Call) Number(name string) float64 { return c.args[name].Number }

// IsNumber reports whether the parameter's value is a number rather than a word.
func (c *Call) IsNumber(name string) bool {
	v, ok := c.args[name]
	return ok && v.Kind == language.Number
}

// Text returns a parameter's text: a string without its quotes, anything else as written.
func (c *Call) Text(name string) string { return plainText(c.args[name]) }

// Bool returns a boolean parameter.
func (c *Call) Bool(name string) bool { return c.args[name].Bool || c.args[name].Text == "on" }

// Texts returns the elements of a list parameter; a single value is a list of one.
func (c *Call) Texts(name string) []string {
	v, ok := c.args[name]
	if !ok || v.Text == "none" || v.Text == "" {
		return nil
	}
	if v.Kind != language.List {
		return []string{plainText(v)}
	}
	out := make([]string, len(v.List))
	for i, e := range v.List {
		out[i] = plainText(e)
	}
	return out
}

// Input returns the value of an input parameter, nil when not given.
func (c *Call) Input(name string) Value {
	if vs := c.inputs[name]; len(vs) > 0 {
		return vs[0]
	}
	return nil
}

func plainText(v language.Value) string {
	if v.Kind == language.String {
		return v.Str
	}
	return v.Text
}

// registry holds the verbs in the order help shows them.
var registry = sync.OnceValue(func() []*Verb {
	return []*Verb{
		loadVerb(), horizonVerb(), whereVerb(), deriveVerb(), showVerb(), noteVerb(),
		curvesVerb(), lawVerb(), publishedVerb(), predictVerb(), compareVerb(),
		plotVerb(), expectVerb(), shapeVerb(), ruleVerb(), transferVerb(), planVerb(),
		sweepVerb(), trainVerb(), coordinatesVerb(), modulewiseVerb(), paradigmsVerb(), watchVerb(),
	}
})

// Verbs returns every verb in the order help lists them.
func Verbs() []*Verb { return slices.Clone(registry()) }

func findVerb(name string) *Verb {
	for _, v := range registry() {
		if v.Name == name {
			return v
		}
	}
	return nil
}

func verbNames() []string {
	names := make([]string, len(registry()))
	for i, v := range registry() {
		names[i] = v.Name
	}
	return names
}

// param returns the declaration of a parameter, or nil.
func (v *Verb) param(name string) *Param {
	for i := range v.Params {
		if v.Params[i].Name == name {
			return &v.Params[i]
		}
	}
	return nil
}

// paramNames lists the parameters that are written with their names.
func (v *Verb) paramNames() []string {
	var names []string
	for i := range v.Params {
		if !v.Params[i].Position {
			names = append(names, v.Params[i].Name)
		}
	}
	return names
}

func rawTail(verb string) (int, bool) {
	if v := findVerb(verb); v != nil && v.hasTail {
		return v.tail, true
	}
	return 0, false
}
