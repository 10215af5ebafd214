package driver

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestNoLibrary: without the library the error names it and the place looked at.
func TestNoLibrary(t *testing.T) {
	dir := t.TempDir()
	d, err := Open(0, dir)
	if err == nil {
		d.Close()
		t.Fatal("a device was opened without a library")
	}
	var missing *MissingError
	if !errors.As(err, &missing) || missing.Library != "libcuda.so.1" || !Missing(err) {
		t.Fatalf("%T: %v", err, err)
	}
	if !strings.Contains(err.Error(), dir) && runtime.GOOS == "linux" {
		t.Errorf("%v does not say where it was looked for", err)
	}
	if _, err := NewMonitor("0000:00:00.0", dir); !errors.As(err, &missing) || missing.Library != "libnvidia-ml.so.1" {
		t.Errorf("NVML: %v", err)
	}
	if r := Probe(dir); !Missing(r.Err) || r.NVMLErr == nil || len(r.Devices) != 0 || len(r.Looked) == 0 {
		t.Errorf("%+v", r)
	}
}

// TestNotALibrary: a file that is none is an error of the loader, kept in the message.
func TestNotALibrary(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("libraries are opened on Linux only")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "libcuda.so.1"), []byte("text"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(0, dir); err == nil || strings.Contains(err.Error(), "No such file") {
		t.Errorf("%v", err)
	}
}

// TestFindBLAS: the layouts of CUDA's own folders and of pip's wheels are found, newest
// version first.
func TestFindBLAS(t *testing.T) {
	root := t.TempDir()
	var want []string
	for _, p := range []string{
		"venv/lib/python3.12/site-packages/nvidia/cu13/lib/libcublasLt.so.13",
		"cuda/targets/x86_64-linux/lib/libcublasLt.so.12",
		"venv/lib/python3.12/site-packages/nvidia/cublas/lib/libcublasLt.so.12",
		"ld/libcublasLt.so.11",
	} {
		p = filepath.Join(root, filepath.FromSlash(p))
		if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		want = append(want, p)
	}
	t.Setenv("LD_LIBRARY_PATH", filepath.Join(root, "ld"))
	t.Setenv("CUDA_HOME", filepath.Join(root, "cuda"))
	t.Setenv("VIRTUAL_ENV", filepath.Join(root, "venv"))
	found, _ := findBLAS()
	at := 0
	for _, p := range found {
		if at < len(want) && p == want[at] {
			at++
		}
	}
	if at != len(want) {
		t.Errorf("found %q, want %q in this order", found, want)
	}
}

func TestErrors(t *testing.T) {
	err := error(&Error{Code: 2, Name: "CUDA_ERROR_OUT_OF_MEMORY", Text: "out of memory", Doing: "allocating 5 bytes on the device"})
	if !errors.Is(err, ErrOutOfMemory) || errors.Is(err, ErrNoDevice) {
		t.Error("codes are not told apart")
	}
	if got, want := err.Error(), "allocating 5 bytes on the device: out of memory (CUDA_ERROR_OUT_OF_MEMORY, 2)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if CUDA(12040) != "12.4" || CUDA(13000) != "13.0" {
		t.Error("versions are not written as CUDA writes them")
	}
}

// open is the first device; without one the test is skipped.
func open(t *testing.T) *Device {
	t.Helper()
	d, err := Open(0)
	if Missing(err) {
		t.Skipf("needs an NVIDIA GPU: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func TestDevice(t *testing.T) {
	d := open(t)
	t.Logf("%+v, driver %s from %s", d.Info, CUDA(d.Version), d.Library)
	if d.Info.SMs < 1 || d.Info.Major < 1 || d.Info.Name == "" || d.Info.PCI == "" || d.Info.Total < 1<<28 || d.Info.SharedMemory < 48<<10 {
		t.Errorf("%+v", d.Info)
	}
	if _, err := Open(1000); err == nil || !strings.Contains(err.Error(), "device 1000: the driver sees") {
		t.Errorf("%v", err)
	}
	err := d.Do(func(c *Context) error {
		s, err := c.NewStream(false)
		if err != nil {
			return err
		}
		defer func() { _ = c.DestroyStream(s) }()
		if _, err := c.Alloc(1 << 50); !errors.Is(err, ErrOutOfMemory) {
			t.Errorf("a petabyte: %v", err)
		}
		if _, err := c.LoadPTX("nonsense", []byte("this is no PTX")); err == nil || !strings.Contains(err.Error(), "compiling nonsense") {
			t.Errorf("%v", err)
		}
		if _, err := c.LoadPTX("the future", []byte(".version 99.0\n.target sm_80\n.address_size 64\n")); !errors.Is(err, ErrUnsupportedPTX) {
			t.Errorf("PTX of a later version: %v", err)
		}
		m, err := c.Alloc(1 << 20)
		if err != nil {
			return err
		}
		host, err := c.AllocHost(1 << 20)
		if err != nil {
			return err
		}
		for i := range host {
			host[i] = byte(i * 7)
		}
		g, nodes, err := c.Capture(s, func() error {
			return errors.Join(c.CopyIn(m, host[:1000], s), c.Set8(m+100, 5, 100, s), c.Set32(m+400, 0x01020304, 25, s))
		})
		if err != nil || nodes != 3 {
			t.Errorf("a graph of %d nodes: %v", nodes, err)
		}
		back := host[1<<19:]
		clear(back)
		if err := errors.Join(c.Replay(g, s), c.CopyOut(back[:1000], m, s), c.Synchronize(s)); err != nil {
			return err
		}
		for i := range 1000 {
			want := byte(i * 7)
			switch {
			case i >= 100 && i < 200:
				want = 5
			case i >= 400 && i < 500:
				want = byte(4 - i%4)
			}
			if back[i] != want {
				t.Errorf("byte %d is %d, want %d", i, back[i], want)
				break
			}
		}
		return errors.Join(c.DestroyGraph(g), c.Free(m), c.FreeHost(host))
	})
	if err != nil {
		t.Error(err)
	}
}

func TestMonitor(t *testing.T) {
	d := open(t)
	m, err := NewMonitor(d.Info.PCI)
	if err != nil {
		t.Skipf("needs NVML: %v", err)
	}
	defer m.Close()
	s, err := m.State()
	if err != nil || s.Total < d.Info.Total || s.Used < 0 || s.Used > s.Total {
		t.Errorf("%+v, %v", s, err)
	}
	t.Logf("%+v", s)
}

func TestClosed(t *testing.T) {
	d := open(t)
	d.Close()
	d.Close()
	if err := d.Do(func(*Context) error { return nil }); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("%v", err)
	}
}

// TestProbe: with a device the report has it.
func TestProbe(t *testing.T) {
	d := open(t)
	r := Probe()
	if r.Err != nil || len(r.Devices) == 0 || r.Devices[0].Name != d.Info.Name || r.Devices[0].Free < 1 || r.Version != d.Version {
		t.Errorf("%+v", r)
	}
	t.Logf("%+v", r)
}
