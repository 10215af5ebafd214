package data

import (
	"context"
	"fmt"

	"github.com/etastar/etastar/trainer/config"
)

// Facts are what a plan says of the corpus it trains on.
type Facts struct {
	Info
	TrainTokens int64 // in the training blocks: what an epoch is
	HeldOut     int64 // tokens held out for validation
	// Entropy is what counting alone reaches; zero where the tokens are no bytes.
	Entropy Entropy
}

// Survey opens a corpus in blocks of length tokens, looks at it and closes it. Its errors are those of Open.
func Survey(ctx context.Context, d config.Data, length, vocab int) (Facts, error) {
	c, err := Open(ctx, d, length, vocab)
	if err != nil {
		return Facts{}, err
	}
	defer c.Close()
	return c.facts()
}

func (c *Corpus) facts() (Facts, error) {
	t := int64(c.Context)
	f := Facts{Info: c.Info, TrainTokens: c.TrainBlocks() * t, HeldOut: c.HeldOutBlocks() * t}
	var err error
	f.Entropy, _, err = c.Entropy()
	return f, err
}

// Epochs is how often a horizon goes through the training blocks.
func (f Facts) Epochs(tokens int64) float64 { return float64(tokens) / float64(f.TrainTokens) }

// EpochNote says how many epochs a horizon is, "" when it is at most one.
func (f Facts) EpochNote(tokens int64) string {
	e := f.Epochs(tokens)
	switch {
	case e <= 1:
		return ""
	case e <= 2:
		return fmt.Sprintf("the corpus is shorter than the horizon: %.1f epochs", e)
	}
	return fmt.Sprintf("the corpus is far shorter than the horizon: %.1f epochs, so the model may learn it by heart", e)
}

// Sanity says what losses are plausible on a corpus of bytes, in bits a byte; "" for others.
func (f Facts) Sanity() string {
	e := f.Entropy
	if e.Bytes == 0 {
		return ""
	}
	return fmt.Sprintf("in bits a byte (loss / ln 2): untrained 8, counting bytes %.2f, bytes after the two before them %.2f", e.Order0, e.Order2)
}
