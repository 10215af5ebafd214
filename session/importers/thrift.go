package importers

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// maxThrift bounds how deep what describes a Parquet file is nested; the format needs
// less than ten.
const maxThrift = 64

var errThrift = errors.New("it ends too early, or promises more than there is")

// checkThrift goes through a structure in Thrift's compact protocol
// (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md) between
// two bytes of a file, and returns how long it is. The library that decodes it makes room
// for any length and count that it reads, and follows any depth.
func checkThrift(file io.ReaderAt, at, end int64) (int64, error) {
	t := &thriftReader{r: bufio.NewReaderSize(io.NewSectionReader(file, at, end-at), 512), left: end - at}
	err := t.structure(0)
	return end - at - t.left, err
}

type thriftReader struct {
	r    *bufio.Reader
	left int64
}

func (t *thriftReader) byte() (byte, error) {
	b, err := t.r.ReadByte()
	if err != nil {
		return 0, errThrift
	}
	t.left--
	return b, nil
}

// count reads a number of bytes or elements, each of a byte at least.
func (t *thriftReader) count() (int64, error) {
	n := int64(0)
	for shift := 0; shift < 35; shift += 7 {
		b, err := t.byte()
		if err != nil {
			return 0, err
		}
		if n |= int64(b&0x7f) << shift; b < 0x80 {
			if n > t.left {
				return 0, errThrift
			}
			return n, nil
		}
	}
	return 0, errThrift
}

func (t *thriftReader) skip(n int64) error {
	if n > t.left {
		return errThrift
	}
	t.left -= n
	if _, err := t.r.Discard(int(n)); err != nil {
		return errThrift
	}
	return nil
}

func (t *thriftReader) varint() error {
	for {
		b, err := t.byte()
		if err != nil || b < 0x80 {
			return err
		}
	}
}

func (t *thriftReader) structure(depth int) error {
	if depth > maxThrift {
		return fmt.Errorf("it is nested more than %d deep", maxThrift)
	}
	for {
		b, err := t.byte()
		if err != nil || b == 0 {
			return err
		}
		if b>>4 == 0 { // the field's number, in full
			if err := t.varint(); err != nil {
				return err
			}
		}
		if kind := b & 0xf; kind > 2 { // a truth value is in its type
			if err := t.value(kind, depth+1); err != nil {
				return err
			}
		}
	}
}

// value goes through a value of a type by its number.
func (t *thriftReader) value(kind byte, depth int) error {
	switch kind {
	case 1, 2, 3: // truth values in a list, and bytes
		return t.skip(1)
	case 4, 5, 6:
		return t.varint()
	case 7:
		return t.skip(8)
	case 8:
		n, err := t.count()
		if err != nil {
			return err
		}
		return t.skip(n)
	case 9, 10:
		b, err := t.byte()
		n := int64(b >> 4)
		if err == nil && n == 15 {
			n, err = t.count()
		}
		return t.values(n, depth, err, b&0xf)
	case 11:
		n, err := t.count()
		if err != nil || n == 0 {
			return err
		}
		b, err := t.byte()
		return t.values(n, depth, err, b>>4, b&0xf)
	case 12:
		return t.structure(depth)
	}
	return fmt.Errorf("it has a value of type %d, which there is not", kind)
}

// values goes through n values, or keys and values.
func (t *thriftReader) values(n int64, depth int, err error, kinds ...byte) error {
	if err == nil && depth > maxThrift {
		err = fmt.Errorf("it is nested more than %d deep", maxThrift)
	}
	for ; n > 0 && err == nil; n-- {
		for _, k := range kinds {
			if err == nil {
				err = t.value(k, depth+1)
			}
		}
	}
	return err
}
