package headless

import (
	"errors"
	"strings"
	"testing"

	"github.com/etastar/etastar/kernels/cuda/driver"
	"github.com/etastar/etastar/trainer"
)

func TestDoctor(t *testing.T) {
	text := func(g driver.Report) string {
		var b strings.Builder
		Doctor(&b, trainer.Machine{Processor: "cpu/avx2", Cores: 2, Peak: 1e11, Corpus: "a text", GPU: g})
		return b.String()
	}
	missing := &driver.MissingError{Library: "libcuda.so.1", Tried: []string{"here (gone)", "there (gone)"}}
	got := text(driver.Report{Err: missing, NVMLErr: errors.New("no NVML"), Looked: []string{"/opt"}})
	want := `processor  cpu/avx2, 2 cores, 100 GFLOP/s a core in float32
corpus     a text; data= trains on another
GPU        none to train on
           libcuda.so.1 was not found by
             here (gone)
             there (gone)
NVML       no utilisation, power and temperature: no NVML
cuBLASLt   not found, and not needed; looked in /opt
sweeps     train on the processor
`
	if got != want {
		t.Errorf("without a GPU:\n%s\nwant\n%s", got, want)
	}
	got = text(driver.Report{
		Library: "libcuda.so.1", Version: 13000, NVML: "libnvidia-ml.so.1", BLAS: []string{"libcublasLt.so.13"},
		Devices: []driver.Found{{
			Info: driver.Info{Name: "NVIDIA H200", Major: 9, SMs: 132, Total: 150e9}, Free: 140e9,
			State: &driver.State{GPU: 3, Watts: 77, Celsius: 30, Processes: make([]driver.Process, 1)},
		}},
	})
	want = `processor  cpu/avx2, 2 cores, 100 GFLOP/s a core in float32
corpus     a text; data= trains on another
driver     libcuda.so.1, CUDA 13.0
GPU 0      NVIDIA H200, sm_90, 132 multiprocessors, 150 GB, 140 of them free
           now 3% busy, 77 W, 30 °C, 1 process on it
NVML       libnvidia-ml.so.1
cuBLASLt   libcublasLt.so.13; for large products on other cards than Hopper
sweeps     train on the GPU; device=cpu takes the processor
`
	if got != want {
		t.Errorf("with a GPU:\n%s\nwant\n%s", got, want)
	}
}
