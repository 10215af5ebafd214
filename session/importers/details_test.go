package importers

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestJSONDetails(t *testing.T) {
	tests := []struct{ name, json, want, note string }{
		{"escapes and unicode", `{"a\"b": "x\ny", "η": "\u00e9"}`, "a\"b' x\\ny\nη' é\n", ""},
		{"a key twice", "{\"a\": 1, \"a\": 2}\n{\"a\": 3}", "a: 1 3\n", `keys that occur twice in an object keep their first value: "a"`},
		{"a flattened key twice", `{"a/b": 1, "a": {"b": 2}}`, "a/b: 1\n", "keys that occur twice"},
		{"late and missing keys", "{\"a\": 1}\n{\"b\": \"x\"}\n{\"a\": 2}\n", "a: 1 _ 2\nb' _ x _\n", ""},
		{"numbers become text late", "{\"a\": 1.50}\n{\"b\": 1}\n{\"a\": \"x\"}\n", "a' 1.50 _ x\nb: _ 1 _\n", ""},
		{"long lists", `{"a": 1, "h": [` + strings.Repeat("1.5, ", 100) + "1]}", "a: 1\n", `lists are left out: "h"`},
		{"short lists", `{"a": 1, "h": [1, 2], "e": {}, "l": []}`, "a: 1\nh' [1, 2]\nl' []\n", ""},
		{"cut off", "{\"a\": 1}\n{\"a\": 2, \"b", "a: 1\n", "line 2: the last record is incomplete and left out"},
		{"in one line", `{"a": 1}{"a": 2} {"a": 3}`, "a: 1 2 3\n", ""},
		{"runs in an object", `{"name": "s", "runs": [{"lr": 1}, {"lr": 2}], "other": [{"x": 1}, {"x": 2}]} `, "lr: 1 2\n", `the rows are the 2 elements of "runs"`},
		{"empty key", `{"": 1}`, "column_1: 1\n", ""},
		{"negative", `{"a": -1.5e-3, "b": -Infinity}`, "a: -0.0015\nb: -Inf\n", ""},
	}
	for _, tt := range tests {
		path := file(t, "x.json", tt.json)
		for _, chunk := range []int{8, chunkSize} {
			tb, err := read(t.Context(), path, Options{}, chunk)
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			if diff := cmp.Diff(tt.want, dump(tb)); diff != "" {
				t.Errorf("%s: %s", tt.name, diff)
			}
			if notes := strings.Join(tb.Notes, "\n"); !strings.Contains(notes, tt.note) || tt.note == "" && notes != "" {
				t.Errorf("%s: notes %q, want %q", tt.name, notes, tt.note)
			}
		}
	}
}

func TestMarkdownDetails(t *testing.T) {
	tests := []struct {
		name, md, want string
		options        Options
	}{
		{"chosen table", "|a|b|\n|-|-|\n|1|2|\n\n|lr|loss|\n|-|-|\n|3|4|\n", "a: 1\nb: 2\n", Options{Table: 1}},
		{"without outer pipes", "lr | loss\n---|---\n1 | 2\n", "lr: 1\nloss: 2\n", Options{}},
		{"only in a code block", "```\n|lr|loss|\n|-|-|\n|3|4|\n```\n", "lr: 3\nloss: 4\n", Options{}},
		{"text stays text", "|size|x|\n|-|-|\n|7B dense|12 hours|\n|7B moe|1-2|\n", "size' 7B dense 7B moe\nx' 12 hours 1-2\n", Options{}},
		{"few numbers", "|a|b|\n|-|-|\n|1 (x)|1|\n|none at all|2|\n|no|3|\n", "a' 1 (x) none at all no\nb: 1 2 3\n", Options{}},
		{"errors and marks", "|loss|N|\n|-|-|\n|2.5 ± 0.1|7B|\n|2.25*|13B|\n", "loss: 2.5 2.25\nN: 7000000000 13000000000\n", Options{}},
		{"mixed styles", "|a|b|\n|-|-|\n|7B|1|\n|350|2|\n", "a' 7B 350\nb: 1 2\n", Options{}},
		{"windows", "|a|b|\r\n|-|-|\r\n|1|2|\r\n", "a: 1\nb: 2\n", Options{}},
		{"a table in a .txt", "|lr|loss|\n|-|-|\n|3|4|\n", "lr: 3\nloss: 4\n", Options{}},
		{"an empty cell at the end", "|lr|note|\n|-|-|\n|3||\n|4|x|\n", "lr: 3 4\nnote' _ x\n", Options{}},
	}
	for _, tt := range tests {
		name := "x.md"
		if strings.HasSuffix(tt.name, ".txt") {
			name = "x.txt"
		}
		tb, err := Read(t.Context(), file(t, name, tt.md), tt.options)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if diff := cmp.Diff(tt.want, dump(tb)); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}
