package headless

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/etastar/etastar/kernels/cuda/driver"
	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/trainer"
)

// Doctor prints what a machine has to train on, what is missing and where that was
// looked for.
func Doctor(w io.Writer, m trainer.Machine) {
	line := func(what, format string, args ...any) {
		fmt.Fprintf(w, "%-10s %s\n", what, fmt.Sprintf(format, args...))
	}
	line("processor", "%s, %s, %.0f GFLOP/s a core in float32", m.Processor, number.Plural(m.Cores, "core", "cores"), m.Peak/1e9)
	line("corpus", "%s; data= trains on another", m.Corpus)
	g := m.GPU
	if g.Err != nil {
		line("GPU", "none to train on")
		var missing *driver.MissingError
		if errors.As(g.Err, &missing) {
			line("", "%s was not found by", missing.Library)
			for _, place := range missing.Tried {
				line("", "  %s", place)
			}
		} else {
			line("", "%v", g.Err)
		}
	}
	if g.Library != "" {
		text := g.Library
		if g.Version > 0 {
			text += ", CUDA " + driver.CUDA(g.Version)
		}
		line("driver", "%s", text)
	}
	for _, d := range g.Devices {
		device(line, d)
	}
	switch {
	case g.NVMLErr != nil:
		why := g.NVMLErr.Error()
		var missing *driver.MissingError
		if errors.As(g.NVMLErr, &missing) {
			why = missing.Library + " was not found either"
		}
		line("NVML", "no utilisation, power and temperature: %s", why)
	default:
		line("NVML", "%s", g.NVML)
	}
	if len(g.BLAS) > 0 {
		line("cuBLASLt", "%s; for large products on other cards than Hopper", strings.Join(g.BLAS, ", "))
	} else {
		line("cuBLASLt", "not found, and not needed; looked in %s", strings.Join(g.Looked, ", "))
	}
	switch {
	case g.Err == nil && len(g.Devices) > 0:
		line("sweeps", "train on the GPU; device=cpu takes the processor")
	default:
		line("sweeps", "train on the processor")
	}
}

func device(line func(string, string, ...any), d driver.Found) {
	what := fmt.Sprintf("GPU %d", d.Ordinal)
	free := ""
	if d.Free >= 0 {
		free = fmt.Sprintf(", %.0f of them free", float64(d.Free)/1e9)
	}
	line(what, "%s, %s, %d multiprocessors, %.0f GB%s", d.Name, d.Arch(), d.SMs, float64(d.Total)/1e9, free)
	if d.Err != nil {
		line("", "cannot be used: %v", d.Err)
	}
	if s := d.State; s != nil {
		line("", "now %d%% busy, %.0f W, %d °C, %s on it", s.GPU, s.Watts, s.Celsius, number.Plural(len(s.Processes), "process", "processes"))
	}
}
