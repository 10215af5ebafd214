package sqlite

import (
	"encoding/binary"
	"math"
	"strconv"
	"unicode/utf16"
)

// Kind is the type of a value.
type Kind uint8

// Values are of five kinds.
const (
	Null Kind = iota
	Integer
	Float
	Text
	Blob
)

// Value is a cell of a row.
type Value struct {
	Kind  Kind
	Int   int64   // of Integer
	Float float64 // of Float
	Bytes []byte  // of Text, as UTF-8, and Blob
}

// Append appends the value as text: numbers as their shortest decimals that read back
// the same, and nothing for Null and Blob.
func (v Value) Append(b []byte) []byte {
	switch v.Kind {
	case Integer:
		return strconv.AppendInt(b, v.Int, 10)
	case Float:
		return strconv.AppendFloat(b, v.Float, 'g', -1, 64)
	case Text:
		return append(b, v.Bytes...)
	}
	return b
}

// Number returns a number.
func (v Value) Number() (float64, bool) {
	switch v.Kind {
	case Integer:
		return float64(v.Int), true
	case Float:
		return v.Float, true
	}
	return 0, false
}

// record decodes a row into the values of the table's columns (2.1). key is its
// row id, which a column may be another name for.
func (w *walker) record(b []byte, key int64) error {
	headSize, n := varint(b)
	if n == 0 || headSize < int64(n) || headSize > int64(len(b)) {
		return damaged("the head of a row has %d bytes", headSize)
	}
	types, body := b[n:headSize], b[headSize:]
	for _, i := range w.table.stored {
		if len(types) == 0 {
			// A column that was added after the row.
			w.values[i] = w.table.defaults[i]
			continue
		}
		kind, n := varint(types)
		if n == 0 || kind < 0 || kind == 10 || kind == 11 {
			return damaged("a value has type %d", kind)
		}
		types = types[n:]
		size := serialSize(kind)
		if size > int64(len(body)) {
			return damaged("a value has %d bytes", size)
		}
		w.values[i] = w.db.value(kind, body[:size])
		body = body[size:]
	}
	if w.table.key >= 0 {
		w.values[w.table.key] = Value{Kind: Integer, Int: key}
	}
	return nil
}

func serialSize(kind int64) int64 {
	switch {
	case kind <= 4:
		return kind
	case kind == 5:
		return 6
	case kind <= 7:
		return 8
	case kind < 12:
		return 0
	}
	return (kind - 12) / 2
}

func (db *DB) value(kind int64, b []byte) Value {
	switch {
	case kind == 0:
		return Value{}
	case kind <= 6:
		v := int64(int8(b[0]))
		for _, c := range b[1:] {
			v = v<<8 | int64(c)
		}
		return Value{Kind: Integer, Int: v}
	case kind == 7:
		return Value{Kind: Float, Float: math.Float64frombits(binary.BigEndian.Uint64(b))}
	case kind <= 9:
		return Value{Kind: Integer, Int: kind - 8}
	case kind%2 == 0:
		return Value{Kind: Blob, Bytes: b}
	}
	if db.encoding > 1 {
		b = db.utf16(b)
	}
	return Value{Kind: Text, Bytes: b}
}

func (db *DB) utf16(b []byte) []byte {
	var order binary.ByteOrder = binary.LittleEndian
	if db.encoding == 3 {
		order = binary.BigEndian
	}
	units := make([]uint16, 0, len(b)/2)
	for ; len(b) > 1; b = b[2:] {
		units = append(units, order.Uint16(b))
	}
	return []byte(string(utf16.Decode(units)))
}
