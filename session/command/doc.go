// Package command trains the runs of a sweep with a program that is not this one: it
// starts the command of each run directory, so many at once, reads the log with the
// importers while it grows, and writes what it finds into the run directory like any
// trainer. It asks nothing of the program but a log with a loss and an exit code.
//
// It knows no notebook and fits nothing.
package command
