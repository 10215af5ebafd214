// Package headless runs, checks and exports a notebook without a screen, and lists and
// steers training runs: what the commands run, check, export and runs do once their
// flags are parsed.
//
// Standard output carries data only. Errors go to the error stream as
// "nb.md:12:5: message; hint", line and column from 1, columns in characters; what
// the program is doing is told there too, but only to a terminal. Neither carries an
// escape sequence. The notebook's file is never written.
//
// # Runs as JSON
//
// This is a stable interface: fields are added, never renamed or given another meaning.
// [Runs] with JSON writes an array with one object for every run, those of a sweep
// together, all fields always there:
//
//	sweep, name   its sweep and its own name
//	dir           its directory, below the folder that was asked for
//	state         "queued", "running", "paused", "finished", "diverged", "stopped",
//	              "failed", "interrupted" (said to train, and its process is gone) or
//	              "unreadable"; as it is now, not as it was last written
//	stale         said to train, and not heard of for two minutes
//	lr            peak learning rate
//	step, steps   optimizer steps done, and at the horizon
//	tokens        trained on so far
//	loss          of the last step's batch, nats per token
//	val_loss, val_se
//	              the last validation loss and its standard error
//	tokens_per_s  speed of this run
//	elapsed_s     training time so far in seconds, pauses not counted
//	checkpoint    step of the last checkpoint; 0: none
//	resumable     whether it could go on where it is
//	reason        why it ended or what it waits for; "" when there is nothing to say
//	problem       why it cannot be read; "" when it can
//
// A number that was not measured or is not finite is null.
package headless

// Exit codes. Where several would apply, the order is Environment, Usage, Failed, Unmet.
const (
	// OK: every statement ran and every expectation was met.
	OK = 0
	// Failed: a statement failed, or was not finished when time ran out or the run
	// was interrupted; there was no run to ask or to start, or one refused.
	Failed = 1
	// Usage: the command asked for something that does not exist, or a statement does
	// not parse or names something unknown.
	Usage = 2
	// Environment: the notebook or a folder of runs cannot be read, an output cannot be
	// written, or a worker cannot be started.
	Environment = 3
	// Unmet: every statement ran, but an expectation was not met.
	Unmet = 4
)

// worse returns the exit code that goes before the other.
func worse(a, b int) int {
	order := [...]int{OK: 0, Unmet: 1, Failed: 2, Usage: 3, Environment: 4}
	if order[b] > order[a] {
		return b
	}
	return a
}
