package driver

import "unsafe"

// Memory is an address on the device.
type Memory uint64

// Alloc takes bytes of device memory; the error wraps [ErrOutOfMemory] where there are
// not enough.
func (c *Context) Alloc(bytes int64) (Memory, error) {
	var p Memory
	if err := c.api.check(call(c.api.memAlloc, uintptr(unsafe.Pointer(&p)), uintptr(bytes)), "allocating %d bytes on the device", bytes); err != nil {
		return 0, err
	}
	return p, nil
}

// Free gives device memory back.
func (c *Context) Free(m Memory) error {
	return c.api.check(call(c.api.memFree, uintptr(m)), "freeing device memory")
}

// MemInfo is the free and all memory of the device, in bytes.
func (c *Context) MemInfo() (free, total int64, err error) {
	var f, t uint64
	err = c.api.check(call(c.api.memInfo, uintptr(unsafe.Pointer(&f)), uintptr(unsafe.Pointer(&t))), "asking for free memory")
	return int64(f), int64(t), err
}

// AllocHost takes host memory that the device can copy from and to while the program
// goes on. It is outside of the Go heap; free it with FreeHost.
func (c *Context) AllocHost(bytes int) ([]byte, error) {
	var p unsafe.Pointer
	if err := c.api.check(call(c.api.hostAlloc, uintptr(unsafe.Pointer(&p)), uintptr(bytes), 0), "allocating %d bytes of page-locked memory", bytes); err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(p), bytes), nil
}

// FreeHost gives memory of AllocHost back.
func (c *Context) FreeHost(b []byte) error {
	return c.api.check(call(c.api.hostFree, uintptr(unsafe.Pointer(unsafe.SliceData(b)))), "freeing page-locked memory")
}

// CopyIn copies from memory of AllocHost to the device, in the stream's order.
func (c *Context) CopyIn(dst Memory, src []byte, s Stream) error {
	r := call(c.api.copyIn, uintptr(dst), uintptr(unsafe.Pointer(unsafe.SliceData(src))), uintptr(len(src)), uintptr(s))
	return c.api.check(r, "copying to the device")
}

// CopyOut copies from the device to memory of AllocHost, in the stream's order.
func (c *Context) CopyOut(dst []byte, src Memory, s Stream) error {
	r := call(c.api.copyOut, uintptr(unsafe.Pointer(unsafe.SliceData(dst))), uintptr(src), uintptr(len(dst)), uintptr(s))
	return c.api.check(r, "copying from the device")
}

// CopyWithin copies from one place on the device to another, in the stream's order.
func (c *Context) CopyWithin(dst, src Memory, bytes int, s Stream) error {
	return c.api.check(call(c.api.copyWithin, uintptr(dst), uintptr(src), uintptr(bytes), uintptr(s)), "copying on the device")
}

// Set8 fills device memory with a byte, in the stream's order.
func (c *Context) Set8(m Memory, value byte, bytes int64, s Stream) error {
	return c.api.check(call(c.api.set8, uintptr(m), uintptr(value), uintptr(bytes), uintptr(s)), "filling device memory")
}

// Set32 fills device memory with a 32-bit pattern, in the stream's order.
func (c *Context) Set32(m Memory, value uint32, n int64, s Stream) error {
	return c.api.check(call(c.api.set32, uintptr(m), uintptr(value), uintptr(n), uintptr(s)), "filling device memory")
}
