package bench

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/etastar/etastar/trainer/config"
)

//go:embed peer.py
var script []byte

// PeerResult is what PyTorch did in one mode.
type PeerResult struct {
	Mode      string    `json:"mode"` // eager, compile, graphs or reduce-overhead; see peer.py
	Runs      int       `json:"runs"`
	Rates     []float64 `json:"tokens_per_s"` // of all runs together, one for each time it was timed
	FirstStep float64   `json:"first_step_s"` // from nothing to the first loss, compilation and all; CUDA was started before
	Import    float64   `json:"import_s"`     // of PyTorch itself
	Loss      float64   `json:"loss"`         // of the last step, nats a token
	Params    int64     `json:"params"`       // of one run
	Memory    int64     `json:"memory"`       // most bytes of tensors
	Problem   string    `json:"problem"`      // why there is no rate
}

// Rate is the best rate, 0 where there is none.
func (p PeerResult) Rate() float64 { return best(p.Rates) }

// Spread is how far the worst rate lies below the best, as a share of it.
func (p PeerResult) Spread() float64 { return spread(p.Rates) }

// Modes of PyTorch.
const (
	eager          = "eager"
	compiled       = "compile"
	graphs         = "graphs"
	reduceOverhead = "reduce-overhead"
)

// parseModes reads a list of modes; none stands for all.
func parseModes(list string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	all := []string{eager, compiled, graphs}
	for _, word := range split(list) {
		if !slices.Contains(all, word) {
			return nil, fmt.Errorf("PyTorch has no mode %q here: use %s", word, strings.Join(all, ", "))
		}
	}
	return split(list), nil
}

// job is what peer.py is asked for.
type job struct {
	Probe     bool         `json:"probe,omitempty"`
	Shape     config.Shape `json:"shape"`
	Sequences int          `json:"sequences"`
	Runs      int          `json:"runs"`
	Mode      string       `json:"mode,omitempty"`
	Steps     int          `json:"steps"`
	Warmup    int          `json:"warmup"`
	Device    int          `json:"device"`
}

// python is a Python with PyTorch.
type python struct {
	exe    string
	dir    string // peer.py and what PyTorch compiles
	device int
	budget time.Duration // for one mode
	torch  string        // version in words
	only   []string      // modes to measure
}

// defaultBudget is twice what the largest shape needs to compile on a fast machine, and
// probeBudget enough for PyTorch on a slow file system.
const (
	defaultBudget = 3 * time.Minute
	probeBudget   = 2 * time.Minute
)

// findPython looks for PyTorch in a Python, python3 for Auto.
func findPython(ctx context.Context, word string, device int, budget time.Duration) (*python, error) {
	if word == Auto || word == "" {
		word = "python3"
	}
	exe, err := exec.LookPath(word)
	if err != nil {
		return nil, err
	}
	p := &python{exe: exe, device: device, budget: cmp.Or(budget, defaultBudget)}
	if p.dir, err = os.MkdirTemp("", "etastar-peer-"); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(p.dir, "peer.py"), script, 0o600); err != nil {
		p.close()
		return nil, err
	}
	out, err := p.ask(ctx, probeBudget, job{Probe: true, Device: device})
	if err == nil {
		p.torch, err = parseProbe(out)
	}
	if err != nil {
		p.close()
		return nil, fmt.Errorf("%s: %w", exe, err)
	}
	return p, nil
}

func (p *python) close() { _ = os.RemoveAll(p.dir) }

// modes measures every mode for the runs of a job; say is told what comes next.
func (p *python) modes(ctx context.Context, c Case, j job, say func(string, ...any)) []PeerResult {
	if j.Runs > 1 && c.Shape.IsMoE() {
		return []PeerResult{{Mode: graphs, Runs: j.Runs, Problem: "peer.py stacks the weights of dense models alone"}}
	}
	list, instead := []string{eager, compiled, graphs}, []string{reduceOverhead}
	if j.Runs > 1 {
		list, instead = []string{graphs}, []string{reduceOverhead, compiled}
	}
	if len(p.only) > 0 {
		list = slices.DeleteFunc(list, func(mode string) bool { return !slices.Contains(p.only, mode) })
	}
	var out []PeerResult
	for len(list) > 0 && ctx.Err() == nil {
		j.Mode = list[0]
		say("%s, PyTorch %s, %d together", c.Name, j.Mode, j.Runs)
		r := p.mode(ctx, c, j)
		out, list = append(out, r), list[1:]
		if r.Mode == graphs && r.Problem != "" {
			list = slices.Concat(list, instead)
		}
	}
	return out
}

// mode measures one mode.
func (p *python) mode(ctx context.Context, c Case, j job) PeerResult {
	out, err := p.ask(ctx, p.budget, j)
	r, found := parseResult(out, j)
	switch {
	case !found && err != nil:
		r.Problem = err.Error()
	case !found:
		r.Problem = "it printed no result"
	case r.Problem == "" && r.Params != c.Shape.Params().Total:
		r.Rates, r.Problem = nil, fmt.Sprintf("its model has %d parameters, ours %d", r.Params, c.Shape.Params().Total)
	}
	return r
}

// ask runs peer.py and returns its standard output; an error ends with what it said last.
func (p *python) ask(ctx context.Context, budget time.Duration, j job) ([]byte, error) {
	text, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	cache, err := os.MkdirTemp(p.dir, "cache-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(cache) }()
	limited, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	cmd := exec.CommandContext(limited, p.exe, filepath.Join(p.dir, "peer.py"), string(text))
	cmd.Env = append(os.Environ(),
		"TORCHINDUCTOR_CACHE_DIR="+filepath.Join(cache, "inductor"), "TRITON_CACHE_DIR="+filepath.Join(cache, "triton"))
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.WaitDelay = 5 * time.Second // its compilers may outlive it
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case limited.Err() != nil:
		err = fmt.Errorf("no result within %v", budget)
	case errors.Is(err, exec.ErrWaitDelay):
		err = nil
	case err != nil:
		if last := lastLine(said.Bytes()); last != "" {
			err = fmt.Errorf("%w: %s", err, last)
		}
	}
	return out.Bytes(), err
}

// lastLine is the last line with anything in it.
func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// parseProbe reads the version of PyTorch.
func parseProbe(out []byte) (string, error) {
	for line := range bytes.Lines(out) {
		var v struct{ Mode, Torch, CUDA, Problem string }
		if json.Unmarshal(line, &v) != nil || v.Mode != "probe" {
			continue
		}
		switch {
		case v.Problem != "":
			return "", errors.New(v.Problem)
		case v.Torch != "" && v.CUDA != "":
			return "PyTorch " + v.Torch + ", CUDA " + v.CUDA, nil
		case v.Torch != "":
			return "PyTorch " + v.Torch, nil
		}
	}
	return "", errors.New("it printed no version of PyTorch")
}

// parseResult finds the answer to a job among what a Python printed; libraries print too.
// A result has either a problem or rates that are positive numbers.
func parseResult(out []byte, j job) (PeerResult, bool) {
	for line := range bytes.Lines(out) {
		var r PeerResult
		if json.Unmarshal(line, &r) != nil || r.Mode != j.Mode || r.Runs != j.Runs {
			continue
		}
		sound := len(r.Rates) > 0 && r.FirstStep >= 0
		for _, x := range r.Rates {
			sound = sound && x > 0 && !math.IsInf(x, 0)
		}
		switch {
		case r.Problem != "":
			r.Rates = nil
		case !sound:
			r.Rates, r.Problem = nil, "its result makes no sense"
		}
		return r, true
	}
	return PeerResult{Mode: j.Mode, Runs: j.Runs}, false
}
