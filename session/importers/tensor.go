package importers

import (
	"encoding/binary"
	"math"
	"strconv"
)

// protoBytes returns the last field of a message that has this number and holds
// bytes.
func protoBytes(b []byte, number int) (found []byte, ok bool) {
	var f protoField
	for len(b) > 0 {
		var more bool
		if b, more = protoNext(b, &f); !more {
			break
		}
		if f.number == number && f.wire == 2 {
			found, ok = f.bytes, true
		}
	}
	return found, ok
}

// protoValue writes a google.protobuf.Value as text: {number: double = 2,
// string: string = 3, bool: bool = 4}.
func protoValue(b []byte) (string, bool) {
	var f protoField
	if _, ok := protoNext(b, &f); !ok {
		return "", false
	}
	switch f.number<<3 | f.wire {
	case 2<<3 | 1:
		return strconv.FormatFloat(f.float64(), 'g', -1, 64), true
	case 3<<3 | 2:
		return string(f.bytes), true
	case 4 << 3:
		return strconv.FormatBool(f.n != 0), true
	}
	return "", false
}

// tensorScalar returns the value of a TensorProto of one number:
//
//	{dtype: DataType = 1, tensor_shape: TensorShapeProto = 2, tensor_content: bytes = 4, half_val = 13, float_val = 5,
//	 double_val = 6, int_val = 7, int64_val = 10, bool_val = 11, uint32_val = 16, uint64_val = 17}
//
// The lists are packed, or, as older writers have it, fields of their own.
func tensorScalar(b []byte) (float64, bool) {
	var f protoField
	dtype := 0
	var content []byte
	listed, values := protoField{}, 0
	for len(b) > 0 {
		var ok bool
		if b, ok = protoNext(b, &f); !ok {
			return 0, false
		}
		switch f.number {
		case 1:
			dtype = int(f.n)
		case 2:
			if f.wire == 2 && !isScalarShape(f.bytes) {
				return 0, false
			}
		case 4:
			content = f.bytes
		case 5, 6, 7, 10, 11, 13, 16, 17:
			if f.wire == 2 && len(f.bytes) == 0 {
				continue
			}
			listed = f
			values++
		}
	}
	if values == 1 {
		return listedScalar(dtype, &listed)
	}
	if values > 1 {
		return 0, false
	}
	return contentScalar(dtype, content)
}

// isScalarShape accepts a shape of no dimensions, or of ones: {dim: repeated
// Dim {size: int64 = 1} = 2}.
func isScalarShape(b []byte) bool {
	var f, d protoField
	for len(b) > 0 {
		var ok bool
		if b, ok = protoNext(b, &f); !ok {
			return false
		}
		if f.number != 2 || f.wire != 2 {
			continue
		}
		if _, ok := protoNext(f.bytes, &d); !ok || d.number != 1 || d.n != 1 {
			return false
		}
	}
	return true
}

// The data types of TensorFlow that are numbers.
const (
	dtFloat    = 1
	dtDouble   = 2
	dtInt32    = 3
	dtUint8    = 4
	dtInt16    = 5
	dtInt8     = 6
	dtInt64    = 9
	dtBool     = 10
	dtBfloat16 = 14
	dtUint16   = 17
	dtHalf     = 19
	dtUint32   = 22
	dtUint64   = 23
)

// listedScalar decodes the one element of a list of values.
func listedScalar(dtype int, f *protoField) (float64, bool) {
	n, b := f.n, f.bytes
	packed := f.wire == 2
	switch f.number {
	case 5:
		if packed {
			return contentScalar(dtFloat, b)
		}
		return f.float32(), f.wire == 5
	case 6:
		if packed {
			return contentScalar(dtDouble, b)
		}
		return f.float64(), f.wire == 1
	}
	if packed {
		var ok bool
		var rest []byte
		if n, rest, ok = protoVarint(b); !ok || len(rest) > 0 {
			return 0, false
		}
	} else if f.wire != 0 {
		return 0, false
	}
	switch dtype {
	case dtHalf:
		return halfFloat(uint16(n)), true
	case dtBfloat16:
		return bfloat16(uint16(n)), true
	case dtInt32, dtUint8, dtInt16, dtInt8, dtInt64, dtUint16:
		return float64(int64(n)), true
	case dtBool, dtUint32, dtUint64:
		return float64(n), true
	}
	return 0, false
}

// contentScalar decodes the little-endian bytes of one element.
func contentScalar(dtype int, b []byte) (float64, bool) {
	le := binary.LittleEndian
	switch len(b) {
	case 1:
		switch dtype {
		case dtUint8, dtBool:
			return float64(b[0]), true
		case dtInt8:
			return float64(int8(b[0])), true
		}
	case 2:
		switch n := le.Uint16(b); dtype {
		case dtHalf:
			return halfFloat(n), true
		case dtBfloat16:
			return bfloat16(n), true
		case dtInt16:
			return float64(int16(n)), true
		case dtUint16:
			return float64(n), true
		}
	case 4:
		switch n := le.Uint32(b); dtype {
		case dtFloat:
			return float64(math.Float32frombits(n)), true
		case dtInt32:
			return float64(int32(n)), true
		case dtUint32:
			return float64(n), true
		}
	case 8:
		switch n := le.Uint64(b); dtype {
		case dtDouble:
			return math.Float64frombits(n), true
		case dtInt64:
			return float64(int64(n)), true
		case dtUint64:
			return float64(n), true
		}
	}
	return 0, false
}

func bfloat16(n uint16) float64 { return float64(math.Float32frombits(uint32(n) << 16)) }

// halfFloat decodes IEEE 754 binary16.
func halfFloat(n uint16) float64 {
	sign := 1.0
	if n>>15 != 0 {
		sign = -1
	}
	exp, frac := int(n>>10&31), float64(n&1023)
	switch exp {
	case 0:
		return sign * math.Ldexp(frac, -24)
	case 31:
		if frac != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(1024+frac, exp-25)
}
