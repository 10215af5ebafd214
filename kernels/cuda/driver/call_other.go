//go:build !linux || !amd64

package driver

// callManyAt is 0 where no function with sixteen arguments can be called.
const callManyAt = uintptr(0)
