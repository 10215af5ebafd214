package export

import (
	"fmt"
	"io"

	"github.com/etastar/etastar/mup/snippet"
	"github.com/etastar/etastar/session"
)

// Snippet writes a prediction as a trainer reads it; see snippet.RateFormats. The one
// prediction of a notebook need not be named.
func Snippet(w io.Writer, s *session.Session, name, trainer string) error {
	cells := s.Cells()
	if name == "" {
		for i := range cells {
			if _, ok := current(&cells[i]).(session.Prediction); !ok || cells[i].Name == "" {
				continue
			}
			if name != "" {
				return &NoValue{fmt.Sprintf("there are several predictions, %s and %s among them: name one", name, cells[i].Name)}
			}
			name = cells[i].Name
		}
		if name == "" {
			return &NoValue{"the notebook has no prediction with a name"}
		}
	}
	c, err := chosen(cells, name)
	if err != nil {
		return err
	}
	p, ok := current(c).(session.Prediction)
	if !ok {
		return &NoValue{fmt.Sprintf("%s holds %s: a snippet is written of a prediction", name, article(c.Value.Type()))}
	}
	t := &p.Target
	text, err := snippet.WriteRate(trainer, snippet.Rate{
		LR: p.LR, Low: p.Low, High: p.High, Level: p.Level, N: t.N, D: t.D, Batch: t.B, Band: p.Band, Law: p.LawText, Warnings: p.Warnings,
	})
	if err != nil {
		return fmt.Errorf("write %s for a trainer: %w", name, err)
	}
	_, err = io.WriteString(w, text)
	return err
}
