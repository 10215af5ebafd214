package rundir

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// bootID identifies the time since the machine was started.
func bootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
}

// processStart is when a process started, in clock ticks since boot (field 22 of
// /proc/<pid>/stat); "" when there is none. known is false when the system does not say.
func processStart(pid int) (start string, known bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		_, self := os.Stat("/proc/self/stat")
		return "", self == nil
	}
	// The command's name, field 2, may hold anything but ends at the last parenthesis.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 20 {
		return "", false
	}
	if fields[0] == "Z" || fields[0] == "X" { // dead, not yet buried by its parent
		return "", true
	}
	return fields[19], true
}
