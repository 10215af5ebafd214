package importers

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
)

// mistakesAreErrors makes an error of a panic. Tests turn it off, to see all of it.
var mistakesAreErrors = true

// errMistake is in the chain of errors about panics of ours.
var errMistake = errors.New("this is a mistake in etastar, not in the file; please report it, with the file if you can")

// recovered is deferred where a file is read: runs are read on several goroutines and
// followed outside of a cell, where a panic would end the session. It makes an error
// of one.
func recovered(doing *string, err *error) {
	if !mistakesAreErrors {
		return
	}
	if r := recover(); r != nil {
		_, at := origin()
		*err = fmt.Errorf("%s failed inside (%s: %v): %w", *doing, at, r, errMistake)
	}
}

// origin says which function panicked first, and where in the source; called by a
// function that recovers.
func origin() (function, place string) {
	pcs := make([]uintptr, 256)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	panicking := false
	for more := true; more; {
		var frame runtime.Frame
		frame, more = frames.Next()
		if frame.Function == "runtime.gopanic" {
			panicking = true
		} else if panicking && !strings.HasPrefix(frame.Function, "runtime.") {
			panicking = false
			function, place = frame.Function, fmt.Sprintf("%s:%d", filepath.Base(frame.File), frame.Line)
		}
	}
	return function, place
}
