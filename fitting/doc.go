// Package fitting turns measured losses into learning rates: it fits the loss
// against ln η of each cell of a sweep, fits a law η*(N, D, …) through the
// vertices, and predicts η* at a target with an interval, a near-optimal band
// and the loss that another η would cost.
//
// Symbols follow the literature: N parameters, D training tokens, B tokens per
// optimizer step, C training FLOPs, η the peak learning rate, η* its optimum.
// Every logarithm is natural.
//
// Numbers in, numbers out. The package reads no files, draws nothing, knows no
// notebook and imports nothing else of the project. It never averages in a
// diverged run, never reports a vertex where the data only give a bound, and
// never drops a run without counting it.
package fitting
