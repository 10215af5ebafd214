package driver

import "unsafe"

// Stream is a queue of work on the device, Event a point in it, Graph work that was
// captured once and can be replayed.
type (
	Stream uintptr
	Event  uintptr
	Graph  uintptr
)

const (
	streamNonBlocking = 1
	eventDefault      = 0
	captureRelaxed    = 2   // cuBLASLt loads code when it is first needed
	notReady          = 600 // CUDA_ERROR_NOT_READY
)

// NewStream makes a stream that waits for no other. Where the device has to choose, it goes
// on with the work of one that is urgent.
func (c *Context) NewStream(urgent bool) (Stream, error) {
	var s Stream
	priority := int32(0)
	if urgent {
		priority = -1 // lower numbers go first
	}
	if err := c.api.check(call(c.api.streamCreate, uintptr(unsafe.Pointer(&s)), streamNonBlocking, uintptr(priority)), "making a stream"); err != nil {
		return 0, err
	}
	return s, nil
}

// DestroyStream lets go of a stream.
func (c *Context) DestroyStream(s Stream) error {
	return c.api.check(call(c.api.streamDestroy, uintptr(s)), "closing a stream")
}

// Synchronize waits until all work of a stream is done, and returns the error of
// whatever of it failed.
func (c *Context) Synchronize(s Stream) error {
	return c.api.check(call(c.api.streamSync, uintptr(s)), "waiting for the device")
}

// NewEvent makes an event that keeps the time.
func (c *Context) NewEvent() (Event, error) {
	var e Event
	if err := c.api.check(call(c.api.eventCreate, uintptr(unsafe.Pointer(&e)), eventDefault), "making an event"); err != nil {
		return 0, err
	}
	return e, nil
}

// DestroyEvent lets go of an event.
func (c *Context) DestroyEvent(e Event) error {
	return c.api.check(call(c.api.eventDestroy, uintptr(e)), "closing an event")
}

// Record puts an event at the end of a stream.
func (c *Context) Record(e Event, s Stream) error {
	return c.api.check(call(c.api.eventRecord, uintptr(e), uintptr(s)), "marking a point in a stream")
}

// After lets what comes next in a stream wait for an event of another one.
func (c *Context) After(e Event, s Stream) error {
	return c.api.check(call(c.api.streamWait, uintptr(s), uintptr(e), 0), "waiting for another stream")
}

// Wait waits until the device has passed an event; one never recorded counts as passed.
func (c *Context) Wait(e Event) error {
	return c.api.check(call(c.api.eventSync, uintptr(e)), "waiting for the device")
}

// Passed reports whether the device has passed an event.
func (c *Context) Passed(e Event) (bool, error) {
	r := call(c.api.eventQuery, uintptr(e))
	if int32(r) == notReady {
		return false, nil
	}
	return true, c.api.check(r, "asking for the device's progress")
}

// Elapsed is the time between two events that were passed, in milliseconds.
func (c *Context) Elapsed(from, until Event) (float64, error) {
	var ms float32
	err := c.api.check(call(c.api.eventElapsed, uintptr(unsafe.Pointer(&ms)), uintptr(from), uintptr(until)), "asking for a time")
	return float64(ms), err
}

// Capture records what f puts into the stream as a graph instead of executing it, and
// returns its number of nodes.
func (c *Context) Capture(s Stream, f func() error) (g Graph, nodes int, err error) {
	if err := c.api.check(call(c.api.streamCapture, uintptr(s), captureRelaxed), "starting to capture a graph"); err != nil {
		return 0, 0, err
	}
	failed := f()
	var graph uintptr
	err = c.api.check(call(c.api.streamEndCapture, uintptr(s), uintptr(unsafe.Pointer(&graph))), "capturing a graph")
	if failed != nil {
		err = failed
	}
	if graph != 0 {
		defer call(c.api.graphDestroy, graph)
	}
	if err != nil {
		return 0, 0, err
	}
	var n uint64
	if err := c.api.check(call(c.api.graphLen, graph, 0, uintptr(unsafe.Pointer(&n))), "counting a graph's nodes"); err != nil {
		return 0, 0, err
	}
	err = c.api.check(call(c.api.graphInstantiate, uintptr(unsafe.Pointer(&g)), graph, 0), "making a graph of %d nodes ready", n)
	return g, int(n), err
}

// Replay executes a graph in a stream's order.
func (c *Context) Replay(g Graph, s Stream) error {
	return c.api.check(call(c.api.graphLaunch, uintptr(g), uintptr(s)), "starting a graph")
}

// DestroyGraph lets go of a graph.
func (c *Context) DestroyGraph(g Graph) error {
	return c.api.check(call(c.api.graphExecDestroy, uintptr(g)), "closing a graph")
}
