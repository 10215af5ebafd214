// Package kernels is the math that proxy training runs on: one set of operations,
// recorded as a program and executed by a backend (kernels/cpu; kernels/cuda).
//
// A [Space] declares buffers, a [Recorder] checks a list of operations over them and
// plans their memory, and a [Backend] executes the resulting [Program] any number of
// times for R runs of one shape: R learning rates of a sweep that read the same tokens.
// Every operation therefore has a leading run axis that its description leaves out:
// a buffer of class [Shared] exists once, the others once a run.
//
// Descriptions are plain data. What changes from step to step (learning rates, clipping,
// tokens) lies in buffers, so that a backend may capture a program once and replay it.
//
// The package opens no files and knows no models, schedules or notebooks; it imports
// nothing of the project.
package kernels
