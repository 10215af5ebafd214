package rundir

import (
	"context"
	"errors"
	"time"
)

// Turn waits until this process alone holds the lock file at path: workers that share a
// machine's cores take turns. waits is called once when it is not free at once.
func Turn(ctx context.Context, path string, waits func()) (release func(), err error) {
	for {
		release, err := lock(path)
		if !errors.Is(err, ErrLocked) {
			return release, err
		}
		if waits != nil {
			waits()
			waits = nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second / 4):
		}
	}
}
