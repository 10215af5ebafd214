package cuda

import (
	"unsafe"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/cuda/driver"
)

// The arguments of the kernels: source/args.h, field for field. A test compares sizes
// and offsets with what the compiler of the kernels says.

// ref is a buffer on the device: element i of run r is at p + r·stride + i, in elements
// of the buffer's type.
type ref struct {
	p      uint64
	stride int64
}

type embedArgs struct {
	y, table, tokens ref
	runs             uint64
	n, d, v          int32
	scale            float32
}

type tokenIndexArgs struct {
	tokens, order, sorted, first uint64
	n, v                         int32
}

type embedGradArgs struct {
	dtable, dy, work     ref
	order, sorted, first uint64
	runs                 uint64
	n, d, v, piece       int32
	scale                float32
}

type rmsNormArgs struct {
	x, residual, sum, y, rstd, gain ref
	runs                            uint64
	n, d                            int32
	residualScale, eps              float32
}

type rmsNormGradArgs struct {
	dx, dx16, dy, x, gain, rstd, dgain, work ref
	runs                                     uint64
	n, d, add, blocks                        int32
}

type swiGLUArgs struct {
	y, x ref
	runs uint64
	n    int64
	f    int32
}

type swiGLUGradArgs struct {
	dx, dy, x ref
	runs      uint64
	n         int64
	f         int32
}

type qkNormRopeArgs struct {
	qk, qkv, qGain, kGain, rstd ref
	positions, cosSin           uint64
	runs                        uint64
	n, query, keyValue, dim     int32
	eps                         float32
}

type qkNormRopeGradArgs struct {
	dqkv, dqk, qkv, qGain, kGain, rstd, dqGain, dkGain, work ref
	positions, cosSin                                        uint64
	runs                                                     uint64
	n, query, keyValue, dim, blocks                          int32
}

type attentionArgs struct {
	y, lse, qk, qkv, maxLogit, work ref
	runs                            uint64
	n, query, keyValue, dim, seq    int32
	scale                           float32
}

type attentionGradArgs struct {
	dqk, dqkv, dy, y, lse, qk, qkv, delta ref
	runs                                  uint64
	n, query, keyValue, dim, seq          int32
	scale                                 float32
}

type gemmArgs struct {
	a, b, c, work                       ref
	runs                                uint64
	m, n, k, lda, ldb, ldc              int32
	transA, transB, add, slices, kSlice int32
	alpha                               float32
}

// On sm_90a the operands are described by maps before the other arguments; such structs
// are whole multiples of 64 bytes.
type gemmMapArgs struct {
	a, b, c driver.Map
	g       gemmArgs
	_       [8]byte
}

type gemmSwiGLUArgs struct {
	a, wGate, wUp, y, gate, up driver.Map
	runs                       uint64
	m, f, k, kept              int32
	alpha                      float32
	_                          [36]byte
}

type gemmSwiGLUGradArgs struct {
	a, w, gate, up, dGate, dUp driver.Map
	runs                       uint64
	m, f, k                    int32
	alpha                      float32
	_                          [40]byte
}

type groupGemmMapArgs struct {
	a, w driver.Map
	g    groupGemmArgs
	_    [24]byte
}

type groupGemmGradMapArgs struct {
	dy, x driver.Map
	g     groupGemmGradArgs
	_     [32]byte
}

type groupGemmArgs struct {
	a, w, c, offsets            ref
	runs                        uint64
	rows, n, k, experts, transW int32
	add                         int32
	alpha                       float32
}

type groupGemmGradArgs struct {
	dw, dy, x, offsets       ref
	runs                     uint64
	rows, n, k, experts, add int32
	alpha                    float32
}

type crossEntropyArgs struct {
	logits, loss, lse, targets, scale ref
	runs                              uint64
	n, v, ldl, grad, rows             int32
	multiplier, zLoss                 float32
}

type routeArgs struct {
	logits, probs, index, weight, slot, offsets, counts, loss, work ref
	runs                                                            uint64
	n, e, k, raw                                                    int32
}

type routeGradArgs struct {
	dlogits, dweight, probs, index, weight, offsets, scale ref
	runs                                                   uint64
	n, e, k, raw                                           int32
	coefficient                                            float32
}

type dispatchArgs struct {
	y, x, slot ref
	runs       uint64
	n, k, d    int32
}

type combineArgs struct {
	y, x, slot, weight ref
	runs               uint64
	n, k, d, add       int32
	scale              float32
}

type combineGradArgs struct {
	dx, dweight, dy, x, slot, weight ref
	runs                             uint64
	n, k, d                          int32
	scale                            float32
}

// tensor is one of the optimizer: offsets into a run's arena in elements, and of its
// bfloat16 copy in elements of that; -1 is none.
type tensor struct {
	p, g, m, v, p16, n int64
}

type chunk struct {
	tensor, _ int32
	start     int64
}

type gradNormArgs struct {
	arena               uint64
	stride              int64
	tensors, chunks     uint64
	work                uint64
	norm, clip, maxNorm ref
	runs                uint64
	count               int32
}

type adamWArgs struct {
	arena, copies      uint64
	stride, copyStride int64
	tensors, chunks    uint64
	table, clip        ref
	runs               uint64
	count              int32
}

type copyArgs struct {
	y, x ref
	runs uint64
	n    int64
}

type copyEachArgs struct {
	arena           uint64
	stride          int64
	tensors, chunks uint64
	runs            uint64
}

type blendArgs struct {
	y, a, b     ref
	runs        uint64
	n           int64
	alpha, beta float32
}

type zeroArgs struct {
	arena           uint64
	stride          int64
	tensors, chunks uint64
	runs            uint64
	count           int32
}

type sumArgs struct {
	y, x  ref
	runs  uint64
	n     int64
	scale float32
	add   int32
}

type statsArgs struct {
	out, x, work ref
	runs         uint64
	n            int64
	blocks       int32
}

type statsEachArgs struct {
	arena           uint64
	stride          int64
	tensors, chunks uint64
	out, work       ref
	runs            uint64
}

type logArgs struct {
	ring, cursor ref
	x            [kernels.MaxLog]ref
	runs         uint64
	rows, n      int32
}

// raw is the bytes of a struct.
func raw[T any](a *T) []byte {
	return append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(a)), unsafe.Sizeof(*a))...)
}
