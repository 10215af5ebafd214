package trainer

import (
	"context"

	"github.com/etastar/etastar/kernels/cpu"
	"github.com/etastar/etastar/kernels/cuda/driver"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/data"
)

// Machine is what a machine has to train on.
type Machine struct {
	Processor string        // name of the CPU backend: cpu/avx512
	Cores     int           // runs that train at once on it
	Peak      float64       // float32 operations a second of one core, measured
	Corpus    string        // the default corpus in words
	GPU       driver.Report // what of CUDA is there
}

// Look examines this machine. It takes a context on each GPU, for a moment.
func Look() Machine {
	m := Machine{GPU: driver.Probe()}
	if b, err := cpu.New(cpu.Options{}); err == nil {
		m.Processor, m.Cores, m.Peak = b.Name(), b.Workers(), b.Peak()
	}
	d := config.Default(config.Shape{}, 1).Data
	if c, err := data.Open(context.Background(), data.Resolve(d), 1, 0); err == nil {
		m.Corpus = c.Info.Description
		_ = c.Close()
	}
	return m
}
