package driver

import (
	"errors"
	"fmt"
	"unsafe"
)

// Monitor reads a card's state through NVML, the library of nvidia-smi. Its methods may
// be called from any goroutine.
type Monitor struct {
	lib    library
	device uintptr

	shutdown, errorString, utilization, memory, power, temperature, processes uintptr
}

// State is what a card is doing. A value that the card does not tell is −1.
type State struct {
	GPU, MemoryBus int     // percent of the last sample period in use
	Used, Total    int64   // memory in bytes, of all processes
	Watts          float64 // drawn
	Celsius        int
	Processes      []Process // that compute on the card, this one among them
}

// Process is a process on a card; Memory is -1 where it is not told, as in containers.
type Process struct {
	PID    int
	Memory int64
}

// NewMonitor opens NVML for the card at a bus address, [Info].PCI.
func NewMonitor(pci string, folders ...string) (*Monitor, error) {
	lib, err := find("libnvidia-ml.so.1", folders)
	if err != nil {
		return nil, err
	}
	m := &Monitor{lib: lib}
	var start, handle uintptr
	if err := lib.bind([]entry{
		{&start, "nvmlInit_v2", false},
		{&m.shutdown, "nvmlShutdown", false},
		{&m.errorString, "nvmlErrorString", false},
		{&handle, "nvmlDeviceGetHandleByPciBusId_v2", false},
		{&m.utilization, "nvmlDeviceGetUtilizationRates", false},
		{&m.memory, "nvmlDeviceGetMemoryInfo", false},
		{&m.power, "nvmlDeviceGetPowerUsage", false},
		{&m.temperature, "nvmlDeviceGetTemperature", false},
		{&m.processes, "nvmlDeviceGetComputeRunningProcesses_v3", true},
	}); err != nil {
		return nil, err
	}
	if err := m.check(call(start), "starting NVML"); err != nil {
		return nil, errors.Join(err, closeLibrary(lib.handle))
	}
	s := cstring(pci)
	if err := m.check(call(handle, uintptr(unsafe.Pointer(s)), uintptr(unsafe.Pointer(&m.device))), "opening the card at "+pci); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// Library is where NVML was found.
func (m *Monitor) Library() string { return m.lib.path }

// Close ends NVML.
func (m *Monitor) Close() {
	call(m.shutdown)
	_ = closeLibrary(m.lib.handle)
}

func (m *Monitor) check(result uintptr, doing string) error {
	if int32(result) == 0 {
		return nil
	}
	var said string
	// The text is static memory of the library, whose address is a result, not a pointer.
	if p := call(m.errorString, result); p != 0 {
		said = text(*(**byte)(unsafe.Pointer(&p)))
	}
	return fmt.Errorf("%s: %s (NVML error %d)", doing, said, int32(result))
}

// nvmlProcess is nvmlProcessInfo_v2_t, which version 3 of the call fills.
type nvmlProcess struct {
	pid    uint32
	memory uint64
	_      [2]uint32 // GPU instance and compute instance
}

const maxProcesses = 64

// State asks the card. What single questions fail is missing from the result; the error
// is that of the first, where all fail.
func (m *Monitor) State() (State, error) {
	s := State{GPU: -1, MemoryBus: -1, Used: -1, Total: -1, Watts: -1, Celsius: -1}
	var rates [2]uint32
	err := m.check(call(m.utilization, m.device, uintptr(unsafe.Pointer(&rates))), "asking for utilisation")
	if err == nil {
		s.GPU, s.MemoryBus = int(rates[0]), int(rates[1])
	}
	var memory [3]uint64 // total, free, used
	if e := m.check(call(m.memory, m.device, uintptr(unsafe.Pointer(&memory))), "asking for memory"); e == nil {
		s.Total, s.Used, err = int64(memory[0]), int64(memory[2]), nil
	}
	var milliwatts, celsius uint32
	if e := m.check(call(m.power, m.device, uintptr(unsafe.Pointer(&milliwatts))), "asking for power"); e == nil {
		s.Watts, err = float64(milliwatts)/1000, nil
	}
	if e := m.check(call(m.temperature, m.device, 0, uintptr(unsafe.Pointer(&celsius))), "asking for the temperature"); e == nil {
		s.Celsius, err = int(celsius), nil
	}
	if m.processes != 0 {
		var list [maxProcesses]nvmlProcess
		n := uint32(maxProcesses)
		if call(m.processes, m.device, uintptr(unsafe.Pointer(&n)), uintptr(unsafe.Pointer(&list))) == 0 {
			for _, p := range list[:n] {
				q := Process{PID: int(p.pid), Memory: int64(p.memory)}
				if p.memory == 1<<64-1 {
					q.Memory = -1
				}
				s.Processes = append(s.Processes, q)
			}
		}
	}
	return s, err
}
