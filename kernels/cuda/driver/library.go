package driver

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"unsafe"
)

// MissingError says that a library could not be opened, and where it was looked for.
type MissingError struct {
	Library string   // file name, such as libcuda.so.1
	Tried   []string // every place, with what the loader said of it
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s was not found: %s", e.Library, strings.Join(e.Tried, "; "))
}

// library is an open shared library.
type library struct {
	handle uintptr
	path   string
}

// usualFolders are where the driver's libraries lie that the loader may not know of:
// Windows' subsystem for Linux, and containers that mount the driver.
var usualFolders = []string{
	"/usr/lib/wsl/lib", "/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/run/opengl-driver/lib",
	"/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64",
}

// find opens a library: from the given folders alone, or, without any, as the system's
// loader finds it, then from the usual folders.
func find(name string, folders []string) (library, error) {
	missing := &MissingError{Library: name}
	var paths []string
	for _, f := range folders {
		paths = append(paths, filepath.Join(f, name))
	}
	if len(folders) == 0 {
		paths = []string{name}
		for _, f := range usualFolders {
			paths = append(paths, filepath.Join(f, name))
		}
	}
	for _, p := range paths {
		h, err := openLibrary(p)
		if err == nil {
			return library{h, p}, nil
		}
		place := p
		if p == name {
			place = "the system's loader"
		}
		missing.Tried = append(missing.Tried, fmt.Sprintf("%s (%s)", place, reason(err)))
		if runtime.GOOS != "linux" {
			break
		}
	}
	return library{}, missing
}

// reason is what the loader said without the path, which stands before it.
func reason(err error) string {
	s := err.Error()
	if i := strings.LastIndex(s, ": "); i >= 0 {
		s = s[i+2:]
	}
	return s
}

// entry binds a name of a library to where its address goes.
type entry struct {
	at       *uintptr
	name     string
	optional bool
}

func (l library) bind(entries []entry) error {
	for _, e := range entries {
		p, err := symbol(l.handle, e.name)
		if err != nil && !e.optional {
			return errors.Join(fmt.Errorf("%s has no function %s: the driver is too old", l.path, e.name), closeLibrary(l.handle))
		}
		*e.at = p
	}
	return nil
}

// text reads a C string.
func text(p *byte) string {
	if p == nil {
		return ""
	}
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(p, n))
}

// trimmed is the text in a buffer up to its first zero.
func trimmed(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}

// cstring is a Go string with a zero at its end.
func cstring(s string) *byte { return &append([]byte(s), 0)[0] }
