package rundir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// Number is a float64 that JSON can carry whatever it is: a number that is not finite
// is the text "NaN", "+Inf" or "-Inf".
type Number float64

// MarshalJSON implements json.Marshaler.
func (n Number) MarshalJSON() ([]byte, error) {
	f := float64(n)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Appendf(nil, "%q", strconv.FormatFloat(f, 'g', -1, 64)), nil
	}
	return json.Marshal(f)
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *Number) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	if len(b) > 1 && b[0] == '"' {
		b = b[1 : len(b)-1]
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) { // 1e999 is +Inf
		return fmt.Errorf("%.40q is no number", b)
	}
	*n = Number(f)
	return nil
}

// Event is a line of events.jsonl: what one optimizer step did. A resumed run writes
// the steps after its checkpoint again, with the same numbers; the last line of a step
// counts. Fields that are 0 are left out: they were not measured.
type Event struct {
	Step     int64                        `json:"step"`   // steps done, from 1; 0 for what was measured before training
	Tokens   int64                        `json:"tokens"` // trained on so far
	LR       Number                       `json:"lr"`     // of this step
	Loss     Number                       `json:"loss"`   // mean cross-entropy of the step's batch, nats per token
	Val      Number                       `json:"val,omitzero"`
	ValSE    Number                       `json:"val_se,omitzero"` // standard error of Val over held-out blocks
	GradNorm Number                       `json:"grad_norm,omitzero"`
	Aux      Number                       `json:"aux,omitzero"`          // added losses (load balance, z), as weighted
	Rate     Number                       `json:"tokens_per_s,omitzero"` // of this run, alone
	Elapsed  Number                       `json:"elapsed_s,omitzero"`    // training time so far, pauses not counted
	Time     int64                        `json:"time_ms,omitzero"`      // Unix milliseconds
	Stats    map[string]map[string]Number `json:"stats,omitempty"`       // module → statistic → value
	Spike    bool                         `json:"spike,omitempty"`       // the loss stood far above those just before
	Note     string                       `json:"note,omitempty"`        // "resumed from step 100"
}

// parseEvent reads a line.
func parseEvent(line []byte) (Event, error) {
	var e struct {
		Event
		Step *int64 `json:"step"`
	}
	if err := json.Unmarshal(line, &e); err != nil {
		return Event{}, err
	}
	if e.Step == nil || *e.Step < 0 {
		return Event{}, errors.New("no step")
	}
	e.Event.Step = *e.Step
	return e.Event, nil
}

// Merge appends events to those read before; a step that comes again replaces what was
// there from it on, as a resumed run means it.
func Merge(all, more []Event) []Event {
	for _, e := range more {
		for len(all) > 0 && all[len(all)-1].Step >= e.Step {
			all = all[:len(all)-1]
		}
		all = append(all, e)
	}
	return all
}
