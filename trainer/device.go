package trainer

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/cpu"
	"github.com/etastar/etastar/kernels/cuda"
	"github.com/etastar/etastar/kernels/cuda/driver"
	"github.com/etastar/etastar/trainer/rundir"
)

// What trains: a GPU by its number ("gpu:1"), any, the processor, or a GPU where one is
// usable and else the processor.
const (
	Auto = "auto"
	CPU  = "cpu"
	GPU  = "gpu"
)

// Devices lists the words for a device.
var Devices = []string{Auto, GPU, CPU}

// device is what a worker trains on.
type device struct {
	backend kernels.Backend
	budget  int64 // bytes that a group may take; 0: no bound
	notes   []string
	gauge   func() *rundir.Card // nil: there is none
	close   func() error
}

// gpuNumber is the number in "gpu:1", 0 for "gpu"; ok is false for other words.
func gpuNumber(word string) (n int, given, ok bool) {
	rest, found := strings.CutPrefix(word, GPU)
	if !found {
		return 0, false, false
	}
	if rest == "" {
		return 0, false, true
	}
	n, err := strconv.Atoi(strings.TrimPrefix(rest, ":"))
	return n, true, strings.HasPrefix(rest, ":") && err == nil && n >= 0
}

// choose says which device a word stands for on this machine, "cpu" or "gpu:1", and why
// it is not the GPU that was hoped for.
func choose(word string) (name, why string, err error) {
	n, given, isGPU := gpuNumber(word)
	switch {
	case word == CPU:
		return CPU, "", nil
	case isGPU && given:
		return word, "", nil
	case isGPU:
		return fmt.Sprintf("%s:%d", GPU, n), "", nil
	case word != Auto && word != "":
		return "", "", fmt.Errorf("there is no device %q: use %s, or gpu:1 for the second GPU", word, strings.Join(Devices, ", "))
	}
	missing := func() error { _, err := driver.Count(); return err }()
	if missing == nil {
		return GPU + ":0", "", nil
	}
	return CPU, "no GPU to train on: " + missing.Error(), nil
}

// CheckDevice says why a word for a device cannot be had here, before anything is started.
func CheckDevice(word string) error {
	n, _, isGPU := gpuNumber(word)
	if _, _, err := choose(word); err != nil || !isGPU {
		return err
	}
	count, err := driver.Count()
	if err == nil && n >= count {
		err = fmt.Errorf("there is no GPU %d: the driver offers %d, counted from 0", n, count)
	}
	if err != nil {
		return fmt.Errorf("device %s: %w", word, err)
	}
	return nil
}

// every lists the devices that a word stands for together: all GPUs where it names none.
func every(word string) []string {
	count, err := driver.Count()
	if err != nil || count < 2 || word != Auto && word != GPU {
		return []string{word}
	}
	var all []string
	for n := range count {
		all = append(all, fmt.Sprintf("%s:%d", GPU, n))
	}
	return all
}

// GPUs counts the GPUs of this machine that the driver lists.
func GPUs() int {
	count, err := driver.Count()
	if err != nil {
		return 0
	}
	return count
}

// openDevice opens a device by the name that choose gives.
func openDevice(name string) (*device, error) {
	if n, _, ok := gpuNumber(name); ok {
		return openGPU(n)
	}
	return openCPU()
}

func openCPU() (*device, error) {
	backend, err := cpu.New(cpu.Options{})
	if err != nil {
		return nil, err
	}
	return &device{backend: backend, budget: memoryBudget(), close: func() error { return nil }}, nil
}

// gpuShare is how much of a GPU's free memory a group may take.
const gpuShare = 0.9

func openGPU(n int) (*device, error) {
	backend, err := cuda.New(cuda.Options{Device: n})
	if err != nil {
		return nil, err
	}
	free, err := backend.Free()
	if err != nil {
		return nil, errors.Join(err, backend.Close())
	}
	d := &device{backend: backend, budget: int64(gpuShare * float64(free)), close: backend.Close}
	d.watch(backend.Info(), free)
	return d, nil
}

// watch lets a GPU's state be read, and notes when somebody else is at work on it.
func (d *device) watch(info driver.Info, free int64) {
	monitor, err := driver.NewMonitor(info.PCI)
	if err != nil {
		d.notes = append(d.notes, "no utilisation, power and temperature: "+err.Error())
		return
	}
	give := d.close
	d.gauge = func() *rundir.Card { return gauge(monitor) }
	d.close = func() error { monitor.Close(); return give() }
	if c := d.gauge(); c != nil && (c.Others > 0 || c.Busy > idle) {
		d.notes = append(d.notes, fmt.Sprintf("GPU %d, %s, is in use by others: %d processes, %d%% busy, %.0f of %.0f GB free",
			info.Ordinal, info.Name, c.Others, c.Busy, float64(free)/1e9, float64(info.Total)/1e9))
	}
}

// idle is how busy a card may look, in percent, on which nobody works.
const idle = 20

// gauge reads a card; nil where it tells nothing.
func gauge(m *driver.Monitor) *rundir.Card {
	st, err := m.State()
	if err != nil {
		return nil
	}
	c := &rundir.Card{Busy: st.GPU, Used: st.Used, Total: st.Total, Watts: st.Watts, Celsius: st.Celsius}
	for _, p := range st.Processes {
		if p.PID != os.Getpid() {
			c.Others++
		}
	}
	return c
}
