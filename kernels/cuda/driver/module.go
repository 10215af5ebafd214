package driver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unsafe"
)

// Module is loaded code, Function a kernel of it.
type (
	Module   uintptr
	Function uintptr
)

// The page outside of the Go heap: arguments of a kernel, then lists of addresses, then
// the compiler's messages. The driver reads it through pointers inside of other memory,
// which Go's collector could not follow.
const (
	argumentsAt, listAt, logAt = 0, 4096, 8192
	pageSize                   = 32 << 10
	maxArguments               = listAt - argumentsAt
)

func (c *Context) at(offset int) uintptr { return uintptr(unsafe.Pointer(&c.page[offset])) }

// list writes 64-bit words to the page and returns their address.
func (c *Context) list(words ...uintptr) uintptr {
	for i, w := range words {
		binary.NativeEndian.PutUint64(c.page[listAt+8*i:], uint64(w))
	}
	return c.at(listAt)
}

// Options of cuModuleLoadDataEx.
const (
	jitErrorLog     = 5
	jitErrorLogSize = 6
)

// LoadPTX compiles PTX for the device; name is for the error. Where the driver is older
// than the PTX, the error wraps [ErrUnsupportedPTX]; the compiler's messages follow.
func (c *Context) LoadPTX(name string, ptx []byte) (Module, error) {
	code := append(ptx[:len(ptx):len(ptx)], 0)
	log := c.page[logAt:]
	clear(log)
	keys := [2]int32{jitErrorLog, jitErrorLogSize}
	values := c.list(c.at(logAt), uintptr(len(log)))
	var m Module
	err := c.api.check(call(c.api.moduleLoad, uintptr(unsafe.Pointer(&m)), uintptr(unsafe.Pointer(&code[0])),
		2, uintptr(unsafe.Pointer(&keys[0])), values), "compiling %s for the device", name)
	if err != nil {
		if said := strings.TrimSpace(trimmed(log)); said != "" {
			err = fmt.Errorf("%w\n%s", err, said)
		}
		if errors.Is(err, ErrUnsupportedPTX) {
			err = fmt.Errorf("%w (the driver speaks CUDA %s; a newer one is needed)", err, CUDA(c.api.version))
		}
	}
	return m, err
}

// Unload gives a module back; its functions are gone with it.
func (c *Context) Unload(m Module) error {
	return c.api.check(call(c.api.moduleUnload, uintptr(m)), "unloading a module")
}

// Attributes of functions.
const (
	functionMaxDynamicShared = 8
	functionRegisters        = 4
)

// Function finds a kernel and lets its blocks ask for up to shared bytes of dynamic
// shared memory. It also makes sure that the code is on the device, which must not
// happen while a stream is captured.
func (c *Context) Function(m Module, name string, shared int) (Function, error) {
	var f Function
	s := cstring(name)
	err := c.api.check(call(c.api.moduleFunction, uintptr(unsafe.Pointer(&f)), uintptr(m), uintptr(unsafe.Pointer(s))), "looking for kernel %s", name)
	if err != nil {
		return 0, err
	}
	if shared > 0 { // with what the kernel itself declares it may come to more than 48 KB
		if err := c.api.check(call(c.api.functionSet, uintptr(f), functionMaxDynamicShared, uintptr(shared)),
			"kernel %s: asking for %d bytes of shared memory a block", name, shared); err != nil {
			return 0, err
		}
	}
	var n int32
	err = c.api.check(call(c.api.functionGet, uintptr(unsafe.Pointer(&n)), functionRegisters, uintptr(f)), "loading kernel %s", name)
	return f, err
}

// Launch starts a kernel whose only parameter is a struct with the given bytes.
func (c *Context) Launch(f Function, grid, block [3]int, shared int, s Stream, arguments []byte) error {
	if len(arguments) > maxArguments {
		return fmt.Errorf("%d bytes of arguments for a kernel; at most %d fit", len(arguments), maxArguments)
	}
	copy(c.page[argumentsAt:], arguments)
	r := call(c.api.launch, uintptr(f), uintptr(grid[0]), uintptr(grid[1]), uintptr(grid[2]),
		uintptr(block[0]), uintptr(block[1]), uintptr(block[2]), uintptr(shared), uintptr(s), c.list(c.at(argumentsAt)), 0)
	return c.api.check(r, "launching a kernel with grid %v, block %v and %d bytes of shared memory", grid, block, shared)
}

// Map tells the bulk copy engine of sm_90 what a tensor in memory looks like.
type Map [16]uint64

// Matrices are count matrices of bfloat16, rows by columns, in memory; the distances are
// in bytes, and like the address multiples of 16.
type Matrices struct {
	Address              Memory
	Columns, Rows, Count int
	RowBytes, Bytes      int64 // from a row, a matrix, to the next
}

// Values of CUtensorMapDataType, CUtensorMapSwizzle and CUtensorMapL2promotion.
const (
	mapBFloat16   = 9
	mapSwizzle128 = 3
	mapPromote256 = 3
)

// EncodeMap makes the map that copies boxes of 64 rows by 64 columns of one matrix, with
// a swizzle of 128 bytes and zeros outside.
func (c *Context) EncodeMap(m Matrices) (Map, error) {
	var out Map
	if c.api.encodeTiled == 0 {
		return out, fmt.Errorf("%s has no function cuTensorMapEncodeTiled: the driver is too old for sm_90", c.api.path)
	}
	// The map must lie at a multiple of 64 bytes, so everything goes through the page.
	words := unsafe.Slice((*uint64)(unsafe.Pointer(&c.page[logAt])), 32)
	halves := unsafe.Slice((*uint32)(unsafe.Pointer(&words[24])), 6)
	copy(words[16:], []uint64{uint64(m.Columns), uint64(m.Rows), uint64(m.Count), uint64(m.RowBytes), uint64(m.Bytes)})
	copy(halves, []uint32{64, 64, 1, 1, 1, 1})
	at := func(word int) uintptr { return c.at(logAt + 8*word) }
	r := call(c.api.encodeTiled, at(0), mapBFloat16, 3, uintptr(m.Address), at(16), at(19), at(24), at(25)+4, 0, mapSwizzle128, mapPromote256, 0)
	if err := c.api.check(r, "describing matrices %+v to the copy engine", m); err != nil {
		return out, err
	}
	copy(out[:], words)
	return out, nil
}
