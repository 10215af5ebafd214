package importers

import (
	"encoding/binary"
	"math"
)

// protoField is a field of a message in the protocol-buffer encoding: a number for
// wire types 0 (variable length), 1 (eight bytes) and 5 (four bytes), or bytes for
// type 2.
type protoField struct {
	number int
	wire   int
	n      uint64
	bytes  []byte // points into the message
}

// float32 returns a field of type float, exactly.
func (f *protoField) float32() float64 { return float64(math.Float32frombits(uint32(f.n))) }

func (f *protoField) float64() float64 { return math.Float64frombits(f.n) }

// protoNext reads the field at the start of b and returns what follows it. ok is
// false at the end and where b is no message.
func protoNext(b []byte, f *protoField) (rest []byte, ok bool) {
	key, b, ok := protoVarint(b)
	if !ok || key>>3 == 0 || key>>3 >= 1<<29 {
		return nil, false
	}
	f.number, f.wire = int(key>>3), int(key&7)
	switch f.wire {
	case 0:
		f.n, b, ok = protoVarint(b)
		return b, ok
	case 1:
		if len(b) < 8 {
			return nil, false
		}
		f.n = binary.LittleEndian.Uint64(b)
		return b[8:], true
	case 2:
		n, b, ok := protoVarint(b)
		if !ok || n > uint64(len(b)) {
			return nil, false
		}
		f.bytes = b[:n]
		return b[n:], true
	case 5:
		if len(b) < 4 {
			return nil, false
		}
		f.n = uint64(binary.LittleEndian.Uint32(b))
		return b[4:], true
	}
	return nil, false // groups, which no writer of today makes
}

func protoVarint(b []byte) (v uint64, rest []byte, ok bool) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), b[1:], true
	}
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, false
	}
	return v, b[n:], true
}
