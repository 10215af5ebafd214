//go:build unix

package trainer

import "syscall"

// ownSession keeps signals of the terminal away from a worker.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
