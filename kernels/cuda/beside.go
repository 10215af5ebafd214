package cuda

import (
	"slices"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/cuda/driver"
)

// window is the number of steps after which a launch beside the others is waited for at the
// latest: what it uses stays in memory until then.
const window = 16

// hold is memory that launches beside the others use until a step begins.
type hold struct {
	step, until int
	roots       []kernels.Buffer
}

// beside says that nothing waits for the launches that follow in this step, which are a
// product's or a sum's for a parameter's gradient: they go into a second stream until a
// step comes that writes what they read, or touches what they write.
func (c *compiler) beside(reads []kernels.Buffer, write ...kernels.Buffer) {
	if c.target.inOrder || c.phase == asking {
		return
	}
	until := c.step + 1
	for until < len(c.to.steps) && until < c.step+window && !slices.ContainsFunc(c.to.steps[until].accesses, func(a kernels.Access) bool {
		same := func(b kernels.Buffer) bool { return b != 0 && c.root(b) == c.root(a.Buffer) }
		return slices.ContainsFunc(write, same) || a.Write && slices.ContainsFunc(reads, same)
	}) {
		until++
	}
	if until == c.step+1 {
		return
	}
	h := hold{step: c.step, until: until}
	for _, b := range append(slices.Clone(reads), write...) {
		if b != 0 {
			h.roots = append(h.roots, c.root(b))
		}
	}
	c.to.holds, c.until = append(c.to.holds, h), until
}

// isBeside reports whether launches of this step beside the others touch a buffer.
func (c *compiler) isBeside(b kernels.Buffer) bool {
	return slices.ContainsFunc(c.to.holds, func(h hold) bool { return h.step == c.step && slices.Contains(h.roots, c.root(b)) })
}

// fork keeps the order between a program's stream and the one beside it while both are
// captured.
type fork struct {
	d          *driver.Context
	main, side driver.Stream
	events     []driver.Event
	open       []open
	ahead      bool // main has launches that side does not wait for
}

// open is a launch of side that main has not waited for.
type open struct {
	until int
	event driver.Event
}

// before returns the stream of a launch, which then has its place in the order.
func (f *fork) before(l *launch) (driver.Stream, error) {
	if f.side == 0 || l.until == 0 {
		f.ahead = true
		return f.main, f.join(l.step)
	}
	if f.ahead {
		f.ahead = false
		e, err := f.mark(f.main)
		if err != nil {
			return 0, err
		}
		if err := f.d.After(e, f.side); err != nil {
			return 0, err
		}
	}
	return f.side, nil
}

// after notes a launch.
func (f *fork) after(l *launch) error {
	if f.side == 0 || l.until == 0 {
		return nil
	}
	e, err := f.mark(f.side)
	f.open = append(f.open, open{l.until, e})
	return err
}

// join lets main wait for all that must be done before a step.
func (f *fork) join(step int) error {
	for i := len(f.open) - 1; i >= 0; i-- {
		if f.open[i].until <= step {
			e := f.open[i].event
			f.open = f.open[i+1:]
			return f.d.After(e, f.main)
		}
	}
	return nil
}

func (f *fork) mark(s driver.Stream) (driver.Event, error) {
	e, err := f.d.NewEvent()
	if err != nil {
		return 0, err
	}
	f.events = append(f.events, e)
	return e, f.d.Record(e, s)
}

// close lets go of the events, once the capture is over.
func (f *fork) close() error {
	for _, e := range f.events {
		if err := f.d.DestroyEvent(e); err != nil {
			return err
		}
	}
	return nil
}
