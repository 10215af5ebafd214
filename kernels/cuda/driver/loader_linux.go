//go:build linux && (amd64 || arm64)

package driver

import (
	"syscall"

	"github.com/ebitengine/purego"
)

func openLibrary(path string) (uintptr, error) {
	return purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
}

func closeLibrary(lib uintptr) error { return purego.Dlclose(lib) }

func symbol(lib uintptr, name string) (uintptr, error) { return purego.Dlsym(lib, name) }

// call calls a C function. Go memory whose address is converted to uintptr in the
// argument list stays where it is until the function returns.
//
//go:uintptrescapes
func call(fn uintptr, args ...uintptr) uintptr {
	r, _, _ := purego.SyscallN(fn, args...)
	return r
}

// newPage takes zeroed memory outside of the Go heap.
func newPage(n int) ([]byte, error) {
	return syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
}

func freePage(p []byte) error { return syscall.Munmap(p) }
