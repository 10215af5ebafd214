// Package driver is the part of NVIDIA's driver interface (libcuda) that the CUDA
// backend uses, and of its management library (NVML) that the display uses, called
// without cgo: the libraries are opened at run time, so that one binary runs on machines
// with and without a GPU and can say what is missing.
//
// What belongs to a device happens inside [Device.Do], which holds the calling thread in
// the device's context and hands the function the [Context] whose methods are the calls:
// they cannot be reached anywhere else, nor by two goroutines at once. No Go memory is ever given to an
// asynchronous copy: such copies go through memory of [Context.AllocHost].
package driver
