//go:build !linux || !(amd64 || arm64)

package driver

import (
	"fmt"
	"runtime"
)

func openLibrary(string) (uintptr, error) {
	return 0, fmt.Errorf("the CUDA backend is built for linux/amd64 and linux/arm64, not %s/%s", runtime.GOOS, runtime.GOARCH)
}

func closeLibrary(uintptr) error { return nil }

func symbol(uintptr, string) (uintptr, error) { return openLibrary("") }

func call(uintptr, ...uintptr) uintptr { panic("driver: no library can be open here") }

func newPage(int) ([]byte, error) { panic("driver: no library can be open here") }

func freePage([]byte) error { return nil }
