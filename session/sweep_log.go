package session

import (
	"math"
	"os"
	"slices"
	"sync"
	"time"
	"unique"

	"github.com/etastar/etastar/trainer/rundir"
)

// maxCurve is how many points of a loss curve a sweep carries for drawing, maxStats how
// many steps' statistics.
const (
	maxCurve = 512
	maxStats = 64
)

// StatName is a statistic of a module; see trainer.Stats.
type StatName struct{ Module, Stat string }

// StatLog is the statistics of a run over its steps, thinned evenly.
type StatLog struct {
	Steps, Tokens []float64 // ascending
	values        map[unique.Handle[StatName]][]float32
}

// NewStatLog keeps the statistics of a log.
func NewStatLog(events []rundir.Event) *StatLog {
	var with []rundir.Event
	for _, e := range events {
		if e.Stats != nil {
			with = append(with, e)
		}
	}
	if n := len(with); n > maxStats {
		var thin []rundir.Event
		for i := range maxStats { // the first and the last among them
			thin = append(thin, with[i*(n-1)/(maxStats-1)])
		}
		with = thin
	}
	l := &StatLog{values: map[unique.Handle[StatName]][]float32{}}
	for i, e := range with {
		l.Steps, l.Tokens = append(l.Steps, float64(e.Step)), append(l.Tokens, float64(e.Tokens))
		for module, stats := range e.Stats {
			for stat, v := range stats {
				k := unique.Make(StatName{module, stat})
				if l.values[k] == nil {
					l.values[k] = slices.Repeat([]float32{float32(math.NaN())}, len(with))
				}
				l.values[k][i] = float32(v)
			}
		}
	}
	return l
}

// Len is the number of steps.
func (l *StatLog) Len() int {
	if l == nil {
		return 0
	}
	return len(l.Steps)
}

// At is one value; NaN where the step has none.
func (l *StatLog) At(module, stat string, i int) float64 {
	if v := l.values[unique.Make(StatName{module, stat})]; v != nil {
		return float64(v[i])
	}
	return math.NaN()
}

// Names lists what was recorded, in no order.
func (l *StatLog) Names() []StatName {
	if l == nil {
		return nil
	}
	out := make([]StatName, 0, len(l.values))
	for k := range l.values {
		out = append(out, k.Value())
	}
	return out
}

// Stat is one statistic of a module over the steps that have it.
func (r *SweepRun) Stat(module, stat string) (steps, tokens, values []float64) {
	for i := range r.Stats.Len() {
		if v := r.Stats.At(module, stat, i); !math.IsNaN(v) {
			steps, tokens, values = append(steps, r.Stats.Steps[i]), append(tokens, r.Stats.Tokens[i]), append(values, v)
		}
	}
	return steps, tokens, values
}

// runLog is what a sweep shows of a run's log.
type runLog struct {
	size   int64
	time   time.Time
	tokens []float64
	losses []float64
	stats  *StatLog
	spikes int
}

// logs remembers the logs read: most runs of a sweep are over, and it is looked at often.
var logs struct {
	mu sync.Mutex
	by map[string]*runLog // by file; what is in it is not changed
}

// maxLogs bounds the logs remembered.
const maxLogs = 10_000

// readCurve reads the training losses of a run, thinned evenly, and its statistics. Remarks
// and the validation before the first step carry none.
func (r *SweepRun) readCurve() {
	path := rundir.EventsFile(r.Dir)
	info, err := os.Stat(path)
	if err != nil {
		return // the status is there all the same
	}
	logs.mu.Lock()
	l := logs.by[path]
	logs.mu.Unlock()
	if l == nil || l.size != info.Size() || !l.time.Equal(info.ModTime()) {
		if l = readLog(r.Dir, r.Foreign != nil && r.Foreign.Batch == 0); l == nil {
			return
		}
		l.size, l.time = info.Size(), info.ModTime()
		logs.mu.Lock()
		if logs.by == nil || len(logs.by) >= maxLogs {
			logs.by = map[string]*runLog{}
		}
		logs.by[path] = l
		logs.mu.Unlock()
	}
	r.Tokens, r.Losses, r.Stats, r.Spikes = l.tokens, l.losses, l.stats, l.spikes
}

// readLog reads a log; bySteps, of runs whose batch is not known, has the curve over steps.
func readLog(dir string, bySteps bool) *runLog {
	events, _, err := rundir.ReadEvents(dir)
	if err != nil {
		return nil
	}
	l := &runLog{stats: NewStatLog(events)}
	for _, e := range events {
		if e.Spike {
			l.spikes++
		}
	}
	events = slices.DeleteFunc(events, func(e rundir.Event) bool { return e.Step == 0 || e.Loss == 0 })
	step := max(1, len(events)/maxCurve)
	for i := 0; i < len(events); i += step {
		at := events[i].Tokens
		if bySteps {
			at = events[i].Step
		}
		l.tokens = append(l.tokens, float64(at))
		l.losses = append(l.losses, float64(events[i].Loss))
	}
	return l
}
