package export

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/etastar/etastar/mup/snippet"
	"github.com/etastar/etastar/session"
)

// Trainers lists what Snippet writes for: those of transfers, and those of predictions.
func Trainers() []string {
	list := session.SnippetNames()
	for _, name := range snippet.RateFormats() {
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

// Snippet writes a prediction or a transfer as a trainer reads it. The only one of a
// notebook need not be named. An error for what is not there is a *NoValue.
func Snippet(w *bytes.Buffer, s *session.Session, name, trainer string) error {
	cells := s.Cells()
	if name == "" {
		for i := range cells {
			switch current(&cells[i]).(type) {
			case session.Prediction, session.Transfer:
			default:
				continue
			}
			switch {
			case cells[i].Name == "":
			case name != "":
				return &NoValue{fmt.Sprintf("there are several predictions or transfers, %s and %s among them: name one with --value", name, cells[i].Name)}
			default:
				name = cells[i].Name
			}
		}
		if name == "" {
			return &NoValue{"the notebook has no prediction or transfer with a name"}
		}
	}
	c, err := chosen(cells, name)
	if err != nil {
		return err
	}
	var text string
	switch v := current(c).(type) {
	case session.Prediction:
		t := &v.Target
		text, err = snippet.WriteRate(trainer, snippet.Rate{
			LR: v.LR, Low: v.Low, High: v.High, Level: v.Level, N: t.N, D: t.D, Batch: t.B, Band: v.Band, Law: v.LawText, Warnings: v.Warnings,
		})
	case session.Transfer:
		text, err = v.Snippet(trainer)
	default:
		return &NoValue{fmt.Sprintf("%s holds %s: a snippet is written of a prediction or a transfer", name, article(c.Value.Type()))}
	}
	if err != nil {
		return &NoValue{fmt.Sprintf("write %s for a trainer: %v", name, err)}
	}
	w.WriteString(text)
	return nil
}
