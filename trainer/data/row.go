package data

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"sort"
	"sync"
)

// Row is a corpus as one long row of token ids. It is safe for several goroutines.
type Row struct {
	parts   []part
	starts  []int64 // index of the first token of each part
	tokens  int64
	closers []io.Closer
	buffers sync.Pool
}

// part is a stretch of tokens that lie one after another in a file or in memory, as
// little-endian integers.
type part struct {
	r      io.ReaderAt
	offset int64 // bytes before the first token
	count  int64 // tokens
	kind   integer
	name   string // for errors
}

// integer is how a token is stored.
type integer uint8

const (
	asUint8 integer = iota + 1
	asInt8
	asUint16
	asInt16
	asUint32
	asInt32
	asInt64
)

func (k integer) width() int64 {
	switch k {
	case asUint8, asInt8:
		return 1
	case asUint16, asInt16:
		return 2
	case asInt64:
		return 8
	}
	return 4
}

// add appends a part, which joins the last one when it goes on in the same place.
func (r *Row) add(p part) {
	if p.count <= 0 {
		return
	}
	if n := len(r.parts); n > 0 {
		last := &r.parts[n-1]
		if last.r == p.r && last.kind == p.kind && last.offset+last.count*p.kind.width() == p.offset {
			last.count += p.count
			r.tokens += p.count
			return
		}
	}
	r.parts = append(r.parts, p)
	r.starts = append(r.starts, r.tokens)
	r.tokens += p.count
}

// addBytes appends bytes in memory, one token each.
func (r *Row) addBytes(b []byte, name string) {
	r.add(part{r: bytes.NewReader(b), count: int64(len(b)), kind: asUint8, name: name})
}

// addIDs appends token ids in memory.
func (r *Row) addIDs(ids []int32, name string) {
	b := make([]byte, 4*len(ids))
	for i, id := range ids {
		binary.LittleEndian.PutUint32(b[4*i:], uint32(id))
	}
	r.add(part{r: bytes.NewReader(b), count: int64(len(ids)), kind: asUint32, name: name})
}

// Len is the number of tokens.
func (r *Row) Len() int64 { return r.tokens }

// Close gives the files back. No read may be under way.
func (r *Row) Close() error {
	var errs []error
	for _, c := range r.closers {
		errs = append(errs, c.Close())
	}
	r.closers, r.parts, r.starts, r.tokens = nil, nil, nil, 0
	return errors.Join(errs...)
}

// Read fills dst with the tokens from index at on. Fewer than asked for are an error.
func (r *Row) Read(dst []int32, at int64) error {
	if at < 0 || at+int64(len(dst)) > r.tokens {
		return fmt.Errorf("read tokens %d to %d of %d: out of range", at, at+int64(len(dst)), r.tokens)
	}
	i := sort.Search(len(r.starts), func(i int) bool { return r.starts[i] > at }) - 1
	for ; len(dst) > 0; i++ {
		p := &r.parts[i]
		from := at - r.starts[i]
		n := min(int64(len(dst)), p.count-from)
		if err := r.readPart(p, dst[:n], from); err != nil {
			return err
		}
		dst, at = dst[n:], at+n
	}
	return nil
}

// readPart decodes tokens of one part through a buffer that reads share.
func (r *Row) readPart(p *part, dst []int32, from int64) error {
	w := p.kind.width()
	buf, _ := r.buffers.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	defer r.buffers.Put(buf)
	if int64(cap(*buf)) < w*int64(len(dst)) {
		*buf = make([]byte, w*int64(len(dst)))
	}
	b := (*buf)[:w*int64(len(dst))]
	if n, err := p.r.ReadAt(b, p.offset+from*w); n < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("read tokens of %s: %w", p.name, err)
	}
	if i := p.kind.decode(dst, b); i >= 0 {
		return fmt.Errorf("read tokens of %s: token %d is no token id (negative or beyond 2^31): it may be stored in another integer type", p.name, from+int64(i))
	}
	return nil
}

// decode reads integers; it returns the index of one that is no token id, or −1.
func (k integer) decode(dst []int32, b []byte) int {
	bad := -1
	for i := range dst {
		var v int64
		switch k {
		case asUint8:
			v = int64(b[i])
		case asInt8:
			v = int64(int8(b[i]))
		case asUint16:
			v = int64(binary.LittleEndian.Uint16(b[2*i:]))
		case asInt16:
			v = int64(int16(binary.LittleEndian.Uint16(b[2*i:])))
		case asUint32:
			v = int64(binary.LittleEndian.Uint32(b[4*i:]))
		case asInt32:
			v = int64(int32(binary.LittleEndian.Uint32(b[4*i:])))
		default:
			v = int64(binary.LittleEndian.Uint64(b[8*i:]))
		}
		if (v < 0 || v > math.MaxInt32) && bad < 0 {
			bad, v = i, 0
		}
		dst[i] = int32(v)
	}
	return bad
}
