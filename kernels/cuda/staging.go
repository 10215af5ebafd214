package cuda

import (
	"errors"

	"github.com/etastar/etastar/kernels/cuda/driver"
)

// staging is page-locked host memory that writes go through: the caller's memory is
// copied there at once, and from there to the device in the stream's order. There are
// parts so that one can be filled while others are on their way.
//
// Larger writes, such as a batch, come to the device on a stream of their own while what
// was queued before still executes, into room of the same size; in the stream's order they
// go from there to their place, which takes next to no time.
type staging struct {
	memory  [stagingParts][]byte
	room    driver.Memory
	ahead   driver.Stream
	arrived driver.Event               // the last larger write is in its room
	passed  [stagingParts]driver.Event // the device has read all that was put there
	part    int
	used    int
}

const (
	stagingParts = 4
	stagingPart  = 1 << 20
	stagingBytes = stagingParts * stagingPart
	stagingAhead = 16 << 10 // from how many bytes on a write goes ahead
)

func newStaging(c *driver.Context) (*staging, error) {
	s := &staging{}
	err := func() (err error) {
		if s.ahead, err = c.NewStream(false); err != nil {
			return err
		}
		if s.arrived, err = c.NewEvent(); err != nil {
			return err
		}
		if s.room, err = c.Alloc(stagingBytes); err != nil {
			return err
		}
		for i := range s.memory {
			if s.memory[i], err = c.AllocHost(stagingPart); err != nil {
				return err
			}
			if s.passed[i], err = c.NewEvent(); err != nil {
				return err
			}
		}
		return nil
	}()
	if err != nil {
		return nil, errors.Join(err, s.free(c))
	}
	return s, nil
}

func (s *staging) free(c *driver.Context) error {
	var errs []error
	for i, m := range s.memory {
		if s.passed[i] != 0 {
			errs = append(errs, c.DestroyEvent(s.passed[i]))
		}
		if m != nil {
			errs = append(errs, c.FreeHost(m))
		}
	}
	if s.room != 0 {
		errs = append(errs, c.Free(s.room))
	}
	if s.arrived != 0 {
		errs = append(errs, c.DestroyEvent(s.arrived))
	}
	if s.ahead != 0 {
		errs = append(errs, c.DestroyStream(s.ahead))
	}
	*s = staging{}
	return errors.Join(errs...)
}

// take returns up to n bytes, at least 16, that the device no longer reads.
func (s *staging) take(c *driver.Context, n int, stream driver.Stream) ([]byte, error) {
	if stagingPart-s.used < min(n, stagingPart/4) {
		if err := c.Record(s.passed[s.part], stream); err != nil {
			return nil, err
		}
		s.part, s.used = (s.part+1)%stagingParts, 0
		if err := c.Wait(s.passed[s.part]); err != nil {
			return nil, err
		}
	}
	from := s.used
	n = min(n, stagingPart-from)
	s.used = min((from+n+15)/16*16, stagingPart)
	return s.memory[s.part][from : from+n], nil
}

// write puts bytes into device memory.
func (s *staging) write(c *driver.Context, to driver.Memory, from []byte, stream driver.Stream) error {
	for len(from) > 0 {
		part, err := s.take(c, len(from), stream)
		if err != nil {
			return err
		}
		n := copy(part, from)
		if err := s.send(c, to, part[:n], stream); err != nil {
			return err
		}
		to, from = to+driver.Memory(n), from[n:]
	}
	return nil
}

// send brings what was taken last and filled to its place.
func (s *staging) send(c *driver.Context, to driver.Memory, filled []byte, stream driver.Stream) error {
	if len(filled) < stagingAhead {
		return c.CopyIn(to, filled, stream)
	}
	used := (len(filled) + 15) / 16 * 16
	room := s.room + driver.Memory(s.part*stagingPart+s.used-used)
	return errors.Join(
		c.CopyIn(room, filled, s.ahead), c.Record(s.arrived, s.ahead),
		c.After(s.arrived, stream), c.CopyWithin(to, room, len(filled), stream))
}

// read gets bytes from device memory, once all work before is done.
func (s *staging) read(c *driver.Context, to []byte, from driver.Memory, stream driver.Stream) error {
	for {
		part, err := s.take(c, len(to), stream)
		if err != nil {
			return err
		}
		if err := c.CopyOut(part, from, stream); err != nil {
			return err
		}
		if err := c.Synchronize(stream); err != nil {
			return err
		}
		n := copy(to, part)
		if to, from = to[n:], from+driver.Memory(n); len(to) == 0 {
			return nil
		}
	}
}
