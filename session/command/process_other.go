//go:build !unix

package command

import (
	"errors"
	"os/exec"
)

func ownGroup(*exec.Cmd) {}

var errPause = errors.New("this system cannot pause a program")

func pause(*exec.Cmd) error         { return errPause }
func resume(*exec.Cmd) error        { return errPause }
func terminate(cmd *exec.Cmd) error { return cmd.Process.Kill() }
func kill(cmd *exec.Cmd) error      { return cmd.Process.Kill() }
