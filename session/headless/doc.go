// Package headless runs, checks and exports a notebook without a screen: what the
// commands run, check and export do once their flags are parsed.
//
// Standard output carries data only. Errors go to the error stream as
// "nb.md:12:5: message; hint", line and column from 1, columns in characters; what
// the program is doing is told there too, but only to a terminal. Neither carries an
// escape sequence. The notebook's file is never written.
package headless

// Exit codes. Where several would apply, the order is Environment, Usage, Failed, Unmet.
const (
	// OK: every statement ran and every expectation was met.
	OK = 0
	// Failed: a statement failed, or was not finished when time ran out or the run
	// was interrupted.
	Failed = 1
	// Usage: the command asked for something that does not exist, or a statement does
	// not parse or names something unknown.
	Usage = 2
	// Environment: the notebook cannot be read, or an output cannot be written.
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
