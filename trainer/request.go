package trainer

import (
	"errors"

	"github.com/etastar/etastar/trainer/rundir"
)

// Request passes a request on to a run: to its worker when it trains or is paused. One
// that waits its turn can only be stopped, which happens at once. asked is false when
// there is nothing that the request could change.
func Request(dir string, r rundir.Request, by string) (asked bool, err error) {
	s := rundir.Read(dir)
	switch {
	case s.Status.State == rundir.Running, s.Status.State == rundir.Paused:
		return true, rundir.Ask(dir, r, by)
	case r != rundir.Stop, s.Problem != "", s.Started && s.Status.State != rundir.Queued:
		return false, nil
	}
	out, err := rundir.Open(dir)
	if errors.Is(err, rundir.ErrLocked) {
		return true, rundir.Ask(dir, r, by) // a worker took it up just now
	}
	if err != nil {
		return false, err
	}
	st, _ := out.Status()
	st.State, st.Reason, st.Resumable = rundir.Stopped, "stopped by "+by, true
	return true, errors.Join(out.SetStatus(st), out.Close())
}
