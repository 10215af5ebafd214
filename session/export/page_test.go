package export

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etastar/etastar/session"
)

// allowed are the elements that our pages use, with their attributes.
var allowed = map[string][]string{
	"html": {"lang"}, "head": nil, "meta": {"charset", "name", "content", "http-equiv"}, "title": nil, "style": nil,
	"body": nil, "main": nil, "section": {"class", "id"}, "footer": nil, "figure": nil, "div": {"class"}, "span": nil, "mark": nil,
	"h1": nil, "h2": nil, "h3": nil, "h4": nil, "h5": nil, "h6": nil, "p": {"class"}, "hr": nil, "blockquote": nil,
	"ul": nil, "ol": nil, "li": nil, "dl": nil, "dt": nil, "dd": nil, "pre": {"class"}, "code": nil, "em": nil, "strong": nil,
	"a": {"href", "rel"}, "table": nil, "caption": nil, "thead": nil, "tbody": nil, "tr": nil, "th": {"class"}, "td": {"class"},
}

// wellFormed reads a page as XML, which our pages are, and reports what they must
// not hold: other elements or attributes, addresses that are not of the web.
func wellFormed(page string) []string {
	d := xml.NewDecoder(strings.NewReader(page))
	var found []string
	inSVG := 0
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			return append(found, err.Error())
		}
		switch t := t.(type) {
		case xml.StartElement:
			name := t.Name.Local
			if name == "svg" || inSVG > 0 {
				inSVG++
				if !svgElements[name] {
					found = append(found, "element in a picture: "+name)
				}
				for _, a := range t.Attr {
					if strings.HasPrefix(strings.ToLower(a.Name.Local), "on") || a.Name.Local == "href" {
						found = append(found, "attribute in a picture: "+a.Name.Local)
					}
				}
				continue
			}
			attrs, ok := allowed[name]
			if !ok {
				found = append(found, "element "+name)
			}
			for _, a := range t.Attr {
				if !slices.Contains(attrs, a.Name.Local) {
					found = append(found, "attribute "+name+"."+a.Name.Local)
				}
				if a.Name.Local == "href" && !strings.HasPrefix(a.Value, "https://") && !strings.HasPrefix(a.Value, "http://") && !strings.HasPrefix(a.Value, "#cell-") {
					found = append(found, "address "+a.Value)
				}
			}
		case xml.EndElement:
			if inSVG > 0 {
				inSVG--
			}
		case xml.Comment, xml.ProcInst:
			found = append(found, "a comment or an instruction")
		}
	}
}

func TestPageIsWellFormed(t *testing.T) {
	s := open(t, "testdata/sweep.md")
	page := strings.Replace(string(render(t, func(b *bytes.Buffer) error { return HTML(b, s) })), "<script>"+pageScript+"</script>", "", 1)
	for _, f := range wellFormed(page) {
		t.Error(f)
	}
	for _, part := range []string{"no picture", "http://www.w3.org/1999", "<script", " src="} {
		if strings.Contains(page, part) {
			t.Errorf("the page holds %q", part)
		}
	}
	answer, first := strings.Index(page, `class="answer"`), strings.Index(page, "<h1>")
	if answer < 0 || answer > first {
		t.Error("the answer does not come first")
	}
}

func TestNothingIsExecuted(t *testing.T) {
	const attack = `<script>alert(1)</script><img src=x onerror=alert(1)>`
	dir := filepath.Join(t.TempDir(), `a"><script>alert(2)<`)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Skip("the file system takes no such name")
	}
	data := "N,D,lr,loss,seed\",<script>alert(3)</script>\n"
	data = strings.Replace(data, "seed\",", "seed,", 1)
	for _, seed := range []string{"<script>alert(4)</script>", "]]>&amp;<!--"} {
		for _, x := range []string{"0.001,2.6", "0.002,2.5", "0.004,2.6", "0.008,2.8", "0.0005,2.8"} {
			data += "100000000,2000000000," + x + "," + seed + "," + attack + "\n"
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "<b>.csv"), []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	text := "# " + attack + "\n\n" + attack + "\n\n[x](javascript:alert(1)) [y](data:text/html,x) [z](https://a.b/\"onclick=alert(1)) <https://c.d/'>\n\n" +
		"```html\n" + attack + "\n```\n\n```eta\n# " + attack + "\nruns = load \"<b>.csv\"\nshow runs\ncurves = curves runs by=N,seed\n" +
		"x = note \"" + attack + "\"\nlaw = law curves form=\"k*N^a<b>c\"\n" + attack + "\n```\n"
	path := filepath.Join(dir, "<i>nb.md")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	page := strings.Replace(string(render(t, func(b *bytes.Buffer) error { return HTML(b, s) })), "<script>"+pageScript+"</script>", "", 1)
	for _, f := range wellFormed(page) {
		t.Error(f)
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "<img") {
		t.Error("a script got through")
	}
	for _, want := range []string{"&lt;script&gt;alert(3)&lt;/script&gt;", "&lt;script&gt;alert(4)&lt;/script&gt;", "&lt;b&gt;.csv"} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is not on the page", want)
		}
	}
	// Markdown that is shown as HTML must be as safe; its results are ours to escape.
	md := string(render(t, func(b *bytes.Buffer) error { return Markdown(b, s) }))
	results := md[strings.Index(md, "**runs**"):]
	if strings.Contains(results, "<script") || strings.Contains(results, "<img") {
		t.Errorf("a script got through to Markdown:\n%s", results)
	}
}

func TestProse(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"paragraphs", "a\nb\n\nc", "<p>a\nb</p>\n<p>c</p>\n"},
		{"headings", "# One\n### Two ##\n#no\n####### no", "<h1>One</h1>\n<h3>Two</h3>\n<p>#no\n####### no</p>\n"},
		{"lists", "- a\n  more\n- b\n\n1. c\n2) d", "<ul>\n<li>a\nmore</li>\n<li>b</li>\n</ul>\n<ol>\n<li>c</li>\n<li>d</li>\n</ol>\n"},
		{"quote and rule", "> a\n> b\n\n---", "<blockquote><p>a\nb</p></blockquote>\n<hr/>\n"},
		{"code", "```go\nif a < b {}\n```\n`a<b` ``x`y``", "<pre><code>if a &lt; b {}\n</code></pre>\n<p><code>a&lt;b</code> <code>x`y</code></p>\n"},
		{"open code", "~~~\nx", "<pre><code>x\n</code></pre>\n"},
		{"emphasis", "*a* **b** _c_ __d__ ***e*** *a **b** c*", "<p><em>a</em> <strong>b</strong> <em>c</em> <strong>d</strong> ***e*** <em>a <strong>b</strong> c</em></p>\n"},
		{"no emphasis", "η* and η*(N, D), a_b_c, 2 * 3 * 4, *open", "<p>η* and η*(N, D), a_b_c, 2 * 3 * 4, *open</p>\n"},
		{"links", "[a *b*](https://x.y/z?a=1&b=2) <http://x.y>", `<p><a href="https://x.y/z?a=1&amp;b=2" rel="noopener noreferrer">a *b*</a> <a href="http://x.y" rel="noopener noreferrer">http://x.y</a></p>` + "\n"},
		{"other links", "[a](javascript:alert%281%29) [b](file.md) [c](//x.y) [d](HTTPS://x.y) [e", `<p>a b c <a href="https://x.y" rel="noopener noreferrer">d</a> [e</p>` + "\n"},
		{"escapes", `\*a\* \<b> \\`, "<p>*a* &lt;b&gt; \\</p>\n"},
		{"html", "<b>x</b> & <!-- y -->", "<p>&lt;b&gt;x&lt;/b&gt; &amp; &lt;!-- y --&gt;</p>\n"},
		{"table", "| a | b |\n|---|---|\n| 1 | 2 |", "<pre>| a | b |\n|---|---|\n| 1 | 2 |\n</pre>\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Prose(strings.Split(tt.text, "\n"))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestProseTakesNoMoreThanAFewPasses would run for minutes if a mark that closes
// nowhere were looked for from each place it stands at.
func TestProseTakesNoMoreThanAFewPasses(t *testing.T) {
	for _, unit := range []string{"*a ", "_a ", "`", "``a`", "[", "[a](", "<", "**a *b ", "\\", "*a*", "> ", "[a](http://b)"} {
		_ = Prose([]string{strings.Repeat(unit, 100_000)})
	}
}

func FuzzProse(f *testing.F) {
	for _, seed := range []string{
		"# a\n\n- *b* `c`\n- [d](https://e.f)\n", "<script>alert(1)</script>", "[a](javascript:alert(1))", "```\n</pre><script>\n```",
		"[a](https://b\"onclick=c)", "<https://a.b/\"x>", "**a *b** c*", "\\<b>", "&lt;b&gt;", "> - # a", "\x00\xff\u202e", "[<b>](http://a)",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		out := Prose(strings.Split(text, "\n"))
		if problems := wellFormed("<main>" + out + "</main>"); len(problems) > 0 {
			t.Fatalf("%q\nbecomes %q:\n%s", text, out, strings.Join(problems, "\n"))
		}
		if low := strings.ToLower(out); strings.Contains(low, "<script") || strings.Contains(low, "javascript:alert") && strings.Contains(low, `href="javascript`) {
			t.Fatalf("%q becomes %q", text, out)
		}
	})
}

func TestInlineSVG(t *testing.T) {
	in := `<?xml version="1.0"?><!-- c --><svg width="10pt" viewBox="0 0 1 1" xmlns="http://www.w3.org/2000/svg" onload="alert(1)">` +
		`<script>alert(1)</script><foreignObject><body/></foreignObject><defs><clipPath id="a"/></defs>` +
		`<g clip-path="url(#a)" style="fill:url(http://x)"><text x="1" onclick="x">a&lt;b</text><image href="http://x"/></g></svg>`
	want := `<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="a &lt;b&gt;" width="10pt" viewBox="0 0 1 1">` +
		`<defs><clipPath id="p-a"></clipPath></defs><g clip-path="url(#p-a)"><text x="1">a&lt;b</text></g></svg>`
	got, err := inlineSVG([]byte(in), "p-", "a <b>")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"", "<svg", "<html><svg/></html>", "no picture"} {
		if got, err := inlineSVG([]byte(bad), "p-", "x"); err == nil {
			t.Errorf("%q gives %q", bad, got)
		}
	}
}

// TestStepLaw runs the notebook of the documentation on the data it is about.
func TestStepLaw(t *testing.T) {
	const data = "../../../shared/data/steplaw/dense_lr_bs_loss.csv"
	if _, err := os.Stat(data); err != nil {
		t.Skip("needs ../shared (real data is not redistributed)")
	}
	s := quiet(t, session.New("```eta\nruns = load \""+data+"\" loss=\"smooth loss\" batch=bs*2048\n"+
		"curves = curves runs by=N,D form=quadratic window=2 batch=tuned\nlaw = law curves form=power\n"+
		"target = predict law N=7B D=1.4T\nscore = compare curves\n```\n", "."))
	e := decoded(t, s)
	if len(e.Errors) > 0 {
		t.Fatal(e.Errors)
	}
	coef := e.Values["law"]["coef"].(map[string]any)
	for name, want := range map[string]float64{"N": -0.8111072, "D": 0.2751363} {
		if got := coef[name].(float64); got < want-5e-8 || got > want+5e-8 {
			t.Errorf("exponent of %s: %v, want %v", name, got, want)
		}
	}
	for name, v := range e.Values {
		for _, m := range mismatch(name, v, schemas[v["type"].(string)]) {
			t.Error(m)
		}
	}
	page := strings.Replace(string(render(t, func(b *bytes.Buffer) error { return HTML(b, s) })), "<script>"+pageScript+"</script>", "", 1)
	for _, f := range wellFormed(page) {
		t.Error(f)
	}
	if n := len(figures.FindAllString(page, -1)); n != 4 {
		t.Errorf("%d figures, want 4", n)
	}
	text := string(render(t, func(b *bytes.Buffer) error { return Text(b, s, 100) }))
	for _, want := range []string{"η* = 28.9 · N^−0.811 · D^+0.275", "6.5× past the largest N, 14× past the largest D"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
}
