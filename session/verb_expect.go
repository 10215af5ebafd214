package session

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/language"
)

func expectVerb() *Verb {
	return &Verb{
		Name:    "expect",
		Summary: "make the notebook a test",
		Doc: "expect target.lr within 10% of 4.6e-4 · expect law.N between -0.9 and -0.7 · expect curves.n >= 10 · expect target.lr within 30% of measured.lr. " +
			"The first word is a result and one of its numbers; it is compared with numbers or with those of other results. An expectation that is not met fails etastar run with exit code 4.",
		Example: `expect target.lr within 10% of 4.6e-4`,
		Result:  "expectation",
		hasTail: true,
		tailRefs: func(tail string) []language.Span {
			e, err := parseExpectation(tail)
			if err != nil {
				return nil
			}
			spans := []language.Span{{Start: 0, End: len(e.path)}}
			for _, o := range []operand{e.a, e.b} {
				if o.path != "" {
					spans = append(spans, o.at)
				}
			}
			return spans
		},
		checkTail: func(tail string) *language.Error {
			_, err := parseExpectation(tail)
			return err
		},
		run: runExpect,
	}
}

// expectation is a parsed condition on one number.
type expectation struct {
	path   string
	op     string // "within", "between", "<", "<=", ">", ">=", "=="
	a, b   operand
	margin float64 // within
	share  bool    // the margin is a percentage
	words  string  // the margin as written
}

// operand is what is compared with: a number, or one of a result.
type operand struct {
	value float64
	path  string // "measured.lr"; "" for a number
	at    language.Span
}

var (
	expectPath    = regexp.MustCompile(`^[\pL_][\pL\d_*]*(\.[\pL_][\pL\d_*]*)+`)
	expectWithin  = regexp.MustCompile(`^within\s+(\S+)\s+of\s+(\S+)$`)
	expectBetween = regexp.MustCompile(`^between\s+(\S+)\s+and\s+(\S+)$`)
	expectCompare = regexp.MustCompile(`^(<=|>=|==|<|>)\s*(\S+)$`)
)

func parseExpectation(tail string) (expectation, *language.Error) {
	const example = "for example: expect target.lr within 10% of 4.6e-4"
	e := expectation{path: expectPath.FindString(tail)}
	if e.path == "" {
		end := max(strings.IndexAny(tail+" ", " \t"), 1)
		return e, &language.Error{Span: language.Span{End: min(end, len(tail))}, Message: "expected a result and one of its numbers (target.lr)", Hint: example}
	}
	rest := strings.TrimLeft(tail[len(e.path):], " \t")
	start := len(tail) - len(rest)
	whole := language.Span{Start: start, End: len(tail)}
	// group is the k-th group of a match as an operand.
	group := func(m []int, k int) (operand, *language.Error) {
		o := operand{at: language.Span{Start: start + m[2*k], End: start + m[2*k+1]}}
		text := rest[m[2*k]:m[2*k+1]]
		v, percent, ok := language.ParseNumber(text)
		switch {
		case ok && !percent:
			o.value = v
		case expectPath.FindString(text) == text:
			o.path = text
		default:
			return o, &language.Error{Span: whole, Message: fmt.Sprintf("%q is neither a number nor one of a result", text), Hint: example}
		}
		return o, nil
	}
	var err *language.Error
	if m := expectWithin.FindStringSubmatchIndex(rest); m != nil {
		e.op, e.words = "within", rest[m[2]:m[3]]
		var ok bool
		if e.margin, e.share, ok = language.ParseNumber(e.words); !ok || e.margin < 0 {
			return e, &language.Error{Span: whole, Message: fmt.Sprintf("%q is not a margin", e.words), Hint: example}
		}
		e.a, err = group(m, 2)
		return e, err
	}
	if m := expectBetween.FindStringSubmatchIndex(rest); m != nil {
		e.op = "between"
		if e.a, err = group(m, 1); err == nil {
			e.b, err = group(m, 2)
		}
		return e, err
	}
	if m := expectCompare.FindStringSubmatchIndex(rest); m != nil {
		e.op = rest[m[2]:m[3]]
		e.a, err = group(m, 2)
		return e, err
	}
	return e, &language.Error{Span: whole, Message: "expected within … of …, between … and …, or a comparison with a number", Hint: example}
}

// number looks an operand up: what it is, and how it reads.
func (c *Call) number(o operand) (x float64, text string, err error) {
	if o.path == "" {
		return o.value, plain(o.value), nil
	}
	name, field, _ := strings.Cut(o.path, ".")
	if x, err = Field(c.refs[name], field); err != nil {
		return 0, "", err
	}
	return x, plain(roundTo(x, 4)) + " (" + o.path + ")", nil
}

func runExpect(c *Call) (Value, error) {
	e, perr := parseExpectation(c.Tail)
	if perr != nil {
		return nil, perr
	}
	got, _, err := c.number(operand{path: e.path})
	if err != nil {
		return nil, err
	}
	a, aText, err := c.number(e.a)
	if err != nil {
		return nil, err
	}
	x := Expectation{Text: c.Tail, Path: e.path, Got: got}
	shown := plain(roundTo(got, 4))
	switch e.op {
	case "within":
		allowed := e.margin
		if e.share {
			allowed = e.margin / 100 * math.Abs(a)
		}
		x.Met = math.Abs(got-a) <= allowed
		x.Said = fmt.Sprintf("%s is within %s of %s", shown, e.words, aText)
		if !x.Met {
			x.Said = fmt.Sprintf("%s is not within %s of %s", shown, e.words, aText)
		}
		if a != 0 {
			x.Said += fmt.Sprintf(" (%+.1f%%)", 100*(got-a)/math.Abs(a))
		}
		x.Said += c.measured(e.a, got)
		return x, nil
	case "between":
		b, bText, err := c.number(e.b)
		if err != nil {
			return nil, err
		}
		x.Met = got >= a && got <= b
		x.Said = fmt.Sprintf("%s, expected between %s and %s", shown, aText, bText)
		return x, nil
	case "<":
		x.Met = got < a
	case "<=":
		x.Met = got <= a
	case ">":
		x.Met = got > a
	case ">=":
		x.Met = got >= a
	case "==":
		x.Met = got == a
	}
	x.Said = fmt.Sprintf("%s, expected %s %s", shown, e.op, aText)
	return x, nil
}

// measured says what a learning rate costs on the measured curve it is compared with.
func (c *Call) measured(o operand, lr float64) string {
	name, field, _ := strings.Cut(o.path, ".")
	v, ok := c.refs[name].(Curves)
	if !ok || field != "lr" || !(lr > 0) {
		return ""
	}
	last := v.last()
	excess := last.At(math.Log(lr))/last.Loss - 1
	if math.IsNaN(excess) {
		return ""
	}
	return fmt.Sprintf("; there the measured curve lies %.2f%% above its minimum", 100*excess)
}

// last is the last cell with a vertex, the largest one; nil: none has.
func (v Curves) last() *fitting.Curve {
	for i := range slices.Backward(v.Curves) {
		if v.Curves[i].OK {
			return &v.Curves[i]
		}
	}
	return nil
}

func roundTo(x float64, digits int) float64 {
	v, _, ok := language.ParseNumber(fmt.Sprintf("%.*g", digits, x))
	if !ok {
		return x
	}
	return v
}

// Field returns one number of a value: lr of a prediction, N of a law, n of curves.
func Field(v Value, field string) (float64, error) {
	fields := Fields(v)
	var names []string
	for _, f := range fields {
		if f.Name == field {
			return f.Value, nil
		}
		names = append(names, f.Name)
	}
	hint := article(v.Type()) + " has " + strings.Join(names, ", ")
	if w := nearestWord(field, names); w != "" {
		hint = fmt.Sprintf("did you mean %s?", w)
	}
	return 0, hinted{fmt.Errorf("%s has no number %q", article(v.Type()), field), hint}
}

// NamedNumber is a number of a value that expect can name.
type NamedNumber struct {
	Name  string
	Value float64
}

// Fields lists the numbers of a value by name.
func Fields(v Value) []NamedNumber {
	switch v := v.(type) {
	case Prediction:
		return []NamedNumber{
			{"lr", v.LR},
			{"low", v.Low},
			{"high", v.High},
			{"band_low", v.Band[0]},
			{"band_high", v.Band[1]},
			{"regret", v.AtRegret},
			{"batch", v.BatchTokens},
		}
	case Law:
		var f []NamedNumber
		for _, co := range v.Coef {
			f = append(f, NamedNumber{co.Name, co.Value}, NamedNumber{"se_" + co.Name, co.SE})
		}
		return append(f, NamedNumber{"r2", v.R2}, NamedNumber{"sd", v.ResidSD}, NamedNumber{"n", float64(v.N)})
	case Curves:
		vertices := 0
		for i := range v.Curves {
			if v.Curves[i].OK {
				vertices++
			}
		}
		f := []NamedNumber{{"n", float64(len(v.Curves))}, {"vertices", float64(vertices)}, {"runs", float64(v.Runs)}, {"diverged", float64(v.Diverged())}}
		if last := v.last(); last != nil {
			f = append(f, NamedNumber{"lr", math.Exp(last.LnLR)}, NamedNumber{"loss", last.Loss})
		}
		return f
	case Table:
		return []NamedNumber{{"rows", float64(v.Rows)}, {"columns", float64(len(v.Columns))}}
	case Sweep:
		f := []NamedNumber{{"runs", float64(len(v.Runs))}, {"over", float64(v.Finished())}}
		if v.Study != nil {
			f = append(f, v.Study.Fields()...)
		}
		return f
	case Transfer:
		var f []NamedNumber
		for _, r := range v.Rows {
			for _, q := range r.Quantities {
				f = append(f, NamedNumber{string(r.Module) + "." + string(q), r.Target.Of(q)})
			}
		}
		return f
	case Comparison:
		var f []NamedNumber
		for _, r := range v.Rows {
			f = append(f, NamedNumber{r.Name + ".error", r.MeanAbsErr}, NamedNumber{r.Name + ".penalty", r.MeanPenalty}, NamedNumber{r.Name + ".max_penalty", r.MaxPenalty}, NamedNumber{r.Name + ".coverage", r.Coverage})
		}
		return f
	}
	return nil
}
