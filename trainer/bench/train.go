package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/etastar/etastar/trainer"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/data"
	"github.com/etastar/etastar/trainer/model"
)

// tokenFile is a file of random tokens in a folder of its own.
type tokenFile struct{ path string }

// batches is how many different batches a file of tokens has; epochs come after them.
const batches = 4

// writeTokens writes tokens drawn evenly from the vocabulary, in nanoGPT's format.
func writeTokens(c Case) (tokenFile, error) {
	if c.Shape.Vocab > 1<<16 {
		return tokenFile{}, fmt.Errorf("shape %s: a vocabulary of %d does not fit 16 bits", c.Name, c.Shape.Vocab)
	}
	dir, err := os.MkdirTemp("", "etastar-bench-")
	if err != nil {
		return tokenFile{}, err
	}
	f := tokenFile{filepath.Join(dir, "random.bin")}
	rng := rand.New(rand.NewPCG(1, uint64(c.Shape.Vocab)))
	n := (batches*c.tokens()*10+8)/9 + 10*int64(c.Shape.Context) + 1 // a tenth is held out
	b := make([]byte, 0, 2*n)
	for range n {
		b = binary.LittleEndian.AppendUint16(b, uint16(rng.IntN(c.Shape.Vocab)))
	}
	if err := os.WriteFile(f.path, b, 0o600); err != nil {
		f.remove()
		return tokenFile{}, err
	}
	return f, nil
}

func (f tokenFile) remove() { _ = os.RemoveAll(filepath.Dir(f.path)) }

// configs are runs with a learning rate each, all in the warm-up of a long horizon: on
// random tokens nothing diverges there.
func (c Case) configs(source string, runs, accumulate int) []config.Run {
	var out []config.Run
	for i := range runs {
		r := config.Default(c.Shape, 1e-3/float64(1+i))
		r.Keep.StatsEvery = -1 // what is timed is training alone
		r.Batch = config.Batch{Sequences: c.Sequences, Accumulate: accumulate}
		r.Data = config.Data{Source: source, Format: "nanogpt", Tokenizer: "bytes", HeldOut: 0.1, Split: "spread"}
		r.Validation.Tokens = int64(c.Shape.Context)
		out = append(out, r.For(1<<40))
	}
	return out
}

// fit is the runs of a case with as few micro-batches as the device's memory allows.
func (d *device) fit(c Case, source string, runs int) ([]config.Run, error) {
	if d.free == nil {
		return c.configs(source, runs, 1), nil
	}
	free, err := d.free()
	if err != nil {
		return nil, err
	}
	var need int64
	for a := 1; a <= c.Sequences; a *= 2 {
		if c.Sequences%a != 0 {
			break
		}
		list := c.configs(source, runs, a)
		if need, err = trainer.Memory(d.backend, list[0], runs); err != nil {
			return nil, err
		}
		if need <= free {
			return list, nil
		}
	}
	return nil, fmt.Errorf("%d runs need %.1f GB of memory and may take %.1f", runs, float64(need)/1e9, float64(free)/1e9)
}

// train times steps of a group after a warm-up whose first step counts from the
// allocation of the group, in seconds. The rate is in tokens a second of all runs.
func (d *device) train(ctx context.Context, runs []config.Run, warmup, steps int) (rate, first float64, err error) {
	corpus, err := data.Open(ctx, runs[0].Data, runs[0].Shape.Context, runs[0].Shape.Vocab)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, corpus.Close()) }()
	start := time.Now()
	g, err := trainer.NewGroup(d.backend, corpus, runs)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	var results []trainer.StepResult
	do := func(n int) error {
		for n > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			k := min(n, model.LogRows)
			var err error
			if results, err = g.Steps(results[:0], int64(k)); err == nil {
				err = whole(results, k*len(runs))
			}
			if err != nil {
				return err
			}
			n -= k
		}
		return nil
	}
	if err := do(1); err != nil {
		return 0, 0, err
	}
	first = time.Since(start).Seconds()
	if err := do(warmup - 1); err != nil {
		return 0, 0, err
	}
	start = time.Now()
	if err := do(steps); err != nil {
		return 0, 0, err
	}
	elapsed := time.Since(start).Seconds()
	return float64(len(runs)) * float64(steps) * float64(runs[0].BatchTokens()) / elapsed, first, nil
}

// whole refuses steps in which a run did not take part: the rate would count it.
func whole(results []trainer.StepResult, want int) error {
	for _, r := range results {
		if r.Diverged != "" {
			return fmt.Errorf("run %d diverged at step %d: %s", r.Run, r.Step, r.Diverged)
		}
	}
	if len(results) != want {
		return fmt.Errorf("%d steps were done instead of %d", len(results), want)
	}
	return nil
}
