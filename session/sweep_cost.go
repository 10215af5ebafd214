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
		for _, i := range g.Runs {
			s.Cost.Seconds += newTokens(s.Runs[i].Config) / speeds[k].TokensPerSecond
		}
	}
}

// measureTime is how long an estimate may take.
const measureTime = 30 * time.Second

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
