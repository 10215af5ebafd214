package command

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/etastar/etastar/trainer/health"
	"github.com/etastar/etastar/trainer/rundir"
)

// OutputFile is what a command prints, in its run directory.
const OutputFile = "output.log"

const (
	// grace is how long a command may take to end after it was told to.
	grace = 30 * time.Second
	// heartbeat is how often the status says that the command lives.
	heartbeat = 10 * time.Second
	// idle bounds what reading logs costs: a look is followed by idle times its time.
	idle = 50
)

// Runner trains command runs.
type Runner struct {
	GPUs int           // of the machine: each slot sees one, if there are as many
	Poll time.Duration // how often logs and requests are looked at; 0: a second
	Say  func(format string, args ...any)
}

// exit is how a command ended; nil is well.
type exit struct{ err error }

// one is a run in training.
type one struct {
	*Runner
	w      *rundir.Writer
	c      *rundir.Command
	slot   int
	gpus   bool // the slot is a GPU
	status rundir.Status
	log    reader
	health *health.Detector
	cmd    *exec.Cmd
	done   chan exit
	begun  time.Time
	held   string // why the loss counts as diverged
	val    bool   // a loss on held-out data was logged
}

// Run trains the run in dir and records how it ended. The error is about what kept it
// from being tried: a run that fails is recorded, which is no error.
func (r *Runner) Run(ctx context.Context, dir string, slot int, gpus bool) error {
	w, err := rundir.Open(dir)
	if err != nil {
		return err
	}
	defer w.Close()
	if w.Command() == nil {
		return fmt.Errorf("%s is no run of a command", dir)
	}
	o := &one{Runner: r, w: w, c: w.Command(), slot: slot, gpus: gpus, health: health.NewDetector(health.DefaultRule())}
	o.status, _ = w.Status()
	for attempt := 0; ; attempt++ {
		again, err := o.try(ctx, attempt < o.c.Retries)
		if err != nil || !again {
			return err
		}
		r.Say("%s: %s; started again (%d of %d)", filepath.Base(dir), o.status.Reason, attempt+1, o.c.Retries)
	}
}

// values are what placeholders stand for that only the start knows.
func (o *one) values() map[string]string {
	dir, err := filepath.Abs(o.w.Dir())
	if err != nil {
		dir = o.w.Dir()
	}
	return map[string]string{"run": dir, "gpu": strconv.Itoa(o.slot), "port": strconv.Itoa(freePort())}
}

// freePort is a port that nobody listens on, for the rendezvous of a launcher: two of
// them on one machine must not meet.
func freePort() int {
	const usual = 29500
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return usual
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// try starts the command and sees it through. again says that it failed and may be
// tried once more.
func (o *one) try(ctx context.Context, retry bool) (again bool, err error) {
	values := o.values()
	args := Fill(o.c.Args, values)
	goesOn := o.status.Step > 0 && len(o.c.Resume) > 0
	if goesOn {
		args = append(args, Fill(o.c.Resume, values)...)
	}
	output := filepath.Join(o.w.Dir(), OutputFile)
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if !goesOn {
		flags |= os.O_TRUNC // from the beginning: what it printed before is of no run
	}
	out, err := os.OpenFile(output, flags, 0o600)
	if err != nil {
		return false, err
	}
	defer out.Close()
	o.log = reader{path: output, batch: o.c.Batch}
	if o.c.Log != "" {
		o.log.path = Fill([]string{o.c.Log}, values)[0]
		if !filepath.IsAbs(o.log.path) {
			o.log.path = filepath.Join(o.c.Folder, o.log.path)
		}
	}
	o.cmd = exec.Command(args[0], args[1:]...)
	o.cmd.Dir, o.cmd.Stdout, o.cmd.Stderr = o.c.Folder, out, out
	o.cmd.Env = append(os.Environ(), Fill(o.c.Env, values)...)
	o.cmd.Env = append(o.cmd.Env, "PYTHONUNBUFFERED=1")
	if o.gpus {
		o.cmd.Env = append(o.cmd.Env, "CUDA_VISIBLE_DEVICES="+strconv.Itoa(o.slot))
	}
	ownGroup(o.cmd)
	if err := o.start(); err != nil {
		return false, o.end(rundir.Failed, fmt.Sprintf("it could not be started: %v", err))
	}
	o.begun = time.Now()
	o.status.State, o.status.Reason, o.status.Resumable = rundir.Running, "", true
	if o.gpus {
		o.status.Device = fmt.Sprintf("cuda:%d", o.slot)
	}
	if err := o.beat(); err != nil {
		return false, errors.Join(err, o.stop())
	}
	state, reason, err := o.watch(ctx, output)
	if err != nil {
		return false, errors.Join(err, o.stop())
	}
	if state == rundir.Failed && retry && ctx.Err() == nil {
		o.status.Reason = reason
		return true, nil
	}
	return false, o.end(state, reason)
}

// start starts the command on a thread that lives until it has ended.
func (o *one) start() error {
	started := make(chan error)
	o.done = make(chan exit, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := o.cmd.Start()
		started <- err
		if err == nil {
			o.done <- exit{o.cmd.Wait()}
		}
	}()
	return <-started
}

// stop ends the command: politely, then not.
func (o *one) stop() error {
	_ = resume(o.cmd) // one that is held cannot end
	err := terminate(o.cmd)
	select {
	case <-o.done:
	case <-time.After(grace):
		err = kill(o.cmd)
		<-o.done
	}
	return errors.Join(err, kill(o.cmd)) // what it started and left
}

// watch looks after the command until it ends.
func (o *one) watch(ctx context.Context, output string) (state rundir.State, reason string, err error) {
	poll := o.Poll
	if poll == 0 {
		poll = time.Second
	}
	beat, next := time.Now(), time.Time{}
	paused := false
	for {
		select {
		case ended := <-o.done:
			_ = kill(o.cmd) // what it started and left
			if err := o.look(ctx); err != nil {
				return "", "", err
			}
			state, reason = o.judge(ended.err, output)
			return state, reason, nil
		case <-ctx.Done():
			_ = o.stop()
			return rundir.Interrupted, "its worker was told to end", o.look(context.WithoutCancel(ctx))
		case <-time.After(poll):
		}
		if now := time.Now(); now.After(next) {
			if err := o.look(ctx); err != nil {
				return "", "", err
			}
			next = time.Now().Add(idle * time.Since(now))
		}
		if o.held != "" {
			_ = o.stop()
			return rundir.Diverged, o.held, nil
		}
		if c, fresh := o.w.Control(); fresh {
			switch {
			case c.Request == rundir.Stop:
				_ = o.stop()
				return rundir.Stopped, "stopped by " + c.By, o.look(ctx)
			case c.Request == rundir.Pause && !paused && pause(o.cmd) == nil:
				paused, o.status.State, o.status.Reason = true, rundir.Paused, "paused by "+c.By+"; its memory stays taken"
				beat = time.Time{}
			case c.Request == rundir.Resume && paused && resume(o.cmd) == nil:
				paused, o.status.State, o.status.Reason = false, rundir.Running, ""
				beat = time.Time{}
			}
		}
		if !paused {
			quiet := time.Since(latest(o.begun, modified(output), modified(o.log.path)))
			if limit := time.Duration(o.c.Silence * float64(time.Second)); limit > 0 && quiet > limit {
				_ = o.stop()
				return rundir.Failed, fmt.Sprintf("it said nothing for %s", quiet.Round(time.Second)), nil
			}
			o.status.Reason = ""
			if quiet > quietAfter {
				o.status.Reason = fmt.Sprintf("it has said nothing for %s", quiet.Round(time.Minute))
			}
		}
		if time.Since(beat) > heartbeat {
			beat = time.Now()
			if err := o.beat(); err != nil {
				return "", "", err
			}
		}
	}
}

// quietAfter is when silence is worth a word.
const quietAfter = 10 * time.Minute

func latest(times ...time.Time) time.Time {
	var t time.Time
	for _, o := range times {
		if o.After(t) {
			t = o
		}
	}
	return t
}

// look takes new steps from the log into the run directory.
func (o *one) look(ctx context.Context) error {
	events := o.log.look(ctx)
	for _, e := range events {
		e.Elapsed = rundir.Number(time.Since(o.begun).Seconds())
		if err := o.w.Append(e); err != nil {
			return err
		}
		s := &o.status
		s.Step, s.Tokens = e.Step, e.Tokens
		if o.c.Tokens > 0 && o.c.Batch > 0 {
			s.Steps = int64(o.c.Tokens / o.c.Batch)
		}
		if e.Loss != 0 {
			s.Loss = e.Loss
			if why := o.health.Add(float64(e.Loss)); why != "" && o.held == "" {
				o.held = why
			}
		}
		if e.Val != 0 {
			s.Val, o.val = e.Val, true
			if finite(float64(e.Val)) && (s.Best == nil || e.Val < s.Best.Val) {
				s.Best = &rundir.Best{Step: e.Step, Val: e.Val}
			}
		}
	}
	if len(events) > 0 {
		return o.beat()
	}
	return nil
}

func (o *one) beat() error {
	s := o.status
	s.Elapsed = rundir.Number(time.Since(o.begun).Seconds())
	if s.Tokens > 0 && s.Elapsed > 0 {
		s.Rate = rundir.Number(float64(s.Tokens) / float64(s.Elapsed))
	}
	s.Heartbeat = time.Now()
	return o.w.SetStatus(s)
}

// judge says how a command ended that ended by itself.
func (o *one) judge(exit error, output string) (rundir.State, string) {
	if o.held != "" || !finite(float64(o.status.Loss)) {
		why := o.held
		if why == "" {
			why = "its last loss is not finite"
		}
		return rundir.Diverged, why
	}
	if exit != nil {
		reason := exit.Error()
		if line := lastLine(output); line != "" {
			reason += ": " + line
		}
		return rundir.Failed, reason
	}
	if o.status.Loss == 0 && o.status.Val == 0 {
		return rundir.Failed, fmt.Sprintf("it ended well, but no loss was found in %s: say log= where it logs", filepath.Base(o.log.path))
	}
	if !o.val {
		o.status.Val = rundir.Number(o.smoothed())
		return rundir.Finished, "its loss is that on training data, the mean of the last logged: no other was logged"
	}
	return rundir.Finished, ""
}

// smoothed is the mean of the last training losses.
func (o *one) smoothed() float64 {
	const window = 10
	events, _, err := rundir.ReadEvents(o.w.Dir())
	if err != nil {
		return float64(o.status.Loss)
	}
	sum, n := 0.0, 0
	for i := len(events) - 1; i >= 0 && n < window; i-- {
		if v := float64(events[i].Loss); v != 0 && finite(v) {
			sum, n = sum+v, n+1
		}
	}
	if n == 0 {
		return math.NaN()
	}
	return sum / float64(n)
}

func (o *one) end(state rundir.State, reason string) error {
	o.status.State, o.status.Reason = state, strings.TrimSpace(reason)
	o.status.Resumable = state != rundir.Finished && state != rundir.Diverged
	if o.status.Steps == 0 || state == rundir.Finished {
		o.status.Steps = o.status.Step
	}
	return o.beat()
}
