// Package simd holds the inner loops of the CPU backend: a GEMM and the loops over
// slices that a training step spends its time in, each for AVX2, AVX-512 and portable Go.
//
// It knows nothing of runs, programs or buffers, and starts no goroutine. The same
// call on the same Set gives the same bits every time; different Sets may differ in
// the last bits, since they add in different orders.
package simd

//go:generate go run gen/main.go gen/emit.go gen/loop.go gen/vector.go gen/matrix.go
