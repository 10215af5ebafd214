package command

import (
	"os/exec"
	"syscall"
)

// endWithUs has the system end a command whose worker was killed: nobody would read its
// log, and the next worker starts it again. The thread that starts it has to live on.
func endWithUs(cmd *exec.Cmd) { cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM }
