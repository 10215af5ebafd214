package command

import (
	"context"
	"errors"
	"path/filepath"
	"sync"

	"github.com/etastar/etastar/trainer/rundir"
)

// Here reports whether runs of commands are in or below dir.
func Here(dir string) bool {
	for _, s := range rundir.List(dir) {
		if s.Command != nil {
			return true
		}
	}
	return false
}

// Work trains the command runs in and below dir that are not over, as many at once as
// they ask for, and returns when none is left.
func (r *Runner) Work(ctx context.Context, dir string) error {
	tried := map[string]bool{}
	slots := 0
	var free chan int
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	for {
		next := pending(dir, tried)
		if next == nil || ctx.Err() != nil {
			break
		}
		tried[next.Dir] = true
		if free == nil {
			if slots = next.Command.Slots; slots == 0 {
				slots = max(1, r.GPUs)
			}
			free = make(chan int, slots)
			for i := range slots {
				free <- i
			}
		}
		select {
		case <-ctx.Done():
			continue
		case slot := <-free:
			wg.Go(func() {
				defer func() { free <- slot }()
				r.Say("%s: begins", filepath.Base(next.Dir))
				err := r.Run(ctx, next.Dir, slot, slots <= r.GPUs && slots > 1 || r.GPUs == 1)
				switch {
				case errors.Is(err, rundir.ErrLocked):
				case err != nil:
					r.Say("%s: %v", filepath.Base(next.Dir), err)
					mu.Lock()
					failed = append(failed, err)
					mu.Unlock()
				default:
					s := rundir.Read(next.Dir).Status
					r.Say("%s: %s %s", filepath.Base(next.Dir), s.State, s.Reason)
				}
			})
		}
	}
	wg.Wait()
	return errors.Join(failed...)
}

// pending is a run that was not tried and is not over; nil: there is none.
func pending(dir string, tried map[string]bool) *rundir.Summary {
	for _, s := range rundir.List(dir) {
		if s.Command == nil || s.Problem != "" || tried[s.Dir] {
			continue
		}
		switch s.Status.State {
		case rundir.Finished, rundir.Diverged, rundir.Stopped, rundir.Failed:
			continue
		}
		return &s
	}
	return nil
}
