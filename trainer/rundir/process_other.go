//go:build !linux

package rundir

import (
	"errors"
	"os"
	"runtime"
	"syscall"
)

func bootID() string { return "" }

// processStart only finds out whether a process is there: start is "?" or "".
func processStart(pid int) (start string, known bool) {
	if runtime.GOOS == "windows" || pid <= 0 {
		return "", false
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return "", false
	}
	err = p.Signal(syscall.Signal(0))
	if errors.Is(err, os.ErrProcessDone) || errors.Is(err, syscall.Errno(3)) { // ESRCH
		return "", true
	}
	return "?", true
}
