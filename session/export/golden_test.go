package export

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/etastar/etastar/session"
)

// figures are pictures: their own package tests what they look like.
var figures = regexp.MustCompile(`(?s)<figure>.*?</figure>`)

func TestGolden(t *testing.T) {
	s := open(t, "testdata/sweep.md")
	golden(t, "sweep.wide.txt", render(t, func(b *bytes.Buffer) error { return Text(b, s, 0) }))
	golden(t, "sweep.80.txt", render(t, func(b *bytes.Buffer) error { return Text(b, s, 80) }))
	golden(t, "sweep.out.md", render(t, func(b *bytes.Buffer) error { return Markdown(b, s) }))
	page := render(t, func(b *bytes.Buffer) error { return HTML(b, s) })
	if n := len(figures.FindAll(page, -1)); n != 10 {
		t.Errorf("%d figures, want 10: curves, five laws, two predictions, a comparison, a plot", n)
	}
	golden(t, "sweep.html", figures.ReplaceAll(page, []byte("<figure></figure>")))
}

// TestGoldenJSON compares numbers to 1e-9: they are written in full, and a
// processor with fused multiply-add has other last digits.
func TestGoldenJSON(t *testing.T) {
	s := open(t, "testdata/sweep.md")
	got := render(t, func(b *bytes.Buffer) error { return JSON(b, s) })
	if *update {
		golden(t, "sweep.json", got)
		return
	}
	text, err := os.ReadFile("testdata/sweep.json")
	if err != nil {
		t.Fatal(err)
	}
	var want any
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	var have any
	if err := json.Unmarshal(got, &have); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, have, cmpopts.EquateApprox(1e-9, 1e-9)); diff != "" {
		t.Errorf("sweep.json (-update writes it anew): −want +got\n%s", diff)
	}
	again := render(t, func(b *bytes.Buffer) error { return JSON(b, s) })
	if !bytes.Equal(got, again) {
		t.Error("two exports of one session differ")
	}
}

func TestMarkdownKeepsTheNotebook(t *testing.T) {
	for _, text := range []string{
		"", "prose only", "# a\n\n```eta\nx = note \"1\"\n```", "```eta\r\nx = note \"1\"\r\n```\r\nmore\r\n",
		"````eta\nx = note \"1\"\n```\n````\n", "~~~eta\nx = note \"1\"\n", "```eta\nx = note \"1\"",
	} {
		s := quiet(t, session.New(text, "testdata"))
		got := string(render(t, func(b *bytes.Buffer) error { return Markdown(b, s) }))
		rest := got
		for l := range strings.Lines(text) { // every line stays, in order
			i := strings.Index(rest, l)
			if i < 0 {
				t.Errorf("%q: line %q is gone or moved in %q", text, l, got)
				break
			}
			rest = rest[i+len(l):]
		}
		if strings.Contains(text, "x =") && !strings.Contains(got, "**x** (note)") && !strings.Contains(got, "**x**") {
			t.Errorf("%q: no result in %q", text, got)
		}
		// The result must stand outside the block: the notebook still has one statement.
		again := quiet(t, session.New(got, "testdata"))
		if len(again.Cells()) != len(s.Cells()) {
			t.Errorf("%q: %d statements became %d:\n%s", text, len(s.Cells()), len(again.Cells()), got)
		}
	}
}

func TestTextFitsAndIsPlain(t *testing.T) {
	dir := t.TempDir()
	data := "N,D,lr,loss,na\x1b[31mme\n100000000,2000000000,0.001,2.5,\"a\x1b]0;t\x07 \u202eb\"\n"
	if err := os.WriteFile(filepath.Join(dir, "x.csv"), []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	s := quiet(t, session.New("```eta\nruns = load \"x.csv\"\nshow runs\nx = note \"tab\there \x1b[2J\"\n```\n", dir))
	text := string(render(t, func(b *bytes.Buffer) error { return Text(b, s, 40) }))
	for _, r := range text {
		if r != '\n' && (r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u202e') {
			t.Fatalf("control character %U in %q", r, text)
		}
	}
	s = open(t, "testdata/sweep.md")
	for l := range strings.Lines(string(render(t, func(b *bytes.Buffer) error { return Text(b, s, 100) }))) {
		if n := len([]rune(strings.TrimRight(l, "\n"))); n > 100 && strings.HasPrefix(l, indent) {
			t.Errorf("%d columns: %s", n, l)
		}
		if strings.Contains(l, "NaN") && !strings.Contains(l, "loss") {
			t.Errorf("a number that does not exist is printed: %s", l)
		}
	}
}

// Very wide cells are cut in a report that is read; an export of data has all of them.
func TestWideCells(t *testing.T) {
	dir := t.TempDir()
	wide := strings.Repeat("--flag=value ", 40) + "世界"
	if err := os.WriteFile(filepath.Join(dir, "x.csv"), []byte("N,D,lr,loss,command\n1e8,2e9,0.001,2.5,"+wide+"\n1e8,2e9,0.002,2.4,short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := quiet(t, session.New("```eta\nruns = load \"x.csv\"\nseen = show runs\n```\n", dir))
	for _, width := range []int{0, 80} {
		text := string(render(t, func(b *bytes.Buffer) error { return Text(b, s, width) }))
		if !strings.Contains(text, wide[:maxCell-1]+"…") || strings.Contains(text, wide[:maxCell]) || !strings.Contains(text, "short") {
			t.Errorf("width %d:\n%s", width, text)
		}
		for l := range strings.Lines(text) {
			if n := len([]rune(strings.TrimRight(l, "\n"))); width > 0 && n > width {
				t.Errorf("%d columns: %s", n, l)
			}
		}
	}
	if all := string(render(t, func(b *bytes.Buffer) error { return CSV(b, s, "seen") })); !strings.Contains(all, wide) {
		t.Errorf("the CSV lacks the cell: %s", all)
	}
	if all := string(render(t, func(b *bytes.Buffer) error { return JSON(b, s) })); strings.Contains(all, "…") {
		t.Errorf("the JSON is cut: %s", all)
	}
}

func TestTexts(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{Clean("a\tb\x1b\x9bc\xff"), "a b\ufffd\ufffdc\ufffd"},
		{escapeMarkdown("a|b <i> η* $x$ `c` [d]"), `a\|b &lt;i&gt; η\* \$x\$ \` + "`" + `c\` + "`" + ` \[d\]`},
		{escapeStart("# no"), `\# no`},
		{escapeStart("12. no"), `12\. no`},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestWrap(t *testing.T) {
	if diff := cmp.Diff([]string{"one two", "three", "averyverylongword", "η* η*"}, wrap("one two three averyverylongword η* η*", 8)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"as  it is"}, wrap("as  it is", 0)); diff != "" {
		t.Error(diff)
	}
}
