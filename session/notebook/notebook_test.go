package notebook

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const sample = "# Title\n\n```eta\na = load \"x.csv\"\n# comment\n\nb = curves a\n```\n\ntext\n"

func TestStatements(t *testing.T) {
	tests := []struct {
		name, src string
		want      []int
	}{
		{"plain", sample, []int{3, 6}},
		{"crlf", "```eta\r\na = load\r\n```\r\n", []int{1}},
		{"tilde", "~~~ eta extra\na\n~~~~\nb\n", []int{1}},
		{"indented", "   ```eta\n   a\n  ```\n", []int{1}},
		{"too deep", "    ```eta\na\n```\n", nil},
		{"other language holds ours", "````markdown\n```eta\na\n```\n````\n```eta\nb\n```\n", []int{6}},
		{"unclosed", "```eta\na\nb", []int{1, 2}},
		{"backtick in info", "```eta `x`\na\n```\n", nil},
		{"tag must be the first word", "```etastar\na\n```\n", nil},
		{"shorter fence does not close", "````eta\na\n```\nb\n````\n", []int{1, 2, 3}},
		{"empty", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Parse(tt.src).Statements()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEdits(t *testing.T) {
	tests := []struct {
		name string
		src  string
		edit func(d *Document) int
		want string
		line int
	}{
		{
			"set keeps all else", sample, func(d *Document) int { d.SetLine(3, "a = load \"y.csv\""); return 3 },
			"# Title\n\n```eta\na = load \"y.csv\"\n# comment\n\nb = curves a\n```\n\ntext\n", 3,
		},
		{
			"insert in block", sample, func(d *Document) int { return d.Insert(3, "z = 1") },
			"# Title\n\n```eta\na = load \"x.csv\"\nz = 1\n# comment\n\nb = curves a\n```\n\ntext\n", 4,
		},
		{
			"insert on closing fence", sample, func(d *Document) int { return d.Insert(7, "z") },
			"# Title\n\n```eta\na = load \"x.csv\"\n# comment\n\nb = curves a\nz\n```\n\ntext\n", 7,
		},
		{"insert at end", "text", func(d *Document) int { return d.Insert(-1, "z") }, "text\n\n```eta\nz\n```\n", 3},
		{"insert into empty", "", func(d *Document) int { return d.Insert(-1, "z") }, "```eta\nz\n```\n", 1},
		{"insert keeps crlf", "a\r\n", func(d *Document) int { return d.Insert(0, "z") }, "a\r\n\r\n```eta\r\nz\r\n```\r\n", 3},
		{"insert stays out of a foreign fence", "```go\nx\n```\n", func(d *Document) int { return d.Insert(1, "z") }, "```go\nx\n```\n\n```eta\nz\n```\n", 5},
		{"insert closes an unclosed foreign fence", "```go\nx", func(d *Document) int { return d.Insert(-1, "z") }, "```go\nx\n```\n\n```eta\nz\n```\n", 5},
		{"insert before prose", "a\nb\n", func(d *Document) int { return d.Insert(0, "z") }, "a\n\n```eta\nz\n```\n\nb\n", 3},
		{
			"delete", sample, func(d *Document) int { d.Delete(4); return 0 },
			"# Title\n\n```eta\na = load \"x.csv\"\n\nb = curves a\n```\n\ntext\n", 0,
		},
		{"delete the last of a block", "x\n```eta\na\n```\ny\n", func(d *Document) int { d.Delete(2); return 0 }, "x\ny\n", 0},
		{"line break in a statement cannot escape its line", "```eta\na\n```\n", func(d *Document) int { return d.Insert(1, "b\nc") }, "```eta\na\nb c\n```\n", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := Parse(tt.src)
			if line := tt.edit(d); line != tt.line {
				t.Errorf("line %d, want %d", line, tt.line)
			}
			if diff := cmp.Diff(tt.want, d.String()); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(Parse(tt.want), d); diff != "" {
				t.Errorf("line kinds differ from a fresh parse: %s", diff)
			}
		})
	}
}

func FuzzIdentity(f *testing.F) {
	for _, s := range []string{sample, "", "\r", "\n\r\n\r", "```eta\r\n", "~~~eta\n```\n~~~", "\xff```eta\n\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		d := Parse(src)
		if got := d.String(); got != src {
			t.Fatalf("printed %q, parsed %q", got, src)
		}
		line := d.Insert(len(src)%(len(d.Lines)+1)-1, "z = note \"z\"")
		if !d.IsStatement(line) {
			t.Fatalf("inserted line %d of %q is no statement", line, d.String())
		}
		if diff := cmp.Diff(Parse(d.String()), d); diff != "" {
			t.Fatalf("edited document differs from its own print: %s", diff)
		}
	})
}
