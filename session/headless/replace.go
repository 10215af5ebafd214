package headless

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/language"
)

// replaces refuses an output that would replace the notebook or the data it reads.
func (e Export) replaces(s *session.Session) error {
	if e.Output == "" || e.Output == "-" {
		return nil
	}
	to, err := os.Stat(e.Output)
	if err != nil {
		return nil //nolint:nilerr // it does not exist yet, or writing it will say why not
	}
	if from, err := os.Stat(e.Path); err == nil && os.SameFile(from, to) {
		return fmt.Errorf("export to %s would replace the notebook itself: choose another file", e.Output)
	}
	dir := filepath.Dir(s.File().Path)
	for _, c := range s.Cells() {
		st, err := language.Parse(c.Text, func(string) (int, bool) { return 0, false })
		if err != nil {
			continue // it reads nothing
		}
		for _, name := range loads(st) {
			if !filepath.IsAbs(name) {
				name = filepath.Join(dir, name)
			}
			if from, err := os.Stat(name); err == nil && os.SameFile(from, to) {
				return fmt.Errorf("export to %s would replace data that the notebook reads (line %d): choose another file", e.Output, c.Line+1)
			}
		}
	}
	return nil
}

// loads lists the files a statement reads, also in statements in parentheses.
func loads(st *language.Statement) []string {
	var files []string
	for _, a := range st.Args {
		switch {
		case a.Value.Kind == language.Sub:
			files = append(files, loads(a.Value.Sub)...)
		case st.Verb != "load" || a.Key != "" && a.Key != "file":
		case a.Value.Kind == language.String:
			files = append(files, a.Value.Str)
		default:
			files = append(files, a.Value.Text)
		}
	}
	return files
}
