package export

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/session/picture"
)

//go:embed page.css
var pageStyle string

// pageScript is the only script that the page lets run, by its hash.
//
//go:embed page.js
var pageScript string

func scriptHash() string {
	sum := sha256.Sum256([]byte(pageScript))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// HTML writes the notebook as one page that needs nothing else: the answer first,
// then prose, statements and their results, with pictures inside, which can be zoomed
// and moved. It loads nothing and runs no script but its own, which it names by its
// hash; what prose and data hold stays text.
func HTML(w io.Writer, s *session.Session) error {
	path := s.File().Path
	h := &htmlWriter{w: bufio.NewWriter(w), dir: filepath.Dir(path)}
	items := s.Items()
	h.put(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src '` + scriptHash() + `'"/>
<title>` + escape(pageTitle(items, path)) + `</title>
<style>
` + pageStyle + `</style>
</head>
<body>
<main>
`)
	h.answer(items)
	h.problems(items)
	for i := range items {
		switch it := &items[i]; {
		case it.Cell != nil:
			h.cell(it.Cell)
		case it.Fence:
			h.comments(it.Prose)
		default:
			h.put(Prose(it.Prose))
		}
	}
	h.put("<footer>made by etastar from " + escape(filepath.Base(path)) + "</footer>\n</main>\n<script>" + pageScript + "</script>\n</body>\n</html>\n")
	if err := h.w.Flush(); err != nil {
		return fmt.Errorf("write HTML: %w", err)
	}
	return nil
}

// htmlWriter sets blocks as HTML. Errors stay in the buffered writer.
type htmlWriter struct {
	w   *bufio.Writer
	dir string
}

func (h *htmlWriter) put(s string) { _, _ = h.w.WriteString(s) }

// pageTitle is the notebook's first heading, else its file name.
func pageTitle(items []session.Item, path string) string {
	for i := range items {
		for _, l := range items[i].Prose {
			if m := heading.FindStringSubmatch(l); m != nil && !items[i].Fence && strings.TrimSpace(m[2]) != "" {
				return m[2]
			}
		}
	}
	return filepath.Base(path)
}

func anchor(c *session.Cell) string { return "cell-" + itoa(c.Number) }

// answer puts the last prediction of the notebook in a box.
func (h *htmlWriter) answer(items []session.Item) {
	var cell *session.Cell
	var p *fitting.Prediction
	for i := range items {
		if c := items[i].Cell; c != nil {
			if v, ok := current(c).(session.Prediction); ok {
				cell, p = c, v.Prediction
			}
		}
	}
	if p == nil {
		return
	}
	h.put(`<section class="answer">` + "\n")
	h.put(`<p class="star">η* = <strong>` + escape(number.Eta(p.LR, 3)) + `</strong> <span>for ` + escape(p.Target.String()) + "</span></p>\n")
	h.facts(answerFacts(p))
	if n := len(p.Warnings); n > 0 {
		h.put(`<p class="warn">! ` + escape(p.Warnings[0]))
		if n > 1 {
			h.put(fmt.Sprintf(` <a href="#%s">and %d more</a>`, anchor(cell), n-1))
		}
		h.put("</p>\n")
	}
	h.put("</section>\n")
}

// problems lists what failed, so that nobody reads an answer past it.
func (h *htmlWriter) problems(items []session.Item) {
	open := false
	for i := range items {
		c := items[i].Cell
		if c == nil {
			continue
		}
		p, bad := problemOf(c)
		if !bad {
			continue
		}
		if !open {
			h.put(`<section class="problems">` + "\n<ul>\n")
			open = true
		}
		h.put(fmt.Sprintf(`<li><a href="#%s">%s, line %d</a>: %s</li>`+"\n", anchor(c), escape(p.Cell), p.Line, escape(p.Message)))
	}
	if open {
		h.put("</ul>\n</section>\n")
	}
}

// comments shows what stands between statements, blank lines aside.
func (h *htmlWriter) comments(lines []string) {
	var said []string
	for _, l := range lines {
		if strings.TrimSpace(l) != "" {
			said = append(said, escape(l))
		}
	}
	if len(said) > 0 {
		h.put(`<pre class="comment">` + strings.Join(said, "\n") + "</pre>\n")
	}
}

func (h *htmlWriter) cell(c *session.Cell) {
	h.put(fmt.Sprintf(`<section class="cell" id="%s">`+"\n", anchor(c)))
	h.put(`<pre class="eta"><code>` + statementHTML(c) + "</code></pre>\n")
	for i, b := range dueReport(c, h.dir, markdownRows) {
		h.block(b)
		if i == 0 { // under the sentence it illustrates
			h.picture(c, current(c))
		}
	}
	h.put("</section>\n")
}

// statementHTML marks the part of a statement that is wrong.
func statementHTML(c *session.Cell) string {
	e := c.Err
	runes := []rune(c.Text)
	if e == nil || e.Col < 0 || e.End <= e.Col || e.End > len(runes) {
		return escape(c.Text)
	}
	return escape(string(runes[:e.Col])) + "<mark>" + escape(string(runes[e.Col:e.End])) + "</mark>" + escape(string(runes[e.End:]))
}

// picture draws a value that has a picture. One that cannot be drawn says why.
func (h *htmlWriter) picture(c *session.Cell, v session.Value) {
	draw := func(of any) ([]byte, error) { return picture.Draw(of, "svg", picture.Options{Said: true}) }
	var data []byte
	var err error
	var label string
	switch v := v.(type) {
	case session.Curves:
		label = "loss against the learning rate, cell by cell"
		data, err = draw(v.CurveSet)
	case session.Law:
		label = "the law and the measured optima"
		data, err = draw(v.Law)
	case session.Prediction:
		label = "what other learning rates would cost"
		data, err = draw(v.Prediction)
	case session.Comparison:
		label = "errors of the laws compared"
		data, err = draw(v.Comparison)
	case session.Sweep:
		if study := v.StudyLines(); len(study.Panels) > 0 {
			data, err = draw(study)
			h.figure(c, "study-", v.Study.Summary(), data, err)
		}
		losses := v.LossLines()
		if len(losses.Panels) == 0 {
			return
		}
		label = "training losses"
		data, err = draw(losses)
	case session.Picture:
		label = article(v.Of.Type())
		data, err = v.Draw("svg", true)
	default:
		return
	}
	h.figure(c, "", label, data, err)
}

// figure sets a picture; prefix tells several of one cell apart.
func (h *htmlWriter) figure(c *session.Cell, prefix, label string, data []byte, err error) {
	svg := ""
	if err == nil {
		svg, err = inlineSVG(data, anchor(c)+"-"+prefix, strings.TrimSpace(c.Name+" "+label))
	}
	if err != nil {
		h.put(`<p class="note">no picture: ` + escape(err.Error()) + "</p>\n")
		return
	}
	h.put("<figure>" + svg + "</figure>\n")
}

func (h *htmlWriter) block(b block) {
	switch b := b.(type) {
	case line:
		class := map[tone]string{
			plainTone: "plain", answerTone: "law", noteTone: "note", warnTone: "warn", badTone: "bad", goodTone: "good",
		}[b.tone]
		h.put(`<p class="` + class + `">` + escape(b.text) + "</p>\n")
	case facts:
		h.facts(b)
	case *grid:
		h.grid(b)
	}
}

func (h *htmlWriter) facts(f facts) {
	h.put("<dl>\n")
	for _, x := range f {
		h.put("<dt>" + escape(x.label) + "</dt><dd>" + escape(x.value) + "</dd>\n")
	}
	h.put("</dl>\n")
}

func (h *htmlWriter) grid(g *grid) {
	h.put(`<div class="table"><table>` + "\n")
	if g.title != "" {
		h.put("<caption>" + escape(g.title) + "</caption>\n")
	}
	class := func(i int) string {
		if g.right[i] {
			return ` class="num"`
		}
		return ""
	}
	h.put("<thead><tr>")
	for i, s := range g.heads {
		h.put("<th" + class(i) + ">" + escape(s) + "</th>")
	}
	h.put("</tr></thead>\n<tbody>\n")
	for _, row := range g.rows {
		h.put("<tr>")
		for i, s := range row {
			h.put("<td" + class(i) + ">" + escape(s) + "</td>")
		}
		h.put("</tr>\n")
	}
	h.put("</tbody>\n</table></div>\n")
}
