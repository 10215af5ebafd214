package session

import (
	"fmt"
	"math"
	"regexp"
	"strings"

	"github.com/etastar/etastar/session/language"
)

func expectVerb() *Verb {
	return &Verb{
		Name:    "expect",
		Summary: "make the notebook a test",
		Doc: "expect target.lr within 10% of 4.6e-4 · expect law.N between -0.9 and -0.7 · expect curves.n >= 10. " +
			"The first word is a result and one of its numbers. An expectation that is not met fails etastar run with exit code 4.",
		Example: `expect target.lr within 10% of 4.6e-4`,
		Result:  "expectation",
		hasTail: true,
		tailRefs: func(tail string) []language.Span {
			e, err := parseExpectation(tail)
			if err != nil {
				return nil
			}
			return []language.Span{{Start: 0, End: len(e.path)}}
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
	a, b   float64
	share  bool // within a%: relative
	margin string
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
	at := language.Span{Start: len(tail) - len(rest), End: len(tail)}
	number := func(s string) (float64, *language.Error) {
		v, percent, ok := language.ParseNumber(s)
		if !ok || percent {
			return 0, &language.Error{Span: at, Message: fmt.Sprintf("%q is not a number", s), Hint: example}
		}
		return v, nil
	}
	var err *language.Error
	if m := expectWithin.FindStringSubmatch(rest); m != nil {
		a, percent, ok := language.ParseNumber(m[1])
		if !ok || a < 0 {
			return e, &language.Error{Span: at, Message: fmt.Sprintf("%q is not a margin", m[1]), Hint: example}
		}
		e.op, e.a, e.share, e.margin = "within", a, percent, m[1]
		e.b, err = number(m[2])
		return e, err
	}
	if m := expectBetween.FindStringSubmatch(rest); m != nil {
		e.op = "between"
		if e.a, err = number(m[1]); err == nil {
			e.b, err = number(m[2])
		}
		return e, err
	}
	if m := expectCompare.FindStringSubmatch(rest); m != nil {
		e.op = m[1]
		e.a, err = number(m[2])
		return e, err
	}
	return e, &language.Error{Span: at, Message: "expected within … of …, between … and …, or a comparison with a number", Hint: example}
}

func runExpect(c *Call) (Value, error) {
	e, perr := parseExpectation(c.Tail)
	if perr != nil {
		return nil, perr
	}
	name, field, _ := strings.Cut(e.path, ".")
	got, err := Field(c.refs[name], field)
	if err != nil {
		return nil, err
	}
	x := Expectation{Text: c.Tail, Path: e.path, Got: got}
	shown := plain(roundTo(got, 4))
	switch e.op {
	case "within":
		distance := math.Abs(got - e.b)
		allowed := e.a
		if e.share {
			allowed = e.a / 100 * math.Abs(e.b)
		}
		x.Met = distance <= allowed
		x.Said = fmt.Sprintf("%s is within %s of %s", shown, e.margin, plain(e.b))
		if !x.Met {
			x.Said = fmt.Sprintf("%s is not within %s of %s", shown, e.margin, plain(e.b))
		}
		if e.b != 0 {
			x.Said += fmt.Sprintf(" (%+.1f%%)", 100*(got-e.b)/math.Abs(e.b))
		}
		return x, nil
	case "between":
		x.Met = got >= e.a && got <= e.b
		x.Said = fmt.Sprintf("%s, expected between %s and %s", shown, plain(e.a), plain(e.b))
		return x, nil
	case "<":
		x.Met = got < e.a
	case "<=":
		x.Met = got <= e.a
	case ">":
		x.Met = got > e.a
	case ">=":
		x.Met = got >= e.a
	case "==":
		x.Met = got == e.a
	}
	x.Said = fmt.Sprintf("%s, expected %s %s", shown, e.op, plain(e.a))
	return x, nil
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
		return []NamedNumber{{"n", float64(len(v.Curves))}, {"vertices", float64(vertices)}, {"runs", float64(v.Runs)}, {"diverged", float64(v.Diverged())}}
	case Table:
		return []NamedNumber{{"rows", float64(v.Rows)}, {"columns", float64(len(v.Columns))}}
	case Comparison:
		var f []NamedNumber
		for _, r := range v.Rows {
			f = append(f, NamedNumber{r.Name + ".error", r.MeanAbsErr}, NamedNumber{r.Name + ".penalty", r.MeanPenalty}, NamedNumber{r.Name + ".max_penalty", r.MaxPenalty}, NamedNumber{r.Name + ".coverage", r.Coverage})
		}
		return f
	}
	return nil
}
