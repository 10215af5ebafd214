package session

import (
	"path/filepath"

	"github.com/etastar/etastar/session/notebook"
)

// Lint reads the notebook at path and returns what is wrong with its statements
// without running any: what does not parse, and names that are unknown, taken
// twice, of the wrong type or go in a circle.
func Lint(path string) ([]CellError, error) {
	s := newSession(Options{ReadOnly: true})
	if err := s.open(path); err != nil {
		return nil, err
	}
	var found []CellError
	for _, n := range s.parser.plan(notebook.Parse(s.file.disk), filepath.Dir(s.file.path)).cells {
		if n.err != nil {
			found = append(found, *n.err)
		}
	}
	return found, nil
}
