package driver

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unsafe"
)

// Device is an open device with its primary context.
type Device struct {
	Info    Info
	Version int    // of the driver: 12040 is CUDA 12.4
	Library string // where libcuda was found

	mu      sync.Mutex
	context *Context // nil once closed
}

// Context is the calls of a device. It is valid only inside [Device.Do].
type Context struct {
	api    *api
	handle uintptr
	device int32
	// A page outside of the Go heap for what the driver reads through two pointers.
	page []byte
}

// Open starts the driver and opens the device with the given ordinal. The library is looked
// for in the folders alone, or in the usual places where none are given. The error is a
// [*MissingError] without a library and wraps [ErrNoDevice] without a device.
func Open(ordinal int, folders ...string) (*Device, error) {
	a, err := loadAPI(folders)
	if err != nil {
		return nil, err
	}
	if err := a.start(); err != nil {
		return nil, err
	}
	n, err := a.count()
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, noDevice()
	}
	if ordinal < 0 || ordinal >= n {
		return nil, fmt.Errorf("device %d: the driver sees %d, numbered from 0", ordinal, n)
	}
	info, err := a.describe(ordinal)
	if err != nil {
		return nil, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c, err := newContext(a, ordinal)
	if err != nil {
		return nil, err
	}
	return &Device{Info: info, Version: a.version, Library: a.path, context: c}, nil
}

func newContext(a *api, ordinal int) (*Context, error) {
	dev, err := a.device(ordinal)
	if err != nil {
		return nil, err
	}
	page, err := newPage(pageSize)
	if err != nil {
		return nil, fmt.Errorf("a page for kernel arguments: %w", err)
	}
	c := &Context{api: a, device: dev, page: page}
	if err := a.check(call(a.contextRetain, uintptr(unsafe.Pointer(&c.handle)), uintptr(dev)), "making a context on device %d", ordinal); err != nil {
		return nil, errors.Join(err, freePage(page))
	}
	if err := a.check(call(a.contextSet, c.handle), "entering the context of device %d", ordinal); err != nil {
		c.release()
		return nil, err
	}
	return c, nil
}

// release lets go of the context; the driver ends it with its last user.
func (c *Context) release() {
	call(c.api.contextRelease, uintptr(c.device))
	_ = freePage(c.page)
}

// Do runs f with the device's context on the calling thread, which the goroutine keeps
// for as long, and returns its error; one goroutine at a time. It must not be called
// from inside another Do. (Handing f to a thread of the device's own would cost 20 µs a
// call, a tenth of a small step.)
func (d *Device) Do(f func(c *Context) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.context
	if c == nil {
		return fmt.Errorf("device %d is closed", d.Info.Ordinal)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := c.api.check(call(c.api.contextSet, c.handle), "entering the context of device %d", d.Info.Ordinal); err != nil {
		return err
	}
	return f(c)
}

// Close lets go of the device. What was allocated must have been freed before.
func (d *Device) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.context != nil {
		d.context.release()
		d.context = nil
	}
}
