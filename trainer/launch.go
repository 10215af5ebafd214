package trainer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/etastar/etastar/kernels/cpu"
	"github.com/etastar/etastar/trainer/rundir"
)

// workerLog is the narration of a sweep's workers, in its folder.
const workerLog = "worker.log"

// Launch starts a worker on dir that lives on when this process ends: the program at
// exe is run with the words before it and dir behind, in a session of its own. It
// returns when the worker has been started. The program must call Detach.
func Launch(ctx context.Context, exe string, words []string, dir string) error {
	cmd := exec.CommandContext(ctx, exe, append(words, "--detach", dir)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("start a worker: %w: %s", err, out)
	}
	return nil
}

// Detach starts the program at exe once more with the given words, in a session of its
// own and with its output in dir/worker.log, and returns at once. The caller then ends,
// so that the worker is nobody's child and closing a terminal does not reach it.
func Detach(exe string, words []string, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(dir, workerLog), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(exe, words...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = ownSession()
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

// Work trains the runs in dir on this machine's processor and returns when none is left.
// Workers on one machine take turns at the lock file turn: each uses every core.
func Work(ctx context.Context, dir, turn string) error {
	backend, err := cpu.New(cpu.Options{})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(turn), 0o700); err != nil {
		return err
	}
	release, err := rundir.Turn(ctx, turn, func() {
		fmt.Printf("%s another sweep trains on this machine: waiting for its end\n", time.Now().Format(time.DateTime))
	})
	if err != nil {
		return err
	}
	defer release()
	err = (&Worker{Backend: backend, Log: os.Stdout, MaxBytes: memoryBudget()}).Train(ctx, dir)
	if errors.Is(err, context.Canceled) {
		return nil // told to end; the checkpoints are written
	}
	return err
}
