//go:build linux

package driver

// callManyAt is the address of callMany, as C code calls it.
var callManyAt uintptr
