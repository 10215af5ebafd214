package export

import (
	"io"
	"slices"

	"github.com/etastar/etastar/mup/snippet"
	"github.com/etastar/etastar/session"
)

// Trainers are the trainers that Snippet writes for: a transfer for those of
// [session.SnippetNames], a prediction for those of [snippet.RateFormats].
func Trainers() []string {
	names := session.SnippetNames()
	for _, n := range snippet.RateFormats() {
		if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

// Snippet writes a value that is a prediction or a transfer as the configuration of a
// trainer. Without a name it is the notebook's only one. An error for what is not there
// is a *NoValue.
func Snippet(w io.Writer, s *session.Session, name, trainer string) error {
	cells := s.Cells()
	if name == "" {
		for i := range cells {
			switch current(&cells[i]).(type) {
			case session.Transfer, session.Prediction:
			default:
				continue
			}
			if cells[i].Name == "" {
				continue
			}
			if name != "" {
				return &NoValue{"the notebook has several predictions or transfers: name one with --value, " + name + " or " + cells[i].Name}
			}
			name = cells[i].Name
		}
		if name == "" {
			return &NoValue{"the notebook has no named prediction or transfer: x = predict law N=… or x = transfer base=… target=… makes one"}
		}
	}
	c, err := chosen(cells, name)
	if err != nil {
		return err
	}
	var text string
	switch v := current(c).(type) {
	case session.Transfer:
		text, err = v.Snippet(trainer)
	case session.Prediction:
		t := &v.Target
		text, err = snippet.WriteRate(trainer, snippet.Rate{
			LR: v.LR, Low: v.Low, High: v.High, Level: v.Level, N: t.N, D: t.D, Batch: t.B, Band: v.Band, Law: v.LawText, Warnings: v.Warnings,
		})
	default:
		return &NoValue{name + " holds " + article(c.Value.Type()) + ", neither a prediction nor a transfer"}
	}
	if err != nil {
		return &NoValue{err.Error()}
	}
	_, err = io.WriteString(w, text)
	return err
}
