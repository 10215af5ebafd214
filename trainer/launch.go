package trainer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/etastar/etastar/trainer/rundir"
)

// workerLog is the narration of a sweep's workers, in its folder.
const workerLog = "worker.log"

// Launch starts a worker on dir that lives on when this process ends, or one for each GPU
// where there are several: the program at exe is run with the words, the device ("" for
// Auto) and dir, in a session of its own. It returns when the workers have been started.
// The program must call Detach.
func Launch(ctx context.Context, exe string, words []string, device, dir string) error {
	if err := CheckDevice(device); err != nil {
		return err
	}
	devices := every(cmp.Or(device, Auto))
	for _, d := range devices {
		args := append(slices.Clone(words), "--device", d, "--share", strconv.Itoa(len(devices)), "--detach", dir)
		if out, err := exec.CommandContext(ctx, exe, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("start a worker: %w: %s", err, out)
		}
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

// Work trains the runs in dir on a device and returns when none is left. Workers of one
// device take turns at a lock file in the folder turns: each uses all of it. It is one of
// share workers that train runs of one shape side by side.
func Work(ctx context.Context, dir, word string, share int, turns string) (err error) {
	say := func(format string, args ...any) {
		fmt.Printf("%s "+format+"\n", append([]any{time.Now().Format(time.DateTime)}, args...)...)
	}
	name, why, err := choose(word)
	if err != nil {
		return err
	}
	if why != "" {
		say("%s", why)
	}
	if err := os.MkdirAll(turns, 0o700); err != nil {
		return err
	}
	release, err := rundir.Turn(ctx, filepath.Join(turns, strings.Replace(name, ":", "", 1)+".lock"), func() {
		say("another sweep trains on %s: waiting for its end", name)
	})
	if err != nil {
		return err
	}
	defer release()
	d, err := openDevice(name)
	if err != nil && name != CPU && (word == Auto || word == "") {
		// One that is too old, say, is no reason not to train.
		say("%v: training on the processor", err)
		return Work(ctx, dir, CPU, share, turns)
	}
	if err != nil {
		return leave(dir, share, err)
	}
	defer func() { err = errors.Join(err, d.close()) }()
	for _, n := range d.notes {
		say("%s", n)
	}
	err = (&Worker{Backend: d.backend, Log: os.Stdout, MaxBytes: d.budget, Gauge: d.gauge, Share: share}).Train(ctx, dir)
	if errors.Is(err, context.Canceled) {
		return nil // told to end; the checkpoints are written
	}
	if err != nil {
		return leave(dir, share, err)
	}
	return nil
}

// leave records for runs that wait their turn why their only worker ends without having
// taken them up, and returns that. Others that share them may still come to them.
func leave(dir string, share int, why error) error {
	if share > 1 {
		return why
	}
	for _, s := range rundir.List(dir) {
		if s.Problem != "" || s.Newer > 0 || s.Status.State != rundir.Queued {
			continue
		}
		out, err := rundir.Open(s.Dir)
		if errors.Is(err, rundir.ErrLocked) {
			continue // another worker has taken it up
		}
		if err == nil {
			if st, _ := out.Status(); st.State == rundir.Queued {
				st.State, st.Reason, st.Resumable = rundir.Interrupted, why.Error(), true
				err = out.SetStatus(st)
			}
			err = errors.Join(err, out.Close())
		}
		if err != nil {
			return errors.Join(why, err)
		}
	}
	return why
}
