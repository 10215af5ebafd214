//go:build !unix

package trainer

import "syscall"

// ownSession is nothing where there are no sessions: the worker still outlives who
// started it.
func ownSession() *syscall.SysProcAttr { return nil }
