//go:build unix

package command

import (
	"errors"
	"os/exec"
	"syscall"
)

// ownGroup makes a command the leader of a process group, so that what it starts is
// reached with it.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endWithUs(cmd)
}

// signal sends a signal to the command and all that it started.
func signal(cmd *exec.Cmd, s syscall.Signal) error {
	if err := syscall.Kill(-cmd.Process.Pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

func pause(cmd *exec.Cmd) error     { return signal(cmd, syscall.SIGSTOP) }
func resume(cmd *exec.Cmd) error    { return signal(cmd, syscall.SIGCONT) }
func terminate(cmd *exec.Cmd) error { return signal(cmd, syscall.SIGTERM) }
func kill(cmd *exec.Cmd) error      { return signal(cmd, syscall.SIGKILL) }
