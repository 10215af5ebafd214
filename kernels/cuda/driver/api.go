package driver

import (
	"errors"
	"fmt"
	"unsafe"
)

// api is the driver's functions by name.
type api struct {
	library
	version int // as the driver says it: 12040 is CUDA 12.4

	initialize, driverVersion, errorName, errorString                               uintptr
	deviceCount, deviceGet, deviceName, deviceAttribute, deviceMemory, devicePCI    uintptr
	contextRetain, contextRelease, contextSet                                       uintptr
	memAlloc, memFree, memInfo, hostAlloc, hostFree                                 uintptr
	copyIn, copyOut, copyWithin, set8, set32                                        uintptr
	moduleLoad, moduleUnload, moduleFunction, functionSet, functionGet              uintptr
	streamCreate, streamDestroy, streamSync, streamCapture, streamEndCapture        uintptr
	streamWait                                                                      uintptr
	eventCreate, eventDestroy, eventRecord, eventSync, eventQuery, eventElapsed     uintptr
	launch, graphInstantiate, graphDestroy, graphExecDestroy, graphLaunch, graphLen uintptr
	encodeTiled                                                                     uintptr // 0 before CUDA 12
}

func loadAPI(folders []string) (*api, error) {
	lib, err := find("libcuda.so.1", folders)
	if err != nil {
		return nil, err
	}
	a := &api{library: lib}
	return a, lib.bind([]entry{
		{&a.initialize, "cuInit", false},
		{&a.driverVersion, "cuDriverGetVersion", false},
		{&a.errorName, "cuGetErrorName", false},
		{&a.errorString, "cuGetErrorString", false},
		{&a.deviceCount, "cuDeviceGetCount", false},
		{&a.deviceGet, "cuDeviceGet", false},
		{&a.deviceName, "cuDeviceGetName", false},
		{&a.deviceAttribute, "cuDeviceGetAttribute", false},
		{&a.deviceMemory, "cuDeviceTotalMem_v2", false},
		{&a.devicePCI, "cuDeviceGetPCIBusId", false},
		{&a.contextRetain, "cuDevicePrimaryCtxRetain", false},
		{&a.contextRelease, "cuDevicePrimaryCtxRelease_v2", false},
		{&a.contextSet, "cuCtxSetCurrent", false},
		{&a.memAlloc, "cuMemAlloc_v2", false},
		{&a.memFree, "cuMemFree_v2", false},
		{&a.memInfo, "cuMemGetInfo_v2", false},
		{&a.hostAlloc, "cuMemHostAlloc", false},
		{&a.hostFree, "cuMemFreeHost", false},
		{&a.copyIn, "cuMemcpyHtoDAsync_v2", false},
		{&a.copyOut, "cuMemcpyDtoHAsync_v2", false},
		{&a.copyWithin, "cuMemcpyDtoDAsync_v2", false},
		{&a.set8, "cuMemsetD8Async", false},
		{&a.set32, "cuMemsetD32Async", false},
		{&a.moduleLoad, "cuModuleLoadDataEx", false},
		{&a.moduleUnload, "cuModuleUnload", false},
		{&a.moduleFunction, "cuModuleGetFunction", false},
		{&a.functionSet, "cuFuncSetAttribute", false},
		{&a.functionGet, "cuFuncGetAttribute", false},
		{&a.streamCreate, "cuStreamCreateWithPriority", false},
		{&a.streamDestroy, "cuStreamDestroy_v2", false},
		{&a.streamSync, "cuStreamSynchronize", false},
		{&a.streamCapture, "cuStreamBeginCapture_v2", false},
		{&a.streamEndCapture, "cuStreamEndCapture", false},
		{&a.streamWait, "cuStreamWaitEvent", false},
		{&a.eventCreate, "cuEventCreate", false},
		{&a.eventDestroy, "cuEventDestroy_v2", false},
		{&a.eventRecord, "cuEventRecord", false},
		{&a.eventSync, "cuEventSynchronize", false},
		{&a.eventQuery, "cuEventQuery", false},
		{&a.eventElapsed, "cuEventElapsedTime", false},
		{&a.launch, "cuLaunchKernel", false},
		{&a.graphInstantiate, "cuGraphInstantiateWithFlags", false},
		{&a.graphDestroy, "cuGraphDestroy", false},
		{&a.graphExecDestroy, "cuGraphExecDestroy", false},
		{&a.graphLaunch, "cuGraphLaunch", false},
		{&a.graphLen, "cuGraphGetNodes", false},
		{&a.encodeTiled, "cuTensorMapEncodeTiled", true},
	})
}

// Results of the driver that callers tell apart with errors.Is.
var (
	ErrOutOfMemory    = &Error{Code: 2, Name: "CUDA_ERROR_OUT_OF_MEMORY"}
	ErrNoDevice       = &Error{Code: 100, Name: "CUDA_ERROR_NO_DEVICE"}
	ErrUnsupportedPTX = &Error{Code: 222, Name: "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"}
)

// Error is a call of the driver that failed.
type Error struct {
	Code  int
	Name  string // the driver's own, such as CUDA_ERROR_OUT_OF_MEMORY
	Text  string // the driver's own description
	Doing string // what was being done
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s (%s, %d)", e.Doing, e.Text, e.Name, e.Code)
}

// Is compares codes, so that errors.Is finds the variables of this package.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Code == e.Code
}

// check turns a result into an error; doing says what was being done.
func (a *api) check(result uintptr, doing string, args ...any) error {
	if int32(result) == 0 {
		return nil
	}
	e := &Error{Code: int(int32(result)), Name: "unknown error", Doing: fmt.Sprintf(doing, args...)}
	var p *byte
	if call(a.errorName, result, uintptr(unsafe.Pointer(&p))) == 0 {
		e.Name = text(p)
	}
	if call(a.errorString, result, uintptr(unsafe.Pointer(&p))) == 0 {
		e.Text = text(p)
	}
	return e
}

// start initialises the driver; that may be done any number of times.
func (a *api) start() error {
	if err := a.check(call(a.initialize, 0), "initialising the driver %s", a.path); err != nil {
		return err
	}
	var v int32
	err := a.check(call(a.driverVersion, uintptr(unsafe.Pointer(&v))), "asking for the driver's version")
	a.version = int(v)
	return err
}

// Info describes a device.
type Info struct {
	Ordinal      int
	Name         string // the driver's, such as NVIDIA H200
	Major, Minor int    // compute capability
	SMs          int    // multiprocessors
	SharedMemory int    // most a block can ask for, bytes
	L2           int    // bytes
	Total        int64  // memory, bytes
	PCI          string // bus address
}

// Arch is the architecture as compilers name it, such as sm_90.
func (i Info) Arch() string { return fmt.Sprintf("sm_%d%d", i.Major, i.Minor) }

func (a *api) count() (int, error) {
	var n int32
	err := a.check(call(a.deviceCount, uintptr(unsafe.Pointer(&n))), "counting devices")
	return int(n), err
}

func (a *api) device(ordinal int) (int32, error) {
	var d int32
	err := a.check(call(a.deviceGet, uintptr(unsafe.Pointer(&d)), uintptr(ordinal)), "opening device %d", ordinal)
	return d, err
}

// Numbers of CUdevice_attribute.
const (
	attrL2          = 38
	attrSMs         = 16
	attrMajor       = 75
	attrMinor       = 76
	attrSharedOptin = 97
	nameLen, pciLen = 256, 32
)

func (a *api) describe(ordinal int) (Info, error) {
	d, err := a.device(ordinal)
	if err != nil {
		return Info{}, err
	}
	i := Info{Ordinal: ordinal}
	name, pci := make([]byte, nameLen), make([]byte, pciLen)
	var total uint64
	errs := []error{
		a.check(call(a.deviceName, uintptr(unsafe.Pointer(&name[0])), nameLen, uintptr(d)), "asking for the name of device %d", ordinal),
		a.check(call(a.devicePCI, uintptr(unsafe.Pointer(&pci[0])), pciLen, uintptr(d)), "asking for the address of device %d", ordinal),
		a.check(call(a.deviceMemory, uintptr(unsafe.Pointer(&total)), uintptr(d)), "asking for the memory of device %d", ordinal),
	}
	for _, q := range []struct {
		at        *int
		attribute uintptr
	}{{&i.Major, attrMajor}, {&i.Minor, attrMinor}, {&i.SMs, attrSMs}, {&i.SharedMemory, attrSharedOptin}, {&i.L2, attrL2}} {
		var v int32
		errs = append(errs, a.check(call(a.deviceAttribute, uintptr(unsafe.Pointer(&v)), q.attribute, uintptr(d)),
			"asking for attribute %d of device %d", q.attribute, ordinal))
		*q.at = int(v)
	}
	i.Name, i.PCI, i.Total = trimmed(name), trimmed(pci), int64(total)
	return i, errors.Join(errs...)
}
