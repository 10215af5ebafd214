package export

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"

	"github.com/etastar/etastar/session"
)

// object is a JSON object. encoding/json writes its keys in order.
type object = map[string]any

// problem is an entry of "errors".
type problem struct {
	Cell    string `json:"cell"`
	Line    int    `json:"line"`
	Col     int    `json:"col"`
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

// JSON writes the values and errors of the notebook as one object; the package
// documentation has its fields.
func JSON(w io.Writer, s *session.Session) error {
	dir := filepath.Dir(s.File().Path)
	values := object{}
	problems := []problem{} // never null
	for _, c := range s.Cells() {
		if v := current(&c); v != nil && c.Name != "" {
			values[c.Name] = encode(&c, v, dir)
		}
		if p, ok := problemOf(&c); ok {
			problems = append(problems, p)
		}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(object{"values": values, "errors": problems}); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// problemOf says why a cell fails a run, if it does.
func problemOf(c *session.Cell) (problem, bool) {
	p := problem{Cell: c.Name, Line: c.Line + 1, Col: 1}
	if p.Cell == "" {
		p.Cell = "#" + itoa(c.Number)
	}
	switch c.Status {
	case session.Failed:
		p.Kind, p.Message = "failed", "failed"
		if c.Err != nil {
			p.Message, p.Col = c.Err.Error(), c.Err.Col+1
			if c.Err.Static {
				p.Kind = "statement"
			}
		}
		return p, true
	case session.Waiting:
		p.Kind, p.Message = "waiting", pending(c)
		return p, true
	case session.Running:
		p.Kind, p.Message = "unfinished", pending(c)
		return p, true
	case session.Done:
	}
	if x, ok := c.Value.(session.Expectation); ok && !x.Met {
		p.Kind, p.Message = "expectation", "expectation not met: "+x.Path+": "+x.Said
		return p, true
	}
	return p, false
}
