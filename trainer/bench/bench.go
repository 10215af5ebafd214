// Package bench measures how fast this machine trains proxies, and beside it PyTorch on the
// same shapes and the same card in the same minutes.
//
// What is timed on our side is what a sweep does: a trainer.Group over a file of random
// tokens, from the gathering of a batch on the host to the update of the weights, with
// clipping and a learning rate for every run and step. Losses are read when the timed steps
// are over. It is timed twice, before PyTorch and after.
//
// PyTorch runs peer.py, in a process for every mode and with empty caches of compiled code,
// as a shape meets it that was not trained before.
package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/etastar/etastar/kernels/cuda/driver"
)

// Options say what is measured; the zero value measures the usual shapes on what there is.
type Options struct {
	Device string        // a word of trainer.Devices, or gpu:1
	Shapes string        // names of Cases separated by commas; "": those that suit the device
	Runs   string        // numbers of runs together, separated by commas; "": those of the shape
	Steps  int           // to time; 0: 20, on the processor 5
	Peer   string        // Auto, Off, or the Python that has PyTorch; "": Auto
	Modes  string        // of PyTorch, separated by commas; "": eager, compile and graphs
	Budget time.Duration // for one mode of PyTorch, compilation and all; 0: three minutes
}

// Words for Options.Peer besides the name of a Python.
const (
	Auto = "auto" // python3, beside a GPU
	Off  = "off"
)

// Row is a shape with a number of runs that train together.
type Row struct {
	Device string  `json:"device"`
	Peak   float64 `json:"peak"`    // operations a second, on a processor of one core; 0: unknown
	PeakBy string  `json:"peak_by"` // "data sheet", "measured" or ""

	Shape      string `json:"shape"`
	Params     int64  `json:"params"`
	Active     int64  `json:"active"` // parameters that a token goes through
	Tokens     int64  `json:"tokens"` // of a step of one run
	Runs       int    `json:"runs"`
	Accumulate int    `json:"accumulate"` // micro-batches that our memory needs; 1: none
	Steps      int    `json:"steps"`      // timed

	Rates     []float64 `json:"tokens_per_s"` // of all runs together, one for each time it was timed
	Share     float64   `json:"share"`        // model FLOPs of the best rate over the peak of what trains; 0: unknown
	FirstStep float64   `json:"first_step_s"` // from nothing to the first loss, on an open device
	Problem   string    `json:"problem"`      // why there is no rate

	Peers    []PeerResult `json:"peers"`      // PyTorch with as many runs together
	OneByOne float64      `json:"one_by_one"` // PyTorch's best rate of single runs, one after another; 0: not measured
}

// Rate is the best rate, 0 where there is none.
func (r Row) Rate() float64 { return best(r.Rates) }

// Spread is how far the worst rate lies below the best, as a share of it.
func (r Row) Spread() float64 { return spread(r.Rates) }

// Peer is PyTorch's best with the same number of runs together; false where there is none.
func (r Row) Peer() (PeerResult, bool) {
	var top PeerResult
	for _, p := range r.Peers {
		if p.Rate() > top.Rate() {
			top = p
		}
	}
	return top, top.Rate() > 0
}

// Ratio is our best rate over PyTorch's best way to train as many runs; 0 where one of them
// is missing.
func (r Row) Ratio() float64 {
	p, _ := r.Peer()
	if other := max(p.Rate(), r.OneByOne); other > 0 {
		return r.Rate() / other
	}
	return 0
}

func best(rates []float64) float64 {
	if len(rates) == 0 {
		return 0
	}
	return slices.Max(rates)
}

func spread(rates []float64) float64 {
	if len(rates) == 0 {
		return 0
	}
	return 1 - slices.Min(rates)/slices.Max(rates)
}

// Plan is checked Options on an open device.
type Plan struct {
	Device string // its name
	Notes  []string
	Peak   float64 // as in Row; of one core of a processor
	PeakBy string
	Cores  int    // of a processor; each trains a run; 0 for a GPU
	Torch  string // PyTorch's version in words; "" without
	Steps  int
	Warmup int          // steps before those that are timed
	Now    func(string) // is told what is being measured; nil: nobody is

	device *device
	cases  []Case
	peer   *python // nil: none
}

// Refused is what is wrong with Options.
type Refused struct{ err error }

func (e *Refused) Error() string { return e.err.Error() }
func (e *Refused) Unwrap() error { return e.err }

// Open checks the options, opens the device and looks for PyTorch. An error in the options
// is a *Refused.
func Open(ctx context.Context, o Options) (*Plan, error) {
	if o.Steps < 0 || o.Steps > maxSteps {
		return nil, &Refused{fmt.Errorf("%d steps: time 1 to %d", o.Steps, maxSteps)}
	}
	runs, err := parseRuns(o.Runs)
	if err != nil {
		return nil, &Refused{err}
	}
	number, gpu, err := chooseDevice(o.Device)
	switch {
	case driver.Missing(err):
		return nil, err
	case err != nil:
		return nil, &Refused{err}
	}
	cases, err := parseShapes(o.Shapes, gpu)
	if err != nil {
		return nil, &Refused{err}
	}
	if !gpu && o.Peer != Auto && o.Peer != Off && o.Peer != "" {
		return nil, &Refused{fmt.Errorf("PyTorch is measured on a GPU: leave out %q", o.Peer)}
	}
	modes, err := parseModes(o.Modes)
	if err != nil {
		return nil, &Refused{err}
	}
	d, err := openDevice(number, gpu)
	if err != nil {
		return nil, err
	}
	p := &Plan{Device: d.name, Steps: o.Steps, Warmup: 5, Cores: d.workers, device: d, cases: cases}
	if p.Peak, p.PeakBy, err = d.peak(); err != nil {
		p.Notes = append(p.Notes, "the card's peak could not be measured: "+err.Error())
	}
	if p.Steps == 0 {
		p.Steps = 20
		if !gpu {
			p.Steps, p.Warmup = 5, 2
		}
	}
	for i := range p.cases {
		c := &p.cases[i]
		if len(runs) > 0 {
			c.Runs = runs
		}
		if len(c.Runs) == 0 {
			c.Runs = []int{1}
			if d.workers > 1 {
				c.Runs = append(c.Runs, d.workers)
			}
		}
	}
	if gpu && o.Peer != Off {
		if p.peer, err = findPython(ctx, o.Peer, number, o.Budget); err != nil {
			p.Notes = append(p.Notes, "no PyTorch to compare with: "+err.Error())
		} else {
			p.Torch, p.peer.only = p.peer.torch, modes
		}
	}
	return p, nil
}

// maxSteps keeps a slip of the keyboard from lasting a day.
const maxSteps = 10000

// Close gives the device back.
func (p *Plan) Close() error {
	if p.peer != nil {
		p.peer.close()
	}
	return p.device.close()
}

// Each measures every shape with every number of runs and hands the rows over as they come.
// What one of them cannot do is in its row; an error is of the whole.
func (p *Plan) Each(ctx context.Context, row func(Row)) error {
	for _, c := range p.cases {
		if err := p.shape(ctx, c, row); err != nil {
			return err
		}
	}
	return nil
}

func (p *Plan) shape(ctx context.Context, c Case, row func(Row)) error {
	tokens, err := writeTokens(c)
	if err != nil {
		return err
	}
	defer tokens.remove()
	var single []PeerResult // of one run; measured once
	for _, runs := range c.Runs {
		count := c.Shape.Params()
		r := Row{
			Device: p.Device, Peak: p.Peak, PeakBy: p.PeakBy,
			Shape: c.Name, Params: count.Total, Active: count.Active, Tokens: c.tokens(), Runs: runs, Steps: p.Steps,
		}
		first := p.sit(ctx, c, tokens, &r)
		if p.peer != nil {
			if single == nil {
				single = p.torch(ctx, c, 1)
			}
			for _, s := range single {
				r.OneByOne = max(r.OneByOne, s.Rate())
			}
			r.Peers = single
			if runs > 1 {
				r.Peers = p.torch(ctx, c, runs)
			}
		}
		if r.Problem == "" {
			p.sit(ctx, c, tokens, &r)
			r.FirstStep = first
		}
		if err := ctx.Err(); err != nil {
			return err // what was cut short says nothing
		}
		if r.Peak > 0 {
			r.Share = r.Rate() * c.FLOPs() / (r.Peak * float64(p.device.cores(runs)))
		}
		row(r)
	}
	return nil
}

// torch measures PyTorch in every mode.
func (p *Plan) torch(ctx context.Context, c Case, runs int) []PeerResult {
	return p.peer.modes(ctx, c, job{Shape: c.Shape, Sequences: c.Sequences, Runs: runs, Steps: p.Steps, Warmup: p.Warmup, Device: p.peer.device}, p.say)
}

func (p *Plan) say(format string, args ...any) {
	if p.Now != nil {
		p.Now(fmt.Sprintf(format, args...))
	}
}

// sit times our training once more, adds the rate to the row and returns the time to the
// first step.
func (p *Plan) sit(ctx context.Context, c Case, tokens tokenFile, r *Row) float64 {
	p.say("%s, %d together", c.Name, r.Runs)
	first, err := func() (float64, error) {
		configs, err := p.device.fit(c, tokens.path, r.Runs)
		if err != nil {
			return 0, err
		}
		r.Accumulate = configs[0].Batch.Accumulate
		rate, first, err := p.device.train(ctx, configs, p.Warmup, p.Steps)
		if err == nil {
			r.Rates = append(r.Rates, rate)
		}
		return first, err
	}()
	if err != nil {
		r.Problem = err.Error()
	}
	return first
}

// missingGPU reports why there is none.
func missingGPU() error {
	_, err := driver.Count()
	return err
}
