package language

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

func tails(verb string) (int, bool) {
	switch verb {
	case "where":
		return 1, true
	case "expect":
		return 0, true
	}
	return 0, false
}

func TestParse(t *testing.T) {
	tests := []struct{ text, want string }{
		{`runs = load "a b.csv" loss="smooth loss" batch=bs*2048  # note`, `runs=load(string:a b.csv loss=string:smooth loss batch=expr:bs*2048)`},
		{`curves = curves runs by=N,D form=quadratic window=2`, `curves=curves(name:runs by=[name:N name:D] form=name:quadratic window=2)`},
		{`curves runs by=N, D window=1%`, `curves(name:runs by=[name:N name:D] window=1%)`},
		{`law = law (curves sweep by=N) form=N_only`, `law=law(sub:curves(name:sweep by=name:N) form=name:N_only)`},
		{`sweep d_model=[32,64,128] lr=1e-3..1e-1 x5 tokens=205k`, `sweep(d_model=[32 64 128] lr=0.001..0.1x5 tokens=205000)`},
		{`good = where runs loss < 5 && bs*2048 == 2^21 # c`, `good=where(name:runs) tail{loss < 5 && bs*2048 == 2^21}`},
		{`curves runs where N > 1B # c`, `curves(name:runs) where{N > 1B}`},
		{`expect target.lr within 10% of 4.6e-4`, `expect() tail{target.lr within 10% of 4.6e-4}`},
		{`x = load f batch=(bs * 2048)`, `x=load(name:f batch=expr:(bs * 2048))`},
		{`p = predict law N=7B D=1.4T at=1e-3`, `p=predict(name:law N=7e+09 D=1.4e+12 at=0.001)`},
		{`e = law c exclude=["1.07B, 57B","a"] pin=true`, `e=law(name:c exclude=[string:1.07B, 57B string:a] pin=true)`},
		{`η* = predict law`, `η*=predict(name:law)`},
		{`a = law c form="C * N^a" x=[]`, `a=law(name:c form=string:C * N^a x=[])`},
	}
	for _, tt := range tests {
		s, err := Parse(tt.text, tails)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if got := describe(s); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.text, got, tt.want)
		}
	}
}

func TestErrors(t *testing.T) {
	tests := []struct {
		text       string
		start, end int
		message    string
	}{
		{`runs = `, 7, 7, "expected a verb"},
		{`runs = load "x`, 12, 14, "never closed"},
		{`a = law c form= power`, 10, 15, "right after"},
		{`a = law c form = power`, 10, 16, "blanks before ="},
		{`a = law c N=1 N=2`, 14, 15, "given twice"},
		{`a = law [1,2`, 8, 9, "never closed"},
		{`a = law 1]`, 9, 10, "closes nothing"},
		{`a = law (1]`, 10, 11, "closes"},
		{`a = x [1,,2]`, 9, 10, "expected a value in the list"},
		{`a = x lr=1e-1..1e-3`, 9, 19, "not a range"},
		{`a = x where`, 11, 11, "expected an expression"},
		{"a = x \xff", 6, 7, "UTF-8"},
		{`= x`, 0, 3, "expected a verb"},
		{"a " + strings.Repeat("(", 40), 22, 23, "brackets inside each other"},
	}
	for _, tt := range tests {
		_, err := Parse(tt.text, tails)
		if err == nil {
			t.Errorf("%s: no error", tt.text)
			continue
		}
		if err.Start != tt.start || err.End != tt.end || !strings.Contains(err.Message, tt.message) {
			t.Errorf("%s: [%d,%d) %s", tt.text, err.Start, err.End, err.Message)
		}
	}
}

func TestParseNumber(t *testing.T) {
	tests := []struct {
		text string
		want float64
		ok   bool
	}{
		{"4B", 4e9, true},
		{"1.1B", 1.1e9, true},
		{"0.3M", 3e5, true},
		{"1.5e3k", 1.5e6, true},
		{"1_000", 1000, true},
		{"-2", -2, true},
		{"5%", 5, true},
		{".5", .5, true},
		{"0x10", 0, false},
		{"1e999", 0, false},
		{"inf", 0, false},
		{"NaN", 0, false},
		{"--1", 0, false},
		{"1__0", 0, false},
		{"B", 0, false},
		{"", 0, false},
	}
	for _, tt := range tests {
		got, _, ok := ParseNumber(tt.text)
		if got != tt.want || ok != tt.ok {
			t.Errorf("%q: %v %v, want %v %v", tt.text, got, ok, tt.want, tt.ok)
		}
	}
}

func TestSetArg(t *testing.T) {
	tests := []struct{ text, key, value, want string }{
		{"a = law c  form=power   # why", "form", "C_only", "a = law c  form=C_only   # why"},
		{"a = law c # why", "form", "C_only", "a = law c form=C_only # why"},
		{"a = law c form=power N=2 # why", "form", "", "a = law c N=2 # why"},
		{"a = curves r by=N, D  window=2", "by", "N", "a = curves r by=N  window=2"},
		{"a = curves r where N > 1", "window", "3", "a = curves r window=3 where N > 1"},
		{"a = curves", "window", "3", "a = curves window=3"},
		{"a = curves r", "window", "", "a = curves r"},
		{"a = s lr=1e-3..1e-1 x5 b=1", "lr", "1e-4..1e-2 x3", "a = s lr=1e-4..1e-2 x3 b=1"},
	}
	for _, tt := range tests {
		s, err := Parse(tt.text, tails)
		if err != nil {
			t.Fatal(err)
		}
		if got := SetArg(tt.text, s, tt.key, tt.value); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.text, got, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`runs = load "a b.csv" loss="smooth loss" batch=bs*2048`, `law = law (curves sweep by=N) form=N_only`,
		`a = x [1,[2,"]"],(b c)]`, `expect a.b within 10% of 4`, `x lr=1e-3..1e-1 x5`, "a\t=\tb \\\"`", `a = b where c`,
	} {
		f.Add(s, "k", "7B")
	}
	f.Fuzz(func(t *testing.T, text, key, value string) {
		s, err := Parse(text, tails)
		if err != nil {
			if err.Start < 0 || err.End > len(text) || err.Start > err.End || err.Message == "" {
				t.Fatalf("%q: error at [%d,%d): %q", text, err.Start, err.End, err.Message)
			}
			return
		}
		for _, a := range s.Args {
			if a.Value.Of(text) != a.Value.Text {
				t.Fatalf("%q: value %q at %q", text, a.Value.Text, a.Value.Of(text))
			}
			if a.Key == "" {
				continue
			}
			edited := SetArg(text, s, a.Key, "7B")
			if edited[:a.Value.Start] != text[:a.Value.Start] || !strings.HasSuffix(edited, text[a.Value.End:]) {
				t.Fatalf("%q: edit of %q changed more: %q", text, a.Key, edited)
			}
			again, err := Parse(edited, tails)
			if err != nil || again.Arg(a.Key) == nil || again.Arg(a.Key).Value.Text != "7B" {
				t.Fatalf("%q: edited to %q: %v", text, edited, err)
			}
		}
		_ = Quote(value)
		if q, err := Parse("note "+Quote(value), nil); err == nil && len(q.Args) == 1 {
			want := strings.NewReplacer("\n", " ", "\r", " ").Replace(value)
			if q.Args[0].Value.Str != want {
				t.Fatalf("quoted %q, read %q", value, q.Args[0].Value.Str)
			}
		}
	})
}

func describe(s *Statement) string {
	var b strings.Builder
	if s.Name != "" {
		b.WriteString(s.Name + "=")
	}
	b.WriteString(s.Verb + "(")
	for i, a := range s.Args {
		if i > 0 {
			b.WriteString(" ")
		}
		if a.Key != "" {
			b.WriteString(a.Key + "=")
		}
		b.WriteString(describeValue(a.Value))
	}
	b.WriteString(")")
	if s.Where != "" {
		b.WriteString(" where{" + s.Where + "}")
	}
	if s.Tail != "" {
		b.WriteString(" tail{" + s.Tail + "}")
	}
	return b.String()
}

func describeValue(v Value) string {
	switch v.Kind {
	case Number:
		s := strconv.FormatFloat(v.Number, 'g', -1, 64)
		if v.Percent {
			s += "%"
		}
		return s
	case String:
		return "string:" + v.Str
	case Bool:
		return strconv.FormatBool(v.Bool)
	case List:
		parts := make([]string, len(v.List))
		for i, e := range v.List {
			parts[i] = describeValue(e)
		}
		return "[" + strings.Join(parts, " ") + "]"
	case Range:
		return fmt.Sprintf("%g..%gx%d", v.Lo, v.Hi, v.Count)
	case Sub:
		return "sub:" + describe(v.Sub)
	case Name:
		return "name:" + v.Text
	}
	return "expr:" + v.Text
}
