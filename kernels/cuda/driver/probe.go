package driver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Report is what a machine has of what the backend can use, and where it was looked
// for. A part that is missing has its error instead.
type Report struct {
	Library string // libcuda
	Version int    // of the driver: 12040 is CUDA 12.4; 0 unknown
	Devices []Found
	Err     error // why there is no device to use

	NVML    string
	NVMLErr error

	// BLAS lists the cuBLASLt libraries that exist, the one that would be taken first;
	// Looked is where they were looked for.
	BLAS   []string
	Looked []string
}

// Found is a device and its free memory in bytes, -1 where that could not be told, with
// the state of the card where NVML tells it.
type Found struct {
	Info
	Free  int64
	State *State
	Err   error
}

// Probe looks for the driver, its devices, NVML and cuBLASLt. With folders, libcuda and
// NVML are looked for there alone. It takes a context on each device, for a moment.
func Probe(folders ...string) Report {
	var r Report
	r.BLAS, r.Looked = findBLAS()
	if lib, err := find("libnvidia-ml.so.1", folders); err != nil {
		r.NVMLErr = err
	} else {
		r.NVML = lib.path
		_ = closeLibrary(lib.handle)
	}
	a, err := loadAPI(folders)
	if err != nil {
		r.Err = err
		return r
	}
	r.Library = a.path
	if r.Err = a.start(); r.Err != nil {
		return r
	}
	r.Version = a.version
	n, err := a.count()
	if err == nil && n == 0 {
		err = noDevice()
	}
	r.Err = err
	for i := range n {
		f := Found{Free: -1}
		if f.Info, f.Err = a.describe(i); f.Err == nil {
			f.Free, f.Err = freeMemory(i, folders)
		}
		f.Ordinal = i
		if m, err := NewMonitor(f.PCI, folders...); err == nil {
			if s, err := m.State(); err == nil {
				f.State = &s
			}
			m.Close()
		} else if r.NVMLErr == nil {
			r.NVMLErr = err
		}
		r.Devices = append(r.Devices, f)
	}
	return r
}

func freeMemory(ordinal int, folders []string) (int64, error) {
	d, err := Open(ordinal, folders...)
	if err != nil {
		return -1, err
	}
	defer d.Close()
	free := int64(-1)
	err = d.Do(func(c *Context) (err error) {
		free, _, err = c.MemInfo()
		return err
	})
	return free, err
}

// blasNames are the versions of cuBLASLt, newest first.
var blasNames = []string{"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so.11"}

// findBLAS lists the files of cuBLASLt, by its version and then by where: what the
// loader finds by itself first, then CUDA's own folders, conda's, and pip's.
func findBLAS() (found, looked []string) {
	for _, pattern := range blasFolders() {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			continue
		}
		looked = append(looked, pattern)
		for _, folder := range matches {
			for _, name := range blasNames {
				p := filepath.Join(folder, name)
				if _, err := os.Stat(p); err == nil && !slices.Contains(found, p) {
					found = append(found, p)
				}
			}
		}
	}
	for _, name := range blasNames {
		if h, err := openLibrary(name); err == nil {
			found = append(found, name)
			_ = closeLibrary(h)
		}
	}
	rank := func(p string) int { return slices.Index(blasNames, filepath.Base(p)) }
	slices.SortStableFunc(found, func(a, b string) int { return rank(a) - rank(b) })
	return found, append([]string{"the system's loader"}, looked...)
}

func blasFolders() []string {
	var list []string
	add := func(root string, rest ...string) {
		if root != "" {
			list = append(list, filepath.Join(append([]string{root}, rest...)...))
		}
	}
	for _, f := range filepath.SplitList(os.Getenv("LD_LIBRARY_PATH")) {
		add(f)
	}
	for _, v := range []string{"CUDA_HOME", "CUDA_PATH"} {
		add(os.Getenv(v), "lib64")
		add(os.Getenv(v), "targets", "*", "lib")
	}
	list = append(list, "/usr/local/cuda*/targets/*/lib", "/usr/local/cuda*/lib64")
	add(os.Getenv("CONDA_PREFIX"), "lib")
	// pip's wheels: one folder a component up to CUDA 12, nvidia/cu13 from 13 on.
	var prefixes []string
	for _, v := range []string{"VIRTUAL_ENV", "CONDA_PREFIX"} {
		if p := os.Getenv(v); p != "" {
			prefixes = append(prefixes, p)
		}
	}
	if home, err := os.UserHomeDir(); err == nil {
		prefixes = append(prefixes, filepath.Join(home, ".local"))
	}
	for _, p := range append(prefixes, "/usr/local", "/usr") {
		for _, site := range []string{"site-packages", "dist-packages"} {
			base := filepath.Join(p, "lib", "python3*", site, "nvidia")
			list = append(list, filepath.Join(base, "*", "lib"))
		}
	}
	return list
}

func noDevice() error {
	return &Error{Code: ErrNoDevice.Code, Name: ErrNoDevice.Name, Text: "the driver sees no device", Doing: "counting devices"}
}

// Missing reports whether an error says that this machine simply has no usable GPU: no
// library, or no device. Anything else is worth telling a user who did not ask for one.
func Missing(err error) bool {
	var m *MissingError
	return errors.As(err, &m) || errors.Is(err, ErrNoDevice)
}

// CUDA writes a driver's version as CUDA does: 12040 is 12.4.
func CUDA(version int) string { return fmt.Sprintf("%d.%d", version/1000, version%1000/10) }
