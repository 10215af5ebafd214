package session

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/etastar/etastar/session/picture"
	"github.com/etastar/etastar/trainer/atomicfile"
)

func plotVerb() *Verb {
	return &Verb{
		Name:    "plot",
		Summary: "draw curves, a law, a prediction, a comparison or the losses of a sweep",
		Doc: "Of a sweep it draws the losses over the tokens, of one that studies something what it found. Draws in the terminal, and to a PNG or SVG file when one is named. The file is written again whenever what it shows changes, " +
			"once the notebook is quiet.",
		Example: `plot law "law.png" target=target`,
		Result:  "picture",
		Params: []Param{
			{Name: "of", Doc: "what to draw", Input: []string{"curves", "law", "prediction", "comparison", "sweep"}, Position: true, Required: true},
			{Name: "file", Doc: "a .png or .svg file, from the notebook's folder", File: true, Position: true},
			{Name: "target", Doc: "a prediction to draw into a law", Input: []string{"prediction"}},
			{Name: "cell", Doc: "one cell of the curves, by its label or its number from 1", Number: &NumberSpec{Min: 1, Integer: true}, String: true},
			{Name: "width", Doc: "width of the file", Unit: "cm", Number: &NumberSpec{Min: 4, Max: 200}, Default: "18"},
			{Name: "height", Doc: "height of the file", Unit: "cm", Number: &NumberSpec{Min: 4, Max: 200}, Default: "12"},
		},
		run: runPlot,
	}
}

var errNoLosses = errors.New("none of the sweep's runs has a loss yet")

func runPlot(c *Call) (Value, error) {
	p := Picture{Of: c.Input("of"), Cell: -1, Width: c.Number("width"), Height: c.Number("height")}
	if v, ok := p.Of.(Sweep); ok && len(v.lines().Panels) == 0 {
		return nil, errNoLosses
	}
	if t, ok := c.Input("target").(Prediction); ok {
		p.Target = t.Prediction
	}
	if c.Given("cell") {
		cs, ok := p.Of.(Curves)
		if !ok {
			return nil, errParam{"cell", fmt.Errorf("cell= chooses one of the curves; this draws %s", article(p.Of.Type()))}
		}
		i, err := cellIndex(cs.CurveSet, c.Text("cell"))
		if err != nil {
			return nil, errParam{"cell", err}
		}
		p.Cell = i
	}
	if !c.Given("file") {
		return p, nil
	}
	p.File = c.path(c.Text("file"))
	switch ext := strings.ToLower(filepath.Ext(p.File)); ext {
	case ".png", ".svg":
		p.Format = ext[1:]
	default:
		return nil, errParam{"file", hinted{fmt.Errorf("%q is neither a .png nor a .svg file", c.Text("file")), "pictures are written as PNG or SVG"}}
	}
	return p, nil
}

// Draw renders the picture in a file format ("png" or "svg"); said is of picture.Options.
func (p Picture) Draw(format string, said bool) ([]byte, error) {
	var of any
	switch v := p.Of.(type) {
	case Curves:
		of = v.CurveSet
	case Law:
		of = v.Law
	case Prediction:
		of = v.Prediction
	case Comparison:
		of = v.Comparison
	case Sweep:
		lines := v.lines()
		if len(lines.Panels) == 0 {
			return nil, errNoLosses
		}
		of = lines
	default:
		return nil, fmt.Errorf("cannot draw %s", article(p.Of.Type()))
	}
	return picture.Draw(of, format, picture.Options{Width: p.Width, Height: p.Height, Cell: p.Cell + 1, Target: p.Target, Said: said})
}

// DrawPictures writes the files of every plot whose result is new. It does nothing
// while the notebook computes.
func (s *Session) DrawPictures() error {
	if s.options.ReadOnly {
		return nil
	}
	type pending struct {
		key     string
		out     *outcome
		picture Picture
	}
	var due []pending
	s.mu.Lock()
	if len(s.jobs) == 0 {
		for _, n := range s.graph.order {
			p, ok := n.result().(Picture)
			key := n.identity + "\x00" + p.File
			if ok && p.File != "" && s.drawn[key] != n.out {
				due = append(due, pending{key, n.out, p})
			}
		}
	}
	s.mu.Unlock()
	var failed []error
	for _, d := range due {
		data, err := d.picture.Draw(d.picture.Format, false)
		if err == nil {
			err = atomicfile.Write(d.picture.File, data, nil)
		}
		s.mu.Lock()
		s.drawn[d.key] = d.out
		if err != nil {
			err = fmt.Errorf("plot %s: %w", filepath.Base(d.picture.File), err)
			failed = append(failed, err)
			d.out.drawErr = &CellError{Message: err.Error()}
		}
		s.version++
		s.notify()
		s.mu.Unlock()
	}
	return errors.Join(failed...)
}

// result is the value of a node that ran well, or nil.
func (n *node) result() Value {
	if n.out == nil || n.out.err != nil {
		return nil
	}
	return n.out.value
}
