package session

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/etastar/etastar/trainer"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/data"
)

// Cost is what a sweep trains in all.
type Cost struct {
	Runs   int
	Tokens float64
	FLOPs  float64
	// Seconds is how long it takes on this machine, from a timed step; 0: not known.
	Seconds float64
	// Bytes is the memory of the largest shape's runs together, Room what they may take:
	// beyond it they train in groups. 0: not known.
	Bytes, Room int64
}

// estimate times a step of every shape where it would train. What cannot be timed leaves
// the time unknown; training says why.
func (s *Sweep) estimate(c *Call) {
	groups := s.Groups()
	asked := make([]trainer.Asked, len(groups))
	for k, g := range groups {
		asked[k] = trainer.Asked{Run: s.Runs[g.Runs[0]].Config, Runs: len(g.Runs)}
	}
	exe, err := os.Executable()
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(c.Ctx, measureTime)
	defer cancel()
	speeds, err := meter.Measure(ctx, exe, workerWords(c.worker), s.Device, asked)
	if err != nil {
		return
	}
	for k, g := range groups {
		if speeds[k].Bytes > s.Cost.Bytes {
			s.Cost.Bytes, s.Cost.Room = speeds[k].Bytes, speeds[k].Room
		}
		for _, i := range g.Runs {
			s.Cost.Seconds += newTokens(s.Runs[i].Config) / speeds[k].TokensPerSecond
		}
	}
}

// measureTime is how long an estimate may take.
const measureTime = 30 * time.Second

// memory says what the largest shape takes.
func (c Cost) memory() string {
	switch {
	case c.Bytes == 0:
		return ""
	case c.Room > 0 && c.Bytes > c.Room:
		groups := (c.Bytes + c.Room - 1) / c.Room
		return fmt.Sprintf("%s of memory for all runs of the largest shape, of which %s may be taken: they train in %d groups", size(c.Bytes), size(c.Room), groups)
	}
	return "at most " + size(c.Bytes) + " of memory at once"
}

// size writes a number of bytes: 38 MB, 1.2 GB.
func size(n int64) string {
	if n < 1e9 {
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// meter remembers speeds: a sweep is looked at often.
var meter trainer.Meter

// workerWords make this program a worker.
func workerWords(given []string) []string {
	if given == nil {
		return []string{"worker"}
	}
	return given
}

// newTokens is what a run trains itself: a branch goes on from its stable run.
func newTokens(r config.Run) float64 {
	tokens := float64(r.TrainedTokens())
	if r.Origin != nil {
		tokens -= float64(r.Origin.Step * r.BatchTokens())
	}
	return tokens
}

// roughly writes a time no finer than an estimate is.
func roughly(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%.0f minutes", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.1f hours", d.Hours())
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}

// surveys remembers what was seen of corpora: a sweep is looked at four times a second.
var surveys sync.Map // of survey to data.Facts

type survey struct {
	data           config.Data
	context, vocab int
}

// survey looks at the corpus of a run whose fingerprint is known.
func (c *Call) survey(r config.Run) (data.Facts, error) {
	key := survey{r.Data, r.Shape.Context, r.Shape.Vocab}
	if f, ok := surveys.Load(key); ok {
		return f.(data.Facts), nil
	}
	f, err := data.Survey(c.Ctx, r.Data, r.Shape.Context, r.Shape.Vocab)
	if err == nil {
		surveys.Store(key, f)
	}
	return f, err
}
