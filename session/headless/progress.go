package headless

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/term"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/export"
)

// terminal returns the terminal that w writes to, or nil.
func terminal(w io.Writer) *os.File {
	f, ok := w.(*os.File)
	if !ok || f == nil || !term.IsTerminal(f.Fd()) {
		return nil
	}
	return f
}

// columns is the width of the terminal that w writes to; 0 where it is none.
func columns(w io.Writer) int {
	f := terminal(w)
	if f == nil {
		return 0
	}
	width, _, err := term.GetSize(f.Fd())
	if err != nil {
		return 0
	}
	return width
}

// progress is one line of a terminal that says what computes. Elsewhere it is
// silent. It is rewritten with a carriage return alone, which every terminal knows.
type progress struct {
	w     io.Writer // nil: silent
	width int
	shown int
}

func newProgress(w io.Writer) *progress {
	if terminal(w) == nil {
		return &progress{}
	}
	return &progress{w: w, width: max(columns(w), 20)}
}

func (p *progress) show(s *session.Session) {
	if p.w == nil {
		return
	}
	p.put(working(s.Cells()))
}

// working says which statements compute and how far the notebook is.
func working(cells []session.Cell) string {
	done := 0
	var busy []string
	for _, c := range cells {
		switch c.Status {
		case session.Running:
			what := c.Verb
			if c.Name != "" {
				what = c.Name + " = " + c.Verb
			}
			if c.Progress > 0 {
				what += fmt.Sprintf(" %d%%", int(100*c.Progress))
			}
			busy = append(busy, what)
		case session.Done, session.Failed:
			done++
		case session.Waiting:
		}
	}
	return export.Clean(fmt.Sprintf("%d of %d: %s", done, len(cells), strings.Join(busy, ", ")))
}

// put replaces the line.
func (p *progress) put(text string) {
	text = ansi.Truncate(text, p.width-1, "…")
	w := ansi.StringWidth(text)
	fmt.Fprint(p.w, "\r"+text+strings.Repeat(" ", max(p.shown-w, 0)))
	p.shown = w
}

// clear removes the line.
func (p *progress) clear() {
	if p.w != nil && p.shown > 0 {
		p.put("")
		fmt.Fprint(p.w, "\r")
	}
}
