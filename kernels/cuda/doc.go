// Package cuda executes programs of package kernels on one NVIDIA GPU of compute
// capability 8.0 or later. It needs the driver's library at run time and nothing to
// build: no cgo, no CUDA toolkit; the kernels are embedded as PTX, which the driver
// compiles for the card.
//
// All runs of a machine execute in the same launches: the grid has a slot for every
// active run, and a run that is taken out costs nothing. A program is captured once as a
// graph and replayed; in it what gives parameters their gradients goes on beside what the
// next operations wait for (beside.go).
//
// Weights and their gradients, moments, the residual stream, statistics and router
// probabilities are float32, matrix products take bfloat16 and add in float32; gradients of
// activations, that of the residual stream too, are bfloat16 between operations. Two
// operations are one kernel where the second can take the first's result from registers
// (fuse.go). Large products go to cuBLASLt where it is found and the card's generation has
// no kernels of its own here.
//
// Which buffer lies in memory as what follows from the operations that use it; per-run
// buffers always exist in float32, so that reading and writing them is exact, and have a
// bfloat16 copy where a product reads them. Reductions have a fixed order, and none depends
// on the number of runs: a run has the same bits alone and with others, on one kind of card.
package cuda

//go:generate go run ./gen
