// Package health judges a run by its losses: whether it diverged, whether it can
// still win, and how noisy its validation loss is.
//
// It sees numbers only; what follows from a verdict is the training loop's business.
package health

import (
	"fmt"
	"math"
	"slices"
)

// Rule says when a run has diverged. A loss that is not finite always ends a run.
// Otherwise the median m of the last Window training losses is compared with the
// lowest such median so far, best: the run has diverged when
//
//	m > best + max(Rise, Sigmas·s)
//
// where s is the robust spread (1.4826 × median absolute deviation) of the window
// that gave best. A median moves only when half its window has, so a spike shorter
// than Window/2 steps passes, however high; and a run that merely stops learning, or
// whose loss is noisy by nature, does not qualify. The first full window is compared
// with the loss of the first step, that of the untrained model, so that a run that goes
// wrong from the start does not pass as its own best.
type Rule struct {
	Off    bool    `json:"off,omitempty"`    // only a loss that is not finite ends the run
	Window int     `json:"window,omitempty"` // steps, at least 3
	Rise   float64 `json:"rise,omitempty"`   // nats
	Sigmas float64 `json:"sigmas,omitempty"`
}

// DefaultRule is the rule of a run that does not say otherwise.
func DefaultRule() Rule { return Rule{Window: 32, Rise: 1, Sigmas: 6} }

// Problems says what is wrong with a rule.
func (r Rule) Problems() (out []string) {
	if r.Off {
		return nil
	}
	if r.Window < 3 || r.Window > 1<<16 {
		out = append(out, fmt.Sprintf("divergence window %d: use 3 to 65536 steps", r.Window))
	}
	if !(r.Rise > 0) || math.IsInf(r.Rise, 0) {
		out = append(out, fmt.Sprintf("divergence rise %g: use a positive number of nats, such as 1", r.Rise))
	}
	if !(r.Sigmas >= 0) || math.IsInf(r.Sigmas, 0) {
		out = append(out, fmt.Sprintf("divergence sigmas %g: use 0 or a positive number", r.Sigmas))
	}
	return out
}

// Detector applies a Rule to a run's training losses. It belongs in a checkpoint,
// as JSON, so that a resumed run is judged like an uninterrupted one.
type Detector struct {
	Rule   Rule      `json:"rule"`
	Recent []float64 `json:"recent"` // the last losses, oldest first
	Best   float64   `json:"best"`   // lowest median of a full window; meaningful once Judged
	Spread float64   `json:"spread"` // of the window that gave Best
	Judged bool      `json:"judged"`
	First  float64   `json:"first"` // loss of the first step: the untrained model's
	Begun  bool      `json:"begun"`

	sorted, deviations []float64 // scratch
}

// NewDetector starts a detector.
func NewDetector(r Rule) *Detector { return &Detector{Rule: r} }

// Add takes the loss of the next step and says why the run has diverged; "" when it
// has not.
func (d *Detector) Add(loss float64) string {
	switch {
	case math.IsNaN(loss):
		return "the loss is not a number"
	case math.IsInf(loss, 0):
		return "the loss is infinite"
	case d.Rule.Off:
		return ""
	}
	if !d.Begun {
		d.First, d.Begun = loss, true
	}
	w := d.Rule.Window
	if len(d.Recent) >= w {
		d.Recent = append(d.Recent[:0], d.Recent[len(d.Recent)-w+1:]...)
	}
	d.Recent = append(d.Recent, loss)
	if len(d.Recent) < w {
		return ""
	}
	m, spread := d.robust()
	if !d.Judged && m > d.First+d.Rule.Rise {
		return fmt.Sprintf("the median loss of the first %d steps is %.3f, above the %.3f it began with", w, m, d.First)
	}
	if !d.Judged || m < d.Best {
		d.Best, d.Spread, d.Judged = m, spread, true
		return ""
	}
	if limit := d.Best + max(d.Rule.Rise, d.Rule.Sigmas*d.Spread); m > limit {
		return fmt.Sprintf("the median loss of the last %d steps is %.3f, far above its best of %.3f (limit %.3f)", w, m, d.Best, limit)
	}
	return ""
}

// Rises and spreads of a spike above the median of the losses before it.
const (
	spikeRise   = 0.1 // nats
	spikeSigmas = 6
	spikeAfter  = 8 // losses
)

// Spike reports whether the next loss, which Add has not seen, stands above the median of
// the last ones by more than 0.1 nats and 6 robust spreads. Without a divergence rule none
// does.
func (d *Detector) Spike(loss float64) bool {
	if len(d.Recent) < spikeAfter {
		return false
	}
	m, spread := d.robust()
	return loss > m+max(spikeRise, spikeSigmas*spread)
}

// Median is the median of the last losses, as many as the rule's window; NaN before
// the first.
func (d *Detector) Median() float64 {
	if len(d.Recent) == 0 {
		return math.NaN()
	}
	m, _ := d.robust()
	return m
}

// robust returns the median of the window and 1.4826 × its median absolute deviation.
func (d *Detector) robust() (m, spread float64) {
	d.sorted = append(d.sorted[:0], d.Recent...)
	m = median(d.sorted)
	d.deviations = d.deviations[:0]
	for _, x := range d.Recent {
		d.deviations = append(d.deviations, math.Abs(x-m))
	}
	return m, 1.4826 * median(d.deviations)
}

// median sorts x.
func median(x []float64) float64 {
	slices.Sort(x)
	n := len(x)
	if n%2 == 1 {
		return x[n/2]
	}
	return x[n/2-1]/2 + x[n/2]/2
}

// Hopeless says when a run may be stopped because others of its sweep do far better.
// It is off unless asked for: a run stopped by it is recorded as stopped, and its loss
// is no loss at the horizon.
type Hopeless struct {
	On     bool    `json:"on,omitempty"`
	After  float64 `json:"after,omitempty"`  // share of the horizon that must be done first
	Margin float64 `json:"margin,omitempty"` // nats above the best run at the same step
}

// DefaultHopeless is the rule when it is turned on without numbers: half a nat behind
// the best after a third of the horizon.
func DefaultHopeless() Hopeless { return Hopeless{On: true, After: 1. / 3, Margin: 0.5} }

// Problems says what is wrong with the rule.
func (h Hopeless) Problems() (out []string) {
	if !h.On {
		return nil
	}
	if !(h.After > 0 && h.After < 1) {
		out = append(out, fmt.Sprintf("early stop after %g: use a share of the horizon between 0 and 1, such as 0.33", h.After))
	}
	if !(h.Margin > 0) || math.IsInf(h.Margin, 0) {
		out = append(out, fmt.Sprintf("early stop margin %g: use a positive number of nats, such as 0.5", h.Margin))
	}
	return out
}

// Stop says why a run should stop, "" when it should go on. done is the share of its
// horizon it has trained, mine its smoothed loss there, best the lowest smoothed loss
// of the sweep at the same step.
func (h Hopeless) Stop(done, mine, best float64) string {
	if !h.On || done < h.After || !(mine > best+h.Margin) {
		return ""
	}
	return fmt.Sprintf("after %.0f%% of its tokens its loss %.3f is %.3f above the best of the sweep (early stop at %g)", 100*done, mine, mine-best, h.Margin)
}
