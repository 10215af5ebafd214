// Package cpu executes programs of kernels on the processor: one run on one core,
// with no threads and no barriers inside a run.
//
// The bits of a run depend on the program, its data and the instruction set that
// [Backend.Name] tells, and on nothing else: not on how many runs execute together, nor
// on the number of workers. Different instruction sets add in different orders.
//
// A scratch arena belongs to a worker, not to a run, so that R runs need no more of it
// than there are workers.
package cpu
