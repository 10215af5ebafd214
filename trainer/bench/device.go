package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/cpu"
	"github.com/etastar/etastar/kernels/cuda"
	"github.com/etastar/etastar/kernels/cuda/driver"
	"github.com/etastar/etastar/trainer"
)

// device is what is measured.
type device struct {
	name    string
	backend kernels.Backend
	workers int                   // cores that train a run each; 0: not a processor
	free    func() (int64, error) // bytes a group may take; nil: not asked
	peak    func() (rate float64, by string, err error)
	close   func() error
}

// cores is how many times the peak counts for a number of runs.
func (d *device) cores(runs int) int {
	if d.workers == 0 {
		return 1
	}
	return min(runs, d.workers)
}

// chooseDevice reads a word for a device; number is the GPU's.
func chooseDevice(word string) (number int, gpu bool, err error) {
	if err := trainer.CheckDevice(word); err != nil {
		return 0, false, err
	}
	switch word {
	case trainer.CPU:
		return 0, false, nil
	case trainer.Auto, "":
		return 0, missingGPU() == nil, nil
	}
	if _, rest, ok := strings.Cut(word, ":"); ok {
		if number, err = strconv.Atoi(rest); err != nil {
			return 0, false, fmt.Errorf("device %s: %w", word, err)
		}
	}
	return number, true, nil
}

func openDevice(number int, gpu bool) (*device, error) {
	if !gpu {
		return openCPU()
	}
	b, err := cuda.New(cuda.Options{Device: number})
	if err != nil {
		return nil, err
	}
	return &device{
		name: b.Info().Name, backend: b, close: b.Close,
		free: func() (int64, error) { n, err := b.Free(); return n / 10 * 9, err },
		peak: func() (float64, string, error) { return gpuPeak(b, b.Info()) },
	}, nil
}

func openCPU() (*device, error) {
	b, err := cpu.New(cpu.Options{})
	if err != nil {
		return nil, err
	}
	return &device{
		name: b.Name(), backend: b, workers: b.Workers(), close: func() error { return nil },
		peak: func() (float64, string, error) { return b.Peak(), measured, nil },
	}, nil
}

// Where a peak is from.
const (
	dataSheet = "data sheet"
	measured  = "measured"
)

// hopperPeak is dense bfloat16 of the H100 and H200 in SXM boards, in operations a second,
// by NVIDIA's data sheets. Their other boards run slower.
const (
	hopperPeak = 989e12
	hopperSMs  = 132
)

// gpuPeak is what a card multiplies in bfloat16: by its data sheet, or measured.
func gpuPeak(b kernels.Backend, info driver.Info) (float64, string, error) {
	if sxm(info) {
		return hopperPeak, dataSheet, nil
	}
	rate, err := product(b, 8192, 20)
	if err != nil {
		return 0, "", err
	}
	return rate, measured, nil
}

func sxm(info driver.Info) bool {
	has := func(part string) bool { return strings.Contains(info.Name, part) }
	return (has("H100") || has("H200")) && !has("PCIe") && !has("NVL") && !has("MIG") && info.SMs == hopperSMs
}

// product measures a backend's product of two n×n matrices of random numbers (zeros draw
// less power and run faster), in operations a second, the best of three rounds.
func product(b kernels.Backend, n, times int) (rate float64, err error) {
	space := kernels.NewSpace()
	x, w := space.Float("x", kernels.PerRun, n, n), space.Float("w", kernels.PerRun, n, n)
	y, done := space.Float("y", kernels.PerRun, n, n), space.Float("done", kernels.PerRun, 1)
	rec := space.Record("product")
	rec.Add(kernels.MatMul{Y: y, A: x, B: w, TransB: true})
	program, err := rec.Build()
	if err != nil {
		return 0, err
	}
	mc, err := b.Load(1, program)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, mc.Close()) }()
	rng := rand.New(rand.NewPCG(1, 2))
	values := make([]float32, n*n)
	for _, to := range []kernels.Buffer{x, w} {
		for i := range values {
			values[i] = float32(rng.NormFloat64())
		}
		if err := mc.WriteFloats(to, 0, values); err != nil {
			return 0, err
		}
	}
	wait := make([]float32, 1)
	for range 3 {
		if err := errors.Join(mc.Execute(program), mc.ReadFloats(wait, done, 0)); err != nil {
			return 0, err
		}
		start := time.Now()
		for range times {
			if err := mc.Execute(program); err != nil {
				return 0, err
			}
		}
		if err := mc.ReadFloats(wait, done, 0); err != nil {
			return 0, err
		}
		cube := float64(n) * float64(n) * float64(n)
		rate = max(rate, 2*cube*float64(times)/time.Since(start).Seconds())
	}
	return rate, nil
}
